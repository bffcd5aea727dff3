//! The claim to one ID number: free, or held by one elder. It is what makes one ID number one elder, also when two registrations race.

use civic::ElderId;
use decider::Decider;
use eventlog::{Aggregate, DecodeError, RawEvent};
use prost::{Message, Name};
use proto::eldercare::registry::v1 as pb;
use serde::{Deserialize, Serialize};

/// The aggregate, named by the keyed digest of the ID number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Claim {
    /// Nobody holds the number.
    #[default]
    Free,
    /// This elder does.
    Held(ElderId),
}

/// What may be asked of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Hold the number.
    Claim(ElderId),
    /// Let it go.
    Release(ElderId),
}

/// What happened to a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// An elder holds the number.
    Claimed(ElderId),
    /// The number is free again.
    Released(ElderId),
}

/// Why a claim refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Another elder holds the number.
    HeldByAnother(ElderId),
}

impl Claim {
    /// The elder who holds the number.
    #[must_use]
    pub fn holder(&self) -> Option<ElderId> {
        match self {
            Self::Free => None,
            Self::Held(elder) => Some(*elder),
        }
    }
}

impl Decider for Claim {
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
        match (self, *command) {
            (Self::Free, Command::Claim(elder)) => Ok(vec![Event::Claimed(elder)]),
            (Self::Held(holder), Command::Claim(elder)) if *holder == elder => Ok(Vec::new()),
            (Self::Held(holder), Command::Release(elder)) if *holder == elder => {
                Ok(vec![Event::Released(elder)])
            }
            (Self::Held(holder), Command::Claim(_)) => Err(Refusal::HeldByAnother(*holder)),
            // What one does not hold is let go already.
            (Self::Free | Self::Held(_), Command::Release(_)) => Ok(Vec::new()),
        }
    }

    fn evolve(self, event: &Event) -> Self {
        match event {
            Event::Claimed(elder) => Self::Held(*elder),
            Event::Released(_) => Self::Free,
        }
    }
}

impl Aggregate for Claim {
    const CONTEXT: &'static str = "registry";
    const NAME: &'static str = "identity";

    fn encode(event: &Event) -> RawEvent {
        let (event_type, data) = match event {
            Event::Claimed(elder) => (
                pb::IdentityClaimed::full_name(),
                pb::IdentityClaimed {
                    elder_id: elder.to_string(),
                }
                .encode_to_vec(),
            ),
            Event::Released(elder) => (
                pb::IdentityReleased::full_name(),
                pb::IdentityReleased {
                    elder_id: elder.to_string(),
                }
                .encode_to_vec(),
            ),
        };
        RawEvent {
            event_type,
            data: data.into(),
        }
    }

    fn decode(raw: &RawEvent) -> Result<Event, DecodeError> {
        let elder = |id: &str| {
            id.parse::<ElderId>()
                .map_err(|_id| DecodeError::malformed("elder_id"))
        };
        match raw.event_type.strip_prefix("eldercare.registry.v1.") {
            Some("IdentityClaimed") => {
                let message = pb::IdentityClaimed::decode(raw.data.clone())
                    .map_err(|_broken| DecodeError::malformed("message"))?;
                elder(&message.elder_id).map(Event::Claimed)
            }
            Some("IdentityReleased") => {
                let message = pb::IdentityReleased::decode(raw.data.clone())
                    .map_err(|_broken| DecodeError::malformed("message"))?;
                elder(&message.elder_id).map(Event::Released)
            }
            Some(_) | None => Err(DecodeError::unknown(raw)),
        }
    }
}

#[cfg(test)]
mod tests {
    use decider::testing::given;

    use super::*;

    fn elder(number: u128) -> ElderId {
        ElderId(uuid::Uuid::from_u128(number))
    }

    #[test]
    fn a_free_number_goes_to_the_first_who_claims_it() {
        given::<Claim>([])
            .when(Command::Claim(elder(1)))
            .then([Event::Claimed(elder(1))]);
    }

    #[test]
    fn a_held_number_is_refused_to_another() {
        given::<Claim>([Event::Claimed(elder(1))])
            .when(Command::Claim(elder(2)))
            .then_refused(Refusal::HeldByAnother(elder(1)));
    }

    #[test]
    fn a_holder_claims_again_for_nothing() {
        given::<Claim>([Event::Claimed(elder(1))])
            .when(Command::Claim(elder(1)))
            .then_nothing();
    }

    #[test]
    fn a_released_number_can_be_claimed_by_another() {
        given::<Claim>([Event::Claimed(elder(1)), Event::Released(elder(1))])
            .when(Command::Claim(elder(2)))
            .then([Event::Claimed(elder(2))]);
    }

    #[test]
    fn only_the_holder_releases() {
        given::<Claim>([Event::Claimed(elder(1))])
            .when(Command::Release(elder(2)))
            .then_nothing();
    }

    #[test]
    fn events_survive_the_wire() {
        for event in [Event::Claimed(elder(7)), Event::Released(elder(7))] {
            assert_eq!(Claim::decode(&Claim::encode(&event)), Ok(event));
        }
    }
}
