//! An elder's insurance, and the services of a year: orders that were handed in, approved or held, and used the year's entitlement.

use chrono::TimeDelta;
use civic::{
    Assistance, CapabilityLevel, ElderStatus, EvidenceKind, Fen, NotSettledReason, OrderCode, Set,
};
use claims::{
    adjudication::{self, Runs, Year},
    codec::{CONTEXT, purpose},
    enrolment::{self, Enrolments, Spell, Whose},
    judging::{Evidence, JudgedFacts},
    order::{self, Submitted, key},
    settlements::Line,
};
use eventlog::{Aggregate as _, RawEvent, Subject};
use proto::eldercare::claims::v1::CheckInPlace;
use uuid::Uuid;
use vault::{DataKey, Sealed};

use super::{IDS, Life};
use crate::bench::people::{Person, day};

/// The programme, its premium of a year, and what a service costs.
pub(in crate::bench) const PROGRAMME: &str = "LTCI";
const PREMIUM: Fen = Fen(30_000);
pub(in crate::bench) const FEN: i64 = 20_000;

/// How many services there are in a year.
const A_YEAR: i64 = 12;

/// The year.
const FIRST_DAY: &str = "2024-01-01";
const LAST_DAY: &str = "2024-12-31";

/// How many providers there are.
const PROVIDERS: u64 = 10;

/// One order of so many is abnormal; in the county there are 560, and in the end 405 are not settled.
const HELD: u64 = 25;

/// Where services begin, sealed.
pub(super) fn place(of: Person, key: &DataKey) -> Sealed<CheckInPlace> {
    let place = CheckInPlace {
        position: Some(of.position()),
    };
    key.seal(purpose::CHECK_IN, of.id(), &place)
}

impl Life {
    /// The elder's insurance.
    pub(in crate::bench) fn insurance(&self) -> Subject {
        let id = format!("{PROGRAMME}-{}", self.elder());
        Subject::new(CONTEXT, Enrolments::NAME, &id).expect("codes and ids are tokens")
    }

    /// That the elder is insured, and what it costs.
    pub(in crate::bench) fn enrolled(&self) -> Vec<RawEvent> {
        let whose = Whose {
            programme: PROGRAMME.to_owned(),
            elder: self.elder(),
        };
        let spell = Spell {
            enrolment: self.id("enrolment"),
            first: day(FIRST_DAY),
            last: day(LAST_DAY),
        };
        let enrolled = enrolment::Event::Enrolled {
            whose: whose.clone(),
            spell,
            basis: "POOR".to_owned(),
        };
        let charged = enrolment::Event::Charged {
            whose,
            enrolment: spell.enrolment,
            year: spell.first.year(),
            amount: PREMIUM,
        };
        [enrolled, charged].iter().map(Enrolments::encode).collect()
    }

    /// An order of the elder's; none where there are fewer.
    pub(in crate::bench) fn order(&self, nth: u64) -> Option<Order<'_>> {
        (nth < self.orders()).then_some(Order { life: self, nth })
    }
}

/// An order for a service.
#[derive(Debug, Clone, Copy)]
pub(in crate::bench) struct Order<'life> {
    pub(in crate::bench) life: &'life Life,
    nth: u64,
}

impl Order<'_> {
    fn number(&self) -> u64 {
        self.life.number() * 4 + self.nth
    }

    /// The provider.
    pub(in crate::bench) fn provider(&self) -> String {
        format!("P{:02}", 1 + self.life.number() % PROVIDERS)
    }

    fn order_id(&self) -> String {
        format!("O{:09}", self.number())
    }

    fn key(&self) -> Uuid {
        key(&self.provider(), &self.order_id())
    }

    /// Whether it is abnormal.
    pub(in crate::bench) fn is_held(&self) -> bool {
        self.number().is_multiple_of(HELD)
    }

    /// The order itself.
    pub(in crate::bench) fn subject(&self) -> Subject {
        let key = self.key().to_string();
        Subject::new(CONTEXT, order::Order::NAME, &key).expect("an id is a token")
    }

    /// That it was handed in.
    pub(in crate::bench) fn submitted(&self) -> RawEvent {
        let (life, number) = (self.life, self.number());
        let days = (self.nth * 90 + life.number() % 80).cast_signed();
        let hours = (8 + life.number() % 9).cast_signed();
        let start = day(FIRST_DAY).plus_days(days).start() + TimeDelta::hours(hours);
        let (first, second) = (life.id(&format!("file {number}")), life.id("file"));
        let submitted = Submitted {
            provider: self.provider(),
            number: self.order_id(),
            programme: PROGRAMME.to_owned(),
            version: 1,
            elder: life.elder(),
            caregiver: Uuid::new_v5(&IDS, format!("caregiver {}", life.number() / 30).as_bytes()),
            check_in_at: start,
            check_out_at: start + TimeDelta::hours(1),
            check_in: life
                .check_in
                .clone()
                .expect("whoever has orders is somewhere"),
            items: vec!["CLEANING".to_owned(), "BATHING".to_owned()],
            evidence: vec![Evidence {
                kind: EvidenceKind::Video,
                hash: [first, second].map(Uuid::into_bytes).concat(),
            }],
            codes: Set::EMPTY,
            facts: JudgedFacts {
                registry_sequence: 2 * life.number() + 1,
                age: 80,
                status: ElderStatus::Active,
                capability: CapabilityLevel::Severe,
                assistance: Set::from(Assistance::MinimumLiving),
                handicap_grade: 0,
                entitled_by: "LOW_INCOME".to_owned(),
                metres_from_home: Some(12),
            },
            village: life.village(),
            units: 1,
            amount: Fen(FEN),
            submitted_by: "OFFICER:bench".to_owned(),
            appeal_until: day(LAST_DAY),
            units_a_year: A_YEAR,
        };
        order::Order::encode(&order::Event::Submitted(Box::new(submitted)))
    }

    /// What the adjudicator says of it.
    pub(in crate::bench) fn verdict(&self) -> Vec<RawEvent> {
        let order = self.key();
        if self.is_held() {
            let held = adjudication::Event::Held {
                order,
                codes: Set::from(OrderCode::LocationMismatch),
                conflicts: vec![],
            };
            return vec![Runs::encode(&held)];
        }
        let elder = self.life.elder();
        let approved = adjudication::Event::Approved {
            order,
            programme: PROGRAMME.to_owned(),
            provider: self.provider(),
            elder,
            day: day(FIRST_DAY),
            amount: Fen(FEN),
            on_appeal: false,
        };
        let consumed = adjudication::Event::Consumed {
            order,
            year: Year {
                programme: PROGRAMME.to_owned(),
                elder,
                year: day(FIRST_DAY).year(),
            },
            units: 1,
        };
        [approved, consumed].iter().map(Runs::encode).collect()
    }

    /// That it is never paid, since nobody appealed.
    pub(in crate::bench) fn lapsed(&self) -> RawEvent {
        order::Order::encode(&order::Event::NotSettled {
            key: self.key(),
            reason: NotSettledReason::NoAppeal,
        })
    }

    /// As it stands in a settlement.
    pub(in crate::bench) fn line(&self) -> Line {
        Line {
            order: self.key(),
            amount: Fen(FEN),
        }
    }
}
