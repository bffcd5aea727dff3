//! Long work in small steps: between two of them others have their turn.
//!
//! A thread of the runtime that decodes a thousand records answers nobody meanwhile, and a process has few threads.

use std::time::{Duration, Instant};

/// How long work goes on before others have a turn: more than a turn costs, and far less than a caller notices.
const AT_A_STRETCH: Duration = Duration::from_millis(1);

/// Work in steps that are short each.
///
/// ```
/// # use readmodel::GivingWay;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let mut way = GivingWay::from_now();
/// let mut sum = 0_u64;
/// for number in 0..10_000_u64 {
///     sum += number;
///     way.give().await;
/// }
/// assert_eq!(sum, 49_995_000);
/// # }
/// ```
#[derive(Debug)]
pub struct GivingWay {
    since: Instant,
}

impl GivingWay {
    /// Work that begins now.
    #[must_use]
    pub fn from_now() -> Self {
        Self {
            since: Instant::now(),
        }
    }

    /// After a step: goes on at once, or lets others have their turn where they have waited long enough.
    pub async fn give(&mut self) {
        if self.since.elapsed() < AT_A_STRETCH {
            return;
        }
        tokio::task::yield_now().await;
        self.since = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_waits_has_a_turn_before_long_work_is_done() {
        let (told, mut heard) = tokio::sync::oneshot::channel();
        tokio::spawn(async move { told.send(()) });
        let mut way = GivingWay::from_now();
        let began = Instant::now();
        let mut turns = 0;
        while heard.try_recv().is_err() {
            assert!(began.elapsed() < Duration::from_secs(60), "no turn");
            turns += 1;
            way.give().await;
        }
        assert!(turns > 0);
    }
}
