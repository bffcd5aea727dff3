//! What the adjudicator says.

use civic::{ElderId, Fen, NotSettledReason, OrderCode};
use elders::testing::{day, word, words};
use proptest::prelude::*;
use proto::eldercare::claims::v1 as pb;
use uuid::Uuid;

use super::{amounts, elders, ids, numbers, refused, some_day, survives, texts};
use crate::adjudication::{self, Runs, Year};

fn years() -> impl Strategy<Value = Year> {
    (texts(), elders(), 2_000..2_100).prop_map(|(programme, elder, year)| Year {
        programme,
        elder,
        year,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn verdicts_survive(
        order in ids(),
        year in years(),
        provider in texts(),
        day in day(),
        amount in amounts(),
        units in any::<i64>(),
        codes in words::<OrderCode>(),
        conflicts in prop::collection::vec((word::<OrderCode>(), ids()), 0..6),
        premiums in numbers(),
    ) {
        use adjudication::Event;
        let Year { programme, elder, .. } = year.clone();
        for on_appeal in [true, false] {
            survives::<Runs>(&Event::Approved {
                order,
                programme: programme.clone(),
                provider: provider.clone(),
                elder,
                day,
                amount,
                on_appeal,
            });
        }
        survives::<Runs>(&Event::Held { order, codes, conflicts });
        survives::<Runs>(&Event::Consumed { order, year: year.clone(), units });
        survives::<Runs>(&Event::Released { order, year, units });
        survives::<Runs>(&Event::PremiumsBooked { programme, amount, premiums });
        for reason in NotSettledReason::ALL {
            survives::<Runs>(&Event::NotSettled { order, reason: *reason });
        }
    }
}

#[test]
fn malformed_verdicts_are_refused() {
    use adjudication::Event;
    let order = Uuid::from_u128(1);
    let year = Year {
        programme: "LTCI".to_owned(),
        elder: ElderId(Uuid::from_u128(2)),
        year: 2024,
    };
    let approved = Event::Approved {
        order,
        programme: "LTCI".to_owned(),
        provider: "P01".to_owned(),
        elder: year.elder,
        day: some_day(),
        amount: Fen(20_000),
        on_appeal: false,
    };
    refused::<Runs, pb::OrderApproved>(
        &approved,
        &[
            |verdict| verdict.order_key.clear(),
            |verdict| verdict.elder_id.clear(),
            |verdict| verdict.service_day = None,
        ],
    );
    let held = Event::Held {
        order,
        codes: OrderCode::DuplicateService.into(),
        conflicts: vec![(OrderCode::DuplicateService, order)],
    };
    refused::<Runs, pb::OrderHeldAbnormal>(
        &held,
        &[
            |verdict| verdict.order_key.clear(),
            |verdict| verdict.codes = vec![0],
            |verdict| verdict.conflicts[0].code = 0,
            |verdict| verdict.conflicts[0].order_key.clear(),
        ],
    );
    let consumed = Event::Consumed {
        order,
        year: year.clone(),
        units: 1,
    };
    refused::<Runs, pb::EntitlementConsumed>(
        &consumed,
        &[
            |verdict| verdict.order_key.clear(),
            |verdict| verdict.elder_id.clear(),
        ],
    );
    let released = Event::Released {
        order,
        year,
        units: 1,
    };
    refused::<Runs, pb::EntitlementReleased>(&released, &[|verdict| verdict.elder_id.clear()]);
    let booked = Event::PremiumsBooked {
        programme: "LTCI".to_owned(),
        amount: Fen(30_000),
        premiums: 1,
    };
    refused::<Runs, pb::PremiumsBooked>(&booked, &[|verdict| verdict.premiums = -1]);
}
