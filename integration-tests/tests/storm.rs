//! A power cut: ten thousand devices of a town fall silent within a minute, and five people call for help in it. Who is to help
//! them hears of it at once; of the silence each maintainer is told by village, and nobody is flooded.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use futures::{StreamExt as _, stream};
use integration_tests::{
    Setup, System, an_elder_with_a_daughter,
    callers::{Alerts, gateway},
    county::{self, COUNTY},
    homes::{a_device, a_signal, recipient, say},
};
use proto::eldercare::{
    alerts::v1::{
        self as pb, AlertKind, AlertRaised, NoticeSent, Signal, WatchAlertsRequest,
        watch_alerts_response::Told,
    },
    registry::v1::RegisterElderRequest,
};
use tokio::sync::watch;

const TOWN: &str = "350524100";
/// So many homes, spread over the town's villages.
const HOMES: usize = 1_000;
/// A gateway in each, with so many devices.
const DEVICES: usize = 10;
/// The minute of the power cut, in parts of ten seconds: a sixth of the homes falls silent in each.
const PARTS: usize = 6;
/// In so many of them somebody calls for help.
const CALLS: usize = 5;
/// Calls under way at once.
const AT_ONCE: usize = 64;
/// When an alert that nobody takes on goes to the village: until then its first recipients must know.
const FIRST_LEVEL: Duration = Duration::from_secs(120);

/// A device's place in the town.
fn device(home: usize, number: usize) -> String {
    format!("DS{home:04}-{number}")
}

fn button(call: usize) -> String {
    format!("SB{call:04}")
}

async fn says(alerts: Alerts, kind: pb::SignalKind, devices: impl Iterator<Item = String>) {
    let signals: Vec<Signal> = devices
        .map(|device| Signal {
            kind: kind.into(),
            ..a_signal(&device)
        })
        .collect();
    for some in signals.chunks(500) {
        let receipt = say(alerts.clone(), some.to_vec()).await.unwrap();
        assert!(receipt.refused.is_empty());
    }
}

/// The town, its people, and whoever is told of what happens there.
async fn town() -> System {
    let system = System::start_with(Setup::with_alerts()).await;
    for role in [
        pb::RecipientRole::DutyCentre,
        pb::RecipientRole::GridWorker,
        pb::RecipientRole::Maintainer,
    ] {
        recipient(&system, role, role.as_str_name()).await;
    }
    let villages = county::villages(TOWN);
    let (here, villages) = (&system, &villages);
    stream::iter(0..HOMES)
        .map(|home| async move {
            let elder = RegisterElderRequest {
                division_code: villages[home % villages.len()].code.clone(),
                ..an_elder_with_a_daughter("林某")
            };
            let elder = here.register(elder).await;
            for number in 0..DEVICES {
                let mut sensor = a_device(&device(home, number), &elder);
                let kind = pb::DeviceKind::DoorSensor.into();
                sensor.device.as_mut().unwrap().kind = kind;
                here.alerts().register_device(sensor).await.unwrap();
            }
            if home < CALLS {
                let button = a_device(&button(home), &elder);
                here.alerts().register_device(button).await.unwrap();
            }
        })
        .buffer_unordered(AT_ONCE)
        .collect::<()>()
        .await;
    system.settled().await;
    system
}

/// The alerts of which somebody was told, by their ids and their devices, as a duty centre that watches hears of it.
pub(crate) async fn heard_of(system: &System) -> watch::Receiver<BTreeSet<String>> {
    let request = WatchAlertsRequest {
        division_code: COUNTY.to_owned(),
        ..WatchAlertsRequest::default()
    };
    let mut alerts = system.alerts();
    let watching = alerts.watch_alerts(request).await.unwrap();
    let mut changes = watching.into_inner();
    let (heard, alerts) = watch::channel(BTreeSet::new());
    // It is read all the time: whoever does not read holds up the other calls of the same connection.
    tokio::spawn(async move {
        while let Ok(Some(change)) = changes.message().await {
            let Some(Told::Alert(alert)) = change.told else {
                continue;
            };
            if alert.first_notice_at.is_some() {
                heard.send_modify(|heard| heard.extend([alert.alert_id, alert.device_id]));
            }
        }
    });
    alerts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_power_cut_delays_no_call_for_help_and_floods_nobody() {
    let mut system = town().await;
    let gateway = system.caller(&gateway());
    let part = |part: usize| {
        (part..HOMES)
            .step_by(PARTS)
            .flat_map(|home| (0..DEVICES).map(move |number| device(home, number)))
    };
    // The last that is heard before the lights go out; the buttons have batteries.
    for number in 0..PARTS {
        let instant = format!("2024-10-01T18:00:{number}0+08:00");
        system.advance_to(&instant).await;
        says(gateway.alerts(), pb::SignalKind::Heartbeat, part(number)).await;
    }
    system.advance_to("2024-10-02T08:00:00+08:00").await;
    says(
        gateway.alerts(),
        pb::SignalKind::Heartbeat,
        (0..CALLS).map(button),
    )
    .await;
    system.advance_to("2024-10-02T17:59:59+08:00").await;

    let mut heard = heard_of(&system).await;
    for number in 0..PARTS {
        // A sixth of the town falls silent, and somebody calls while that is told.
        let instant = format!("2024-10-02T18:00:{number}0+08:00");
        let called = async {
            if number >= CALLS {
                return;
            }
            let pressed = Instant::now();
            let pressing = [button(number)].into_iter();
            says(gateway.alerts(), pb::SignalKind::Press, pressing).await;
            let button = button(number);
            let told = heard.wait_for(|devices| devices.contains(&button));
            let told = tokio::time::timeout(FIRST_LEVEL, told).await;
            told.expect("somebody knows before the village is told")
                .unwrap();
            println!("call {number}: first notice after {:?}", pressed.elapsed());
        };
        tokio::join!(system.advance_to(&instant), called);
    }
    system.advance_to("2024-10-02T18:01:59+08:00").await;

    let raised = system.events::<AlertRaised>("alerts").await;
    let of_kind = |kind: AlertKind| -> BTreeMap<String, AlertRaised> {
        let raised = raised.iter().filter(|raised| raised.kind() == kind);
        raised
            .map(|raised| (raised.alert_id.clone(), raised.clone()))
            .collect()
    };
    let (calls, silent) = (of_kind(AlertKind::Sos), of_kind(AlertKind::DeviceOffline));
    assert_eq!((calls.len(), silent.len()), (CALLS, HOMES * DEVICES));

    let sent = system.events::<NoticeSent>("alerts").await;
    for (alert, raised) in &calls {
        // The clock moves on in steps of ten seconds while they are told.
        let soon = |one: &NoticeSent| {
            let (at, raised) = (one.at.unwrap().seconds, raised.raised_at.unwrap().seconds);
            Duration::from_secs(at.abs_diff(raised)) < FIRST_LEVEL
        };
        let told = sent.iter().filter(|one| one.alert_id == *alert);
        let told: BTreeSet<_> = told
            .filter(|one| one.alerts == 1 && soon(one))
            .map(NoticeSent::role)
            .collect();
        for role in [
            pb::RecipientRole::EmergencyContact,
            pb::RecipientRole::DutyCentre,
        ] {
            assert!(told.contains(&role), "{told:?}");
        }
    }
    let silence = || sent.iter().filter(|one| silent.contains_key(&one.alert_id));
    let told: BTreeSet<&str> = silence().map(|one| one.alert_id.as_str()).collect();
    assert_eq!(told.len(), silent.len(), "each is told of");
    assert!(silence().all(|one| one.role() == pb::RecipientRole::Maintainer));
    let notices: BTreeSet<&str> = silence().map(|one| one.notice_id.as_str()).collect();
    let villages = county::villages(TOWN).len();
    println!("{} devices, {} notices", silent.len(), notices.len());
    assert_eq!(notices.len(), villages, "one for each village");
    system.verify().await;
}
