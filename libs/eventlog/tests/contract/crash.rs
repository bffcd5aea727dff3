//! The server is killed in the middle of many appends: nothing acknowledged is lost, nothing is written twice.

use std::{
    collections::HashSet,
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_nats::Client;
use backing_services::{Nats, testing};
use eventlog::{
    Deliveries, Delivery, EventLog as _, ExecuteError, Gather, JetStreamLog, OpenError, Repository,
    StreamSettings,
};
use futures::future::join_all;
use tokio::{sync::Notify, task::JoinHandle};
use uuid::Uuid;

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_that_loses_a_server_loses_and_doubles_nothing() {
    survives_the_loss_of_one_of_three(Gather::GroupsOnly).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_that_loses_a_server_loses_and_doubles_nothing_that_was_gathered() {
    survives_the_loss_of_one_of_three(Gather::Always).await;
}

async fn survives_kills(gather: Gather) {
    let server = testing::own_nats().await;
    let log = open(client(server.url()).await, gather, 1).await;
    let deliveries = log.subscribe(0).await.unwrap();
    let storm = Storm::begin(&log);
    for third in 1..=2 {
        storm.reach(third, 3).await;
        server.kill().await;
        server.restart().await.unwrap();
    }
    storm.end(&log, deliveries).await;
}

async fn survives_the_loss_of_one_of_three(gather: Gather) {
    let servers = cluster().await;
    let urls: Vec<_> = servers.iter().map(Nats::url).collect();
    let log = open(client(urls.as_slice()).await, gather, 3).await;
    let deliveries = log.subscribe(0).await.unwrap();
    let storm = Storm::begin(&log);
    // Each once, so that the leader and the one that we are connected to are among them.
    for (number, server) in servers.iter().enumerate() {
        storm.reach(number + 1, servers.len() + 1).await;
        server.kill().await;
        server.restart().await.unwrap();
    }
    storm.end(&log, deliveries).await;
}

/// Direct reads are answered by any of the three, and must hold what another has acknowledged a moment before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_server_of_a_cluster_acknowledged_is_read_from_each() {
    let servers = cluster().await;
    let mut logs = Vec::new();
    for server in &servers {
        logs.push(open(client(server.url()).await, Gather::GroupsOnly, 3).await);
    }
    let repositories: Vec<Repository<Tally>> = logs
        .iter()
        .map(|log| Repository::new(Arc::new(log.clone())))
        .collect();
    for round in 1..=100 {
        let (writer, reader) = (&repositories[round % 3], &repositories[(round + 1) % 3]);
        let committed = writer.execute("a", &request(), &count(1)).await.unwrap();
        assert_eq!(committed.version, round as u64);
        assert_eq!(
            reader.load_newest("a").await.unwrap().sequence,
            round as u64
        );
        let subject = Repository::<Tally>::subject("a").unwrap();
        assert_eq!(
            logs[(round + 2) % 3].read(&subject, 0).await.unwrap().len(),
            round
        );
    }
}

/// Opens the log as soon as the servers let it be made: a cluster has to agree on a leader first.
async fn open(client: Client, gather: Gather, replicas: usize) -> JetStreamLog {
    let mut settings = StreamSettings::of(CONTEXT, gather);
    settings.timeout = Duration::from_secs(1);
    settings.replicas = replicas;
    for _ in 0..60 {
        match JetStreamLog::open(client.clone(), settings.clone()).await {
            Ok(log) => return log,
            Err(OpenError::Unavailable(_)) => tokio::time::sleep(Duration::from_millis(250)).await,
            Err(other) => panic!("{other}"),
        }
    }
    panic!("no stream within a minute");
}

/// Three servers that keep each record three times.
async fn cluster() -> Vec<Nats> {
    let listeners: Vec<_> = (0..3)
        .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
        .collect();
    let ports: Vec<_> = listeners
        .iter()
        .map(|listener| listener.local_addr().unwrap().port())
        .collect();
    drop(listeners);
    let routes: Vec<_> = ports
        .iter()
        .map(|port| format!("\"nats://127.0.0.1:{port}\""))
        .collect();
    let start = |port: u16| {
        let routes = routes.join(", ");
        testing::own_nats_with(move |options| {
            options.configuration = format!(
                "cluster {{ name: three, listen: \"127.0.0.1:{port}\", routes: [{routes}] }}"
            );
        })
    };
    join_all(ports.iter().map(|port| start(*port))).await
}

/// Many writers, each counting up a tally of its own until it has had all its answers.
struct Storm {
    written: Arc<AtomicUsize>,
    progress: Arc<Notify>,
    writers: Vec<JoinHandle<Vec<(u64, Uuid)>>>,
}

impl Storm {
    fn begin(log: &JetStreamLog) -> Self {
        let tallies: Repository<Tally> = Repository::new(Arc::new(log.clone()));
        let (written, progress) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
        let writers = (0..WRITERS).map(|writer| {
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
                            Err(ExecuteError::Unavailable(_)) => tokio::task::yield_now().await,
                            Err(other) => panic!("{other}"),
                        }
                    };
                    answers.push((committed.position.sequence, request.request_id));
                    written.fetch_add(1, Ordering::Relaxed);
                    progress.notify_one();
                }
                answers
            })
        });
        Self {
            writers: writers.collect(),
            written,
            progress,
        }
    }

    /// Waits until this part of all is written.
    async fn reach(&self, part: usize, of: usize) {
        while self.written.load(Ordering::Relaxed) < part * WRITERS * COMMANDS / of {
            self.progress.notified().await;
        }
    }

    /// Waits for all answers and holds them against what is in the log.
    async fn end(self, log: &JetStreamLog, mut deliveries: Deliveries) {
        let answers: Vec<_> = join_all(self.writers)
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
        let afresh: Repository<Tally> = Repository::new(Arc::new(log.clone()));
        for writer in 0..WRITERS {
            let tally = afresh.load(&format!("tally-{writer}")).await.unwrap();
            assert_eq!(tally.state.total, COMMANDS as u64);
        }
    }
}

#[tokio::test]
async fn a_stream_that_could_lose_records_is_refused() {
    let context = format!("t{}", uuid::Uuid::new_v4().simple());
    let client = client(testing::nats().await.url()).await;
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

/// What the declared NATS user of a service may do on its own stream, and no more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_gets_by_with_few_permissions() {
    let claims = nats_streams::declared().user("claims").unwrap();
    let own = claims.publish.iter().filter(|subject| {
        subject.starts_with("eldercare.claims.")
            || subject.split('.').any(|token| token == "CLAIMS")
    });
    let permissions: Vec<_> = own
        .map(|subject| {
            let testing = subject.replace("CLAIMS", "TESTING");
            format!("\"{}\"", testing.replace("claims", "testing"))
        })
        .collect();
    let permissions = permissions.join(", ");
    let server = testing::own_nats_with(|options| {
        options.configuration = format!(
            "authorization {{ users: [
                {{ user: operator, password: o }}
                {{ user: service, password: s, permissions: {{
                    publish: [{permissions}], subscribe: \"_INBOX_service.>\"
                }} }}
            ] }}"
        );
    })
    .await;
    let of = |user: &str, password: &str| {
        let options = async_nats::ConnectOptions::with_user_and_password(
            user.to_owned(),
            password.to_owned(),
        );
        let options = options.custom_inbox_prefix(format!("_INBOX_{user}"));
        let url = server.url();
        async move { options.connect(url).await.unwrap() }
    };
    open(of("operator", "o").await, Gather::GroupsOnly, 1).await;
    for gather in [Gather::GroupsOnly, Gather::Always] {
        let log = open(of("service", "s").await, gather, 1).await;
        let from = log.last_sequence().await.unwrap();
        let mut deliveries = log.subscribe(from).await.unwrap();
        let tallies: Repository<Tally> = Repository::new(Arc::new(log.clone()));
        let ids: Vec<_> = (0..20)
            .map(|number| format!("{gather:?}-{number}"))
            .collect();
        for committed in join_all(
            ids.iter()
                .map(async |id| tallies.execute(id, &request(), &count(1)).await),
        )
        .await
        {
            committed.unwrap();
        }
        let subject = Repository::<Tally>::subject(&ids[0]).unwrap();
        assert_eq!(log.read(&subject, 0).await.unwrap().len(), 1);
        take(&mut deliveries, 20).await;
    }
}

#[tokio::test]
async fn a_stream_is_not_made_by_who_may_not() {
    let context = format!("t{}", uuid::Uuid::new_v4().simple());
    let client = client(testing::nats().await.url()).await;
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
