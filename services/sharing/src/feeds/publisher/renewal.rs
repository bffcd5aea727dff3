//! Feeds begin and end as agreements do, and what may stay in the stream no longer is taken away.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use readmodel::ReaderFailed;

use super::super::message::{Message, Own};
use super::super::standing::standing;
use super::outgoing::Unit;
use super::{Publisher, Turn};
use crate::agreement_rows::ids_in_force;
use crate::granting;

/// A feed is told anew before its first messages age out.
const ANEW: TimeDelta = TimeDelta::days(360);

impl Publisher {
    /// Brings the feeds in line with the agreements that are in force now: some end, some begin anew.
    pub(super) async fn restand(&self, turn: &mut Turn) -> Result<(), ReaderFailed> {
        let today = self.sharing.clock.today();
        if turn.day != today {
            turn.day = today;
            turn.sweep_all();
        }
        let standing = standing(turn.index.db(), turn.day, None).await?;
        granting::park(&self.sharing.pool, &standing.unreadable)
            .await
            .map_err(ReaderFailed::because)?;
        let now = self.sharing.clock.now();
        let mut units: Vec<Unit> = Vec::new();
        let mut ended = BTreeSet::new();
        for (feed, kept) in turn.index.feeds.iter() {
            if !kept.ended && standing.get(feed).is_none() {
                units.push(Message::own(feed, Own::Ended, None, now).into());
                ended.insert(feed.department.clone());
            }
        }
        let mut begins = false;
        for (feed, granted) in standing.iter() {
            let fields = granted.fields(feed.product);
            let narrowed = match turn.index.feeds.get(feed) {
                Some(kept) if !kept.ended => {
                    let as_it_was = kept.fields == fields && now < kept.begun_at + ANEW;
                    if as_it_was {
                        continue;
                    }
                    kept.is_narrowed_by(&fields)
                }
                Some(_) | None => false,
            };
            begins = true;
            units.push(Message::begun(feed, granted, narrowed, now).into());
        }
        let holds_more = turn.index.holds_more_than(&standing);
        turn.index.tells_also(&standing).await?;
        turn.standing = standing;
        if begins {
            turn.sweep_all();
        }
        if !units.is_empty() {
            self.publish(turn, units, &[]).await?;
        } else if holds_more {
            // Whoever published before, and was superseded, writes nothing more to it by what was agreed then.
            self.publish_batch(turn, vec![]).await?;
        }
        self.erase(turn).await?;
        self.erase_some(turn).await?;
        self.see_to_consumers(turn).await?;
        self.show_out_of_nothing(turn, ended);
        Ok(())
    }

    /// Has departments' consumers give out messages where nothing is left that is granted no longer, and rest otherwise.
    async fn see_to_consumers(&self, turn: &mut Turn) -> Result<(), ReaderFailed> {
        turn.index.tells_only(&turn.standing).await?;
        if let Some(consumers) = &self.sharing.consumers {
            consumers.see_to_all().await;
        }
        Ok(())
    }

    /// Has the connections cut of those of some departments that have no feed any more.
    pub(super) fn show_out_of_nothing(&self, turn: &Turn, departments: BTreeSet<String>) {
        for department in departments {
            if !turn.standing.has(&department) {
                tracing::info!(department, "a department has no feed any more");
                self.sharing.show_out(&department);
            }
        }
    }

    /// Whether the feeds are still those of the agreements in force.
    pub(super) async fn stands(&self, turn: &mut Turn) -> Result<bool, ReaderFailed> {
        let today = self.sharing.clock.today();
        let now = ids_in_force(turn.index.db(), today).await?;
        Ok(today == turn.day && turn.standing.is_of(&now))
    }

    /// Whether the agreements that could not be read still can't be. They alone are read for that.
    pub(super) async fn is_as_readable(&self, turn: &mut Turn) -> Result<bool, ReaderFailed> {
        let unreadable = &turn.standing.unreadable;
        Ok(granting::are_unreadable(turn.index.db(), unreadable, turn.day).await?)
    }

    /// Erases from the stream some of what may stay there no longer. A large feed takes long, and others go on meanwhile; its
    /// department fetches nothing until it is done.
    pub(super) async fn erase_some(&self, turn: &mut Turn) -> Result<(), ReaderFailed> {
        let Some((feed, before)) = turn.index.feeds.due() else {
            return Ok(());
        };
        let feed = feed.clone();
        if !self.stream.erase_before(&feed, before).await? {
            return Ok(());
        }
        turn.index.purged(&feed).await?;
        match turn.index.feeds.is_due(&feed.department) {
            true => Ok(()),
            false => self.see_to_consumers(turn).await,
        }
    }

    /// Erases from the stream what it says of erased elders.
    pub(super) async fn erase(&self, turn: &mut Turn) -> Result<(), ReaderFailed> {
        let sequences = turn.index.erasable().await?;
        if sequences.is_empty() {
            return Ok(());
        }
        self.stream.erase(sequences.clone()).await?;
        turn.index.erased(&sequences).await?;
        Ok(())
    }
}
