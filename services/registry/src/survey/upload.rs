//! A workbook as it arrives, in pieces.

use std::sync::Arc;

use proto::eldercare::registry::v1 as pb;
use tonic::Status;

use super::{Limits, WorkbookError};
use crate::refusals;

/// Reads the pieces of a workbook as they arrive.
pub(crate) struct Upload {
    file: Vec<u8>,
}

impl Upload {
    pub(crate) fn new() -> Self {
        Self { file: Vec::new() }
    }

    /// Takes the next piece.
    pub(crate) fn take(&mut self, message: pb::ImportSurveyRequest) -> Result<(), Status> {
        match message.part {
            Some(pb::import_survey_request::Part::Chunk(chunk)) => {
                if chunk.len() > 1 << 20 {
                    return Err(service::Violation::new(
                        "chunk",
                        "TOO_LONG",
                        "may have 1 MiB at most",
                        "最多 1 MiB",
                    )
                    .into());
                }
                if self.file.len() + chunk.len() > Limits::DEFAULT.file_bytes {
                    let limit = Limits::DEFAULT.file_bytes;
                    return Err(refusals::of_workbook(&WorkbookError::FileTooLarge {
                        limit,
                    }));
                }
                self.file.extend_from_slice(&chunk);
                Ok(())
            }
            Some(pb::import_survey_request::Part::Options(_)) => Err(service::Violation::new(
                "options",
                "REPEATED",
                "come first and once",
                "只能出现一次，且须在最前",
            )
            .into()),
            None => {
                Err(service::Violation::new("part", "REQUIRED", "is required", "不能为空").into())
            }
        }
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.file
    }
}

/// Sheets in memory at a time; each may take some hundred MiB at the worst.
pub(crate) fn places() -> Arc<tokio::sync::Semaphore> {
    Arc::new(tokio::sync::Semaphore::new(2))
}
