//! What becomes of money: funds, settlements, and holds on what they pay.

use civic::{DepositKind, Fen, OrderCode};
use elders::testing::{day, words};
use proptest::prelude::*;
use proto::eldercare::claims::v1 as pb;
use uuid::Uuid;

use super::{amounts, ids, numbers, refused, some_day, survives, texts};
use crate::fund::{self, Fund};
use crate::settlements::{self, Line, Settlements};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn money_survives(
        amount in amounts(),
        reserved in amounts(),
        count in numbers(),
        text in texts(),
        day in day(),
        lines in prop::collection::vec((ids(), amounts()), 0..6),
        adjustments in prop::collection::vec(ids(), 0..4),
        order in prop::option::of(ids()),
        adjustment in ids(),
    ) {
        for kind in DepositKind::ALL {
            survives::<Fund>(&fund::Event::Deposited { kind: *kind, amount, reference: text.clone(), persons: count });
        }
        survives::<Fund>(&fund::Event::Reserved { amount, orders: count });
        survives::<Fund>(&fund::Event::Paid { provider: text.clone(), number: count, amount, reserved });
        let lines = lines.into_iter().map(|(order, amount)| Line { order, amount }).collect();
        survives::<Settlements>(&settlements::Event::Drafted {
            number: count,
            month: day.month(),
            lines,
            adjustments,
            total: amount,
        });
        for on in [Some(day), None] {
            survives::<Settlements>(&settlements::Event::Confirmed { number: count, on });
        }
        survives::<Settlements>(&settlements::Event::Paid {
            number: count,
            amount,
            paid_on: day,
            reference: text.clone(),
        });
        survives::<Settlements>(&settlements::Event::Adjusted {
            adjustment,
            number: count,
            amount,
            order,
            reason: text,
        });
    }

    #[test]
    fn holds_survive(
        order in ids(),
        codes in words::<OrderCode>(),
        number in 1..=i32::MAX.cast_unsigned(),
        amount in amounts(),
        registry_sequence in any::<u64>(),
        by in texts(),
    ) {
        use settlements::Event;
        for left in [None, Some(number)] {
            survives::<Settlements>(&Event::PutOnHold { order, codes, left, registry_sequence });
        }
        for withdrawn in [true, false] {
            survives::<Settlements>(&Event::HoldEnded { order, withdrawn, by: by.clone() });
        }
        survives::<Settlements>(&Event::RecoveryListed { order, codes, number, amount, registry_sequence });
    }
}

#[test]
fn malformed_money_is_refused() {
    let deposited = fund::Event::Deposited {
        kind: DepositKind::Grant,
        amount: Fen(1),
        reference: String::new(),
        persons: 0,
    };
    refused::<Fund, pb::FundDeposited>(
        &deposited,
        &[
            |deposit| deposit.kind = 0,
            |deposit| deposit.kind = 99,
            |deposit| deposit.persons = -1,
        ],
    );
    let reserved = fund::Event::Reserved {
        amount: Fen(1),
        orders: 1,
    };
    refused::<Fund, pb::FundReserved>(&reserved, &[|reserved| reserved.orders = -1]);
    let paid = fund::Event::Paid {
        provider: "P01".to_owned(),
        number: 1,
        amount: Fen(1),
        reserved: Fen(1),
    };
    refused::<Fund, pb::FundPaid>(&paid, &[|paid| paid.settlement_number = -1]);
    let id = Uuid::from_u128(3);
    let drafted = settlements::Event::Drafted {
        number: 1,
        month: some_day().month(),
        lines: vec![Line {
            order: id,
            amount: Fen(1),
        }],
        adjustments: vec![id],
        total: Fen(1),
    };
    refused::<Settlements, pb::SettlementDrafted>(
        &drafted,
        &[
            |draft| draft.number = -1,
            |draft| draft.month = None,
            |draft| draft.lines[0].order_key.clear(),
            |draft| draft.adjustment_ids[0].clear(),
        ],
    );
    let paid = settlements::Event::Paid {
        number: 1,
        amount: Fen(1),
        paid_on: some_day(),
        reference: "V1".to_owned(),
    };
    refused::<Settlements, pb::SettlementPaid>(
        &paid,
        &[|paid| paid.number = -1, |paid| paid.paid_on = None],
    );
    let adjusted = settlements::Event::Adjusted {
        adjustment: id,
        number: 1,
        amount: Fen(1),
        order: Some(id),
        reason: String::new(),
    };
    refused::<Settlements, pb::SettlementAdjusted>(
        &adjusted,
        &[
            |adjusted| adjusted.adjustment_id.clear(),
            |adjusted| adjusted.corrected_number = -1,
            |adjusted| adjusted.order_key = "A".to_owned(),
        ],
    );
    let on_hold = settlements::Event::PutOnHold {
        order: id,
        codes: OrderCode::NotEntitled.into(),
        left: Some(1),
        registry_sequence: 9,
    };
    refused::<Settlements, pb::OrderPutOnHold>(
        &on_hold,
        &[
            |hold| hold.order_key.clear(),
            |hold| hold.codes = vec![0],
            |hold| hold.settlement_number = -1,
        ],
    );
    let ended = settlements::Event::HoldEnded {
        order: id,
        withdrawn: true,
        by: "officer:reviewer".to_owned(),
    };
    refused::<Settlements, pb::OrderHoldEnded>(&ended, &[|ended| ended.order_key.clear()]);
    let listed = settlements::Event::RecoveryListed {
        order: id,
        codes: OrderCode::NotEntitled.into(),
        number: 1,
        amount: Fen(1),
        registry_sequence: 9,
    };
    refused::<Settlements, pb::RecoveryListed>(
        &listed,
        &[
            |listed| listed.order_key.clear(),
            |listed| listed.codes = vec![99],
            |listed| listed.settlement_number = -1,
        ],
    );
}
