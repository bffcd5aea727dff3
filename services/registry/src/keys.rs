//! The keys of persons, which the registry owns, and the keys that an operator configured to wrap them and to look persons up.

use std::{collections::BTreeMap, sync::Arc};

use anyhow::{Context as _, bail};
use async_nats::jetstream;
use serde::{Deserialize as _, de::value::StrDeserializer};
use service::{Secret, Settings};
use vault::{
    Algorithm, BlindIndex, JetStreamKeyStore, KeyRing, KeyStream, KeysConfig, Mode, SecretKey,
    Vault, VaultOptions,
};

/// Opens the vault, which the registry owns, over a connection to the log's server.
///
/// # Errors
/// A key or a cipher that is missing or malformed; where the server does not answer, or the stream is missing or could lose keys.
pub async fn vault(client: async_nats::Client, settings: &Settings) -> anyhow::Result<Vault> {
    let gather = if settings.nats.sync_always {
        vault::Gather::Always
    } else {
        vault::Gather::Never
    };
    let stream = KeyStream {
        replicas: settings.nats.replicas,
        gather,
        create: settings.nats.create_streams,
        ..KeyStream::default()
    };
    let store = JetStreamKeyStore::open(jetstream::new(client), stream).await?;
    let options = VaultOptions {
        algorithm: algorithm(&settings.vault.algorithm)?,
        remembered: settings.vault.remembered_keys,
        ..VaultOptions::default()
    };
    Ok(Vault::new(Arc::new(store), key_ring(settings)?, options))
}

fn algorithm(name: &str) -> anyhow::Result<Algorithm> {
    match name {
        "sm4-gcm" => Ok(Algorithm::Sm4Gcm),
        "aes-256-gcm" => Ok(Algorithm::Aes256Gcm),
        _ => bail!("`vault.algorithm` is `sm4-gcm` or `aes-256-gcm`"),
    }
}

fn mode(settings: &Settings) -> Mode {
    if settings.is_local() {
        Mode::Local
    } else {
        Mode::Production
    }
}

/// The key-encryption keys; the well-known one in local mode only.
///
/// # Errors
/// Where a key is missing, malformed, or well-known outside local mode.
pub fn key_ring(settings: &Settings) -> anyhow::Result<KeyRing> {
    let vault = &settings.vault;
    let config = match &vault.kek {
        Some(kek) => keys("vault.kek", (&vault.kek_id, kek), &vault.previous_keks)?,
        None if settings.is_local() => KeyRing::local_default_config(),
        None => bail!("`vault.kek` is missing: configure 32 random bytes in Base64"),
    };
    Ok(KeyRing::from_config(&config, mode(settings))?)
}

/// The keys of lookups and request digests; the well-known one in local mode only.
///
/// # Errors
/// Where a key is missing, malformed, or well-known outside local mode.
pub fn blind_index(settings: &Settings) -> anyhow::Result<BlindIndex> {
    let vault = &settings.vault;
    let config = match &vault.index_key {
        Some(key) => keys(
            "vault.index_key",
            (&vault.index_key_id, key),
            &vault.previous_index_keys,
        )?,
        None if settings.is_local() => BlindIndex::local_default_config(),
        None => bail!("`vault.index_key` is missing: configure 32 random bytes in Base64"),
    };
    Ok(BlindIndex::from_config(&config, mode(settings))?)
}

fn keys(
    what: &str,
    current: (&String, &Secret),
    previous: &BTreeMap<String, Secret>,
) -> anyhow::Result<KeysConfig> {
    let mut config = KeysConfig {
        current: current.0.clone(),
        keys: BTreeMap::new(),
    };
    for (name, secret) in previous.iter().chain([current]) {
        let text = StrDeserializer::<serde::de::value::Error>::new(secret.expose());
        let key =
            SecretKey::deserialize(text).with_context(|| format!("`{what}`: the key {name}"))?;
        config.keys.insert(name.clone(), key);
    }
    Ok(config)
}
