//! A server with a stream of signals, two users of services, and a register of devices.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_nats::{Client, ConnectOptions, Event, jetstream};
use async_trait::async_trait;
use backing_services::{Nats, Syncing, testing};
use nats_access::{
    Admission, AuthCallout, CalloutSettings, Connections, Credentials, Grant, Issuer, Offered,
    Permissions, Relay, RelaySettings, SealingKey, ServerAccess, Standing, Unavailable, User,
    inbox_prefix,
};
use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::mqtt::Mqtt;

/// Of everybody.
pub(crate) const PASSWORD: &str = "a \"secret\" with $ and \\";

/// The devices that may publish.
#[derive(Default)]
pub(crate) struct Register {
    /// By name; what they may beyond the usual.
    devices: Mutex<HashMap<String, Grant>>,
    pub(crate) away: AtomicBool,
    /// What was shown last.
    pub(crate) shown: Mutex<Option<Credentials>>,
}

impl Register {
    pub(crate) fn add(&self, device: &str) {
        self.add_with(device, |_| {});
    }

    pub(crate) fn add_with(&self, device: &str, change: impl FnOnce(&mut Grant)) {
        let mut grant = Grant::new(device);
        grant.publish = vec![format!("eldercare.signals.{device}")];
        grant.subscribe = vec![format!("{}.>", inbox_prefix(device))];
        change(&mut grant);
        self.devices
            .lock()
            .unwrap()
            .insert(device.to_owned(), grant);
    }

    pub(crate) fn retire(&self, device: &str) {
        self.devices.lock().unwrap().remove(device);
    }
}

#[async_trait]
impl Admission for Register {
    async fn admit(&self, credentials: &Credentials) -> Result<Option<Grant>, Unavailable> {
        if self.away.load(Ordering::Relaxed) {
            return Err(Unavailable("no register".into()));
        }
        self.shown.lock().unwrap().replace(credentials.clone());
        let devices = self.devices.lock().unwrap();
        let known = devices.get(&credentials.user).cloned();
        Ok(known.filter(|_| credentials.password == PASSWORD))
    }
}

/// The server, and the service that stands before it.
pub(crate) struct Place {
    pub(crate) nats: Nats,
    pub(crate) register: Arc<Register>,
    /// A service that may do everything.
    pub(crate) operator: Client,
    /// The service that answers and relays, with just the permissions for that.
    pub(crate) service: Client,
    pub(crate) connections: Connections,
    issuer: Issuer,
    sealing: Option<SealingKey>,
}

impl Place {
    pub(crate) async fn new() -> Self {
        Self::with(None, Syncing::EveryTwoMinutes).await
    }

    pub(crate) async fn with(sealing: Option<SealingKey>, syncing: Syncing) -> Self {
        let issuer = Issuer::generate();
        let user = |name: &str, permissions| User {
            name: name.to_owned(),
            password: PASSWORD.to_owned(),
            permissions,
        };
        let ours = Permissions::of_callout_and_relay(&relayed(), &inbox_prefix("alerts"));
        let services = vec![user("operator", None), user("alerts", Some(ours))];
        let mut access = ServerAccess::new(services, user("system", None), issuer.public_key());
        access.sealing = sealing.as_ref().map(SealingKey::public_key);
        access.offered = vec![Offered::one("eldercare.signals.*")];
        let nats = testing::own_nats_with(|options| {
            options.configuration = access.server_configuration();
            options.mqtt_port = Some(0);
            options.syncing = syncing;
        })
        .await;
        let operator = connect(&nats, "operator").await.unwrap();
        let signals = jetstream::stream::Config {
            name: "SIGNALS".to_owned(),
            subjects: vec![
                "eldercare.signals.*".to_owned(),
                "eldercare.signals.*.arrived".to_owned(),
            ],
            allow_direct: true,
            ..Default::default()
        };
        let server = jetstream::new(operator.clone());
        server.create_stream(signals).await.unwrap();
        Self {
            service: connect(&nats, "alerts").await.unwrap(),
            connections: Connections::new(connect_with("_INBOX", &nats, "system").await.unwrap()),
            register: Arc::default(),
            operator,
            nats,
            issuer,
            sealing,
        }
    }

    /// Answers the server's questions until the guard is dropped.
    pub(crate) async fn answer(&self, standing: Option<Standing>) -> DropGuard {
        let admission = Arc::clone(&self.register) as Arc<dyn Admission>;
        let mut callout =
            AuthCallout::new(self.service.clone(), self.settings("devices"), admission);
        if let Some(standing) = standing {
            callout = callout.mqtt_only_while(standing);
        }
        let answering = answer_with(callout).await;
        // The server may not have heard yet that it can ask.
        self.register.add("probe");
        self.let_in_over_nats("probe").await;
        answering
    }

    /// Another service answers too, as this admission says, until the guard is dropped.
    pub(crate) async fn answer_beside(
        &self,
        group: &str,
        admission: Arc<dyn Admission>,
    ) -> DropGuard {
        let callout = AuthCallout::new(self.operator.clone(), self.settings(group), admission);
        answer_with(callout).await
    }

    fn settings(&self, group: &str) -> CalloutSettings {
        let sealing = self.sealing.as_ref();
        CalloutSettings {
            sealing: sealing.map(|key| key.seed().parse().unwrap()),
            group: group.to_owned(),
            ..CalloutSettings::new(self.issuer.seed().parse().unwrap())
        }
    }

    /// Relays until the guard is dropped.
    pub(crate) fn relay(&self) -> (Standing, DropGuard) {
        let relay = Relay::new(self.service.clone(), relayed());
        let standing = relay.standing();
        let stopped = CancellationToken::new();
        tokio::spawn(relay.run(stopped.clone()));
        (standing, stopped.drop_guard())
    }

    /// Answers and relays; returns when somebody listens at the door.
    pub(crate) async fn open(&self) -> [DropGuard; 2] {
        let (standing, relaying) = self.relay();
        let answering = self.answer(Some(standing)).await;
        [relaying, answering]
    }

    pub(crate) async fn device(&self, name: &str) -> std::io::Result<Mqtt> {
        Mqtt::connect(self.nats.mqtt_port().unwrap(), name, PASSWORD).await
    }

    /// A device that is let in, be it that a busy machine answers too late at first.
    pub(crate) async fn let_in(&self, name: &str) -> Mqtt {
        loop {
            if let Ok(device) = self.device(name).await {
                return device;
            }
        }
    }

    /// The same over NATS.
    pub(crate) async fn let_in_over_nats(&self, name: &str) -> Client {
        loop {
            if let Ok(client) = self.over_nats(name).await {
                return client;
            }
        }
    }

    pub(crate) async fn over_nats(&self, name: &str) -> Result<Client, async_nats::ConnectError> {
        connect(&self.nats, name).await
    }

    /// A client over NATS that goes on trying, and what becomes of its connection.
    pub(crate) async fn watched(&self, name: &str) -> (Client, UnboundedReceiver<Event>) {
        let (told, events) = mpsc::unbounded_channel();
        let client = ConnectOptions::with_user_and_password(name.to_owned(), PASSWORD.to_owned())
            .event_callback(move |event| {
                told.send(event).unwrap_or_default();
                async {}
            })
            .connect(self.nats.url())
            .await
            .unwrap();
        (client, events)
    }

    /// The signals that are stored, as subject and text.
    pub(crate) async fn signals(&self) -> Vec<(String, String)> {
        use futures::StreamExt as _;
        let server = jetstream::new(self.operator.clone());
        let stream = server.get_stream("SIGNALS").await.unwrap();
        let messages = usize::try_from(stream.cached_info().state.messages).unwrap();
        let config = jetstream::consumer::pull::OrderedConfig::default();
        let consumer = stream.create_consumer(config).await.unwrap();
        let stored = consumer.messages().await.unwrap().take(messages);
        stored
            .map(|message| {
                let message = message.unwrap();
                let text = String::from_utf8(message.payload.to_vec()).unwrap();
                (message.subject.to_string(), text)
            })
            .collect()
            .await
    }
}

/// Answers until the guard is dropped.
async fn answer_with(callout: AuthCallout) -> DropGuard {
    let stopped = CancellationToken::new();
    let ready = callout.ready();
    tokio::spawn(callout.run(stopped.clone()));
    ready.await;
    stopped.drop_guard()
}

/// What the tests' relay relays.
pub(crate) fn relayed() -> RelaySettings {
    RelaySettings::new("SIGNALS", "eldercare.signals.*")
}

async fn connect(nats: &Nats, user: &str) -> Result<Client, async_nats::ConnectError> {
    connect_with(&inbox_prefix(user), nats, user).await
}

async fn connect_with(
    inboxes: &str,
    nats: &Nats,
    user: &str,
) -> Result<Client, async_nats::ConnectError> {
    ConnectOptions::with_user_and_password(user.to_owned(), PASSWORD.to_owned())
        .custom_inbox_prefix(inboxes)
        .reconnect_delay_callback(|_| Duration::from_millis(20))
        .connect(nats.url())
        .await
}
