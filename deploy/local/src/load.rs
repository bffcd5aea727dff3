//! Loads a county's divisions, survey workbooks and residents through the registry's API.

use std::path::Path;

use anyhow::Context as _;
use backon::Retryable as _;
use eventlog::Position;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use proto::eldercare::{
    registry::v1::{
        self as pb, ImportDivisionsRequest, ImportSummary, ImportSurveyOptions,
        ImportSurveyRequest, RowOutcome, import_survey_request, import_survey_response,
    },
    r#type::v1 as types,
};
use serde::Serialize;
use tonic::Code;
use uuid::Uuid;

use crate::{
    client::{self, Client, call, is_lost, patience, try_call},
    county::{County, Line, Resident, SurveyFile},
    output::Progress,
};

/// How many residents are registered at a time.
const AT_ONCE: usize = 64;

/// A workbook travels in pieces of this many bytes.
const PIECE: usize = 256 << 10;

/// A line that the system refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FailedLine {
    /// The file.
    pub file: String,
    /// The line.
    pub line: u64,
    /// Why, as the system says.
    pub reason: String,
}

/// A workbook that was imported.
#[derive(Debug, Clone)]
pub struct Imported {
    /// The workbook's name.
    pub file: String,
    /// What became of each data row.
    pub rows: Vec<RowOutcome>,
    /// The end of the import.
    pub summary: ImportSummary,
}

/// How workbooks are imported.
#[derive(Debug, Clone, Copy, Default)]
pub struct SurveyOptions {
    /// Judge and write nothing.
    pub dry_run: bool,
    /// Update elders who are known.
    pub update: bool,
}

/// How far the import of a workbook is.
#[derive(Debug, Clone, Copy)]
pub struct Rows {
    /// Data rows done.
    pub done: u64,
    /// Data rows in the workbook; 0 until that is known.
    pub total: u64,
}

/// The last record that loading wrote: what queries must have seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reached(Option<Position>);

impl Reached {
    /// Takes note of a position that a command answered with.
    pub fn see(&mut self, position: &str) {
        if let Ok(position) = position.parse::<Position>()
            && self
                .0
                .as_ref()
                .is_none_or(|last| last.sequence < position.sequence)
        {
            self.0 = Some(position);
        }
    }

    /// As a query's `min_position`; empty where nothing was written yet.
    pub fn min_position(&self) -> String {
        self.0.as_ref().map(ToString::to_string).unwrap_or_default()
    }
}

/// Replaces the county's table of divisions.
///
/// # Errors
/// The registry's refusal.
pub async fn divisions(
    client: &Client,
    request_id: Uuid,
    divisions: Vec<types::Division>,
    reached: &mut Reached,
) -> anyhow::Result<()> {
    let request = ImportDivisionsRequest {
        request_id: request_id.to_string(),
        divisions,
    };
    let answer = call(request, async |request| {
        client.registry().import_divisions(request).await
    })
    .await?;
    reached.see(&answer.committed.unwrap_or_default().position);
    Ok(())
}

/// Imports one town's workbook, and takes it up again where the stream breaks.
///
/// # Errors
/// The registry's refusal, or a file that can't be read.
pub async fn survey(
    client: &Client,
    file: &SurveyFile,
    import_id: impl Fn(&[u8]) -> Uuid,
    options: SurveyOptions,
    tell: &(dyn Fn(Rows) + Sync),
) -> anyhow::Result<Imported> {
    let workbook = tokio::fs::read(&file.path)
        .await
        .with_context(|| format!("read {}", file.path.display()))?;
    let head = ImportSurveyOptions {
        import_id: import_id(&workbook).to_string(),
        town_code: file.town_code.clone(),
        dry_run: options.dry_run,
        update: options.update,
    };
    let import = async || attempt(client, file, &head, &workbook, tell).await;
    let outcome = import.retry(patience()).when(is_lost).await;
    outcome.map_err(|status| client::in_words(&status).context(file.name.clone()))
}

async fn attempt(
    client: &Client,
    file: &SurveyFile,
    head: &ImportSurveyOptions,
    workbook: &[u8],
    tell: &(dyn Fn(Rows) + Sync),
) -> Result<Imported, tonic::Status> {
    let head = import_survey_request::Part::Options(head.clone());
    let pieces: Vec<_> = workbook
        .chunks(PIECE)
        .map(|piece| import_survey_request::Part::Chunk(bytes::Bytes::copy_from_slice(piece)))
        .collect();
    let messages = std::iter::once(head)
        .chain(pieces)
        .map(|part| ImportSurveyRequest { part: Some(part) });
    let mut answers = client
        .registry()
        .import_survey(stream::iter(messages))
        .await?
        .into_inner();
    let (mut rows, mut summary, mut total) = (Vec::new(), None, 0);
    while let Some(answer) = answers.message().await? {
        match answer.part {
            Some(import_survey_response::Part::Row(row)) => {
                rows.push(row);
                tell(Rows {
                    done: rows.len() as u64,
                    total,
                });
            }
            Some(import_survey_response::Part::Summary(end)) => summary = Some(end),
            Some(import_survey_response::Part::Progress(told)) => {
                total = u64::try_from(told.rows_total).unwrap_or_default();
            }
            None => {}
        }
    }
    let summary = summary
        .ok_or_else(|| tonic::Status::unavailable("the import ended without its summary"))?;
    Ok(Imported {
        file: file.name.clone(),
        rows,
        summary,
    })
}

/// Imports all workbooks of a county by file name.
///
/// # Errors
/// The first refusal of a workbook as a whole.
pub async fn surveys(
    client: &Client,
    county: &County,
    reached: &mut Reached,
    progress: Progress,
) -> anyhow::Result<Vec<Imported>> {
    let files = county.surveys()?;
    let step = progress.begin("摸底表 importing survey workbooks", 0);
    let mut imported = Vec::with_capacity(files.len());
    for file in &files {
        let name = format!("survey/{}", file.name);
        let import_id = |workbook: &[u8]| county.request_id(&name, 0, workbook);
        let before: u64 = imported
            .iter()
            .map(|one: &Imported| one.rows.len() as u64)
            .sum();
        let tell = |rows: Rows| step.so_far(before + rows.done);
        let done = survey(client, file, import_id, SurveyOptions::default(), &tell).await?;
        reached.see(&done.summary.position);
        imported.push(done);
    }
    let rows: usize = imported.iter().map(|one| one.rows.len()).sum();
    step.done(&format!("{} workbooks, {rows} rows", imported.len()));
    Ok(imported)
}

/// Registers the county's residents.
///
/// # Errors
/// A line that can't be read, or a system that doesn't answer. Lines that it refuses are listed in the answer.
pub async fn residents(
    client: &Client,
    county: &County,
    reached: &mut Reached,
    progress: Progress,
) -> anyhow::Result<(u64, Vec<FailedLine>)> {
    let lines: Vec<Line<Resident>> = county.residents()?.collect::<Result<_, _>>()?;
    let step = progress.begin("居民 registering residents", lines.len() as u64);
    let registered = stream::iter(lines)
        .map(|line| register(client, line))
        .buffer_unordered(AT_ONCE);
    let (mut count, mut failed) = (0, Vec::new());
    let mut registered = std::pin::pin!(registered);
    while let Some(outcome) = registered.try_next().await? {
        step.advance(1);
        match outcome {
            Ok(position) => {
                reached.see(&position);
                count += 1;
            }
            Err(line) => failed.push(line),
        }
    }
    failed.sort_by_key(|line| line.line);
    step.done(&format!("{count} registered, {} refused", failed.len()));
    Ok((count, failed))
}

/// Registers one resident: the position of the record, or why the line was refused.
async fn register(
    client: &Client,
    line: Line<Resident>,
) -> anyhow::Result<Result<String, FailedLine>> {
    let number = line.number;
    let request: pb::RegisterElderRequest = line.what.into_request(line.request_id);
    match try_call(request, async |request| {
        client.registry().register_elder(request).await
    })
    .await
    {
        Ok(answer) => Ok(Ok(answer.committed.unwrap_or_default().position)),
        Err(status) => refused_line("residents.ndjson", number, &status).map(Err),
    }
}

/// A refusal by the rules belongs to its line; anything else ends the work.
///
/// # Errors
/// The refusal, where it isn't about the line.
pub fn refused_line(file: &str, line: u64, status: &tonic::Status) -> anyhow::Result<FailedLine> {
    let about_the_line = [
        Code::InvalidArgument,
        Code::FailedPrecondition,
        Code::AlreadyExists,
        Code::NotFound,
    ]
    .contains(&status.code());
    if about_the_line {
        Ok(FailedLine {
            file: file.to_owned(),
            line,
            reason: client::in_words(status).to_string(),
        })
    } else {
        Err(client::in_words(status).context(format!("{file}, line {line}")))
    }
}

/// The bytes of a file as text, for those that hold text.
///
/// # Errors
/// Where it can't be read or is no UTF-8.
pub fn text_of(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_wait_for_the_last_record_that_was_written() {
        let mut reached = Reached::default();
        assert_eq!(reached.min_position(), "");
        for position in ["REGISTRY:7", "REGISTRY:12", "REGISTRY:9", ""] {
            reached.see(position);
        }
        assert_eq!(reached.min_position(), "REGISTRY:12");
    }
}
