//! `rotate-keys`: all persons' keys wrapped under a new key-encryption key; the log is not touched.

use std::path::Path;

use anyhow::Context as _;
use proto::eldercare::registry::v1::RotateKeysRequest;
use serde::Serialize;

use crate::{
    client::{Client, in_words},
    connection::ConnectionFile,
    keys::Keys,
    output::{Progress, Report, Step},
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
}

/// Wraps all persons' keys under the next key-encryption key, and destroys the former one. Where a system runs, it does
/// the work itself and wraps new keys under the new one at once. What was interrupted goes on.
///
/// # Errors
/// A running system that was rotated under already, or keys that can't be rewrapped.
pub async fn rotate_keys(
    workplace: &Workplace,
    path: &Path,
    progress: Progress,
) -> anyhow::Result<Rotated> {
    let folder = workplace.key_folder(path);
    let keys = if workplace.keys.is_turning() {
        workplace.keys.clone()
    } else {
        if let Some(running) = &workplace.running
            && running.kek_id != workplace.keys.kek_id
        {
            anyhow::bail!(
                "the keys were rotated since the system started, and it does not know a further key: start it again first \
                 / 系统启动后已轮换过密钥：请先重启系统再轮换"
            );
        }
        workplace.keys.turned()
    };
    // Before the first key is wrapped under it: who starts in the middle must know both.
    keys.write(folder)?;
    let step = progress.begin("轮换 wrapping keys anew", 1);
    let rewrapped = match &workplace.running {
        Some(running) => by_the_system(running, &keys, &step).await,
        None => here(workplace, &keys, &step).await,
    };
    let rewrapped = rewrapped.context(
        "some keys may still be under the former key-encryption key, which stays in keys.toml: try again",
    )?;
    step.done(&format!("{rewrapped} keys"));
    keys.forget_old().write(folder)?;
    Ok(Rotated {
        kek_id: keys.kek_id,
        rewrapped,
    })
}

/// The running system wraps new keys under the new one before it begins with the others: nobody who registers meanwhile
/// or afterwards is left under the former one.
async fn by_the_system(running: &ConnectionFile, keys: &Keys, step: &Step) -> anyhow::Result<u64> {
    let request = RotateKeysRequest {
        key_encryption_key: keys.kek_id.clone(),
    };
    let told = Client::new(&running.connection())?
        .vault()
        .rotate_keys(request)
        .await;
    let mut told = told.map_err(|status| in_words(&status))?.into_inner();
    while let Some(progress) = told.message().await.map_err(|status| in_words(&status))? {
        step.at(
            progress.keys_examined.cast_unsigned(),
            progress.keys_total.cast_unsigned(),
        );
        if progress.done {
            return Ok(progress.keys_rewrapped.cast_unsigned());
        }
    }
    anyhow::bail!("the system went down before all keys were wrapped anew / 系统在轮换完成前停止")
}

async fn here(workplace: &Workplace, keys: &Keys, step: &Step) -> anyhow::Result<u64> {
    let common = workplace.loader.load::<()>()?.common;
    let settings = settings_of("registry", &common, &workplace.servers, keys)?;
    let vault = workplace.services().await?.registry.vault();
    let done = vault
        .rotate(registry::key_ring(&settings)?, |told| {
            step.at(told.examined, told.total)
        })
        .await?;
    Ok(done.rewrapped)
}

impl Report for Rotated {
    fn text(&self) -> String {
        format!(
            "已轮换 {} keys were wrapped anew; all are under {} now, also those of people who are registered from now on. \
             The former key is destroyed.",
            self.rewrapped, self.kek_id
        )
    }
}
