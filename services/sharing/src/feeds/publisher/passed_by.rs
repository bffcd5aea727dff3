//! Rows of the read models that can't be read: parked where an operator sees them, and made up for once they can be.

use std::collections::{BTreeMap, BTreeSet};

use readmodel::{ReaderFailed, parked};

use super::super::documents::{self, Known};
use super::super::unreadable::{Unreadable, facts_of};
use super::{NAME, Publisher, Turn};

/// How many parked rows are looked at in one go.
const PARKED: u32 = 100;

impl Publisher {
    /// Parks rows that can't be read. Feeds tell nothing of them, and go on.
    pub(super) async fn pass_by(
        &self,
        turn: &mut Turn,
        unreadable: &BTreeSet<Unreadable>,
    ) -> Result<(), ReaderFailed> {
        for one in unreadable {
            let new = parked::park(turn.index.db(), NAME, &one.log(), &[one.parked()])
                .await
                .map_err(ReaderFailed::because)?;
            if new > 0 {
                let product = one.product.name();
                tracing::error!(product, "a row can't be read: feeds tell nothing of it");
            }
        }
        Ok(())
    }

    /// Looks at the rows again that could not be read. Where one can be, all is told anew of its elder: what happened meanwhile
    /// was passed by.
    pub(super) async fn look_again(&self, turn: &mut Turn) -> Result<(), ReaderFailed> {
        let (pool, mut after) = (&self.sharing.pool, 0);
        loop {
            let page = parked::list(pool, Some(NAME), after, PARKED).await;
            let page = page.map_err(ReaderFailed::because)?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            after = last.id;
            for row in &page {
                if let Some(one) = Unreadable::of_parked(row)
                    && self.can_be_read(turn, one).await?
                {
                    turn.index.all_to_tell(one.elder).await?;
                    turn.positions.tell_from_the_beginning(one.elder);
                    let gone = parked::discard(pool, row.id).await;
                    gone.map_err(ReaderFailed::because)?;
                }
            }
        }
    }

    async fn can_be_read(&self, turn: &mut Turn, row: Unreadable) -> Result<bool, ReaderFailed> {
        let (db, mut unreadable) = (&mut turn.reading, BTreeSet::new());
        let facts = facts_of(db, &[row.elder], &mut unreadable).await?;
        let elders = facts.into_iter().map(|(elder, facts)| {
            let facts = facts.on(turn.day);
            (elder, Known { facts, key: None })
        });
        let elders: BTreeMap<_, _> = elders.collect();
        let wanted = BTreeMap::from([(row.product, BTreeSet::from([row.key]))]);
        documents::by_key(db, &wanted, &elders, &mut unreadable).await?;
        Ok(unreadable.is_empty())
    }
}
