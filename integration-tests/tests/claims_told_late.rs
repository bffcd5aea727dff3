//! A death that is told late: what was approved for days after it waits for a reviewer, and what was paid already comes back.

use std::collections::BTreeSet;

use integration_tests::{
    Setup, System,
    claiming::{
        PRICE, PROGRAMME, a_draft, a_payment, an_order, approved, codes_in_words, confirmed,
        drafted, enrolled, entitlement, fund, grant, in_words, paid, programme, provider,
        standing_in_words, submit,
    },
    county, date, new_id, reason,
};
use proto::eldercare::{
    claims::v1::{
        AdjustSettlementRequest, DecideHoldRequest, GetSettlementRequest, GetSettlementResponse,
        HeldOrder, HoldDecision, HoldState, ListHeldOrdersRequest, RecordPaymentRequest,
        Settlement, SettlementStage,
    },
    registry::v1::RecordDeathRequest,
};
use tonic::Code;

/// The day of death, which nobody has told yet.
const DIED_ON: &str = "2024-09-15";

/// Records the death: the position from which on it is known.
async fn told_of_the_death(system: &System, elder: &str) -> String {
    let death = RecordDeathRequest {
        request_id: new_id(),
        elder_id: elder.to_owned(),
        on: Some(date(DIED_ON)),
        ..RecordDeathRequest::default()
    };
    let told = system.registry().record_death(death).await.unwrap();
    told.into_inner().committed.unwrap().position
}

/// The county's orders against which a later fact stands.
async fn held(system: &System, state: HoldState) -> Vec<HeldOrder> {
    let list = ListHeldOrdersRequest {
        division_code: county::COUNTY.to_owned(),
        state: state.into(),
        ..ListHeldOrdersRequest::default()
    };
    let answer = system.claims().list_held_orders(list).await.unwrap();
    answer.into_inner().orders
}

/// Which orders these are, and what stands against each. All were found at one instant, since the clock stands still.
fn named(held: &[HeldOrder]) -> BTreeSet<(String, String, Vec<&'static str>)> {
    let named = held.iter().map(|one| {
        let standing = one.standing.as_ref().unwrap();
        (
            standing.provider_id.clone(),
            standing.order_id.clone(),
            codes_in_words(one.codes()),
        )
    });
    named.collect()
}

/// A settlement with the numbers of its orders.
async fn read(system: &System, settlement: &Settlement) -> (Settlement, Vec<String>) {
    let request = GetSettlementRequest {
        programme_code: PROGRAMME.to_owned(),
        provider_id: settlement.provider_id.clone(),
        number: settlement.number,
        min_position: String::new(),
    };
    let answer = system.claims().get_settlement(request).await.unwrap();
    let GetSettlementResponse { settlement, orders } = answer.into_inner();
    let numbers = orders.into_iter().map(|order| order.order_id);
    (settlement.unwrap(), numbers.collect())
}

fn decision(number: &str, decision: HoldDecision) -> DecideHoldRequest {
    DecideHoldRequest {
        request_id: new_id(),
        provider_id: "LATE".to_owned(),
        order_id: number.to_owned(),
        decision: decision.into(),
        etag: String::new(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_death_told_late_holds_what_is_unpaid_and_has_what_is_paid_come_back() {
    let mut system = System::start_with(Setup::with_claims()).await;
    programme(&system, PROGRAMME).await;
    grant(&system, 10 * PRICE).await;
    let (dead, alive) = (
        enrolled(&system, "林已故").await,
        enrolled(&system, "林健在").await,
    );
    // One provider was paid already when the death is told, the other one not.
    let early = provider(&system, "EARLY").await;
    let served = [
        an_order(["EARLY", "1"], &early, &dead, "2024-09-20T08:00:00+08:00"),
        an_order(["EARLY", "2"], &early, &alive, "2024-09-20T14:00:00+08:00"),
    ];
    approved(&system, &served).await;
    let first = paid(&system, "EARLY").await;
    assert_eq!((first.orders, first.total_fen), (2, 2 * PRICE));
    let late = provider(&system, "LATE").await;
    let served = [
        // On the day itself somebody was there to be served.
        an_order(["LATE", "1"], &late, &dead, "2024-09-15T08:00:00+08:00"),
        an_order(["LATE", "2"], &late, &dead, "2024-09-20T14:00:00+08:00"),
        an_order(["LATE", "3"], &late, &dead, "2024-09-21T08:00:00+08:00"),
        an_order(["LATE", "4"], &late, &alive, "2024-09-21T14:00:00+08:00"),
    ];
    approved(&system, &served).await;
    let draft = drafted(&system, "LATE").await;
    assert_eq!((draft.orders, draft.total_fen), (4, 4 * PRICE));
    assert_eq!(entitlement(&system, &dead, "").await.units_used, 4);
    let before = fund(&system, "").await;
    assert_eq!(before, [10 * PRICE, 4 * PRICE, 2 * PRICE, 8 * PRICE]);
    assert_eq!(held(&system, HoldState::Unspecified).await, []);

    told_of_the_death(&system, &dead).await;
    system.settled().await;
    let stands = vec!["NOT_ALIVE_OR_PRESENT"];
    let of = |provider: &str, number: &str| {
        let named = [provider, number].map(str::to_owned);
        let [provider, number] = named;
        (provider, number, stands.clone())
    };
    let on_hold = held(&system, HoldState::OnHold).await;
    let expected = BTreeSet::from([of("LATE", "2"), of("LATE", "3")]);
    assert_eq!(named(&on_hold), expected);
    let to_recover = held(&system, HoldState::ForRecovery).await;
    assert_eq!(named(&to_recover), BTreeSet::from([of("EARLY", "1")]));
    assert_eq!(held(&system, HoldState::Unspecified).await.len(), 3);
    // They stay approved, and are in no settlement that is still to be paid.
    let standing = on_hold[0].standing.as_ref().unwrap();
    assert_eq!(standing_in_words(standing), "APPROVED ON_HOLD");
    assert_eq!(standing.settlement_number, 0);
    let standing = to_recover[0].standing.as_ref().unwrap();
    assert_eq!(standing_in_words(standing), "APPROVED FOR_RECOVERY");
    assert_eq!(standing.settlement_number, 1);
    let (left, numbers) = read(&system, &draft).await;
    assert_eq!((left.orders, left.total_fen), (2, 2 * PRICE));
    assert_eq!(numbers, ["1", "4"]);
    assert_eq!(fund(&system, "").await, before, "only a reviewer sets free");
    assert_eq!(entitlement(&system, &dead, "").await.units_used, 4);

    // A reviewer withdraws one and keeps the other.
    let withdraw = decision("2", HoldDecision::Withdraw);
    let own = system.claims().decide_hold(withdraw.clone()).await;
    let own = own.expect_err("whoever handed it in decides nothing");
    assert_eq!(
        (own.code(), reason(&own).as_str()),
        (Code::PermissionDenied, "SAME_PERSON")
    );
    let withdrawn = system.review().decide_hold(withdraw).await;
    let withdrawn = withdrawn.unwrap().into_inner();
    assert_eq!(
        standing_in_words(&withdrawn.standing.unwrap()),
        "NOT_SETTLED WITHDRAWN WITHDRAWN"
    );
    let used = entitlement(&system, &dead, &withdrawn.position).await;
    assert_eq!((used.units_used, used.units_left), (3, 9));
    let [_, reserved, ..] = fund(&system, "").await;
    assert_eq!(reserved, 3 * PRICE);
    let of_keep = |held: &&HeldOrder| {
        let standing = held.standing.as_ref();
        standing.is_some_and(|standing| standing.order_id == "3")
    };
    let keep = DecideHoldRequest {
        etag: on_hold.iter().find(of_keep).unwrap().etag.clone(),
        ..decision("3", HoldDecision::Keep)
    };
    let kept = system.review().decide_hold(keep).await.unwrap();
    let kept = kept.into_inner().standing.unwrap();
    assert_eq!(standing_in_words(&kept), "APPROVED KEPT");
    let again = decision("3", HoldDecision::Withdraw);
    let refused = system.review().decide_hold(again).await.unwrap_err();
    assert_eq!(reason(&refused), "NOT_ON_HOLD");
    assert_eq!(held(&system, HoldState::OnHold).await, []);

    // What is kept is settled after all, and what is withdrawn never is.
    let settlement = paid(&system, "LATE").await;
    let (settlement, numbers) = read(&system, &settlement).await;
    assert_eq!(settlement.number, draft.number, "a draft is replaced");
    assert_eq!((settlement.orders, settlement.total_fen), (3, 3 * PRICE));
    assert_eq!(numbers, ["1", "3", "4"]);
    assert_eq!(
        fund(&system, "").await,
        [10 * PRICE, 0, 5 * PRICE, 5 * PRICE]
    );

    // What was paid for a service of nobody comes back with the provider's next settlement.
    let adjust = AdjustSettlementRequest {
        request_id: new_id(),
        programme_code: PROGRAMME.to_owned(),
        provider_id: "EARLY".to_owned(),
        number: first.number,
        amount_fen: -PRICE,
        order_id: "1".to_owned(),
        reason: "服务日前已故".to_owned(),
    };
    let adjusted = system.claims().adjust_settlement(adjust).await.unwrap();
    let adjustment = adjusted.into_inner().adjustment_id;
    let more = [
        an_order(["EARLY", "3"], &early, &alive, "2024-09-22T08:00:00+08:00"),
        an_order(["EARLY", "4"], &early, &alive, "2024-09-23T08:00:00+08:00"),
    ];
    approved(&system, &more).await;
    let told = paid(&system, "EARLY").await;
    let (next, numbers) = read(&system, &told).await;
    assert_eq!(told, next);
    assert_eq!((next.number, next.stage()), (2, SettlementStage::Paid));
    assert_eq!(numbers, ["3", "4"]);
    assert_eq!(
        [next.orders_fen, next.adjustments_fen, next.total_fen],
        [2 * PRICE, -PRICE, PRICE]
    );
    let borne = &next.adjustments[0];
    assert_eq!(
        (
            &borne.adjustment_id,
            borne.corrected_number,
            &*borne.order_id
        ),
        (&adjustment, first.number, "1")
    );
    assert_eq!(
        fund(&system, "").await,
        [10 * PRICE, 0, 6 * PRICE, 4 * PRICE]
    );
    // The first settlement stays as it was paid.
    let (untouched, numbers) = read(&system, &first).await;
    assert_eq!((untouched.total_fen, numbers.len()), (2 * PRICE, 2));
    let nothing = system.claims().draft_settlement(a_draft("EARLY")).await;
    assert_eq!(reason(&nothing.unwrap_err()), "NOTHING_TO_SETTLE");

    // A service for a day after the death that is handed in now is abnormal at once.
    system.advance_to("2024-10-02T09:00:00+08:00").await;
    let after = an_order(["LATE", "5"], &late, &dead, "2024-09-25T08:00:00+08:00");
    let outcomes = submit(system.claims(), &[after], "").await.unwrap();
    assert_eq!(in_words(&outcomes[0]), "ABNORMAL_OPEN NOT_ALIVE_OR_PRESENT");
    system.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_confirmed_settlement_that_an_order_has_left_is_not_paid_as_it_was_read() {
    let system = System::start_with(Setup::with_claims()).await;
    programme(&system, PROGRAMME).await;
    grant(&system, 10 * PRICE).await;
    let (dead, alive) = (
        enrolled(&system, "林已故").await,
        enrolled(&system, "林健在").await,
    );
    let caregiver = provider(&system, "P01").await;
    let served = [
        an_order(["P01", "1"], &caregiver, &dead, "2024-09-20T08:00:00+08:00"),
        an_order(
            ["P01", "2"],
            &caregiver,
            &alive,
            "2024-09-20T14:00:00+08:00",
        ),
    ];
    approved(&system, &served).await;
    let settlement = confirmed(&system, "P01").await;
    told_of_the_death(&system, &dead).await;
    system.settled().await;
    let payment = a_payment(&settlement);
    let refused = system.claims().record_payment(payment.clone()).await;
    assert_eq!(reason(&refused.unwrap_err()), "TOTAL_CHANGED");
    assert_eq!(
        fund(&system, "").await,
        [10 * PRICE, 2 * PRICE, 0, 10 * PRICE]
    );
    let (left, numbers) = read(&system, &settlement).await;
    assert_eq!((left.total_fen, numbers), (PRICE, vec!["2".to_owned()]));
    let what_is_left = RecordPaymentRequest {
        request_id: new_id(),
        amount_fen: left.total_fen,
        ..payment
    };
    system.claims().record_payment(what_is_left).await.unwrap();
    assert_eq!(
        fund(&system, "").await,
        [10 * PRICE, PRICE, PRICE, 9 * PRICE]
    );
    system.verify().await;
}
