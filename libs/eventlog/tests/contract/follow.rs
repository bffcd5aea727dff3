//! Following a stream: everything, in order, without a gap, and what is new as soon as it is written.

use std::{sync::atomic::Ordering, time::Duration};

use backing_services::testing;
use eventlog::{
    Deliveries, Delivery, EventLog as _, Gather, JetStreamLog, ReadError, StreamSettings,
};
use futures::StreamExt as _;
use tokio::time::timeout;
use uuid::Uuid;

use crate::bench::{Bench, client, over_every_log};

over_every_log!(
    everything_comes_in_order,
    following_begins_after_a_position,
    what_is_new_comes_as_it_is_written,
    an_unreadable_message_stops_nothing,
    a_reader_ahead_of_the_log_is_told,
    a_slow_reader_misses_nothing,
    readers_from_everywhere_all_get_everything,
);

/// Takes deliveries until there are so many.
pub(crate) async fn take(deliveries: &mut Deliveries, count: usize) -> Vec<Delivery> {
    let mut taken = Vec::new();
    while taken.len() < count {
        let batch = timeout(Duration::from_secs(30), deliveries.next()).await;
        taken.extend(
            batch
                .expect("deliveries within 30 seconds")
                .unwrap()
                .unwrap(),
        );
    }
    assert_eq!(taken.len(), count, "no more than was written");
    taken
}

fn sequences(deliveries: &[Delivery]) -> Vec<u64> {
    deliveries.iter().map(Delivery::sequence).collect()
}

async fn write_some(bench: &Bench, name: &str, count: usize) {
    for part in (0..count).collect::<Vec<_>>().chunks(500) {
        let group = part
            .iter()
            .map(|number| bench.record(&format!("{name}-{number}"), 0))
            .collect();
        bench.log.append_all(group).await.unwrap();
    }
}

async fn everything_comes_in_order(bench: Bench) {
    write_some(&bench, "elder", 12_000).await;
    let mut deliveries = bench.log.subscribe(0).await.unwrap();
    let taken = take(&mut deliveries, 12_000).await;
    assert_eq!(sequences(&taken), (1..=12_000).collect::<Vec<_>>());
    match &taken[4_321] {
        Delivery::Record(record) => assert_eq!(record.subject, bench.subject("elder-4321")),
        Delivery::Unreadable { reason, .. } => panic!("{reason}"),
    }
}

async fn following_begins_after_a_position(bench: Bench) {
    write_some(&bench, "elder", 10).await;
    for after in [1, 9, 10] {
        let mut deliveries = bench.log.subscribe(after).await.unwrap();
        let sequence = bench
            .log
            .append(bench.record(&format!("after-{after}"), 0))
            .await
            .unwrap();
        let count = usize::try_from(sequence - after).unwrap();
        let taken = take(&mut deliveries, count).await;
        assert_eq!(
            sequences(&taken),
            (after + 1..=sequence).collect::<Vec<_>>()
        );
    }
}

async fn what_is_new_comes_as_it_is_written(bench: Bench) {
    let mut deliveries = bench.log.subscribe(0).await.unwrap();
    for number in 0..50 {
        let sequence = bench
            .log
            .append(bench.record(&format!("elder-{number}"), 0))
            .await
            .unwrap();
        assert_eq!(sequences(&take(&mut deliveries, 1).await), [sequence]);
    }
}

async fn an_unreadable_message_stops_nothing(bench: Bench) {
    let subject = bench.subject("broken");
    bench.log.append(bench.record("a", 0)).await.unwrap();
    bench.write_unreadable(subject.as_str(), b"\xff\xff").await;
    bench.write_unreadable(subject.as_str(), b"").await;
    bench.log.append(bench.record("b", 0)).await.unwrap();
    let mut deliveries = bench.log.subscribe(0).await.unwrap();
    let taken = take(&mut deliveries, 4).await;
    assert_eq!(sequences(&taken), [1, 2, 3, 4]);
    match &taken[1] {
        Delivery::Unreadable {
            sequence,
            subject: of,
            reason,
            payload,
        } => {
            assert_eq!(
                (*sequence, of.as_str(), &payload[..]),
                (2, subject.as_str(), &b"\xff\xff"[..])
            );
            assert!(!reason.is_empty());
        }
        Delivery::Record(record) => panic!("{record:?}"),
    }
    assert!(matches!(taken[2], Delivery::Unreadable { .. }));
    assert!(matches!(taken[3], Delivery::Record(_)));
}

async fn a_reader_ahead_of_the_log_is_told(bench: Bench) {
    bench.log.append(bench.record("a", 0)).await.unwrap();
    let refused = bench.log.subscribe(2).await.err();
    assert_eq!(refused, Some(ReadError::Behind { after: 2, last: 1 }));
}

async fn a_slow_reader_misses_nothing(bench: Bench) {
    let mut deliveries = bench.log.subscribe(0).await.unwrap();
    let mut taken = Vec::new();
    for round in 0..6 {
        write_some(&bench, &format!("round-{round}"), 3_000).await;
        // One batch for 3,000 that were written: most of them pile up.
        let batch = deliveries.next().await.unwrap().unwrap();
        taken.extend(batch.iter().map(Delivery::sequence));
    }
    let rest = take(&mut deliveries, 18_000 - taken.len()).await;
    taken.extend(rest.iter().map(Delivery::sequence));
    assert_eq!(taken, (1..=18_000).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn followers_may_have_a_connection_of_their_own() {
    let client = client(testing::nats().await.url()).await;
    let own = crate::bench::client(testing::nats().await.url()).await;
    let context = format!("t{}", Uuid::new_v4().simple());
    let settings = StreamSettings::of(&context, Gather::GroupsOnly);
    let log = JetStreamLog::open(client, settings).await.unwrap();
    let log = log.following_over(own.clone()).await.unwrap();
    let received = || own.statistics().in_messages.load(Ordering::Relaxed);
    let before = received();
    let mut deliveries = log.subscribe(0).await.unwrap();
    let mut record = Bench::memory_of(&context).await.record("a", 0);
    for expected in 0..10 {
        record.expected = expected;
        log.append(record.clone()).await.unwrap();
    }
    take(&mut deliveries, 10).await;
    assert!(received() - before >= 10);
}

async fn readers_from_everywhere_all_get_everything(bench: Bench) {
    const ALL: usize = 9_000;
    write_some(&bench, "before", 3_000).await;
    // One reads from the start, one from the middle, one from the end; each is followed by one that comes while others write.
    let mut readers = Vec::new();
    for after in [0, 1_500, 3_000] {
        readers.push((after, bench.log.subscribe(after).await.unwrap()));
    }
    write_some(&bench, "then", 3_000).await;
    for after in [0, 3_000, 4_500] {
        readers.push((after, bench.log.subscribe(after).await.unwrap()));
    }
    let reading = readers
        .into_iter()
        .map(|(after, mut deliveries)| async move {
            let first = usize::try_from(after).unwrap();
            let taken = take(&mut deliveries, ALL - first).await;
            assert_eq!(
                sequences(&taken),
                (after + 1..=ALL as u64).collect::<Vec<_>>()
            );
        });
    let reading = futures::future::join_all(reading);
    futures::join!(reading, write_some(&bench, "last", 3_000));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_reads_what_is_new_shares_it() {
    let client = client(testing::nats().await.url()).await;
    let context = format!("t{}", Uuid::new_v4().simple());
    let settings = StreamSettings::of(&context, Gather::GroupsOnly);
    let log = JetStreamLog::open(client, settings).await.unwrap();
    let own = crate::bench::client(testing::nats().await.url()).await;
    let log = log.following_over(own.clone()).await.unwrap();
    let mut readers = Vec::new();
    for _ in 0..5 {
        readers.push(log.subscribe(0).await.unwrap());
    }
    let mut record = Bench::memory_of(&context).await.record("a", 0);
    let received = || own.statistics().in_messages.load(Ordering::Relaxed);
    // Once they all have come to the end, each record comes once.
    for round in 0.. {
        assert!(round < 100, "they never share");
        let before = received();
        for _ in 0..50 {
            record.expected = log.append(record.clone()).await.unwrap();
        }
        for reader in &mut readers {
            take(reader, 50).await;
        }
        if received() - before < 100 {
            break;
        }
    }
    let last = record.expected;
    // Whoever stays goes on when others go, and who comes anew finds the place.
    readers.truncate(1);
    readers.push(log.subscribe(last).await.unwrap());
    record.expected = log.append(record.clone()).await.unwrap();
    for reader in &mut readers {
        assert_eq!(sequences(&take(reader, 1).await), [last + 1]);
    }
    readers.clear();
    let mut alone = log.subscribe(last).await.unwrap();
    assert_eq!(sequences(&take(&mut alone, 1).await), [last + 1]);
    log.append(record).await.unwrap();
    assert_eq!(sequences(&take(&mut alone, 1).await), [last + 2]);
}
