//! Alerts as they stand, and the documents of them.

use chrono::{DateTime, Utc};
use civic::{AlertKind, AlertOutcome, ElderId, HelpStage, Severity};
use elder_tables::columns::word;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgExecutor, Row as _};
use uuid::Uuid;

use super::NAME;
use crate::document::{Document, instant};
use crate::dossier::Finding;
use crate::products::ProductName;

/// An alert as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AlertRow {
    /// The alert.
    pub(crate) alert: Uuid,
    /// Whom it is about.
    pub(crate) elder: ElderId,
    /// Where the elder lived then; empty where it was not known.
    pub(crate) village: String,
    /// What it is about.
    pub(crate) kind: AlertKind,
    /// How urgent it is.
    pub(crate) severity: Severity,
    /// When it happened.
    pub(crate) raised_at: DateTime<Utc>,
    /// The highest level that was reached; none where it has no levels, or none was due yet.
    pub(crate) level: Option<i32>,
    /// How far help has come.
    pub(crate) state: HelpStage,
    /// When somebody took it on.
    pub(crate) acknowledged_at: Option<DateTime<Utc>>,
    /// When somebody was sent.
    pub(crate) dispatched_at: Option<DateTime<Utc>>,
    /// When somebody came.
    pub(crate) arrived_at: Option<DateTime<Utc>>,
    /// When it was over.
    pub(crate) resolved_at: Option<DateTime<Utc>>,
    /// How it ended.
    pub(crate) outcome: Option<AlertOutcome>,
}

const COLUMNS: &str = "alert_id, elder_id, village, kind, severity, raised_at, level, state, acknowledged_at, \
    dispatched_at, arrived_at, resolved_at, outcome";

/// Finds the alerts about an elder whose dossier is asked for, the newest first.
pub(crate) fn of_asked() -> Finding {
    Finding {
        select: format!("SELECT {COLUMNS} FROM {NAME}.alert WHERE elder_id = asked.elder"),
        order: "raised_at DESC, alert_id DESC",
    }
}

/// Alerts by their ids; one that is not there is missing.
///
/// # Errors
/// The database's; a row of another version of the program.
pub(crate) async fn by_key(
    db: impl PgExecutor<'_>,
    alerts: &[Uuid],
) -> Result<Vec<AlertRow>, sqlx::Error> {
    many(db, "alert_id = ANY($1)", alerts.to_vec()).await
}

/// All alerts about some elders, the oldest first.
///
/// # Errors
/// The database's; a row of another version of the program.
pub(crate) async fn of_all(
    db: impl PgExecutor<'_>,
    elders: &[ElderId],
) -> Result<Vec<AlertRow>, sqlx::Error> {
    let ids = elders.iter().map(ElderId::as_uuid).collect();
    many(db, "elder_id = ANY($1) ORDER BY raised_at, alert_id", ids).await
}

async fn many(
    db: impl PgExecutor<'_>,
    which: &str,
    ids: Vec<Uuid>,
) -> Result<Vec<AlertRow>, sqlx::Error> {
    let statement = format!("SELECT {COLUMNS} FROM {NAME}.alert WHERE {which}");
    let rows = sqlx::query(AssertSqlSafe(statement))
        .bind(ids)
        .fetch_all(db)
        .await?;
    rows.iter().map(AlertRow::of).collect()
}

/// Whom alerts are about; one that is not there is missing.
///
/// # Errors
/// The database's.
pub(crate) async fn whose(
    db: impl PgExecutor<'_>,
    alerts: Vec<Uuid>,
) -> Result<Vec<(Uuid, ElderId)>, sqlx::Error> {
    let statement = format!("SELECT alert_id, elder_id FROM {NAME}.alert WHERE alert_id = ANY($1)");
    let rows = sqlx::query(AssertSqlSafe(statement))
        .bind(alerts)
        .fetch_all(db)
        .await?;
    rows.iter()
        .map(|row| Ok((row.try_get(0)?, ElderId(row.try_get(1)?))))
        .collect()
}

impl AlertRow {
    pub(crate) fn of(row: &PgRow) -> Result<Self, sqlx::Error> {
        let outcome: Option<i32> = row.try_get(12)?;
        Ok(Self {
            alert: row.try_get(0)?,
            elder: ElderId(row.try_get(1)?),
            village: row.try_get(2)?,
            kind: word(row.try_get(3)?)?,
            severity: word(row.try_get(4)?)?,
            raised_at: row.try_get(5)?,
            level: row.try_get(6)?,
            state: word(row.try_get(7)?)?,
            acknowledged_at: row.try_get(8)?,
            dispatched_at: row.try_get(9)?,
            arrived_at: row.try_get(10)?,
            resolved_at: row.try_get(11)?,
            outcome: outcome.map(word).transpose()?,
        })
    }

    /// The document of an alert.
    pub(crate) fn document(&self) -> Document {
        let village = (!self.village.is_empty()).then_some(self.village.as_str());
        Document::new(ProductName::Alert, self.alert, self.elder)
            .with("alert_id", self.alert.to_string())
            .with("elder_id", self.elder.to_string())
            .with_known("division_code", village)
            .with("kind", self.kind.name())
            .with("severity", self.severity.name())
            .with("raised_at", instant(self.raised_at))
            .with_known("level", self.level)
            .with("state", self.state.name())
            .with_known("acknowledged_at", self.acknowledged_at.map(instant))
            .with_known("dispatched_at", self.dispatched_at.map(instant))
            .with_known("arrived_at", self.arrived_at.map(instant))
            .with_known("resolved_at", self.resolved_at.map(instant))
            .with_known("outcome", self.outcome.map(AlertOutcome::name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_holds_what_is_known() {
        let row = AlertRow {
            alert: Uuid::from_u128(7),
            elder: ElderId(Uuid::from_u128(1)),
            village: String::new(),
            kind: AlertKind::Sos,
            severity: Severity::Critical,
            raised_at: "2024-10-01T01:00:00Z".parse().unwrap(),
            level: Some(1),
            state: HelpStage::Open,
            acknowledged_at: None,
            dispatched_at: None,
            arrived_at: None,
            resolved_at: None,
            outcome: None,
        };
        let fields = row.document().fields;
        assert_eq!(fields["raised_at"], "2024-10-01T09:00:00+08:00");
        assert_eq!(fields["state"], "OPEN");
        assert!(!fields.contains_key("division_code") && !fields.contains_key("outcome"));
    }
}
