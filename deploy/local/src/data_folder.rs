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
        let path =
            std::path::absolute(path).with_context(|| format!("resolve {}", path.display()))?;
        let making = || format!("make the folder {}", path.display());
        // PostgreSQL may run under another account, which must be able to pass; our own files are private one by one.
        DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(&path)
            .with_context(making)?;
        let lock = path.join("lock");
        let file = File::create(&lock).with_context(|| format!("make {}", lock.display()))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => anyhow::bail!(
                "{} is in use by another system, which may be starting or going down: wait for it, stop it, or choose \
                 another folder with --data-dir / {} 正被另一个系统使用（或正在启动、停止）：请稍候或先停止，或用 --data-dir 指定其他目录",
                path.display(),
                path.display()
            ),
            Err(fs::TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("lock {}", lock.display()));
            }
        }
        Ok(Self {
            path,
            temporary: None,
            _alone: Some(file),
        })
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
        let path = self.memory();
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
            &self.memory(),
            &serde_json::to_vec_pretty(what).context("write what to remember")?,
        )
    }

    fn memory(&self) -> PathBuf {
        self.path.join("system.json")
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
