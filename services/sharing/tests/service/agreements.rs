//! Agreements: one officer proposes, another approves; until then, and once they are suspended, ended or over, they grant
//! nothing.

use proto::eldercare::sharing::v1 as pb;
use proto::eldercare::sharing::v1::AgreementState;
use serde_json::json;
use tonic::Code;

use crate::support::{
    COUNTY, Ground, OTHER_COUNTY, OTHER_VILLAGE, Running, TOWN, approver, at, date, doctor,
    dossier_request, fields, grant, guard, id, in_full, in_words, officer, only, proposer, reader,
    refused, some_terms, terms, timestamp,
};

const ANY: AgreementState = AgreementState::Unspecified;

/// The doctor sees nothing of an elder.
async fn sees_nothing(running: &Running, elder: civic::ElderId) {
    let outcome = running.dossier(&doctor(), elder).await;
    refused(outcome, Code::NotFound, "ELDER_NOT_FOUND");
}

#[tokio::test]
async fn an_agreement_grants_nothing_until_another_officer_approves_it() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let elder = ground.known_to_all().await;
    let agreement = running.propose(&some_terms()).await.unwrap();
    sees_nothing(&running, elder).await;
    let outcome = running.approve_as(&proposer(), &agreement).await;
    refused(outcome, Code::PermissionDenied, "OWN_PROPOSAL");
    sees_nothing(&running, elder).await;
    running.approve_as(&approver(), &agreement).await.unwrap();
    let told = running.dossier(&doctor(), elder).await.unwrap();
    assert_eq!(in_words(&told), ["elder: name*", "tier: tier"]);
    assert_eq!(told.agreement_ids, [agreement]);
    running.stop().await;
}

#[tokio::test]
async fn whoever_suspended_or_proposed_an_agreement_does_not_lift_its_suspension() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let elder = ground.known_to_all().await;
    let agreement = running.agreed(&some_terms()).await;
    running.suspend_as(&guard(), &agreement).await.unwrap();
    let outcome = running.approve_as(&guard(), &agreement).await;
    refused(outcome, Code::PermissionDenied, "OWN_SUSPENSION");
    let outcome = running.approve_as(&proposer(), &agreement).await;
    refused(outcome, Code::PermissionDenied, "OWN_PROPOSAL");
    sees_nothing(&running, elder).await;
    running.approve_as(&approver(), &agreement).await.unwrap();
    running.dossier(&doctor(), elder).await.unwrap();
    running.stop().await;
}

#[tokio::test]
async fn once_its_suspension_is_answered_an_agreement_grants_nothing() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let elder = ground.known_to_all().await;
    let agreement = running.agreed(&some_terms()).await;
    running.dossier(&doctor(), elder).await.unwrap();
    running.suspend_as(&guard(), &agreement).await.unwrap();
    // Without waiting for anything.
    let outcome = running.ask(&doctor(), dossier_request(elder)).await;
    refused(outcome, Code::NotFound, "ELDER_NOT_FOUND");
    running.stop().await;
}

#[tokio::test]
async fn once_its_end_is_answered_an_agreement_grants_nothing_for_good() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let elder = ground.known_to_all().await;
    let agreement = running.agreed(&some_terms()).await;
    running.dossier(&doctor(), elder).await.unwrap();
    running.end_as(&guard(), &agreement).await.unwrap();
    // Without waiting for anything.
    let outcome = running.ask(&doctor(), dossier_request(elder)).await;
    refused(outcome, Code::NotFound, "ELDER_NOT_FOUND");
    let outcome = running.approve_as(&approver(), &agreement).await;
    refused(outcome, Code::FailedPrecondition, "AGREEMENT_ENDED");
    sees_nothing(&running, elder).await;
    running.stop().await;
}

#[tokio::test]
async fn an_agreement_grants_nothing_after_its_last_day() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let elder = ground.known_to_all().await;
    let until = pb::AgreementTerms {
        until: date("2024-03-31"),
        ..some_terms()
    };
    let agreement = running.agreed(&until).await;
    let late = running.propose(&until).await.unwrap();
    running.advance("2024-03-31 23:59");
    running.dossier(&doctor(), elder).await.unwrap();
    running.advance("2024-04-01 00:00");
    sees_nothing(&running, elder).await;
    let told = running.agreement(&doctor(), &agreement).await.unwrap();
    assert_eq!(told.state(), AgreementState::Expired);
    // Nor is it approved any more.
    for agreement in [agreement, late] {
        let outcome = running.approve_as(&approver(), &agreement).await;
        refused(outcome, Code::FailedPrecondition, "AGREEMENT_OVER");
    }
    running.stop().await;
}

#[tokio::test]
async fn fields_are_told_masked_or_plain_as_granted_and_all_others_are_absent() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let elder = ground.known_to_all().await;
    let masked = ["name", "id_number", "birth_date", "address", "contacts"];
    running
        .agreed(&terms(&[
            grant("elder", &["sex"], &masked),
            grant("visit", &["mode"], &["remarks"]),
            grant("order", &["amount", "codes"], &[]),
        ]))
        .await;
    let told = running.dossier(&doctor(), elder).await.unwrap();
    let file = only(&told, "elder");
    assert_eq!(
        fields(&file),
        json!({
            "name": "王**",
            "id_number": "350524********1220",
            "sex": "FEMALE",
            "birth_date": "1948",
            "address": "福建省泉州市***",
            "contacts": [{ "name": "陈*", "relation": "子", "phone": "138****1234" }],
        })
    );
    // In the order of the catalogue.
    assert_eq!(file.masked, masked);
    let visit = only(&told, "visit");
    assert_eq!(fields(&visit), json!({ "mode": "HOME", "remarks": "***" }));
    assert_eq!(visit.masked, ["remarks"]);
    let order = only(&told, "order");
    assert_eq!(
        fields(&order),
        json!({ "amount": "200.00", "codes": ["NOT_ENROLLED"] })
    );
    assert!(order.masked.is_empty());
    assert_eq!(told.documents.len(), 3);
    running.stop().await;
}

#[tokio::test]
async fn elders_beyond_the_divisions_of_an_agreement_are_not_told_of() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let (within, beyond) = (ground.elder().await, ground.elder_in(OTHER_VILLAGE).await);
    let town = pb::AgreementTerms {
        division_codes: vec![TOWN.to_owned()],
        ..some_terms()
    };
    running.agreed(&town).await;
    let told = running.dossier(&doctor(), within).await.unwrap();
    assert_eq!(in_words(&told), ["elder: name*"]);
    sees_nothing(&running, beyond).await;
    running.stop().await;
}

#[tokio::test]
async fn several_agreements_add_up_and_of_two_cuts_the_more_generous_holds() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let elder = ground.known_to_all().await;
    let first = running.agreed(&some_terms()).await;
    let second = terms(&[
        grant("elder", &["name"], &["address"]),
        grant("alert", &["kind"], &[]),
    ]);
    let second = running.agreed(&second).await;
    let told = running.dossier(&doctor(), elder).await.unwrap();
    assert_eq!(
        in_words(&told),
        ["elder: address* name", "tier: tier", "alert: kind"]
    );
    assert_eq!(told.agreement_ids, [first.clone(), second.clone()]);
    // What one alone grants goes with it.
    running.suspend_as(&guard(), &second).await.unwrap();
    let told = running.dossier(&doctor(), elder).await.unwrap();
    assert_eq!(in_words(&told), ["elder: name*", "tier: tier"]);
    assert_eq!(told.agreement_ids, [first]);
    running.stop().await;
}

#[tokio::test]
async fn one_agreement_by_its_id_narrows_what_is_told() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let elder = ground.known_to_all().await;
    running
        .agreed(&terms(&[grant("elder", &["name"], &[])]))
        .await;
    let narrow = running.agreed(&some_terms()).await;
    let police = pb::AgreementTerms {
        department: "police".to_owned(),
        ..some_terms()
    };
    let others = running.agreed(&police).await;
    let only = |agreement: &str| pb::GetDossierRequest {
        agreement_id: agreement.to_owned(),
        ..dossier_request(elder)
    };
    let told = running.ask(&doctor(), only(&narrow)).await.unwrap();
    assert_eq!(in_words(&told), ["elder: name*", "tier: tier"]);
    assert_eq!(told.agreement_ids, std::slice::from_ref(&narrow));
    // By another department's agreement, and by one that is none, nobody sees anything; civil affairs neither.
    let outcome = running.ask(&doctor(), only(&others)).await;
    refused(outcome, Code::NotFound, "ELDER_NOT_FOUND");
    let outcome = running.ask(&doctor(), only(&id())).await;
    refused(outcome, Code::NotFound, "ELDER_NOT_FOUND");
    let outcome = running.ask(&reader(), only(&narrow)).await;
    refused(outcome, Code::NotFound, "ELDER_NOT_FOUND");
    running.stop().await;
}

#[tokio::test]
async fn an_agreement_is_told_as_it_stands() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let agreement = running.propose(&some_terms()).await.unwrap();
    let proposed = pb::Agreement {
        agreement_id: agreement.clone(),
        terms: Some(some_terms()),
        state: AgreementState::Proposed.into(),
        proposed_by: "officer:proposer".to_owned(),
        proposed_at: timestamp(at("2024-03-01 09:10")),
        approved_by: String::new(),
        approved_at: None,
        reason: String::new(),
    };
    let told = async || running.agreement(&reader(), &agreement).await.unwrap();
    assert_eq!(told().await, proposed);
    running.advance("2024-03-01 09:20");
    running.approve_as(&approver(), &agreement).await.unwrap();
    let in_force = pb::Agreement {
        state: AgreementState::InForce.into(),
        approved_by: "officer:approver".to_owned(),
        approved_at: timestamp(at("2024-03-01 09:20")),
        ..proposed
    };
    assert_eq!(told().await, in_force);
    running.suspend_as(&guard(), &agreement).await.unwrap();
    let suspended = pb::Agreement {
        state: AgreementState::Suspended.into(),
        reason: "LEAK".to_owned(),
        ..in_force.clone()
    };
    assert_eq!(told().await, suspended);
    running.approve_as(&approver(), &agreement).await.unwrap();
    assert_eq!(told().await, in_force);
    running.end_as(&guard(), &agreement).await.unwrap();
    let ended = pb::Agreement {
        state: AgreementState::Ended.into(),
        reason: "NO_NEED".to_owned(),
        ..in_force
    };
    assert_eq!(told().await, ended);
    running.stop().await;
}

#[tokio::test]
async fn what_does_not_stand_so_is_not_approved_suspended_or_ended() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let nothing = id();
    for outcome in [
        running.approve_as(&approver(), &nothing).await,
        running.suspend_as(&guard(), &nothing).await,
        running.end_as(&guard(), &nothing).await,
    ] {
        refused(outcome, Code::NotFound, "AGREEMENT_NOT_FOUND");
    }
    let agreement = running.propose(&some_terms()).await.unwrap();
    let outcome = running.suspend_as(&guard(), &agreement).await;
    refused(outcome, Code::FailedPrecondition, "NOT_IN_FORCE");
    running.approve_as(&approver(), &agreement).await.unwrap();
    let outcome = running.approve_as(&guard(), &agreement).await;
    refused(outcome, Code::FailedPrecondition, "ALREADY_IN_FORCE");
    running.end_as(&guard(), &agreement).await.unwrap();
    let outcome = running.suspend_as(&guard(), &agreement).await;
    refused(outcome, Code::FailedPrecondition, "AGREEMENT_ENDED");
    let outcome = running.end_as(&guard(), &agreement).await;
    refused(outcome, Code::FailedPrecondition, "AGREEMENT_ENDED");
    running.stop().await;
}

#[tokio::test]
async fn agreements_are_listed_by_department_and_state() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let short = pb::AgreementTerms {
        until: date("2024-03-31"),
        ..some_terms()
    };
    let over = running.agreed(&short).await;
    let proposed = running.propose(&some_terms()).await.unwrap();
    let in_force = running.agreed(&some_terms()).await;
    let suspended = running.agreed(&some_terms()).await;
    running.suspend_as(&guard(), &suspended).await.unwrap();
    let ended = running.agreed(&some_terms()).await;
    running.end_as(&guard(), &ended).await.unwrap();
    let police = pb::AgreementTerms {
        department: "police".to_owned(),
        ..some_terms()
    };
    let others = running.agreed(&police).await;
    running.advance("2024-04-01 09:10");
    let all = [&others, &ended, &suspended, &in_force, &proposed, &over];
    let told = running.agreements(&reader(), "", ANY).await;
    assert_eq!(told.iter().collect::<Vec<_>>(), all);
    let told = running.agreements(&reader(), "health", ANY).await;
    assert_eq!(told.iter().collect::<Vec<_>>(), all[1..]);
    for (state, agreement) in [
        (AgreementState::Proposed, proposed),
        (AgreementState::InForce, in_force),
        (AgreementState::Suspended, suspended),
        (AgreementState::Ended, ended),
        (AgreementState::Expired, over),
    ] {
        let told = running.agreements(&reader(), "health", state).await;
        assert_eq!(told, [agreement], "{state:?}");
    }
    running.stop().await;
}

#[tokio::test]
async fn the_pages_of_a_list_hold_each_agreement_once() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let mut agreements = Vec::new();
    for _ in 0..5 {
        agreements.push(running.propose(&some_terms()).await.unwrap());
    }
    agreements.reverse();
    running.settled().await;
    let mut client = running.client_of(&reader());
    let mut request = pb::ListAgreementsRequest {
        page_size: 2,
        ..Default::default()
    };
    let mut pages = Vec::new();
    loop {
        let page = client.list_agreements(request.clone()).await.unwrap();
        let page = page.into_inner();
        let page_of = page.agreements.into_iter().map(|one| one.agreement_id);
        pages.push(page_of.collect::<Vec<_>>());
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
        // What is proposed meanwhile stands before the first page.
        running.propose(&some_terms()).await.unwrap();
        running.settled().await;
    }
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 1]);
    assert_eq!(pages.concat(), agreements);
    running.stop().await;
}

#[tokio::test]
async fn a_department_sees_its_own_agreements_only() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let own = running.agreed(&some_terms()).await;
    let police = pb::AgreementTerms {
        department: "police".to_owned(),
        ..some_terms()
    };
    let others = running.agreed(&police).await;
    assert_eq!(
        running.agreements(&doctor(), "", ANY).await,
        std::slice::from_ref(&own)
    );
    let told = running.agreements(&doctor(), "police", ANY).await;
    assert!(told.is_empty());
    running.agreement(&doctor(), &own).await.unwrap();
    // Another department's is told of as one that there is not.
    let mut texts = Vec::new();
    for agreement in [others, id()] {
        let refused = running.agreement(&doctor(), &agreement).await.unwrap_err();
        assert_eq!(refused.code(), Code::NotFound);
        texts.push(in_full(&refused, &agreement));
    }
    assert_eq!(texts[0], texts[1]);
    running.stop().await;
}

#[tokio::test]
async fn retries_of_commands_are_answered_as_before() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let propose = pb::ProposeAgreementRequest {
        request_id: id(),
        terms: Some(some_terms()),
    };
    let mut client = running.client_of(&proposer());
    let proposed = client.propose_agreement(propose.clone()).await.unwrap();
    let proposed = proposed.into_inner();
    let agreement = proposed.agreement_id.clone();
    let approve = pb::ApproveAgreementRequest {
        request_id: id(),
        agreement_id: agreement.clone(),
    };
    let mut other = running.client_of(&approver());
    let approved = other.approve_agreement(approve.clone()).await.unwrap();
    let suspend = pb::SuspendAgreementRequest {
        request_id: id(),
        agreement_id: agreement.clone(),
        reason: "LEAK".to_owned(),
    };
    let suspended = client.suspend_agreement(suspend.clone()).await.unwrap();
    let end = pb::EndAgreementRequest {
        request_id: id(),
        agreement_id: agreement.clone(),
        reason: "NO_NEED".to_owned(),
    };
    let ended = client.end_agreement(end.clone()).await.unwrap();
    let written = ground.written().await;
    assert_eq!(written, 4);

    // However late they come.
    let again = client.propose_agreement(propose).await.unwrap();
    assert_eq!(again.into_inner(), proposed);
    let again = other.approve_agreement(approve).await.unwrap();
    assert_eq!(again.into_inner(), approved.into_inner());
    let again = client.suspend_agreement(suspend).await.unwrap();
    assert_eq!(again.into_inner(), suspended.into_inner());
    let again = client.end_agreement(end).await.unwrap();
    assert_eq!(again.into_inner(), ended.into_inner());
    assert_eq!(ground.written().await, written);
    let told = running.agreement(&reader(), &agreement).await.unwrap();
    assert_eq!(told.state(), AgreementState::Ended);
    running.stop().await;
}

#[tokio::test]
async fn other_content_under_a_known_request_id_is_refused() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let propose = pb::ProposeAgreementRequest {
        request_id: id(),
        terms: Some(some_terms()),
    };
    let mut client = running.client_of(&proposer());
    client.propose_agreement(propose.clone()).await.unwrap();
    let other = pb::ProposeAgreementRequest {
        terms: Some(terms(&[grant("elder", &["name"], &[])])),
        ..propose.clone()
    };
    let outcome = client.propose_agreement(other).await;
    refused(outcome, Code::InvalidArgument, "REQUEST_ID_REUSED");
    let agreement = propose.request_id;
    running.approve_as(&approver(), &agreement).await.unwrap();
    let suspend = pb::SuspendAgreementRequest {
        request_id: id(),
        agreement_id: agreement.clone(),
        reason: "LEAK".to_owned(),
    };
    client.suspend_agreement(suspend.clone()).await.unwrap();
    let other = pb::SuspendAgreementRequest {
        reason: "LAW".to_owned(),
        ..suspend.clone()
    };
    let outcome = client.suspend_agreement(other).await;
    refused(outcome, Code::InvalidArgument, "REQUEST_ID_REUSED");
    let approve = pb::ApproveAgreementRequest {
        request_id: suspend.request_id.clone(),
        agreement_id: agreement.clone(),
    };
    let mut approving = running.client_of(&approver());
    let outcome = approving.approve_agreement(approve).await;
    refused(outcome, Code::InvalidArgument, "REQUEST_ID_REUSED");
    let end = pb::EndAgreementRequest {
        request_id: suspend.request_id,
        agreement_id: agreement.clone(),
        reason: "NO_NEED".to_owned(),
    };
    let outcome = client.end_agreement(end).await;
    refused(outcome, Code::InvalidArgument, "REQUEST_ID_REUSED");
    let told = running.agreement(&reader(), &agreement).await.unwrap();
    assert_eq!(told.state(), AgreementState::Suspended);
    running.stop().await;
}

#[tokio::test]
async fn an_agreement_reaches_no_further_than_its_proposer() {
    let ground = Ground::at("2024-03-01 09:10");
    let running = ground.start().await;
    let beyond = pb::AgreementTerms {
        division_codes: vec![COUNTY.to_owned(), OTHER_COUNTY.to_owned()],
        ..some_terms()
    };
    let outcome = running.propose(&beyond).await;
    refused(outcome, Code::PermissionDenied, "DIVISION_OUT_OF_REACH");
    assert_eq!(ground.written().await, 0);
    // Nor does an officer of one of its divisions decide on it.
    let city = officer(
        "city",
        "civil_affairs",
        "3505",
        &["administrator", "supervisor"],
    );
    let agreement = running.propose_as(&city, &beyond).await.unwrap();
    for outcome in [
        running.approve_as(&approver(), &agreement).await,
        running.suspend_as(&approver(), &agreement).await,
        running.end_as(&approver(), &agreement).await,
    ] {
        refused(outcome, Code::PermissionDenied, "DIVISION_OUT_OF_REACH");
    }
    assert_eq!(ground.written().await, 1);
    running.stop().await;
}
