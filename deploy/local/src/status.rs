//! `status`: streams, read models and how far they are behind, and the events that they passed by.

use std::collections::HashMap;

use anyhow::Context as _;
use async_nats::jetstream;
use civic::AlertKind;
use futures::TryStreamExt as _;
use readmodel::{ProjectionStatus, parked::ParkedEvent};
use serde::Serialize;
use sqlx::PgPool;

use crate::{
    output::{Report, number, table},
    system::Services,
    wire,
    workplace::Workplace,
};

/// At most so many parked events are shown.
const PARKED: u32 = 1_000;

/// What `status` shows.
#[derive(Debug, Serialize)]
pub struct Status {
    /// Where a system serves; null where none runs.
    pub endpoint: Option<String>,
    /// The streams.
    pub streams: Vec<StreamStatus>,
    /// The read models and reactors.
    pub projections: Vec<ProjectionStatus>,
    /// Events that were passed by.
    pub parked: Vec<ParkedEvent>,
}

/// One stream.
#[derive(Debug, Serialize)]
pub struct StreamStatus {
    /// Its name.
    pub name: String,
    /// How many messages it holds.
    pub messages: u64,
    /// How large it is, in bytes.
    pub bytes: u64,
    /// The last sequence.
    pub last_sequence: u64,
}

/// What there is to look at: the streams and the databases of all services.
pub struct Look {
    jetstream: jetstream::Context,
    services: Services,
    endpoint: Option<String>,
}

impl std::fmt::Debug for Look {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Look").finish_non_exhaustive()
    }
}

impl Look {
    /// Connects to all of it.
    ///
    /// # Errors
    /// Servers that don't answer.
    pub async fn open(workplace: &Workplace) -> anyhow::Result<Self> {
        let client = workplace.servers.nats().await?;
        let running = workplace.running.as_ref();
        Ok(Self {
            jetstream: jetstream::new(client),
            services: workplace.services().await?,
            endpoint: running.map(|running| running.endpoint.clone()),
        })
    }

    /// How all of it stands now.
    ///
    /// # Errors
    /// Servers that don't answer.
    pub async fn now(&self) -> anyhow::Result<Status> {
        let streams = self.streams().await?;
        let heads = streams.iter();
        let heads = heads.map(|stream| (stream.name.clone(), stream.last_sequence));
        let heads: HashMap<String, u64> = heads.collect();
        let Services {
            registry,
            tiering,
            visits,
            alerts,
            claims,
            sharing,
        } = &self.services;
        let (mut projections, mut parked) = (Vec::new(), Vec::new());
        for pool in [
            registry.pool(),
            tiering.pool(),
            visits.pool(),
            alerts.pool(),
            claims.pool(),
            sharing.pool(),
        ] {
            projections.extend(readmodel::standing(&pool, &heads).await?);
            parked.extend(passed_by(&pool).await?);
        }
        Ok(Status {
            endpoint: self.endpoint.clone(),
            streams,
            projections,
            parked,
        })
    }

    /// How many alerts of each kind are open.
    ///
    /// # Errors
    /// A database that doesn't answer.
    pub async fn open_alerts(&self) -> anyhow::Result<Vec<(AlertKind, u64)>> {
        Ok(self.services.alerts.open_alerts().await?)
    }

    async fn streams(&self) -> anyhow::Result<Vec<StreamStatus>> {
        let streams = self.jetstream.streams();
        let streams = streams.map_ok(|info| StreamStatus {
            name: info.config.name,
            messages: info.state.messages,
            bytes: info.state.bytes,
            last_sequence: info.state.last_sequence,
        });
        let streams: Result<Vec<StreamStatus>, _> = streams.try_collect().await;
        let mut streams = streams.context("list the streams")?;
        // The server's own, for MQTT, are none of ours.
        streams.retain(|stream| !stream.name.starts_with('$'));
        streams.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(streams)
    }
}

/// Looks at streams and read models.
///
/// # Errors
/// Servers that don't answer.
pub async fn status(workplace: &Workplace) -> anyhow::Result<Status> {
    Look::open(workplace).await?.now().await
}

async fn passed_by(pool: &PgPool) -> anyhow::Result<Vec<ParkedEvent>> {
    Ok(readmodel::parked::list(pool, None, 0, PARKED).await?)
}

impl Report for Status {
    fn text(&self) -> String {
        let mut streams = table(["流 stream", "消息 messages", "字节 bytes", "末位 last"]);
        for stream in &self.streams {
            streams.add_row([
                stream.name.clone().into(),
                number(stream.messages),
                number(stream.bytes),
                number(stream.last_sequence),
            ]);
        }
        let mut projections = table([
            "读模型 read model",
            "版本 version",
            "流 stream",
            "位置 position",
            "落后 lag",
            "搁置 parked",
            "更新 moved",
        ]);
        for one in &self.projections {
            projections.add_row([
                one.projection.clone().into(),
                number(one.version),
                one.stream.clone().into(),
                number(one.position),
                number(one.lag.map(|lag| lag.to_string()).unwrap_or_default()),
                number(one.parked),
                wire::local_time(one.updated_at).into(),
            ]);
        }
        let serving = match &self.endpoint {
            Some(endpoint) => format!("运行于 serving at {endpoint}"),
            None => "未运行 not serving".to_owned(),
        };
        let mut text = format!("{serving}\n{streams}\n{projections}");
        if !self.parked.is_empty() {
            let mut parked = table(["搁置 parked", "event", "reason", "position"]);
            for event in &self.parked {
                parked.add_row([
                    &event.projection,
                    &event.event_type,
                    &event.reason,
                    &format!("{}:{}", event.stream, event.sequence),
                ]);
            }
            text.push_str(&format!("\n{parked}"));
        }
        text
    }
}
