//! What the stream must be: how it is made, and what would make it unfit.

use std::time::Duration;

use async_nats::jetstream::stream::{Config, RetentionPolicy, StorageType};

use super::{DEVICES, STAMPED, STREAM};

/// How the stream is made.
#[derive(Debug, Clone)]
pub struct SignalSettings {
    /// For how long signals are kept.
    pub kept_for: Duration,
    /// On how many servers.
    pub replicas: usize,
    /// Make the stream if it is not there.
    pub create: bool,
}

pub(super) fn configuration(settings: &SignalSettings) -> Config {
    Config {
        name: STREAM.to_owned(),
        description: Some("What devices in elders' homes send".to_owned()),
        subjects: subjects(),
        storage: StorageType::File,
        retention: RetentionPolicy::Limits,
        num_replicas: settings.replicas,
        max_messages: -1,
        max_bytes: -1,
        max_messages_per_subject: -1,
        // What is too large for a signal is passed by here; were it refused, its acknowledgement over MQTT would be a lie.
        max_message_size: -1,
        max_consumers: -1,
        max_age: settings.kept_for,
        deny_delete: true,
        allow_direct: true,
        // A device chooses the ids that the server tells repetitions by, for the whole stream: it shall suppress nobody else's.
        duplicate_window: Duration::from_millis(100),
        ..Config::default()
    }
}

fn subjects() -> Vec<String> {
    vec![DEVICES.to_owned(), format!("{DEVICES}{STAMPED}")]
}

/// What makes the stream unfit.
pub(super) fn objection(config: &Config) -> Option<&'static str> {
    let demands = [
        (
            config.storage == StorageType::File,
            "it is not kept in files",
        ),
        (
            config.retention == RetentionPolicy::Limits,
            "it drops what was consumed (set retention to limits)",
        ),
        (
            config.max_messages <= 0 && config.max_bytes <= 0,
            "it limits how much there is (unset max_msgs and max_bytes)",
        ),
        (
            config.max_messages_per_subject <= 0,
            "it limits the signals of a device (unset max_msgs_per_subject)",
        ),
        (!config.no_ack, "it does not acknowledge (unset no_ack)"),
        (
            config.allow_direct,
            "it can't be read directly (set allow_direct)",
        ),
        (
            config.subjects == subjects(),
            "its subjects are not those of signals",
        ),
        (
            !config.deny_purge,
            "what a device of an erased elder has sent can't be purged (unset deny_purge)",
        ),
    ];
    demands
        .into_iter()
        .find_map(|(met, objection)| (!met).then_some(objection))
}
