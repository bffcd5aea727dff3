//! Malformed records of visits, and decisions on records and on what was found.

use proto::eldercare::{
    r#type::v1 as types,
    visits::v1::{self as visits, export_records_request::Whose},
};
use rand::{Rng as _, seq::IndexedRandom as _};

use super::no_id_of_a_caller;
use crate::{
    date,
    malformed::{Break, Known, Maker, maker, wrong_values::*},
    new_id,
    visiting::a_visit,
};

/// Of one record. Its messages are, byte for byte, also those of a stream of records.
pub(in crate::malformed) fn of_a_record(known: &Known) -> Maker {
    use visits::*;
    let record = VisitRecord {
        remarks: "一切安好".to_owned(),
        check_in: Some(types::GeoPosition {
            latitude: 25.06,
            longitude: 118.18,
        }),
        photo_hashes: vec![vec![7; 32].into()],
        findings: vec![FoundProblem {
            kind: FindingKind::Medical.into(),
            note: String::new(),
        }],
        ..a_visit(&known.visitor, &known.elder, "2024-10-01T08:00:00+08:00")
    };
    maker(
        method!("RecordVisit"),
        RecordVisitRequest {
            record: Some(record),
            min_position: String::new(),
        },
        breaks!(RecordVisitRequest:
            "no record" => |m, _| m.record = None,
            "min_position" => |m, r| m.min_position = no_position(r),
            "record_id" => |m, r| of(m).record_id = no_id_of_a_caller(r),
            "elder_id" => |m, r| of(m).elder_id = no_uuid(r),
            "visitor_id" => |m, r| of(m).visitor_id = no_uuid(r),
            "mode" => |m, r| of(m).mode = no_word(r),
            "no mode" => |m, _| of(m).mode = 0,
            "result" => |m, r| of(m).result = no_word(r),
            "no result" => |m, _| of(m).result = 0,
            "start_time" => |m, r| of(m).start_time = no_time(r),
            "no start_time" => |m, _| of(m).start_time = None,
            "end_time" => |m, r| of(m).end_time = no_time(r),
            "no end_time" => |m, _| of(m).end_time = None,
            "services" => |m, r| of(m).services = vec![1, no_word(r)],
            "remarks" => |m, r| of(m).remarks = too_long(r),
            "check_in" => |m, r| of(m).check_in = no_place(r),
            "a photo of another length" => |m, r| of(m).photo_hashes = vec![vec![1; *[0, 16, 31, 33, 64].choose(r).expect("not empty")].into()],
            "too many photos" => |m, r| of(m).photo_hashes = vec![vec![1; 32].into(); r.random_range(21..500)],
            "finding" => |m, r| of(m).findings[0].kind = no_word(r),
            "no finding" => |m, _| of(m).findings[0].kind = 0,
            "note" => |m, r| of(m).findings[0].note = too_long(r),
            "too many findings" => |m, _| { let one = of(m).findings[0].clone(); of(m).findings = vec![one; 10]; },
        ),
    )
}

fn of(request: &mut visits::RecordVisitRequest) -> &mut visits::VisitRecord {
    request.record.as_mut().expect("there")
}

pub(super) fn about_records(known: &Known) -> Vec<Maker> {
    use visits::*;
    vec![
        maker(
            method!("ConfirmRecord"),
            ConfirmRecordRequest {
                request_id: new_id(),
                record_id: new_id(),
                min_position: String::new(),
            },
            asked!(ConfirmRecordRequest:
                "record_id" => |m, r| m.record_id = no_uuid(r),
                "min_position" => |m, r| m.min_position = no_position(r),
            ),
        ),
        maker(
            method!("RejectRecord"),
            RejectRecordRequest {
                request_id: new_id(),
                record_id: new_id(),
                min_position: String::new(),
            },
            asked!(RejectRecordRequest:
                "record_id" => |m, r| m.record_id = no_uuid(r),
                "min_position" => |m, r| m.min_position = no_position(r),
            ),
        ),
        maker(
            method!("AnswerReferral"),
            AnswerReferralRequest {
                request_id: new_id(),
                referral_id: new_id(),
                answer: "已安排修缮".to_owned(),
                min_position: String::new(),
            },
            asked!(AnswerReferralRequest:
                "referral_id" => |m, r| m.referral_id = no_uuid(r),
                "answer" => |m, r| m.answer = too_long(r),
                "no answer" => |m, _| m.answer.clear(),
                "min_position" => |m, r| m.min_position = no_position(r),
            ),
        ),
        maker(
            method!("CloseReferral"),
            CloseReferralRequest {
                request_id: new_id(),
                referral_id: new_id(),
                outcome: ReferralOutcome::Solved.into(),
                min_position: String::new(),
            },
            asked!(CloseReferralRequest:
                "referral_id" => |m, r| m.referral_id = no_uuid(r),
                "outcome" => |m, r| m.outcome = no_word(r),
                "no outcome" => |m, _| m.outcome = 0,
                "min_position" => |m, r| m.min_position = no_position(r),
            ),
        ),
        maker(
            method!("ExportRecords"),
            ExportRecordsRequest {
                whose: Some(Whose::ElderId(known.elder.clone())),
                first_day: Some(date("2024-09-01")),
                last_day: Some(date("2024-09-30")),
                min_position: String::new(),
            },
            breaks!(ExportRecordsRequest:
                "nobody" => |m, _| m.whose = None,
                "elder_id" => |m, r| m.whose = Some(Whose::ElderId(no_uuid(r))),
                "division_code" => |m, r| m.whose = Some(Whose::DivisionCode(no_division(r))),
                "first_day" => |m, r| m.first_day = no_date(r),
                "no first_day" => |m, _| m.first_day = None,
                "last_day" => |m, r| m.last_day = no_date(r),
                "no last_day" => |m, _| m.last_day = None,
                "the last day before the first" => |m, _| m.last_day = Some(date("2024-08-31")),
                "more than a year" => |m, _| m.last_day = Some(date("2025-09-02")),
                "min_position" => |m, r| m.min_position = no_position(r),
            ),
        ),
    ]
}
