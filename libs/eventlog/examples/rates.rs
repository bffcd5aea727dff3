//! Prints how fast the log writes, reads and follows on this machine, beside what the bare server does.
//!
//! `cargo run --release -p eventlog --example rates`

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use async_nats::jetstream;
use backing_services::{Syncing, testing};
use chrono::Utc;
use eventlog::{
    EventLog, Gather, JetStreamLog, Metadata, NewRecord, RawEvent, StreamSettings, Subject,
};
use futures::{StreamExt as _, future::join_all};
use uuid::Uuid;

/// How long each figure is measured.
const FOR: Duration = Duration::from_secs(4);

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    for syncing in [Syncing::EveryTwoMinutes, Syncing::Always] {
        println!("{syncing:?}");
        let server = testing::own_nats_with(|options| options.syncing = syncing).await;
        let client = async_nats::connect(server.url()).await?;
        for callers in [1, 8, 64, 256] {
            println!("  {callers} callers");
            let raw = bare(&client).await?;
            show(
                "bare publishes",
                measure(callers, move |_| raw.clone().publish()).await,
            );
            for gather in [Gather::GroupsOnly, Gather::Always] {
                let log = open(&client, gather).await?;
                let single = Arc::clone(&log);
                let append = move |_| {
                    let log = Arc::clone(&single);
                    async move { log.append(record()).await.is_ok() }
                };
                show(
                    &format!("append, {gather:?}"),
                    measure(callers, append).await,
                );
                if gather == Gather::GroupsOnly {
                    let pairs = Arc::clone(&log);
                    let append = move |_| {
                        let log = Arc::clone(&pairs);
                        async move { log.append_all(vec![record(), record()]).await.is_ok() }
                    };
                    show("pairs, all or nothing", measure(callers, append).await);
                }
            }
        }
        if syncing == Syncing::EveryTwoMinutes {
            let log = open(&client, Gather::GroupsOnly).await?;
            let subjects = fill(&log, 200_000).await?;
            let begun = Instant::now();
            let mut deliveries = log.subscribe(0).await?;
            let mut followed = 0;
            while followed < 200_000 {
                followed += deliveries.next().await.ok_or("the end")??.len();
            }
            println!(
                "  replay: {:.0}/s",
                200_000.0 / begun.elapsed().as_secs_f64()
            );
            let (reader, at) = (Arc::clone(&log), Arc::new(AtomicUsize::new(0)));
            let read = move |_| {
                let (log, subjects, at) =
                    (Arc::clone(&reader), Arc::clone(&subjects), Arc::clone(&at));
                async move {
                    let subject =
                        &subjects[at.fetch_add(7_919, Ordering::Relaxed) % subjects.len()];
                    log.read(subject, 0)
                        .await
                        .is_ok_and(|records| records.len() == 10)
                }
            };
            show("read ten records, 64 callers", measure(64, read).await);
            let mut waits = Vec::new();
            for _ in 0..1_000 {
                let begun = Instant::now();
                log.append(record()).await?;
                let appended = begun.elapsed();
                deliveries.next().await.ok_or("the end")??;
                waits.push((begun.elapsed(), appended));
            }
            waits.sort_unstable();
            println!(
                "  append to delivery: p50 {:?} (append alone {:?}), p99 {:?}",
                waits[500].0, waits[500].1, waits[990].0
            );
        }
    }
    Ok(())
}

async fn open(
    client: &async_nats::Client,
    gather: Gather,
) -> Result<Arc<JetStreamLog>, Box<dyn std::error::Error>> {
    let stream = format!("T{}", Uuid::new_v4().simple());
    let server = jetstream::new(client.clone());
    let mut names = server.stream_names();
    while let Some(name) = names.next().await {
        server.delete_stream(name?).await?;
    }
    let settings = StreamSettings {
        name: stream,
        ..StreamSettings::of("testing", gather)
    };
    Ok(Arc::new(
        JetStreamLog::open(client.clone(), settings).await?,
    ))
}

#[derive(Clone)]
struct Bare(jetstream::Context);

async fn bare(client: &async_nats::Client) -> Result<Bare, Box<dyn std::error::Error>> {
    open(client, Gather::GroupsOnly).await?;
    Ok(Bare(jetstream::new(client.clone())))
}

impl Bare {
    /// About the bytes of a record.
    async fn publish(self) -> bool {
        let subject = format!("eldercare.testing.elder.{}", Uuid::new_v4());
        let mut headers = async_nats::HeaderMap::new();
        headers.insert("Nats-Expected-Last-Subject-Sequence", "0");
        headers.insert("ce-all", "x".repeat(480));
        match self
            .0
            .publish_with_headers(subject, headers, vec![7; 330].into())
            .await
        {
            Ok(acknowledged) => acknowledged.await.is_ok(),
            Err(_) => false,
        }
    }
}

async fn fill(
    log: &JetStreamLog,
    records: usize,
) -> Result<Arc<Vec<Subject>>, Box<dyn std::error::Error>> {
    let mut aggregates: Vec<_> = (0..records / 10).map(|_| record()).collect();
    for _ in 0..10 {
        for part in aggregates.chunks_mut(500) {
            for (record, sequence) in part
                .iter()
                .cloned()
                .zip(log.append_all(part.to_vec()).await?)
                .collect::<Vec<_>>()
            {
                if let Some(next) = part.iter_mut().find(|next| next.subject == record.subject) {
                    next.expected = sequence;
                }
            }
        }
    }
    Ok(Arc::new(
        aggregates
            .into_iter()
            .map(|record| record.subject)
            .collect(),
    ))
}

fn record() -> NewRecord {
    let id = Uuid::new_v4();
    NewRecord {
        subject: Subject::new("testing", "elder", &id.to_string()).expect("a UUID is a token"),
        expected: 0,
        metadata: Metadata {
            id: Uuid::now_v7(),
            time: Utc::now(),
            actor: "officer-7".to_owned(),
            request_id: id,
            request_digest: [7; 16],
            correlation_id: id,
            causation_id: None,
            division: Some("310101".to_owned()),
            traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
            answers: None,
            purpose: None,
        },
        events: vec![RawEvent {
            event_type: "eldercare.registry.v1.CapabilityAssessed".to_owned(),
            data: vec![7; 240].into(),
        }],
    }
}

/// How many a second, and how long the middle one and the hundredth longest took.
async fn measure<F>(
    callers: usize,
    work: impl Fn(usize) -> F + Clone + Send + 'static,
) -> (f64, Duration, Duration)
where
    F: Future<Output = bool> + Send,
{
    let begun = Instant::now();
    let tasks = (0..callers).map(|caller| {
        let work = work.clone();
        tokio::spawn(async move {
            let mut took = Vec::new();
            while begun.elapsed() < FOR {
                let at = Instant::now();
                assert!(work(caller).await, "it succeeds");
                took.push(at.elapsed());
            }
            took
        })
    });
    let mut took: Vec<_> = join_all(tasks)
        .await
        .into_iter()
        .flat_map(Result::unwrap_or_default)
        .collect();
    let rate = took.len() as f64 / begun.elapsed().as_secs_f64();
    took.sort_unstable();
    (rate, took[took.len() / 2], took[took.len() * 99 / 100])
}

fn show(what: &str, (rate, p50, p99): (f64, Duration, Duration)) {
    println!("    {what:<32} {rate:>8.0}/s  p50 {p50:>10.1?}  p99 {p99:>10.1?}");
}
