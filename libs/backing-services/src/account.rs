//! The account under which PostgreSQL runs: our own, or a powerless one when we are the administrator, as it insists.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, lchown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{Error, While};

/// User and group "nobody", which every system knows by this number and which owns nothing.
const NOBODY: u32 = 65_534;

/// Who runs a program and owns its files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Account {
    /// The account of this process.
    Ours,
    /// A powerless one: this process is root.
    Nobody,
}

impl Account {
    /// The account for PostgreSQL.
    pub(crate) fn for_postgres() -> Result<Self, Error> {
        // A file tells who made it, which spares us an unsafe call for the user id.
        let made = tempfile::tempfile()
            .and_then(|file| file.metadata())
            .doing(|| "make a temporary file")?;
        Ok(if made.uid() == 0 {
            Self::Nobody
        } else {
            Self::Ours
        })
    }

    /// Lets the command run under this account. The standard library drops the supplementary groups too.
    pub(crate) fn run(self, command: &mut Command) -> &mut Command {
        match self {
            Self::Ours => command,
            // The folder we stand in may be closed to that account.
            Self::Nobody => command.uid(NOBODY).gid(NOBODY).current_dir("/"),
        }
    }

    /// Gives the account this one file or folder.
    pub(crate) fn own(self, path: &Path) -> io::Result<()> {
        match self {
            Self::Ours => Ok(()),
            Self::Nobody => lchown(path, Some(NOBODY), Some(NOBODY)),
        }
    }

    /// True if the account may enter every folder down to `path` (or down to the deepest that exists).
    pub(crate) fn reaches(self, path: &Path) -> bool {
        match self {
            Self::Ours => true,
            Self::Nobody => {
                let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
                path.ancestors().all(|folder| match fs::metadata(folder) {
                    Ok(found) => {
                        let needed = if found.uid() == NOBODY { 0o100 } else { 0o001 };
                        found.mode() & needed != 0
                    }
                    Err(_) => true,
                })
            }
        }
    }

    /// Where the files of this account for `wanted` really lie.
    ///
    /// Under a parent that the account can't enter (a checkout in /root, say) they are kept in `/var/lib/eldercare`,
    /// and `wanted` becomes a link to them: whoever removes the link starts afresh.
    pub(crate) fn settle(self, wanted: &Path) -> Result<PathBuf, Error> {
        if let Ok(target) = fs::read_link(wanted) {
            return if self.reaches(&target) {
                Ok(target)
            } else {
                Err(Error::Unreachable { path: target })
            };
        }
        if self.reaches(wanted) {
            return Ok(wanted.to_owned());
        }
        if wanted.exists() {
            return Err(Error::Unreachable {
                path: wanted.to_owned(),
            });
        }
        let elsewhere = open_ground()?.join(format!("{:016x}", rand::random::<u64>()));
        let name = wanted.file_name().unwrap_or(wanted.as_os_str());
        let target = elsewhere.join(name);
        let making = || format!("make the folder {}", elsewhere.display());
        fs::create_dir(&elsewhere)
            .and_then(|()| open_to_all(&elsewhere))
            .doing(making)?;
        std::os::unix::fs::symlink(&target, wanted)
            .doing(|| format!("link {}", wanted.display()))?;
        tracing::info!(
            folder = %wanted.display(), kept_in = %target.display(),
            "PostgreSQL can't run as root and its account can't enter the data folder: its files are kept elsewhere"
        );
        Ok(target)
    }
}

/// A folder of root's that everyone may enter, for what must be reached by the powerless account.
pub(crate) fn open_ground() -> Result<PathBuf, Error> {
    let candidates = [
        PathBuf::from("/var/lib/eldercare"),
        "/var/tmp/eldercare-root".into(),
        std::env::temp_dir().join("eldercare-root"),
    ];
    for folder in &candidates {
        let made = DirBuilder::new().recursive(true).mode(0o755).create(folder);
        // A stranger's folder of that name in a shared place could be swapped under us.
        let safe = made.is_ok()
            && fs::symlink_metadata(folder).is_ok_and(|it| it.is_dir() && it.uid() == 0);
        if safe
            && fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).is_ok()
            && Account::Nobody.reaches(folder)
        {
            return Ok(folder.clone());
        }
    }
    let [first, ..] = candidates;
    Err(Error::Unreachable { path: first })
}

/// Copies a folder with all it holds; the copy belongs to `owner`, and `open` makes it readable by everyone.
pub(crate) fn copy_folder(from: &Path, to: &Path, owner: Account, open: bool) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        let kind = entry.file_type()?;
        if kind.is_dir() {
            copy_folder(&entry.path(), &target, owner, open)?;
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(entry.path())?, &target)?;
            owner.own(&target)?;
        } else {
            fs::copy(entry.path(), &target)?;
            if open {
                open_to_all(&target)?;
            }
            owner.own(&target)?;
        }
    }
    fs::set_permissions(to, fs::metadata(from)?.permissions())?;
    if open {
        open_to_all(to)?;
    }
    owner.own(to)
}

/// Lets everyone read a file, enter a folder, and run what its owner may run; nobody may write but the owner.
pub(crate) fn open_to_all(path: &Path) -> io::Result<()> {
    let mode = fs::metadata(path)?.mode();
    let shared = if mode & 0o100 != 0 { 0o755 } else { 0o644 };
    fs::set_permissions(path, fs::Permissions::from_mode(shared))
}

/// Opens a whole folder to every reader, whatever umask it was made under.
pub(crate) fn open_folder(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            open_folder(&entry.path())?;
        } else if kind.is_file() {
            open_to_all(&entry.path())?;
        }
    }
    open_to_all(folder)
}
