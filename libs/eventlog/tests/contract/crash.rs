//! The server is killed in the middle of many appends: nothing acknowledged is lost, nothing is written twice.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use backing_services::testing;
use eventlog::{
    Delivery, EventLog as _, ExecuteError, Gather, JetStreamLog, OpenError, Repository,
    StreamSettings,
};
use futures::future::join_all;
use tokio::sync::Notify;

use crate::{
    bench::{client, request},
    follow::take,
    tally::{CONTEXT, Tally, count},
};

const WRITERS: usize = 64;
const COMMANDS: usize = 30;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_loses_and_doubles_nothing() {
    survives_kills(Gather::GroupsOnly).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_loses_and_doubles_nothing_that_was_gathered() {
    survives_kills(Gather::Always).await;
}

async fn survives_kills(gather: Gather) {
    let server = testing::own_nats().await;
    let mut settings = StreamSettings::of(CONTEXT, gather);
    settings.timeout = Duration::from_secs(1);
    let log = JetStreamLog::open(client(&server.url()).await, settings)
        .await
        .unwrap();
    let mut deliveries = log.subscribe(0).await.unwrap();
    let tallies: Repository<Tally> = Repository::new(Arc::new(log.clone()));

    let (written, progress) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (tallies, written, progress) =
                (tallies.clone(), Arc::clone(&written), Arc::clone(&progress));
            tokio::spawn(async move {
                let mut answers = Vec::new();
                for _ in 0..COMMANDS {
                    let request = request();
                    let committed = loop {
                        // As a caller would: again, under the same request id, until there is an answer.
                        match tallies
                            .execute(&format!("tally-{writer}"), &request, &count(1))
                            .await
                        {
                            Ok(committed) => break committed,
                            Err(ExecuteError::Unavailable(_)) => {}
                            Err(other) => panic!("{other}"),
                        }
                    };
                    answers.push((committed.position.sequence, request.request_id));
                    written.fetch_add(1, Ordering::Relaxed);
                    progress.notify_one();
                }
                answers
            })
        })
        .collect();
    for kill in 1..=2 {
        while written.load(Ordering::Relaxed) < kill * WRITERS * COMMANDS / 3 {
            progress.notified().await;
        }
        server.kill().await;
        server.restart().await.unwrap();
    }
    let answers: Vec<_> = join_all(writers)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();

    let last = log.last_sequence().await.unwrap();
    assert_eq!(
        last,
        (WRITERS * COMMANDS) as u64,
        "nothing lost, nothing doubled"
    );
    let followed = take(&mut deliveries, WRITERS * COMMANDS).await;
    let followed: Vec<_> = followed
        .into_iter()
        .map(|delivery| match delivery {
            Delivery::Record(record) => (record.sequence, record.metadata.request_id),
            Delivery::Unreadable { reason, .. } => panic!("{reason}"),
        })
        .collect();
    let sequences: Vec<_> = followed.iter().map(|(sequence, _)| *sequence).collect();
    assert_eq!(
        sequences,
        (1..=last).collect::<Vec<_>>(),
        "in order, without a gap"
    );
    let answered: HashSet<_> = answers.iter().flatten().copied().collect();
    assert_eq!(
        answered,
        followed.into_iter().collect(),
        "each answer names its own record"
    );
    for writer in 0..WRITERS {
        let tally = Repository::<Tally>::new(Arc::new(log.clone()))
            .load(&format!("tally-{writer}"))
            .await
            .unwrap();
        assert_eq!(tally.state.total, COMMANDS as u64);
    }
}

#[tokio::test]
async fn a_stream_that_could_lose_records_is_refused() {
    let context = format!("t{}", uuid::Uuid::new_v4().simple());
    let client = client(&testing::nats().await.url()).await;
    let settings = StreamSettings::of(&context, Gather::GroupsOnly);
    let server = async_nats::jetstream::new(client.clone());
    let deletable = async_nats::jetstream::stream::Config {
        name: settings.name.clone(),
        subjects: vec![format!("eldercare.{context}.>")],
        allow_direct: true,
        allow_atomic_publish: true,
        ..Default::default()
    };
    server.create_stream(deletable).await.unwrap();
    let refused = JetStreamLog::open(client, settings).await.err();
    assert!(
        matches!(refused, Some(OpenError::Unfit { .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_stream_is_not_made_by_who_may_not() {
    let context = format!("t{}", uuid::Uuid::new_v4().simple());
    let client = client(&testing::nats().await.url()).await;
    let mut settings = StreamSettings::of(&context, Gather::GroupsOnly);
    settings.create = false;
    let refused = JetStreamLog::open(client.clone(), settings.clone())
        .await
        .err();
    assert_eq!(refused, Some(OpenError::Absent(settings.name.clone())));
    settings.create = true;
    JetStreamLog::open(client.clone(), settings.clone())
        .await
        .unwrap();
    settings.create = false;
    JetStreamLog::open(client, settings).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aggregates_of_another_context_are_not_taken() {
    let bench = crate::bench::Bench::groups_only().await;
    let mut foreign = bench.record("a", 0);
    foreign.subject = eventlog::Subject::new("elsewhere", "elder", "a").unwrap();
    let refused = bench.log.append(foreign).await;
    assert!(matches!(refused, Err(eventlog::AppendError::Invalid(_))));
}
