//! How far the streams are written: what no refused request and no retry may change.

use crate::System;

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
}

impl System {
    /// How far the streams are written, once all that follows from what was sent is done.
    pub async fn written(&self) -> Written {
        self.settled().await;
        let of = async |context: &str, runs: bool| {
            if runs {
                self.last_sequence(context).await
            } else {
                0
            }
        };
        Written {
            registry: self.last_sequence("registry").await,
            tiering: self.last_sequence("tiering").await,
            visits: of("visits", self.has_visits()).await,
            alerts: of("alerts", self.has_alerts()).await,
            claims: of("claims", self.has_claims()).await,
            signals: if self.has_alerts() {
                self.last_message("SIGNALS").await
            } else {
                0
            },
            keys: self.last_message("VAULT").await,
        }
    }

    /// The last sequence of a stream that is no log of events.
    async fn last_message(&self, stream: &str) -> u64 {
        let stream = self.jetstream().await.get_stream(stream).await.unwrap();
        stream.get_info().await.unwrap().state.last_sequence
    }
}
