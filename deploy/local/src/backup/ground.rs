//! Where a backup is put back: the log's server of a data folder, in which nobody else works, or one of a cluster.

use std::collections::BTreeMap;

use anyhow::Context as _;
use async_nats::jetstream::{self, Context};
use backing_services::{Nats, Tools};
use nats_streams::State;
use service::{Clock, Settings, config::Loader, settings::Address};
use sharing::{NoticeSettings, SharingSettings};
use vault::KeyRing;

use crate::{
    cli::Common,
    data_folder::DataFolder,
    keys::Keys,
    servers::{Servers, start_log, tools},
    streams::{come_in, settings_to_reach, unfit},
    system::settings_of,
};

/// The service that owns the keys.
const KEYS: &str = "registry";

/// Where a backup is put back.
pub(super) struct Ground {
    /// The log's server.
    pub(super) server: Context,
    /// How many copies there are of each stream.
    pub(super) copies: usize,
    /// The time as the system that was backed up had it.
    pub(super) clock: Clock,
    /// Where the programs of further servers come from.
    pub(super) tools: Tools,
    loader: Loader,
    whose: Whose,
}

enum Whose {
    Folder(Box<Own>),
    Cluster(Box<Settings>),
}

/// The server of a data folder, and the keys in it.
struct Own {
    nats: Nats,
    keys: Keys,
}

impl Ground {
    /// Starts the log's server of a data folder.
    pub(super) async fn of_folder(
        common: &Common,
        folder: &DataFolder,
        keys: Keys,
        clock: Clock,
    ) -> anyhow::Result<Self> {
        let tools = tools(common, Some(folder));
        let nats = start_log(folder, &tools, &keys).await?;
        let servers = Servers::beside_log(&nats, &keys, BTreeMap::new())?;
        Ok(Self {
            server: jetstream::new(servers.nats().await?),
            copies: 1,
            clock,
            tools,
            loader: Loader::from_process(common.config.as_deref())?,
            whose: Whose::Folder(Box::new(Own { nats, keys })),
        })
    }

    /// Reaches the log's server of a cluster, which has none of the streams.
    pub(super) async fn of_cluster(
        common: &Common,
        url: &str,
        copies: Option<usize>,
    ) -> anyhow::Result<Self> {
        let loader = Loader::from_process(common.config.as_deref())?;
        let mut settings = settings_to_reach(&loader, Some(url))?;
        settings.nats.create_streams = false;
        let server = jetstream::new(come_in("restore", &settings.nats).await?);
        let copies = copies.unwrap_or(settings.nats.replicas);
        let states = nats_streams::check(&server, copies).await?;
        let there = states.iter().find(|(_, state)| *state != State::Absent);
        if let Some((stream, _)) = there {
            anyhow::bail!(
                "the server has a stream {stream} already: restore into one that has none / 该服务器上已有流 {stream}"
            );
        }
        Ok(Self {
            server,
            copies,
            clock: Clock::system(),
            tools: tools(common, None),
            loader,
            whose: Whose::Cluster(Box::new(settings)),
        })
    }

    /// The key-encryption keys.
    pub(super) fn key_ring(&self) -> anyhow::Result<KeyRing> {
        registry::key_ring(&self.settings(KEYS, "")?)
    }

    /// The settings of a service over a database that is there for a moment.
    pub(super) fn settings(&self, service: &str, database: &str) -> anyhow::Result<Settings> {
        match &self.whose {
            Whose::Folder(own) => {
                let common = self.loader.load::<()>()?.common;
                let database = (service.to_owned(), database.to_owned());
                let servers = Servers::beside_log(&own.nats, &own.keys, [database].into())?;
                settings_of(service, &common, &servers, &own.keys)
            }
            Whose::Cluster(settings) => {
                let mut settings = Settings::clone(settings);
                settings.postgres.url = Address::new(database);
                Ok(settings)
            }
        }
    }

    /// Sharing's own settings. It lets nobody in, and tells nobody anything.
    pub(super) fn sharing(&self) -> anyhow::Result<SharingSettings> {
        let mut settings = self.loader.load::<SharingSettings>()?.own;
        settings.feeds.access = None;
        settings.notices = NoticeSettings::default();
        if let Whose::Folder(own) = &self.whose {
            settings.audit = own.keys.audit();
        }
        Ok(settings)
    }

    /// Has all streams kept as they are declared, whatever they were when they were copied.
    pub(super) async fn keep_as_declared(&self) -> anyhow::Result<()> {
        let states = nats_streams::apply(&self.server, self.copies).await?;
        let Some((stream, deviations)) = unfit(&states) else {
            return Ok(());
        };
        Err(anyhow::anyhow!(deviations))
            .with_context(|| format!("the stream {stream} can't be kept as is declared"))
    }

    /// Stops what was started here.
    pub(super) async fn close(self) {
        if let Whose::Folder(own) = self.whose {
            own.nats.stop().await;
        }
    }
}
