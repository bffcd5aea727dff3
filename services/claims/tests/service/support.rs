//! Claims under test, the registry's log in the hands of the test, and elders, orders and verdicts in few words.

use std::collections::BTreeMap;
use std::sync::Arc;

use backing_services::{Nats, testing};
use chrono::{DateTime, TimeDelta, Utc};
use civic::{Assistance, CapabilityLevel, ConsentState, ElderId, LocalDay, Set, Sex};
use claims::App;
use claims::adjudication::{Event as Verdict, Runs};
use elders::event::{Capability, Consent, Event, Registered, Residence, Source, Spoken};
use elders::{codec, purpose};
use eventlog::{
    Aggregate as _, EventLog, Gather, JetStreamLog, MemoryLog, Metadata, Repository,
    StreamSettings, Subject,
};
use proto::eldercare::claims::v1 as pb;
use proto::eldercare::claims::v1::claims_service_client::ClaimsServiceClient;
use proto::eldercare::registry::v1 as registry;
use proto::eldercare::r#type::v1 as types;
use service::person_keys::Keys;
pub(crate) use service::testing::reason;
use service::testing::{Authorised, Served};
use service::{Application as _, Claims, Clock, RequestDigests, TokenIssuer};
use sqlx::postgres::PgPoolOptions;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use uuid::Uuid;
use vault::{KeyRing, MemoryKeyStore, Mode, Vault, VaultOptions};

pub(crate) const VILLAGE: &str = "350524100001";
pub(crate) const OTHER_VILLAGE: &str = "350524101007";
pub(crate) const COUNTY: &str = "350524";
pub(crate) const OTHER_COUNTY: &str = "350525";
pub(crate) const LTCI: &str = include_str!("../programmes/ltci.yaml");
pub(crate) const HOMECARE: &str = include_str!("../programmes/homecare.yaml");

/// What outlives a restart of claims, and the loss of their database.
#[derive(Clone)]
pub(crate) struct Ground {
    /// Kept alive.
    _nats: Option<Arc<Nats>>,
    pub(crate) registry: Arc<dyn EventLog>,
    pub(crate) own: Arc<dyn EventLog>,
    /// Our own log, to be disturbed; an empty other one where ours is on a server.
    pub(crate) memory: MemoryLog,
    pub(crate) vault: Vault,
    pub(crate) clock: Clock,
    issuer: Arc<TokenIssuer>,
}

/// Claims under test.
pub(crate) struct Running {
    pub(crate) ground: Ground,
    pub(crate) app: App,
    pub(crate) database: String,
    served: Served,
}

pub(crate) type Client = ClaimsServiceClient<Authorised>;

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

/// An officer who may do all in a division.
pub(crate) fn officer(name: &str, division: &str) -> Claims {
    let roles = ["viewer", "clerk", "supervisor", "administrator"];
    roles.into_iter().fold(
        Claims::officer(name, "civil_affairs")
            .division(division)
            .purpose("test"),
        Claims::role,
    )
}

impl Ground {
    /// Empty logs in memory; the clock stands.
    pub(crate) fn at(now: &str) -> Self {
        let memory = MemoryLog::new("CLAIMS");
        let own = Arc::new(memory.clone());
        Self::of(None, Arc::new(MemoryLog::new("REGISTRY")), own, memory, now)
    }

    /// Empty logs on a NATS server.
    pub(crate) async fn on_nats(now: &str) -> Self {
        let nats = testing::own_nats().await;
        let client = async_nats::connect(nats.url()).await.unwrap();
        let open = async |context| {
            let settings = StreamSettings::of(context, Gather::GroupsOnly);
            let log = JetStreamLog::open(client.clone(), settings).await;
            Arc::new(log.unwrap()) as Arc<dyn EventLog>
        };
        let (registry, own) = (open("registry").await, open("claims").await);
        let nothing = MemoryLog::new("NOTHING");
        Self::of(Some(Arc::new(nats)), registry, own, nothing, now)
    }

    fn of(
        nats: Option<Arc<Nats>>,
        registry: Arc<dyn EventLog>,
        own: Arc<dyn EventLog>,
        memory: MemoryLog,
        now: &str,
    ) -> Self {
        let ring = KeyRing::local_default(Mode::Local).unwrap();
        let store = Arc::new(MemoryKeyStore::new());
        Self {
            _nats: nats,
            registry,
            own,
            memory,
            vault: Vault::new(store, ring, VaultOptions::default()),
            clock: Clock::stopped_at(at(now)),
            issuer: Arc::new(TokenIssuer::generate()),
        }
    }

    /// The same with another log of our own.
    pub(crate) fn with_own(&self, memory: MemoryLog) -> Self {
        Self {
            own: Arc::new(memory.clone()),
            memory,
            ..self.clone()
        }
    }

    /// Starts claims on an empty database.
    pub(crate) async fn start(&self) -> Running {
        self.start_on(testing::fresh_database().await).await
    }

    /// Starts claims on a database that may hold something, and waits until all that is due is done.
    pub(crate) async fn start_on(&self, database: String) -> Running {
        let running = self.start_anyhow(database).await;
        running.settled().await;
        running
    }

    /// Starts claims on a database that may hold something.
    pub(crate) async fn start_anyhow(&self, database: String) -> Running {
        let settings = service::testing::settings(&self.issuer);
        let pool = PgPoolOptions::new()
            .max_connections(6)
            .connect(&database)
            .await
            .unwrap();
        let logs = (Arc::clone(&self.registry), Arc::clone(&self.own));
        let keys = Keys::own(self.vault.clone());
        let digests = RequestDigests::keyed(b"test");
        let app = App::over(logs, pool, self.clock.clone(), keys, digests)
            .await
            .unwrap();
        let served = Served::start(&app, &settings).await;
        Running {
            ground: self.clone(),
            app,
            database,
            served,
        }
    }

    /// Of a record that is written now.
    pub(crate) fn metadata(&self) -> Metadata {
        service::testing::metadata(self.clock.now(), VILLAGE)
    }

    /// Records events of an elder at the time of the clock, as the registry does.
    pub(crate) async fn record(&self, elder: ElderId, events: &[Event]) -> String {
        let subject = Subject::new("registry", "elder", &elder.to_string()).unwrap();
        let events = events.iter().map(codec::encode).collect();
        service::testing::write(&*self.registry, subject, self.metadata(), events).await
    }

    /// Somebody poor and dependent in the village.
    pub(crate) async fn elder(&self) -> ElderId {
        Person::default().on(self).await
    }

    pub(crate) async fn dies(&self, elder: ElderId, on: &str) -> String {
        self.record(elder, &[Event::Died { on: day(on) }]).await
    }

    pub(crate) async fn is_erased(&self, elder: ElderId) {
        let reason = "REQUEST".to_owned();
        self.record(elder, &[Event::Erased { reason }]).await;
        self.vault.erase(elder.as_uuid()).await.unwrap();
    }

    /// Where our own log ends.
    pub(crate) async fn end(&self) -> u64 {
        self.own.last_sequence().await.unwrap()
    }

    /// All that the adjudicator has said, in its order.
    pub(crate) async fn verdicts(&self) -> Vec<Verdict> {
        let subject = Repository::<Runs>::subject("orders").unwrap();
        let runs = self.own.read(&subject, 0).await.unwrap();
        let events = runs.iter().flat_map(|run| &run.events);
        events.map(|raw| Runs::decode(raw).unwrap()).collect()
    }

    /// How many first verdicts there are on each order.
    pub(crate) async fn first_verdicts(&self) -> BTreeMap<Uuid, usize> {
        let mut verdicts = BTreeMap::new();
        for verdict in self.verdicts().await {
            match verdict {
                Verdict::Approved {
                    order,
                    on_appeal: false,
                    ..
                }
                | Verdict::Held { order, .. } => *verdicts.entry(order).or_default() += 1,
                Verdict::Approved { .. }
                | Verdict::Consumed { .. }
                | Verdict::Released { .. }
                | Verdict::PremiumsBooked { .. }
                | Verdict::NotSettled { .. } => {}
            }
        }
        verdicts
    }
}

/// Somebody to be registered.
pub(crate) struct Person {
    pub(crate) village: &'static str,
    pub(crate) birth: &'static str,
    pub(crate) assistance: Set<Assistance>,
    pub(crate) capability: CapabilityLevel,
    pub(crate) handicap: Option<u8>,
    /// Whether it is known where exactly they live.
    pub(crate) home: bool,
}

impl Default for Person {
    fn default() -> Self {
        Self {
            village: VILLAGE,
            birth: "1950-03-01",
            assistance: Assistance::MinimumLiving.into(),
            capability: CapabilityLevel::Severe,
            handicap: None,
            home: true,
        }
    }
}

impl Person {
    pub(crate) async fn on(self, ground: &Ground) -> ElderId {
        let elder = ElderId(Uuid::now_v7());
        let key = ground.vault.create(elder.as_uuid()).await.unwrap();
        let person = elder.as_uuid();
        let home = registry::Home {
            address: String::new(),
            position: self.home.then(|| place(0.0)),
        };
        let identity = registry::Identity::default();
        let registered = Registered {
            elder,
            source: Source::Api,
            identity: key.seal(purpose::IDENTITY, person, &identity),
            identity_claim: "k1-00ff".to_owned(),
            birth_date: day(self.birth),
            sex: Sex::Female,
            residence: Residence {
                village: self.village.parse().unwrap(),
                home: Some(key.seal(purpose::HOME, person, &home)),
            },
            categories: Set::new(),
            assistance: self.assistance,
            capability: Capability {
                level: self.capability,
                assessed_on: None,
                source: String::new(),
            },
            observations: Set::new(),
            handicap_grade: self.handicap.map(|grade| grade.try_into().unwrap()),
            circumstances: vec![],
            contacts: None,
            consent: Consent {
                state: ConsentState::Granted,
                spoken: Spoken { by: None, at: None },
            },
            wanted_services: Set::new(),
            remarks: None,
            import: None,
        };
        let registered = Event::Registered(Box::new(registered));
        ground.record(elder, &[registered]).await;
        elder
    }
}

/// A place so many metres north of home.
pub(crate) fn place(metres: f64) -> types::GeoPosition {
    types::GeoPosition {
        latitude: 25.0 + metres / 111_195.0,
        longitude: 117.0,
    }
}

/// A file that no other order has but one of the same number.
pub(crate) fn file(kind: pb::EvidenceKind, of: &str) -> pb::Evidence {
    pb::Evidence {
        kind: kind.into(),
        hash: format!("a file of {of}").into_bytes().into(),
    }
}

/// Two hours of insured care by provider P01 from a minute on, with nothing in doubt.
pub(crate) fn order(
    number: &str,
    elder: ElderId,
    caregiver: &str,
    start: &str,
) -> pb::ServiceOrder {
    let start = at(start);
    let items = ["VITAL_SIGNS", "HEALTH_GUIDANCE", "SAFETY_CHECK", "BATHING"];
    pb::ServiceOrder {
        provider_id: "P01".to_owned(),
        order_id: number.to_owned(),
        programme_code: "LTCI".to_owned(),
        programme_version: 0,
        elder_id: elder.to_string(),
        caregiver_id: caregiver.to_owned(),
        check_in_at: timestamp(start),
        check_out_at: timestamp(start + TimeDelta::hours(2)),
        check_in: Some(place(10.0)),
        items: items.map(str::to_owned).to_vec(),
        evidence: vec![file(pb::EvidenceKind::Video, number)],
    }
}

/// The same, an hour too short.
pub(crate) fn short_order(
    number: &str,
    elder: ElderId,
    caregiver: &str,
    start: &str,
) -> pb::ServiceOrder {
    pb::ServiceOrder {
        check_out_at: timestamp(at(start) + TimeDelta::hours(1)),
        ..order(number, elder, caregiver, start)
    }
}

/// Where an order stands: `APPROVED`, `ABNORMAL_OPEN ITEMS_INVALID`, `NOT_SETTLED DURATION_SHORT: NO_APPEAL`.
pub(crate) fn in_words(standing: &pb::OrderStanding) -> String {
    let mut words = standing.state().as_str_name().replace("ORDER_STATE_", "");
    for code in standing.codes() {
        words.push(' ');
        words.push_str(code.as_str_name().trim_start_matches("ORDER_CODE_"));
    }
    if standing.not_settled_reason != 0 {
        let why = standing.not_settled_reason().as_str_name();
        words.push_str(": ");
        words.push_str(why.trim_start_matches("NOT_SETTLED_REASON_"));
    }
    words
}

/// The outcome of an order of a stream; where it is invalid, why and where.
pub(crate) fn outcome_in_words(outcome: &pb::SubmitOrdersResponse) -> String {
    match &outcome.standing {
        Some(standing) => in_words(standing),
        None => format!("{} {}", outcome.invalid_reason, outcome.invalid_field)
            .trim_end()
            .to_owned(),
    }
}

/// All orders of a division.
pub(crate) fn all_in(division: &str) -> pb::OrderFilter {
    pb::OrderFilter {
        division_code: division.to_owned(),
        ..Default::default()
    }
}

pub(crate) fn enrolment(programme: &str, elder: ElderId, first: &str) -> pb::Enrolment {
    pb::Enrolment {
        enrolment_id: id(),
        programme_code: programme.to_owned(),
        elder_id: elder.to_string(),
        first_day: date(first),
        last_day: None,
    }
}

impl Running {
    pub(crate) fn client(&self) -> Client {
        self.client_of(&service::testing::anybody())
    }

    /// A client in the name of a caller.
    pub(crate) fn client_of(&self, caller: &Claims) -> Client {
        ClaimsServiceClient::new(self.served.as_caller(&self.ground.issuer, caller))
    }

    pub(crate) async fn settled(&self) {
        self.app.settled(CancellationToken::new()).await;
    }

    /// Moves the clock, and waits until all that is due is done.
    pub(crate) async fn advance(&self, to: &str) {
        self.ground.clock.advance_to(at(to)).unwrap();
        self.settled().await;
    }

    /// Ends the process.
    pub(crate) async fn stop(self) -> (Ground, String) {
        self.served.stop().await;
        (self.ground, self.database)
    }

    pub(crate) async fn define(&self, code: &str, definition: &str) -> Result<i32, Status> {
        let request = pb::DefineProgrammeRequest {
            request_id: id(),
            programme_code: code.to_owned(),
            division_code: COUNTY.to_owned(),
            definition: definition.to_owned(),
        };
        let defined = self.client().define_programme(request).await?;
        Ok(defined.into_inner().version)
    }

    /// The contract's id.
    pub(crate) async fn contract(&self, provider: &str, programme: &str) -> Result<String, Status> {
        let request = pb::ContractProviderRequest {
            request_id: id(),
            contract: Some(pb::Contract {
                provider_id: provider.to_owned(),
                programme_code: programme.to_owned(),
                name: "禾康".to_owned(),
                first_day: date("2024-01-01"),
                last_day: None,
            }),
        };
        let contracted = self.client().contract_provider(request).await?;
        Ok(contracted.into_inner().contract_id)
    }

    /// Somebody on a provider's list since the beginning of the year.
    pub(crate) async fn caregiver(&self, provider: &str) -> String {
        let request = pb::RegisterCaregiverRequest {
            request_id: id(),
            caregiver: Some(pb::Caregiver {
                provider_id: provider.to_owned(),
                name: "陈护理".to_owned(),
                first_day: date("2024-01-01"),
                last_day: None,
            }),
        };
        let registered = self.client().register_caregiver(request).await.unwrap();
        registered.into_inner().caregiver_id
    }

    /// The county has its long-term care insurance, with a provider; a caregiver of it.
    pub(crate) async fn insurance(&self) -> String {
        self.insurance_by(LTCI).await
    }

    /// The same by another definition.
    pub(crate) async fn insurance_by(&self, definition: &str) -> String {
        self.define("LTCI", definition).await.unwrap();
        self.contract("P01", "LTCI").await.unwrap();
        self.caregiver("P01").await
    }

    /// Enrols in the order given; all outcomes.
    pub(crate) async fn enrol_all(
        &self,
        enrolments: &[pb::Enrolment],
    ) -> Vec<pb::EnrolPersonsResponse> {
        self.settled().await;
        let requests = enrolments
            .iter()
            .map(|enrolment| pb::EnrolPersonsRequest {
                enrolment: Some(enrolment.clone()),
                min_position: String::new(),
            })
            .collect::<Vec<_>>();
        let answers = self
            .client()
            .enrol_persons(tokio_stream::iter(requests))
            .await;
        let mut answers = answers.unwrap().into_inner();
        let mut outcomes = Vec::new();
        while let Some(outcome) = answers.message().await.unwrap() {
            outcomes.push(outcome);
        }
        outcomes
    }

    /// Insures somebody for 2024 from its first day on; the enrolment's id.
    pub(crate) async fn enrolled(&self, elder: ElderId) -> String {
        let enrolment = enrolment("LTCI", elder, "2024-01-01");
        let outcomes = self.enrol_all(std::slice::from_ref(&enrolment)).await;
        let outcome = outcomes[0].outcome();
        assert_eq!(
            outcome,
            pb::EnrolmentOutcomeKind::Enrolled,
            "{:?}",
            outcomes[0]
        );
        enrolment.enrolment_id
    }

    /// Somebody poor and dependent in the village who is insured.
    pub(crate) async fn insured(&self) -> ElderId {
        let elder = self.ground.elder().await;
        self.enrolled(elder).await;
        elder
    }

    /// Hands in an order.
    pub(crate) async fn submit(
        &self,
        order: &pb::ServiceOrder,
    ) -> Result<pb::SubmitOrderResponse, Status> {
        self.settled().await;
        let request = pb::SubmitOrderRequest {
            order: Some(order.clone()),
            min_position: String::new(),
        };
        let submitted = self.client().submit_order(request).await?;
        Ok(submitted.into_inner())
    }

    /// What becomes of an order that is handed in; the reason where it is refused.
    pub(crate) async fn told(&self, order: &pb::ServiceOrder) -> String {
        match self.submit(order).await {
            Ok(submitted) => in_words(&submitted.standing.unwrap()),
            Err(status) => reason(&status),
        }
    }

    /// Hands in orders as a provider's system does at night.
    pub(crate) async fn stream(
        &self,
        orders: &[pb::ServiceOrder],
    ) -> Vec<pb::SubmitOrdersResponse> {
        self.settled().await;
        let requests = orders.iter().map(|order| pb::SubmitOrdersRequest {
            order: Some(order.clone()),
            min_position: String::new(),
        });
        let stream = tokio_stream::iter(requests.collect::<Vec<_>>());
        let answers = self.client().submit_orders(stream).await;
        let mut answers = answers.unwrap().into_inner();
        let mut outcomes = Vec::new();
        while let Some(outcome) = answers.message().await.unwrap() {
            outcomes.push(outcome);
        }
        outcomes
    }

    pub(crate) async fn order(&self, number: &str) -> pb::GetOrderResponse {
        let request = pb::GetOrderRequest {
            provider_id: "P01".to_owned(),
            order_id: number.to_owned(),
            min_position: String::new(),
        };
        self.client().get_order(request).await.unwrap().into_inner()
    }

    /// Where an order stands by now.
    pub(crate) async fn standing(&self, number: &str) -> String {
        self.settled().await;
        in_words(&self.order(number).await.standing.unwrap())
    }

    /// The page of orders of a filter; at most 1,000.
    pub(crate) async fn orders(&self, filter: pb::OrderFilter) -> Vec<pb::OrderStanding> {
        self.settled().await;
        let request = pb::ListOrdersRequest {
            filter: Some(filter),
            page_size: 1_000,
            ..Default::default()
        };
        let listed = self.client().list_orders(request).await.unwrap();
        let listed = listed.into_inner();
        assert_eq!(listed.next_page_token, "");
        listed.orders
    }

    /// Appeals in the name of an appellant.
    pub(crate) async fn appeal(&self, number: &str) -> Result<String, Status> {
        let request = appeal_request(number);
        let mut client = self.client_of(&officer("appellant", COUNTY));
        let appealed = client.appeal_order(request).await?;
        Ok(appealed.into_inner().position)
    }

    /// A reviewer decides; where the order stands then.
    pub(crate) async fn decide(&self, number: &str, accept: bool) -> Result<String, Status> {
        let request = decision_request(number, accept);
        let mut client = self.client_of(&officer("reviewer", COUNTY));
        let decided = client.decide_appeal(request).await?.into_inner();
        Ok(in_words(&decided.standing.unwrap()))
    }

    pub(crate) async fn fund(&self, programme: &str) -> pb::GetFundResponse {
        self.settled().await;
        let request = pb::GetFundRequest {
            programme_code: programme.to_owned(),
            min_position: String::new(),
        };
        self.client().get_fund(request).await.unwrap().into_inner()
    }

    /// A grant comes in.
    pub(crate) async fn granted(&self, programme: &str, fen: i64) {
        let request = pb::FundDepositRequest {
            request_id: id(),
            programme_code: programme.to_owned(),
            amount_fen: fen,
            kind: pb::DepositKind::Grant.into(),
            reference: "财社〔2024〕1号".to_owned(),
        };
        self.client().fund_deposit(request).await.unwrap();
    }

    /// What is approved in a month and waits, put together.
    pub(crate) async fn draft(
        &self,
        provider: &str,
        month_of: &str,
    ) -> Result<pb::Settlement, Status> {
        let request = pb::DraftSettlementRequest {
            request_id: id(),
            programme_code: "LTCI".to_owned(),
            provider_id: provider.to_owned(),
            month_of: date(month_of),
        };
        let drafted = self.client().draft_settlement(request).await?;
        Ok(drafted.into_inner().settlement.unwrap())
    }

    pub(crate) async fn confirm(
        &self,
        settlement: &pb::Settlement,
    ) -> Result<pb::Settlement, Status> {
        let request = pb::ConfirmSettlementRequest {
            request_id: id(),
            programme_code: settlement.programme_code.clone(),
            provider_id: settlement.provider_id.clone(),
            number: settlement.number,
            total_fen: settlement.total_fen,
        };
        let confirmed = self.client().confirm_settlement(request).await?;
        Ok(confirmed.into_inner().settlement.unwrap())
    }

    /// Pays all of it today.
    pub(crate) async fn pay(&self, settlement: &pb::Settlement) -> Result<pb::Settlement, Status> {
        let request = self.payment_of(settlement);
        let paid = self.client().record_payment(request).await?;
        Ok(paid.into_inner().settlement.unwrap())
    }

    pub(crate) fn payment_of(&self, settlement: &pb::Settlement) -> pb::RecordPaymentRequest {
        pb::RecordPaymentRequest {
            request_id: id(),
            programme_code: settlement.programme_code.clone(),
            provider_id: settlement.provider_id.clone(),
            number: settlement.number,
            amount_fen: settlement.total_fen,
            paid_on: Some(codec::write_day(self.ground.clock.today())),
            reference: "V1".to_owned(),
        }
    }

    pub(crate) async fn settlement(
        &self,
        provider: &str,
        number: i32,
    ) -> pb::GetSettlementResponse {
        self.settled().await;
        let request = pb::GetSettlementRequest {
            programme_code: "LTCI".to_owned(),
            provider_id: provider.to_owned(),
            number,
            min_position: String::new(),
        };
        let told = self.client().get_settlement(request).await.unwrap();
        told.into_inner()
    }

    pub(crate) async fn entitlement(&self, elder: ElderId, on: &str) -> pb::GetEntitlementResponse {
        self.settled().await;
        let request = pb::GetEntitlementRequest {
            programme_code: "LTCI".to_owned(),
            elder_id: elder.to_string(),
            on: date(on),
            min_position: String::new(),
        };
        let told = self.client().get_entitlement(request).await.unwrap();
        told.into_inner()
    }

    pub(crate) async fn figures(
        &self,
        filter: pb::OrderFilter,
        groups: &[pb::FigureGroup],
    ) -> pb::GetFiguresResponse {
        self.settled().await;
        let request = pb::GetFiguresRequest {
            filter: Some(filter),
            groups: groups.iter().map(|group| (*group).into()).collect(),
            min_position: String::new(),
        };
        let told = self.client().get_figures(request).await.unwrap();
        told.into_inner()
    }
}

/// An appeal against an order of provider P01.
pub(crate) fn appeal_request(number: &str) -> pb::AppealOrderRequest {
    pb::AppealOrderRequest {
        request_id: id(),
        provider_id: "P01".to_owned(),
        order_id: number.to_owned(),
        statement: "家属可作证".to_owned(),
        evidence: vec![file(
            pb::EvidenceKind::Photo,
            &format!("the appeal of {number}"),
        )],
    }
}

/// The decision on it.
pub(crate) fn decision_request(number: &str, accept: bool) -> pb::DecideAppealRequest {
    let decision = if accept {
        pb::AppealDecision::Accept
    } else {
        pb::AppealDecision::Refuse
    };
    pb::DecideAppealRequest {
        request_id: id(),
        provider_id: "P01".to_owned(),
        order_id: number.to_owned(),
        decision: decision.into(),
    }
}
