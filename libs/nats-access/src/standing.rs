//! Says whether something stands behind the acknowledgements that the server gives over MQTT.

use std::sync::atomic::Ordering;

use async_nats::Client;
use tokio::sync::watch;

/// Whether a [`crate::Relay`] stands behind the server's acknowledgements on the present connection. Clones see the same.
#[derive(Debug, Clone)]
pub struct Standing {
    client: Client,
    /// Under which of the client's connections it was last seen to.
    seen: watch::Receiver<Option<u64>>,
}

impl Standing {
    pub(crate) fn new(client: Client, seen: watch::Receiver<Option<u64>>) -> Self {
        Self { client, seen }
    }

    /// Whether it does now. After each loss of the connection that is open until it has been looked at anew: the server
    /// that comes back may have lost its streams.
    #[must_use]
    pub fn holds(&self) -> bool {
        *self.seen.borrow() == Some(connection(&self.client))
    }

    /// Waits until it does.
    pub async fn wait(&self) {
        let mut seen = self.seen.clone();
        loop {
            let now = *seen.borrow_and_update();
            if now == Some(connection(&self.client)) {
                return;
            }
            if seen.changed().await.is_err() {
                // Nobody relays any more: the process ends.
                std::future::pending().await
            }
        }
    }
}

/// Tells one connection of a client from the next.
pub(crate) fn connection(client: &Client) -> u64 {
    client.statistics().connects.load(Ordering::Acquire)
}
