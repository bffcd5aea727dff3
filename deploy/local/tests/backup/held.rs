//! What log servers hold, message by message.

use std::{collections::BTreeMap, path::Path};

use async_nats::jetstream::{self, Context, consumer::pull::OrderedConfig};
use backing_services::testing;
use eldercare::{data_folder::DataFolder, output::Progress, servers::Servers};
use futures::{StreamExt as _, TryStreamExt as _};
use tokio::runtime::Runtime;

/// A message where it lies.
#[derive(Debug, PartialEq)]
pub(crate) struct Lying {
    pub(crate) sequence: u64,
    stored: i128,
    pub(crate) subject: String,
    headers: BTreeMap<String, Vec<String>>,
    pub(crate) body: Vec<u8>,
}

/// What a stream holds.
#[derive(Debug, PartialEq)]
pub(crate) struct Held {
    pub(crate) messages: Vec<Lying>,
    pub(crate) last_sequence: u64,
    /// How far whoever has a consumer of its own has come.
    pub(crate) places: BTreeMap<String, u64>,
}

impl Held {
    /// The messages that name somebody or something, in whatever place.
    pub(crate) fn naming(&self, id: &str) -> Vec<&Lying> {
        let names = |text: &str| text.contains(id);
        let messages = self.messages.iter();
        let naming = messages.filter(|lying| {
            let mut headers = lying.headers.values().flatten();
            names(&lying.subject)
                || headers.any(|value| names(value))
                || names(&String::from_utf8_lossy(&lying.body))
        });
        naming.collect()
    }
}

/// All streams of a server.
pub(crate) async fn held_by(server: &Context) -> BTreeMap<&'static str, Held> {
    let mut all = BTreeMap::new();
    for stream in &nats_streams::declared().streams {
        all.insert(stream.name(), held(server, stream.name()).await);
    }
    all
}

async fn held(server: &Context, name: &str) -> Held {
    let stream = server.get_stream(name).await.unwrap();
    let consumers: Vec<_> = stream.consumers().try_collect().await.unwrap();
    let lasting = consumers.into_iter().filter_map(|consumer| {
        let name = consumer.config.durable_name?;
        Some((name, consumer.ack_floor.stream_sequence))
    });
    let reader = stream.create_consumer(OrderedConfig::default()).await;
    let reader = reader.unwrap();
    let there = usize::try_from(reader.cached_info().num_pending).unwrap();
    let messages = reader.messages().await.unwrap().take(there);
    let messages = messages.map(|message| {
        let message = message.unwrap();
        let info = message.info().unwrap();
        let headers = message.headers.iter().flat_map(|headers| headers.iter());
        let headers = headers.map(|(name, values)| {
            let values = values.iter().map(|value| value.as_str().to_owned());
            (name.to_string(), values.collect())
        });
        Lying {
            sequence: info.stream_sequence,
            stored: info.published.unix_timestamp_nanos(),
            subject: message.subject.to_string(),
            headers: headers.collect(),
            body: message.payload.to_vec(),
        }
    });
    Held {
        messages: messages.collect().await,
        last_sequence: stream.cached_info().state.last_sequence,
        places: lasting.collect(),
    }
}

/// All streams of a data folder in which no system runs.
pub(crate) fn held_in(folder: &Path) -> BTreeMap<&'static str, Held> {
    Runtime::new().unwrap().block_on(async {
        let folder = DataFolder::kept(folder).unwrap();
        let (keys, tools) = (folder.keys().unwrap(), testing::tools());
        let servers = Servers::start(&folder, &tools, &keys, Progress::hidden()).await;
        let servers = servers.unwrap();
        let held = held_by(&jetstream::new(servers.nats().await.unwrap())).await;
        servers.stop().await;
        held
    })
}
