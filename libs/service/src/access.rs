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
    self, Context, ErrorCode,
    context::{ContextBuilder, GetStreamErrorKind, PublishError},
    message::PublishMessage,
    stream::{Config, RetentionPolicy, StorageType},
};
use bytes::Bytes;
use futures::future::join_all;
use prost::Message as _;
use proto::eldercare::sharing::v1::Look;
use tokio::sync::{mpsc, oneshot};
use tonic::Status;
use uuid::Uuid;

use crate::{Caller, clock::Clock, errors, settings};

/// The stream of looks on their way to sharing, which alone takes them out.
pub const STREAM: &str = "ACCESS";

/// Its subjects: `access.<service>`.
pub const SUBJECTS: &str = "access.*";

/// The target of access records.
pub(crate) const TARGET: &str = "access";

/// How many persons one look and one line name; a long list goes on in further ones.
const IN_ONE: usize = 200;

/// How many looks wait to be stored.
const WAITING: usize = 1_024;

/// A message that bears so many bytes waits for no further look: with one more it is well within what a server takes.
const ENOUGH: usize = 256 << 10;

/// How long the server may take to answer; it is asked once more, under the same id, as when its leader has changed.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often a message is sent.
const ATTEMPTS: usize = 2;

/// Before it is sent again.
const PAUSE: Duration = Duration::from_millis(200);

/// Within this the server knows a message that is sent again.
const KNOWN_FOR: Duration = Duration::from_secs(30);

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

/// The stream of looks can't be used.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StreamError {
    /// It is not there, and is not to be made.
    #[error("there is no stream {STREAM}")]
    Absent,
    /// It could lose looks, or nothing can be taken out of it.
    #[error("the stream {STREAM} is unfit: {0}")]
    Unfit(&'static str),
    /// The server does not answer, or refuses.
    #[error("the stream {STREAM} is away: {0}")]
    Unavailable(String),
}

/// The stream of looks. Whoever comes first makes it, unless `nats.create_streams` is off.
///
/// # Errors
/// Where the server does not answer, or the stream is missing or unfit.
pub async fn stream(
    client: async_nats::Client,
    settings: &settings::Nats,
) -> Result<jetstream::stream::Stream, StreamError> {
    let server = server(client);
    let stream = match server.get_stream(STREAM).await {
        Ok(stream) => stream,
        Err(error) => match error.kind() {
            GetStreamErrorKind::JetStream(refusal)
                if refusal.error_code() == ErrorCode::STREAM_NOT_FOUND =>
            {
                if !settings.create_streams {
                    return Err(StreamError::Absent);
                }
                let made = server.create_stream(configuration(settings.replicas)).await;
                made.map_err(away)?
            }
            GetStreamErrorKind::JetStream(_)
            | GetStreamErrorKind::EmptyName
            | GetStreamErrorKind::InvalidStreamName
            | GetStreamErrorKind::Request => return Err(away(error)),
        },
    };
    match objection(&stream.cached_info().config) {
        None => Ok(stream),
        Some(objection) => Err(StreamError::Unfit(objection)),
    }
}

fn server(client: async_nats::Client) -> Context {
    ContextBuilder::new().timeout(PATIENCE).build(client)
}

fn away(error: impl Display) -> StreamError {
    StreamError::Unavailable(error.to_string())
}

fn configuration(replicas: usize) -> Config {
    Config {
        name: STREAM.to_owned(),
        description: Some("Looks at personal data, until sharing has them in its log".to_owned()),
        subjects: vec![SUBJECTS.to_owned()],
        storage: StorageType::File,
        retention: RetentionPolicy::Limits,
        num_replicas: replicas,
        duplicate_window: KNOWN_FOR,
        ..Config::default()
    }
}

/// What makes a stream unfit for looks, if anything does.
fn objection(config: &Config) -> Option<&'static str> {
    let demands = [
        (
            config.storage == StorageType::File,
            "it is not kept in files",
        ),
        (
            config.retention == RetentionPolicy::Limits,
            "it drops what was consumed (set retention to limits)",
        ),
        (
            config.max_age.is_zero() && !config.allow_message_ttl,
            "it drops what is old (unset max_age and allow_msg_ttl)",
        ),
        (
            config.max_messages <= 0
                && config.max_bytes <= 0
                && config.max_messages_per_subject <= 0,
            "it drops what is too much (unset max_msgs, max_bytes and max_msgs_per_subject)",
        ),
        (!config.no_ack, "it does not acknowledge (unset no_ack)"),
        (
            !config.deny_purge,
            "nothing can be taken out of it (unset deny_purge)",
        ),
        (
            config.subjects == [SUBJECTS],
            "its subjects are not exactly those of looks",
        ),
    ];
    demands
        .into_iter()
        .find_map(|(met, objection)| (!met).then_some(objection))
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
    ) -> Result<Self, StreamError> {
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
    while let Some(first) = waiting.recv().await {
        let (mut body, mut answers) = (first.look, vec![first.stored]);
        while body.len() < ENOUGH {
            let Ok(next) = waiting.try_recv() else { break };
            body.extend_from_slice(&next.look);
            answers.push(next.stored);
        }
        let stored = publish(&server, &subject, body.into()).await;
        for answer in answers {
            // Whoever has given up needs no answer.
            let _ = answer.send(stored);
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_of_our_making_is_fit() {
        assert_eq!(objection(&configuration(1)), None);
    }

    #[test]
    fn a_stream_that_can_lose_looks_is_not() {
        let changes: [fn(&mut Config); 5] = [
            |config| config.max_age = Duration::from_secs(1),
            |config| config.max_messages = 1,
            |config| config.max_bytes = 1,
            |config| config.storage = StorageType::Memory,
            |config| config.retention = RetentionPolicy::WorkQueue,
        ];
        for (number, change) in changes.iter().enumerate() {
            let mut config = configuration(1);
            change(&mut config);
            assert!(objection(&config).is_some(), "change {number}");
        }
    }
}
