//! What the processes of a system are told when they start: each has a file of settings.

use std::{fs, net::SocketAddr, path::Path};

use alerts::AlertsSettings;
use chrono::{DateTime, Utc};
use registry::RegistrySettings;
use serde_json::{Value, json};
use service::{Config, Section, TokenIssuer, config::Loader, settings::Address};
use sharing::SharingSettings;
use tiering::TieringSettings;

use crate::{callers::service_named, doors::Doors, process::Part, trust::Trust};

/// 32 bytes in Base64, by which visits, alerts, claims and sharing know a request again; the registry has its own.
const INDEX_KEY: &str = "dmlzaXRzIHVuZGVyIHRlc3QsIDMyIGJ5dGVzIGxvbmc=";

/// What a process is told, whichever it is.
pub(crate) struct Told<'a> {
    /// What it is a process of.
    pub(crate) part: Part,
    /// The log's server, or several separated by commas.
    pub(crate) nats: String,
    /// The copies of each stream.
    pub(crate) copies: usize,
    /// Whether the log's server syncs each write.
    pub(crate) sync_always: bool,
    /// Whom it trusts and what it shows, where servers speak TLS.
    pub(crate) trust: Option<&'a Trust>,
    /// Where the process listens.
    pub(crate) listen: SocketAddr,
    /// The databases of the process' services.
    pub(crate) databases: &'a [String],
    /// Where it asks the registry for keys; none for the registry itself.
    pub(crate) registry: Option<String>,
    /// Where visits tell of those who were missed, if anybody is there.
    pub(crate) alerts: Option<SocketAddr>,
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
    /// Whether a data set is replayed on its clock.
    pub(crate) replayed: bool,
}

impl Told<'_> {
    /// Writes the file.
    pub(crate) fn write(&self, file: &Path) {
        self.write_changed(file, |_| {});
    }

    /// Writes the file with what somebody has changed.
    pub(crate) fn write_changed(&self, file: &Path, change: impl FnOnce(&mut Value)) {
        let mut settings = self.settings();
        change(&mut settings);
        let text = toml::to_string(&toml::Value::try_from(settings).unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    fn settings(&self) -> Value {
        let mut settings = json!({
            "grpc": { "listen": self.listen, "default_deadline": "60s" },
            "nats": { "url": self.nats, "replicas": self.copies, "sync_always": self.sync_always },
            "postgres": { "url": self.databases[0], "max_connections": self.pool },
            "auth": { "mode": "local", "keys": [self.issuer.public_key()] },
            "clock": { "as_of": self.now.to_rfc3339(), "stopped": true },
            "telemetry": { "log_filter": "warn" },
            // Callers notice within this time that somebody goes.
            "shutdown": { "delay": "1s" },
            Own::NAME: { "next_version": self.next_version, "replayed": self.replayed },
        });
        if let Some(registry) = &self.registry {
            settings["peers"]["registry"] = format!("http://{registry}").into();
            let token = self.issuer.issue(&service_named(&self.part.to_string()));
            settings["auth"]["service_token"] = token.into();
            settings["vault"]["index_key"] = INDEX_KEY.into();
        }
        self.add_own(&mut settings);
        if let Some(trust) = self.trust {
            trust.add_to(&mut settings["nats"]);
        }
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
        settings
    }

    /// What one part alone is told.
    fn add_own(&self, settings: &mut Value) {
        match self.part {
            Part::Elders => {
                settings[Own::NAME]["tiering_database"] = self.databases[1].as_str().into();
            }
            Part::Visits => {
                if let Some(alerts) = self.alerts {
                    settings["peers"]["alerts"] = format!("http://{alerts}").into();
                }
            }
            // People are told by lines in the log.
            Part::Alerts => settings[AlertsSettings::NAME]["notices"]["log"] = true.into(),
            Part::Claims => {}
            Part::Sharing => {
                if let Some(doors) = self.doors {
                    settings[SharingSettings::NAME]["feeds"]["access"] = doors.settings();
                }
            }
        }
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
    /// Whether a data set is replayed on its clock: that of alerts stops wherever something falls due.
    pub replayed: bool,
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
///
/// # Errors
/// An unknown key or a value of the wrong kind.
pub fn of<S: Section>(file: &Path) -> anyhow::Result<Config<S>> {
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
