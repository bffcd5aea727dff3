//! Questions and commands about what there is not in claims, or about sums that nobody owes: each is refused as what it is.

use integration_tests::{
    Setup, System,
    claiming::{
        PRICE, PROGRAMME, a_caregiver, a_confirmation, a_contract, a_draft, a_grant, a_payment,
        an_order, approved, drafted, enrolled, fund, grant, programme, provider,
    },
    date, new_id, reason,
};
use proto::eldercare::claims::v1::{
    self as pb, AdjustSettlementRequest, AppealOrderRequest, ConfirmSettlementRequest,
    DecideAppealRequest, DecideHoldRequest, DraftSettlementRequest, EndContractRequest,
    EndEnrolmentRequest, FundDepositRequest, GetEntitlementRequest, GetFundRequest,
    GetOrderRequest, GetProgrammeRequest, GetSettlementRequest, RecordPaymentRequest,
    RetireCaregiverRequest,
};
use tonic::{Code, Status};

use super::is_typed;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_asks_about_what_there_is_not_is_told_so() {
    let system = System::start_with(Setup::with_claims()).await;
    programme(&system, PROGRAMME).await;
    let she = provider(&system, "P01").await;
    let elder = enrolled(&system, "林阿婆").await;
    let orders = [an_order(
        ["P01", "1"],
        &she,
        &elder,
        "2024-09-20T08:00:00+08:00",
    )];
    approved(&system, &orders).await;
    let draft = drafted(&system, "P01").await;
    let before = system.written().await;
    let (mut claims, mut review) = (system.claims(), system.review());
    let request_id = new_id;
    let (programme_code, provider_id) = (|| PROGRAMME.to_owned(), || "P01".to_owned());
    let no_programme = "HOMECARE";
    let draft_of = |provider: &str, programme: &str| DraftSettlementRequest {
        programme_code: programme.to_owned(),
        ..a_draft(provider)
    };
    let confirm = ConfirmSettlementRequest {
        number: 2,
        ..a_confirmation(&draft)
    };
    let wrong_sums = [i64::MIN, -PRICE, 0, PRICE + 1, i64::MAX];
    let mut refusals: Vec<(&str, Option<Status>)> = Vec::new();
    macro_rules! told {
        ($reason:literal, $client:ident . $method:ident ($request:expr)) => {
            refusals.push(($reason, $client.$method($request).await.err()));
        };
    }
    told!(
        "PROGRAMME_NOT_FOUND",
        claims.contract_provider(a_contract("P01", no_programme))
    );
    told!(
        "ALREADY_CONTRACTED",
        claims.contract_provider(a_contract("P01", PROGRAMME))
    );
    told!(
        "CONTRACT_NOT_FOUND",
        claims.end_contract(EndContractRequest {
            request_id: request_id(),
            provider_id: provider_id(),
            contract_id: new_id(),
            last_day: Some(date("2024-12-31")),
        })
    );
    told!(
        "PROVIDER_NOT_FOUND",
        claims.register_caregiver(a_caregiver("P99", "王护理"))
    );
    told!(
        "CAREGIVER_NOT_FOUND",
        claims.retire_caregiver(RetireCaregiverRequest {
            request_id: request_id(),
            caregiver_id: new_id(),
            last_day: Some(date("2024-12-31")),
        })
    );
    told!(
        "BEFORE_FIRST_DAY",
        claims.retire_caregiver(RetireCaregiverRequest {
            request_id: request_id(),
            caregiver_id: she.clone(),
            last_day: Some(date("2023-12-31")),
        })
    );
    told!(
        "ENROLMENT_NOT_FOUND",
        claims.end_enrolment(EndEnrolmentRequest {
            request_id: request_id(),
            programme_code: programme_code(),
            elder_id: elder.clone(),
            enrolment_id: new_id(),
            last_day: Some(date("2024-06-30")),
        })
    );
    let appeal = |order_id: &str| AppealOrderRequest {
        request_id: request_id(),
        provider_id: provider_id(),
        order_id: order_id.to_owned(),
        statement: "请复核".to_owned(),
        evidence: vec![],
    };
    told!("ORDER_NOT_FOUND", claims.appeal_order(appeal("9")));
    told!("NOT_ABNORMAL", claims.appeal_order(appeal("1")));
    let decide = |order_id: &str| DecideAppealRequest {
        request_id: request_id(),
        provider_id: provider_id(),
        order_id: order_id.to_owned(),
        decision: pb::AppealDecision::Accept.into(),
    };
    told!("ORDER_NOT_FOUND", review.decide_appeal(decide("9")));
    told!("NOT_APPEALED", review.decide_appeal(decide("1")));
    let hold = |order_id: &str| DecideHoldRequest {
        request_id: request_id(),
        provider_id: provider_id(),
        order_id: order_id.to_owned(),
        decision: pb::HoldDecision::Withdraw.into(),
        etag: String::new(),
    };
    told!("ORDER_NOT_FOUND", review.decide_hold(hold("9")));
    told!("NOT_ON_HOLD", review.decide_hold(hold("1")));
    told!(
        "PROGRAMME_NOT_FOUND",
        claims.draft_settlement(draft_of("P01", no_programme))
    );
    told!(
        "NOTHING_TO_SETTLE",
        claims.draft_settlement(draft_of("P99", PROGRAMME))
    );
    told!("SETTLEMENT_NOT_FOUND", review.confirm_settlement(confirm));
    for total_fen in wrong_sums {
        told!(
            "TOTAL_CHANGED",
            review.confirm_settlement(ConfirmSettlementRequest {
                total_fen,
                ..a_confirmation(&draft)
            })
        );
        told!(
            "NOT_CONFIRMED",
            review.record_payment(RecordPaymentRequest {
                amount_fen: total_fen,
                ..a_payment(&draft)
            })
        );
    }
    told!(
        "FUND_OVERDRAWN",
        review.confirm_settlement(a_confirmation(&draft))
    );
    told!(
        "NOT_PAID",
        review.adjust_settlement(AdjustSettlementRequest {
            request_id: request_id(),
            programme_code: programme_code(),
            provider_id: provider_id(),
            number: 1,
            amount_fen: -1,
            order_id: String::new(),
            reason: "多付一分".to_owned(),
        })
    );
    told!(
        "PROGRAMME_NOT_FOUND",
        claims.fund_deposit(FundDepositRequest {
            programme_code: no_programme.to_owned(),
            ..a_grant(PRICE)
        })
    );
    told!(
        "PROGRAMME_NOT_FOUND",
        claims.get_fund(GetFundRequest {
            programme_code: no_programme.to_owned(),
            ..Default::default()
        })
    );
    told!(
        "VERSION_NOT_FOUND",
        claims.get_programme(GetProgrammeRequest {
            programme_code: programme_code(),
            version: 2,
            ..Default::default()
        })
    );
    told!(
        "ELDER_NOT_FOUND",
        claims.get_entitlement(GetEntitlementRequest {
            programme_code: programme_code(),
            elder_id: new_id(),
            ..Default::default()
        })
    );
    told!(
        "ORDER_NOT_FOUND",
        claims.get_order(GetOrderRequest {
            provider_id: provider_id(),
            order_id: "9".to_owned(),
            ..Default::default()
        })
    );
    told!(
        "SETTLEMENT_NOT_FOUND",
        claims.get_settlement(GetSettlementRequest {
            programme_code: programme_code(),
            provider_id: provider_id(),
            number: 2,
            ..Default::default()
        })
    );
    for (place, (expected, refused)) in refusals.into_iter().enumerate() {
        let refused = refused.unwrap_or_else(|| panic!("{place} is not refused as {expected}"));
        is_typed(&refused, expected);
        assert_eq!(reason(&refused), expected, "{place}: {refused}");
        let of_rules = !expected.ends_with("_NOT_FOUND");
        let code = if of_rules {
            Code::FailedPrecondition
        } else {
            Code::NotFound
        };
        assert_eq!(refused.code(), code, "{place}: {refused}");
    }
    assert_eq!(
        system.written().await,
        before,
        "a refused request wrote something"
    );
    // What was refused for want of money goes through once it is there.
    grant(&system, PRICE).await;
    let confirmed = system
        .review()
        .confirm_settlement(a_confirmation(&draft))
        .await;
    assert_eq!(
        confirmed
            .unwrap()
            .into_inner()
            .settlement
            .unwrap()
            .total_fen,
        PRICE
    );
    for amount_fen in wrong_sums {
        let payment = RecordPaymentRequest {
            amount_fen,
            ..a_payment(&draft)
        };
        let refused = system.review().record_payment(payment).await.unwrap_err();
        assert_eq!(reason(&refused), "TOTAL_CHANGED");
    }
    assert_eq!(fund(&system, "").await, [PRICE, PRICE, 0, PRICE]);
}
