//! Too many calls, calls that take too long, and handlers that fail: each gets its answer, and the others go on.

use std::time::Duration;

use crate::support::{
    ALARM, Desk, LISTEN, MUCH, PANIC, REMAINING, WAIT, call, reason, stream, text, watch,
};
use service::{Claims, TokenIssuer, testing::settings};
use tonic::Code;
use tonic_types::StatusExt as _;

fn token(issuer: &TokenIssuer) -> String {
    issuer.issue(
        &Claims::officer("li", "civil_affairs")
            .role("clerk")
            .division("370303"),
    )
}

#[tokio::test]
async fn an_answer_too_large_to_be_sent_is_refused_with_a_reason() {
    let issuer = TokenIssuer::generate();
    let settings = settings(&issuer);
    let running = Desk::new().serve(&settings).await;
    let channel = running.channel_of(&token(&issuer));
    let status = call(channel, MUCH, text("")).await.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::OutOfRange, "ANSWER_TOO_LARGE")
    );
    running.stop().await.unwrap();
}

#[tokio::test]
async fn calls_beyond_the_limit_are_shed_with_advice_to_come_again() {
    let issuer = TokenIssuer::generate();
    let mut settings = settings(&issuer);
    settings.grpc.max_calls = 1;
    let desk = Desk::new();
    let running = desk.serve(&settings).await;
    let channel = running.channel_of(&token(&issuer));

    let first = tokio::spawn(call(channel.clone(), WAIT, text("")));
    desk.somebody_waits().await;
    let status = call(channel.clone(), WAIT, text("")).await.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::ResourceExhausted, "OVERLOADED")
    );
    assert!(
        status
            .get_details_retry_info()
            .unwrap()
            .retry_delay
            .unwrap()
            > Duration::ZERO
    );

    // Health answers all the same, and streams have places of their own.
    let mut health = tonic_health::pb::health_client::HealthClient::new(running.channel());
    let check = tonic_health::pb::HealthCheckRequest {
        service: "liveness".to_owned(),
    };
    assert_eq!(health.check(check).await.unwrap().into_inner().status, 1);
    let mut stream = watch(channel.clone(), text("")).await.unwrap();
    assert_eq!(stream.message().await.unwrap().unwrap(), "first");
    drop(stream);

    desk.released.add_permits(2);
    assert_eq!(first.await.unwrap().unwrap(), "done");
    assert_eq!(
        call(channel, WAIT, text("")).await.unwrap(),
        "done",
        "the place is free again"
    );
    running.stop().await.unwrap();
}

#[tokio::test]
async fn urgent_calls_have_places_that_nobody_else_takes() {
    let issuer = TokenIssuer::generate();
    let mut settings = settings(&issuer);
    settings.grpc.max_calls = 1;
    settings.grpc.max_urgent_calls = 1;
    let desk = Desk::new();
    let running = desk.serve(&settings).await;
    let channel = running.channel_of(&token(&issuer));
    let waiting = |method: &'static str| tokio::spawn(call(channel.clone(), method, text("")));
    let shed = async |method: &'static str| {
        let status = call(channel.clone(), method, text("")).await.unwrap_err();
        (status.code(), reason(&status)) == (Code::ResourceExhausted, "OVERLOADED".to_owned())
    };

    let ordinary = waiting(WAIT);
    desk.somebody_waits().await;
    assert!(shed(WAIT).await);
    // Who calls is found out only where that makes a difference.
    let stranger = async |method: &'static str| {
        let status = call(running.channel(), method, text("")).await;
        reason(&status.unwrap_err())
    };
    assert_eq!(stranger(WAIT).await, "OVERLOADED");
    assert_eq!(stranger(ALARM).await, "TOKEN_MISSING");
    let urgent = waiting(ALARM);
    desk.somebody_waits().await;
    assert!(shed(ALARM).await, "these places have an end too");
    desk.released.add_permits(2);
    for call in [ordinary, urgent] {
        assert_eq!(call.await.unwrap().unwrap(), "done");
    }

    // Once theirs are taken they take those of all.
    let urgent = [waiting(ALARM), waiting(ALARM)];
    for _ in &urgent {
        desk.somebody_waits().await;
    }
    assert!(shed(WAIT).await);
    desk.released.add_permits(2);
    for call in urgent {
        assert_eq!(call.await.unwrap().unwrap(), "done");
    }
    running.stop().await.unwrap();
}

#[tokio::test]
async fn urgent_streams_have_places_that_nobody_else_takes() {
    let issuer = TokenIssuer::generate();
    let mut settings = settings(&issuer);
    settings.grpc.max_streams = 1;
    settings.grpc.max_urgent_streams = 1;
    let running = Desk::new().serve(&settings).await;
    let channel = running.channel_of(&token(&issuer));

    let mut ordinary = watch(channel.clone(), text("")).await.unwrap();
    assert_eq!(ordinary.message().await.unwrap().unwrap(), "first");
    let refused = watch(channel.clone(), text("")).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    let mut urgent = stream(channel, LISTEN, text("")).await.unwrap();
    assert_eq!(urgent.message().await.unwrap().unwrap(), "first");
    drop((ordinary, urgent));
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_call_that_takes_too_long_is_told_so() {
    let issuer = TokenIssuer::generate();
    let mut settings = settings(&issuer);
    settings.grpc.default_deadline = Duration::from_millis(30);
    let running = Desk::new().serve(&settings).await;
    let channel = running.channel_of(&token(&issuer));
    let status = call(channel.clone(), WAIT, text("")).await.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::DeadlineExceeded, "DEADLINE_EXCEEDED")
    );

    let mut patient = text("");
    patient.set_timeout(Duration::from_secs(20));
    let left: u64 = call(channel, REMAINING, patient)
        .await
        .unwrap()
        .parse()
        .unwrap();
    assert!((15_000..=20_000).contains(&left), "{left} ms are left");
    running.stop().await.unwrap();
}

#[tokio::test]
async fn the_caller_cannot_ask_for_more_than_the_most() {
    let issuer = TokenIssuer::generate();
    let mut settings = settings(&issuer);
    settings.grpc.max_deadline = Duration::from_millis(30);
    let running = Desk::new().serve(&settings).await;
    let mut patient = text("");
    patient.set_timeout(Duration::from_secs(20));
    let status = call(running.channel_of(&token(&issuer)), WAIT, patient)
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_stream_ends_at_its_callers_deadline_and_not_at_ours() {
    let issuer = TokenIssuer::generate();
    let mut settings = settings(&issuer);
    settings.grpc.default_deadline = Duration::from_millis(1);
    let running = Desk::new().serve(&settings).await;
    // Set by hand, so that the client itself has no deadline and the server's end is seen.
    let mut request = text("");
    request
        .metadata_mut()
        .insert("grpc-timeout", "1500m".parse().unwrap());
    let mut stream = watch(running.channel_of(&token(&issuer)), request)
        .await
        .unwrap();
    assert_eq!(stream.message().await.unwrap().unwrap(), "first");
    let status = stream.message().await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_handler_that_panics_harms_no_other_call() {
    let issuer = TokenIssuer::generate();
    let settings = settings(&issuer);
    let desk = Desk::new();
    let running = desk.serve(&settings).await;
    let channel = running.channel_of(&token(&issuer));
    let other = tokio::spawn(call(channel.clone(), WAIT, text("")));
    desk.somebody_waits().await;
    let status = call(channel, PANIC, text("")).await.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::Internal, "INTERNAL")
    );
    assert!(
        !status.message().contains("purpose"),
        "the panic's text stays inside"
    );
    desk.released.add_permits(1);
    assert_eq!(other.await.unwrap().unwrap(), "done");
    running.stop().await.unwrap();
}
