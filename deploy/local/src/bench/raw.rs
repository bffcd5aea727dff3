//! What the servers can do at most, measured in the same run: the same bytes published bare, the same rows copied bare.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use async_nats::{
    HeaderMap,
    header::{
        NATS_BATCH_COMMIT, NATS_BATCH_COMMIT_FINAL, NATS_BATCH_ID, NATS_BATCH_SEQUENCE,
        NATS_EXPECTED_LAST_SUBJECT_SEQUENCE,
    },
    jetstream::{
        self,
        consumer::{AckPolicy, DeliverPolicy, pull},
        message::StreamMessage,
        stream,
    },
};
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio::sync::Mutex;

use super::{
    callers::{self, Latencies, rate},
    stage::Stage,
    steady,
};
use crate::output::{Progress, Step};

/// The stream that raw messages go to.
const STREAM: &str = "RAW";

/// A subject's first token, as long as the log's own.
const ROOT: &str = "eldercare";
const RAW_ROOT: &str = "rawlimits";

/// How many digits of a subject tell one raw message from another: as many as keep it as long as one with an id.
const DIGITS: usize = 10;

/// How many messages a bare reader asks for at a time.
const ASKED: usize = 1_000;

/// As long as the header that states the expected sequence: raw messages carry the same bytes and are not checked.
const UNCHECKED: &str = "Raws-Expected-Last-Subject-Sequence";

/// A message as a service wrote it.
#[derive(Debug, Clone)]
pub(super) struct Sample {
    subject: String,
    headers: HeaderMap,
    body: Bytes,
}

/// The last messages that a service wrote to a stream on subjects that begin so.
pub(super) async fn samples(
    stage: &Stage,
    streams: &[(&str, &str)],
) -> anyhow::Result<Vec<Sample>> {
    samples_from(stage.nats_client().await?, streams).await
}

/// The same for who has a connection alone.
pub(super) async fn samples_from(
    client: async_nats::Client,
    streams: &[(&str, &str)],
) -> anyhow::Result<Vec<Sample>> {
    let server = jetstream::new(client);
    let mut samples = Vec::new();
    for (name, prefix) in streams {
        let stream = server.get_stream(name).await?;
        let mut sequence = stream.cached_info().state.last_sequence;
        let message = loop {
            let message = stream.get_raw_message(sequence).await?;
            if message.subject.starts_with(prefix) || sequence <= 1 {
                break message;
            }
            sequence -= 1;
        };
        samples.push(Sample::of(message));
    }
    Ok(samples)
}

/// The message that a service wrote at a place of a stream.
pub(super) async fn sample(stage: &Stage, stream: &str, sequence: u64) -> anyhow::Result<Sample> {
    let server = jetstream::new(stage.nats_client().await?);
    let stream = server.get_stream(stream).await?;
    Ok(Sample::of(stream.get_raw_message(sequence).await?))
}

impl Sample {
    /// Publishes it, and waits for the acknowledgement.
    pub(super) async fn publish(
        &self,
        server: &jetstream::Context,
        number: usize,
    ) -> anyhow::Result<()> {
        // As many bytes as an id, and another subject for each message as for each elder.
        let kept = self.subject.len().saturating_sub(DIGITS);
        let subject = format!(
            "{}{number:0DIGITS$}",
            self.subject.get(..kept).unwrap_or(RAW_ROOT)
        );
        let publish = server.publish_with_headers(subject, self.headers.clone(), self.body.clone());
        publish.await?.await?;
        Ok(())
    }

    fn of(message: StreamMessage) -> Self {
        let mut headers = HeaderMap::new();
        for (name, values) in message.headers.iter() {
            let name = name.to_string();
            let checked = name == NATS_EXPECTED_LAST_SUBJECT_SEQUENCE.to_string();
            // Of what a batch adds, nothing is needed outside one.
            if name.starts_with("Nats-") && !checked {
                continue;
            }
            for value in values {
                headers.append(if checked { UNCHECKED } else { &name }, value.as_str());
            }
        }
        Self {
            subject: message.subject.replacen(ROOT, RAW_ROOT, 1),
            headers,
            body: message.payload,
        }
    }
}

fn stream_config() -> stream::Config {
    stream::Config {
        name: STREAM.to_owned(),
        subjects: vec![format!("{RAW_ROOT}.>")],
        storage: stream::StorageType::File,
        deny_delete: true,
        allow_direct: true,
        allow_atomic_publish: true,
        ..stream::Config::default()
    }
}

/// Publishes the samples in turn, each on a subject of its own and acknowledged, `in_flight` at a time.
pub(super) async fn publishes(
    stage: &Stage,
    samples: &[Sample],
    in_flight: usize,
    count: usize,
    step: &Step,
) -> anyhow::Result<Latencies> {
    let server = stream(stage.nats_client().await?).await?;
    let samples: Arc<[Sample]> = samples.into();
    callers::drive(in_flight, count / 10, count, step, move |_, number| {
        let (server, samples) = (server.clone(), Arc::clone(&samples));
        async move {
            samples[number % samples.len()]
                .publish(&server, number)
                .await
        }
    })
    .await
}

/// The same of what a service wrote, as the limit beside it, and tells how far it is.
pub(super) async fn same_bytes(
    stage: &Stage,
    samples: &[Sample],
    in_flight: usize,
    count: usize,
    progress: Progress,
) -> anyhow::Result<Latencies> {
    let step = progress.begin("bare publishes of the same bytes", count as u64);
    let limit = publishes(stage, samples, in_flight, count, &step).await?;
    step.done(&format!("{:.0}/s", limit.rate()));
    Ok(limit)
}

/// How long a message takes to a bare reader from when it is due to be published, at a steady pace; all but the first `warm`.
pub(super) async fn passages(
    stage: &Stage,
    sample: &Sample,
    a_second: u32,
    warm: usize,
    count: usize,
    step: &Step,
) -> anyhow::Result<Latencies> {
    let all = warm + count;
    let server = stream(stage.nats_client().await?).await?;
    let reader = stream(stage.nats_client().await?).await?;
    let config = pull::Config {
        ack_policy: AckPolicy::None,
        deliver_policy: DeliverPolicy::New,
        ..pull::Config::default()
    };
    let consumer = reader.create_consumer_on_stream(config, STREAM).await?;
    let builder = consumer.stream().max_messages_per_batch(ASKED);
    let mut messages = builder.messages().await?;
    let reading = tokio::spawn(async move {
        let mut came = HashMap::with_capacity(all);
        while came.len() < all {
            let message = messages.next().await.context("the reading ended")??;
            let at = Instant::now();
            came.insert(number_of(&message.subject)?, at);
        }
        anyhow::Ok(came)
    });
    let published = steady::drive(a_second, all, step, |number, due| {
        let (server, sample) = (server.clone(), sample.clone());
        async move {
            sample.publish(&server, number).await?;
            Ok((number, due))
        }
    });
    let (published, came) = (published.await?, reading.await??);
    let measured = published.iter().filter(|(number, _)| *number >= warm);
    let passages = measured.filter_map(|(number, due)| Some(*came.get(number)? - *due));
    Ok(Latencies::of(passages.collect()))
}

/// The number of a raw message, by its subject.
fn number_of(subject: &str) -> anyhow::Result<usize> {
    let digits = subject.len().checked_sub(DIGITS);
    let digits = digits.and_then(|kept| subject.get(kept..));
    Ok(digits.context("a message without a number")?.parse()?)
}

/// The stream that raw messages go to, made if it is not there.
pub(super) async fn stream(client: async_nats::Client) -> anyhow::Result<jetstream::Context> {
    let server = jetstream::new(client);
    server.get_or_create_stream(stream_config()).await?;
    Ok(server)
}

/// Publishes the samples together again and again in atomic batches, one batch after the other, and answers how many times
/// a second all samples were written. Each batch costs the server a write through to its disk, however the server syncs
/// otherwise.
pub(super) async fn batches(
    stage: &Stage,
    samples: &[Sample],
    times_a_batch: usize,
    batches: usize,
    step: &Step,
) -> anyhow::Result<f64> {
    let client = stage.nats_client().await?;
    let server = stream(client.clone()).await?;
    let messages = samples.len() * times_a_batch;
    let since = Instant::now();
    for batch in 0..batches {
        let id = uuid::Uuid::new_v4().simple().to_string();
        for place in 0..messages {
            let sample = &samples[place % samples.len()];
            let subject = format!("{RAW_ROOT}.batches.{batch:06}.{place:06}.{}", samples.len());
            let mut headers = sample.headers.clone();
            headers.insert(NATS_BATCH_ID, id.as_str());
            headers.insert(NATS_BATCH_SEQUENCE, (place + 1).to_string());
            if place + 1 < messages {
                client
                    .publish_with_headers(subject, headers, sample.body.clone())
                    .await?;
            } else {
                headers.insert(NATS_BATCH_COMMIT, NATS_BATCH_COMMIT_FINAL);
                let last = server.publish_with_headers(subject, headers, sample.body.clone());
                last.await?.await?;
            }
        }
        step.advance(1);
    }
    let written = (batches * times_a_batch) as u64;
    Ok(rate(written, since.elapsed().as_secs_f64()))
}

/// The least that an answer from the database takes, for callers who each have a connection.
pub(super) async fn selects(
    stage: &Stage,
    callers: usize,
    warm: usize,
    count: usize,
    step: &Step,
) -> anyhow::Result<Latencies> {
    let connections = connections(stage, callers).await?;
    callers::drive(callers, warm, count, step, move |caller, _| {
        let connection = Arc::clone(&connections[caller]);
        async move { select(&connection).await }
    })
    .await
}

/// The least that an answer takes that goes on record first: one from the database, and an acknowledged publish after it.
pub(super) async fn selects_on_record(
    stage: &Stage,
    sample: &Sample,
    callers: usize,
    warm: usize,
    count: usize,
    step: &Step,
) -> anyhow::Result<Latencies> {
    let connections = connections(stage, callers).await?;
    let server = stream(stage.nats_client().await?).await?;
    let sample = Arc::new(sample.clone());
    callers::drive(callers, warm, count, step, move |caller, number| {
        let connection = Arc::clone(&connections[caller]);
        let (server, sample) = (server.clone(), Arc::clone(&sample));
        async move {
            select(&connection).await?;
            sample.publish(&server, number).await
        }
    })
    .await
}

/// Connections to the database, one for each caller.
async fn connections(
    stage: &Stage,
    callers: usize,
) -> anyhow::Result<Vec<Arc<Mutex<PgConnection>>>> {
    let mut connections = Vec::with_capacity(callers);
    for _ in 0..callers {
        connections.push(Arc::new(Mutex::new(stage.database().await?)));
    }
    Ok(connections)
}

async fn select(connection: &Mutex<PgConnection>) -> anyhow::Result<()> {
    let mut own = connection.lock().await;
    let _one: i32 = sqlx::query_scalar("SELECT 1").fetch_one(&mut *own).await?;
    Ok(())
}

/// How long it takes to copy rows into tables like those that hold them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Copied {
    pub(super) rows: u64,
    pub(super) bytes: u64,
    /// With the primary keys there from the start, as the projection has them, and the other indexes afterwards.
    pub(super) keys_in_place: Duration,
    /// With all keys and indexes afterwards.
    pub(super) keys_afterwards: Duration,
}

/// Copies the rows of a schema's tables, with their keys, into empty ones.
pub(super) async fn copy(stage: &Stage, schema: &str, step: &Step) -> anyhow::Result<Copied> {
    let mut db = stage.database().await?;
    sqlx::raw_sql(
        "SET synchronous_commit = off; SET maintenance_work_mem = '256MB'; SET work_mem = '64MB'",
    )
    .execute(&mut db)
    .await?;
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT tablename::text FROM pg_tables WHERE schemaname = $1 ORDER BY tablename",
    )
    .bind(schema)
    .fetch_all(&mut db)
    .await?;
    let mut filled = Vec::new();
    for table in tables {
        let rows = dump(&mut db, schema, &table).await?;
        filled.push((table, rows));
    }
    let mut copied = Copied {
        rows: 0,
        bytes: filled
            .iter()
            .flat_map(|(_, rows)| rows)
            .map(|piece| piece.len() as u64)
            .sum(),
        keys_in_place: Duration::ZERO,
        keys_afterwards: Duration::ZERO,
    };
    for in_place in [true, false] {
        let since = Instant::now();
        let mut tx = db.begin().await?;
        sqlx::raw_sql("CREATE SCHEMA raw").execute(&mut *tx).await?;
        let mut rows_copied = 0;
        for (table, rows) in &filled {
            let (keys, others) = indexes(&mut tx, schema, table).await?;
            // What a table computes by itself is not copied out: the copy computes it, too.
            let make = format!(
                "CREATE TABLE raw.\"{table}\" (LIKE \"{schema}\".\"{table}\" INCLUDING STORAGE INCLUDING GENERATED)"
            );
            let before = if in_place {
                [vec![make], keys.clone()].concat()
            } else {
                vec![make]
            };
            let after = if in_place {
                others
            } else {
                [keys, others].concat()
            };
            run(&mut tx, &before).await?;
            rows_copied += fill(&mut tx, table, rows).await?;
            run(&mut tx, &after).await?;
        }
        tx.commit().await?;
        let took = since.elapsed();
        step.advance(1);
        if in_place {
            copied.keys_in_place = took;
        } else {
            copied.keys_afterwards = took;
        }
        copied.rows = rows_copied;
        sqlx::raw_sql("DROP SCHEMA raw CASCADE")
            .execute(&mut db)
            .await?;
    }
    Ok(copied)
}

async fn run(db: &mut PgConnection, statements: &[String]) -> anyhow::Result<()> {
    for statement in statements {
        sqlx::raw_sql(AssertSqlSafe(statement.clone()))
            .execute(&mut *db)
            .await?;
    }
    Ok(())
}

/// The statements that make the primary key and the other indexes of a table, for its copy.
async fn indexes(
    db: &mut PgConnection,
    schema: &str,
    table: &str,
) -> anyhow::Result<(Vec<String>, Vec<String>)> {
    let found: Vec<(String, bool, String)> = sqlx::query_as(
        "SELECT pg_get_indexdef(i.indexrelid), i.indisprimary, coalesce(pg_get_constraintdef(c.oid), '') \
         FROM pg_index i LEFT JOIN pg_constraint c ON c.conindid = i.indexrelid AND c.contype = 'p' \
         WHERE i.indrelid = (quote_ident($1) || '.' || quote_ident($2))::regclass ORDER BY i.indexrelid",
    )
    .bind(schema)
    .bind(table)
    .fetch_all(db)
    .await?;
    let (mut keys, mut others) = (Vec::new(), Vec::new());
    for (definition, primary, constraint) in found {
        if primary {
            keys.push(format!("ALTER TABLE raw.\"{table}\" ADD {constraint}"));
        } else {
            others.push(definition.replacen(&format!(" ON {schema}."), " ON raw.", 1));
        }
    }
    Ok((keys, others))
}

/// The rows of a table in the binary form of COPY.
async fn dump(db: &mut PgConnection, schema: &str, table: &str) -> anyhow::Result<Vec<Bytes>> {
    let statement = format!("COPY \"{schema}\".\"{table}\" TO STDOUT (FORMAT binary)");
    Ok(db.copy_out_raw(&statement).await?.try_collect().await?)
}

async fn fill(db: &mut PgConnection, table: &str, rows: &[Bytes]) -> anyhow::Result<u64> {
    const PIECE: usize = 256 << 10;
    let statement = format!("COPY raw.\"{table}\" FROM STDIN (FORMAT binary)");
    let mut copy = db.copy_in_raw(&statement).await?;
    let mut piece = Vec::with_capacity(2 * PIECE);
    for row in rows {
        piece.extend_from_slice(row);
        if piece.len() >= PIECE {
            copy.send(piece.as_slice()).await?;
            piece.clear();
        }
    }
    copy.send(piece.as_slice()).await?;
    Ok(copy.finish().await?)
}
