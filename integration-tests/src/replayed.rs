//! A county that is replayed, as `eldercare replay` does it, while the processes that serve it are killed.

mod clocks;
mod gateway;

use std::collections::BTreeMap;

use eldercare::{
    client::Client,
    connection::Connection,
    county::County,
    output::Progress,
    replay::{self, Extent, Played},
};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::SliceRandom as _};
use service::Secret;
use tokio::sync::watch;

use self::gateway::Gateway;
use crate::{
    System,
    callers::{self, officer, reviewer},
    process::Part,
};

/// In which order processes are killed, and how often.
#[derive(Debug, Clone, Copy)]
pub struct Blows {
    /// It gives the order, and how long it is from one to the next.
    pub seed: u64,
    /// At most so many calls come between two.
    pub between: u64,
}

impl System {
    /// Replays a county from nothing, and kills one process after another meanwhile; each is started again at once. What came
    /// out, and who was killed. Returns when all is done, and all processes run.
    ///
    /// # Errors
    /// The replay's.
    pub async fn replay(
        &mut self,
        county: &County,
        blows: Blows,
    ) -> anyhow::Result<(Played, Vec<Part>)> {
        let gateway = Gateway::before(self);
        let client = Client::new(&self.connection(&gateway))?;
        let (end, over) = watch::channel(false);
        let playing = async {
            let played = replay::play(&client, county, Extent::whole(), Progress::hidden()).await;
            end.send_replace(true);
            played
        };
        let (played, struck) = tokio::join!(playing, self.strike(&gateway, blows, over));
        let played = played?;
        self.now = gateway.now().await;
        self.settled().await;
        Ok((played, struck))
    }

    /// As whom a replay calls.
    fn connection(&self, gateway: &Gateway) -> Connection {
        let token = |claims: &service::Claims| Secret::new(self.token(claims));
        Connection {
            endpoint: gateway.endpoint(),
            token: token(&officer()),
            gateway: Some(token(&callers::gateway())),
            reviewer: Some(token(&reviewer())),
            departments: BTreeMap::new(),
        }
    }

    /// Kills one process after another until it is over: who was killed. Of each round everybody is.
    async fn strike(
        &mut self,
        gateway: &Gateway,
        blows: Blows,
        mut over: watch::Receiver<bool>,
    ) -> Vec<Part> {
        let mut random = StdRng::seed_from_u64(blows.seed);
        let (mut round, mut struck) = (Vec::new(), Vec::new());
        let (mut calls, mut due) = (gateway.calls(), 0);
        loop {
            due += random.random_range(1..=blows.between);
            tokio::select! {
                biased;
                _ended = over.wait_for(|over| *over) => return struck,
                _called = calls.wait_for(|calls| *calls >= due) => {}
            }
            if round.is_empty() {
                round.extend(Part::ALL);
                round.shuffle(&mut random);
            }
            let part = round.pop().expect("a round is not empty");
            gateway.leaves(part);
            self.kill_and_restart(part).await;
            gateway.is_back(part);
            struck.push(part);
        }
    }
}
