//! The way to the servers that tiering stands on.

use std::time::Duration;

use anyhow::Context as _;
use async_nats::ConnectOptions;
use eventlog::{Gather, JetStreamLog, OpenError, StreamSettings};
use service::{Settings, settings};
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::codec::CONTEXT;
use crate::settings::TieringSettings;

/// How long the registry's stream is waited for: at a first start the registry may still be making it.
const REGISTRY_PATIENCE: Duration = Duration::from_secs(60);

/// Connects to NATS as the settings say.
pub(crate) async fn nats(settings: &settings::Nats) -> anyhow::Result<async_nats::Client> {
    let mut options = ConnectOptions::new()
        .name(CONTEXT)
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

/// Connects to tiering's database.
pub(crate) async fn postgres(settings: &settings::Postgres) -> anyhow::Result<PgPool> {
    let options: PgConnectOptions = settings.url.expose().parse().context("`postgres.url`")?;
    PgPoolOptions::new()
        .max_connections(settings.max_connections)
        .connect_with(options.application_name(CONTEXT))
        .await
        .with_context(|| format!("PostgreSQL at {}", settings.url))
}

/// Opens our own log.
pub(crate) async fn own_log(
    client: async_nats::Client,
    settings: &Settings,
    own: &TieringSettings,
) -> anyhow::Result<JetStreamLog> {
    let gather = if settings.nats.sync_always {
        Gather::Always
    } else {
        Gather::GroupsOnly
    };
    let stream = StreamSettings {
        replicas: settings.nats.replicas,
        create: own.create_streams,
        ..StreamSettings::of(CONTEXT, gather)
    };
    Ok(JetStreamLog::open(client, stream).await?)
}

/// Opens the registry's log, which only the registry makes and writes.
pub(crate) async fn registry_log(client: async_nats::Client) -> anyhow::Result<JetStreamLog> {
    let opening = async {
        loop {
            let stream = StreamSettings {
                create: false,
                ..StreamSettings::of("registry", Gather::GroupsOnly)
            };
            match JetStreamLog::open(client.clone(), stream).await {
                Err(OpenError::Absent(_)) => tokio::time::sleep(Duration::from_millis(200)).await,
                opened => return opened,
            }
        }
    };
    let opened = tokio::time::timeout(REGISTRY_PATIENCE, opening).await;
    Ok(opened.context("the registry has not made its stream yet: start the registry first")??)
}
