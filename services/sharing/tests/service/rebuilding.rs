//! All read models are built anew while events go on to arrive, five hundred a second: nothing is lost and nothing doubled, neither
//! in their rows nor on the feeds that are made of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use backing_services::testing;
use civic::{ElderId, HandicapGrade};
use elders::event::Event;
use eventlog::EventLog;
use proto::eldercare::sharing::v1 as pb;
use readmodel::{Projection, rebuild, verify};
use sharing::alerts_table::AlertsTable;
use sharing::book_table::BookTable;
use sharing::cards_table;
use sharing::claims_table::ClaimsTable;
use sharing::elders_table::EldersTable;
use sharing::tiers_table::TiersTable;
use sharing::visits_table::VisitsTable;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::logs::events_after;
use crate::support::{Ground, OTHER_VILLAGE, VILLAGE, at, doctor, grant, terms};

/// How many elders there are.
const ELDERS: usize = 200;
/// Ten events come at each tick: five hundred a second.
const TICK: Duration = Duration::from_millis(20);
/// So many records come at least while read models are built anew.
const RECORDS: u64 = 2_500;

/// Does the same with each read model of sharing, one after the other.
macro_rules! with_each_model {
    ($does:ident, $pool:expr, $logs:expr) => {{
        $does($pool, &$logs.registry, EldersTable).await;
        $does($pool, &$logs.registry, cards_table::TABLE).await;
        $does($pool, &$logs.tiering, TiersTable).await;
        $does($pool, &$logs.visits, VisitsTable).await;
        $does($pool, &$logs.alerts, AlertsTable).await;
        $does($pool, &$logs.claims, ClaimsTable).await;
        $does($pool, &$logs.own, BookTable).await;
    }};
}

async fn rebuilt<P: Projection>(pool: &PgPool, log: &Arc<dyn EventLog>, fold: P) {
    let name = fold.name();
    let rebuilding = rebuild(pool, Arc::clone(log), fold, |_| {}).await;
    assert!(rebuilding.is_ok(), "{name}: {rebuilding:?}");
}

/// Row by row it is what the log gives, read once more from its beginning.
async fn is_what_the_log_says<P: Projection>(pool: &PgPool, log: &Arc<dyn EventLog>, fold: P) {
    let found = verify(pool, Arc::clone(log), fold, |_| {}).await.unwrap();
    assert!(found.is_empty(), "{found:?}");
    assert!(found.rows > 0, "{found:?}");
    assert_eq!(found.position.sequence, log.last_sequence().await.unwrap());
}

/// Health is told of all that happens.
fn granted() -> pb::AgreementTerms {
    let elder = ["elder_id", "division_code", "handicap_grade"];
    terms(&[
        grant("elder", &elder, &["name"]),
        grant("tier", &["tier", "since"], &[]),
        grant("visit", &["record_id", "start_time"], &[]),
        grant("alert", &["alert_id", "state"], &[]),
        grant("order", &["order_key", "state"], &[]),
        grant("enrolment", &["enrolment_id", "units_used"], &[]),
    ])
}

/// Where the logs of the other services end.
async fn ends(ground: &Ground) -> [u64; 5] {
    let mut ends = [0; 5];
    for (log, end) in ground.logs_in_order().into_iter().zip(&mut ends) {
        *end = log.last_sequence().await.unwrap();
    }
    ends
}

/// Ten events of an elder, in all logs.
async fn happens(ground: &Ground, elder: ElderId, round: usize) {
    let (village, tier) = match round % 2 {
        0 => (OTHER_VILLAGE, "PRIORITY"),
        _ => (VILLAGE, "GENERAL"),
    };
    ground.moves(elder, village, "2024-03-01").await;
    let grade = HandicapGrade::ALL[round % HandicapGrade::ALL.len()];
    let graded = Event::HandicapRecorded {
        grade: Some(grade),
        on: None,
    };
    ground.record(elder, &[graded]).await;
    ground.tiered(elder, tier, "2024-03-01").await;
    let starts = [at("2024-03-01 08:00"), at("2024-03-01 08:30")];
    ground.visited(elder, &starts).await;
    let alert = ground.alerted(elder, "2024-03-01 08:00").await;
    let on = "2024-03-01 08:01";
    ground.acknowledged(elder, &alert, on).await;
    for order in ["A", "B"] {
        ground.ordered(elder, order, "2024-03-01 07:00").await;
    }
    ground.enrolled(elder).await;
}

/// Events come at their pace until that is enough. What was late is caught up with.
async fn load(ground: &Ground, elders: &[ElderId], enough: &CancellationToken) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for (number, elder) in elders.iter().cycle().enumerate() {
        ticks.tick().await;
        if enough.is_cancelled() {
            return;
        }
        happens(ground, *elder, number / elders.len()).await;
    }
}

/// All read models are built anew, again and again, until enough has come meanwhile.
async fn rebuild_all(ground: &Ground, pool: &PgPool, enough: CancellationToken) {
    let since = Instant::now();
    let begun: u64 = ends(ground).await.iter().sum();
    let mut come = 0;
    while come < RECORDS {
        with_each_model!(rebuilt, pool, ground.logs);
        let end: u64 = ends(ground).await.iter().sum();
        assert!(end - begun > come, "nothing came while it was rebuilt");
        come = end - begun;
    }
    // How fast that was depends on the machine, on which nothing rests here.
    println!("{come} records came in {:?}", since.elapsed());
    enough.cancel();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rebuilding_while_five_hundred_events_a_second_arrive_loses_and_doubles_none() {
    let ground = Ground::at("2024-03-01 09:10").with_feeds().await;
    let mut elders = Vec::new();
    for number in 0..ELDERS {
        let elder = ground.elder().await;
        happens(&ground, elder, number).await;
        elders.push(elder);
    }
    let database = testing::fresh_database().await;
    let running = ground.start_on(database.clone()).await;
    running.agreed(&granted()).await;
    let begun = ends(&ground).await;

    let pool = PgPoolOptions::new().max_connections(4);
    let pool = pool.connect(&database).await.unwrap();
    let enough = CancellationToken::new();
    tokio::join!(
        load(&ground, &elders, &enough),
        rebuild_all(&ground, &pool, enough.clone()),
    );

    // Each event that came is on the feeds once, with nothing missing between.
    let told = running.feed_from(&doctor(), 500, None).await;
    let mut ids = BTreeSet::new();
    let mut heard: BTreeMap<(String, String), usize> = BTreeMap::new();
    for one in told.iter().filter(|one| !one.source_position.is_empty()) {
        assert!(ids.insert((&one.id, &one.product)), "{} twice", one.id);
        let event = (one.source_position.clone(), one.event.clone());
        *heard.entry(event).or_default() += 1;
    }
    let mut came: BTreeMap<(String, String), usize> = BTreeMap::new();
    for (log, begun) in ground.logs_in_order().into_iter().zip(begun) {
        for event in events_after(log, begun).await {
            let event = (event.position.clone(), event.name().to_owned());
            *came.entry(event).or_default() += 1;
        }
    }
    assert!(came.len() >= usize::try_from(RECORDS).unwrap());
    for (event, times) in &came {
        assert_eq!(heard.get(event), Some(times), "{event:?}");
    }
    assert_eq!(heard.len(), came.len());

    with_each_model!(is_what_the_log_says, &pool, ground.logs);
    pool.close().await;
    running.stop().await;
}
