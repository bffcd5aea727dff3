//! `rotate-keys`: all persons' keys wrapped under a new key-encryption key; the log is not touched.

use std::path::Path;

use anyhow::Context as _;
use proto::eldercare::registry::v1::RotateKeysRequest;
use serde::Serialize;

use crate::{
    client::{Client, in_words},
    connection::ConnectionFile,
    installation::{Installation, KEYS},
    keys::Keys,
    output::{Progress, Report, Step},
    place::Place,
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
    /// Former key-encryption keys that are needed no more, and that an operator takes out of the settings. Those of a data folder
    /// are destroyed.
    pub former: Vec<String>,
}

/// Wraps all persons' keys under another key-encryption key. What was interrupted goes on.
///
/// # Errors
/// Settings that are missing or wrong, a running system that was rotated under already, or keys that can't be rewrapped.
pub async fn rotate_keys(place: &Place, progress: Progress) -> anyhow::Result<Rotated> {
    match place {
        Place::Folder(workplace, path) => of_folder(workplace, path, progress).await,
        Place::Elsewhere(installation) => of_installation(installation, progress).await,
    }
}

/// Under the next key of a data folder; the former one is destroyed. Where a system runs, it does the work itself and wraps new
/// keys under the new one at once.
async fn of_folder(
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
        former: Vec::new(),
    })
}

/// Under the key that the registry of an installation has from now on by its settings, as all of its replicas have to have by
/// then: a key that one of them wraps under a former one meanwhile is found only by doing it again.
async fn of_installation(
    installation: &Installation,
    progress: Progress,
) -> anyhow::Result<Rotated> {
    let (ring, settings) = installation.key_ring()?;
    let client = installation.log_server(KEYS, &settings.nats).await?;
    let vault = registry::open_vault(client, &settings).await?;
    let step = progress.begin("轮换 wrapping keys anew", 1);
    let done = vault
        .rotate(ring, |told| step.at(told.examined, told.total))
        .await
        .context(
            "some keys may still be under a former key-encryption key: leave it in vault.previous_keks, and try again",
        )?;
    step.done(&format!("{} keys", done.rewrapped));
    let kek_id = settings.vault.kek_id;
    let former = settings.vault.previous_keks.into_keys();
    Ok(Rotated {
        former: former.filter(|former| *former != kek_id).collect(),
        kek_id,
        rewrapped: done.rewrapped,
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
        let Self {
            kek_id,
            rewrapped,
            former,
        } = self;
        if former.is_empty() {
            return format!(
                "已轮换 {rewrapped} keys were wrapped anew; all are under {kek_id} now, also those of people who are registered \
                 from now on, and no former key is left."
            );
        }
        let former = former.join(", ");
        if *rewrapped > 0 {
            format!(
                "已轮换 {rewrapped} keys were wrapped anew under {kek_id}. Run this again: once it wraps none, {former} can go out \
                 of the settings (vault.previous_keks) / 请再次执行，直至无密钥需要轮换，再移除 {former}"
            )
        } else {
            format!(
                "已轮换 All keys are under {kek_id}: {former} can go out of the settings (vault.previous_keks), where every replica \
                 of the registry has {kek_id} / 可从设置中移除 {former}"
            )
        }
    }
}
