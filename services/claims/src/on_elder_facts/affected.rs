//! Which approved orders a record may stand against: those of an elder whose facts have moved, those that lie after the end of
//! an enrolment, a contract or a listing, and those that were approved just now.

use std::collections::HashMap;

use chrono::NaiveDate;
use civic::{ElderId, LocalDay, OrderCode, OrderState, Set};
use elder_tables::columns::{day, place, set};
use eventlog::{Aggregate as _, Position, RawEvent, Record};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection, Row as _};
use uuid::Uuid;

use crate::adjudication::{self, Runs, Served};
use crate::book_table;
use crate::caregiver::{self, Caregiver};
use crate::enrolment::{self, Enrolments, Whose};
use crate::facts_table;
use crate::provider::{self, Provider};

/// The record that has an order looked at again.
#[derive(Clone, Debug)]
pub(super) struct Cause {
    pub(super) position: Position,
    pub(super) id: Uuid,
}

/// An approved order that is looked at again.
#[derive(Clone, Debug)]
pub(super) struct Affected {
    pub(super) key: Uuid,
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

/// Something in our registers that ends, and after which day.
#[derive(Clone, Debug)]
pub(super) enum End {
    Enrolment(Whose, LocalDay),
    Contract {
        provider: String,
        contract: Uuid,
        last: LocalDay,
    },
    Listing(Uuid, LocalDay),
}

/// What records of our own log mean for approved orders.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Orders that were approved, each by which run.
    pub(super) approved: HashMap<Uuid, Cause>,
    /// What has ended.
    pub(super) ends: Vec<(End, Cause)>,
}

impl Cause {
    pub(super) fn of(stream: &str, record: &Record) -> Self {
        Self {
            position: Position::new(stream, record.sequence),
            id: record.metadata.id,
        }
    }
}

impl Told {
    /// Takes a record in. What can't be read means nothing: the read model parks it.
    pub(super) fn read(&mut self, stream: &str, record: &Record) {
        let cause = || Cause::of(stream, record);
        for raw in &record.events {
            if record.subject.aggregate() == Runs::NAME {
                let approved = Runs::decode(raw).ok().and_then(|said| approved(&said));
                self.approved.extend(approved.map(|order| (order, cause())));
            } else {
                self.ends.extend(end(record, raw).map(|end| (end, cause())));
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.approved.is_empty() && self.ends.is_empty()
    }
}

fn approved(verdict: &adjudication::Event) -> Option<Uuid> {
    match verdict {
        adjudication::Event::Approved { order, .. } => Some(*order),
        adjudication::Event::Held { .. }
        | adjudication::Event::Consumed { .. }
        | adjudication::Event::Released { .. }
        | adjudication::Event::PremiumsBooked { .. }
        | adjudication::Event::NotSettled { .. } => None,
    }
}

fn end(record: &Record, raw: &RawEvent) -> Option<End> {
    let aggregate = record.subject.aggregate();
    if aggregate == Enrolments::NAME {
        match Enrolments::decode(raw).ok()? {
            enrolment::Event::Ended { whose, last, .. } => Some(End::Enrolment(whose, last)),
            enrolment::Event::Enrolled { .. } | enrolment::Event::Charged { .. } => None,
        }
    } else if aggregate == Provider::NAME {
        match Provider::decode(raw).ok()? {
            provider::Event::Ended {
                provider,
                contract,
                last,
            } => Some(End::Contract {
                provider,
                contract,
                last,
            }),
            provider::Event::Contracted(_) => None,
        }
    } else if aggregate == Caregiver::NAME {
        let caregiver = record.subject.id().parse().ok()?;
        match Caregiver::decode(raw).ok()? {
            caregiver::Event::Retired(last) => Some(End::Listing(caregiver, last)),
            caregiver::Event::Registered(_) => None,
        }
    } else {
        None
    }
}

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

/// Of orders that were approved just now, those against which something may stand that was not known when they were handed
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

/// The approved orders of days after something has ended.
pub(super) async fn after(
    db: &mut PgConnection,
    end: &End,
    cause: &Cause,
) -> Result<Vec<Affected>, sqlx::Error> {
    let rows = match end {
        End::Enrolment(whose, last) => {
            let statement = statement("o.elder_id = $1 AND o.programme = $2 AND o.day > $3");
            let query = sqlx::query(AssertSqlSafe(statement))
                .bind(whose.elder.as_uuid())
                .bind(&whose.programme)
                .bind(last.date());
            query.fetch_all(db).await?
        }
        End::Contract {
            provider,
            contract,
            last,
        } => {
            let book = book_table::NAME;
            let statement = statement(&format!(
                "o.provider_id = $1 AND o.day > $2 \
                 AND o.programme IN (SELECT programme FROM {book}.contract WHERE contract_id = $3)"
            ));
            let query = sqlx::query(AssertSqlSafe(statement))
                .bind(provider)
                .bind(last.date())
                .bind(contract);
            query.fetch_all(db).await?
        }
        End::Listing(caregiver, last) => {
            let statement = statement("o.caregiver_id = $1 AND o.day > $2");
            let query = sqlx::query(AssertSqlSafe(statement))
                .bind(caregiver)
                .bind(last.date());
            query.fetch_all(db).await?
        }
    };
    rows.iter().map(|row| affected(row, cause)).collect()
}

/// Whether facts about the elder were recorded since, of somebody who is not erased.
const MOVED: &str = "coalesce(e.sequence > o.registry_sequence AND e.facts IS NOT NULL, false)";

fn statement(condition: &str) -> String {
    let (book, facts) = (book_table::NAME, facts_table::NAME);
    let approved = place(OrderState::Approved);
    format!(
        "SELECT o.order_key, o.programme, o.provider_id, o.elder_id, o.caregiver_id, o.day, o.village, o.codes, \
             o.registry_sequence, {MOVED} \
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
        cause: cause.clone(),
    })
}
