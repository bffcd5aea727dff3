//! The stream of a context: how it is kept is declared for all logs alike, so that nothing can be lost from one.

use std::time::Duration;

use async_nats::jetstream::{
    context::Context,
    stream::{Config, Stream},
};
pub use nats_streams::OpenError;

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

/// Finds the stream or makes it, and returns its configuration.
pub(super) async fn open(server: &Context, settings: &StreamSettings) -> Result<Config, OpenError> {
    let log = nats_streams::log(&settings.name, &settings.context);
    let opened = log.open(server, settings.replicas, settings.create).await?;
    Ok(opened.cached_info().config.clone())
}

/// The stream as one connection sees it.
pub(super) async fn handle(server: &Context, name: &str) -> Result<Stream<()>, OpenError> {
    let handle = server.get_stream_no_info(name).await;
    handle.map_err(|error| OpenError::Unavailable(error.to_string()))
}
