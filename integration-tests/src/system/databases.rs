//! The databases of a system: their server, and where each service keeps its read models.

use backing_services::{Postgres, testing};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::{
    process::Part,
    trust::{Base, Trust},
};

/// The databases' server.
#[derive(Debug)]
pub(super) enum Databases {
    Shared(&'static Postgres),
    Own(Box<Postgres>),
}

/// Where the services of each part keep their read models: of registry and tiering, in this order, two; none where a part does
/// not run.
#[derive(Debug, Default)]
pub(super) struct Urls([Vec<String>; Part::ALL.len()]);

impl Databases {
    /// The server that all stories share, or one of its own, as it is where it speaks TLS.
    pub(super) async fn start(own: bool, trust: Option<&Trust>) -> Self {
        if own || trust.is_some() {
            let tls = trust.map(|trust| trust.of(Base::Databases));
            let started = testing::own_postgres_with(|options| options.tls = tls);
            Self::Own(Box::new(started.await))
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
    /// Databases that nobody has used, for the parts that run.
    pub(super) async fn fresh(databases: &Databases, parts: &[Part]) -> Self {
        let mut urls = Self::default();
        for &part in parts {
            let services = if part == Part::Elders { 2 } else { 1 };
            for _ in 0..services {
                let url = databases.postgres().fresh_database().await.unwrap();
                urls.0[part as usize].push(url);
            }
        }
        urls
    }

    /// Where the services of a part keep theirs.
    pub(super) fn of(&self, part: Part) -> &[String] {
        &self.0[part as usize]
    }

    /// The same, to be changed.
    pub(super) fn of_mut(&mut self, part: Part) -> &mut [String] {
        &mut self.0[part as usize]
    }

    /// Where a part's first service keeps its own.
    pub(super) fn first_of(&self, part: Part) -> &str {
        self.of(part).first().expect("the part runs")
    }
}
