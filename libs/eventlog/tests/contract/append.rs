//! Writing: what is expected decides, and what belongs together is written together.

use std::sync::Arc;

use eventlog::{AppendError, ReadError};
use futures::future::join_all;
use uuid::Uuid;

use crate::bench::{Bench, event, over_every_log};

over_every_log!(
    a_record_is_written_and_read_as_it_was,
    a_stale_expectation_is_refused,
    of_two_creators_exactly_one_wins,
    many_writers_of_one_aggregate_all_get_their_turn,
    writers_of_many_aggregates_don_t_disturb_each_other,
    a_group_is_written_together_in_order,
    one_conflict_refuses_a_whole_group,
    groups_that_compete_never_mix,
    a_conflict_in_a_crowd_refuses_only_itself,
    a_large_record_is_written_and_a_huge_one_refused,
    what_no_log_takes_is_refused,
);

async fn a_record_is_written_and_read_as_it_was(bench: Bench) {
    let mut new = bench.record("a", 0);
    new.events.push(event("testing.HappenedToo", b"\x00\xff"));
    new.metadata.actor = "\u{9648}\u{660e} \"%\"".to_owned();
    new.metadata.causation_id = Some(Uuid::new_v4());
    new.metadata.traceparent =
        Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned());
    new.metadata.answers = Some("TIERING:42".parse().unwrap());
    let sequence = bench.log.append(new.clone()).await.unwrap();
    assert_eq!(sequence, 1);

    let records = bench.log.read(&new.subject, 0).await.unwrap();
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].sequence, 1);
    assert_eq!(records[0].subject, new.subject);
    assert_eq!(records[0].metadata, new.metadata);
    assert_eq!(records[0].events, new.events);
    assert_eq!(bench.log.last_sequence().await, Ok(1));
}

async fn a_stale_expectation_is_refused(bench: Bench) {
    let first = bench.log.append(bench.record("a", 0)).await.unwrap();
    let second = bench.log.append(bench.record("a", first)).await.unwrap();
    for stale in [0, first, second + 1] {
        assert_eq!(
            bench.log.append(bench.record("a", stale)).await,
            Err(AppendError::Conflict {
                subject: bench.subject("a")
            })
        );
    }
    bench.log.append(bench.record("b", 0)).await.unwrap();
    bench.log.append(bench.record("a", second)).await.unwrap();
}

async fn of_two_creators_exactly_one_wins(bench: Bench) {
    for round in 0..20 {
        let id = format!("round-{round}");
        let creators = join_all((0..8).map(|_| bench.log.append(bench.record(&id, 0)))).await;
        assert_eq!(creators.iter().filter(|creator| creator.is_ok()).count(), 1);
        for refused in creators.into_iter().filter_map(Result::err) {
            assert_eq!(
                refused,
                AppendError::Conflict {
                    subject: bench.subject(&id)
                }
            );
        }
        assert_eq!(
            bench.log.read(&bench.subject(&id), 0).await.unwrap().len(),
            1
        );
    }
}

async fn many_writers_of_one_aggregate_all_get_their_turn(bench: Bench) {
    let bench = Arc::new(bench);
    let writers = (0..64).map(|_| {
        let bench = Arc::clone(&bench);
        tokio::spawn(async move {
            let request = Uuid::new_v4();
            loop {
                let tail = bench.log.read(&bench.subject("a"), 0).await.unwrap();
                let mut record = bench.record("a", tail.last().map_or(0, |last| last.sequence));
                record.metadata.request_id = request;
                match bench.log.append(record).await {
                    Ok(sequence) => return (sequence, request),
                    Err(AppendError::Conflict { .. }) => {}
                    Err(other) => panic!("{other}"),
                }
            }
        })
    });
    let mut written: Vec<_> = join_all(writers)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    written.sort_unstable();
    let records = bench.log.read(&bench.subject("a"), 0).await.unwrap();
    let read: Vec<_> = records
        .iter()
        .map(|record| (record.sequence, record.metadata.request_id))
        .collect();
    assert_eq!(read, written);
    assert_eq!(bench.log.last_sequence().await, Ok(64));
}

async fn writers_of_many_aggregates_don_t_disturb_each_other(bench: Bench) {
    let ids: Vec<_> = (0..300).map(|number| format!("elder-{number}")).collect();
    let mut sequences = join_all(ids.iter().map(|id| async {
        let first = bench.log.append(bench.record(id, 0)).await.unwrap();
        let second = bench.log.append(bench.record(id, first)).await.unwrap();
        let records = bench.log.read(&bench.subject(id), 0).await.unwrap();
        let read: Vec<_> = records.iter().map(|record| record.sequence).collect();
        assert_eq!(read, [first, second]);
        [first, second]
    }))
    .await
    .concat();
    sequences.sort_unstable();
    assert_eq!(sequences, (1..=600).collect::<Vec<_>>());
}

async fn a_group_is_written_together_in_order(bench: Bench) {
    let ids: Vec<_> = (0..300).map(|number| format!("elder-{number}")).collect();
    let group = ids.iter().map(|id| bench.record(id, 0)).collect();
    let sequences = bench.log.append_all(group).await.unwrap();
    assert_eq!(sequences, (1..=300).collect::<Vec<_>>());
    for (id, sequence) in ids.iter().zip(sequences) {
        assert_eq!(
            bench.log.read(&bench.subject(id), 0).await.unwrap()[0].sequence,
            sequence
        );
    }
}

async fn one_conflict_refuses_a_whole_group(bench: Bench) {
    bench.log.append(bench.record("taken", 0)).await.unwrap();
    let group = vec![
        bench.record("a", 0),
        bench.record("taken", 0),
        bench.record("b", 0),
    ];
    assert!(matches!(
        bench.log.append_all(group).await,
        Err(AppendError::Conflict { .. })
    ));
    for id in ["a", "b"] {
        assert_eq!(bench.log.read(&bench.subject(id), 0).await, Ok(vec![]));
    }
    assert_eq!(bench.log.last_sequence().await, Ok(1));
    let group = vec![
        bench.record("a", 0),
        bench.record("taken", 1),
        bench.record("b", 0),
    ];
    assert_eq!(bench.log.append_all(group).await, Ok(vec![2, 3, 4]));
}

/// Each group claims one number and registers one elder: of the groups that claim the same, one is written, whole.
async fn groups_that_compete_never_mix(bench: Bench) {
    let groups = join_all((0..64).map(|number| {
        let claim = format!("claim-{}", number % 8);
        let elder = format!("elder-{number}");
        let group = vec![bench.record(&claim, 0), bench.record(&elder, 0)];
        let log = Arc::clone(&bench.log);
        async move { (claim, elder, log.append_all(group).await) }
    }))
    .await;
    for claimed in 0..8 {
        let claim = format!("claim-{claimed}");
        let won = groups
            .iter()
            .filter(|(of, _, result)| *of == claim && result.is_ok())
            .count();
        assert_eq!(won, 1);
    }
    for (_, elder, result) in &groups {
        let registered = bench
            .log
            .read(&bench.subject(elder), 0)
            .await
            .unwrap()
            .len();
        assert_eq!(registered, usize::from(result.is_ok()), "{elder}");
    }
    assert_eq!(bench.log.last_sequence().await, Ok(16));
}

async fn a_conflict_in_a_crowd_refuses_only_itself(bench: Bench) {
    bench.log.append(bench.record("taken", 0)).await.unwrap();
    let crowd = join_all((0..100).map(|number| {
        let id = if number == 50 {
            "taken".to_owned()
        } else {
            format!("elder-{number}")
        };
        bench.log.append(bench.record(&id, 0))
    }))
    .await;
    for (number, result) in crowd.iter().enumerate() {
        assert_eq!(result.is_err(), number == 50, "{number}: {result:?}");
    }
}

async fn a_large_record_is_written_and_a_huge_one_refused(bench: Bench) {
    let mut large = bench.record("a", 0);
    large.events.push(event("testing.Large", &vec![7; 1 << 20]));
    assert_eq!(bench.log.append(large.clone()).await, Ok(1));
    assert_eq!(
        bench.log.read(&large.subject, 0).await.unwrap()[0].events,
        large.events
    );

    let mut huge = bench.record("b", 0);
    huge.events.push(event("testing.Huge", &vec![7; 9 << 20]));
    assert_eq!(
        bench.log.append(huge.clone()).await,
        Err(AppendError::TooLarge)
    );
    let group = vec![bench.record("c", 0), huge];
    assert_eq!(
        bench.log.append_all(group).await,
        Err(AppendError::TooLarge)
    );
    assert_eq!(bench.log.last_sequence().await, Ok(1));
}

async fn what_no_log_takes_is_refused(bench: Bench) {
    let mut empty = bench.record("a", 0);
    empty.events.clear();
    assert!(matches!(
        bench.log.append(empty.clone()).await,
        Err(AppendError::Invalid(_))
    ));
    let group = vec![bench.record("b", 0), empty];
    assert!(matches!(
        bench.log.append_all(group).await,
        Err(AppendError::Invalid(_))
    ));
    let twice = vec![bench.record("b", 0), bench.record("b", 0)];
    assert!(matches!(
        bench.log.append_all(twice).await,
        Err(AppendError::Invalid(_))
    ));
    assert!(matches!(
        bench.log.append_all(vec![]).await,
        Err(AppendError::Invalid(_))
    ));
    assert_eq!(bench.log.last_sequence().await, Ok::<_, ReadError>(0));
}
