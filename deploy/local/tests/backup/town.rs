//! A system with the elders of one town: a department follows its feed of them, and devices are in two homes.

use async_nats::{
    ConnectOptions,
    jetstream::{self, Context, consumer::pull},
};
use eldercare::client::{Client, call};
use futures::StreamExt as _;
use proto::eldercare::{
    alerts::v1::{Device, DeviceKind, RegisterDeviceRequest},
    sharing::v1::{
        SubscribeFeedRequest, subscribe_feed_request::Start, subscribe_feed_response::What,
    },
};
use serde_json::json;
use tokio::runtime::Runtime;
use uuid::Uuid;

use crate::desk::{Desk, county};

/// The town's workbook, by the beginning of its name, which is the town's code.
pub(crate) const TOWN: &str = "350524100";

/// The devices in the homes of the first two elders.
pub(crate) const DEVICES: [&str; 2] = ["WM-0001", "WM-0002"];

/// What the department's consumer is called.
pub(crate) const CONSUMER: &str = "health-as-it-was";

const TERMS: &str = "\
department: health
purpose: 重点老年人健康管理
legal_basis: 个人信息保护法第十三条
divisions: ['350524100']
until: 2028-12-31
products:
  elder: { elder_id: plain, name: masked }
";

/// Starts a system with the county's divisions, and nobody in it.
pub(crate) fn empty(desk: &mut Desk) {
    desk.up();
    let divisions = county().join("divisions.csv");
    desk.done(&["import", "divisions", divisions.to_str().unwrap()]);
}

/// Starts a system with the elders of the town; who they are.
pub(crate) fn populated(desk: &mut Desk) -> Vec<String> {
    empty(desk);
    let elders = desk.import(TOWN);
    desk.agree(TERMS);
    on(desk, async |client, server| {
        feed_is_told(&client).await;
        for (device, elder) in DEVICES.iter().zip(&elders) {
            register(&client, device, elder).await;
            let subject = format!("eldercare.signals.{device}");
            let signal = json!({ "signal_id": "1", "kind": "HEARTBEAT" }).to_string();
            let stored = server.publish(subject, signal.into()).await.unwrap();
            stored.await.unwrap();
        }
        read_some(&server).await;
    });
    elders
}

/// Works on the running system as the operator, by its APIs and at its log's server.
fn on(desk: &Desk, work: impl AsyncFnOnce(Client, Context)) {
    let running = desk.running();
    Runtime::new().unwrap().block_on(async {
        let client = Client::new(&running.connection()).unwrap();
        let (user, password) = running.nats_user;
        let operator = ConnectOptions::with_user_and_password(user, password);
        let server = operator.connect(&running.nats_url).await.unwrap();
        work(client, jetstream::new(server)).await;
    });
}

/// Returns once all elders of the town came out on the department's feed.
async fn feed_is_told(client: &Client) {
    let all = SubscribeFeedRequest {
        start: Some(Start::AfterPosition("FEEDS:0".to_owned())),
        ..SubscribeFeedRequest::default()
    };
    let mut reader = client.reader_of("health").unwrap();
    let mut told = reader.subscribe_feed(all).await.unwrap().into_inner();
    loop {
        let next = told.message().await.unwrap().expect("it goes on");
        if matches!(next.what, Some(What::Event(event)) if event.event == "FeedCaughtUp") {
            return;
        }
    }
}

async fn register(client: &Client, device: &str, elder: &str) {
    let request = RegisterDeviceRequest {
        request_id: Uuid::now_v7().to_string(),
        device: Some(Device {
            device_id: device.to_owned(),
            kind: DeviceKind::WaterMeter.into(),
            elder_id: elder.to_owned(),
            ..Device::default()
        }),
    };
    let registered = call(request, async |request| {
        client.alerts().register_device(request).await
    });
    registered.await.unwrap();
}

/// A consumer of the department's, which has acknowledged the first three messages.
async fn read_some(server: &Context) {
    let feeds = server.get_stream("FEEDS").await.unwrap();
    let config = pull::Config {
        durable_name: Some(CONSUMER.to_owned()),
        filter_subject: "feed.health.>".to_owned(),
        ..pull::Config::default()
    };
    let consumer = feeds.create_consumer(config).await.unwrap();
    let mut some = consumer.fetch().max_messages(3).messages().await.unwrap();
    while let Some(message) = some.next().await {
        message.unwrap().double_ack().await.unwrap();
    }
}
