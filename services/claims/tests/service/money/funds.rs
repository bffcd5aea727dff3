//! What comes into a fund and leaves it: never more than is there, and each movement once.

use proto::eldercare::claims::v1 as pb;
use tonic::Code;

use super::{adjustment, approved, assert_balanced};
use crate::support::{Ground, date, id, order, reason};

#[tokio::test]
async fn a_settlement_that_would_overdraw_the_fund_is_neither_confirmed_nor_paid() {
    let ground = Ground::at("2024-03-01 09:00");
    let (running, caregiver) = approved(&ground, 1).await;
    running.contract("P02", "LTCI").await.unwrap();
    let others = running.caregiver("P02").await;
    let elder = running.insured().await;
    // 60,000 fen came in, and 80,000 are approved.
    for (number, start) in [("O2", "2024-02-20 09:00"), ("O3", "2024-02-21 09:00")] {
        let order = order(number, elder, &caregiver, start);
        assert_eq!(running.told(&order).await, "APPROVED");
    }
    let of_p02 = pb::ServiceOrder {
        provider_id: "P02".to_owned(),
        ..order("O4", elder, &others, "2024-02-22 09:00")
    };
    assert_eq!(running.told(&of_p02).await, "APPROVED");
    let one = running.draft("P01", "2024-03-01").await.unwrap();
    let other = running.draft("P02", "2024-03-01").await.unwrap();
    assert_eq!((one.total_fen, other.total_fen), (60_000, 20_000));
    // Each alone would be covered; the last fen may go.
    let one = running.confirm(&one).await.unwrap();
    let other = running.confirm(&other).await.unwrap();
    running.pay(&one).await.unwrap();
    assert_eq!(running.fund("LTCI").await.balance_fen, 0);
    let refused = running.pay(&other).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert_eq!(reason(&refused), "FUND_OVERDRAWN");
    assert_balanced(&running).await;
    let elder = running.insured().await;
    let more = order("O5", elder, &caregiver, "2024-02-23 09:00");
    running.told(&more).await;
    let more = order("O6", elder, &caregiver, "2024-02-24 09:00");
    running.told(&more).await;
    // 30,000 are there by now, and it is 40,000.
    let draft = running.draft("P01", "2024-03-01").await.unwrap();
    let refused = running.confirm(&draft).await.unwrap_err();
    assert_eq!(reason(&refused), "FUND_OVERDRAWN");
    running.granted("LTCI", 10_000).await;
    let confirmed = running.confirm(&draft).await.unwrap();
    running.pay(&confirmed).await.unwrap();
    assert_eq!(running.fund("LTCI").await.balance_fen, 0);
    running.granted("LTCI", 20_000).await;
    running.pay(&other).await.unwrap();
    assert_balanced(&running).await;
    running.stop().await;
}

#[tokio::test]
async fn of_two_payments_that_race_for_the_last_yuan_one_succeeds() {
    let ground = Ground::at("2024-03-01 09:00");
    let running = ground.start().await;
    let definition = crate::support::LTCI.replace("premium_fen: 30000", "premium_fen: 0");
    let caregiver = running.insurance_by(&definition).await;
    let elder = running.insured().await;
    let mut confirmed = Vec::new();
    running.granted("LTCI", 20_000).await;
    for number in 1..=6 {
        let provider = format!("P0{number}");
        let by = if number == 1 {
            caregiver.clone()
        } else {
            running.contract(&provider, "LTCI").await.unwrap();
            running.caregiver(&provider).await
        };
        let order = pb::ServiceOrder {
            provider_id: provider.clone(),
            ..order(
                &format!("O{number}"),
                elder,
                &by,
                &format!("2024-02-0{number} 09:00"),
            )
        };
        assert_eq!(running.told(&order).await, "APPROVED");
        let draft = running.draft(&provider, "2024-03-01").await.unwrap();
        confirmed.push(running.confirm(&draft).await.unwrap());
    }
    let payments = confirmed.iter().map(|settlement| running.pay(settlement));
    let outcomes = futures::future::join_all(payments).await;
    let paid = outcomes.iter().filter(|outcome| outcome.is_ok());
    assert_eq!(paid.count(), 1);
    for refused in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
        assert_eq!(reason(refused), "FUND_OVERDRAWN");
    }
    let fund = running.fund("LTCI").await;
    assert_eq!(
        (fund.balance_fen, fund.paid_fen, fund.reserved_fen),
        (0, 20_000, 100_000)
    );
    assert_balanced(&running).await;
    running.stop().await;
}

#[tokio::test]
async fn deposits_premiums_verdicts_and_payments_at_once_lose_no_fen() {
    let ground = Ground::at("2024-03-01 09:00");
    let (running, caregiver) = approved(&ground, 1).await;
    let draft = running.draft("P01", "2024-03-01").await.unwrap();
    let confirmed = running.confirm(&draft).await.unwrap();
    let mut orders = Vec::new();
    let mut newcomers = Vec::new();
    for number in 1..=20 {
        let elder = running.insured().await;
        let start = format!("2024-02-{number:02} 12:00");
        orders.push(order(&format!("N{number}"), elder, &caregiver, &start));
        newcomers.push(crate::support::enrolment(
            "LTCI",
            ground.elder().await,
            "2024-01-01",
        ));
    }
    let running = &running;
    let grants = (0..20).map(|_| running.granted("LTCI", 1_000));
    let (.., outcomes, paid) = tokio::join!(
        futures::future::join_all(grants),
        running.enrol_all(&newcomers),
        running.stream(&orders),
        running.pay(&confirmed),
    );
    paid.unwrap();
    assert_eq!(outcomes.len(), 20);
    let fund = running.fund("LTCI").await;
    assert_eq!(fund.premiums_fen, 41 * 30_000);
    assert_eq!(fund.in_fen, 41 * 30_000 + 20 * 1_000);
    assert_eq!((fund.reserved_fen, fund.paid_fen), (20 * 20_000, 20_000));
    assert_balanced(running).await;
}

#[tokio::test]
async fn commands_about_money_that_are_sent_again_move_none() {
    let ground = Ground::at("2024-03-01 09:00");
    let (running, _) = approved(&ground, 1).await;
    let mut client = running.client();
    let deposit = pb::FundDepositRequest {
        request_id: id(),
        programme_code: "LTCI".to_owned(),
        amount_fen: 1_000,
        kind: pb::DepositKind::Grant.into(),
        reference: "财社〔2024〕1号".to_owned(),
    };
    let deposited = client.fund_deposit(deposit.clone()).await.unwrap();
    let draft = pb::DraftSettlementRequest {
        request_id: id(),
        programme_code: "LTCI".to_owned(),
        provider_id: "P01".to_owned(),
        month_of: date("2024-03-01"),
    };
    let drafted = client.draft_settlement(draft.clone()).await.unwrap();
    let drafted = drafted.into_inner();
    let confirm = pb::ConfirmSettlementRequest {
        request_id: id(),
        programme_code: "LTCI".to_owned(),
        provider_id: "P01".to_owned(),
        number: 1,
        total_fen: 20_000,
    };
    let confirmed = client.confirm_settlement(confirm.clone()).await.unwrap();
    let payment = running.payment_of(drafted.settlement.as_ref().unwrap());
    let paid = client.record_payment(payment.clone()).await.unwrap();
    let adjust = adjustment(1, -1_000, "O1");
    let adjusted = client.adjust_settlement(adjust.clone()).await.unwrap();
    let end = ground.end().await;

    let again = client.fund_deposit(deposit).await.unwrap();
    assert_eq!(again.into_inner(), deposited.into_inner());
    let again = client.draft_settlement(draft).await.unwrap().into_inner();
    assert_eq!(again.position, drafted.position);
    assert_eq!(again.settlement.unwrap().number, 1);
    let again = client.confirm_settlement(confirm).await.unwrap();
    assert_eq!(again.into_inner().position, confirmed.into_inner().position);
    let again = client.record_payment(payment.clone()).await.unwrap();
    assert_eq!(again.into_inner().position, paid.into_inner().position);
    let again = client.adjust_settlement(adjust).await.unwrap();
    assert_eq!(again.into_inner(), adjusted.into_inner());
    assert_eq!(ground.end().await, end);
    let reused = pb::RecordPaymentRequest {
        reference: "V2".to_owned(),
        ..payment
    };
    let reused = client.record_payment(reused).await.unwrap_err();
    assert_eq!(reason(&reused), "REQUEST_ID_REUSED");
    assert_eq!(running.fund("LTCI").await.paid_fen, 20_000);
    running.stop().await;
}
