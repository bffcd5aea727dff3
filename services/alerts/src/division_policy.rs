//! The rules of a division, version by version (预警规则).

use civic::DivisionCode;
use decider::Decider;

use crate::alert_policy::{AlertPolicy, Fault};

/// The rules of a division.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DivisionPolicy {
    /// The version, 0 where there are none of its own.
    pub version: u32,
    /// The rules.
    pub policy: Option<AlertPolicy>,
}

/// Publishes rules.
#[derive(Clone, Debug)]
pub struct Publish {
    /// Where.
    pub division: DivisionCode,
    /// The rules.
    pub policy: AlertPolicy,
}

/// Rules were published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// Where.
    pub division: DivisionCode,
    /// Which version of the division's.
    pub version: u32,
    /// The rules.
    pub policy: AlertPolicy,
}

impl Decider for DivisionPolicy {
    type Command = Publish;
    type Event = Published;
    type Refusal = Fault;

    fn decide(&self, command: &Publish) -> Result<Vec<Published>, Fault> {
        command.policy.check()?;
        if self.policy.as_ref() == Some(&command.policy) {
            return Ok(vec![]);
        }
        Ok(vec![Published {
            division: command.division,
            version: self.version + 1,
            policy: command.policy.clone(),
        }])
    }

    fn evolve(self, event: &Published) -> Self {
        Self {
            version: event.version,
            policy: Some(event.policy.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use decider::testing::{given, given_nothing};

    use super::*;
    use crate::alert_policy::Why;

    #[test]
    fn versions_follow_each_other_and_a_bad_policy_is_none() {
        let division: DivisionCode = "350524".parse().unwrap();
        let publish = |minute| Publish {
            division,
            policy: AlertPolicy {
                notice_minute: minute,
                ..AlertPolicy::default()
            },
        };
        let published = |version, minute| Published {
            division,
            version,
            policy: publish(minute).policy,
        };
        given_nothing::<DivisionPolicy>()
            .when(publish(540))
            .then([published(1, 540)]);
        given::<DivisionPolicy>([published(1, 540)])
            .when(publish(540))
            .then_nothing();
        given::<DivisionPolicy>([published(1, 540)])
            .when(publish(570))
            .then([published(2, 570)]);
        given_nothing::<DivisionPolicy>()
            .when(publish(1_440))
            .then_refused(Fault {
                field: "notice_minute",
                reason: Why::OutOfRange,
            });
    }
}
