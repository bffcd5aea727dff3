//! Whose turn it is: a piece of what is recorded in either log, or a page of orders that are still to be looked at again. Where
//! there are both they take turns, so that neither a log that is never at rest nor a large end keeps the other one waiting.

use std::future::ready;

use eventlog::{Deliveries, Delivery};
use futures::StreamExt as _;
use readmodel::{HEARTBEAT, ReaderFailed};

/// How many records are taken in at once.
const PIECE: usize = 500;

/// What comes next.
#[derive(Debug)]
pub(super) enum Turn {
    /// Records of the registry's log.
    Facts(Vec<Delivery>),
    /// Records of our own log.
    Own(Vec<Delivery>),
    /// A page.
    Page,
    /// Nothing has come for a while.
    Rest,
}

/// Both logs, and who had the last turn.
pub(super) struct Turns {
    registry: Pieces,
    own: Pieces,
    /// It was a page.
    paged: bool,
}

impl Turns {
    pub(super) fn of(registry: Deliveries, own: Deliveries) -> Self {
        Self {
            registry: Pieces::of(registry),
            own: Pieces::of(own),
            paged: false,
        }
    }

    /// The next turn, where there are pages or none.
    pub(super) async fn turn(&mut self, pages: bool) -> Result<Turn, ReaderFailed> {
        if pages && !self.paged {
            self.paged = true;
            return Ok(Turn::Page);
        }
        let recorded = async {
            tokio::select! {
                piece = self.registry.piece() => piece.map(Turn::Facts),
                piece = self.own.piece() => piece.map(Turn::Own),
            }
        };
        let turn = tokio::select! {
            biased;
            recorded = recorded => recorded?,
            () = ready(()), if pages => Turn::Page,
            () = tokio::time::sleep(HEARTBEAT) => Turn::Rest,
        };
        self.paged = matches!(turn, Turn::Page);
        Ok(turn)
    }
}

/// What a log delivers, in pieces.
struct Pieces {
    deliveries: Deliveries,
    left: std::vec::IntoIter<Delivery>,
}

impl Pieces {
    fn of(deliveries: Deliveries) -> Self {
        Self {
            deliveries,
            left: Vec::new().into_iter(),
        }
    }

    /// The next one. Whoever stops waiting for it loses nothing.
    async fn piece(&mut self) -> Result<Vec<Delivery>, ReaderFailed> {
        if self.left.as_slice().is_empty() {
            self.left = next(&mut self.deliveries).await?.into_iter();
        }
        Ok(self.left.by_ref().take(PIECE).collect())
    }
}

/// What is there at once of a log.
pub(super) async fn next(deliveries: &mut Deliveries) -> Result<Vec<Delivery>, ReaderFailed> {
    let batch = deliveries.next().await.transpose()?;
    batch.ok_or_else(|| ReaderFailed::because("the subscription ended"))
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;

    /// A log in which so many more records lie whenever it is asked.
    fn never_at_rest(records: usize) -> Deliveries {
        let record = Delivery::Unreadable {
            sequence: 1,
            subject: String::new(),
            reason: String::new(),
            payload: "no record".into(),
        };
        stream::repeat_with(move || Ok(vec![record.clone(); records])).boxed()
    }

    fn at_rest() -> Deliveries {
        stream::pending().boxed()
    }

    /// The first turns, in words.
    async fn turns(registry: Deliveries, own: Deliveries, pages: bool) -> Vec<String> {
        let mut turns = Turns::of(registry, own);
        let mut told = Vec::new();
        for _ in 0..7 {
            told.push(match turns.turn(pages).await.unwrap() {
                Turn::Facts(piece) => format!("{} facts", piece.len()),
                Turn::Own(piece) => format!("{} of our own", piece.len()),
                Turn::Page => "a page".to_owned(),
                Turn::Rest => "rest".to_owned(),
            });
        }
        told
    }

    #[tokio::test]
    async fn a_log_that_is_never_at_rest_leaves_every_second_turn_to_pages() {
        let page = "a page";
        let facts = turns(never_at_rest(1_200), at_rest(), true).await;
        let (all, rest) = ("500 facts", "200 facts");
        assert_eq!(facts, [page, all, page, all, page, rest, page]);
        let own = turns(at_rest(), never_at_rest(1_200), true).await;
        let (all, rest) = ("500 of our own", "200 of our own");
        assert_eq!(own, [page, all, page, all, page, rest, page]);
        let both = turns(never_at_rest(1), never_at_rest(1), true).await;
        assert_eq!(both.iter().filter(|turn| *turn == page).count(), 4);
    }

    #[tokio::test]
    async fn where_nothing_is_recorded_pages_follow_one_another() {
        assert_eq!(turns(at_rest(), at_rest(), true).await, ["a page"; 7]);
    }

    #[tokio::test]
    async fn where_there_are_no_pages_records_follow_one_another() {
        let facts = turns(never_at_rest(700), at_rest(), false).await;
        let (all, rest) = ("500 facts", "200 facts");
        assert_eq!(facts, [all, rest, all, rest, all, rest, all]);
    }
}
