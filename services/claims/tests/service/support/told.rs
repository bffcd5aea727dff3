//! What the registry's log is told in a test: who there is, where they live, and what becomes of them.

use civic::{Assistance, CapabilityLevel, ConsentState, ElderId, Set, Sex};
use elders::event::{Capability, Consent, Event, Registered, Residence, Source, Spoken};
use elders::{codec, purpose};
use eventlog::Subject;
use proto::eldercare::registry::v1 as registry;
use proto::eldercare::r#type::v1 as types;
use uuid::Uuid;

use super::{Ground, VILLAGE, day};

impl Ground {
    /// Records events of an elder at the time of the clock, as the registry does.
    pub(crate) async fn record(&self, elder: ElderId, events: &[Event]) -> String {
        let subject = Subject::new("registry", "elder", &elder.to_string()).unwrap();
        let events = events.iter().map(codec::encode).collect();
        service::testing::write(&*self.registry, subject, self.metadata(), events).await
    }

    /// Somebody poor and dependent in the village.
    pub(crate) async fn elder(&self) -> ElderId {
        Person::default().on(self).await
    }

    pub(crate) async fn dies(&self, elder: ElderId, on: &str) -> String {
        self.record(elder, &[Event::Died { on: day(on) }]).await
    }

    pub(crate) async fn is_erased(&self, elder: ElderId) {
        let reason = "REQUEST".to_owned();
        self.record(elder, &[Event::Erased { reason }]).await;
        self.vault.erase(elder.as_uuid()).await.unwrap();
    }
}

/// Somebody to be registered.
pub(crate) struct Person {
    pub(crate) village: &'static str,
    pub(crate) birth: &'static str,
    pub(crate) assistance: Set<Assistance>,
    pub(crate) capability: CapabilityLevel,
    pub(crate) handicap: Option<u8>,
    /// Whether it is known where exactly they live.
    pub(crate) home: bool,
}

impl Default for Person {
    fn default() -> Self {
        Self {
            village: VILLAGE,
            birth: "1950-03-01",
            assistance: Assistance::MinimumLiving.into(),
            capability: CapabilityLevel::Severe,
            handicap: None,
            home: true,
        }
    }
}

impl Person {
    pub(crate) async fn on(self, ground: &Ground) -> ElderId {
        let elder = ElderId(Uuid::now_v7());
        let key = ground.vault.create(elder.as_uuid()).await.unwrap();
        let person = elder.as_uuid();
        let home = registry::Home {
            address: String::new(),
            position: self.home.then(|| place(0.0)),
        };
        let identity = registry::Identity::default();
        let registered = Registered {
            elder,
            source: Source::Api,
            identity: key.seal(purpose::IDENTITY, person, &identity),
            identity_claim: "k1-00ff".to_owned(),
            birth_date: day(self.birth),
            sex: Sex::Female,
            residence: Residence {
                village: self.village.parse().unwrap(),
                home: Some(key.seal(purpose::HOME, person, &home)),
            },
            categories: Set::new(),
            assistance: self.assistance,
            capability: Capability {
                level: self.capability,
                assessed_on: None,
                source: String::new(),
            },
            observations: Set::new(),
            handicap_grade: self.handicap.map(|grade| grade.try_into().unwrap()),
            circumstances: vec![],
            contacts: None,
            consent: Consent {
                state: ConsentState::Granted,
                spoken: Spoken { by: None, at: None },
            },
            wanted_services: Set::new(),
            remarks: None,
            import: None,
        };
        let registered = Event::Registered(Box::new(registered));
        ground.record(elder, &[registered]).await;
        elder
    }
}

/// A place so many metres north of home.
pub(crate) fn place(metres: f64) -> types::GeoPosition {
    types::GeoPosition {
        latitude: 25.0 + metres / 111_195.0,
        longitude: 117.0,
    }
}
