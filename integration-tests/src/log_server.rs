//! Who keeps the log of a system: one server, or three together.

use std::path::Path;

use async_nats::ConnectOptions;
use backing_services::{Nats, NatsOptions, testing};

use crate::{
    cluster::{Cluster, NODES},
    doors::Doors,
    trust::Trust,
};

/// The folder of a server's streams, in that of the system.
pub(crate) const STREAMS: &str = "streams";

/// The log's server or servers.
#[derive(Debug)]
pub(crate) enum LogServer {
    Alone(Box<Nats>),
    Together(Box<Cluster>),
}

/// How a client connects as a service does.
pub(crate) fn as_a_service(doors: Option<&Doors>, trust: Option<&Trust>) -> ConnectOptions {
    let options = doors.map_or_else(ConnectOptions::new, Doors::as_a_service);
    match trust {
        Some(trust) => trust.taken_along(options),
        None => options,
    }
}

impl LogServer {
    /// Starts one, or three together, each prepared alike. `ours` is how a client connects that may do everything.
    pub(crate) async fn start(
        together: bool,
        folder: &Path,
        ours: ConnectOptions,
        prepare: impl Fn(&mut NatsOptions),
    ) -> Self {
        if together {
            let cluster = Cluster::start(folder, ours, prepare).await;
            return Self::Together(Box::new(cluster));
        }
        let store = folder.join(STREAMS);
        let alone = testing::own_nats_with(|options| {
            prepare(options);
            options.store = Some(store);
        });
        Self::Alone(Box::new(alone.await))
    }

    /// Where clients connect.
    pub(crate) fn urls(&self) -> Vec<String> {
        match self {
            Self::Alone(server) => vec![server.url()],
            Self::Together(cluster) => cluster.urls(),
        }
    }

    /// The copies of each stream.
    pub(crate) fn copies(&self) -> usize {
        match self {
            Self::Alone(_) => 1,
            Self::Together(_) => NODES,
        }
    }

    pub(crate) fn alone(&self) -> &Nats {
        match self {
            Self::Alone(server) => server,
            Self::Together(_) => panic!("three servers keep this log"),
        }
    }

    pub(crate) fn cluster(&self) -> &Cluster {
        match self {
            Self::Alone(_) => panic!("one server keeps this log"),
            Self::Together(cluster) => cluster,
        }
    }
}
