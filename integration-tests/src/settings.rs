//! What the processes of a system are told when they start: each has a file of settings.

use std::{fs, net::SocketAddr, path::Path};

use alerts::AlertsSettings;
use chrono::{DateTime, Utc};
use claims::ClaimsSettings;
use registry::RegistrySettings;
use serde_json::{Value, json};
use service::{Config, Section, TokenIssuer, config::Loader, settings::Address};
use sharing::SharingSettings;
use tiering::TieringSettings;
use visits::VisitsSettings;

use crate::{callers::service_of_the_system, doors::Doors};

/// 32 bytes in Base64, by which visits, alerts, claims and sharing know a request again; the registry has its own.
const INDEX_KEY: &str = "dmlzaXRzIHVuZGVyIHRlc3QsIDMyIGJ5dGVzIGxvbmc=";

/// What a process is told, whichever it is.
pub(crate) struct Told<'a> {
    /// The log's server, or several separated by commas.
    pub(crate) nats: String,
    /// The copies of each stream.
    pub(crate) copies: usize,
    /// Where the process listens.
    pub(crate) listen: SocketAddr,
    /// The database of the process' first service.
    pub(crate) database: &'a str,
    /// Whose tokens are good.
    pub(crate) issuer: &'a TokenIssuer,
    /// What opens the log's server, where not everybody may come in.
    pub(crate) doors: Option<&'a Doors>,
    /// What the clock says. It stands still.
    pub(crate) now: DateTime<Utc>,
    /// Where traces and metrics go, if anywhere.
    pub(crate) collector: Option<&'a str>,
    /// How many connections to its database each service has at the most, beside those of its readers.
    pub(crate) pool: u32,
    /// How many calls and streams that are not urgent it takes at once, if not as many as usual.
    pub(crate) calls: Option<usize>,
    /// Whether it calls itself the next version of the program.
    pub(crate) next_version: bool,
}

impl Told<'_> {
    /// Writes the file of registry and tiering.
    pub(crate) fn write_for_elders(&self, file: &Path, tiering_database: &str) {
        self.write(
            file,
            json!({ Own::NAME: { "tiering_database": tiering_database } }),
        );
    }

    /// Writes the file of visits, who ask the registry for keys, and tell alerts where there are any.
    pub(crate) fn write_for_visits(&self, file: &Path, registry: &str, alerts: Option<SocketAddr>) {
        let mut own = json!({
            "peers": { "registry": format!("http://{registry}") },
            "auth": { "service_token": self.issuer.issue(&service_of_the_system()) },
            "vault": { "index_key": INDEX_KEY },
        });
        if let Some(alerts) = alerts {
            own["peers"]["alerts"] = format!("http://{alerts}").into();
        }
        self.write(file, own);
    }

    /// Writes the file of alerts, who ask the registry for keys and tell people by lines in the log.
    pub(crate) fn write_for_alerts(&self, file: &Path, registry: &str) {
        let own = json!({
            "peers": { "registry": format!("http://{registry}") },
            "auth": { "service_token": self.issuer.issue(&service_of_the_system()) },
            "vault": { "index_key": INDEX_KEY },
            AlertsSettings::NAME: { "notices": { "log": true } },
        });
        self.write(file, own);
    }

    /// Writes the file of claims, who ask the registry for keys.
    pub(crate) fn write_for_claims(&self, file: &Path, registry: &str) {
        let own = json!({
            "peers": { "registry": format!("http://{registry}") },
            "auth": { "service_token": self.issuer.issue(&service_of_the_system()) },
            "vault": { "index_key": INDEX_KEY },
        });
        self.write(file, own);
    }

    /// Writes the file of sharing, which asks the registry for keys, and lets departments in to the log's server.
    pub(crate) fn write_for_sharing(&self, file: &Path, registry: &str) {
        let mut own = json!({
            "peers": { "registry": format!("http://{registry}") },
            "auth": { "service_token": self.issuer.issue(&service_of_the_system()) },
            "vault": { "index_key": INDEX_KEY },
        });
        if let Some(doors) = self.doors {
            own[SharingSettings::NAME]["feeds"]["access"] = doors.settings();
        }
        self.write(file, own);
    }

    fn write(&self, file: &Path, own: Value) {
        let mut settings = json!({
            "grpc": { "listen": self.listen, "default_deadline": "60s" },
            "nats": { "url": self.nats, "replicas": self.copies },
            "postgres": { "url": self.database, "max_connections": self.pool },
            "auth": { "mode": "local", "keys": [self.issuer.public_key()] },
            "clock": { "as_of": self.now.to_rfc3339(), "stopped": true },
            "telemetry": { "log_filter": "warn" },
            // Callers notice within this time that somebody goes.
            "shutdown": { "delay": "1s" },
            Own::NAME: { "next_version": self.next_version },
        });
        if let Some(calls) = self.calls {
            settings["grpc"]["max_calls"] = calls.into();
            settings["grpc"]["max_streams"] = calls.into();
        }
        if let Some(doors) = self.doors {
            let (user, password) = doors.services();
            settings["nats"]["user"] = user.into();
            settings["nats"]["password"] = password.into();
        }
        if let Some(collector) = self.collector {
            settings["telemetry"]["otlp_endpoint"] = collector.into();
            settings["telemetry"]["metrics_interval"] = "200ms".into();
        }
        for (section, values) in own.as_object().expect("sections by name") {
            for (key, value) in values.as_object().expect("keys by name") {
                settings[section][key] = value.clone();
            }
        }
        let text = toml::to_string(&toml::Value::try_from(settings).unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
}

/// What a process needs to know beside the services' settings.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Own {
    /// The database of tiering; `postgres.url` is the registry's.
    pub tiering_database: String,
    /// Whether it calls itself the next version of the program: it builds all read models anew, beside those of the version before.
    pub next_version: bool,
}

impl Section for Own {
    const NAME: &'static str = "system";
}

/// Reads what stands in a file beside the services' settings.
///
/// # Errors
/// An unknown key or a value of the wrong kind.
pub fn own(file: &Path) -> anyhow::Result<Own> {
    Ok(Loader::new(Some(file), [])?.section()?)
}

/// Reads the settings of a service that has a process for itself.
fn of<S: Section>(file: &Path) -> anyhow::Result<Config<S>> {
    let loader = Loader::new(Some(file), [])?;
    let config: Config<Own> = loader.load()?;
    Ok(Config {
        common: config.common,
        own: loader.section()?,
    })
}

/// The settings of the process of registry and tiering: those of each, and what they share.
pub struct OfElders {
    /// Shared, with the registry's database.
    pub registry: service::Settings,
    /// The registry's own.
    pub registry_own: RegistrySettings,
    /// Shared, with tiering's database.
    pub tiering: service::Settings,
    /// Tiering's own.
    pub tiering_own: TieringSettings,
}

impl OfElders {
    /// Reads the file that the process is started with.
    ///
    /// # Errors
    /// An unknown key or a value of the wrong kind.
    pub fn read(file: &Path) -> anyhow::Result<Self> {
        let loader = Loader::new(Some(file), [])?;
        let config: Config<Own> = loader.load()?;
        let mut tiering = config.common.clone();
        tiering.postgres.url = Address::new(&config.own.tiering_database);
        Ok(Self {
            registry: config.common,
            registry_own: loader.section()?,
            tiering,
            tiering_own: loader.section()?,
        })
    }
}

/// Reads the file that the process of visits is started with.
///
/// # Errors
/// An unknown key or a value of the wrong kind.
pub fn of_visits(file: &Path) -> anyhow::Result<Config<VisitsSettings>> {
    of(file)
}

/// Reads the file that the process of alerts is started with.
///
/// # Errors
/// An unknown key or a value of the wrong kind.
pub fn of_alerts(file: &Path) -> anyhow::Result<Config<AlertsSettings>> {
    of(file)
}

/// Reads the file that the process of claims is started with.
///
/// # Errors
/// An unknown key or a value of the wrong kind.
pub fn of_claims(file: &Path) -> anyhow::Result<Config<ClaimsSettings>> {
    of(file)
}

/// Reads the file that the process of sharing is started with.
///
/// # Errors
/// An unknown key or a value of the wrong kind.
pub fn of_sharing(file: &Path) -> anyhow::Result<Config<SharingSettings>> {
    of(file)
}
