//! Alerts are told of missed visits: of priority elders alone, once, and also after both were away.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use elders::event::{Event, Spoken};
use proto::eldercare::alerts::v1::alert_service_server::{AlertService, AlertServiceServer};
use proto::eldercare::alerts::v1::raise_alert_request::Cause;
use proto::eldercare::alerts::v1::{AlertKind, RaiseAlertRequest, RaiseAlertResponse};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

use crate::support::{Ground, at, date, timestamp};

/// Takes alerts down, as the service does.
#[derive(Clone)]
struct Told {
    told: mpsc::UnboundedSender<RaiseAlertRequest>,
    /// How many calls fail first.
    failing: Arc<Mutex<u32>>,
}

#[tonic::async_trait]
impl AlertService for Told {
    async fn raise_alert(
        &self,
        request: Request<RaiseAlertRequest>,
    ) -> Result<Response<RaiseAlertResponse>, Status> {
        let request = request.into_inner();
        self.told.send(request).unwrap();
        let mut failing = self.failing.lock().unwrap();
        if *failing > 0 {
            *failing -= 1;
            return Err(Status::unavailable("the log"));
        }
        Ok(Response::new(RaiseAlertResponse::default()))
    }
}

async fn serve(listener: TcpListener, told: Told) {
    Server::builder()
        .add_service(AlertServiceServer::new(told))
        .serve_with_incoming(TcpListenerStream::new(listener))
        .await
        .unwrap();
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
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (told, mut notices) = mpsc::unbounded_channel();
    let failing = Arc::new(Mutex::new(2));
    let served = tokio::spawn(serve(listener, Told { told, failing }));
    ground.alerts = Some(format!("http://{address}"));
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
    served.abort();
}
