//! `restore`: a backup put back where there is nothing, looked at before and after, with every erasure applied before anybody is
//! served.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use async_nats::jetstream::stream::Config;
use chrono::{DateTime, Utc};
use serde::Serialize;
use service::{Clock, settings::Address};

use super::{
    FEEDS, STREAMS, VAULT,
    applying::{self, Applied, Keys},
    contents,
    erasures::{self, Erasures},
    ground::Ground,
    manifest::{Backup, CopiedStream, POLICIES},
    parts::Part,
    proven,
    snapshot::{self, Held},
};
use crate::{
    cli::{self, Common},
    data_folder::{DataFolder, Remembered},
    keys,
    output::{Progress, Report, number, table},
    wire::local_time,
};

/// How far beyond its former end a stream begins anew that is not put back: nobody has had such positions, however much was
/// written between the backup and the loss.
const BEYOND: u64 = 1 << 32;

/// What `restore` did.
#[derive(Debug, Serialize)]
pub struct Restored {
    /// The data folder, or the server.
    pub into: String,
    /// When the backup was taken.
    pub taken_at: DateTime<Utc>,
    /// The streams.
    pub streams: Vec<PutBack>,
    /// The erasures that were applied.
    pub erasures: Applied,
    /// The policies of access that were in force; null where it was the built-in ones.
    pub policies: Option<String>,
}

/// A stream that is there again.
#[derive(Debug, Serialize)]
pub struct PutBack {
    /// Its name.
    pub name: String,
    /// Whether it is as it was; otherwise it was left out, and begins anew.
    pub restored: bool,
    /// How many messages it holds.
    pub messages: u64,
    /// The last sequence.
    pub last_sequence: u64,
}

/// What is to be put back.
struct Plan<'a> {
    backup: &'a Backup,
    /// All who are known to be erased.
    erasures: &'a Erasures,
    left_out: Vec<&'static str>,
}

/// Puts a backup back into an empty data folder, or a server without streams.
///
/// # Errors
/// A backup that is damaged or expired, before anything is written; a place where something is; keys that don't open; a list of
/// erasures that is missing. What is not whole is not served.
pub async fn restore(
    common: &Common,
    arguments: &cli::Restore,
    progress: Progress,
) -> anyhow::Result<Restored> {
    let backup = Backup::open(&arguments.backup)?;
    backup.check_age(Clock::system().now(), arguments.even_expired)?;
    let erasures = known_erasures(&backup, arguments)?;
    backup.verify(progress)?;
    let plan = Plan {
        backup: &backup,
        erasures: &erasures,
        left_out: arguments.without.iter().map(|one| one.stream()).collect(),
    };
    match &arguments.nats {
        None => plan.to_a_folder(common, arguments, progress).await,
        Some(url) => {
            let ground = Ground::of_cluster(common, url, arguments.replicas).await?;
            let (streams, applied) = plan.carry_out(&ground, progress).await?;
            let policies = backup.manifest.policies.as_ref();
            let policies = policies.map(|_| backup.folder.join(POLICIES));
            let into = Address::new(url).to_string();
            Ok(plan.restored(into, streams, applied, policies))
        }
    }
}

/// Whoever was erased when the backup was taken, or since.
fn known_erasures(backup: &Backup, arguments: &cli::Restore) -> anyhow::Result<Erasures> {
    let mut known = backup.erasures.clone();
    let beside = erasures::beside(&backup.folder);
    let since = match &arguments.erasures {
        Some(file) => Some(proven::read(file)?),
        None => Erasures::in_file(&beside)?,
    };
    match since {
        Some(since) => known.join(&since),
        None if arguments.erasures_unknown => {}
        None => anyhow::bail!(
            "nobody knows who was erased since the backup was taken: there is no {}. Name such a file with --erasures, have one \
             written by `eldercare backup --erasures-only` where the former system is still there, or say --erasures-unknown: \
             then whoever was erased since is there again / 缺少删除名单：请用 --erasures 指定，或用 --erasures-unknown 确认",
            beside.display()
        ),
    }
    Ok(known)
}

impl Plan<'_> {
    async fn to_a_folder(
        &self,
        common: &Common,
        arguments: &cli::Restore,
        progress: Progress,
    ) -> anyhow::Result<Restored> {
        let path = common.folder();
        let keys = keys_for(arguments, &path)?;
        let folder = DataFolder::to_be_restored(&path)?;
        keys.write(folder.path())?;
        let remembered = &self.backup.manifest.remembered;
        let clock = remembered.clock;
        let clock = clock.map_or_else(Clock::system, Clock::starting_at);
        let ground = Ground::of_folder(common, &folder, folder.keys()?, clock.clone()).await?;
        let carried_out = self.carry_out(&ground, progress).await;
        ground.close().await;
        let (streams, applied) = carried_out?;
        let policies = self.backup.manifest.policies.as_ref();
        let policies = policies.map(|part| self.copy_policies(part, folder.path()));
        let policies = policies.transpose()?;
        folder.remember(&Remembered {
            clock: clock.is_settable().then(|| clock.now()),
            ..remembered.clone()
        })?;
        folder.restored()?;
        let into = folder.path().display().to_string();
        Ok(self.restored(into, streams, applied, policies))
    }

    async fn carry_out(
        &self,
        ground: &Ground,
        progress: Progress,
    ) -> anyhow::Result<(Vec<PutBack>, Applied)> {
        // Keys that are none are told before anything is there.
        ground.key_ring()?;
        // The keys first: those of whoever was erased are destroyed before there is anything that they open. The registry's log
        // last: without it no service starts.
        let mut order = STREAMS;
        order.rotate_right(1);
        let mut keys = None;
        let mut streams = Vec::with_capacity(order.len());
        for name in order {
            let put_back = self.put_back(name, ground, progress).await;
            streams.push(put_back.with_context(|| format!("restore the stream {name}"))?);
            if name == VAULT {
                let there = Keys::of(ground).await?;
                there.destroy(self.erasures).await?;
                there.check(progress).await?;
                keys = Some(there);
            }
        }
        let keys = keys.context("no stream holds the keys")?;
        ground.keep_as_declared().await?;
        let applied = applying::apply(ground, self.backup, self.erasures, keys, progress).await?;
        streams.sort_by(|one, other| one.name.cmp(&other.name));
        Ok((streams, applied))
    }

    async fn put_back(
        &self,
        name: &'static str,
        ground: &Ground,
        progress: Progress,
    ) -> anyhow::Result<PutBack> {
        let copied = self.backup.copied(name);
        let Some((stream, copy)) = copied.filter(|_| !self.left_out.contains(&name)) else {
            return self.begin_anew(name, ground).await;
        };
        let step = progress.begin(format!("恢复 restoring {name}"), copy.bytes);
        let (client, whole) = (ground.server.client(), stream.snapshot(ground.copies));
        let pieces = copy.open(&self.backup.folder)?;
        let taken = |more| step.advance(more);
        let state = snapshot::put_back(&client, name, &whole, pieces, taken).await?;
        let held = Held::of(&state)?;
        let read = |sequence| step.at(sequence, stream.last_sequence);
        check(stream, &held, ground, read).await?;
        step.done(&format!("{} messages", held.messages));
        Ok(PutBack {
            name: name.to_owned(),
            restored: true,
            messages: held.messages,
            last_sequence: held.last_sequence,
        })
    }

    async fn begin_anew(&self, name: &str, ground: &Ground) -> anyhow::Result<PutBack> {
        let declared = nats_streams::declared().stream(name);
        let declared = declared.context("it is declared no more")?;
        let last_sequence = self.backup.last_sequence(name).map(|last| last + BEYOND);
        let config = Config {
            first_sequence: last_sequence.map(|last| last + 1),
            ..declared.config(ground.copies)
        };
        ground.server.create_stream(config).await?;
        Ok(PutBack {
            name: name.to_owned(),
            restored: false,
            messages: 0,
            last_sequence: last_sequence.unwrap_or_default(),
        })
    }

    fn copy_policies(&self, part: &Part, folder: &Path) -> anyhow::Result<PathBuf> {
        let (from, to) = (self.backup.folder.join(&part.file), folder.join(POLICIES));
        fs::copy(&from, &to).with_context(|| format!("write {}", to.display()))?;
        Ok(to)
    }

    fn restored(
        &self,
        into: String,
        streams: Vec<PutBack>,
        erasures: Applied,
        policies: Option<PathBuf>,
    ) -> Restored {
        Restored {
            into,
            taken_at: self.backup.manifest.taken_at,
            streams,
            erasures,
            policies: policies.map(|file| file.display().to_string()),
        }
    }
}

/// The keys of the system that was backed up: the ones that are named, or lie in the data folder already.
fn keys_for(arguments: &cli::Restore, folder: &Path) -> anyhow::Result<keys::Keys> {
    let file = arguments.keys.clone();
    let file = file.unwrap_or_else(|| keys::file(folder));
    if !file.exists() {
        anyhow::bail!(
            "there is no {}: no backup has the keys of its system. Name the keys.toml that was kept apart with --keys \
             / 备份中没有密钥：请用 --keys 指定另行保存的 keys.toml",
            file.display()
        );
    }
    keys::Keys::read(&file)
}

/// Whether a stream is as it was copied. Of one that messages are deleted from, some may have gone while it was.
async fn check(
    stream: &CopiedStream,
    held: &Held,
    ground: &Ground,
    tell: impl Fn(u64),
) -> anyhow::Result<()> {
    let last = stream.last_sequence;
    let mut as_it_was = held.last_sequence == last && held.messages <= stream.messages;
    if let Some(contents) = &stream.contents {
        let there = ground.server.get_stream(&stream.name).await?;
        let found = contents::digest(&there, last, tell).await?;
        as_it_was &= held.messages == stream.messages && found == *contents;
    }
    if !as_it_was {
        anyhow::bail!(
            "it is not as it was copied: {} messages up to {}, where there were {} up to {last}",
            held.messages,
            held.last_sequence,
            stream.messages
        );
    }
    Ok(())
}

impl Report for Restored {
    fn text(&self) -> String {
        let mut streams = table(["流 stream", "消息 messages", "末位 last", ""]);
        for stream in &self.streams {
            let anew = if stream.restored {
                ""
            } else {
                "重新开始 begins anew"
            };
            streams.add_row([
                stream.name.clone().into(),
                number(stream.messages),
                number(stream.last_sequence),
                anew.into(),
            ]);
        }
        let Applied {
            known_until,
            named,
            erased,
            before,
            unknown,
        } = &self.erasures;
        let mut text = format!(
            "{streams}\n删除 erasures known until {}: {named}, of which {erased} applied now, {before} in the backup, {unknown} of \
             people whom it does not know\n已恢复 restored into {}, as of {}",
            local_time(*known_until),
            self.into,
            local_time(self.taken_at)
        );
        let mut streams = self.streams.iter();
        if let Some(feeds) = streams.find(|stream| stream.name == FEEDS && stream.restored) {
            text.push_str(&format!(
                "\n数据流 positions of {FEEDS} after {} are given again: a department that has read further begins with an empty \
                 book; or restore with --without {FEEDS}",
                feeds.last_sequence
            ));
        }
        if let Some(policies) = &self.policies {
            text.push_str(&format!(
                "\n权限策略 name {policies} as auth.policy_file of the settings"
            ));
        }
        text
    }
}
