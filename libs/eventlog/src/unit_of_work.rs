//! A decision that spans several aggregates: all of it is written, or nothing.

use std::{
    fmt,
    ops::Deref,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use async_trait::async_trait;

use crate::{
    aggregate::{Aggregate, KnownRequest, Loaded},
    command::{CommandContext, LoadError},
    log::{AppendError, EventLog},
    record::NewRecord,
    repository::{Known, Repository},
    subject::Subject,
};

/// The aggregates that one decision looks at, and what it decides about each. Clones share it.
#[derive(Clone)]
pub struct UnitOfWork<'command> {
    context: &'command CommandContext,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    /// Every aggregate that was looked at: a refusal rests on all of them.
    looked_at: Vec<Arc<dyn LookedAt>>,
    writes: Vec<Write>,
}

/// An aggregate that was loaded for a decision: it reads as the [`Loaded`] one, and is what events are recorded for.
pub struct Held<A: Aggregate> {
    repository: Repository<A>,
    subject: Subject,
    outcome: Outcome<A>,
}

/// An aggregate before a decision, and after it once that is written.
pub(crate) struct Outcome<A> {
    before: Arc<Loaded<A>>,
    after: Arc<OnceLock<Arc<Loaded<A>>>>,
}

impl<A> Outcome<A> {
    pub(crate) fn newest(&self) -> Arc<Loaded<A>> {
        Arc::clone(self.after.get().unwrap_or(&self.before))
    }
}

impl<A: Aggregate> Held<A> {
    /// The aggregate as loaded, to be kept beyond the recording of its events.
    pub fn loaded(&self) -> Arc<Loaded<A>> {
        Arc::clone(&self.outcome.before)
    }

    pub(crate) fn outcome(&self) -> Outcome<A> {
        Outcome {
            before: Arc::clone(&self.outcome.before),
            after: Arc::clone(&self.outcome.after),
        }
    }
}

impl<A: Aggregate> fmt::Debug for Held<A> {
    /// Which one alone: its state may be about a person.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Held({})", self.subject)
    }
}

impl<A: Aggregate> Deref for Held<A> {
    type Target = Loaded<A>;

    fn deref(&self) -> &Loaded<A> {
        &self.outcome.before
    }
}

/// A record to be written, and what is to be remembered once it is.
struct Write {
    record: NewRecord,
    remember: Box<dyn FnOnce(u64) + Send + Sync>,
}

/// An aggregate that a decision rests on.
#[async_trait]
trait LookedAt: Send + Sync {
    fn subject(&self) -> &Subject;

    /// Whether the log holds nothing newer than what was decided on; if it does, that is read for the next attempt.
    async fn still_stands(&self) -> Result<bool, LoadError>;

    /// Reads what is newer, after a write on it was refused.
    async fn catch_up(&self) -> Result<(), LoadError>;
}

struct Look<A: Aggregate> {
    repository: Repository<A>,
    subject: Subject,
    known: Known<A>,
}

#[async_trait]
impl<A: Aggregate> LookedAt for Look<A> {
    fn subject(&self) -> &Subject {
        &self.subject
    }

    async fn still_stands(&self) -> Result<bool, LoadError> {
        if self.known.confirmed {
            return Ok(true);
        }
        let newest = self
            .repository
            .newer_than(&self.subject, &self.known.loaded)
            .await?;
        Ok(newest.sequence == self.known.loaded.sequence)
    }

    async fn catch_up(&self) -> Result<(), LoadError> {
        let newest = self
            .repository
            .newer_than(&self.subject, &self.known.loaded)
            .await?;
        if newest.sequence == self.known.loaded.sequence {
            // The append said that this is stale, and the log has nothing newer: what was known is not of this log
            // (a snapshot of another one, say), or it is another aggregate of the decision that has moved.
            self.repository.read_whole(&self.subject).await?;
        }
        Ok(())
    }
}

impl<'command> UnitOfWork<'command> {
    pub(crate) fn new(context: &'command CommandContext) -> Self {
        Self {
            context,
            inner: Arc::default(),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn looked_at(&self) -> Vec<Arc<dyn LookedAt>> {
        self.inner().looked_at.clone()
    }

    /// The request that is decided.
    pub fn context(&self) -> &CommandContext {
        self.context
    }

    /// Loads a further aggregate. It need not be up to date: if it is not, the decision is made again.
    ///
    /// # Errors
    ///
    /// [`LoadError`]; [`LoadError::Twice`] when this decision has loaded it before.
    pub async fn load<A: Aggregate>(
        &self,
        repository: &Repository<A>,
        id: &str,
    ) -> Result<Held<A>, LoadError> {
        let subject = Repository::<A>::subject(id)?;
        if self
            .looked_at()
            .iter()
            .any(|look| *look.subject() == subject)
        {
            return Err(LoadError::Twice { subject });
        }
        let known = repository.known(&subject).await?;
        Ok(self.hold(repository, subject, known))
    }

    pub(crate) fn hold<A: Aggregate>(
        &self,
        repository: &Repository<A>,
        subject: Subject,
        known: Known<A>,
    ) -> Held<A> {
        let held = Held {
            repository: repository.clone(),
            subject: subject.clone(),
            outcome: Outcome {
                before: Arc::clone(&known.loaded),
                after: Arc::default(),
            },
        };
        self.inner().looked_at.push(Arc::new(Look {
            repository: repository.clone(),
            subject,
            known,
        }));
        held
    }

    /// Records what was decided about an aggregate. Without events nothing is written about it.
    pub fn record<A: Aggregate>(&self, held: Held<A>, events: Vec<A::Event>) {
        if events.is_empty() {
            return;
        }
        let record = NewRecord {
            subject: held.subject.clone(),
            expected: held.sequence,
            metadata: self.context.metadata(),
            events: events.iter().map(A::encode).collect(),
        };
        let (id, digest) = (
            self.context.request_id,
            self.context.request_digest.recorded(),
        );
        let remember = move |sequence| {
            let mut after = held.loaded();
            Arc::make_mut(&mut after).advance(
                &events,
                KnownRequest {
                    id,
                    sequence,
                    digest,
                },
            );
            held.repository.remember(&held.subject, Arc::clone(&after));
            held.outcome.after.get_or_init(|| after);
        };
        self.inner().writes.push(Write {
            record,
            remember: Box::new(remember),
        });
    }

    pub(crate) fn writes_nothing(&self) -> bool {
        self.inner().writes.is_empty()
    }

    pub(crate) fn writes(&self, subject: &Subject) -> bool {
        self.inner()
            .writes
            .iter()
            .any(|write| write.record.subject == *subject)
    }

    /// Writes all that was recorded, `last` last.
    pub(crate) async fn write(
        &self,
        log: &dyn EventLog,
        last: &Subject,
    ) -> Result<(), AppendError> {
        let mut writes = std::mem::take(&mut self.inner().writes);
        writes.sort_by_key(|write| write.record.subject == *last);
        let (mut records, remember): (Vec<_>, Vec<_>) = writes
            .into_iter()
            .map(|write| (write.record, write.remember))
            .unzip();
        let sequences = if records.len() == 1 {
            let only = records.remove(0);
            vec![log.append(only).await?]
        } else {
            log.append_all(records).await?
        };
        for (remember, sequence) in remember.into_iter().zip(sequences) {
            remember(sequence);
        }
        Ok(())
    }

    /// Whether everything that was looked at is still as it was; what has moved is read for the next attempt.
    pub(crate) async fn still_stands(&self) -> Result<bool, LoadError> {
        let mut stands = true;
        for look in self.looked_at() {
            stands &= look.still_stands().await?;
        }
        Ok(stands)
    }

    /// Reads what is newer about everything that was looked at.
    pub(crate) async fn catch_up(&self) -> Result<(), LoadError> {
        for look in self.looked_at() {
            look.catch_up().await?;
        }
        Ok(())
    }
}

impl fmt::Debug for UnitOfWork<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let looked_at = self.looked_at();
        let subjects: Vec<_> = looked_at.iter().map(|look| look.subject()).collect();
        formatter
            .debug_struct("UnitOfWork")
            .field("looked_at", &subjects)
            .finish_non_exhaustive()
    }
}
