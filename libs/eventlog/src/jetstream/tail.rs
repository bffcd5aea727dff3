//! Readers that have come to the end of the stream share what is new: it comes over the wire once, and is decoded once.
//!
//! Whoever is behind reads alone until it has come there; whoever can't keep up reads alone again.

use std::{
    sync::{Arc, PoisonError, Weak},
    time::Duration,
};

use futures::{StreamExt as _, stream};
use tokio::sync::{
    Mutex,
    broadcast::{self, error::RecvError},
    mpsc,
};

use super::{Connection, follow};
use crate::{
    log::{Deliveries, ReadError},
    record::Delivery,
};

/// How many batches wait for a reader that has not come to them yet; it falls back when there are more.
const WAITING: usize = 16;

/// How many records a reader is handed at once at most.
const BATCH: usize = 2_000;

/// Before the log is asked again after it failed.
const AGAIN: Duration = Duration::from_millis(250);

/// What is shared: a batch, or why there will be none.
type Shared = Result<Arc<[Delivery]>, ReadError>;

/// The end of a stream, and its readers.
#[derive(Debug)]
pub(super) struct Tail {
    connection: Arc<Connection>,
    feed: Mutex<Weak<Feed>>,
}

/// What is new, for as long as somebody reads it.
#[derive(Debug)]
struct Feed {
    sender: broadcast::Sender<Shared>,
    state: std::sync::Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// The sequence that comes next.
    next: u64,
    ended: bool,
}

/// A place among the readers of a feed.
struct Place {
    feed: broadcast::Receiver<Shared>,
    /// The first sequence that comes.
    from: u64,
}

impl Tail {
    pub(super) fn new(connection: Arc<Connection>) -> Self {
        Self {
            connection,
            feed: Mutex::default(),
        }
    }

    /// All records after a sequence and each new one.
    pub(super) async fn subscribe(self: &Arc<Self>, after: u64) -> Result<Deliveries, ReadError> {
        let last = self.connection.last_sequence().await?;
        if last < after {
            return Err(ReadError::Behind { after, last });
        }
        let (sender, receiver) = mpsc::channel(1);
        let mut reader = Reader {
            tail: Arc::clone(self),
            next: after + 1,
            sender,
        };
        tokio::spawn(async move {
            let gone = reader.sender.clone();
            tokio::select! {
                () = reader.run() => {}
                () = gone.closed() => {}
            }
        });
        Ok(stream::unfold(receiver, |mut receiver| async move {
            receiver.recv().await.map(|batch| (batch, receiver))
        })
        .boxed())
    }

    /// A place among those who read what is new.
    async fn join(&self) -> Result<Place, ReadError> {
        let mut feed = self.feed.lock().await;
        if let Some(place) = feed.upgrade().and_then(|feed| feed.place()) {
            return Ok(place);
        }
        let last = self.connection.last_sequence().await?;
        let (sender, first) = broadcast::channel(WAITING);
        let begun = Arc::new(Feed {
            sender,
            state: std::sync::Mutex::new(State {
                next: last + 1,
                ended: false,
            }),
        });
        *feed = Arc::downgrade(&begun);
        let deliveries = follow::alone(Arc::clone(&self.connection), last);
        tokio::spawn(async move { begun.run(deliveries).await });
        Ok(Place {
            feed: first,
            from: last + 1,
        })
    }
}

impl Feed {
    /// A place, unless the feed has ended.
    fn place(&self) -> Option<Place> {
        let state = self.state();
        (!state.ended).then(|| Place {
            feed: self.sender.subscribe(),
            from: state.next,
        })
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn run(&self, mut deliveries: Deliveries) {
        loop {
            let batch = tokio::select! {
                batch = deliveries.next() => batch,
                () = self.sender.closed() => {
                    let mut state = self.state();
                    // Somebody may just have come.
                    if self.sender.receiver_count() == 0 {
                        state.ended = true;
                        return;
                    }
                    continue;
                }
            };
            let mut state = self.state();
            state.ended = !matches!(batch, Some(Ok(_)));
            if let Some(Ok(batch)) = &batch {
                state.next = batch.last().map_or(state.next, |last| last.sequence() + 1);
            }
            if let Some(batch) = batch {
                // Whoever has gone needs nothing.
                let _ = self.sender.send(batch.map(Arc::from));
            }
            if state.ended {
                return;
            }
        }
    }
}

/// A reader on its way.
struct Reader {
    tail: Arc<Tail>,
    /// The sequence that comes next.
    next: u64,
    sender: mpsc::Sender<Result<Vec<Delivery>, ReadError>>,
}

/// Why a reader's way ends.
enum End {
    /// Nobody reads any more.
    Gone,
    /// The log is not what it was.
    Broken(ReadError),
}

impl Reader {
    async fn run(&mut self) {
        let Err(end) = self.read().await;
        if let End::Broken(error) = end {
            // A reader that has gone needs no error.
            let _ = self.sender.send(Err(error)).await;
        }
    }

    async fn read(&mut self) -> Result<std::convert::Infallible, End> {
        loop {
            let place = self.come_to_the_end().await?;
            self.share(place).await?;
        }
    }

    /// Reads alone, up to where what is shared begins.
    async fn come_to_the_end(&mut self) -> Result<Place, End> {
        let mut alone = None;
        loop {
            let last = match self.tail.connection.last_sequence().await {
                Ok(last) => last,
                Err(_) => {
                    tokio::time::sleep(AGAIN).await;
                    continue;
                }
            };
            let after = self.next - 1;
            if last < after {
                return Err(End::Broken(ReadError::Behind { after, last }));
            }
            // What comes meanwhile is read up to where the shared begins, once that is known.
            if last > after + BATCH as u64 {
                self.read_alone(&mut alone, last).await?;
                continue;
            }
            let Ok(place) = self.tail.join().await else {
                tokio::time::sleep(AGAIN).await;
                continue;
            };
            self.read_alone(&mut alone, place.from - 1).await?;
            return Ok(place);
        }
    }

    /// Reads alone until a sequence is read.
    async fn read_alone(&mut self, alone: &mut Option<Deliveries>, last: u64) -> Result<(), End> {
        while self.next <= last {
            let connection = &self.tail.connection;
            let alone =
                alone.get_or_insert_with(|| follow::alone(Arc::clone(connection), self.next - 1));
            let batch = match alone.next().await {
                Some(Ok(batch)) => batch,
                Some(Err(error)) => return Err(End::Broken(error)),
                None => return Err(End::Gone),
            };
            self.next = batch
                .last()
                .map_or(self.next, |delivery| delivery.sequence() + 1);
            self.sender.send(Ok(batch)).await.map_err(|_| End::Gone)?;
        }
        Ok(())
    }

    /// Reads what is shared, for as long as it can keep up.
    async fn share(&mut self, Place { mut feed, .. }: Place) -> Result<(), End> {
        let mut waiting = Vec::new();
        loop {
            tokio::select! {
                biased;
                // What came while the reader was busy is handed on together.
                room = self.sender.reserve(), if !waiting.is_empty() => {
                    let room = room.map_err(|_| End::Gone)?;
                    room.send(Ok(std::mem::take(&mut waiting)));
                }
                shared = feed.recv(), if waiting.len() < BATCH => match shared {
                    Ok(Ok(batch)) => {
                        let new = batch.partition_point(|one| one.sequence() < self.next);
                        waiting.extend(batch[new..].iter().cloned());
                        self.next = self.next.max(batch.last().map_or(0, |last| last.sequence() + 1));
                    }
                    Ok(Err(error)) => {
                        self.hand_on(waiting).await?;
                        return Err(End::Broken(error));
                    }
                    Err(RecvError::Lagged(_) | RecvError::Closed) => return self.hand_on(waiting).await,
                }
            }
        }
    }

    async fn hand_on(&self, batch: Vec<Delivery>) -> Result<(), End> {
        if batch.is_empty() {
            return Ok(());
        }
        self.sender.send(Ok(batch)).await.map_err(|_| End::Gone)
    }
}
