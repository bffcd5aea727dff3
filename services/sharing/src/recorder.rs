//! Puts on record what goes out, before it goes out. What waits at the same time is written as one record.
//!
//! Each process writes under a name of its own, new with each start, so nobody contends for it. A look that is on record and
//! was not told after all (the process died in between) is the lesser evil.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use eventlog::{Aggregate as _, EventLog, Metadata, NewRecord, Position, Repository};
use futures::future::try_join_all;
use service::{Clock, errors};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tonic::Status;
use uuid::Uuid;

use crate::look::{Looks, Recorded};

/// How many looks wait to be written.
const WAITING: usize = 1_024;
/// How many looks one record bears: at most two hundred elders each, well within what a message may hold.
const IN_A_RECORD: usize = 64;
/// Who writes them.
const ACTOR: &str = "system:sharing";

/// Puts looks on record. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Recorder(mpsc::Sender<Waiting>);

/// A look that waits to be written.
#[derive(Debug)]
struct Waiting {
    look: Recorded,
    written: oneshot::Sender<Result<Position, Status>>,
}

/// Writes what recorders hand in.
pub(crate) struct Writer {
    waiting: mpsc::Receiver<Waiting>,
    log: Arc<dyn EventLog>,
    clock: Clock,
    name: String,
    last: u64,
}

/// A recorder, and the writer that has to run for it.
pub(crate) fn recording(log: Arc<dyn EventLog>, clock: Clock) -> (Recorder, Writer) {
    let (sender, waiting) = mpsc::channel(WAITING);
    let writer = Writer {
        waiting,
        log,
        clock,
        name: Uuid::now_v7().to_string(),
        last: 0,
    };
    (Recorder(sender), writer)
}

impl Recorder {
    /// Returns once a look is in the log.
    ///
    /// # Errors
    /// UNAVAILABLE where the log does not take it: then nothing may be told.
    pub(crate) async fn record(&self, look: Recorded) -> Result<Position, Status> {
        let (written, answer) = oneshot::channel();
        let waiting = Waiting { look, written };
        let sent = self.0.send(waiting).await;
        sent.map_err(|_ended| errors::unavailable("the log"))?;
        answer
            .await
            .unwrap_or_else(|_ended| Err(errors::unavailable("the log")))
    }

    /// Returns once all these looks are in the log. Those that wait together go on record together.
    ///
    /// # Errors
    /// As [`Recorder::record`]: then nothing may be told.
    pub(crate) async fn record_all(&self, looks: Vec<Recorded>) -> Result<(), Status> {
        let recording = looks.into_iter().map(|look| self.record(look));
        try_join_all(recording).await?;
        Ok(())
    }
}

impl Writer {
    /// Writes until `shutdown`, and what waits then.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) {
        let mut some = Vec::with_capacity(IN_A_RECORD);
        loop {
            let count = tokio::select! {
                biased;
                count = self.waiting.recv_many(&mut some, IN_A_RECORD) => count,
                () = shutdown.cancelled() => return,
            };
            if count == 0 {
                return;
            }
            let (looks, answers): (Vec<Recorded>, Vec<_>) = some
                .drain(..)
                .map(|waiting| (waiting.look, waiting.written))
                .unzip();
            let written = self.write(&looks).await;
            for answer in answers {
                // Whoever has given up needs no answer.
                let _ = answer.send(written.clone());
            }
        }
    }

    async fn write(&mut self, looks: &[Recorded]) -> Result<Position, Status> {
        let subject = Repository::<Looks>::subject(&self.name);
        let subject = subject.map_err(|error| errors::internal(&error))?;
        let record = NewRecord {
            subject,
            expected: self.last,
            metadata: metadata(self.clock.now()),
            events: looks.iter().map(Looks::encode).collect(),
        };
        match self.log.append(record).await {
            Ok(sequence) => {
                self.last = sequence;
                Ok(Position::new(self.log.stream(), sequence))
            }
            Err(error) => {
                tracing::warn!(%error, "looks can't be put on record: nothing is told");
                // Whether it was written is open; under another name nothing rests on that.
                self.name = Uuid::now_v7().to_string();
                self.last = 0;
                Err(errors::unavailable("the log"))
            }
        }
    }
}

pub(crate) fn metadata(now: DateTime<Utc>) -> Metadata {
    let id = Uuid::now_v7();
    Metadata {
        id,
        time: now,
        actor: ACTOR.to_owned(),
        request_id: id,
        // No request stands behind it.
        request_digest: [0; 16],
        correlation_id: id,
        causation_id: None,
        division: None,
        traceparent: None,
        answers: None,
        purpose: None,
    }
}
