//! A device of another maker calls for help over MQTT, and somebody hears of it; once it is retired, it is shown out.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use alerts::doors::{Doors, offered};
use backing_services::testing;
use nats_access::{Issuer, SealingKey, ServerAccess, User};
use notices::settings::Webhook;
use notices::testing::Sample;
use notices::{ChannelSettings, Channels};
use proto::eldercare::alerts::v1 as pb;
use service::settings::NatsDoors;
use service::{Secret, Settings};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

use crate::support::{COUNTY, Ground, id, recipient};

/// Signs the sample's webhooks.
const KEY: &str = "a key of thirty-two bytes or more, for a test";

/// What the button says next, of which it is asked.
async fn says(
    said: &mut tokio::io::Lines<BufReader<tokio::process::ChildStdout>>,
    what: &str,
) -> String {
    let line = said.next_line().await.unwrap().unwrap_or_default();
    let rest = line.strip_prefix(what);
    rest.unwrap_or_else(|| panic!("it says `{line}`"))
        .trim()
        .to_owned()
}

#[tokio::test]
async fn a_press_over_mqtt_is_told_and_a_retired_button_is_shown_out() {
    let (issuer, sealing) = (Issuer::generate(), SealingKey::generate());
    let user = |name: &str| User {
        name: name.to_owned(),
        password: format!("password of {name}"),
        permissions: None,
    };
    let access = ServerAccess {
        sealing: Some(sealing.public_key()),
        offered: offered().into(),
        ..ServerAccess::new(vec![user("alerts")], user("system"), issuer.public_key())
    };
    let nats = testing::own_nats_with(|options| {
        options.configuration = access.server_configuration();
        options.mqtt_port = Some(0);
    })
    .await;
    let mqtt_port = nats.mqtt_port().unwrap();
    let client = async_nats::ConnectOptions::with_user_and_password(
        "alerts".to_owned(),
        user("alerts").password,
    )
    .connect(nats.url())
    .await
    .unwrap();
    let mut settings = Settings::default();
    settings.nats.url = service::settings::Address::new(nats.url());
    let devices = NatsDoors {
        issuer_seed: Secret::new(issuer.seed()),
        sealing_seed: Some(Secret::new(sealing.seed())),
        system_user: "system".to_owned(),
        system_password: Secret::new(user("system").password),
        admitted_for: Duration::from_secs(3_600),
    };
    let doors = Doors::connect(client.clone(), &settings, &devices)
        .await
        .unwrap();
    let receiver = Sample::receiver("key_1", KEY).await.unwrap();
    let channels = Channels::new(&ChannelSettings {
        webhook: Webhook {
            signing_key: Some(Secret::new(KEY)),
            ..Webhook::default()
        },
        ..ChannelSettings::default()
    });
    let ground = Ground::on(nats, "2024-11-11 10:00:00");
    let database = testing::fresh_database().await;
    let running = ground
        .start_with(database, client, channels.unwrap(), Some(doors))
        .await;

    let elder = ground.elder(&[]).await;
    let credential = running
        .device("SB0001", pb::DeviceKind::SosButton, elder)
        .await;
    let centre = pb::RegisterRecipientRequest {
        request_id: id(),
        recipient: Some(pb::Recipient {
            channels: vec![pb::RecipientChannel {
                channel: pb::NoticeChannel::Webhook.into(),
                address: receiver.url("/12349"),
            }],
            ..recipient(pb::RecipientRole::DutyCentre, COUNTY, "")
        }),
    };
    running.client().register_recipient(centre).await.unwrap();
    running.settled().await;

    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python");
    let packages = testing::python_packages("alerts", &python.join("requirements.txt")).await;
    let mut button = Command::new("python3")
        .arg(python.join("button.py"))
        .env("PYTHONPATH", packages)
        .env("MQTT_HOST", "127.0.0.1")
        .env("MQTT_PORT", mqtt_port.to_string())
        .env("MQTT_DEVICE", "SB0001")
        .env("MQTT_PASSWORD", credential)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut said = BufReader::new(button.stdout.take().unwrap()).lines();
    assert_eq!(says(&mut said, "wrong password:").await, "refused");
    let acknowledged: f64 = says(&mut said, "acknowledged:").await.parse().unwrap();
    receiver.until(|heard| !heard.is_empty()).await;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    println!(
        "from the button's acknowledgement to the duty centre: {:.0} ms",
        (now.as_secs_f64() - acknowledged) * 1e3
    );
    running.settled().await;
    // What it said in somebody else's name was never heard.
    let alert = running.alert().await;
    assert_eq!((alert.device_id.as_str(), alert.joined), ("SB0001", 0));
    assert_eq!(running.app.signals().last_sequence().await.unwrap(), 1);

    let retire = pb::RetireDeviceRequest {
        request_id: id(),
        device_id: "SB0001".to_owned(),
    };
    running.client().retire_device(retire).await.unwrap();
    assert_eq!(says(&mut said, "shown out").await, "");
    assert_eq!(says(&mut said, "back again:").await, "refused");
    assert!(button.wait().await.unwrap().success());
    running.stop().await;
}
