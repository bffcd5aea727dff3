//! `export`: annex 3 of a division, as a workbook.

use std::path::Path;

use civic::LocalDay;
use proto::eldercare::registry::v1::ExportSummaryRequest;
use serde::Serialize;

use crate::{
    client::{Client, in_words},
    output::Report,
    wire,
};

/// A file that was written.
#[derive(Debug, Serialize)]
pub struct Written {
    /// Where.
    pub file: String,
    /// How large, in bytes.
    pub bytes: usize,
}

impl Report for Written {
    fn text(&self) -> String {
        format!("已导出 wrote {} ({} bytes)", self.file, self.bytes)
    }
}

/// Writes a division's annex 3.
///
/// # Errors
/// The registry's refusal, or a file that can't be written.
pub async fn summary(
    client: &Client,
    division: &str,
    on: Option<LocalDay>,
    file: &Path,
) -> anyhow::Result<Written> {
    let request = ExportSummaryRequest {
        division_code: division.to_owned(),
        on: on.map(wire::date),
        min_position: String::new(),
    };
    let answer = client
        .registry()
        .export_summary(request)
        .await
        .map_err(|status| in_words(&status))?;
    let mut pieces = answer.into_inner();
    let mut workbook = Vec::new();
    while let Some(piece) = pieces.message().await.map_err(|status| in_words(&status))? {
        workbook.extend_from_slice(&piece.chunk);
    }
    write(file, &workbook)
}

/// Writes a workbook, whole or not at all: it holds personal data, so its owner alone may read it.
///
/// # Errors
/// Where it can't be written.
pub fn write(file: &Path, workbook: &[u8]) -> anyhow::Result<Written> {
    crate::keys::write_private(file, workbook)?;
    Ok(Written {
        file: file.display().to_string(),
        bytes: workbook.len(),
    })
}
