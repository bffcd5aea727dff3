//! What a backup says of itself, and a backup that is there.

use std::path::{Path, PathBuf};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    erasures::{self, Erasures},
    parts::Part,
    proven,
    snapshot::Snapshot,
};
use crate::{data_folder::Remembered, output::Progress, wire::local_time};

/// The manifest's file: written last, so that a folder without it is no backup.
pub(super) const MANIFEST: &str = "manifest.json";

/// Cedar policies that an installation has put in place of the built-in ones.
pub(super) const POLICIES: &str = "permissions.cedar";

/// The form of a backup. Of another one nothing is believed.
pub(super) const FORMAT: u32 = 1;

/// How long a backup may be restored. It still has the keys, wrapped, of whoever was erased since.
pub(super) const KEPT_FOR: TimeDelta = TimeDelta::days(30);

/// What a backup says of itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    pub(super) format: u32,
    /// The version of the program.
    pub(super) program: String,
    /// The version of the log's server.
    pub(super) log_server: String,
    pub(super) taken_at: DateTime<Utc>,
    pub(super) expires_at: DateTime<Utc>,
    /// What the data folder remembered; of a cluster nothing.
    pub(super) remembered: Remembered,
    /// The policies of access; none where the built-in ones are in force.
    pub(super) policies: Option<Part>,
    /// The streams, in the order in which they were copied.
    pub(super) streams: Vec<CopiedStream>,
}

/// A stream of a backup.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CopiedStream {
    pub(super) name: String,
    /// When the server made it, in seconds since 1970.
    pub(super) made: i64,
    /// How it is kept, as the server said.
    pub(super) config: Value,
    /// What it holds, as the server said.
    pub(super) state: Value,
    /// How many messages there are; fewer come back where some were deleted while it was copied.
    pub(super) messages: u64,
    /// The first message that was there.
    pub(super) first_sequence: u64,
    /// The last message that ever was.
    pub(super) last_sequence: u64,
    /// The copy; none where it was left out.
    pub(super) copy: Option<Part>,
    /// Of a log the digest of all messages.
    pub(super) contents: Option<String>,
}

impl CopiedStream {
    /// What the server is given beside the copy, for so many copies of each message, wherever it wants them.
    pub(super) fn snapshot(&self, copies: usize) -> Snapshot {
        let mut config = self.config.clone();
        if let Some(config) = config.as_object_mut() {
            config.insert("num_replicas".to_owned(), copies.into());
            config.remove("placement");
            // What earlier versions kept so no server takes back, and something has to be erased there by now.
            let declared = nats_streams::declared().stream(&self.name);
            if declared.is_some_and(|stream| !stream.config(copies).deny_delete) {
                config.remove("deny_delete");
            }
        }
        Snapshot {
            config,
            state: self.state.clone(),
        }
    }
}

/// A backup that is there.
#[derive(Debug)]
pub(super) struct Backup {
    pub(super) folder: PathBuf,
    pub(super) manifest: Manifest,
    /// Who was erased when it was taken.
    pub(super) erasures: Erasures,
}

impl Backup {
    /// Opens the backup in a folder. What its copies hold is not looked at yet.
    pub(super) fn open(folder: &Path) -> anyhow::Result<Self> {
        let manifest = folder.join(MANIFEST);
        if !manifest.exists() {
            anyhow::bail!(
                "{} is no backup: name the folder of one, which `eldercare backup` prints / {} 不是备份目录",
                folder.display(),
                folder.display()
            );
        }
        let manifest: Manifest = proven::read(&manifest)?;
        if manifest.format != FORMAT {
            anyhow::bail!(
                "{} was written by another version of this program ({})",
                folder.display(),
                manifest.program
            );
        }
        Ok(Self {
            folder: folder.to_owned(),
            manifest,
            erasures: proven::read(&folder.join(erasures::FILE))?,
        })
    }

    /// Whether it may be restored.
    pub(super) fn check_age(&self, now: DateTime<Utc>, even_expired: bool) -> anyhow::Result<()> {
        let expired = self.manifest.expires_at;
        if expired <= now && !even_expired {
            anyhow::bail!(
                "the backup expired on {}: restore it with --even-expired, and only where nobody was erased since whom \
                 `{}` does not name / 备份已于 {} 过期",
                local_time(expired),
                erasures::FILE,
                local_time(expired)
            );
        }
        Ok(())
    }

    /// Looks at every byte, before anything is made of it.
    pub(super) fn verify(&self, progress: Progress) -> anyhow::Result<()> {
        let copies = self.manifest.streams.iter();
        let copies = copies.filter_map(|stream| stream.copy.as_ref());
        let parts: Vec<&Part> = copies.chain(&self.manifest.policies).collect();
        let step = progress.begin(
            "校验 verifying the backup",
            parts.iter().map(|part| part.bytes).sum(),
        );
        for part in &parts {
            part.verify(&self.folder, |more| step.advance(more))?;
        }
        step.done(&format!("{} files", parts.len()));
        Ok(())
    }

    /// A stream, where it was copied.
    pub(super) fn copied(&self, name: &str) -> Option<(&CopiedStream, &Part)> {
        let mut streams = self.manifest.streams.iter();
        let stream = streams.find(|stream| stream.name == name)?;
        Some((stream, stream.copy.as_ref()?))
    }

    /// The last message that a stream ever had, whether it was copied or not; none where there was no such stream yet.
    pub(super) fn last_sequence(&self, name: &str) -> Option<u64> {
        let mut streams = self.manifest.streams.iter();
        let stream = streams.find(|stream| stream.name == name)?;
        Some(stream.last_sequence)
    }
}

#[cfg(test)]
pub(super) mod testing {
    use super::*;

    /// A backup without streams, taken then.
    pub(in crate::backup) fn empty(folder: &Path, taken_at: DateTime<Utc>) {
        std::fs::create_dir_all(folder).unwrap();
        let manifest = Manifest {
            format: FORMAT,
            program: "0.1.0".to_owned(),
            log_server: "2.15.1".to_owned(),
            taken_at,
            expires_at: taken_at + KEPT_FOR,
            remembered: Remembered::default(),
            policies: None,
            streams: vec![],
        };
        let nobody = Erasures::none(taken_at);
        proven::write(&folder.join(erasures::FILE), &nobody).unwrap();
        proven::write(&folder.join(MANIFEST), &manifest).unwrap();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_backup_expires_after_thirty_days() {
        let ground = tempfile::tempdir().unwrap();
        let taken_at: DateTime<Utc> = "2026-10-01T00:00:00Z".parse().unwrap();
        testing::empty(ground.path(), taken_at);
        let backup = Backup::open(ground.path()).unwrap();
        let after = |days| taken_at + TimeDelta::days(days);
        assert!(backup.check_age(after(29), false).is_ok());
        let refused = backup.check_age(after(30), false).unwrap_err();
        assert!(refused.to_string().contains("--even-expired"), "{refused}");
        assert!(backup.check_age(after(30), true).is_ok());
        backup.verify(Progress::hidden()).unwrap();
    }

    #[test]
    fn a_folder_without_a_manifest_is_no_backup() {
        let ground = tempfile::tempdir().unwrap();
        let refused = Backup::open(ground.path()).unwrap_err();
        assert!(refused.to_string().contains("is no backup"), "{refused}");
    }

    fn copied(name: &str, config: Value) -> CopiedStream {
        CopiedStream {
            name: name.to_owned(),
            made: 0,
            config,
            state: json!({ "last_seq": 7 }),
            messages: 7,
            first_sequence: 1,
            last_sequence: 7,
            copy: None,
            contents: None,
        }
    }

    #[test]
    fn a_stream_from_which_something_has_to_be_erased_by_now_comes_back_so() {
        let config = |name: &str| json!({ "name": name, "num_replicas": 1, "deny_delete": true });
        let signals = copied("SIGNALS", config("SIGNALS")).snapshot(1);
        assert_eq!(
            signals.config,
            json!({ "name": "SIGNALS", "num_replicas": 1 })
        );
        let registry = copied("REGISTRY", config("REGISTRY")).snapshot(1);
        assert_eq!(registry.config, config("REGISTRY"));
    }

    #[test]
    fn a_stream_of_a_cluster_comes_back_on_one_server() {
        let config =
            json!({ "name": "REGISTRY", "num_replicas": 3, "placement": { "cluster": "a" } });
        let stream = copied("REGISTRY", config);
        let given = stream.snapshot(1);
        assert_eq!(
            given.config,
            json!({ "name": "REGISTRY", "num_replicas": 1 })
        );
        assert_eq!(given.state, stream.state);
    }
}
