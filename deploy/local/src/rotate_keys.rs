//! `rotate-keys`: all persons' keys wrapped under a new key-encryption key; the log is not touched.

use std::path::Path;

use anyhow::Context as _;
use serde::Serialize;

use crate::{
    output::{Progress, Report},
    system::settings_of,
    workplace::Workplace,
};

/// What `rotate-keys` did.
#[derive(Debug, Serialize)]
pub struct Rotated {
    /// The key-encryption key that all persons' keys are wrapped under now.
    pub kek_id: String,
    /// Keys that were wrapped anew.
    pub rewrapped: u64,
    /// Whether the running system still wraps new keys under the old one, until it is started again.
    pub restart_needed: bool,
}

/// Wraps all persons' keys under the next key-encryption key. A running system knows that one already.
///
/// # Errors
/// A running system that was rotated under already, or keys that can't be rewrapped.
pub async fn rotate_keys(
    workplace: &Workplace,
    path: &Path,
    progress: Progress,
) -> anyhow::Result<Rotated> {
    let folder = workplace.key_folder(path);
    if let Some(running) = &workplace.running
        && running.kek_id != workplace.keys.kek_id
    {
        anyhow::bail!(
            "the keys were rotated since the system started, and it does not know a further key: start it again first \
             / 系统启动后已轮换过密钥：请先重启系统再轮换"
        );
    }
    let keys = workplace.keys.turned();
    // Before the first key is wrapped under it: who starts in the middle must know both.
    keys.write(folder)?;
    let common = workplace.loader.load::<()>()?.common;
    let settings = settings_of("registry", &common, &workplace.servers, &keys)?;
    let registry = workplace.services().await?.registry;
    let step = progress.begin("轮换 wrapping keys anew", 1);
    let done = registry
        .vault()
        .rotate(registry::key_ring(&settings)?, |told| {
            step.at(told.examined, told.total)
        })
        .await
        .context(
            "some keys are still under the old key-encryption key, which stays in keys.toml",
        )?;
    step.done(&format!("{} keys", done.rewrapped));
    let restart_needed = workplace.running.is_some();
    // The running system wraps new persons' keys under the one that it knows as current.
    let still_used = if restart_needed {
        Some(workplace.keys.kek_id.as_str())
    } else {
        None
    };
    keys.forget_old(still_used).write(folder)?;
    Ok(Rotated {
        kek_id: keys.kek_id,
        rewrapped: done.rewrapped,
        restart_needed,
    })
}

impl Report for Rotated {
    fn text(&self) -> String {
        let mut text = format!(
            "已轮换 {} keys were wrapped anew; all are under {} now.",
            self.rewrapped, self.kek_id
        );
        if self.restart_needed {
            text.push_str(
                "\n运行中的系统重启后才会用新密钥 The running system wraps new persons' keys under the old one until it is \
                 started again; keys.toml keeps that until the next rotation.",
            );
        }
        text
    }
}
