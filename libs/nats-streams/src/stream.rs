//! A stream as it is declared, and what would make another out of it.

use std::time::Duration;

use async_nats::jetstream::stream::{Compression, Config, RetentionPolicy, StorageType};
use serde::{Deserialize, Deserializer};

use crate::settings::{Deviation, SETTINGS};

const DAY: u64 = 24 * 3_600;

/// A stream as it is declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream {
    name: String,
    purpose: String,
    subjects: Vec<String>,
    kept: Kept,
}

/// How a stream is kept. What has no place here is not limited, and not allowed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Kept {
    storage: StorageType,
    retention: RetentionPolicy,
    /// Zero is for ever.
    #[serde(default, rename = "max_age_days", deserialize_with = "days")]
    max_age: Duration,
    #[serde(
        default,
        rename = "duplicate_window_ms",
        deserialize_with = "milliseconds"
    )]
    duplicate_window: Option<Duration>,
    compression: Option<Compression>,
    deny_delete: bool,
    deny_purge: bool,
    #[serde(default)]
    allow_direct: bool,
    #[serde(default)]
    allow_atomic: bool,
    #[serde(default)]
    left_as_found: Vec<String>,
}

impl Kept {
    /// The settings that are made as declared, and accepted as they are found.
    pub(crate) fn left_as_found(&self) -> &[String] {
        &self.left_as_found
    }

    fn is_asked_for(&self, setting: &str) -> bool {
        let said = match setting {
            "duplicate_window" => self.duplicate_window.is_some(),
            "compression" => self.compression.is_some(),
            "allow_direct" => self.allow_direct,
            "allow_atomic" => self.allow_atomic,
            _ => true,
        };
        said && !self.left_as_found.iter().any(|left| left == setting)
    }
}

impl Stream {
    pub(crate) fn new(name: String, purpose: String, subjects: Vec<String>, kept: Kept) -> Self {
        Self {
            name,
            purpose,
            subjects,
            kept,
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it takes.
    #[must_use]
    pub fn subjects(&self) -> &[String] {
        &self.subjects
    }

    /// The same under another name, for other subjects.
    #[must_use]
    pub fn called(self, name: impl Into<String>, subjects: Vec<String>) -> Self {
        Self {
            name: name.into(),
            subjects,
            ..self
        }
    }

    /// The same, with messages kept for this long.
    #[must_use]
    pub fn keeping_for(mut self, age: Duration) -> Self {
        self.kept.max_age = age;
        self
    }

    /// How the server is told to make it, with so many copies.
    #[must_use]
    pub fn config(&self, copies: usize) -> Config {
        let kept = &self.kept;
        Config {
            name: self.name.clone(),
            description: Some(self.purpose.clone()),
            subjects: self.subjects.clone(),
            storage: kept.storage,
            retention: kept.retention,
            num_replicas: copies,
            // -1 is "no limit".
            max_messages: -1,
            max_bytes: -1,
            max_messages_per_subject: -1,
            max_message_size: -1,
            max_consumers: -1,
            max_age: kept.max_age,
            // Zero is what the server does by itself.
            duplicate_window: kept.duplicate_window.unwrap_or_default(),
            compression: kept.compression.clone(),
            deny_delete: kept.deny_delete,
            deny_purge: kept.deny_purge,
            allow_direct: kept.allow_direct,
            allow_atomic_publish: kept.allow_atomic,
            ..Config::default()
        }
    }

    /// In what a stream is not as declared, of which there should be so many copies.
    #[must_use]
    pub fn deviations(&self, found: &Config, copies: usize) -> Vec<Deviation> {
        let declared = self.config(copies);
        let asked_for = SETTINGS
            .iter()
            .filter(|setting| self.kept.is_asked_for(setting.name));
        asked_for
            .filter_map(|setting| setting.deviation(found, &declared))
            .collect()
    }
}

fn days<'de, D: Deserializer<'de>>(number: D) -> Result<Duration, D::Error> {
    let days = u64::deserialize(number)?;
    Ok(Duration::from_secs(days.saturating_mul(DAY)))
}

fn milliseconds<'de, D: Deserializer<'de>>(number: D) -> Result<Option<Duration>, D::Error> {
    let milliseconds = u64::deserialize(number)?;
    Ok(Some(Duration::from_millis(milliseconds)))
}

#[cfg(test)]
mod tests {
    use async_nats::jetstream::stream::{PersistenceMode, Republish, Source};

    use super::*;
    use crate::{declared, log, stream};

    /// The names of the settings in which a stream is not as declared.
    fn deviating(stream: &Stream, found: &Config) -> Vec<&'static str> {
        let deviations = stream.deviations(found, found.num_replicas);
        deviations.iter().map(|one| one.setting).collect()
    }

    #[test]
    fn a_stream_of_our_making_is_as_declared() {
        for stream in &declared().streams {
            for copies in [1, 3] {
                assert_eq!(deviating(stream, &stream.config(copies)), [""; 0]);
            }
        }
    }

    #[test]
    fn each_change_that_could_lose_something_is_named() {
        type Change = (&'static str, fn(&mut Config));
        let changes: [Change; 19] = [
            ("subjects", |config| config.subjects.push("more".to_owned())),
            ("storage", |config| config.storage = StorageType::Memory),
            ("retention", |config| {
                config.retention = RetentionPolicy::WorkQueue;
            }),
            ("max_age", |config| config.max_age = Duration::from_secs(1)),
            ("max_msgs", |config| config.max_messages = 1),
            ("max_bytes", |config| config.max_bytes = 1),
            ("max_msgs_per_subject", |config| {
                config.max_messages_per_subject = 1;
            }),
            ("max_msg_size", |config| config.max_message_size = 1),
            ("max_consumers", |config| config.max_consumers = 1),
            ("no_ack", |config| config.no_ack = true),
            ("sealed", |config| config.sealed = true),
            ("allow_rollup_hdrs", |config| config.allow_rollup = true),
            ("deny_delete", |config| config.deny_delete = false),
            ("deny_purge", |config| config.deny_purge = false),
            ("allow_msg_ttl", |config| config.allow_message_ttl = true),
            ("allow_direct", |config| config.allow_direct = false),
            ("allow_atomic", |config| config.allow_atomic_publish = false),
            ("persist_mode", |config| {
                config.persist_mode = Some(PersistenceMode::Async);
            }),
            ("mirror", |config| config.mirror = Some(Source::default())),
        ];
        let registry = log("REGISTRY", "registry");
        for (setting, change) in changes {
            let mut config = registry.config(1);
            change(&mut config);
            assert_eq!(deviating(&registry, &config), [setting]);
        }
    }

    #[test]
    fn keys_can_be_destroyed_and_go_nowhere_else() {
        type Change = (&'static str, fn(&mut Config));
        let changes: [Change; 4] = [
            ("deny_delete", |config| config.deny_delete = true),
            ("deny_purge", |config| config.deny_purge = true),
            ("compression", |config| {
                config.compression = Some(Compression::S2);
            }),
            ("republish", |config| {
                config.republish = Some(Republish {
                    source: ">".to_owned(),
                    destination: "elsewhere.>".to_owned(),
                    headers_only: false,
                });
            }),
        ];
        let vault = stream("VAULT");
        for (setting, change) in changes {
            let mut config = vault.config(1);
            change(&mut config);
            assert_eq!(deviating(&vault, &config), [setting]);
        }
    }

    #[test]
    fn what_does_no_harm_may_be_otherwise() {
        let signals = stream("SIGNALS");
        let mut config = signals
            .clone()
            .keeping_for(Duration::from_secs(1))
            .config(1);
        config.allow_atomic_publish = true;
        config.description = None;
        assert_eq!(deviating(&signals, &config), [""; 0]);
        config.duplicate_window = Duration::from_secs(120);
        assert_eq!(deviating(&signals, &config), ["duplicate_window"]);
        let looks = stream("ACCESS");
        let mut config = looks.config(1);
        config.compression = Some(Compression::S2);
        assert_eq!(deviating(&looks, &config), [""; 0]);
    }

    #[test]
    fn what_has_to_be_forgotten_can_be_overwritten_where_it_lies() {
        for name in ["VAULT", "SIGNALS", "FEEDS"] {
            let stream = stream(name);
            let mut config = stream.config(1);
            config.deny_delete = true;
            config.compression = Some(Compression::S2);
            let deviating = deviating(&stream, &config);
            assert_eq!(deviating, ["deny_delete", "compression"], "{name}");
        }
    }

    #[test]
    fn too_few_copies_are_told_where_they_are_counted() {
        let visits = log("VISITS", "visits");
        let told = visits.deviations(&visits.config(1), 3);
        let told: Vec<_> = told.iter().map(ToString::to_string).collect();
        assert_eq!(told, ["num_replicas is 1, and must be 3"]);
    }
}
