//! How long an answer waits: until what its caller has seen is judged and can be read, and no longer than the call may take.

use eventlog::Position;
use service::Deadline;
use tonic::Status;

use crate::tiering::Tiering;

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
        deadline.bounds(waiting).await
    }

    /// Waits until the policies up to a position of our own log can be read.
    pub async fn wait_for_policies(
        &self,
        position: Option<Position>,
        deadline: Deadline,
    ) -> Result<(), Status> {
        match position {
            Some(position) if position.stream == self.tiering.stream() => {
                deadline.bounds(self.tiers.reaches(position.sequence)).await
            }
            other => self.wait(other, deadline).await,
        }
    }
}
