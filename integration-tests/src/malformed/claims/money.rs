//! Malformed commands about settlements and funds: sums that nobody can pay, days that have not come, vouchers without a number.

use proto::eldercare::claims::v1 as claims;
use rand::{Rng as _, rngs::StdRng, seq::IndexedRandom as _};

use super::{no_number, no_programme, no_provider};
use crate::{
    claiming::{PROGRAMME, a_draft, a_grant},
    date,
    malformed::{Break, Maker, maker, wrong_values::*},
    new_id,
};

/// More than comes in at once: ten billion yuan and a fen.
const TOO_MUCH: i64 = 1_000_000_000_001;

fn no_grant(random: &mut StdRng) -> i64 {
    *[0, -1, -20_000, TOO_MUCH, i64::MAX, i64::MIN]
        .choose(random)
        .expect("not empty")
}

fn no_adjustment(random: &mut StdRng) -> i64 {
    *[0, TOO_MUCH, -TOO_MUCH, i64::MAX, i64::MIN]
        .choose(random)
        .expect("not empty")
}

fn no_reason(random: &mut StdRng) -> String {
    match random.random_range(0..3) {
        0 => String::new(),
        1 => "因".repeat(random.random_range(201..5_000)),
        _ => "已故\0".to_owned(),
    }
}

pub(super) fn about_money() -> Vec<Maker> {
    use claims::*;
    let (programme_code, provider_id) = (|| PROGRAMME.to_owned(), || "P01".to_owned());
    vec![
        maker(
            method!("DraftSettlement"),
            a_draft("P01"),
            asked!(DraftSettlementRequest:
                "programme_code" => |m, r| m.programme_code = no_programme(r),
                "provider_id" => |m, r| m.provider_id = no_provider(r),
                "month_of" => |m, r| m.month_of = no_date(r),
                "no month_of" => |m, _| m.month_of = None,
            ),
        ),
        maker(
            method!("ConfirmSettlement"),
            ConfirmSettlementRequest {
                request_id: new_id(),
                programme_code: programme_code(),
                provider_id: provider_id(),
                number: 1,
                total_fen: 20_000,
            },
            asked!(ConfirmSettlementRequest:
                "programme_code" => |m, r| m.programme_code = no_programme(r),
                "provider_id" => |m, r| m.provider_id = no_provider(r),
                "number" => |m, r| m.number = no_number(r),
            ),
        ),
        maker(
            method!("RecordPayment"),
            RecordPaymentRequest {
                request_id: new_id(),
                programme_code: programme_code(),
                provider_id: provider_id(),
                number: 1,
                amount_fen: 20_000,
                paid_on: Some(date("2024-10-01")),
                reference: "转账1".to_owned(),
            },
            asked!(RecordPaymentRequest:
                "programme_code" => |m, r| m.programme_code = no_programme(r),
                "provider_id" => |m, r| m.provider_id = no_provider(r),
                "number" => |m, r| m.number = no_number(r),
                "paid_on" => |m, r| m.paid_on = no_date(r),
                "no paid_on" => |m, _| m.paid_on = None,
                "a payment to come" => |m, _| m.paid_on = Some(date("2024-10-02")),
                "reference" => |m, r| m.reference = no_name(r),
            ),
        ),
        maker(
            method!("AdjustSettlement"),
            AdjustSettlementRequest {
                request_id: new_id(),
                programme_code: programme_code(),
                provider_id: provider_id(),
                number: 1,
                amount_fen: -20_000,
                order_id: "1".to_owned(),
                reason: "服务日前已故".to_owned(),
            },
            asked!(AdjustSettlementRequest:
                "programme_code" => |m, r| m.programme_code = no_programme(r),
                "provider_id" => |m, r| m.provider_id = no_provider(r),
                "number" => |m, r| m.number = no_number(r),
                "amount_fen" => |m, r| m.amount_fen = no_adjustment(r),
                "reason" => |m, r| m.reason = no_reason(r),
            ),
        ),
        maker(
            method!("FundDeposit"),
            a_grant(20_000),
            asked!(FundDepositRequest:
                "programme_code" => |m, r| m.programme_code = no_programme(r),
                "amount_fen" => |m, r| m.amount_fen = no_grant(r),
                "kind" => |m, r| m.kind = no_word(r),
                "no kind" => |m, _| m.kind = 0,
                "premiums" => |m, _| m.kind = DepositKind::Premium.into(),
                "reference" => |m, r| m.reference = no_name(r),
            ),
        ),
    ]
}
