//! Many callers at once, each waiting for its answer before it asks again, and how long they waited.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::task::JoinSet;
use tonic::{Response, Status};

use super::stage::Served;
use crate::{client::Client, output::Step};

/// How long each call took, and all of them together.
#[derive(Debug, Clone)]
pub(super) struct Latencies {
    /// Each call's, ascending.
    sorted: Vec<Duration>,
    elapsed: Duration,
}

impl Latencies {
    /// Of single measurements, made one after the other.
    pub(super) fn of(mut single: Vec<Duration>) -> Self {
        single.sort_unstable();
        let elapsed = single.iter().sum();
        Self {
            sorted: single,
            elapsed,
        }
    }

    /// Calls a second.
    pub(super) fn rate(&self) -> f64 {
        rate(self.sorted.len() as u64, self.elapsed.as_secs_f64())
    }

    /// The latency that so many of a thousand calls don't exceed, in milliseconds.
    pub(super) fn permille(&self, permille: usize) -> f64 {
        let last = self.sorted.len().saturating_sub(1);
        let place = (self.sorted.len() * permille / 1_000).min(last);
        self.sorted
            .get(place)
            .map_or(0.0, |latency| latency.as_secs_f64() * 1e3)
    }
}

/// So many in so many seconds: how many a second.
pub(super) fn rate(count: u64, seconds: f64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a figure to look at")]
    let count = count as f64;
    count / seconds.max(1e-9)
}

/// Has `callers` make the calls of these numbers, each number once, and measures all but the first `warm` ones.
pub(super) async fn drive<F, C>(
    callers: usize,
    warm: usize,
    count: usize,
    step: &Step,
    call: F,
) -> anyhow::Result<Latencies>
where
    F: Fn(usize, usize) -> C + Clone + Send + 'static,
    C: Future<Output = anyhow::Result<()>> + Send,
{
    let next = Arc::new(AtomicUsize::new(0));
    let began = Arc::new(OnceLock::new());
    let mut tasks = JoinSet::new();
    for caller in 0..callers {
        let (next, began, call) = (Arc::clone(&next), Arc::clone(&began), call.clone());
        tasks.spawn(async move {
            let mut latencies = Vec::with_capacity(2 * count / callers);
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= warm + count {
                    return anyhow::Ok(latencies);
                }
                let since = Instant::now();
                if number >= warm {
                    began.get_or_init(|| since);
                }
                call(caller, number).await?;
                if number >= warm {
                    latencies.push(since.elapsed());
                }
            }
        });
    }
    let done = Arc::clone(&next);
    let watching = async {
        loop {
            tokio::time::sleep(Duration::from_millis(200)).await;
            let all = (warm + count) as u64;
            step.at((done.load(Ordering::Relaxed) as u64).min(all), all);
        }
    };
    let working = async {
        let mut sorted = Vec::with_capacity(count);
        while let Some(latencies) = tasks.join_next().await {
            sorted.extend(latencies??);
        }
        anyhow::Ok(sorted)
    };
    let mut sorted = tokio::select! {
        sorted = working => sorted?,
        () = watching => Vec::new(),
    };
    let elapsed = began.get().map(Instant::elapsed).unwrap_or_default();
    sorted.sort_unstable();
    Ok(Latencies { sorted, elapsed })
}

/// Has `callers` ask a service for these in turn, the first ones again after the last, and measures all calls but the first `warm`
/// ones.
pub(super) async fn ask<R, T, F, C>(
    served: &Served,
    callers: usize,
    requests: Arc<Vec<R>>,
    warm: usize,
    count: usize,
    step: &Step,
    call: F,
) -> anyhow::Result<Latencies>
where
    R: Clone + Send + Sync + 'static,
    F: Fn(Client, R) -> C + Clone + Send + 'static,
    C: Future<Output = Result<Response<T>, Status>> + Send + 'static,
{
    let clients = served.clients()?;
    drive(callers, warm, count, step, move |caller, number| {
        let client = clients[caller % clients.len()].clone();
        let request = requests[number % requests.len()].clone();
        let called = call(client, request);
        async move {
            called.await?;
            Ok(())
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Progress;

    #[tokio::test]
    async fn each_call_is_made_once_and_the_warm_up_is_not_measured() {
        let made = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&made);
        let step = Progress::hidden().begin("calls", 0);
        let latencies = drive(8, 20, 100, &step, move |_, number| {
            count.fetch_add(number, Ordering::Relaxed);
            async { Ok(()) }
        })
        .await
        .unwrap();
        assert_eq!(latencies.sorted.len(), 100);
        assert_eq!(made.load(Ordering::Relaxed), (0..120).sum::<usize>());
    }

    #[test]
    fn quantiles_are_latencies_that_were_measured() {
        let latencies = Latencies::of((1..=100).rev().map(Duration::from_millis).collect());
        assert_eq!(
            (latencies.permille(500), latencies.permille(990)),
            (51.0, 100.0)
        );
        assert_eq!(Latencies::of(Vec::new()).permille(990), 0.0);
    }
}
