//! The two servers under a system: started in its data folder, for a moment, or found running there.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use backing_services::{Nats, NatsOptions, Postgres, PostgresOptions, Syncing, Tools};
use nats_access::SERVICES_ACCOUNT;

use crate::{
    cli::Common,
    connection::ConnectionFile,
    data_folder::DataFolder,
    keys::Keys,
    nats_users::{self, STREAMS},
    output::Progress,
    streams::unfit,
};

/// The services, each with a database of its own.
pub const SERVICES: [&str; 6] = [
    "registry", "tiering", "visits", "alerts", "claims", "sharing",
];

/// NATS and PostgreSQL, and where they are.
pub struct Servers {
    /// The log's server.
    pub nats_url: String,
    /// The operator's user there, and its password.
    pub nats_user: (String, String),
    /// The port where devices speak MQTT; none where another process runs the server.
    pub mqtt_port: Option<u16>,
    /// The databases by service; passwords included.
    pub databases: BTreeMap<String, String>,
    /// Whether the log's server writes through before each acknowledgement.
    pub sync_always: bool,
    /// Ours, to be stopped at the end; `None` where another process runs them.
    own: Option<(Nats, Postgres)>,
}

/// Without passwords.
impl std::fmt::Debug for Servers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Servers")
            .field("nats_url", &self.nats_url)
            .finish_non_exhaustive()
    }
}

impl Servers {
    /// Starts both in a data folder. A folder for a moment has servers for a moment: fast, and gone even after a crash.
    ///
    /// # Errors
    /// Programs that can't be had, or servers that don't start; the text says what to do.
    pub async fn start(
        folder: &DataFolder,
        tools: &Tools,
        keys: &Keys,
        progress: Progress,
    ) -> anyhow::Result<Self> {
        let step = progress.begin("启动 starting NATS and PostgreSQL", 0);
        let (nats, postgres) = if folder.is_temporary() {
            // The whole folder, so that nothing of it is left after a crash.
            let mut options = NatsOptions::new(folder.path());
            options.syncing = Syncing::EveryTwoMinutes;
            options.scratch = true;
            options.mqtt_port = Some(0);
            options.configuration = keys.server_access()?.server_configuration();
            let (nats, postgres) =
                tokio::join!(Nats::start(tools, options), Postgres::for_tests(tools));
            (nats?, postgres?)
        } else {
            let postgres_folder = folder.path().join("postgres");
            let (nats, postgres) = tokio::join!(
                start_log(folder, tools, keys),
                Postgres::start(tools, PostgresOptions::new(postgres_folder))
            );
            (nats?, postgres?)
        };
        let mut databases = BTreeMap::new();
        for service in SERVICES {
            databases.insert(service.to_owned(), postgres.ensure_database(service).await?);
        }
        step.done(&format!(
            "NATS {}, PostgreSQL {}",
            nats.version(),
            postgres.version()
        ));
        Ok(Self {
            nats_url: nats.url(),
            nats_user: keys.nats_user()?,
            mqtt_port: nats.mqtt_port(),
            databases,
            sync_always: !folder.is_temporary(),
            own: Some((nats, postgres)),
        })
    }

    /// A log's server of ours that runs already, and databases that are there for a moment.
    ///
    /// # Errors
    /// Keys of an earlier version, that were never written anew.
    pub(crate) fn beside_log(
        nats: &Nats,
        keys: &Keys,
        databases: BTreeMap<String, String>,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            nats_url: nats.url(),
            nats_user: keys.nats_user()?,
            mqtt_port: nats.mqtt_port(),
            databases,
            sync_always: true,
            own: None,
        })
    }

    /// Those of a system that runs in another process.
    pub fn of_running(connection: &ConnectionFile) -> Self {
        Self {
            nats_url: connection.nats_url.clone(),
            nats_user: connection.nats_user.clone(),
            mqtt_port: None,
            databases: connection.databases.clone(),
            sync_always: true,
            own: None,
        }
    }

    /// Sees to it that the streams are there, as an operator does for a cluster: services may not make any.
    ///
    /// # Errors
    /// Where the log's server does not answer, or a stream is kept otherwise than it must be.
    pub async fn make_streams(&self, keys: &Keys) -> anyhow::Result<()> {
        let mut settings = service::settings::Nats {
            url: service::settings::Address::new(&self.nats_url),
            ..service::settings::Nats::default()
        };
        let password = keys.nats_passwords()?;
        nats_users::come_in(&mut settings, STREAMS, &password(STREAMS));
        let client = service::connections::nats(STREAMS, &settings).await?;
        let server = async_nats::jetstream::new(client);
        let states = nats_streams::apply(&server, 1).await?;
        if let Some((stream, deviations)) = unfit(&states) {
            anyhow::bail!("the stream {stream} is not as declared: {deviations}");
        }
        Ok(())
    }

    /// A connection to the log's server, as the operator has.
    ///
    /// # Errors
    /// Where it does not answer.
    pub async fn nats(&self) -> anyhow::Result<async_nats::Client> {
        let (user, password) = self.nats_user.clone();
        async_nats::ConnectOptions::with_user_and_password(user, password)
            .connect(&self.nats_url)
            .await
            .context("connect to NATS")
    }

    /// The database of a service.
    ///
    /// # Errors
    /// A service that has none.
    pub fn database(&self, service: &str) -> anyhow::Result<&str> {
        self.databases
            .get(service)
            .map(String::as_str)
            .with_context(|| format!("`{service}` has no database here"))
    }

    /// Waits until one of our servers ends by itself, and says which.
    pub async fn failed(&self) -> String {
        let Some((nats, postgres)) = &self.own else {
            return std::future::pending().await;
        };
        tokio::select! {
            exit = nats.exited() => format!("NATS ended by itself ({exit:?}); its log is {}", nats.log().display()),
            exit = postgres.exited() => format!("PostgreSQL ended by itself ({exit:?}); its log is {}", postgres.log().display()),
        }
    }

    /// Stops ours in good order.
    pub async fn stop(self) {
        if let Some((nats, postgres)) = self.own {
            tokio::join!(nats.stop(), postgres.stop());
        }
    }
}

/// Starts the log's server of a folder that lasts.
///
/// # Errors
/// A program that can't be had, or a server that does not start; the text says what to do.
pub(crate) async fn start_log(
    folder: &DataFolder,
    tools: &Tools,
    keys: &Keys,
) -> anyhow::Result<Nats> {
    let nats_folder = folder.path().join("nats");
    adopt_streams(&nats_folder)?;
    let mut options = NatsOptions::new(nats_folder);
    options.mqtt_port = Some(0);
    options.configuration = keys.server_access()?.server_configuration();
    Ok(Nats::start(tools, options).await?)
}

/// Where the servers' programs are found, and where they are installed if need be.
pub fn tools(common: &Common, folder: Option<&DataFolder>) -> Tools {
    let beside_data = folder
        .filter(|folder| !folder.is_temporary())
        .map(|folder| folder.path().join("tools"));
    let place = common.tools.clone().or(beside_data).unwrap_or_else(cache);
    let mut tools = Tools::new(place);
    tools.nats_server.clone_from(&common.nats_server);
    tools.postgres.clone_from(&common.postgres);
    tools
}

/// The user's cache: what a run without a data folder had to install serves the next one too.
fn cache() -> PathBuf {
    let named = |variable: &str| {
        std::env::var_os(variable)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let caches = named("XDG_CACHE_HOME").or_else(|| named("HOME").map(|home| home.join(".cache")));
    caches
        .unwrap_or_else(std::env::temp_dir)
        .join("eldercare/tools")
}

/// Gives our account the streams of a folder of an earlier version, whose server knew no account but its global one.
fn adopt_streams(nats: &Path) -> anyhow::Result<()> {
    let accounts = nats.join("jetstream").join("jetstream");
    let (global, ours) = (accounts.join("$G"), accounts.join(SERVICES_ACCOUNT));
    if global.exists() && !ours.exists() {
        fs::rename(&global, &ours).with_context(|| format!("rename {}", global.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_of_an_earlier_version_are_ours_from_then_on() {
        let folder = tempfile::tempdir().unwrap();
        adopt_streams(folder.path()).unwrap();
        let accounts = folder.path().join("jetstream/jetstream");
        fs::create_dir_all(accounts.join("$G/streams/REGISTRY")).unwrap();
        for _ in 0..2 {
            adopt_streams(folder.path()).unwrap();
            let streams = accounts.join(SERVICES_ACCOUNT).join("streams");
            assert!(streams.join("REGISTRY").exists());
        }
        assert!(!accounts.join("$G").exists());
    }
}
