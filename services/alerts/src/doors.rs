//! Lets registered devices in to the NATS server, over NATS or MQTT, each to publish on its own subject and nothing else; and
//! shows those out that are retired.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use async_trait::async_trait;
use nats_access::{
    Admission, AuthCallout, CalloutSettings, Connections, Credentials as Shown, DEPARTMENT_USERS,
    Grant, Offered, Protocol, Relay, RelaySettings, Unavailable, inbox_prefix,
};
use service::settings::NatsDoors;
use service::{Secret, Settings, connections};
use sqlx::PgPool;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::credentials::Credentials;
use crate::devices::registration;
use crate::signal::DeviceId;
use crate::signals::{DEVICES, STREAM, subject_of};

/// How many devices are shown out at once.
const AT_ONCE: usize = 64;

/// What devices who speak NATS publish to.
#[must_use]
pub fn offered() -> [Offered; 1] {
    [Offered::one(DEVICES)]
}

/// The ways to the server that letting in and showing out need.
#[derive(Clone)]
pub struct Doors {
    client: async_nats::Client,
    system: async_nats::Client,
    access: NatsDoors,
    replicas: usize,
}

impl std::fmt::Debug for Doors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Doors")
    }
}

impl Doors {
    /// Connects to the system account.
    ///
    /// # Errors
    /// Where the server does not answer, or refuses.
    pub async fn connect(
        client: async_nats::Client,
        settings: &Settings,
        access: &NatsDoors,
    ) -> anyhow::Result<Self> {
        let system = access.system(&settings.nats);
        let system = connections::nats("alerts-doors", &system).await;
        Ok(Self {
            client,
            system: system.context("alerts.devices.system_user")?,
            access: access.clone(),
            replicas: settings.nats.replicas,
        })
    }

    /// What answers the server's questions, and what stands behind its acknowledgements of MQTT.
    pub(crate) fn open(
        &self,
        pool: PgPool,
        credentials: Credentials,
    ) -> anyhow::Result<(Relay, AuthCallout)> {
        let relay = RelaySettings {
            replicas: self.replicas,
            ..RelaySettings::new(STREAM, DEVICES)
        };
        let relay = Relay::new(self.client.clone(), relay);
        let sealing = self.access.sealing_seed.as_ref().map(Secret::expose);
        let settings = CalloutSettings::from_seeds(self.access.issuer_seed.expose(), sealing)?;
        let register = DeviceRegister {
            pool,
            credentials,
            admitted_for: self.access.admitted_for,
        };
        let callout = AuthCallout::new(self.client.clone(), settings, Arc::new(register));
        let callout = callout.mqtt_only_while(relay.standing());
        Ok((relay, callout))
    }

    /// Shows out whoever is named, until stopped.
    pub(crate) async fn show_out(
        self,
        retired: mpsc::UnboundedReceiver<DeviceId>,
        stopped: CancellationToken,
    ) {
        let user = |device: &DeviceId| device.as_str().to_owned();
        let after = |_device: DeviceId, ended: usize| async move {
            if ended > 0 {
                tracing::info!(ended, "connections of a retired device were closed");
            }
        };
        Connections::new(self.system)
            .show_out(retired, AT_ONCE, user, after, stopped)
            .await;
    }
}

/// The register of devices, as the server asks it.
struct DeviceRegister {
    pool: PgPool,
    credentials: Credentials,
    admitted_for: Duration,
}

#[async_trait]
impl Admission for DeviceRegister {
    /// With all users but departments, of whom sharing says who they are.
    fn concerns(&self, user: &str) -> bool {
        !user.starts_with(DEPARTMENT_USERS)
    }

    async fn admit(&self, shown: &Shown) -> Result<Option<Grant>, Unavailable> {
        let Ok(device) = shown.user.parse::<DeviceId>() else {
            return Ok(None);
        };
        // Another's id would end its connection.
        if let Protocol::Mqtt { client_id } = &shown.protocol {
            let rest = client_id.strip_prefix(device.as_str());
            if !rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(':')) {
                return Ok(None);
            }
        }
        let registered = registration(&self.pool, &device).await;
        let registered = registered.map_err(|error| Unavailable(error.into()))?;
        let admitted = registered.is_some_and(|registered| {
            self.credentials
                .admits(&device, registered, &shown.password)
        });
        Ok(admitted.then(|| Grant {
            publish: vec![subject_of(&device)],
            subscribe: vec![format!("{}.>", inbox_prefix(device.as_str()))],
            expires_in: Some(self.admitted_for),
            ..Grant::new(device.as_str())
        }))
    }
}
