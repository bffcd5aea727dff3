//! Carries keys that are to be stored at the same moment to the server in one go, where each write of its own would cost a disk sync.

use std::{collections::HashSet, sync::Arc};

use async_nats::{
    HeaderMap, header,
    jetstream::{
        self,
        context::{PublishError, PublishErrorKind},
    },
};
use bytes::Bytes;
use futures::future::join_all;
use tokio::sync::{Semaphore, mpsc, oneshot};
use uuid::Uuid;

use crate::{PutError, StoreError};

/// Messages in one atomic batch; beyond some hundred a larger batch is no faster.
const FULL: usize = 100;

/// Batches under way at a time. The server takes its time per batch, not per
/// message, so more of them would be smaller and slower in sum.
const IN_FLIGHT: usize = 2;

/// One message that is to be stored if its subject's last sequence is the expected one.
struct Write {
    subject: String,
    expected: u64,
    body: Bytes,
    answer: oneshot::Sender<Result<u64, PutError>>,
}

/// Gathers concurrent writes into atomic batches. Its task ends when the last handle is dropped.
#[derive(Clone)]
pub(crate) struct Gatherer {
    queue: mpsc::Sender<Write>,
}

impl Gatherer {
    pub(crate) fn start(context: jetstream::Context) -> Self {
        let (queue, waiting) = mpsc::channel(4 * FULL);
        tokio::spawn(run(context, waiting));
        Self { queue }
    }

    pub(crate) async fn put(
        &self,
        subject: String,
        expected: u64,
        body: Bytes,
    ) -> Result<u64, PutError> {
        let (answer, answered) = oneshot::channel();
        let write = Write {
            subject,
            expected,
            body,
            answer,
        };
        let stopped = || StoreError::new("storing a key", "the gathering of writes has stopped");
        self.queue.send(write).await.map_err(|_closed| stopped())?;
        answered.await.map_err(|_dropped| stopped())?
    }
}

async fn run(context: jetstream::Context, mut waiting: mpsc::Receiver<Write>) {
    let slots = Arc::new(Semaphore::new(IN_FLIGHT));
    // A subject stands in a batch once; its next write waits here for the next batch.
    let mut held: Vec<Write> = Vec::new();
    // First a free slot, then whatever waits by now: the busier, the fuller the batches.
    while let Ok(slot) = Arc::clone(&slots).acquire_owned().await {
        let mut taken = std::mem::take(&mut held);
        if taken.is_empty() && waiting.recv_many(&mut taken, FULL).await == 0 {
            return;
        }
        while taken.len() < FULL {
            match waiting.try_recv() {
                Ok(write) => taken.push(write),
                Err(mpsc::error::TryRecvError::Empty | mpsc::error::TryRecvError::Disconnected) => {
                    break;
                }
            }
        }
        let mut subjects = HashSet::with_capacity(taken.len());
        let mut batch = Vec::with_capacity(taken.len());
        for write in taken {
            if subjects.insert(write.subject.clone()) {
                batch.push(write);
            } else {
                held.push(write);
            }
        }
        let context = context.clone();
        tokio::spawn(async move {
            send(&context, batch).await;
            drop(slot);
        });
    }
}

async fn send(context: &jetstream::Context, batch: Vec<Write>) {
    if batch.len() > 1
        && let Ok(first) = send_together(context, &batch).await
    {
        for (sequence, write) in (first..).zip(batch) {
            // Whoever asked may have gone meanwhile; the key is stored all the same.
            let _gone = write.answer.send(Ok(sequence));
        }
        return;
    }
    // One conflict refuses the whole batch, so each finds out for itself. Where
    // the batch was stored and only its answer got lost, each finds a conflict,
    // and the caller reads what is there.
    join_all(batch.into_iter().map(async |write| {
        let outcome = put_single(context, write.subject, write.expected, write.body).await;
        let _gone = write.answer.send(outcome);
    }))
    .await;
}

/// Answers the sequence of the first message; the others follow without a gap.
async fn send_together(
    context: &jetstream::Context,
    batch: &[Write],
) -> Result<u64, async_nats::Error> {
    let id = Uuid::now_v7().simple().to_string();
    let client = context.client();
    let mut last = None;
    for (index, write) in batch.iter().enumerate() {
        let mut headers = expecting(write.expected);
        headers.insert(header::NATS_BATCH_ID, id.as_str());
        headers.insert(header::NATS_BATCH_SEQUENCE, (index + 1).to_string());
        let (subject, body) = (write.subject.clone(), write.body.clone());
        if index + 1 == batch.len() {
            headers.insert(header::NATS_BATCH_COMMIT, header::NATS_BATCH_COMMIT_FINAL);
            last = Some(context.publish_with_headers(subject, headers, body).await?);
        } else {
            client.publish_with_headers(subject, headers, body).await?;
        }
    }
    let acknowledged = last.ok_or("an empty batch")?.await?;
    Ok(acknowledged.sequence + 1 - batch.len() as u64)
}

pub(crate) async fn put_single(
    context: &jetstream::Context,
    subject: String,
    expected: u64,
    body: Bytes,
) -> Result<u64, PutError> {
    let stored = async {
        context
            .publish_with_headers(subject, expecting(expected), body)
            .await?
            .await
    };
    stored.await.map(|stored| stored.sequence).map_err(refusal)
}

fn expecting(sequence: u64) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(
        header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE,
        sequence.to_string(),
    );
    headers
}

fn refusal(error: PublishError) -> PutError {
    if error.kind() == PublishErrorKind::WrongLastSequence {
        PutError::Conflict
    } else {
        StoreError::new("storing a key", error).into()
    }
}
