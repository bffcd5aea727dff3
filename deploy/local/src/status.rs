//! `status`: streams and their copies, read models, how far they are behind and who brings them on, and the events that they
//! passed by.

use std::collections::{BTreeSet, HashMap};

use anyhow::Context as _;
use async_nats::jetstream::{self, stream::Info};
use civic::AlertKind;
use comfy_table::Cell;
use readmodel::{ActiveRunner, ProjectionStatus, parked::ParkedEvent};
use serde::Serialize;
use sqlx::PgPool;

use crate::{
    output::{Report, number, table},
    place::Place,
    servers::SERVICES,
    stores::Stores,
    wire,
};

/// At most so many parked events are shown.
const PARKED: u32 = 1_000;

/// Streams that are no log, and whose they are.
const BESIDE: [(&str, &str); 4] = [
    ("VAULT", "registry"),
    ("SIGNALS", "alerts"),
    ("FEEDS", "sharing"),
    ("ACCESS", "sharing"),
];

/// What `status` shows.
#[derive(Debug, Serialize)]
pub struct Status {
    /// Streams and read models.
    #[serde(flatten)]
    pub standing: Standing,
    /// Events that were passed by.
    pub parked: Vec<ParkedEvent>,
}

/// How streams and read models stand.
#[derive(Debug, Serialize)]
pub struct Standing {
    /// Where a system serves that runs in the data folder; null where none does.
    pub endpoint: Option<String>,
    /// Where the log is of an installation that settings tell of; null where it is that of a data folder.
    pub log: Option<String>,
    /// The streams.
    pub streams: Vec<StreamStatus>,
    /// Streams that should be there, and are not.
    pub absent: Vec<String>,
    /// The read models and reactors.
    pub projections: Vec<ProjectionStatus>,
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
    /// How many subjects it holds, for each of which the log's server needs memory.
    pub subjects: u64,
    /// The last sequence.
    pub last_sequence: u64,
    /// How many copies there are to be.
    pub replicas: usize,
    /// The server that leads; null where none does, or there is only one.
    pub leader: Option<String>,
    /// The copies beside the leader's.
    pub copies: Vec<StreamCopy>,
}

/// A copy of a stream.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct StreamCopy {
    /// The server that has it.
    pub server: String,
    /// Whether it holds all that the leader holds.
    pub current: bool,
    /// Whether its server is away.
    pub offline: bool,
    /// How many operations it is behind the leader.
    pub behind: u64,
}

/// What there is to look at: the streams and the databases of all services.
pub struct Look {
    /// The streams, and where each is asked for.
    streams: Vec<(&'static str, jetstream::Context)>,
    stores: Stores,
    endpoint: Option<String>,
    log: Option<String>,
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
    /// Settings that are missing or wrong, or servers that don't answer.
    pub async fn open(place: &Place) -> anyhow::Result<Self> {
        let stores = place.stores(&BTreeSet::from(SERVICES), false).await?;
        let declared = nats_streams::declared().streams.iter();
        let names = declared.map(nats_streams::Stream::name);
        let (streams, endpoint, log) = match place {
            Place::Folder(workplace, _) => {
                let server = jetstream::new(workplace.servers.nats().await?);
                let streams: Vec<_> = names.map(|name| (name, server.clone())).collect();
                let running = workplace.running.as_ref();
                (streams, running.map(|one| one.endpoint.clone()), None)
            }
            Place::Elsewhere(installation) => {
                let streams = names.map(|name| {
                    let server = stores.nats(&owner(name))?;
                    Ok((name, jetstream::new(server)))
                });
                let streams: anyhow::Result<Vec<_>> = streams.collect();
                (
                    streams?,
                    None,
                    Some(installation.log_address()?.to_string()),
                )
            }
        };
        Ok(Self {
            streams,
            stores,
            endpoint,
            log,
        })
    }

    /// How streams and read models stand now.
    ///
    /// # Errors
    /// Servers that don't answer.
    pub async fn now(&self) -> anyhow::Result<Standing> {
        let (streams, absent) = self.streams().await?;
        let heads = streams.iter();
        let heads = heads.map(|stream| (stream.name.clone(), stream.last_sequence));
        let heads: HashMap<String, u64> = heads.collect();
        let mut projections = Vec::new();
        for (service, pool) in self.pools()? {
            let standing = readmodel::standing(&pool, &heads).await;
            projections.extend(standing.with_context(|| database_of(service))?);
        }
        Ok(Standing {
            endpoint: self.endpoint.clone(),
            log: self.log.clone(),
            streams,
            absent,
            projections,
        })
    }

    /// The events that were passed by.
    async fn parked(&self) -> anyhow::Result<Vec<ParkedEvent>> {
        let mut parked = Vec::new();
        for (service, pool) in self.pools()? {
            let some = readmodel::parked::list(&pool, None, 0, PARKED).await;
            parked.extend(some.with_context(|| database_of(service))?);
        }
        Ok(parked)
    }

    /// The databases of all services.
    fn pools(&self) -> anyhow::Result<Vec<(&'static str, PgPool)>> {
        let of = |service: &'static str| Ok((service, self.stores.pool(service)?));
        SERVICES.into_iter().map(of).collect()
    }

    /// How many alerts of each kind are open.
    ///
    /// # Errors
    /// A database that doesn't answer.
    pub async fn open_alerts(&self) -> anyhow::Result<Vec<(AlertKind, u64)>> {
        let open = alerts::open_alerts(&self.stores.pool("alerts")?).await;
        Ok(open.map_err(readmodel::DatabaseError::from)?)
    }

    /// Those streams that are there, and the names of the others.
    async fn streams(&self) -> anyhow::Result<(Vec<StreamStatus>, Vec<String>)> {
        let (mut streams, mut absent) = (Vec::new(), Vec::new());
        for (name, server) in &self.streams {
            let found = nats_streams::stream(name).find(server).await;
            match found.with_context(|| format!("the stream {name}"))? {
                Some(found) => streams.push(StreamStatus::of(found.cached_info())),
                None => absent.push((*name).to_owned()),
            }
        }
        streams.sort_by(|one, other| one.name.cmp(&other.name));
        Ok((streams, absent))
    }
}

impl Standing {
    /// Where the system is, as a person reads it.
    pub(crate) fn whereabouts(&self) -> String {
        match (&self.log, &self.endpoint) {
            (Some(log), _) => format!("按设置 by settings, the log at {log}"),
            (None, Some(endpoint)) => format!("运行于 serving at {endpoint}"),
            (None, None) => "未运行 not serving".to_owned(),
        }
    }
}

/// The service that a stream belongs to: a log bears its name.
fn owner(stream: &str) -> String {
    let beside = BESIDE.iter().find(|(name, _)| *name == stream);
    beside.map_or_else(|| stream.to_lowercase(), |(_, owner)| (*owner).to_owned())
}

fn database_of(service: &str) -> String {
    format!("the database of {service}")
}

impl StreamStatus {
    fn of(info: &Info) -> Self {
        let cluster = info.cluster.as_ref();
        let peers = cluster.map(|cluster| cluster.replicas.as_slice());
        let copies = peers.unwrap_or_default().iter().map(|peer| StreamCopy {
            server: peer.name.clone(),
            current: peer.current,
            offline: peer.offline,
            behind: peer.lag.unwrap_or_default(),
        });
        Self {
            name: info.config.name.clone(),
            messages: info.state.messages,
            bytes: info.state.bytes,
            subjects: info.state.subjects_count,
            last_sequence: info.state.last_sequence,
            replicas: info.config.num_replicas,
            leader: cluster.and_then(|cluster| cluster.leader.clone()),
            copies: copies.collect(),
        }
    }

    /// How many copies there are, and which of them is not as it should be.
    fn copies(&self) -> String {
        let mut told = vec![self.replicas.to_string()];
        if self.replicas > 1 && self.leader.is_none() {
            told.push("无主 no leader".to_owned());
        }
        let faulty = self.copies.iter().filter_map(|copy| {
            let StreamCopy { server, behind, .. } = copy;
            if copy.offline {
                Some(format!("{server} 离线 away"))
            } else if copy.current {
                None
            } else {
                Some(format!("{server} 落后 behind {behind}"))
            }
        });
        told.extend(faulty);
        told.join(", ")
    }
}

/// Who brings a read model on, as the database knows it.
fn runner(active: Option<&ActiveRunner>) -> Cell {
    let told = active.map(|active| match &active.address {
        Some(address) => format!("{} {address}", active.name),
        None => active.name.clone(),
    });
    told.unwrap_or_default().into()
}

/// Looks at streams and read models.
///
/// # Errors
/// Settings that are missing or wrong, or servers that don't answer.
pub async fn status(place: &Place) -> anyhow::Result<Status> {
    let look = Look::open(place).await?;
    Ok(Status {
        standing: look.now().await?,
        parked: look.parked().await?,
    })
}

impl Report for Status {
    fn text(&self) -> String {
        let standing = &self.standing;
        let mut streams = table([
            "流 stream",
            "消息 messages",
            "字节 bytes",
            "主题 subjects",
            "末位 last",
            "副本 copies",
        ]);
        for stream in &standing.streams {
            streams.add_row([
                stream.name.clone().into(),
                number(stream.messages),
                number(stream.bytes),
                number(stream.subjects),
                number(stream.last_sequence),
                number(stream.copies()),
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
            "运行者 run by",
        ]);
        for one in &standing.projections {
            projections.add_row([
                one.projection.clone().into(),
                number(one.version),
                one.stream.clone().into(),
                number(one.position),
                number(one.lag.map(|lag| lag.to_string()).unwrap_or_default()),
                number(one.parked),
                wire::local_time(one.updated_at).into(),
                runner(one.runner.as_ref()),
            ]);
        }
        let mut text = format!("{}\n{streams}\n{projections}", standing.whereabouts());
        if !standing.absent.is_empty() {
            let absent = standing.absent.join(", ");
            text.push_str(&format!("\n缺少的流 streams that are missing: {absent}"));
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(leader: Option<&str>, copies: Vec<StreamCopy>) -> StreamStatus {
        StreamStatus {
            name: "VISITS".to_owned(),
            messages: 0,
            bytes: 0,
            subjects: 0,
            last_sequence: 0,
            replicas: copies.len() + 1,
            leader: leader.map(str::to_owned),
            copies,
        }
    }

    fn copy(server: &str, current: bool, offline: bool, behind: u64) -> StreamCopy {
        StreamCopy {
            server: server.to_owned(),
            current,
            offline,
            behind,
        }
    }

    #[test]
    fn each_stream_that_is_declared_is_asked_for_as_its_owner() {
        for declared in &nats_streams::declared().streams {
            let owner = owner(declared.name());
            assert!(SERVICES.contains(&owner.as_str()), "{owner}");
        }
    }

    #[test]
    fn of_copies_those_are_named_that_are_not_as_they_should_be() {
        assert_eq!(stream(None, Vec::new()).copies(), "1");
        let well = vec![
            copy("nats-1", true, false, 0),
            copy("nats-2", true, false, 3),
        ];
        assert_eq!(stream(Some("nats-0"), well).copies(), "3");
        let faulty = vec![
            copy("nats-1", false, true, 9),
            copy("nats-2", false, false, 120),
        ];
        let told = stream(None, faulty).copies();
        assert_eq!(
            told,
            "3, 无主 no leader, nats-1 离线 away, nats-2 落后 behind 120"
        );
    }
}
