//! `export` and `visits export`: annex 3 of a division, and annex 2 of an elder or a division, as workbooks.

use std::path::Path;

use civic::LocalDay;
use proto::eldercare::{
    claims::v1::{ExportSettlementRequest, SettlementFormat},
    registry::v1::ExportSummaryRequest,
    visits::v1::{ExportRecordsRequest, export_records_request::Whose},
};
use serde::Serialize;
use tonic::Streaming;

use crate::{
    cli,
    client::{Client, in_words},
    elder,
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
    let pieces = client.registry().export_summary(request).await;
    let pieces = pieces.map_err(|status| in_words(&status))?.into_inner();
    write(file, &whole(pieces, |piece| piece.chunk).await?)
}

/// Writes annex 2 of an elder or a division, with the records that count from one day to another.
///
/// # Errors
/// Visits' refusal, or a file that can't be written.
pub async fn records(
    client: &Client,
    whose: &cli::Whose,
    days: (LocalDay, LocalDay),
    file: &Path,
) -> anyhow::Result<Written> {
    let whose = match &whose.division {
        Some(division) => Whose::DivisionCode(division.clone()),
        None => {
            let whom = cli::Whom {
                id: whose.elder.clone(),
                id_number: whose.id_number.clone(),
            };
            Whose::ElderId(elder::id_of(client, &whom).await?)
        }
    };
    let request = ExportRecordsRequest {
        whose: Some(whose),
        first_day: Some(wire::date(days.0)),
        last_day: Some(wire::date(days.1)),
        min_position: String::new(),
    };
    let pieces = client.visits().export_records(request).await;
    let pieces = pieces.map_err(|status| in_words(&status))?.into_inner();
    write(file, &whole(pieces, |piece| piece.chunk).await?)
}

/// Writes a settlement: a sheet, or CSV where the file's name ends so.
///
/// # Errors
/// Claims' refusal, or a file that can't be written.
pub async fn settlement(
    client: &Client,
    (programme, provider, number): (&str, &str, i32),
    file: &Path,
) -> anyhow::Result<Written> {
    let is_csv = file.extension().is_some_and(|ending| ending == "csv");
    let format = if is_csv {
        SettlementFormat::Csv
    } else {
        SettlementFormat::Xlsx
    };
    let request = ExportSettlementRequest {
        programme_code: programme.to_owned(),
        provider_id: provider.to_owned(),
        number,
        format: format.into(),
        min_position: String::new(),
    };
    let pieces = client.claims().export_settlement(request).await;
    let pieces = pieces.map_err(|status| in_words(&status))?.into_inner();
    write(file, &whole(pieces, |piece| piece.chunk).await?)
}

/// A workbook that comes in pieces.
async fn whole<T>(
    mut pieces: Streaming<T>,
    chunk: impl Fn(T) -> bytes::Bytes,
) -> anyhow::Result<Vec<u8>> {
    let mut workbook = Vec::new();
    while let Some(piece) = pieces.message().await.map_err(|status| in_words(&status))? {
        workbook.extend_from_slice(&chunk(piece));
    }
    Ok(workbook)
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
