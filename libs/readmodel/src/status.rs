//! How far each read model is behind its stream, and who brings it on.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use eventlog::EventLog;
use serde::Serialize;
use sqlx::postgres::PgRow;
use sqlx::{PgPool, Row};

use crate::checkpoint::{self, Lead, lead_key, rebuild_schema, verify_schema};
use crate::failure::Error;

/// The state of a projection, as its checkpoint says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProjectionStatus {
    /// The projection.
    pub projection: String,
    /// The stream that it folds.
    pub stream: String,
    /// The last sequence that it holds.
    pub position: u64,
    /// The last sequence of the stream, where the stream's log was given and answered.
    pub head: Option<u64>,
    /// The number of records that it doesn't hold yet.
    pub lag: Option<u64>,
    /// The number of events that it passed by.
    pub parked: u64,
    /// The version of its tables.
    pub version: u32,
    /// When it last moved.
    pub updated_at: DateTime<Utc>,
    /// Who brings it on; none while nobody does.
    pub runner: Option<ActiveRunner>,
}

/// The process that brings a projection on, or builds a version of it beside, as the database knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ActiveRunner {
    /// What it calls itself: the service.
    pub name: String,
    /// From where it came; none where it came by a socket of the database's own machine.
    pub address: Option<String>,
    /// Since when its connection is there: it may have stood by for a while before it led.
    pub connected_at: Option<DateTime<Utc>>,
}

/// The state of all projections of a database. A version that is being built beside shows as `<name>__rebuild`.
///
/// # Errors
/// The database's. A log that doesn't answer leaves `head` and `lag` empty.
pub async fn status(
    pool: &PgPool,
    logs: &[Arc<dyn EventLog>],
) -> Result<Vec<ProjectionStatus>, Error> {
    checkpoint::migrate(pool).await?;
    let mut heads = HashMap::new();
    for log in logs {
        if let Ok(head) = log.last_sequence().await {
            heads.insert(log.stream().to_owned(), head);
        }
    }
    standing(pool, &heads).await
}

/// The same of a database whose tables are there, beside the last sequences of streams that are known already: for who looks
/// again and again.
///
/// # Errors
/// The database's.
pub async fn standing(
    pool: &PgPool,
    heads: &HashMap<String, u64>,
) -> Result<Vec<ProjectionStatus>, Error> {
    let rows = sqlx::query(
        "SELECT projection, stream, sequence, version, updated_at, \
                (SELECT count(*) FROM readmodel.parked p WHERE p.projection = c.projection) \
         FROM readmodel.checkpoint c ORDER BY projection",
    )
    .fetch_all(pool)
    .await?;
    let projections: Result<Vec<ProjectionStatus>, Error> = rows
        .into_iter()
        .map(|row| {
            let stream: String = row.try_get(1)?;
            let position = row.try_get::<i64, _>(2)?.unsigned_abs();
            let head = heads.get(&stream).copied();
            Ok(ProjectionStatus {
                projection: row.try_get(0)?,
                stream,
                position,
                head,
                lag: head.map(|head| head.saturating_sub(position)),
                parked: row.try_get::<i64, _>(5)?.unsigned_abs(),
                version: row.try_get::<i32, _>(3)?.unsigned_abs(),
                updated_at: row.try_get(4)?,
                runner: None,
            })
        })
        .collect();
    let mut projections = projections?;
    let mut runners = runners(pool, &projections).await?;
    for one in &mut projections {
        one.runner = runners.remove(&one.projection);
    }
    Ok(projections)
}

/// Who holds the lead over each of them, by its name.
async fn runners(
    pool: &PgPool,
    projections: &[ProjectionStatus],
) -> Result<HashMap<String, ActiveRunner>, sqlx::Error> {
    let names: Vec<&str> = projections
        .iter()
        .map(|one| one.projection.as_str())
        .collect();
    let keys: Vec<String> = names.iter().map(|name| lead_of(name)).collect();
    // The server keeps a lock's key in two halves.
    let rows = sqlx::query(
        "SELECT asked.projection, a.application_name, host(a.client_addr), a.backend_start \
         FROM unnest($1::text[], $2::text[]) AS asked (projection, key) \
         JOIN pg_locks l ON l.locktype = 'advisory' AND l.objsubid = 1 AND l.granted \
              AND ((l.classid::bigint << 32) | l.objid::bigint) = hashtextextended(asked.key, 0) \
         JOIN pg_stat_activity a ON a.pid = l.pid AND a.datname = current_database()",
    )
    .bind(names)
    .bind(keys)
    .fetch_all(pool)
    .await?;
    let told = |row: PgRow| -> Result<(String, ActiveRunner), sqlx::Error> {
        let runner = ActiveRunner {
            name: row.try_get::<Option<String>, _>(1)?.unwrap_or_default(),
            address: row.try_get(2)?,
            connected_at: row.try_get(3)?,
        };
        Ok((row.try_get(0)?, runner))
    };
    rows.into_iter().map(told).collect()
}

/// The lead over what has this name, which may be a version that is built beside the live one.
fn lead_of(name: &str) -> String {
    [rebuild_schema(""), verify_schema("")]
        .iter()
        .find_map(|beside| name.strip_suffix(beside.as_str()))
        .map_or_else(
            || lead_key(name, Lead::Live),
            |projection| lead_key(projection, Lead::Aside),
        )
}

/// How far a projection has got, and how many events it passed by; none before its first start.
pub(crate) async fn of(pool: &PgPool, projection: &str) -> Result<Option<(u64, u64)>, sqlx::Error> {
    let row: Option<(i64, i64)> = sqlx::query_as(
        "SELECT sequence, (SELECT count(*) FROM readmodel.parked p WHERE p.projection = c.projection) \
         FROM readmodel.checkpoint c WHERE projection = $1",
    )
    .bind(projection)
    .fetch_optional(pool)
    .await?;
    Ok(row.map(|(sequence, parked)| (sequence.unsigned_abs(), parked.unsigned_abs())))
}
