//! More calls than a process takes: how many are answered, how many are turned away, and how long those wait that are answered.

use std::{fmt, sync::Arc, time::Duration};

use futures::future::BoxFuture;
use tokio::{
    task::JoinSet,
    time::{Instant, Interval, MissedTickBehavior, interval, sleep},
};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::reason;

/// A place is free a moment after its answer has come.
const A_MOMENT: Duration = Duration::from_millis(5);

/// After this time callers look how many were answered.
const A_WHILE: Duration = Duration::from_secs(1);

/// Asks the next thing.
pub type Asking = Arc<dyn Fn() -> BoxFuture<'static, Result<(), Status>> + Send + Sync>;

/// What came of calls.
#[derive(Default)]
pub struct Outcome {
    /// How long each took that was answered.
    took: Vec<Duration>,
    /// How many were turned away.
    turned_away: usize,
    /// How long all of them took together.
    lasted: Duration,
    /// The processor time that the process took meanwhile.
    ticks: u64,
}

/// In numbers, and not with each answer's time.
impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outcome")
            .field("answered", &self.answered())
            .field("longest", &self.took.iter().max())
            .field("turned_away", &self.turned_away)
            .field("lasted", &self.lasted)
            .field("ticks", &self.ticks)
            .finish()
    }
}

impl Outcome {
    /// How many were answered.
    pub fn answered(&self) -> usize {
        self.took.len()
    }

    /// How many were turned away.
    pub fn turned_away(&self) -> usize {
        self.turned_away
    }

    /// The time within which 99 of 100 were answered, of those that were.
    pub fn p99(&self) -> Duration {
        let mut took = self.took.clone();
        took.sort_unstable();
        let place = took.len() * 99 / 100;
        *took.get(place).expect("nobody was answered")
    }

    /// How long it lasted.
    pub fn lasted(&self) -> Duration {
        self.lasted
    }

    /// The same, where the process took this processor time meanwhile.
    #[must_use]
    pub fn taking(self, ticks: u64) -> Self {
        Self { ticks, ..self }
    }

    /// Whether the process took no more than so many times the processor time for each answer as it took for those of others. Whatever
    /// else the machine does meanwhile, this does not change.
    pub fn takes_at_most(&self, times: u64, others: &Self) -> bool {
        let [own, of_others] = [self, others].map(|one| one.took.len() as u64);
        self.ticks * of_others <= times * others.ticks * own
    }

    /// So many would have been answered in the time of others, at the pace of these.
    pub fn in_the_time_of(&self, other: &Self) -> usize {
        let all = self.took.len() as u128 * other.lasted.as_millis() / self.lasted.as_millis();
        usize::try_from(all).unwrap()
    }

    fn add(&mut self, took: Duration, answer: Result<(), Status>) {
        match answer {
            Ok(()) => self.took.push(took),
            Err(status) => {
                assert!(is_turned_away(&status), "{status}");
                self.turned_away += 1;
            }
        }
    }
}

/// Whether a call was turned away since there was no place for it, with a time after which it may come again.
pub fn is_turned_away(status: &Status) -> bool {
    let later = status.get_details_retry_info();
    let later = later.and_then(|info| info.retry_delay);
    status.code() == Code::ResourceExhausted
        && reason(status) == "OVERLOADED"
        && later.is_some_and(|later| !later.is_zero())
}

/// So many callers ask for this time, each the next thing once it was answered.
pub async fn closed_loop(asking: &Asking, callers: usize, lasting: Duration) -> Outcome {
    let began = Instant::now();
    let mut asked = JoinSet::new();
    for _ in 0..callers {
        let asking = Arc::clone(asking);
        asked.spawn(async move {
            let mut outcome = Outcome::default();
            while began.elapsed() < lasting {
                let (took, answer) = timed(asking()).await;
                if answer.is_err() {
                    sleep(A_MOMENT).await;
                }
                outcome.add(took, answer);
            }
            outcome
        });
    }
    let mut all = Outcome::default();
    for one in asked.join_all().await {
        all.took.extend(one.took);
        all.turned_away += one.turned_away;
    }
    all.lasted = began.elapsed();
    all
}

/// Callers ask for this time, so many times as fast as others were answered, whatever becomes of those before them. Where more of
/// them are answered than of the others, as on a machine that has less else to do by now, they come faster still.
pub async fn open_loop(
    asking: &Asking,
    times: usize,
    others: &Outcome,
    lasting: Duration,
) -> Outcome {
    let began = Instant::now();
    let mut all = Outcome::default();
    let mut asked = JoinSet::new();
    let mut pause = pause_of(times * others.answered(), others.lasted);
    let mut pace = paced(pause);
    let (mut looked, mut answered) = (began, 0);
    while began.elapsed() < lasting {
        asked.spawn(timed(asking()));
        pace.tick().await;
        while let Some(done) = asked.try_join_next() {
            let (took, answer) = done.unwrap();
            all.add(took, answer);
        }
        if looked.elapsed() >= A_WHILE {
            let now = pause_of(times * (all.answered() - answered), looked.elapsed());
            if now < pause {
                pause = now;
                pace = paced(pause);
            }
            (looked, answered) = (Instant::now(), all.answered());
        }
    }
    all.lasted = began.elapsed();
    for (took, answer) in asked.join_all().await {
        all.add(took, answer);
    }
    all
}

/// The pause between two calls where so many come in this time.
fn pause_of(calls: usize, lasting: Duration) -> Duration {
    lasting / u32::try_from(calls.max(1)).unwrap()
}

/// One tick after each pause. Who is late catches up.
fn paced(pause: Duration) -> Interval {
    let mut pace = interval(pause);
    pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
    pace
}

/// An answer, and how long it took.
async fn timed(asked: BoxFuture<'static, Result<(), Status>>) -> (Duration, Result<(), Status>) {
    let began = Instant::now();
    let answer = asked.await;
    (began.elapsed(), answer)
}
