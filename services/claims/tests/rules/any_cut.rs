//! Any orders, accepted appeals and withdrawn approvals in any order: the verdicts are those that the rules say word by word, the same however the
//! log is cut into runs, and entitlements and reserves add up.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::TimeDelta;
use civic::{ElderId, Fen, NotSettledReason, OrderCode as Code, Set};
use claims::adjudication::{Appealed, Days, Earlier, Entry, Event, Registers, Run, Year};
use claims::enrolment::Spell;
use claims::order::Submitted;
use proptest::prelude::*;
use uuid::Uuid;

use crate::submitted::{caregiver, days, elder, file, order, spell};

/// Both entitlements are small, so that they are used up.
const SERVICES: i64 = 2;
const MINUTES: i64 = 150;

/// What the adjudicator reads.
#[derive(Clone, Debug)]
enum Item {
    Submitted(Box<Submitted>),
    Accepted(Appealed),
    Withdrawn(Appealed),
}

fn enrolments() -> HashMap<(String, ElderId), Vec<Spell>> {
    let of = |programme: &str, number, first, last| {
        (
            (programme.to_owned(), elder(number)),
            vec![spell(first, last)],
        )
    };
    [
        of("LTCI", 1, "2024-01-01", "2025-12-31"),
        of("LTCI", 2, "2024-01-01", "2025-12-31"),
        // Whoever is enrolled in the new year only.
        of("LTCI", 3, "2025-01-01", "2025-12-31"),
        of("HOMECARE", 1, "2024-01-01", "2024-12-31"),
        of("HOMECARE", 2, "2024-01-01", "2025-12-31"),
    ]
    .into()
}

fn contracts() -> HashMap<(String, String), BTreeMap<Uuid, Days>> {
    let of = |programme: &str, number: u128, last| {
        let contract = (Uuid::from_u128(number), days("2024-01-01", last));
        (("P01".to_owned(), programme.to_owned()), [contract].into())
    };
    [of("LTCI", 1, None), of("HOMECARE", 2, Some("2025-01-01"))].into()
}

fn caregivers() -> HashMap<Uuid, (String, Days)> {
    let of = |number, provider: &str, last| {
        (
            caregiver(number),
            (provider.to_owned(), days("2024-01-01", last)),
        )
    };
    [
        of(1, "P01", None),
        of(2, "P01", Some("2024-12-31")),
        of(3, "P02", None),
    ]
    .into()
}

/// All that came before, as plainly as it can be kept.
#[derive(Debug, Default)]
struct Past {
    orders: Vec<Submitted>,
    events: Vec<Event>,
}

impl Past {
    fn used(&self) -> HashMap<Year, i64> {
        let mut used = HashMap::new();
        for event in &self.events {
            match event {
                Event::Consumed { year, units, .. } => {
                    *used.entry(year.clone()).or_default() += units
                }
                Event::Released { year, units, .. } => {
                    *used.entry(year.clone()).or_default() -= units
                }
                Event::Approved { .. }
                | Event::Held { .. }
                | Event::PremiumsBooked { .. }
                | Event::NotSettled { .. } => {}
            }
        }
        used
    }

    /// The verdict, by the words of the table of codes.
    fn judge(&self, order: &Submitted) -> Vec<Event> {
        let day = order.day();
        let mut codes = order.codes;
        let mut conflicts = Vec::new();
        let whose = (order.programme.clone(), order.elder);
        let spells = enrolments().remove(&whose).unwrap_or_default();
        if !spells
            .iter()
            .any(|spell| spell.first <= day && day <= spell.last)
        {
            codes.insert(Code::NotEnrolled);
        }
        let holds = |days: &Days| days.first <= day && days.last.is_none_or(|last| day <= last);
        let contracts = contracts().remove(&(order.provider.clone(), order.programme.clone()));
        let contracted = contracts.unwrap_or_default().values().any(holds);
        let listed = caregivers().remove(&order.caregiver);
        let listed = listed.is_some_and(|(of, days)| of == order.provider && holds(&days));
        if !contracted || !listed {
            codes.insert(Code::ProviderInvalid);
        }
        let mut against = |code, orders: Vec<&Submitted>| {
            for order in orders.iter().take(5) {
                codes.insert(code);
                conflicts.push((code, order.key()));
            }
        };
        let mut bearers: Vec<&Submitted> = Vec::new();
        for file in &order.evidence {
            let bears =
                |earlier: &&Submitted| earlier.evidence.iter().any(|one| one.hash == file.hash);
            let first = self.orders.iter().find(bears);
            bearers
                .extend(first.filter(|first| !bearers.iter().any(|one| one.key() == first.key())));
        }
        against(Code::EvidenceReused, bearers);
        let overlaps = |earlier: &&Submitted| {
            earlier.check_in_at < order.check_out_at && order.check_in_at < earlier.check_out_at
        };
        let at_that_time = self.orders.iter().filter(overlaps);
        let with_another = at_that_time
            .clone()
            .filter(|one| one.caregiver == order.caregiver && one.elder != order.elder);
        against(Code::CaregiverOverlap, with_another.collect());
        let served = at_that_time.filter(|one| one.elder == order.elder);
        against(Code::DuplicateService, served.collect());
        let appealed = appealed(order);
        if !codes.is_empty() {
            let order = order.key();
            return vec![Event::Held {
                order,
                codes,
                conflicts,
            }];
        }
        if !self.bears(&appealed) {
            codes.insert(Code::QuotaExceeded);
            let order = order.key();
            return vec![Event::Held {
                order,
                codes,
                conflicts,
            }];
        }
        approved(appealed, false)
    }

    fn accept(&self, appealed: &Appealed) -> Vec<Event> {
        if self.bears(appealed) {
            return approved(appealed.clone(), true);
        }
        vec![Event::NotSettled {
            order: appealed.order,
            reason: NotSettledReason::QuotaExceeded,
        }]
    }

    fn withdraw(appealed: &Appealed) -> Vec<Event> {
        let released = Event::Released {
            order: appealed.order,
            year: appealed.year.clone(),
            units: appealed.units,
        };
        let never = Event::NotSettled {
            order: appealed.order,
            reason: NotSettledReason::Withdrawn,
        };
        vec![released, never]
    }

    fn bears(&self, appealed: &Appealed) -> bool {
        let used = self.used().get(&appealed.year).copied().unwrap_or_default();
        used + appealed.units <= appealed.quota
    }

    /// What is known of it when a chunk is judged: only what the chunk asks for, as the read model answers.
    fn known_for(&self, chunk: &[Item]) -> Earlier {
        let mut earlier = Earlier {
            registers: Registers {
                enrolments: enrolments(),
                contracts: contracts(),
                caregivers: caregivers(),
            },
            used: self.used(),
            ..Earlier::default()
        };
        let asked: Vec<&Submitted> = chunk
            .iter()
            .filter_map(|item| match item {
                Item::Submitted(submitted) => Some(&**submitted),
                Item::Accepted(_) | Item::Withdrawn(_) => None,
            })
            .collect();
        for past in &self.orders {
            for file in &past.evidence {
                earlier
                    .evidence
                    .entry(file.hash.clone())
                    .or_insert(past.key());
            }
            let entry = Entry {
                order: past.key(),
                elder: past.elder,
                caregiver: past.caregiver,
                start: past.check_in_at,
                end: past.check_out_at,
            };
            let overlaps =
                |one: &&&Submitted| one.check_in_at < entry.end && entry.start < one.check_out_at;
            let near: Vec<_> = asked.iter().filter(overlaps).collect();
            if near.iter().any(|one| one.caregiver == past.caregiver) {
                let of = earlier.by_caregiver.entry(past.caregiver);
                of.or_default().push(entry);
            }
            if near.iter().any(|one| one.elder == past.elder) {
                earlier.by_elder.entry(past.elder).or_default().push(entry);
            }
        }
        let hashes: BTreeSet<_> = asked
            .iter()
            .flat_map(|one| &one.evidence)
            .map(|file| &file.hash)
            .collect();
        earlier.evidence.retain(|hash, _| hashes.contains(hash));
        earlier
    }
}

fn appealed(order: &Submitted) -> Appealed {
    Appealed {
        order: order.key(),
        year: Year {
            programme: order.programme.clone(),
            elder: order.elder,
            year: order.day().year(),
        },
        provider: order.provider.clone(),
        day: order.day(),
        units: order.units,
        quota: order.units_a_year,
        amount: order.amount,
    }
}

fn approved(appealed: Appealed, on_appeal: bool) -> Vec<Event> {
    let Appealed {
        order,
        year,
        provider,
        day,
        units,
        amount,
        quota: _,
    } = appealed;
    let approved = Event::Approved {
        order,
        programme: year.programme.clone(),
        provider,
        elder: year.elder,
        day,
        amount,
        on_appeal,
    };
    vec![approved, Event::Consumed { order, year, units }]
}

/// An order of the days around New Year: of three elders, three caregivers, two programmes.
fn orders() -> impl Strategy<Value = Submitted> {
    let people = (1_u128..=3, 1_u128..=3, any::<bool>());
    let times = (0_i64..160, prop::sample::select(&[30_i64, 60, 90, 120][..]));
    let files = prop::collection::vec(0_u8..30, 0..3);
    let codes = prop_oneof![
        6 => Just(Set::new()),
        1 => Just(Set::from([Code::DurationShort])),
        1 => Just(Set::from([Code::NotEntitled, Code::LateSubmission])),
    ];
    (people, times, files, codes).prop_map(|((of, by, insured), (start, minutes), files, codes)| {
        let mut order = order("", "2024-12-30 08:00");
        order.elder = elder(of);
        order.caregiver = caregiver(by);
        order.check_in_at += TimeDelta::minutes(30 * start);
        order.check_out_at = order.check_in_at + TimeDelta::minutes(minutes);
        order.evidence = files
            .iter()
            .map(|number| file(&number.to_string()))
            .collect();
        order.codes = codes;
        (
            order.programme,
            order.units,
            order.units_a_year,
            order.amount,
        ) = if insured {
            ("LTCI".to_owned(), 1, SERVICES, Fen(20_000))
        } else {
            (
                "HOMECARE".to_owned(),
                minutes,
                MINUTES,
                Fen(4_000 * minutes / 60),
            )
        };
        order
    })
}

/// Orders in the order of the log, and between them appeals that are accepted against some that were held, and approvals
/// that are withdrawn.
fn logs() -> impl Strategy<Value = (Vec<Item>, Past)> {
    let some = |often| prop::option::weighted(often, any::<prop::sample::Index>());
    let step = (orders(), some(0.3), some(0.2));
    prop::collection::vec(step, 1..50).prop_map(|steps| {
        let mut past = Past::default();
        let (mut items, mut held, mut payable) = (Vec::new(), Vec::new(), Vec::new());
        for ((mut order, accepted, withdrawn), number) in steps.into_iter().zip(0..) {
            order.number = format!("O{number}");
            let verdict = past.judge(&order);
            match verdict[0] {
                Event::Held { .. } => held.push(appealed(&order)),
                Event::Approved { .. }
                | Event::Consumed { .. }
                | Event::Released { .. }
                | Event::PremiumsBooked { .. }
                | Event::NotSettled { .. } => payable.push(appealed(&order)),
            }
            past.events.extend(verdict);
            past.orders.push(order.clone());
            items.push(Item::Submitted(Box::new(order)));
            if let Some(accepted) = accepted.filter(|_| !held.is_empty()) {
                let appealed = held.remove(accepted.index(held.len()));
                let verdict = past.accept(&appealed);
                if matches!(verdict[0], Event::Approved { .. }) {
                    payable.push(appealed.clone());
                }
                past.events.extend(verdict);
                items.push(Item::Accepted(appealed));
            }
            if let Some(withdrawn) = withdrawn.filter(|_| !payable.is_empty()) {
                let approved = payable.remove(withdrawn.index(payable.len()));
                past.events.extend(Past::withdraw(&approved));
                items.push(Item::Withdrawn(approved));
            }
        }
        (items, past)
    })
}

/// The runs over a log that is cut at these places.
fn runs(items: &[Item], cuts: &BTreeSet<usize>) -> Vec<Run> {
    let mut past = Past::default();
    let ends = cuts.iter().copied().chain([items.len()]);
    let mut begin = 0;
    let mut runs = Vec::new();
    for end in ends {
        let chunk = &items[begin..end];
        let mut earlier = past.known_for(chunk);
        let mut run = Run::default();
        for item in chunk {
            match item {
                Item::Submitted(submitted) => earlier.judge(submitted, &mut run),
                Item::Accepted(appealed) => earlier.accept(appealed.clone(), &mut run),
                Item::Withdrawn(approved) => earlier.withdraw(approved.clone(), &mut run),
            }
        }
        for item in chunk {
            if let Item::Submitted(submitted) = item {
                past.orders.push((**submitted).clone());
            }
        }
        past.events.extend(run.finish());
        runs.push(run);
        begin = end;
    }
    runs
}

fn said(runs: &[Run]) -> Vec<Event> {
    runs.iter().flat_map(Run::finish).collect()
}

/// What all runs together reserve of each fund.
fn reserved(runs: &[Run]) -> BTreeMap<String, i64> {
    let mut reserved = BTreeMap::new();
    for (programme, (amount, _)) in runs.iter().flat_map(|run| &run.reserved) {
        *reserved.entry(programme.clone()).or_default() += amount.0;
    }
    reserved
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn verdicts_are_the_same_however_the_log_is_cut_into_runs(
        (items, past) in logs(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let cuts: BTreeSet<usize> = cuts.iter().map(|cut| cut.index(items.len())).collect();
        let in_one = runs(&items, &BTreeSet::new());
        prop_assert_eq!(&said(&in_one), &past.events);
        let in_pieces = runs(&items, &cuts);
        prop_assert_eq!(&said(&in_pieces), &past.events);
        let one_by_one = runs(&items, &(1..items.len()).collect());
        prop_assert_eq!(&said(&one_by_one), &past.events);
        prop_assert_eq!(reserved(&in_pieces), reserved(&in_one));
        prop_assert_eq!(reserved(&one_by_one), reserved(&in_one));
    }

    #[test]
    fn every_order_has_one_verdict_and_no_entitlement_is_passed((items, past) in logs()) {
        let runs = runs(&items, &BTreeSet::new());
        let mut verdicts = BTreeSet::new();
        let mut approved = BTreeMap::<Uuid, (String, Fen)>::new();
        let mut amounts = BTreeMap::<String, i64>::new();
        let mut used = BTreeMap::<Year, i64>::new();
        for event in said(&runs) {
            match event {
                Event::Approved { order, programme, amount, on_appeal, .. } => {
                    prop_assert_eq!(verdicts.insert(order), !on_appeal);
                    *amounts.entry(programme.clone()).or_default() += amount.0;
                    prop_assert!(approved.insert(order, (programme, amount)).is_none());
                }
                Event::Held { order, codes, .. } => {
                    prop_assert!(verdicts.insert(order));
                    prop_assert!(!codes.is_empty());
                    prop_assert!(!codes.contains(Code::QuotaExceeded) || codes.len() == 1);
                }
                Event::Consumed { year, units, order } => {
                    prop_assert!(approved.contains_key(&order));
                    let quota = if year.programme == "LTCI" { SERVICES } else { MINUTES };
                    let sum = used.entry(year).or_default();
                    *sum += units;
                    prop_assert!(*sum <= quota);
                }
                Event::Released { year, units, order } => {
                    let (programme, amount) = approved.remove(&order).unwrap();
                    *amounts.entry(programme).or_default() -= amount.0;
                    let sum = used.entry(year).or_default();
                    *sum -= units;
                    prop_assert!(*sum >= 0);
                }
                Event::NotSettled { order, .. } => {
                    prop_assert!(verdicts.contains(&order) && !approved.contains_key(&order));
                }
                Event::PremiumsBooked { .. } => prop_assert!(false, "nobody was charged"),
            }
        }
        prop_assert_eq!(verdicts.len(), past.orders.len());
        prop_assert_eq!(reserved(&runs), amounts);
    }
}
