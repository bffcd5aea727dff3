//! What a read model makes of a log: for comparing one way of filling its tables with another.

use std::{mem, sync::Arc, time::Duration};

use eventlog::{Aggregate, EventLog, Metadata, Position, Subject};
use readmodel::{Projection, Runner, parked};
use sqlx::{AssertSqlSafe, PgPool};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::write;

/// How long a log may take to be folded.
const PATIENCE: Duration = Duration::from_secs(120);

/// Has an aggregate decide, and writes what comes of it; nothing where it refuses or nothing changes.
///
/// # Panics
/// If the id can't stand in a subject, or the log fails.
pub async fn carry_out<A: Aggregate>(
    log: &dyn EventLog,
    (id, state): (&str, &mut A),
    metadata: Metadata,
    command: &A::Command,
) {
    let events = state.decide(command).unwrap_or_default();
    if events.is_empty() {
        return;
    }
    let subject = Subject::new(A::CONTEXT, A::NAME, id).expect("the id can stand in a subject");
    let raw = events.iter().map(A::encode).collect();
    write(log, subject, metadata, raw).await;
    *state = mem::take(state).evolve_all(&events);
}

/// All rows of all tables that a projection makes of a log in a database without it, each after the name of its table.
///
/// # Panics
/// If log or database fails, a record is parked, or the end of the log is not reached in time.
pub async fn rows_of<P: Projection + Sync>(
    pool: &PgPool,
    log: &Arc<dyn EventLog>,
    settings: readmodel::Settings,
    make: impl Fn() -> P + Send + Sync + 'static,
) -> Vec<String> {
    let rows = rows_and_parked_of(pool, log, settings, make).await;
    let parked = parked::count(pool, None).await;
    assert_eq!(parked.expect("what is parked can be counted"), 0);
    rows
}

/// The same, and after them what it parked.
pub(super) async fn rows_and_parked_of<P: Projection + Sync>(
    pool: &PgPool,
    log: &Arc<dyn EventLog>,
    settings: readmodel::Settings,
    make: impl Fn() -> P + Send + Sync + 'static,
) -> Vec<String> {
    let schema = make().name();
    let runner = Runner::new(pool.clone(), Arc::clone(log), make).with_settings(settings);
    let (follower, stopped) = (runner.follower(), CancellationToken::new());
    let run = tokio::spawn(runner.run(stopped.clone()));
    let last = log.last_sequence().await.expect("the log can be read");
    let end = Position::new(log.stream(), last);
    let folded = follower.wait_for(&end, Instant::now() + PATIENCE).await;
    folded.expect("the log is folded in time");
    stopped.cancel();
    run.await.expect("the runner does not panic");

    let mut rows = Vec::new();
    for table in tables_of(pool, schema).await {
        let all = format!("SELECT r::text FROM {schema}.{table} r ORDER BY 1");
        let all: Vec<String> = sqlx::query_scalar(AssertSqlSafe(all))
            .fetch_all(pool)
            .await
            .expect("a table can be read");
        rows.extend(all.into_iter().map(|row| format!("{table} {row}")));
    }
    let parked = parked::list(pool, Some(schema), 0, u32::MAX).await;
    let parked = parked.expect("what is parked can be listed");
    let mut parked: Vec<String> = parked
        .iter()
        .map(|event| {
            let (at, what) = ((event.sequence, event.place), &event.event_type);
            format!("parked {at:?} {} {what} {}", event.subject, event.reason)
        })
        .collect();
    parked.sort_unstable();
    rows.extend(parked);
    rows
}

/// The tables of a schema.
pub(super) async fn tables_of(pool: &PgPool, schema: &str) -> Vec<String> {
    let tables = "SELECT tablename::text FROM pg_tables WHERE schemaname = $1 ORDER BY 1";
    sqlx::query_scalar(tables)
        .bind(schema)
        .fetch_all(pool)
        .await
        .expect("the tables can be listed")
}
