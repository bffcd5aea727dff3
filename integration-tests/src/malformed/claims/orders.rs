//! Malformed service orders, appeals, and decisions on them.

use proto::eldercare::claims::v1 as claims;
use rand::{Rng as _, rngs::StdRng, seq::IndexedRandom as _};

use super::{no_order, no_programme, no_provider};
use crate::{
    claiming::{a_video, an_order},
    malformed::{Break, Known, Maker, maker, wrong_values::*},
    new_id, timestamp,
};

/// Of one order. Its messages are, byte for byte, also those of a stream of orders.
pub(in crate::malformed) fn of_an_order(known: &Known) -> Maker {
    use claims::*;
    let start = "2024-09-20T08:00:00+08:00";
    maker(
        method!("SubmitOrder"),
        SubmitOrderRequest {
            order: Some(an_order(["P01", "1"], &new_id(), &known.elder, start)),
            min_position: String::new(),
        },
        breaks!(SubmitOrderRequest:
            "no order" => |m, _| m.order = None,
            "min_position" => |m, r| m.min_position = no_position(r),
            "a position of another log" => |m, _| m.min_position = "TIERING:1".to_owned(),
            "provider_id" => |m, r| of(m).provider_id = no_provider(r),
            "order_id" => |m, r| of(m).order_id = no_order(r),
            "programme_code" => |m, r| of(m).programme_code = no_programme(r),
            "programme_version" => |m, r| of(m).programme_version = if r.random() { -1 } else { i32::MIN },
            "elder_id" => |m, r| of(m).elder_id = no_uuid(r),
            "caregiver_id" => |m, r| of(m).caregiver_id = no_uuid(r),
            "check_in_at" => |m, r| of(m).check_in_at = no_instant(r),
            "no check_in_at" => |m, _| of(m).check_in_at = None,
            "a check-in in the future" => |m, _| of(m).check_in_at = Some(timestamp("2024-10-01T09:00:01+08:00")),
            "check_out_at" => |m, r| of(m).check_out_at = no_instant(r),
            "no check_out_at" => |m, _| of(m).check_out_at = None,
            "a check-out in the future" => |m, _| {
                of(m).check_in_at = Some(timestamp("2024-10-01T08:00:00+08:00"));
                of(m).check_out_at = Some(timestamp("2024-10-01T09:00:01+08:00"));
            },
            "a check-out before the check-in" => |m, _| of(m).check_out_at = Some(timestamp("2024-09-20T07:59:59+08:00")),
            "a service of more than a day" => |m, _| of(m).check_out_at = Some(timestamp("2024-09-21T08:00:01+08:00")),
            "check_in" => |m, r| of(m).check_in = no_place(r),
            "no check_in" => |m, _| of(m).check_in = None,
            "item" => |m, r| of(m).items.push(no_item(r)),
            "too many items" => |m, r| of(m).items = vec!["BATHING".to_owned(); r.random_range(51..500)],
            "evidence" => |m, r| of(m).evidence.push(no_evidence(r)),
            "too much evidence" => |m, r| of(m).evidence = vec![a_video("it"); r.random_range(51..500)],
        ),
    )
}

fn of(request: &mut claims::SubmitOrderRequest) -> &mut claims::ServiceOrder {
    request.order.as_mut().expect("there")
}

fn no_item(random: &mut StdRng) -> String {
    match random.random_range(0..3) {
        0 => String::new(),
        1 => "I".repeat(random.random_range(65..2_000)),
        _ => "BATHING\0".to_owned(),
    }
}

/// The hash of no file, or of a file of no kind.
fn no_evidence(random: &mut StdRng) -> claims::Evidence {
    let valid = a_video("it");
    match random.random_range(0..3) {
        0 => claims::Evidence { kind: 0, ..valid },
        1 => claims::Evidence {
            kind: no_word(random),
            ..valid
        },
        _ => {
            let length = *[0, 1, 7, 65, 5_000].choose(random).expect("not empty");
            claims::Evidence {
                hash: vec![1; length].into(),
                ..valid
            }
        }
    }
}

pub(super) fn about_orders() -> Vec<Maker> {
    use claims::*;
    let (provider_id, order_id) = (|| "P01".to_owned(), || "1".to_owned());
    vec![
        maker(
            method!("AppealOrder"),
            AppealOrderRequest {
                request_id: new_id(),
                provider_id: provider_id(),
                order_id: order_id(),
                statement: "视频已补传".to_owned(),
                evidence: vec![a_video("the appeal")],
            },
            asked!(AppealOrderRequest:
                "provider_id" => |m, r| m.provider_id = no_provider(r),
                "order_id" => |m, r| m.order_id = no_order(r),
                "statement" => |m, r| m.statement = "文".repeat(r.random_range(2_001..20_000)),
                "no statement" => |m, _| m.statement.clear(),
                "evidence" => |m, r| m.evidence.push(no_evidence(r)),
                "too much evidence" => |m, r| m.evidence = vec![a_video("it"); r.random_range(51..500)],
            ),
        ),
        maker(
            method!("DecideAppeal"),
            DecideAppealRequest {
                request_id: new_id(),
                provider_id: provider_id(),
                order_id: order_id(),
                decision: AppealDecision::Accept.into(),
            },
            asked!(DecideAppealRequest:
                "provider_id" => |m, r| m.provider_id = no_provider(r),
                "order_id" => |m, r| m.order_id = no_order(r),
                "decision" => |m, r| m.decision = no_word(r),
                "no decision" => |m, _| m.decision = 0,
            ),
        ),
        maker(
            method!("DecideHold"),
            DecideHoldRequest {
                request_id: new_id(),
                provider_id: provider_id(),
                order_id: order_id(),
                decision: HoldDecision::Keep.into(),
                etag: String::new(),
            },
            asked!(DecideHoldRequest:
                "provider_id" => |m, r| m.provider_id = no_provider(r),
                "order_id" => |m, r| m.order_id = no_order(r),
                "decision" => |m, r| m.decision = no_word(r),
                "no decision" => |m, _| m.decision = 0,
                "etag" => |m, r| m.etag = no_etag(r),
            ),
        ),
    ]
}
