//! Appeals: filed in time, decided by somebody else, and the end of their time by the clock.

use civic::ElderId;
use proto::eldercare::claims::v1 as pb;
use tonic::Code;

use crate::support::{
    COUNTY, Ground, LTCI, Running, all_in, appeal_request, at, date, decision_request, file,
    in_words, officer, order, reason, short_order,
};

/// An insured elder and a caregiver; the order `A` of 10 February, handed in on 1 March, is too short.
async fn held(ground: &Ground) -> (Running, ElderId, String) {
    let running = ground.start().await;
    let caregiver = running.insurance().await;
    let elder = running.insured().await;
    let short = short_order("A", elder, &caregiver, "2024-02-10 09:00");
    assert_eq!(running.told(&short).await, "ABNORMAL_OPEN DURATION_SHORT");
    (running, elder, caregiver)
}

async fn appeals(running: &Running, state: pb::AppealState) -> Vec<pb::Appeal> {
    running.settled().await;
    let request = pb::ListAppealsRequest {
        division_code: COUNTY.to_owned(),
        state: state.into(),
        ..Default::default()
    };
    let listed = running.client().list_appeals(request).await.unwrap();
    listed.into_inner().appeals
}

const ANY: pb::AppealState = pb::AppealState::Unspecified;

#[tokio::test]
async fn an_accepted_appeal_approves_the_order() {
    let ground = Ground::at("2024-03-01 09:00");
    let (running, elder, _) = held(&ground).await;
    assert!(appeals(&running, ANY).await.is_empty());
    running.appeal("A").await.unwrap();
    let pending = appeals(&running, pb::AppealState::Pending).await;
    assert_eq!(pending.len(), 1);
    assert_eq!(pending[0].statement, "家属可作证");
    assert_eq!(pending[0].evidence, appeal_request("A").evidence);
    assert_eq!(
        (pending[0].decided_by.as_str(), &pending[0].decided_at),
        ("", &None)
    );
    assert_eq!(running.standing("A").await, "ABNORMAL_OPEN DURATION_SHORT");

    running.advance("2024-03-02 09:00").await;
    let decided = running.decide("A", true).await.unwrap();
    // What was given stays given.
    assert_eq!(decided, "APPROVED DURATION_SHORT");
    let told = running.order("A").await;
    let standing = told.standing.unwrap();
    assert_eq!(standing.appeal(), pb::AppealState::Accepted);
    let second = Some(elders::wire::write_time(at("2024-03-02 09:00")));
    assert_eq!(standing.approved_at, second);
    let appeal = told.appeal.unwrap();
    assert_eq!(appeal.decided_by, "officer:reviewer");
    assert_eq!(appeal.decided_at, second);
    let first = Some(elders::wire::write_time(at("2024-03-01 09:00")));
    assert_eq!(appeal.filed_at, first);
    assert_eq!(appeals(&running, pb::AppealState::Accepted).await, [appeal]);
    assert!(appeals(&running, pb::AppealState::Pending).await.is_empty());
    assert_eq!(running.fund("LTCI").await.reserved_fen, 20_000);
    assert_eq!(running.entitlement(elder, "2024-03-02").await.units_used, 1);
    running.stop().await;
}

#[tokio::test]
async fn an_order_whose_appeal_is_refused_is_never_paid() {
    let ground = Ground::at("2024-03-01 09:00");
    let (running, ..) = held(&ground).await;
    running.appeal("A").await.unwrap();
    let decided = running.decide("A", false).await.unwrap();
    assert_eq!(decided, "NOT_SETTLED DURATION_SHORT: APPEAL_REFUSED");
    let refused = appeals(&running, pb::AppealState::Refused).await;
    assert_eq!(refused[0].decided_by, "officer:reviewer");
    assert_eq!(running.fund("LTCI").await.reserved_fen, 0);
    running.stop().await;
}

#[tokio::test]
async fn an_appeal_is_accepted_in_vain_when_the_entitlement_is_used_up_by_then() {
    let ground = Ground::at("2024-03-01 09:00");
    let running = ground.start().await;
    let one_a_year = LTCI.replace("services: 12", "services: 1");
    let caregiver = running.insurance_by(&one_a_year).await;
    let elder = running.insured().await;
    let short = short_order("A", elder, &caregiver, "2024-02-10 09:00");
    let good = order("B", elder, &caregiver, "2024-02-11 09:00");
    assert_eq!(running.told(&short).await, "ABNORMAL_OPEN DURATION_SHORT");
    running.appeal("A").await.unwrap();
    assert_eq!(running.told(&good).await, "APPROVED");
    let decided = running.decide("A", true).await.unwrap();
    assert_eq!(decided, "NOT_SETTLED DURATION_SHORT: QUOTA_EXCEEDED");
    let standing = running.order("A").await.standing.unwrap();
    assert_eq!(standing.appeal(), pb::AppealState::AcceptedOverQuota);
    assert_eq!(running.fund("LTCI").await.reserved_fen, 20_000);
    assert_eq!(running.entitlement(elder, "2024-03-01").await.units_used, 1);
    running.stop().await;
}

#[tokio::test]
async fn nobody_decides_on_their_own_order_or_appeal() {
    let ground = Ground::at("2024-03-01 09:00");
    let (running, elder, caregiver) = held(&ground).await;
    let request = pb::SubmitOrderRequest {
        order: Some(short_order("B", elder, &caregiver, "2024-02-12 09:00")),
        min_position: String::new(),
    };
    let mut clerk = running.client_of(&officer("clerk", COUNTY));
    clerk.submit_order(request).await.unwrap();
    running.appeal("B").await.unwrap();
    for name in ["clerk", "appellant"] {
        for accept in [true, false] {
            let mut client = running.client_of(&officer(name, COUNTY));
            let refused = client.decide_appeal(decision_request("B", accept)).await;
            let refused = refused.unwrap_err();
            assert_eq!(refused.code(), Code::PermissionDenied, "{name}");
            assert_eq!(reason(&refused), "SAME_PERSON");
        }
    }
    assert!(running.decide("B", true).await.is_ok());
    running.stop().await;
}

#[tokio::test]
async fn what_is_not_abnormal_not_appealed_or_decided_already_is_refused() {
    let ground = Ground::at("2024-03-01 09:00");
    let (running, elder, caregiver) = held(&ground).await;
    let good = order("B", elder, &caregiver, "2024-02-11 09:00");
    assert_eq!(running.told(&good).await, "APPROVED");
    let why = |status| reason(&status);
    assert_eq!(
        running.appeal("B").await.map_err(why),
        Err("NOT_ABNORMAL".to_owned())
    );
    assert_eq!(
        running.appeal("Z").await.map_err(why),
        Err("ORDER_NOT_FOUND".to_owned())
    );
    assert_eq!(
        running.decide("Z", true).await.map_err(why),
        Err("ORDER_NOT_FOUND".to_owned())
    );
    assert_eq!(
        running.decide("A", true).await.map_err(why),
        Err("NOT_APPEALED".to_owned())
    );
    running.appeal("A").await.unwrap();
    assert_eq!(
        running.appeal("A").await.map_err(why),
        Err("ALREADY_APPEALED".to_owned())
    );
    running.decide("A", true).await.unwrap();
    for accept in [true, false] {
        let again = running.decide("A", accept).await.map_err(why);
        assert_eq!(again, Err("ALREADY_DECIDED".to_owned()));
    }
    assert_eq!(
        running.appeal("A").await.map_err(why),
        Err("ALREADY_APPEALED".to_owned())
    );
    running.stop().await;
}

#[tokio::test]
async fn an_appeal_and_a_decision_that_are_sent_again_are_answered_as_they_were() {
    let ground = Ground::at("2024-03-01 09:00");
    let (running, ..) = held(&ground).await;
    let mut appellant = running.client_of(&officer("appellant", COUNTY));
    let appeal = appeal_request("A");
    let filed = appellant.appeal_order(appeal.clone()).await.unwrap();
    let filed = filed.into_inner();
    let mut reviewer = running.client_of(&officer("reviewer", COUNTY));
    let decision = decision_request("A", true);
    let decided = reviewer.decide_appeal(decision.clone()).await.unwrap();
    let decided = decided.into_inner();
    running.advance("2024-05-01 09:00").await;
    let end = ground.end().await;
    let again = appellant.appeal_order(appeal.clone()).await.unwrap();
    assert_eq!(again.into_inner(), filed);
    let again = reviewer.decide_appeal(decision).await.unwrap();
    assert_eq!(again.into_inner(), decided);
    assert_eq!(ground.end().await, end);
    let another = pb::AppealOrderRequest {
        statement: "另有说明".to_owned(),
        ..appeal
    };
    let reused = appellant.appeal_order(another).await.unwrap_err();
    assert_eq!(reason(&reused), "REQUEST_ID_REUSED");
    running.stop().await;
}

#[tokio::test]
async fn the_time_for_appeals_ends_at_the_midnight_after_the_fifteenth_day() {
    let ground = Ground::at("2024-03-01 09:00");
    let (running, elder, caregiver) = held(&ground).await;
    for (number, day) in [("B", 11), ("C", 12)] {
        let short = short_order(number, elder, &caregiver, &format!("2024-02-{day} 09:00"));
        running.told(&short).await;
    }
    let standing = running.order("A").await.standing.unwrap();
    assert_eq!(standing.appeal_until, date("2024-03-16"));
    running.appeal("B").await.unwrap();
    let open = "ABNORMAL_OPEN DURATION_SHORT";
    running.advance("2024-03-16 23:59").await;
    for number in ["A", "B", "C"] {
        assert_eq!(running.standing(number).await, open);
    }
    // In the last minute there is still time.
    running.appeal("C").await.unwrap();
    running.advance("2024-03-17 00:00").await;
    let over = "NOT_SETTLED DURATION_SHORT: NO_APPEAL";
    assert_eq!(running.standing("A").await, over);
    // Then it is too late, and nothing else is said of it.
    let end = ground.end().await;
    let late = running.appeal("A").await.unwrap_err();
    assert_eq!(late.code(), Code::FailedPrecondition);
    assert_eq!(reason(&late), "APPEAL_TOO_LATE");
    assert_eq!(ground.end().await, end);
    // Those with an appeal wait for a reviewer, however long.
    running.advance("2024-12-31 09:00").await;
    for number in ["B", "C"] {
        assert_eq!(running.standing(number).await, open);
    }
    assert_eq!(
        running.decide("B", true).await.unwrap(),
        "APPROVED DURATION_SHORT"
    );
    assert_eq!(running.standing("A").await, over);
    running.stop().await;
}

#[tokio::test]
async fn time_that_passed_while_nobody_was_there_has_passed() {
    let ground = Ground::at("2024-03-01 09:00");
    let (running, ..) = held(&ground).await;
    let (ground, database) = running.stop().await;
    ground.clock.advance_to(at("2024-06-01 09:00")).unwrap();
    let running = ground.start_on(database).await;
    let over = "NOT_SETTLED DURATION_SHORT: NO_APPEAL";
    assert_eq!(running.standing("A").await, over);
    running.stop().await;
}

#[tokio::test]
async fn an_order_that_is_too_late_for_an_appeal_when_it_comes_is_closed_at_the_next_midnight() {
    // Where no version holds there are no days for appeals either: the day of submission is the last one.
    let ground = Ground::at("2024-03-01 09:00");
    let (running, elder, caregiver) = held(&ground).await;
    let before = order("B", elder, &caregiver, "2023-12-31 09:00");
    let told = running.told(&before).await;
    assert_eq!(
        told,
        "ABNORMAL_OPEN NOT_ENROLLED NOT_ENTITLED PROVIDER_INVALID"
    );
    running.advance("2024-03-02 00:00").await;
    assert!(running.standing("B").await.ends_with("NO_APPEAL"));
    assert_eq!(running.standing("A").await, "ABNORMAL_OPEN DURATION_SHORT");
    running.stop().await;
}

#[tokio::test]
async fn evidence_of_an_appeal_stands_against_no_later_order() {
    let ground = Ground::at("2024-03-01 09:00");
    let (running, elder, caregiver) = held(&ground).await;
    running.appeal("A").await.unwrap();
    let with_it = pb::ServiceOrder {
        evidence: vec![
            file(pb::EvidenceKind::Video, "B"),
            appeal_request("A").evidence.remove(0),
        ],
        ..order("B", elder, &caregiver, "2024-02-11 09:00")
    };
    assert_eq!(running.told(&with_it).await, "APPROVED");
    running.stop().await;
}

#[tokio::test]
async fn what_a_provider_said_is_gone_with_the_elders_key() {
    let ground = Ground::at("2024-03-01 09:00");
    let (running, elder, _) = held(&ground).await;
    running.appeal("A").await.unwrap();
    ground.is_erased(elder).await;
    let told = appeals(&running, ANY).await;
    assert_eq!((told.len(), told[0].statement.as_str()), (1, ""));
    // The reviewer may still decide.
    assert_eq!(
        running.decide("A", true).await.unwrap(),
        "APPROVED DURATION_SHORT"
    );
    running.stop().await;
}

#[tokio::test]
async fn pages_of_appeals_walk_over_each_once() {
    let ground = Ground::at("2024-03-01 09:00");
    let (running, elder, caregiver) = held(&ground).await;
    running.appeal("A").await.unwrap();
    for (number, day) in [("B", 11), ("C", 12), ("D", 13), ("E", 14)] {
        let short = short_order(number, elder, &caregiver, &format!("2024-02-{day} 09:00"));
        running.told(&short).await;
        // Two of them at the same instant.
        if number != "C" {
            running.advance(&format!("2024-03-01 09:{day}")).await;
        }
        running.appeal(number).await.unwrap();
    }
    running.settled().await;
    for size in [1, 2, 5] {
        let mut request = pb::ListAppealsRequest {
            division_code: COUNTY.to_owned(),
            provider_id: "P01".to_owned(),
            page_size: size,
            ..Default::default()
        };
        let mut numbers = Vec::new();
        loop {
            let page = running.client().list_appeals(request.clone()).await;
            let page = page.unwrap().into_inner();
            numbers.extend(page.appeals.into_iter().map(|one| one.order_id));
            if page.next_page_token.is_empty() {
                break;
            }
            request.page_token = page.next_page_token;
        }
        assert_eq!(
            (numbers[0].as_str(), numbers[1].as_str()),
            ("E", "D"),
            "pages of {size}"
        );
        assert_eq!(numbers[4], "A");
        numbers.sort();
        assert_eq!(numbers, ["A", "B", "C", "D", "E"], "pages of {size}");
    }
    let elsewhere = pb::ListAppealsRequest {
        division_code: COUNTY.to_owned(),
        provider_id: "P02".to_owned(),
        ..Default::default()
    };
    let elsewhere = running.client().list_appeals(elsewhere).await.unwrap();
    assert!(elsewhere.into_inner().appeals.is_empty());
    running.stop().await;
}

#[tokio::test]
async fn two_reviewers_at_once_decide_once() {
    let ground = Ground::at("2024-03-01 09:00");
    let (running, ..) = held(&ground).await;
    running.appeal("A").await.unwrap();
    let calls = [("one", true), ("other", false)].map(|(name, accept)| {
        let mut client = running.client_of(&officer(name, COUNTY));
        async move { client.decide_appeal(decision_request("A", accept)).await }
    });
    let [one, other] = calls;
    let (one, other) = tokio::join!(one, other);
    let (decided, refused) = match (one, other) {
        (Ok(decided), Err(refused)) | (Err(refused), Ok(decided)) => (decided, refused),
        both => panic!("{both:?}"),
    };
    assert_eq!(reason(&refused), "ALREADY_DECIDED");
    let told = in_words(&decided.into_inner().standing.unwrap());
    assert_eq!(running.standing("A").await, told);
    running.stop().await;
}

#[tokio::test]
async fn states_of_orders_add_up_at_every_step_of_an_appeal() {
    let ground = Ground::at("2024-03-01 09:00");
    let (running, elder, caregiver) = held(&ground).await;
    let counts = async || {
        let told = running.figures(all_in(COUNTY), &[]).await;
        let row = told.rows[0].clone();
        let states = row.waiting + row.approved + row.abnormal_open + row.not_settled;
        assert_eq!(row.orders, states);
        (
            row.approved,
            row.abnormal_open,
            row.not_settled,
            row.abnormal_at_submission,
        )
    };
    let second = short_order("B", elder, &caregiver, "2024-02-12 09:00");
    running.told(&second).await;
    let good = order("C", elder, &caregiver, "2024-02-13 09:00");
    running.told(&good).await;
    assert_eq!(counts().await, (1, 2, 0, 2));
    running.appeal("A").await.unwrap();
    assert_eq!(counts().await, (1, 2, 0, 2));
    running.decide("A", true).await.unwrap();
    assert_eq!(counts().await, (2, 1, 0, 2));
    running.advance("2024-03-17 00:00").await;
    assert_eq!(counts().await, (2, 0, 1, 2));
    running.stop().await;
}
