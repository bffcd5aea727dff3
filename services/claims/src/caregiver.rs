//! A caregiver on a provider's list (护理人员).

use civic::LocalDay;
use decider::Decider;
use proto::eldercare::claims::v1 as pb;
use vault::Sealed;

/// A caregiver as the events leave them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Caregiver {
    /// What is said of them; none where nobody is registered.
    pub listed: Option<Listed>,
}

/// Somebody on a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    /// The provider.
    pub provider: String,
    /// The name.
    pub name: Sealed<pb::CaregiverName>,
    /// First day.
    pub first: LocalDay,
    /// Last day; none while it is open.
    pub last: Option<LocalDay>,
}

/// What is asked.
#[derive(Clone, Debug)]
pub enum Command {
    /// Put somebody on the list.
    Register(Listed),
    /// Give them a last day.
    Retire(LocalDay),
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Somebody is on the list.
    Registered(Listed),
    /// They have a last day.
    Retired(LocalDay),
}

/// Why the rules refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Nobody is registered under this id.
    Unknown,
    /// Somebody is registered under this id.
    AlreadyRegistered,
    /// They leave the list on that day or before already.
    NotEarlier,
    /// The day lies before the first one.
    BeforeFirst,
}

impl Decider for Caregiver {
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
        match (&self.listed, command) {
            (None, Command::Register(listed)) => Ok(vec![Event::Registered(listed.clone())]),
            (Some(_), Command::Register(_)) => Err(Refusal::AlreadyRegistered),
            (None, Command::Retire(_)) => Err(Refusal::Unknown),
            (Some(listed), Command::Retire(last)) => {
                if listed.last.is_some_and(|known| *last >= known) {
                    Err(Refusal::NotEarlier)
                } else if *last < listed.first {
                    Err(Refusal::BeforeFirst)
                } else {
                    Ok(vec![Event::Retired(*last)])
                }
            }
        }
    }

    fn evolve(mut self, event: &Event) -> Self {
        match event {
            Event::Registered(listed) => self.listed = Some(listed.clone()),
            Event::Retired(last) => {
                if let Some(listed) = &mut self.listed {
                    listed.last = Some(*last);
                }
            }
        }
        self
    }
}
