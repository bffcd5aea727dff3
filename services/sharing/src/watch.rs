//! How things stand in a division today, told anew each time that it changes (态势订阅).

use std::time::Duration;

use civic::{DivisionCode, LocalDay};
use futures::future::select_all;
use futures::{FutureExt as _, Stream, stream};
use proto::eldercare::sharing::v1 as pb;
use readmodel::Follower;
use service::Caller;
use tokio::time::Instant;
use tonic::Status;

use crate::sharing::Sharing;
use crate::{alerts_table, claims_table, elders_table, tiers_table, visits_table};

/// How long after one look the next one is at the soonest.
const AGAIN: Duration = Duration::from_secs(1);

/// The read models that situations are made of.
const OF_SITUATIONS: [&str; 5] = [
    elders_table::NAME,
    tiers_table::NAME,
    visits_table::NAME,
    alerts_table::NAME,
    claims_table::NAME,
];

/// Somebody who watches a division.
struct Watch {
    sharing: Sharing,
    caller: Caller,
    division: DivisionCode,
    last: Option<Looked>,
}

/// What was seen last.
struct Looked {
    at: Instant,
    today: LocalDay,
    /// How far the read models were before, as far as it was known.
    seen: Vec<(Follower, u64)>,
    situation: pb::Situation,
}

impl Sharing {
    /// How things stand in a division today: at once, and whenever it changes, until whoever watches goes.
    pub(crate) fn watch_situation(
        &self,
        caller: &Caller,
        division: DivisionCode,
    ) -> Result<impl Stream<Item = Result<pb::WatchSituationResponse, Status>> + Send + use<>, Status>
    {
        caller.may_where_asked(&division)?;
        let watch = Watch {
            sharing: self.clone(),
            caller: caller.clone(),
            division,
            last: None,
        };
        Ok(stream::try_unfold(watch, Watch::next))
    }
}

impl Watch {
    async fn next(mut self) -> Result<Option<(pb::WatchSituationResponse, Self)>, Status> {
        loop {
            if let Some(last) = &self.last {
                self.changes(last).await;
                tokio::time::sleep_until(last.at + AGAIN).await;
            }
            let at = Instant::now();
            // Before the look: what comes while it is taken is looked at again.
            let followers = self.sharing.followers.iter();
            let seen = followers
                .filter(|one| OF_SITUATIONS.contains(&one.projection()))
                .map(|one| (one.clone(), one.known()));
            let seen = seen.collect();
            let today = self.sharing.clock.today();
            let looking = self.sharing.situation(&self.caller, self.division, today);
            let situation = looking.await?;
            let before = self.last.replace(Looked {
                at,
                today,
                seen,
                situation: situation.clone(),
            });
            if before.is_none_or(|before| before.situation != situation) {
                let situation = Some(situation);
                return Ok(Some((pb::WatchSituationResponse { situation }, self)));
            }
        }
    }

    /// Returns once what was seen may no longer hold: a read model has moved, or another day has begun.
    async fn changes(&self, last: &Looked) {
        let moves = last.seen.iter();
        let moves = moves.map(|(follower, seen)| follower.reaches(seen + 1).boxed());
        let moves = select_all(moves);
        tokio::select! {
            _ = moves => {}
            () = self.sharing.clock.sleep_until(last.today.end()) => {}
        }
    }
}
