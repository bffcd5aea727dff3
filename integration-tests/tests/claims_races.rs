//! Many at once: the last service of an elder's year is approved once, the last of a fund's money is paid once, of one number
//! there is one order, and an appeal is decided once.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use integration_tests::{
    Setup, System,
    claiming::{
        A_YEAR, PRICE, PROGRAMME, a_payment, a_video, an_order, approved, confirmed, enrolled,
        entitlement, fund, grant, in_words, programme, provider, standing_in_words, submit,
        submit_alone,
    },
    day, each_once, new_id, reason,
};
use proto::eldercare::claims::v1::{
    AppealDecision, AppealOrderRequest, DecideAppealRequest, EntitlementConsumed,
    GetFundLedgerRequest, OrderApproved, OrderHeldAbnormal, OrderSubmitted, RecordPaymentRequest,
    ServiceOrder, Settlement, SettlementStage,
};
use tonic::{Code, Status};

/// Providers who serve the same elder.
const PROVIDERS: usize = 64;

/// The order of the provider of a number: no two are at the same time.
fn of_provider(number: usize, caregiver: &str, elder: &str) -> ServiceOrder {
    let day = day("2024-09-13").plus_days(i64::try_from(number / 4).unwrap());
    let start = format!("{day}T{:02}:00:00+08:00", 8 + number % 4 * 3);
    an_order([&name(number), "1"], caregiver, elder, &start)
}

fn name(number: usize) -> String {
    format!("P{number:02}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_providers_at_the_edge_of_the_quota_one_is_approved() {
    let system = System::start_with(Setup::with_claims()).await;
    programme(&system, PROGRAMME).await;
    let elder = enrolled(&system, "林阿婆").await;
    let usual = provider(&system, "USUAL").await;
    let used: Vec<_> = (1..A_YEAR)
        .map(|number| {
            let start = format!("2024-09-{number:02}T09:00:00+08:00");
            an_order(["USUAL", &number.to_string()], &usual, &elder, &start)
        })
        .collect();
    let position = approved(&system, &used).await;
    let left = entitlement(&system, &elder, &position).await;
    assert_eq!((left.units_used, left.units_left), (A_YEAR - 1, 1));

    let orders = join_all((0..PROVIDERS).map(async |number| {
        let caregiver = provider(&system, &name(number)).await;
        of_provider(number, &caregiver, &elder)
    }))
    .await;
    // Every other one comes in a stream.
    let verdicts = join_all(orders.iter().enumerate().map(async |(number, order)| {
        if number % 2 == 0 {
            let answer = submit_alone(system.claims(), order).await.unwrap();
            standing_in_words(&answer.standing.unwrap())
        } else {
            let order = std::slice::from_ref(order);
            in_words(&submit(system.claims(), order, "").await.unwrap()[0])
        }
    }))
    .await;
    let mut told: BTreeMap<&str, usize> = BTreeMap::new();
    for verdict in &verdicts {
        *told.entry(verdict).or_default() += 1;
    }
    let expected = [
        ("ABNORMAL_OPEN QUOTA_EXCEEDED", PROVIDERS - 1),
        ("APPROVED", 1),
    ];
    assert_eq!(told, BTreeMap::from(expected));

    // Nothing comes after it, and nobody changes his mind.
    system.settled().await;
    let again = submit(system.claims(), &orders, "").await.unwrap();
    let again: Vec<_> = again.iter().map(in_words).collect();
    assert_eq!(again, verdicts);
    let left = entitlement(&system, &elder, "").await;
    assert_eq!((left.units_used, left.units_left), (A_YEAR, 0));
    assert!(!left.entitled);
    assert_eq!(fund(&system, "").await, [0, A_YEAR * PRICE, 0, 0]);

    // The log itself: one verdict for each order.
    let kept = system.events::<OrderApproved>("claims").await;
    let kept = each_once(kept.into_iter().map(|event| event.order_key));
    assert_eq!(kept.len(), used.len() + 1);
    let consumed = system.events::<EntitlementConsumed>("claims").await;
    let consumed = each_once(consumed.into_iter().map(|event| event.order_key));
    assert_eq!(consumed, kept);
    let held = system.events::<OrderHeldAbnormal>("claims").await;
    let held = each_once(held.into_iter().map(|event| event.order_key));
    assert_eq!(held.len(), PROVIDERS - 1);
    assert!(held.is_disjoint(&kept));
    system.verify().await;
}

/// Records a payment, and again while it loses against too many others.
async fn record(system: &System, payment: &RecordPaymentRequest) -> Result<Settlement, Status> {
    loop {
        match system.claims().record_payment(payment.clone()).await {
            Ok(answer) => return Ok(answer.into_inner().settlement.unwrap()),
            Err(status) if status.code() == Code::Aborted => {}
            Err(status) => return Err(status),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_funds_last_yuan_is_paid_once_whoever_asks_for_it() {
    const ASKING: i64 = 8;
    let system = System::start_with(Setup::with_claims()).await;
    programme(&system, PROGRAMME).await;
    // It holds what one settlement comes to.
    grant(&system, PRICE).await;
    let mut unpaid = Vec::new();
    for number in 0..usize::try_from(ASKING).unwrap() {
        let caregiver = provider(&system, &name(number)).await;
        let elder = enrolled(&system, &format!("林{number}")).await;
        approved(&system, &[of_provider(number, &caregiver, &elder)]).await;
        let settlement = confirmed(&system, &name(number)).await;
        assert_eq!((settlement.orders, settlement.total_fen), (1, PRICE));
        unpaid.push(a_payment(&settlement));
    }
    let reserved = ASKING * PRICE;
    assert_eq!(fund(&system, "").await, [PRICE, reserved, 0, PRICE]);

    // All at once ask for it, in the end two, and then the last one alone.
    for round in 1..=ASKING {
        let asked = join_all(unpaid.iter().map(|payment| record(&system, payment))).await;
        let mut losers = Vec::new();
        for (payment, outcome) in unpaid.iter().zip(asked) {
            match outcome {
                Ok(settlement) => assert_eq!(settlement.stage(), SettlementStage::Paid),
                Err(status) => {
                    assert_eq!(status.code(), Code::FailedPrecondition, "{status}");
                    assert_eq!(reason(&status), "FUND_OVERDRAWN", "{status}");
                    losers.push(payment.clone());
                }
            }
        }
        assert_eq!(losers.len() + 1, unpaid.len(), "exactly one is paid");
        let paid = round * PRICE;
        assert_eq!(fund(&system, "").await, [paid, reserved - paid, paid, 0]);
        // Whoever lost is refused as long as nothing comes in, and goes on with the same request once it does.
        for payment in &losers {
            let refused = record(&system, payment).await.unwrap_err();
            assert_eq!(reason(&refused), "FUND_OVERDRAWN", "{refused}");
        }
        unpaid = losers;
        if round < ASKING {
            grant(&system, PRICE).await;
        }
    }

    system.settled().await;
    let ledger = GetFundLedgerRequest {
        programme_code: PROGRAMME.to_owned(),
        ..GetFundLedgerRequest::default()
    };
    let ledger = system.claims().get_fund_ledger(ledger).await.unwrap();
    let entries = ledger.into_inner().entries;
    assert!(
        entries
            .iter()
            .all(|entry| (0..=PRICE).contains(&entry.balance_fen))
    );
    system.verify().await;
}

/// Callers who do the same thing.
const CALLERS: usize = 32;

/// Those who succeeded, and the reasons of those who did not.
fn told<A>(outcomes: Vec<Result<A, Status>>) -> (Vec<A>, BTreeSet<String>) {
    let (done, refused): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
    let done = done.into_iter().filter_map(Result::ok).collect();
    let refused = refused.into_iter().filter_map(Result::err);
    (done, refused.map(|status| reason(&status)).collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_calls_with_one_order_one_order_comes() {
    let system = System::start_with(Setup::with_claims()).await;
    programme(&system, PROGRAMME).await;
    let caregiver = provider(&system, "P00").await;
    let elder = enrolled(&system, "林阿婆").await;
    let order = of_provider(0, &caregiver, &elder);
    let same = (0..CALLERS).map(|_| submit_alone(system.claims(), &order));
    let same: Vec<_> = join_all(same)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    for answer in &same {
        assert_eq!(answer.position, same[0].position);
        assert_eq!(answer.standing, same[0].standing);
    }
    let first = same.iter().filter(|answer| !answer.repeated_order);
    assert_eq!(first.count(), 1, "one call wrote it, the others were told");

    // Under one number orders of different content: one wins, the others are told that the number is taken.
    let contested = (0..CALLERS).map(|caller| ServiceOrder {
        provider_id: name(0),
        order_id: "contested".to_owned(),
        evidence: vec![a_video(&format!("caller {caller}"))],
        ..of_provider(1, &caregiver, &elder)
    });
    let contested: Vec<_> = contested.collect();
    let sent = contested.iter();
    let sent = sent.map(|order| submit_alone(system.claims(), order));
    let (kept, refused) = told(join_all(sent).await);
    assert_eq!(kept.len(), 1, "exactly one wins");
    assert_eq!(refused, BTreeSet::from(["ORDER_ID_REUSED".to_owned()]));
    let submitted = system.events::<OrderSubmitted>("claims").await;
    let submitted = each_once(submitted.into_iter().map(|event| event.order_id));
    assert_eq!(submitted.len(), 2);
    assert_eq!(fund(&system, "").await, [0, 2 * PRICE, 0, 0]);
    system.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_who_decide_or_pay_one_is_heard() {
    let system = System::start_with(Setup::with_claims()).await;
    programme(&system, PROGRAMME).await;
    grant(&system, 10 * PRICE).await;
    let caregiver = provider(&system, "P00").await;
    let elder = enrolled(&system, "林阿婆").await;
    let mut order = of_provider(0, &caregiver, &elder);
    order.evidence.clear();
    submit_alone(system.claims(), &order).await.unwrap();
    let appeal = AppealOrderRequest {
        request_id: new_id(),
        provider_id: name(0),
        order_id: "1".to_owned(),
        statement: "视频已补传".to_owned(),
        evidence: vec![a_video("the appeal")],
    };
    system.claims().appeal_order(appeal).await.unwrap();
    let decisions = (0..CALLERS).map(|caller| DecideAppealRequest {
        request_id: new_id(),
        provider_id: name(0),
        order_id: "1".to_owned(),
        decision: if caller % 2 == 0 {
            AppealDecision::Accept.into()
        } else {
            AppealDecision::Refuse.into()
        },
    });
    let decided = decisions.map(async |decision| {
        let decided = system.review().decide_appeal(decision).await;
        decided.map(|answer| standing_in_words(&answer.into_inner().standing.unwrap()))
    });
    let (decided, refused) = told(join_all(decided).await);
    assert_eq!(decided.len(), 1, "exactly one decides");
    assert_eq!(refused, BTreeSet::from(["ALREADY_DECIDED".to_owned()]));
    let reserved = if decided[0] == "APPROVED EVIDENCE_MISSING" {
        PRICE
    } else {
        assert_eq!(decided[0], "NOT_SETTLED EVIDENCE_MISSING APPEAL_REFUSED");
        0
    };
    assert_eq!(
        fund(&system, "").await,
        [10 * PRICE, reserved, 0, 10 * PRICE]
    );

    // Of one settlement many say that it was paid, each with a request of their own.
    let second = ServiceOrder {
        provider_id: name(0),
        order_id: "2".to_owned(),
        ..of_provider(1, &caregiver, &elder)
    };
    approved(&system, &[second]).await;
    let settlement = confirmed(&system, &name(0)).await;
    let total = reserved + PRICE;
    assert_eq!(settlement.total_fen, total);
    let payments: Vec<_> = (0..CALLERS).map(|_| a_payment(&settlement)).collect();
    let (paid, refused) =
        told(join_all(payments.iter().map(|payment| record(&system, payment))).await);
    assert_eq!(paid.len(), 1, "exactly one pays");
    assert_eq!(refused, BTreeSet::from(["NOT_CONFIRMED".to_owned()]));
    assert_eq!(
        fund(&system, "").await,
        [10 * PRICE, 0, total, 10 * PRICE - total]
    );
    system.verify().await;
}
