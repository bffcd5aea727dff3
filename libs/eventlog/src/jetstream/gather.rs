//! Gathers what several callers want written at the same moment into one atomic batch of the server's.
//!
//! A batch costs the server some files made and taken away again, and one write through to the disk instead of one for
//! each record, however many it holds; and what the files cost grows with how many are made in a second. So one batch is
//! on its way at a time, and whoever comes meanwhile goes with the next: under load the callers fall into two halves by
//! themselves, of which one decides while the other's batch is written. A second batch leaves beside it only when it is
//! full. When a batch has ended, those whom it answered are about to ask again: rather than leave at once with the first
//! of them, the next batch waits for the others, for no longer than a batch takes. A caller who is alone never waits.

use std::{
    collections::{HashSet, VecDeque},
    time::Duration,
};

use futures::{StreamExt as _, future, stream, stream::FuturesUnordered};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until},
};

use super::publish::{Message, Publisher, Refusal};
use crate::{log::AppendError, measures::Measures, subject::Subject};

/// How many records a batch gathers at most; the server takes 1,000. A larger group of one caller goes as a batch of its
/// own.
const LARGEST: usize = 512;

/// How many batches are on their way at once, all but the first of them full. With more the server takes longer for all of
/// them together.
const ON_THEIR_WAY: usize = 2;

/// A batch waits for company for as long as the last one took, and for no longer than this.
const LONGEST_WAIT: Duration = Duration::from_millis(10);

/// How many bytes a batch gathers at most.
const LARGEST_BYTES: usize = 1 << 20;

/// Fewer single records than this are faster sent one by one than as a batch.
const FEWEST: usize = 12;

/// How many of a refused batch's groups are on their way at once when they are sent one by one.
const ALONE_AT_ONCE: usize = 8;

/// How many callers' records wait here for their batch at most. Whoever comes after them waits in the channel, and once
/// that is full, before it: the memory that waiting records take is bounded, and a caller that gives up leaves nothing.
const WAITING: usize = 4_096;

/// How many callers' records wait in the channel.
const ARRIVING: usize = LARGEST;

/// The way into the gathering task, which ends when all of these are gone.
#[derive(Debug, Clone)]
pub(super) struct Gatherer(mpsc::Sender<Unit>);

/// What one caller wants written all or nothing.
#[derive(Debug)]
struct Unit {
    messages: Vec<Message>,
    answer: oneshot::Sender<Result<Vec<u64>, AppendError>>,
}

impl Gatherer {
    pub(super) fn start(publisher: Publisher, measures: Measures) -> Self {
        let (sender, receiver) = mpsc::channel(ARRIVING);
        tokio::spawn(run(publisher, measures, receiver));
        Self(sender)
    }

    pub(super) async fn append(&self, messages: Vec<Message>) -> Result<Vec<u64>, AppendError> {
        let gone = || AppendError::Unavailable("the writer has ended".to_owned());
        let (answer, answered) = oneshot::channel();
        self.0
            .send(Unit { messages, answer })
            .await
            .map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}

async fn run(publisher: Publisher, measures: Measures, mut arriving: mpsc::Receiver<Unit>) {
    let mut waiting = Waiting::default();
    let mut pace = Pace::default();
    let mut on_their_way = FuturesUnordered::new();
    let mut open = true;
    while open || !waiting.units.is_empty() || !on_their_way.is_empty() {
        let mut leaves = None;
        while !waiting.units.is_empty()
            && (on_their_way.is_empty() || (on_their_way.len() < ON_THEIR_WAY && waiting.is_full()))
        {
            leaves = pace
                .waits_until(waiting.units.len())
                .filter(|_| open && !waiting.is_full());
            if leaves.is_some() {
                break;
            }
            let Some(batch) = waiting.next_batch() else {
                break;
            };
            measures.gathered(batch.iter().map(|unit| unit.messages.len()).sum());
            on_their_way.push(send(&publisher, batch));
        }
        tokio::select! {
            Some(sent) = on_their_way.next() => {
                waiting.release(&sent.subjects);
                pace.arrived(&sent, waiting.units.len());
            }
            () = sleep_until(leaves.unwrap_or_else(Instant::now)), if leaves.is_some() => {}
            unit = arriving.recv(), if open && waiting.has_room() => match unit {
                Some(unit) => {
                    waiting.units.push_back(unit);
                    waiting.fill(&mut arriving);
                }
                None => open = false,
            },
        }
    }
}

/// How the last batch went, and what that says of the next one.
#[derive(Debug, Default)]
struct Pace {
    /// How many callers there are, as far as is known: those whom the last batch answered, and those who waited then.
    company: usize,
    /// Until when those who were answered may take to come back.
    patient_until: Option<Instant>,
}

impl Pace {
    /// Until when the next batch waits for those who were answered by the last one; none when it need not.
    fn waits_until(&self, waiting: usize) -> Option<Instant> {
        self.patient_until
            .filter(|until| waiting < self.company && *until > Instant::now())
    }

    fn arrived(&mut self, sent: &Sent, waiting: usize) {
        self.company = sent.callers + waiting;
        let patience = sent.took.min(LONGEST_WAIT);
        self.patient_until = Some(Instant::now() + patience);
    }
}

/// A batch that has been answered.
struct Sent {
    callers: usize,
    subjects: Vec<Subject>,
    took: Duration,
}

#[derive(Debug, Default)]
struct Waiting {
    units: VecDeque<Unit>,
    /// The aggregates of batches on their way. A further record of one would be refused, and with it its whole batch.
    busy: HashSet<Subject>,
}

impl Waiting {
    fn has_room(&self) -> bool {
        self.units.len() < WAITING
    }

    /// Takes up whoever has arrived, as far as there is room.
    fn fill(&mut self, arriving: &mut mpsc::Receiver<Unit>) {
        while self.has_room()
            && let Ok(unit) = arriving.try_recv()
        {
            self.units.push_back(unit);
        }
    }

    /// Whether there is enough for a full batch.
    fn is_full(&self) -> bool {
        let mut records = 0;
        self.units.iter().any(|unit| {
            records += unit.messages.len();
            records >= LARGEST
        })
    }

    /// Takes what can go together now: each aggregate once, none that is on its way, first come first served.
    fn next_batch(&mut self) -> Option<Vec<Unit>> {
        let mut batch = Vec::new();
        let (mut records, mut bytes) = (0, 0);
        let mut stay = VecDeque::new();
        // The aggregates of all who came before: whoever stays keeps its place before later records of the same ones.
        let mut ahead: HashSet<Subject> = HashSet::new();
        while let Some(unit) = self.units.pop_front() {
            if unit.answer.is_closed() {
                // The caller has given up; nobody would learn of it.
                continue;
            }
            let unit_bytes: usize = unit.messages.iter().map(Message::size).sum();
            let fits = batch.is_empty()
                || (records + unit.messages.len() <= LARGEST
                    && bytes + unit_bytes <= LARGEST_BYTES);
            let mut subjects = unit.messages.iter().map(|message| &message.subject);
            let free =
                subjects.all(|subject| !self.busy.contains(subject) && !ahead.contains(subject));
            ahead.extend(unit.messages.iter().map(|message| message.subject.clone()));
            if fits && free {
                records += unit.messages.len();
                bytes += unit_bytes;
                batch.push(unit);
            } else {
                stay.push_back(unit);
            }
            if !fits {
                break;
            }
        }
        stay.append(&mut self.units);
        self.units = stay;
        let taken = batch.iter().flat_map(|unit| &unit.messages);
        self.busy
            .extend(taken.map(|message| message.subject.clone()));
        (!batch.is_empty()).then_some(batch)
    }

    fn release(&mut self, subjects: &[Subject]) {
        for subject in subjects {
            self.busy.remove(subject);
        }
    }
}

/// Sends a batch, and answers its callers.
async fn send(publisher: &Publisher, batch: Vec<Unit>) -> Sent {
    let begun = Instant::now();
    let messages = batch.iter().flat_map(|unit| &unit.messages);
    let (callers, subjects) = (
        batch.len(),
        messages.map(|message| message.subject.clone()).collect(),
    );
    deliver(publisher, batch).await;
    Sent {
        callers,
        subjects,
        took: begun.elapsed(),
    }
}

async fn deliver(publisher: &Publisher, batch: Vec<Unit>) {
    let groups = batch.iter().any(|unit| unit.messages.len() > 1);
    if batch.len() == 1 || (!groups && batch.len() < FEWEST) {
        future::join_all(batch.into_iter().map(|unit| alone(publisher, unit))).await;
        return;
    }
    let messages: Vec<_> = batch.iter().flat_map(|unit| &unit.messages).collect();
    match publisher.batch(&messages).await {
        Ok(last) => {
            let mut next = last + 1 - messages.len() as u64;
            for unit in batch {
                let end = next + unit.messages.len() as u64;
                // A caller who has gone needs no answer.
                let _ = unit.answer.send(Ok((next..end).collect()));
                next = end;
            }
        }
        Err(Refusal::Unknown(reason)) => {
            for unit in batch {
                let _ = unit
                    .answer
                    .send(Err(AppendError::Unavailable(reason.clone())));
            }
        }
        // One of them is to blame, and the server does not say which.
        Err(Refusal::Conflict | Refusal::TooLarge | Refusal::NotNow(_)) => {
            stream::iter(batch)
                .for_each_concurrent(ALONE_AT_ONCE, |unit| alone(publisher, unit))
                .await;
        }
    }
}

/// Sends what one caller wants written, and answers it.
async fn alone(publisher: &Publisher, unit: Unit) {
    let messages: Vec<_> = unit.messages.iter().collect();
    let answer = match publisher.batch(&messages).await {
        Ok(last) => Ok((last + 1 - messages.len() as u64..=last).collect()),
        Err(refusal) => Err(match messages.first() {
            Some(first) => refusal.about(first.subject.clone()),
            None => AppendError::Invalid("no records"),
        }),
    };
    let _ = unit.answer.send(answer);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_wait_than_there_is_room_for_and_none_is_lost() {
        let (sender, mut arriving) = mpsc::channel(2 * WAITING);
        for _ in 0..WAITING + 5 {
            let (answer, _) = oneshot::channel();
            let messages = Vec::new();
            sender.try_send(Unit { messages, answer }).unwrap();
        }
        let mut waiting = Waiting::default();
        waiting.fill(&mut arriving);
        assert_eq!((waiting.units.len(), arriving.len()), (WAITING, 5));
        assert!(!waiting.has_room());
        waiting.units.drain(..3);
        waiting.fill(&mut arriving);
        assert_eq!((waiting.units.len(), arriving.len()), (WAITING, 2));
    }
}
