//! Where a service's settings come from: defaults, then a TOML file, then the environment.
//!
//! The file is named by `--config` or `ELDERCARE_CONFIG`. A key `section.key` of the file is
//! `ELDERCARE_SECTION__KEY` in the environment; deeper keys have more double underscores
//! (`ELDERCARE_GRPC__TLS__KEY`). There,
//! `[…]` and `{…}` are a list and a table in TOML. An unknown key is an error that names it.
//! `--print-config` prints what is in force, with secrets masked. The keys are listed in
//! [`crate::settings`]. `--migrate` brings the service's database up to date and ends.

use std::{
    env,
    ops::Deref,
    path::{Path, PathBuf},
};

use clap::{Args, Parser};
use figment::{
    Figment, Metadata, Profile, Provider,
    providers::{Format as _, Toml},
    value::{Dict, Map, Value},
};
use serde::{Serialize, de::DeserializeOwned};

use crate::settings::Settings;

/// The services of the system. A file may hold the sections of all of them, so that one file can
/// configure the whole; each service reads its own.
pub const SERVICES: [&str; 6] = [
    "registry", "tiering", "visits", "alerts", "claims", "sharing",
];

const COMMON: [&str; 10] = [
    "auth",
    "clock",
    "grpc",
    "nats",
    "peer_tls",
    "peers",
    "postgres",
    "shutdown",
    "telemetry",
    "vault",
];

/// A service's own section of the configuration.
pub trait Section: Serialize + DeserializeOwned + Default {
    /// The section's name, which is the service's.
    const NAME: &'static str;
}

/// For what has no section of its own.
impl Section for () {
    const NAME: &'static str = "";
}

/// The settings in force: the common ones, and a service's own.
#[derive(Debug, Clone, Default)]
pub struct Config<S = ()> {
    /// Settings common to all services.
    pub common: Settings,
    /// The service's own section.
    pub own: S,
}

impl<S> Deref for Config<S> {
    type Target = Settings;

    fn deref(&self) -> &Settings {
        &self.common
    }
}

/// The arguments that every service takes.
#[derive(Debug, Clone, Default, Args)]
pub struct Arguments {
    /// TOML file with settings
    #[arg(long, value_name = "FILE", env = "ELDERCARE_CONFIG")]
    pub config: Option<PathBuf>,
    /// Print the settings in force, secrets masked, and exit
    #[arg(long)]
    pub print_config: bool,
    /// Bring the service's database up to date, and exit
    #[arg(long, conflicts_with = "print_config")]
    pub migrate: bool,
}

/// What a service's process is started for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Errand {
    /// To serve until it is asked to go down.
    Serve,
    /// To bring the database up to date, before others serve.
    Migrate,
}

#[derive(Parser)]
#[command(disable_version_flag = true)]
struct CommandLine {
    #[command(flatten)]
    arguments: Arguments,
}

impl<S: Section> Config<S> {
    /// The settings in force for this process, and what it is started for.
    ///
    /// `None` if it was only asked to print them, which is then done.
    ///
    /// # Errors
    /// An unknown key, a value of the wrong kind, or a file that can't be read; wrong arguments end
    /// the process with a usage text.
    pub fn from_command_line() -> Result<Option<(Self, Errand)>, ConfigError> {
        let arguments = CommandLine::parse().arguments;
        let config = Loader::from_process(arguments.config.as_deref())?.load::<S>()?;
        if arguments.print_config {
            print!("{}", config.to_toml()?);
            return Ok(None);
        }
        let errand = if arguments.migrate {
            Errand::Migrate
        } else {
            Errand::Serve
        };
        Ok(Some((config, errand)))
    }

    /// The settings as a TOML file, secrets masked.
    ///
    /// # Errors
    /// Only if the service's own section can't be written as TOML.
    pub fn to_toml(&self) -> Result<String, ConfigError> {
        let mut text =
            toml::to_string(&self.common).map_err(|e| ConfigError::Unprintable(e.to_string()))?;
        if !S::NAME.is_empty() {
            let own = toml::Table::try_from(&self.own)
                .map_err(|e| ConfigError::Unprintable(e.to_string()))?;
            let own = toml::Table::from_iter([(S::NAME.to_owned(), toml::Value::Table(own))]);
            text.push('\n');
            text.push_str(
                &toml::to_string(&own).map_err(|e| ConfigError::Unprintable(e.to_string()))?,
            );
        }
        Ok(text)
    }
}

/// Why settings could not be had.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error("configuration file {0}: {1}")]
    File(PathBuf, std::io::Error),
    /// A top-level key that nobody knows.
    #[error("unknown key `{0}` in the configuration: expected one of {1}")]
    UnknownSection(String, String),
    /// An unknown key within a section, or a value of the wrong kind.
    #[error("configuration: {0}")]
    Invalid(#[from] Box<figment::Error>),
    /// The settings can't be written as TOML.
    #[error("the settings can't be printed: {0}")]
    Unprintable(String),
}

/// Puts the sources together. One loader serves all sections, for a process with several services.
#[derive(Debug, Clone)]
pub struct Loader(Figment);

impl Loader {
    /// Reads the file, if any, and this process's environment.
    ///
    /// # Errors
    /// If the file can't be read.
    pub fn from_process(file: Option<&Path>) -> Result<Self, ConfigError> {
        let environment = env::vars_os()
            .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)));
        Self::new(file, environment)
    }

    /// Reads the file, if any, and the given environment.
    ///
    /// # Errors
    /// If the file can't be read.
    pub fn new(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let mut figment = Figment::new();
        if let Some(path) = file {
            // Read here, since a missing file would otherwise count as an empty one.
            let text =
                std::fs::read_to_string(path).map_err(|e| ConfigError::File(path.to_owned(), e))?;
            figment = figment.merge(NamedToml(path.to_owned(), text));
        }
        Ok(Self(figment.merge(Environment::of(environment))))
    }

    /// The common settings and a service's own section.
    ///
    /// # Errors
    /// An unknown key or a value of the wrong kind; the message names the key and its source.
    pub fn load<S: Section>(&self) -> Result<Config<S>, ConfigError> {
        self.refuse_unknown_sections(S::NAME)?;
        Ok(Config {
            common: self.0.extract_lossy().map_err(Box::new)?,
            own: self.section()?,
        })
    }

    /// A service's own section.
    ///
    /// # Errors
    /// An unknown key (if the section denies them) or a value of the wrong kind.
    pub fn section<S: Section>(&self) -> Result<S, ConfigError> {
        if S::NAME.is_empty() || !self.0.contains(S::NAME) {
            return Ok(S::default());
        }
        Ok(self.0.extract_inner_lossy(S::NAME).map_err(Box::new)?)
    }

    fn refuse_unknown_sections(&self, own: &str) -> Result<(), ConfigError> {
        let all: Dict = self.0.extract().map_err(Box::new)?;
        let known = |key: &str| COMMON.contains(&key) || SERVICES.contains(&key) || key == own;
        match all.keys().find(|key| !known(key)) {
            Some(key) => Err(ConfigError::UnknownSection(
                key.clone(),
                COMMON
                    .iter()
                    .chain(&SERVICES)
                    .copied()
                    .collect::<Vec<_>>()
                    .join(", "),
            )),
            None => Ok(()),
        }
    }
}

/// A TOML text that errors call by its file's name.
struct NamedToml(PathBuf, String);

impl Provider for NamedToml {
    fn metadata(&self) -> Metadata {
        Metadata::from("TOML file", self.0.as_path())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Toml::string(&self.1).data()
    }
}

/// The variables `ELDERCARE_SECTION__KEY`.
struct Environment(Dict);

impl Environment {
    fn of(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut dict = Dict::new();
        for (name, value) in variables {
            // A name with no double underscore is no key: ELDERCARE_CONFIG, or another program's.
            let Some(path) = name
                .strip_prefix("ELDERCARE_")
                .filter(|path| path.contains("__"))
            else {
                continue;
            };
            let keys: Vec<String> = path.split("__").map(str::to_ascii_lowercase).collect();
            insert(&mut dict, &keys, typed(value));
        }
        Self(dict)
    }
}

impl Provider for Environment {
    fn metadata(&self) -> Metadata {
        Metadata::named("environment variables ELDERCARE_SECTION__KEY")
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Profile::Default.collect(self.0.clone()))
    }
}

fn insert(dict: &mut Dict, keys: &[String], value: Value) {
    match keys {
        [] => {}
        [last] => {
            dict.insert(last.clone(), value);
        }
        [first, rest @ ..] => {
            let entry = dict
                .entry(first.clone())
                .or_insert_with(|| Value::from(Dict::new()));
            if let Value::Dict(_, inner) = entry {
                insert(inner, rest, value);
            }
        }
    }
}

fn typed(text: String) -> Value {
    if text.starts_with(['[', '{']) {
        return text
            .parse()
            .unwrap_or_else(|never: std::convert::Infallible| match never {});
    }
    // A string stays one, also if it is a password of digits; where a key asks for a number, it becomes one later.
    Value::from(text)
}

/// Durations in configuration: `250ms`, `30s`, `5m`, `2h`, `1d`. For `#[serde(with = "…")]`.
pub mod duration {
    use std::time::Duration;

    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    const UNITS: [(&str, u128); 5] = [
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1_000),
        ("ms", 1),
    ];

    /// Writes a duration in the largest unit that gives a whole number.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format(*value))
    }

    /// Reads a duration.
    ///
    /// # Errors
    /// If there is no number or no unit.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse(&text).ok_or_else(|| {
            D::Error::custom(format!(
                "`{text}` is no duration: write 250ms, 30s, 5m, 2h or 1d"
            ))
        })
    }

    /// A duration as it is written in configuration.
    pub fn format(value: Duration) -> String {
        let millis = value.as_millis();
        if millis == 0 {
            return "0s".to_owned();
        }
        let (unit, size) = UNITS
            .into_iter()
            .find(|(_, size)| millis.is_multiple_of(*size))
            .unwrap_or(("ms", 1));
        format!("{}{unit}", millis / size)
    }

    /// Reads a duration; `None` if there is no number or no unit.
    pub fn parse(text: &str) -> Option<Duration> {
        let split = text.find(|c: char| !c.is_ascii_digit())?;
        let (number, unit) = text.split_at(split);
        let (_, size) = UNITS.into_iter().find(|(name, _)| *name == unit.trim())?;
        let millis = number
            .parse::<u64>()
            .ok()?
            .checked_mul(u64::try_from(size).ok()?)?;
        Some(Duration::from_millis(millis))
    }
}
