//! What becomes of elders' files.

use civic::{CapabilityLevel, ElderId, HandicapGrade, LocalDay, Observation, Sex};
use elders::event::{
    Capability, Consent, Event, IdentityCorrected, ProfileUpdated, Registered, Residence, Source,
    Spoken,
};
use elders::purpose;
use proto::eldercare::registry::v1 as registry;
use proto::eldercare::r#type::v1 as types;
use vault::DataKey;

use super::{Life, VILLAGES};

impl Life<'_> {
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

    pub(super) fn registration(&mut self, elder: ElderId, key: &DataKey) -> Event {
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

    pub(super) async fn file_changes(&mut self, who: usize) {
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

    pub(super) async fn is_erased(&mut self, who: usize) {
        self.people[who].erased = true;
        self.ground.is_erased(self.people[who].elder).await;
    }
}
