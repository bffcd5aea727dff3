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

use civic::LocalDay;
use eldercare::wire::from_date;
use integration_tests::{
    Setup, System, day, import, process::Part, survey, visiting::start_visiting, workbook,
};
use proto::{
    eldercare::{
        alerts::v1::{
            AlertKind, RaiseAlertRequest, RaiseAlertResponse,
            alert_service_server::AlertServiceServer, raise_alert_request::Cause,
        },
        visits::v1::VisitMissed,
    },
    testing::Raising,
};
use tokio::{
    net::TcpListener,
    sync::{Notify, Semaphore, mpsc},
};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Status, transport::Server};

/// Elders of eighty years and more, whom nobody visits.
const MISSED: usize = 250;

/// So many notices are taken before visits are killed: a part of all.
const TAKEN: usize = 50;

/// How long the next notice may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// Alerts as visits see them. Until they are open they refuse each notice; from then on they take as many as they are
/// allowed to, and leave the others without an answer.
struct Alerts {
    open: AtomicBool,
    /// A notice was refused.
    refused: Notify,
    /// How many more may be taken.
    allowed: Semaphore,
    taken: mpsc::UnboundedSender<RaiseAlertRequest>,
}

impl Alerts {
    async fn raise(
        self: Arc<Self>,
        notice: RaiseAlertRequest,
    ) -> Result<RaiseAlertResponse, Status> {
        if !self.open.load(Ordering::Relaxed) {
            self.refused.notify_one();
            return Err(Status::unavailable("alerts are not there yet"));
        }
        let over = || Status::unavailable("the story is over");
        let allowed = self.allowed.acquire().await.map_err(|_closed| over())?;
        allowed.forget();
        self.taken.send(notice).map_err(|_closed| over())?;
        Ok(RaiseAlertResponse::default())
    }
}

/// What alerts have taken.
struct Told {
    alerts: Arc<Alerts>,
    notices: mpsc::UnboundedReceiver<RaiseAlertRequest>,
    /// Request ids by elder and the first day of the week.
    heard: BTreeMap<(String, LocalDay), BTreeSet<String>>,
}

impl Told {
    /// Alerts that are not open yet, and where they are.
    async fn begin() -> (Self, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (taken, notices) = mpsc::unbounded_channel();
        let alerts = Arc::new(Alerts {
            open: AtomicBool::new(false),
            refused: Notify::new(),
            allowed: Semaphore::new(0),
            taken,
        });
        let service = AlertServiceServer::new(Raising({
            let alerts = Arc::clone(&alerts);
            move |notice| Arc::clone(&alerts).raise(notice)
        }));
        let server = Server::builder().add_service(service);
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        let told = Self {
            alerts,
            notices,
            heard: BTreeMap::new(),
        };
        (told, address)
    }

    /// Waits until a notice has been refused.
    async fn refused(&self) {
        let refused = tokio::time::timeout(PATIENCE, self.alerts.refused.notified());
        refused.await.expect("nobody is told");
    }

    /// Alerts take notices from now on, this many more.
    fn take(&self, more: usize) {
        self.alerts.open.store(true, Ordering::Relaxed);
        self.alerts.allowed.add_permits(more);
    }

    /// Hears the next notice that was taken.
    async fn next(&mut self) {
        let notice = tokio::time::timeout(PATIENCE, self.notices.recv()).await;
        let notice = notice.expect("nobody is told").unwrap();
        assert_eq!(notice.kind(), AlertKind::VisitMissed);
        let Some(Cause::MissedVisit(missed)) = notice.cause else {
            panic!("a notice tells what was missed");
        };
        let first_day = from_date(missed.first_day.unwrap()).unwrap();
        let ids = self.heard.entry((notice.elder_id, first_day));
        ids.or_default().insert(notice.request_id);
    }

    /// Hears notices until all who were missed in a week are known.
    async fn all_of(&mut self, week: &str) {
        while self.of(week).count() < MISSED {
            self.next().await;
        }
    }

    /// The elders of a week, each with the request ids under which it was told.
    fn of(&self, week: &str) -> impl Iterator<Item = (&String, &BTreeSet<String>)> {
        let week = day(week);
        let of_it = self.heard.iter().filter(move |((_, day), _)| *day == week);
        of_it.map(|((elder, _), ids)| (elder, ids))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alerts_learn_of_each_missed_visit_though_they_and_visits_were_away() {
    let (mut told, alerts) = Told::begin().await;
    let setup = Setup {
        alerts: Some(alerts),
        ..Setup::with_visits()
    };
    let mut system = System::start_with(setup).await;
    let book = workbook::of_elders(0, u32::try_from(MISSED).unwrap());
    import(&mut system.registry(), survey::options(), &book)
        .await
        .unwrap();
    start_visiting(&system, "2024-09-30").await;
    system.settled().await;

    // The week closes while alerts take nothing. Then they take a part of the notices and leave the others waiting, so that
    // visits are killed while they tell.
    system.advance_to("2024-10-07T00:00:00+08:00").await;
    let missed = system.events::<VisitMissed>("visits").await;
    assert_eq!(missed.len(), MISSED);
    told.refused().await;
    told.take(TAKEN);
    for _ in 0..TAKEN {
        told.next().await;
    }
    system.kill_one(Part::Visits).await;
    let before = told.of("2024-09-30").count();
    assert!(
        (1..=TAKEN).contains(&before),
        "the blow fell in the middle of {MISSED} notices: {before} were taken"
    );
    told.take(Semaphore::MAX_PERMITS);
    system.restart_one(Part::Visits).await;
    told.all_of("2024-09-30").await;
    let elders: BTreeSet<&String> = missed.iter().map(|missed| &missed.elder_id).collect();
    let known: BTreeSet<&String> = told.of("2024-09-30").map(|(elder, _)| elder).collect();
    assert_eq!(
        known, elders,
        "those who were missed are told, and nobody else"
    );

    // The next week is told too. However often somebody was told, it was under one id, by which alerts know it again.
    system.advance_to("2024-10-14T00:00:00+08:00").await;
    told.all_of("2024-10-07").await;
    for week in ["2024-09-30", "2024-10-07"] {
        for (elder, ids) in told.of(week) {
            assert_eq!(ids.len(), 1, "{week}: {elder} is told as several alerts");
        }
    }
    assert_eq!(told.heard.len(), 2 * MISSED);
    system.verify().await;
}
