//! `rebuild`, `verify`, `rotate-keys` and `status`: an operator's work on the servers of a data folder, beside the system
//! that runs there or without one.

use std::{path::Path, sync::Arc};

use anyhow::Context as _;
use async_nats::jetstream;
use eventlog::EventLog;
use futures::TryStreamExt as _;
use readmodel::{Differences, ProjectionStatus, parked::ParkedEvent};
use serde::Serialize;
use service::{Clock, config::Loader};
use sqlx::PgPool;
use tiering::{facts_table::FactsTable, tiers_table::TiersTable};

use crate::{
    cli::Common,
    connection::ConnectionFile,
    data_folder::DataFolder,
    keys::Keys,
    output::{Progress, Report, Step, number, table},
    servers::{Servers, tools},
    system::{Services, settings_of},
    wire,
};

/// At most so many parked events are shown.
const PARKED: u32 = 1_000;

/// The servers of a data folder and the services connected to them, none of which serves here.
#[derive(Debug)]
pub struct Workplace {
    /// The folder, where no system runs in it.
    folder: Option<DataFolder>,
    /// What the running system wrote down, where one runs.
    running: Option<ConnectionFile>,
    keys: Keys,
    loader: Loader,
    servers: Servers,
}

impl Workplace {
    /// Finds the running system's servers, or starts those of the folder.
    ///
    /// # Errors
    /// A folder without a system, or servers that don't start.
    pub async fn open(common: &Common, path: &Path, progress: Progress) -> anyhow::Result<Self> {
        let loader = Loader::from_process(common.config.as_deref())?;
        if let Some(running) = ConnectionFile::of_running(path)? {
            let servers = Servers::of_running(&running);
            return Ok(Self { folder: None, keys: Keys::of(path)?, running: Some(running), loader, servers });
        }
        if !path.join("nats").exists() {
            anyhow::bail!(
                "{} holds no system: name its folder with --data-dir / {} 中没有系统数据：请用 --data-dir 指定目录",
                path.display(),
                path.display()
            );
        }
        let folder = DataFolder::kept(path)?;
        let keys = folder.keys()?;
        let servers = Servers::start(&folder, &tools(common, Some(&folder)), progress).await?;
        Ok(Self { folder: Some(folder), running: None, keys, loader, servers })
    }

    async fn services(&self) -> anyhow::Result<Services> {
        Services::connect(&self.loader, &self.servers, &self.keys, &Clock::system()).await
    }

    /// Stops the servers that were started for this work.
    pub async fn close(self) {
        self.servers.stop().await;
    }

    /// Where the keys lie.
    fn key_folder<'a>(&'a self, path: &'a Path) -> &'a Path {
        self.folder.as_ref().map_or(path, DataFolder::path)
    }
}

/// The read models that can be built anew, by name.
const PROJECTIONS: [&str; 3] = ["registry_elders", "tiering_facts", "tiering_tiers"];

fn chosen(names: &[String]) -> anyhow::Result<Vec<&'static str>> {
    if names.is_empty() {
        return Ok(PROJECTIONS.to_vec());
    }
    let find = |name: &String| {
        let known = PROJECTIONS.into_iter().find(|known| known == name);
        known.with_context(|| format!("there is no read model `{name}`; there are: {}", PROJECTIONS.join(", ")))
    };
    names.iter().map(find).collect()
}

/// What `rebuild` did.
#[derive(Debug, Serialize)]
pub struct Rebuilt {
    /// The read models that were built anew.
    pub rebuilt: Vec<RebuiltOne>,
}

/// A read model that was built anew.
#[derive(Debug, Serialize)]
pub struct RebuiltOne {
    /// Its name.
    pub projection: String,
    /// The last sequence that it holds.
    pub position: u64,
    /// How long it took, in seconds.
    pub seconds: f64,
}

/// Builds read models anew and puts them in their place.
///
/// # Errors
/// An unknown name; the database's, the log's and the fold's.
pub async fn rebuild(workplace: &Workplace, names: &[String], progress: Progress) -> anyhow::Result<Rebuilt> {
    let names = chosen(names)?;
    let Services { registry, tiering } = workplace.services().await?;
    let mut rebuilt = Vec::new();
    for name in names {
        let since = std::time::Instant::now();
        let step = progress.begin(format!("重建 rebuilding {name}"), 1);
        let position = std::sync::atomic::AtomicU64::new(0);
        let tell = |told: readmodel::Progress| {
            position.store(told.done, std::sync::atomic::Ordering::Relaxed);
            step.at(told.done, told.total);
        };
        match name {
            "registry_elders" => {
                readmodel::rebuild(&registry.pool(), registry.log(), registry.projection(), tell).await
            }
            "tiering_facts" => {
                readmodel::rebuild(&tiering.pool(), tiering.registry_log(), FactsTable::default(), tell).await
            }
            _tiers => readmodel::rebuild(&tiering.pool(), tiering.log(), TiersTable::default(), tell).await,
        }
        .with_context(|| format!("rebuild {name}"))?;
        let (position, seconds) = (position.into_inner(), since.elapsed().as_secs_f64());
        step.done(&format!("up to {position}"));
        rebuilt.push(RebuiltOne { projection: name.to_owned(), position, seconds });
    }
    Ok(Rebuilt { rebuilt })
}

impl Report for Rebuilt {
    fn text(&self) -> String {
        let mut rows = table(["读模型 read model", "位置 position", "秒 seconds"]);
        for one in &self.rebuilt {
            rows.add_row([
                one.projection.clone().into(),
                number(one.position),
                number(format!("{:.1}", one.seconds)),
            ]);
        }
        rows.to_string()
    }
}

/// What `verify` found.
#[derive(Debug, Serialize)]
pub struct Verified {
    /// Whether every read model holds just what the log says.
    pub equal: bool,
    /// Each read model.
    pub verified: Vec<Differences>,
}

/// Builds read models aside and compares them row by row.
///
/// # Errors
/// An unknown name; the database's, the log's and the fold's.
pub async fn verify(workplace: &Workplace, names: &[String], progress: Progress) -> anyhow::Result<Verified> {
    let names = chosen(names)?;
    let Services { registry, tiering } = workplace.services().await?;
    let mut verified = Vec::new();
    for name in names {
        let step: Step = progress.begin(format!("核对 verifying {name}"), 1);
        let tell = |told: readmodel::Progress| step.at(told.done, told.total);
        let found = match name {
            "registry_elders" => {
                readmodel::verify(&registry.pool(), registry.log(), registry.projection(), tell).await
            }
            "tiering_facts" => {
                readmodel::verify(&tiering.pool(), tiering.registry_log(), FactsTable::default(), tell).await
            }
            _tiers => readmodel::verify(&tiering.pool(), tiering.log(), TiersTable::default(), tell).await,
        };
        let found = found.with_context(|| format!("verify {name}"))?;
        step.done(&format!("{} rows", found.rows));
        verified.push(found);
    }
    Ok(Verified { equal: verified.iter().all(Differences::is_empty), verified })
}

impl Report for Verified {
    fn text(&self) -> String {
        let mut rows = table(["读模型 read model", "位置 position", "行 rows", "差异 differences"]);
        let mut text = String::new();
        for one in &self.verified {
            rows.add_row([
                one.projection.clone().into(),
                number(&one.position),
                number(one.rows),
                number(one.tables.len()),
            ]);
            for table in &one.tables {
                let _ = std::fmt::Write::write_fmt(
                    &mut text,
                    format_args!(
                        "\n{}.{}: {} rows missing, {} too many, {} with other content {:?}",
                        one.projection,
                        table.table,
                        table.missing.count,
                        table.extra.count,
                        table.changed.count,
                        [&table.missing.first, &table.extra.first, &table.changed.first],
                    ),
                );
            }
        }
        let verdict = if self.equal { "一致 All read models hold just what the log says." } else { "不一致" };
        format!("{rows}{text}\n{verdict}")
    }
}

/// What `rotate-keys` did.
#[derive(Debug, Serialize)]
pub struct Rotated {
    /// The key-encryption key that all persons' keys are wrapped under now.
    pub kek_id: String,
    /// Keys that were wrapped anew.
    pub rewrapped: u64,
    /// Keys that were under it already.
    pub current: u64,
    /// Whether the running system still wraps new keys under the old one, until it is started again.
    pub restart_needed: bool,
}

/// Wraps all persons' keys under the next key-encryption key. A running system knows that one already.
///
/// # Errors
/// A running system that was rotated under already, or keys that can't be rewrapped.
pub async fn rotate_keys(workplace: &Workplace, path: &Path, progress: Progress) -> anyhow::Result<Rotated> {
    let folder = workplace.key_folder(path);
    if let Some(running) = &workplace.running
        && running.kek_id != workplace.keys.kek_id
    {
        anyhow::bail!(
            "the keys were rotated since the system started, and it does not know a further key: start it again first \
             / 系统启动后已轮换过密钥：请先重启系统再轮换"
        );
    }
    let keys = workplace.keys.turned();
    // Before the first key is wrapped under it: who starts in the middle must know both.
    keys.write(folder)?;
    let common = workplace.loader.load::<()>()?.common;
    let settings = settings_of("registry", &common, &workplace.servers, &keys)?;
    let registry = workplace.services().await?.registry;
    let step = progress.begin("轮换 wrapping keys anew", 1);
    let done = registry
        .vault()
        .rotate(registry::key_ring(&settings)?, |told| step.at(told.examined, told.total))
        .await
        .context("some keys are still under the old key-encryption key, which stays in keys.toml")?;
    step.done(&format!("{} keys", done.examined));
    let restart_needed = workplace.running.is_some();
    if !restart_needed {
        keys.forget_old().write(folder)?;
    }
    Ok(Rotated { kek_id: keys.kek_id, rewrapped: done.rewrapped, current: done.current, restart_needed })
}

impl Report for Rotated {
    fn text(&self) -> String {
        let mut text = format!("已轮换 {} keys are wrapped under {}.", self.rewrapped + self.current, self.kek_id);
        if self.restart_needed {
            text.push_str(
                "\n运行中的系统重启后才会用新密钥 The running system wraps new persons' keys under the old one until it is \
                 started again; keys.toml keeps that until the next rotation.",
            );
        }
        text
    }
}

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

/// Looks at streams and read models.
///
/// # Errors
/// Servers that don't answer.
pub async fn status(workplace: &Workplace) -> anyhow::Result<Status> {
    let client = async_nats::connect(&workplace.servers.nats_url).await.context("connect to NATS")?;
    let jetstream = jetstream::new(client);
    let mut streams: Vec<StreamStatus> = jetstream
        .streams()
        .map_ok(|info| StreamStatus {
            name: info.config.name,
            messages: info.state.messages,
            bytes: info.state.bytes,
            last_sequence: info.state.last_sequence,
        })
        .try_collect()
        .await
        .context("list the streams")?;
    streams.sort_by(|one, other| one.name.cmp(&other.name));
    let Services { registry, tiering } = workplace.services().await?;
    let logs: [Arc<dyn EventLog>; 2] = [registry.log(), tiering.log()];
    let (mut projections, mut parked) = (Vec::new(), Vec::new());
    for pool in [registry.pool(), tiering.pool()] {
        projections.extend(readmodel::status(&pool, &logs).await?);
        parked.extend(passed_by(&pool).await?);
    }
    let endpoint = workplace.running.as_ref().map(|running| running.endpoint.clone());
    Ok(Status { endpoint, streams, projections, parked })
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
        let mut projections =
            table(["读模型 read model", "版本 version", "流 stream", "位置 position", "落后 lag", "搁置 parked", "更新 moved"]);
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
