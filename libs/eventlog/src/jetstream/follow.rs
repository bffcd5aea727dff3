//! Follows a stream from a position on, through lost connections and restarted servers, without a gap and in order.

use std::{sync::Arc, sync::atomic::Ordering, time::Duration};

use async_nats::{
    Message, StatusCode, Subscriber,
    jetstream::consumer::{AckPolicy, DeliverPolicy, pull},
};
use backon::{BackoffBuilder as _, ExponentialBuilder};
use futures::{FutureExt as _, StreamExt as _, stream};
use serde::Serialize;
use tokio::{
    sync::mpsc,
    task::coop::{consume_budget, unconstrained},
    time::{Instant, MissedTickBehavior, interval},
};
use uuid::Uuid;

use super::{Connection, json, number};
use crate::{
    log::{Deliveries, ReadError},
    record::Delivery,
    wire,
};

/// How many messages are asked for at once. Fewer would make replay slower; with more, an acknowledgement on the same
/// connection would have to wait behind them all.
const ASKED_FOR: u64 = 2_000;

/// How many bytes are asked for at once, so that large records don't fill the memory.
const ASKED_FOR_BYTES: usize = 32 << 20;

/// How many records are handed on together at most.
const BATCH: usize = 2_000;

/// How many such batches wait for their reader; while it works on one, the next are decoded.
const BATCHES_AHEAD: usize = 3;

/// How often an idle server says that it is still there.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// A server that has been silent for this long has lost the request.
const SILENCE: Duration = Duration::from_millis(2_500);

/// How often it is looked whether the connection was made anew, after which nothing would come any more.
const LOOK: Duration = Duration::from_millis(100);

/// How long the server keeps what it holds for a reader that has stopped asking.
const KEPT_FOR: Duration = Duration::from_secs(60);

/// Lost messages come when asked for again; what does not come so often is not there.
const TRIES_FOR_MISSING: u32 = 3;

/// While the server is away, the log says so at most this often.
const SAID_EVERY: Duration = Duration::from_secs(30);

/// Why following stopped.
enum End {
    /// The server or the way to it was lost: begin again.
    Lost(String),
    /// A message came that is not the next one.
    Gap { found: u64 },
    /// The log is not what it was.
    Broken(ReadError),
}

#[derive(Serialize)]
struct Ask {
    batch: u64,
    max_bytes: usize,
    /// Nanoseconds.
    expires: u64,
    /// Nanoseconds.
    idle_heartbeat: u64,
}

/// All records after a sequence and each new one, by a consumer of one's own.
pub(super) fn alone(connection: Arc<Connection>, after: u64) -> Deliveries {
    let (sender, receiver) = mpsc::channel(BATCHES_AHEAD);
    let mut follower = Follower {
        connection,
        next: after + 1,
        sender,
    };
    tokio::spawn(async move {
        let reader_gone = follower.sender.clone();
        tokio::select! {
            () = follower.run() => {}
            () = reader_gone.closed() => {}
        }
    });
    stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|batch| (batch, receiver))
    })
    .boxed()
}

struct Follower {
    connection: Arc<Connection>,
    /// The sequence that comes next.
    next: u64,
    sender: mpsc::Sender<Result<Vec<Delivery>, ReadError>>,
}

impl Follower {
    async fn run(&mut self) {
        let pauses = ExponentialBuilder::new()
            .with_min_delay(Duration::from_millis(20))
            .with_max_delay(Duration::from_secs(2))
            .without_max_times()
            .with_jitter();
        let mut pause = pauses.build();
        let mut said: Option<Instant> = None;
        let (mut missing_at, mut missing_tries) = (0, 0);
        loop {
            let begun_at = self.next;
            let end = self.follow().await;
            if self.next > begun_at {
                pause = pauses.build();
            }
            let reason = match end {
                End::Broken(error) => return self.give_up(error).await,
                End::Gap { found } => {
                    missing_tries = if missing_at == self.next {
                        missing_tries + 1
                    } else {
                        1
                    };
                    missing_at = self.next;
                    if missing_tries >= TRIES_FOR_MISSING {
                        let from = self.next;
                        return self.give_up(ReadError::Missing { from, found }).await;
                    }
                    "a message was lost on the way".to_owned()
                }
                End::Lost(reason) => reason,
            };
            if said.is_none_or(|said| said.elapsed() >= SAID_EVERY) {
                said = Some(Instant::now());
                tracing::warn!(
                    stream = self.connection.name,
                    next = self.next,
                    reason,
                    "following the log is interrupted; beginning again"
                );
            }
            tokio::time::sleep(pause.next().unwrap_or(LOOK)).await;
        }
    }

    async fn give_up(&self, error: ReadError) {
        tracing::error!(stream = self.connection.name, %error, "following the log has ended");
        // A reader that has gone needs no error.
        let _ = self.sender.send(Err(error)).await;
    }

    /// Follows until something is in the way.
    async fn follow(&mut self) -> End {
        let Err(end) = self.try_to_follow().await;
        end
    }

    async fn try_to_follow(&mut self) -> Result<std::convert::Infallible, End> {
        let connection = Arc::clone(&self.connection);
        // Counted before the consumer is made: a connection made anew after that is noticed.
        let connects = || {
            connection
                .client
                .statistics()
                .connects
                .load(Ordering::Relaxed)
        };
        let connected = connects();
        let consumer = self.make_consumer().await?;
        let inbox = connection.client.new_inbox();
        let mut messages = connection
            .client
            .subscribe(inbox.clone())
            .await
            .map_err(lost)?;
        let mut asking = Asking {
            connection: &connection,
            subject: format!("$JS.API.CONSUMER.MSG.NEXT.{}.{consumer}", connection.name),
            inbox,
            outstanding: 0,
        };
        asking.ask().await?;

        let mut heard = Instant::now();
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let message = tokio::select! {
                biased;
                message = messages.next() => message,
                _ = look.tick() => {
                    if connects() != connected {
                        return Err(End::Lost("the connection was made anew".to_owned()));
                    }
                    if heard.elapsed() > SILENCE {
                        return Err(End::Lost("the server is silent".to_owned()));
                    }
                    continue;
                }
            };
            let (batch, end) = self
                .take_what_is_there(message, &mut messages, &mut asking)
                .await;
            if !batch.is_empty() && self.sender.send(Ok(batch)).await.is_err() {
                return Err(End::Lost("nobody reads any more".to_owned()));
            }
            // The reader may have taken its time, in which the server was not listened to.
            heard = Instant::now();
            if let Some(end) = end {
                return Err(end);
            }
            asking.ask().await?;
        }
    }

    /// Takes a message and all that have come with it. Whoever else waits for the thread has a turn after each hundred or so:
    /// to decode all of them takes longer than a call may wait.
    async fn take_what_is_there(
        &mut self,
        first: Option<Message>,
        messages: &mut Subscriber,
        asking: &mut Asking<'_>,
    ) -> (Vec<Delivery>, Option<End>) {
        let mut batch = Vec::new();
        let mut message = first;
        loop {
            let Some(arrived) = message else {
                return (batch, Some(End::Lost("the connection was lost".to_owned())));
            };
            match self.take(arrived, asking) {
                Ok(delivery) => batch.extend(delivery),
                Err(end) => return (batch, Some(end)),
            }
            if batch.len() >= BATCH {
                return (batch, None);
            }
            consume_budget().await;
            // Unconstrained: the runtime would cut the batch short, to give others a turn that they have just had.
            match unconstrained(messages.next()).now_or_never() {
                Some(next) => message = next,
                None => return (batch, None),
            }
        }
    }

    fn take(&mut self, message: Message, asking: &mut Asking<'_>) -> Result<Option<Delivery>, End> {
        let Some(sequence) = message.reply.as_ref().and_then(|reply| sequence_in(reply)) else {
            asking.heed(&message)?;
            return Ok(None);
        };
        asking.outstanding = asking.outstanding.saturating_sub(1);
        if sequence > self.next {
            return Err(End::Gap { found: sequence });
        }
        if sequence < self.next {
            // Seen before.
            return Ok(None);
        }
        self.next += 1;
        let delivery = wire::deliver(
            sequence,
            message.subject,
            message.headers.as_ref(),
            message.payload,
        );
        if let Delivery::Unreadable { reason, .. } = &delivery {
            self.connection.measures.unreadable();
            tracing::error!(
                stream = self.connection.name,
                sequence,
                reason,
                "a message of the log is no record"
            );
        }
        Ok(Some(delivery))
    }

    /// Has the server hold a place in the stream for us, and returns the place's name.
    async fn make_consumer(&self) -> Result<String, End> {
        let last = self.connection.last_sequence().await.map_err(lost)?;
        let after = self.next - 1;
        if last < after {
            // The server would wait for new records, and the ones in between would never be seen.
            return Err(End::Broken(ReadError::Behind { after, last }));
        }
        let name = format!("follow-{}", Uuid::new_v4().simple());
        let consumer = self.connection.stream.create_consumer(pull::Config {
            name: Some(name.clone()),
            deliver_policy: DeliverPolicy::ByStartSequence {
                start_sequence: self.next,
            },
            // The sequence that we have reached is kept by the reader, with what it made of it.
            ack_policy: AckPolicy::None,
            memory_storage: true,
            num_replicas: 1,
            inactive_threshold: KEPT_FOR,
            ..pull::Config::default()
        });
        consumer.await.map_err(lost)?;
        Ok(name)
    }
}

/// The requests for messages that are with the server.
struct Asking<'connection> {
    connection: &'connection Connection,
    subject: String,
    inbox: String,
    /// How many messages were asked for and have not come.
    outstanding: u64,
}

impl Asking<'_> {
    /// Asks for more in good time, so that the server never waits for us.
    async fn ask(&mut self) -> Result<(), End> {
        if self.outstanding > ASKED_FOR / 2 {
            return Ok(());
        }
        let request = json(&Ask {
            batch: ASKED_FOR,
            max_bytes: ASKED_FOR_BYTES.max(2 * self.connection.client.max_payload()),
            expires: 30_000_000_000,
            idle_heartbeat: u64::try_from(HEARTBEAT.as_nanos()).unwrap_or(u64::MAX),
        });
        self.connection
            .client
            .publish_with_reply(self.subject.clone(), self.inbox.clone(), request)
            .await
            .map_err(lost)?;
        self.outstanding += ASKED_FOR;
        Ok(())
    }

    /// Heeds what the server says about our requests.
    fn heed(&mut self, message: &Message) -> Result<(), End> {
        let description = message.description.as_deref().unwrap_or_default();
        // A request that ran out, or that reached its bytes, says how many of its messages will not come.
        let will_not_come = number(message.headers.as_ref(), "Nats-Pending-Messages");
        match (message.status, will_not_come) {
            (Some(StatusCode::IDLE_HEARTBEAT), _) => Ok(()),
            (Some(StatusCode::TIMEOUT | StatusCode::REQUEST_TERMINATED), Some(count))
                if !description.starts_with("Consumer Deleted")
                    && !description.starts_with("Leadership Change")
                    && !description.starts_with("Server Shutdown") =>
            {
                self.outstanding = self.outstanding.saturating_sub(count);
                Ok(())
            }
            (status, _) => Err(End::Lost(format!(
                "the server says {} {description}",
                status.map_or(0, |status| status.as_u16())
            ))),
        }
    }
}

/// The sequence in the stream, which the server writes into the reply subject of what it delivers:
/// `$JS.ACK.[<domain>.<account>.]<stream>.<consumer>.<delivered>.<sequence>.…`
fn sequence_in(reply: &str) -> Option<u64> {
    let rest = reply.strip_prefix("$JS.ACK.")?;
    let place = if rest.split('.').count() >= 9 { 5 } else { 3 };
    rest.split('.').nth(place)?.parse().ok()
}

fn lost(error: impl std::fmt::Display) -> End {
    End::Lost(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_is_found_in_both_forms_of_the_reply() {
        assert_eq!(
            sequence_in("$JS.ACK.REGISTRY.follow-1.1.42.7.1700000000000000000.0"),
            Some(42)
        );
        assert_eq!(
            sequence_in("$JS.ACK._.hash.REGISTRY.follow-1.1.42.7.1700000000000000000.0.random"),
            Some(42)
        );
        assert_eq!(sequence_in("_INBOX.abc"), None);
    }
}
