//! The key store on JetStream: the stream `VAULT`, one subject per person, from which messages can be destroyed.

use std::{collections::HashSet, time::Duration};

use async_nats::{
    Message, header,
    jetstream::{
        self,
        stream::{DeleteMessageErrorKind, DirectGetErrorKind, LastRawMessageErrorKind, Stream},
    },
};
use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
pub use nats_streams::OpenError as OpenStoreError;
use serde_json::json;

use crate::{
    Entry, KeyStore, PersonId, PutError, StoreError, StoredKey,
    gatherer::{Gatherer, put_single},
};

/// What the stream of keys is called where it is declared how it is kept.
const DECLARED: &str = "VAULT";

/// Subjects in one bulk read; the server takes 1,024.
const AT_ONCE: usize = 1_000;

/// How long one read may take before the store counts as unavailable.
const PATIENCE: Duration = Duration::from_secs(10);

/// The last token of a divider's subject, where a person's id stands for a key.
const DIVIDER: &str = "divider";

/// Bytes of one message of a divider, far below what any server takes.
const PIECE: usize = 256 * 1024;

/// Messages of a divider. Together they exceed a file of the server (8 MiB at the most), so that a new file begins among
/// them.
const PIECES: usize = 33;

/// What a divider ends with.
const COMPLETE: Bytes = Bytes::from_static(b"complete");

/// Whether concurrent writes are carried in atomic batches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Gather {
    /// Each write for itself, many under way: best where the server syncs every now and then.
    #[default]
    Never,
    /// Together: best where the server syncs each write (`sync_interval: always`).
    Always,
}

/// Which stream, and how it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyStream {
    /// The stream's name.
    pub name: String,
    /// Its subjects are `<subjects>.<person>`.
    pub subjects: String,
    /// Copies of the stream: 1 on one machine, 3 in a cluster.
    pub replicas: usize,
    /// Whether concurrent writes are gathered.
    pub gather: Gather,
    /// Make the stream where it is missing. Who may not do that opens one that an operator has made.
    pub create: bool,
}

impl Default for KeyStream {
    fn default() -> Self {
        Self {
            name: DECLARED.to_owned(),
            subjects: "eldercare.vault.key".to_owned(),
            replicas: 1,
            gather: Gather::Never,
            create: true,
        }
    }
}

/// Wrapped keys in a JetStream stream.
///
/// Destroying a message has the server overwrite its bytes in its files. What
/// a file system or a disk keeps of overwritten blocks, and the Raft log of a
/// cluster until its next snapshot, is beyond it: there the wrapping under a
/// key that is not on the machine is what protects.
#[derive(Clone)]
pub struct JetStreamKeyStore {
    context: jetstream::Context,
    stream: Stream<()>,
    settings: KeyStream,
    gatherer: Option<Gatherer>,
}

impl JetStreamKeyStore {
    /// Opens the stream; makes it where it is missing, if the settings say so.
    ///
    /// # Errors
    /// Where the server does not answer, or the stream is missing, or kept so that keys could be lost or not be destroyed.
    pub async fn open(
        context: jetstream::Context,
        settings: KeyStream,
    ) -> Result<Self, OpenStoreError> {
        let subjects = vec![format!("{}.*", settings.subjects)];
        let keys = nats_streams::stream(DECLARED).called(settings.name.as_str(), subjects);
        keys.open(&context, settings.replicas, settings.create)
            .await?;
        let stream = context.get_stream_no_info(&settings.name).await;
        let stream = stream.map_err(|error| OpenStoreError::Unavailable(error.to_string()))?;
        let gatherer = match settings.gather {
            Gather::Never => None,
            Gather::Always => Some(Gatherer::start(context.clone())),
        };
        Ok(Self {
            context,
            stream,
            settings,
            gatherer,
        })
    }

    fn subject(&self, person: PersonId) -> String {
        format!("{}.{person}", self.settings.subjects)
    }

    fn divider(&self) -> String {
        format!("{}.{DIVIDER}", self.settings.subjects)
    }

    fn entry(&self, subject: &str, sequence: u64, payload: Bytes) -> Result<Entry, StoreError> {
        let token = subject
            .strip_prefix(self.settings.subjects.as_str())
            .and_then(|rest| rest.strip_prefix('.'))
            .unwrap_or_default();
        if token == DIVIDER {
            let complete = payload == COMPLETE;
            return Ok(Entry::Divider { sequence, complete });
        }
        let person = token
            .parse()
            .map_err(|_malformed| StoreError::new("reading keys", "a subject names no person"))?;
        Ok(Entry::Key(StoredKey {
            person,
            sequence,
            wrapped: payload,
        }))
    }

    /// Several messages by one direct get.
    async fn direct(&self, request: &serde_json::Value) -> Result<Vec<Entry>, StoreError> {
        let failed = |error: async_nats::Error| StoreError::new("reading keys", error);
        let client = self.context.client();
        let inbox = client.new_inbox();
        let mut answers = client
            .subscribe(inbox.clone())
            .await
            .map_err(|error| failed(error.into()))?;
        let subject = format!("$JS.API.DIRECT.GET.{}", self.settings.name);
        client
            .publish_with_reply(subject, inbox, request.to_string().into())
            .await
            .map_err(|error| failed(error.into()))?;
        let mut entries = Vec::new();
        loop {
            let message = tokio::time::timeout(PATIENCE, answers.next())
                .await
                .map_err(|elapsed| failed(elapsed.into()))?
                .ok_or_else(|| failed("the connection was closed".into()))?;
            match message.status.map(|status| status.as_u16()) {
                None => entries.push(self.direct_answer(message)?),
                // All sent; or there is nothing.
                Some(204 | 404) => return Ok(entries),
                Some(status) => return Err(failed(format!("the server answered {status}").into())),
            }
        }
    }

    fn direct_answer(&self, message: Message) -> Result<Entry, StoreError> {
        let value = |name| {
            message
                .headers
                .as_ref()
                .and_then(|headers| headers.get(name))
        };
        let subject = value(header::NATS_SUBJECT);
        let sequence = value(header::NATS_SEQUENCE).and_then(|text| text.as_str().parse().ok());
        let (Some(subject), Some(sequence)) = (subject, sequence) else {
            return Err(StoreError::new(
                "reading keys",
                "an answer without subject or sequence",
            ));
        };
        self.entry(subject.as_str(), sequence, message.payload.clone())
    }

    /// From the leader: unlike a direct get, never from a replica that lags behind.
    async fn last_at_leader(&self, person: PersonId) -> Result<Option<StoredKey>, StoreError> {
        match self
            .stream
            .get_last_raw_message_by_subject(&self.subject(person))
            .await
        {
            Ok(message) => Ok(Some(StoredKey {
                person,
                sequence: message.sequence,
                wrapped: message.payload,
            })),
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(StoreError::new("reading a key", error)),
        }
    }
}

#[async_trait]
impl KeyStore for JetStreamKeyStore {
    async fn put(&self, person: PersonId, expected: u64, wrapped: Bytes) -> Result<u64, PutError> {
        let subject = self.subject(person);
        match &self.gatherer {
            None => put_single(&self.context, subject, expected, wrapped).await,
            Some(gatherer) => gatherer.put(subject, expected, wrapped).await,
        }
    }

    async fn last(&self, person: PersonId) -> Result<Option<StoredKey>, StoreError> {
        self.last_at_leader(person).await
    }

    async fn last_of(&self, persons: &[PersonId]) -> Result<Vec<StoredKey>, StoreError> {
        if let [person] = persons {
            return match self
                .stream
                .direct_get_last_for_subject(self.subject(*person))
                .await
            {
                Ok(message) => Ok(vec![StoredKey {
                    person: *person,
                    sequence: message.sequence,
                    wrapped: message.payload,
                }]),
                Err(error) if error.kind() == DirectGetErrorKind::NotFound => {
                    Ok(self.last_at_leader(*person).await?.into_iter().collect())
                }
                Err(error) => Err(StoreError::new("reading a key", error)),
            };
        }
        let mut keys = Vec::with_capacity(persons.len());
        for persons in persons.chunks(AT_ONCE) {
            let subjects: Vec<_> = persons.iter().map(|person| self.subject(*person)).collect();
            for entry in self.direct(&json!({ "multi_last": subjects })).await? {
                match entry {
                    Entry::Key(stored) => keys.push(stored),
                    Entry::Divider { .. } => {}
                }
            }
        }
        // A replica that lags behind may not know a new key yet, and "no key"
        // means "erased": so it is the leader that says so.
        let found: HashSet<_> = keys.iter().map(|key| key.person).collect();
        let missing: HashSet<PersonId> = persons
            .iter()
            .filter(|person| !found.contains(person))
            .copied()
            .collect();
        let confirmed: Vec<_> = stream::iter(missing)
            .map(|person| self.last_at_leader(person))
            .buffer_unordered(32)
            .try_collect()
            .await?;
        keys.extend(confirmed.into_iter().flatten());
        Ok(keys)
    }

    async fn scan(&self, after: u64, limit: usize) -> Result<Vec<Entry>, StoreError> {
        let next = after.saturating_add(1);
        let all = format!("{}.*", self.settings.subjects);
        let page = self
            .direct(&json!({ "seq": next, "next_by_subj": &all, "batch": limit }))
            .await?;
        if !page.is_empty() {
            return Ok(page);
        }
        // A replica that lags behind may see its end too early: the leader says whether this is the end.
        match self
            .stream
            .raw_message_builder()
            .sequence(next)
            .next_by_subject(all)
            .send()
            .await
        {
            Ok(message) => Ok(vec![self.entry(
                &message.subject,
                message.sequence,
                message.payload,
            )?]),
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(Vec::new()),
            Err(error) => Err(StoreError::new("reading keys", error)),
        }
    }

    async fn divide(&self) -> Result<(), StoreError> {
        let failed = |error| StoreError::new("dividing the keys", error);
        let piece = Bytes::from(vec![0; PIECE]);
        let mut pieces = Vec::with_capacity(PIECES);
        for _ in 0..PIECES {
            let sent = self.context.publish(self.divider(), piece.clone()).await;
            pieces.push(sent.map_err(failed)?);
        }
        for piece in pieces {
            piece.await.map_err(failed)?;
        }
        let end = self.context.publish(self.divider(), COMPLETE).await;
        end.map_err(failed)?.await.map_err(failed)?;
        Ok(())
    }

    async fn drop_before(&self, sequence: u64) -> Result<(), StoreError> {
        self.stream
            .purge()
            .sequence(sequence)
            .await
            .map_err(|error| StoreError::new("dropping old keys", error))?;
        Ok(())
    }

    async fn destroy(&self, sequence: u64) -> Result<(), StoreError> {
        // Unless told otherwise the server overwrites the bytes, not only unlinks them.
        match self.stream.delete_message(sequence).await {
            Ok(_) => Ok(()),
            Err(error) => match error.kind() {
                // It names the absence of the message in more than one way, so look.
                DeleteMessageErrorKind::JetStream(_)
                    if self
                        .stream
                        .get_raw_message(sequence)
                        .await
                        .is_err_and(|error| {
                            error.kind() == LastRawMessageErrorKind::NoMessageFound
                        }) =>
                {
                    Ok(())
                }
                DeleteMessageErrorKind::JetStream(_)
                | DeleteMessageErrorKind::Request
                | DeleteMessageErrorKind::TimedOut => {
                    Err(StoreError::new("destroying a key", error))
                }
            },
        }
    }

    async fn count(&self) -> Result<u64, StoreError> {
        let info = self
            .stream
            .get_info()
            .await
            .map_err(|error| StoreError::new("counting keys", error))?;
        Ok(info.state.messages)
    }
}
