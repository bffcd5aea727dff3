//! What holds today of each elder: village, the facts that policies ask about, and the next day on which time alone
//! changes them. So a day's birthdays are found by an index, and a draft policy is tried on groups of equal facts.

use chrono::NaiveDate;
use civic::{DivisionCode, ElderId, LocalDay, VillageCode};
use elders::Facts;
use sqlx::{PgConnection, Row as _};
use uuid::Uuid;

use crate::facts_key::FactsKey;
use crate::facts_table;

/// An elder's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Today {
    /// The elder.
    pub elder: ElderId,
    /// Where the elder lives.
    pub village: VillageCode,
    /// What policies may ask about; none when out of scope.
    pub key: Option<FactsKey>,
    /// The next day on which time alone may change it.
    pub next_change_on: Option<LocalDay>,
}

impl Today {
    /// What holds of an elder on a day.
    #[must_use]
    pub fn of(elder: ElderId, facts: &Facts, day: LocalDay) -> Self {
        let on_day = facts.on(day);
        Self {
            elder,
            village: *on_day.village(),
            key: FactsKey::of(&on_day),
            next_change_on: facts.next_change_after(day),
        }
    }
}

/// An elder whose facts are to be evaluated.
#[derive(Clone, Debug)]
pub struct Due {
    /// The elder.
    pub elder: ElderId,
    /// All that is known; none of an erased elder.
    pub facts: Option<Facts>,
    /// The day on which the file was opened.
    pub opened_on: LocalDay,
    /// The sequence in the registry of the last record about the elder.
    pub sequence: u64,
    /// The day on which it was written.
    pub recorded_on: LocalDay,
    /// That record's id.
    pub record: Uuid,
    /// What that record came of.
    pub correlation: Uuid,
    /// Its trace.
    pub traceparent: Option<String>,
}

/// A row of the facts that can't be read: of another version of the program, as a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// Whom it is about.
    pub elder: ElderId,
    /// The sequence in the registry of the last record about the elder.
    pub sequence: u64,
    /// The day on which it was written; the first of all where that can't be read either.
    pub recorded_on: LocalDay,
}

/// A row of the facts. One that can't be read shall not hold up the others.
pub type Row = Result<Due, Unreadable>;

/// The sequence of a row, be it that it can't be read.
#[must_use]
pub fn sequence_of(row: &Row) -> u64 {
    match row {
        Ok(due) => due.sequence,
        Err(unreadable) => unreadable.sequence,
    }
}

/// The day on which a row's last record was written.
#[must_use]
pub fn recorded_on(row: &Row) -> LocalDay {
    match row {
        Ok(due) => due.recorded_on,
        Err(unreadable) => unreadable.recorded_on,
    }
}

const DUE: &str = "f.elder_id, f.facts, f.sequence, f.record_id, f.correlation_id, f.traceparent, f.recorded_on, f.opened_on";

/// The elders about whom the registry recorded something after a sequence, in its order.
///
/// # Errors
/// The database's.
pub async fn recorded_after(
    db: &mut PgConnection,
    sequence: u64,
    most: i64,
) -> Result<Vec<Row>, sqlx::Error> {
    let facts = facts_table::NAME;
    let statement = format!(
        "SELECT {DUE} FROM {facts}.elder f WHERE f.sequence > $1 ORDER BY f.sequence LIMIT $2"
    );
    let rows = sqlx::query(sqlx::AssertSqlSafe(statement))
        .bind(sequence.cast_signed())
        .bind(most);
    rows.fetch_all(db).await?.iter().map(due).collect()
}

/// Elders whom time alone may change by a day.
///
/// # Errors
/// The database's.
pub async fn due_by(
    db: &mut PgConnection,
    day: LocalDay,
    most: i64,
) -> Result<Vec<Row>, sqlx::Error> {
    let facts = facts_table::NAME;
    let statement = format!(
        "SELECT {DUE} FROM tiering_today.elder e JOIN {facts}.elder f USING (elder_id) \
         WHERE e.next_change_on <= $1 ORDER BY e.next_change_on LIMIT $2"
    );
    let rows = sqlx::query(sqlx::AssertSqlSafe(statement))
        .bind(day.date())
        .bind(most);
    rows.fetch_all(db).await?.iter().map(due).collect()
}

/// Some elders, whatever is due.
///
/// # Errors
/// The database's.
pub async fn of_elders(db: &mut PgConnection, elders: &[ElderId]) -> Result<Vec<Row>, sqlx::Error> {
    let facts = facts_table::NAME;
    let statement = format!("SELECT {DUE} FROM {facts}.elder f WHERE f.elder_id = ANY($1)");
    let elders: Vec<Uuid> = elders.iter().map(ElderId::as_uuid).collect();
    let rows = sqlx::query(sqlx::AssertSqlSafe(statement)).bind(&elders);
    rows.fetch_all(db).await?.iter().map(due).collect()
}

/// Whoever can't be judged is not found by a day any more: elders are found again by the list of what is parked.
///
/// # Errors
/// The database's.
pub async fn not_due(db: &mut PgConnection, elders: &[ElderId]) -> Result<(), sqlx::Error> {
    let elders: Vec<Uuid> = elders.iter().map(ElderId::as_uuid).collect();
    sqlx::query("UPDATE tiering_today.elder SET next_change_on = NULL WHERE elder_id = ANY($1)")
        .bind(&elders)
        .execute(db)
        .await?;
    Ok(())
}

/// What a row holds is no error of the database's.
fn due(row: &sqlx::postgres::PgRow) -> Result<Row, sqlx::Error> {
    let facts = row.try_get::<Option<&[u8]>, _>(1)?;
    let day = |column: usize| {
        let day = row.try_get::<NaiveDate, _>(column)?;
        Ok::<_, sqlx::Error>(LocalDay::try_from(day).ok())
    };
    let (recorded_on, opened_on) = (day(6)?, day(7)?);
    let elder = ElderId(row.try_get(0)?);
    let sequence = row.try_get::<i64, _>(2)?.cast_unsigned();
    let facts = facts.map(facts_table::kept).transpose();
    let (Ok(facts), Some(recorded_on), Some(opened_on)) = (facts, recorded_on, opened_on) else {
        return Ok(Err(Unreadable {
            elder,
            sequence,
            recorded_on: recorded_on.unwrap_or(LocalDay::MIN),
        }));
    };
    Ok(Ok(Due {
        recorded_on,
        opened_on,
        elder,
        facts,
        sequence,
        record: row.try_get(3)?,
        correlation: row.try_get(4)?,
        traceparent: row.try_get(5)?,
    }))
}

/// Elders in scope of a division's subtree, after one, in the order of their ids.
///
/// # Errors
/// The database's.
pub async fn in_scope(
    db: &mut PgConnection,
    division: &DivisionCode,
    after: Option<ElderId>,
    most: i64,
) -> Result<Vec<Today>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT elder_id, village, facts_key FROM tiering_today.elder \
         WHERE village >= $1 AND village < $2 AND facts_key IS NOT NULL AND ($3::uuid IS NULL OR elder_id > $3) \
         ORDER BY elder_id LIMIT $4",
    )
    .bind(division.as_str())
    .bind(division.beyond())
    .bind(after.map(|elder| elder.as_uuid()))
    .bind(most)
    .fetch_all(db)
    .await?;
    let rows = rows.iter().map(|row| {
        Ok(Today {
            elder: ElderId(row.try_get(0)?),
            village: village(row.try_get(1)?)?,
            key: row.try_get::<Option<i64>, _>(2)?.map(FactsKey::from_stored),
            next_change_on: None,
        })
    });
    rows.collect()
}

/// Writes what holds of these elders now.
///
/// # Errors
/// The database's.
pub async fn write(db: &mut PgConnection, rows: &[Today]) -> Result<(), sqlx::Error> {
    if rows.is_empty() {
        return Ok(());
    }
    let elders: Vec<Uuid> = rows.iter().map(|row| row.elder.as_uuid()).collect();
    let villages: Vec<String> = rows.iter().map(|row| row.village.to_string()).collect();
    let keys: Vec<Option<i64>> = rows
        .iter()
        .map(|row| row.key.map(FactsKey::stored))
        .collect();
    let days: Vec<Option<NaiveDate>> = rows
        .iter()
        .map(|row| row.next_change_on.map(LocalDay::date))
        .collect();
    sqlx::query(
        "INSERT INTO tiering_today.elder (elder_id, village, facts_key, next_change_on) \
         SELECT * FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::date[]) \
         ON CONFLICT (elder_id) DO UPDATE SET village = excluded.village, facts_key = excluded.facts_key, \
         next_change_on = excluded.next_change_on",
    )
    .bind(&elders)
    .bind(&villages)
    .bind(&keys)
    .bind(&days)
    .execute(db)
    .await?;
    Ok(())
}

/// Drops the rows of erased elders.
///
/// # Errors
/// The database's.
pub async fn drop_rows(db: &mut PgConnection, elders: &[ElderId]) -> Result<(), sqlx::Error> {
    if elders.is_empty() {
        return Ok(());
    }
    let elders: Vec<Uuid> = elders.iter().map(ElderId::as_uuid).collect();
    sqlx::query("DELETE FROM tiering_today.elder WHERE elder_id = ANY($1)")
        .bind(&elders)
        .execute(db)
        .await?;
    Ok(())
}

/// A village's code as a row keeps it.
///
/// # Errors
/// It is none, which is never written.
pub(crate) fn village(text: &str) -> Result<VillageCode, sqlx::Error> {
    text.parse()
        .map_err(|_code| sqlx::Error::Decode("column village holds no village".into()))
}
