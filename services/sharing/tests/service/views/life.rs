//! What happens to elders by chance, as the services put it on record.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use civic::{
    AlertKind, AlertOutcome, CapabilityLevel, Doubt, ElderId, FindingKind, HandicapGrade, LocalDay,
    Observation, OrderCode, Severity, Sex, VisitMode, VisitResult,
};
use elders::event::{
    Capability, Consent, Event, IdentityCorrected, ProfileUpdated, Registered, Residence, Source,
    Spoken,
};
use elders::terms::{WireTerm as _, wire_set};
use elders::{codec, purpose};
use eventlog::{EventLog, RawEvent, Subject};
use proto::eldercare::alerts::v1 as alerts;
use proto::eldercare::claims::v1 as claims;
use proto::eldercare::registry::v1 as registry;
use proto::eldercare::tiering::v1 as tiering;
use proto::eldercare::r#type::v1 as types;
use proto::eldercare::visits::v1 as visits;
use uuid::Uuid;
use vault::DataKey;

use super::dice::Dice;
use crate::support::{Ground, date, id, timestamp};

/// Where elders live: five villages of the county, and one beyond.
const VILLAGES: [&str; 6] = [
    "350524100001",
    "350524100002",
    "350524101007",
    "350524101008",
    "350524102001",
    "350525100001",
];
const PROGRAMME: &str = "LTCI";

/// Somebody to whom things happen.
struct Person {
    elder: ElderId,
    visits: Vec<String>,
    alerts: Vec<String>,
    /// Orders that are not paid.
    orders: Vec<String>,
    enrolment: Option<String>,
    erased: bool,
}

/// A county in which things happen by chance.
pub(super) struct Life<'a> {
    ground: &'a Ground,
    dice: Dice,
    people: Vec<Person>,
    /// What the adjudicator says with its next run.
    verdicts: Vec<RawEvent>,
    settlements: i32,
}

impl<'a> Life<'a> {
    pub(super) fn in_county(ground: &'a Ground, seed: u64) -> Self {
        Self {
            ground,
            dice: Dice::seeded(seed),
            people: vec![],
            verdicts: vec![],
            settlements: 0,
        }
    }

    /// All elders who ever had a file.
    pub(super) fn elders(&self) -> Vec<ElderId> {
        self.people.iter().map(|person| person.elder).collect()
    }

    /// How many of them are erased.
    pub(super) fn erased(&self) -> usize {
        self.people.iter().filter(|person| person.erased).count()
    }

    /// So many elders are registered.
    pub(super) async fn arrive(&mut self, many: usize) {
        for _ in 0..many {
            let elder = ElderId(Uuid::now_v7());
            let key = self.ground.vault.create(elder.as_uuid()).await.unwrap();
            let registered = self.registration(elder, &key);
            self.ground.record(elder, &[registered]).await;
            self.people.push(Person {
                elder,
                visits: vec![],
                alerts: vec![],
                orders: vec![],
                enrolment: None,
                erased: false,
            });
        }
    }

    /// So many things happen, each to somebody.
    pub(super) async fn goes_on(&mut self, many: usize) {
        for _ in 0..many {
            let who = self.dice.below(self.people.len());
            if self.people[who].erased {
                continue;
            }
            match self.dice.below(20) {
                0..7 => self.file_changes(who).await,
                7..9 => self.tier_changes(who).await,
                9..12 => self.visits_change(who).await,
                12..15 => self.alerts_change(who).await,
                15..18 => self.orders_change(who).await,
                18 => self.enrolment_changes(who).await,
                _ if self.dice.one_in(4) => self.is_erased(who).await,
                _ => self.file_changes(who).await,
            }
        }
        self.adjudicates().await;
        self.settles().await;
    }

    fn today(&self) -> LocalDay {
        self.ground.clock.today()
    }

    /// A day that may be still to come.
    fn some_day(&mut self) -> LocalDay {
        self.today().plus_days(self.dice.few(60) - 50)
    }

    /// Today or before.
    fn past_day(&mut self) -> LocalDay {
        self.today().plus_days(-self.dice.few(60))
    }

    /// An instant of such a day.
    fn moment(&mut self) -> DateTime<Utc> {
        self.past_day().start() + TimeDelta::minutes(self.dice.few(24 * 60))
    }

    fn birth_date(&mut self) -> LocalDay {
        let year = 1930 + i32::try_from(self.dice.below(35)).unwrap();
        if self.dice.one_in(20) {
            // A birthday while the test lasts.
            return LocalDay::from_ymd(year, 3, 2).unwrap();
        }
        let (month, day) = (1 + self.dice.below(12), 1 + self.dice.below(28));
        let (month, day) = (u32::try_from(month).unwrap(), u32::try_from(day).unwrap());
        LocalDay::from_ymd(year, month, day).unwrap()
    }

    fn identity(&mut self) -> registry::Identity {
        let name = ["王", "陈明", "王秀英", "欧阳建国"];
        // The old form has 15 digits.
        let long = if self.dice.one_in(5) { 15 } else { 18 };
        registry::Identity {
            name: self.dice.pick(&name).to_owned(),
            id_number: self.dice.digits(long),
        }
    }

    fn residence(&mut self, elder: ElderId, key: &DataKey) -> Residence {
        let home = registry::Home {
            address: format!("福建省泉州市安溪县{}号", self.dice.digits(3)),
            position: None,
        };
        let known = !self.dice.one_in(4);
        let village = self.dice.pick(&VILLAGES);
        Residence {
            village: village.parse().unwrap(),
            home: known.then(|| key.seal(purpose::HOME, elder.as_uuid(), &home)),
        }
    }

    fn contacts(&mut self) -> registry::ContactList {
        let contacts = (0..self.dice.below(3)).map(|_| types::Contact {
            name: self.dice.pick(&["陈明", "李"]).to_owned(),
            relation: self.dice.pick(&["子", "女", ""]).to_owned(),
            phone: match self.dice.below(3) {
                0 => format!("0595{}", self.dice.digits(7)),
                _ => format!("13{}", self.dice.digits(9)),
            },
            call_order: 1,
            supporter: false,
        });
        registry::ContactList {
            contacts: contacts.collect(),
        }
    }

    fn grade(&mut self) -> Option<HandicapGrade> {
        let grade = self.dice.pick(HandicapGrade::ALL);
        self.dice.one_in(3).then_some(grade)
    }

    fn registration(&mut self, elder: ElderId, key: &DataKey) -> Event {
        let person = elder.as_uuid();
        let contacts = self.contacts();
        let level = self.dice.pick(CapabilityLevel::ALL);
        let registered = Registered {
            elder,
            source: Source::Api,
            identity: key.seal(purpose::IDENTITY, person, &self.identity()),
            identity_claim: "k1-00ff".to_owned(),
            birth_date: self.birth_date(),
            sex: self.dice.pick(&[Sex::Female, Sex::Male]),
            residence: self.residence(elder, key),
            categories: self.dice.words(),
            assistance: self.dice.words(),
            capability: Capability {
                level,
                ..Capability::unassessed()
            },
            observations: self.dice.words(),
            handicap_grade: self.grade(),
            circumstances: vec![],
            contacts: (!self.dice.one_in(3))
                .then(|| key.seal(purpose::CONTACTS, person, &contacts)),
            consent: Consent::unknown(),
            wanted_services: self.dice.words(),
            remarks: None,
            import: None,
        };
        Event::Registered(Box::new(registered))
    }

    async fn file_changes(&mut self, who: usize) {
        let elder = self.people[who].elder;
        let key = self.ground.vault.key(elder.as_uuid()).await.unwrap();
        let changed = match self.dice.below(8) {
            0..3 => Event::Relocated(self.residence(elder, &key), self.some_day()),
            3 => Event::IdentityCorrected(IdentityCorrected {
                identity: key.seal(purpose::IDENTITY, elder.as_uuid(), &self.identity()),
                identity_claim: "k1-00ff".to_owned(),
                birth_date: self.birth_date(),
                sex: self.dice.pick(&[Sex::Female, Sex::Male]),
                reason: "TYPO".to_owned(),
            }),
            4 => {
                let contacts = self.contacts();
                Event::ContactsSet(key.seal(purpose::CONTACTS, elder.as_uuid(), &contacts))
            }
            _ => self.fact(),
        };
        self.ground.record(elder, &[changed]).await;
    }

    /// A change of a file that bears nothing sealed.
    fn fact(&mut self) -> Event {
        let observation = self.dice.pick(Observation::ALL);
        let spoken = Spoken {
            by: None,
            at: Some(self.moment()),
        };
        match self.dice.below(10) {
            0 | 1 => Event::ProfileUpdated(ProfileUpdated {
                on: Some(self.some_day()),
                categories: Some(self.dice.words()),
                assistance: self.dice.one_in(2).then(|| self.dice.words()),
                ..ProfileUpdated::default()
            }),
            2 => Event::CapabilityAssessed(
                Capability {
                    level: self.dice.pick(CapabilityLevel::ALL),
                    assessed_on: Some(self.past_day()),
                    source: String::new(),
                },
                None,
            ),
            3 => Event::HandicapRecorded {
                grade: self.grade(),
                on: Some(self.some_day()),
            },
            4 => Event::ObservationRecorded {
                observation,
                on: Some(self.past_day()),
            },
            5 => Event::ObservationEnded {
                observation,
                on: self.past_day(),
            },
            6 => Event::ConsentGranted(spoken),
            7 if self.dice.one_in(2) => Event::ConsentRefused(spoken),
            7 => Event::ConsentWithdrawn(spoken),
            8 if self.dice.one_in(2) => Event::Died {
                on: self.past_day(),
            },
            8 => Event::MovedOut {
                on: self.some_day(),
            },
            _ => Event::Reinstated {
                on: self.past_day(),
                reason: "RETURNED".to_owned(),
            },
        }
    }

    async fn is_erased(&mut self, who: usize) {
        self.people[who].erased = true;
        self.ground.is_erased(self.people[who].elder).await;
    }

    async fn tier_changes(&mut self, who: usize) {
        let elder = self.people[who].elder.to_string();
        let intervals = [tiering::Interval::Weekly, tiering::Interval::Monthly];
        let reasons = ["LIVING_ALONE", "AGE_80", "MILD_DISABILITY"];
        let assignment = Some(tiering::Assignment {
            tier: self
                .dice
                .pick(&["PRIORITY", "SECONDARY", "GENERAL"])
                .to_owned(),
            reasons: vec![self.dice.pick(&reasons).to_owned()],
            interval: self.dice.pick(&intervals).into(),
            modes: wire_set(self.dice.words::<VisitMode>()),
            policy_division_code: "0".to_owned(),
            policy_version: 1,
            division_code: self.dice.pick(&VILLAGES).to_owned(),
        });
        let on = Some(codec::write_day(self.past_day()));
        let subject = Subject::new("tiering", "tier", &elder).unwrap();
        let elder_id = elder;
        let changed = match self.dice.below(5) {
            0 => RawEvent::of(&tiering::TierEnded { elder_id, on }),
            1 => RawEvent::of(&tiering::TierChanged {
                elder_id,
                assignment,
                on,
            }),
            _ => RawEvent::of(&tiering::TierAssigned {
                elder_id,
                assignment,
                on,
            }),
        };
        self.write(|ground| &ground.logs.tiering, subject, vec![changed])
            .await;
    }

    async fn visits_change(&mut self, who: usize) {
        let person = &self.people[who];
        let (elder, known) = (person.elder, person.visits.clone());
        let mut events = vec![];
        if known.is_empty() || self.dice.one_in(2) {
            let record = id();
            let key = self.ground.vault.key(elder.as_uuid()).await.unwrap();
            events.push(self.visit(elder, &record, &key));
            if self.dice.one_in(3) {
                events.push(self.doubt(record.clone()));
            }
            self.people[who].visits.push(record);
        } else {
            let record_id = known[self.dice.below(known.len())].clone();
            events.push(match self.dice.below(4) {
                0 => self.doubt(record_id),
                1 => RawEvent::of(&visits::RecordConfirmed { record_id }),
                2 => RawEvent::of(&visits::RecordRejected { record_id }),
                _ => RawEvent::of(&visits::ReferralOpened {
                    referral_id: id(),
                    record_id,
                    finding: Some(visits::Finding {
                        kind: self.dice.pick(FindingKind::ALL).wire(),
                        note: None,
                    }),
                    department: "health".to_owned(),
                }),
            });
        }
        let subject = Subject::new("visits", "year", &format!("{elder}-2024")).unwrap();
        self.write(|ground| &ground.logs.visits, subject, events)
            .await;
    }

    fn visit(&mut self, elder: ElderId, record: &str, key: &DataKey) -> RawEvent {
        let start = self.moment();
        let remarks = visits::Remarks {
            text: "血压偏高".to_owned(),
        };
        let remarks = key.seal("visits.remarks", elder.as_uuid(), &remarks);
        RawEvent::of(&visits::VisitRecorded {
            record_id: record.to_owned(),
            elder_id: elder.to_string(),
            visitor_id: id(),
            mode: self.dice.pick(VisitMode::ALL).wire(),
            result: self.dice.pick(VisitResult::ALL).wire(),
            start_time: timestamp(start),
            end_time: timestamp(start + TimeDelta::minutes(self.dice.few(90))),
            services: wire_set(self.dice.words::<civic::ServiceKind>()),
            remarks: self.dice.one_in(2).then(|| (&remarks).into()),
            division_code: self.dice.pick(&VILLAGES).to_owned(),
            ..Default::default()
        })
    }

    fn doubt(&mut self, record_id: String) -> RawEvent {
        RawEvent::of(&visits::RecordDoubted {
            record_id,
            doubts: vec![self.dice.pick(Doubt::ALL).wire()],
        })
    }

    async fn alerts_change(&mut self, who: usize) {
        let person = &self.people[who];
        let (elder, known) = (person.elder, person.alerts.clone());
        let event = if known.is_empty() || self.dice.one_in(3) {
            let alert = id();
            let raised = self.alert(elder, &alert);
            self.people[who].alerts.push(alert);
            raised
        } else {
            let alert = known[self.dice.below(known.len())].clone();
            self.help(alert)
        };
        let subject = Subject::new("alerts", "line", &format!("SOS-{elder}")).unwrap();
        self.write(|ground| &ground.logs.alerts, subject, vec![event])
            .await;
    }

    fn alert(&mut self, elder: ElderId, alert: &str) -> RawEvent {
        let raised = self.moment();
        // Some are told at once, some later, and some to nobody.
        let due = [raised, raised + TimeDelta::minutes(10)];
        let levels = self.dice.below(3);
        let levels = due.into_iter().skip(levels).map(|at| alerts::LevelDue {
            level: 0,
            at: timestamp(at),
            roles: vec![],
        });
        let somewhere = self.dice.pick(&VILLAGES);
        RawEvent::of(&alerts::AlertRaised {
            alert_id: alert.to_owned(),
            kind: self.dice.pick(AlertKind::ALL).wire(),
            severity: self.dice.pick(Severity::ALL).wire(),
            elder_id: elder.to_string(),
            division_code: match self.dice.below(8) {
                0 => String::new(),
                _ => somewhere.to_owned(),
            },
            raised_at: timestamp(raised),
            levels: levels.collect(),
            ..Default::default()
        })
    }

    fn help(&mut self, alert_id: String) -> RawEvent {
        let at = timestamp(self.moment());
        match self.dice.below(5) {
            0 => RawEvent::of(&alerts::AlertEscalated {
                alert_id,
                level: i32::try_from(self.dice.below(3)).unwrap(),
                at,
            }),
            1 => RawEvent::of(&alerts::AlertAcknowledged { alert_id, at }),
            2 => RawEvent::of(&alerts::HelpDispatched { alert_id, at }),
            3 => RawEvent::of(&alerts::HelpArrived { alert_id, at }),
            _ => RawEvent::of(&alerts::AlertResolved {
                alert_id,
                outcome: self.dice.pick(AlertOutcome::ALL).wire(),
                at,
            }),
        }
    }

    async fn orders_change(&mut self, who: usize) {
        let person = &self.people[who];
        let (elder, known) = (person.elder, person.orders.clone());
        if known.is_empty() || self.dice.one_in(3) {
            let order = id();
            let submitted = self.order(elder);
            self.people[who].orders.push(order.clone());
            return self.of_order(&order, submitted).await;
        }
        let order_key = known[self.dice.below(known.len())].clone();
        let verdict = match self.dice.below(4) {
            0 => {
                let filed = RawEvent::of(&claims::AppealFiled::default());
                return self.of_order(&order_key, filed).await;
            }
            1 => RawEvent::of(&claims::OrderApproved {
                order_key,
                ..Default::default()
            }),
            2 => RawEvent::of(&claims::OrderHeldAbnormal {
                order_key,
                codes: wire_set(self.dice.words::<OrderCode>()),
                conflicts: vec![],
            }),
            _ => RawEvent::of(&claims::OrderNotSettled {
                order_key,
                ..Default::default()
            }),
        };
        self.verdicts.push(verdict);
        self.verdicts_of_year(elder);
    }

    /// Some of the year's entitlement is used, or given back.
    fn verdicts_of_year(&mut self, elder: ElderId) {
        let (order_key, elder_id) = (id(), elder.to_string());
        let programme_code = PROGRAMME.to_owned();
        let (year, units) = (2024, self.dice.few(5));
        self.verdicts.push(match self.dice.below(3) {
            0 => RawEvent::of(&claims::EntitlementReleased {
                order_key,
                programme_code,
                elder_id,
                year,
                units,
            }),
            _ => RawEvent::of(&claims::EntitlementConsumed {
                order_key,
                programme_code,
                elder_id,
                year,
                units,
            }),
        });
    }

    fn order(&mut self, elder: ElderId) -> RawEvent {
        let start = self.moment();
        RawEvent::of(&claims::OrderSubmitted {
            provider_id: self.dice.pick(&["P01", "P02"]).to_owned(),
            order_id: self.dice.digits(6),
            programme_code: PROGRAMME.to_owned(),
            programme_version: 1,
            elder_id: elder.to_string(),
            caregiver_id: id(),
            check_in_at: timestamp(start),
            check_out_at: timestamp(start + TimeDelta::hours(2)),
            codes: wire_set(self.dice.words::<OrderCode>()),
            division_code: self.dice.pick(&VILLAGES).to_owned(),
            units: 1,
            amount_fen: self.dice.few(50_000),
            ..Default::default()
        })
    }

    async fn of_order(&self, order: &str, event: RawEvent) {
        let subject = Subject::new("claims", "order", order).unwrap();
        self.write(|ground| &ground.logs.claims, subject, vec![event])
            .await;
    }

    async fn adjudicates(&mut self) {
        let verdicts = std::mem::take(&mut self.verdicts);
        if !verdicts.is_empty() {
            let subject = Subject::new("claims", "adjudication", "orders").unwrap();
            self.write(|ground| &ground.logs.claims, subject, verdicts)
                .await;
        }
    }

    /// A settlement bears the orders of some people, and is paid.
    async fn settles(&mut self) {
        self.settlements += 1;
        let number = self.settlements;
        let mut lines = vec![];
        for _ in 0..self.people.len() / 20 {
            let who = self.dice.below(self.people.len());
            let orders = std::mem::take(&mut self.people[who].orders).into_iter();
            lines.extend(orders.map(|order_key| claims::SettlementLine {
                order_key,
                amount_fen: 0,
            }));
        }
        let drafted = RawEvent::of(&claims::SettlementDrafted {
            number,
            lines,
            ..Default::default()
        });
        let paid = RawEvent::of(&claims::SettlementPaid {
            number,
            paid_on: Some(codec::write_day(self.past_day())),
            ..Default::default()
        });
        let subject = Subject::new("claims", "settlements", "LTCI-P01").unwrap();
        self.write(|ground| &ground.logs.claims, subject, vec![drafted, paid])
            .await;
    }

    async fn enrolment_changes(&mut self, who: usize) {
        let elder_id = self.people[who].elder.to_string();
        let subject = Subject::new("claims", "enrolment", &format!("{PROGRAMME}-{elder_id}"));
        let programme_code = PROGRAMME.to_owned();
        let last_day = Some(codec::write_day(self.some_day()));
        let event = match self.people[who].enrolment.clone() {
            Some(enrolment_id) => RawEvent::of(&claims::EnrolmentEnded {
                programme_code,
                elder_id,
                enrolment_id,
                last_day,
            }),
            None => {
                let enrolment_id = id();
                self.people[who].enrolment = Some(enrolment_id.clone());
                RawEvent::of(&claims::PersonEnrolled {
                    programme_code,
                    elder_id,
                    enrolment_id,
                    first_day: date("2024-01-01"),
                    last_day: date("2024-12-31"),
                    basis: "POOR".to_owned(),
                })
            }
        };
        self.write(|ground| &ground.logs.claims, subject.unwrap(), vec![event])
            .await;
    }

    async fn write(
        &self,
        log: impl FnOnce(&Ground) -> &Arc<dyn EventLog>,
        subject: Subject,
        events: Vec<RawEvent>,
    ) {
        self.ground.write(log(self.ground), subject, events).await;
    }
}
