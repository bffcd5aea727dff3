//! Where a system keeps everything: its servers' data, its keys, and how far it was loaded; or a folder for a moment.

use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder, File},
    io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use crate::keys::{Keys, write_private};

/// Where it remembers what is not in the log.
const MEMORY: &str = "system.json";

/// Where it writes what would be told to nobody.
const NOTICES: &str = "notices.ndjson";

/// What a system consists of, beside its keys.
const SYSTEM: [&str; 3] = ["nats", "postgres", MEMORY];

/// Lies in a folder into which a backup is being put back, until all of it is there.
const RESTORING: &str = "restoring";

/// The folder of a system.
#[derive(Debug)]
pub struct DataFolder {
    path: PathBuf,
    /// Removed at the end.
    temporary: Option<TempDir>,
    /// Held for as long as our servers run in the folder.
    _alone: Option<File>,
}

/// What a data folder remembers beside the log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Remembered {
    /// The simulated clock when it was last looked at; `None` where the system goes by real time.
    pub clock: Option<DateTime<Utc>>,
    /// Whether a system was started in it before.
    pub started: bool,
    /// The counties that were played, by code, and until when.
    pub played: BTreeMap<String, DateTime<Utc>>,
}

impl DataFolder {
    /// A folder that lasts, made where it is missing. The system in it is ours alone until this is dropped.
    ///
    /// # Errors
    /// Where it can't be made, or another system uses it.
    pub fn kept(path: &Path) -> anyhow::Result<Self> {
        let folder = Self::locked(path)?;
        if folder.path.join(RESTORING).exists() {
            anyhow::bail!(
                "a restore into {} did not come to its end: run it again / {} 的恢复尚未完成：请重新执行 eldercare restore",
                folder.path.display(),
                folder.path.display()
            );
        }
        Ok(folder)
    }

    fn locked(path: &Path) -> anyhow::Result<Self> {
        let path =
            std::path::absolute(path).with_context(|| format!("resolve {}", path.display()))?;
        let making = || format!("make the folder {}", path.display());
        // PostgreSQL may run under another account, which must be able to pass; our own files are private one by one.
        DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(&path)
            .with_context(making)?;
        let alone = hold(&path)?.with_context(|| {
            format!(
                "{} is in use by another system, which may be starting or going down: wait for it, stop it, or choose \
                 another folder with --data-dir / {} 正被另一个系统使用（或正在启动、停止）：请稍候或先停止，或用 --data-dir 指定其他目录",
                path.display(),
                path.display()
            )
        })?;
        Ok(Self {
            path,
            temporary: None,
            _alone: Some(alone),
        })
    }

    /// A folder into which a backup is to be put back. It holds nothing of a system but keys, or what an interrupted restore
    /// left behind, which goes. Until [`DataFolder::restored`] nobody starts a system in it.
    ///
    /// # Errors
    /// Where a system lies or runs in it, or it can't be made.
    pub fn to_be_restored(path: &Path) -> anyhow::Result<Self> {
        let folder = Self::locked(path)?;
        let marker = folder.path.join(RESTORING);
        if marker.exists() {
            folder.clear()?;
        } else if SYSTEM.iter().any(|one| folder.path.join(one).exists()) {
            anyhow::bail!(
                "{} holds a system already: name an empty folder with --data-dir / {} 中已有系统数据：请用 --data-dir 指定空目录",
                folder.path.display(),
                folder.path.display()
            );
        }
        let file = File::create(&marker).with_context(|| format!("make {}", marker.display()))?;
        file.sync_all()
            .with_context(|| format!("write {}", marker.display()))?;
        Ok(folder)
    }

    /// All of the backup is there, and whatever had to be done before the system serves: it may be started from now on.
    ///
    /// # Errors
    /// Where that can't be said.
    pub fn restored(&self) -> anyhow::Result<()> {
        let marker = self.path.join(RESTORING);
        fs::remove_file(&marker).with_context(|| format!("remove {}", marker.display()))
    }

    fn clear(&self) -> anyhow::Result<()> {
        for one in SYSTEM {
            let path = self.path.join(one);
            let removed = if path.is_dir() {
                fs::remove_dir_all(&path)
            } else {
                fs::remove_file(&path)
            };
            match removed {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("remove {}", path.display()));
                }
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    /// Whether a system uses a folder, also while it starts or goes down.
    pub fn in_use(path: &Path) -> bool {
        File::open(path.join("lock"))
            .is_ok_and(|file| matches!(file.try_lock(), Err(fs::TryLockError::WouldBlock)))
    }

    /// A folder for a moment.
    ///
    /// # Errors
    /// Where it can't be made.
    pub fn temporary() -> anyhow::Result<Self> {
        let temporary = tempfile::Builder::new()
            .prefix("eldercare-")
            .tempdir()
            .context("make a temporary folder")?;
        Ok(Self {
            path: temporary.path().to_owned(),
            temporary: Some(temporary),
            _alone: None,
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file in it with what is told where nobody else is named who is told.
    pub fn notices(&self) -> PathBuf {
        Self::notices_in(&self.path)
    }

    /// The same in a folder in which a system may run.
    pub fn notices_in(path: &Path) -> PathBuf {
        path.join(NOTICES)
    }

    /// Whether it is gone afterwards.
    pub fn is_temporary(&self) -> bool {
        self.temporary.is_some()
    }

    /// The keys of the system in it. Those of a temporary one are never written down.
    ///
    /// # Errors
    /// Where they can't be read or written.
    pub fn keys(&self) -> anyhow::Result<Keys> {
        if self.is_temporary() {
            Ok(Keys::generate())
        } else {
            Keys::of(&self.path)
        }
    }

    /// What it remembers.
    ///
    /// # Errors
    /// Where that can't be read.
    pub fn remembered(&self) -> anyhow::Result<Remembered> {
        Self::remembered_in(&self.path)
    }

    /// What a folder remembers in which a system may run.
    ///
    /// # Errors
    /// Where that can't be read.
    pub fn remembered_in(path: &Path) -> anyhow::Result<Remembered> {
        let path = path.join(MEMORY);
        match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text)
                .map_err(|_| anyhow::anyhow!("{} is not as this program wrote it", path.display())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Remembered::default()),
            Err(error) => Err(error).with_context(|| format!("read {}", path.display())),
        }
    }

    /// Remembers it for the next start.
    ///
    /// # Errors
    /// Where it can't be written.
    pub fn remember(&self, what: &Remembered) -> anyhow::Result<()> {
        write_private(
            &self.path.join(MEMORY),
            &serde_json::to_vec_pretty(what).context("write what to remember")?,
        )
    }
}

/// Holds a folder for this process alone, for as long as what comes back is kept; none where another process has it.
///
/// # Errors
/// Where its lock can't be made.
pub(crate) fn hold(folder: &Path) -> anyhow::Result<Option<File>> {
    let lock = folder.join("lock");
    let file = File::create(&lock).with_context(|| format!("make {}", lock.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(fs::TryLockError::WouldBlock) => Ok(None),
        Err(fs::TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("lock {}", lock.display()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_one_systems_alone() {
        let ground = tempfile::tempdir().unwrap();
        let path = ground.path().join("deep/data");
        let first = DataFolder::kept(&path).unwrap();
        assert!(
            DataFolder::kept(&path)
                .unwrap_err()
                .to_string()
                .contains("in use")
        );
        assert!(DataFolder::in_use(&path));
        drop(first);
        assert!(!DataFolder::in_use(&path));
        assert!(DataFolder::kept(&path).is_ok());
    }

    #[test]
    fn nobody_starts_a_system_where_a_restore_is_not_at_its_end() {
        let ground = tempfile::tempdir().unwrap();
        let begun = DataFolder::to_be_restored(ground.path()).unwrap();
        fs::create_dir(ground.path().join("nats")).unwrap();
        drop(begun);
        let refused = DataFolder::kept(ground.path()).unwrap_err();
        assert!(refused.to_string().contains("run it again"), "{refused}");
        // What was interrupted begins once more, with nothing there.
        let again = DataFolder::to_be_restored(ground.path()).unwrap();
        assert!(!ground.path().join("nats").exists());
        fs::create_dir(ground.path().join("nats")).unwrap();
        again.restored().unwrap();
        drop(again);
        assert!(DataFolder::kept(ground.path()).is_ok());
        let refused = DataFolder::to_be_restored(ground.path()).unwrap_err();
        assert!(refused.to_string().contains("holds a system"), "{refused}");
    }

    #[test]
    fn what_is_remembered_comes_back() {
        let ground = tempfile::tempdir().unwrap();
        let folder = DataFolder::kept(ground.path()).unwrap();
        assert_eq!(folder.remembered().unwrap(), Remembered::default());
        let what = Remembered {
            clock: Some(Utc::now()),
            started: true,
            played: [("350524".to_owned(), Utc::now())].into(),
        };
        folder.remember(&what).unwrap();
        assert_eq!(folder.remembered().unwrap(), what);
    }

    #[test]
    fn a_temporary_folder_is_gone_afterwards_and_its_keys_were_never_in_it() {
        let folder = DataFolder::temporary().unwrap();
        folder.keys().unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        let path = folder.path().to_owned();
        drop(folder);
        assert!(!path.exists());
    }
}
