//! A tiering service for tests, the registry's log in the hands of the test, and elders in few words.

use std::sync::Arc;

use backing_services::{Nats, testing};
use chrono::{DateTime, Utc};
use civic::{CapabilityLevel, Category, ElderId, LocalDay, Set, Sex};
use elders::event::{Capability, Circumstance, Consent, Event, Registered, Residence, Source};
use elders::{codec, purpose};
use eventlog::{
    Aggregate as _, EventLog, Gather, JetStreamLog, MemoryLog, Metadata, StreamSettings, Subject,
};
use proto::eldercare::tiering::v1 as pb;
use proto::eldercare::tiering::v1::tiering_service_client::TieringServiceClient;
use proto::eldercare::r#type::v1 as types;
pub(crate) use service::testing::reason;
use service::testing::{Authorised, Served};
use service::{Application as _, Claims, Clock, Settings, TokenIssuer};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use tiering::App;
use tiering::tier::{self, Tier};
use tokio_util::sync::CancellationToken;
use tonic::Code;
use uuid::Uuid;

pub(crate) const VILLAGE: &str = "350524100001";

/// What outlives a restart of tiering.
pub(crate) struct Ground {
    /// Kept alive.
    _nats: Option<Nats>,
    pub(crate) registry: Arc<dyn EventLog>,
    pub(crate) tiering: Arc<dyn EventLog>,
    pub(crate) database: String,
    pub(crate) clock: Clock,
    pub(crate) issuer: Arc<TokenIssuer>,
}

/// Tiering under test.
pub(crate) struct Running {
    pub(crate) ground: Ground,
    pub(crate) instance: Instance,
}

/// One process of it.
pub(crate) struct Instance {
    pub(crate) app: App,
    pub(crate) pool: PgPool,
    issuer: Arc<TokenIssuer>,
    served: Served,
}

pub(crate) type Client = TieringServiceClient<Authorised>;

pub(crate) fn day(text: &str) -> LocalDay {
    text.parse().unwrap()
}

pub(crate) fn instant(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

pub(crate) fn date(text: &str) -> types::Date {
    codec::write_day(day(text))
}

async fn open(client: &async_nats::Client, context: &str) -> Arc<dyn EventLog> {
    let settings = StreamSettings::of(context, Gather::GroupsOnly);
    Arc::new(JetStreamLog::open(client.clone(), settings).await.unwrap())
}

impl Ground {
    /// A NATS server and a database of its own; the clock stands at nine o'clock of a day.
    pub(crate) async fn on(today: &str) -> Self {
        let nats = testing::own_nats().await;
        let client = async_nats::connect(nats.url()).await.unwrap();
        let (registry, tiering) = (
            open(&client, "registry").await,
            open(&client, "tiering").await,
        );
        Self::of(Some(nats), registry, tiering, today).await
    }

    /// Logs in memory.
    pub(crate) async fn in_memory(today: &str) -> (Self, MemoryLog) {
        let (registry, tiering) = (MemoryLog::new("REGISTRY"), MemoryLog::new("TIERING"));
        let ground = Self::of(None, Arc::new(registry), Arc::new(tiering.clone()), today).await;
        (ground, tiering)
    }

    async fn of(
        nats: Option<Nats>,
        registry: Arc<dyn EventLog>,
        tiering: Arc<dyn EventLog>,
        today: &str,
    ) -> Self {
        Self {
            _nats: nats,
            registry,
            tiering,
            database: testing::fresh_database().await,
            clock: Clock::stopped_at(instant(&format!("{today}T09:00:00+08:00"))),
            issuer: Arc::new(TokenIssuer::generate()),
        }
    }

    /// Starts a process.
    pub(crate) async fn instance(&self) -> Instance {
        self.instance_with(|_| {}).await
    }

    /// Starts a process with other settings.
    pub(crate) async fn instance_with(&self, change: impl FnOnce(&mut Settings)) -> Instance {
        let mut settings = service::testing::settings(&self.issuer);
        change(&mut settings);
        let pool = PgPoolOptions::new()
            .max_connections(4)
            .connect(&self.database)
            .await
            .unwrap();
        let (registry, tiering) = (Arc::clone(&self.registry), Arc::clone(&self.tiering));
        let app = App::over(registry, tiering, pool.clone(), self.clock.clone())
            .await
            .unwrap();
        let served = Served::start(&app, &settings).await;
        Instance {
            app,
            pool,
            issuer: Arc::clone(&self.issuer),
            served,
        }
    }

    pub(crate) async fn start(self) -> Running {
        let instance = self.instance().await;
        let running = Running {
            ground: self,
            instance,
        };
        running.settled().await;
        running
    }

    /// Records events of an elder at the time of the clock, as the registry does.
    pub(crate) async fn record(&self, elder: ElderId, events: &[Event]) -> String {
        let subject = Subject::new("registry", "elder", &elder.to_string()).unwrap();
        let events = events.iter().map(codec::encode).collect();
        service::testing::write(&*self.registry, subject, self.metadata(), events).await
    }

    pub(crate) fn metadata(&self) -> Metadata {
        service::testing::metadata(self.clock.now(), VILLAGE)
    }

    /// All events of our own log by their names, with the elder's and the day.
    pub(crate) async fn told(&self) -> Vec<String> {
        let mut told = Vec::new();
        let last = self.tiering.last_sequence().await.unwrap();
        if last == 0 {
            return told;
        }
        let mut deliveries = self.tiering.subscribe(0).await.unwrap();
        loop {
            for delivery in futures::StreamExt::next(&mut deliveries)
                .await
                .unwrap()
                .unwrap()
            {
                let sequence = delivery.sequence();
                if let eventlog::Delivery::Record(record) = delivery {
                    told.extend(record.events.iter().map(|event| {
                        format!(
                            "{} {}",
                            event.event_type.rsplit('.').next().unwrap(),
                            record.subject.id()
                        )
                    }));
                }
                if sequence == last {
                    return told;
                }
            }
        }
    }
}

impl Ground {
    /// The events of an elder's tier by their names, each with its day.
    pub(crate) async fn days(&self, elder: ElderId) -> Vec<String> {
        let subject = Subject::new("tiering", "tier", &elder.to_string()).unwrap();
        let records = self.tiering.read(&subject, 0).await.unwrap();
        let events = records.iter().flat_map(|record| record.events.iter());
        let told = events.map(|event| match Tier::decode(event).unwrap() {
            tier::Event::Assigned { on, .. } => format!("TierAssigned {on}"),
            tier::Event::Changed { on, .. } => format!("TierChanged {on}"),
            tier::Event::Ended { on, .. } => format!("TierEnded {on}"),
        });
        told.collect()
    }
}

impl Running {
    pub(crate) async fn on(today: &str) -> Self {
        Ground::on(today).await.start().await
    }

    pub(crate) fn client(&self) -> Client {
        self.instance.client(&service::testing::anybody())
    }

    pub(crate) async fn settled(&self) {
        self.instance.app.settled(CancellationToken::new()).await;
    }

    pub(crate) async fn record(&self, elder: ElderId, events: &[Event]) -> String {
        self.ground.record(elder, events).await
    }

    /// Moves the clock to nine o'clock of a day, and waits until all that is due is done.
    pub(crate) async fn advance(&self, to: &str) {
        self.ground
            .clock
            .advance_to(instant(&format!("{to}T09:00:00+08:00")))
            .unwrap();
        self.settled().await;
    }

    pub(crate) async fn tier(&self, elder: ElderId) -> Option<pb::Tier> {
        self.tier_after(elder, String::new()).await
    }

    pub(crate) async fn tier_after(
        &self,
        elder: ElderId,
        min_position: String,
    ) -> Option<pb::Tier> {
        let request = pb::GetTierRequest {
            elder_id: elder.to_string(),
            min_position,
        };
        match self.client().get_tier(request).await {
            Ok(answer) => answer.into_inner().tier,
            Err(status) => {
                assert_eq!(
                    (status.code(), reason(&status).as_str()),
                    (Code::NotFound, "TIER_NOT_FOUND")
                );
                None
            }
        }
    }

    /// Tier, reasons, the day from which it holds, and the number of modes.
    pub(crate) async fn short(
        &self,
        elder: ElderId,
    ) -> Option<(String, Vec<String>, String, usize)> {
        let tier = self.tier(elder).await?;
        let assignment = tier.assignment.unwrap();
        let on = codec::read_day(tier.on.unwrap()).unwrap().to_string();
        Some((
            assignment.tier,
            assignment.reasons,
            on,
            assignment.modes.len(),
        ))
    }

    pub(crate) async fn stop(self) -> Ground {
        self.instance.stop().await;
        self.ground
    }

    /// Everything that live tables and a rebuilt read model differ in, and everybody who has another tier than is due;
    /// nothing and nobody, that is.
    pub(crate) async fn verify(&self) {
        let Instance { app, pool, .. } = &self.instance;
        let audit = app.audit().await.unwrap();
        assert!(audit.is_clean() && audit.elders > 0, "{audit:?}");
        let facts = tiering::facts_table::FactsTable;
        let differences = readmodel::verify(pool, app.registry_log(), facts, |_| {})
            .await
            .unwrap();
        assert!(differences.is_empty(), "{differences:?}");
        let tiers = tiering::tiers_table::TiersTable;
        let differences = readmodel::verify(pool, app.log(), tiers, |_| {})
            .await
            .unwrap();
        assert!(differences.is_empty(), "{differences:?}");
    }
}

impl Instance {
    pub(crate) fn client(&self, claims: &Claims) -> Client {
        TieringServiceClient::new(self.served.as_caller(&self.issuer, claims))
    }

    pub(crate) async fn stop(self) {
        self.served.stop().await;
    }
}

/// An elder by a number.
pub(crate) fn elder(number: u128) -> ElderId {
    ElderId(Uuid::from_u128(
        0x0192_0000_0000_7000_8000_0000_0000_0000 + number,
    ))
}

/// A registration: born on a day, healthy, living alone.
pub(crate) fn registered(
    elder: ElderId,
    birth: &str,
    change: impl FnOnce(&mut Registered),
) -> Event {
    let mut registered = Registered {
        elder,
        source: Source::Api,
        identity: elders::testing::sealed(
            purpose::IDENTITY,
            &proto::eldercare::registry::v1::Identity::default(),
        ),
        identity_claim: "k1-00ff".to_owned(),
        birth_date: day(birth),
        sex: Sex::Female,
        residence: residence(VILLAGE),
        categories: Category::LivingAlone.into(),
        assistance: Set::new(),
        capability: capability(CapabilityLevel::Intact, None),
        observations: Set::new(),
        handicap_grade: None,
        circumstances: vec![],
        contacts: None,
        consent: Consent::unknown(),
        wanted_services: Set::new(),
        remarks: None,
        import: None,
    };
    change(&mut registered);
    Event::Registered(Box::new(registered))
}

pub(crate) fn residence(village: &str) -> Residence {
    Residence {
        village: village.parse().unwrap(),
        home: None,
    }
}

pub(crate) fn capability(level: CapabilityLevel, on: Option<&str>) -> Capability {
    Capability {
        level,
        assessed_on: on.map(day),
        source: "ASSESSMENT_AGENCY".to_owned(),
    }
}

pub(crate) fn assessed(level: CapabilityLevel, on: &str) -> Event {
    Event::CapabilityAssessed(capability(level, Some(on)), None)
}

pub(crate) fn circumstance(first: &str, last: Option<&str>) -> Event {
    Event::CircumstanceRecorded(Circumstance {
        id: Uuid::from_u128(1),
        kind: civic::CircumstanceKind::Accident,
        first_day: day(first),
        last_day: last.map(day),
    })
}
