//! Who was missed is told to the service of alerts, of each week once, whoever was away or killed meanwhile.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use integration_tests::{
    Setup, System, date, import, survey,
    visiting::{events, start_visiting},
    workbook,
};
use proto::eldercare::{
    alerts::v1::{
        AlertKind, RaiseAlertRequest, RaiseAlertResponse,
        alert_service_server::{AlertService, AlertServiceServer},
        raise_alert_request::Cause,
    },
    r#type::v1::Date,
    visits::v1::VisitMissed,
};
use tokio::{net::TcpListener, sync::mpsc};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, transport::Server};
use uuid::Uuid;

/// Elders of eighty years and more, whom nobody visits.
const MISSED: u32 = 250;

/// How long the next notice may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Alerts as visits see them: what is told is taken down, once they are open.
#[derive(Clone)]
struct Alerts {
    open: Arc<AtomicBool>,
    told: mpsc::UnboundedSender<RaiseAlertRequest>,
}

#[tonic::async_trait]
impl AlertService for Alerts {
    async fn raise_alert(
        &self,
        request: Request<RaiseAlertRequest>,
    ) -> Result<Response<RaiseAlertResponse>, Status> {
        // The story may be over.
        let _ = self.told.send(request.into_inner());
        if self.open.load(Ordering::Relaxed) {
            Ok(Response::new(RaiseAlertResponse::default()))
        } else {
            Err(Status::unavailable("alerts are not there yet"))
        }
    }
}

/// What alerts are told.
struct Told {
    open: Arc<AtomicBool>,
    notices: mpsc::UnboundedReceiver<RaiseAlertRequest>,
    /// Request ids by elder and the first day of the week.
    heard: BTreeMap<(String, String), BTreeSet<String>>,
}

impl Told {
    /// Alerts that are not open yet, and where they are.
    async fn begin() -> (Self, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (told, notices) = mpsc::unbounded_channel();
        let open = Arc::<AtomicBool>::default();
        let alerts = Alerts {
            open: Arc::clone(&open),
            told,
        };
        let server = Server::builder().add_service(AlertServiceServer::new(alerts));
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        let told = Self {
            open,
            notices,
            heard: BTreeMap::new(),
        };
        (told, address)
    }

    /// Hears the next notice: the first day of its week.
    async fn next(&mut self) -> Date {
        let notice = tokio::time::timeout(PATIENCE, self.notices.recv()).await;
        let notice = notice.expect("nobody is told").unwrap();
        assert_eq!(notice.kind(), AlertKind::VisitMissed);
        let Some(Cause::MissedVisit(missed)) = notice.cause else {
            panic!("a notice tells what was missed");
        };
        let first_day = missed.first_day.unwrap();
        let ids = self.heard.entry((notice.elder_id, in_words(first_day)));
        ids.or_default().insert(notice.request_id);
        first_day
    }

    /// Hears notices until as many elders of a week are known.
    async fn until(&mut self, week: &str, elders: usize) {
        while self.of(week).count() < elders {
            self.next().await;
        }
    }

    /// The elders of a week, each with the request ids under which it was told.
    fn of(&self, week: &str) -> impl Iterator<Item = (&String, &BTreeSet<String>)> {
        let week = in_words(date(week));
        let of_it = self.heard.iter().filter(move |((_, day), _)| *day == week);
        of_it.map(|((elder, _), ids)| (elder, ids))
    }
}

fn in_words(day: Date) -> String {
    format!("{:04}-{:02}-{:02}", day.year, day.month, day.day)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alerts_learn_of_each_missed_visit_though_they_and_visits_were_away() {
    let (mut told, alerts) = Told::begin().await;
    let setup = Setup {
        alerts: Some(alerts),
        ..Setup::with_visits()
    };
    let mut system = System::start_with(setup).await;
    let book = workbook::of_elders(0, MISSED);
    let options = survey::options(Uuid::new_v4());
    import(&mut system.registry(), options, &book)
        .await
        .unwrap();
    start_visiting(&system, "2024-09-30").await;
    system.settled().await;

    // The week closes though alerts take nothing; then they do, and visits are killed while they tell.
    system.advance_to("2024-10-07T00:00:00+08:00").await;
    let missed = events::<VisitMissed>(&system).await;
    assert_eq!(missed.len(), MISSED as usize);
    assert_eq!(told.next().await, date("2024-09-30"));
    told.open.store(true, Ordering::Relaxed);
    told.until("2024-09-30", 50).await;
    system.kill_visits().await;
    system.restart_visits().await;
    told.until("2024-09-30", MISSED as usize).await;
    let elders: BTreeSet<&String> = missed.iter().map(|missed| &missed.elder_id).collect();
    let known: BTreeSet<&String> = told.of("2024-09-30").map(|(elder, _)| elder).collect();
    assert_eq!(
        known, elders,
        "those who were missed are told, and nobody else"
    );

    // Of the next week nobody is told twice, and of the first one nothing is told under another id.
    system.advance_to("2024-10-14T00:00:00+08:00").await;
    told.until("2024-10-07", MISSED as usize).await;
    for week in ["2024-09-30", "2024-10-07"] {
        for (elder, ids) in told.of(week) {
            assert_eq!(ids.len(), 1, "{week}: {elder} is told as several alerts");
        }
    }
    assert_eq!(told.heard.len(), 2 * MISSED as usize);
    system.verify().await;
}
