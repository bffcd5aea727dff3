//! What came before a chunk of the log, as the read model has it. The read model may lie further on by now: each question says
//! up to which sequence.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use civic::{ElderId, Fen};
use elder_tables::columns::day;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection, Row as _};
use uuid::Uuid;

use super::Item;
use crate::adjudication::{Appealed, Earlier, Entry, Year};
use crate::book_table::NAME;
use crate::enrolment::Event as EnrolmentEvent;
use crate::provider::Event as ProviderEvent;
use crate::registered::{self, Whom};

/// What a chunk asks about.
#[derive(Default)]
struct Asked {
    hashes: Vec<Vec<u8>>,
    whom: Whom,
    starts: Vec<DateTime<Utc>>,
    ends: Vec<DateTime<Utc>>,
    /// Of each start and end.
    served: Vec<Uuid>,
    serving: Vec<Uuid>,
}

/// What the orders of a chunk are judged against, as it was at a sequence; but for what is used of years.
pub(super) async fn of(
    db: &mut PgConnection,
    items: &[Item],
    before: u64,
) -> Result<Earlier, sqlx::Error> {
    let mut asked = Asked::default();
    for item in items {
        match item {
            Item::Submitted(submitted) => {
                let hashes = submitted.evidence.iter().map(|file| file.hash.clone());
                asked.hashes.extend(hashes);
                asked.whom.elders.push(submitted.elder.as_uuid());
                asked.whom.caregivers.push(submitted.caregiver);
                asked.whom.providers.push(submitted.provider.clone());
                asked.starts.push(submitted.check_in_at);
                asked.ends.push(submitted.check_out_at);
                asked.served.push(submitted.elder.as_uuid());
                asked.serving.push(submitted.caregiver);
            }
            Item::Enrolment(EnrolmentEvent::Ended { whose, .. }) => {
                asked.whom.elders.push(whose.elder.as_uuid());
            }
            Item::Provider(ProviderEvent::Ended { provider, .. }) => {
                asked.whom.providers.push(provider.clone());
            }
            Item::Caregiver(caregiver, _) => asked.whom.caregivers.push(*caregiver),
            Item::Enrolment(EnrolmentEvent::Enrolled { .. } | EnrolmentEvent::Charged { .. })
            | Item::Provider(ProviderEvent::Contracted(_))
            | Item::Accepted(_)
            | Item::Withdrawn(_) => {}
        }
    }
    asked.whom = asked.whom.each_once();
    let before = before.cast_signed();
    Ok(Earlier {
        evidence: evidence(db, &asked, before).await?,
        by_caregiver: by(db, &asked, before, Whose::Caregiver).await?,
        by_elder: {
            let entries = by(db, &asked, before, Whose::Elder).await?;
            let entries = entries.into_iter();
            entries.map(|(elder, all)| (ElderId(elder), all)).collect()
        },
        registers: registered::registers(db, &asked.whom, before).await?,
        used: HashMap::new(),
    })
}

/// The orders whose appeals a chunk accepts, and those whose approval it withdraws.
pub(super) async fn appealed(
    db: &mut PgConnection,
    items: &[Item],
) -> Result<HashMap<Uuid, Appealed>, sqlx::Error> {
    let accepted = items.iter().filter_map(|item| match item {
        Item::Accepted(key) | Item::Withdrawn(key) => Some(*key),
        Item::Submitted(_) | Item::Enrolment(_) | Item::Provider(_) | Item::Caregiver(..) => None,
    });
    let keys: Vec<Uuid> = accepted.collect();
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let statement = format!(
        "SELECT order_key, programme, elder_id, day, provider_id, units, units_a_year, amount FROM {NAME}.service_order \
         WHERE order_key = ANY($1)"
    );
    let rows = sqlx::query(AssertSqlSafe(statement))
        .bind(keys)
        .fetch_all(db)
        .await?;
    let appealed = |row: &PgRow| {
        let service_day = day(row.try_get(3)?)?;
        let order = row.try_get(0)?;
        let year = Year {
            programme: row.try_get(1)?,
            elder: ElderId(row.try_get(2)?),
            year: service_day.year(),
        };
        let appealed = Appealed {
            order,
            year,
            provider: row.try_get(4)?,
            day: service_day,
            units: row.try_get(5)?,
            quota: row.try_get(6)?,
            amount: Fen(row.try_get(7)?),
        };
        Ok((order, appealed))
    };
    rows.iter().map(appealed).collect()
}

async fn evidence(
    db: &mut PgConnection,
    asked: &Asked,
    before: i64,
) -> Result<HashMap<Vec<u8>, Uuid>, sqlx::Error> {
    if asked.hashes.is_empty() {
        return Ok(HashMap::new());
    }
    let statement = format!(
        "SELECT hash, order_key FROM {NAME}.evidence WHERE hash = ANY($1) AND sequence <= $2"
    );
    let rows = sqlx::query(AssertSqlSafe(statement))
        .bind(&asked.hashes)
        .bind(before)
        .fetch_all(db)
        .await?;
    rows.iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
        .collect()
}

/// Whose earlier orders are asked for.
#[derive(Clone, Copy)]
enum Whose {
    Caregiver,
    Elder,
}

/// The earlier orders that overlap one of the chunk in time.
async fn by(
    db: &mut PgConnection,
    asked: &Asked,
    before: i64,
    whose: Whose,
) -> Result<HashMap<Uuid, Vec<Entry>>, sqlx::Error> {
    let (column, ids) = match whose {
        Whose::Caregiver => ("caregiver_id", &asked.serving),
        Whose::Elder => ("elder_id", &asked.served),
    };
    let mut entries: HashMap<Uuid, Vec<Entry>> = HashMap::new();
    if ids.is_empty() {
        return Ok(entries);
    }
    // No service is longer than a day.
    let statement = format!(
        "SELECT DISTINCT earlier.{column}, earlier.order_key, earlier.elder_id, earlier.caregiver_id, earlier.start_at, \
             earlier.end_at, earlier.sequence \
         FROM unnest($1::uuid[], $2::timestamptz[], $3::timestamptz[]) AS asked (id, start_at, end_at) \
         JOIN {NAME}.service_order AS earlier ON earlier.{column} = asked.id \
             AND earlier.start_at < asked.end_at AND earlier.start_at > asked.start_at - interval '1 day' \
             AND earlier.end_at > asked.start_at \
         WHERE earlier.sequence <= $4 ORDER BY earlier.sequence"
    );
    let rows = sqlx::query(AssertSqlSafe(statement))
        .bind(ids)
        .bind(&asked.starts)
        .bind(&asked.ends)
        .bind(before)
        .fetch_all(db)
        .await?;
    for row in rows {
        let entry = Entry {
            order: row.try_get(1)?,
            elder: ElderId(row.try_get(2)?),
            caregiver: row.try_get(3)?,
            start: row.try_get(4)?,
            end: row.try_get(5)?,
        };
        entries.entry(row.try_get(0)?).or_default().push(entry);
    }
    Ok(entries)
}

/// What is used of the years of the elders of a chunk: all runs are ours, and the read model has all of them.
pub(super) async fn used(
    db: &mut PgConnection,
    items: &[Item],
    appealed: &HashMap<Uuid, Appealed>,
) -> Result<HashMap<Year, i64>, sqlx::Error> {
    let mut elders: Vec<Uuid> = items
        .iter()
        .filter_map(|item| match item {
            Item::Submitted(submitted) => Some(submitted.elder.as_uuid()),
            Item::Accepted(_)
            | Item::Withdrawn(_)
            | Item::Enrolment(_)
            | Item::Provider(_)
            | Item::Caregiver(..) => None,
        })
        .chain(appealed.values().map(|order| order.year.elder.as_uuid()))
        .collect();
    if elders.is_empty() {
        return Ok(HashMap::new());
    }
    elders.sort_unstable();
    elders.dedup();
    let statement = format!(
        "SELECT programme, elder_id, year, units FROM {NAME}.used WHERE elder_id = ANY($1)"
    );
    let rows = sqlx::query(AssertSqlSafe(statement))
        .bind(elders)
        .fetch_all(db)
        .await?;
    let used = |row: &PgRow| {
        let year = Year {
            programme: row.try_get(0)?,
            elder: ElderId(row.try_get(1)?),
            year: row.try_get(2)?,
        };
        Ok((year, row.try_get(3)?))
    };
    rows.iter().map(used).collect()
}
