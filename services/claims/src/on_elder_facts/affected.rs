//! Which approved orders a record may stand against: those of an elder whose facts have moved, those that lie after the end of
//! an enrolment, a contract or a listing, those that were approved or kept just now, and those of which something could not be
//! said before.

use std::collections::HashMap;

use chrono::NaiveDate;
use civic::{ElderId, OrderCode, OrderState, Set};
use elder_tables::columns::{day, place, set};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection, Row as _};
use uuid::Uuid;

use super::ends_kept::Kept;
use super::told::{Cause, What};
use crate::adjudication::Served;
use crate::book_table;
use crate::facts_table;

/// An approved order that is looked at again.
#[derive(Clone, Debug)]
pub(super) struct Affected {
    pub(super) key: Uuid,
    /// Where it was handed in.
    pub(super) sequence: u64,
    pub(super) served: Served,
    pub(super) village: String,
    /// What it was approved in spite of, on appeal.
    pub(super) codes: Set<OrderCode>,
    /// The last record about the elder that was known when it was handed in.
    pub(super) registry_sequence: u64,
    /// Whether the elder's facts have moved since.
    pub(super) moved: bool,
    pub(super) cause: Cause,
}

/// How many orders that are still to be looked at have their turn at once.
pub(super) const PAGE: usize = 50;

/// The approved orders of elders whose facts have moved since they were handed in, by the last record about each.
pub(super) async fn of_elders(
    db: &mut PgConnection,
    causes: &HashMap<Uuid, Cause>,
) -> Result<Vec<Affected>, sqlx::Error> {
    let elders: Vec<Uuid> = causes.keys().copied().collect();
    let statement = statement(&format!("o.elder_id = ANY($1) AND {MOVED}"));
    let query = sqlx::query(AssertSqlSafe(statement)).bind(elders);
    each(&query.fetch_all(db).await?, 3, causes)
}

/// Of orders that were approved or kept just now, those against which something may stand that was not known when they were handed
/// in: facts that have moved, or what has ended up to a sequence.
pub(super) async fn of_approvals(
    db: &mut PgConnection,
    causes: &HashMap<Uuid, Cause>,
    ended: u64,
) -> Result<Vec<Affected>, sqlx::Error> {
    let orders: Vec<Uuid> = causes.keys().copied().collect();
    let statement = statement(&format!(
        "o.order_key = ANY($1) AND (o.sequence < $2 OR {MOVED})"
    ));
    let query = sqlx::query(AssertSqlSafe(statement))
        .bind(orders)
        .bind(ended.cast_signed());
    each(&query.fetch_all(db).await?, 0, causes)
}

/// Of orders against which something could not be said, those that are still approved.
pub(super) async fn of_unsaid(
    db: &mut PgConnection,
    causes: &HashMap<Uuid, Cause>,
) -> Result<Vec<Affected>, sqlx::Error> {
    let orders: Vec<Uuid> = causes.keys().copied().collect();
    let statement = statement("o.order_key = ANY($1)");
    let query = sqlx::query(AssertSqlSafe(statement)).bind(orders);
    each(&query.fetch_all(db).await?, 0, causes)
}

/// The next approved orders of the days after something has ended, of those that were judged without knowing of it; a page at
/// the most.
pub(super) async fn after(
    db: &mut PgConnection,
    kept: &Kept,
) -> Result<Vec<Affected>, sqlx::Error> {
    let ended = &kept.ended;
    let of_them = match &ended.what {
        What::Enrolment(_) => "o.elder_id = $5 AND o.programme = $6".to_owned(),
        // All approvals of a small provider are found among those of many others by these alone.
        What::Contract { .. } => format!(
            "o.provider_id = $5 AND EXISTS (SELECT 1 FROM {book}.approval a \
             WHERE a.programme = ANY(ARRAY(SELECT programme FROM {book}.contract WHERE contract_id = $6)) \
             AND a.provider_id = o.provider_id AND a.programme = o.programme AND a.approved_at = o.approved_at \
             AND a.order_key = o.order_key)",
            book = book_table::NAME
        ),
        What::Listing(_) => "o.caregiver_id = $5".to_owned(),
    };
    let statement = statement(&format!(
        "o.sequence > $1 AND o.sequence < $2 AND o.day > $3 AND {of_them}"
    ));
    let query = sqlx::query(AssertSqlSafe(format!("{statement} LIMIT $4")))
        .bind(kept.looked_at.cast_signed())
        .bind(ended.cause.position.sequence.cast_signed())
        .bind(ended.last.date())
        .bind(i64::try_from(PAGE).unwrap_or(i64::MAX));
    let query = match &ended.what {
        What::Enrolment(whose) => query.bind(whose.elder.as_uuid()).bind(&whose.programme),
        What::Contract { provider, contract } => query.bind(provider).bind(contract),
        What::Listing(caregiver) => query.bind(caregiver),
    };
    let rows = query.fetch_all(db).await?;
    let orders = rows.iter().map(|row| affected(row, &ended.cause));
    orders.collect()
}

/// Up to which order all are looked at with a page; none: there are no more.
pub(super) fn looked_at(page: &[Affected]) -> Option<u64> {
    let last = page.last().filter(|_| page.len() >= PAGE);
    last.map(|order| order.sequence)
}

/// Whether facts about the elder were recorded since, of somebody who is not erased.
const MOVED: &str = "coalesce(e.sequence > o.registry_sequence AND e.facts IS NOT NULL, false)";

fn statement(condition: &str) -> String {
    let (book, facts) = (book_table::NAME, facts_table::NAME);
    let approved = place(OrderState::Approved);
    format!(
        "SELECT o.order_key, o.programme, o.provider_id, o.elder_id, o.caregiver_id, o.day, o.village, o.codes, \
             o.registry_sequence, {MOVED}, o.sequence \
         FROM {book}.service_order o LEFT JOIN {facts}.elder e ON e.elder_id = o.elder_id \
         WHERE o.state = {approved} AND o.approved_at IS NOT NULL AND {condition} ORDER BY o.sequence"
    )
}

/// Orders, each with the cause that stands under the id in a column.
fn each(
    rows: &[PgRow],
    column: usize,
    causes: &HashMap<Uuid, Cause>,
) -> Result<Vec<Affected>, sqlx::Error> {
    let affected = rows.iter().map(|row| {
        let cause = causes.get(&row.try_get::<Uuid, _>(column)?);
        cause.map(|cause| affected(row, cause)).transpose()
    });
    affected.filter_map(Result::transpose).collect()
}

fn affected(row: &PgRow, cause: &Cause) -> Result<Affected, sqlx::Error> {
    Ok(Affected {
        key: row.try_get(0)?,
        served: Served {
            programme: row.try_get(1)?,
            provider: row.try_get(2)?,
            elder: ElderId(row.try_get(3)?),
            caregiver: row.try_get(4)?,
            day: day(row.try_get::<NaiveDate, _>(5)?)?,
        },
        village: row.try_get(6)?,
        codes: set(row.try_get(7)?),
        registry_sequence: row.try_get::<i64, _>(8)?.cast_unsigned(),
        moved: row.try_get(9)?,
        sequence: row.try_get::<i64, _>(10)?.cast_unsigned(),
        cause: cause.clone(),
    })
}
