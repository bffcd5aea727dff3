//! The databases of a system: their server, and where each service keeps its read models.

use backing_services::{Postgres, testing};

/// The databases' server.
#[derive(Debug)]
pub(super) enum Databases {
    Shared(&'static Postgres),
    Own(Box<Postgres>),
}

/// Where the services keep their read models.
#[derive(Debug)]
pub(super) struct Urls {
    pub(super) registry: String,
    pub(super) tiering: String,
    /// None where visits don't run.
    pub(super) visits: Option<String>,
    /// None where alerts don't run.
    pub(super) alerts: Option<String>,
    /// None where claims don't run.
    pub(super) claims: Option<String>,
    /// None where sharing doesn't run.
    pub(super) sharing: Option<String>,
}

impl Databases {
    /// The server that all stories share, or one of its own.
    pub(super) async fn start(own: bool) -> Self {
        if own {
            Self::Own(Box::new(testing::own_postgres().await))
        } else {
            Self::Shared(testing::postgres().await)
        }
    }

    /// The server, whosever it is.
    pub(super) fn postgres(&self) -> &Postgres {
        match self {
            Self::Shared(postgres) => postgres,
            Self::Own(postgres) => postgres,
        }
    }
}

impl Urls {
    /// Databases that nobody has used, for registry and tiering, and for those of visits, alerts, claims and sharing that run.
    pub(super) async fn fresh(databases: &Databases, runs: [bool; 4]) -> Self {
        let postgres = databases.postgres();
        let fresh = || async { postgres.fresh_database().await.unwrap() };
        let fresh_if = async |runs: bool| if runs { Some(fresh().await) } else { None };
        let [visits, alerts, claims, sharing] = runs;
        Self {
            registry: fresh().await,
            tiering: fresh().await,
            visits: fresh_if(visits).await,
            alerts: fresh_if(alerts).await,
            claims: fresh_if(claims).await,
            sharing: fresh_if(sharing).await,
        }
    }
}
