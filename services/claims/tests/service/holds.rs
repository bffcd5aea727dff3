//! Facts that are recorded after an approval: the order waits for a reviewer while it is unpaid, and is listed for recovery
//! once it is paid.

use civic::ElderId;
use claims::settlements::Settlements;
use elders::codec;
use elders::event::{Event, Residence};
use eventlog::{Repository, Subject};
use proto::eldercare::claims::v1 as pb;
use tonic::Code;

use crate::money::adjustment;
use crate::support::{
    COUNTY, Ground, Running, all_in, day, id, in_words, officer, order, reason, retirement,
    short_order,
};

/// An insured elder with the approved orders `A` of 10 and `B` of 20 February.
pub(crate) async fn approved(ground: &Ground) -> (Running, ElderId, String) {
    let running = ground.start().await;
    let caregiver = running.insurance().await;
    running.granted("LTCI", 100_000).await;
    let elder = running.insured().await;
    for (number, start) in [("A", "2024-02-10 09:00"), ("B", "2024-02-20 09:00")] {
        let order = order(number, elder, &caregiver, start);
        assert_eq!(running.told(&order).await, "APPROVED");
    }
    (running, elder, caregiver)
}

/// From a day on nothing entitles the elder any more.
pub(crate) fn no_longer_poor(on: &str) -> Event {
    Event::ProfileUpdated(elders::event::ProfileUpdated {
        on: Some(day(on)),
        categories: None,
        assistance: Some(civic::Set::new()),
        wanted_services: None,
        remarks: None,
    })
}

/// Orders against which later facts stand.
pub(crate) async fn held_orders(running: &Running) -> Vec<pb::HeldOrder> {
    running.settled().await;
    let request = pb::ListHeldOrdersRequest {
        division_code: COUNTY.to_owned(),
        ..Default::default()
    };
    let listed = running.client().list_held_orders(request).await.unwrap();
    listed.into_inner().orders
}

/// Orders against which later facts stand: number, state and codes.
pub(crate) async fn held(running: &Running) -> Vec<String> {
    let listed = held_orders(running).await;
    listed
        .iter()
        .map(|held| {
            let standing = held.standing.as_ref().unwrap();
            let state = standing.hold().as_str_name().replace("HOLD_STATE_", "");
            let codes: Vec<_> = held
                .codes()
                .map(|code| code.as_str_name().replace("ORDER_CODE_", ""))
                .collect();
            format!("{} {state} {}", standing.order_id, codes.join(" "))
        })
        .collect()
}

/// A decision on an order of provider P01, whatever stands against it.
fn decision(number: &str, withdraw: bool) -> pb::DecideHoldRequest {
    let decision = if withdraw {
        pb::HoldDecision::Withdraw
    } else {
        pb::HoldDecision::Keep
    };
    pb::DecideHoldRequest {
        request_id: id(),
        provider_id: "P01".to_owned(),
        order_id: number.to_owned(),
        decision: decision.into(),
        etag: String::new(),
    }
}

/// A reviewer decides; where the order stands then, or why it is refused.
pub(crate) async fn decide(
    running: &Running,
    by: &str,
    number: &str,
    withdraw: bool,
) -> Result<String, String> {
    let request = decision(number, withdraw);
    let mut client = running.client_of(&officer(by, COUNTY));
    match client.decide_hold(request).await {
        Ok(decided) => Ok(in_words(&decided.into_inner().standing.unwrap())),
        Err(status) => Err(reason(&status)),
    }
}

#[tokio::test]
async fn a_death_that_is_told_late_puts_the_orders_after_it_on_hold() {
    let ground = Ground::at("2024-03-01 09:00");
    let (running, elder, _) = approved(&ground).await;
    let draft = running.draft("P01", "2024-03-01").await.unwrap();
    assert_eq!(draft.orders, 2);
    ground.dies(elder, "2024-02-15").await;
    assert_eq!(held(&running).await, ["B ON_HOLD NOT_ALIVE_OR_PRESENT"]);
    // It stays approved, and leaves the settlement.
    assert_eq!(running.standing("B").await, "APPROVED");
    let told = running.settlement("P01", 1).await;
    assert_eq!(told.settlement.unwrap().total_fen, 20_000);
    let numbers: Vec<_> = told
        .orders
        .iter()
        .map(|one| one.order_id.as_str())
        .collect();
    assert_eq!(numbers, ["A"]);
    let stale = running.confirm(&draft).await.unwrap_err();
    assert_eq!(reason(&stale), "TOTAL_CHANGED");
    assert_eq!(running.draft("P01", "2024-03-01").await.unwrap().orders, 1);
    assert_eq!(running.fund("LTCI").await.reserved_fen, 40_000);
    running.stop().await;
}

#[tokio::test]
async fn a_reviewer_keeps_an_order_and_the_next_settlement_bears_it() {
    let ground = Ground::at("2024-03-01 09:00");
    let (running, elder, _) = approved(&ground).await;
    let draft = running.draft("P01", "2024-03-01").await.unwrap();
    let confirmed = running.confirm(&draft).await.unwrap();
    ground.dies(elder, "2024-02-15").await;
    assert_eq!(held(&running).await.len(), 1);
    // What was confirmed is not what is left of it.
    let stale = running.pay(&confirmed).await.unwrap_err();
    assert_eq!(reason(&stale), "TOTAL_CHANGED");
    let left = running.settlement("P01", 1).await.settlement.unwrap();
    running.pay(&left).await.unwrap();
    assert_eq!(
        decide(&running, "reviewer", "B", false).await.unwrap(),
        "APPROVED"
    );
    assert_eq!(held(&running).await, Vec::<String>::new());
    let next = running.draft("P01", "2024-03-01").await.unwrap();
    assert_eq!((next.number, next.orders, next.total_fen), (2, 1, 20_000));
    let again = decide(&running, "reviewer", "B", true).await;
    assert_eq!(again, Err("NOT_ON_HOLD".to_owned()));
    // Whoever has seen it need not see it again; what is new is another matter.
    let moved = Residence {
        village: crate::support::OTHER_VILLAGE.parse().unwrap(),
        home: None,
    };
    let moved = Event::Relocated(moved, day("2024-02-29"));
    ground.record(elder, &[moved]).await;
    assert_eq!(held(&running).await, Vec::<String>::new());
    ground.record(elder, &[no_longer_poor("2024-02-19")]).await;
    let told = held(&running).await;
    assert_eq!(told, ["B ON_HOLD NOT_ENTITLED NOT_ALIVE_OR_PRESENT"]);
    running.stop().await;
}

#[tokio::test]
async fn a_withdrawn_approval_frees_what_it_took() {
    let ground = Ground::at("2024-03-01 09:00");
    let (running, elder, _) = approved(&ground).await;
    ground.dies(elder, "2024-02-15").await;
    assert_eq!(held(&running).await.len(), 1);
    let told = decide(&running, "reviewer", "B", true).await.unwrap();
    assert_eq!(told, "NOT_SETTLED: WITHDRAWN");
    let standing = running.order("B").await.standing.unwrap();
    assert_eq!(standing.hold(), pb::HoldState::Withdrawn);
    assert_eq!(running.fund("LTCI").await.reserved_fen, 20_000);
    assert_eq!(running.entitlement(elder, "2024-02-10").await.units_used, 1);
    assert_eq!(running.draft("P01", "2024-03-01").await.unwrap().orders, 1);
    let row = running.figures(all_in(COUNTY), &[]).await.rows.remove(0);
    assert_eq!((row.orders, row.approved, row.not_settled), (2, 1, 1));
    assert_eq!(row.approved_fen, 20_000);
    // It is over: there is nothing to appeal against.
    let appeal = running.appeal("B").await.unwrap_err();
    assert_eq!(reason(&appeal), "NOT_ABNORMAL");
    running.stop().await;
}

#[tokio::test]
async fn what_is_paid_already_is_listed_for_recovery_and_comes_back_by_an_adjustment() {
    let ground = Ground::at("2024-03-01 09:00");
    let (running, elder, _) = approved(&ground).await;
    running.paid("P01", "2024-03-01").await;
    ground.dies(elder, "2024-02-15").await;
    assert_eq!(
        held(&running).await,
        ["B FOR_RECOVERY NOT_ALIVE_OR_PRESENT"]
    );
    let stays = running.settlement("P01", 1).await.settlement.unwrap();
    assert_eq!(stays.total_fen, 40_000);
    let decided = decide(&running, "reviewer", "B", true).await;
    assert_eq!(decided, Err("NOT_ON_HOLD".to_owned()));
    adjusted(&running, -20_000, "B").await;
    let next = running.draft("P01", "2024-03-01").await.unwrap();
    assert_eq!(next.total_fen, -20_000);
    running.stop().await;
}

/// Puts right what was paid for an order by the first settlement.
async fn adjusted(running: &Running, fen: i64, order: &str) {
    let adjustment = adjustment(1, fen, order);
    let adjusted = running.client().adjust_settlement(adjustment).await;
    adjusted.unwrap();
}

#[tokio::test]
async fn an_order_is_to_be_recovered_until_adjustments_have_taken_all_of_it_back() {
    let ground = Ground::at("2024-03-01 09:00");
    let (running, elder, _) = approved(&ground).await;
    running.paid("P01", "2024-03-01").await;
    ground.dies(elder, "2024-02-05").await;
    let both = [
        "A FOR_RECOVERY NOT_ALIVE_OR_PRESENT",
        "B FOR_RECOVERY NOT_ALIVE_OR_PRESENT",
    ];
    let listed = async || {
        let mut listed = held(&running).await;
        listed.sort();
        listed
    };
    assert_eq!(listed().await, both);
    adjusted(&running, -19_999, "B").await;
    assert_eq!(listed().await, both);
    // What is about no order takes back that of none.
    adjusted(&running, -1, "").await;
    assert_eq!(listed().await, both);
    adjusted(&running, -1, "B").await;
    assert_eq!(listed().await, both[..1]);
    let standing = running.order("B").await.standing.unwrap();
    assert_eq!(standing.hold(), pb::HoldState::Recovered);
    // A mistake that is undone brings it back onto the list.
    adjusted(&running, 1, "B").await;
    assert_eq!(listed().await, both);
    adjusted(&running, -1, "B").await;
    assert_eq!(listed().await, both[..1]);
    // A further fact has nothing to take back any more; nor has the same one, told after the loss of the database.
    ground.dies(elder, "2024-02-04").await;
    assert_eq!(listed().await, both[..1]);
    let end = ground.end().await;
    let (ground, _) = running.stop().await;
    let running = ground.start().await;
    assert_eq!(held(&running).await, both[..1]);
    let standing = running.order("B").await.standing.unwrap();
    assert_eq!(standing.hold(), pb::HoldState::Recovered);
    assert_eq!(ground.end().await, end);
    running.stop().await;
}

#[tokio::test]
async fn pages_of_held_orders_walk_over_each_once_the_first_one_first() {
    let ground = Ground::at("2024-03-01 09:00");
    let (running, elder, caregiver) = approved(&ground).await;
    let other = running.insured().await;
    let order = order("C", other, &caregiver, "2024-02-25 09:00");
    running.told(&order).await;
    ground.dies(other, "2024-02-24").await;
    running.advance("2024-03-02 09:00").await;
    ground.dies(elder, "2024-02-05").await;
    running.settled().await;
    let mut request = pb::ListHeldOrdersRequest {
        division_code: COUNTY.to_owned(),
        state: pb::HoldState::OnHold.into(),
        page_size: 1,
        ..Default::default()
    };
    let mut listed = Vec::new();
    loop {
        let page = running.client().list_held_orders(request.clone()).await;
        let page = page.unwrap().into_inner();
        listed.extend(
            page.orders
                .into_iter()
                .map(|one| one.standing.unwrap().order_id),
        );
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    assert_eq!(listed[0], "C");
    listed.sort();
    assert_eq!(listed, ["A", "B", "C"]);
    running.stop().await;
}

#[tokio::test]
async fn nobody_decides_on_an_order_that_they_handed_in() {
    let ground = Ground::at("2024-03-01 09:00");
    let (running, elder, _) = approved(&ground).await;
    ground.dies(elder, "2024-02-15").await;
    assert_eq!(held(&running).await.len(), 1);
    let request = decision("B", false);
    // Whoever the client stands for by default handed it in.
    let refused = running.client().decide_hold(request).await.unwrap_err();
    assert_eq!(
        (refused.code(), reason(&refused).as_str()),
        (Code::PermissionDenied, "SAME_PERSON")
    );
    for (number, why) in [("A", "NOT_ON_HOLD"), ("Z", "ORDER_NOT_FOUND")] {
        let refused = decide(&running, "reviewer", number, false).await;
        assert_eq!(refused, Err(why.to_owned()));
    }
    running.stop().await;
}

#[tokio::test]
async fn a_reviewer_who_has_not_read_all_that_stands_against_an_order_is_to_read_it_again() {
    let ground = Ground::at("2024-03-01 09:00");
    let (running, elder, caregiver) = approved(&ground).await;
    ground.dies(elder, "2024-02-15").await;
    let read = held_orders(&running).await.remove(0);
    let retired = retirement(&caregiver, "2024-02-15");
    running.client().retire_caregiver(retired).await.unwrap();
    let both = ["B ON_HOLD NOT_ALIVE_OR_PRESENT PROVIDER_INVALID"];
    assert_eq!(held(&running).await, both);
    let end = ground.end().await;
    let decided = async |etag: &str| {
        let request = pb::DecideHoldRequest {
            etag: etag.to_owned(),
            ..decision("B", false)
        };
        let mut reviewer = running.client_of(&officer("reviewer", COUNTY));
        reviewer.decide_hold(request).await
    };
    let stale = decided(&read.etag).await.unwrap_err();
    assert_eq!(
        (stale.code(), reason(&stale).as_str()),
        (Code::Aborted, "ETAG_MISMATCH")
    );
    let none = decided("2").await.unwrap_err();
    assert_eq!(none.code(), Code::InvalidArgument);
    assert_eq!(held(&running).await, both);
    assert_eq!(ground.end().await, end);
    let read = held_orders(&running).await.remove(0);
    let kept = decided(&read.etag).await.unwrap().into_inner();
    assert_eq!(kept.standing.unwrap().hold(), pb::HoldState::Kept);
    assert_eq!(held(&running).await, Vec::<String>::new());
    running.stop().await;
}

#[tokio::test]
async fn an_order_that_was_approved_in_spite_of_a_fact_is_not_held_by_it() {
    let ground = Ground::at("2024-03-01 09:00");
    let (running, elder, caregiver) = approved(&ground).await;
    ground.dies(elder, "2024-02-21").await;
    let after_death = order("C", elder, &caregiver, "2024-02-25 09:00");
    assert_eq!(
        running.told(&after_death).await,
        "ABNORMAL_OPEN NOT_ALIVE_OR_PRESENT"
    );
    running.appeal("C").await.unwrap();
    assert_eq!(
        running.decide("C", true).await.unwrap(),
        "APPROVED NOT_ALIVE_OR_PRESENT"
    );
    // The same told once more says nothing new.
    ground.dies(elder, "2024-02-22").await;
    assert_eq!(held(&running).await, Vec::<String>::new());
    running.stop().await;
}

#[tokio::test]
async fn facts_that_come_between_submission_and_approval_hold_the_order_too() {
    let ground = Ground::at("2024-03-01 09:00");
    let (running, elder, caregiver) = approved(&ground).await;
    let short = short_order("C", elder, &caregiver, "2024-02-25 09:00");
    running.told(&short).await;
    running.appeal("C").await.unwrap();
    ground.dies(elder, "2024-02-22").await;
    assert_eq!(held(&running).await, Vec::<String>::new());
    running.decide("C", true).await.unwrap();
    assert_eq!(held(&running).await, ["C ON_HOLD NOT_ALIVE_OR_PRESENT"]);
    running.stop().await;
}

#[tokio::test]
async fn a_lost_database_holds_nothing_again() {
    let ground = Ground::at("2024-03-01 09:00");
    let (running, elder, _) = approved(&ground).await;
    ground.dies(elder, "2024-02-05").await;
    assert_eq!(held(&running).await.len(), 2);
    assert_eq!(
        decide(&running, "reviewer", "A", false).await.unwrap(),
        "APPROVED"
    );
    let listed = held(&running).await;
    let end = ground.end().await;
    let (ground, _) = running.stop().await;
    let running = ground.start().await;
    assert_eq!(held(&running).await, listed);
    assert_eq!(
        running.order("A").await.standing.unwrap().hold(),
        pb::HoldState::Kept
    );
    assert_eq!(ground.end().await, end);
    running.stop().await;
}

#[tokio::test]
async fn what_follows_from_a_fact_goes_on_in_its_trace() {
    let ground = Ground::at("2024-03-01 09:00");
    let (running, elder, _) = approved(&ground).await;
    let mut metadata = ground.metadata();
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    metadata.traceparent = Some(trace.to_owned());
    let subject = Subject::new("registry", "elder", &elder.to_string()).unwrap();
    let died = Event::Died {
        on: day("2024-02-15"),
    };
    let events = vec![codec::encode(&died)];
    service::testing::write(&*ground.registry, subject, metadata.clone(), events).await;
    assert_eq!(held(&running).await.len(), 1);
    let subject = Repository::<Settlements>::subject("LTCI-P01").unwrap();
    let records = ground.own.read(&subject, 0).await.unwrap();
    let followed = &records.last().unwrap().metadata;
    assert_eq!(followed.traceparent, metadata.traceparent);
    assert_eq!(followed.correlation_id, metadata.correlation_id);
    assert_eq!(followed.causation_id, Some(metadata.id));
    running.stop().await;
}
