//! Who keeps the log of a system: one server, or three together.

use std::path::Path;

use async_nats::ConnectOptions;
use backing_services::{Nats, testing};

use crate::{
    cluster::{Cluster, NODES},
    doors::Doors,
};

/// The folder of a server's streams, in that of the system.
pub(crate) const STREAMS: &str = "streams";

/// The log's server or servers.
#[derive(Debug)]
pub(crate) enum LogServer {
    Alone(Box<Nats>),
    Together(Box<Cluster>),
}

impl LogServer {
    /// Starts one, or three together, with doors where not everybody may come in.
    pub(crate) async fn start(together: bool, folder: &Path, doors: Option<&Doors>) -> Self {
        let configuration = doors.map(Doors::server_configuration).unwrap_or_default();
        if together {
            let options = doors.map_or_else(ConnectOptions::new, Doors::as_a_service);
            return Self::Together(Box::new(
                Cluster::start(folder, &configuration, options).await,
            ));
        }
        let store = folder.join(STREAMS);
        let alone = testing::own_nats_with(|options| {
            options.store = Some(store);
            options.configuration = configuration;
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
