//! What the logs are told in a test: those of the other services as their owners do, and our own past sharing.

use chrono::{DateTime, TimeDelta, Utc};
use civic::{
    AlertKind, Assistance, CapabilityLevel, Category, ConsentState, ElderId, OrderCode,
    ServiceKind, Set, Severity, Sex, VisitMode, VisitResult,
};
use elders::event::{Capability, Consent, Event, Registered, Residence, Source, Spoken};
use elders::terms::WireTerm as _;
use elders::{codec, purpose};
use eventlog::{Aggregate as _, RawEvent, Subject};
use proto::eldercare::alerts::v1 as alerts;
use proto::eldercare::claims::v1 as claims;
use proto::eldercare::registry::v1 as registry;
use proto::eldercare::tiering::v1 as tiering;
use proto::eldercare::r#type::v1 as types;
use proto::eldercare::visits::v1 as visits;
use sharing::look::{Look, Looks, Recorded};
use uuid::Uuid;

use super::{CIVIL_AFFAIRS, Ground, VILLAGE, at, date, day, id, timestamp};

impl Ground {
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

    /// Gives a tier from a day on, in which a visit is owed each week.
    pub(crate) async fn tiered(&self, elder: ElderId, tier: &str, on: &str) -> String {
        let weekly = tiering::Interval::Weekly;
        self.tiered_with(elder, tier, on, weekly).await
    }

    /// The same with another interval.
    pub(crate) async fn tiered_with(
        &self,
        elder: ElderId,
        tier: &str,
        on: &str,
        interval: tiering::Interval,
    ) -> String {
        let assigned = tiering::TierAssigned {
            elder_id: elder.to_string(),
            assignment: Some(tiering::Assignment {
                tier: tier.to_owned(),
                reasons: vec!["LIVING_ALONE".to_owned()],
                interval: interval.into(),
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
        self.in_year(elder, events).await;
        ids
    }

    /// What happens to an elder's visits of 2024.
    pub(crate) async fn in_year(&self, elder: ElderId, events: Vec<RawEvent>) {
        let year = Subject::new("visits", "year", &format!("{elder}-2024")).unwrap();
        self.write(&self.logs.visits, year, events).await;
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
        self.on_line(AlertKind::Sos, elder, vec![event]).await;
        alert
    }

    /// Somebody takes it on.
    pub(crate) async fn acknowledged(&self, elder: ElderId, alert: &str, on: &str) -> String {
        let event = RawEvent::of(&alerts::AlertAcknowledged {
            alert_id: alert.to_owned(),
            at: timestamp(at(on)),
        });
        self.on_line(AlertKind::Sos, elder, vec![event]).await
    }

    /// What happens to an elder's alerts of a kind; where it stands.
    pub(super) async fn on_line(
        &self,
        kind: AlertKind,
        elder: ElderId,
        events: Vec<RawEvent>,
    ) -> String {
        let line = Subject::new("alerts", "line", &format!("{}-{elder}", kind.name())).unwrap();
        self.write(&self.logs.alerts, line, events).await
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
        self.claim("order", &key, vec![event]).await;
        key
    }

    /// The adjudicator holds an order.
    pub(crate) async fn held(&self, order: &str) {
        let event = RawEvent::of(&claims::OrderHeldAbnormal {
            order_key: order.to_owned(),
            codes: vec![OrderCode::NotEnrolled.wire()],
            conflicts: vec![],
        });
        self.claim("adjudication", "orders", vec![event]).await;
    }

    /// Insures somebody for 2024; the enrolment's id.
    pub(crate) async fn enrolled(&self, elder: ElderId) -> String {
        let enrolment = id();
        let event = Self::enrolment(elder, &enrolment);
        let of = format!("LTCI-{elder}");
        self.claim("enrolment", &of, vec![event]).await;
        enrolment
    }

    /// That somebody is insured for 2024.
    pub(crate) fn enrolment(elder: ElderId, enrolment: &str) -> RawEvent {
        RawEvent::of(&claims::PersonEnrolled {
            programme_code: "LTCI".to_owned(),
            elder_id: elder.to_string(),
            enrolment_id: enrolment.to_owned(),
            first_day: date("2024-01-01"),
            last_day: date("2024-12-31"),
            basis: "POOR".to_owned(),
        })
    }

    /// What happens to an aggregate of claims.
    pub(crate) async fn claim(&self, aggregate: &str, of: &str, events: Vec<RawEvent>) {
        let subject = Subject::new("claims", aggregate, of).unwrap();
        self.write(&self.logs.claims, subject, events).await;
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

    /// Writes looks past sharing as one record; as its writer does where many wait.
    pub(crate) async fn looked(&self, looks: &[Recorded]) -> String {
        let subject = Subject::new("sharing", Looks::NAME, &id()).unwrap();
        let events = looks.iter().map(Looks::encode).collect();
        self.write(&self.logs.own, subject, events).await
    }
}

/// The week from this Monday on.
pub(crate) fn week(monday: &str) -> visits::Period {
    visits::Period {
        kind: visits::PeriodKind::Week.into(),
        first_day: date(monday),
        ..Default::default()
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
