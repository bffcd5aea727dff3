//! A visitor (探访人员): registered, paired with elders, and retired after a last day.

use std::collections::BTreeMap;

use civic::{DivisionCode, DivisionLevel, ElderId, LocalDay, Set, VisitMode, VisitorKind};
use decider::Decider;
use proto::eldercare::visits::v1 as pb;
use uuid::Uuid;
use vault::Sealed;

/// A visitor as the events leave it.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Visitor {
    /// Nobody is registered under this id.
    #[default]
    Unknown,
    /// Somebody is.
    Registered(Box<Registered>),
}

/// What is said of a visitor.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// Who it is.
    pub kind: VisitorKind,
    /// The home village or community, or the county where that is not known; its county is where the visitor visits.
    pub home: DivisionCode,
    /// How many visits a week.
    pub weekly_capacity: u16,
    /// How the visitor can visit.
    pub modes: Set<VisitMode>,
    /// Name and telephone number.
    pub name: Sealed<pb::VisitorName>,
}

impl Profile {
    /// Where the visitor visits; none for a home that is larger than a county, which no visitor is registered with.
    #[must_use]
    pub fn county(&self) -> Option<DivisionCode> {
        self.home.at(DivisionLevel::County)
    }
}

/// A registered visitor.
#[derive(Clone, Debug, PartialEq)]
pub struct Registered {
    /// What is said.
    pub profile: Profile,
    /// The first day.
    pub active_from: LocalDay,
    /// The last day, included.
    pub active_until: Option<LocalDay>,
    /// The elders in its care, and since when.
    pub paired: BTreeMap<ElderId, LocalDay>,
}

/// What is asked of a visitor.
#[derive(Clone, Debug)]
pub enum Command {
    /// Register.
    Register {
        /// The id.
        visitor: Uuid,
        /// What is said.
        profile: Profile,
        /// The first day.
        active_from: LocalDay,
    },
    /// Change what is said; all of it is given.
    Update {
        /// The id.
        visitor: Uuid,
        /// What is said now.
        profile: Profile,
    },
    /// Visit no more after a day.
    Retire {
        /// The id.
        visitor: Uuid,
        /// The last day.
        last_day: LocalDay,
    },
    /// Take elders into care.
    Pair {
        /// The id.
        visitor: Uuid,
        /// The elders.
        elders: Vec<ElderId>,
        /// The first day.
        since: LocalDay,
    },
    /// Leave elders.
    Unpair {
        /// The id.
        visitor: Uuid,
        /// The elders.
        elders: Vec<ElderId>,
        /// The last day.
        last_day: LocalDay,
    },
}

/// What happened to a visitor.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// It was registered.
    Registered {
        /// The id.
        visitor: Uuid,
        /// What is said.
        profile: Box<Profile>,
        /// The first day.
        active_from: LocalDay,
    },
    /// What is said changed.
    Updated {
        /// The id.
        visitor: Uuid,
        /// What is said now.
        profile: Box<Profile>,
    },
    /// It visits no more after a day.
    Retired {
        /// The id.
        visitor: Uuid,
        /// The last day.
        last_day: LocalDay,
    },
    /// It took elders into its care.
    Paired {
        /// The id.
        visitor: Uuid,
        /// Those who were not.
        elders: Vec<ElderId>,
        /// The first day.
        since: LocalDay,
    },
    /// Elders left its care.
    Unpaired {
        /// The id.
        visitor: Uuid,
        /// Those who were.
        elders: Vec<ElderId>,
        /// The last day.
        last_day: LocalDay,
    },
}

/// Why the rules refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Nobody is registered under this id.
    Unknown,
    /// Somebody is registered under this id.
    AlreadyRegistered,
    /// A visitor visits in one county: in another it is registered anew.
    CountyFixed,
    /// It has retired already, with another last day.
    Retired,
    /// The last day lies before the first.
    EndsBeforeStart,
}

impl Decider for Visitor {
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
        let state = match (self, command) {
            (
                Self::Unknown,
                Command::Register {
                    visitor,
                    profile,
                    active_from,
                },
            ) => {
                return Ok(vec![Event::Registered {
                    visitor: *visitor,
                    profile: Box::new(profile.clone()),
                    active_from: *active_from,
                }]);
            }
            (Self::Unknown, _) => return Err(Refusal::Unknown),
            (Self::Registered(state), _) => state,
        };
        match command {
            Command::Register { .. } => Err(Refusal::AlreadyRegistered),
            Command::Update { profile, .. } if profile.county() != state.profile.county() => {
                Err(Refusal::CountyFixed)
            }
            Command::Update { profile, .. } if *profile == state.profile => Ok(vec![]),
            Command::Update { visitor, profile } => Ok(vec![Event::Updated {
                visitor: *visitor,
                profile: Box::new(profile.clone()),
            }]),
            Command::Retire { visitor, last_day } => match state.active_until {
                Some(known) if known == *last_day => Ok(vec![]),
                Some(_) => Err(Refusal::Retired),
                None if *last_day < state.active_from => Err(Refusal::EndsBeforeStart),
                None => Ok(vec![Event::Retired {
                    visitor: *visitor,
                    last_day: *last_day,
                }]),
            },
            Command::Pair {
                visitor,
                elders,
                since,
            } => {
                if state.active_until.is_some_and(|last| last < *since) {
                    return Err(Refusal::Retired);
                }
                let elders = once(elders, |elder| !state.paired.contains_key(elder));
                Ok(some(elders, |elders| Event::Paired {
                    visitor: *visitor,
                    elders,
                    since: *since,
                }))
            }
            Command::Unpair {
                visitor,
                elders,
                last_day,
            } => {
                let elders = once(elders, |elder| state.paired.contains_key(elder));
                Ok(some(elders, |elders| Event::Unpaired {
                    visitor: *visitor,
                    elders,
                    last_day: *last_day,
                }))
            }
        }
    }

    fn evolve(self, event: &Event) -> Self {
        match (self, event) {
            (
                _,
                Event::Registered {
                    profile,
                    active_from,
                    ..
                },
            ) => Self::Registered(Box::new(Registered {
                profile: (**profile).clone(),
                active_from: *active_from,
                active_until: None,
                paired: BTreeMap::new(),
            })),
            (Self::Unknown, _) => Self::Unknown,
            (Self::Registered(mut state), event) => {
                state.apply(event);
                Self::Registered(state)
            }
        }
    }
}

impl Registered {
    fn apply(&mut self, event: &Event) {
        match event {
            Event::Registered { .. } => {}
            Event::Updated { profile, .. } => self.profile = (**profile).clone(),
            Event::Retired { last_day, .. } => self.active_until = Some(*last_day),
            Event::Paired { elders, since, .. } => {
                self.paired
                    .extend(elders.iter().map(|elder| (*elder, *since)));
            }
            Event::Unpaired { elders, .. } => {
                for elder in elders {
                    self.paired.remove(elder);
                }
            }
        }
    }
}

/// Those that are meant, each once, in the order given.
fn once(elders: &[ElderId], meant: impl Fn(&ElderId) -> bool) -> Vec<ElderId> {
    let mut found = Vec::new();
    for elder in elders {
        if meant(elder) && !found.contains(elder) {
            found.push(*elder);
        }
    }
    found
}

/// An event about some elders; none about nobody.
fn some(elders: Vec<ElderId>, event: impl FnOnce(Vec<ElderId>) -> Event) -> Vec<Event> {
    if elders.is_empty() {
        vec![]
    } else {
        vec![event(elders)]
    }
}

#[cfg(test)]
mod tests {
    use decider::testing::{given, given_nothing};

    use super::*;

    const VISITOR: Uuid = Uuid::from_u128(9);

    fn day(text: &str) -> LocalDay {
        text.parse().unwrap()
    }

    /// Sealing takes a fresh nonce each time: equal names are equal envelopes only where they are copies.
    fn profile(home: &str) -> Profile {
        let key = vault::DataKey::from_bytes(vault::Algorithm::Sm4Gcm, &[7; 16]).unwrap();
        Profile {
            kind: VisitorKind::GridWorker,
            home: home.parse().unwrap(),
            weekly_capacity: 15,
            modes: VisitMode::Home.into(),
            name: key.seal("visits.visitor", VISITOR, &pb::VisitorName::default()),
        }
    }

    fn registered(profile: &Profile) -> Event {
        Event::Registered {
            visitor: VISITOR,
            profile: Box::new(profile.clone()),
            active_from: day("2024-01-01"),
        }
    }

    fn elders<const N: usize>(numbers: [u128; N]) -> Vec<ElderId> {
        numbers
            .map(|number| ElderId(Uuid::from_u128(number)))
            .into()
    }

    fn paired<const N: usize>(numbers: [u128; N]) -> Event {
        Event::Paired {
            visitor: VISITOR,
            elders: elders(numbers),
            since: day("2024-09-25"),
        }
    }

    #[test]
    fn a_visitor_is_registered_once() {
        let home = profile("350524100001");
        let register = || Command::Register {
            visitor: VISITOR,
            profile: home.clone(),
            active_from: day("2024-01-01"),
        };
        given_nothing::<Visitor>()
            .when(register())
            .then([registered(&home)]);
        given::<Visitor>([registered(&home)])
            .when(register())
            .then_refused(Refusal::AlreadyRegistered);
    }

    #[test]
    fn a_visitor_stays_in_its_county() {
        let home = profile("350524100001");
        let update = |to: &str| Command::Update {
            visitor: VISITOR,
            profile: Profile {
                home: to.parse().unwrap(),
                ..home.clone()
            },
        };
        given::<Visitor>([registered(&home)])
            .when(update("350525100001"))
            .then_refused(Refusal::CountyFixed);
        given::<Visitor>([registered(&home)])
            .when(update("350524100001"))
            .then_nothing();
        given_nothing::<Visitor>()
            .when(update("350524100001"))
            .then_refused(Refusal::Unknown);
    }

    #[test]
    fn a_visitor_retires_once_and_not_before_its_first_day() {
        let home = profile("350524100001");
        let retire = |last: &str| Command::Retire {
            visitor: VISITOR,
            last_day: day(last),
        };
        let retired = Event::Retired {
            visitor: VISITOR,
            last_day: day("2024-09-15"),
        };
        given::<Visitor>([registered(&home)])
            .when(retire("2024-09-15"))
            .then([retired.clone()]);
        given::<Visitor>([registered(&home), retired.clone()])
            .when(retire("2024-09-15"))
            .then_nothing();
        given::<Visitor>([registered(&home), retired])
            .when(retire("2024-09-16"))
            .then_refused(Refusal::Retired);
        given::<Visitor>([registered(&home)])
            .when(retire("2023-12-31"))
            .then_refused(Refusal::EndsBeforeStart);
    }

    #[test]
    fn only_pairings_that_are_new_are_recorded() {
        let home = profile("350524100001");
        let pair = |elders| Command::Pair {
            visitor: VISITOR,
            elders,
            since: day("2024-09-25"),
        };
        given::<Visitor>([registered(&home), paired([1])])
            .when(pair(elders([1, 2, 2, 3])))
            .then([paired([2, 3])]);
        given::<Visitor>([registered(&home), paired([1])])
            .when(pair(elders([1])))
            .then_nothing();
    }

    #[test]
    fn only_pairings_that_are_there_are_ended() {
        let home = profile("350524100001");
        given::<Visitor>([registered(&home), paired([1, 2])])
            .when(Command::Unpair {
                visitor: VISITOR,
                elders: elders([2, 3]),
                last_day: day("2024-10-10"),
            })
            .then([Event::Unpaired {
                visitor: VISITOR,
                elders: elders([2]),
                last_day: day("2024-10-10"),
            }]);
    }
}
