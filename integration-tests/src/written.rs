//! How far the streams are written: what no refused request and no retry may change.

use eventlog::Delivery;
use futures::StreamExt as _;
use service::access;

use crate::{System, process::Part};

/// The last sequence of each stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Of the registry.
    pub registry: u64,
    /// Of tiering.
    pub tiering: u64,
    /// Of visits; 0 where they don't run.
    pub visits: u64,
    /// Of alerts; 0 where they don't run.
    pub alerts: u64,
    /// Of claims; 0 where they don't run.
    pub claims: u64,
    /// Of what devices say; 0 where alerts don't run.
    pub signals: u64,
    /// Of the keys of persons.
    pub keys: u64,
    /// Of sharing, with what all others told of persons; 0 where it does not run.
    pub sharing: u64,
    /// Of what departments are told; 0 where sharing does not run.
    pub feeds: u64,
}

impl System {
    /// How far the streams are written, once all that follows from what was sent is done.
    pub async fn written(&self) -> Written {
        self.settled().await;
        if self.has(Part::Sharing) {
            // They come there by themselves, and feeds read them.
            self.looks_are_moved().await;
            self.settled().await;
        }
        let of = async |part: Part| {
            if self.has(part) {
                self.last_sequence(&part.to_string()).await
            } else {
                0
            }
        };
        let of_stream = async |part: Part, stream: &str| {
            if self.has(part) {
                self.last_message(stream).await
            } else {
                0
            }
        };
        Written {
            registry: self.last_sequence("registry").await,
            tiering: self.last_sequence("tiering").await,
            visits: of(Part::Visits).await,
            alerts: of(Part::Alerts).await,
            claims: of(Part::Claims).await,
            signals: of_stream(Part::Alerts, "SIGNALS").await,
            keys: self.last_message("VAULT").await,
            sharing: of(Part::Sharing).await,
            feeds: of_stream(Part::Sharing, "FEEDS").await,
        }
    }

    /// Waits until all that the other services told of persons is in the log of sharing.
    async fn looks_are_moved(&self) {
        let last = self.last_message(access::STREAM).await;
        let log = self.log("sharing").await;
        let mut deliveries = log.subscribe(0).await.unwrap();
        let mut moved = 0;
        while moved < last {
            for delivery in deliveries.next().await.unwrap().unwrap() {
                let Delivery::Record(record) = delivery else {
                    continue;
                };
                let answers = record.metadata.answers;
                let answers = answers.filter(|answers| answers.stream == access::STREAM);
                moved = answers.map_or(moved, |answers| answers.sequence.max(moved));
            }
        }
    }

    /// The last sequence of a stream that is no log of events.
    async fn last_message(&self, stream: &str) -> u64 {
        let stream = self.jetstream().await.get_stream(stream).await.unwrap();
        stream.get_info().await.unwrap().state.last_sequence
    }
}
