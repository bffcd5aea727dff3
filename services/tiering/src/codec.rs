//! Events become wire bytes and back, here and nowhere else.

use std::convert::Infallible;

use civic::Set;
use decider::Decider;
use elders::codec::write_day;
use elders::terms::{set_from_wire, wire_set};
use elders::wire;
use eventlog::{Aggregate, DecodeError, RawEvent};
use prost::Name;
use proto::eldercare::tiering::v1 as pb;

use crate::evaluate::{Assignment, PolicyRef};
use crate::policy::Interval;
use crate::policy_book::{self, PolicyBook};
use crate::policy_comparison::{Compared, PolicyComparison};
use crate::tier::{self, Tier};

/// The context that owns the aggregates.
pub const CONTEXT: &str = "tiering";

impl Aggregate for Tier {
    const CONTEXT: &'static str = CONTEXT;
    const NAME: &'static str = "tier";

    fn encode(event: &tier::Event) -> RawEvent {
        match event {
            tier::Event::Assigned {
                elder,
                assignment,
                on,
            } => RawEvent::of(&pb::TierAssigned {
                elder_id: elder.to_string(),
                assignment: Some(write_assignment(assignment)),
                on: Some(write_day(*on)),
            }),
            tier::Event::Changed {
                elder,
                assignment,
                on,
            } => RawEvent::of(&pb::TierChanged {
                elder_id: elder.to_string(),
                assignment: Some(write_assignment(assignment)),
                on: Some(write_day(*on)),
            }),
            tier::Event::Ended { elder, on } => RawEvent::of(&pb::TierEnded {
                elder_id: elder.to_string(),
                on: Some(write_day(*on)),
            }),
        }
    }

    fn decode(raw: &RawEvent) -> Result<tier::Event, DecodeError> {
        if raw.event_type == pb::TierAssigned::full_name() {
            let message: pb::TierAssigned = wire::message(raw)?;
            Ok(tier::Event::Assigned {
                elder: wire::elder(&message.elder_id)?,
                assignment: Box::new(assignment(message.assignment)?),
                on: wire::day(message.on, "on")?,
            })
        } else if raw.event_type == pb::TierChanged::full_name() {
            let message: pb::TierChanged = wire::message(raw)?;
            Ok(tier::Event::Changed {
                elder: wire::elder(&message.elder_id)?,
                assignment: Box::new(assignment(message.assignment)?),
                on: wire::day(message.on, "on")?,
            })
        } else if raw.event_type == pb::TierEnded::full_name() {
            let message: pb::TierEnded = wire::message(raw)?;
            Ok(tier::Event::Ended {
                elder: wire::elder(&message.elder_id)?,
                on: wire::day(message.on, "on")?,
            })
        } else {
            Err(DecodeError::unknown(raw))
        }
    }
}

impl Aggregate for PolicyBook {
    const CONTEXT: &'static str = CONTEXT;
    const NAME: &'static str = "policy";

    fn encode(event: &policy_book::Event) -> RawEvent {
        let policy_book::Event::Published {
            jurisdiction,
            version,
            yaml,
            on,
        } = event;
        RawEvent::of(&pb::PolicyPublished {
            division_code: jurisdiction.to_string(),
            version: version.cast_signed(),
            yaml: yaml.clone(),
            on: Some(write_day(*on)),
        })
    }

    fn decode(raw: &RawEvent) -> Result<policy_book::Event, DecodeError> {
        if raw.event_type != pb::PolicyPublished::full_name() {
            return Err(DecodeError::unknown(raw));
        }
        let message: pb::PolicyPublished = wire::message(raw)?;
        Ok(policy_book::Event::Published {
            jurisdiction: message
                .division_code
                .parse()
                .map_err(|_code| DecodeError::malformed("division_code"))?,
            version: version(message.version, "version")?,
            yaml: message.yaml,
            on: wire::day(message.on, "on")?,
        })
    }
}

impl Aggregate for PolicyComparison {
    const CONTEXT: &'static str = CONTEXT;
    const NAME: &'static str = "comparison";

    fn encode(Compared(policy): &Compared) -> RawEvent {
        RawEvent::of(&pb::PoliciesCompared {
            division_code: policy.jurisdiction.to_string(),
            version: policy.version.cast_signed(),
        })
    }

    fn decode(raw: &RawEvent) -> Result<Compared, DecodeError> {
        if raw.event_type != pb::PoliciesCompared::full_name() {
            return Err(DecodeError::unknown(raw));
        }
        let message: pb::PoliciesCompared = wire::message(raw)?;
        Ok(Compared(PolicyRef {
            jurisdiction: message
                .division_code
                .parse()
                .map_err(|_code| DecodeError::malformed("division_code"))?,
            version: version(message.version, "version")?,
        }))
    }
}

/// An assignment as a protobuf message.
#[must_use]
pub fn write_assignment(assignment: &Assignment) -> pb::Assignment {
    pb::Assignment {
        tier: assignment.tier.clone(),
        reasons: assignment.reasons.clone(),
        interval: write_interval(assignment.interval).into(),
        modes: wire_set(assignment.modes),
        policy_division_code: assignment.policy.jurisdiction.to_string(),
        policy_version: assignment.policy.version.cast_signed(),
        division_code: assignment.village.to_string(),
    }
}

/// An interval as a protobuf enum.
#[must_use]
pub fn write_interval(interval: Interval) -> pb::Interval {
    match interval {
        Interval::Weekly => pb::Interval::Weekly,
        Interval::Monthly => pb::Interval::Monthly,
    }
}

fn assignment(message: Option<pb::Assignment>) -> Result<Assignment, DecodeError> {
    let message = message.ok_or_else(|| DecodeError::malformed("assignment"))?;
    Ok(Assignment {
        interval: match pb::Interval::try_from(message.interval) {
            Ok(pb::Interval::Weekly) => Interval::Weekly,
            Ok(pb::Interval::Monthly) => Interval::Monthly,
            Ok(pb::Interval::Unspecified) | Err(_) => {
                return Err(DecodeError::malformed("interval"));
            }
        },
        modes: set_from_wire(&message.modes)
            .map(Set::from_iter)
            .map_err(|_index| DecodeError::malformed("modes"))?,
        policy: PolicyRef {
            jurisdiction: message
                .policy_division_code
                .parse()
                .map_err(|_code| DecodeError::malformed("policy_division_code"))?,
            version: version(message.policy_version, "policy_version")?,
        },
        village: message
            .division_code
            .parse()
            .map_err(|_code| DecodeError::malformed("division_code"))?,
        tier: message.tier,
        reasons: message.reasons,
    })
}

fn version(number: i64, field: &str) -> Result<u64, DecodeError> {
    u64::try_from(number).map_err(|_negative| DecodeError::malformed(field))
}

// Both aggregates never refuse: what may be refused is found out before.
const _: fn() = || {
    fn never_refuses<D: Decider<Refusal = Infallible>>() {}
    never_refuses::<Tier>();
    never_refuses::<PolicyBook>();
};

#[cfg(test)]
mod tests {
    use civic::{ElderId, LocalDay, VisitMode};
    use proptest::prelude::*;
    use proptest::{collection::vec, sample::select};
    use uuid::Uuid;

    use super::*;
    use crate::evaluate::Jurisdiction;

    fn a_day() -> impl Strategy<Value = LocalDay> {
        (18_262..21_915).prop_map(|days| LocalDay::from_epoch_days(days).unwrap())
    }

    fn a_jurisdiction() -> impl Strategy<Value = Jurisdiction> {
        select(["0", "35", "3505", "350524", "350524100"].as_slice())
            .prop_map(|code| code.parse().unwrap())
    }

    fn an_assignment() -> impl Strategy<Value = Assignment> {
        let names = || "[A-Z][A-Z0-9_]{0,20}";
        let modes = vec(select(VisitMode::ALL), 0..4);
        let rest = (
            select(Interval::ALL.as_slice()),
            modes,
            a_jurisdiction(),
            1..1_000_u64,
        );
        (names(), vec(names(), 0..5), rest).prop_map(
            |(tier, reasons, (interval, modes, jurisdiction, version))| Assignment {
                tier,
                reasons,
                interval,
                modes: modes.into_iter().collect(),
                policy: PolicyRef {
                    jurisdiction,
                    version,
                },
                village: "350524100001".parse().unwrap(),
            },
        )
    }

    fn a_tier_event() -> impl Strategy<Value = tier::Event> {
        (any::<u128>(), an_assignment(), a_day(), 0..3).prop_map(|(elder, assignment, on, kind)| {
            let (elder, assignment) = (ElderId(Uuid::from_u128(elder)), Box::new(assignment));
            match kind {
                0 => tier::Event::Assigned {
                    elder,
                    assignment,
                    on,
                },
                1 => tier::Event::Changed {
                    elder,
                    assignment,
                    on,
                },
                _ => tier::Event::Ended { elder, on },
            }
        })
    }

    proptest! {
        #[test]
        fn events_of_a_tier_survive_the_wire(event in a_tier_event()) {
            prop_assert_eq!(Tier::decode(&Tier::encode(&event)), Ok(event));
        }

        #[test]
        fn policies_survive_the_wire(jurisdiction in a_jurisdiction(), version in 1..1_000_u64, yaml in ".*", on in a_day()) {
            let event = policy_book::Event::Published { jurisdiction, version, yaml, on };
            prop_assert_eq!(PolicyBook::decode(&PolicyBook::encode(&event)), Ok(event));
        }

        #[test]
        fn an_evaluation_repeated_changes_nothing(events in vec(a_tier_event(), 0..5), assignment in an_assignment()) {
            let before = Tier::default().evolve_all(&events);
            let elder = ElderId(Uuid::nil());
            let on = LocalDay::from_epoch_days(20_000).unwrap();
            for assignment in [Some(assignment), None] {
                let command = tier::Command::Evaluate { elder, assignment: assignment.clone(), on };
                let Ok(decided) = before.decide(&command);
                let after = before.clone().evolve_all(&decided);
                let Ok(again) = after.decide(&command);
                prop_assert_eq!(again, vec![]);
                prop_assert_eq!(after.assignment().is_some(), assignment.is_some());
            }
        }
    }

    #[test]
    fn the_bytes_of_an_event_never_change() {
        let event = tier::Event::Assigned {
            elder: ElderId(Uuid::from_u128(1)),
            assignment: Box::new(Assignment {
                tier: "PRIORITY".to_owned(),
                reasons: vec!["AGE_80".to_owned()],
                interval: Interval::Weekly,
                modes: VisitMode::Home.into(),
                policy: PolicyRef {
                    jurisdiction: Jurisdiction::National,
                    version: 1,
                },
                village: "350524100001".parse().unwrap(),
            }),
            on: LocalDay::from_ymd(2024, 10, 1).unwrap(),
        };
        let raw = Tier::encode(&event);
        assert_eq!(raw.event_type, "eldercare.tiering.v1.TierAssigned");
        let golden = b"\x0a\x2400000000-0000-0000-0000-000000000001\
                       \x12\x2a\x0a\x08PRIORITY\x12\x06AGE_80\x18\x01\x22\x01\x01\x2a\x010\x30\x01\x3a\x0c350524100001\
                       \x1a\x07\x08\xe8\x0f\x10\x0a\x18\x01";
        assert_eq!(raw.data.as_ref(), golden);
    }

    #[test]
    fn what_is_no_event_is_not_read() {
        let raw = |event_type: &str, data: &'static [u8]| RawEvent {
            event_type: event_type.to_owned(),
            data: data.into(),
        };
        assert!(matches!(
            Tier::decode(&raw("eldercare.tiering.v1.Other", b"")),
            Err(DecodeError::UnknownType(_))
        ));
        assert!(matches!(
            Tier::decode(&raw("eldercare.tiering.v1.TierEnded", b"\xff")),
            Err(DecodeError::Malformed(_))
        ));
        assert!(matches!(
            Tier::decode(&raw("eldercare.tiering.v1.TierEnded", b"")),
            Err(DecodeError::Malformed(_))
        ));
        assert!(matches!(
            PolicyBook::decode(&raw("eldercare.tiering.v1.TierEnded", b"")),
            Err(DecodeError::UnknownType(_))
        ));
    }
}
