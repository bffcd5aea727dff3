//! Two small aggregates to try repositories on: a tally that is counted up, and a claim that one holder has.

use decider::Decider;
use eventlog::{Aggregate, DecodeError, RawEvent};

use crate::bench::event;

/// The context of the aggregates here.
pub(crate) const CONTEXT: &str = "testing";

/// Counts up to a limit.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct Tally {
    pub(crate) total: u64,
}

#[derive(Debug)]
pub(crate) enum Command {
    /// Count so much more, unless the total would then be over the limit.
    Count { more: u64, limit: u64 },
    /// Count up to this; nothing if it is reached.
    Reach(u64),
}

#[derive(Debug, PartialEq)]
pub(crate) enum Event {
    Counted(u64),
}

#[derive(Debug, PartialEq)]
pub(crate) struct OverTheLimit;

pub(crate) fn count(more: u64) -> Command {
    Command::Count {
        more,
        limit: u64::MAX,
    }
}

impl Decider for Tally {
    type Command = Command;
    type Event = Event;
    type Refusal = OverTheLimit;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, OverTheLimit> {
        match command {
            Command::Count { more, limit } if self.total + more > *limit => Err(OverTheLimit),
            Command::Count { more, .. } => Ok(vec![Event::Counted(*more)]),
            Command::Reach(total) if *total > self.total => {
                Ok(vec![Event::Counted(total - self.total)])
            }
            Command::Reach(_) => Ok(vec![]),
        }
    }

    fn evolve(self, event: &Event) -> Self {
        match event {
            Event::Counted(more) => Self {
                total: self.total + more,
            },
        }
    }
}

impl Aggregate for Tally {
    const CONTEXT: &'static str = CONTEXT;
    const NAME: &'static str = "tally";

    fn encode(of: &Event) -> RawEvent {
        match of {
            Event::Counted(more) => event("testing.Counted", &more.to_be_bytes()),
        }
    }

    fn decode(raw: &RawEvent) -> Result<Event, DecodeError> {
        if raw.event_type != "testing.Counted" {
            return Err(DecodeError::UnknownType(raw.event_type.clone()));
        }
        let more = <[u8; 8]>::try_from(&*raw.data)
            .map_err(|_| DecodeError::Malformed("more".to_owned()))?;
        Ok(Event::Counted(u64::from_be_bytes(more)))
    }
}

/// Something that at most one holder has at a time.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct Claim {
    pub(crate) holder: Option<String>,
}

#[derive(Debug, PartialEq)]
pub(crate) enum Change {
    Claimed(String),
    Released,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Taken;

impl Decider for Claim {
    type Command = Change;
    type Event = Change;
    type Refusal = Taken;

    fn decide(&self, wanted: &Change) -> Result<Vec<Change>, Taken> {
        match wanted {
            Change::Claimed(_) if self.holder.is_some() => Err(Taken),
            Change::Claimed(holder) => Ok(vec![Change::Claimed(holder.clone())]),
            Change::Released if self.holder.is_none() => Ok(vec![]),
            Change::Released => Ok(vec![Change::Released]),
        }
    }

    fn evolve(self, change: &Change) -> Self {
        match change {
            Change::Claimed(holder) => Self {
                holder: Some(holder.clone()),
            },
            Change::Released => Self { holder: None },
        }
    }
}

impl Aggregate for Claim {
    const CONTEXT: &'static str = CONTEXT;
    const NAME: &'static str = "claim";

    fn encode(change: &Change) -> RawEvent {
        match change {
            Change::Claimed(holder) => event("testing.Claimed", holder.as_bytes()),
            Change::Released => event("testing.Released", b""),
        }
    }

    fn decode(raw: &RawEvent) -> Result<Change, DecodeError> {
        match raw.event_type.as_str() {
            "testing.Claimed" => Ok(Change::Claimed(
                String::from_utf8_lossy(&raw.data).into_owned(),
            )),
            "testing.Released" => Ok(Change::Released),
            unknown => Err(DecodeError::UnknownType(unknown.to_owned())),
        }
    }
}
