//! The records of a stream on their way to a fold: fetched and decoded while the batch before is still being written.

use std::collections::VecDeque;
use std::sync::Arc;

use eventlog::{Delivery, EventLog, ReadError, Record};
use futures::StreamExt;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use crate::failure::Error;
use crate::projection::{Ahead, Parked};

/// Fetches ahead of the writer by at most this many deliveries of the log.
const AHEAD: usize = 8;

/// A consecutive piece of the stream.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) records: Vec<Record>,
    /// What the log itself could not read.
    pub(crate) unreadable: Vec<Parked>,
    /// The sequence that the checkpoint moves to.
    pub(crate) last: u64,
}

impl Batch {
    pub(crate) fn len(&self) -> usize {
        self.records.len() + self.unreadable.len()
    }

    /// The first `records` records with what lies among them, and the rest.
    pub(crate) fn split(mut self, records: usize) -> (Self, Option<Self>) {
        if self.records.len() <= records {
            return (self, None);
        }
        let later = self.records.split_off(records);
        let boundary = later
            .first()
            .map_or(self.last, |record| record.sequence - 1);
        let (before, after) = self
            .unreadable
            .into_iter()
            .partition(|parked| parked.sequence <= boundary);
        (
            Self {
                records: self.records,
                unreadable: before,
                last: boundary,
            },
            Some(Self {
                records: later,
                unreadable: after,
                last: self.last,
            }),
        )
    }
}

/// How much one transaction takes at most.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limit {
    pub(crate) records: usize,
    pub(crate) bytes: usize,
    /// Nothing beyond this sequence.
    pub(crate) through: u64,
    /// The log is known to reach this sequence: up to there a full batch is worth the wait.
    pub(crate) known: u64,
}

/// A subscription, read ahead by a task of its own.
pub(crate) struct Feed {
    incoming: mpsc::Receiver<Result<Vec<Delivery>, ReadError>>,
    waiting: VecDeque<Delivery>,
    waiting_bytes: usize,
    _task: AbortOnDropHandle<()>,
}

impl Feed {
    /// The live tail: each record is handed on as soon as it is there.
    pub(crate) fn open(log: Arc<dyn EventLog>, after: u64) -> Self {
        Self::prepared(log, after, None)
    }

    /// For a bulk load: records are prepared before they are handed on.
    pub(crate) fn prepared(
        log: Arc<dyn EventLog>,
        after: u64,
        ahead: Option<Arc<dyn Ahead>>,
    ) -> Self {
        let (sender, incoming) = mpsc::channel(AHEAD);
        let task = tokio::spawn(async move {
            let deliveries = match log.subscribe(after).await {
                Ok(deliveries) => deliveries,
                Err(error) => {
                    // The receiver may be gone: then nobody wants to know.
                    let _ = sender.send(Err(error)).await;
                    return;
                }
            };
            let mut deliveries = std::pin::pin!(deliveries);
            while let Some(delivery) = deliveries.next().await {
                if let (Some(ahead), Ok(delivery)) = (&ahead, &delivery) {
                    ahead.prepare(delivery).await;
                }
                if sender.send(delivery).await.is_err() {
                    return;
                }
            }
        });
        Self {
            incoming,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            _task: AbortOnDropHandle::new(task),
        }
    }

    /// Waits for something to do, then takes what is there; waits for more only up to what is known to come. Safe to
    /// cancel.
    pub(crate) async fn next(&mut self, limit: Limit) -> Result<Batch, Error> {
        while !self.enough(limit) {
            let more = self.incoming.recv().await;
            self.keep(more.ok_or(Error::SubscriptionEnded)??);
        }
        while self.waiting.len() < limit.records {
            match self.incoming.try_recv() {
                Ok(more) => self.keep(more?),
                // Nothing more there, or ended: what is in hand goes first.
                Err(mpsc::error::TryRecvError::Empty | mpsc::error::TryRecvError::Disconnected) => {
                    break;
                }
            }
        }
        Ok(self.take(limit))
    }

    fn enough(&self, limit: Limit) -> bool {
        self.waiting.back().is_some_and(|last| {
            self.waiting.len() >= limit.records
                || self.waiting_bytes >= limit.bytes
                || last.sequence() >= limit.known
        })
    }

    fn keep(&mut self, deliveries: Vec<Delivery>) {
        self.waiting_bytes += deliveries.iter().map(size).sum::<usize>();
        self.waiting.extend(deliveries);
    }

    fn take(&mut self, limit: Limit) -> Batch {
        let mut batch = Batch::default();
        let mut bytes = 0;
        while let Some(delivery) = self.waiting.front() {
            let size = size(delivery);
            let full =
                batch.len() >= limit.records || (batch.len() > 0 && bytes + size > limit.bytes);
            if full || delivery.sequence() > limit.through {
                break;
            }
            bytes += size;
            self.waiting_bytes -= size;
            batch.last = delivery.sequence();
            match self.waiting.pop_front() {
                Some(Delivery::Record(record)) => batch.records.push(record),
                Some(Delivery::Unreadable {
                    sequence,
                    subject,
                    reason,
                    payload,
                }) => batch.unreadable.push(Parked {
                    payload,
                    ..Parked::message(sequence, subject, reason)
                }),
                None => break,
            }
        }
        batch
    }
}

fn size(delivery: &Delivery) -> usize {
    match delivery {
        Delivery::Record(record) => record
            .events
            .iter()
            .map(|event| event.data.len() + event.event_type.len())
            .sum(),
        Delivery::Unreadable { payload, .. } => payload.len(),
    }
}
