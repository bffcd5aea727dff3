//! The folder of backups: one process at a time puts a backup there, and takes away those that have expired.

use std::{
    fs::{self, DirBuilder, File},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use chrono::{DateTime, Utc};

use super::{
    erasures,
    manifest::{MANIFEST, Manifest},
    proven,
};
use crate::data_folder::hold;

/// What the name of a backup ends with that is still being written.
const UNFINISHED: &str = "unfinished";

/// The folder of backups.
pub(super) struct Shelf {
    path: PathBuf,
    _alone: File,
}

/// What was taken away.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Removed {
    /// The folders of backups that had expired.
    pub(super) expired: Vec<String>,
    /// Those of which nobody can say whether they have.
    pub(super) unreadable: Vec<String>,
}

impl Shelf {
    /// Opens the folder, and makes it where it is missing.
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let path =
            std::path::absolute(path).with_context(|| format!("resolve {}", path.display()))?;
        private_folder(&path, true)?;
        let alone = hold(&path)?.with_context(|| {
            format!(
                "{} is in use by another backup: wait for it / {} 正被另一个备份使用，请稍候",
                path.display(),
                path.display()
            )
        })?;
        Ok(Self {
            path,
            _alone: alone,
        })
    }

    /// Where it is noted who was erased.
    pub(super) fn erasures(&self) -> PathBuf {
        self.path.join(erasures::FILE)
    }

    /// A folder for a new backup. What an interrupted one left behind goes.
    pub(super) fn begin(&self, taken_at: DateTime<Utc>) -> anyhow::Result<PathBuf> {
        for folder in self.folders()? {
            if folder
                .extension()
                .is_some_and(|ending| ending == UNFINISHED)
            {
                remove(&folder)?;
            }
        }
        let name = taken_at.format("%Y%m%dT%H%M%S%3fZ").to_string();
        let folder = self.path.join(name).with_extension(UNFINISHED);
        private_folder(&folder, false)?;
        Ok(folder)
    }

    /// The backup in a folder is whole: it gets its name.
    pub(super) fn finish(&self, unfinished: &Path) -> anyhow::Result<PathBuf> {
        let folder = unfinished.with_extension("");
        let doing = || format!("make {}", folder.display());
        File::open(unfinished)
            .and_then(|inside| inside.sync_all())
            .with_context(doing)?;
        fs::rename(unfinished, &folder).with_context(doing)?;
        let here = File::open(&self.path).and_then(|here| here.sync_all());
        here.with_context(doing)?;
        Ok(folder)
    }

    /// Takes away the backups that have expired by now.
    pub(super) fn prune(&self, now: DateTime<Utc>) -> anyhow::Result<Removed> {
        let mut removed = Removed::default();
        for folder in self.folders()? {
            let manifest = folder.join(MANIFEST);
            if !manifest.exists() {
                continue;
            }
            let name = folder.file_name().unwrap_or_default();
            let name = name.to_string_lossy().into_owned();
            match proven::read::<Manifest>(&manifest) {
                Ok(manifest) if manifest.expires_at <= now => {
                    remove(&folder)?;
                    removed.expired.push(name);
                }
                Ok(_) => {}
                Err(_) => removed.unreadable.push(name),
            }
        }
        Ok(removed)
    }

    fn folders(&self) -> anyhow::Result<Vec<PathBuf>> {
        let doing = || format!("read {}", self.path.display());
        let mut folders = Vec::new();
        for entry in fs::read_dir(&self.path).with_context(doing)? {
            let path = entry.with_context(doing)?.path();
            if path.is_dir() {
                folders.push(path);
            }
        }
        folders.sort_unstable();
        Ok(folders)
    }
}

fn private_folder(path: &Path, may_be_there: bool) -> anyhow::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(may_be_there).mode(0o700);
    let made = builder.create(path);
    made.with_context(|| format!("make the folder {}", path.display()))
}

fn remove(folder: &Path) -> anyhow::Result<()> {
    fs::remove_dir_all(folder).with_context(|| format!("remove {}", folder.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use chrono::TimeDelta;

    use super::*;
    use crate::backup::manifest::testing;

    fn now() -> DateTime<Utc> {
        "2026-11-23T14:48:22.125Z".parse().unwrap()
    }

    #[test]
    fn a_backup_gets_its_name_when_it_is_whole() {
        let ground = tempfile::tempdir().unwrap();
        let shelf = Shelf::open(&ground.path().join("deep/backups")).unwrap();
        let interrupted = shelf.begin(now()).unwrap();
        let later = now() + TimeDelta::minutes(1);
        let begun = shelf.begin(later).unwrap();
        assert!(!interrupted.exists());
        let finished = shelf.finish(&begun).unwrap();
        assert!(finished.ends_with("20261123T144922125Z"), "{finished:?}");
        let mode = fs::metadata(&finished).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        shelf.begin(now()).unwrap();
        assert!(finished.exists());
    }

    #[test]
    fn only_one_works_there_at_a_time() {
        let ground = tempfile::tempdir().unwrap();
        let first = Shelf::open(ground.path()).unwrap();
        let refused = Shelf::open(ground.path()).err().unwrap().to_string();
        assert!(refused.contains("in use"), "{refused}");
        drop(first);
        assert!(Shelf::open(ground.path()).is_ok());
    }

    #[test]
    fn what_has_expired_goes_and_nothing_else() {
        let ground = tempfile::tempdir().unwrap();
        let shelf = Shelf::open(ground.path()).unwrap();
        for (name, age) in [("old", 30), ("new", 29), ("broken", 40)] {
            testing::empty(&ground.path().join(name), now() - TimeDelta::days(age));
        }
        fs::write(ground.path().join("broken").join(MANIFEST), "{}").unwrap();
        fs::create_dir(ground.path().join("photographs")).unwrap();
        fs::write(shelf.erasures(), "kept").unwrap();
        let removed = shelf.prune(now()).unwrap();
        let expected = Removed {
            expired: vec!["old".to_owned()],
            unreadable: vec!["broken".to_owned()],
        };
        assert_eq!(removed, expected);
        assert!(!ground.path().join("old").exists());
        for kept in ["new", "broken", "photographs", erasures::FILE] {
            assert!(ground.path().join(kept).exists(), "{kept}");
        }
    }
}
