//! Who may do what: nobody reaches beyond their division, and no refusal tells what lies there.

use proto::eldercare::claims::v1 as pb;
use service::Claims;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::support::{
    COUNTY, Client, Ground, LTCI, OTHER_COUNTY, Running, all_in, appeal_request, date,
    decision_request, enrolment, id, officer, order, outcome_in_words, reason, short_order,
};

/// The county with an approved order `A`, an open one `B` and a paid settlement.
async fn county(ground: &Ground) -> (Running, civic::ElderId, String) {
    let running = ground.start().await;
    let caregiver = running.insurance().await;
    let elder = running.insured().await;
    let good = order("A", elder, &caregiver, "2024-02-10 09:00");
    assert_eq!(running.told(&good).await, "APPROVED");
    let short = short_order("B", elder, &caregiver, "2024-02-11 09:00");
    running.told(&short).await;
    let draft = running.draft("P01", "2024-03-01").await.unwrap();
    let confirmed = running.confirm(&draft).await.unwrap();
    running.pay(&confirmed).await.unwrap();
    (running, elder, caregiver)
}

/// What becomes of every call about the county in the name of a caller; its name, and nothing where it is answered.
#[allow(clippy::too_many_lines, reason = "each method once")]
async fn every_call(
    mut client: Client,
    elder: civic::ElderId,
    caregiver: &str,
) -> Vec<(&'static str, Result<(), Status>)> {
    let (programme, provider) = (|| "LTCI".to_owned(), || "P01".to_owned());
    let mut outcomes = Vec::new();
    macro_rules! call {
        ($method:ident, $request:expr) => {
            let outcome = client.$method($request).await;
            outcomes.push((stringify!($method), outcome.map(|_| ())));
        };
    }
    call!(
        define_programme,
        pb::DefineProgrammeRequest {
            request_id: id(),
            programme_code: "MORE".to_owned(),
            division_code: COUNTY.to_owned(),
            definition: LTCI.to_owned(),
        }
    );
    call!(
        end_enrolment,
        pb::EndEnrolmentRequest {
            request_id: id(),
            programme_code: programme(),
            elder_id: elder.to_string(),
            enrolment_id: id(),
            last_day: date("2024-02-10"),
        }
    );
    call!(
        get_entitlement,
        pb::GetEntitlementRequest {
            programme_code: programme(),
            elder_id: elder.to_string(),
            on: None,
            min_position: String::new(),
        }
    );
    call!(
        contract_provider,
        pb::ContractProviderRequest {
            request_id: id(),
            contract: Some(pb::Contract {
                provider_id: "P09".to_owned(),
                programme_code: programme(),
                name: "禾康".to_owned(),
                first_day: date("2024-01-01"),
                last_day: None,
            }),
        }
    );
    call!(
        register_caregiver,
        pb::RegisterCaregiverRequest {
            request_id: id(),
            caregiver: Some(pb::Caregiver {
                provider_id: provider(),
                name: "陈护理".to_owned(),
                first_day: date("2024-01-01"),
                last_day: None,
            }),
        }
    );
    call!(
        retire_caregiver,
        pb::RetireCaregiverRequest {
            request_id: id(),
            caregiver_id: caregiver.to_owned(),
            last_day: date("2024-12-31"),
        }
    );
    call!(
        submit_order,
        pb::SubmitOrderRequest {
            order: Some(order("C", elder, caregiver, "2024-02-12 09:00")),
            min_position: String::new(),
        }
    );
    call!(
        get_order,
        pb::GetOrderRequest {
            provider_id: provider(),
            order_id: "A".to_owned(),
            min_position: String::new(),
        }
    );
    call!(
        list_orders,
        pb::ListOrdersRequest {
            filter: Some(all_in(COUNTY)),
            ..Default::default()
        }
    );
    call!(appeal_order, appeal_request("B"));
    call!(decide_appeal, decision_request("B", false));
    call!(
        list_appeals,
        pb::ListAppealsRequest {
            division_code: COUNTY.to_owned(),
            ..Default::default()
        }
    );
    call!(
        list_held_orders,
        pb::ListHeldOrdersRequest {
            division_code: COUNTY.to_owned(),
            ..Default::default()
        }
    );
    call!(
        decide_hold,
        pb::DecideHoldRequest {
            request_id: id(),
            provider_id: provider(),
            order_id: "A".to_owned(),
            decision: pb::HoldDecision::Keep.into(),
        }
    );
    call!(
        draft_settlement,
        pb::DraftSettlementRequest {
            request_id: id(),
            programme_code: programme(),
            provider_id: provider(),
            month_of: date("2024-03-01"),
        }
    );
    call!(
        confirm_settlement,
        pb::ConfirmSettlementRequest {
            request_id: id(),
            programme_code: programme(),
            provider_id: provider(),
            number: 1,
            total_fen: 20_000,
        }
    );
    call!(
        record_payment,
        pb::RecordPaymentRequest {
            request_id: id(),
            programme_code: programme(),
            provider_id: provider(),
            number: 1,
            amount_fen: 20_000,
            paid_on: date("2024-03-01"),
            reference: "V1".to_owned(),
        }
    );
    call!(
        adjust_settlement,
        pb::AdjustSettlementRequest {
            request_id: id(),
            programme_code: programme(),
            provider_id: provider(),
            number: 1,
            amount_fen: -1,
            order_id: String::new(),
            reason: "更正".to_owned(),
        }
    );
    call!(
        get_settlement,
        pb::GetSettlementRequest {
            programme_code: programme(),
            provider_id: provider(),
            number: 1,
            min_position: String::new(),
        }
    );
    call!(
        export_settlement,
        pb::ExportSettlementRequest {
            programme_code: programme(),
            provider_id: provider(),
            number: 1,
            format: pb::SettlementFormat::Csv.into(),
            min_position: String::new(),
        }
    );
    call!(
        list_settlements,
        pb::ListSettlementsRequest {
            programme_code: programme(),
            ..Default::default()
        }
    );
    call!(
        fund_deposit,
        pb::FundDepositRequest {
            request_id: id(),
            programme_code: programme(),
            amount_fen: 1,
            kind: pb::DepositKind::Grant.into(),
            reference: "V1".to_owned(),
        }
    );
    call!(
        get_fund,
        pb::GetFundRequest {
            programme_code: programme(),
            min_position: String::new(),
        }
    );
    call!(
        get_fund_ledger,
        pb::GetFundLedgerRequest {
            programme_code: programme(),
            ..Default::default()
        }
    );
    call!(
        get_figures,
        pb::GetFiguresRequest {
            filter: Some(all_in(COUNTY)),
            ..Default::default()
        }
    );
    call!(
        list_suspicions,
        pb::ListSuspicionsRequest {
            division_code: COUNTY.to_owned(),
            first_day: date("2024-02-01"),
            last_day: date("2024-02-29"),
            ..Default::default()
        }
    );
    outcomes
}

#[tokio::test]
async fn a_caller_of_another_division_is_refused_every_call() {
    let ground = Ground::at("2024-03-01 09:00");
    let (running, elder, caregiver) = county(&ground).await;
    let end = ground.end().await;
    let elsewhere = running.client_of(&officer("clerk", OTHER_COUNTY));
    for (method, outcome) in every_call(elsewhere, elder, &caregiver).await {
        let refused = outcome.unwrap_err();
        // An elder of another division is told of as one who is not there.
        let expected = if method == "get_entitlement" {
            Code::NotFound
        } else {
            Code::PermissionDenied
        };
        assert_eq!(refused.code(), expected, "{method}: {refused:?}");
    }
    assert_eq!(ground.end().await, end);
    // A town is not its county either; what is about persons of the town it may read.
    let town = running.client_of(&officer("clerk", "350524101"));
    for (method, outcome) in every_call(town, elder, &caregiver).await {
        assert!(outcome.is_err(), "{method}");
    }
    assert_eq!(ground.end().await, end);
    running.stop().await;
}

#[tokio::test]
async fn streams_refuse_each_item_about_another_division() {
    let ground = Ground::at("2024-03-01 09:00");
    let (running, elder, caregiver) = county(&ground).await;
    let kept = enrolment("LTCI", ground.elder().await, "2024-01-01");
    let enrolled = running.enrol_all(std::slice::from_ref(&kept)).await;
    assert_eq!(enrolled[0].basis, "LOW_INCOME");
    // What follows from it by itself has come.
    running.settled().await;
    let end = ground.end().await;
    let mut client = running.client_of(&officer("clerk", OTHER_COUNTY));
    let request = pb::SubmitOrdersRequest {
        order: Some(order("C", elder, &caregiver, "2024-02-12 09:00")),
        min_position: String::new(),
    };
    let answers = client.submit_orders(tokio_stream::iter([request])).await;
    let told = answers.unwrap().into_inner().message().await.unwrap();
    assert_eq!(outcome_in_words(&told.unwrap()), "DIVISION_OUT_OF_REACH");
    // Nor is a retry answered to others: neither on what basis somebody is enrolled nor for which premium.
    for enrolment in [enrolment("LTCI", elder, "2024-01-01"), kept] {
        let request = pb::EnrolPersonsRequest {
            enrolment: Some(enrolment),
            min_position: String::new(),
        };
        let answers = client.enrol_persons(tokio_stream::iter([request])).await;
        let told = answers.unwrap().into_inner().message().await.unwrap();
        let told = told.unwrap();
        assert_eq!(told.reason, "DIVISION_OUT_OF_REACH");
        assert_eq!((told.basis.as_str(), told.premium_fen), ("", 0));
    }
    assert_eq!(ground.end().await, end);
    running.stop().await;
}

#[tokio::test]
async fn an_elder_of_another_division_is_told_of_as_one_who_is_not_there() {
    let ground = Ground::at("2024-03-01 09:00");
    let (running, there, _) = county(&ground).await;
    let erased = ground.elder().await;
    ground.is_erased(erased).await;
    running.settled().await;
    let unknown = || civic::ElderId(uuid::Uuid::now_v7());
    let mut texts = Vec::new();
    for (division, elder) in [
        (COUNTY, unknown()),
        (COUNTY, erased),
        (OTHER_COUNTY, unknown()),
        (OTHER_COUNTY, there),
        ("350524101", there),
    ] {
        let request = pb::GetEntitlementRequest {
            programme_code: "LTCI".to_owned(),
            elder_id: elder.to_string(),
            on: None,
            min_position: String::new(),
        };
        let mut client = running.client_of(&officer("clerk", division));
        let refused = client.get_entitlement(request).await.unwrap_err();
        let (code, details) = (refused.code(), refused.get_error_details_vec());
        let text = format!("{code:?} {} {details:?}", refused.message());
        texts.push(text.replace(&elder.to_string(), "ID"));
    }
    texts.dedup();
    assert_eq!(texts.len(), 1, "{texts:#?}");
    assert!(texts[0].contains("ELDER_NOT_FOUND"), "{texts:?}");
    running.stop().await;
}

#[tokio::test]
async fn whoever_hands_in_an_order_of_another_division_learns_nothing_of_it() {
    let ground = Ground::at("2024-03-01 09:00");
    let (running, elder, caregiver) = county(&ground).await;
    let mut client = running.client_of(&officer("clerk", OTHER_COUNTY));
    // The order that is there, and another one under its number.
    for start in ["2024-02-10 09:00", "2024-02-12 09:00"] {
        let order = order("A", elder, &caregiver, start);
        let request = pb::SubmitOrderRequest {
            order: Some(order.clone()),
            min_position: String::new(),
        };
        let refused = client.submit_order(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied, "{start}");
        let request = pb::SubmitOrdersRequest {
            order: Some(order),
            min_position: String::new(),
        };
        let answers = client.submit_orders(tokio_stream::iter([request])).await;
        let told = answers.unwrap().into_inner().message().await.unwrap();
        assert_eq!(told.unwrap().standing, None, "{start}");
    }
    running.stop().await;
}

/// The calls that are answered, or refused by the rules only.
fn let_in(outcomes: Vec<(&'static str, Result<(), Status>)>) -> Vec<&'static str> {
    let outcomes = outcomes.into_iter();
    outcomes
        .filter(|(_, outcome)| match outcome {
            Ok(()) => true,
            Err(status) => {
                status.code() != Code::PermissionDenied || reason(status) == "SAME_PERSON"
            }
        })
        .map(|(method, _)| method)
        .collect()
}

#[tokio::test]
async fn each_role_may_do_what_it_is_for() {
    let ground = Ground::at("2024-03-01 09:00");
    let (running, elder, caregiver) = county(&ground).await;
    let with = |role: &str| {
        Claims::officer("officer", "civil_affairs")
            .division(COUNTY)
            .purpose("test")
            .role(role)
    };
    let reading = [
        "get_entitlement",
        "get_order",
        "list_orders",
        "list_appeals",
        "list_held_orders",
        "get_settlement",
        "list_settlements",
        "get_fund",
        "get_fund_ledger",
        "get_figures",
        "list_suspicions",
    ];
    let writing = [
        "end_enrolment",
        "contract_provider",
        "register_caregiver",
        "retire_caregiver",
        "submit_order",
        "appeal_order",
        "draft_settlement",
        "fund_deposit",
    ];
    let reviewing = [
        "decide_appeal",
        "decide_hold",
        "confirm_settlement",
        "record_payment",
        "adjust_settlement",
        "export_settlement",
    ];
    let administering = ["define_programme"];
    for (role, expected) in [
        ("viewer", vec![&reading[..]]),
        ("clerk", vec![&reading, &writing]),
        ("supervisor", vec![&reading, &writing, &reviewing]),
        ("administrator", vec![&reading, &administering]),
    ] {
        let client = running.client_of(&with(role));
        let mut told = let_in(every_call(client, elder, &caregiver).await);
        let mut expected = expected.concat();
        told.sort_unstable();
        expected.sort_unstable();
        assert_eq!(told, expected, "{role}");
    }
    running.stop().await;
}

#[tokio::test]
async fn whoever_reads_of_persons_says_what_for() {
    let ground = Ground::at("2024-03-01 09:00");
    let (running, elder, caregiver) = county(&ground).await;
    let without = Claims::officer("officer", "civil_affairs")
        .division(COUNTY)
        .role("viewer");
    let client = running.client_of(&without);
    let mut told = let_in(every_call(client, elder, &caregiver).await);
    told.sort_unstable();
    // Figures, sums and funds tell of nobody.
    assert_eq!(
        told,
        [
            "get_figures",
            "get_fund",
            "get_fund_ledger",
            "list_settlements"
        ]
    );
    running.stop().await;
}

#[tokio::test]
async fn programmes_may_be_read_by_everybody() {
    let ground = Ground::at("2024-03-01 09:00");
    let (running, ..) = county(&ground).await;
    let anybody = Claims::officer("officer", "finance").division(OTHER_COUNTY);
    let mut client = running.client_of(&anybody);
    let request = pb::GetProgrammeRequest {
        programme_code: "LTCI".to_owned(),
        version: 0,
        min_position: String::new(),
    };
    client.get_programme(request).await.unwrap();
    let request = pb::ListProgrammesRequest::default();
    let listed = client.list_programmes(request).await.unwrap();
    assert_eq!(listed.into_inner().programmes.len(), 1);
    running.stop().await;
}
