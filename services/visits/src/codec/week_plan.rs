//! Events of a week's plan become wire bytes and back.

use std::collections::BTreeMap;

use civic::{IsoWeek, SkipReason, UnplannedReason};
use elders::codec::write_day;
use elders::terms::WireTerm as _;
use elders::wire::{self, day, division, elder, id, term, village};
use eventlog::{Aggregate, DecodeError, RawEvent};
use prost::Name as _;
use proto::eldercare::visits::v1 as pb;

use super::CONTEXT;
use crate::week_plan::{Change, Entry, Event, PlanId, Planned, PlannedVisit, Slot, WeekPlan};

impl Aggregate for WeekPlan {
    const CONTEXT: &'static str = CONTEXT;
    const NAME: &'static str = "plan";

    fn encode(event: &Event) -> RawEvent {
        match event {
            Event::Planned(planned) => RawEvent::of(&pb::WeekPlanned {
                county_code: planned.plan.county.to_string(),
                week: planned.plan.week.to_string(),
                division_code: planned.division.to_string(),
                seed: planned.seed,
                entries: planned
                    .entries
                    .iter()
                    .map(|(elder, entry)| write_entry(*elder, entry))
                    .collect(),
            }),
            Event::Adjusted {
                plan,
                elder,
                change,
            } => RawEvent::of(&pb::PlanAdjusted {
                county_code: plan.county.to_string(),
                week: plan.week.to_string(),
                elder_id: elder.to_string(),
                change: Some(match change {
                    Change::Moved(visit) => pb::plan_adjusted::Change::Moved(write_visit(visit)),
                    Change::Pinned => {
                        pb::plan_adjusted::Change::Marked(pb::PlanMark::Pinned.into())
                    }
                    Change::Released => {
                        pb::plan_adjusted::Change::Marked(pb::PlanMark::Released.into())
                    }
                    Change::Skipped(reason) => pb::plan_adjusted::Change::Skipped(reason.wire()),
                }),
            }),
        }
    }

    fn decode(raw: &RawEvent) -> Result<Event, DecodeError> {
        let name = raw.event_type.as_str();
        if name == pb::WeekPlanned::full_name() {
            let message: pb::WeekPlanned = wire::message(raw)?;
            Ok(Event::Planned(Box::new(Planned {
                plan: plan(&message.county_code, &message.week)?,
                division: division(&message.division_code)?,
                seed: message.seed,
                entries: message
                    .entries
                    .iter()
                    .map(entry)
                    .collect::<Result<BTreeMap<_, _>, _>>()?,
            })))
        } else if name == pb::PlanAdjusted::full_name() {
            let message: pb::PlanAdjusted = wire::message(raw)?;
            let change = match message.change {
                Some(pb::plan_adjusted::Change::Moved(moved)) => Change::Moved(visit(&moved)?),
                Some(pb::plan_adjusted::Change::Marked(mark)) => match pb::PlanMark::try_from(mark)
                {
                    Ok(pb::PlanMark::Pinned) => Change::Pinned,
                    Ok(pb::PlanMark::Released) => Change::Released,
                    Ok(pb::PlanMark::Unspecified) | Err(_) => {
                        return Err(DecodeError::malformed("marked"));
                    }
                },
                Some(pb::plan_adjusted::Change::Skipped(reason)) => {
                    Change::Skipped(term(reason, "skipped")?)
                }
                None => return Err(DecodeError::malformed("change")),
            };
            Ok(Event::Adjusted {
                plan: plan(&message.county_code, &message.week)?,
                elder: elder(&message.elder_id)?,
                change,
            })
        } else {
            Err(DecodeError::unknown(raw))
        }
    }
}

/// What a plan says of an elder, as a protobuf message.
#[must_use]
pub fn write_entry(elder: civic::ElderId, entry: &Entry) -> pb::PlanEntry {
    use pb::plan_entry::Planned;
    pb::PlanEntry {
        elder_id: elder.to_string(),
        division_code: entry.village.to_string(),
        planned: Some(match &entry.slot {
            Slot::Visit(visit) => Planned::Visit(write_visit(visit)),
            Slot::Talk { visitor, day } => Planned::Talk(pb::PlannedTalk {
                visitor_id: visitor.to_string(),
                day: Some(write_day(*day)),
            }),
            Slot::Unplanned(reason) => Planned::Unplanned(reason.wire()),
            Slot::Skipped(reason) => Planned::Skipped(reason.wire()),
        }),
    }
}

fn write_visit(visit: &PlannedVisit) -> pb::PlannedVisit {
    pb::PlannedVisit {
        visitor_id: visit.visitor.to_string(),
        day: Some(write_day(visit.day)),
        place: i32::from(visit.place),
        mode: visit.mode.wire(),
        pinned: visit.pinned,
    }
}

fn plan(county: &str, week: &str) -> Result<PlanId, DecodeError> {
    let week: IsoWeek = week
        .parse()
        .map_err(|_week| DecodeError::malformed("week"))?;
    Ok(PlanId {
        county: division(county)?,
        week,
    })
}

fn entry(message: &pb::PlanEntry) -> Result<(civic::ElderId, Entry), DecodeError> {
    use pb::plan_entry::Planned;
    let slot = match &message.planned {
        Some(Planned::Visit(planned)) => Slot::Visit(visit(planned)?),
        Some(Planned::Talk(talk)) => Slot::Talk {
            visitor: id(&talk.visitor_id, "visitor_id")?,
            day: day(talk.day, "day")?,
        },
        Some(Planned::Unplanned(reason)) => {
            Slot::Unplanned(term::<UnplannedReason>(*reason, "unplanned")?)
        }
        Some(Planned::Skipped(reason)) => Slot::Skipped(term::<SkipReason>(*reason, "skipped")?),
        None => return Err(DecodeError::malformed("planned")),
    };
    let entry = Entry {
        village: village(&message.division_code)?,
        slot,
    };
    Ok((elder(&message.elder_id)?, entry))
}

fn visit(message: &pb::PlannedVisit) -> Result<PlannedVisit, DecodeError> {
    Ok(PlannedVisit {
        visitor: id(&message.visitor_id, "visitor_id")?,
        day: day(message.day, "day")?,
        place: u16::try_from(message.place).map_err(|_place| DecodeError::malformed("place"))?,
        mode: term(message.mode, "mode")?,
        pinned: message.pinned,
    })
}

#[cfg(test)]
mod tests {
    use civic::{ElderId, VisitMode};
    use uuid::Uuid;

    use super::*;

    fn some_visit() -> PlannedVisit {
        PlannedVisit {
            visitor: Uuid::from_u128(3),
            day: "2024-10-14".parse().unwrap(),
            place: 2,
            mode: VisitMode::Home,
            pinned: true,
        }
    }

    fn planned() -> Event {
        let slots = [
            Slot::Visit(some_visit()),
            Slot::Talk {
                visitor: Uuid::from_u128(3),
                day: "2024-10-14".parse().unwrap(),
            },
            Slot::Unplanned(UnplannedReason::CapacityExhausted),
            Slot::Skipped(SkipReason::Away),
        ];
        let entries = slots.into_iter().zip(1..).map(|(slot, number)| {
            let entry = Entry {
                village: "350524100001".parse().unwrap(),
                slot,
            };
            (ElderId(Uuid::from_u128(number)), entry)
        });
        Event::Planned(Box::new(Planned {
            plan: plan("350524", "2024-W42").unwrap(),
            division: "350524100".parse().unwrap(),
            seed: 7,
            entries: entries.collect(),
        }))
    }

    fn adjusted(change: Change) -> Event {
        Event::Adjusted {
            plan: plan("350524", "2024-W42").unwrap(),
            elder: ElderId(Uuid::from_u128(1)),
            change,
        }
    }

    #[test]
    fn events_of_a_plan_survive_the_wire() {
        let events = [
            planned(),
            adjusted(Change::Moved(some_visit())),
            adjusted(Change::Pinned),
            adjusted(Change::Released),
            adjusted(Change::Skipped(SkipReason::WayNotSafe)),
        ];
        for event in events {
            assert_eq!(WeekPlan::decode(&WeekPlan::encode(&event)), Ok(event));
        }
    }

    #[test]
    fn the_bytes_of_a_plan_never_change() {
        let raw = WeekPlan::encode(&planned());
        assert_eq!(raw.event_type, "eldercare.visits.v1.WeekPlanned");
        let golden = b"\x0a\x06350524\x12\x082024-W42\x1a\x09350524100\x20\x07\
            \x2a\x6b\x0a\x2400000000-0000-0000-0000-000000000001\x12\x0c350524100001\
            \x1a\x35\x0a\x2400000000-0000-0000-0000-000000000003\x12\x07\x08\xe8\x0f\x10\x0a\x18\x0e\x18\x02\x20\x01\x28\x01\
            \x2a\x65\x0a\x2400000000-0000-0000-0000-000000000002\x12\x0c350524100001\
            \x22\x2f\x0a\x2400000000-0000-0000-0000-000000000003\x12\x07\x08\xe8\x0f\x10\x0a\x18\x0e\
            \x2a\x36\x0a\x2400000000-0000-0000-0000-000000000003\x12\x0c350524100001\x28\x04\
            \x2a\x36\x0a\x2400000000-0000-0000-0000-000000000004\x12\x0c350524100001\x30\x01";
        assert_eq!(raw.data.as_ref(), golden);
    }

    #[test]
    fn the_bytes_of_an_adjustment_never_change() {
        let raw = WeekPlan::encode(&adjusted(Change::Pinned));
        assert_eq!(raw.event_type, "eldercare.visits.v1.PlanAdjusted");
        let golden =
            b"\x0a\x06350524\x12\x082024-W42\x1a\x2400000000-0000-0000-0000-000000000001\x28\x01";
        assert_eq!(raw.data.as_ref(), golden);
    }

    #[test]
    fn what_is_no_event_of_a_plan_is_not_read() {
        let read = |name: &'static str| {
            WeekPlan::decode(&RawEvent {
                event_type: format!("eldercare.visits.v1.{name}"),
                data: b"".as_slice().into(),
            })
        };
        assert!(matches!(read("Other"), Err(DecodeError::UnknownType(_))));
        for name in ["WeekPlanned", "PlanAdjusted"] {
            assert!(matches!(read(name), Err(DecodeError::Malformed(_))));
        }
    }
}
