//! A folder that lasts as long as the server that works in it.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::account::{Account, open_ground};
use crate::error::{Error, While};

/// Where Linux keeps files in memory. A new PostgreSQL consists of a thousand small files: 0.1 s here, 1 s on a disk.
const IN_MEMORY: &str = "/dev/shm";

/// How much must be free there (4 GiB, in KiB): containers often have only 64 MiB.
const ROOM: u64 = 4 << 20;

/// Makes an empty folder for a test's server, which that server's supervisor removes at the end.
pub(crate) fn folder(account: Account) -> Result<PathBuf, Error> {
    let temporary = std::env::temp_dir();
    let base = if account.reaches(&temporary) {
        temporary
    } else {
        open_ground()?
    };
    folder_in(&base, account)
}

/// As [`folder`], but in memory where there is room: for many small files that never grow large.
pub(crate) fn fast_folder(account: Account) -> Result<PathBuf, Error> {
    let memory = Path::new(IN_MEMORY);
    if free_kibibytes(memory).is_some_and(|free| free >= ROOM)
        && account.reaches(memory)
        && let Ok(folder) = folder_in(memory, account)
    {
        return Ok(folder);
    }
    folder(account)
}

fn folder_in(base: &Path, account: Account) -> Result<PathBuf, Error> {
    let folder = base.join(format!("eldercare-test-{:016x}", rand::random::<u64>()));
    let making = || format!("make the folder {}", folder.display());
    DirBuilder::new()
        .mode(0o700)
        .create(&folder)
        .doing(making)?;
    account.own(&folder).doing(making)?;
    Ok(folder)
}

fn free_kibibytes(folder: &Path) -> Option<u64> {
    let told = Command::new("df")
        .arg("-Pk")
        .arg(folder)
        .env("LC_ALL", "C")
        .output()
        .ok()?;
    String::from_utf8_lossy(&told.stdout)
        .lines()
        .nth(1)?
        .split_whitespace()
        .nth(3)?
        .parse()
        .ok()
}
