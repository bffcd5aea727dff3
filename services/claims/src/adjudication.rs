//! The verdicts on orders, given in the order of the log against what came before (审核).
//!
//! Pure: what earlier records say comes in as [`Earlier`]; verdicts go out as the events of a run. The same log gives the
//! same verdicts, however it is cut into runs.
//!
//! Rule: section 5. Earlier orders count whatever became of them; QUOTA_EXCEEDED is judged only where no other code applies.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, Utc};
use civic::{ElderId, Fen, LocalDay, NotSettledReason, OrderCode, Set};
use decider::Decider;
use uuid::Uuid;

use crate::enrolment::Spell;
use crate::order::Submitted;

/// The aggregate that all runs are records of: who writes one knows the one before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Runs;

/// What a run says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// An order will be paid.
    Approved {
        /// The order.
        order: Uuid,
        /// The programme.
        programme: String,
        /// The provider.
        provider: String,
        /// The elder.
        elder: ElderId,
        /// The service day.
        day: LocalDay,
        /// What it costs.
        amount: Fen,
        /// Whether an appeal led to it.
        on_appeal: bool,
    },
    /// An order is abnormal.
    Held {
        /// The order.
        order: Uuid,
        /// Why.
        codes: Set<OrderCode>,
        /// The earlier orders that stand against it, by code.
        conflicts: Vec<(OrderCode, Uuid)>,
    },
    /// An approved order takes its part of a year's entitlement.
    Consumed {
        /// The order.
        order: Uuid,
        /// Whose entitlement.
        year: Year,
        /// Services or minutes.
        units: i64,
    },
    /// What an order had taken is free again.
    Released {
        /// The order.
        order: Uuid,
        /// Whose entitlement.
        year: Year,
        /// Services or minutes.
        units: i64,
    },
    /// Premiums that were charged went into a fund.
    PremiumsBooked {
        /// The programme.
        programme: String,
        /// How much.
        amount: Fen,
        /// How many.
        premiums: u32,
    },
    /// An order is never paid.
    NotSettled {
        /// The order.
        order: Uuid,
        /// Why.
        reason: NotSettledReason,
    },
}

/// Runs are decided on many aggregates' records at once, by [`Earlier::judge`]; as an aggregate they decide nothing.
impl Decider for Runs {
    type Command = std::convert::Infallible;
    type Event = Event;
    type Refusal = std::convert::Infallible;

    fn decide(&self, command: &Self::Command) -> Result<Vec<Event>, Self::Refusal> {
        match *command {}
    }

    fn evolve(self, _: &Event) -> Self {
        self
    }
}

/// An elder's entitlement of a calendar year in a programme.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Year {
    /// The programme.
    pub programme: String,
    /// The elder.
    pub elder: ElderId,
    /// The calendar year.
    pub year: i32,
}

/// What an earlier order leaves for later ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The order.
    pub order: Uuid,
    /// The elder.
    pub elder: ElderId,
    /// The caregiver.
    pub caregiver: Uuid,
    /// From.
    pub start: DateTime<Utc>,
    /// To.
    pub end: DateTime<Utc>,
}

/// Days of a contract or of a caregiver's listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Days {
    /// The first.
    pub first: LocalDay,
    /// The last; none while it is open.
    pub last: Option<LocalDay>,
}

/// What the registers say: who is enrolled in what, who is contracted for what, and who is on whose list.
#[derive(Clone, Debug, Default)]
pub struct Registers {
    /// Enrolments, by programme and elder.
    pub enrolments: HashMap<(String, ElderId), Vec<Spell>>,
    /// Contracts, by provider and programme.
    pub contracts: HashMap<(String, String), BTreeMap<Uuid, Days>>,
    /// Caregivers, with their provider.
    pub caregivers: HashMap<Uuid, (String, Days)>,
}

/// Who served whom, for which programme and on which day, as an order has it: what registers are asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// The programme.
    pub programme: String,
    /// The provider.
    pub provider: String,
    /// The elder.
    pub elder: ElderId,
    /// The caregiver.
    pub caregiver: Uuid,
    /// The service day.
    pub day: LocalDay,
}

impl Days {
    fn contain(&self, day: LocalDay) -> bool {
        self.first <= day && self.last.is_none_or(|last| day <= last)
    }
}

/// An order that waits for a reviewer's word, as far as the adjudicator needs to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appealed {
    /// The order.
    pub order: Uuid,
    /// Whose entitlement it takes from.
    pub year: Year,
    /// The provider.
    pub provider: String,
    /// The service day.
    pub day: LocalDay,
    /// What it takes of the entitlement.
    pub units: i64,
    /// The entitlement of a calendar year.
    pub quota: i64,
    /// What it costs.
    pub amount: Fen,
}

/// What is known of what came before, as far as a chunk of the log asks for it. Adding records to it keeps it at the place
/// that is judged.
#[derive(Clone, Debug, Default)]
pub struct Earlier {
    /// Of evidence, the first order that bore it.
    pub evidence: HashMap<Vec<u8>, Uuid>,
    /// Orders that lie near those of the chunk in time, by caregiver.
    pub by_caregiver: HashMap<Uuid, Vec<Entry>>,
    /// The same by elder.
    pub by_elder: HashMap<ElderId, Vec<Entry>>,
    /// What the registers say.
    pub registers: Registers,
    /// What approved orders have taken so far.
    pub used: HashMap<Year, i64>,
}

/// The verdicts of a run, and what they do to funds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Run {
    /// What it says, in order.
    pub events: Vec<Event>,
    /// What is reserved of each programme's fund, and for how many orders.
    pub reserved: BTreeMap<String, (Fen, u32)>,
    /// The premiums that were charged in each programme: their sum and number.
    pub premiums: BTreeMap<String, (Fen, u32)>,
}

impl Run {
    /// A premium was charged.
    pub fn charge(&mut self, programme: &str, amount: Fen) {
        let (sum, premiums) = self.premiums.entry(programme.to_owned()).or_default();
        // Premiums are bounded, and so are the records of a run.
        sum.0 += amount.0;
        *premiums += 1;
    }

    /// What the run says in the end; nothing where nothing follows from what was read.
    #[must_use]
    pub fn finish(&self) -> Vec<Event> {
        let booked =
            self.premiums
                .iter()
                .map(|(programme, (amount, premiums))| Event::PremiumsBooked {
                    programme: programme.clone(),
                    amount: *amount,
                    premiums: *premiums,
                });
        booked.chain(self.events.iter().cloned()).collect()
    }
}

impl Earlier {
    /// Judges an order, and takes it in as an earlier one.
    pub fn judge(&mut self, submitted: &Submitted, run: &mut Run) {
        let key = submitted.key();
        let registers = self.registers.against(&submitted.served());
        let mut codes = submitted.codes.union(registers);
        let mut conflicts = Vec::new();
        let day = submitted.day();
        let entry = Entry {
            order: key,
            elder: submitted.elder,
            caregiver: submitted.caregiver,
            start: submitted.check_in_at,
            end: submitted.check_out_at,
        };
        let mut against = |code, orders: &mut dyn Iterator<Item = Uuid>| {
            // One would do as an explanation; a handful helps whoever looks into it.
            let before = conflicts.len();
            conflicts.extend(orders.take(5).map(|order| (code, order)));
            if conflicts.len() > before {
                codes.insert(code);
            }
        };
        let mut reused: Vec<Uuid> = submitted
            .evidence
            .iter()
            .filter_map(|file| self.evidence.get(&file.hash).copied())
            .collect();
        let mut told = HashSet::new();
        reused.retain(|order| told.insert(*order));
        against(OrderCode::EvidenceReused, &mut reused.into_iter());
        let same_time = |other: &&Entry| other.end.min(entry.end) > other.start.max(entry.start);
        let of_caregiver = self
            .by_caregiver
            .get(&entry.caregiver)
            .into_iter()
            .flatten();
        let mut elsewhere = of_caregiver
            .filter(|other| other.elder != entry.elder)
            .filter(same_time)
            .map(|other| other.order);
        against(OrderCode::CaregiverOverlap, &mut elsewhere);
        let of_elder = self.by_elder.get(&entry.elder).into_iter().flatten();
        let mut twice = of_elder.filter(same_time).map(|other| other.order);
        against(OrderCode::DuplicateService, &mut twice);
        let quota = submitted.units_a_year;
        let year = Year {
            programme: submitted.programme.clone(),
            elder: submitted.elder,
            year: day.year(),
        };
        if codes.is_empty() && !self.bears(&year, submitted.units, quota) {
            codes.insert(OrderCode::QuotaExceeded);
        }
        if codes.is_empty() {
            let appealed = Appealed {
                order: key,
                year,
                provider: submitted.provider.clone(),
                day,
                units: submitted.units,
                quota,
                amount: submitted.amount,
            };
            self.approve(appealed, false, run);
        } else {
            run.events.push(Event::Held {
                order: key,
                codes,
                conflicts,
            });
        }
        for file in &submitted.evidence {
            self.evidence.entry(file.hash.clone()).or_insert(key);
        }
        self.by_caregiver
            .entry(entry.caregiver)
            .or_default()
            .push(entry);
        self.by_elder.entry(entry.elder).or_default().push(entry);
    }

    /// A reviewer accepts an appeal: the order is approved if the year's entitlement still bears it.
    pub fn accept(&mut self, appealed: Appealed, run: &mut Run) {
        if self.bears(&appealed.year, appealed.units, appealed.quota) {
            self.approve(appealed, true, run);
        } else {
            run.events.push(Event::NotSettled {
                order: appealed.order,
                reason: NotSettledReason::QuotaExceeded,
            });
        }
    }

    /// A reviewer withdraws an approval: what it took of fund and entitlement is free again.
    pub fn withdraw(&mut self, approved: Appealed, run: &mut Run) {
        let (sum, orders) = (run.reserved.entry(approved.year.programme.clone())).or_default();
        sum.0 -= approved.amount.0;
        *orders += 1;
        *self.used.entry(approved.year.clone()).or_default() -= approved.units;
        run.events.push(Event::Released {
            order: approved.order,
            year: approved.year,
            units: approved.units,
        });
        run.events.push(Event::NotSettled {
            order: approved.order,
            reason: NotSettledReason::Withdrawn,
        });
    }

    fn bears(&self, year: &Year, units: i64, quota: i64) -> bool {
        let used = self.used.get(year).copied().unwrap_or_default();
        used.checked_add(units).is_some_and(|sum| sum <= quota)
    }

    fn approve(&mut self, appealed: Appealed, on_appeal: bool, run: &mut Run) {
        let Appealed {
            order,
            year,
            provider,
            day,
            units,
            quota: _,
            amount,
        } = appealed;
        let (sum, orders) = run.reserved.entry(year.programme.clone()).or_default();
        // Prices are bounded, and so are the orders of a run.
        sum.0 += amount.0;
        *orders += 1;
        *self.used.entry(year.clone()).or_default() += units;
        run.events.push(Event::Approved {
            order,
            programme: year.programme.clone(),
            provider,
            elder: year.elder,
            day,
            amount,
            on_appeal,
        });
        run.events.push(Event::Consumed { order, year, units });
    }
}

impl Registers {
    /// The codes by which they stand against a service.
    #[must_use]
    pub fn against(&self, served: &Served) -> Set<OrderCode> {
        let codes = [
            (!self.enrolled(served), OrderCode::NotEnrolled),
            (
                !self.contracted(served) || !self.listed(served),
                OrderCode::ProviderInvalid,
            ),
        ];
        let applying = codes.into_iter().filter(|(applies, _)| *applies);
        applying.map(|(_, code)| code).collect()
    }

    fn enrolled(&self, served: &Served) -> bool {
        let whose = (served.programme.clone(), served.elder);
        let spells = self.enrolments.get(&whose);
        spells
            .into_iter()
            .flatten()
            .any(|spell| spell.first <= served.day && served.day <= spell.last)
    }

    /// Whether the provider had a contract for the programme on the day.
    #[must_use]
    pub fn contracted(&self, served: &Served) -> bool {
        let contract = (served.provider.clone(), served.programme.clone());
        let contracts = self.contracts.get(&contract);
        let mut contracts = contracts.into_iter().flat_map(BTreeMap::values);
        contracts.any(|days| days.contain(served.day))
    }

    /// Whether the caregiver was on the provider's list on the day.
    #[must_use]
    pub fn listed(&self, served: &Served) -> bool {
        let caregiver = self.caregivers.get(&served.caregiver);
        caregiver.is_some_and(|(provider, days)| {
            *provider == served.provider && days.contain(served.day)
        })
    }
}
