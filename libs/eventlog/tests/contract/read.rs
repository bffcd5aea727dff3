//! Reading one aggregate: its tail, whole or from a sequence on.

use eventlog::{Delivery, ReadError};
use futures::StreamExt as _;

use crate::bench::{Bench, over_every_log};

over_every_log!(
    the_tail_after_a_sequence_is_read,
    an_aggregate_of_thousands_of_records_is_read_whole,
    an_unreadable_message_is_named,
    the_messages_of_the_stream_are_read_as_they_lie_there,
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

async fn the_messages_of_the_stream_are_read_as_they_lie_there(bench: Bench) {
    let mut written = Vec::new();
    for id in ["a", "b", "c"] {
        let record = bench.record(id, 0);
        written.push(record.clone());
        bench.log.append(record).await.unwrap();
    }
    let broken = bench
        .write_unreadable(bench.subject("d").as_str(), b"\xff")
        .await;
    let messages = bench.log.messages(0, 100).await.unwrap();
    let sequences: Vec<_> = messages.iter().map(|message| message.sequence).collect();
    assert_eq!(sequences, (1..=broken).collect::<Vec<_>>());
    for (message, record) in messages.iter().zip(&written) {
        assert_eq!(message.subject, record.subject.as_str());
        let header = |name: &str| {
            let mut found = message.headers.iter().filter(|(other, _)| other == name);
            found.next().map(|(_, value)| value.clone())
        };
        let id = record.metadata.request_id.to_string();
        assert_eq!(header("ce-requestid"), Some(id));
        assert_eq!(header("Nats-Sequence"), None);
        assert!(message.headers.is_sorted_by_key(|(name, _)| name.clone()));
    }
    // The body is that of the record which is delivered for the same sequence.
    let mut deliveries = bench.log.subscribe(0).await.unwrap();
    let mut bodies = messages.iter().map(|message| &message.body);
    let mut seen = 0;
    while seen < broken {
        for delivery in deliveries.next().await.unwrap().unwrap() {
            let body = bodies.next().unwrap();
            seen = delivery.sequence();
            match delivery {
                Delivery::Record(record) => {
                    let data = &record.events[0].data[..];
                    assert!(body.windows(data.len()).any(|part| part == data));
                }
                Delivery::Unreadable { payload, .. } => assert_eq!(*body, payload),
            }
        }
    }
    let last = messages.last().unwrap();
    assert_eq!(last.subject, bench.subject("d").as_str());
    assert_eq!(&last.body[..], b"\xff");
    // So many at most, after a sequence, and the same each time.
    assert_eq!(bench.log.messages(1, 2).await.unwrap(), messages[1..3]);
    assert_eq!(bench.log.messages(broken, 2).await, Ok(vec![]));
    assert_eq!(bench.log.messages(0, 100).await, Ok(messages));
}
