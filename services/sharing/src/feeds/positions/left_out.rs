//! Of whom feeds have left something out, since a row could not be read. It stands with the position: where the database is lost, and
//! with it the list of such rows, the stream alone would tell that all was told of them.

use std::collections::BTreeSet;
use std::ops::Not;

use civic::ElderId;
use serde::{Deserialize, Serialize};

/// So many elders are named at most: a position is written with each batch.
const NAMED: usize = 250;

/// Of whom something was left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LeftOut {
    /// Of these.
    elders: BTreeSet<ElderId>,
    /// Of others too, so that it may be anybody.
    #[serde(default, skip_serializing_if = "Not::not")]
    more: bool,
}

impl LeftOut {
    /// Something was left out of an elder.
    pub(crate) fn add(&mut self, elder: ElderId) {
        if self.elders.len() < NAMED {
            self.elders.insert(elder);
        } else if !self.elders.contains(&elder) {
            self.more = true;
        }
    }

    /// Whether something may have been left out of an elder.
    pub(crate) fn has(&self, elder: ElderId) -> bool {
        self.more || self.elders.contains(&elder)
    }

    /// Whether nothing was left out.
    pub(crate) fn is_nobody(&self) -> bool {
        self.elders.is_empty() && !self.more
    }
}

impl FromIterator<ElderId> for LeftOut {
    fn from_iter<I: IntoIterator<Item = ElderId>>(elders: I) -> Self {
        let mut left_out = Self::default();
        for elder in elders {
            left_out.add(elder);
        }
        left_out
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn elder(number: usize) -> ElderId {
        ElderId(Uuid::from_u128(number.try_into().unwrap()))
    }

    #[test]
    fn where_more_are_left_out_than_are_named_it_may_be_anybody() {
        let mut left_out: LeftOut = (0..NAMED).map(elder).collect();
        // Once more of the same, which names nobody else.
        left_out.add(elder(0));
        assert!(left_out.has(elder(NAMED - 1)) && !left_out.has(elder(NAMED)));
        left_out.add(elder(NAMED));
        assert!(left_out.has(elder(NAMED)) && left_out.has(elder(NAMED + 1)));
        assert_eq!(left_out.elders.len(), NAMED);
        assert!(!left_out.is_nobody() && LeftOut::default().is_nobody());
    }
}
