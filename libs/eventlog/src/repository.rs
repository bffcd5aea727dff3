//! Brings requests and aggregates together: loads what is known, has it decide, writes the decision down.

use std::{fmt, ops::ControlFlow, sync::Arc, time::Duration};

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};

use crate::{
    aggregate::{Aggregate, KnownRequest, Loaded, Snapshots},
    command::{CommandContext, Committed, ExecuteError, LoadError, Unwritten},
    keyed_locks::{KeyedLocks, Turn},
    log::EventLog,
    measures::Commands,
    position::Position,
    subject::{InvalidSubject, Subject},
    unit_of_work::{Held, Outcome, UnitOfWork},
};

/// How often a decision is made again before the request is given up as contended.
const ATTEMPTS: usize = 16;

/// How often an append without an answer is followed by another attempt: each may have taken its whole time limit.
const UNANSWERED: usize = 2;

/// How many aggregates are kept in memory unless said otherwise.
const CACHED: u64 = 100_000;

/// The aggregates of one kind.
///
/// A decision is made on what is in memory, or else in a snapshot, or else in the log alone. If that was stale, the append is
/// refused, what is newer is read, and the decision is made again. What leaves no trace in the log, a refusal or a
/// decision without events, is given only on a state that the log has confirmed to be the newest.
///
/// A request that the aggregate has answered before is answered from its record: nothing is written again, however late
/// the retry comes. Clones share everything.
pub struct Repository<A: Aggregate> {
    log: Arc<dyn EventLog>,
    cache: moka::sync::Cache<Subject, Arc<Loaded<A>>>,
    snapshots: Option<Arc<dyn Snapshots<A>>>,
    turns: Arc<KeyedLocks>,
    commands: Commands,
}

/// An aggregate as known, and whether the log has just confirmed that there is nothing newer.
pub(crate) struct Known<A> {
    pub(crate) loaded: Arc<Loaded<A>>,
    pub(crate) confirmed: bool,
}

impl<A: Aggregate> Clone for Repository<A> {
    fn clone(&self) -> Self {
        Self {
            log: Arc::clone(&self.log),
            cache: self.cache.clone(),
            snapshots: self.snapshots.clone(),
            turns: Arc::clone(&self.turns),
            commands: self.commands.clone(),
        }
    }
}

impl<A: Aggregate> fmt::Debug for Repository<A> {
    /// The kind alone: what is in memory may be about people.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Repository({}.{})", A::CONTEXT, A::NAME)
    }
}

impl<A: Aggregate> Repository<A> {
    /// The aggregates in a log; 100,000 of them are kept in memory.
    pub fn new(log: Arc<dyn EventLog>) -> Self {
        Self {
            log,
            cache: cache(CACHED),
            snapshots: None,
            turns: Arc::default(),
            commands: Commands::of(A::CONTEXT, A::NAME),
        }
    }

    /// Keeps this many aggregates in memory.
    #[must_use]
    pub fn caching(mut self, aggregates: u64) -> Self {
        self.cache = cache(aggregates);
        self
    }

    /// Looks for snapshots before reading the log, which is then read only where a snapshot proves stale.
    #[must_use]
    pub fn with_snapshots(mut self, snapshots: Arc<dyn Snapshots<A>>) -> Self {
        self.snapshots = Some(snapshots);
        self
    }

    /// The log that the aggregates lie in.
    pub fn log(&self) -> &Arc<dyn EventLog> {
        &self.log
    }

    /// The subject of an aggregate.
    ///
    /// # Errors
    ///
    /// [`InvalidSubject`] when the id can't be part of a subject.
    pub fn subject(id: &str) -> Result<Subject, InvalidSubject> {
        Subject::new(A::CONTEXT, A::NAME, id)
    }

    /// The aggregate as known: from memory, or a snapshot, or the log. What was written a moment ago may be missing;
    /// [`Repository::load_newest`] makes sure.
    ///
    /// # Errors
    ///
    /// [`LoadError`].
    pub async fn load(&self, id: &str) -> Result<Arc<Loaded<A>>, LoadError> {
        Ok(self.known(&Self::subject(id)?).await?.loaded)
    }

    /// The aggregate with everything that was acknowledged before this call.
    ///
    /// # Errors
    ///
    /// [`LoadError`].
    pub async fn load_newest(&self, id: &str) -> Result<Arc<Loaded<A>>, LoadError> {
        let subject = Self::subject(id)?;
        let known = self.known(&subject).await?;
        if known.confirmed {
            return Ok(known.loaded);
        }
        self.newer_than(&subject, &known.loaded).await
    }

    /// The aggregate as known, if it is known to be there; the log is asked where memory says that it is not, since it may
    /// have come since, by another process.
    ///
    /// # Errors
    ///
    /// [`LoadError`].
    pub async fn load_if_there(&self, id: &str) -> Result<Arc<Loaded<A>>, LoadError> {
        let subject = Self::subject(id)?;
        let known = self.known(&subject).await?;
        if known.confirmed || !known.loaded.is_new() {
            return Ok(known.loaded);
        }
        self.newer_than(&subject, &known.loaded).await
    }

    /// Says that nothing is in the log under this id, since it has just been made up: it need not be looked for. If it
    /// is there after all, the append is refused and the log is read.
    ///
    /// # Errors
    ///
    /// [`InvalidSubject`] when the id can't be part of a subject.
    pub fn assume_new(&self, id: &str) -> Result<(), InvalidSubject> {
        self.cache.get_with(Self::subject(id)?, Arc::default);
        Ok(())
    }

    /// Takes in what was decided and written past this repository, after the record of sequence `before`: so the next
    /// decision need not be refused to learn of it. An aggregate that is not in memory, or not as it was then, stays so.
    ///
    /// # Errors
    ///
    /// [`InvalidSubject`] when the id can't be part of a subject.
    pub fn written(
        &self,
        id: &str,
        before: u64,
        events: &[A::Event],
        request: KnownRequest,
    ) -> Result<(), InvalidSubject> {
        let subject = Self::subject(id)?;
        if let Some(mut loaded) = self.cache.get(&subject)
            && loaded.sequence == before
        {
            Arc::make_mut(&mut loaded).advance(events, request);
            self.remember(&subject, loaded);
        }
        Ok(())
    }

    /// Has the aggregate decide a command, and writes the decision.
    ///
    /// # Errors
    ///
    /// [`ExecuteError`]; a refusal is one of them.
    pub async fn execute(
        &self,
        id: &str,
        context: &CommandContext,
        command: &A::Command,
    ) -> Result<Committed<A>, ExecuteError<A::Refusal>> {
        let executed = self.decide(id, context, command).await;
        self.commands.ended(&executed);
        executed
    }

    async fn decide(
        &self,
        id: &str,
        context: &CommandContext,
        command: &A::Command,
    ) -> Result<Committed<A>, ExecuteError<A::Refusal>> {
        let mut execution = Execution::begin(self, id, context).await?;
        loop {
            let (unit, held) = match execution.attempt().await? {
                ControlFlow::Break(repeated) => return Ok(repeated),
                ControlFlow::Continue(attempt) => attempt,
            };
            let decided = held.state.decide(command).map_err(ExecuteError::Refused);
            if let Some(committed) = execution.conclude_one(unit, held, decided).await? {
                return Ok(committed);
            }
        }
    }

    /// As [`Repository::execute`], for decisions that need something from outside first, such as an opened seal. The
    /// closure may be called again, with a newer state.
    ///
    /// # Errors
    ///
    /// [`ExecuteError`]; what the closure returns as an error counts as a refusal.
    pub async fn execute_with<R, F, D>(
        &self,
        id: &str,
        context: &CommandContext,
        decide: D,
    ) -> Result<Committed<A>, ExecuteError<R>>
    where
        // Not `AsyncFnMut`: a future with such a closure in it can't be sent to another thread yet, as servers must.
        D: FnMut(Arc<Loaded<A>>) -> F,
        F: Future<Output = Result<Vec<A::Event>, R>>,
    {
        let executed = self.decide_with(id, context, decide).await;
        self.commands.ended(&executed);
        executed
    }

    async fn decide_with<R, F, D>(
        &self,
        id: &str,
        context: &CommandContext,
        mut decide: D,
    ) -> Result<Committed<A>, ExecuteError<R>>
    where
        D: FnMut(Arc<Loaded<A>>) -> F,
        F: Future<Output = Result<Vec<A::Event>, R>>,
    {
        let mut execution = Execution::begin(self, id, context).await?;
        loop {
            let (unit, held) = match execution.attempt().await? {
                ControlFlow::Break(repeated) => return Ok(repeated),
                ControlFlow::Continue(attempt) => attempt,
            };
            let decided = decide(held.loaded()).await.map_err(ExecuteError::Refused);
            if let Some(committed) = execution.conclude_one(unit, held, decided).await? {
                return Ok(committed);
            }
        }
    }

    /// Decides about several aggregates, of this kind and of others, and writes all of it or nothing.
    ///
    /// The first aggregate, `id`, is the one by which a retry of the request is recognised: if anything is recorded,
    /// something must be recorded about it. The closure loads the others, whose ids it may learn from the first, and
    /// records what it decides; it may be called again, with newer states:
    ///
    /// ```ignore
    /// elders.transact(id, &context, |unit, elder| async move {
    ///     let claim = unit.load(claims, hash).await?;
    ///     let claimed = claim.state.decide(&claim_it).map_err(ExecuteError::Refused)?;
    ///     let registered = elder.state.decide(&register).map_err(ExecuteError::Refused)?;
    ///     unit.record(claim, claimed);
    ///     unit.record(elder, registered);
    ///     Ok(())
    /// })
    /// ```
    ///
    /// The records stand in the log in the order of recording, that of the first aggregate last: its position is the
    /// one to wait for.
    ///
    /// # Errors
    ///
    /// [`ExecuteError`]. The closure's [`ExecuteError::Refused`] is given only when all aggregates that it looked at
    /// are confirmed to be the newest; its other errors are given at once.
    pub async fn transact<'command, R, F, D>(
        &self,
        id: &str,
        context: &'command CommandContext,
        decide: D,
    ) -> Result<Committed<A>, ExecuteError<R>>
    where
        D: FnMut(UnitOfWork<'command>, Held<A>) -> F,
        F: Future<Output = Result<(), ExecuteError<R>>>,
    {
        let executed = self.decide_together(id, context, decide).await;
        self.commands.ended(&executed);
        executed
    }

    async fn decide_together<'command, R, F, D>(
        &self,
        id: &str,
        context: &'command CommandContext,
        mut decide: D,
    ) -> Result<Committed<A>, ExecuteError<R>>
    where
        D: FnMut(UnitOfWork<'command>, Held<A>) -> F,
        F: Future<Output = Result<(), ExecuteError<R>>>,
    {
        let mut execution = Execution::begin(self, id, context).await?;
        loop {
            let (unit, held) = match execution.attempt().await? {
                ControlFlow::Break(repeated) => return Ok(repeated),
                ControlFlow::Continue(attempt) => attempt,
            };
            let first = held.outcome();
            let decided = decide(unit.clone(), held).await;
            if let Some(committed) = execution.conclude(unit, first, decided).await? {
                return Ok(committed);
            }
        }
    }

    /// The aggregate from memory, or else from a snapshot, or else from the log.
    pub(crate) async fn known(&self, subject: &Subject) -> Result<Known<A>, LoadError> {
        if let Some(loaded) = self.cache.get(subject) {
            return Ok(Known {
                loaded,
                confirmed: false,
            });
        }
        let kept = match &self.snapshots {
            None => None,
            Some(snapshots) => snapshots.load(subject.id()).await.unwrap_or_else(|error| {
                // The log has everything that the snapshot had.
                tracing::warn!(%error, aggregate = A::NAME, "reading the aggregate from the log alone");
                None
            }),
        };
        if let Some(kept) = kept {
            // It is mostly the newest. Where it is not, the append is refused, as it is for what memory holds.
            let loaded = Arc::new(kept);
            self.remember(subject, Arc::clone(&loaded));
            return Ok(Known {
                loaded,
                confirmed: false,
            });
        }
        let loaded = self.newer_than(subject, &Arc::default()).await?;
        Ok(Known {
            loaded,
            confirmed: true,
        })
    }

    /// The aggregate with what the log has beyond the known state. It is remembered.
    pub(crate) async fn newer_than(
        &self,
        subject: &Subject,
        known: &Arc<Loaded<A>>,
    ) -> Result<Arc<Loaded<A>>, LoadError> {
        let mut loaded = Arc::clone(known);
        let records = self.log.read(subject, known.sequence).await?;
        if !records.is_empty() {
            let newer = Arc::make_mut(&mut loaded);
            for record in &records {
                newer.take_in(record)?;
            }
        }
        self.remember(subject, Arc::clone(&loaded));
        Ok(loaded)
    }

    /// Forgets what is known and reads the aggregate from its first record on.
    pub(crate) async fn read_whole(&self, subject: &Subject) -> Result<(), LoadError> {
        self.cache.invalidate(subject);
        self.newer_than(subject, &Arc::default()).await?;
        Ok(())
    }

    /// Keeps the aggregate in memory, unless something newer is already there.
    pub(crate) fn remember(&self, subject: &Subject, loaded: Arc<Loaded<A>>) {
        let newer_there = self
            .cache
            .get(subject)
            .is_some_and(|kept| kept.sequence > loaded.sequence);
        if !newer_there {
            self.cache.insert(subject.clone(), loaded);
        }
    }
}

fn cache<A: Aggregate>(aggregates: u64) -> moka::sync::Cache<Subject, Arc<Loaded<A>>> {
    moka::sync::Cache::builder()
        .max_capacity(aggregates)
        // What was just decided is what is likely asked for next; frequency alone would turn newcomers away.
        .eviction_policy(moka::policy::EvictionPolicy::lru())
        .build()
}

/// One request on its way through attempts to an answer.
struct Execution<'command, 'repository, A: Aggregate> {
    repository: &'repository Repository<A>,
    subject: Subject,
    context: &'command CommandContext,
    pauses: ExponentialBackoff,
    unanswered: usize,
    /// Only the first aggregate is locked, so that two decisions over the same two can't wait for each other.
    _turn: Turn,
}

impl<'command, 'repository, A: Aggregate> Execution<'command, 'repository, A> {
    async fn begin(
        repository: &'repository Repository<A>,
        id: &str,
        context: &'command CommandContext,
    ) -> Result<Self, LoadError> {
        let subject = Repository::<A>::subject(id)?;
        let turn = repository.turns.turn(subject.as_str()).await;
        Ok(Self {
            repository,
            subject,
            context,
            pauses: ExponentialBuilder::new()
                .with_min_delay(Duration::from_millis(1))
                .with_max_delay(Duration::from_millis(250))
                .with_max_times(ATTEMPTS)
                .with_jitter()
                .build(),
            unanswered: 0,
            _turn: turn,
        })
    }

    /// Loads the aggregate for a decision, or finds that the request was answered before.
    async fn attempt<R>(
        &self,
    ) -> Result<ControlFlow<Committed<A>, (UnitOfWork<'command>, Held<A>)>, ExecuteError<R>> {
        let known = self.repository.known(&self.subject).await?;
        if let Some(answered) = known.loaded.request(self.context.request_id) {
            if !self.context.request_digest.is(&answered.digest) {
                return Err(ExecuteError::RequestIdReused);
            }
            return Ok(ControlFlow::Break(Committed {
                position: self.position(answered.sequence),
                version: answered.sequence,
                state: known.loaded,
                repeated: true,
                changed: true,
            }));
        }
        let unit = UnitOfWork::new(self.context);
        let held = unit.hold(self.repository, self.subject.clone(), known);
        Ok(ControlFlow::Continue((unit, held)))
    }

    async fn conclude_one<R>(
        &mut self,
        unit: UnitOfWork<'_>,
        held: Held<A>,
        decided: Result<Vec<A::Event>, ExecuteError<R>>,
    ) -> Result<Option<Committed<A>>, ExecuteError<R>> {
        let first = held.outcome();
        let decided = decided.map(|events| unit.record(held, events));
        self.conclude(unit, first, decided).await
    }

    /// Writes the decision, or gives the refusal; `None` means to decide again.
    async fn conclude<R>(
        &mut self,
        unit: UnitOfWork<'_>,
        first: Outcome<A>,
        decided: Result<(), ExecuteError<R>>,
    ) -> Result<Option<Committed<A>>, ExecuteError<R>> {
        match decided {
            Ok(()) if unit.writes_nothing() => {
                if unit.still_stands().await? {
                    return Ok(Some(self.committed(&first, false)));
                }
                self.pause_or(ExecuteError::Contended).await
            }
            Ok(()) if !unit.writes(&self.subject) => Err(ExecuteError::Invalid(
                "a retry could not be recognised: nothing is recorded about the first aggregate"
                    .to_owned(),
            )),
            Ok(()) => self.write(unit, &first).await,
            Err(ExecuteError::Refused(refusal)) => {
                if unit.still_stands().await? {
                    return Err(ExecuteError::Refused(refusal));
                }
                self.pause_or(ExecuteError::Contended).await
            }
            Err(error) => Err(error),
        }
    }

    async fn write<R>(
        &mut self,
        unit: UnitOfWork<'_>,
        first: &Outcome<A>,
    ) -> Result<Option<Committed<A>>, ExecuteError<R>> {
        let log = Arc::clone(&self.repository.log);
        match unit.write(&*log, &self.subject).await {
            Ok(()) => Ok(Some(self.committed(first, true))),
            Err(error) => match Unwritten::from(error) {
                Unwritten::Hopeless(error) => Err(error),
                // If it was written after all, or this is a retry, the next attempt finds the request among those that
                // the aggregate has answered. If it is still on its way, then either it or the next attempt is refused,
                // since both expect the same last sequence.
                Unwritten::DecideAgain(otherwise) => {
                    if matches!(otherwise, ExecuteError::Unavailable(_)) {
                        self.unanswered += 1;
                        if self.unanswered > UNANSWERED {
                            return Err(otherwise);
                        }
                    }
                    self.pause_or::<R, ()>(otherwise).await?;
                    unit.catch_up().await?;
                    Ok(None)
                }
            },
        }
    }

    fn committed(&self, first: &Outcome<A>, changed: bool) -> Committed<A> {
        let state = first.newest();
        Committed {
            position: self.position(state.sequence),
            version: state.sequence,
            state,
            repeated: false,
            changed,
        }
    }

    /// Waits a moment, longer each time and never the same for two, or gives up.
    async fn pause_or<R, T>(
        &mut self,
        otherwise: ExecuteError<R>,
    ) -> Result<Option<T>, ExecuteError<R>> {
        match self.pauses.next() {
            None => Err(otherwise),
            Some(pause) => {
                tokio::time::sleep(pause).await;
                Ok(None)
            }
        }
    }

    fn position(&self, sequence: u64) -> Position {
        Position::new(self.repository.log.stream(), sequence)
    }
}
