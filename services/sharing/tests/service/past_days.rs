//! How things stood on past days is what follows from the logs, reckoned once more by other means: while sharing reads on, once its
//! read models are built anew, and once its database is lost.

mod play;
mod reckoned;

use std::collections::BTreeSet;
use std::sync::Arc;

use backing_services::testing;
use eventlog::EventLog;
use proto::eldercare::sharing::v1 as pb;
use readmodel::{Projection, rebuild, verify};
use sharing::claims_table::ClaimsTable;
use sharing::elders_table::EldersTable;
use sharing::tiers_table::TiersTable;
use sharing::visits_table::VisitsTable;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

use self::play::Play;
use self::reckoned::Reckoned;
use crate::situation::situation;
use crate::support::{COUNTY, Ground, OTHER_TOWN, Running, TOWN, VILLAGE, day};

/// From this all follows.
const SEED: u64 = 20_240_220;
/// So much happens before sharing is started, and so much more while it runs.
const DEEDS: usize = 500;
/// Days are looked at in such steps: every day of the week has its turn.
const STEP: i64 = 3;
const DIVISIONS: [&str; 4] = [COUNTY, TOWN, OTHER_TOWN, VILLAGE];

/// What was among all that was compared.
#[derive(Debug, Default)]
struct Compared {
    situations: usize,
    states: BTreeSet<String>,
    programmes: BTreeSet<String>,
    /// Coverage that is neither none nor all.
    partly_covered: usize,
    partly_met: usize,
    missed: usize,
}

impl Compared {
    fn add(&mut self, told: &pb::Situation) {
        self.situations += 1;
        let states = told.orders.iter().map(|count| count.state.clone());
        self.states.extend(states);
        let funds = told.funds.iter().filter(|fund| fund.paid_fen > 0);
        let programmes = funds.map(|fund| fund.programme_code.clone());
        self.programmes.extend(programmes);
        let visits = told.visits.as_ref().unwrap();
        let partly = |part: i64, whole: i64| usize::from(0 < part && part < whole);
        self.partly_covered += partly(visits.covered_elders, visits.in_scope_elders);
        self.partly_met += partly(visits.met_duties, visits.owed_duties);
        self.missed += partly(visits.missed_duties, visits.closed_duties);
    }
}

/// Every few days of what was played, today among them, are what follows from the logs.
async fn compare(running: &Running) -> Compared {
    running.settled().await;
    let reckoned = Reckoned::of(&running.ground).await;
    let mut compared = Compared::default();
    let mut on = running.ground.clock.today();
    while on >= day("2024-01-30") {
        for division in DIVISIONS {
            let told = situation(running, division, Some(&on.to_string())).await;
            let mut told = told.unwrap();
            // Nobody calls for help.
            let times = told.response_times.take().unwrap_or_default();
            assert_eq!(times.alerts, 0);
            assert_eq!(told, reckoned.situation(division, on));
            compared.add(&told);
        }
        on = on.plus_days(-STEP);
    }
    compared
}

/// A read model is as its log says, also once it is built anew.
async fn is_built_anew<P: Projection>(pool: &PgPool, log: &Arc<dyn EventLog>, fold: fn() -> P) {
    let found = verify(pool, Arc::clone(log), fold(), |_| {}).await;
    let found = found.unwrap();
    assert!(found.is_empty() && found.rows > 0, "{found:?}");
    let rebuilding = rebuild(pool, Arc::clone(log), fold(), |_| {}).await;
    assert!(rebuilding.is_ok(), "{rebuilding:?}");
}

#[tokio::test]
async fn past_days_are_what_follows_from_the_logs_whatever_is_lost() {
    let ground = Ground::at("2024-02-01 08:00");
    let mut play = Play::begun(&ground, SEED).await;
    play.goes_on(DEEDS).await;
    let database = testing::fresh_database().await;
    let running = ground.start_on(database.clone()).await;
    compare(&running).await;
    play.goes_on(DEEDS).await;
    let compared = compare(&running).await;
    assert_eq!(compared.states.len(), 6, "{compared:?}");
    assert_eq!(compared.programmes.len(), 2, "{compared:?}");
    assert!(compared.situations > 50, "{compared:?}");
    assert!(compared.partly_covered > 10, "{compared:?}");
    assert!(compared.partly_met > 10, "{compared:?}");
    assert!(compared.missed > 5, "{compared:?}");

    let pool = PgPoolOptions::new().max_connections(4);
    let pool = pool.connect(&database).await.unwrap();
    let logs = &ground.logs;
    is_built_anew(&pool, &logs.registry, EldersTable::default).await;
    is_built_anew(&pool, &logs.tiering, TiersTable::default).await;
    is_built_anew(&pool, &logs.visits, VisitsTable::default).await;
    is_built_anew(&pool, &logs.claims, ClaimsTable::default).await;
    compare(&running).await;
    pool.close().await;
    running.stop().await;

    let running = ground.start().await;
    compare(&running).await;
    running.stop().await;
}
