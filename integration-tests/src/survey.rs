//! Importing a survey as a caller does: the workbook goes in by pieces, outcomes and progress come back.

use proto::eldercare::registry::v1::{
    ImportProgress, ImportSummary, ImportSurveyOptions, ImportSurveyRequest, ImportSurveyResponse,
    RowOutcome, SurveyOutcome, import_survey_request, import_survey_response,
};
use tonic::{Status, Streaming};

use crate::{Registry, new_id};

/// The size of the pieces.
const PIECE: usize = 64 << 10;

/// The town that stories survey.
pub const TOWN: &str = "350524100";

/// What came of an import that went to its end.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Imported {
    /// The rows in the order of the sheet.
    pub rows: Vec<RowOutcome>,
    /// How far it was, each time it was told.
    pub progress: Vec<ImportProgress>,
    /// The end.
    pub summary: ImportSummary,
}

impl Imported {
    /// The elders of the rows with an outcome.
    pub fn elders(&self, outcome: SurveyOutcome) -> Vec<String> {
        let rows = self.rows.iter().filter(|row| row.outcome() == outcome);
        rows.map(|row| row.elder_id.clone()).collect()
    }
}

/// A new import of the town 凤城镇 that writes.
pub fn options() -> ImportSurveyOptions {
    ImportSurveyOptions {
        import_id: new_id(),
        town_code: TOWN.to_owned(),
        dry_run: false,
        update: false,
    }
}

/// The messages of an import.
pub fn messages(options: ImportSurveyOptions, book: &[u8]) -> Vec<ImportSurveyRequest> {
    let first = import_survey_request::Part::Options(options);
    let pieces = book
        .chunks(PIECE)
        .map(|piece| import_survey_request::Part::Chunk(piece.to_vec().into()));
    std::iter::once(first)
        .chain(pieces)
        .map(|part| ImportSurveyRequest { part: Some(part) })
        .collect()
}

/// Begins an import.
///
/// # Errors
/// The refusal.
pub async fn importing(
    registry: &mut Registry,
    options: ImportSurveyOptions,
    book: &[u8],
) -> Result<Streaming<ImportSurveyResponse>, Status> {
    let messages = tokio_stream::iter(messages(options, book));
    Ok(registry.import_survey(messages).await?.into_inner())
}

/// Imports a workbook to the end.
///
/// # Errors
/// The refusal.
pub async fn import(
    registry: &mut Registry,
    options: ImportSurveyOptions,
    book: &[u8],
) -> Result<Imported, Status> {
    let mut answers = importing(registry, options, book).await?;
    let mut imported = Imported::default();
    let mut ended = false;
    while let Some(answer) = answers.message().await? {
        assert!(!ended, "the summary comes last");
        match answer.part.expect("each message holds something") {
            import_survey_response::Part::Row(row) => imported.rows.push(row),
            import_survey_response::Part::Progress(progress) => imported.progress.push(progress),
            import_survey_response::Part::Summary(summary) => {
                imported.summary = summary;
                ended = true;
            }
        }
    }
    assert!(ended, "an import that ends well ends with its summary");
    Ok(imported)
}
