//! Requests that can't be understood: each is refused by the fields that are at fault, and leaves no trace.

use proto::eldercare::sharing::v1 as pb;
use proto::eldercare::r#type::v1 as types;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::support::{
    CIVIL_AFFAIRS, Ground, break_glass_request, date, doctor, dossier_request, grant, guard,
    looks_at, looks_by, officer, proposer, reader, refused, some_terms,
};

/// The fields at fault, with their reasons.
#[track_caller]
fn faults<T: std::fmt::Debug>(outcome: Result<T, Status>) -> Vec<String> {
    let status = outcome.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    let bad = status.get_details_bad_request().unwrap();
    let faults = bad.field_violations.into_iter();
    faults
        .map(|one| format!("{} {}", one.field, one.reason))
        .collect()
}

/// 30 February.
const NO_DAY: Option<types::Date> = Some(types::Date {
    year: 2024,
    month: 2,
    day: 30,
});

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
async fn dossiers_that_are_asked_for_wrongly_are_refused_by_their_fields() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let elder = ground.elder().await;
    running.settled().await;
    let good = dossier_request(elder);
    let some = |products: &[&str]| -> Vec<String> {
        products.iter().map(|name| (*name).to_owned()).collect()
    };
    for (bad, expected) in [
        (pb::GetDossierRequest::default(), "elder_id REQUIRED"),
        (
            pb::GetDossierRequest {
                elder_id: "王秀英".to_owned(),
                ..good.clone()
            },
            "elder_id UUID_INVALID",
        ),
        (
            pb::GetDossierRequest {
                agreement_id: "1".to_owned(),
                ..good.clone()
            },
            "agreement_id UUID_INVALID",
        ),
        (
            pb::GetDossierRequest {
                products: some(&["elder", "income"]),
                ..good.clone()
            },
            "products[1] PRODUCT_UNKNOWN",
        ),
        (
            pb::GetDossierRequest {
                products: some(&["elder"; 21]),
                ..good.clone()
            },
            "products COUNT_OUT_OF_RANGE",
        ),
        (
            pb::GetDossierRequest {
                newest: -1,
                ..good.clone()
            },
            "newest OUT_OF_RANGE",
        ),
        (
            pb::GetDossierRequest {
                min_position: "SHARING".to_owned(),
                ..good.clone()
            },
            "min_position POSITION_INVALID",
        ),
        // The log of nobody whom we follow.
        (
            pb::GetDossierRequest {
                min_position: "PRIVATE:1".to_owned(),
                ..good.clone()
            },
            "min_position POSITION_INVALID",
        ),
    ] {
        assert_eq!(faults(running.ask(&reader(), bad).await), [expected]);
    }
    assert_eq!(ground.written().await, 0);
    running.ask(&reader(), good).await.unwrap();
    running.stop().await;
}

#[tokio::test]
async fn searches_that_are_asked_for_wrongly_are_refused_by_their_fields() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let many = |word: &str, count: usize| vec![word.to_owned(); count];
    let of_divisions = |division_codes| pb::FindEldersRequest {
        division_codes,
        ..Default::default()
    };
    let of_tiers = |tiers| pb::FindEldersRequest {
        tiers,
        ..Default::default()
    };
    let of_categories = |categories| pb::FindEldersRequest {
        categories,
        ..Default::default()
    };
    let since = |not_visited_since| pb::FindEldersRequest {
        not_visited_since,
        ..Default::default()
    };
    for (bad, expected) in [
        (
            of_divisions(many("35052", 1)),
            "division_codes[0] DIVISION_INVALID",
        ),
        (
            of_divisions(many("350524", 2)),
            "division_codes[1] DIVISION_TWICE",
        ),
        (
            of_divisions(many("350524", 101)),
            "division_codes COUNT_OUT_OF_RANGE",
        ),
        (of_tiers(many("", 1)), "tiers[0] REQUIRED"),
        (of_tiers(many(&"A".repeat(65), 1)), "tiers[0] TOO_LONG"),
        (of_tiers(many("PRIORITY", 21)), "tiers COUNT_OUT_OF_RANGE"),
        (
            of_categories(many("ALONE", 1)),
            "categories[0] VALUE_UNKNOWN",
        ),
        (
            of_categories(many("LIVING_ALONE", 21)),
            "categories COUNT_OUT_OF_RANGE",
        ),
        (since(NO_DAY), "not_visited_since DAY_INVALID"),
        (
            since(date("2024-03-02")),
            "not_visited_since DAY_IN_THE_FUTURE",
        ),
        (
            pb::FindEldersRequest {
                programme_code: "L".repeat(65),
                ..Default::default()
            },
            "programme_code TOO_LONG",
        ),
        (
            pb::FindEldersRequest {
                page_size: -1,
                ..Default::default()
            },
            "page_size PAGE_SIZE_INVALID",
        ),
        (
            pb::FindEldersRequest {
                page_token: "x".to_owned(),
                ..Default::default()
            },
            "page_token PAGE_TOKEN_INVALID",
        ),
        (
            pb::FindEldersRequest {
                min_position: "PRIVATE:1".to_owned(),
                ..Default::default()
            },
            "min_position POSITION_INVALID",
        ),
    ] {
        assert_eq!(faults(running.find(&reader(), bad).await), [expected]);
    }
    let nowhere = pb::WatchSituationRequest::default();
    let outcome = running.client_of(&reader()).watch_situation(nowhere).await;
    assert_eq!(faults(outcome.map(|_| ())), ["division_code REQUIRED"]);
    assert_eq!(ground.written().await, 0);
    running.stop().await;
}

#[tokio::test]
async fn feeds_and_erasures_that_are_asked_for_wrongly_are_refused_by_their_fields() {
    use pb::query_feed_request::Start;
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let mut client = running.client_of(&doctor());
    let after = |position: &str| Some(Start::AfterPosition(position.to_owned()));
    let from = |start| pb::QueryFeedRequest {
        start,
        ..Default::default()
    };
    for (bad, expected) in [
        (
            pb::QueryFeedRequest {
                product: "income".to_owned(),
                ..Default::default()
            },
            "product PRODUCT_UNKNOWN",
        ),
        (
            pb::QueryFeedRequest {
                division_code: "35052".to_owned(),
                ..Default::default()
            },
            "division_code DIVISION_INVALID",
        ),
        (from(after("")), "after_position REQUIRED"),
        (from(after("17")), "after_position POSITION_INVALID"),
        (from(after("SHARING:17")), "after_position POSITION_INVALID"),
        (
            from(Some(Start::StartTime(prost_types::Timestamp {
                seconds: 0,
                nanos: -1,
            }))),
            "start_time TIMESTAMP_INVALID",
        ),
        (
            pb::QueryFeedRequest {
                page_size: -1,
                ..Default::default()
            },
            "page_size PAGE_SIZE_INVALID",
        ),
    ] {
        assert_eq!(faults(client.query_feed(bad).await), [expected]);
    }
    let nothing = pb::ConfirmErasureRequest::default();
    let both = ["request_id REQUIRED", "elder_id REQUIRED"];
    assert_eq!(faults(client.confirm_erasure(nothing).await), both);
    let strange = pb::ListErasuresRequest {
        department: "卫健".to_owned(),
        page_token: "x".to_owned(),
        ..Default::default()
    };
    assert_eq!(
        faults(client.list_erasures(strange).await),
        [
            "department DEPARTMENT_INVALID",
            "page_token PAGE_TOKEN_INVALID"
        ]
    );
    let mut client = running.client_of(&guard());
    let nothing = pb::IssueFeedCredentialRequest::default();
    let both = ["request_id REQUIRED", "department DEPARTMENT_INVALID"];
    assert_eq!(faults(client.issue_feed_credential(nothing).await), both);
    let nothing = pb::RevokeFeedCredentialRequest::default();
    let three = [
        "request_id REQUIRED",
        "department DEPARTMENT_INVALID",
        "reason REASON_INVALID",
    ];
    assert_eq!(faults(client.revoke_feed_credential(nothing).await), three);
    assert_eq!(ground.written().await, 0);
    running.stop().await;
}

#[tokio::test]
async fn broken_glass_that_is_asked_for_wrongly_is_refused_by_its_fields() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let elder = ground.elder().await;
    let caller = officer("supervisor", CIVIL_AFFAIRS, "350524", &["supervisor"]);
    let bad = pb::BreakGlassRequest {
        request_id: String::new(),
        elder_id: "17".to_owned(),
        reason: "急".to_owned(),
        newest: -1,
    };
    assert_eq!(
        faults(running.break_glass(&caller, bad).await),
        [
            "request_id REQUIRED",
            "elder_id UUID_INVALID",
            "reason TOO_SHORT",
            "newest OUT_OF_RANGE",
        ]
    );
    let rung = pb::BreakGlassRequest {
        reason: "急救中心来电\u{7}请求调阅".to_owned(),
        ..break_glass_request(elder)
    };
    let outcome = running.break_glass(&caller, rung).await;
    assert_eq!(faults(outcome), ["reason CONTROL_CHARACTERS"]);
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

#[tokio::test]
async fn a_page_token_is_good_for_its_own_list_only() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let elder = ground.elder().await;
    for _ in 0..2 {
        running.propose(&some_terms()).await.unwrap();
        running.dossier(&reader(), elder).await.unwrap();
    }
    running.settled().await;
    let mut client = running.client_of(&reader());
    let agreements = pb::ListAgreementsRequest {
        page_size: 1,
        ..Default::default()
    };
    let page = client.list_agreements(agreements.clone()).await.unwrap();
    let of_agreements = page.into_inner().next_page_token;
    let looks = pb::GetAccessHistoryRequest {
        page_size: 1,
        ..looks_at(elder)
    };
    let page = client.get_access_history(looks.clone()).await.unwrap();
    let of_looks = page.into_inner().next_page_token;
    assert!(!of_agreements.is_empty() && !of_looks.is_empty());
    let wrong = ["page_token PAGE_TOKEN_INVALID"];
    for (department, token) in [("health", &of_agreements), ("", &of_looks)] {
        let other = pb::ListAgreementsRequest {
            department: department.to_owned(),
            page_token: token.clone(),
            ..agreements.clone()
        };
        assert_eq!(faults(client.list_agreements(other).await), wrong);
    }
    for (whose, token) in [
        (looks_by("officer:reader"), &of_looks),
        (looks_at(elder), &of_agreements),
        (
            pb::GetAccessHistoryRequest {
                first_day: date("2024-03-01"),
                ..looks_at(elder)
            },
            &of_looks,
        ),
    ] {
        let other = pb::GetAccessHistoryRequest {
            page_token: token.clone(),
            ..whose
        };
        assert_eq!(faults(client.get_access_history(other).await), wrong);
    }
    // A page of another size goes on all the same.
    let more = pb::ListAgreementsRequest {
        page_size: 9,
        page_token: of_agreements,
        ..agreements
    };
    let page = client.list_agreements(more).await.unwrap().into_inner();
    assert_eq!(page.agreements.len(), 1);
    running.stop().await;
}

#[tokio::test]
async fn histories_that_are_none_are_refused_by_their_fields() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let good = looks_by("officer:reader");
    let mut client = running.client_of(&reader());
    let nobody = pb::GetAccessHistoryRequest::default();
    let no_elder = pb::GetAccessHistoryRequest {
        whose: Some(pb::get_access_history_request::Whose::ElderId(
            "1".to_owned(),
        )),
        ..Default::default()
    };
    for (bad, expected) in [
        (nobody, "whose REQUIRED"),
        (no_elder, "elder_id UUID_INVALID"),
        (looks_by(""), "caller REQUIRED"),
        (looks_by(&"x".repeat(301)), "caller TOO_LONG"),
        (
            pb::GetAccessHistoryRequest {
                first_day: NO_DAY,
                ..good.clone()
            },
            "first_day DAY_INVALID",
        ),
        (
            pb::GetAccessHistoryRequest {
                last_day: NO_DAY,
                ..good.clone()
            },
            "last_day DAY_INVALID",
        ),
        (
            pb::GetAccessHistoryRequest {
                first_day: date("2024-02-02"),
                last_day: date("2024-02-01"),
                ..good.clone()
            },
            "last_day DAYS_INVALID",
        ),
        (
            pb::GetAccessHistoryRequest {
                page_size: -1,
                ..good.clone()
            },
            "page_size PAGE_SIZE_INVALID",
        ),
        (
            pb::GetAccessHistoryRequest {
                page_token: "x".to_owned(),
                ..good.clone()
            },
            "page_token PAGE_TOKEN_INVALID",
        ),
        (
            pb::GetAccessHistoryRequest {
                min_position: "NOTHING:1".to_owned(),
                ..good.clone()
            },
            "min_position POSITION_INVALID",
        ),
    ] {
        assert_eq!(faults(client.get_access_history(bad).await), [expected]);
    }
    client.get_access_history(good).await.unwrap();
    running.stop().await;
}

#[tokio::test]
async fn an_export_from_nowhere_is_refused() {
    let running = Ground::at("2024-03-01 09:10").start().await;
    let operator = officer("operator", "platform", "*", &["operator"]);
    let request = pb::ExportAuditRequest { first_sequence: -1 };
    let outcome = running.client_of(&operator).export_audit(request).await;
    let outcome = outcome.map(|_| ());
    assert_eq!(faults(outcome), ["first_sequence OUT_OF_RANGE"]);
    // Who may not have it learns nothing of what is wrong with it.
    let request = pb::ExportAuditRequest { first_sequence: -1 };
    let outcome = running.client_of(&reader()).export_audit(request).await;
    let outcome = outcome.map(|_| ());
    refused(outcome, Code::PermissionDenied, "ACTION_NOT_PERMITTED");
    running.stop().await;
}
