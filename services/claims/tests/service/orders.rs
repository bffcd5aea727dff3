//! Service orders: handed in one by one and in streams, once each.

use civic::ElderId;
use elders::event::{Event, Residence};
use proto::eldercare::claims::v1 as pb;
use uuid::Uuid;

use crate::support::{Ground, day, file, in_words, order, outcome_in_words};

#[tokio::test]
async fn the_same_order_again_changes_nothing_and_is_answered_as_it_stands() {
    let ground = Ground::at("2024-03-01 09:00");
    let running = ground.start().await;
    let caregiver = running.insurance().await;
    let elder = running.insured().await;
    let good = order("A", elder, &caregiver, "2024-02-10 09:00");
    let first = running.submit(&good).await.unwrap();
    assert!(!first.repeated_order);
    let end = ground.end().await;
    let again = running.submit(&good).await.unwrap();
    assert!(again.repeated_order);
    assert_eq!(
        (&again.standing, &again.position),
        (&first.standing, &first.position)
    );
    // However the facts have become since, and whatever has become of the order.
    let moved = Residence {
        village: "350525100001".parse().unwrap(),
        home: None,
    };
    let moved = Event::Relocated(moved, day("2024-02-20"));
    ground.record(elder, &[moved]).await;
    running.advance("2024-07-01 09:00").await;
    let again = running.submit(&good).await.unwrap();
    assert!(again.repeated_order);
    assert_eq!(
        (&again.standing, &again.position),
        (&first.standing, &first.position)
    );
    assert_eq!(ground.end().await, end);
    running.stop().await;
}

#[tokio::test]
async fn an_order_is_answered_to_its_provider_even_after_the_elder_is_erased() {
    let ground = Ground::at("2024-03-01 09:00");
    let running = ground.start().await;
    let caregiver = running.insurance().await;
    let elder = running.insured().await;
    let good = order("A", elder, &caregiver, "2024-02-10 09:00");
    let first = running.submit(&good).await.unwrap();
    ground.is_erased(elder).await;
    let again = running.submit(&good).await.unwrap();
    assert!(again.repeated_order);
    assert_eq!(again.standing, first.standing);
    let another = order("B", elder, &caregiver, "2024-02-11 09:00");
    assert_eq!(running.told(&another).await, "ELDER_NOT_FOUND");
    // Where the service began is known no more; the order stands.
    let told = running.order("A").await;
    assert_eq!(told.order.unwrap().check_in, None);
    assert_eq!(in_words(&told.standing.unwrap()), "APPROVED");
    running.stop().await;
}

#[tokio::test]
async fn another_order_under_the_same_number_is_refused() {
    let ground = Ground::at("2024-03-01 09:00");
    let running = ground.start().await;
    let caregiver = running.insurance().await;
    let elder = running.insured().await;
    let good = order("A", elder, &caregiver, "2024-02-10 09:00");
    assert_eq!(running.told(&good).await, "APPROVED");
    let end = ground.end().await;
    let later = order("A", elder, &caregiver, "2024-02-11 09:00");
    assert_eq!(running.told(&later).await, "ORDER_ID_REUSED");
    // In a stream too, one after the other and together.
    let outcomes = running.stream(&[later.clone(), good.clone(), later]).await;
    let told: Vec<_> = outcomes.iter().map(outcome_in_words).collect();
    let reused = "ORDER_ID_REUSED order.order_id";
    assert_eq!(told, [reused, "APPROVED", reused]);
    assert_eq!(ground.end().await, end);
    // The number is the provider's own.
    running.contract("P02", "LTCI").await.unwrap();
    let of_another = pb::ServiceOrder {
        provider_id: "P02".to_owned(),
        caregiver_id: running.caregiver("P02").await,
        evidence: vec![file(pb::EvidenceKind::Video, "another")],
        ..order("A", elder, &caregiver, "2024-02-11 09:00")
    };
    assert_eq!(running.told(&of_another).await, "APPROVED");
    running.stop().await;
}

#[tokio::test]
async fn another_order_under_the_same_number_is_refused_even_where_it_would_be_refused_anyhow() {
    let ground = Ground::at("2024-03-01 09:00");
    let running = ground.start().await;
    let caregiver = running.insurance().await;
    let elder = running.insured().await;
    let good = order("A", elder, &caregiver, "2024-02-10 09:00");
    assert_eq!(running.told(&good).await, "APPROVED");
    // Nobody takes the approval of one order for that of another.
    let of_nobody = order(
        "A",
        ElderId(Uuid::from_u128(9)),
        &caregiver,
        "2024-02-10 09:00",
    );
    assert_eq!(running.told(&of_nobody).await, "ELDER_NOT_FOUND");
    let of_no_programme = pb::ServiceOrder {
        programme_code: "NONE".to_owned(),
        ..good.clone()
    };
    assert_eq!(running.told(&of_no_programme).await, "PROGRAMME_NOT_FOUND");
    let of_no_version = pb::ServiceOrder {
        programme_version: 7,
        ..good
    };
    assert_eq!(
        running.told(&of_no_version).await,
        "PROGRAMME_VERSION_INVALID"
    );
    running.stop().await;
}

#[tokio::test]
async fn an_order_that_comes_twice_at_once_is_kept_once() {
    let ground = Ground::at("2024-03-01 09:00");
    let running = ground.start().await;
    let caregiver = running.insurance().await;
    let elder = running.insured().await;
    running.settled().await;
    let request = pb::SubmitOrderRequest {
        order: Some(order("A", elder, &caregiver, "2024-02-10 09:00")),
        min_position: String::new(),
    };
    let calls = (0..8).map(|_| {
        let (mut client, request) = (running.client(), request.clone());
        async move { client.submit_order(request).await.unwrap().into_inner() }
    });
    let answers = futures::future::join_all(calls).await;
    let first = answers.iter().filter(|answer| !answer.repeated_order);
    assert_eq!(first.count(), 1);
    for answer in &answers {
        assert_eq!(in_words(answer.standing.as_ref().unwrap()), "APPROVED");
        assert_eq!(answer.position, answers[0].position);
    }
    running.settled().await;
    assert_eq!(
        ground
            .first_verdicts()
            .await
            .into_values()
            .collect::<Vec<_>>(),
        [1]
    );
    running.stop().await;
}

#[tokio::test]
async fn a_bad_order_of_a_stream_spoils_none_beside_it() {
    let ground = Ground::at("2024-03-01 09:00");
    let running = ground.start().await;
    let caregiver = running.insurance().await;
    let elder = running.insured().await;
    let good = |number: &str, start: &str| order(number, elder, &caregiver, start);
    let with = |number: &str, change: fn(&mut pb::ServiceOrder)| {
        let mut order = good(number, "2024-02-20 09:00");
        change(&mut order);
        order
    };
    let sent = [
        good("A", "2024-02-10 09:00"),
        with("B", |order| order.elder_id = "17".to_owned()),
        with("C", |order| order.elder_id = Uuid::from_u128(9).to_string()),
        with("D", |order| {
            order.check_in.as_mut().unwrap().latitude = 91.0
        }),
        with("E", |order| order.evidence[0].hash = vec![1; 7].into()),
        good("F", "2024-02-10 10:00"),
        with("G", |order| order.programme_code = "NONE".to_owned()),
        with("H", |order| order.programme_version = 7),
        good("A", "2024-02-10 09:00"),
        with("", |_| {}),
        good("I", "2024-02-11 09:00"),
    ];
    let outcomes = running.stream(&sent).await;
    let told: Vec<_> = outcomes
        .iter()
        .map(|outcome| (outcome.order_id.as_str(), outcome_in_words(outcome)))
        .collect();
    let expected = [
        ("A", "APPROVED"),
        ("B", "UUID_INVALID order.elder_id"),
        ("C", "ELDER_NOT_FOUND"),
        ("D", "POSITION_OUT_OF_RANGE order.check_in"),
        ("E", "HASH_INVALID order.evidence.hash"),
        ("F", "ABNORMAL_OPEN DUPLICATE_SERVICE"),
        ("G", "PROGRAMME_NOT_FOUND"),
        ("H", "PROGRAMME_VERSION_INVALID order.programme_version"),
        ("A", "APPROVED"),
        ("", "REQUIRED order.order_id"),
        ("I", "APPROVED"),
    ];
    assert_eq!(
        told,
        expected.map(|(number, told)| (number, told.to_owned()))
    );
    let repeated: Vec<_> = outcomes.iter().map(|one| one.repeated_order).collect();
    let once_more = repeated.iter().filter(|repeated| **repeated).count();
    assert!(repeated[8] && once_more == 1, "{repeated:?}");
    assert_eq!(outcomes[8].position, outcomes[0].position);
    // All of it again stores nothing, and gives every outcome.
    let end = ground.end().await;
    let again = running.stream(&sent).await;
    let told_again: Vec<_> = again.iter().map(outcome_in_words).collect();
    assert_eq!(
        told_again,
        told.into_iter().map(|(_, told)| told).collect::<Vec<_>>()
    );
    assert_eq!(ground.end().await, end);
    running.stop().await;
}

#[tokio::test]
async fn what_was_sent_before_a_stream_was_cut_is_answered_when_it_is_sent_again() {
    let ground = Ground::at("2024-03-01 09:00");
    let running = ground.start().await;
    let caregiver = running.insurance().await;
    let elder = running.insured().await;
    let orders: Vec<_> = (1..=8)
        .map(|number| {
            let start = format!("2024-02-{number:02} 09:00");
            order(&format!("O{number}"), elder, &caregiver, &start)
        })
        .collect();
    running.settled().await;
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    let stream = tokio_stream::wrappers::ReceiverStream::new(receiver);
    let mut client = running.client();
    let (answers, ()) = tokio::join!(client.submit_orders(stream), async {
        let first = pb::SubmitOrdersRequest {
            order: Some(orders[0].clone()),
            min_position: String::new(),
        };
        sender.send(first).await.unwrap();
    });
    let mut answers = answers.unwrap().into_inner();
    // The provider's system loses its connection after the first answer.
    let first = answers.message().await.unwrap().unwrap();
    drop((answers, sender));
    let outcomes = running.stream(&orders).await;
    let told: Vec<_> = outcomes.iter().map(outcome_in_words).collect();
    assert_eq!(told, ["APPROVED"; 8]);
    assert!(outcomes[0].repeated_order && !outcomes[1].repeated_order);
    assert_eq!(outcomes[0].position, first.position);
    running.stop().await;
}

#[tokio::test]
async fn an_order_waits_for_the_records_that_its_sender_has_seen() {
    let ground = Ground::at("2024-03-01 09:00");
    let running = ground.start().await;
    let caregiver = running.insurance().await;
    let elder = running.insured().await;
    let seen = ground.dies(elder, "2024-01-31").await;
    let request = pb::SubmitOrderRequest {
        order: Some(order("A", elder, &caregiver, "2024-02-10 09:00")),
        min_position: seen,
    };
    let told = running.client().submit_order(request).await.unwrap();
    let told = in_words(&told.into_inner().standing.unwrap());
    assert_eq!(told, "ABNORMAL_OPEN NOT_ALIVE_OR_PRESENT");
    let elsewhere = pb::SubmitOrderRequest {
        order: Some(order("B", elder, &caregiver, "2024-02-10 09:00")),
        min_position: "TIERING:1".to_owned(),
    };
    let refused = running.client().submit_order(elsewhere).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::InvalidArgument);
    running.stop().await;
}
