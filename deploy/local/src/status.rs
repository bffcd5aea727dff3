//! `status`: streams and their copies, read models, how far they are behind and who brings them on, and the events that they
//! passed by.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use anyhow::Context as _;
use async_nats::jetstream::{self, stream::Info};
use civic::AlertKind;
use futures::future::join_all;
use readmodel::{ProjectionStatus, parked::ParkedEvent};
use serde::Serialize;
use service::{connections, settings::Postgres};
use sqlx::{PgPool, postgres::PgConnectOptions};

use self::databases::Database;
use crate::{installation::Installation, place::Place, servers::SERVICES, workplace::Workplace};

mod databases;
mod text;

/// The service that knows which alerts are open.
const ALERTS: &str = "alerts";

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
    /// Streams of which nobody tells anything.
    pub unanswered: Vec<Unanswered>,
    /// The read models and reactors.
    pub projections: Vec<ProjectionStatus>,
    /// Services of whose read models nobody tells anything: their database is away.
    pub databases_away: Vec<Unanswered>,
}

/// A stream of which nobody tells anything, or a service whose database does not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unanswered {
    /// Its name.
    pub name: String,
    /// Why: no server leads it, say.
    pub reason: String,
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
    databases: Vec<Database>,
    endpoint: Option<String>,
    log: Option<String>,
}

impl std::fmt::Debug for Look {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Look").finish_non_exhaustive()
    }
}

impl Look {
    /// Connects to the log's server. Databases are reached when they are asked something.
    ///
    /// # Errors
    /// Settings that are missing or wrong, or a server that does not answer.
    pub async fn open(place: &Place) -> anyhow::Result<Self> {
        let declared = nats_streams::declared().streams.iter();
        let names = declared.map(nats_streams::Stream::name);
        match place {
            Place::Folder(workplace, _) => {
                let databases = databases_of(place, workplace).await?;
                let server = jetstream::new(workplace.servers.nats().await?);
                let running = workplace.running.as_ref();
                Ok(Self {
                    streams: names.map(|name| (name, server.clone())).collect(),
                    databases,
                    endpoint: running.map(|one| one.endpoint.clone()),
                    log: None,
                })
            }
            Place::Elsewhere(installation) => {
                // All settings, before anybody is waited for.
                let databases = databases(|service| installation.database(service))?;
                let servers = servers_of(installation).await?;
                let streams = names.map(|name| {
                    let server = servers.get(owner(name).as_str());
                    let server = server.with_context(|| format!("nobody owns {name}"))?;
                    Ok((name, server.clone()))
                });
                Ok(Self {
                    streams: streams.collect::<anyhow::Result<Vec<_>>>()?,
                    databases,
                    endpoint: None,
                    log: Some(installation.log_address()?.to_string()),
                })
            }
        }
    }

    /// How streams and read models stand now. A stream or a database of which nobody tells anything does not hide the others.
    ///
    /// # Errors
    /// The log's server does not answer.
    pub async fn now(&self) -> anyhow::Result<Standing> {
        let (streams, absent, unanswered) = self.streams().await;
        if streams.is_empty()
            && absent.is_empty()
            && let Some(Unanswered { name, reason }) = unanswered.first()
        {
            anyhow::bail!("the stream {name}, and all others: {reason}");
        }
        let heads = streams.iter();
        let heads = heads.map(|stream| (stream.name.clone(), stream.last_sequence));
        let heads: HashMap<String, u64> = heads.collect();
        let asked = self.databases.iter();
        let asked = asked.map(|one| one.answer(readmodel::standing(&one.pool, &heads)));
        let (mut projections, mut databases_away) = (Vec::new(), Vec::new());
        for answer in join_all(asked).await {
            match answer {
                Ok(some) => projections.extend(some),
                Err(away) => databases_away.push(away),
            }
        }
        Ok(Standing {
            endpoint: self.endpoint.clone(),
            log: self.log.clone(),
            streams,
            absent,
            unanswered,
            projections,
            databases_away,
        })
    }

    /// The events that were passed by; of databases that are known to be away none, and which others are.
    async fn parked(&self, away: &mut Vec<Unanswered>) -> Vec<ParkedEvent> {
        let mut parked = Vec::new();
        for one in &self.databases {
            if away.iter().any(|away| away.name == one.service) {
                continue;
            }
            let asked = readmodel::parked::list(&one.pool, None, 0, PARKED);
            match one.answer(asked).await {
                Ok(some) => parked.extend(some),
                Err(unanswered) => away.push(unanswered),
            }
        }
        parked
    }

    /// How many alerts of each kind are open.
    ///
    /// # Errors
    /// A database that is away.
    pub async fn open_alerts(&self) -> Result<Vec<(AlertKind, u64)>, Unanswered> {
        let mut databases = self.databases.iter();
        match databases.find(|one| one.service == ALERTS) {
            Some(one) => one.answer(alerts::open_alerts(&one.pool)).await,
            None => Ok(Vec::new()),
        }
    }

    /// Those streams that are there, the names of those that are not, and of which of them nobody tells anything.
    async fn streams(&self) -> (Vec<StreamStatus>, Vec<String>, Vec<Unanswered>) {
        let asked = self.streams.iter().map(|(name, server)| async move {
            let found = nats_streams::stream(name).find(server).await;
            ((*name).to_owned(), found)
        });
        let (mut streams, mut absent, mut unanswered) = (Vec::new(), Vec::new(), Vec::new());
        for (name, found) in join_all(asked).await {
            match found {
                Ok(Some(found)) => streams.push(StreamStatus::of(found.cached_info())),
                Ok(None) => absent.push(name),
                Err(error) => {
                    let reason = error.to_string();
                    unanswered.push(Unanswered { name, reason });
                }
            }
        }
        streams.sort_by(|one, other| one.name.cmp(&other.name));
        (streams, absent, unanswered)
    }
}

impl Status {
    /// Whether all streams are there, and something is known of each, and of all read models.
    #[must_use]
    pub fn is_well(&self) -> bool {
        let standing = &self.standing;
        standing.absent.is_empty()
            && standing.unanswered.is_empty()
            && standing.databases_away.is_empty()
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

/// The databases of all services.
fn databases(
    pool: impl Fn(&'static str) -> anyhow::Result<PgPool>,
) -> anyhow::Result<Vec<Database>> {
    let database = |service| {
        let pool = pool(service)?;
        Ok(Database { service, pool })
    };
    SERVICES.into_iter().map(database).collect()
}

/// Those of a data folder. Where nobody serves there, they may have to be brought up to date first.
async fn databases_of(place: &Place, workplace: &Workplace) -> anyhow::Result<Vec<Database>> {
    if workplace.running.is_none() {
        let stores = place.stores(&BTreeSet::from(SERVICES), false).await?;
        return databases(|service| stores.pool(service));
    }
    databases(|service| {
        let address = workplace.servers.database(service)?;
        // The parser's own text may quote the address, with its password.
        let options: Result<PgConnectOptions, _> = address.parse();
        let options = options.map_err(|_| anyhow::anyhow!("{service} has no database here"))?;
        Ok(connections::pool_options(&Postgres::default()).connect_lazy_with(options))
    })
}

/// The log's server, as each service of an installation comes in there.
async fn servers_of(
    installation: &Installation,
) -> anyhow::Result<BTreeMap<&'static str, jetstream::Context>> {
    let mut servers = BTreeMap::new();
    for service in SERVICES {
        let settings = installation.settings_of(service)?;
        let client = installation.log_server(service, &settings.nats).await?;
        servers.insert(service, jetstream::new(client));
    }
    Ok(servers)
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
}

/// Looks at streams and read models.
///
/// # Errors
/// Settings that are missing or wrong, or a log's server that does not answer.
pub async fn status(place: &Place) -> anyhow::Result<Status> {
    let look = Look::open(place).await?;
    let mut standing = look.now().await?;
    let parked = look.parked(&mut standing.databases_away).await;
    Ok(Status { standing, parked })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Report as _;

    #[test]
    fn each_stream_that_is_declared_is_asked_for_as_its_owner() {
        for declared in &nats_streams::declared().streams {
            let owner = owner(declared.name());
            assert!(SERVICES.contains(&owner.as_str()), "{owner}");
        }
    }

    fn status(standing: Standing) -> Status {
        let parked = Vec::new();
        Status { standing, parked }
    }

    fn nothing() -> Standing {
        Standing {
            endpoint: None,
            log: None,
            streams: Vec::new(),
            absent: Vec::new(),
            unanswered: Vec::new(),
            projections: Vec::new(),
            databases_away: Vec::new(),
        }
    }

    fn unanswered(name: &str, reason: &str) -> Vec<Unanswered> {
        let (name, reason) = (name.to_owned(), reason.to_owned());
        vec![Unanswered { name, reason }]
    }

    #[test]
    fn a_stream_or_a_database_of_which_nobody_tells_anything_is_no_good_sign() {
        assert!(status(nothing()).is_well());
        let without_a_leader = status(Standing {
            unanswered: unanswered("VISITS", "timed out"),
            ..nothing()
        });
        let told = "VISITS nobody tells anything: timed out";
        assert!(!without_a_leader.is_well() && without_a_leader.text().contains(told));
        let away = status(Standing {
            databases_away: unanswered("visits", "refused"),
            ..nothing()
        });
        let told = "read models of visits nobody tells anything: refused";
        assert!(!away.is_well() && away.text().contains(told));
    }
}
