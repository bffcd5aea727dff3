//! Going down in order: no new calls, calls in flight finish, streams end, projections commit their checkpoints.

use std::{future::Future, time::Duration};

use futures::FutureExt as _;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::settings;

/// The steps of going down. Cheap to clone; all clones are one.
///
/// 1. [`requested`](Self::requested): not ready any more; after `shutdown.delay`
/// 2. [`draining`](Self::draining): the port closes, streams end, calls in flight finish; when they have, or after
///    `shutdown.grace`
/// 3. [`stopped`](Self::stopped): what runs beside the server (projections, reactors, timers) commits and ends. It runs
///    until then because calls in flight may wait for it.
#[derive(Debug, Clone)]
pub struct Shutdown {
    requested: CancellationToken,
    draining: CancellationToken,
    stopped: CancellationToken,
    delay: Duration,
    grace: Duration,
}

impl Shutdown {
    /// Goes down when asked by [`Shutdown::request`] alone.
    pub fn new(settings: &settings::Shutdown) -> Self {
        Self {
            requested: CancellationToken::new(),
            draining: CancellationToken::new(),
            stopped: CancellationToken::new(),
            delay: settings.delay,
            grace: settings.grace,
        }
    }

    /// Goes down on SIGTERM or SIGINT (Ctrl-C) too. Needs a Tokio runtime.
    ///
    /// # Errors
    /// If the process can't listen for signals.
    pub fn on_signals(settings: &settings::Shutdown) -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};

        let shutdown = Self::new(settings);
        let (mut terminate, mut interrupt) = (
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
        );
        let requested = shutdown.requested.clone();
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
                () = requested.cancelled() => return,
            }
            tracing::info!("asked to go down");
            requested.cancel();
        });
        Ok(shutdown)
    }

    /// Begins to go down.
    pub fn request(&self) {
        self.requested.cancel();
    }

    /// Cancelled when the service is asked to go down.
    pub fn requested(&self) -> CancellationToken {
        self.requested.clone()
    }

    /// Cancelled when streams are to end: `tokio::select!` on it in everything that streams without end.
    pub fn draining(&self) -> CancellationToken {
        self.draining.clone()
    }

    /// Cancelled when what runs beside the server is to commit and end.
    pub fn stopped(&self) -> CancellationToken {
        self.stopped.clone()
    }

    pub(crate) fn delay(&self) -> Duration {
        self.delay
    }

    pub(crate) fn grace(&self) -> Duration {
        self.grace
    }

    pub(crate) fn drain(&self) {
        self.requested.cancel();
        self.draining.cancel();
    }
}

/// What runs beside the server: projections, reactors, timers. They and the server live and die together.
#[derive(Debug)]
pub struct Supervised {
    tasks: JoinSet<(&'static str, anyhow::Result<()>)>,
    shutdown: Shutdown,
}

impl Supervised {
    /// Nothing runs yet.
    pub fn new(shutdown: &Shutdown) -> Self {
        Self {
            tasks: JoinSet::new(),
            shutdown: shutdown.clone(),
        }
    }

    /// Runs a task until [`Shutdown::stopped`]. If it fails, panics or ends before, the whole service goes down and
    /// [`Supervised::run`] says why.
    pub fn spawn<F>(&mut self, name: &'static str, task: F)
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let guarded = std::panic::AssertUnwindSafe(task).catch_unwind();
        self.tasks.spawn(async move {
            (
                name,
                guarded
                    .await
                    .unwrap_or_else(|_| Err(anyhow::anyhow!("it panicked"))),
            )
        });
    }

    /// Serves until asked to go down, then goes down in order: `server` first, the tasks after it.
    ///
    /// # Errors
    /// The first failure of the server or of a task, by its name.
    pub async fn run<E>(mut self, server: impl Future<Output = Result<(), E>>) -> anyhow::Result<()>
    where
        E: Into<anyhow::Error>,
    {
        let mut failure = None;
        let mut server = std::pin::pin!(server);
        loop {
            tokio::select! {
                served = &mut server => {
                    let served = served.map_err(|error| error.into().context("the server failed"));
                    failure = failure.or(served.err());
                    break;
                }
                Some(ended) = self.tasks.join_next() => {
                    let error = early(ended);
                    tracing::error!(error = format!("{error:#}"), "going down: a part of the service failed");
                    failure.get_or_insert(error);
                    self.shutdown.request();
                }
            }
        }
        self.shutdown.drain();
        self.shutdown.stopped.cancel();
        let grace = self.shutdown.grace;
        let ended = tokio::time::timeout(grace, async {
            while let Some(ended) = self.tasks.join_next().await {
                if let Ok((name, Err(error))) = ended {
                    failure.get_or_insert(error.context(format!("{name} failed while going down")));
                }
            }
        });
        if ended.await.is_err() {
            failure.get_or_insert(anyhow::anyhow!(
                "some tasks did not end within {grace:?} and were cut off"
            ));
        }
        match failure {
            None => Ok(()),
            Some(error) => Err(error),
        }
    }
}

fn early(
    ended: Result<(&'static str, anyhow::Result<()>), tokio::task::JoinError>,
) -> anyhow::Error {
    match ended {
        Ok((name, Ok(()))) => anyhow::anyhow!("{name} ended though nobody asked it to"),
        Ok((name, Err(error))) => error.context(format!("{name} failed")),
        Err(error) => anyhow::Error::new(error).context("a task was cut off"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_once() -> Shutdown {
        Shutdown::new(&settings::Shutdown {
            delay: Duration::ZERO,
            grace: Duration::from_secs(5),
        })
    }

    async fn server(shutdown: Shutdown) -> Result<(), std::io::Error> {
        shutdown.requested().cancelled().await;
        Ok(())
    }

    #[tokio::test]
    async fn a_failing_task_brings_the_service_down_loudly() {
        let shutdown = at_once();
        let mut tasks = Supervised::new(&shutdown);
        tasks.spawn("coverage", async { anyhow::bail!("the database is gone") });
        let error = tasks.run(server(shutdown.clone())).await.unwrap_err();
        assert_eq!(
            format!("{error:#}"),
            "coverage failed: the database is gone"
        );
        assert!(shutdown.stopped().is_cancelled());
    }

    #[tokio::test]
    async fn a_task_that_panics_or_just_ends_is_a_failure_too() {
        let shutdown = at_once();
        let mut tasks = Supervised::new(&shutdown);
        tasks.spawn("timers", async { panic!("ouch") });
        let error = tasks.run(server(shutdown.clone())).await.unwrap_err();
        assert_eq!(format!("{error:#}"), "timers failed: it panicked");

        let shutdown = at_once();
        let mut tasks = Supervised::new(&shutdown);
        tasks.spawn("timers", async { Ok(()) });
        assert!(tasks.run(server(shutdown.clone())).await.is_err());
    }

    #[tokio::test]
    async fn tasks_commit_after_the_server_has_drained() {
        let shutdown = at_once();
        let (draining, stopped) = (shutdown.draining(), shutdown.stopped());
        let mut tasks = Supervised::new(&shutdown);
        let (committed, checkpoint) = tokio::sync::oneshot::channel();
        tasks.spawn("coverage", async move {
            stopped.cancelled().await;
            let _ = committed.send(draining.is_cancelled());
            Ok(())
        });
        shutdown.request();
        tasks.run(server(shutdown.clone())).await.unwrap();
        assert!(checkpoint.await.unwrap());
    }
}
