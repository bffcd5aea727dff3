//! What a department fetches over NATS goes by its agreements: what only an ended one granted is not to be had from the end on,
//! by no call and whatever the publisher is at, and the rest goes on.

use std::collections::BTreeSet;

use backing_services::testing;
use eventlog::{Aggregate as _, Subject};
use proto::eldercare::sharing::v1 as pb;
use sharing::agreement::{Agreement, Event};
use sqlx::{Connection as _, PgConnection};
use tokio::time::timeout;

use crate::support::department::{Department, Told};
use crate::support::feeds::{PATIENCE, lying};
use crate::support::{Ground, Running, approver, date, grant, guard, terms};

/// Files and visits, of which two feeds come.
fn files() -> pb::AgreementTerms {
    terms(&[
        grant("elder", &["elder_id", "status"], &["name"]),
        grant("visit", &["record_id"], &[]),
    ])
}

fn tiers() -> pb::AgreementTerms {
    terms(&[grant("tier", &["tier"], &[])])
}

/// Sharing over a database of its own, which it names, with a department that reads tiers by one agreement and something else by
/// another; and that agreement.
async fn agreed(
    ground: &Ground,
    other: &pb::AgreementTerms,
) -> (Running, String, Department, String) {
    let database = testing::fresh_database().await;
    let running = ground.start_on(database.clone()).await;
    ground.known_to_all().await;
    running.agreed(&tiers()).await;
    let agreement = running.agreed(other).await;
    let department = Department::let_in(&running).await;
    (running, database, department, agreement)
}

/// Has the publisher hang once it has written to the stream what it is about to, before anything is taken away there: until this
/// connection is closed.
async fn publisher_hangs(database: &str) -> PgConnection {
    let mut db = PgConnection::connect(database).await.unwrap();
    sqlx::raw_sql("BEGIN; LOCK TABLE sharing_kept.feed IN ACCESS EXCLUSIVE MODE")
        .execute(&mut db)
        .await
        .unwrap();
    db
}

/// Has the table of agreements stand still, so that it can be read, but learns of nothing: until this connection is closed.
async fn agreements_stand_still(database: &str) -> PgConnection {
    let mut db = PgConnection::connect(database).await.unwrap();
    sqlx::raw_sql("BEGIN; LOCK TABLE sharing_book.agreement IN SHARE MODE")
        .execute(&mut db)
        .await
        .unwrap();
    db
}

/// Waits until nothing is to be had any more, from the first message on.
async fn until_it_rests(department: &Department) {
    let resting = async { while !department.fetched_again().await.is_empty() {} };
    let resting = timeout(PATIENCE, resting).await;
    resting.expect("nothing is to be had any more");
}

fn names(told: &[Told]) -> BTreeSet<String> {
    told.iter().map(Told::name).collect()
}

/// Of files and visits nothing is told but that their feeds are over, and of tiers all that lies there, once.
async fn tells_of_tiers_alone(ground: &Ground, told: &[Told]) {
    let (of_tiers, others): (Vec<&Told>, Vec<&Told>) =
        told.iter().partition(|one| one.product == "tier");
    let others: Vec<String> = others.into_iter().map(Told::name).collect();
    assert_eq!(others, ["elder FeedEnded", "visit FeedEnded"]);
    let lying = lying(ground).await.into_iter();
    let lying = lying.filter(|one| one.subject.starts_with("feed.health.tier."));
    let bodies: Vec<String> = lying
        .map(|one| String::from_utf8(one.payload.to_vec()).unwrap())
        .collect();
    let told: Vec<&String> = of_tiers.into_iter().map(|one| &one.body).collect();
    assert_eq!(told, bodies.iter().collect::<Vec<_>>());
}

#[tokio::test]
async fn what_only_an_ended_agreement_granted_is_not_to_be_had_by_any_call_and_the_other_goes_on() {
    let ground = Ground::at("2024-03-01 09:10").with_doors().await;
    let (running, database, mut department, ended) = agreed(&ground, &files()).await;
    let before = department.fetched_until("visit FeedCaughtUp").await;
    for product in ["elder", "tier", "visit"] {
        assert!(names(&before).contains(&format!("{product} DocumentShared")));
    }
    // Somebody waits already when it ends.
    let mut waiting = department.waits().await;
    let hanging = publisher_hangs(&database).await;
    running.end_as(&guard(), &ended).await.unwrap();
    let there = lying(&ground).await;
    let mut there = there.iter().map(|message| message.subject.as_str());
    assert!(there.any(|subject| subject == "feed.health.visit.350524.DocumentShared"));
    assert_eq!(department.fetched_again().await, []);
    let consumer = department.consumer.clone();
    for subject in [
        format!("$JS.API.CONSUMER.PAUSE.FEEDS.{consumer}"),
        format!("$JS.API.CONSUMER.INFO.FEEDS.{consumer}"),
        "$JS.API.CONSUMER.CREATE.FEEDS".to_owned(),
        "$JS.API.CONSUMER.CREATE.FEEDS.mine.feed.health.>".to_owned(),
        "$JS.API.CONSUMER.DURABLE.CREATE.FEEDS.mine".to_owned(),
        "$JS.API.CONSUMER.MSG.NEXT.FEEDS.mine".to_owned(),
        "$JS.API.CONSUMER.RESET.FEEDS.mine".to_owned(),
        "$JS.API.DIRECT.GET.FEEDS".to_owned(),
        "$JS.API.DIRECT.GET.FEEDS.feed.health.visit.350524.DocumentShared".to_owned(),
        "$JS.API.STREAM.MSG.GET.FEEDS".to_owned(),
        "$JS.API.STREAM.SNAPSHOT.FEEDS".to_owned(),
        "$JS.API.STREAM.CREATE.MINE".to_owned(),
    ] {
        department.may_not_ask(&subject).await;
    }
    department.may_not_hear("feed.health.>").await;
    assert_eq!(department.fetched_again().await, []);

    // The publisher may have been quicker than the rest: that feeds are over may be heard.
    let heard = Department::heard(&mut waiting);
    assert!(
        heard.iter().all(|one| one.event == "FeedEnded"),
        "{heard:?}"
    );

    // Whoever waits goes on with what is left, from where the consumer was set to.
    hanging.close().await.unwrap();
    let told = department
        .hears_until(&mut waiting, "visit FeedEnded")
        .await;
    running.settled().await;
    tells_of_tiers_alone(&ground, &told).await;
    let elder = ground.elder().await;
    ground.tiered(elder, "GENERAL", "2024-03-01").await;
    let next = department
        .hears_until(&mut waiting, "tier TierAssigned")
        .await;
    // What came with the elder may hold the tier already.
    let (came, assigned): (Vec<_>, Vec<_>) =
        next.iter().partition(|one| one.event == "DocumentShared");
    assert!(came.iter().all(|one| one.product == "tier"), "{next:?}");
    assert_eq!(assigned.len(), 1, "{next:?}");
    running.stop().await;
}

#[tokio::test]
async fn who_is_erased_is_erased_on_every_feed_that_told_of_them_also_on_one_that_has_ended() {
    let ground = Ground::at("2024-03-01 09:10").with_doors().await;
    let database = testing::fresh_database().await;
    let running = ground.start_on(database).await;
    let elder = ground.known_to_all().await;
    running.agreed(&tiers()).await;
    let ended = running.agreed(&files()).await;
    let department = Department::let_in(&running).await;
    running.end_as(&guard(), &ended).await.unwrap();
    ground.is_erased(elder).await;
    running.settled().await;
    let told = department.fetched_until("visit ElderErased").await;
    let tombstones: Vec<String> = told
        .iter()
        .filter(|one| one.event == "ElderErased")
        .map(Told::name)
        .collect();
    let tombstones: BTreeSet<&str> = tombstones.iter().map(String::as_str).collect();
    let expected = ["elder ElderErased", "tier ElderErased", "visit ElderErased"];
    assert_eq!(tombstones, BTreeSet::from(expected));
    running.stop().await;
}

#[tokio::test]
async fn an_end_that_nobody_saw_to_is_seen_to_whoever_died_when() {
    let ground = Ground::at("2024-03-01 09:10").with_doors().await;
    let (running, database, department, ended) = agreed(&ground, &files()).await;
    department.fetched_until("visit FeedCaughtUp").await;
    // Who ended it died when that was on record.
    let hanging = publisher_hangs(&database).await;
    let reason = "NO_NEED".to_owned();
    let event = Agreement::encode(&Event::Ended { reason });
    let subject = Subject::new("sharing", Agreement::NAME, &ended).unwrap();
    ground.write(&ground.logs.own, subject, vec![event]).await;
    until_it_rests(&department).await;
    // Then the publisher, once it had said so, before anything was taken away.
    let (ground, database) = running.stop().await;
    hanging.close().await.unwrap();
    assert_eq!(department.fetched_again().await, []);
    let running = ground.start_on(database).await;
    department.set_back().await;
    let told = department.fetched_until("visit FeedEnded").await;
    tells_of_tiers_alone(&ground, &told).await;
    running.stop().await;
}

#[tokio::test]
async fn an_end_takes_effect_before_the_table_of_agreements_knows_of_it() {
    let ground = Ground::at("2024-03-01 09:10").with_doors().await;
    let (running, database, department, ended) = agreed(&ground, &files()).await;
    department.fetched_until("visit FeedCaughtUp").await;
    let behind = agreements_stand_still(&database).await;
    let guard = guard();
    let rests = async {
        until_it_rests(&department).await;
        assert_eq!(department.fetched_again().await, []);
        behind.close().await.unwrap();
    };
    // Its caller waits for the table, be it in vain.
    let (_answer, ()) = tokio::join!(running.end_as(&guard, &ended), rests);
    running.settled().await;
    department.set_back().await;
    let told = department.fetched_until("visit FeedEnded").await;
    tells_of_tiers_alone(&ground, &told).await;
    running.stop().await;
}

#[tokio::test]
async fn an_agreement_whose_last_day_is_over_is_withdrawn_at_midnight_whatever_the_publisher_is_at()
{
    let ground = Ground::at("2024-03-01 09:10").with_doors().await;
    let until_today = pb::AgreementTerms {
        until: date("2024-03-01"),
        ..files()
    };
    let (running, database, department, _) = agreed(&ground, &until_today).await;
    department.fetched_until("visit FeedCaughtUp").await;
    let hanging = publisher_hangs(&database).await;
    running.advance("2024-03-02 00:00");
    until_it_rests(&department).await;
    hanging.close().await.unwrap();
    running.settled().await;
    department.set_back().await;
    let told = department.fetched_until("visit FeedEnded").await;
    tells_of_tiers_alone(&ground, &told).await;
    running.stop().await;
}

#[tokio::test]
async fn what_was_suspended_and_is_approved_again_is_told_anew() {
    let ground = Ground::at("2024-03-01 09:10").with_doors().await;
    let (running, _, department, suspended) = agreed(&ground, &files()).await;
    department.fetched_until("visit FeedCaughtUp").await;
    running.suspend_as(&guard(), &suspended).await.unwrap();
    running.settled().await;
    department.set_back().await;
    let told = department.fetched_until("visit FeedEnded").await;
    tells_of_tiers_alone(&ground, &told).await;
    running.approve_as(&approver(), &suspended).await.unwrap();
    let anew = department.fetched_until("visit FeedCaughtUp").await;
    for name in [
        "elder FeedBegun",
        "elder DocumentShared",
        "visit DocumentShared",
    ] {
        assert!(names(&anew).contains(name), "{name} in {anew:?}");
    }
    running.stop().await;
}

#[tokio::test]
async fn what_another_agreement_grants_masked_is_not_to_be_had_in_plain_once_that_has_ended() {
    let ground = Ground::at("2024-03-01 09:10").with_doors().await;
    let database = testing::fresh_database().await;
    let running = ground.start_on(database.clone()).await;
    ground.known_to_all().await;
    running.agreed(&files()).await;
    let plain = terms(&[grant("elder", &["name"], &[])]);
    let plain = running.agreed(&plain).await;
    let department = Department::let_in(&running).await;
    let tells_the_name = |told: &[Told]| told.iter().any(|one| one.body.contains("王秀英"));
    assert!(tells_the_name(
        &department.fetched_until("elder FeedCaughtUp").await
    ));
    let hanging = publisher_hangs(&database).await;
    running.end_as(&guard(), &plain).await.unwrap();
    assert_eq!(department.fetched_again().await, []);
    hanging.close().await.unwrap();
    running.settled().await;
    department.set_back().await;
    let told = department.fetched_until("elder FeedCaughtUp").await;
    assert!(names(&told).contains("elder DocumentShared"));
    assert!(!tells_the_name(&told), "{told:?}");
    running.stop().await;
}
