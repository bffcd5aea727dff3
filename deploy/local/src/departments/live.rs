//! What is told live: a stream that is lost is asked for again, until nobody reads any more.

use std::time::Duration;

use tonic::Status;

use crate::client::{in_words, is_lost};

/// Before a lost stream is asked for again.
const AGAIN: Duration = Duration::from_secs(1);

/// Why nothing more is shown of a stream.
pub(super) enum Lost {
    /// The stream ended.
    Stream(Status),
    /// Nothing can be printed.
    Output(anyhow::Error),
}

/// Follows one stream after another. `follow` shows what one of them tells, and answers whether anybody still reads.
///
/// # Errors
/// The system's refusal, or a standard output that can't be written.
pub(super) async fn live(
    mut follow: impl AsyncFnMut() -> Result<bool, Lost>,
) -> anyhow::Result<()> {
    loop {
        match follow().await {
            // Nobody reads any more.
            Ok(false) => return Ok(()),
            Ok(true) => {}
            Err(Lost::Stream(status)) if is_lost(&status) => {}
            Err(Lost::Stream(status)) => return Err(in_words(&status)),
            Err(Lost::Output(error)) => return Err(error),
        }
        tokio::time::sleep(AGAIN).await;
    }
}
