//! What our stream has taken lately, read in its order: this tells of many messages in one go whether it has them.

use std::{
    collections::{HashMap, VecDeque},
    hash::{BuildHasher as _, RandomState},
    time::Duration,
};

use async_nats::jetstream::{
    Message,
    consumer::{AckPolicy, DeliverPolicy, PullConsumer, pull},
    context::Context,
};
use chrono::{DateTime, TimeDelta, Utc};
use futures::StreamExt as _;

use crate::stored::Away;

/// How many messages are read in one go.
const PAGE: usize = 1_000;

/// So much earlier than the server's own stream ours may have taken a message: both do it side by side.
const EARLIER: TimeDelta = TimeDelta::seconds(2);

/// What our stream took so much later is not waited for.
const LATER: TimeDelta = TimeDelta::seconds(1);

/// What lies further behind is not read through.
const FAR: TimeDelta = TimeDelta::seconds(5);

/// How long something is remembered after it was read.
const KEPT: TimeDelta = TimeDelta::seconds(10);

/// The server forgets a reader who has not come for so long.
const FORGOTTEN: Duration = Duration::from_secs(30);

/// Reads our stream as far as it is asked about.
#[derive(Debug)]
pub(crate) struct Recent {
    server: Context,
    stream: String,
    subjects: String,
    reading: Option<Reading>,
    /// Nobody outside can guess what two messages look alike by these.
    digests: [RandomState; 2],
}

#[derive(Debug)]
struct Reading {
    consumer: PullConsumer,
    since: DateTime<Utc>,
    until: DateTime<Utc>,
    held: HashMap<Digest, DateTime<Utc>>,
    order: VecDeque<(DateTime<Utc>, Digest)>,
}

/// Of a subject and a payload.
type Digest = [u64; 2];

impl Recent {
    pub(crate) fn new(server: Context, stream: String, subjects: String) -> Self {
        Self {
            server,
            stream,
            subjects,
            reading: None,
            digests: [RandomState::new(), RandomState::new()],
        }
    }

    /// Reads on until it knows all that was stored when these instants were, or has come to the end of the stream; which of
    /// the two.
    pub(crate) async fn read(
        &mut self,
        first: DateTime<Utc>,
        last: DateTime<Utc>,
    ) -> Result<bool, Away> {
        let mut reading = match self.reading.take() {
            Some(reading) if reading.since <= first && reading.until >= first - FAR => reading,
            Some(_) | None => self.begin(first - EARLIER).await?,
        };
        let at_end = self.advance(&mut reading, last + LATER).await?;
        reading.forget(first - KEPT);
        // A reader that failed is not asked again.
        self.reading = Some(reading);
        Ok(at_end)
    }

    /// Whether the stream is known to hold this.
    pub(crate) fn holds(&self, subject: &str, payload: &[u8]) -> bool {
        let reading = self.reading.as_ref();
        reading.is_some_and(|reading| reading.held.contains_key(&self.digest(subject, payload)))
    }

    fn digest(&self, subject: &str, payload: &[u8]) -> Digest {
        let of = |digest: &RandomState| digest.hash_one((subject, payload));
        self.digests.each_ref().map(of)
    }

    async fn begin(&self, since: DateTime<Utc>) -> Result<Reading, Away> {
        let nanos = i128::from(since.timestamp_nanos_opt().unwrap_or_default());
        let start_time = async_nats::datetime::from_nanos(nanos).map_err(Away::because)?;
        let config = pull::Config {
            deliver_policy: DeliverPolicy::ByStartTime { start_time },
            filter_subject: self.subjects.clone(),
            ack_policy: AckPolicy::None,
            memory_storage: true,
            num_replicas: 1,
            inactive_threshold: FORGOTTEN,
            ..pull::Config::default()
        };
        let creating = self
            .server
            .create_consumer_on_stream(config, self.stream.clone());
        Ok(Reading {
            consumer: creating.await.map_err(Away::because)?,
            since,
            until: since,
            held: HashMap::new(),
            order: VecDeque::new(),
        })
    }

    async fn advance(&self, reading: &mut Reading, to: DateTime<Utc>) -> Result<bool, Away> {
        loop {
            let mut pending = 0;
            let page = reading.consumer.fetch().max_messages(PAGE).messages();
            let mut page = page.await.map_err(Away::because)?;
            while let Some(message) = page.next().await {
                let message = message.map_err(Away::because)?;
                let info = message.info().map_err(Away::because)?;
                pending = info.pending;
                let at = stored_at(&message)?;
                let digest = self.digest(&message.subject, &message.payload);
                reading.until = at;
                reading.held.insert(digest, at);
                reading.order.push_back((at, digest));
            }
            if pending == 0 {
                return Ok(true);
            }
            if reading.until > to {
                return Ok(false);
            }
        }
    }
}

impl Reading {
    fn forget(&mut self, before: DateTime<Utc>) {
        while let Some((at, digest)) = self.order.front().filter(|(at, _)| *at < before) {
            if self.held.get(digest) == Some(at) {
                self.held.remove(digest);
            }
            self.order.pop_front();
        }
    }
}

/// When a stream took a message.
pub(crate) fn stored_at(message: &Message) -> Result<DateTime<Utc>, Away> {
    let info = message.info().map_err(Away::because)?;
    let nanos = i64::try_from(info.published.unix_timestamp_nanos()).map_err(Away::because)?;
    Ok(DateTime::from_timestamp_nanos(nanos))
}
