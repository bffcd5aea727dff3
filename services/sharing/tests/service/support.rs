//! Sharing under test, the logs of all other services in the hands of the test, its callers, and its answers in few words.

mod asking;
mod county;
pub(crate) mod department;
pub(crate) mod feeds;
mod told;

use std::sync::Arc;

use backing_services::{Nats, testing};
use chrono::{DateTime, Utc};
use civic::LocalDay;
use elders::codec;
use eventlog::{
    Aggregate as _, Delivery, EventLog, MemoryLog, Metadata, Position, RawEvent, Record, Subject,
};
use futures::StreamExt as _;
use proto::eldercare::sharing::v1 as pb;
use proto::eldercare::sharing::v1::sharing_service_client::SharingServiceClient;
use proto::eldercare::r#type::v1 as types;
use serde_json::{Map, Value};
use service::person_keys::Keys;
use service::testing::{Authorised, Served, reason};
use service::{Application as _, Claims, Clock, RequestDigests, TokenIssuer};
use sharing::feeds::stream::FeedStream;
use sharing::look::{AuditHeads, BrokenGlass, GlassBroken, Looks, Recorded};
use sharing::{App, FeedPasswords, Logs, Secrets, SharingSettings, SideStreams};
use sqlx::postgres::PgPoolOptions;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use uuid::Uuid;
use vault::{KeyRing, MemoryKeyStore, Mode, Vault, VaultOptions};

pub(crate) use self::asking::{
    break_glass_request, confirm_request, dossier_request, grant, looks_at, looks_by, some_terms,
    terms,
};
use self::department::Doors;
pub(crate) use self::told::{look, week};

pub(crate) const VILLAGE: &str = "350524100001";
pub(crate) const TOWN: &str = "350524100";
/// In another town of the county.
pub(crate) const OTHER_VILLAGE: &str = "350524101007";
pub(crate) const OTHER_TOWN: &str = "350524101";
/// Where nobody lives.
pub(crate) const EMPTY_TOWN: &str = "350524102";
pub(crate) const COUNTY: &str = "350524";
/// In another county.
pub(crate) const FAR_VILLAGE: &str = "350525100001";
pub(crate) const OTHER_COUNTY: &str = "350525";
pub(crate) const CIVIL_AFFAIRS: &str = "civil_affairs";
/// As the contracts name it.
pub(crate) const SERVICE: &str = "eldercare.sharing.v1.SharingService";
/// Its methods that tell of nobody in particular: whoever is known may call them.
pub(crate) const FOR_ALL: [&str; 5] = [
    "GetAgreement",
    "GetAuditHead",
    "ListAgreements",
    "ListErasures",
    "ListProducts",
];

/// What outlives a restart of sharing, and the loss of its database.
#[derive(Clone)]
pub(crate) struct Ground {
    pub(crate) logs: Logs,
    /// Our own log, to be disturbed.
    pub(crate) memory: MemoryLog,
    pub(crate) vault: Vault,
    pub(crate) clock: Clock,
    issuer: Arc<TokenIssuer>,
    /// The server where feeds are kept, if they are.
    feeds: Option<Arc<Nats>>,
    /// How departments are let in there, if they are.
    doors: Option<Arc<Doors>>,
}

/// Sharing under test.
pub(crate) struct Running {
    pub(crate) ground: Ground,
    pub(crate) app: App,
    database: String,
    served: Served,
}

pub(crate) type Client = SharingServiceClient<Authorised>;

pub(crate) fn id() -> String {
    Uuid::now_v7().to_string()
}

pub(crate) fn day(text: &str) -> LocalDay {
    text.parse().unwrap()
}

/// A minute of local time, such as `2024-03-01 09:30`.
pub(crate) fn at(text: &str) -> DateTime<Utc> {
    let (day, time) = text.split_once(' ').unwrap();
    format!("{day}T{time}:00+08:00").parse().unwrap()
}

pub(crate) fn date(text: &str) -> Option<types::Date> {
    Some(codec::write_day(day(text)))
}

pub(crate) fn timestamp(at: DateTime<Utc>) -> Option<prost_types::Timestamp> {
    Some(elders::wire::write_time(at))
}

/// An officer of a department with some roles in a division.
pub(crate) fn officer(name: &str, department: &str, division: &str, roles: &[&str]) -> Claims {
    roles.iter().fold(
        Claims::officer(name, department)
            .division(division)
            .purpose("test"),
        |claims, role| claims.role(*role),
    )
}

/// Proposes agreements of the county.
pub(crate) fn proposer() -> Claims {
    officer(
        "proposer",
        CIVIL_AFFAIRS,
        COUNTY,
        &["administrator", "supervisor"],
    )
}

/// Approves them.
pub(crate) fn approver() -> Claims {
    officer(
        "approver",
        CIVIL_AFFAIRS,
        COUNTY,
        &["administrator", "supervisor"],
    )
}

/// Suspends and ends them.
pub(crate) fn guard() -> Claims {
    officer(
        "guard",
        CIVIL_AFFAIRS,
        COUNTY,
        &["administrator", "supervisor"],
    )
}

/// Reads the files of the county.
pub(crate) fn reader() -> Claims {
    officer("reader", CIVIL_AFFAIRS, COUNTY, &["viewer"])
}

/// Of the health department, in the county.
pub(crate) fn doctor() -> Claims {
    officer("doctor", "health", COUNTY, &["viewer"]).purpose("家庭医生签约")
}

impl Ground {
    /// Empty logs in memory; the clock stands.
    pub(crate) fn at(now: &str) -> Self {
        let log = |stream| Arc::new(MemoryLog::new(stream)) as Arc<dyn EventLog>;
        let memory = MemoryLog::new("SHARING");
        let logs = Logs {
            registry: log("REGISTRY"),
            tiering: log("TIERING"),
            visits: log("VISITS"),
            alerts: log("ALERTS"),
            claims: log("CLAIMS"),
            own: Arc::new(memory.clone()),
        };
        let ring = KeyRing::local_default(Mode::Local).unwrap();
        let store = Arc::new(MemoryKeyStore::new());
        Self {
            logs,
            memory,
            vault: Vault::new(store, ring, VaultOptions::default()),
            clock: Clock::stopped_at(at(now)),
            issuer: Arc::new(TokenIssuer::generate()),
            feeds: None,
            doors: None,
        }
    }

    /// Starts sharing on an empty database.
    pub(crate) async fn start(&self) -> Running {
        self.start_on(testing::fresh_database().await).await
    }

    /// The same with a server of its own where feeds are kept.
    pub(crate) async fn with_feeds(mut self) -> Self {
        self.feeds = Some(Arc::new(testing::own_nats().await));
        self
    }

    /// The same where departments are let in to read them.
    pub(crate) async fn with_doors(mut self) -> Self {
        let doors = Doors::new();
        let configuration = doors.server_configuration();
        let nats = testing::own_nats_with(|options| options.configuration = configuration);
        self.feeds = Some(Arc::new(nats.await));
        self.doors = Some(Arc::new(doors));
        self
    }

    /// The server where feeds are kept.
    pub(crate) fn server(&self) -> &Nats {
        self.feeds.as_ref().unwrap()
    }

    /// A client of the server where feeds are kept, which may do everything there.
    pub(crate) async fn nats(&self) -> async_nats::Client {
        match &self.doors {
            Some(doors) => doors.operator(self.server()).await,
            None => async_nats::connect(self.server().url()).await.unwrap(),
        }
    }

    /// Starts sharing on a database that may hold something, and waits until it can be asked for all.
    pub(crate) async fn start_on(&self, database: String) -> Running {
        self.start_with(database, &SharingSettings::default()).await
    }

    /// The same with settings of its own.
    pub(crate) async fn start_with(&self, database: String, own: &SharingSettings) -> Running {
        let settings = service::testing::settings(&self.issuer);
        let pool = PgPoolOptions::new()
            .max_connections(4)
            .connect(&database)
            .await
            .unwrap();
        let feeds = match &self.feeds {
            Some(_) => {
                let stream = FeedStream::open(self.nats().await, 1, true).await.unwrap();
                Some(match &self.doors {
                    Some(doors) => doors.side(self.server()).await,
                    None => SideStreams::feeds_alone(stream),
                })
            }
            None => None,
        };
        let app = App::over(
            self.logs.clone(),
            pool,
            self.clock.clone(),
            Secrets {
                keys: Keys::own(self.vault.clone()),
                digests: RequestDigests::keyed(b"test"),
                passwords: FeedPasswords::keyed(b"test"),
            },
            own,
            feeds,
        )
        .await
        .unwrap();
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

    /// Of a record that is written now.
    pub(crate) fn metadata(&self) -> Metadata {
        service::testing::metadata(self.clock.now(), VILLAGE)
    }

    /// Writes events of one aggregate as its owner does, at the time of the clock; where they stand.
    pub(crate) async fn write(
        &self,
        log: &Arc<dyn EventLog>,
        subject: Subject,
        events: Vec<RawEvent>,
    ) -> String {
        service::testing::write(&**log, subject, self.metadata(), events).await
    }

    /// The logs of all six services.
    pub(crate) fn logs_in_order(&self) -> [&Arc<dyn EventLog>; 6] {
        [
            &self.logs.registry,
            &self.logs.tiering,
            &self.logs.visits,
            &self.logs.alerts,
            &self.logs.claims,
            &self.logs.own,
        ]
    }

    /// The position that the next record of a log will have.
    pub(crate) async fn next_of(&self, log: &Arc<dyn EventLog>) -> String {
        let last = log.last_sequence().await.unwrap();
        Position::new(log.stream(), last + 1).to_string()
    }

    /// All records of our own log, except signed heads of the chain, which come by themselves.
    pub(crate) async fn records(&self) -> Vec<Record> {
        let end = self.logs.own.last_sequence().await.unwrap();
        let mut deliveries = self.logs.own.subscribe(0).await.unwrap();
        let (mut records, mut seen) = (vec![], 0);
        while seen < end {
            for delivery in deliveries.next().await.unwrap().unwrap() {
                seen = delivery.sequence();
                match delivery {
                    Delivery::Record(record) if record.subject.aggregate() != AuditHeads::NAME => {
                        records.push(record);
                    }
                    Delivery::Record(_) | Delivery::Unreadable { .. } => {}
                }
            }
        }
        records
    }

    /// How many records there are.
    pub(crate) async fn written(&self) -> usize {
        self.records().await.len()
    }

    /// All looks by right of office or by agreement, in their order.
    pub(crate) async fn looks(&self) -> Vec<Recorded> {
        let records = self.records().await;
        let looks = records
            .iter()
            .filter(|record| record.subject.aggregate() == Looks::NAME);
        looks
            .flat_map(|record| &record.events)
            .map(|raw| Looks::decode(raw).unwrap())
            .collect()
    }

    /// All looks beyond all agreements, in their order.
    pub(crate) async fn broken(&self) -> Vec<GlassBroken> {
        let records = self.records().await;
        let broken = records
            .iter()
            .filter(|record| record.subject.aggregate() == BrokenGlass::NAME);
        broken
            .flat_map(|record| &record.events)
            .map(|raw| BrokenGlass::decode(raw).unwrap())
            .collect()
    }
}

/// The fields of a document.
pub(crate) fn fields(document: &pb::Document) -> Value {
    Value::Object(object(document.fields.as_ref().unwrap()))
}

fn object(fields: &prost_types::Struct) -> Map<String, Value> {
    let fields = fields.fields.iter();
    fields
        .map(|(name, field)| (name.clone(), value(field)))
        .collect()
}

fn value(told: &prost_types::Value) -> Value {
    use prost_types::value::Kind;
    match told.kind.as_ref().unwrap() {
        Kind::NullValue(_) => Value::Null,
        Kind::BoolValue(flag) => Value::from(*flag),
        // Whole numbers alone.
        Kind::NumberValue(number) => Value::from(number.to_string().parse::<i64>().unwrap()),
        Kind::StringValue(text) => Value::from(text.as_str()),
        Kind::StructValue(fields) => Value::Object(object(fields)),
        Kind::ListValue(list) => list.values.iter().map(value).collect(),
    }
}

/// What a dossier holds: each product with the names of its fields, such as `tier: since tier`, masked ones with `*`.
pub(crate) fn in_words(dossier: &pb::Dossier) -> Vec<String> {
    let documents = dossier.documents.iter();
    documents
        .map(|document| {
            let fields = document.fields.as_ref().unwrap();
            let names = fields.fields.keys().map(|name| {
                let masked = document.masked.contains(name);
                if masked {
                    format!("{name}*")
                } else {
                    name.clone()
                }
            });
            let names: Vec<String> = names.collect();
            format!("{}: {}", document.product, names.join(" "))
        })
        .collect()
}

/// The keys of a product's documents, in their order.
pub(crate) fn keys(dossier: &pb::Dossier, product: &str) -> Vec<String> {
    let documents = dossier.documents.iter();
    documents
        .filter(|document| document.product == product)
        .map(|document| document.key.clone())
        .collect()
}

/// The one document of a product.
#[track_caller]
pub(crate) fn only(dossier: &pb::Dossier, product: &str) -> pb::Document {
    let documents = dossier.documents.iter();
    let found: Vec<_> = documents.filter(|one| one.product == product).collect();
    assert_eq!(found.len(), 1, "{product} in {dossier:?}");
    found[0].clone()
}

/// Refused with this code for this reason.
#[track_caller]
pub(crate) fn refused<T: std::fmt::Debug>(outcome: Result<T, Status>, code: Code, why: &str) {
    let status = outcome.unwrap_err();
    let told = reason(&status);
    assert_eq!((status.code(), told.as_str()), (code, why), "{status:?}");
}

/// All that a refusal tells, without the id that was asked for.
pub(crate) fn in_full(status: &Status, asked: &str) -> String {
    let (code, text) = (status.code(), status.message());
    let details = status.get_error_details_vec();
    format!("{code:?} {text} {details:?}").replace(asked, "ID")
}

/// The names of those who looked, the last one first.
pub(crate) fn callers(looks: &[pb::RecordedLook]) -> Vec<String> {
    let looks = looks.iter().map(|one| one.look.as_ref().unwrap());
    looks.map(|look| look.caller.clone()).collect()
}

impl Running {
    /// A client in the name of a caller.
    pub(crate) fn client_of(&self, caller: &Claims) -> Client {
        SharingServiceClient::new(self.served.as_caller(&self.ground.issuer, caller))
    }

    /// Waits until all that is in the logs can be read.
    pub(crate) async fn settled(&self) {
        self.app.settled(CancellationToken::new()).await;
    }

    pub(crate) fn advance(&self, to: &str) {
        self.ground.clock.advance_to(at(to)).unwrap();
    }

    /// Ends the process.
    pub(crate) async fn stop(self) -> (Ground, String) {
        self.served.stop().await;
        (self.ground, self.database)
    }
}
