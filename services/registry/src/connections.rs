//! The way to the servers that the registry stands on, and the keys that an operator configured.

use std::{collections::BTreeMap, sync::Arc};

use anyhow::{Context as _, bail};
use async_nats::{ConnectOptions, jetstream};
use eventlog::{JetStreamLog, StreamSettings};
use serde::{Deserialize as _, de::value::StrDeserializer};
use service::{Secret, Settings, settings};
use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use vault::{
    Algorithm, BlindIndex, JetStreamKeyStore, KeyRing, KeyStream, KeysConfig, Mode, SecretKey,
    Vault, VaultOptions,
};

use crate::settings::RegistrySettings;

/// The context whose stream the registry writes.
const CONTEXT: &str = "registry";

/// Connects to NATS as the settings say.
pub(crate) async fn nats(settings: &settings::Nats) -> anyhow::Result<async_nats::Client> {
    let mut options = ConnectOptions::new()
        .name("registry")
        .retry_on_initial_connect();
    if let Some(file) = &settings.credentials_file {
        options = options
            .credentials_file(file)
            .await
            .context("the NATS credentials file")?;
    }
    if let (Some(user), Some(password)) = (&settings.user, &settings.password) {
        options = options.user_and_password(user.clone(), password.expose().to_owned());
    }
    if let Some(authority) = &settings.tls_ca {
        options = options
            .add_root_certificates(authority.clone())
            .require_tls(true);
    }
    if let Some(prefix) = &settings.inbox_prefix {
        options = options.custom_inbox_prefix(prefix.clone());
    }
    let servers = settings
        .url
        .expose()
        .split(',')
        .map(|server| server.trim().parse::<async_nats::ServerAddr>())
        .collect::<Result<Vec<_>, _>>()
        .context("`nats.url`")?;
    let client = options
        .connect(servers)
        .await
        .with_context(|| format!("NATS at {}", settings.url))?;
    // Connecting goes on behind; the first answer says that the server is there.
    client
        .flush()
        .await
        .with_context(|| format!("NATS at {}", settings.url))?;
    Ok(client)
}

/// Connects to the registry's database.
pub(crate) async fn postgres(settings: &settings::Postgres) -> anyhow::Result<PgPool> {
    let options: PgConnectOptions = settings.url.expose().parse().context("`postgres.url`")?;
    PgPoolOptions::new()
        .max_connections(settings.max_connections)
        .connect_with(options.application_name("registry"))
        .await
        .with_context(|| format!("PostgreSQL at {}", settings.url))
}

/// Opens the registry's log.
pub(crate) async fn log(
    client: async_nats::Client,
    settings: &Settings,
    own: &RegistrySettings,
) -> anyhow::Result<JetStreamLog> {
    let gather = if settings.nats.sync_always {
        eventlog::Gather::Always
    } else {
        eventlog::Gather::GroupsOnly
    };
    let stream = StreamSettings {
        replicas: settings.nats.replicas,
        create: own.create_streams,
        ..StreamSettings::of(CONTEXT, gather)
    };
    Ok(JetStreamLog::open(client, stream).await?)
}

/// Opens the vault, which the registry owns.
pub(crate) async fn vault(
    client: async_nats::Client,
    settings: &Settings,
    own: &RegistrySettings,
) -> anyhow::Result<Vault> {
    let gather = if settings.nats.sync_always {
        vault::Gather::Always
    } else {
        vault::Gather::Never
    };
    let stream = KeyStream {
        replicas: settings.nats.replicas,
        gather,
        ..KeyStream::default()
    };
    let store = JetStreamKeyStore::open(jetstream::new(client), stream).await?;
    let options = VaultOptions {
        algorithm: algorithm(&settings.vault.algorithm)?,
        remembered: own.remembered_keys,
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
            &BTreeMap::new(),
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
