//! The batches of a stream take turns, and hand on what they wrote.

use std::collections::HashMap;

use tokio::sync::oneshot;
use uuid::Uuid;

use super::written::Year;

/// When a stream carries more records from batch to batch, those are dropped that the read model has come to.
const CARRIED: usize = 50_000;

/// What a stream has written so far and the read model may not have come to yet: how far years are written, and where
/// records stand.
#[derive(Debug, Default)]
pub(super) struct Carried {
    pub(super) years: HashMap<Year, u64>,
    pub(super) records: HashMap<Uuid, (Year, u64)>,
}

impl Carried {
    /// A record was written to a year of which every record was known.
    pub(super) fn wrote(&mut self, record: Uuid, year: Year, sequence: u64) {
        self.years.insert(year, sequence);
        self.records.insert(record, (year, sequence));
    }

    /// A record stands in a year that holds more than rows and this stream tell: whoever rests on it has to look anew.
    pub(super) fn found(&mut self, record: Uuid, year: Year, sequence: u64) {
        self.years.remove(&year);
        self.records.insert(record, (year, sequence));
    }

    /// Drops what the read model has come to.
    fn drop_up_to(&mut self, read: u64) {
        if self.records.len() > CARRIED {
            self.years.retain(|_, sequence| *sequence > read);
            self.records.retain(|_, (_, sequence)| *sequence > read);
        }
    }
}

/// A batch's turn in its stream: batches are kept in the order in which they came. Where one can't be kept, those after it
/// have no turn: the stream ends there, and what it has not answered is sent again in its order.
#[derive(Debug)]
pub(crate) struct Turn {
    pub(super) carried: Carried,
    next: oneshot::Sender<Carried>,
}

/// A place in the order of a stream's batches.
#[derive(Debug)]
pub(crate) struct Place {
    mine: oneshot::Receiver<Carried>,
    next: oneshot::Sender<Carried>,
}

/// The order of a stream's batches.
#[derive(Debug)]
pub(crate) struct Order(oneshot::Receiver<Carried>);

impl Order {
    /// Of a stream that has just begun.
    pub(crate) fn new() -> Self {
        let (first, order) = oneshot::channel();
        // The other end is in hand.
        let _ = first.send(Carried::default());
        Self(order)
    }

    /// The next place.
    pub(crate) fn place(&mut self) -> Place {
        let (next, order) = oneshot::channel();
        Place {
            mine: std::mem::replace(&mut self.0, order),
            next,
        }
    }
}

impl Place {
    /// Waits for the turn; none where a batch before was not kept.
    pub(crate) async fn turn(self) -> Option<Turn> {
        Some(Turn {
            carried: self.mine.await.ok()?,
            next: self.next,
        })
    }
}

impl Turn {
    /// Gives the turn to the next batch; the read model has come to the sequence `read`.
    pub(super) fn pass(mut self, read: u64) {
        self.carried.drop_up_to(read);
        // The stream may have ended.
        let _ = self.next.send(self.carried);
    }
}
