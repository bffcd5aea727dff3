//! One question for many callers at once: what is asked while others are under way goes out together with the next one.
//!
//! Asking another service, or a database, for one thing costs about as much as asking for fifty. So nobody waits while nothing is
//! under way, and under load what goes out grows instead of its number. Single rows are looked up by [`LookUp`](crate::LookUp).

use std::{
    fmt,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::{FutureExt as _, future::BoxFuture};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tracing::{Instrument as _, Span};

/// How many times it is asked at once: while one answer is worked out, the other one is read.
const UNDER_WAY: usize = 2;

/// Gathers what callers ask at the same time. Clones gather together.
///
/// ```
/// # use readmodel::Gathering;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let lengths = Gathering::new(100, |words: Vec<&'static str>| async move {
///     words.iter().map(|word| word.len()).collect::<Vec<usize>>()
/// });
/// assert_eq!(lengths.ask("elder").await, Some(5));
/// # }
/// ```
pub struct Gathering<Q, A>(Arc<Shared<Q, A>>);

/// Finds the answers to questions, in their order.
type Find<Q, A> = dyn Fn(Vec<Q>) -> BoxFuture<'static, Vec<A>> + Send + Sync;

struct Shared<Q, A> {
    find: Box<Find<Q, A>>,
    most: usize,
    waiting: Mutex<Vec<Asked<Q, A>>>,
    turns: Arc<Semaphore>,
}

struct Asked<Q, A> {
    question: Q,
    answer: oneshot::Sender<A>,
    /// In whose trace it was asked.
    span: Span,
}

impl<Q, A> Clone for Gathering<Q, A> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<Q, A> fmt::Debug for Gathering<Q, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Gathering")
    }
}

impl<Q: Send + 'static, A: Send + 'static> Gathering<Q, A> {
    /// Has `find` answer questions in their order, at most so many at once.
    pub fn new<F>(most: usize, find: impl Fn(Vec<Q>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Vec<A>> + Send + 'static,
    {
        Self(Arc::new(Shared {
            find: Box::new(move |questions| find(questions).boxed()),
            most,
            waiting: Mutex::default(),
            turns: Arc::new(Semaphore::new(UNDER_WAY)),
        }))
    }

    /// The answer as of this moment or a later one, in the trace of whoever was the first to ask with others; none where the
    /// search ended without one.
    pub async fn ask(&self, question: Q) -> Option<A> {
        let (answer, answered) = oneshot::channel();
        self.0.waiting().push(Asked {
            question,
            answer,
            span: Span::current(),
        });
        if let Ok(turn) = Arc::clone(&self.0.turns).try_acquire_owned() {
            // A task of its own: a caller that gives up takes nobody's answer along.
            tokio::spawn(Arc::clone(&self.0).work(turn));
        }
        answered.await.ok()
    }
}

impl<Q: Send + 'static, A: Send + 'static> Shared<Q, A> {
    /// Asks until nobody waits.
    async fn work(self: Arc<Self>, mut turn: OwnedSemaphorePermit) {
        loop {
            while let Some((questions, answers, span)) = self.next() {
                let search = async { (self.find)(questions).await }.instrument(span);
                // One that panics takes along nobody but those whom it is for.
                let found = AssertUnwindSafe(search).catch_unwind().await;
                let found = found.unwrap_or_default();
                for (answer, found) in answers.into_iter().zip(found) {
                    // A caller that has gone needs no answer.
                    let _ = answer.send(found);
                }
            }
            drop(turn);
            // Whoever asked before that found no turn free, and is seen here.
            if self.waiting().is_empty() {
                return;
            }
            match Arc::clone(&self.turns).try_acquire_owned() {
                Ok(free) => turn = free,
                Err(_taken) => return,
            }
        }
    }

    /// What goes out next, with whom it is for, and in which trace.
    fn next(&self) -> Option<(Vec<Q>, Vec<oneshot::Sender<A>>, Span)> {
        let mut waiting = self.waiting();
        waiting.retain(|asked| !asked.answer.is_closed());
        let span = waiting.first()?.span.clone();
        let count = waiting.len().min(self.most);
        let some = waiting.drain(..count);
        let (questions, answers) = some.map(|asked| (asked.question, asked.answer)).unzip();
        Some((questions, answers, span))
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Asked<Q, A>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures::{future::join_all, poll};

    use super::*;

    /// Tells ten times each number, once there is a permit, and notes how many are asked for together. Of thirteen it tells
    /// nothing.
    fn tenfold(permits: &Arc<Semaphore>) -> (Gathering<u32, u32>, Arc<Mutex<Vec<usize>>>) {
        let asked = Arc::<Mutex<Vec<usize>>>::default();
        let (permits, noted) = (Arc::clone(permits), Arc::clone(&asked));
        let gathering = Gathering::new(8, move |numbers: Vec<u32>| {
            noted.lock().unwrap().push(numbers.len());
            let permits = Arc::clone(&permits);
            async move {
                permits.acquire().await.unwrap().forget();
                let told = numbers.iter().filter(|number| **number != 13);
                told.map(|number| number * 10).collect::<Vec<u32>>()
            }
        });
        (gathering, asked)
    }

    #[tokio::test]
    async fn who_asks_at_the_same_time_is_answered_together_and_nobody_is_left() {
        let permits = Arc::new(Semaphore::new(0));
        let (gathering, asked) = tenfold(&permits);
        let mut asking: Vec<_> = (20..40)
            .map(|number| Box::pin(gathering.ask(number)))
            .collect();
        for one in &mut asking {
            assert!(poll!(one).is_pending());
        }
        // Some give up before it is asked for them.
        asking.truncate(18);
        permits.add_permits(3);
        let told: Vec<u32> = join_all(asking).await.into_iter().flatten().collect();
        assert_eq!(told, (20..38).map(|number| number * 10).collect::<Vec<_>>());
        assert_eq!(*asked.lock().unwrap(), [8, 8, 2]);
    }

    #[tokio::test]
    async fn who_asks_while_as_many_as_may_be_are_under_way_goes_with_the_next() {
        let permits = Arc::new(Semaphore::new(0));
        let (gathering, asked) = tenfold(&permits);
        let mut asking = Vec::new();
        for number in 0..5 {
            asking.push(Box::pin(gathering.ask(number)));
            assert!(poll!(asking.last_mut().unwrap()).is_pending());
            // What can go out does.
            tokio::task::yield_now().await;
        }
        assert_eq!(*asked.lock().unwrap(), [1, 1]);
        permits.add_permits(3);
        let told: Vec<u32> = join_all(asking).await.into_iter().flatten().collect();
        assert_eq!(told, [0, 10, 20, 30, 40]);
        assert_eq!(*asked.lock().unwrap(), [1, 1, 3]);
    }

    #[tokio::test]
    async fn a_search_that_ends_without_an_answer_is_told_and_the_next_one_begins() {
        let (gathering, _) = tenfold(&Arc::new(Semaphore::new(10)));
        for _ in 0..3 {
            assert_eq!(gathering.ask(13).await, None);
            assert_eq!(gathering.ask(7).await, Some(70));
        }
    }

    #[tokio::test]
    async fn a_search_that_panics_leaves_nobody_waiting() {
        let gathering = Gathering::new(1, |numbers: Vec<u32>| async move {
            assert_ne!(numbers, [13]);
            numbers
        });
        let asking = [13, 13, 13, 7].map(|number| gathering.ask(number));
        assert_eq!(join_all(asking).await, [None, None, None, Some(7)]);
    }
}
