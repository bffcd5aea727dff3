//! A registry for tests: over a NATS server and a database of its own, with a client that may do everything.
#![allow(dead_code, reason = "each test file uses a part of this")]

use std::sync::Arc;

use backing_services::{Nats, testing};
use chrono::{DateTime, Utc};
use proto::eldercare::{
    registry::v1::{
        self as pb, registry_service_client::RegistryServiceClient,
        vault_service_client::VaultServiceClient,
    },
    r#type::v1 as types,
};
use registry::{App, RegistrySettings};
use service::testing::{Authorised, Bearer};
use service::{
    Application as _, Claims, Clock, Settings, Shutdown, TokenIssuer, application,
    settings::Address,
};
use tokio::task::JoinHandle;
use tonic::transport::{Channel, Endpoint};
use uuid::Uuid;

/// What outlives a restart of the registry.
pub(crate) struct Ground {
    pub(crate) nats: Arc<Nats>,
    pub(crate) database: String,
    pub(crate) issuer: Arc<TokenIssuer>,
    pub(crate) clock: Clock,
}

/// The registry under test.
pub(crate) struct Running {
    pub(crate) ground: Ground,
    pub(crate) clients: Clients,
    pub(crate) log: Arc<dyn eventlog::EventLog>,
    pub(crate) vault: vault::Vault,
    pub(crate) index: vault::BlindIndex,
    pub(crate) pool: sqlx::PgPool,
    pub(crate) follower: readmodel::Follower,
    pub(crate) forgotten: service::elder_keys::Forgotten,
    shutdown: Shutdown,
    served: JoinHandle<anyhow::Result<()>>,
}

pub(crate) type Client = RegistryServiceClient<Authorised>;

/// Makes clients for callers.
#[derive(Clone)]
pub(crate) struct Clients {
    endpoint: String,
    channel: Channel,
    issuer: Arc<TokenIssuer>,
}

impl Clients {
    pub(crate) fn of(&self, claims: &Claims) -> Client {
        RegistryServiceClient::with_interceptor(self.channel.clone(), self.bearer(claims))
            .max_decoding_message_size(16 << 20)
    }

    pub(crate) fn vault_of(&self, claims: &Claims) -> VaultServiceClient<Authorised> {
        VaultServiceClient::with_interceptor(self.channel.clone(), self.bearer(claims))
    }

    /// Where the registry listens.
    pub(crate) fn endpoint(&self) -> String {
        self.endpoint.clone()
    }

    /// A token for a caller.
    pub(crate) fn token(&self, claims: &Claims) -> String {
        self.issuer.issue(claims)
    }

    fn bearer(&self, claims: &Claims) -> Bearer {
        Bearer::of(&self.token(claims))
    }
}

pub(crate) fn instant(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// The clock of the tests stands on this day until it is moved.
pub(crate) const TODAY: &str = "2024-11-01";

impl Ground {
    pub(crate) async fn new() -> Self {
        Self {
            nats: Arc::new(testing::own_nats().await),
            database: testing::fresh_database().await,
            issuer: Arc::new(TokenIssuer::generate()),
            clock: Clock::stopped_at(instant("2024-11-01T09:00:00+08:00")),
        }
    }

    pub(crate) async fn start(self) -> Running {
        self.start_with(|_| {}).await.unwrap()
    }

    /// Starts it with other settings, if it starts with them.
    pub(crate) async fn start_with(
        self,
        change: impl FnOnce(&mut Settings),
    ) -> anyhow::Result<Running> {
        let mut settings: Settings = service::testing::settings(&self.issuer);
        settings.nats.url = Address::new(self.nats.url());
        settings.postgres.url = Address::new(self.database.clone());
        settings.postgres.max_connections = 6;
        change(&mut settings);
        let shutdown = Shutdown::new(&settings.shutdown);
        let app = App::connect(&settings, &RegistrySettings::default(), self.clock.clone()).await?;
        let started = application::start(&app, &settings, &shutdown)
            .await
            .unwrap();
        let address = started.address();
        let served = tokio::spawn(started.serve());
        app.settled(shutdown.requested()).await;
        let endpoint = format!("http://{address}");
        let channel = Endpoint::from_shared(endpoint.clone())
            .unwrap()
            .connect_lazy();
        let clients = Clients {
            endpoint,
            channel,
            issuer: Arc::clone(&self.issuer),
        };
        Ok(Running {
            ground: self,
            clients,
            log: app.log(),
            vault: app.vault(),
            index: app.index(),
            pool: app.pool(),
            follower: app.follower(),
            forgotten: app.forgotten(),
            shutdown,
            served,
        })
    }
}

impl Running {
    pub(crate) async fn new() -> Self {
        Ground::new().await.start().await
    }

    /// Somebody who may do everything everywhere.
    pub(crate) fn client(&self) -> Client {
        self.clients.of(&service::testing::anybody())
    }

    pub(crate) async fn stop(self) -> Ground {
        self.shutdown.request();
        self.served.await.unwrap().unwrap();
        self.ground
    }

    /// A second replica over the same data.
    pub(crate) async fn beside(&self) -> Self {
        let ground = Ground {
            nats: Arc::clone(&self.ground.nats),
            database: self.ground.database.clone(),
            issuer: Arc::clone(&self.ground.issuer),
            clock: self.ground.clock.clone(),
        };
        ground.start().await
    }

    /// The same data under a new process: nothing is remembered.
    pub(crate) async fn restart(self) -> Self {
        self.stop().await.start().await
    }

    /// Everything that live tables and a rebuilt read model differ in; nothing, that is.
    pub(crate) async fn verify(&self) {
        let projection =
            registry::registry_elders::RegistryElders::new(self.vault.clone(), self.index.clone());
        let differences = readmodel::verify(&self.pool, Arc::clone(&self.log), projection, |_| {})
            .await
            .unwrap();
        assert!(differences.tables.is_empty(), "{differences:?}");
    }
}

pub(crate) fn request_id() -> String {
    Uuid::now_v7().to_string()
}

pub(crate) fn date(text: &str) -> Option<types::Date> {
    let mut parts = text.split('-').map(|part| part.parse::<i32>().unwrap());
    Some(types::Date {
        year: parts.next()?,
        month: parts.next()?,
        day: parts.next()?,
    })
}

pub(crate) fn timestamp(text: &str) -> Option<prost_types::Timestamp> {
    let instant = instant(text);
    Some(prost_types::Timestamp {
        seconds: instant.timestamp(),
        nanos: 0,
    })
}

/// A valid ID number: born on the day, the number of the person among those born then.
pub(crate) fn id_number(born: &str, person: u32) -> String {
    let digits = format!("350524{}{person:03}", born.replace('-', ""));
    let check = civic::IdNumber::compute_check_char(&digits).unwrap();
    format!("{digits}{check}")
}

pub(crate) const VILLAGE: &str = "350524100001";
pub(crate) const OTHER_VILLAGE: &str = "350524101002";

/// A woman of 74 living alone in `VILLAGE`, with everything that a file can say.
pub(crate) fn wang_xiuying() -> pb::RegisterElderRequest {
    pb::RegisterElderRequest {
        request_id: request_id(),
        name: "王 秀英".to_owned(),
        id_number: id_number("1950-03-12", 2),
        division_code: VILLAGE.to_owned(),
        address: "先声社区12号".to_owned(),
        position: Some(types::GeoPosition {
            latitude: 25.0545,
            longitude: 118.1865,
        }),
        categories: vec![types::Category::LivingAlone.into()],
        assistance: vec![types::Assistance::MinimumLiving.into()],
        capability: Some(types::Capability {
            level: types::CapabilityLevel::Mild.into(),
            assessed_on: date("2024-05-20"),
            source: "ASSESSMENT_AGENCY".to_owned(),
        }),
        observations: vec![types::Observation::MobilityImpaired.into()],
        handicap_grade: 3,
        circumstances: vec![types::Circumstance {
            circumstance_id: String::new(),
            kind: types::CircumstanceKind::Accident.into(),
            first_day: date("2024-10-20"),
            last_day: date("2024-11-10"),
        }],
        contacts: vec![contact("王志明", "子", "13811178935")],
        consent: Some(pb::HomeVisitConsent {
            state: types::ConsentState::Granted.into(),
            by: types::ConsentGiver::Elder.into(),
            at: timestamp("2024-10-01T10:00:00+08:00"),
        }),
        wanted_services: vec![types::ServiceKind::DailyCare.into()],
        remarks: "耳背".to_owned(),
    }
}

pub(crate) fn contact(name: &str, relation: &str, phone: &str) -> types::Contact {
    types::Contact {
        name: name.to_owned(),
        relation: relation.to_owned(),
        phone: phone.to_owned(),
        call_order: 0,
        supporter: false,
    }
}

/// Registers somebody else, who differs by the number.
pub(crate) fn another(person: u32) -> pb::RegisterElderRequest {
    pb::RegisterElderRequest {
        request_id: request_id(),
        name: format!("陈建国{person}"),
        id_number: id_number("1944-07-01", person),
        ..wang_xiuying()
    }
}

pub(crate) async fn register(
    client: &mut Client,
    request: pb::RegisterElderRequest,
) -> (String, String) {
    let answer = client.register_elder(request).await.unwrap().into_inner();
    (answer.elder_id, answer.committed.unwrap().position)
}

pub(crate) async fn get(client: &mut Client, elder_id: &str, min_position: &str) -> pb::Elder {
    let request = pb::GetElderRequest {
        elder_id: elder_id.to_owned(),
        min_position: min_position.to_owned(),
        ..pb::GetElderRequest::default()
    };
    client
        .get_elder(request)
        .await
        .unwrap()
        .into_inner()
        .elder
        .unwrap()
}

/// The sample county's table of divisions.
pub(crate) fn sample_divisions() -> pb::ImportDivisionsRequest {
    let table = std::fs::read(sample("divisions.csv")).unwrap();
    let mut rows = csv::Reader::from_reader(table.as_slice());
    let divisions = rows
        .records()
        .map(|row| {
            let row = row.unwrap();
            types::Division {
                code: row[0].to_owned(),
                name: row[1].to_owned(),
                level: 0,
                parent: row[3].to_owned(),
            }
        })
        .collect();
    pb::ImportDivisionsRequest {
        request_id: request_id(),
        divisions,
    }
}

/// A file of the sample county.
pub(crate) fn sample(file: &str) -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../deploy/local/data/anxi")
        .join(file)
}
