//! One elder's tier: given when the elder comes into scope, changed with the facts, ended when the elder goes out of scope.

use std::convert::Infallible;

use civic::{ElderId, LocalDay};
use decider::Decider;

use crate::evaluate::Assignment;

/// An elder's tier as its events leave it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Tier {
    /// None, so far.
    #[default]
    None,
    /// This one, from a day on.
    Given(Box<Assignment>, LocalDay),
    /// None any more, from a day on.
    Ended(LocalDay),
}

/// What is asked of it.
#[derive(Clone, Debug)]
pub enum Command {
    /// The elder was evaluated; without an assignment, as out of scope.
    Evaluate {
        /// The elder.
        elder: ElderId,
        /// What the policy gives.
        assignment: Option<Assignment>,
        /// The day from which that holds by what is known now. Where it lies before the day of the last event, that one
        /// counts: an elder's tiers follow each other in the order of their days.
        on: LocalDay,
    },
}

/// What happened to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The elder came into scope.
    Assigned {
        /// The elder.
        elder: ElderId,
        /// The tier.
        assignment: Box<Assignment>,
        /// From this day on.
        on: LocalDay,
    },
    /// Tier, reasons, interval or modes are others.
    Changed {
        /// The elder.
        elder: ElderId,
        /// The tier now.
        assignment: Box<Assignment>,
        /// From this day on.
        on: LocalDay,
    },
    /// The elder went out of scope.
    Ended {
        /// The elder.
        elder: ElderId,
        /// The first day without a tier.
        on: LocalDay,
    },
}

impl Tier {
    /// The tier, if there is one.
    #[must_use]
    pub fn assignment(&self) -> Option<&Assignment> {
        match self {
            Self::None | Self::Ended(_) => None,
            Self::Given(assignment, _) => Some(assignment),
        }
    }

    /// The day from which it is as it is; none before the first event.
    #[must_use]
    pub fn since(&self) -> Option<LocalDay> {
        match self {
            Self::None => None,
            Self::Given(_, on) | Self::Ended(on) => Some(*on),
        }
    }

    /// Whether an evaluation with this outcome changes nothing.
    #[must_use]
    pub fn is_as_due(&self, assignment: Option<&Assignment>) -> bool {
        match (self.assignment(), assignment) {
            (Some(before), Some(due)) => before.means_the_same(due),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        }
    }
}

impl Decider for Tier {
    type Command = Command;
    type Event = Event;
    type Refusal = Infallible;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Infallible> {
        let Command::Evaluate {
            elder,
            assignment,
            on,
        } = command;
        if self.is_as_due(assignment.as_ref()) {
            return Ok(vec![]);
        }
        let elder = *elder;
        let on = self.since().map_or(*on, |since| since.max(*on));
        let event = match (self, assignment.clone().map(Box::new)) {
            (Self::None | Self::Ended(_), Some(assignment)) => Event::Assigned {
                elder,
                assignment,
                on,
            },
            (Self::Given(..), Some(assignment)) => Event::Changed {
                elder,
                assignment,
                on,
            },
            (Self::None | Self::Given(..) | Self::Ended(_), None) => Event::Ended { elder, on },
        };
        Ok(vec![event])
    }

    fn evolve(self, event: &Event) -> Self {
        match event {
            Event::Assigned { assignment, on, .. } | Event::Changed { assignment, on, .. } => {
                Self::Given(assignment.clone(), *on)
            }
            Event::Ended { on, .. } => Self::Ended(*on),
        }
    }
}

#[cfg(test)]
mod tests {
    use civic::{Set, VisitMode};
    use decider::testing::{given, given_nothing};
    use uuid::Uuid;

    use super::*;
    use crate::evaluate::{Jurisdiction, PolicyRef};
    use crate::policy::Interval;

    const ELDER: ElderId = ElderId(Uuid::from_u128(7));

    fn day(text: &str) -> LocalDay {
        text.parse().unwrap()
    }

    fn priority(reasons: &[&str]) -> Assignment {
        Assignment {
            tier: "PRIORITY".to_owned(),
            reasons: reasons.iter().map(|reason| (*reason).to_owned()).collect(),
            interval: Interval::Weekly,
            modes: Set::from(VisitMode::Home),
            policy: PolicyRef {
                jurisdiction: Jurisdiction::National,
                version: 1,
            },
            village: "350524100001".parse().unwrap(),
        }
    }

    fn evaluate(assignment: Option<Assignment>, on: &str) -> Command {
        Command::Evaluate {
            elder: ELDER,
            assignment,
            on: day(on),
        }
    }

    fn assigned(assignment: Assignment, on: &str) -> Event {
        Event::Assigned {
            elder: ELDER,
            assignment: Box::new(assignment),
            on: day(on),
        }
    }

    fn changed(assignment: Assignment, on: &str) -> Event {
        Event::Changed {
            elder: ELDER,
            assignment: Box::new(assignment),
            on: day(on),
        }
    }

    #[test]
    fn an_elder_in_scope_is_given_a_tier() {
        given_nothing::<Tier>()
            .when(evaluate(Some(priority(&["AGE_80"])), "2024-10-01"))
            .then([assigned(priority(&["AGE_80"]), "2024-10-01")]);
        given_nothing::<Tier>()
            .when(evaluate(None, "2024-10-01"))
            .then_nothing();
    }

    #[test]
    fn another_reason_changes_the_tier() {
        given::<Tier>([assigned(priority(&["AGE_80"]), "2024-10-01")])
            .when(evaluate(
                Some(priority(&["AGE_80", "DEMENTIA"])),
                "2024-10-05",
            ))
            .then([changed(priority(&["AGE_80", "DEMENTIA"]), "2024-10-05")]);
    }

    #[test]
    fn other_modes_change_the_tier() {
        let by_phone = Assignment {
            modes: [VisitMode::Home, VisitMode::Phone].into(),
            ..priority(&["AGE_80"])
        };
        given::<Tier>([assigned(priority(&["AGE_80"]), "2024-10-01")])
            .when(evaluate(Some(by_phone.clone()), "2024-10-05"))
            .then([changed(by_phone, "2024-10-05")]);
    }

    #[test]
    fn a_move_or_a_new_version_alone_changes_nothing() {
        let elsewhere = Assignment {
            village: "350524102001".parse().unwrap(),
            policy: PolicyRef {
                jurisdiction: Jurisdiction::National,
                version: 2,
            },
            ..priority(&["AGE_80"])
        };
        given::<Tier>([assigned(priority(&["AGE_80"]), "2024-10-01")])
            .when(evaluate(Some(elsewhere), "2024-10-05"))
            .then_nothing();
    }

    #[test]
    fn tiers_follow_each_other_in_the_order_of_their_days() {
        let before = [assigned(priority(&["AGE_80"]), "2024-10-01")];
        given::<Tier>(before.clone())
            .when(evaluate(Some(priority(&["DEMENTIA"])), "2024-09-01"))
            .then([changed(priority(&["DEMENTIA"]), "2024-10-01")]);
        let ended = Event::Ended {
            elder: ELDER,
            on: day("2024-10-01"),
        };
        given::<Tier>(before.clone())
            .when(evaluate(None, "2024-09-01"))
            .then([ended.clone()]);
        given::<Tier>(before.into_iter().chain([ended]))
            .when(evaluate(Some(priority(&["AGE_80"])), "2024-09-15"))
            .then([assigned(priority(&["AGE_80"]), "2024-10-01")]);
    }

    #[test]
    fn out_of_scope_the_tier_ends_and_may_begin_again() {
        let ended = Event::Ended {
            elder: ELDER,
            on: day("2024-11-01"),
        };
        given::<Tier>([assigned(priority(&["AGE_80"]), "2024-10-01")])
            .when(evaluate(None, "2024-11-01"))
            .then([ended.clone()]);
        given::<Tier>([assigned(priority(&["AGE_80"]), "2024-10-01"), ended.clone()])
            .when(evaluate(None, "2024-11-02"))
            .then_nothing();
        given::<Tier>([assigned(priority(&["AGE_80"]), "2024-10-01"), ended])
            .when(evaluate(Some(priority(&["AGE_80"])), "2024-11-03"))
            .then([assigned(priority(&["AGE_80"]), "2024-11-03")]);
    }
}
