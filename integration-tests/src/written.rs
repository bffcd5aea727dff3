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
    /// Of the keys of persons.
    pub keys: u64,
}

impl System {
    /// How far the streams are written, once all that follows from what was sent is done.
    pub async fn written(&self) -> Written {
        self.settled().await;
        let vault = self.jetstream().await.get_stream("VAULT").await.unwrap();
        Written {
            registry: self.last_sequence("registry").await,
            tiering: self.last_sequence("tiering").await,
            visits: if self.has_visits() {
                self.last_sequence("visits").await
            } else {
                0
            },
            keys: vault.get_info().await.unwrap().state.last_sequence,
        }
    }
}
