//! Events of an elder's year become wire bytes and back.

use elders::terms::{WireTerm as _, set_from_wire, wire_set};
use elders::wire::{self, elder, id, maybe_sealed, sealed, term, time, village, write_time};
use eventlog::{Aggregate, DecodeError, RawEvent};
use prost::Name as _;
use proto::eldercare::visits::v1 as pb;

use super::{CONTEXT, period, write_period};
use crate::elder_year::{self, ElderYear, Finding, Missed, Recorded};

impl Aggregate for ElderYear {
    const CONTEXT: &'static str = CONTEXT;
    const NAME: &'static str = "year";

    fn encode(event: &elder_year::Event) -> RawEvent {
        match event {
            elder_year::Event::Recorded(recorded) => RawEvent::of(&write_recorded(recorded)),
            elder_year::Event::Doubted { record, doubts } => RawEvent::of(&pb::RecordDoubted {
                record_id: record.to_string(),
                doubts: wire_set(*doubts),
            }),
            elder_year::Event::Confirmed { record } => RawEvent::of(&pb::RecordConfirmed {
                record_id: record.to_string(),
            }),
            elder_year::Event::Rejected { record } => RawEvent::of(&pb::RecordRejected {
                record_id: record.to_string(),
            }),
            elder_year::Event::DutyMet {
                elder,
                period,
                record,
                late,
            } => RawEvent::of(&pb::DutyMet {
                elder_id: elder.to_string(),
                period: Some(write_period(*period)),
                record_id: record.to_string(),
                late: *late,
            }),
            elder_year::Event::Missed(missed) => RawEvent::of(&pb::VisitMissed {
                elder_id: missed.elder.to_string(),
                period: Some(write_period(missed.period)),
                tier: missed.tier.clone(),
                division_code: missed.village.to_string(),
                blocked_by_consent: missed.blocked_by_consent,
            }),
            elder_year::Event::ReferralOpened {
                referral,
                record,
                finding,
            } => RawEvent::of(&pb::ReferralOpened {
                referral_id: referral.to_string(),
                record_id: record.to_string(),
                finding: Some(pb::Finding {
                    kind: finding.kind.wire(),
                    note: finding.note.as_ref().map(Into::into),
                }),
                department: finding.kind.department().to_owned(),
            }),
            elder_year::Event::ReferralAnswered {
                referral,
                department,
                answer,
            } => RawEvent::of(&pb::ReferralAnswered {
                referral_id: referral.to_string(),
                department: department.clone(),
                answer: Some(answer.into()),
            }),
            elder_year::Event::ReferralClosed { referral, outcome } => {
                RawEvent::of(&pb::ReferralClosed {
                    referral_id: referral.to_string(),
                    outcome: outcome.wire(),
                })
            }
        }
    }

    fn decode(raw: &RawEvent) -> Result<elder_year::Event, DecodeError> {
        let name = raw.event_type.as_str();
        if name == pb::VisitRecorded::full_name() {
            Ok(elder_year::Event::Recorded(Box::new(recorded(
                wire::message(raw)?,
            )?)))
        } else if name == pb::RecordDoubted::full_name() {
            let message: pb::RecordDoubted = wire::message(raw)?;
            Ok(elder_year::Event::Doubted {
                record: id(&message.record_id, "record_id")?,
                doubts: set_from_wire(&message.doubts)
                    .map_err(|_index| DecodeError::malformed("doubts"))?,
            })
        } else if name == pb::RecordConfirmed::full_name() {
            let message: pb::RecordConfirmed = wire::message(raw)?;
            Ok(elder_year::Event::Confirmed {
                record: id(&message.record_id, "record_id")?,
            })
        } else if name == pb::RecordRejected::full_name() {
            let message: pb::RecordRejected = wire::message(raw)?;
            Ok(elder_year::Event::Rejected {
                record: id(&message.record_id, "record_id")?,
            })
        } else if name == pb::DutyMet::full_name() {
            let message: pb::DutyMet = wire::message(raw)?;
            Ok(elder_year::Event::DutyMet {
                elder: elder(&message.elder_id)?,
                period: period(message.period)?,
                record: id(&message.record_id, "record_id")?,
                late: message.late,
            })
        } else if name == pb::VisitMissed::full_name() {
            let message: pb::VisitMissed = wire::message(raw)?;
            Ok(elder_year::Event::Missed(Missed {
                elder: elder(&message.elder_id)?,
                period: period(message.period)?,
                tier: message.tier,
                village: village(&message.division_code)?,
                blocked_by_consent: message.blocked_by_consent,
            }))
        } else if name == pb::ReferralOpened::full_name() {
            let message: pb::ReferralOpened = wire::message(raw)?;
            let finding = wire::present(message.finding, "finding")?;
            Ok(elder_year::Event::ReferralOpened {
                referral: id(&message.referral_id, "referral_id")?,
                record: id(&message.record_id, "record_id")?,
                finding: Finding {
                    kind: term(finding.kind, "kind")?,
                    note: maybe_sealed(finding.note, "note")?,
                },
            })
        } else if name == pb::ReferralAnswered::full_name() {
            let message: pb::ReferralAnswered = wire::message(raw)?;
            Ok(elder_year::Event::ReferralAnswered {
                referral: id(&message.referral_id, "referral_id")?,
                department: message.department,
                answer: sealed(message.answer, "answer")?,
            })
        } else if name == pb::ReferralClosed::full_name() {
            let message: pb::ReferralClosed = wire::message(raw)?;
            Ok(elder_year::Event::ReferralClosed {
                referral: id(&message.referral_id, "referral_id")?,
                outcome: term(message.outcome, "outcome")?,
            })
        } else {
            Err(DecodeError::unknown(raw))
        }
    }
}

fn write_recorded(recorded: &Recorded) -> pb::VisitRecorded {
    pb::VisitRecorded {
        record_id: recorded.record.to_string(),
        elder_id: recorded.elder.to_string(),
        visitor_id: recorded.visitor.to_string(),
        mode: recorded.mode.wire(),
        result: recorded.result.wire(),
        start_time: Some(write_time(recorded.start)),
        end_time: Some(write_time(recorded.end)),
        services: wire_set(recorded.services),
        signed: recorded.signed,
        check_in: recorded.check_in.as_ref().map(Into::into),
        remarks: recorded.remarks.as_ref().map(Into::into),
        photo_hashes: recorded
            .photos
            .iter()
            .map(|photo| photo.to_vec().into())
            .collect(),
        division_code: recorded.village.to_string(),
    }
}

fn recorded(message: pb::VisitRecorded) -> Result<Recorded, DecodeError> {
    Ok(Recorded {
        record: id(&message.record_id, "record_id")?,
        elder: elder(&message.elder_id)?,
        visitor: id(&message.visitor_id, "visitor_id")?,
        mode: term(message.mode, "mode")?,
        result: term(message.result, "result")?,
        start: time(message.start_time, "start_time")?,
        end: time(message.end_time, "end_time")?,
        services: set_from_wire(&message.services)
            .map_err(|_index| DecodeError::malformed("services"))?,
        signed: message.signed,
        check_in: maybe_sealed(message.check_in, "check_in")?,
        remarks: maybe_sealed(message.remarks, "remarks")?,
        photos: message
            .photo_hashes
            .iter()
            .map(|photo| photo.as_ref().try_into())
            .collect::<Result<_, _>>()
            .map_err(|_length| DecodeError::malformed("photo_hashes"))?,
        village: village(&message.division_code)?,
    })
}
