//! What an operator wants to know of sharing: how far feeds are behind the services, whether looks are moved, whether the chain over them
//! is made and signed, and whether anybody is told of dossiers that are opened beyond all agreements.

use std::time::Duration;

use async_nats::jetstream;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use opentelemetry::global;
use opentelemetry::metrics::Counter;
use readmodel::{Reached, ReaderLag};
use service::{Clock, access};
use sqlx::{PgPool, Row as _};
use tokio_util::sync::CancellationToken;

use crate::auditing;
use crate::codec::CONTEXT;
use crate::feeds::index::Published;
use crate::feeds::publisher;
use crate::granting;
use crate::sharing::Sharing;

/// How often it is looked.
const EVERY: Duration = Duration::from_secs(5);

/// How far the chain over our log is made, as its table says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chained {
    /// The last record in it.
    sequence: u64,
    /// Since when there are records that no signed head holds.
    unsigned_since: Option<DateTime<Utc>>,
}

#[async_trait]
impl Reached for Chained {
    async fn told(pool: &PgPool) -> Result<Option<Self>, sqlx::Error> {
        let row = sqlx::query(
            "SELECT sequence, unsigned_since FROM sharing_kept.audit_chain WHERE stream = upper($1)",
        )
        .bind(CONTEXT)
        .fetch_optional(pool)
        .await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(Self {
            sequence: row.try_get::<i64, _>(0)?.cast_unsigned(),
            unsigned_since: row.try_get(1)?,
        }))
    }
}

/// No log is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoLog;

#[async_trait]
impl Reached for NoLog {
    async fn told(_: &PgPool) -> Result<Option<Self>, sqlx::Error> {
        Ok(Some(Self))
    }
}

/// How many agreements can't be read. They are met where somebody is told by them, and not in a log.
pub(crate) fn of_agreements(sharing: &Sharing) -> ReaderLag<NoLog> {
    ReaderLag::of(granting::NAME, sharing.pool.clone())
}

/// How far the chain is behind our log.
pub(crate) fn of_the_chain(sharing: &Sharing) -> ReaderLag<Chained> {
    ReaderLag::of(auditing::NAME, sharing.pool.clone())
        .in_log(&sharing.logs.own, |chained: &Chained| chained.sequence)
}

/// How far feeds are behind each log.
pub(crate) fn of_feeds(sharing: &Sharing) -> ReaderLag<Published> {
    let logs = &sharing.logs;
    ReaderLag::of(publisher::NAME, sharing.pool.clone())
        .in_log(&logs.registry, |published: &Published| published.reached[0])
        .in_log(&logs.tiering, |published: &Published| published.reached[1])
        .in_log(&logs.visits, |published: &Published| published.reached[2])
        .in_log(&logs.alerts, |published: &Published| published.reached[3])
        .in_log(&logs.claims, |published: &Published| published.reached[4])
        .in_log(&logs.own, |published: &Published| published.reached[5])
}

/// Counts dossiers that were opened beyond all agreements, and of which nobody is told.
#[derive(Clone, Debug)]
pub(crate) struct GlassMeasures(Counter<u64>);

impl GlassMeasures {
    /// Bound to the meter provider of this moment: telemetry is started before.
    pub(crate) fn new() -> Self {
        let untold = global::meter("sharing")
            .u64_counter("eldercare.broken_glass.untold")
            .with_unit("{dossier}")
            .with_description("Dossiers opened beyond all agreements of which nobody is told")
            .build();
        // From the start on: whoever watches would not see the first one come.
        untold.add(0, &[]);
        Self(untold)
    }

    /// One more.
    pub(crate) fn untold(&self) {
        self.0.add(1, &[]);
    }
}

/// Says until `shutdown` how many are told of dossiers that are opened beyond all agreements.
pub(crate) async fn tell_receivers(receivers: u64, shutdown: CancellationToken) {
    let told = global::meter("sharing")
        .u64_gauge("eldercare.broken_glass.receivers")
        .with_unit("{receiver}")
        .with_description("Receivers that are told of dossiers opened beyond all agreements")
        .build();
    let tell = || async {
        told.record(receivers, &[]);
        tokio::time::sleep(EVERY).await;
    };
    while shutdown.run_until_cancelled(tell()).await.is_some() {}
}

/// Looks until `shutdown` for how long records have waited for a signed head.
pub(crate) async fn watch_unsigned(pool: PgPool, clock: Clock, shutdown: CancellationToken) {
    let unsigned = global::meter("sharing")
        .f64_gauge("eldercare.audit.unsigned.duration")
        .with_unit("s")
        .with_description("For how long the oldest record of the audit has been in no signed head")
        .build();
    let look = || async {
        if let Ok(chained) = Chained::told(&pool).await {
            let since = chained.and_then(|chained| chained.unsigned_since);
            let waits = since.map_or(0.0, |since| (clock.now() - since).as_seconds_f64());
            unsigned.record(waits.max(0.0), &[]);
        }
        tokio::time::sleep(EVERY).await;
    };
    while shutdown.run_until_cancelled(look()).await.is_some() {}
}

/// Looks until `shutdown` how many messages with looks of other services lie in their stream.
pub(crate) async fn watch_accesses(nats: async_nats::Client, shutdown: CancellationToken) {
    let waiting = global::meter("sharing")
        .u64_gauge("eldercare.access.waiting")
        .with_unit("{message}")
        .with_description(
            "Messages with looks at personal data that are not taken out of ACCESS yet",
        )
        .build();
    let server = jetstream::new(nats);
    let look = || async {
        if let Ok(stream) = server.get_stream(access::STREAM).await {
            waiting.record(stream.cached_info().state.messages, &[]);
        }
        tokio::time::sleep(EVERY).await;
    };
    while shutdown.run_until_cancelled(look()).await.is_some() {}
}
