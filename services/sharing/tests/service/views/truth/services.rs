//! Tiers, visits, alerts, orders and enrolments, as the events of their services tell them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use civic::{
    AlertKind, AlertOutcome, Doubt, ElderId, FindingKind, OrderCode, SHANGHAI, ServiceKind,
    Severity, VisitMode, VisitResult,
};
use elders::terms::WireTerm;
use elders::wire;
use eventlog::EventLog;
use proto::eldercare::alerts::v1 as alerts;
use proto::eldercare::claims::v1 as claims;
use proto::eldercare::tiering::v1 as tiering;
use proto::eldercare::r#type::v1 as types;
use proto::eldercare::visits::v1 as visits;
use serde_json::json;
use vault::{DataKey, Sealed};

use super::Document;
use crate::logs::{Told, events};

/// How far help comes, step by step.
const STAGES: [&str; 5] = ["OPEN", "ACKNOWLEDGED", "DISPATCHED", "ARRIVED", "RESOLVED"];

type Documents = Vec<(ElderId, Document)>;

fn elder(id: &str) -> ElderId {
    id.parse().unwrap()
}

fn name<T: WireTerm>(number: i32) -> &'static str {
    T::from_wire(number).unwrap().name()
}

/// Names of words, each once.
fn names<T: WireTerm>(numbers: &[i32]) -> BTreeSet<&'static str> {
    numbers.iter().map(|number| name::<T>(*number)).collect()
}

fn day(date: Option<types::Date>) -> String {
    wire::day(date, "day").unwrap().to_string()
}

/// Local time, to the second.
fn instant(at: Option<prost_types::Timestamp>) -> String {
    let local = wire::time(at, "at").unwrap().with_timezone(&SHANGHAI);
    local.format("%Y-%m-%dT%H:%M:%S+08:00").to_string()
}

/// The tier that each elder has. None is given for a day to come, so that the last word holds.
pub(super) async fn tiers(log: &Arc<dyn EventLog>) -> Documents {
    let mut tiers = BTreeMap::new();
    for told in events(log).await {
        match told.name() {
            "TierAssigned" => {
                let told: tiering::TierAssigned = told.read();
                let given = (told.assignment.unwrap(), day(told.on));
                tiers.insert(elder(&told.elder_id), given);
            }
            "TierChanged" => {
                let told: tiering::TierChanged = told.read();
                let given = (told.assignment.unwrap(), day(told.on));
                tiers.insert(elder(&told.elder_id), given);
            }
            "TierEnded" => {
                let told: tiering::TierEnded = told.read();
                tiers.remove(&elder(&told.elder_id));
            }
            other => panic!("nobody tells {other} here"),
        }
    }
    let tiers = tiers.into_iter().map(|(elder, (given, since))| {
        let interval = given.interval().as_str_name();
        let fields = json!({
            "elder_id": elder.to_string(),
            "division_code": given.division_code,
            "tier": given.tier,
            "since": since,
            "reasons": given.reasons,
            "interval": interval.strip_prefix("INTERVAL_").unwrap(),
            "modes": names::<VisitMode>(&given.modes),
        });
        (elder, Document::of("tier", elder, fields))
    });
    tiers.collect()
}

/// What became of the record of a visit.
struct Visit {
    recorded: visits::VisitRecorded,
    doubts: Vec<i32>,
    findings: Vec<i32>,
    /// Whether it was confirmed, once somebody has decided.
    confirmed: Option<bool>,
}

pub(super) async fn visits(
    log: &Arc<dyn EventLog>,
    keys: &BTreeMap<ElderId, Arc<DataKey>>,
) -> Documents {
    let mut visits: BTreeMap<String, Visit> = BTreeMap::new();
    for told in events(log).await {
        match told.name() {
            "VisitRecorded" => {
                let recorded: visits::VisitRecorded = told.read();
                let visit = Visit {
                    recorded,
                    doubts: vec![],
                    findings: vec![],
                    confirmed: None,
                };
                visits.insert(visit.recorded.record_id.clone(), visit);
            }
            "RecordDoubted" => {
                let told: visits::RecordDoubted = told.read();
                let visit = visits.get_mut(&told.record_id).unwrap();
                visit.doubts.extend(told.doubts);
            }
            "RecordConfirmed" => {
                let told: visits::RecordConfirmed = told.read();
                let visit = visits.get_mut(&told.record_id).unwrap();
                visit.confirmed.get_or_insert(true);
            }
            "RecordRejected" => {
                let told: visits::RecordRejected = told.read();
                let visit = visits.get_mut(&told.record_id).unwrap();
                visit.confirmed.get_or_insert(false);
            }
            "ReferralOpened" => {
                let told: visits::ReferralOpened = told.read();
                let visit = visits.get_mut(&told.record_id).unwrap();
                visit.findings.push(told.finding.unwrap().kind);
            }
            other => panic!("nobody tells {other} here"),
        }
    }
    let visits = visits.into_values().map(|visit| visit.document(keys));
    visits.collect()
}

impl Visit {
    fn document(self, keys: &BTreeMap<ElderId, Arc<DataKey>>) -> (ElderId, Document) {
        let recorded = self.recorded;
        let elder = elder(&recorded.elder_id);
        // It counts where the elder was met, and nobody doubts it, or somebody found it to be true.
        let met = name::<VisitResult>(recorded.result) == "MET";
        let counted = met && self.confirmed.unwrap_or(self.doubts.is_empty());
        let fields = json!({
            "record_id": recorded.record_id,
            "elder_id": recorded.elder_id,
            "division_code": recorded.division_code,
            "start_time": instant(recorded.start_time),
            "end_time": instant(recorded.end_time),
            "mode": name::<VisitMode>(recorded.mode),
            "result": name::<VisitResult>(recorded.result),
            "services": names::<ServiceKind>(&recorded.services),
            "findings": names::<FindingKind>(&self.findings),
            "doubts": names::<Doubt>(&self.doubts),
            "counted": counted,
            "visitor_id": recorded.visitor_id,
        });
        let mut document = Document::of("visit", &recorded.record_id, fields);
        let sealed: Option<Sealed<visits::Remarks>> =
            wire::maybe_sealed(recorded.remarks, "remarks").unwrap();
        let remarks = sealed.zip(keys.get(&elder)).map(|(sealed, key)| {
            let remarks = key.open("visits.remarks", elder.as_uuid(), &sealed);
            remarks.unwrap().text
        });
        document.know("remarks", remarks);
        (elder, document)
    }
}

/// What became of an alert.
struct Alert {
    raised: alerts::AlertRaised,
    level: Option<i32>,
    stage: usize,
    /// The first time of each step.
    times: BTreeMap<&'static str, String>,
    outcome: Option<&'static str>,
}

impl Alert {
    fn of(raised: alerts::AlertRaised) -> Self {
        let first = raised.levels.first();
        let at_once = first.filter(|first| instant(first.at) <= instant(raised.raised_at));
        Self {
            level: at_once.map(|first| first.level),
            raised,
            stage: 0,
            times: BTreeMap::new(),
            outcome: None,
        }
    }

    /// A step is reached; nobody goes back.
    fn reach(&mut self, stage: &str, field: &'static str, at: Option<prost_types::Timestamp>) {
        let stage = STAGES.iter().position(|one| *one == stage).unwrap();
        self.stage = self.stage.max(stage);
        self.times.entry(field).or_insert_with(|| instant(at));
    }

    fn document(self) -> (ElderId, Document) {
        let raised = self.raised;
        let fields = json!({
            "alert_id": raised.alert_id,
            "elder_id": raised.elder_id,
            "kind": name::<AlertKind>(raised.kind),
            "severity": name::<Severity>(raised.severity),
            "raised_at": instant(raised.raised_at),
            "state": STAGES[self.stage],
        });
        let mut document = Document::of("alert", &raised.alert_id, fields);
        let village = Some(raised.division_code).filter(|village| !village.is_empty());
        document.know("division_code", village);
        document.know("level", self.level);
        for (field, at) in self.times {
            document.know(field, Some(at));
        }
        document.know("outcome", self.outcome);
        (elder(&raised.elder_id), document)
    }
}

pub(super) async fn alerts(log: &Arc<dyn EventLog>) -> Documents {
    let mut alerts: BTreeMap<String, Alert> = BTreeMap::new();
    for told in events(log).await {
        match told.name() {
            "AlertRaised" => {
                let raised: alerts::AlertRaised = told.read();
                alerts.insert(raised.alert_id.clone(), Alert::of(raised));
            }
            "AlertEscalated" => {
                let told: alerts::AlertEscalated = told.read();
                let alert = alerts.get_mut(&told.alert_id).unwrap();
                alert.level = alert.level.max(Some(told.level));
            }
            "AlertAcknowledged" => {
                let told: alerts::AlertAcknowledged = told.read();
                let alert = alerts.get_mut(&told.alert_id).unwrap();
                alert.reach("ACKNOWLEDGED", "acknowledged_at", told.at);
            }
            "HelpDispatched" => {
                let told: alerts::HelpDispatched = told.read();
                let alert = alerts.get_mut(&told.alert_id).unwrap();
                alert.reach("DISPATCHED", "dispatched_at", told.at);
            }
            "HelpArrived" => {
                let told: alerts::HelpArrived = told.read();
                let alert = alerts.get_mut(&told.alert_id).unwrap();
                alert.reach("ARRIVED", "arrived_at", told.at);
            }
            "AlertResolved" => {
                let told: alerts::AlertResolved = told.read();
                let alert = alerts.get_mut(&told.alert_id).unwrap();
                alert.reach("RESOLVED", "resolved_at", told.at);
                let outcome = name::<AlertOutcome>(told.outcome);
                alert.outcome.get_or_insert(outcome);
            }
            other => panic!("nobody tells {other} here"),
        }
    }
    alerts.into_values().map(Alert::document).collect()
}

/// What became of a service order.
struct Order {
    submitted: claims::OrderSubmitted,
    state: &'static str,
    codes: Vec<i32>,
    paid_on: Option<String>,
}

/// Orders and enrolments, by all that was said.
#[derive(Default)]
struct Claims {
    orders: BTreeMap<String, Order>,
    settlements: BTreeMap<i32, Vec<String>>,
    enrolments: BTreeMap<String, claims::PersonEnrolled>,
    /// What was charged, by enrolment.
    premiums: BTreeMap<String, i64>,
    /// The versions of the one programme.
    versions: Vec<claims::ProgrammeDefined>,
    /// What is used, by elder, programme and year.
    used: BTreeMap<(String, String, i32), i64>,
}

/// Orders and enrolments.
pub(super) async fn claims(log: &Arc<dyn EventLog>) -> Documents {
    let mut claims = Claims::default();
    for told in events(log).await {
        claims.hear(&told);
    }
    claims.documents()
}

impl Claims {
    fn state(&mut self, order: &str, state: &'static str) -> &mut Order {
        let order = self.orders.get_mut(order).unwrap();
        order.state = state;
        order
    }

    fn hear(&mut self, told: &Told) {
        match told.name() {
            "OrderSubmitted" => {
                let submitted: claims::OrderSubmitted = told.read();
                let order = Order {
                    codes: submitted.codes.clone(),
                    submitted,
                    state: "WAITING",
                    paid_on: None,
                };
                self.orders.insert(told.id.clone(), order);
            }
            "AppealFiled" => {
                self.state(&told.id, "APPEALED");
            }
            "OrderApproved" => {
                let told: claims::OrderApproved = told.read();
                self.state(&told.order_key, "APPROVED");
            }
            "OrderHeldAbnormal" => {
                let told: claims::OrderHeldAbnormal = told.read();
                self.state(&told.order_key, "ABNORMAL").codes = told.codes;
            }
            "OrderNotSettled" => {
                let told: claims::OrderNotSettled = told.read();
                self.state(&told.order_key, "NOT_SETTLED");
            }
            "SettlementDrafted" => {
                let told: claims::SettlementDrafted = told.read();
                let orders = told.lines.into_iter().map(|line| line.order_key);
                self.settlements.insert(told.number, orders.collect());
            }
            "SettlementPaid" => {
                let told: claims::SettlementPaid = told.read();
                for order in self.settlements.remove(&told.number).unwrap() {
                    self.state(&order, "PAID").paid_on = Some(day(told.paid_on));
                }
            }
            "PersonEnrolled" => {
                let enrolled: claims::PersonEnrolled = told.read();
                let id = enrolled.enrolment_id.clone();
                self.enrolments.insert(id, enrolled);
            }
            "PremiumCharged" => {
                let told: claims::PremiumCharged = told.read();
                self.premiums.insert(told.enrolment_id, told.amount_fen);
            }
            "ProgrammeDefined" => self.versions.push(told.read()),
            "EnrolmentEnded" => {
                let told: claims::EnrolmentEnded = told.read();
                let enrolled = self.enrolments.get_mut(&told.enrolment_id).unwrap();
                enrolled.last_day = told.last_day;
            }
            "EntitlementConsumed" => {
                let told: claims::EntitlementConsumed = told.read();
                let year = (told.elder_id, told.programme_code, told.year);
                *self.used.entry(year).or_default() += told.units;
            }
            "EntitlementReleased" => {
                let told: claims::EntitlementReleased = told.read();
                let year = (told.elder_id, told.programme_code, told.year);
                *self.used.entry(year).or_default() -= told.units;
            }
            other => panic!("nobody tells {other} here"),
        }
    }

    fn documents(self) -> Documents {
        let enrolments = self.enrolments.into_values().map(|enrolled| {
            let first = day(enrolled.first_day);
            let year: i32 = first[..4].parse().unwrap();
            let account = (enrolled.elder_id, enrolled.programme_code, year);
            let used = self.used.get(&account).copied().unwrap_or_default();
            let (elder_id, programme_code, _year) = account;
            let last = day(enrolled.last_day);
            let fields = json!({
                "enrolment_id": enrolled.enrolment_id,
                "programme_code": programme_code,
                "elder_id": elder_id,
                "first_day": first,
                "last_day": last,
                "units_used": used,
                "basis": enrolled.basis,
            });
            let mut document = Document::of("enrolment", &enrolled.enrolment_id, fields);
            let premium = self.premiums.get(&enrolled.enrolment_id);
            document.know("premium", premium.map(|fen| yuan(*fen)));
            let began = |version: &&claims::ProgrammeDefined| day(version.effective_from) <= last;
            let newest = self.versions.iter().rfind(began);
            if let Some((unit, units)) = newest.map(quota) {
                document.know("unit", Some(unit));
                document.know("units_a_year", Some(units));
                document.know("units_left", Some((units - used).max(0)));
            }
            (elder(&elder_id), document)
        });
        let orders = self.orders.into_iter();
        orders
            .map(|(key, order)| order.document(&key))
            .chain(enrolments)
            .collect()
    }
}

/// What a year's entitlement is by a version, and what it is counted in.
fn quota(version: &claims::ProgrammeDefined) -> (&'static str, i64) {
    let (_, quota) = version.definition.split_once("quota: {").unwrap();
    let (unit, units) = quota
        .trim_end()
        .trim_end_matches('}')
        .split_once(": ")
        .unwrap();
    let unit = match unit {
        "services" => "SERVICES",
        "minutes" => "MINUTES",
        other => panic!("{other} are counted nowhere"),
    };
    (unit, units.parse().unwrap())
}

/// Money, none of it owed.
fn yuan(fen: i64) -> String {
    format!("{}.{:02}", fen / 100, fen % 100)
}

impl Order {
    fn document(self, key: &str) -> (ElderId, Document) {
        let order = self.submitted;
        let start = instant(order.check_in_at);
        let fields = json!({
            "order_key": key,
            "provider_id": order.provider_id,
            "order_id": order.order_id,
            "programme_code": order.programme_code,
            "elder_id": order.elder_id,
            "division_code": order.division_code,
            "service_day": start[..10],
            "state": self.state,
            "amount": yuan(order.amount_fen),
        });
        let mut document = Document::of("order", key, fields);
        // Of an order that waits nobody has said anything.
        let codes = names::<OrderCode>(&self.codes);
        let codes: Vec<&str> = codes.into_iter().collect();
        document.know("codes", (self.state != "WAITING").then_some(codes));
        document.know("paid_on", self.paid_on);
        (elder(&order.elder_id), document)
    }
}
