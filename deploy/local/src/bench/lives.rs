//! What the services know of made-up elders, in the proportions of the sample county: the files of 16,000 elders, the visits of a
//! month, the alerts of a week, and the orders of a year. Of what there is little there, such as plans and contracts, there is
//! nothing here.
//!
//! Who has what follows from the elder's number alone.

mod alerted;
mod insured;
mod visited;

use civic::{ElderId, VillageCode};
use proto::eldercare::{claims::v1::CheckInPlace, visits::v1::Remarks};
use uuid::Uuid;
use vault::{DataKey, Sealed};

pub(super) use self::insured::{FEN, Order, PROGRAMME};

use super::{homes, people::Person, visiting};

/// One elder of so many is visited; the county has 3,289 of them.
const VISITED: u64 = 5;

/// One of so many has a device; the county has 525 devices.
const WATCHED: u64 = 30;

/// One of so many calls for help in the week, or something does it for them: there were 152 alerts.
const CALLED: u64 = 105;

/// Of so many elders so many are insured, and so many of these are served: in the county 9,318 and 3,670.
const PEOPLE: u64 = 48;
const INSURED: u64 = 28;
const SERVED: u64 = 11;

/// One file of so many changes after the registration; in the county there are 324 changes.
const CHANGED: u64 = 49;

/// For so many elders there is a visitor; the county has 295 of them.
const FOR_A_VISITOR: u64 = 54;

/// The ids of visitors and alerts.
const IDS: Uuid = Uuid::from_u128(0x6d5f_0b1e_8c27_49d1_a0e4_7b36_12c9_5fa8);

/// What is known of an elder.
#[derive(Debug)]
pub(super) struct Life {
    pub(super) person: Person,
    /// What is remarked at visits.
    remarks: Option<Sealed<Remarks>>,
    /// Where services begin.
    check_in: Option<Sealed<CheckInPlace>>,
}

impl Life {
    /// An elder's, with what is sealed under the elder's key.
    pub(super) fn of(person: Person, key: &DataKey) -> Self {
        let mut life = Self {
            person,
            remarks: None,
            check_in: None,
        };
        life.remarks = life.is_visited().then(|| visiting::remarks(person, key));
        life.check_in = (life.orders() > 0).then(|| insured::place(person, key));
        life
    }

    /// How many of so many elders change after the registration.
    pub(super) fn changed_of(elders: u64) -> u64 {
        elders / CHANGED
    }

    /// How many visitors and devices there are for so many elders.
    pub(super) fn visitors_for(elders: u64) -> u64 {
        elders.div_ceil(FOR_A_VISITOR)
    }

    /// How many devices so many elders have.
    pub(super) fn devices_of(elders: u64) -> u64 {
        elders / WATCHED
    }

    /// The id of a visitor.
    pub(super) fn visitor(number: u64) -> Uuid {
        Uuid::new_v5(&IDS, format!("visitor {number}").as_bytes())
    }

    /// Whose home a device watches.
    pub(super) fn watched_by(device: u64) -> Person {
        Person(device * WATCHED)
    }

    /// The elder's id.
    pub(super) fn elder(&self) -> ElderId {
        ElderId(self.person.id())
    }

    /// Where the elder lives.
    pub(super) fn village(&self) -> VillageCode {
        self.person.village_code().parse().expect("a village")
    }

    /// Whether the elder is visited.
    pub(super) fn is_visited(&self) -> bool {
        self.number().is_multiple_of(VISITED)
    }

    /// Whether there was an alert that was no missed visit.
    pub(super) fn has_called(&self) -> bool {
        self.number() % CALLED == 7
    }

    /// Whether the elder is insured.
    pub(super) fn is_insured(&self) -> bool {
        self.number() % PEOPLE < INSURED
    }

    /// How many service orders the elder has.
    pub(super) fn orders(&self) -> u64 {
        if self.number() % PEOPLE >= SERVED {
            return 0;
        }
        // The county has 12,265 orders.
        3 + u64::from((self.number() / PEOPLE).is_multiple_of(3))
    }

    fn number(&self) -> u64 {
        self.person.0
    }

    /// The place among those who are visited.
    fn place(&self) -> u64 {
        self.number() / VISITED
    }

    /// The device that told of the call: one of the county's.
    fn device(&self) -> String {
        homes::device_id(self.number() / WATCHED)
    }

    /// The id of something of the elder's.
    fn id(&self, what: &str) -> Uuid {
        Uuid::new_v5(&self.person.id(), what.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use vault::Algorithm;

    use super::*;

    /// Whether a number is the sample county's, or a tenth more or less.
    #[track_caller]
    fn as_in_the_county(found: u64, county: u64) {
        let near = found * 10 >= county * 9 && found * 10 <= county * 11;
        assert!(near, "{found}, and {county} in the county");
    }

    #[test]
    fn of_everything_there_is_as_much_as_in_the_sample_county() {
        let key = DataKey::generate(Algorithm::default());
        let county: Vec<_> = (0..16_000)
            .map(|number| Life::of(Person(number), &key))
            .collect();
        let count = |of: fn(&Life) -> u64| county.iter().map(of).sum::<u64>();
        as_in_the_county(count(|life| life.is_visited().into()), 3_289);
        as_in_the_county(count(|life| life.has_called().into()), 152);
        as_in_the_county(count(|life| life.is_insured().into()), 9_318);
        as_in_the_county(count(|life| u64::from(life.orders() > 0)), 3_670);
        as_in_the_county(count(Life::orders), 12_265);
        as_in_the_county(Life::changed_of(16_000), 324);
        as_in_the_county(Life::visitors_for(16_000), 295);
        as_in_the_county(Life::devices_of(16_000), 525);
        as_in_the_county(count(Life::visits), 7_512);
        as_in_the_county(count(|life| life.is_doubted().into()), 231);
        as_in_the_county(count(Life::duties), 7_069);
        as_in_the_county(count(|life| life.missed().is_some().into()), 1_071);
    }
}
