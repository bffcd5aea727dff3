//! Sharing under test, the logs of all other services in the hands of the test, and elders, agreements and dossiers in few
//! words.

use std::sync::Arc;

use backing_services::testing;
use chrono::{DateTime, TimeDelta, Utc};
use civic::{
    AlertKind, Assistance, CapabilityLevel, Category, ConsentState, ElderId, LocalDay, OrderCode,
    ServiceKind, Set, Severity, Sex, VisitMode, VisitResult,
};
use elders::event::{Capability, Consent, Event, Registered, Residence, Source, Spoken};
use elders::terms::WireTerm as _;
use elders::{codec, purpose};
use eventlog::{
    Aggregate as _, Delivery, EventLog, MemoryLog, Metadata, NewRecord, Position, RawEvent, Record,
    Subject,
};
use futures::StreamExt as _;
use proto::eldercare::alerts::v1 as alerts;
use proto::eldercare::claims::v1 as claims;
use proto::eldercare::registry::v1 as registry;
use proto::eldercare::sharing::v1 as pb;
use proto::eldercare::sharing::v1::get_access_history_request::Whose;
use proto::eldercare::sharing::v1::sharing_service_client::SharingServiceClient;
use proto::eldercare::tiering::v1 as tiering;
use proto::eldercare::r#type::v1 as types;
use proto::eldercare::visits::v1 as visits;
use serde_json::{Map, Value};
use service::person_keys::Keys;
use service::testing::{Authorised, Bearer, reason};
use service::{
    Application as _, Claims, Clock, RequestDigests, Shutdown, TokenIssuer, application,
};
use sharing::look::{AuditHeads, BrokenGlass, GlassBroken, Look, Looks, Recorded};
use sharing::{App, Logs, SharingSettings};
use sqlx::postgres::PgPoolOptions;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use uuid::Uuid;
use vault::{KeyRing, MemoryKeyStore, Mode, Vault, VaultOptions};

pub(crate) const VILLAGE: &str = "350524100001";
pub(crate) const TOWN: &str = "350524100";
pub(crate) const OTHER_VILLAGE: &str = "350524101007";
pub(crate) const COUNTY: &str = "350524";
pub(crate) const OTHER_COUNTY: &str = "350525";
pub(crate) const CIVIL_AFFAIRS: &str = "civil_affairs";

/// What outlives a restart of sharing, and the loss of its database.
#[derive(Clone)]
pub(crate) struct Ground {
    pub(crate) logs: Logs,
    /// Our own log, to be disturbed.
    pub(crate) memory: MemoryLog,
    pub(crate) vault: Vault,
    pub(crate) clock: Clock,
    issuer: Arc<TokenIssuer>,
}

/// Sharing under test.
pub(crate) struct Running {
    pub(crate) ground: Ground,
    pub(crate) app: App,
    database: String,
    shutdown: Shutdown,
    channel: Channel,
    served: JoinHandle<anyhow::Result<()>>,
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
        }
    }

    /// Starts sharing on an empty database.
    pub(crate) async fn start(&self) -> Running {
        self.start_on(testing::fresh_database().await).await
    }

    /// Starts sharing on a database that may hold something, and waits until it can be asked for all.
    pub(crate) async fn start_on(&self, database: String) -> Running {
        let settings = service::testing::settings(&self.issuer);
        let shutdown = Shutdown::new(&settings.shutdown);
        let pool = PgPoolOptions::new()
            .max_connections(4)
            .connect(&database)
            .await
            .unwrap();
        let app = App::over(
            self.logs.clone(),
            pool,
            self.clock.clone(),
            Keys::own(self.vault.clone()),
            RequestDigests::keyed(b"test"),
            &SharingSettings::default(),
        )
        .await
        .unwrap();
        let started = application::start(&app, &settings, &shutdown)
            .await
            .unwrap();
        let channel = Endpoint::from_shared(format!("http://{}", started.address()))
            .unwrap()
            .connect_lazy();
        let served = tokio::spawn(started.serve());
        let running = Running {
            ground: self.clone(),
            app,
            database,
            shutdown,
            channel,
            served,
        };
        running.settled().await;
        running
    }

    /// Of a record that is written now.
    pub(crate) fn metadata(&self) -> Metadata {
        Metadata {
            id: Uuid::now_v7(),
            time: self.clock.now(),
            actor: "officer:test".to_owned(),
            request_id: Uuid::now_v7(),
            request_digest: [1; 16],
            correlation_id: Uuid::now_v7(),
            causation_id: None,
            division: Some(VILLAGE.to_owned()),
            traceparent: None,
            answers: None,
        }
    }

    /// Writes events of one aggregate as its owner does, at the time of the clock; where they stand.
    pub(crate) async fn write(
        &self,
        log: &Arc<dyn EventLog>,
        subject: Subject,
        events: Vec<RawEvent>,
    ) -> String {
        let before = log.read(&subject, 0).await.unwrap();
        let record = NewRecord {
            subject,
            expected: before.last().map_or(0, |record| record.sequence),
            metadata: self.metadata(),
            events,
        };
        let sequence = log.append(record).await.unwrap();
        Position::new(log.stream(), sequence).to_string()
    }

    /// Records events of an elder.
    pub(crate) async fn record(&self, elder: ElderId, events: &[Event]) -> String {
        let subject = Subject::new("registry", "elder", &elder.to_string()).unwrap();
        let events = events.iter().map(codec::encode).collect();
        self.write(&self.logs.registry, subject, events).await
    }

    /// Somebody in the village.
    pub(crate) async fn elder(&self) -> ElderId {
        self.elder_in(VILLAGE).await
    }

    /// Somebody in a village.
    pub(crate) async fn elder_in(&self, village: &str) -> ElderId {
        let elder = ElderId(Uuid::now_v7());
        self.registered(elder, village).await;
        elder
    }

    /// Opens the file of 王秀英, whose number, home and son are known.
    pub(crate) async fn registered(&self, elder: ElderId, village: &str) -> String {
        let person = elder.as_uuid();
        let key = self.vault.create(person).await.unwrap();
        let identity = registry::Identity {
            name: "王秀英".to_owned(),
            id_number: "350524194802101220".to_owned(),
        };
        let home = registry::Home {
            address: "福建省泉州市安溪县凤城镇1号".to_owned(),
            position: None,
        };
        let contacts = registry::ContactList {
            contacts: vec![types::Contact {
                name: "陈明".to_owned(),
                relation: "子".to_owned(),
                phone: "13812341234".to_owned(),
                call_order: 1,
                supporter: true,
            }],
        };
        let registered = Registered {
            elder,
            source: Source::Api,
            identity: key.seal(purpose::IDENTITY, person, &identity),
            identity_claim: "k1-00ff".to_owned(),
            birth_date: day("1948-02-10"),
            sex: Sex::Female,
            residence: Residence {
                village: village.parse().unwrap(),
                home: Some(key.seal(purpose::HOME, person, &home)),
            },
            categories: Category::LivingAlone.into(),
            assistance: Assistance::MinimumLiving.into(),
            capability: Capability {
                level: CapabilityLevel::Severe,
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
        let registered = Event::Registered(Box::new(registered));
        self.record(elder, &[registered]).await
    }

    pub(crate) async fn moves(&self, elder: ElderId, village: &str, on: &str) {
        let residence = Residence {
            village: village.parse().unwrap(),
            home: None,
        };
        let moved = Event::Relocated(residence, day(on));
        self.record(elder, &[moved]).await;
    }

    pub(crate) async fn is_erased(&self, elder: ElderId) {
        let reason = "REQUEST".to_owned();
        self.record(elder, &[Event::Erased { reason }]).await;
        self.vault.erase(elder.as_uuid()).await.unwrap();
    }

    /// Gives a tier from a day on.
    pub(crate) async fn tiered(&self, elder: ElderId, tier: &str, on: &str) -> String {
        let assigned = tiering::TierAssigned {
            elder_id: elder.to_string(),
            assignment: Some(tiering::Assignment {
                tier: tier.to_owned(),
                reasons: vec!["LIVING_ALONE".to_owned()],
                interval: tiering::Interval::Weekly.into(),
                modes: vec![VisitMode::Home.wire()],
                policy_division_code: "0".to_owned(),
                policy_version: 1,
                division_code: VILLAGE.to_owned(),
            }),
            on: date(on),
        };
        let subject = Subject::new("tiering", "tier", &elder.to_string()).unwrap();
        let events = vec![RawEvent::of(&assigned)];
        self.write(&self.logs.tiering, subject, events).await
    }

    /// Half an hour's visits at home, all put on record at once; their ids.
    pub(crate) async fn visited(&self, elder: ElderId, starts: &[DateTime<Utc>]) -> Vec<String> {
        let person = elder.as_uuid();
        let key = self.vault.key(person).await.unwrap();
        let remarks = visits::Remarks {
            text: "血压偏高".to_owned(),
        };
        let (mut ids, mut events) = (vec![], vec![]);
        for start in starts {
            let record = id();
            events.push(RawEvent::of(&visits::VisitRecorded {
                record_id: record.clone(),
                elder_id: elder.to_string(),
                visitor_id: Uuid::from_u128(7).to_string(),
                mode: VisitMode::Home.wire(),
                result: VisitResult::Met.wire(),
                start_time: timestamp(*start),
                end_time: timestamp(*start + TimeDelta::minutes(30)),
                services: vec![ServiceKind::HealthManagement.wire()],
                signed: true,
                check_in: None,
                remarks: Some((&key.seal("visits.remarks", person, &remarks)).into()),
                photo_hashes: vec![],
                division_code: VILLAGE.to_owned(),
            }));
            ids.push(record);
        }
        let subject = Subject::new("visits", "year", &format!("{elder}-2024")).unwrap();
        self.write(&self.logs.visits, subject, events).await;
        ids
    }

    /// A call for help that nobody has answered; its id.
    pub(crate) async fn alerted(&self, elder: ElderId, raised: &str) -> String {
        let alert = id();
        let raised = timestamp(at(raised));
        let event = RawEvent::of(&alerts::AlertRaised {
            alert_id: alert.clone(),
            kind: AlertKind::Sos.wire(),
            severity: Severity::Critical.wire(),
            elder_id: elder.to_string(),
            division_code: VILLAGE.to_owned(),
            raised_at: raised,
            levels: vec![alerts::LevelDue {
                level: 0,
                at: raised,
                roles: vec![],
            }],
            ..Default::default()
        });
        self.on_line(elder, vec![event]).await;
        alert
    }

    /// Somebody takes it on.
    pub(crate) async fn acknowledged(&self, elder: ElderId, alert: &str, on: &str) -> String {
        let event = RawEvent::of(&alerts::AlertAcknowledged {
            alert_id: alert.to_owned(),
            at: timestamp(at(on)),
        });
        self.on_line(elder, vec![event]).await
    }

    async fn on_line(&self, elder: ElderId, events: Vec<RawEvent>) -> String {
        let subject = Subject::new("alerts", "line", &format!("SOS-{elder}")).unwrap();
        self.write(&self.logs.alerts, subject, events).await
    }

    /// An order of 200 yuan that waits; its key.
    pub(crate) async fn ordered(&self, elder: ElderId, number: &str, start: &str) -> String {
        let key = id();
        let start = at(start);
        let event = RawEvent::of(&claims::OrderSubmitted {
            provider_id: "P01".to_owned(),
            order_id: number.to_owned(),
            programme_code: "LTCI".to_owned(),
            programme_version: 1,
            elder_id: elder.to_string(),
            caregiver_id: Uuid::from_u128(8).to_string(),
            check_in_at: timestamp(start),
            check_out_at: timestamp(start + TimeDelta::hours(2)),
            division_code: VILLAGE.to_owned(),
            units: 1,
            amount_fen: 20_000,
            ..Default::default()
        });
        let subject = Subject::new("claims", "order", &key).unwrap();
        self.write(&self.logs.claims, subject, vec![event]).await;
        key
    }

    /// The adjudicator holds an order.
    pub(crate) async fn held(&self, order: &str) {
        let event = RawEvent::of(&claims::OrderHeldAbnormal {
            order_key: order.to_owned(),
            codes: vec![OrderCode::NotEnrolled.wire()],
            conflicts: vec![],
        });
        let subject = Subject::new("claims", "adjudication", "orders").unwrap();
        self.write(&self.logs.claims, subject, vec![event]).await;
    }

    /// Insures somebody for 2024; the enrolment's id.
    pub(crate) async fn enrolled(&self, elder: ElderId) -> String {
        let enrolment = id();
        let event = RawEvent::of(&claims::PersonEnrolled {
            programme_code: "LTCI".to_owned(),
            elder_id: elder.to_string(),
            enrolment_id: enrolment.clone(),
            first_day: date("2024-01-01"),
            last_day: date("2024-12-31"),
            basis: "POOR".to_owned(),
        });
        let subject = Subject::new("claims", "enrolment", &format!("LTCI-{elder}")).unwrap();
        self.write(&self.logs.claims, subject, vec![event]).await;
        enrolment
    }

    /// Somebody in the village of whom every service knows something.
    pub(crate) async fn known_to_all(&self) -> ElderId {
        let elder = self.elder().await;
        self.tiered(elder, "PRIORITY", "2024-01-01").await;
        self.visited(elder, &[at("2024-02-10 09:00")]).await;
        let alert = self.alerted(elder, "2024-02-11 09:00").await;
        self.acknowledged(elder, &alert, "2024-02-11 09:01").await;
        let order = self.ordered(elder, "A", "2024-02-12 09:00").await;
        self.held(&order).await;
        self.enrolled(elder).await;
        elder
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

    /// Writes looks past sharing as one record; as its writer does where many wait.
    pub(crate) async fn looked(&self, looks: &[Recorded]) -> String {
        let subject = Subject::new("sharing", Looks::NAME, &id()).unwrap();
        let events = looks.iter().map(Looks::encode).collect();
        self.write(&self.logs.own, subject, events).await
    }
}

/// A look at elders' names now, by a caller.
pub(crate) fn look(caller: &str, elders: &[ElderId], when: &str) -> Look {
    Look {
        caller: caller.to_owned(),
        department: CIVIL_AFFAIRS.to_owned(),
        purpose: "test".to_owned(),
        method: "GetDossier".to_owned(),
        address: String::new(),
        at: at(when),
        elders: elders.to_vec(),
        fields: vec!["elder.name".to_owned()],
    }
}

/// Grants fields of a product.
pub(crate) fn grant(product: &str, plain: &[&str], masked: &[&str]) -> pb::ProductGrant {
    let of = |cut: pb::Cut| {
        move |field: &&str| pb::FieldGrant {
            field: (*field).to_owned(),
            cut: cut.into(),
        }
    };
    let plain = plain.iter().map(of(pb::Cut::Plain));
    let masked = masked.iter().map(of(pb::Cut::Masked));
    pb::ProductGrant {
        product: product.to_owned(),
        fields: plain.chain(masked).collect(),
    }
}

/// What health is granted of the county's elders until the end of the year.
pub(crate) fn terms(products: &[pb::ProductGrant]) -> pb::AgreementTerms {
    pb::AgreementTerms {
        department: "health".to_owned(),
        purpose: "家庭医生签约".to_owned(),
        legal_basis: "川民〔2023〕100号".to_owned(),
        products: products.to_vec(),
        division_codes: vec![COUNTY.to_owned()],
        until: date("2024-12-31"),
    }
}

/// Names, masked, and tiers.
pub(crate) fn some_terms() -> pb::AgreementTerms {
    terms(&[
        grant("elder", &[], &["name"]),
        grant("tier", &["tier"], &[]),
    ])
}

/// The whole dossier that a caller may see.
pub(crate) fn dossier_request(elder: ElderId) -> pb::GetDossierRequest {
    pb::GetDossierRequest {
        elder_id: elder.to_string(),
        ..Default::default()
    }
}

pub(crate) fn break_glass_request(elder: ElderId) -> pb::BreakGlassRequest {
    pb::BreakGlassRequest {
        request_id: id(),
        elder_id: elder.to_string(),
        reason: "老人昏迷，急需联系家属".to_owned(),
        newest: 0,
    }
}

/// Who has looked at an elder.
pub(crate) fn looks_at(elder: ElderId) -> pb::GetAccessHistoryRequest {
    pb::GetAccessHistoryRequest {
        whose: Some(Whose::ElderId(elder.to_string())),
        ..Default::default()
    }
}

/// What a caller has looked at.
pub(crate) fn looks_by(caller: &str) -> pb::GetAccessHistoryRequest {
    pb::GetAccessHistoryRequest {
        whose: Some(Whose::Caller(caller.to_owned())),
        ..Default::default()
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
        let token = self.ground.issuer.issue(caller);
        let bearer = Bearer::of(&token);
        SharingServiceClient::with_interceptor(self.channel.clone(), bearer)
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
        self.shutdown.request();
        self.served.await.unwrap().unwrap();
        (self.ground, self.database)
    }

    /// The proposer proposes; the agreement.
    pub(crate) async fn propose(&self, terms: &pb::AgreementTerms) -> Result<String, Status> {
        self.propose_as(&proposer(), terms).await
    }

    pub(crate) async fn propose_as(
        &self,
        caller: &Claims,
        terms: &pb::AgreementTerms,
    ) -> Result<String, Status> {
        let request = pb::ProposeAgreementRequest {
            request_id: id(),
            terms: Some(terms.clone()),
        };
        let proposed = self.client_of(caller).propose_agreement(request).await?;
        Ok(proposed.into_inner().agreement_id)
    }

    /// Where the approval stands.
    pub(crate) async fn approve_as(
        &self,
        caller: &Claims,
        agreement: &str,
    ) -> Result<String, Status> {
        let request = pb::ApproveAgreementRequest {
            request_id: id(),
            agreement_id: agreement.to_owned(),
        };
        let approved = self.client_of(caller).approve_agreement(request).await?;
        Ok(approved.into_inner().position)
    }

    pub(crate) async fn suspend_as(
        &self,
        caller: &Claims,
        agreement: &str,
    ) -> Result<String, Status> {
        let request = pb::SuspendAgreementRequest {
            request_id: id(),
            agreement_id: agreement.to_owned(),
            reason: "LEAK".to_owned(),
        };
        let suspended = self.client_of(caller).suspend_agreement(request).await?;
        Ok(suspended.into_inner().position)
    }

    pub(crate) async fn end_as(&self, caller: &Claims, agreement: &str) -> Result<String, Status> {
        let request = pb::EndAgreementRequest {
            request_id: id(),
            agreement_id: agreement.to_owned(),
            reason: "NO_NEED".to_owned(),
        };
        let ended = self.client_of(caller).end_agreement(request).await?;
        Ok(ended.into_inner().position)
    }

    /// An agreement that is proposed and approved; all that is in the logs can be read.
    pub(crate) async fn agreed(&self, terms: &pb::AgreementTerms) -> String {
        let agreement = self.propose(terms).await.unwrap();
        self.approve_as(&approver(), &agreement).await.unwrap();
        self.settled().await;
        agreement
    }

    /// An agreement as a caller sees it by now.
    pub(crate) async fn agreement(
        &self,
        caller: &Claims,
        agreement: &str,
    ) -> Result<pb::Agreement, Status> {
        self.settled().await;
        let request = pb::GetAgreementRequest {
            agreement_id: agreement.to_owned(),
            min_position: String::new(),
        };
        let told = self.client_of(caller).get_agreement(request).await?;
        Ok(told.into_inner().agreement.unwrap())
    }

    /// The agreements that a caller sees by now, by their ids.
    pub(crate) async fn agreements(
        &self,
        caller: &Claims,
        department: &str,
        state: pb::AgreementState,
    ) -> Vec<String> {
        self.settled().await;
        let request = pb::ListAgreementsRequest {
            department: department.to_owned(),
            state: state.into(),
            ..Default::default()
        };
        let listed = self.client_of(caller).list_agreements(request).await;
        let listed = listed.unwrap().into_inner();
        assert_eq!(listed.next_page_token, "");
        let agreements = listed.agreements.into_iter();
        agreements.map(|one| one.agreement_id).collect()
    }

    /// Asks for a dossier as it stands, whatever the read models hold.
    pub(crate) async fn ask(
        &self,
        caller: &Claims,
        request: pb::GetDossierRequest,
    ) -> Result<pb::Dossier, Status> {
        let told = self.client_of(caller).get_dossier(request).await?;
        Ok(told.into_inner().dossier.unwrap())
    }

    /// What a caller sees of an elder by now.
    pub(crate) async fn dossier(
        &self,
        caller: &Claims,
        elder: ElderId,
    ) -> Result<pb::Dossier, Status> {
        self.settled().await;
        self.ask(caller, dossier_request(elder)).await
    }

    pub(crate) async fn break_glass(
        &self,
        caller: &Claims,
        request: pb::BreakGlassRequest,
    ) -> Result<pb::BreakGlassResponse, Status> {
        self.settled().await;
        let told = self.client_of(caller).break_glass(request).await?;
        Ok(told.into_inner())
    }

    /// A history as a caller sees it by now, put together from pages of this size; 0: in one page.
    pub(crate) async fn history(
        &self,
        caller: &Claims,
        mut request: pb::GetAccessHistoryRequest,
        page_size: i32,
    ) -> Result<Vec<pb::RecordedLook>, Status> {
        self.settled().await;
        let mut client = self.client_of(caller);
        request.page_size = page_size;
        let mut looks = Vec::new();
        loop {
            let page = client.get_access_history(request.clone()).await?;
            let page = page.into_inner();
            let (size, most) = (page.looks.len(), usize::try_from(page_size).unwrap());
            looks.extend(page.looks);
            if page.next_page_token.is_empty() {
                return Ok(looks);
            }
            assert!(most > 0 && size == most, "{size} in a page of {most}");
            request.page_token = page.next_page_token;
        }
    }
}
