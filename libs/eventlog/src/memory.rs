//! A log in memory, for tests: it keeps the promises of the real one, and fails when told to.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_nats::HeaderMap;
use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use tokio::sync::watch;

use crate::{
    log::{AppendError, Deliveries, EventLog, ReadError, check},
    record::{Delivery, NewRecord, RawMessage, Record},
    subject::Subject,
    wire,
};

/// As much as the real server takes by default on one machine.
const LARGEST: usize = 8 << 20;

/// How many records a subscriber gets at once at most.
const BATCH: usize = 2_000;

/// A log in memory. Clones share it.
#[derive(Debug, Clone)]
pub struct MemoryLog {
    stream: Arc<str>,
    messages: Arc<Mutex<Messages>>,
    last: Arc<watch::Sender<u64>>,
}

/// How the next append fails. Either way the writer learns only that no answer came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The request is lost: nothing is written.
    BeforeWriting,
    /// The answer is lost: the record is written.
    AfterWriting,
}

#[derive(Debug, Default)]
struct Messages {
    /// Kept as written down, so that tests read what a reader of the real log would.
    all: Vec<Message>,
    of_subject: HashMap<String, Vec<u64>>,
    faults: VecDeque<Fault>,
}

#[derive(Debug)]
struct Message {
    subject: async_nats::Subject,
    headers: Option<HeaderMap>,
    body: Bytes,
}

impl MemoryLog {
    /// An empty log under a stream's name.
    pub fn new(stream: &str) -> Self {
        Self {
            stream: stream.into(),
            messages: Arc::default(),
            last: Arc::new(watch::Sender::new(0)),
        }
    }

    /// Makes an append fail; several faults befall one append each.
    pub fn fail_next(&self, fault: Fault) {
        self.lock().faults.push_back(fault);
    }

    /// Writes a message that is no record, as a faulty program would, and returns its sequence.
    pub fn write_unreadable(&self, subject: &str, body: impl Into<Bytes>) -> u64 {
        let mut messages = self.lock();
        let sequence = messages.push(Message {
            subject: subject.into(),
            headers: None,
            body: body.into(),
        });
        self.last.send_replace(sequence);
        sequence
    }

    fn lock(&self) -> MutexGuard<'_, Messages> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, records: &[NewRecord]) -> Result<Vec<u64>, AppendError> {
        check(records)?;
        let mut messages = self.lock();
        let fault = messages.faults.pop_front();
        if fault == Some(Fault::BeforeWriting) {
            return Err(AppendError::Unavailable("the request was lost".to_owned()));
        }
        for record in records {
            if messages.last_of(record.subject.as_str()) != record.expected {
                return Err(AppendError::Conflict {
                    subject: record.subject.clone(),
                });
            }
        }
        let encoded: Vec<_> = records.iter().map(wire::encode).collect();
        if encoded.iter().any(|(_, body)| body.len() > LARGEST) {
            return Err(AppendError::TooLarge);
        }
        let mut sequences = Vec::with_capacity(records.len());
        for (record, (headers, body)) in records.iter().zip(encoded) {
            sequences.push(messages.push(Message {
                subject: record.subject.nats(),
                headers: Some(headers),
                body,
            }));
        }
        self.last.send_replace(messages.last());
        if fault == Some(Fault::AfterWriting) {
            return Err(AppendError::Unavailable("the answer was lost".to_owned()));
        }
        Ok(sequences)
    }

    fn from(&self, next: u64) -> Vec<Delivery> {
        let messages = self.lock();
        (next..=messages.last())
            .take(BATCH)
            .map(|sequence| {
                let message = messages.at(sequence);
                wire::deliver(
                    sequence,
                    message.subject.clone(),
                    message.headers.as_ref(),
                    message.body.clone(),
                )
            })
            .collect()
    }
}

impl Messages {
    fn last(&self) -> u64 {
        self.all.len() as u64
    }

    fn last_of(&self, subject: &str) -> u64 {
        let sequences = self.of_subject.get(subject);
        sequences
            .and_then(|sequences| sequences.last())
            .copied()
            .unwrap_or(0)
    }

    fn push(&mut self, message: Message) -> u64 {
        let sequence = self.last() + 1;
        self.of_subject
            .entry(message.subject.to_string())
            .or_default()
            .push(sequence);
        self.all.push(message);
        sequence
    }

    fn at(&self, sequence: u64) -> &Message {
        let index = usize::try_from(sequence - 1).expect("a sequence fits into memory");
        &self.all[index]
    }
}

#[async_trait]
impl EventLog for MemoryLog {
    fn stream(&self) -> &str {
        &self.stream
    }

    async fn append(&self, record: NewRecord) -> Result<u64, AppendError> {
        let sequences = self.write(std::slice::from_ref(&record))?;
        sequences
            .first()
            .copied()
            .ok_or(AppendError::Invalid("no records"))
    }

    async fn append_all(&self, records: Vec<NewRecord>) -> Result<Vec<u64>, AppendError> {
        self.write(&records)
    }

    async fn read(&self, subject: &Subject, after: u64) -> Result<Vec<Record>, ReadError> {
        let messages = self.lock();
        let sequences = messages
            .of_subject
            .get(subject.as_str())
            .map_or(&[][..], Vec::as_slice);
        let newer = sequences.partition_point(|sequence| *sequence <= after);
        sequences[newer..]
            .iter()
            .map(|&sequence| {
                let message = messages.at(sequence);
                wire::decode(
                    sequence,
                    message.subject.clone(),
                    message.headers.as_ref(),
                    message.body.clone(),
                )
                .map_err(|reason| ReadError::Unreadable {
                    subject: subject.clone(),
                    sequence,
                    reason,
                })
            })
            .collect()
    }

    async fn last_sequence(&self) -> Result<u64, ReadError> {
        Ok(self.lock().last())
    }

    async fn subscribe(&self, after: u64) -> Result<Deliveries, ReadError> {
        let last = self.lock().last();
        if last < after {
            return Err(ReadError::Behind { after, last });
        }
        let reader = (self.clone(), self.last.subscribe(), after + 1);
        Ok(stream::unfold(reader, |(log, mut last, next)| async move {
            last.wait_for(|last| *last >= next).await.ok()?;
            let batch = log.from(next);
            let next = next + batch.len() as u64;
            Some((Ok(batch), (log, last, next)))
        })
        .boxed())
    }
    async fn messages(&self, after: u64, most: usize) -> Result<Vec<RawMessage>, ReadError> {
        let messages = self.lock();
        let raw = (after + 1..=messages.last()).take(most).map(|sequence| {
            let message = messages.at(sequence);
            wire::raw(
                sequence,
                message.subject.as_str(),
                message.headers.as_ref(),
                message.body.clone(),
            )
        });
        Ok(raw.collect())
    }
}
