//! A device (监测设备): registered in an elder's home, moved, and retired.

use civic::{DeviceKind, ElderId, VillageCode};
use decider::Decider;
use uuid::Uuid;

/// A device as the events leave it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Device {
    /// Nothing is registered under this id.
    #[default]
    Unknown,
    /// It watches a home.
    Registered(Registered),
    /// It watched one.
    Retired,
}

/// What is said of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// What it is.
    pub kind: DeviceKind,
    /// Whose home it is in.
    pub elder: ElderId,
    /// Who looks after it.
    pub maintainer: Option<Uuid>,
    /// What its credential is derived from.
    pub credential: Uuid,
    /// Where the elder lives, as far as that is known.
    pub village: Option<VillageCode>,
}

/// What is asked of a device.
#[derive(Clone, Debug)]
pub enum Command {
    /// Watch a home.
    Register(Registered),
    /// What is said of it changes.
    Update {
        /// Whose home it is in, if that changes.
        elder: Option<ElderId>,
        /// Who looks after it, if that changes.
        maintainer: Option<Option<Uuid>>,
        /// Where the elder lives, if that changes.
        village: Option<Option<VillageCode>>,
    },
    /// Watch no more.
    Retire,
}

/// What happened to a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It watches a home.
    Registered(Registered),
    /// What is said of it changed.
    Updated {
        /// Whose home it is in now.
        elder: ElderId,
        /// Who looks after it now.
        maintainer: Option<Uuid>,
        /// Where the elder lives now.
        village: Option<VillageCode>,
    },
    /// It watches no more.
    Retired,
}

/// Why the rules refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Nothing is registered under this id, or not any more.
    Unknown,
    /// It is registered already.
    AlreadyRegistered,
}

impl Decider for Device {
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
        match (self, command) {
            (Self::Registered(_), Command::Register(_)) => Err(Refusal::AlreadyRegistered),
            (Self::Unknown | Self::Retired, Command::Register(registered)) => {
                Ok(vec![Event::Registered(registered.clone())])
            }
            (Self::Unknown | Self::Retired, Command::Update { .. } | Command::Retire) => {
                Err(Refusal::Unknown)
            }
            (Self::Registered(_), Command::Retire) => Ok(vec![Event::Retired]),
            (
                Self::Registered(known),
                Command::Update {
                    elder,
                    maintainer,
                    village,
                },
            ) => {
                let elder = elder.unwrap_or(known.elder);
                let maintainer = maintainer.unwrap_or(known.maintainer);
                let village = village.unwrap_or(known.village);
                let before = (known.elder, known.maintainer, known.village);
                let updated = Event::Updated {
                    elder,
                    maintainer,
                    village,
                };
                let changes = (elder, maintainer, village) != before;
                Ok(changes.then_some(updated).into_iter().collect())
            }
        }
    }

    fn evolve(self, event: &Event) -> Self {
        match (self, event) {
            (_, Event::Registered(registered)) => Self::Registered(registered.clone()),
            (
                Self::Registered(known),
                Event::Updated {
                    elder,
                    maintainer,
                    village,
                },
            ) => Self::Registered(Registered {
                elder: *elder,
                maintainer: *maintainer,
                village: *village,
                ..known
            }),
            (Self::Registered(_) | Self::Retired, Event::Retired) => Self::Retired,
            (Self::Unknown, Event::Updated { .. } | Event::Retired) => Self::Unknown,
            (Self::Retired, Event::Updated { .. }) => Self::Retired,
        }
    }
}

#[cfg(test)]
mod tests {
    use decider::testing::{given, given_nothing};

    use super::*;

    fn registered() -> Registered {
        Registered {
            kind: DeviceKind::WaterMeter,
            elder: ElderId(Uuid::from_u128(1)),
            maintainer: None,
            credential: Uuid::from_u128(9),
            village: None,
        }
    }

    #[test]
    fn a_device_is_registered_once_until_it_is_retired() {
        let register = || Command::Register(registered());
        let event = || Event::Registered(registered());
        given_nothing::<Device>().when(register()).then([event()]);
        given::<Device>([event()])
            .when(register())
            .then_refused(Refusal::AlreadyRegistered);
        given::<Device>([event(), Event::Retired])
            .when(register())
            .then([event()]);
        given::<Device>([event(), Event::Retired])
            .when(Command::Retire)
            .then_refused(Refusal::Unknown);
    }

    #[test]
    fn only_what_changes_is_recorded() {
        let move_to = |elder| Command::Update {
            elder: Some(ElderId(Uuid::from_u128(elder))),
            maintainer: None,
            village: None,
        };
        given::<Device>([Event::Registered(registered())])
            .when(move_to(1))
            .then_nothing();
        given::<Device>([Event::Registered(registered())])
            .when(move_to(2))
            .then([Event::Updated {
                elder: ElderId(Uuid::from_u128(2)),
                maintainer: None,
                village: None,
            }]);
        given_nothing::<Device>()
            .when(move_to(2))
            .then_refused(Refusal::Unknown);
    }
}
