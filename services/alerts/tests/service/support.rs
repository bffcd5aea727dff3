//! Alerts under test, the registry's log in the hands of the test, a channel that takes notices down, and alerts in few words.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use alerts::credentials::Credentials;
use alerts::doors::Doors;
use alerts::signals::{SignalSettings, Signals};
use alerts::{App, Ground as Under};
use async_trait::async_trait;
use backing_services::{Nats, testing};
use chrono::{DateTime, TimeDelta, Utc};
use civic::{CapabilityLevel, Category, ConsentState, ElderId, LocalDay, NoticeChannel, Set, Sex};
use elders::event::{Capability, Consent, Event, Registered, Residence, Source, Spoken};
use elders::wire::write_time;
use elders::{codec, purpose};
use eventlog::{EventLog, MemoryLog, Subject};
use notices::{Channel as Way, ChannelSettings, Channels, Delivered, Failure, Notice, Reason};
use proto::eldercare::alerts::v1 as pb;
use proto::eldercare::alerts::v1::alert_service_client::AlertServiceClient;
use proto::eldercare::registry::v1 as registry;
use proto::eldercare::r#type::v1 as types;
use service::person_keys::Keys;
pub(crate) use service::testing::reason;
use service::testing::{Authorised, Served};
use service::{Application as _, Claims, Clock, RequestDigests, TokenIssuer};
use sqlx::postgres::PgPoolOptions;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use uuid::Uuid;
use vault::{KeyRing, MemoryKeyStore, Mode, Vault, VaultOptions};

pub(crate) const VILLAGE: &str = "350524100001";
pub(crate) const TOWN: &str = "350524100";
pub(crate) const COUNTY: &str = "350524";

/// What outlives a restart of alerts, and the loss of their database.
#[derive(Clone)]
pub(crate) struct Ground {
    nats: Arc<Nats>,
    pub(crate) registry: Arc<dyn EventLog>,
    pub(crate) own: Arc<MemoryLog>,
    pub(crate) vault: Vault,
    pub(crate) clock: Clock,
    pub(crate) told: Told,
    issuer: Arc<TokenIssuer>,
}

/// Alerts under test.
pub(crate) struct Running {
    pub(crate) ground: Ground,
    pub(crate) app: App,
    pub(crate) database: String,
    served: Served,
}

pub(crate) type Client = AlertServiceClient<Authorised>;

/// Takes down what is told by every channel; some addresses hang or fail.
#[derive(Clone, Default)]
pub(crate) struct Told(Arc<Inner>);

#[derive(Default)]
struct Inner {
    heard: watch::Sender<Vec<Heard>>,
    hanging: Mutex<HashSet<String>>,
    failing: Mutex<Vec<(String, Reason)>>,
}

/// What somebody was told.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Heard {
    pub(crate) key: Uuid,
    pub(crate) channel: NoticeChannel,
    pub(crate) address: String,
    pub(crate) text: String,
    pub(crate) data: serde_json::Value,
}

impl Told {
    /// Whoever has this address never answers.
    pub(crate) fn hangs(&self, address: &str) {
        self.0.hanging.lock().unwrap().insert(address.to_owned());
    }

    /// The next attempt at this address fails so; with several, the next ones.
    pub(crate) fn fails(&self, address: &str, reason: Reason) {
        let mut failing = self.0.failing.lock().unwrap();
        failing.push((address.to_owned(), reason));
    }

    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.0.heard.borrow().clone()
    }

    /// The addresses that were told, in the order of the alphabet.
    pub(crate) fn addresses(&self) -> Vec<String> {
        let mut addresses: Vec<_> = self
            .heard()
            .into_iter()
            .map(|heard| heard.address)
            .collect();
        addresses.sort();
        addresses
    }

    /// Waits until so many notices were heard.
    pub(crate) async fn until(&self, many: usize) -> Vec<Heard> {
        let mut changes = self.0.heard.subscribe();
        let heard = changes.wait_for(|heard| heard.len() >= many).await;
        heard.unwrap().clone()
    }
}

#[async_trait]
impl Way for Told {
    async fn send(&self, notice: &Notice) -> Result<Delivered, Failure> {
        let address = notice.address.expose().to_owned();
        let failure = {
            let mut failing = self.0.failing.lock().unwrap();
            let place = failing.iter().position(|(at, _)| *at == address);
            place.map(|place| failing.remove(place).1)
        };
        if let Some(reason) = failure {
            return Err(reason.into());
        }
        let hangs = self.0.hanging.lock().unwrap().contains(&address);
        if hangs {
            std::future::pending::<()>().await;
        }
        self.0.heard.send_modify(|heard| {
            heard.push(Heard {
                key: notice.key,
                channel: notice.channel,
                address,
                text: notice.text.zh.clone(),
                data: notice.data.clone(),
            });
        });
        Ok(Delivered {
            reference: Some("A-1".to_owned()),
        })
    }
}

/// A second of local time, such as `2024-11-11 09:30:15`.
pub(crate) fn at(text: &str) -> DateTime<Utc> {
    let (day, time) = text.split_once(' ').unwrap();
    format!("{day}T{time}+08:00").parse().unwrap()
}

pub(crate) fn id() -> String {
    Uuid::now_v7().to_string()
}

impl Ground {
    /// Empty logs; the clock stands.
    pub(crate) async fn at(now: &str) -> Self {
        Self::on(testing::own_nats().await, now)
    }

    /// The same, with this server for the signals.
    pub(crate) fn on(nats: Nats, now: &str) -> Self {
        let ring = KeyRing::local_default(Mode::Local).unwrap();
        let store = Arc::new(MemoryKeyStore::new());
        Self {
            nats: Arc::new(nats),
            registry: Arc::new(MemoryLog::new("REGISTRY")),
            own: Arc::new(MemoryLog::new("ALERTS")),
            vault: Vault::new(store, ring, VaultOptions::default()),
            clock: Clock::stopped_at(at(now)),
            told: Told::default(),
            issuer: Arc::new(TokenIssuer::generate()),
        }
    }

    /// Starts alerts on an empty database.
    pub(crate) async fn start(&self) -> Running {
        self.start_on(testing::fresh_database().await).await
    }

    /// Starts alerts on a database that may hold something.
    pub(crate) async fn start_on(&self, database: String) -> Running {
        let client = async_nats::connect(self.nats.url()).await.unwrap();
        let mut channels = Channels::new(&ChannelSettings::default()).unwrap();
        for channel in NoticeChannel::ALL {
            channels = channels.with(*channel, Arc::new(self.told.clone()));
        }
        self.start_with(database, client, channels, None).await
    }

    /// Starts alerts with these ways to tell somebody, and with doors for devices.
    pub(crate) async fn start_with(
        &self,
        database: String,
        client: async_nats::Client,
        channels: Channels,
        doors: Option<Doors>,
    ) -> Running {
        let settings = service::testing::settings(&self.issuer);
        let pool = PgPoolOptions::new()
            .max_connections(6)
            .connect(&database)
            .await
            .unwrap();
        let signals = SignalSettings {
            kept_for: std::time::Duration::from_secs(30 * 24 * 3_600),
            replicas: 1,
            create: true,
        };
        let signals = Signals::open(client, &signals, self.clock.clone())
            .await
            .unwrap();
        let under = Under {
            registry: Arc::clone(&self.registry),
            own: Arc::clone(&self.own) as Arc<dyn EventLog>,
            signals,
            keys: Keys::own(self.vault.clone()),
            channels,
            digests: RequestDigests::keyed(b"test"),
            credentials: Credentials::keyed(b"test", []),
            doors,
        };
        let app = App::over(under, pool, self.clock.clone()).await.unwrap();
        let served = Served::start(&app, &settings).await;
        let running = Running {
            ground: self.clone(),
            app,
            database,
            served,
        };
        running.settled().await;
        running
    }

    /// Records events of an elder at the time of the clock, as the registry does.
    pub(crate) async fn record(&self, elder: ElderId, events: &[Event]) -> String {
        let subject = Subject::new("registry", "elder", &elder.to_string()).unwrap();
        let events = events.iter().map(codec::encode).collect();
        let metadata = service::testing::metadata(self.clock.now(), VILLAGE);
        service::testing::write(&*self.registry, subject, metadata, events).await
    }

    /// Somebody who lives in the village, with contacts under these telephone numbers.
    pub(crate) async fn elder(&self, phones: &[&str]) -> ElderId {
        self.elder_in(VILLAGE, phones).await
    }

    /// The same in a village.
    pub(crate) async fn elder_in(&self, village: &str, phones: &[&str]) -> ElderId {
        let elder = ElderId(Uuid::now_v7());
        let key = self.vault.create(elder.as_uuid()).await.unwrap();
        let person = elder.as_uuid();
        let home = registry::Home {
            address: "凤城镇1号".to_owned(),
            position: None,
        };
        let identity = registry::Identity {
            name: "张三".to_owned(),
            id_number: String::new(),
        };
        let contacts = phones
            .iter()
            .zip(1..)
            .map(|(phone, call_order)| types::Contact {
                name: "李四".to_owned(),
                relation: "子".to_owned(),
                phone: (*phone).to_owned(),
                call_order,
                supporter: call_order == 1,
            });
        let contacts = registry::ContactList {
            contacts: contacts.collect(),
        };
        let birth: LocalDay = "1940-03-01".parse().unwrap();
        let registered = Registered {
            elder,
            source: Source::Api,
            identity: key.seal(purpose::IDENTITY, person, &identity),
            identity_claim: "k1-00ff".to_owned(),
            birth_date: birth,
            sex: Sex::Female,
            residence: Residence {
                village: village.parse().unwrap(),
                home: Some(key.seal(purpose::HOME, person, &home)),
            },
            categories: Category::LivingAlone.into(),
            assistance: Set::new(),
            capability: Capability {
                level: CapabilityLevel::Mild,
                assessed_on: None,
                source: String::new(),
            },
            observations: Set::new(),
            handicap_grade: None,
            circumstances: vec![],
            contacts: Some(key.seal(purpose::CONTACTS, person, &contacts)),
            consent: Consent {
                state: ConsentState::Granted,
                spoken: Spoken { by: None, at: None },
            },
            wanted_services: Set::new(),
            remarks: None,
            import: None,
        };
        self.record(elder, &[Event::Registered(Box::new(registered))])
            .await;
        elder
    }
}

impl Running {
    pub(crate) fn client(&self) -> Client {
        self.client_of(&service::testing::anybody())
    }

    /// A gateway.
    pub(crate) fn gateway(&self) -> Client {
        let gateway = Claims::system("gateway", "civil_affairs")
            .division("*")
            .role("device_gateway");
        self.client_of(&gateway)
    }

    /// A client in the name of a caller.
    pub(crate) fn client_of(&self, caller: &Claims) -> Client {
        AlertServiceClient::new(self.served.as_caller(&self.ground.issuer, caller))
    }

    pub(crate) async fn settled(&self) {
        self.app.settled(CancellationToken::new()).await;
    }

    /// Moves the clock, and waits until all that is due is done.
    pub(crate) async fn advance(&self, to: &str) {
        self.ground.clock.advance_to(at(to)).unwrap();
        self.settled().await;
    }

    /// Moves the clock on by some minutes, and waits until all that is due is done.
    pub(crate) async fn pass(&self, minutes: i64) {
        let to = self.ground.clock.now() + TimeDelta::minutes(minutes);
        self.ground.clock.advance_to(to).unwrap();
        self.settled().await;
    }

    /// Ends the process.
    pub(crate) async fn stop(self) -> (Ground, String) {
        self.served.stop().await;
        (self.ground, self.database)
    }

    /// A device in an elder's home; its credential.
    pub(crate) async fn device(&self, id: &str, kind: pb::DeviceKind, elder: ElderId) -> String {
        let request = registration(id, kind, elder);
        let registered = self.client().register_device(request).await.unwrap();
        self.settled().await;
        registered.into_inner().credential
    }

    /// Somebody who is told in a division, under this address.
    pub(crate) async fn recipient(
        &self,
        role: pb::RecipientRole,
        division: &str,
        address: &str,
    ) -> String {
        let request = pb::RegisterRecipientRequest {
            request_id: id(),
            recipient: Some(recipient(role, division, address)),
        };
        let registered = self.client().register_recipient(request).await.unwrap();
        self.settled().await;
        registered.into_inner().recipient_id
    }

    /// Signals that arrive now, in their order; the receipt.
    pub(crate) async fn say(&self, signals: Vec<pb::Signal>) -> pb::IngestSignalsResponse {
        let batch = pb::IngestSignalsRequest { signals };
        let answers = self
            .gateway()
            .ingest_signals(tokio_stream::iter([batch]))
            .await
            .unwrap();
        let receipt = answers.into_inner().message().await.unwrap().unwrap();
        self.settled().await;
        receipt
    }

    /// One signal that arrives now and says when it was.
    pub(crate) async fn says(&self, device: &str, kind: pb::SignalKind) {
        let receipt = self
            .say(vec![signal(device, kind, self.ground.clock.now())])
            .await;
        assert_eq!(receipt.stored, 1, "{receipt:?}");
    }

    /// Every alert there is, the latest first.
    pub(crate) async fn alerts(&self) -> Vec<pb::Alert> {
        let request = pb::ListAlertsRequest {
            division_code: COUNTY.to_owned(),
            ..Default::default()
        };
        let listed = self.client().list_alerts(request).await.unwrap();
        listed.into_inner().alerts
    }

    /// The only alert there is.
    pub(crate) async fn alert(&self) -> pb::Alert {
        let mut alerts = self.alerts().await;
        assert_eq!(alerts.len(), 1, "{alerts:#?}");
        alerts.remove(0)
    }

    /// An alert with its course.
    pub(crate) async fn course(&self, alert: &str) -> pb::GetAlertResponse {
        let request = pb::GetAlertRequest {
            alert_id: alert.to_owned(),
            ..Default::default()
        };
        self.client().get_alert(request).await.unwrap().into_inner()
    }

    pub(crate) async fn acknowledge(&self, alert: &str) -> Result<String, Status> {
        let request = pb::AcknowledgeAlertRequest {
            request_id: id(),
            alert_id: alert.to_owned(),
        };
        let answer = self.client().acknowledge_alert(request).await?;
        self.settled().await;
        Ok(answer.into_inner().position)
    }

    pub(crate) async fn resolve(&self, alert: &str, outcome: pb::AlertOutcome) {
        let request = pb::ResolveAlertRequest {
            request_id: id(),
            alert_id: alert.to_owned(),
            outcome: outcome.into(),
        };
        self.client().resolve_alert(request).await.unwrap();
        self.settled().await;
    }
}

pub(crate) fn registration(
    device: &str,
    kind: pb::DeviceKind,
    elder: ElderId,
) -> pb::RegisterDeviceRequest {
    pb::RegisterDeviceRequest {
        request_id: id(),
        device: Some(pb::Device {
            device_id: device.to_owned(),
            kind: kind.into(),
            elder_id: elder.to_string(),
            ..Default::default()
        }),
    }
}

pub(crate) fn recipient(role: pb::RecipientRole, division: &str, address: &str) -> pb::Recipient {
    pb::Recipient {
        role: role.into(),
        division_code: division.to_owned(),
        name: "值班".to_owned(),
        channels: vec![pb::RecipientChannel {
            channel: pb::NoticeChannel::Sms.into(),
            address: address.to_owned(),
        }],
        active: true,
        ..Default::default()
    }
}

pub(crate) fn signal(device: &str, kind: pb::SignalKind, at: DateTime<Utc>) -> pb::Signal {
    pb::Signal {
        signal_id: id(),
        device_id: device.to_owned(),
        kind: kind.into(),
        device_time: Some(write_time(at)),
        litres: if kind == pb::SignalKind::Flow {
            1.5
        } else {
            0.0
        },
        position: None,
    }
}

/// The levels that were reached, with the seconds after the alert.
pub(crate) fn levels(alert: &pb::Alert) -> Vec<(i32, i64)> {
    let raised = alert.raised_at.as_ref().unwrap().seconds;
    let levels = alert.levels.iter();
    levels
        .map(|level| (level.level, level.at.as_ref().unwrap().seconds - raised))
        .collect()
}
