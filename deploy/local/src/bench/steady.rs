//! Things that begin at a steady pace, whether those before are done or not: whoever measures from when each was due, measures
//! what came of a delay as well.

use std::time::{Duration, Instant};

use tokio::{
    task::{JoinError, JoinSet},
    time::MissedTickBehavior,
};

use crate::output::Step;

/// How often it is looked at what is due.
const PULSE: Duration = Duration::from_millis(1);

/// Begins each of `count` things when it is due, so many a second, and waits for all of them; what came of each, in the order
/// in which they ended.
pub(super) async fn drive<T, C>(
    a_second: u32,
    count: usize,
    step: &Step,
    begin: impl Fn(usize, Instant) -> C,
) -> anyhow::Result<Vec<T>>
where
    T: Send + 'static,
    C: Future<Output = anyhow::Result<T>> + Send + 'static,
{
    let apart = Duration::from_secs(1) / a_second;
    let mut pulse = tokio::time::interval(PULSE);
    pulse.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let (mut under_way, mut done) = (JoinSet::new(), Vec::with_capacity(count));
    let (began, mut next) = (Instant::now(), 0);
    while next < count {
        pulse.tick().await;
        let now = Instant::now();
        while next < count {
            let due = began + apart * u32::try_from(next)?;
            if due > now {
                break;
            }
            under_way.spawn(begin(next, due));
            next += 1;
        }
        while let Some(ended) = under_way.try_join_next() {
            done.push(outcome(ended)?);
        }
        step.at(next as u64, count as u64);
    }
    while let Some(ended) = under_way.join_next().await {
        done.push(outcome(ended)?);
    }
    Ok(done)
}

fn outcome<T>(ended: Result<anyhow::Result<T>, JoinError>) -> anyhow::Result<T> {
    ended?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Progress;

    #[tokio::test]
    async fn each_begins_when_it_is_due_while_those_before_still_run() {
        let step = Progress::hidden().begin("things", 0);
        let began = Instant::now();
        let done = drive(1_000, 50, &step, |number, due| async move {
            if number == 0 {
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            Ok((number, due))
        });
        let done = done.await.unwrap();
        let mut numbers: Vec<_> = done.iter().map(|(number, _)| *number).collect();
        // The slow one held nobody up.
        assert_eq!(numbers.last(), Some(&0));
        numbers.sort_unstable();
        assert!(numbers.into_iter().eq(0..50));
        for (number, due) in &done {
            let place = u32::try_from(*number).unwrap();
            assert!(*due >= began + Duration::from_millis(1) * place);
        }
    }

    #[tokio::test]
    async fn the_first_failure_is_told() {
        let step = Progress::hidden().begin("things", 0);
        let failing = drive(1_000, 5, &step, |number, _| async move {
            anyhow::ensure!(number != 3, "the fourth fails");
            Ok(())
        });
        assert_eq!(failing.await.unwrap_err().to_string(), "the fourth fails");
    }
}
