//! How long an answer waits: until what its caller has seen is judged and can be read, and no longer than the call may take.

use std::future::Future;
use std::time::Duration;

use eventlog::Position;
use service::{Deadline, errors};
use tonic::Status;

use crate::tiering::Tiering;

/// How long an answer waits for a position where the call has no nearer deadline.
const PATIENCE: Duration = Duration::from_secs(60);
impl Tiering {
    /// Waits until answers take a position into account: of the registry, that its facts are judged and the outcome can
    /// be read; of our own log, that it can be read and policies up to there are applied.
    pub async fn wait(&self, position: Option<Position>, deadline: Deadline) -> Result<(), Status> {
        let Some(position) = position else {
            return Ok(());
        };
        let of_registry = position.stream == self.registry.stream();
        let waiting = async {
            let progress = self
                .progress
                .wait_until(|progress| {
                    let reached = if of_registry {
                        progress.registry
                    } else {
                        progress.tiering
                    };
                    reached >= position.sequence
                })
                .await;
            self.tiers
                .reaches(if of_registry {
                    progress.appended
                } else {
                    progress.appended.max(position.sequence)
                })
                .await;
        };
        within(deadline, waiting).await
    }

    /// Waits until the policies up to a position of our own log can be read.
    pub async fn wait_for_policies(
        &self,
        position: Option<Position>,
        deadline: Deadline,
    ) -> Result<(), Status> {
        match position {
            Some(position) if position.stream == self.tiering.stream() => {
                within(deadline, self.tiers.reaches(position.sequence)).await
            }
            other => self.wait(other, deadline).await,
        }
    }
}

async fn within(deadline: Deadline, waiting: impl Future<Output = ()>) -> Result<(), Status> {
    let most = deadline.wait_at_most(PATIENCE);
    tokio::time::timeout(most, waiting)
        .await
        .map_err(|_elapsed| errors::deadline_exceeded())
}
