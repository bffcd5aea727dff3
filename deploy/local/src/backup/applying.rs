//! What must be done to a system that was put back, before anybody is served: whoever was erased since is erased again, and no look
//! is on record twice.
//!
//! - [`keys`]: the keys of erased persons are destroyed, all others open.
//! - [`files`]: the registry's log says that they are erased, and their ID numbers are free.
//! - [`feeds`]: departments are asked to erase, and what they were told is gone; [`signals`]: so is what devices sent.
//! - [`looks`]: those that stand in sharing's log already.

mod feeds;
mod files;
mod keys;
mod looks;
mod signals;

use chrono::{DateTime, Utc};
use serde::Serialize;

use self::files::Files;
pub(super) use self::keys::Keys;
use super::{erasures::Erasures, ground::Ground, manifest::Backup};
use crate::output::Progress;

/// The erasures of a restore.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Applied {
    /// Nobody was erased before then who is not among them.
    pub known_until: DateTime<Utc>,
    /// How many there are.
    pub named: usize,
    /// How many elders were there again, and are erased now.
    pub erased: usize,
    /// How many were erased when the backup was taken.
    pub before: usize,
    /// How many the backup does not know: they were registered after it.
    pub unknown: usize,
}

/// Applies erasures. The keys are destroyed by then.
pub(super) async fn apply(
    ground: &Ground,
    backup: &Backup,
    erasures: &Erasures,
    keys: Keys,
    progress: Progress,
) -> anyhow::Result<Applied> {
    looks::drop_moved(ground, backup).await?;
    signals::forget(ground, erasures).await?;
    let files = Files::open(ground).await?;
    let found = files.look_for(erasures).await?;
    if !found.open.is_empty() {
        feeds::begin_here(ground).await?;
        let step = progress.begin("删除 erasing", found.open.len() as u64);
        for (elder, erasure) in &found.open {
            files.erase(*elder, erasure).await?;
            step.advance(1);
        }
        step.done(&format!("{} elders", found.open.len()));
    }
    feeds::erase(ground, keys, progress).await?;
    Ok(Applied {
        known_until: erasures.known_until,
        named: erasures.erased.len(),
        erased: found.open.len(),
        before: found.before,
        unknown: found.unknown,
    })
}
