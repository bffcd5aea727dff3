//! How a context's stream must be set up so that nothing can be lost from it, and the check that it is.

use std::time::Duration;

use async_nats::jetstream::{
    ErrorCode,
    context::{Context, GetStreamErrorKind},
    stream::{Config, RetentionPolicy, StorageType, Stream},
};

/// A context's stream.
#[derive(Debug, Clone)]
pub struct StreamSettings {
    /// Its name, such as `REGISTRY`.
    pub name: String,
    /// The context that owns it, such as `registry`: it takes `eldercare.registry.>`.
    pub context: String,
    /// On how many servers each record is kept, when the stream is made: 1 on one machine, 3 in a cluster.
    pub replicas: usize,
    /// What is written together.
    pub gather: Gather,
    /// Make the stream if it is not there. Services that may not do that open one that an operator has made.
    pub create: bool,
    /// How long an append or a read may take until it counts as unanswered.
    pub timeout: Duration,
}

/// What is gathered into atomic batches of the server's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gather {
    /// Whatever waits at the same moment. Right when the server writes every message through to the disk before it
    /// acknowledges: a batch is written through once, single messages each for themselves.
    Always,
    /// Only what must be written all or nothing. Right when the server writes through now and then.
    GroupsOnly,
}

impl StreamSettings {
    /// The stream of a context, named in capitals after it: one replica, made if absent, five seconds for an answer.
    pub fn of(context: &str, gather: Gather) -> Self {
        Self {
            name: context.to_ascii_uppercase(),
            context: context.to_owned(),
            replicas: 1,
            gather,
            create: true,
            timeout: Duration::from_secs(5),
        }
    }
}

/// Why a stream can't be used as a log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// It is not there, and is not to be made.
    #[error("there is no stream {0}")]
    Absent(String),
    /// It could lose records, or does not do what a log must.
    #[error("the stream {stream} is no log: {objection}")]
    Unfit {
        /// The stream.
        stream: String,
        /// What must be otherwise.
        objection: &'static str,
    },
    /// The server did not answer, or refused.
    #[error("the stream can't be opened: {0}")]
    Unavailable(String),
}

/// Finds the stream or makes it, and returns its configuration.
pub(super) async fn open(server: &Context, settings: &StreamSettings) -> Result<Config, OpenError> {
    // Looked up first: who may not create streams would otherwise wait for an answer that never comes.
    let config = match server.get_stream(&settings.name).await {
        Ok(stream) => stream.cached_info().config.clone(),
        Err(error) => match error.kind() {
            GetStreamErrorKind::JetStream(refusal)
                if refusal.error_code() == ErrorCode::STREAM_NOT_FOUND =>
            {
                if !settings.create {
                    return Err(OpenError::Absent(settings.name.clone()));
                }
                let created = server
                    .create_stream(configuration(settings))
                    .await
                    .map_err(|error| OpenError::Unavailable(error.to_string()))?;
                tracing::info!(stream = settings.name, "made the stream");
                created.cached_info().config.clone()
            }
            GetStreamErrorKind::JetStream(_)
            | GetStreamErrorKind::EmptyName
            | GetStreamErrorKind::InvalidStreamName
            | GetStreamErrorKind::Request => return Err(OpenError::Unavailable(error.to_string())),
        },
    };
    match objection(&config, settings) {
        None => Ok(config),
        Some(objection) => Err(OpenError::Unfit {
            stream: settings.name.clone(),
            objection,
        }),
    }
}

/// The stream as one connection sees it.
pub(super) async fn handle(server: &Context, name: &str) -> Result<Stream<()>, OpenError> {
    let handle = server.get_stream_no_info(name).await;
    handle.map_err(|error| OpenError::Unavailable(error.to_string()))
}

fn subjects(settings: &StreamSettings) -> String {
    format!("eldercare.{}.>", settings.context)
}

fn configuration(settings: &StreamSettings) -> Config {
    Config {
        name: settings.name.clone(),
        description: Some(format!(
            "The event log of {}: append-only",
            settings.context
        )),
        subjects: vec![subjects(settings)],
        storage: StorageType::File,
        retention: RetentionPolicy::Limits,
        num_replicas: settings.replicas,
        // -1 is "no limit".
        max_messages: -1,
        max_bytes: -1,
        max_messages_per_subject: -1,
        max_message_size: -1,
        max_consumers: -1,
        max_age: Duration::ZERO,
        deny_delete: true,
        deny_purge: true,
        allow_direct: true,
        allow_atomic_publish: true,
        ..Config::default()
    }
}

/// What makes a stream unfit to be a log, if anything does.
fn objection(config: &Config, settings: &StreamSettings) -> Option<&'static str> {
    let demands = [
        (
            config.storage == StorageType::File,
            "it is not kept in files",
        ),
        (
            config.deny_delete,
            "messages can be deleted (set deny_delete)",
        ),
        (config.deny_purge, "it can be purged (set deny_purge)"),
        (
            config.retention == RetentionPolicy::Limits,
            "it drops what was consumed (set retention to limits)",
        ),
        (
            config.max_age.is_zero(),
            "it drops old messages (unset max_age)",
        ),
        (
            config.max_messages <= 0,
            "it limits how many messages there are (unset max_msgs)",
        ),
        (
            config.max_bytes <= 0,
            "it limits its size (unset max_bytes)",
        ),
        (
            config.max_messages_per_subject <= 0,
            "it limits the messages of a subject (unset max_msgs_per_subject)",
        ),
        (
            !config.allow_rollup,
            "messages can replace others (unset allow_rollup_hdrs)",
        ),
        (
            !config.allow_message_ttl,
            "messages can expire (unset allow_msg_ttl)",
        ),
        (!config.no_ack, "it does not acknowledge (unset no_ack)"),
        (!config.sealed, "it is sealed"),
        (
            config.mirror.is_none()
                && config.sources.is_none()
                && config.subject_transform.is_none(),
            "it takes its messages from elsewhere or renames them",
        ),
        (
            config.allow_direct,
            "single aggregates can't be read directly (set allow_direct)",
        ),
        (
            config.allow_atomic_publish,
            "it takes no atomic batches (set allow_atomic)",
        ),
        (
            config.subjects == [subjects(settings)],
            "its subjects are not exactly those of its context",
        ),
    ];
    demands
        .into_iter()
        .find_map(|(met, objection)| (!met).then_some(objection))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registry() -> StreamSettings {
        StreamSettings::of("registry", Gather::GroupsOnly)
    }

    #[test]
    fn a_stream_of_our_making_is_a_log() {
        assert_eq!(objection(&configuration(&registry()), &registry()), None);
    }

    #[test]
    fn a_stream_that_can_lose_records_is_none() {
        let changes: [fn(&mut Config); 8] = [
            |config| config.deny_delete = false,
            |config| config.deny_purge = false,
            |config| config.max_age = Duration::from_secs(1),
            |config| config.max_messages = 1,
            |config| config.max_bytes = 1,
            |config| config.storage = StorageType::Memory,
            |config| config.allow_rollup = true,
            |config| config.retention = RetentionPolicy::WorkQueue,
        ];
        for (number, change) in changes.iter().enumerate() {
            let mut config = configuration(&registry());
            change(&mut config);
            assert!(objection(&config, &registry()).is_some(), "change {number}");
        }
    }
}
