//! A folder that lasts as long as the server that works in it.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

use crate::account::{Account, open_ground};
use crate::error::{Error, While};

/// Makes an empty folder for a test's server, which that server's supervisor removes at the end.
pub(crate) fn folder(account: Account) -> Result<PathBuf, Error> {
    let temporary = std::env::temp_dir();
    let base = if account.reaches(&temporary) {
        temporary
    } else {
        open_ground()?
    };
    let folder = base.join(format!("eldercare-test-{:016x}", rand::random::<u64>()));
    let making = || format!("make the folder {}", folder.display());
    DirBuilder::new()
        .mode(0o700)
        .create(&folder)
        .doing(making)?;
    account.own(&folder).doing(making)?;
    Ok(folder)
}
