//! Rounds: what is looked at every so often, whether or not there is something to do meanwhile.

use readmodel::HEARTBEAT;
use tokio::time::Instant;

/// When the next round is due.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rounds(Instant);

impl Rounds {
    /// The first one comes a heartbeat after this instant.
    pub(super) fn begun(now: Instant) -> Self {
        Self(now + HEARTBEAT)
    }

    /// When the next one is due.
    pub(super) const fn next_one(&self) -> Instant {
        self.0
    }

    /// Whether one is due; the next one then is a heartbeat later.
    pub(super) fn is_due(&mut self, now: Instant) -> bool {
        let due = self.0 <= now;
        if due {
            *self = Self::begun(now);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_come_also_where_there_is_always_something_to_do() {
        let begun = Instant::now();
        let mut rounds = Rounds::begun(begun);
        // A hundred passes a heartbeat, three heartbeats and a half long.
        let passes = (1..=350).map(|pass| begun + HEARTBEAT * pass / 100);
        let due: Vec<Instant> = passes.filter(|now| rounds.is_due(*now)).collect();
        assert_eq!(due, [1, 2, 3].map(|round| begun + HEARTBEAT * round));
        assert_eq!(rounds.next_one(), begun + HEARTBEAT * 4);
    }
}
