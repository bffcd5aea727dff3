//! The rows of the ledger (`visits_kept.entry`, `photo`, `verdict`): what was recorded, and what was doubted by it.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use civic::{Doubt, ElderId, LocalDay, Set, VisitResult};
use sqlx::{PgConnection, PgExecutor, Row as _};
use uuid::Uuid;

use super::Item;
use crate::book_table::{bits, set};

/// The photos of the chunk that stand on earlier records.
pub(super) async fn photos(
    db: &mut PgConnection,
    items: &[Item<'_>],
) -> Result<HashSet<[u8; 32]>, sqlx::Error> {
    let photos = items.iter().flat_map(|item| &item.recorded.photos);
    let photos: Vec<&[u8]> = photos.map(|photo| photo.as_slice()).collect();
    if photos.is_empty() {
        return Ok(HashSet::new());
    }
    let rows = sqlx::query("SELECT digest FROM visits_kept.photo WHERE digest = ANY($1)")
        .bind(&photos)
        .fetch_all(db)
        .await?;
    let digest = |row: &sqlx::postgres::PgRow| {
        let digest: &[u8] = row.try_get(0)?;
        digest
            .try_into()
            .map_err(|_length| sqlx::Error::Decode("column digest holds no digest".into()))
    };
    rows.iter().map(digest).collect()
}

/// Whose a record is, on which day, and whether the elder was met.
pub(super) async fn entry(
    db: &mut PgConnection,
    record: Uuid,
) -> Result<Option<(ElderId, LocalDay, bool)>, sqlx::Error> {
    let row =
        sqlx::query("SELECT elder_id, start_at, met FROM visits_kept.entry WHERE record_id = $1")
            .bind(record)
            .fetch_optional(db)
            .await?;
    row.map(|row| {
        let start: DateTime<Utc> = row.try_get(1)?;
        Ok((
            ElderId(row.try_get(0)?),
            LocalDay::of(start),
            row.try_get(2)?,
        ))
    })
    .transpose()
}

/// Enters records into the ledger's tables.
pub(super) async fn enter(db: &mut PgConnection, items: &[Item<'_>]) -> Result<(), sqlx::Error> {
    let id = |of: fn(&Item<'_>) -> Uuid| items.iter().map(of).collect::<Vec<_>>();
    let starts: Vec<DateTime<Utc>> = items.iter().map(|item| item.entry.start).collect();
    let ends: Vec<DateTime<Utc>> = items.iter().map(|item| item.entry.end).collect();
    let met = items
        .iter()
        .map(|item| item.recorded.result == VisitResult::Met);
    let met: Vec<bool> = met.collect();
    let sealed = items.iter().map(|item| {
        let check_in = item.recorded.check_in.as_ref();
        check_in.map(|sealed| sealed.as_bytes().to_vec())
    });
    let sealed: Vec<Option<Vec<u8>>> = sealed.collect();
    sqlx::query(
        "INSERT INTO visits_kept.entry (record_id, visitor_id, elder_id, start_at, end_at, met, check_in) \
         SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::timestamptz[], $5::timestamptz[], $6::boolean[], $7::bytea[]) \
         ON CONFLICT (record_id) DO NOTHING",
    )
    .bind(id(|item| item.recorded.record))
    .bind(id(|item| item.recorded.visitor))
    .bind(id(|item| item.recorded.elder.as_uuid()))
    .bind(&starts)
    .bind(&ends)
    .bind(&met)
    .bind(&sealed)
    .execute(&mut *db)
    .await?;
    let photos = items.iter().flat_map(|item| &item.recorded.photos);
    let photos: Vec<&[u8]> = photos.map(|photo| photo.as_slice()).collect();
    if !photos.is_empty() {
        sqlx::query(
            "INSERT INTO visits_kept.photo (digest) SELECT * FROM unnest($1::bytea[]) ON CONFLICT DO NOTHING",
        )
        .bind(&photos)
        .execute(db)
        .await?;
    }
    Ok(())
}

/// Enters the doubts that earlier records raised.
pub(super) async fn enter_verdicts(
    db: &mut PgConnection,
    doubtful: impl Iterator<Item = (Uuid, Set<Doubt>)>,
) -> Result<(), sqlx::Error> {
    let (records, doubts): (Vec<Uuid>, Vec<i32>) = doubtful
        .map(|(record, doubts)| (record, bits(doubts)))
        .unzip();
    if records.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO visits_kept.verdict (record_id, doubts) SELECT * FROM unnest($1::uuid[], $2::integer[]) \
         ON CONFLICT (record_id) DO NOTHING",
    )
    .bind(&records)
    .bind(&doubts)
    .execute(db)
    .await?;
    Ok(())
}

/// The doubts that earlier records raised about some records.
///
/// # Errors
/// The database's.
pub async fn verdicts(
    db: impl PgExecutor<'_>,
    records: &[Uuid],
) -> Result<HashMap<Uuid, Set<Doubt>>, sqlx::Error> {
    let rows =
        sqlx::query("SELECT record_id, doubts FROM visits_kept.verdict WHERE record_id = ANY($1)")
            .bind(records)
            .fetch_all(db)
            .await?;
    rows.iter()
        .map(|row| Ok((row.try_get(0)?, set(row.try_get(1)?))))
        .collect()
}
