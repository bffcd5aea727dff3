//! The way to the servers that a service stands on: NATS with the logs, and PostgreSQL with its own database.

mod log_server;

use std::{sync::Arc, time::Duration};

use eventlog::{EventLog, Gather, JetStreamLog, OpenError, StreamSettings};
use sqlx::{
    Connection as _, PgPool,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgPoolOptions},
};

pub use self::log_server::nats;
use crate::{
    access::Access,
    clock::Clock,
    own_token, pool,
    settings::{self, Settings},
};

/// How long another service's stream is waited for: at a first start its owner may still be making it.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often a server that is away is asked again.
const AGAIN: Duration = Duration::from_millis(200);

/// A database connection that has answered within this time is taken to stand still.
const TRUSTED: Duration = Duration::from_secs(1);

/// A service can't reach what it stands on. Addresses are shown without their passwords.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// `nats.credentials_file` can't be read.
    #[error("nats.credentials_file: {0}")]
    Credentials(std::io::Error),
    /// `nats.url` is no list of addresses.
    #[error("nats.url: {0}")]
    NatsAddress(std::io::Error),
    /// Of certificate and key only one is configured.
    #[error("`nats.tls_certificate` and `nats.tls_key` belong together")]
    HalfACertificate,
    /// NATS is not whom we trust, or does not trust us.
    #[error("NATS at {0}: {1}")]
    Nats(settings::Address, String),
    /// `postgres.url` is no address.
    #[error("postgres.url is no address of a PostgreSQL database")]
    DatabaseAddress,
    /// PostgreSQL does not answer, or refuses.
    #[error("PostgreSQL at {0}: {1}")]
    Database(settings::Address, sqlx::Error),
    /// A stream is missing or could lose data.
    #[error(transparent)]
    Log(#[from] OpenError),
    /// Another service's stream is not there yet.
    #[error("the stream of {0} is not there: start that service first")]
    OwnerAbsent(String),
}

/// A service's connections.
#[derive(Debug, Clone)]
pub struct Connections {
    /// To the log's server.
    pub nats: async_nats::Client,
    /// To the service's own database.
    pub database: PgPool,
    /// To the log's server, for following logs alone: what is replayed by the thousand does not stand before the
    /// acknowledgements that commands wait for.
    following: async_nats::Client,
    context: &'static str,
    settings: settings::Nats,
}

impl Connections {
    /// Connects to both servers under the name of `context`, the service's own (`registry`).
    ///
    /// # Errors
    /// Where a server does not answer, or an address is none.
    pub async fn open(context: &'static str, settings: &Settings) -> Result<Self, ConnectError> {
        let (nats, following, database) = tokio::try_join!(
            nats(context, &settings.nats),
            nats(context, &settings.nats),
            postgres(context, &settings.postgres)
        )?;
        pool::watch(context, &database);
        own_token::watch(settings);
        Ok(Self {
            nats,
            database,
            following,
            context,
            settings: settings.nats.clone(),
        })
    }

    /// Opens the service's own log, the only one that it appends to; makes its stream where it is missing, unless
    /// `nats.create_streams` is off.
    ///
    /// # Errors
    /// Where the server does not answer, the stream is missing or could lose data.
    pub async fn own_log(&self) -> Result<Arc<dyn EventLog>, ConnectError> {
        let gather = if self.settings.sync_always {
            Gather::Always
        } else {
            Gather::GroupsOnly
        };
        let stream = StreamSettings {
            replicas: self.settings.replicas,
            create: self.settings.create_streams,
            ..StreamSettings::of(self.context, gather)
        };
        let log = JetStreamLog::open(self.nats.clone(), stream).await?;
        Ok(Arc::new(log.following_over(self.following.clone()).await?))
    }

    /// Where the service's looks at personal data go, on their way to sharing.
    ///
    /// # Errors
    /// Where the server does not answer, or the stream is unfit.
    pub async fn access(&self, clock: Clock) -> Result<Access, ConnectError> {
        let nats = self.nats.clone();
        Ok(Access::open(nats, self.context, &self.settings, clock).await?)
    }

    /// Opens the log of another service, which alone makes and writes it; waits a minute for it to be there.
    ///
    /// # Errors
    /// Where the server does not answer, the stream does not come or could lose data.
    pub async fn log_of(&self, owner: &str) -> Result<Arc<dyn EventLog>, ConnectError> {
        let opening = async {
            loop {
                let stream = StreamSettings {
                    create: false,
                    ..StreamSettings::of(owner, Gather::GroupsOnly)
                };
                match JetStreamLog::open(self.nats.clone(), stream).await {
                    Err(OpenError::Absent(_)) => tokio::time::sleep(AGAIN).await,
                    opened => return opened,
                }
            }
        };
        match tokio::time::timeout(PATIENCE, opening).await {
            Ok(opened) => {
                let log = opened?.following_over(self.following.clone()).await?;
                Ok(Arc::new(log))
            }
            Err(_) => Err(ConnectError::OwnerAbsent(owner.to_owned())),
        }
    }
}

/// Connects to a service's own database under its name.
pub(crate) async fn postgres(
    context: &'static str,
    settings: &settings::Postgres,
) -> Result<PgPool, ConnectError> {
    let options: PgConnectOptions = settings
        .url
        .expose()
        .parse()
        // The parser's own text may quote the address, with its password.
        .map_err(|_| ConnectError::DatabaseAddress)?;
    pool_options(settings)
        .connect_with(
            options
                .application_name(context)
                // As is so of any disk without moving parts: rows of a hundred keys are not looked for in whole tables.
                .options([("random_page_cost", "1.1")]),
        )
        .await
        .map_err(|error| ConnectError::Database(settings.url.clone(), error))
}

/// How a pool is kept. A connection that was used a moment ago is not asked first whether it still stands: that would be a
/// second way to the database for each query.
#[must_use]
pub fn pool_options(settings: &settings::Postgres) -> PgPoolOptions {
    PgPoolOptions::new()
        .max_connections(settings.max_connections)
        .test_before_acquire(false)
        .before_acquire(|connection, found| {
            Box::pin(async move {
                if found.idle_for > TRUSTED {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
}

/// Brings a service's database up to date: what `readmodel` keeps there, and by the service's own migrations
/// ([`Application::migrations`](crate::Application::migrations)) the tables that it keeps beside its projections.
///
/// Many processes may do so at once. A program that is older than the tables gets on with them: one that fails is started
/// anew while others of a later version run already.
///
/// # Errors
/// Where the database does not answer, or a migration fails.
pub async fn migrate(database: &PgPool, migrations: Option<Migrator>) -> anyhow::Result<()> {
    readmodel::migrate(database).await?;
    let Some(mut migrations) = migrations else {
        return Ok(());
    };
    migrations.set_ignore_missing(true);
    // On a connection of its own: closing it frees the migrator's lock.
    let alone = PgPoolOptions::new()
        .max_connections(1)
        .connect_lazy_with(database.connect_options().as_ref().clone());
    let outcome = migrations.run(&alone).await;
    alone.close().await;
    Ok(outcome?)
}

/// The last sequence of a log; it is waited for while the log is away.
pub async fn last_sequence(log: &dyn EventLog) -> u64 {
    loop {
        match log.last_sequence().await {
            Ok(last) => return last,
            Err(_) => tokio::time::sleep(AGAIN).await,
        }
    }
}
