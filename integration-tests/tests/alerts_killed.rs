//! Alerts, the log's server or the database's is killed at random instants while signals flow: each call for help is raised
//! once, and whoever is to be told of it is told once at each level, as far as the log says.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use integration_tests::{
    Setup, System, an_elder_with_a_daughter, asked_to_wait,
    callers::{Alerts, gateway},
    each_once,
    homes::{a_device, recipient, say},
    process::Part,
};
use proto::eldercare::alerts::v1::{
    self as pb, AlertEscalated, AlertRaised, NoticeFailed, NoticeSent, Signal, SignalJoined,
};
use rand::Rng as _;
use tokio::sync::{Semaphore, watch};
use tonic::Status;

/// Elders who call for help, each twice.
const HOMES: usize = 24;

/// How often the blow falls while signals flow.
const BLOWS: usize = 3;

/// So many batches the gateway may send before a blow and under it; the others are held back until then.
const BETWEEN: usize = HOMES / BLOWS;

/// A blow falls at most so many milliseconds after its batch.
const SOON: u64 = 10;

/// How often a batch is sent that fails.
const TRIES: usize = 100;

/// Who is struck.
#[derive(Clone, Copy)]
enum Struck {
    Alerts,
    Nats,
    Postgres,
}

/// A street where each elder has a button, and everybody who is told of a call can be told.
struct Street {
    system: System,
    elders: Vec<String>,
}

impl Street {
    async fn with(setup: Setup) -> Self {
        let system = System::start_with(setup).await;
        for role in [
            pb::RecipientRole::DutyCentre,
            pb::RecipientRole::GridWorker,
            pb::RecipientRole::VillageCommittee,
            pb::RecipientRole::Town,
        ] {
            recipient(&system, role, role.as_str_name()).await;
        }
        let mut elders = Vec::with_capacity(HOMES);
        for number in 0..HOMES {
            let elder = an_elder_with_a_daughter(&format!("林{number}"));
            let elder = system.register(elder).await;
            let button = a_device(&button(number), &elder);
            system.alerts().register_device(button).await.unwrap();
            elders.push(elder);
        }
        Self { system, elders }
    }

    /// Every button is pressed twice, among heartbeats; a batch that failed is sent again until it is stored. As many
    /// are sent as are allowed; it is told how many are stored.
    async fn signals(
        alerts: impl Fn() -> Alerts,
        allowed: Arc<Semaphore>,
        stored: watch::Sender<usize>,
    ) {
        for turn in 0..2 {
            for number in 0..HOMES {
                allowed.acquire().await.unwrap().forget();
                let batch = batch(turn, number);
                let mut tries = 0;
                while let Err(status) = passed_on(alerts(), &batch).await {
                    tries += 1;
                    assert!(tries < TRIES, "the signals do not go through: {status}");
                    asked_to_wait(&status).await;
                }
                stored.send_modify(|stored| *stored += 1);
            }
        }
    }

    /// Each signal that was acknowledged is in the stream.
    async fn signals_are_stored(&self) {
        let stored: BTreeSet<_> = self.system.signals_stored().await.into_iter().collect();
        for (turn, number) in (0..2).flat_map(|turn| (0..HOMES).map(move |number| (turn, number))) {
            for Signal {
                device_id,
                signal_id,
                ..
            } in batch(turn, number)
            {
                let told = (device_id, signal_id);
                assert!(
                    stored.contains(&told),
                    "{told:?} was acknowledged and is lost"
                );
            }
        }
    }

    async fn everybody_is_told_once(&mut self) {
        self.system.settled().await;
        for instant in [
            "2024-10-01T09:02:30+08:00",
            "2024-10-01T09:05:00+08:00",
            "2024-10-01T09:30:00+08:00",
        ] {
            self.system.advance_to(instant).await;
        }
        let raised = self.system.events::<AlertRaised>("alerts").await;
        let called = each_once(raised.iter().map(|raised| raised.elder_id.clone()));
        assert_eq!(called, self.elders.iter().cloned().collect());
        let joined = self.system.events::<SignalJoined>("alerts").await;
        let joined = each_once(joined.iter().map(|joined| joined.alert_id.clone()));
        assert_eq!(joined.len(), HOMES, "each button was pressed once more");

        let escalated = self.system.events::<AlertEscalated>("alerts").await;
        let escalated = each_once(
            escalated
                .iter()
                .map(|one| (one.alert_id.clone(), one.level)),
        );
        let sent = self.system.events::<NoticeSent>("alerts").await;
        let failed = self.system.events::<NoticeFailed>("alerts").await;
        let whom = |one: &NoticeSent| (one.alert_id.clone(), one.level, one.recipient_id.clone());
        each_once(sent.iter().map(whom));
        for alert in &raised {
            let told = |level: i32| -> BTreeSet<pb::RecipientRole> {
                let sent = sent.iter();
                let told = sent.filter(|one| one.alert_id == alert.alert_id && one.level == level);
                told.map(NoticeSent::role).collect()
            };
            for due in &alert.levels {
                let reached =
                    due.level == 0 || escalated.contains(&(alert.alert_id.clone(), due.level));
                assert!(
                    reached,
                    "level {} of {alert:?} was not reached, but {escalated:?}",
                    due.level
                );
                for role in due.roles() {
                    assert!(
                        told(due.level).contains(&role),
                        "{role:?} was not told at level {}: {:?}",
                        due.level,
                        failed
                            .iter()
                            .filter(|one| one.alert_id == alert.alert_id)
                            .collect::<Vec<_>>()
                    );
                }
            }
        }
        self.system.verify().await;
    }
}

fn button(number: usize) -> String {
    format!("SB{number:04}")
}

/// What the gateway hears at one time: heartbeats of all, and one button pressed.
fn batch(turn: usize, number: usize) -> Vec<Signal> {
    let heartbeats = (0..HOMES).map(|home| Signal {
        signal_id: format!("beat-{turn}-{number}"),
        device_id: button(home),
        kind: pb::SignalKind::Heartbeat.into(),
        ..Signal::default()
    });
    let press = Signal {
        signal_id: format!("press-{turn}"),
        device_id: button(number),
        kind: pb::SignalKind::Press.into(),
        ..Signal::default()
    };
    heartbeats.chain([press]).collect()
}

async fn passed_on(alerts: Alerts, signals: &[Signal]) -> Result<(), Status> {
    let receipt = say(alerts, signals.to_vec()).await?;
    assert_eq!(receipt.refused, []);
    Ok(())
}

async fn blows(struck: Struck) {
    let setup = Setup {
        own_postgres: matches!(struck, Struck::Postgres),
        ..Setup::with_alerts()
    };
    let mut street = Street::with(setup).await;
    // Where alerts are is told anew after each blow.
    let (line, lines) = watch::channel(street.system.caller(&gateway()));
    let (stored, mut batches) = watch::channel(0);
    let alerts = move || lines.borrow().alerts();
    let allowed = Arc::new(Semaphore::new(0));
    let flowing = Street::signals(alerts, Arc::clone(&allowed), stored);
    let flowing = tokio::spawn(flowing);
    for _ in 0..BLOWS {
        allowed.add_permits(BETWEEN);
        let (more, soon) = {
            let mut random = rand::rng();
            (
                random.random_range(1..=BETWEEN),
                random.random_range(0..SOON),
            )
        };
        let enough = *batches.borrow() + more;
        batches.wait_for(|stored| *stored >= enough).await.unwrap();
        tokio::time::sleep(Duration::from_millis(soon)).await;
        match struck {
            Struck::Alerts => {
                street.system.kill_one(Part::Alerts).await;
                street.system.restart_one(Part::Alerts).await;
                line.send_replace(street.system.caller(&gateway()));
            }
            Struck::Nats => {
                street.system.nats().kill().await;
                street.system.nats().restart().await.unwrap();
            }
            Struck::Postgres => {
                street.system.postgres().kill().await;
                street.system.postgres().restart().await.unwrap();
            }
        }
    }
    allowed.add_permits(2 * HOMES);
    flowing.await.unwrap();
    assert!(street.system.is_running(), "a service outlives its servers");
    street.signals_are_stored().await;
    if matches!(struck, Struck::Alerts) {
        // A level falls due while nobody is there, and is reached late rather than never.
        street.system.kill().await;
        street.system.restart_at("2024-10-01T09:02:30+08:00").await;
    }
    street.everybody_is_told_once().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_alerts_raise_each_call_once_and_tell_everybody_once() {
    blows(Struck::Alerts).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_log_server_loses_no_call_for_help() {
    blows(Struck::Nats).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_database_loses_no_call_for_help() {
    blows(Struck::Postgres).await;
}
