//! The file of an elder, as the registry's events tell it.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use civic::{
    Assistance, CapabilityLevel, Category, ConsentState, ElderId, ElderStatus, HandicapGrade,
    LocalDay, Observation, Set, Sex,
};
use elders::event::{Event, Registered, Residence};
use elders::{codec, purpose};
use eventlog::EventLog;
use proto::eldercare::registry::v1 as registry;
use serde_json::json;
use vault::{DataKey, Sealed};

use super::Document;
use crate::logs::events;

/// The files that there are by all events of the registry.
pub(super) async fn files(log: &Arc<dyn EventLog>) -> BTreeMap<ElderId, File> {
    let mut files = BTreeMap::new();
    for told in events(log).await {
        assert_eq!(told.aggregate, "elder");
        let elder: ElderId = told.id.parse().unwrap();
        let event = codec::decode(&told.raw).unwrap();
        if let Event::Registered(registered) = event {
            files.insert(elder, File::of(*registered));
        } else if let Event::Erased { .. } = event {
            files.remove(&elder);
        } else {
            files.get_mut(&elder).unwrap().hear(event);
        }
    }
    files
}

/// What was said of one thing: each time with the moment from which on it holds, since ever where there is none.
struct Said<T, K = LocalDay>(Vec<(Option<K>, T)>);

impl<T: Clone, K: Copy + Ord> Said<T, K> {
    fn since_ever(value: T) -> Self {
        Self(vec![(None, value)])
    }

    fn say(&mut self, from: Option<K>, value: T) {
        self.0.push((from, value));
    }

    /// What holds then: of all that was to hold by then the latest, and of that what was said last.
    fn at(&self, when: K) -> T {
        let held = self.0.iter().filter(|(from, _)| *from <= Some(when));
        let (_, value) = held.max_by_key(|(from, _)| *from).unwrap();
        value.clone()
    }
}

pub(super) struct File {
    identity: Sealed<registry::Identity>,
    contacts: Option<Sealed<registry::ContactList>>,
    birth_date: LocalDay,
    sex: Sex,
    status: Said<ElderStatus>,
    residence: Said<Residence>,
    categories: Said<Set<Category>>,
    assistance: Said<Set<Assistance>>,
    capability: Said<CapabilityLevel>,
    observations: BTreeMap<Observation, Said<bool>>,
    handicap: Said<Option<HandicapGrade>>,
    consent: Said<ConsentState, DateTime<Utc>>,
}

impl File {
    fn of(registered: Registered) -> Self {
        let mut capability = Said::since_ever(CapabilityLevel::Unassessed);
        let assessed = registered.capability;
        capability.say(assessed.assessed_on, assessed.level);
        let mut consent = Said::since_ever(ConsentState::Unknown);
        consent.say(registered.consent.spoken.at, registered.consent.state);
        let observed = registered.observations.iter();
        Self {
            identity: registered.identity,
            contacts: registered.contacts,
            birth_date: registered.birth_date,
            sex: registered.sex,
            status: Said::since_ever(ElderStatus::Active),
            residence: Said::since_ever(registered.residence),
            categories: Said::since_ever(registered.categories),
            assistance: Said::since_ever(registered.assistance),
            capability,
            observations: observed.map(|one| (one, Said::since_ever(true))).collect(),
            handicap: Said::since_ever(registered.handicap_grade),
            consent,
        }
    }

    fn hear(&mut self, event: Event) {
        match event {
            Event::IdentityCorrected(corrected) => {
                self.identity = corrected.identity;
                self.birth_date = corrected.birth_date;
                self.sex = corrected.sex;
            }
            Event::Relocated(residence, on) => self.residence.say(Some(on), residence),
            Event::ProfileUpdated(update) => {
                if let Some(categories) = update.categories {
                    self.categories.say(update.on, categories);
                }
                if let Some(assistance) = update.assistance {
                    self.assistance.say(update.on, assistance);
                }
            }
            Event::CapabilityAssessed(capability, _items) => {
                self.capability
                    .say(capability.assessed_on, capability.level);
            }
            Event::HandicapRecorded { grade, on } => self.handicap.say(on, grade),
            Event::ObservationRecorded { observation, on } => self.observe(observation, on, true),
            Event::ObservationEnded { observation, on } => {
                self.observe(observation, Some(on), false);
            }
            Event::ContactsSet(contacts) => self.contacts = Some(contacts),
            Event::ConsentGranted(spoken) => self.consent.say(spoken.at, ConsentState::Granted),
            Event::ConsentRefused(spoken) | Event::ConsentWithdrawn(spoken) => {
                self.consent.say(spoken.at, ConsentState::Refused);
            }
            Event::Died { on } => self.status.say(Some(on), ElderStatus::Deceased),
            Event::MovedOut { on } => self.status.say(Some(on), ElderStatus::MovedOut),
            Event::Reinstated { on, .. } => self.status.say(Some(on), ElderStatus::Active),
            Event::Registered(_)
            | Event::Erased { .. }
            | Event::CircumstanceRecorded(_)
            | Event::CircumstanceEnded { .. }
            | Event::Merged(_)
            | Event::Unmerged(_) => panic!("nobody tells {event:?} here"),
        }
    }

    fn observe(&mut self, observation: Observation, on: Option<LocalDay>, holds: bool) {
        let seen = self.observations.entry(observation);
        seen.or_insert_with(|| Said::since_ever(false))
            .say(on, holds);
    }

    pub(super) fn village(&self, today: LocalDay) -> String {
        self.residence.at(today).village.to_string()
    }

    pub(super) fn document(&self, elder: ElderId, key: &DataKey, today: LocalDay) -> Document {
        let person = elder.as_uuid();
        let identity = key.open(purpose::IDENTITY, person, &self.identity);
        let identity = identity.unwrap();
        let observed = self.observations.iter().filter(|(_, seen)| seen.at(today));
        let observed: Vec<&str> = observed.map(|(one, _)| one.name()).collect();
        let end_of_day = today.end() - TimeDelta::microseconds(1);
        let grade = self.handicap.at(today).map_or(0, HandicapGrade::number);
        let fields = json!({
            "elder_id": elder.to_string(),
            "division_code": self.village(today),
            "status": self.status.at(today).name(),
            "name": identity.name,
            "id_number": identity.id_number,
            "sex": self.sex.name(),
            "birth_date": self.birth_date.to_string(),
            "age": self.age(today),
            "categories": self.categories.at(today).names().collect::<Vec<_>>(),
            "assistance": self.assistance.at(today).names().collect::<Vec<_>>(),
            "capability": self.capability.at(today).name(),
            "handicap_grade": grade,
            "observations": observed,
            "consent": self.consent.at(end_of_day).name(),
        });
        let mut document = Document::of("elder", elder, fields);
        let home = self.residence.at(today).home;
        let home = home.map(|home| key.open(purpose::HOME, person, &home).unwrap());
        document.know("address", home.map(|home| home.address));
        let contacts = self.contacts.as_ref();
        let contacts = contacts.map(|sealed| key.open(purpose::CONTACTS, person, sealed).unwrap());
        let contacts = contacts.map(|list| {
            let contacts = list.contacts.iter().map(
                |one| json!({ "name": one.name, "relation": one.relation, "phone": one.phone }),
            );
            contacts.collect::<Vec<_>>()
        });
        document.know("contacts", contacts);
        document
    }

    /// Completed years of life.
    fn age(&self, today: LocalDay) -> i32 {
        let of_year = |day: LocalDay| (day.month_of_year(), day.day_of_month());
        let still_to_come = of_year(today) < of_year(self.birth_date);
        today.year() - self.birth_date.year() - i32::from(still_to_come)
    }
}
