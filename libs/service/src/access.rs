//! Puts on record who was told whose personal data, by which call and what for, before the answer goes out. Persons are named by their ids alone.
//!
//! A service stores its looks in the stream `ACCESS`, from where sharing moves them into its log; so nobody waits for sharing, and
//! nothing is told that is not stored. What waits at the same time is stored as one message: `eldercare.sharing.v1.Look`s, each
//! with its length before it. Beside that each look leaves a line of JSON for operators, where `telemetry.access_log` says.

use std::{
    collections::HashSet,
    fmt::{self, Display},
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_nats::jetstream::{
    self, Context,
    context::{ContextBuilder, PublishError},
    message::PublishMessage,
};
use bytes::Bytes;
use futures::future::join_all;
use nats_streams::OpenError;
use prost::Message as _;
use proto::eldercare::sharing::v1::Look;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tonic::Status;
use uuid::Uuid;

use crate::{Caller, clock::Clock, errors, settings};

/// The stream of looks on their way to sharing, which alone takes them out. Its subjects are `access.<service>`.
pub const STREAM: &str = "ACCESS";

/// The target of access records.
pub(crate) const TARGET: &str = "access";

/// How many persons one look and one line name; a long list goes on in further ones.
const IN_ONE: usize = 200;

/// How many looks wait to be stored.
const WAITING: usize = 1_024;

/// A message that bears so many bytes waits for no further look: with one more it is well within what a server takes.
const ENOUGH: usize = 256 << 10;

/// How many messages are on their way at once: while one is stored, looks gather for the next but one.
const UNDER_WAY: usize = 2;

/// How long the server may take to answer; it is asked once more, under the same id, as when its leader has changed. The window
/// in which the stream knows an id again is longer than all of that.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often a message is sent.
const ATTEMPTS: usize = 2;

/// Before it is sent again.
const PAUSE: Duration = Duration::from_millis(200);

/// Writes the lines of a look alone: for sharing, which puts its looks into its log itself.
pub fn record(caller: &Caller, action: &'static str, persons: impl IntoIterator<Item: Display>) {
    let ids: Vec<String> = persons.into_iter().map(|one| one.to_string()).collect();
    for some in ids.chunks(IN_ONE) {
        tracing::info!(
            target: TARGET,
            caller = caller.actor(),
            department = caller.department,
            purpose = caller.purpose().unwrap_or_default(),
            action,
            elders = ids.len(),
            ids = some.join(" "),
            "personal data read"
        );
    }
}

/// Where a service's looks go. Cheap to clone.
#[derive(Clone)]
pub struct Access(Arc<Inner>);

struct Inner {
    clock: Clock,
    kept: Kept,
}

enum Kept {
    Stream(mpsc::Sender<Waiting>),
    Memory(Mutex<Vec<Look>>),
}

/// A look that waits to be stored.
struct Waiting {
    /// With its length before it.
    look: Vec<u8>,
    /// Told whether it is stored.
    stored: oneshot::Sender<bool>,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Access")
    }
}

/// The stream of looks. Whoever comes first makes it, unless `nats.create_streams` is off.
///
/// # Errors
/// Where the server does not answer, or the stream is missing or unfit.
pub async fn stream(
    client: async_nats::Client,
    settings: &settings::Nats,
) -> Result<jetstream::stream::Stream, OpenError> {
    let looks = nats_streams::stream(STREAM);
    looks
        .open(&server(client), settings.replicas, settings.create_streams)
        .await
}

fn server(client: async_nats::Client) -> Context {
    ContextBuilder::new().timeout(PATIENCE).build(client)
}

impl Access {
    /// Stores the looks of a service in the stream. Makes that where it is missing, unless `nats.create_streams` is off: then it
    /// is not looked for, and needs no other permission than to publish `access.<service>`.
    ///
    /// # Errors
    /// As [`stream`].
    pub async fn open(
        client: async_nats::Client,
        service: &str,
        settings: &settings::Nats,
        clock: Clock,
    ) -> Result<Self, OpenError> {
        if settings.create_streams {
            stream(client.clone(), settings).await?;
        }
        let (sender, waiting) = mpsc::channel(WAITING);
        // It ends once all handles are gone.
        tokio::spawn(store(waiting, server(client), format!("access.{service}")));
        Ok(Self::keeping(Kept::Stream(sender), clock))
    }

    /// Keeps looks in memory, for tests.
    #[must_use]
    pub fn in_memory(clock: Clock) -> Self {
        Self::keeping(Kept::Memory(Mutex::default()), clock)
    }

    fn keeping(kept: Kept, clock: Clock) -> Self {
        Self(Arc::new(Inner { clock, kept }))
    }

    /// The looks that are kept in memory, in their order; none where they go to the stream.
    #[must_use]
    pub fn looks(&self) -> Vec<Look> {
        match &self.0.kept {
            Kept::Stream(_) => vec![],
            Kept::Memory(looks) => looks.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }

    /// Returns once the looks are stored.
    async fn put(&self, looks: Vec<Look>) -> Result<(), Status> {
        let sender = match &self.0.kept {
            Kept::Stream(sender) => sender,
            Kept::Memory(kept) => {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                kept.extend(looks);
                return Ok(());
            }
        };
        let mut stored = Vec::with_capacity(looks.len());
        for look in looks {
            let (answer, answered) = oneshot::channel();
            let waiting = Waiting {
                look: look.encode_length_delimited_to_vec(),
                stored: answer,
            };
            if sender.send(waiting).await.is_err() {
                return Err(unavailable());
            }
            stored.push(answered);
        }
        let stored = join_all(stored).await;
        match stored.iter().all(|one| matches!(one, Ok(true))) {
            true => Ok(()),
            false => Err(unavailable()),
        }
    }
}

fn unavailable() -> Status {
    errors::unavailable("the record of accesses")
}

/// Stores what is handed in, all that waits in one message.
async fn store(mut waiting: mpsc::Receiver<Waiting>, server: Context, subject: String) {
    let turns = Arc::new(Semaphore::new(UNDER_WAY));
    // Before anything is taken out: what comes until it can go goes along.
    while let Ok(turn) = Arc::clone(&turns).acquire_owned().await {
        let Some(first) = waiting.recv().await else {
            return;
        };
        let (mut body, mut answers) = (first.look, vec![first.stored]);
        while body.len() < ENOUGH {
            let Ok(next) = waiting.try_recv() else { break };
            body.extend_from_slice(&next.look);
            answers.push(next.stored);
        }
        let (server, subject) = (server.clone(), subject.clone());
        tokio::spawn(async move {
            let stored = publish(&server, &subject, body.into()).await;
            drop(turn);
            for answer in answers {
                // Whoever has given up needs no answer.
                let _ = answer.send(stored);
            }
        });
    }
}

/// Whether a message is stored.
async fn publish(server: &Context, subject: &str, body: Bytes) -> bool {
    let message = PublishMessage::build()
        .payload(body)
        .message_id(Uuid::now_v7().to_string());
    for attempt in 1..=ATTEMPTS {
        let error = match attempt_to_publish(server, subject, message.clone()).await {
            Ok(()) => return true,
            Err(error) => error,
        };
        tracing::warn!(%error, attempt, "looks can't be put on record: nothing is told");
        if attempt < ATTEMPTS {
            tokio::time::sleep(PAUSE).await;
        }
    }
    false
}

async fn attempt_to_publish(
    server: &Context,
    subject: &str,
    message: PublishMessage,
) -> Result<(), PublishError> {
    let acknowledgement = server.send_publish(subject.to_owned(), message).await?;
    acknowledgement.await?;
    Ok(())
}

impl Caller {
    /// Puts on record that this caller is told something about these persons, elders or visitors: await it before the answer, or
    /// the part of a stream, goes out. `action` is the method, and `fields` are what it tells that is personal, as the
    /// catalogue of sharing names it where it does (`elder.name`). Without persons nothing is recorded.
    ///
    /// # Errors
    /// UNAVAILABLE where it can't be stored: then nothing may be told.
    pub fn told(
        &self,
        action: &'static str,
        persons: impl IntoIterator<Item: Display>,
        fields: &'static [&'static str],
    ) -> impl Future<Output = Result<(), Status>> + Send {
        let mut seen = HashSet::new();
        let persons = persons.into_iter().map(|one| one.to_string());
        // What concerns nobody names nobody.
        let persons = persons.filter(|id| !id.is_empty());
        let ids: Vec<String> = persons.filter(|id| seen.insert(id.clone())).collect();
        async move { self.put_on_record(action, &ids, fields).await }
    }

    async fn put_on_record(
        &self,
        action: &'static str,
        ids: &[String],
        fields: &[&str],
    ) -> Result<(), Status> {
        if ids.is_empty() {
            return Ok(());
        }
        let Some(access) = &self.access else {
            return Err(errors::internal(&"the server records no accesses"));
        };
        // What is stored can be read by whoever takes it out.
        if ids.iter().any(|id| Uuid::try_parse(id).is_err()) {
            return Err(errors::internal(&"a person is told of who has no id"));
        }
        let now = access.0.clock.now();
        let looks = ids.chunks(IN_ONE).map(|some| Look {
            caller: self.actor(),
            department: self.department.clone(),
            purpose: self.purpose().unwrap_or_default().to_owned(),
            method: action.to_owned(),
            address: self.address.map_or_else(String::new, |ip| ip.to_string()),
            at: Some(prost_types::Timestamp {
                seconds: now.timestamp(),
                nanos: now.timestamp_subsec_nanos().cast_signed(),
            }),
            elder_ids: some.to_vec(),
            fields: fields.iter().map(|field| (*field).to_owned()).collect(),
        });
        access.put(looks.collect()).await?;
        record(self, action, ids);
        Ok(())
    }
}
