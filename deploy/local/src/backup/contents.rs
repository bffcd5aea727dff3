//! The messages of a stream in their order, and one digest of them all: by it a log that was put back is known to be the one that
//! was copied.

use std::time::Duration;

use anyhow::Context as _;
use async_nats::{
    HeaderMap, Message,
    jetstream::{
        consumer::{DeliverPolicy, pull::OrderedConfig},
        stream::Stream,
    },
};
use futures::StreamExt as _;
use sm3::{Digest as _, Sm3};

use crate::auditing::hex;

/// How long the next message may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A message where it lies.
pub(super) struct Lying<'a> {
    /// Its sequence.
    pub(super) sequence: u64,
    /// When the server stored it, in nanoseconds since 1970.
    pub(super) stored: i128,
    /// Itself.
    pub(super) message: &'a Message,
}

/// Which messages are read.
pub(super) struct Which<'a> {
    /// Under these subjects; all where there is nothing.
    pub(super) subjects: &'a str,
    /// From this sequence on.
    pub(super) from: u64,
    /// Up to this one.
    pub(super) through: u64,
}

/// Reads messages of a stream from which nothing is deleted meanwhile.
pub(super) async fn read(
    stream: &Stream,
    which: Which<'_>,
    mut take: impl FnMut(Lying<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    if which.from > which.through {
        return Ok(());
    }
    let config = OrderedConfig {
        filter_subject: which.subjects.to_owned(),
        deliver_policy: DeliverPolicy::ByStartSequence {
            start_sequence: which.from,
        },
        ..OrderedConfig::default()
    };
    let consumer = stream.create_consumer(config).await?;
    if consumer.cached_info().num_pending == 0 {
        return Ok(());
    }
    let mut messages = consumer.messages().await?;
    loop {
        let next = tokio::time::timeout(PATIENCE, messages.next()).await;
        let next = next.context("the server did not go on")?;
        let message = next.context("the connection was lost")??;
        let info = message.info().map_err(|error| anyhow::anyhow!(error))?;
        let (sequence, left) = (info.stream_sequence, info.pending);
        if sequence > which.through {
            return Ok(());
        }
        take(Lying {
            sequence,
            stored: info.published.unix_timestamp_nanos(),
            message: &message.message,
        })?;
        if sequence == which.through || left == 0 {
            return Ok(());
        }
    }
}

/// The digest of all messages of a log up to a sequence: where each lies, since when, its subject, headers and body. `tell` hears
/// how far it is.
pub(super) async fn digest(
    log: &Stream,
    through: u64,
    tell: impl Fn(u64),
) -> anyhow::Result<String> {
    let mut digest = Sm3::new();
    let all = Which {
        subjects: "",
        from: 1,
        through,
    };
    read(log, all, |lying| {
        digest.update(lying.sequence.to_be_bytes());
        digest.update(lying.stored.to_be_bytes());
        part(&mut digest, lying.message.subject.as_bytes());
        headers(&mut digest, lying.message.headers.as_ref());
        part(&mut digest, &lying.message.payload);
        tell(lying.sequence);
        Ok(())
    })
    .await?;
    Ok(hex(&digest.finalize()))
}

/// The map of headers has no order of its own.
fn headers(digest: &mut Sm3, headers: Option<&HeaderMap>) {
    let mut all: Vec<(&str, &str)> = Vec::new();
    for (name, values) in headers.into_iter().flat_map(HeaderMap::iter) {
        let name: &str = name.as_ref();
        all.extend(values.iter().map(|value| (name, value.as_str())));
    }
    all.sort_by_key(|(name, _)| *name);
    digest.update((all.len() as u64).to_be_bytes());
    for (name, value) in all {
        part(digest, name.as_bytes());
        part(digest, value.as_bytes());
    }
}

fn part(digest: &mut Sm3, bytes: &[u8]) {
    digest.update((bytes.len() as u64).to_be_bytes());
    digest.update(bytes);
}
