//! What a week's plan is made from: who is owed a visit, who can visit, and what was decided before; and what of the
//! planner's answer goes into the plan.
//!
//! Nothing here does I/O. Of each elder's home only the position is used, and nothing of it goes into the plan.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use civic::{
    CalendarMonth, ConsentState, DivisionCode, ElderId, GeoPosition, LocalDay, Set, Term,
    UnplannedReason, VillageCode, VisitMode,
};
use elders::Facts;
use uuid::Uuid;
use visit_planning::{
    Centres, Duty, DutyIndex, Interval, MonthlyDuty, Pin, PinConflict, Plan, Reason, Unassigned,
    Visitor, VisitorIndex, Week, Workday, Workdays, due_in_week,
};

use crate::period::CampaignDays;
use crate::standing::Standings;
use crate::week_plan::{Entry, PlanId, PlannedVisit, Slot, WeekPlan};

/// How long a visit is taken to be, in minutes; shown in the load alone.
const MINUTES: u16 = 30;

/// An elder of the county.
#[derive(Debug)]
pub(crate) struct Resident {
    /// All that is recorded.
    pub(crate) facts: Facts,
    /// Where the elder lives on the first day that is planned.
    pub(crate) village: VillageCode,
    /// The position of the home, where it is known.
    pub(crate) home: Option<GeoPosition>,
}

/// A visitor of the county.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate {
    pub(crate) visitor: Uuid,
    pub(crate) home: DivisionCode,
    pub(crate) weekly_capacity: u16,
    pub(crate) modes: Set<VisitMode>,
    /// The days of the week on which the visitor is active.
    pub(crate) days: Workdays,
}

/// All that is known when a week is planned.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) plan: PlanId,
    pub(crate) division: DivisionCode,
    pub(crate) seed: u64,
    pub(crate) today: LocalDay,
    /// The first day that is planned: the week's first, or today.
    pub(crate) from: LocalDay,
    pub(crate) residents: HashMap<ElderId, Resident>,
    /// Who is owed a visit in the week, and is not visited yet.
    pub(crate) owed_weekly: Vec<ElderId>,
    /// The same for the campaigns of which days are planned, in the order in which these end.
    pub(crate) owed_in_campaigns: Vec<(CampaignDays, Vec<ElderId>)>,
    /// The same for the months that the week lies in, in their order.
    pub(crate) owed_monthly: Vec<(CalendarMonth, Vec<ElderId>)>,
    /// The visitors of the county, in the order of their ids.
    pub(crate) visitors: Vec<Candidate>,
    /// Who is paired with whom.
    pub(crate) pairings: HashMap<ElderId, Vec<Uuid>>,
    /// Who was visited in the week already.
    pub(crate) visited: HashSet<ElderId>,
    /// When those who are owed a visit were visited last.
    pub(crate) last_visits: HashMap<ElderId, LocalDay>,
    /// The county's plan as it stands.
    pub(crate) stands: WeekPlan,
    /// The plans of the weeks before, the latest first.
    pub(crate) before: Vec<WeekPlan>,
}

/// A week as the planner takes it, with what the answer means.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) week: Week,
    pub(crate) capacities: BTreeMap<Uuid, u16>,
    known: Known,
    /// Whom the duties are about, in their order.
    whom: Vec<(ElderId, Whose)>,
    /// What stays as it is, though it is no visit.
    kept: BTreeMap<ElderId, Entry>,
}

/// Whether a duty is to be planned, or was planned before and stays.
#[derive(Clone, Copy, Debug)]
enum Whose {
    Due(VillageCode),
    Committed(VillageCode, PlannedVisit),
}

/// A visit that falls due in the week.
struct Due {
    elder: ElderId,
    interval: Interval,
    days: Workdays,
}

impl Draft {
    /// Puts the week together.
    pub(crate) fn of(known: Known, standings: &mut Standings) -> Self {
        let places: HashMap<Uuid, VisitorIndex> = known
            .visitors
            .iter()
            .zip(0..)
            .map(|(one, place)| (one.visitor, VisitorIndex(place)))
            .collect();
        let centres: Centres = known
            .residents
            .values()
            .filter_map(|one| Some((one.village, one.home?)))
            .collect();
        let (due, kept) = known.due(&places);
        let due_elders: HashSet<ElderId> = due.iter().map(|one| one.elder).collect();
        let (mut whom, mut duties) = (Vec::new(), Vec::new());
        // What stands comes first: its room is taken.
        for (elder, entry) in known.stands.entries() {
            let Slot::Visit(visit) = &entry.slot else {
                continue;
            };
            let place = places.get(&visit.visitor).copied();
            if due_elders.contains(elder) || !known.stays(*elder, entry, visit) {
                continue;
            }
            let (Some(place), Some(day)) = (place, Workday::on(visit.day)) else {
                continue;
            };
            whom.push((*elder, Whose::Committed(entry.village, *visit)));
            duties.push(Duty {
                elder: *elder,
                village: entry.village,
                position: known.position(*elder, entry.village, &centres),
                modes: visit.mode.into(),
                home_consent: true,
                interval: Interval::Weekly,
                days: day.into(),
                pairings: vec![],
                usual: None,
                pin: Some(Pin {
                    visitor: place,
                    day,
                    mode: Some(visit.mode),
                }),
                minutes: MINUTES,
            });
        }
        for one in due {
            let Some(resident) = known.residents.get(&one.elder) else {
                continue;
            };
            whom.push((one.elder, Whose::Due(resident.village)));
            duties.push(known.duty(&one, resident, standings, &places, &centres));
        }
        let visitors = known.visitors.iter().map(|one| one.for_planner(&centres));
        Self {
            week: Week {
                duties,
                visitors: visitors.collect(),
                seed: known.seed,
            },
            capacities: known
                .visitors
                .iter()
                .map(|one| (one.visitor, one.weekly_capacity))
                .collect(),
            known,
            whom,
            kept,
        }
    }

    /// What the plan says of the division's elders, and what it changes for others.
    pub(crate) fn entries(&self, plan: &Plan) -> BTreeMap<ElderId, Entry> {
        let mut entries = self.kept.clone();
        let mut load: BTreeMap<(VisitorIndex, Workday), u32> = BTreeMap::new();
        for given in &plan.assignments {
            *load.entry((given.visitor, given.day)).or_default() += 1;
            let slot = |pinned| {
                Slot::Visit(PlannedVisit {
                    visitor: self.visitor(given.visitor),
                    day: given.day.in_week(self.known.plan.week),
                    place: given.place,
                    mode: given.mode,
                    pinned,
                })
            };
            let pinned = self.week.duties[given.duty.at()].pin.is_some();
            self.put(&mut entries, given.duty, slot(pinned), slot);
        }
        for left in &plan.unassigned {
            let slot = self.left(left, &mut load);
            self.put(&mut entries, left.duty, slot, |_| slot);
        }
        entries
    }

    /// Puts down what became of a duty: of one that stood before only where it changed or is the division's.
    fn put(
        &self,
        entries: &mut BTreeMap<ElderId, Entry>,
        duty: DutyIndex,
        due: Slot,
        stood: impl Fn(bool) -> Slot,
    ) {
        let (elder, whose) = self.whom[duty.at()];
        let entry = match whose {
            Whose::Due(village) => Entry { village, slot: due },
            Whose::Committed(village, before) => {
                let slot = stood(before.pinned);
                let ours = self.known.division.contains(&village.division());
                if !ours && slot == Slot::Visit(before) {
                    return;
                }
                Entry { village, slot }
            }
        };
        entries.insert(elder, entry);
    }

    fn left(&self, left: &Unassigned, load: &mut BTreeMap<(VisitorIndex, Workday), u32>) -> Slot {
        Slot::Unplanned(match left.reason {
            Reason::ConsentMissing { talk_by } => {
                let days = self.week.duties[left.duty.at()].days;
                let talk = talk_by.and_then(|visitor| self.talk(visitor, days, load));
                return talk.unwrap_or(Slot::Unplanned(UnplannedReason::ConsentMissing));
            }
            Reason::NoVisitorForMode => UnplannedReason::NoVisitorForMode,
            Reason::NoVisitorOnDays => UnplannedReason::NoVisitorOnDays,
            Reason::CapacityExhausted => UnplannedReason::CapacityExhausted,
            Reason::PinImpossible(PinConflict::Mode) => UnplannedReason::PinMode,
            Reason::PinImpossible(PinConflict::Consent) => UnplannedReason::PinConsent,
            Reason::PinImpossible(PinConflict::DutyDay) => UnplannedReason::PinDay,
            Reason::PinImpossible(PinConflict::VisitorDay) => UnplannedReason::PinVisitor,
            Reason::PinImpossible(PinConflict::Capacity) => UnplannedReason::PinCapacity,
        })
    }

    /// A talk about consent, on the day on which the visitor has the least to do.
    fn talk(
        &self,
        visitor: VisitorIndex,
        days: Workdays,
        load: &mut BTreeMap<(VisitorIndex, Workday), u32>,
    ) -> Option<Slot> {
        let there = self.week.visitors[visitor.at()].days;
        let busy = |day: &Workday| load.get(&(visitor, *day)).copied().unwrap_or(0);
        let day = days
            .intersection(there)
            .iter()
            .min_by_key(|day| (busy(day), *day))?;
        *load.entry((visitor, day)).or_default() += 1;
        Some(Slot::Talk {
            visitor: self.visitor(visitor),
            day: day.in_week(self.known.plan.week),
        })
    }

    fn visitor(&self, place: VisitorIndex) -> Uuid {
        self.known.visitors[place.at()].visitor
    }
}

impl Known {
    /// Whether a visit that was planned before stays, where the elder is not due now: in other divisions, and where it
    /// took place. What was planned for somebody who is owed nothing any more is dropped.
    fn stays(&self, elder: ElderId, entry: &Entry, visit: &PlannedVisit) -> bool {
        let elsewhere = !self.division.contains(&entry.village.division());
        elsewhere || (visit.day < self.from && self.visited.contains(&elder))
    }

    /// The visits to be planned, each elder's once, and what stays as it is.
    fn due(&self, places: &HashMap<Uuid, VisitorIndex>) -> (Vec<Due>, BTreeMap<ElderId, Entry>) {
        let mut due: BTreeMap<ElderId, Due> = BTreeMap::new();
        let mut kept = BTreeMap::new();
        let mut seen: BTreeSet<ElderId> = BTreeSet::new();
        let week = self.plan.week;
        let rest = Workday::between(week, self.from, week.last_day());
        // A person's decision stays, and so does a talk that was to be by now: it leaves no record.
        let decided = |elder: &ElderId| {
            self.stands
                .entry(*elder)
                .is_some_and(|entry| match &entry.slot {
                    Slot::Skipped(_) => true,
                    Slot::Talk { day, .. } => *day < self.from,
                    Slot::Visit(_) | Slot::Unplanned(_) => false,
                })
        };
        let mut take = |elder: ElderId, interval, days| {
            let resident = self.residents.get(&elder);
            let ours = resident.is_some_and(|one| self.division.contains(&one.village.division()));
            if !seen.insert(elder) || !ours {
                return;
            }
            match (decided(&elder), self.stands.entry(elder), resident) {
                (true, Some(entry), Some(resident)) => {
                    let village = resident.village;
                    kept.insert(elder, Entry { village, ..*entry });
                }
                _ => {
                    due.insert(
                        elder,
                        Due {
                            elder,
                            interval,
                            days,
                        },
                    );
                }
            }
        };
        // One visit meets all that is owed on its day: where the days of a campaign allow it, it takes place in them.
        let mut in_campaigns: BTreeMap<ElderId, Workdays> = BTreeMap::new();
        let mut without_a_day = Vec::new();
        for (campaign, elders) in &self.owed_in_campaigns {
            let first = campaign.first.max(self.from);
            let days = Workday::between(week, first, campaign.last.min(week.last_day()));
            let elders = elders
                .iter()
                .filter(|elder| !self.is_to_come(**elder, |day| campaign.contains(day)));
            // One that goes on beyond the week may have a day for a visit then.
            let later = days.is_empty() && campaign.last > week.last_day();
            for elder in elders.filter(|_| !later) {
                if days.is_empty() {
                    without_a_day.push(*elder);
                    continue;
                }
                let open = in_campaigns.entry(*elder).or_insert(days);
                let both = open.intersection(days);
                if !both.is_empty() {
                    *open = both;
                }
            }
        }
        for elder in &self.owed_weekly {
            let both = in_campaigns
                .get(elder)
                .map(|days| days.intersection(rest))
                .filter(|both| !both.is_empty());
            take(*elder, Interval::Weekly, both.unwrap_or(rest));
        }
        for (elder, days) in &in_campaigns {
            take(*elder, Interval::Weekly, *days);
        }
        for (month, elders) in &self.owed_monthly {
            // The county's elders are spread together, so that towns planned one by one come to the same.
            let unmet: Vec<MonthlyDuty> = elders
                .iter()
                .filter(|elder| !self.is_to_come(**elder, |day| month.contains(day)))
                .filter_map(|elder| {
                    let resident = self.residents.get(elder)?;
                    let paired = self.pairings.get(elder).into_iter().flatten();
                    let likely = paired.copied().chain(self.usual(*elder));
                    Some(MonthlyDuty {
                        elder: *elder,
                        village: resident.village,
                        visitor: likely
                            .filter_map(|visitor| places.get(&visitor).copied())
                            .next(),
                        last_visited: self.last_visits.get(elder).copied(),
                        planned: self.stands.entry(*elder).is_some(),
                    })
                })
                .collect();
            let share = due_in_week(week, *month, self.from, &unmet);
            for place in share.duties {
                take(unmet[place].elder, Interval::Monthly, share.days);
            }
        }
        // Who is owed nothing else is listed, with the reason.
        for elder in without_a_day {
            take(elder, Interval::Weekly, Workdays::new());
        }
        (due.into_values().collect(), kept)
    }

    /// Whether a week before plans a visit on such a day that is still to come: where weeks are planned ahead, none of them
    /// takes an elder of another.
    fn is_to_come(&self, elder: ElderId, on: impl Fn(LocalDay) -> bool) -> bool {
        self.before
            .iter()
            .any(|plan| match plan.entry(elder).map(|entry| &entry.slot) {
                Some(Slot::Visit(visit)) => visit.day >= self.today && on(visit.day),
                Some(Slot::Talk { .. } | Slot::Unplanned(_) | Slot::Skipped(_)) | None => false,
            })
    }

    /// Who went there, or was to go, by the latest plan that says.
    fn usual(&self, elder: ElderId) -> Option<Uuid> {
        let plans = std::iter::once(&self.stands).chain(&self.before);
        plans
            .filter_map(|plan| match &plan.entry(elder)?.slot {
                Slot::Visit(visit) => Some(visit.visitor),
                Slot::Talk { visitor, .. } => Some(*visitor),
                Slot::Unplanned(_) | Slot::Skipped(_) => None,
            })
            .next()
    }

    fn duty(
        &self,
        due: &Due,
        resident: &Resident,
        standings: &mut Standings,
        places: &HashMap<Uuid, VisitorIndex>,
        centres: &Centres,
    ) -> Duty {
        let open = Open::on(due.days, self, &resident.facts, standings);
        let blocked = open.modes == VisitMode::Home.into() && !open.home_consent;
        let pin = match self.stands.entry(due.elder).map(|entry| &entry.slot) {
            // A pin on a day that is over has lapsed; where consent is missing there is a talk instead.
            Some(Slot::Visit(visit)) if visit.pinned && visit.day >= self.from && !blocked => {
                let place = places.get(&visit.visitor).copied();
                place.zip(Workday::on(visit.day)).map(|(visitor, day)| Pin {
                    visitor,
                    day,
                    mode: None,
                })
            }
            Some(Slot::Visit(_) | Slot::Talk { .. } | Slot::Unplanned(_) | Slot::Skipped(_))
            | None => None,
        };
        let paired = self.pairings.get(&due.elder).into_iter().flatten();
        let there = |visitor: &VisitorIndex| !self.visitors[visitor.at()].days.is_empty();
        Duty {
            elder: due.elder,
            village: resident.village,
            position: self.position(due.elder, resident.village, centres),
            modes: open.modes,
            home_consent: open.home_consent,
            interval: due.interval,
            days: open.days,
            pairings: paired
                .filter_map(|visitor| places.get(visitor).copied())
                .filter(there)
                .collect(),
            usual: self
                .usual(due.elder)
                .and_then(|visitor| places.get(&visitor).copied())
                .filter(there),
            pin,
            minutes: MINUTES,
        }
    }

    /// The home, else the village's centre; where no home of the county is known, all ways are taken as none.
    fn position(&self, elder: ElderId, village: VillageCode, centres: &Centres) -> GeoPosition {
        let home = self.residents.get(&elder).and_then(|one| one.home);
        home.or_else(|| centres.of(village)).unwrap_or_else(nowhere)
    }
}

/// On which days and how an elder can be visited, whichever of the days it becomes.
pub(crate) struct Open {
    pub(crate) days: Workdays,
    pub(crate) modes: Set<VisitMode>,
    pub(crate) home_consent: bool,
}

impl Open {
    fn on(days: Workdays, known: &Known, facts: &Facts, standings: &mut Standings) -> Self {
        let mut open = Self {
            days: Workdays::new(),
            modes: Set::all(),
            home_consent: true,
        };
        let in_week = |day: Workday| day.in_week(known.plan.week);
        for day in days.iter() {
            let then = facts.on(in_week(day));
            if then.in_scope() {
                open.days.insert(day);
                open.modes = open
                    .modes
                    .intersection(standings.modes(facts, in_week(day)));
                open.home_consent &= then.consent.state == ConsentState::Granted;
            }
        }
        if open.days.is_empty() {
            open.modes = standings.modes(facts, known.from);
            open.home_consent = facts.on(known.from).consent.state == ConsentState::Granted;
        }
        open
    }
}

impl Candidate {
    fn for_planner(&self, centres: &Centres) -> Visitor {
        // A visitor whose village is not known comes from the middle of the county, and from no village of it.
        let village = VillageCode::try_from(self.home).unwrap_or_else(|_larger| {
            let digits = format!("{:0<12}", self.home.as_str());
            digits
                .parse()
                .expect("a code filled up with zeros has the digits of a village")
        });
        Visitor {
            village,
            position: centres.of(village).unwrap_or_else(nowhere),
            weekly_capacity: self.weekly_capacity,
            modes: self.modes,
            days: self.days,
        }
    }
}

fn nowhere() -> GeoPosition {
    GeoPosition::new(0.0, 0.0).expect("the zero meridian crosses the equator")
}

/// The days of a week on which somebody who is active between two days can visit.
pub(crate) fn active_days(
    week: civic::IsoWeek,
    from: LocalDay,
    until: Option<LocalDay>,
) -> Workdays {
    let in_time = |day: &Workday| {
        let day = day.in_week(week);
        from <= day && until.is_none_or(|until| day <= until)
    };
    Workday::ALL.iter().copied().filter(in_time).collect()
}
