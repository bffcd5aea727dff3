//! Rows of the read models that can't be read: parked where an operator sees them, and made up for once they can be.

use std::collections::{BTreeMap, BTreeSet};

use readmodel::{ReaderFailed, parked};

use super::super::documents::{self, Known};
use super::super::positions::LeftOut;
use super::super::unreadable::{Unreadable, facts_of};
use super::{NAME, Publisher, Turn};
use crate::parked_rows::all_parked_by;

impl Publisher {
    /// Parks rows that can't be read. Feeds tell nothing of them, and go on. Whom they are about stands with the position of what
    /// comes out next.
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
            turn.positions.left_out.add(one.elder);
        }
        Ok(())
    }

    /// Looks at the rows again that could not be read. Where one can be, all is told anew of its elder: what happened meanwhile
    /// was passed by.
    pub(super) async fn look_again(&self, turn: &mut Turn) -> Result<(), ReaderFailed> {
        for (id, row) in self.parked_rows().await? {
            if self.can_be_read(turn, row).await? {
                turn.index.all_to_tell(row.elder).await?;
                turn.positions.tell_from_the_beginning(row.elder);
                let gone = parked::discard(&self.sharing.pool, id).await;
                gone.map_err(ReaderFailed::because)?;
            }
        }
        Ok(())
    }

    /// Of whom something is left out still, once all others were told of to the end.
    pub(super) async fn left_out_still(&self) -> Result<LeftOut, ReaderFailed> {
        let rows = self.parked_rows().await?.into_iter();
        Ok(rows.map(|(_, row)| row.elder).collect())
    }

    /// The rows that are parked, by their numbers.
    async fn parked_rows(&self) -> Result<Vec<(i64, Unreadable)>, ReaderFailed> {
        let all = all_parked_by(&self.sharing.pool, NAME).await;
        let all = all.map_err(ReaderFailed::because)?;
        let rows = all.iter();
        Ok(rows
            .filter_map(|row| Some((row.id, Unreadable::of_parked(row)?)))
            .collect())
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
