//! The process that `rebuild-all` measures: every read model of every service, one after the other, as `eldercare rebuild` makes
//! them.

use std::{path::Path, str::FromStr, sync::Arc, time::Instant};

use anyhow::Context as _;
use eventlog::EventLog;
use readmodel::Projection;
use service::{Clock, config::Loader};
use sqlx::PgPool;

use crate::{
    bench::processes::peak_rss,
    connection::ConnectionFile,
    keys::Keys,
    read_models::{ReadModel, Task},
    servers::Servers,
    stores::Stores,
    system::Services,
};

/// What the servers' addresses are left as, beside the configuration.
pub(in crate::bench) const CONNECTION: &str = "connection";

/// The word before what was rebuilt, and the one before the most memory that was held.
pub(in crate::bench) const REBUILT: &str = "rebuilt";
pub(in crate::bench) const PEAK: &str = "peak";

/// A read model that was built anew.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::bench) struct Rebuilt {
    /// Its name, which is its schema's.
    pub(in crate::bench) name: String,
    /// The stream that it is made from.
    pub(in crate::bench) stream: String,
    /// The database that it lies in.
    pub(in crate::bench) database: String,
    /// How long it took.
    pub(in crate::bench) seconds: f64,
    /// How many events it could not take in.
    pub(in crate::bench) parked: u64,
}

/// The names of all that are rebuilt, in their order.
pub(in crate::bench) fn names() -> anyhow::Result<Vec<&'static str>> {
    Ok(ReadModel::chosen(&[])?
        .into_iter()
        .map(ReadModel::name)
        .collect())
}

/// Rebuilds all of them, and says of each what came of it.
pub(super) async fn run(loader: &Loader, config: &Path, clock: &Clock) -> anyhow::Result<()> {
    let folder = config.parent().context("the configuration's folder")?;
    let connection = std::fs::read(config.with_extension(CONNECTION))?;
    let connection: ConnectionFile = serde_json::from_slice(&connection)?;
    let (servers, keys) = (Servers::of_running(&connection), Keys::of(folder)?);
    let services = Services::connect(loader, &servers, &keys, clock, None).await?;
    let stores = Stores::Folder(Box::new(services));
    println!("ready");
    for one in ReadModel::chosen(&[])? {
        let rebuilt = one.with(&stores, Rebuilding).await;
        let rebuilt = rebuilt.with_context(|| format!("rebuild {}", one.name()))?;
        println!("{REBUILT} {}", rebuilt.told());
    }
    println!(
        "{PEAK} {}",
        peak_rss("/proc/self/status").unwrap_or_default()
    );
    Ok(())
}

/// Builds a read model anew.
struct Rebuilding;

impl Task for Rebuilding {
    type Done = Rebuilt;

    async fn on<P: Projection>(
        self,
        pool: &PgPool,
        log: Arc<dyn EventLog>,
        fold: P,
    ) -> Result<Rebuilt, readmodel::Error> {
        let (name, stream) = (fold.name(), log.stream().to_owned());
        let since = Instant::now();
        readmodel::rebuild(pool, log, fold, |_| {}).await?;
        let seconds = since.elapsed().as_secs_f64();
        let options = pool.connect_options();
        Ok(Rebuilt {
            name: name.to_owned(),
            stream,
            database: options.get_database().unwrap_or_default().to_owned(),
            seconds,
            parked: readmodel::parked::count(pool, Some(name)).await?,
        })
    }
}

impl Rebuilt {
    fn told(&self) -> String {
        let Self {
            name,
            stream,
            database,
            seconds,
            parked,
        } = self;
        format!("{name} {stream} {database} {seconds} {parked}")
    }
}

impl FromStr for Rebuilt {
    type Err = anyhow::Error;

    fn from_str(told: &str) -> anyhow::Result<Self> {
        let parts: Vec<_> = told.split_whitespace().collect();
        let [name, stream, database, seconds, parked] = parts[..] else {
            anyhow::bail!("`{told}` does not say what was rebuilt");
        };
        Ok(Self {
            name: name.to_owned(),
            stream: stream.to_owned(),
            database: database.to_owned(),
            seconds: seconds.parse()?,
            parked: parked.parse()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_rebuilt_is_read_as_it_was_told() {
        let rebuilt = Rebuilt {
            name: "visits_book".to_owned(),
            stream: "VISITS".to_owned(),
            database: "visits".to_owned(),
            seconds: 1.25,
            parked: 0,
        };
        assert_eq!(rebuilt.told().parse::<Rebuilt>().unwrap(), rebuilt);
        assert!("visits_book VISITS".parse::<Rebuilt>().is_err());
    }
}
