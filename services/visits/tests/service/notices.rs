//! Alerts are told of missed visits: of priority elders alone, once, and also after both were away.

use std::future::ready;
use std::sync::Mutex;
use std::time::Duration;

use civic::ElderId;
use elders::event::{Event, Spoken};
use proto::eldercare::alerts::v1::alert_service_server::AlertServiceServer;
use proto::eldercare::alerts::v1::raise_alert_request::Cause;
use proto::eldercare::alerts::v1::{AlertKind, RaiseAlertRequest, RaiseAlertResponse};
use proto::testing::Raising;
use sqlx::PgPool;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::Status;
use tonic::transport::Server;

use crate::support::{Ground, at, date, timestamp};

/// Alerts that answer as they are told: their address, and what they are told.
async fn alerts<F>(answer: F) -> (String, mpsc::UnboundedReceiver<RaiseAlertRequest>)
where
    F: Fn(&RaiseAlertRequest) -> Result<(), Status> + Send + Sync + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (told, notices) = mpsc::unbounded_channel();
    let service = AlertServiceServer::new(Raising(move |request: RaiseAlertRequest| {
        let answer = answer(&request);
        // A test that has seen enough listens no more.
        let _ = told.send(request);
        ready(answer.map(|()| RaiseAlertResponse::default()))
    }));
    tokio::spawn(
        Server::builder()
            .add_service(service)
            .serve_with_incoming(TcpListenerStream::new(listener)),
    );
    (address, notices)
}

/// The next notice; a reactor that is broken ends the test, and not the patience of whoever runs it.
async fn next(notices: &mut mpsc::UnboundedReceiver<RaiseAlertRequest>) -> RaiseAlertRequest {
    let notice = tokio::time::timeout(Duration::from_secs(60), notices.recv());
    notice
        .await
        .expect("alerts are told within a minute")
        .unwrap()
}

#[tokio::test]
async fn a_missed_visit_is_told_once_alerts_are_there_and_again_until_it_is_taken() {
    let mut ground = Ground::at("2024-10-07 09:00");
    let priority = ground.weekly().await;
    ground.monthly().await;
    let talk = ground.weekly().await;
    let running = ground.start().await;
    running.start_visiting("2024-10-01").await;
    let refused = Event::ConsentRefused(Spoken {
        by: None,
        at: Some(at("2024-10-09 08:00")),
    });
    running.ground.record(talk, &[refused]).await;
    // A week and a month close, and nobody is there to be told.
    running.advance("2024-11-01 00:00").await;
    let events = running.events().await;
    let missed = events.iter().filter(|event| *event == "VisitMissed");
    assert_eq!(
        missed.count(),
        3 * 2 + 1,
        "three weeks of two, a month of one"
    );
    let (stopped, database) = running.stop().await;
    ground = stopped;

    // Alerts are installed; at first they fail.
    let failing = Mutex::new(2);
    let (address, mut notices) = alerts(move |_| {
        let mut failing = failing.lock().unwrap();
        if *failing > 0 {
            *failing -= 1;
            return Err(Status::unavailable("the log"));
        }
        Ok(())
    })
    .await;
    ground.alerts = Some(address);
    let running = ground.start_on(database).await;
    let mut by_id: Vec<RaiseAlertRequest> = Vec::new();
    let mut calls = 0;
    while by_id.len() < 3 || calls < 5 {
        let notice = next(&mut notices).await;
        calls += 1;
        match by_id
            .iter()
            .find(|known| known.request_id == notice.request_id)
        {
            Some(known) => assert_eq!(*known, notice, "told again in the same words"),
            None => by_id.push(notice),
        }
    }
    by_id.sort_by_key(|notice| notice.occurred_at.map(|at| at.seconds));
    for (notice, (first, last, end)) in by_id.iter().zip([
        ("2024-10-07", "2024-10-13", "2024-10-14 00:00"),
        ("2024-10-14", "2024-10-20", "2024-10-21 00:00"),
        ("2024-10-21", "2024-10-27", "2024-10-28 00:00"),
    ]) {
        assert_eq!(notice.elder_id, priority.to_string());
        assert_eq!(notice.kind(), AlertKind::VisitMissed);
        assert_eq!(notice.occurred_at, Some(timestamp(at(end))));
        let Some(Cause::MissedVisit(missed)) = &notice.cause else {
            panic!("no missed visit");
        };
        assert_eq!(
            (missed.first_day, missed.last_day),
            (Some(date(first)), Some(date(last)))
        );
    }

    // The next week, after a restart of both. What was told before may come again, under the same request.
    let (ground, database) = running.stop().await;
    let running = ground.start_on(database).await;
    running.advance("2024-11-04 00:00").await;
    let fourth = loop {
        let notice = next(&mut notices).await;
        if !by_id.contains(&notice) {
            break notice;
        }
    };
    assert_eq!(fourth.occurred_at, Some(timestamp(at("2024-11-04 00:00"))));
    // What is owed by the month, or waits for a talk, is told to nobody.
    assert_eq!(fourth.elder_id, priority.to_string());
    assert!(
        !by_id
            .iter()
            .any(|told| told.request_id == fourth.request_id)
    );
    running.stop().await;
}

#[tokio::test]
async fn a_notice_that_alerts_refuse_or_fail_over_holds_up_no_other() {
    let mut ground = Ground::at("2024-10-07 09:00");
    let (told, refused, breaking) = (
        ground.weekly().await,
        ground.weekly().await,
        ground.weekly().await,
    );
    let (address, mut notices) = alerts(move |notice| {
        if notice.elder_id == refused.to_string() {
            Err(Status::failed_precondition("no such village"))
        } else if notice.elder_id == breaking.to_string() {
            Err(Status::internal("a fault"))
        } else {
            Ok(())
        }
    })
    .await;
    ground.alerts = Some(address);
    let running = ground.start().await;
    running.start_visiting("2024-10-01").await;
    for week in ["2024-10-14 00:00", "2024-10-21 00:00"] {
        running.advance(week).await;
        while {
            let notice = next(&mut notices).await;
            notice.elder_id != told.to_string() || notice.occurred_at != Some(timestamp(at(week)))
        } {}
    }
    // The second week's notice was told after the first week was done with.
    let pool = PgPool::connect(&running.database).await.unwrap();
    let parked = readmodel::parked::list(&pool, Some(visits::on_visit_missed::NAME), 0, 10);
    let parked = parked.await.unwrap();
    let of_first_week = |elder: ElderId| {
        let of_elder = parked
            .iter()
            .filter(|event| event.subject.contains(&elder.to_string()));
        let of_elder: Vec<_> = of_elder.map(|event| event.reason.as_str()).collect();
        of_elder.first().copied()
    };
    assert_eq!(of_first_week(told), None);
    assert_eq!(of_first_week(refused), Some("refused by alerts"));
    assert_eq!(of_first_week(breaking), Some("alerts fail over it"));
    running.stop().await;
}
