//! A service as a whole: how it is put together, what runs beside its server, and its `main`.

use std::{
    fmt,
    future::Future,
    net::SocketAddr,
    sync::{Mutex, PoisonError},
};

use anyhow::Context as _;
use futures::future::BoxFuture;
use sqlx::migrate::Migrator;
use tokio_util::sync::CancellationToken;

use crate::{
    clock::Clock,
    config::{Config, Errand, Section},
    connections,
    server::{Bound, ServeError, Server},
    settings::Settings,
    shutdown::{Shutdown, Supervised},
    telemetry::Telemetry,
};

/// A service, connected to its servers. It answers once it is added to a server and its background runs: in a process
/// of its own by [`run`], among others in the launcher, alone in a test by [`start`].
pub trait Application: Sized + Send + Sync + 'static {
    /// Its section of the configuration, which bears its name.
    type Own: Section + Send + Sync;

    /// The migrations of the tables that it keeps beside its read models (`sqlx::migrate!()`); none: it keeps no such tables.
    ///
    /// While replicas are replaced, programs of before and after run over the same tables: a migration takes nothing away
    /// that the program before needs. What nobody needs any more goes with a later one.
    fn migrations() -> Option<Migrator>;

    /// Connects to the servers that it stands on; no port is bound before this has succeeded.
    ///
    /// # Errors
    /// Where a server does not answer, a stream could lose data, or settings can't be used.
    fn connect(
        settings: &Settings,
        own: &Self::Own,
        clock: Clock,
    ) -> impl Future<Output = anyhow::Result<Self>> + Send;

    /// Adds its gRPC services to a server, with what their methods do. Streams without end close once `shutdown` drains.
    #[must_use]
    fn add_to(&self, server: Server, shutdown: &Shutdown) -> Server;

    /// What runs beside the server: projections, reactors, timers.
    fn background(&self) -> &Background;

    /// Waits until all that is due by now is done and can be read. Ends early when `given_up` is cancelled.
    fn settled(&self, given_up: CancellationToken) -> BoxFuture<'static, ()>;

    /// Waits until calls may be sent to it: once it has settled, unless what it does for others may take them long. Ends
    /// early when `given_up` is cancelled.
    fn ready(&self, given_up: CancellationToken) -> BoxFuture<'static, ()> {
        self.settled(given_up)
    }
}

type Task = Box<dyn FnOnce(CancellationToken) -> BoxFuture<'static, ()> + Send>;

/// What runs beside a server until the service has stopped.
#[derive(Default)]
pub struct Background(Mutex<Vec<(&'static str, Task)>>);

impl Background {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a task by the name of its projection, reactor or timer. It ends when its token is cancelled, and not before.
    #[must_use]
    pub fn with<F>(
        self,
        name: &'static str,
        task: impl FnOnce(CancellationToken) -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let task: Task = Box::new(move |stopped| Box::pin(task(stopped)));
        self.tasks().push((name, task));
        self
    }

    /// Runs the tasks until `shutdown` has stopped the service. Once only: later calls do nothing.
    pub fn start(&self, tasks: &mut Supervised, shutdown: &Shutdown) {
        for (name, task) in std::mem::take(&mut *self.tasks()) {
            let task = task(shutdown.stopped());
            tasks.spawn(name, async move {
                task.await;
                Ok(())
            });
        }
    }

    fn tasks(&self) -> std::sync::MutexGuard<'_, Vec<(&'static str, Task)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Background {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.tasks().iter().map(|(name, _)| name))
            .finish()
    }
}

/// A service whose port is bound and whose background runs; it answers while [`Started::serve`] runs.
#[derive(Debug)]
pub struct Started {
    bound: Bound,
    tasks: Supervised,
    shutdown: Shutdown,
}

impl Started {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.bound.address()
    }

    /// Serves until asked to go down, then drains.
    ///
    /// # Errors
    /// The first failure of the server or of a task, by its name.
    pub async fn serve(self) -> anyhow::Result<()> {
        self.tasks.run(self.bound.serve(&self.shutdown)).await
    }
}

/// Starts a service that has a port for itself.
///
/// # Errors
/// If the port can't be bound, or keys, policies, actions or TLS files can't be used.
pub async fn start(
    app: &impl Application,
    settings: &Settings,
    shutdown: &Shutdown,
) -> Result<Started, ServeError> {
    let bound = app
        .add_to(Server::new(settings), shutdown)
        .ready_when(app.ready(shutdown.requested()))
        .bind()
        .await?;
    let mut tasks = Supervised::new(shutdown);
    app.background().start(&mut tasks, shutdown);
    Ok(Started {
        bound,
        tasks,
        shutdown: shutdown.clone(),
    })
}

/// The whole `main` of a service in a process of its own: configuration, telemetry, connect, serve, drain.
///
/// # Errors
/// Whatever keeps it from starting, or made it fail.
pub async fn run<A: Application>() -> anyhow::Result<()> {
    let Some((config, errand)) = Config::<A::Own>::from_command_line()? else {
        return Ok(());
    };
    let telemetry = Telemetry::start(&config.telemetry, A::Own::NAME)?;
    let outcome = match errand {
        Errand::Serve => connect_and_serve::<A>(&config).await,
        Errand::Migrate => migrate::<A>(&config).await,
    };
    telemetry.flush().await;
    outcome
}

/// Brings the database up to date, so that a process that serves finds nothing left to do.
async fn migrate<A: Application>(config: &Config<A::Own>) -> anyhow::Result<()> {
    let shutdown = Shutdown::on_signals(&config.shutdown)?;
    let migrated = shutdown
        .requested()
        .run_until_cancelled(bring_up_to_date::<A>(config))
        .await;
    migrated.context("asked to go down before the database was up to date")?
}

async fn bring_up_to_date<A: Application>(config: &Config<A::Own>) -> anyhow::Result<()> {
    let database = connections::postgres(A::Own::NAME, &config.postgres).await?;
    connections::migrate(&database, A::migrations()).await?;
    database.close().await;
    tracing::info!("the database is up to date");
    Ok(())
}

async fn connect_and_serve<A: Application>(config: &Config<A::Own>) -> anyhow::Result<()> {
    let shutdown = Shutdown::on_signals(&config.shutdown)?;
    let clock = Clock::from_settings(config)?;
    let app = A::connect(config, &config.own, clock).await?;
    start(&app, config, &shutdown).await?.serve().await
}
