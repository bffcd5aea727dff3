//! The policies of one division, version by version. The last one holds.
//!
//! A policy is checked when it is published, against the one above it and against those right below it: none is in force
//! that falls short of the one above, whichever of them came first.

use std::convert::Infallible;

use civic::LocalDay;
use decider::Decider;

use crate::evaluate::Jurisdiction;

/// What a division has published.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyBook {
    /// The last version; 0 before the first.
    pub version: u64,
    /// The policy in force, YAML; empty before the first.
    pub yaml: String,
}

/// What is asked of it.
#[derive(Clone, Debug)]
pub enum Command {
    /// A policy that was checked goes into force.
    Publish {
        /// Whose.
        jurisdiction: Jurisdiction,
        /// YAML.
        yaml: String,
        /// The first day on which it holds.
        on: LocalDay,
    },
}

/// What happened to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A policy went into force.
    Published {
        /// Whose.
        jurisdiction: Jurisdiction,
        /// The version within the division, from 1.
        version: u64,
        /// YAML.
        yaml: String,
        /// The first day on which it holds.
        on: LocalDay,
    },
}

impl Decider for PolicyBook {
    type Command = Command;
    type Event = Event;
    type Refusal = Infallible;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Infallible> {
        let Command::Publish {
            jurisdiction,
            yaml,
            on,
        } = command;
        // The policy in force published again is the same version.
        if self.version > 0 && self.yaml == *yaml {
            return Ok(vec![]);
        }
        Ok(vec![Event::Published {
            jurisdiction: *jurisdiction,
            version: self.version + 1,
            yaml: yaml.clone(),
            on: *on,
        }])
    }

    fn evolve(self, event: &Event) -> Self {
        let Event::Published { version, yaml, .. } = event;
        Self {
            version: *version,
            yaml: yaml.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use decider::testing::{given, given_nothing};

    use super::*;

    fn county() -> Jurisdiction {
        Jurisdiction::Division("350524".parse().unwrap())
    }

    fn publish(yaml: &str, on: &str) -> Command {
        Command::Publish {
            jurisdiction: county(),
            yaml: yaml.to_owned(),
            on: on.parse().unwrap(),
        }
    }

    fn published(version: u64, yaml: &str, on: &str) -> Event {
        Event::Published {
            jurisdiction: county(),
            version,
            yaml: yaml.to_owned(),
            on: on.parse().unwrap(),
        }
    }

    #[test]
    fn versions_count_from_one() {
        given_nothing::<PolicyBook>()
            .when(publish("a", "2024-10-01"))
            .then([published(1, "a", "2024-10-01")]);
        given::<PolicyBook>([published(1, "a", "2024-10-01")])
            .when(publish("b", "2024-11-01"))
            .then([published(2, "b", "2024-11-01")]);
    }

    #[test]
    fn the_policy_in_force_published_again_changes_nothing() {
        given::<PolicyBook>([published(1, "a", "2024-10-01")])
            .when(publish("a", "2024-11-01"))
            .then_nothing();
        given::<PolicyBook>([
            published(1, "a", "2024-10-01"),
            published(2, "b", "2024-11-01"),
        ])
        .when(publish("a", "2024-12-01"))
        .then([published(3, "a", "2024-12-01")]);
    }
}
