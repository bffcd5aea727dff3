//! Several processes: beside each other on one database, and on databases of their own over one log, which nobody should
//! do and which must not harm.

use proto::eldercare::claims::v1 as pb;

use crate::support::{Ground, Running, all_in, order, outcome_in_words, short_order};

/// The county over two processes with databases of their own; four orders of each of some elders, sent to both in turns.
async fn two_adjudicators(ground: &Ground, elders: usize) -> (Running, Running) {
    let one = ground.start().await;
    let other = ground.start().await;
    let caregiver = one.insurance().await;
    let mut orders = Vec::new();
    for elder in 0..elders {
        let insured = one.insured().await;
        for number in 1..=4 {
            let name = format!("O{elder}-{number}");
            let start = format!("2024-02-{number:02} {:02}:00", 2 * elder);
            orders.push(if number == 3 {
                short_order(&name, insured, &caregiver, &start)
            } else {
                order(&name, insured, &caregiver, &start)
            });
        }
    }
    other.settled().await;
    // Both at once, each with every other batch, and the last ones with the same.
    for batch in orders.chunks(8) {
        let (first, second) = batch.split_at(batch.len() / 2);
        let (of_one, of_other) = tokio::join!(one.stream(first), other.stream(second));
        for outcome in of_one.iter().chain(&of_other) {
            let expected = if outcome.order_id.ends_with("-3") {
                "ABNORMAL_OPEN DURATION_SHORT"
            } else {
                "APPROVED"
            };
            assert_eq!(outcome_in_words(outcome), expected, "{}", outcome.order_id);
        }
    }
    let last = &orders[orders.len() - 4..];
    let (of_one, of_other) = tokio::join!(one.stream(last), other.stream(last));
    let told = |outcomes: &[pb::SubmitOrdersResponse]| -> Vec<String> {
        outcomes.iter().map(outcome_in_words).collect()
    };
    assert_eq!(told(&of_one), told(&of_other));
    one.settled().await;
    other.settled().await;
    (one, other)
}

/// Each order has one verdict, and both processes answer the same.
async fn assert_agreed(ground: &Ground, one: &Running, other: &Running, elders: usize) {
    let counts = ground.first_verdicts().await;
    assert_eq!(counts.len(), 4 * elders);
    assert!(counts.values().all(|count| *count == 1), "{counts:?}");
    let orders = one.orders(all_in("350524")).await;
    assert_eq!(orders.len(), 4 * elders);
    assert_eq!(other.orders(all_in("350524")).await, orders);
    let fund = one.fund("LTCI").await;
    let elders = i64::try_from(elders).unwrap();
    assert_eq!(fund.premiums_fen, elders * 30_000);
    assert_eq!(fund.reserved_fen, elders * 3 * 20_000);
    assert_eq!(other.fund("LTCI").await, fund);
    for groups in [&[][..], &[pb::FigureGroup::Code]] {
        let told = one.figures(all_in("350524"), groups).await;
        assert_eq!(other.figures(all_in("350524"), groups).await, told);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_adjudicators_over_one_log_give_each_order_one_verdict() {
    let ground = Ground::at("2024-03-01 09:00");
    let (one, other) = two_adjudicators(&ground, 4).await;
    assert_agreed(&ground, &one, &other, 4).await;
    one.stop().await;
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_adjudicators_over_a_real_log_give_each_order_one_verdict() {
    let ground = Ground::on_nats("2024-03-01 09:00").await;
    let (one, other) = two_adjudicators(&ground, 2).await;
    assert_agreed(&ground, &one, &other, 2).await;
    // Money and the end of time too.
    let draft = one.draft("P01", "2024-03-01").await.unwrap();
    assert_eq!(draft.orders, 6);
    other.settled().await;
    one.granted("LTCI", 1_000_000).await;
    let confirmed = other.confirm(&draft).await.unwrap();
    let (paid, again) = tokio::join!(one.pay(&confirmed), other.pay(&confirmed));
    assert!(paid.is_ok() != again.is_ok());
    one.advance("2024-03-17 00:00").await;
    other.settled().await;
    let filter = pb::OrderFilter {
        states: vec![pb::OrderState::NotSettled.into()],
        ..all_in("350524")
    };
    assert_eq!(one.orders(filter.clone()).await.len(), 2);
    assert_eq!(other.orders(filter).await.len(), 2);
    one.stop().await;
    other.stop().await;
}

#[tokio::test]
async fn a_second_process_stands_by_and_takes_over() {
    let ground = Ground::at("2024-03-01 09:00");
    let first = ground.start().await;
    let second = ground.start_anyhow(first.database.clone()).await;
    let caregiver = first.insurance().await;
    let elder = first.insured().await;
    let of = |number: &str, day: u32| {
        order(
            number,
            elder,
            &caregiver,
            &format!("2024-02-{day:02} 09:00"),
        )
    };
    assert_eq!(first.told(&of("A", 1)).await, "APPROVED");
    // Whichever of the two is asked, the same one adjudicates.
    assert_eq!(second.told(&of("B", 2)).await, "APPROVED");
    assert_eq!(second.order("A").await, first.order("A").await);
    first.stop().await;
    assert_eq!(second.told(&of("C", 3)).await, "APPROVED");
    let short = short_order("D", elder, &caregiver, "2024-02-04 09:00");
    second.told(&short).await;
    second.advance("2024-03-17 00:00").await;
    assert!(second.standing("D").await.ends_with("NO_APPEAL"));
    let counts: Vec<_> = ground.first_verdicts().await.into_values().collect();
    assert_eq!(counts, [1; 4]);
    second.stop().await;
}
