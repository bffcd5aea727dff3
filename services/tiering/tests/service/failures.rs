//! Whatever dies when, each change is written once, and answers stay the same.

use civic::CapabilityLevel;
use eventlog::Fault;
use service::Application as _;
use sqlx::Executor as _;

use crate::support::*;

async fn registered_many(ground: &Ground, count: u128) {
    for number in 0..count {
        let id = elder(number);
        let birth = if number.is_multiple_of(2) {
            "1940-01-01"
        } else {
            "1955-01-01"
        };
        ground.record(id, &[registered(id, birth, |_| {})]).await;
    }
}

#[tokio::test]
async fn an_append_whose_answer_is_lost_is_not_written_twice() {
    let (ground, log) = Ground::in_memory("2024-10-01").await;
    registered_many(&ground, 250).await;
    // One batch is written and its answer lost, another is never written: the evaluator starts over.
    log.fail_next(Fault::AfterWriting);
    log.fail_next(Fault::BeforeWriting);
    let world = ground.start().await;
    let mut told = world.ground.told().await;
    assert_eq!(told.len(), 250);
    told.sort();
    told.dedup();
    assert_eq!(told.len(), 250);
    world.verify().await;
    world.stop().await;
}

#[tokio::test]
async fn a_crash_between_append_and_commit_writes_nothing_twice() {
    let world = Ground::in_memory("2024-10-01").await.0.start().await;
    registered_many(&world.ground, 20).await;
    world.settled().await;
    let ground = world.stop().await;
    // As after a crash: the events are in the log, and what holds today is not in the database.
    let pool = sqlx::PgPool::connect(&ground.database).await.unwrap();
    pool.execute("DELETE FROM tiering_today.elder; UPDATE tiering_today.progress SET registry = 5, appended = 5").await.unwrap();
    let world = ground.start().await;
    assert_eq!(world.ground.told().await.len(), 20);
    let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM tiering_today.elder")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(rows, 15);
    world.stop().await;
}

#[tokio::test]
async fn without_its_database_tiering_serves_the_same_answers() {
    let world = Running::on("2024-10-01").await;
    registered_many(&world.ground, 30).await;
    world.settled().await;
    world.advance("2024-12-20").await;
    world
        .record(
            elder(1),
            &[assessed(CapabilityLevel::Moderate, "2024-12-20")],
        )
        .await;
    world.settled().await;
    let mut before = Vec::new();
    for number in 0..30 {
        before.push(world.tier(elder(number)).await);
    }
    let told = world.ground.told().await;
    let mut ground = world.stop().await;
    ground.database = backing_services::testing::fresh_database().await;
    // Somebody turns 80 while nobody looks.
    ground
        .record(elder(40), &[registered(elder(40), "1944-12-25", |_| {})])
        .await;
    ground
        .clock
        .advance_to(instant("2024-12-28T09:00:00+08:00"))
        .unwrap();
    let world = ground.start().await;
    for number in 0..30 {
        assert_eq!(
            world.tier(elder(number)).await,
            before[usize::try_from(number).unwrap()]
        );
    }
    assert_eq!(world.short(elder(40)).await.unwrap().2, "2024-12-25");
    // Assigned as of the day of the last change on record, changed on the birthday.
    assert_eq!(world.ground.told().await.len(), told.len() + 2);
    world.verify().await;
    world.stop().await;
}

#[tokio::test]
async fn a_second_instance_stands_by_and_takes_over() {
    let ground = Ground::on("2024-10-01").await;
    let first = ground.instance().await;
    let second = ground.instance().await;
    registered_many(&ground, 50).await;
    for instance in [&first, &second] {
        instance
            .app
            .settled(tokio_util::sync::CancellationToken::new())
            .await;
    }
    assert_eq!(ground.told().await.len(), 50);
    first.stop().await;
    ground
        .record(elder(1), &[assessed(CapabilityLevel::Total, "2024-10-01")])
        .await;
    second
        .app
        .settled(tokio_util::sync::CancellationToken::new())
        .await;
    assert_eq!(ground.told().await.len(), 51);
    second.stop().await;
}

#[tokio::test]
async fn a_record_that_cannot_be_read_stops_nothing() {
    let (ground, _) = Ground::in_memory("2024-10-01").await;
    let id = elder(1);
    let mut unknown = elders::codec::encode(&registered(id, "1940-01-01", |_| {}));
    unknown.event_type = "eldercare.registry.v1.ElderPraised".to_owned();
    let subject = eventlog::Subject::new("registry", "elder", &id.to_string()).unwrap();
    let record = eventlog::NewRecord {
        subject,
        expected: 0,
        metadata: ground.metadata(),
        events: vec![unknown],
    };
    ground.registry.append(record).await.unwrap();
    ground
        .record(id, &[registered(id, "1940-01-01", |_| {})])
        .await;
    let world = ground.start().await;
    assert!(world.tier(id).await.is_some());
    let parked: i64 = sqlx::query_scalar("SELECT count(*) FROM readmodel.parked")
        .fetch_one(&world.instance.pool)
        .await
        .unwrap();
    assert_eq!(parked, 1);
    world.stop().await;
}

#[tokio::test]
async fn facts_that_cannot_be_read_hold_up_nobody_else_and_are_judged_once_they_can_be() {
    let world = Ground::in_memory("2024-10-01").await.0.start().await;
    registered_many(&world.ground, 3).await;
    world.settled().await;
    let ground = world.stop().await;
    let pool = sqlx::PgPool::connect(&ground.database).await.unwrap();
    let facts: Vec<u8> =
        sqlx::query_scalar("SELECT facts FROM tiering_facts.elder WHERE elder_id = $1")
            .bind(elder(1).as_uuid())
            .fetch_one(&pool)
            .await
            .unwrap();
    let keep = async |facts: &[u8]| {
        sqlx::query("UPDATE tiering_facts.elder SET facts = $2 WHERE elder_id = $1")
            .bind(elder(1).as_uuid())
            .bind(facts.to_vec())
            .execute(&pool)
            .await
            .unwrap();
    };
    let parked = async || -> Vec<String> {
        sqlx::query_scalar(
            "SELECT subject FROM readmodel.parked WHERE projection = 'tiering evaluator'",
        )
        .fetch_all(&pool)
        .await
        .unwrap()
    };
    // Everybody is to be judged again, one of them by what nobody can read.
    keep(&[0xff; 9]).await;
    pool.execute("UPDATE tiering_today.progress SET registry = 0")
        .await
        .unwrap();
    ground
        .record(elder(2), &[assessed(CapabilityLevel::Total, "2024-10-01")])
        .await;

    let world = ground.start().await;
    let reasons = world.short(elder(2)).await.unwrap().1;
    assert_eq!(reasons, ["AGE_80", "SEVERE_DISABILITY"]);
    assert_eq!(parked().await, [elder(1).to_string()]);
    // The tier on record stays, and days go on, be it that time alone may change something.
    let kept = world.short(elder(1)).await.unwrap();
    pool.execute("UPDATE tiering_today.elder SET next_change_on = '2024-10-02'")
        .await
        .unwrap();
    world.advance("2024-10-03").await;
    assert_eq!(world.short(elder(1)).await.unwrap(), kept);
    assert_eq!(parked().await, [elder(1).to_string()]);
    let audit = world.instance.app.audit().await.unwrap();
    assert_eq!(
        (audit.elders, audit.stale, audit.mistaken_count),
        (3, vec![elder(1)], 0)
    );

    keep(&facts).await;
    world.advance("2024-10-04").await;
    assert_eq!(parked().await, Vec::<String>::new());
    world.verify().await;
    world.stop().await;
}

#[tokio::test]
async fn a_bulk_of_elders_is_judged_in_batches() {
    let (ground, _) = Ground::in_memory("2024-10-01").await;
    registered_many(&ground, 5_500).await;
    let world = ground.start().await;
    assert_eq!(world.ground.told().await.len(), 5_500);
    world.verify().await;
    // Half of them are the younger ones, who turn 80 in a later year: all on one day.
    world.advance("2035-01-02").await;
    assert_eq!(world.ground.told().await.len(), 5_500 + 2_750);
    world.stop().await;
}
