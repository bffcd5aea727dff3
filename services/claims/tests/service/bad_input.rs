//! Requests that can't be understood: each is refused by the field that is at fault, and leaves no trace.

use chrono::TimeDelta;
use proto::eldercare::claims::v1 as pb;
use proto::eldercare::r#type::v1 as types;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::support::{COUNTY, Ground, LTCI, appeal_request, at, date, file, id, order, timestamp};

/// The fields at fault, with their reasons.
#[track_caller]
fn faults(status: &Status) -> Vec<String> {
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    let bad = status.get_details_bad_request().unwrap();
    let faults = bad.field_violations.into_iter();
    faults
        .map(|one| format!("{} {}", one.field, one.reason))
        .collect()
}

/// Makes an order wrong.
type Change = fn(&mut pb::ServiceOrder);

#[tokio::test]
async fn orders_that_are_none_are_refused_by_their_fields() {
    let ground = Ground::at("2024-03-01 09:00");
    let running = ground.start().await;
    let caregiver = running.insurance().await;
    let elder = running.insured().await;
    running.settled().await;
    let end = ground.end().await;
    let good = order("A", elder, &caregiver, "2024-02-10 09:00");
    let changes: &[(Change, &str)] = &[
        (
            |o| o.provider_id = "P 01".to_owned(),
            "order.provider_id PROVIDER_ID_INVALID",
        ),
        (
            |o| o.provider_id = "P".repeat(33),
            "order.provider_id PROVIDER_ID_INVALID",
        ),
        // One line, so that no list and no file is torn by it.
        (
            |o| o.order_id = "A\nB".to_owned(),
            "order.order_id CONTROL_CHARACTERS",
        ),
        (
            |o| o.order_id = "A\tB".to_owned(),
            "order.order_id CONTROL_CHARACTERS",
        ),
        (
            |o| o.order_id = "A\u{85}".to_owned(),
            "order.order_id CONTROL_CHARACTERS",
        ),
        (|o| o.order_id = "\n".to_owned(), "order.order_id REQUIRED"),
        (|o| o.order_id = "单".repeat(65), "order.order_id TOO_LONG"),
        (
            |o| o.programme_code = "ltci".to_owned(),
            "order.programme_code PROGRAMME_CODE_INVALID",
        ),
        (
            |o| o.programme_version = -1,
            "order.programme_version OUT_OF_RANGE",
        ),
        (|o| o.elder_id.clear(), "order.elder_id REQUIRED"),
        (
            |o| o.caregiver_id = "陈".to_owned(),
            "order.caregiver_id UUID_INVALID",
        ),
        (|o| o.check_in_at = None, "order.check_in_at REQUIRED"),
        (|o| o.check_in = None, "order.check_in REQUIRED"),
        (
            |o| o.check_in.as_mut().unwrap().longitude = f64::NAN,
            "order.check_in POSITION_OUT_OF_RANGE",
        ),
        (
            |o| o.items = vec!["COOKING".to_owned(); 51],
            "order.items COUNT_OUT_OF_RANGE",
        ),
        (|o| o.items = vec![String::new()], "order.items REQUIRED"),
        (|o| o.evidence[0].kind = 0, "order.evidence.kind REQUIRED"),
        (
            |o| o.evidence[0].kind = 9,
            "order.evidence.kind VALUE_UNKNOWN",
        ),
        (
            |o| o.evidence[0].hash = vec![1; 65].into(),
            "order.evidence.hash HASH_INVALID",
        ),
        (
            |o| o.evidence = vec![file(pb::EvidenceKind::Photo, "x"); 51],
            "order.evidence COUNT_OUT_OF_RANGE",
        ),
        // Not later than now.
        (
            |o| o.check_out_at = timestamp(at("2024-03-01 09:01")),
            "order.check_out_at IN_THE_FUTURE",
        ),
        (
            |o| o.check_out_at = timestamp(at("2024-02-10 08:59")),
            "order.check_out_at TIMES_INVALID",
        ),
        (
            |o| o.check_out_at = timestamp(at("2024-02-11 09:00") + TimeDelta::microseconds(1)),
            "order.check_out_at TIMES_INVALID",
        ),
        (
            |o| o.check_in_at.as_mut().unwrap().nanos = -1,
            "order.check_in_at TIMESTAMP_INVALID",
        ),
    ];
    for (change, expected) in changes {
        let mut bad = good.clone();
        change(&mut bad);
        let refused = running.submit(&bad).await.unwrap_err();
        assert_eq!(faults(&refused)[0], *expected);
    }
    let nothing = pb::SubmitOrderRequest::default();
    let refused = running.client().submit_order(nothing).await.unwrap_err();
    assert_eq!(faults(&refused), ["order REQUIRED"]);
    assert_eq!(ground.end().await, end);
    // A whole day is not too long.
    let day_and_night = pb::ServiceOrder {
        check_out_at: timestamp(at("2024-02-11 09:00")),
        ..good
    };
    assert_eq!(running.told(&day_and_night).await, "APPROVED");
    running.stop().await;
}

#[tokio::test]
async fn all_faults_of_an_order_are_told_at_once() {
    let running = Ground::at("2024-03-01 09:00").start().await;
    let refused = running.submit(&pb::ServiceOrder::default()).await;
    let faults = faults(&refused.unwrap_err());
    for field in [
        "provider_id",
        "order_id",
        "programme_code",
        "elder_id",
        "caregiver_id",
        "check_in_at",
        "check_out_at",
        "check_in",
    ] {
        let begin = format!("order.{field} ");
        assert!(
            faults.iter().any(|fault| fault.starts_with(&begin)),
            "{field} in {faults:?}"
        );
    }
    running.stop().await;
}

#[tokio::test]
async fn programmes_and_registers_that_are_none_are_refused() {
    let ground = Ground::at("2024-03-01 09:00");
    let running = ground.start().await;
    let mut client = running.client();
    let good = pb::DefineProgrammeRequest {
        request_id: id(),
        programme_code: "LTCI".to_owned(),
        division_code: COUNTY.to_owned(),
        definition: LTCI.to_owned(),
    };
    let long = "A".repeat(25);
    for (code, division, definition, expected) in [
        ("L", COUNTY, LTCI, "programme_code PROGRAMME_CODE_INVALID"),
        ("1A", COUNTY, LTCI, "programme_code PROGRAMME_CODE_INVALID"),
        ("L-1", COUNTY, LTCI, "programme_code PROGRAMME_CODE_INVALID"),
        (&long, COUNTY, LTCI, "programme_code PROGRAMME_CODE_INVALID"),
        (
            "LTCI",
            "350524100",
            LTCI,
            "division_code DIVISION_TOO_SMALL",
        ),
        ("LTCI", COUNTY, "", "definition DEFINITION_LENGTH"),
        (
            "LTCI",
            COUNTY,
            &"#".repeat(65_537),
            "definition DEFINITION_LENGTH",
        ),
    ] {
        let request = pb::DefineProgrammeRequest {
            programme_code: code.to_owned(),
            division_code: division.to_owned(),
            definition: definition.to_owned(),
            ..good.clone()
        };
        let refused = client.define_programme(request).await.unwrap_err();
        assert_eq!(faults(&refused), [expected]);
    }
    let contract = pb::ContractProviderRequest {
        request_id: id(),
        contract: Some(pb::Contract {
            provider_id: "P01".to_owned(),
            programme_code: "LTCI".to_owned(),
            name: String::new(),
            first_day: date("2024-01-02"),
            last_day: date("2024-01-01"),
        }),
    };
    let refused = client.contract_provider(contract).await.unwrap_err();
    assert_eq!(
        faults(&refused),
        ["contract.name REQUIRED", "contract.last_day DAYS_INVALID"]
    );
    let no_day = Some(types::Date {
        year: 2024,
        month: 2,
        day: 30,
    });
    let caregiver = pb::RegisterCaregiverRequest {
        request_id: "17".to_owned(),
        caregiver: Some(pb::Caregiver {
            provider_id: "P01".to_owned(),
            name: "陈".repeat(65),
            first_day: no_day,
            last_day: None,
        }),
    };
    let refused = client.register_caregiver(caregiver).await.unwrap_err();
    let told = faults(&refused);
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told[0].starts_with("request_id"));
    assert_eq!(told[2], "caregiver.first_day DAY_INVALID");
    assert_eq!(ground.end().await, 0);
    running.stop().await;
}

#[tokio::test]
async fn appeals_money_and_lists_that_are_none_are_refused() {
    let ground = Ground::at("2024-03-01 09:00");
    let running = ground.start().await;
    running.insurance().await;
    running.settled().await;
    let end = ground.end().await;
    let mut client = running.client();
    let wordy = pb::AppealOrderRequest {
        statement: "家".repeat(2_001),
        ..appeal_request("A")
    };
    let refused = client.appeal_order(wordy).await.unwrap_err();
    assert!(faults(&refused)[0].starts_with("statement "), "{refused:?}");
    let undecided = pb::DecideAppealRequest {
        request_id: id(),
        provider_id: "P01".to_owned(),
        order_id: "A".to_owned(),
        decision: 0,
    };
    let refused = client.decide_appeal(undecided).await.unwrap_err();
    assert!(faults(&refused)[0].starts_with("decision "), "{refused:?}");
    let deposit = |amount, kind: pb::DepositKind| pb::FundDepositRequest {
        request_id: id(),
        programme_code: "LTCI".to_owned(),
        amount_fen: amount,
        kind: kind.into(),
        reference: "V".to_owned(),
    };
    for (request, expected) in [
        (
            deposit(0, pb::DepositKind::Grant),
            "amount_fen OUT_OF_RANGE",
        ),
        (
            deposit(-1, pb::DepositKind::Grant),
            "amount_fen OUT_OF_RANGE",
        ),
        (
            deposit(i64::MAX, pb::DepositKind::Grant),
            "amount_fen OUT_OF_RANGE",
        ),
        // Premiums come in by themselves.
        (
            deposit(1, pb::DepositKind::Premium),
            "kind KIND_OF_ENROLMENTS",
        ),
        (deposit(1, pb::DepositKind::Unspecified), "kind REQUIRED"),
    ] {
        let refused = client.fund_deposit(request).await.unwrap_err();
        assert_eq!(faults(&refused), [expected]);
    }
    let payment = pb::RecordPaymentRequest {
        request_id: id(),
        programme_code: "LTCI".to_owned(),
        provider_id: "P01".to_owned(),
        number: 0,
        amount_fen: 1,
        paid_on: date("2024-03-02"),
        reference: String::new(),
    };
    let refused = client.record_payment(payment).await.unwrap_err();
    assert_eq!(
        faults(&refused),
        [
            "number OUT_OF_RANGE",
            "paid_on IN_THE_FUTURE",
            "reference REQUIRED"
        ]
    );
    let nothing = pb::AdjustSettlementRequest {
        request_id: id(),
        programme_code: "LTCI".to_owned(),
        provider_id: "P01".to_owned(),
        number: 1,
        amount_fen: 0,
        order_id: String::new(),
        reason: "x".repeat(201),
    };
    let refused = client.adjust_settlement(nothing.clone()).await.unwrap_err();
    assert_eq!(faults(&refused).len(), 2, "{refused:?}");
    let torn = "A\nB".to_owned();
    let of_torn = pb::AdjustSettlementRequest {
        amount_fen: -1,
        order_id: torn.clone(),
        reason: "x".to_owned(),
        ..nothing
    };
    let get = pb::GetOrderRequest {
        provider_id: "P01".to_owned(),
        order_id: torn.clone(),
        min_position: String::new(),
    };
    for refused in [
        client.adjust_settlement(of_torn).await.unwrap_err(),
        client.get_order(get).await.unwrap_err(),
        client
            .appeal_order(appeal_request(&torn))
            .await
            .unwrap_err(),
    ] {
        assert_eq!(faults(&refused), ["order_id CONTROL_CHARACTERS"]);
    }
    let three = [
        pb::FigureGroup::Provider,
        pb::FigureGroup::Code,
        pb::FigureGroup::Division,
    ];
    for groups in [
        &three[..],
        &[three[0], three[0]],
        &[pb::FigureGroup::Unspecified],
    ] {
        let request = pb::GetFiguresRequest {
            filter: Some(crate::support::all_in(COUNTY)),
            groups: groups.iter().map(|group| (*group).into()).collect(),
            min_position: String::new(),
        };
        let refused = client.get_figures(request).await.unwrap_err();
        assert!(faults(&refused)[0].starts_with("groups "), "{refused:?}");
    }
    for request in [
        pb::ListOrdersRequest::default(),
        pb::ListOrdersRequest {
            filter: Some(crate::support::all_in("35052")),
            ..Default::default()
        },
        pb::ListOrdersRequest {
            filter: Some(crate::support::all_in(COUNTY)),
            page_size: -1,
            ..Default::default()
        },
        pb::ListOrdersRequest {
            filter: Some(crate::support::all_in(COUNTY)),
            page_token: "x".to_owned(),
            ..Default::default()
        },
    ] {
        let refused = client.list_orders(request).await.unwrap_err();
        assert_eq!(faults(&refused).len(), 1, "{refused:?}");
    }
    assert_eq!(ground.end().await, end);
    running.stop().await;
}
