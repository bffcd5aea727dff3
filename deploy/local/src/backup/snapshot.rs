//! JetStream's own copy of a stream, with its sequences, times, gaps and, where that is asked for, its consumers and their places:
//! taken from a server that goes on serving, and given to one that has no such stream.
//!
//! A copy holds the messages up to the sequence at which it was begun, and no later one. What is deleted while it is taken may
//! be missing from it already.

use std::{io::Read, time::Duration};

use anyhow::Context as _;
use async_nats::{Client, Message, Request};
use bytes::Bytes;
use futures::StreamExt as _;
use serde::Deserialize;
use serde_json::{Value, json};

/// How long the server may take to answer, or to go on.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long it may take to make a stream of all that it was given.
const MAKING: Duration = Duration::from_secs(3_600);

/// The bytes of one message on the way.
const PIECE: usize = 128 << 10;

/// The status with which a copy ends that is whole.
const WHOLE: u16 = 204;

/// What the server says of a stream beside its messages.
#[derive(Debug)]
pub(super) struct Snapshot {
    /// How it is kept.
    pub(super) config: Value,
    /// What it holds.
    pub(super) state: Value,
}

/// How much a stream holds, as the server says it.
#[derive(Debug, Deserialize)]
pub(super) struct Held {
    /// How many messages there are.
    pub(super) messages: u64,
    /// The first of them.
    #[serde(rename = "first_seq")]
    pub(super) first_sequence: u64,
    /// The last message that ever was.
    #[serde(rename = "last_seq")]
    pub(super) last_sequence: u64,
}

impl Held {
    /// Reads what the server said.
    pub(super) fn of(state: &Value) -> anyhow::Result<Self> {
        Self::deserialize(state).context("the server does not say how much the stream holds")
    }
}

#[derive(Deserialize)]
struct Answer {
    error: Option<ServerError>,
    config: Option<Value>,
    state: Option<Value>,
    deliver_subject: Option<String>,
}

#[derive(Deserialize)]
struct ServerError {
    #[serde(default)]
    description: String,
}

/// Hands out the bytes of a stream's copy, piece by piece.
pub(super) async fn take(
    client: &Client,
    stream: &str,
    with_consumers: bool,
    mut piece: impl FnMut(&[u8]) -> anyhow::Result<()>,
) -> anyhow::Result<Snapshot> {
    let inbox = client.new_inbox();
    let mut pieces = client.subscribe(inbox.clone()).await?;
    let request = json!({
        "deliver_subject": inbox,
        "no_consumers": !with_consumers,
        "chunk_size": PIECE,
    });
    let subject = format!("$JS.API.STREAM.SNAPSHOT.{stream}");
    let answer = ask(client, subject, json_bytes(&request)?, PATIENCE).await?;
    let (Some(config), Some(state)) = (answer.config, answer.state) else {
        anyhow::bail!("the server says nothing of the stream that it copies");
    };
    loop {
        let next = tokio::time::timeout(PATIENCE, pieces.next()).await;
        let message = next.context("the server did not go on")?;
        let message = message.context("the connection was lost")?;
        if message.payload.is_empty() {
            ended_well(&message)?;
            return Ok(Snapshot { config, state });
        }
        piece(&message.payload)?;
        // The server waits for it before it sends much more.
        if let Some(received) = message.reply {
            client.publish(received, Bytes::new()).await?;
        }
    }
}

fn ended_well(end: &Message) -> anyhow::Result<()> {
    match end.status.map(|status| status.as_u16()) {
        None | Some(WHOLE) => Ok(()),
        Some(status) => {
            let why = end.description.as_deref().unwrap_or_default();
            anyhow::bail!("the server broke off with {status} {why}")
        }
    }
}

/// Makes a stream of a copy; what it then holds.
pub(super) async fn put_back(
    client: &Client,
    stream: &str,
    whole: &Snapshot,
    mut pieces: impl Read,
    tell: impl Fn(u64),
) -> anyhow::Result<Value> {
    let request = json!({ "config": whole.config, "state": whole.state });
    let subject = format!("$JS.API.STREAM.RESTORE.{stream}");
    let answer = ask(client, subject, json_bytes(&request)?, PATIENCE).await?;
    let to = answer.deliver_subject.filter(|to| !to.is_empty());
    let to = to.context("the server does not say where it takes the stream")?;
    let mut piece = vec![0; PIECE];
    loop {
        let length = pieces.read(&mut piece)?;
        if length == 0 {
            break;
        }
        let request = Request::new()
            .payload(Bytes::copy_from_slice(&piece[..length]))
            .timeout(Some(PATIENCE));
        let taken = client.send_request(to.clone(), request).await?;
        if !taken.payload.is_empty() {
            let why = String::from_utf8_lossy(&taken.payload);
            anyhow::bail!("the server does not take it: {why}");
        }
        tell(length as u64);
    }
    let made = ask(client, to, Bytes::new(), MAKING).await?;
    made.state.context("the server does not say what it made")
}

async fn ask(
    client: &Client,
    subject: String,
    request: Bytes,
    patience: Duration,
) -> anyhow::Result<Answer> {
    let request = Request::new().payload(request).timeout(Some(patience));
    let answer = client.send_request(subject, request).await?;
    let answer: Answer = serde_json::from_slice(&answer.payload)
        .context("the server's answer can't be understood")?;
    match answer.error {
        Some(error) => anyhow::bail!("the server refuses: {}", error.description),
        None => Ok(answer),
    }
}

fn json_bytes(request: &Value) -> anyhow::Result<Bytes> {
    Ok(serde_json::to_vec(request)?.into())
}
