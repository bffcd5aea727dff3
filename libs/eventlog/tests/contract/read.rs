//! Reading one aggregate: its tail, whole or from a sequence on.

use eventlog::ReadError;

use crate::bench::{Bench, over_every_log};

over_every_log!(
    the_tail_after_a_sequence_is_read,
    an_aggregate_of_thousands_of_records_is_read_whole,
    an_unreadable_message_is_named,
);

async fn the_tail_after_a_sequence_is_read(bench: Bench) {
    let mut last = 0;
    let mut written = Vec::new();
    for number in 0..5 {
        last = bench.log.append(bench.record("a", last)).await.unwrap();
        written.push(last);
        bench
            .log
            .append(bench.record(&format!("other-{number}"), 0))
            .await
            .unwrap();
    }
    for (known, after) in [0].iter().chain(&written).enumerate() {
        let records = bench.log.read(&bench.subject("a"), *after).await.unwrap();
        let read: Vec<_> = records.iter().map(|record| record.sequence).collect();
        assert_eq!(read, written[known..], "after {after}");
    }
    assert_eq!(bench.log.read(&bench.subject("a"), 1_000).await, Ok(vec![]));
    assert_eq!(
        bench.log.read(&bench.subject("nobody"), 0).await,
        Ok(vec![])
    );
}

async fn an_aggregate_of_thousands_of_records_is_read_whole(bench: Bench) {
    let mut last = 0;
    for _ in 0..2_300 {
        last = bench.log.append(bench.record("a", last)).await.unwrap();
    }
    let records = bench.log.read(&bench.subject("a"), 0).await.unwrap();
    let read: Vec<_> = records.iter().map(|record| record.sequence).collect();
    assert_eq!(read, (1..=last).collect::<Vec<_>>());
}

async fn an_unreadable_message_is_named(bench: Bench) {
    let first = bench.log.append(bench.record("a", 0)).await.unwrap();
    let broken = bench
        .write_unreadable(bench.subject("a").as_str(), b"\xff\xff")
        .await;
    match bench.log.read(&bench.subject("a"), first).await {
        Err(ReadError::Unreadable {
            subject, sequence, ..
        }) => {
            assert_eq!((subject, sequence), (bench.subject("a"), broken));
        }
        other => panic!("{other:?}"),
    }
    // Whoever knows what comes after it is not hindered by it.
    let next = bench.log.append(bench.record("a", broken)).await.unwrap();
    assert_eq!(
        bench.log.read(&bench.subject("a"), broken).await.unwrap()[0].sequence,
        next
    );
}
