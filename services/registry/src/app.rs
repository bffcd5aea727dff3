//! The registry put together, by its own process, by the launcher that runs all services in one, and by the tests alike.

use std::sync::Arc;

use eventlog::EventLog;
use futures::future::BoxFuture;
use proto::eldercare::registry::v1::{
    registry_service_server::RegistryServiceServer, vault_service_server::VaultServiceServer,
};
use readmodel::{Follower, ReactorRunner, Runner};
use service::{
    Application, Background, Clock, Connections, Server, Settings, Shutdown,
    access::Access,
    connections,
    elder_keys::{Erasures, Forgotten},
};
use sqlx::{PgPool, migrate::Migrator};
use tokio::time::Duration;
use tokio_util::sync::CancellationToken;
use vault::{BlindIndex, Vault};

use crate::{
    erased_table,
    grpc::{self, RegistryFace},
    keys, lookup_keys,
    on_elder_erased::{self, OnElderErased},
    registry::{Parts, Registry},
    registry_elders::RegistryElders,
    settings::RegistrySettings,
    vault_grpc::{self, VaultFace},
};

/// The registry, connected to its servers. It answers once it is added to a server and its background runs.
pub struct App {
    registry: Registry,
    background: Background,
    erased: Follower,
    forgotten: Forgotten,
    access: Access,
}

impl Application for App {
    type Own = RegistrySettings;

    fn migrations() -> Option<Migrator> {
        None
    }

    async fn connect(
        settings: &Settings,
        own: &RegistrySettings,
        clock: Clock,
    ) -> anyhow::Result<Self> {
        let index = keys::blind_index(settings)?;
        let connections = Connections::open("registry", settings).await?;
        let log = connections.own_log().await?;
        let access = connections.access(clock.clone()).await?;
        let vault = keys::vault(connections.nats, settings).await?;
        // One replica erases, and each remembers keys for itself.
        let erasures = Erasures::from_now(vault.clone(), Arc::clone(&log)).await;
        let forgotten = erasures.forgotten();
        let pool = connections.database;
        lookup_keys::settle(&log, &index, clock.now()).await?;
        connections::migrate(&pool, Self::migrations()).await?;
        erased_table::destroy_what_came_back(&pool, &vault).await?;

        let projection = Runner::new(pool.clone(), Arc::clone(&log), {
            let (vault, index) = (vault.clone(), index.clone());
            move || RegistryElders::new(vault.clone(), index.clone())
        });
        let reactor = ReactorRunner::new(pool.clone(), Arc::clone(&log), Arc::clone(&log), {
            let vault = vault.clone();
            move || OnElderErased::new(vault.clone())
        });
        let erased = reactor.follower();
        let registry = Registry::new(Parts {
            log,
            vault,
            index,
            pool,
            follower: projection.follower(),
            clock,
            remembered_files: own.remembered_files,
            remembered_claims: own.remembered_claims,
            largest_answer: settings.grpc.max_message_bytes,
        });
        Ok(Self {
            registry,
            background: Background::new()
                .with("registry_elders", |stopped| projection.run(stopped))
                .with(on_elder_erased::NAME, |stopped| reactor.run(stopped))
                .with("registry_erasures", |stopped| erasures.run(stopped)),
            erased,
            forgotten,
            access,
        })
    }

    fn add_to(&self, server: Server, _shutdown: &Shutdown) -> Server {
        let most = server.max_message_bytes();
        let registry = RegistryServiceServer::new(RegistryFace::new(self.registry.clone()));
        let vault = VaultServiceServer::new(VaultFace::new(self.registry.clone()));
        server
            .recording(self.access.clone())
            .service(
                registry
                    .max_decoding_message_size(most)
                    .max_encoding_message_size(most),
                grpc::actions(),
            )
            .service(
                vault
                    .max_decoding_message_size(most)
                    .max_encoding_message_size(most),
                vault_grpc::actions(),
            )
    }

    fn background(&self) -> &Background {
        &self.background
    }

    /// Waits until read model and reactor have come to where the log was when this was called: what was erased is gone,
    /// and answers are up to date.
    fn settled(&self, given_up: CancellationToken) -> BoxFuture<'static, ()> {
        let (log, pool) = (Arc::clone(&self.registry.log), self.registry.pool.clone());
        let followers = [self.registry.follower.clone(), self.erased.clone()];
        let forgotten = self.forgotten.clone();
        let vault = self.registry.vault.clone();
        Box::pin(async move {
            let catching_up = async {
                let head = connections::last_sequence(log.as_ref()).await;
                for follower in followers {
                    // A rebuild may take long; nothing but the end of the process ends the wait.
                    follower.reaches(head).await;
                }
                forgotten.reaches(head).await;
                // An empty log is caught up with before there are tables.
                while !tables_are_there(&pool).await {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                // Again, now that the read model knows of every erasure: at the start it may have been behind the vault.
                while let Err(error) = erased_table::destroy_what_came_back(&pool, &vault).await {
                    tracing::warn!(%error, "it can't be seen whether keys of erased persons came back");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            };
            given_up.run_until_cancelled(catching_up).await;
        })
    }
}

impl App {
    /// The registry's log, for operators' commands and for tests.
    #[must_use]
    pub fn log(&self) -> Arc<dyn EventLog> {
        Arc::clone(&self.registry.log)
    }

    /// The keys of persons, which the registry owns.
    #[must_use]
    pub fn vault(&self) -> Vault {
        self.registry.vault.clone()
    }

    /// The keys of lookups.
    #[must_use]
    pub fn index(&self) -> BlindIndex {
        self.registry.index.clone()
    }

    /// The registry's database.
    #[must_use]
    pub fn pool(&self) -> PgPool {
        self.registry.pool.clone()
    }

    /// Follows the read model.
    #[must_use]
    pub fn follower(&self) -> Follower {
        self.registry.follower.clone()
    }

    /// Follows how far this process has dropped the keys of those who were erased.
    #[must_use]
    pub fn forgotten(&self) -> Forgotten {
        self.forgotten.clone()
    }

    /// Makes the projection of the read model, for rebuilding and verifying it.
    #[must_use]
    pub fn projection(&self) -> RegistryElders {
        RegistryElders::new(self.registry.vault.clone(), self.registry.index.clone())
    }
}

async fn tables_are_there(pool: &PgPool) -> bool {
    sqlx::query_scalar("SELECT to_regclass('registry_elders.elder') IS NOT NULL")
        .fetch_one(pool)
        .await
        .unwrap_or(false)
}
