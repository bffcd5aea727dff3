//! Agreements and decisions that can't be understood.

use proto::eldercare::sharing::v1 as pb;
use tonic_types::StatusExt as _;

use super::{NO_DAY, faults};
use crate::support::{Ground, date, grant, guard, proposer, reader, some_terms};

/// Makes terms wrong.
type Change = fn(&mut pb::AgreementTerms);

#[tokio::test]
async fn terms_that_are_none_are_refused_by_their_fields() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let changes: &[(Change, &str)] = &[
        (
            |t| t.department.clear(),
            "terms.department DEPARTMENT_INVALID",
        ),
        (
            |t| t.department = "h".to_owned(),
            "terms.department DEPARTMENT_INVALID",
        ),
        (
            |t| t.department = "h".repeat(33),
            "terms.department DEPARTMENT_INVALID",
        ),
        (
            |t| t.department = "Health".to_owned(),
            "terms.department DEPARTMENT_INVALID",
        ),
        (|t| t.purpose.clear(), "terms.purpose REQUIRED"),
        (|t| t.purpose = "医".repeat(501), "terms.purpose TOO_LONG"),
        (|t| t.legal_basis.clear(), "terms.legal_basis REQUIRED"),
        (
            |t| t.legal_basis = "法".repeat(501),
            "terms.legal_basis TOO_LONG",
        ),
        (
            |t| t.legal_basis = "法\u{7}".to_owned(),
            "terms.legal_basis CONTROL_CHARACTERS",
        ),
        (|t| t.products.clear(), "terms.products COUNT_OUT_OF_RANGE"),
        (
            |t| t.products = vec![grant("tier", &["tier"], &[]); 21],
            "terms.products COUNT_OUT_OF_RANGE",
        ),
        (
            |t| t.products[1].product = "income".to_owned(),
            "terms.products[1].product PRODUCT_UNKNOWN",
        ),
        (
            |t| t.products[1].product.clear(),
            "terms.products[1].product PRODUCT_UNKNOWN",
        ),
        (
            |t| t.products[1] = t.products[0].clone(),
            "terms.products[1].product PRODUCT_TWICE",
        ),
        (
            |t| t.products[0].fields.clear(),
            "terms.products[0].fields COUNT_OUT_OF_RANGE",
        ),
        (
            |t| t.products[0].fields = vec![t.products[0].fields[0].clone(); 101],
            "terms.products[0].fields COUNT_OUT_OF_RANGE",
        ),
        (
            |t| t.products[0].fields[0].field = "income".to_owned(),
            "terms.products[0].fields[0].field FIELD_UNKNOWN",
        ),
        // Another product's.
        (
            |t| t.products[0].fields[0].field = "tier".to_owned(),
            "terms.products[0].fields[0].field FIELD_UNKNOWN",
        ),
        (
            |t| t.products[0] = grant("elder", &["name"], &["name"]),
            "terms.products[0].fields[1].field FIELD_TWICE",
        ),
        (
            |t| t.products[0].fields[0].cut = 0,
            "terms.products[0].fields[0].cut REQUIRED",
        ),
        (
            |t| t.products[0].fields[0].cut = 3,
            "terms.products[0].fields[0].cut VALUE_UNKNOWN",
        ),
        (
            |t| t.products[0] = grant("elder", &[], &["sex"]),
            "terms.products[0].fields[0].cut NOT_MASKABLE",
        ),
        (
            |t| t.division_codes.clear(),
            "terms.division_codes COUNT_OUT_OF_RANGE",
        ),
        (
            |t| t.division_codes = vec!["350524".to_owned(); 101],
            "terms.division_codes COUNT_OUT_OF_RANGE",
        ),
        (
            |t| t.division_codes = vec![String::new()],
            "terms.division_codes[0] REQUIRED",
        ),
        (
            |t| t.division_codes = vec!["35052".to_owned()],
            "terms.division_codes[0] DIVISION_INVALID",
        ),
        (
            |t| t.division_codes = vec!["350524".to_owned(); 2],
            "terms.division_codes[1] DIVISION_TWICE",
        ),
        (|t| t.until = None, "terms.until REQUIRED"),
        (|t| t.until = NO_DAY, "terms.until DAY_INVALID"),
        (
            |t| t.until = date("2029-03-02"),
            "terms.until UNTIL_INVALID",
        ),
    ];
    for (change, expected) in changes {
        let mut bad = some_terms();
        change(&mut bad);
        assert_eq!(faults(running.propose(&bad).await), [*expected]);
    }
    let mut client = running.client_of(&proposer());
    let nothing = pb::ProposeAgreementRequest {
        request_id: "17".to_owned(),
        terms: None,
    };
    let outcome = client.propose_agreement(nothing).await;
    assert_eq!(
        faults(outcome),
        ["request_id UUID_INVALID", "terms REQUIRED"]
    );
    assert_eq!(ground.written().await, 0);
    // Today and in five years are just right.
    for until in ["2024-03-01", "2029-03-01"] {
        let good = pb::AgreementTerms {
            until: date(until),
            ..some_terms()
        };
        running.propose(&good).await.unwrap();
    }
    running.stop().await;
}

#[tokio::test]
async fn all_faults_of_a_proposal_are_told_at_once() {
    let running = Ground::at("2024-03-01 09:10").start().await;
    let outcome = running.propose(&pb::AgreementTerms::default()).await;
    assert_eq!(
        faults(outcome),
        [
            "terms.department DEPARTMENT_INVALID",
            "terms.purpose REQUIRED",
            "terms.legal_basis REQUIRED",
            "terms.products COUNT_OUT_OF_RANGE",
            "terms.division_codes COUNT_OUT_OF_RANGE",
            "terms.until REQUIRED",
        ]
    );
    running.stop().await;
}

#[tokio::test]
async fn a_name_that_is_none_of_the_catalogue_is_repeated_only_if_it_looks_like_one() {
    let running = Ground::at("2024-03-01 09:10").start().await;
    for (name, repeated) in [
        ("income", true),
        ("王秀英", false),
        ("350524194802101220", false),
    ] {
        let mut bad = some_terms();
        bad.products[0].fields[0].field = name.to_owned();
        let status = running.propose(&bad).await.unwrap_err();
        let told = format!("{:?}", status.get_error_details_vec());
        assert_eq!(told.contains(name), repeated, "{told}");
    }
    running.stop().await;
}

#[tokio::test]
async fn decisions_that_name_no_agreement_or_no_reason_are_refused() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let mut client = running.client_of(&guard());
    let nothing = pb::ApproveAgreementRequest::default();
    let outcome = client.approve_agreement(nothing).await;
    let both = ["request_id REQUIRED", "agreement_id REQUIRED"];
    assert_eq!(faults(outcome), both);
    let wrong = || ("17".to_owned(), "18".to_owned());
    let three = [
        "request_id UUID_INVALID",
        "agreement_id UUID_INVALID",
        "reason REASON_INVALID",
    ];
    let long = "A".repeat(65);
    for reason in ["", "leak", "LEAK!", "泄露", &long] {
        let (request_id, agreement_id) = wrong();
        let suspend = pb::SuspendAgreementRequest {
            request_id,
            agreement_id,
            reason: reason.to_owned(),
        };
        let outcome = client.suspend_agreement(suspend).await;
        assert_eq!(faults(outcome), three, "{reason}");
        let (request_id, agreement_id) = wrong();
        let end = pb::EndAgreementRequest {
            request_id,
            agreement_id,
            reason: reason.to_owned(),
        };
        let outcome = client.end_agreement(end).await;
        assert_eq!(faults(outcome), three, "{reason}");
    }
    assert_eq!(ground.written().await, 0);
    running.stop().await;
}

#[tokio::test]
async fn lists_of_agreements_that_are_none_are_refused_by_their_fields() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let mut client = running.client_of(&reader());
    let get = pb::GetAgreementRequest {
        agreement_id: "1".to_owned(),
        min_position: "x".to_owned(),
    };
    assert_eq!(
        faults(client.get_agreement(get).await),
        ["agreement_id UUID_INVALID", "min_position POSITION_INVALID"]
    );
    let nothing = pb::ListAgreementsRequest::default();
    for (bad, expected) in [
        (
            pb::ListAgreementsRequest {
                department: "卫健".to_owned(),
                ..nothing.clone()
            },
            "department DEPARTMENT_INVALID",
        ),
        (
            pb::ListAgreementsRequest {
                state: 6,
                ..nothing.clone()
            },
            "state VALUE_UNKNOWN",
        ),
        (
            pb::ListAgreementsRequest {
                page_size: -1,
                ..nothing.clone()
            },
            "page_size PAGE_SIZE_INVALID",
        ),
        (
            pb::ListAgreementsRequest {
                page_token: "x".to_owned(),
                ..nothing.clone()
            },
            "page_token PAGE_TOKEN_INVALID",
        ),
        (
            pb::ListAgreementsRequest {
                min_position: "NOTHING:1".to_owned(),
                ..nothing.clone()
            },
            "min_position POSITION_INVALID",
        ),
    ] {
        assert_eq!(faults(client.list_agreements(bad).await), [expected]);
    }
    running.stop().await;
}
