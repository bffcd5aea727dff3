//! A pair of files that may be one person's: reported by anybody, decided by a reviewer, and decided again when the reviewer erred.

use civic::ElderId;
use decider::Decider;
use elders::{codec, event::Merge};
use eventlog::{Aggregate, DecodeError, RawEvent};
use prost::{Message, Name};
use proto::eldercare::registry::v1 as pb;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The two files, the smaller id first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Pair {
    /// The smaller id.
    pub elder: ElderId,
    /// The larger id.
    pub other: ElderId,
}

/// The namespace of pair ids: any fixed UUID serves.
const PAIRS: Uuid = Uuid::from_u128(0x6f1c_3a55_0f1e_4b7e_9d53_6d5a_1d61_7a01);

impl Pair {
    /// The pair of two files, in either order; none where they are one.
    #[must_use]
    pub fn of(one: ElderId, another: ElderId) -> Option<Self> {
        (one != another).then(|| Self {
            elder: one.min(another),
            other: one.max(another),
        })
    }

    /// The id of the pair: the same for the same two files, whoever reports them.
    #[must_use]
    pub fn id(&self) -> Uuid {
        let mut both = [0; 32];
        both[..16].copy_from_slice(self.elder.as_uuid().as_bytes());
        both[16..].copy_from_slice(self.other.as_uuid().as_bytes());
        Uuid::new_v5(&PAIRS, &both)
    }
}

/// The aggregate: one pair.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Duplicate {
    /// Nobody reported the pair.
    #[default]
    Unreported,
    /// A reviewer has to decide.
    Open,
    /// Two persons.
    Dismissed,
    /// One person, whose file is this one.
    Merged {
        /// The file that remains.
        surviving: ElderId,
    },
}

/// What may be asked of a pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// These may be one person's.
    Report(Pair, String),
    /// They are two persons'.
    Dismiss(String),
    /// They are one person's.
    Merge(Merge),
    /// They were merged in error: they are two persons'.
    Unmerge(Merge),
}

/// What happened to a pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Somebody thinks these are one person's.
    Reported(Pair, String),
    /// A reviewer found two persons.
    Dismissed(String),
    /// A reviewer found one person.
    Merged(Merge),
    /// The merge was taken back.
    Unmerged(Merge),
}

/// Why a pair refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Nobody reported the pair.
    NotReported,
    /// The files are merged; unmerge them first.
    AlreadyMerged,
    /// The files are not merged in this way.
    NotMerged,
}

impl Decider for Duplicate {
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
        match (self, command) {
            (Self::Open, Command::Report(..)) | (Self::Dismissed, Command::Dismiss(_)) => {
                Ok(Vec::new())
            }
            // A dismissed pair may be reported again: something new was seen.
            (Self::Unreported | Self::Dismissed, Command::Report(pair, reason)) => {
                Ok(vec![Event::Reported(*pair, reason.clone())])
            }
            (Self::Open, Command::Dismiss(reason)) => Ok(vec![Event::Dismissed(reason.clone())]),
            (Self::Unreported, Command::Dismiss(_)) => Err(Refusal::NotReported),
            (Self::Unreported | Self::Open | Self::Dismissed, Command::Merge(merge)) => {
                Ok(vec![Event::Merged(merge.clone())])
            }
            (Self::Merged { surviving }, Command::Merge(merge))
                if *surviving == merge.surviving =>
            {
                Ok(Vec::new())
            }
            (Self::Merged { surviving }, Command::Unmerge(merge))
                if *surviving == merge.surviving =>
            {
                Ok(vec![Event::Unmerged(merge.clone())])
            }
            (
                Self::Merged { .. },
                Command::Report(..) | Command::Dismiss(_) | Command::Merge(_),
            ) => Err(Refusal::AlreadyMerged),
            (
                Self::Unreported | Self::Open | Self::Dismissed | Self::Merged { .. },
                Command::Unmerge(_),
            ) => Err(Refusal::NotMerged),
        }
    }

    fn evolve(self, event: &Event) -> Self {
        match event {
            Event::Reported(..) => Self::Open,
            // Taking a merge back says that these are two persons.
            Event::Dismissed(_) | Event::Unmerged(_) => Self::Dismissed,
            Event::Merged(merge) => Self::Merged {
                surviving: merge.surviving,
            },
        }
    }
}

impl Aggregate for Duplicate {
    const CONTEXT: &'static str = "registry";
    const NAME: &'static str = "duplicate";

    fn encode(event: &Event) -> RawEvent {
        let (event_type, data) = match event {
            Event::Reported(pair, reason) => (
                pb::DuplicateReported::full_name(),
                pb::DuplicateReported {
                    elder_id: pair.elder.to_string(),
                    other_elder_id: pair.other.to_string(),
                    reason: reason.clone(),
                }
                .encode_to_vec(),
            ),
            Event::Dismissed(reason) => (
                pb::DuplicateDismissed::full_name(),
                pb::DuplicateDismissed {
                    reason: reason.clone(),
                }
                .encode_to_vec(),
            ),
            Event::Merged(merge) => (
                pb::EldersMerged::full_name(),
                codec::write_merged(merge).encode_to_vec(),
            ),
            Event::Unmerged(merge) => (
                pb::EldersUnmerged::full_name(),
                codec::write_unmerged(merge).encode_to_vec(),
            ),
        };
        RawEvent {
            event_type,
            data: data.into(),
        }
    }

    fn decode(raw: &RawEvent) -> Result<Event, DecodeError> {
        fn read<M: Message + Default>(raw: &RawEvent) -> Result<M, DecodeError> {
            M::decode(raw.data.clone()).map_err(|_broken| DecodeError::malformed("message"))
        }
        match raw.event_type.strip_prefix("eldercare.registry.v1.") {
            Some("DuplicateReported") => {
                let message: pb::DuplicateReported = read(raw)?;
                let elder = |id: &str| {
                    id.parse::<ElderId>()
                        .map_err(|_id| DecodeError::malformed("elder_id"))
                };
                let pair = Pair::of(elder(&message.elder_id)?, elder(&message.other_elder_id)?)
                    .ok_or_else(|| DecodeError::malformed("other_elder_id"))?;
                Ok(Event::Reported(pair, message.reason))
            }
            Some("DuplicateDismissed") => Ok(Event::Dismissed(
                read::<pb::DuplicateDismissed>(raw)?.reason,
            )),
            Some("EldersMerged") => codec::read_merged(read(raw)?).map(Event::Merged),
            Some("EldersUnmerged") => codec::read_unmerged(read(raw)?).map(Event::Unmerged),
            Some(_) | None => Err(DecodeError::unknown(raw)),
        }
    }
}

#[cfg(test)]
mod tests {
    use decider::testing::given;

    use super::*;

    fn elder(number: u128) -> ElderId {
        ElderId(Uuid::from_u128(number))
    }

    fn pair() -> Pair {
        Pair::of(elder(2), elder(1)).unwrap()
    }

    fn reported() -> Event {
        Event::Reported(pair(), "SAME_NAME_AND_HOME".into())
    }

    fn merge() -> Merge {
        Merge {
            surviving: elder(1),
            merged: elder(2),
            reason: "ONE_PERSON".into(),
        }
    }

    #[test]
    fn a_pair_is_the_same_in_either_order() {
        assert_eq!(pair().id(), Pair::of(elder(1), elder(2)).unwrap().id());
        // It is in logs: it must not change with the program.
        assert_eq!(
            pair().id().to_string(),
            "fbcf93b5-1823-5f24-a245-561b8923107e"
        );
        assert_eq!(Pair::of(elder(1), elder(1)), None);
    }

    #[test]
    fn a_pair_reported_twice_is_reported_once() {
        given::<Duplicate>([reported()])
            .when(Command::Report(pair(), "AGAIN".into()))
            .then_nothing();
    }

    #[test]
    fn a_dismissed_pair_can_be_reported_again() {
        given::<Duplicate>([reported(), Event::Dismissed("TWO_PERSONS".into())])
            .when(Command::Report(pair(), "SAME_NAME_AND_HOME".into()))
            .then([reported()]);
    }

    #[test]
    fn an_unreported_pair_cannot_be_dismissed() {
        given::<Duplicate>([])
            .when(Command::Dismiss("TWO_PERSONS".into()))
            .then_refused(Refusal::NotReported);
    }

    #[test]
    fn a_merge_can_be_taken_back_and_then_says_two_persons() {
        given::<Duplicate>([reported(), Event::Merged(merge())])
            .when(Command::Unmerge(merge()))
            .then([Event::Unmerged(merge())]);
        given::<Duplicate>([Event::Merged(merge()), Event::Unmerged(merge())])
            .when(Command::Dismiss("TWO_PERSONS".into()))
            .then_nothing();
    }

    #[test]
    fn a_merge_the_other_way_round_is_refused_while_one_stands() {
        let other_way = Merge {
            surviving: elder(2),
            merged: elder(1),
            reason: "ONE_PERSON".into(),
        };
        given::<Duplicate>([Event::Merged(merge())])
            .when(Command::Merge(other_way.clone()))
            .then_refused(Refusal::AlreadyMerged);
        given::<Duplicate>([Event::Merged(merge())])
            .when(Command::Unmerge(other_way))
            .then_refused(Refusal::NotMerged);
    }

    #[test]
    fn events_survive_the_wire() {
        for event in [
            reported(),
            Event::Dismissed("TWO_PERSONS".into()),
            Event::Merged(merge()),
            Event::Unmerged(merge()),
        ] {
            assert_eq!(Duplicate::decode(&Duplicate::encode(&event)), Ok(event));
        }
    }
}
