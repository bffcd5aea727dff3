//! Settlements from the draft to the payment, what corrects them, and how they are listed and given out.

use proto::eldercare::claims::v1 as pb;

use super::{adjustment, approved, assert_balanced, ledger};
use crate::support::{COUNTY, Ground, all_in, at, date, in_words, order, reason, short_order};

#[tokio::test]
async fn approved_orders_are_drafted_confirmed_and_paid() {
    let ground = Ground::at("2024-03-01 09:00");
    let (running, caregiver) = approved(&ground, 3).await;
    let elder = running.insured().await;
    let short = short_order("O4", elder, &caregiver, "2024-02-20 09:00");
    running.told(&short).await;
    assert_balanced(&running).await;
    let fund = running.fund("LTCI").await;
    assert_eq!(
        (fund.in_fen, fund.reserved_fen, fund.paid_fen),
        (120_000, 60_000, 0)
    );

    let draft = running.draft("P01", "2024-03-15").await.unwrap();
    assert_eq!(
        (draft.number, draft.orders, draft.total_fen),
        (1, 3, 60_000)
    );
    assert_eq!(draft.month, date("2024-03-01"));
    assert_eq!(draft.stage(), pb::SettlementStage::Draft);
    let confirmed = running.confirm(&draft).await.unwrap();
    assert_eq!(confirmed.stage(), pb::SettlementStage::Confirmed);
    running.advance("2024-04-05 09:00").await;
    let before = pb::RecordPaymentRequest {
        paid_on: date("2024-01-02"),
        ..running.payment_of(&confirmed)
    };
    let refused = running.client().record_payment(before).await.unwrap_err();
    assert_eq!(reason(&refused), "PAID_BEFORE_CONFIRMED");
    let paid = running.pay(&confirmed).await.unwrap();
    assert_eq!(paid.stage(), pb::SettlementStage::Paid);
    assert_eq!(
        (paid.paid_on, paid.reference.as_str()),
        (date("2024-04-05"), "V1")
    );

    let told = running.settlement("P01", 1).await;
    assert_eq!(told.settlement.unwrap(), paid);
    let numbers: Vec<_> = told
        .orders
        .iter()
        .map(|one| one.order_id.as_str())
        .collect();
    assert_eq!(numbers, ["O1", "O2", "O3"]);
    assert!(told.orders.iter().all(|one| one.settlement_number == 1));
    let fund = running.fund("LTCI").await;
    assert_eq!((fund.reserved_fen, fund.paid_fen), (0, 60_000));
    assert_eq!(fund.balance_fen, 60_000);
    assert_balanced(&running).await;
    let entries = ledger(&running, 0).await;
    assert_eq!(entries.last().unwrap().reference, "P01/1");
    let nothing = running.draft("P01", "2024-03-01").await.unwrap_err();
    assert_eq!(reason(&nothing), "NOTHING_TO_SETTLE");
    running.stop().await;
}

#[tokio::test]
async fn a_draft_is_replaced_and_what_is_confirmed_stays() {
    let ground = Ground::at("2024-03-01 09:00");
    let (running, caregiver) = approved(&ground, 1).await;
    let first = running.draft("P01", "2024-03-01").await.unwrap();
    let elder = running.insured().await;
    let more = order("O2", elder, &caregiver, "2024-02-20 09:00");
    running.told(&more).await;
    // What was seen of it is no more.
    let second = running.draft("P01", "2024-03-01").await.unwrap();
    assert_eq!((second.number, second.orders), (1, 2));
    let stale = running.confirm(&first).await.unwrap_err();
    assert_eq!(reason(&stale), "TOTAL_CHANGED");
    let confirmed = running.confirm(&second).await.unwrap();
    let again = running.confirm(&second).await.unwrap_err();
    assert_eq!(reason(&again), "NOT_A_DRAFT");
    let more = order("O3", elder, &caregiver, "2024-02-21 09:00");
    running.told(&more).await;
    let third = running.draft("P01", "2024-03-01").await.unwrap();
    assert_eq!((third.number, third.orders), (2, 1));
    let unconfirmed = running.pay(&third).await.unwrap_err();
    assert_eq!(reason(&unconfirmed), "NOT_CONFIRMED");
    let part = pb::Settlement {
        total_fen: confirmed.total_fen - 1,
        ..confirmed.clone()
    };
    let part = running.pay(&part).await.unwrap_err();
    assert_eq!(reason(&part), "TOTAL_CHANGED");
    running.pay(&confirmed).await.unwrap();
    let twice = running.pay(&confirmed).await.unwrap_err();
    assert_eq!(reason(&twice), "NOT_CONFIRMED");
    let unknown = pb::Settlement {
        number: 7,
        ..confirmed
    };
    let unknown = running.confirm(&unknown).await.unwrap_err();
    assert_eq!(reason(&unknown), "SETTLEMENT_NOT_FOUND");
    assert_balanced(&running).await;
    running.stop().await;
}

#[tokio::test]
async fn an_order_belongs_to_the_month_in_which_it_was_approved() {
    let ground = Ground::at("2024-03-31 23:59");
    let running = ground.start().await;
    let caregiver = running.insurance().await;
    let elder = running.insured().await;
    let of = |number: &str, start: &str| order(number, elder, &caregiver, start);
    assert_eq!(running.told(&of("A", "2024-03-30 09:00")).await, "APPROVED");
    let short = short_order("B", elder, &caregiver, "2024-03-29 09:00");
    running.told(&short).await;
    running.appeal("B").await.unwrap();
    running.advance("2024-04-01 00:00").await;
    assert_eq!(running.told(&of("C", "2024-03-31 09:00")).await, "APPROVED");
    running.decide("B", true).await.unwrap();
    let march = running.draft("P01", "2024-03-01").await.unwrap();
    let april = running.draft("P01", "2024-04-30").await.unwrap();
    assert_eq!((march.number, march.orders), (1, 1));
    assert_eq!((april.number, april.orders), (2, 2));
    let told = running.settlement("P01", april.number).await;
    let numbers: Vec<_> = told
        .orders
        .iter()
        .map(|one| one.order_id.as_str())
        .collect();
    // By service day.
    assert_eq!(numbers, ["B", "C"]);
    running.stop().await;
}

#[tokio::test]
async fn what_a_paid_settlement_got_wrong_is_borne_by_the_next_one() {
    let ground = Ground::at("2024-03-01 09:00");
    let (running, caregiver) = approved(&ground, 2).await;
    let mut client = running.client();
    let draft = running.draft("P01", "2024-03-01").await.unwrap();
    let early = client.adjust_settlement(adjustment(1, -5_000, "O1")).await;
    assert_eq!(reason(&early.unwrap_err()), "NOT_PAID");
    let confirmed = running.confirm(&draft).await.unwrap();
    running.pay(&confirmed).await.unwrap();
    let of_another = client.adjust_settlement(adjustment(1, -5_000, "O9")).await;
    assert_eq!(reason(&of_another.unwrap_err()), "ORDER_NOT_IN_SETTLEMENT");
    let adjusted = client.adjust_settlement(adjustment(1, -5_000, "O1")).await;
    let adjusted = adjusted.unwrap().into_inner().adjustment_id;
    // The paid one stays as it is.
    let stays = running.settlement("P01", 1).await.settlement.unwrap();
    assert_eq!(stays.total_fen, 40_000);

    running.advance("2024-04-02 09:00").await;
    let elder = running.insured().await;
    let more = order("O3", elder, &caregiver, "2024-04-01 09:00");
    running.told(&more).await;
    let next = running.draft("P01", "2024-04-01").await.unwrap();
    assert_eq!((next.number, next.orders_fen), (2, 20_000));
    assert_eq!((next.adjustments_fen, next.total_fen), (-5_000, 15_000));
    let expected = pb::Adjustment {
        adjustment_id: adjusted,
        corrected_number: 1,
        amount_fen: -5_000,
        order_id: "O1".to_owned(),
        reason: "时长更正".to_owned(),
    };
    let told = running.settlement("P01", 2).await.settlement.unwrap();
    assert_eq!(told.adjustments, std::slice::from_ref(&expected));
    // Providers know orders by their own numbers wherever they are told of them.
    assert_eq!(next.adjustments, std::slice::from_ref(&expected));
    let confirmed = running.confirm(&next).await.unwrap();
    assert_eq!(confirmed.adjustments, std::slice::from_ref(&expected));
    let paid = running.pay(&confirmed).await.unwrap();
    assert_eq!(paid.adjustments, [expected]);
    let fund = running.fund("LTCI").await;
    assert_eq!((fund.paid_fen, fund.reserved_fen), (55_000, 0));
    assert_balanced(&running).await;
    running.stop().await;
}

#[tokio::test]
async fn a_settlement_of_adjustments_alone_may_bring_money_back() {
    let ground = Ground::at("2024-03-01 09:00");
    let (running, _) = approved(&ground, 2).await;
    running.paid("P01", "2024-03-01").await;
    let mut client = running.client();
    let wrong = adjustment(1, -15_000, "");
    client.adjust_settlement(wrong).await.unwrap();
    let back = running.draft("P01", "2024-03-01").await.unwrap();
    assert_eq!((back.number, back.orders, back.total_fen), (2, 0, -15_000));
    let confirmed = running.confirm(&back).await.unwrap();
    running.pay(&confirmed).await.unwrap();
    let fund = running.fund("LTCI").await;
    assert_eq!((fund.paid_fen, fund.balance_fen), (25_000, 35_000));
    assert_balanced(&running).await;
    running.stop().await;
}

#[tokio::test]
async fn a_settlement_is_given_out_as_a_file_that_names_no_elder() {
    let ground = Ground::at("2024-03-01 09:00");
    let (running, _) = approved(&ground, 2).await;
    running.paid("P01", "2024-03-01").await;
    let elder = running.order("O1").await.standing.unwrap().elder_id;
    let file = async |format: pb::SettlementFormat| {
        let request = pb::ExportSettlementRequest {
            programme_code: "LTCI".to_owned(),
            provider_id: "P01".to_owned(),
            number: 1,
            format: format.into(),
            min_position: String::new(),
        };
        let chunks = running.client().export_settlement(request).await;
        let mut chunks = chunks.unwrap().into_inner();
        let mut file = Vec::new();
        while let Some(piece) = chunks.message().await.unwrap() {
            file.extend_from_slice(&piece.chunk);
        }
        file
    };
    running.settled().await;
    let csv = String::from_utf8(file(pb::SettlementFormat::Csv).await).unwrap();
    let lines: Vec<_> = csv.lines().skip(1).collect();
    assert_eq!(
        lines,
        [
            "LTCI,P01,1,2024-03,ORDER,O1,2024-02-01,LOW_INCOME,,,20000",
            "LTCI,P01,1,2024-03,ORDER,O2,2024-02-02,LOW_INCOME,,,20000",
        ]
    );
    assert!(!csv.contains(&elder));
    assert!(file(pb::SettlementFormat::Xlsx).await.starts_with(b"PK"));
    // Who took them out is on record with that, whatever they name.
    let mut looks = running.app.access().looks();
    looks.retain(|look| look.method == "ExportSettlement");
    assert_eq!(looks.len(), 2);
    assert!(looks.iter().all(|look| look.elder_ids.contains(&elder)));
    running.stop().await;
}

#[tokio::test]
async fn settlements_are_listed_by_provider_and_number() {
    let ground = Ground::at("2024-03-01 09:00");
    let (running, caregiver) = approved(&ground, 1).await;
    running.contract("P02", "LTCI").await.unwrap();
    let others = running.caregiver("P02").await;
    let elder = running.insured().await;
    let mut of_p02 = pb::ServiceOrder {
        provider_id: "P02".to_owned(),
        ..order("O1", elder, &others, "2024-02-20 09:00")
    };
    of_p02.evidence = vec![crate::support::file(pb::EvidenceKind::Video, "of P02")];
    assert_eq!(running.told(&of_p02).await, "APPROVED");
    let first = running.draft("P01", "2024-03-01").await.unwrap();
    running.draft("P02", "2024-03-01").await.unwrap();
    let first = running.confirm(&first).await.unwrap();
    running.pay(&first).await.unwrap();
    running.advance("2024-04-01 09:00").await;
    let more = order("O2", elder, &caregiver, "2024-03-20 09:00");
    running.told(&more).await;
    running.draft("P01", "2024-04-01").await.unwrap();
    running.settled().await;
    let listed = async |change: &dyn Fn(&mut pb::ListSettlementsRequest)| {
        let mut request = pb::ListSettlementsRequest {
            programme_code: "LTCI".to_owned(),
            page_size: 1,
            ..Default::default()
        };
        change(&mut request);
        let mut listed = Vec::new();
        loop {
            let page = running.client().list_settlements(request.clone()).await;
            let page = page.unwrap().into_inner();
            for one in page.settlements {
                listed.push(format!(
                    "{}/{} {}",
                    one.provider_id, one.number, one.total_fen
                ));
            }
            if page.next_page_token.is_empty() {
                return listed;
            }
            request.page_token = page.next_page_token;
        }
    };
    let all = ["P01/1 20000", "P01/2 20000", "P02/1 20000"];
    assert_eq!(listed(&|_| {}).await, all);
    assert_eq!(listed(&|r| r.page_size = 100).await, all);
    assert_eq!(
        listed(&|r| r.provider_id = "P01".to_owned()).await,
        all[..2]
    );
    assert_eq!(
        listed(&|r| r.month_of = date("2024-04-15")).await,
        all[1..2]
    );
    let paid = pb::SettlementStage::Paid.into();
    assert_eq!(listed(&|r| r.stage = paid).await, all[..1]);
    let draft = pb::SettlementStage::Draft.into();
    assert_eq!(listed(&|r| r.stage = draft).await, all[1..]);
    running.stop().await;
}

#[tokio::test]
async fn each_approved_order_is_in_exactly_one_settlement() {
    let ground = Ground::at("2024-03-01 09:00");
    let (running, caregiver) = approved(&ground, 3).await;
    let elder = running.insured().await;
    for round in 0..3 {
        let draft = running.draft("P01", "2024-03-01").await.unwrap();
        if round == 1 {
            let confirmed = running.confirm(&draft).await.unwrap();
            running.pay(&confirmed).await.unwrap();
        }
        let more = order(
            &format!("M{round}"),
            elder,
            &caregiver,
            &format!("2024-02-2{round} 09:00"),
        );
        assert_eq!(running.told(&more).await, "APPROVED");
    }
    running.draft("P01", "2024-03-01").await.unwrap();
    let orders = running.orders(all_in(COUNTY)).await;
    assert_eq!(orders.len(), 6);
    let mut counted = 0;
    for number in 1..=2 {
        let told = running.settlement("P01", number).await;
        let settlement = told.settlement.unwrap();
        assert_eq!(
            usize::try_from(settlement.orders).unwrap(),
            told.orders.len()
        );
        let sum: i64 = told.orders.iter().map(|one| one.amount_fen).sum();
        assert_eq!(sum, settlement.orders_fen);
        counted += told.orders.len();
    }
    assert_eq!(counted, 6);
    for order in &orders {
        assert_eq!(in_words(order), "APPROVED");
        assert!(order.settlement_number > 0);
    }
    assert_eq!(ground.clock.now(), at("2024-03-01 09:00"));
    running.stop().await;
}
