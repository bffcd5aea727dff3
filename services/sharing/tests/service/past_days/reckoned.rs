//! How things stand in a division on a day, reckoned from all events of the logs each time, one by one.

mod care;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use civic::{ElderId, ElderStatus, LocalDay, VisitResult};
use elders::codec::{self, write_day};
use elders::terms::WireTerm as _;
use elders::{Facts, FactsOnDay, wire};
use eventlog::EventLog;
use proto::eldercare::sharing::v1 as pb;
use proto::eldercare::tiering::v1 as tiering;
use proto::eldercare::visits::v1 as visits;

use self::care::Care;
use crate::logs::{Told, events};
use crate::support::Ground;

/// What the logs say.
pub(super) struct Reckoned {
    /// Who is erased has none.
    files: BTreeMap<ElderId, Option<Facts>>,
    /// In the order in which they were told.
    tiers: Vec<Tier>,
    visits: BTreeMap<String, Visit>,
    /// Since when divisions visit.
    started: Vec<(String, LocalDay)>,
    duties: Vec<Duty>,
    care: Care,
}

/// A tier that an elder has from a day on, with how often a visit is owed; none where it ended.
struct Tier {
    elder: ElderId,
    on: LocalDay,
    given: Option<(String, tiering::Interval)>,
}

/// What became of the record of a visit.
struct Visit {
    elder: ElderId,
    village: String,
    day: LocalDay,
    met: bool,
    doubted: bool,
    /// Whether it was confirmed, once somebody has decided.
    confirmed: Option<bool>,
}

/// A duty of a week that is over.
struct Duty {
    last: LocalDay,
    village: String,
    missed: bool,
}

fn elder(id: &str) -> ElderId {
    id.parse().unwrap()
}

impl Visit {
    fn counts(&self) -> bool {
        self.met && self.confirmed.unwrap_or(!self.doubted)
    }
}

impl Reckoned {
    pub(super) async fn of(ground: &Ground) -> Self {
        let logs = &ground.logs;
        let mut reckoned = Self {
            files: files(&logs.registry).await,
            tiers: tiers(&logs.tiering).await,
            visits: BTreeMap::new(),
            started: vec![],
            duties: vec![],
            care: Care::of(&logs.claims).await,
        };
        for told in events(&logs.visits).await {
            reckoned.hear(&told);
        }
        reckoned
    }

    /// What visits tells.
    fn hear(&mut self, told: &Told) {
        match told.name() {
            "VisitingStarted" => {
                let told: visits::VisitingStarted = told.read();
                let on = wire::day(told.on, "on").unwrap();
                self.started.push((told.division_code, on));
            }
            "VisitRecorded" => {
                let told: visits::VisitRecorded = told.read();
                let start = wire::time(told.start_time, "start_time").unwrap();
                let visit = Visit {
                    elder: elder(&told.elder_id),
                    village: told.division_code,
                    day: LocalDay::of(start),
                    met: told.result == VisitResult::Met.wire(),
                    doubted: false,
                    confirmed: None,
                };
                self.visits.insert(told.record_id, visit);
            }
            "RecordDoubted" => {
                let told: visits::RecordDoubted = told.read();
                self.visits.get_mut(&told.record_id).unwrap().doubted = true;
            }
            "RecordConfirmed" => {
                let told: visits::RecordConfirmed = told.read();
                let visit = self.visits.get_mut(&told.record_id).unwrap();
                visit.confirmed.get_or_insert(true);
            }
            "RecordRejected" => {
                let told: visits::RecordRejected = told.read();
                let visit = self.visits.get_mut(&told.record_id).unwrap();
                visit.confirmed.get_or_insert(false);
            }
            "VisitMissed" => {
                let told: visits::VisitMissed = told.read();
                let village = told.division_code;
                self.closes(told.period, village, true);
            }
            "DutyMet" => {
                let village = told.division.clone().unwrap();
                let told: visits::DutyMet = told.read();
                if !told.late {
                    self.closes(told.period, village, false);
                }
            }
            other => panic!("nobody tells {other} here"),
        }
    }

    fn closes(&mut self, week: Option<visits::Period>, village: String, missed: bool) {
        let first = wire::day(week.unwrap().first_day, "period").unwrap();
        let last = first.plus_days(6);
        self.duties.push(Duty {
            last,
            village,
            missed,
        });
    }

    /// How things stand there at the end of the day.
    pub(super) fn situation(&self, division: &str, on: LocalDay) -> pb::Situation {
        let living = self.living(division, on);
        let mut tiers: BTreeMap<&str, i64> = BTreeMap::new();
        for elder in living.keys() {
            if let Some((tier, _)) = self.tier(*elder, on) {
                *tiers.entry(tier).or_default() += 1;
            }
        }
        let tiers = tiers.into_iter().map(|(tier, elders)| pb::TierCount {
            tier: tier.to_owned(),
            elders,
        });
        pb::Situation {
            division_code: division.to_owned(),
            day: Some(write_day(on)),
            elders: many(living.len()),
            tiers: tiers.collect(),
            visits: Some(self.visits(division, on, &living)),
            orders: self.care.orders(division, on),
            funds: self.care.funds(division, on),
            ..Default::default()
        }
    }

    /// Who live there on the day, in scope or not.
    fn living(&self, division: &str, on: LocalDay) -> BTreeMap<ElderId, FactsOnDay> {
        let known = self.files.iter();
        let known = known.filter_map(|(elder, facts)| Some((*elder, facts.as_ref()?.on(on))));
        known
            .filter(|(_, facts)| facts.status == ElderStatus::Active && !facts.merged)
            .filter(|(_, facts)| facts.village().as_str().starts_with(division))
            .collect()
    }

    /// The last word on the day or before it holds.
    fn tier(&self, elder: ElderId, on: LocalDay) -> Option<(&str, tiering::Interval)> {
        let said = self.tiers.iter().rev();
        let mut said = said.filter(|tier| tier.elder == elder && tier.on <= on);
        let (tier, interval) = said.next()?.given.as_ref()?;
        Some((tier.as_str(), *interval))
    }

    /// Whether an elder was met on some days, both included.
    fn was_met(&self, elder: ElderId, first: LocalDay, last: LocalDay) -> bool {
        let visits = self.visits.values();
        let mut visits = visits.filter(|visit| visit.elder == elder && visit.counts());
        visits.any(|visit| (first..=last).contains(&visit.day))
    }

    fn visits(
        &self,
        division: &str,
        on: LocalDay,
        living: &BTreeMap<ElderId, FactsOnDay>,
    ) -> pb::VisitCoverage {
        let monday = on.iso_week().first_day();
        let first = LocalDay::from_ymd(on.year(), on.month_of_year(), 1).unwrap();
        let visits = self.visits.values().filter(|visit| visit.counts());
        let this_week = visits.filter(|visit| {
            visit.village.starts_with(division) && (monday..=on).contains(&visit.day)
        });
        let visited: BTreeSet<ElderId> = this_week.map(|visit| visit.elder).collect();
        let duties = self.duties.iter().filter(|duty| {
            duty.village.starts_with(division)
                && duty.last >= monday.plus_days(-7)
                && duty.last < monday
        });
        let closed: Vec<&Duty> = duties.collect();
        let mut told = pb::VisitCoverage {
            visited_elders: many(visited.len()),
            missed_duties: many(closed.iter().filter(|duty| duty.missed).count()),
            closed_duties: many(closed.len()),
            ..Default::default()
        };
        let in_scope = living.iter().filter(|(_, facts)| facts.in_scope());
        for (elder, facts) in in_scope {
            told.in_scope_elders += 1;
            told.covered_elders += i64::from(self.was_met(*elder, first, on));
            let Some((_, interval)) = self.tier(*elder, on) else {
                continue;
            };
            let begins = match interval {
                tiering::Interval::Weekly => monday,
                tiering::Interval::Monthly | tiering::Interval::Unspecified => first,
            };
            let village = facts.village();
            let mut visiting = self.started.iter();
            if visiting.any(|(code, since)| {
                village.as_str().starts_with(code.as_str()) && *since <= begins
            }) {
                told.owed_duties += 1;
                told.met_duties += i64::from(self.was_met(*elder, begins, on));
            }
        }
        told
    }
}

fn many(count: usize) -> i64 {
    i64::try_from(count).unwrap()
}

async fn files(log: &Arc<dyn EventLog>) -> BTreeMap<ElderId, Option<Facts>> {
    let mut files: BTreeMap<ElderId, Option<Facts>> = BTreeMap::new();
    for told in events(log).await {
        let elder = elder(&told.id);
        let event = codec::decode(&told.raw).unwrap();
        let facts = files.remove(&elder).flatten();
        files.insert(elder, Facts::after(facts, &event, elder));
    }
    files
}

async fn tiers(log: &Arc<dyn EventLog>) -> Vec<Tier> {
    let mut tiers = vec![];
    for told in events(log).await {
        let (elder_id, on, given) = match told.name() {
            "TierAssigned" => {
                let told: tiering::TierAssigned = told.read();
                (told.elder_id, told.on, told.assignment)
            }
            "TierEnded" => {
                let told: tiering::TierEnded = told.read();
                (told.elder_id, told.on, None)
            }
            other => panic!("nobody tells {other} here"),
        };
        tiers.push(Tier {
            elder: elder(&elder_id),
            on: wire::day(on, "on").unwrap(),
            given: given.map(|given| {
                let interval = given.interval();
                (given.tier, interval)
            }),
        });
    }
    tiers
}
