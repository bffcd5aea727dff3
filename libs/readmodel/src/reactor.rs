//! A service that acts on the events of another one: each event has its effect once, whatever dies when.

use std::sync::Arc;

use async_trait::async_trait;
use eventlog::{Delivery, EventLog, Position, Record};
use futures::StreamExt;
use sm3::{Digest, Sm3};
use sqlx::{PgConnection, PgPool};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::failure::{ApplyError, Error};
use crate::follower::Follower;
use crate::projection::{Parked, Phase, Projection};
use crate::runner::Runner;
use crate::settings::Settings;

/// Turns events of one stream into commands of this service.
///
/// Its checkpoint commits after its commands: an event may be handled twice, never not at all. So that it acts once, each
/// command carries the request id of [`reaction_request_id`], and each record that comes of it names in `answers` the
/// position of the event; both are the reactor's to set in the command's context.
#[async_trait]
pub trait Reactor: Send + 'static {
    /// The reactor's name, of the form of a projection's; it never changes, since the request ids rest on it.
    fn name(&self) -> &'static str;

    /// Executes what follows from the records, in their order, and returns what it passed by.
    ///
    /// Returns once every command has been accepted, or refused for good (a refusal by the rules is an outcome, not an
    /// error). `db` is the open transaction of the checkpoint.
    ///
    /// # Errors
    /// The records are handed out again: after a pause where something is unavailable, in smaller pieces and finally
    /// parked where one of them is at fault.
    async fn react(
        &mut self,
        db: &mut PgConnection,
        records: &[Record],
    ) -> Result<Vec<Parked>, ApplyError>;

    /// Whatever is remembered in memory is forgotten.
    fn forget(&mut self) {}
}

/// Runs a reactor with the guarantees of a projection's [`Runner`].
pub struct ReactorRunner<R>(Runner<Reacting<R>>);

impl<R: Reactor> ReactorRunner<R> {
    /// A runner of the reactor that `make` makes, on the stream of `source`.
    ///
    /// Should the database have been lost, it looks through `own`, the log of this service, for the last event answered.
    pub fn new(
        pool: PgPool,
        source: Arc<dyn EventLog>,
        own: Arc<dyn EventLog>,
        make: impl Fn() -> R + Send + Sync + 'static,
    ) -> Self {
        let answered = Answered {
            own,
            reactor: make().name(),
            source: source.stream().to_owned(),
        };
        Self(Runner::new(pool, source, move || Reacting(make())).going_on_after(answered))
    }

    /// With other settings than the default ones.
    #[must_use]
    pub fn with_settings(self, settings: Settings) -> Self {
        Self(self.0.with_settings(settings))
    }

    /// Follows how far the reactor has got in the stream of its source.
    #[must_use]
    pub fn follower(&self) -> Follower {
        self.0.follower()
    }

    /// Runs until `shutdown`; then the events in hand are finished.
    pub async fn run(self, shutdown: CancellationToken) {
        self.0.run(shutdown).await;
    }
}

/// A reactor as a projection without tables.
struct Reacting<R>(R);

#[async_trait]
impl<R: Reactor> Projection for Reacting<R> {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn version(&self) -> u32 {
        1
    }

    fn ddl(&self) -> &'static str {
        ""
    }

    async fn apply(
        &mut self,
        db: &mut PgConnection,
        records: &[Record],
        _: Phase,
    ) -> Result<Vec<Parked>, ApplyError> {
        self.0.react(db, records).await
    }

    fn forget(&mut self) {
        self.0.forget();
    }
}

/// The request id of a command that a reactor derives from an event: the same event gives the same id for ever.
///
/// `nth` tells apart the commands that follow from one event.
#[must_use]
pub fn reaction_request_id(reactor: &str, event: &Position, nth: u32) -> Uuid {
    let cause = digest(&[
        reactor.as_bytes(),
        event.stream.as_bytes(),
        &event.sequence.to_be_bytes(),
    ]);
    let one = digest(&[&cause, &nth.to_be_bytes()]);
    let mut bytes = [0; 16];
    // The first half tells whose reaction to what this is, so that it can be recognised in the log.
    bytes[..8].copy_from_slice(&cause[..8]);
    bytes[8..].copy_from_slice(&one[..8]);
    Uuid::new_v8(bytes)
}

fn digest(parts: &[&[u8]]) -> Vec<u8> {
    let mut digest = Sm3::new();
    for part in parts {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    digest.finalize().to_vec()
}

/// The last position of the stream `source` that `reactor` has answered in `own`, or 0.
///
/// Reads the whole of `own`: seconds for each million records, needed only after the loss of a database.
///
/// # Errors
/// The log's.
pub async fn last_answered(own: &dyn EventLog, reactor: &str, source: &str) -> Result<u64, Error> {
    let head = own.last_sequence().await?;
    let mut answered = 0;
    if head == 0 {
        return Ok(answered);
    }
    let mut deliveries = std::pin::pin!(own.subscribe(0).await?);
    while let Some(batch) = deliveries.next().await {
        for delivery in batch? {
            let sequence = match delivery {
                Delivery::Record(record) => {
                    if let Some(position) = &record.metadata.answers
                        && position.stream == source
                        && is_reaction(record.metadata.request_id, reactor, position)
                    {
                        answered = answered.max(position.sequence);
                    }
                    record.sequence
                }
                Delivery::Unreadable { sequence, .. } => sequence,
            };
            if sequence >= head {
                return Ok(answered);
            }
        }
    }
    Err(Error::SubscriptionEnded)
}

fn is_reaction(request: Uuid, reactor: &str, event: &Position) -> bool {
    request.as_bytes()[..8] == reaction_request_id(reactor, event, 0).as_bytes()[..8]
}

/// No batch of a reactor was ever larger, whatever its settings were at the time.
const OVERLAP: usize = 1_000;

/// Where a reactor without a checkpoint goes on.
pub(crate) struct Answered {
    own: Arc<dyn EventLog>,
    reactor: &'static str,
    source: String,
}

impl Answered {
    /// The sequence after which to go on.
    ///
    /// A batch earlier than the last event answered: of the events handled together with it some may not have been
    /// answered yet. Those that have been are recognised by their request ids.
    pub(crate) async fn start(&self, batch: usize) -> Result<u64, Error> {
        let answered = last_answered(self.own.as_ref(), self.reactor, &self.source).await?;
        Ok(answered.saturating_sub(batch.max(OVERLAP) as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(sequence: u64) -> Position {
        Position {
            stream: "REGISTRY".to_owned(),
            sequence,
        }
    }

    #[test]
    fn the_same_event_gives_the_same_request_id_for_ever() {
        // Were this value to change, events handled before the change would be handled again.
        let id = reaction_request_id("on_elder_died", &event(7), 0);
        assert_eq!(id.to_string(), "67f7e480-f89c-86ae-846b-cac08e7b7cde");
        assert_eq!(id.get_version_num(), 8);
    }

    #[test]
    fn reactors_events_and_commands_have_ids_of_their_own() {
        let ids = [
            reaction_request_id("on_elder_died", &event(7), 0),
            reaction_request_id("on_elder_died", &event(7), 1),
            reaction_request_id("on_elder_died", &event(8), 0),
            reaction_request_id("on_elder_moved", &event(7), 0),
        ];
        let distinct: std::collections::HashSet<_> = ids.iter().collect();
        assert_eq!(distinct.len(), ids.len());
    }

    #[test]
    fn a_reaction_is_recognised_in_the_log() {
        assert!(is_reaction(
            reaction_request_id("on_elder_died", &event(7), 3),
            "on_elder_died",
            &event(7)
        ));
        assert!(!is_reaction(
            reaction_request_id("on_elder_died", &event(7), 3),
            "on_elder_moved",
            &event(7)
        ));
        assert!(!is_reaction(
            reaction_request_id("on_elder_died", &event(7), 3),
            "on_elder_died",
            &event(8)
        ));
    }
}
