//! Visits under test, the logs of registry and tiering in the hands of the test, and visits in few words.

use std::sync::Arc;

use backing_services::testing;
use chrono::{DateTime, TimeDelta, Utc};
use civic::{CapabilityLevel, Category, ConsentState, ElderId, LocalDay, Set, Sex};
use elders::event::{Capability, Consent, Event, Registered, Residence, Source, Spoken};
use elders::{codec, purpose};
use eventlog::{EventLog, MemoryLog, Subject};
use proto::eldercare::registry::v1 as registry;
use proto::eldercare::r#type::v1 as types;
use proto::eldercare::visits::v1 as pb;
use proto::eldercare::visits::v1::visit_service_client::VisitServiceClient;
use service::person_keys::Keys;
pub(crate) use service::testing::reason;
use service::testing::{Authorised, Served};
use service::{Application as _, Claims, Clock, RequestDigests, TokenIssuer, peer};
use sqlx::postgres::PgPoolOptions;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use vault::{KeyRing, MemoryKeyStore, Mode, Vault, VaultOptions};
use visits::App;
use visits::app::Logs;
use visits::on_visit_missed::Alerts;

pub(crate) const VILLAGE: &str = "350524100001";
pub(crate) const COUNTY: &str = "350524";

/// What outlives a restart of visits, and the loss of its database.
#[derive(Clone)]
pub(crate) struct Ground {
    pub(crate) logs: Logs,
    pub(crate) vault: Vault,
    pub(crate) clock: Clock,
    /// Our own log, to be disturbed.
    pub(crate) own: Arc<MemoryLog>,
    issuer: Arc<TokenIssuer>,
    /// Where alerts are, if there are any.
    pub(crate) alerts: Option<String>,
}

/// Visits under test.
pub(crate) struct Running {
    pub(crate) ground: Ground,
    pub(crate) app: App,
    pub(crate) database: String,
    served: Served,
}

/// The kept figures that differ from those counted anew.
const COVERAGE_AUDIT: &str = "WITH anew AS ( \
         SELECT m.month, l.digits, left(s.village, l.digits) AS division, count(*)::int AS in_scope, count(*) FILTER (WHERE EXISTS ( \
             SELECT 1 FROM visits_book.record r WHERE r.elder_id = s.elder_id AND r.counted_at IS NOT NULL \
             AND date_trunc('month', r.day) = m.month))::int AS visited \
         FROM visits_kept.counted_month m \
         JOIN visits_kept.span s ON s.from_day <= m.on_day AND s.until_day > m.on_day \
         CROSS JOIN (VALUES (2), (4), (6), (9), (12)) AS l (digits) GROUP BY 1, 2, 3 \
     ), kept AS (SELECT month, digits, division, in_scope, visited FROM visits_kept.coverage WHERE in_scope <> 0 OR visited <> 0) \
     SELECT 'kept ' || d::text FROM (SELECT * FROM kept EXCEPT SELECT * FROM anew) d \
     UNION ALL SELECT 'anew ' || d::text FROM (SELECT * FROM anew EXCEPT SELECT * FROM kept) d";

pub(crate) type Client = VisitServiceClient<Authorised>;

pub(crate) fn day(text: &str) -> LocalDay {
    text.parse().unwrap()
}

/// A minute of local time, such as `2024-10-08 09:30`.
pub(crate) fn at(text: &str) -> DateTime<Utc> {
    let (day, time) = text.split_once(' ').unwrap();
    format!("{day}T{time}:00+08:00").parse().unwrap()
}

pub(crate) fn date(text: &str) -> types::Date {
    codec::write_day(day(text))
}

pub(crate) fn timestamp(at: DateTime<Utc>) -> prost_types::Timestamp {
    elders::wire::write_time(at)
}

impl Ground {
    /// Empty logs; the clock stands.
    pub(crate) fn at(now: &str) -> Self {
        let log = |name| Arc::new(MemoryLog::new(name)) as Arc<dyn EventLog>;
        let own = Arc::new(MemoryLog::new("VISITS"));
        let ring = KeyRing::local_default(Mode::Local).unwrap();
        let store = Arc::new(MemoryKeyStore::new());
        Self {
            logs: Logs {
                registry: log("REGISTRY"),
                tiering: log("TIERING"),
                own: Arc::clone(&own) as Arc<dyn EventLog>,
            },
            vault: Vault::new(store, ring, VaultOptions::default()),
            clock: Clock::stopped_at(at(now)),
            own,
            issuer: Arc::new(TokenIssuer::generate()),
            alerts: None,
        }
    }

    /// Starts visits on an empty database.
    pub(crate) async fn start(&self) -> Running {
        self.start_on(testing::fresh_database().await).await
    }

    /// Starts visits on a database that may hold something.
    pub(crate) async fn start_on(&self, database: String) -> Running {
        let mut settings = service::testing::settings(&self.issuer);
        let alerts = self.alerts.clone().map(|address| {
            settings.peers.insert("alerts".to_owned(), address);
            Alerts::new(peer::channel(&settings, "alerts").unwrap())
        });
        let pool = PgPoolOptions::new()
            .max_connections(6)
            .connect(&database)
            .await
            .unwrap();
        let app = App::over(
            self.logs.clone(),
            pool,
            self.clock.clone(),
            Keys::own(self.vault.clone()),
            RequestDigests::keyed(b"test"),
            alerts,
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

    /// Records events of an elder at the time of the clock, as the registry does.
    pub(crate) async fn record(&self, elder: ElderId, events: &[Event]) -> String {
        let subject = Subject::new("registry", "elder", &elder.to_string()).unwrap();
        let events = events.iter().map(codec::encode).collect();
        let metadata = service::testing::metadata(self.clock.now(), VILLAGE);
        service::testing::write(&*self.logs.registry, subject, metadata, events).await
    }

    /// Somebody born on a day who lives alone in the village, in the middle of it, and may be visited at home.
    pub(crate) async fn elder(&self, birth: &str, capability: CapabilityLevel) -> ElderId {
        let elder = ElderId(Uuid::now_v7());
        let key = self.vault.create(elder.as_uuid()).await.unwrap();
        let home = registry::Home {
            address: String::new(),
            position: Some(place(0.0)),
        };
        let registered = Registered {
            elder,
            source: Source::Api,
            identity: key.seal(
                purpose::IDENTITY,
                elder.as_uuid(),
                &registry::Identity::default(),
            ),
            identity_claim: "k1-00ff".to_owned(),
            birth_date: day(birth),
            sex: Sex::Female,
            residence: Residence {
                village: VILLAGE.parse().unwrap(),
                home: Some(key.seal(purpose::HOME, elder.as_uuid(), &home)),
            },
            categories: Category::LivingAlone.into(),
            assistance: Set::new(),
            capability: Capability {
                level: capability,
                assessed_on: None,
                source: String::new(),
            },
            observations: Set::new(),
            handicap_grade: None,
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
        self.record(elder, &[Event::Registered(Box::new(registered))])
            .await;
        elder
    }

    /// Over eighty: owed a visit each week.
    pub(crate) async fn weekly(&self) -> ElderId {
        self.elder("1930-03-01", CapabilityLevel::Mild).await
    }

    /// Seventy and healthy: owed a visit each month, also by telephone.
    pub(crate) async fn monthly(&self) -> ElderId {
        self.elder("1954-03-01", CapabilityLevel::Intact).await
    }
}

/// A place so many metres north of the middle of the village.
pub(crate) fn place(metres: f64) -> types::GeoPosition {
    types::GeoPosition {
        latitude: 25.0 + metres / 111_195.0,
        longitude: 117.0,
    }
}

/// A visit at home of half an hour from a minute on, with nothing in doubt.
pub(crate) fn visit(visitor: &str, elder: ElderId, start: &str) -> pb::VisitRecord {
    let start = at(start);
    pb::VisitRecord {
        record_id: Uuid::now_v7().to_string(),
        elder_id: elder.to_string(),
        visitor_id: visitor.to_owned(),
        mode: types::VisitMode::Home.into(),
        result: pb::VisitResult::Met.into(),
        start_time: Some(timestamp(start)),
        end_time: Some(timestamp(start + TimeDelta::minutes(30))),
        services: vec![types::ServiceKind::SpiritualComfort.into()],
        signed: true,
        remarks: "一切安好".to_owned(),
        check_in: Some(place(10.0)),
        photo_hashes: vec![],
        findings: vec![],
    }
}

impl Running {
    pub(crate) fn client(&self) -> Client {
        self.client_of(&service::testing::anybody())
    }

    /// A client in the name of a caller.
    pub(crate) fn client_of(&self, caller: &Claims) -> Client {
        VisitServiceClient::new(self.served.as_caller(&self.ground.issuer, caller))
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

    /// A visitor of the county since the beginning of the year.
    pub(crate) async fn visitor(&self) -> String {
        let request = pb::RegisterVisitorRequest {
            request_id: Uuid::now_v7().to_string(),
            visitor: Some(pb::Visitor {
                kind: pb::VisitorKind::GridWorker.into(),
                name: "王网格".to_owned(),
                home_division_code: VILLAGE.to_owned(),
                weekly_capacity: 20,
                modes: vec![types::VisitMode::Home.into()],
                active_from: Some(date("2024-01-01")),
                ..Default::default()
            }),
        };
        let registered = self.client().register_visitor(request).await.unwrap();
        self.settled().await;
        registered.into_inner().visitor_id
    }

    /// The county visits from a day on.
    pub(crate) async fn start_visiting(&self, on: &str) {
        let request = pb::StartVisitingRequest {
            request_id: Uuid::now_v7().to_string(),
            division_code: COUNTY.to_owned(),
            on: Some(date(on)),
        };
        self.client().start_visiting(request).await.unwrap();
        self.settled().await;
    }

    /// Records one visit; the refusal's reason where the rules refuse it.
    pub(crate) async fn send(&self, record: &pb::VisitRecord) -> Result<pb::RecordOutcome, String> {
        self.settled().await;
        let request = pb::RecordVisitRequest {
            record: Some(record.clone()),
            min_position: String::new(),
        };
        match self.client().record_visit(request).await {
            Ok(answer) => Ok(answer.into_inner().outcome.unwrap()),
            Err(status) => Err(reason(&status)),
        }
    }

    /// The outcome's name, with the doubts behind it.
    pub(crate) async fn told(&self, record: &pb::VisitRecord) -> String {
        match self.send(record).await {
            Ok(outcome) => in_words(&outcome),
            Err(reason) => reason,
        }
    }

    /// Sends records as a phone does that was off line.
    pub(crate) async fn stream(&self, records: &[pb::VisitRecord]) -> Vec<pb::RecordOutcome> {
        self.settled().await;
        let records = records.to_vec();
        let requests = records.into_iter().map(|record| pb::RecordVisitsRequest {
            record: Some(record),
            min_position: String::new(),
        });
        let stream = tokio_stream::iter(requests.collect::<Vec<_>>());
        let mut answers = self
            .client()
            .record_visits(stream)
            .await
            .unwrap()
            .into_inner();
        let mut outcomes = Vec::new();
        while let Some(answer) = answers.message().await.unwrap() {
            outcomes.push(answer.outcome.unwrap());
        }
        outcomes
    }

    /// A supervisor lets a doubtful record count, or not.
    pub(crate) async fn decide(
        &self,
        record: &pb::VisitRecord,
        confirm: bool,
    ) -> Result<(), String> {
        self.settled().await;
        let (request_id, record_id) = (Uuid::now_v7().to_string(), record.record_id.clone());
        let min_position = String::new();
        let mut client = self.client();
        let answered = if confirm {
            let request = pb::ConfirmRecordRequest {
                request_id,
                record_id,
                min_position,
            };
            client.confirm_record(request).await.map(|_| ())
        } else {
            let request = pb::RejectRecordRequest {
                request_id,
                record_id,
                min_position,
            };
            client.reject_record(request).await.map(|_| ())
        };
        answered.map_err(|status| reason(&status))
    }

    /// `visited/in scope` of the county in a month; the figures of all months are counted once more from what they rest on.
    pub(crate) async fn coverage(&self, month: &str) -> String {
        self.settled().await;
        let wrong: Vec<String> = sqlx::query_scalar(COVERAGE_AUDIT)
            .fetch_all(&self.app.pool())
            .await
            .unwrap();
        assert!(wrong.is_empty(), "{wrong:?}");
        let request = pb::GetCoverageRequest {
            division_code: COUNTY.to_owned(),
            month: month.to_owned(),
            ..Default::default()
        };
        let coverage = self.client().get_coverage(request).await.unwrap();
        let total = coverage.into_inner().total.unwrap();
        format!("{}/{}", total.visited, total.in_scope)
    }

    /// The duties of a period: owed, met, unmet, missed, and whether it is closed.
    pub(crate) async fn duties(&self, period: &str) -> (i64, i64, i64, i64, bool) {
        self.settled().await;
        let request = pb::ListDutiesRequest {
            division_code: COUNTY.to_owned(),
            period: period.to_owned(),
            page_size: 1_000,
            ..Default::default()
        };
        let duties = self
            .client()
            .list_duties(request)
            .await
            .unwrap()
            .into_inner();
        assert_eq!(duties.duties.len(), usize::try_from(duties.owed).unwrap());
        (
            duties.owed,
            duties.met,
            duties.unmet,
            duties.missed,
            duties.closed,
        )
    }

    /// All events of our own log by their names.
    pub(crate) async fn events(&self) -> Vec<String> {
        let log = &self.ground.logs.own;
        let last = log.last_sequence().await.unwrap();
        let mut told = Vec::new();
        let mut deliveries = log.subscribe(0).await.unwrap();
        let mut seen = 0;
        while seen < last {
            let batch = futures::StreamExt::next(&mut deliveries)
                .await
                .unwrap()
                .unwrap();
            for delivery in batch {
                seen = delivery.sequence();
                if let eventlog::Delivery::Record(record) = delivery {
                    let names = record.events.iter();
                    let names = names.map(|event| event.event_type.rsplit('.').next().unwrap());
                    told.extend(names.map(str::to_owned));
                }
                if seen == last {
                    return told;
                }
            }
        }
        told
    }
}

pub(crate) fn in_words(outcome: &pb::RecordOutcome) -> String {
    let kind = pb::RecordOutcomeKind::try_from(outcome.outcome).unwrap();
    let mut words = kind
        .as_str_name()
        .trim_start_matches("RECORD_OUTCOME_KIND_")
        .to_owned();
    for doubt in &outcome.doubts {
        let doubt = pb::Doubt::try_from(*doubt).unwrap();
        words.push(' ');
        words.push_str(doubt.as_str_name().trim_start_matches("DOUBT_"));
    }
    if !outcome.invalid_reason.is_empty() {
        words = format!(
            "{words} {} {}",
            outcome.invalid_reason, outcome.invalid_field
        );
    }
    words.trim_end().to_owned()
}
