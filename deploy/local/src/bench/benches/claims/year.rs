//! A year of service orders as Yiwu had them: which are normal, which are abnormal and why, which of these are appealed, and
//! what the books must say in the end. It is the same in each run.

use chrono::{DateTime, TimeDelta, Utc};
use civic::LocalDay;
use proto::eldercare::claims::v1 as pb;

use super::books::Books;
use crate::bench::{
    care::{MINUTES_A_YEAR, Roster, STREAMS, Scope, Service, photo, request_id},
    handing_in::Order,
    people::day,
};

/// Yiwu's figures: all orders, the abnormal ones, and of these how many were appealed and accepted.
const ORDERS: usize = 220_167;
const ABNORMAL: u64 = 10_498;
const ACCEPTED: u64 = 666;

/// So many appeals are refused; nobody appeals against the rest.
const REFUSED: u64 = 1_000;

/// Providers, caregivers and the elders of each. One of these is not enrolled, and one wants more than there is.
const PROVIDERS: usize = 40;
const CAREGIVERS: usize = 400;
const ELDERS_EACH: usize = 23;
const STRANGER: usize = ELDERS_EACH - 1;
const GREEDY: usize = 0;

/// The weeks in which there is work: every other one, as an elder is served every other week. The first one lies so that
/// what is told of the week before it is of the same year too.
const MONDAY: &str = "2024-01-15";
const WEEKS: u64 = 25;
const APART: u64 = 14;

/// From Monday to Saturday a caregiver has four services a day at most, which begin at these hours.
const A_DAY: usize = 4;
const HOURS: [i64; A_DAY] = [8, 10, 13, 15];

/// Normal services last this long, by ten minutes more, to the longest one.
const SHORTEST: i64 = 40;
const LONGEST: i64 = 100;

/// A service that is too short, and days that are too many: it was in the week without work.
const TOO_SHORT: i64 = 20;
const TOO_LATE: i64 = 7;

/// The greedy elder has one of so many services as long as there is something left.
const ONE_GREEDY_OF: u64 = 3;

/// What is wrong with an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wrong {
    NotEnrolled,
    NotListed,
    Short,
    Items,
    Elsewhere,
    NoPhoto,
    OldPhoto,
    TwoElders,
    Twice,
    Late,
    UsedUp,
}

impl Wrong {
    const ALL: [Self; 11] = [
        Self::NotEnrolled,
        Self::NotListed,
        Self::Short,
        Self::Items,
        Self::Elsewhere,
        Self::NoPhoto,
        Self::OldPhoto,
        Self::TwoElders,
        Self::Twice,
        Self::Late,
        Self::UsedUp,
    ];

    fn code(self) -> pb::OrderCode {
        match self {
            Self::NotEnrolled => pb::OrderCode::NotEnrolled,
            Self::NotListed => pb::OrderCode::ProviderInvalid,
            Self::Short => pb::OrderCode::DurationShort,
            Self::Items => pb::OrderCode::ItemsInvalid,
            Self::Elsewhere => pb::OrderCode::LocationMismatch,
            Self::NoPhoto => pb::OrderCode::EvidenceMissing,
            Self::OldPhoto => pb::OrderCode::EvidenceReused,
            Self::TwoElders => pb::OrderCode::CaregiverOverlap,
            Self::Twice => pb::OrderCode::DuplicateService,
            Self::Late => pb::OrderCode::LateSubmission,
            Self::UsedUp => pb::OrderCode::QuotaExceeded,
        }
    }
}

/// What becomes of an abnormal order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Accepted,
    Refused,
    Lapses,
}

/// How much of a year there is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    /// Who is there.
    pub(super) scope: Scope,
    orders: u64,
    abnormal: u64,
    accepted: u64,
    refused: u64,
}

/// A week's orders.
#[derive(Debug)]
pub(super) struct Week {
    /// When they are handed in: the Sunday evening.
    pub(super) at: DateTime<Utc>,
    /// By stream.
    pub(super) orders: Vec<Vec<Order>>,
    /// What follows.
    pub(super) appeals: Vec<Appeal>,
}

/// An appeal, filed on the same evening.
#[derive(Debug, Clone)]
pub(super) struct Appeal {
    /// The provider.
    pub(super) provider_id: String,
    /// The order.
    pub(super) order_id: String,
    /// Whether the reviewer accepts.
    pub(super) accept: bool,
    /// The new evidence.
    pub(super) photo: pb::Evidence,
}

impl Plan {
    /// A whole year, or less at a scale.
    pub(super) fn of(scaled: impl Fn(usize) -> usize) -> Self {
        let orders = scaled(ORDERS);
        let part = |full: u64| (full * orders as u64) / ORDERS as u64;
        let at_least = |full: usize| (full * orders).div_ceil(ORDERS);
        // Whole groups of providers, and caregivers enough for the week's orders.
        let providers = at_least(PROVIDERS).next_multiple_of(STREAMS);
        Self {
            scope: Scope {
                providers,
                caregivers_each: at_least(CAREGIVERS).div_ceil(providers),
                elders_each: ELDERS_EACH,
                strangers_each: ELDERS_EACH - STRANGER,
            },
            orders: orders as u64,
            abnormal: part(ABNORMAL),
            accepted: part(ACCEPTED),
            refused: part(REFUSED),
        }
    }

    /// How many orders there are.
    pub(super) fn orders(&self) -> u64 {
        self.orders
    }

    /// What is wrong with an order by its number is told by the number of abnormal ones before it; none: it is normal.
    fn abnormal(&self, number: u64) -> Option<u64> {
        spread(number, self.abnormal, self.orders)
    }

    fn fate(&self, abnormal: u64) -> Fate {
        if spread(abnormal, self.accepted, self.abnormal).is_some() {
            return Fate::Accepted;
        }
        let others = self.abnormal - self.accepted;
        let number = abnormal - abnormal * self.accepted / self.abnormal;
        match spread(number, self.refused, others) {
            Some(_) => Fate::Refused,
            None => Fate::Lapses,
        }
    }

    /// The weeks, and what the books say when all is paid.
    pub(super) fn play(&self, roster: &Roster) -> (Vec<Week>, Books) {
        let mut play = Play {
            plan: self,
            roster,
            books: Books::new(self.scope.enrolled() as u64, last_day()),
            caregivers: vec![Diary::default(); self.scope.caregivers()],
        };
        let weeks = (0..WEEKS).map(|week| play.week(week)).collect();
        (weeks, play.books)
    }
}

/// Which one of `part` it is, where `part` of `all` are spread evenly.
fn spread(number: u64, part: u64, all: u64) -> Option<u64> {
    let before = |number: u64| number * part / all.max(1);
    (before(number + 1) > before(number)).then(|| before(number))
}

fn monday(week: u64) -> LocalDay {
    day(MONDAY).plus_days((APART * week).cast_signed())
}

/// The day on whose evening a week's orders are handed in.
fn sunday(week: u64) -> LocalDay {
    monday(week).plus_days(6)
}

/// The day of the last orders.
fn last_day() -> LocalDay {
    sunday(WEEKS - 1)
}

/// When nobody can appeal against anything any more.
pub(super) fn all_over() -> DateTime<Utc> {
    last_day().plus_days(16).start() + TimeDelta::hours(8)
}

/// A caregiver's year so far.
#[derive(Debug, Clone, Default)]
struct Diary {
    /// Services by now.
    services: u64,
    /// The next of those who are served in turn.
    turn: usize,
    /// What the greedy elder has had, in minutes.
    had: i64,
    /// The last normal one of the week, of an elder served in turn, that nothing refers to.
    normal: Option<Service>,
}

impl Diary {
    /// The place of the next elder in turn.
    fn in_turn(&mut self) -> usize {
        let first = GREEDY + 1;
        let place = first + self.turn % (STRANGER - first);
        self.turn += 1;
        place
    }
}

/// The year as it is made up.
struct Play<'a> {
    plan: &'a Plan,
    roster: &'a Roster,
    books: Books,
    caregivers: Vec<Diary>,
}

impl Play<'_> {
    fn week(&mut self, week: u64) -> Week {
        let mut made = Week {
            at: sunday(week).start() + TimeDelta::hours(20),
            orders: (0..STREAMS).map(|_| Vec::new()).collect(),
            appeals: Vec::new(),
        };
        for diary in &mut self.caregivers {
            diary.normal = None;
        }
        let first = |week: u64| week * self.plan.orders / WEEKS;
        let numbers = first(week)..first(week + 1);
        let caregivers = self.caregivers.len();
        for (place, number) in numbers.enumerate() {
            // All caregivers have their first service of the week, then all their second one.
            let (caregiver, slot) = (place % caregivers, place / caregivers);
            let (service, wrong) = self.service(week, slot, caregiver, number);
            let order = self.order(&service, wrong.map(|(wrong, _)| wrong));
            let provider = self.plan.scope.provider_of(caregiver);
            let month = LocalDay::of(made.at).month();
            let paid = match wrong {
                None => true,
                Some((wrong, fate)) => {
                    self.books.abnormal(wrong.code(), fate == Fate::Accepted);
                    fate == Fate::Accepted
                }
            };
            self.books.order();
            if paid {
                self.books.pay(provider, month, service.fen());
            }
            if let Some((_, fate @ (Fate::Accepted | Fate::Refused))) = wrong {
                made.appeals.push(Appeal {
                    provider_id: order.order.provider_id.clone(),
                    order_id: order.order.order_id.clone(),
                    accept: fate == Fate::Accepted,
                    photo: photo(format!("appeal {number}").as_bytes()),
                });
            }
            made.orders[caregiver % STREAMS].push(order);
        }
        made
    }

    /// What takes place at a caregiver's slot of a week, and what is wrong with the order of it.
    fn service(
        &mut self,
        week: u64,
        slot: usize,
        caregiver: usize,
        number: u64,
    ) -> (Service, Option<(Wrong, Fate)>) {
        let scope = self.plan.scope;
        let diary = &mut self.caregivers[caregiver];
        let steps = (LONGEST - SHORTEST) / 10 + 1;
        let minutes = SHORTEST + 10 * (number.cast_signed() % steps);
        let (days, hour) = ((slot / A_DAY) as u64, HOURS[slot % A_DAY]);
        let on = monday(week).plus_days(days.cast_signed());
        let mut service = Service {
            number,
            caregiver,
            elder: scope.elder(caregiver, GREEDY),
            start: on.start() + TimeDelta::hours(hour),
            minutes,
        };
        diary.services += 1;
        let Some(abnormal) = self.plan.abnormal(number) else {
            let greedy = diary.services.is_multiple_of(ONE_GREEDY_OF);
            if greedy && diary.had + minutes <= MINUTES_A_YEAR {
                diary.had += minutes;
            } else {
                service.elder = scope.elder(caregiver, diary.in_turn());
                diary.normal = Some(service);
            }
            return (service, None);
        };
        let fate = self.plan.fate(abnormal);
        let wrong = wrong(abnormal, fate, diary);
        match wrong {
            Wrong::UsedUp => service.minutes = LONGEST,
            Wrong::NotEnrolled => service.elder = scope.elder(caregiver, STRANGER),
            Wrong::Twice => {
                if let Some(other) = diary.normal.take() {
                    service.elder = other.elder;
                    service.start = other.start;
                }
            }
            Wrong::NotListed
            | Wrong::Short
            | Wrong::Items
            | Wrong::Elsewhere
            | Wrong::NoPhoto
            | Wrong::OldPhoto
            | Wrong::TwoElders
            | Wrong::Late => {
                service.elder = scope.elder(caregiver, diary.in_turn());
                if wrong == Wrong::Short {
                    service.minutes = TOO_SHORT;
                }
                if wrong == Wrong::Late {
                    service.start -= TimeDelta::days(TOO_LATE);
                }
                if wrong == Wrong::TwoElders
                    && let Some(other) = diary.normal.take()
                {
                    service.start = other.start;
                }
            }
        }
        (service, Some((wrong, fate)))
    }

    fn order(&mut self, service: &Service, wrong: Option<Wrong>) -> Order {
        let mut order = self.roster.order(service);
        match wrong {
            Some(Wrong::NotListed) => {
                order.caregiver_id = request_id("nobody's caregiver", &order.order_id);
            }
            Some(Wrong::Items) => order.items.push("CLEANING".to_owned()),
            Some(Wrong::Elsewhere) => {
                if let Some(place) = &mut order.check_in {
                    // Over a kilometre to the north.
                    place.latitude += 0.01;
                }
            }
            Some(Wrong::NoPhoto) => order.evidence.clear(),
            Some(Wrong::OldPhoto) => {
                let other = self.caregivers[service.caregiver].normal.take();
                order.evidence = other.iter().map(Service::photo).collect();
            }
            Some(
                Wrong::NotEnrolled
                | Wrong::Short
                | Wrong::TwoElders
                | Wrong::Twice
                | Wrong::Late
                | Wrong::UsedUp,
            )
            | None => {}
        }
        Order {
            order,
            code: wrong.map(Wrong::code),
        }
    }
}

/// What is wrong with an abnormal order: each thing in turn, where it can be.
fn wrong(abnormal: u64, fate: Fate, diary: &Diary) -> Wrong {
    let can_be = |wrong: &Wrong| match wrong {
        Wrong::NotEnrolled
        | Wrong::NotListed
        | Wrong::Short
        | Wrong::Items
        | Wrong::Elsewhere
        | Wrong::NoPhoto
        | Wrong::Late => true,
        Wrong::OldPhoto | Wrong::TwoElders | Wrong::Twice => diary.normal.is_some(),
        // Accepted it would be used up all the same.
        Wrong::UsedUp => fate != Fate::Accepted && diary.had + LONGEST > MINUTES_A_YEAR,
    };
    let turn = usize::try_from(abnormal).unwrap_or_default() % Wrong::ALL.len();
    let (before, from) = Wrong::ALL.split_at(turn);
    let mut in_turn = from.iter().chain(before).copied();
    in_turn.find(can_be).unwrap_or(Wrong::Short)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashMap, HashSet};

    use super::*;
    use crate::wire;

    fn full() -> (Vec<Week>, Books) {
        let plan = Plan::of(|full| full);
        plan.play(&Roster::made_up(plan.scope))
    }

    #[test]
    fn a_whole_year_has_yiwus_figures() {
        let (weeks, books) = full();
        let orders = weeks.iter().flat_map(|week| week.orders.iter().flatten());
        let (normal, abnormal): (Vec<_>, Vec<_>) = orders.partition(|order| order.code.is_none());
        assert_eq!((normal.len(), abnormal.len()), (209_669, 10_498));
        let appeals: Vec<_> = weeks.iter().flat_map(|week| &week.appeals).collect();
        let accepted = appeals.iter().filter(|appeal| appeal.accept).count();
        assert_eq!((accepted, appeals.len()), (666, 1_666));
        assert_eq!(books.not_settled(), 9_832);
        let mut codes: BTreeMap<pb::OrderCode, u64> = BTreeMap::new();
        for code in abnormal.iter().filter_map(|order| order.code) {
            *codes.entry(code).or_default() += 1;
        }
        assert_eq!(codes.len(), Wrong::ALL.len());
        assert!(codes.values().all(|orders| *orders > 500), "{codes:?}");
    }

    #[test]
    fn what_is_normal_overlaps_nothing_and_keeps_within_the_year() {
        let (weeks, _) = full();
        let mut used: HashMap<String, i64> = HashMap::new();
        let mut busy: HashMap<(String, i64), Vec<(i64, i64)>> = HashMap::new();
        let mut photos = HashSet::new();
        for week in &weeks {
            for order in week.orders.iter().flatten() {
                let at = |time: Option<prost_types::Timestamp>| {
                    time.and_then(wire::from_timestamp).unwrap().timestamp()
                };
                let Order { order, code } = order;
                let (start, end) = (at(order.check_in_at), at(order.check_out_at));
                let whose = (order.caregiver_id.clone(), start / 86_400);
                let spans = busy.entry(whose).or_default();
                let overlaps = spans.iter().any(|other| start < other.1 && other.0 < end);
                let twice = [
                    Some(pb::OrderCode::CaregiverOverlap),
                    Some(pb::OrderCode::DuplicateService),
                ];
                assert_eq!(overlaps, twice.contains(code), "{order:?}");
                spans.push((start, end));
                let reused = order
                    .evidence
                    .iter()
                    .any(|file| !photos.insert(file.hash.clone()));
                assert_eq!(reused, *code == Some(pb::OrderCode::EvidenceReused));
                assert!(week.at.timestamp() >= end);
                if code.is_none() {
                    *used.entry(order.elder_id.clone()).or_default() += (end - start) / 60;
                }
            }
        }
        assert!(used.values().all(|minutes| *minutes <= MINUTES_A_YEAR));
        let greedy = used.values().filter(|minutes| **minutes > 2_780).count();
        assert!(greedy >= CAREGIVERS, "{greedy}");
    }

    #[test]
    fn a_part_of_a_year_keeps_the_shares() {
        for part in [0.001, 0.022, 0.05, 0.3] {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_precision_loss,
                clippy::cast_sign_loss,
                reason = "a rough number"
            )]
            let plan = Plan::of(|full| (full as f64 * part) as usize);
            let (weeks, books) = plan.play(&Roster::made_up(plan.scope));
            let mut orders = 0;
            for week in &weeks {
                for Order { order, .. } in week.orders.iter().flatten() {
                    let end = order.check_out_at.and_then(wire::from_timestamp).unwrap();
                    assert!(LocalDay::of(end) < LocalDay::of(week.at), "{order:?}");
                    orders += 1;
                }
            }
            assert_eq!(orders, plan.orders);
            assert_eq!(books.not_settled(), plan.abnormal - plan.accepted);
        }
    }
}
