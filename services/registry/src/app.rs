//! The registry put together, by its own process, by the launcher that runs all services in one, and by the tests alike.

use std::{sync::Arc, time::Duration};

use eventlog::EventLog;
use proto::eldercare::registry::v1::{
    registry_service_server::RegistryServiceServer, vault_service_server::VaultServiceServer,
};
use readmodel::{Follower, ReactorRunner, Runner};
use service::{Clock, Server, Settings, Shutdown, Supervised};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use vault::{BlindIndex, Vault};

use crate::{
    connections,
    grpc::{self, RegistryFace},
    on_elder_erased::OnElderErased,
    registry::{Parts, Registry},
    registry_elders::RegistryElders,
    settings::RegistrySettings,
    vault_grpc::{self, VaultFace},
};

/// The registry, connected to its servers. It answers once it is added to a server and its background runs.
pub struct App {
    registry: Registry,
    settings: Settings,
    background: Option<Background>,
    erased: Follower,
}

/// What runs beside the server.
struct Background {
    projection: Runner<RegistryElders>,
    reactor: ReactorRunner<OnElderErased>,
}

impl App {
    /// Connects to NATS and PostgreSQL, and opens log and vault.
    ///
    /// # Errors
    /// Where a server does not answer, a stream could lose data, or keys can't be used.
    pub async fn connect(
        settings: &Settings,
        own: &RegistrySettings,
        clock: Clock,
    ) -> anyhow::Result<Self> {
        let index = connections::blind_index(settings)?;
        let (client, pool) = tokio::try_join!(
            connections::nats(&settings.nats),
            connections::postgres(&settings.postgres),
        )?;
        let log: Arc<dyn EventLog> =
            Arc::new(connections::log(client.clone(), settings, own).await?);
        let vault = connections::vault(client, settings, own).await?;
        readmodel::migrate(&pool).await?;

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
        });
        Ok(Self {
            registry,
            settings: settings.clone(),
            background: Some(Background {
                projection,
                reactor,
            }),
            erased,
        })
    }

    /// Adds the registry's services to a server, with what their methods do.
    #[must_use]
    pub fn add_to(&self, server: Server) -> Server {
        let most = self.settings.grpc.max_message_bytes;
        let registry = RegistryServiceServer::new(RegistryFace::new(self.registry.clone()));
        let vault = VaultServiceServer::new(VaultFace::new(self.registry.clone()));
        server
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

    /// Runs the read model and the reactor until the service stops. Once only.
    pub fn run_background(&mut self, tasks: &mut Supervised, shutdown: &Shutdown) {
        let Some(Background {
            projection,
            reactor,
        }) = self.background.take()
        else {
            return;
        };
        let stopped = shutdown.stopped();
        tasks.spawn("registry_elders", running(projection.run(stopped.clone())));
        tasks.spawn("on_elder_erased", running(reactor.run(stopped)));
    }

    /// Waits until read model and reactor have come to where the log was when this was called: what was erased is gone,
    /// and answers are up to date.
    ///
    /// It ends early when `given_up` is cancelled.
    pub fn caught_up(
        &self,
        given_up: CancellationToken,
    ) -> impl Future<Output = ()> + Send + use<> {
        let (log, pool) = (Arc::clone(&self.registry.log), self.registry.pool.clone());
        let followers = [self.registry.follower.clone(), self.erased.clone()];
        async move {
            let catching_up = async {
                let head = loop {
                    match log.last_sequence().await {
                        Ok(head) => break head,
                        Err(_) => tokio::time::sleep(Duration::from_millis(250)).await,
                    }
                };
                let position = eventlog::Position::new(log.stream(), head);
                for follower in followers {
                    // A rebuild may take long; nothing but the end of the process ends the wait.
                    let deadline = || tokio::time::Instant::now() + Duration::from_secs(3_600);
                    while follower.wait_for(&position, deadline()).await.is_err() {}
                }
                // An empty log is caught up with before there are tables.
                while !tables_are_there(&pool).await {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            };
            given_up.run_until_cancelled(catching_up).await;
        }
    }

    /// Serves by itself, as the registry's own process does.
    ///
    /// # Errors
    /// If the port can't be bound, or a part of the service fails.
    pub async fn serve(mut self, shutdown: &Shutdown) -> anyhow::Result<()> {
        let server = self.add_to(Server::new(&self.settings));
        let bound = server
            .ready_when(self.caught_up(shutdown.requested()))
            .bind()
            .await?;
        let mut tasks = Supervised::new(shutdown);
        self.run_background(&mut tasks, shutdown);
        tasks.run(bound.serve(shutdown)).await
    }

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

async fn running(task: impl Future<Output = ()>) -> anyhow::Result<()> {
    task.await;
    Ok(())
}
