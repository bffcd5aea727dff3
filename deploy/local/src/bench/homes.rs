//! Homes with devices for the benches of alerts, and what these say.

use std::{collections::HashMap, sync::Arc, time::Duration};

use alerts::{
    board_table, codec,
    device::{self, Device, Registered},
};
use anyhow::Context as _;
use chrono::{DateTime, Utc};
use civic::{DeviceKind, ElderId};
use eventlog::{Aggregate as _, EventLog as _, Subject};
use futures::StreamExt as _;
use proto::eldercare::alerts::v1 as pb;
use service::Claims;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::{Mutex, mpsc},
    time::Instant,
};
use uuid::Uuid;

use super::{
    seed,
    stage::{Served, Stage},
};
use crate::{client::Client, connection::Connection, output::Progress};

/// How many registrations are written together.
const CHUNK: u64 = 50_000;

/// The id of a device.
pub(super) fn device_id(number: u64) -> String {
    format!("DEV{number:08}")
}

/// Registers devices in the log of alerts: each in whose home, and since when.
pub(super) async fn register(
    stage: &Stage,
    count: u64,
    home: impl Fn(u64) -> (DeviceKind, Uuid, DateTime<Utc>),
    progress: Progress,
) -> anyhow::Result<()> {
    let log = seed::log_of(stage, codec::CONTEXT).await?;
    let step = progress.begin("devices in the log", count);
    for first in (0..count).step_by(usize::try_from(CHUNK)?) {
        let some = first..(first + CHUNK).min(count);
        let records = some.map(|number| {
            let (kind, elder, at) = home(number);
            let registered = device::Event::Registered(Registered {
                kind,
                elder: ElderId(elder),
                maintainer: None,
                credential: Uuid::from_u128(u128::from(number) + 1),
                village: None,
            });
            let subject = Subject::new(codec::CONTEXT, Device::NAME, &device_id(number))?;
            let mut record = seed::record(subject, 0, vec![Device::encode(&registered)]);
            record.metadata.time = at;
            anyhow::Ok(record)
        });
        let records = records.collect::<anyhow::Result<Vec<_>>>()?;
        seed::write(&log, records).await?;
        step.advance(CHUNK);
    }
    step.done(&format!("{} records", log.last_sequence().await?));
    Ok(())
}

/// Has alerts, started from now on, tell of nothing but in the service's own log.
pub(super) fn notices_in_the_log(stage: &Stage) -> anyhow::Result<()> {
    let notices = toml::Table::from_iter([("log".to_owned(), true.into())]);
    stage.configure("alerts", "notices", notices)
}

/// Gateways of the service under test, each with a connection of its own.
pub(super) fn gateways(stage: &Stage, served: &Served, many: usize) -> anyhow::Result<Vec<Client>> {
    let claims = Claims::system("gateway", "platform")
        .division("*")
        .role("device_gateway");
    let gateway = stage.token_of(&claims)?;
    let connection = Connection {
        gateway: Some(service::Secret::new(gateway)),
        ..served.connection()
    };
    (0..many).map(|_| Client::new(&connection)).collect()
}

/// A signal of a device, with an id that no other has.
pub(super) fn signal(device: u64, kind: pb::SignalKind, number: u64) -> pb::Signal {
    pb::Signal {
        signal_id: number.to_string(),
        device_id: device_id(device),
        kind: kind.into(),
        device_time: None,
        litres: if kind == pb::SignalKind::Flow {
            2.5
        } else {
            0.0
        },
        position: None,
    }
}

/// A stream of batches to a gateway, and its receipts.
pub(super) struct Gateway {
    batches: mpsc::Sender<pb::IngestSignalsRequest>,
    receipts: tonic::Streaming<pb::IngestSignalsResponse>,
}

impl Gateway {
    pub(super) async fn open(client: &Client) -> anyhow::Result<Self> {
        let (batches, receiver) = mpsc::channel(16);
        let coming = futures::stream::unfold(receiver, |mut receiver| async move {
            let batch: Option<pb::IngestSignalsRequest> = receiver.recv().await;
            batch.map(|batch| (batch, receiver))
        });
        let receipts = client.gateway()?.ingest_signals(coming).await?;
        Ok(Self {
            batches,
            receipts: receipts.into_inner(),
        })
    }

    /// Sends a batch and waits for its receipt; the sequence of its last signal.
    pub(super) async fn send(&mut self, signals: Vec<pb::Signal>) -> anyhow::Result<u64> {
        let many = signals.len();
        let batch = pb::IngestSignalsRequest { signals };
        self.batches
            .send(batch)
            .await
            .context("the stream has ended")?;
        let receipt = self.receipts.next().await.context("no receipt")??;
        anyhow::ensure!(
            usize::try_from(receipt.stored)? == many,
            "{} of {many} signals were stored",
            receipt.stored
        );
        let position: eventlog::Position = receipt.position.parse()?;
        Ok(position.sequence)
    }
}

/// How far the watch has got in the signals.
pub(super) async fn heard(db: &mut sqlx::PgConnection) -> anyhow::Result<u64> {
    let heard: Option<i64> =
        sqlx::query_scalar("SELECT first FROM alerts_kept.progress WHERE reader = 'watching'")
            .fetch_optional(db)
            .await?;
    Ok(heard.unwrap_or_default().cast_unsigned())
}

/// Waits until the watch has heard a signal.
pub(super) async fn hears(db: &mut sqlx::PgConnection, sequence: u64) -> anyhow::Result<()> {
    let deadline = Instant::now() + Duration::from_secs(600);
    while heard(db).await? < sequence {
        anyhow::ensure!(Instant::now() < deadline, "the watch does not get there");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// How many alerts there are.
pub(super) async fn alerts(db: &mut sqlx::PgConnection) -> anyhow::Result<u64> {
    let statement = format!("SELECT count(*) FROM {}.alert", board_table::NAME);
    let count: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(statement))
        .fetch_one(db)
        .await?;
    Ok(count.cast_unsigned())
}

/// Takes webhooks in and notes when each came, by the device that its alert is about.
#[derive(Clone, Default)]
pub(super) struct Receiver(Arc<Mutex<HashMap<String, Instant>>>);

impl Receiver {
    /// Listens on a free port of this machine; the URL.
    pub(super) async fn listen(&self) -> anyhow::Result<String> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/notices", listener.local_addr()?);
        let receiver = self.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let receiver = receiver.clone();
                tokio::spawn(async move { receiver.serve(stream).await });
            }
        });
        Ok(url)
    }

    /// Requests of one connection, one after the other.
    async fn serve(self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut bytes = Vec::new();
        loop {
            let (head, length) = loop {
                if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                    let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
                    let length = head
                        .lines()
                        .find_map(|line| line.strip_prefix("content-length:"))
                        .and_then(|length| length.trim().parse::<usize>().ok());
                    break (end + 4, length.unwrap_or_default());
                }
                if stream.read_buf(&mut bytes).await? == 0 {
                    return Ok(());
                }
            };
            while bytes.len() < head + length {
                if stream.read_buf(&mut bytes).await? == 0 {
                    return Ok(());
                }
            }
            let now = Instant::now();
            let body: serde_json::Value =
                serde_json::from_slice(&bytes[head..head + length]).unwrap_or_default();
            bytes.drain(..head + length);
            if let Some(device) = device_of(&body) {
                self.0.lock().await.entry(device).or_insert(now);
            }
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
                .await?;
        }
    }

    /// When each device's alert was told.
    pub(super) async fn told(&self) -> HashMap<String, Instant> {
        self.0.lock().await.clone()
    }
}

/// The device that a notice is about, wherever in the body it stands.
fn device_of(body: &serde_json::Value) -> Option<String> {
    match body {
        serde_json::Value::Object(fields) => match fields.get("device_id") {
            Some(serde_json::Value::String(device)) => Some(device.clone()),
            Some(_) | None => fields.values().find_map(device_of),
        },
        serde_json::Value::Array(values) => values.iter().find_map(device_of),
        serde_json::Value::Null
        | serde_json::Value::Bool(_)
        | serde_json::Value::Number(_)
        | serde_json::Value::String(_) => None,
    }
}
