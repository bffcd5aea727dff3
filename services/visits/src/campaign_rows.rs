//! The rows of campaigns.

use chrono::NaiveDate;
use civic::{CampaignKind, DivisionCode, LocalDay};
use readmodel::ApplyError;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection, PgExecutor, Row as _};
use uuid::Uuid;

use crate::book_table::{self, place, word};
use crate::campaign::{Announced, Event, Selection};
use crate::visits::day;

/// A campaign as its row keeps it.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    /// What it is, with the last day that holds now.
    pub(crate) announced: Announced,
    /// Whether every duty of it is decided.
    pub(crate) closed: bool,
    /// How many were owed when it closed.
    pub(crate) duties: i64,
    /// Of these, missed.
    pub(crate) missed: i64,
}

/// Writes what happened to a campaign.
pub(crate) async fn write(db: &mut PgConnection, event: &Event) -> Result<(), ApplyError> {
    match event {
        Event::Started(announced) => {
            sqlx::query(
                "INSERT INTO campaign (campaign_id, division, kind, name, first_day, last_day, tiers, condition, closed, \
                     duties, missed) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, false, 0, 0)",
            )
            .bind(announced.campaign)
            .bind(announced.division.as_str())
            .bind(place(announced.kind))
            .bind(&announced.name)
            .bind(announced.first.date())
            .bind(announced.last.date())
            .bind(&announced.selection.tiers)
            .bind(&announced.selection.condition)
            .execute(db)
            .await?;
        }
        Event::Ended { campaign, last } => {
            sqlx::query("UPDATE campaign SET last_day = $2 WHERE campaign_id = $1")
                .bind(campaign)
                .bind(last.date())
                .execute(db)
                .await?;
        }
        Event::Closed {
            campaign,
            duties,
            missed,
        } => {
            sqlx::query(
                "UPDATE campaign SET closed = true, duties = $2, missed = $3 WHERE campaign_id = $1",
            )
            .bind(campaign)
            .bind(duties.cast_signed())
            .bind(missed.cast_signed())
            .execute(db)
            .await?;
        }
    }
    Ok(())
}

/// The columns of a row.
const COLUMNS: &str = "campaign_id, division, kind, name, first_day, last_day, tiers, condition, closed, duties, missed";

/// One campaign.
///
/// # Errors
/// The database's.
pub(crate) async fn of(
    db: impl PgExecutor<'_>,
    campaign: Uuid,
) -> Result<Option<Kept>, sqlx::Error> {
    let statement = format!(
        "SELECT {COLUMNS} FROM {}.campaign WHERE campaign_id = $1",
        book_table::NAME
    );
    let row = sqlx::query(AssertSqlSafe(statement))
        .bind(campaign)
        .fetch_optional(db)
        .await?;
    row.as_ref().map(kept).transpose()
}

/// The campaigns that are not closed yet, in the order in which they end.
///
/// # Errors
/// The database's.
pub(crate) async fn open(db: impl PgExecutor<'_>) -> Result<Vec<Kept>, sqlx::Error> {
    let statement = format!(
        "SELECT {COLUMNS} FROM {}.campaign WHERE NOT closed ORDER BY last_day, campaign_id",
        book_table::NAME
    );
    let rows = sqlx::query(AssertSqlSafe(statement)).fetch_all(db).await?;
    rows.iter().map(kept).collect()
}

/// The campaigns with a day between two days, both included.
///
/// # Errors
/// The database's.
pub(crate) async fn between(
    db: impl PgExecutor<'_>,
    first: LocalDay,
    last: LocalDay,
) -> Result<Vec<Kept>, sqlx::Error> {
    let statement = format!(
        "SELECT {COLUMNS} FROM {}.campaign WHERE first_day <= $2 AND last_day >= $1 AND first_day <= last_day \
         ORDER BY last_day, campaign_id",
        book_table::NAME
    );
    let rows = sqlx::query(AssertSqlSafe(statement))
        .bind(first.date())
        .bind(last.date())
        .fetch_all(db)
        .await?;
    rows.iter().map(kept).collect()
}

/// A page of a division's campaigns and of those below it, the latest first.
///
/// # Errors
/// The database's.
pub(crate) async fn page(
    db: impl PgExecutor<'_>,
    division: &DivisionCode,
    closed_too: bool,
    after: Option<(LocalDay, Uuid)>,
    most: i64,
) -> Result<Vec<Kept>, sqlx::Error> {
    let statement = format!(
        "SELECT {COLUMNS} FROM {}.campaign WHERE division >= $1 AND division < $2 AND ($3 OR NOT closed) \
         AND ($4::date IS NULL OR (first_day, campaign_id) < ($4, $5)) ORDER BY first_day DESC, campaign_id DESC LIMIT $6",
        book_table::NAME
    );
    let rows = sqlx::query(AssertSqlSafe(statement))
        .bind(division.as_str())
        .bind(division.beyond())
        .bind(closed_too)
        .bind(after.map(|(day, _)| day.date()))
        .bind(after.map(|(_, id)| id))
        .bind(most)
        .fetch_all(db)
        .await?;
    rows.iter().map(kept).collect()
}

fn kept(row: &PgRow) -> Result<Kept, sqlx::Error> {
    let date = |column: usize| row.try_get::<NaiveDate, _>(column).and_then(day);
    let division = row.try_get::<&str, _>(1)?.parse();
    Ok(Kept {
        announced: Announced {
            campaign: row.try_get(0)?,
            division: division
                .map_err(|_code| sqlx::Error::Decode("column division holds no code".into()))?,
            kind: word::<CampaignKind>(row.try_get(2)?)?,
            name: row.try_get(3)?,
            first: date(4)?,
            last: date(5)?,
            selection: Selection {
                tiers: row.try_get(6)?,
                condition: row.try_get(7)?,
            },
        },
        closed: row.try_get(8)?,
        duties: row.try_get(9)?,
        missed: row.try_get(10)?,
    })
}
