//! Going down: not ready at once, calls in flight finish, streams end, and what does not end is cut off.

use std::time::Duration;

use crate::support::{Desk, REMAINING, WAIT, call, reason, text, watch};
use service::{
    Claims, TokenIssuer,
    testing::{Running, settings},
};
use tonic::Code;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

fn token(issuer: &TokenIssuer) -> String {
    issuer.issue(
        &Claims::officer("li", "civil_affairs")
            .role("clerk")
            .division("370303"),
    )
}

fn about(service: &str) -> HealthCheckRequest {
    HealthCheckRequest {
        service: service.to_owned(),
    }
}

#[tokio::test]
async fn a_call_in_flight_finishes_and_readiness_ends_before_it() {
    let issuer = TokenIssuer::generate();
    let settings = settings(&issuer);
    let desk = Desk::new();
    let running = desk.serve(&settings).await;
    let mut health = HealthClient::new(running.channel());
    let mut readiness = health.watch(about("readiness")).await.unwrap().into_inner();
    while readiness.message().await.unwrap().unwrap().status() != ServingStatus::Serving {}
    assert_eq!(
        health
            .check(about("test.v1.Desk"))
            .await
            .unwrap()
            .into_inner()
            .status(),
        ServingStatus::Serving
    );

    let in_flight = tokio::spawn(call(running.channel_of(&token(&issuer)), WAIT, text("")));
    desk.somebody_waits().await;
    let address = running.address;
    let stopping = tokio::spawn(running.stop());
    assert_eq!(
        readiness.message().await.unwrap().unwrap().status(),
        ServingStatus::NotServing
    );
    // The watch of health ends with the drain; nothing else is waited for but the call.
    while let Ok(Some(_)) = readiness.message().await {}
    assert!(
        !stopping.is_finished(),
        "it went down over a call in flight"
    );
    assert!(
        tokio::net::TcpStream::connect(address).await.is_err(),
        "the port is closed meanwhile"
    );

    desk.released.add_permits(1);
    assert_eq!(in_flight.await.unwrap().unwrap(), "done");
    stopping.await.unwrap().unwrap();
}

#[tokio::test]
async fn what_does_not_end_within_the_grace_is_cut_off() {
    let issuer = TokenIssuer::generate();
    let mut settings = settings(&issuer);
    settings.shutdown.grace = Duration::from_millis(50);
    let desk = Desk::new();
    let running = desk.serve(&settings).await;
    let channel = running.channel_of(&token(&issuer));
    let mut stream = watch(channel.clone(), text("")).await.unwrap();
    assert_eq!(stream.message().await.unwrap().unwrap(), "first");
    let stuck = tokio::spawn(call(channel, WAIT, text("")));
    desk.somebody_waits().await;
    let stopping = running.stop();
    let status = stuck.await.unwrap().unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::Unavailable, "SHUTTING_DOWN")
    );
    assert_eq!(
        stream.message().await.unwrap_err().code(),
        Code::Unavailable
    );
    stopping.await.unwrap();
}

#[tokio::test]
async fn a_service_is_ready_only_when_its_condition_holds() {
    let issuer = TokenIssuer::generate();
    let settings = settings(&issuer);
    let (caught_up, condition) = tokio::sync::oneshot::channel::<()>();
    let server = Desk::new().server(&settings).ready_when(async move {
        let _ = condition.await;
    });
    let running = Running::start(server, &settings).await.unwrap();
    let mut health = HealthClient::new(running.channel());
    assert_eq!(
        health
            .check(about("liveness"))
            .await
            .unwrap()
            .into_inner()
            .status(),
        ServingStatus::Serving
    );
    let mut readiness = health.watch(about("")).await.unwrap().into_inner();
    assert_eq!(
        readiness.message().await.unwrap().unwrap().status(),
        ServingStatus::NotServing
    );
    caught_up.send(()).unwrap();
    assert_eq!(
        readiness.message().await.unwrap().unwrap().status(),
        ServingStatus::Serving
    );
    drop(readiness);
    running.stop().await.unwrap();
}

#[tokio::test]
async fn calls_wait_until_the_service_has_begun_but_not_those_of_the_platform() {
    let issuer = TokenIssuer::generate();
    let mut settings = settings(&issuer);
    settings.grpc.default_deadline = Duration::from_millis(300);
    let (caught_up, condition) = tokio::sync::oneshot::channel::<()>();
    let server = Desk::new().server(&settings).ready_when(async move {
        let _ = condition.await;
    });
    let running = Running::start(server, &settings).await.unwrap();
    let clerk = || running.channel_of(&token(&issuer));

    let platform = Claims::system("visits", "platform")
        .division("*")
        .role("service");
    let platform = running.channel_of(&issuer.issue(&platform));
    call(platform, REMAINING, text("")).await.unwrap();

    let status = call(clerk(), REMAINING, text("")).await.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::Unavailable, "STARTING")
    );

    let patient = call(clerk(), REMAINING, text(""));
    let (answer, ()) = tokio::join!(patient, async { caught_up.send(()).unwrap() });
    answer.unwrap();
    running.stop().await.unwrap();
}

#[tokio::test]
async fn whoever_waits_for_the_beginning_takes_no_place_from_others_and_none_is_taken_from_it() {
    let issuer = TokenIssuer::generate();
    let mut settings = settings(&issuer);
    settings.grpc.max_calls = 1;
    let (caught_up, condition) = tokio::sync::oneshot::channel::<()>();
    let desk = Desk::new();
    let server = desk.server(&settings).ready_when(async move {
        let _ = condition.await;
    });
    let running = Running::start(server, &settings).await.unwrap();
    let clerks = [(); 2].map(|()| {
        let clerk = running.channel_of(&token(&issuer));
        Box::pin(call(clerk, REMAINING, text("")))
    });
    // As many as may be at work later wait, and no more.
    let (refused, _, mut waiting) = futures::future::select_all(clerks).await;
    let refused = refused.unwrap_err();
    assert_eq!(
        (refused.code(), reason(&refused).as_str()),
        (Code::ResourceExhausted, "OVERLOADED")
    );
    let platform = Claims::system("visits", "platform")
        .division("*")
        .role("service");
    let platform = running.channel_of(&issuer.issue(&platform));
    let at_work = tokio::spawn(call(platform, WAIT, text("")));
    desk.somebody_waits().await;

    // There is no other place by now.
    caught_up.send(()).unwrap();
    waiting.remove(0).await.unwrap();
    desk.released.add_permits(1);
    assert_eq!(at_work.await.unwrap().unwrap(), "done");
    running.stop().await.unwrap();
}

#[tokio::test]
async fn connections_end_at_their_age() {
    let issuer = TokenIssuer::generate();
    let mut settings = settings(&issuer);
    settings.grpc.max_connection_age = Duration::from_millis(20);
    settings.grpc.max_connection_age_grace = Duration::from_millis(20);
    let running = Desk::new().serve(&settings).await;
    // On a busy machine the connection may end before its first message: it ends in any case.
    if let Ok(mut stream) = watch(running.channel_of(&token(&issuer)), text("")).await {
        let end = loop {
            match stream.message().await {
                Ok(Some(_)) => {}
                end => break end,
            }
        };
        assert!(end.is_err(), "the stream outlived its connection");
    }
    running.stop().await.unwrap();
}
