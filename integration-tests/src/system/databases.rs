//! The databases of a system: their server, and where each service keeps its read models.

use backing_services::{Postgres, testing};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::process::Part;

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

    /// Copies a database to which nobody is connected: the copy's url.
    pub(super) async fn copy(&self, url: &str) -> String {
        let name = |url: &str| {
            let path = url.split('?').next().expect("a url");
            path.rsplit('/').next().expect("a url").to_owned()
        };
        let postgres = self.postgres();
        let copy = format!("copy_{}", uuid::Uuid::new_v4().simple());
        let statement = format!("CREATE DATABASE {copy} TEMPLATE {}", name(url));
        let mut connection = PgConnection::connect(&postgres.url()).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(statement))
            .execute(&mut connection)
            .await
            .unwrap();
        postgres.url_of(&copy)
    }
}

impl Urls {
    /// Where the services of a process keep theirs.
    pub(super) fn of(&mut self, part: Part) -> Vec<&mut String> {
        match part {
            Part::Elders => vec![&mut self.registry, &mut self.tiering],
            Part::Visits => self.visits.iter_mut().collect(),
            Part::Alerts => self.alerts.iter_mut().collect(),
            Part::Claims => self.claims.iter_mut().collect(),
            Part::Sharing => self.sharing.iter_mut().collect(),
        }
    }

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
