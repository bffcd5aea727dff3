//! `backup`: all streams copied while the system goes on, who was erased, and the policies of access. Databases are in no backup:
//! the log gives them back. Nor is any key that others are wrapped under: `keys.toml` is kept apart.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use async_nats::{
    header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE,
    jetstream::{
        self, Context,
        stream::{LastRawMessageErrorKind, Stream},
    },
};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use service::{Clock, config::Loader};

use super::{
    FEEDS, STREAMS, VAULT, contents,
    erasures::{self, Erasures},
    is_log,
    manifest::{CopiedStream, FORMAT, KEPT_FOR, MANIFEST, Manifest, POLICIES},
    parts::{NewPart, Part},
    proven,
    shelf::Shelf,
    snapshot::{self, Held},
};
use crate::{
    cli::{self, Common},
    client::Client,
    connection::ConnectionFile,
    data_folder::{DataFolder, Remembered},
    output::{Progress, Report, number, table},
    streams::{come_in, settings_to_reach},
    wire::local_time,
    workplace::Workplace,
};

/// What `backup` did.
#[derive(Debug, Default, Serialize)]
pub struct Outcome {
    /// The backup that was taken; null where none was asked for.
    pub backup: Option<Taken>,
    /// Who is known to be erased; null where only expired backups were removed.
    pub erasures: Option<Noted>,
    /// The backups that had expired, and were removed.
    pub removed: Vec<String>,
    /// Folders whose manifest can't be read: nobody knows whether they have expired.
    pub unreadable: Vec<String>,
}

/// A backup that was taken.
#[derive(Debug, Serialize)]
pub struct Taken {
    /// Its folder.
    pub folder: String,
    /// When it was begun.
    pub taken_at: DateTime<Utc>,
    /// From then on it is not restored any more, and removed.
    pub expires_at: DateTime<Utc>,
    /// The streams.
    pub streams: Vec<Copied>,
}

/// A stream of a backup.
#[derive(Debug, Serialize)]
pub struct Copied {
    /// Its name.
    pub name: String,
    /// How many messages it holds.
    pub messages: u64,
    /// The last sequence.
    pub last_sequence: u64,
    /// How large the copy is, in bytes; null where it was left out.
    pub bytes: Option<u64>,
}

/// Where it is noted who was erased.
#[derive(Debug, Serialize)]
pub struct Noted {
    /// The file.
    pub file: String,
    /// How many it names.
    pub erased: usize,
    /// Nobody was erased before then whom it does not name.
    pub known_until: DateTime<Utc>,
}

/// The system that is backed up.
struct Source<'a> {
    server: Context,
    policies: Option<PathBuf>,
    /// The data folder, and what a system that runs there left for commands.
    folder: Option<(&'a Path, Option<&'a ConnectionFile>)>,
}

/// Backs up the system of a data folder, also while it runs.
///
/// # Errors
/// Streams that can't be read, or files that can't be written; nothing is taken for a backup then.
pub async fn of_data_folder(
    workplace: &Workplace,
    folder: &Path,
    arguments: &cli::Backup,
    progress: Progress,
) -> anyhow::Result<Outcome> {
    let settings = workplace.loader.load::<()>()?.common;
    let source = Source {
        server: jetstream::new(workplace.servers.nats().await?),
        policies: settings.auth.policy_file,
        folder: Some((folder, workplace.running.as_ref())),
    };
    source.back_up(arguments, progress).await
}

/// Backs up what a cluster's log server holds.
///
/// # Errors
/// As [`of_data_folder`].
pub async fn of_server(
    common: &Common,
    url: &str,
    arguments: &cli::Backup,
    progress: Progress,
) -> anyhow::Result<Outcome> {
    let loader = Loader::from_process(common.config.as_deref())?;
    let settings = settings_to_reach(&loader, Some(url))?;
    let source = Source {
        server: jetstream::new(come_in("backup", &settings.nats).await?),
        policies: settings.auth.policy_file,
        folder: None,
    };
    source.back_up(arguments, progress).await
}

/// Removes the backups of a folder that have expired.
///
/// # Errors
/// Where it can't be read, or something can't be removed.
pub fn prune(folder: &Path) -> anyhow::Result<Outcome> {
    let removed = Shelf::open(folder)?.prune(Clock::system().now())?;
    Ok(Outcome {
        removed: removed.expired,
        unreadable: removed.unreadable,
        ..Outcome::default()
    })
}

impl Source<'_> {
    async fn back_up(
        &self,
        arguments: &cli::Backup,
        progress: Progress,
    ) -> anyhow::Result<Outcome> {
        let shelf = Shelf::open(&arguments.folder)?;
        if arguments.erasures_only {
            let (_, noted) = self.note_erasures(&shelf).await?;
            return Ok(Outcome {
                erasures: Some(noted),
                ..Outcome::default()
            });
        }
        let taken_at = Clock::system().now();
        let folder = shelf.begin(taken_at)?;
        let streams = self.copy_all(&folder, &arguments.without, progress).await?;
        // After the keys: whoever was erased while they were copied, and has none there, is named.
        let (erasures, noted) = self.note_erasures(&shelf).await?;
        erasures.write(&folder.join(erasures::FILE))?;
        let policies = self.policies.as_deref();
        let policies = policies.map(|file| copy_policies(file, &folder));
        let manifest = Manifest {
            format: FORMAT,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            log_server: self.server.client().server_info().version,
            taken_at,
            expires_at: taken_at + KEPT_FOR,
            // After the streams: no record is of a later time.
            remembered: self.remembered().await?,
            policies: policies.transpose()?,
            streams,
        };
        proven::write(&folder.join(MANIFEST), &manifest)?;
        let folder = shelf.finish(&folder)?;
        let removed = shelf.prune(taken_at)?;
        Ok(Outcome {
            backup: Some(Taken::of(&folder, &manifest)),
            erasures: Some(noted),
            removed: removed.expired,
            unreadable: removed.unreadable,
        })
    }

    async fn copy_all(
        &self,
        folder: &Path,
        without: &[cli::Passing],
        progress: Progress,
    ) -> anyhow::Result<Vec<CopiedStream>> {
        let mut streams = Vec::with_capacity(STREAMS.len());
        for name in STREAMS {
            let stream = self.server.get_stream(name).await;
            let stream = stream.with_context(|| format!("the stream {name}"))?;
            let copied = if without.iter().any(|left| left.stream() == name) {
                left_out(name, &stream)
            } else {
                self.copy(name, &stream, folder, progress).await
            };
            let copied = copied.with_context(|| format!("copy the stream {name}"))?;
            if name == VAULT && rewrapped_after(&stream, copied.last_sequence).await? {
                anyhow::bail!(
                    "keys are being wrapped anew, and the copy may lack some: try again when `rotate-keys` has ended \
                     / 正在轮换密钥，请在 rotate-keys 结束后重试"
                );
            }
            streams.push(copied);
        }
        Ok(streams)
    }

    async fn copy(
        &self,
        name: &str,
        stream: &Stream,
        folder: &Path,
        progress: Progress,
    ) -> anyhow::Result<CopiedStream> {
        let info = stream.cached_info();
        let step = progress.begin(format!("备份 copying {name}"), info.state.bytes);
        let mut copy = NewPart::create(folder, &format!("{name}.snapshot"))?;
        // Of consumers only those of departments last: the others' are made anew whenever somebody reads.
        let (client, with_consumers) = (self.server.client(), name == FEEDS);
        let taking = snapshot::take(&client, name, with_consumers, |piece| {
            copy.write(piece)?;
            step.at(copy.bytes(), info.state.bytes);
            Ok(())
        });
        let whole = taking.await?;
        let copy = copy.finish()?;
        let holds = Held::of(&whole.state)?;
        let contents = if is_log(name) {
            let through = holds.last_sequence;
            let told = |sequence| step.at(sequence, through);
            Some(contents::digest(stream, through, told).await?)
        } else {
            None
        };
        step.done(&format!("{} messages", holds.messages));
        Ok(CopiedStream {
            name: name.to_owned(),
            made: info.created.unix_timestamp(),
            config: whole.config,
            state: whole.state,
            messages: holds.messages,
            first_sequence: holds.first_sequence,
            last_sequence: holds.last_sequence,
            copy: Some(copy),
            contents,
        })
    }

    /// Brings the list of erasures to what the registry's log says now.
    async fn note_erasures(&self, shelf: &Shelf) -> anyhow::Result<(Erasures, Noted)> {
        let (file, now) = (shelf.erasures(), Clock::system().now());
        let known = Erasures::in_file(&file)?;
        let mut erasures = known.unwrap_or_else(|| Erasures::none(now));
        erasures.read_on(&self.server, now).await?;
        erasures.write(&file)?;
        let noted = Noted {
            file: file.display().to_string(),
            erased: erasures.erased.len(),
            known_until: erasures.known_until,
        };
        Ok((erasures, noted))
    }

    /// What the data folder remembers; the clock as it stands, where a system runs there on a simulated one.
    async fn remembered(&self) -> anyhow::Result<Remembered> {
        let Some((folder, running)) = self.folder else {
            return Ok(Remembered::default());
        };
        let mut remembered = DataFolder::remembered_in(folder)?;
        if let (Some(clock), Some(running)) = (remembered.clock, running) {
            let now = Client::new(&running.connection())?.now().await?;
            remembered.clock = Some(now.max(clock));
        }
        Ok(remembered)
    }
}

/// A stream that is not copied: where it ended, so that it can begin anew beyond that.
fn left_out(name: &str, stream: &Stream) -> anyhow::Result<CopiedStream> {
    let info = stream.cached_info();
    Ok(CopiedStream {
        name: name.to_owned(),
        made: info.created.unix_timestamp(),
        config: serde_json::to_value(&info.config)?,
        state: Value::Null,
        messages: info.state.messages,
        first_sequence: info.state.first_sequence,
        last_sequence: info.state.last_sequence,
        copy: None,
        contents: None,
    })
}

/// Whether persons' keys were wrapped anew since the copy of `VAULT` was begun: then the former wrappings may have been destroyed
/// before they were copied, and the copy has neither.
async fn rewrapped_after(vault: &Stream, copied: u64) -> anyhow::Result<bool> {
    let last = vault.get_info().await?.state.last_sequence;
    for sequence in copied + 1..=last {
        match vault.get_raw_message(sequence).await {
            Ok(message) => {
                // A new person's key is the first one on its subject.
                let before = message.headers.get(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE);
                if before.is_some_and(|before| before.as_str() != "0") {
                    return Ok(true);
                }
            }
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(false)
}

fn copy_policies(file: &Path, folder: &Path) -> anyhow::Result<Part> {
    let text = fs::read(file).with_context(|| format!("read {}", file.display()))?;
    let mut copy = NewPart::create(folder, POLICIES)?;
    copy.write(&text)?;
    copy.finish()
}

impl Taken {
    fn of(folder: &Path, manifest: &Manifest) -> Self {
        let streams = manifest.streams.iter().map(|stream| Copied {
            name: stream.name.clone(),
            messages: stream.messages,
            last_sequence: stream.last_sequence,
            bytes: stream.copy.as_ref().map(|copy| copy.bytes),
        });
        Self {
            folder: folder.display().to_string(),
            taken_at: manifest.taken_at,
            expires_at: manifest.expires_at,
            streams: streams.collect(),
        }
    }
}

impl Report for Outcome {
    fn text(&self) -> String {
        let mut lines = Vec::new();
        if let Some(backup) = &self.backup {
            let mut streams = table(["流 stream", "消息 messages", "末位 last", "字节 bytes"]);
            for stream in &backup.streams {
                let bytes = stream.bytes.map(|bytes| bytes.to_string());
                streams.add_row([
                    stream.name.clone().into(),
                    number(stream.messages),
                    number(stream.last_sequence),
                    number(bytes.unwrap_or_else(|| "未备份 left out".to_owned())),
                ]);
            }
            lines.push(streams.to_string());
            lines.push(format!(
                "已备份 backed up to {}, until {}",
                backup.folder,
                local_time(backup.expires_at)
            ));
        }
        if let Some(noted) = &self.erasures {
            lines.push(format!(
                "已删除人员 erased: {} by {}, named in {}; keep a copy of it apart from the backups",
                noted.erased,
                local_time(noted.known_until),
                noted.file
            ));
        }
        for name in &self.removed {
            lines.push(format!("已过期并移除 expired and removed: {name}"));
        }
        for name in &self.unreadable {
            lines.push(format!("无法读取 can't be read: {name}"));
        }
        if lines.is_empty() {
            lines.push("没有过期的备份 nothing has expired".to_owned());
        }
        lines.join("\n")
    }
}
