//! Who is told of alerts: each by themselves, once, as far as the channel can know, and all of it on record.

use civic::NoticeChannel;
use notices::Reason;
use proto::eldercare::alerts::v1 as pb;
use service::Application as _;
use tokio_util::sync::CancellationToken;

use crate::support::{COUNTY, Ground, VILLAGE, id, recipient, signal};

fn sent(course: &pb::GetAlertResponse) -> Vec<&pb::NoticeSent> {
    let course = course.course.iter();
    course
        .filter_map(|entry| match &entry.event {
            Some(pb::course_entry::Event::NoticeSent(sent)) => Some(sent),
            _ => None,
        })
        .collect()
}

fn failed(course: &pb::GetAlertResponse) -> Vec<&pb::NoticeFailed> {
    let course = course.course.iter();
    course
        .filter_map(|entry| match &entry.event {
            Some(pb::course_entry::Event::NoticeFailed(failed)) => Some(failed),
            _ => None,
        })
        .collect()
}

#[tokio::test]
async fn one_who_hangs_delays_no_other_and_no_start() {
    let ground = Ground::at("2024-11-11 09:00:00").await;
    let running = ground.start().await;
    let elder = ground.elder(&["13800000001", "13800000002"]).await;
    running
        .device("SB0001", pb::DeviceKind::SosButton, elder)
        .await;
    running
        .recipient(pb::RecipientRole::DutyCentre, COUNTY, "12349")
        .await;
    ground.told.hangs("13800000001");
    let press = signal("SB0001", pb::SignalKind::Press, ground.clock.now());
    let batch = pb::IngestSignalsRequest {
        signals: vec![press],
    };
    running
        .gateway()
        .ingest_signals(tokio_stream::iter([batch]))
        .await
        .unwrap();
    ground.told.until(2).await;
    assert_eq!(ground.told.addresses(), ["12349", "13800000002"]);
    running.app.ready(CancellationToken::new()).await;
    running.stop().await;
}

#[tokio::test]
async fn a_failed_attempt_is_on_record_and_tried_again_by_the_next_channel() {
    let ground = Ground::at("2024-11-11 09:00:00").await;
    let running = ground.start().await;
    let elder = ground.elder(&["13800000001"]).await;
    running
        .device("FD0001", pb::DeviceKind::FallDetector, elder)
        .await;
    running
        .recipient(pb::RecipientRole::DutyCentre, COUNTY, "12349")
        .await;
    ground.told.fails("13800000001", Reason::Timeout);
    running.says("FD0001", pb::SignalKind::Alarm).await;
    let alert = running.alert().await;
    let course = running.course(&alert.alert_id).await;
    let failed = failed(&course);
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0].reason, "TIMEOUT");
    assert_eq!(failed[0].channel(), pb::NoticeChannel::Voice);
    assert!(!failed[0].given_up);
    let of_contact = |sent: &&&pb::NoticeSent| sent.role() == pb::RecipientRole::EmergencyContact;
    let sent = sent(&course);
    let contact = sent.iter().find(of_contact).unwrap();
    assert_eq!(
        (contact.attempt, contact.channel()),
        (2, pb::NoticeChannel::Sms)
    );
    assert_eq!(contact.notice_id, failed[0].notice_id);
    assert_eq!(contact.reference, "A-1");
    running.stop().await;
}

#[tokio::test]
async fn what_can_never_be_told_is_given_up_and_nobody_registered_is_on_record() {
    let ground = Ground::at("2024-11-11 09:00:00").await;
    let running = ground.start().await;
    let elder = ground.elder(&["13800000001"]).await;
    running
        .device("SB0001", pb::DeviceKind::SosButton, elder)
        .await;
    // By voice and by SMS.
    ground.told.fails("13800000001", Reason::AddressInvalid);
    ground.told.fails("13800000001", Reason::AddressInvalid);
    running.says("SB0001", pb::SignalKind::Press).await;
    let alert = running.alert().await;
    assert_eq!(alert.first_notice_at, None);
    let course = running.course(&alert.alert_id).await;
    assert_eq!(sent(&course).len(), 0);
    let mut reasons: Vec<_> = failed(&course)
        .iter()
        .map(|failed| (failed.reason.as_str(), failed.given_up))
        .collect();
    reasons.sort_unstable();
    assert_eq!(
        reasons,
        [
            ("ADDRESS_INVALID", false),
            ("ADDRESS_INVALID", true),
            ("NOBODY_REGISTERED", true)
        ]
    );
    running.stop().await;
}

#[tokio::test]
async fn each_is_told_what_they_need_to_help_and_no_more() {
    let ground = Ground::at("2024-11-11 09:00:00").await;
    let running = ground.start().await;
    let elder = ground.elder(&["13800000001"]).await;
    running
        .device("SP0001", pb::DeviceKind::SosPhone, elder)
        .await;
    running
        .recipient(pb::RecipientRole::DutyCentre, COUNTY, "12349")
        .await;
    let press = pb::Signal {
        position: Some(pb::GeoPoint {
            latitude: 25.06,
            longitude: 118.19,
        }),
        ..signal("SP0001", pb::SignalKind::Press, ground.clock.now())
    };
    running.say(vec![press]).await;
    let heard = ground.told.heard();
    let of = |address: &str| heard.iter().find(|heard| heard.address == address).unwrap();
    let (contact, centre) = (of("13800000001"), of("12349"));
    assert!(contact.text.contains("张三") && !contact.text.contains("凤城镇1号"));
    assert!(centre.text.contains("张三") && centre.text.contains("凤城镇1号"));
    assert_eq!(centre.data["latitude"], 25.06);
    assert_eq!(contact.data.get("latitude"), None);
    let course = running.course(&running.alert().await.alert_id).await;
    assert_eq!(course.position.unwrap().longitude, 118.19);
    running.stop().await;
}

#[tokio::test]
async fn a_fire_makes_a_call_record_for_119() {
    let ground = Ground::at("2024-11-11 09:00:00").await;
    let running = ground.start().await;
    let elder = ground.elder(&["13800000001"]).await;
    running
        .device("SD0001", pb::DeviceKind::SmokeDetector, elder)
        .await;
    running
        .recipient(pb::RecipientRole::DutyCentre, COUNTY, "12349")
        .await;
    running.says("SD0001", pb::SignalKind::Alarm).await;
    let records = ground.told.heard();
    let records = records
        .iter()
        .filter(|heard| heard.channel == NoticeChannel::Record);
    assert_eq!(records.count(), 1);
    running.stop().await;
}

#[tokio::test]
async fn a_power_cut_is_told_once_a_village_and_an_sos_in_it_at_once() {
    let ground = Ground::at("2024-11-11 00:00:00").await;
    let running = ground.start().await;
    let elder = ground.elder(&["13800000001"]).await;
    running
        .recipient(pb::RecipientRole::DutyCentre, COUNTY, "12349")
        .await;
    running
        .recipient(pb::RecipientRole::Maintainer, COUNTY, "13700000001")
        .await;
    for number in 0..200 {
        let id = format!("DS{number:04}");
        let request = crate::support::registration(&id, pb::DeviceKind::DoorSensor, elder);
        running.client().register_device(request).await.unwrap();
    }
    running
        .device("SB0001", pb::DeviceKind::SosButton, elder)
        .await;
    running.advance("2024-11-11 23:59:59").await;
    running.says("SB0001", pb::SignalKind::Press).await;
    assert_eq!(ground.told.addresses(), ["12349", "13800000001"]);
    running.advance("2024-11-12 00:00:00").await;
    assert_eq!(running.alerts().await.len(), 100);
    assert_eq!(ground.told.addresses().len(), 2);
    running.pass(1).await;
    let heard = ground.told.heard();
    let maintainer: Vec<_> = heard
        .iter()
        .filter(|heard| heard.address == "13700000001")
        .collect();
    assert_eq!(maintainer.len(), 1);
    assert_eq!(maintainer[0].data["alerts"].as_array().unwrap().len(), 200);
    // Each alert's course tells of it.
    let alerts = running.alerts().await;
    let offline = alerts
        .iter()
        .find(|alert| alert.kind() == pb::AlertKind::DeviceOffline);
    let course = running.course(&offline.unwrap().alert_id).await;
    assert_eq!(sent(&course)[0].alerts, 200);
    running.stop().await;
}

#[tokio::test]
async fn who_is_told_can_be_changed_and_ended() {
    let ground = Ground::at("2024-11-11 09:00:00").await;
    let running = ground.start().await;
    let elder = ground.elder(&[]).await;
    running
        .device("SB0001", pb::DeviceKind::SosButton, elder)
        .await;
    let centre = running
        .recipient(pb::RecipientRole::DutyCentre, COUNTY, "12349")
        .await;
    // Nearer to home, so it is told instead.
    let nearer = running
        .recipient(pb::RecipientRole::DutyCentre, VILLAGE, "12350")
        .await;
    running.says("SB0001", pb::SignalKind::Press).await;
    assert_eq!(ground.told.addresses(), ["12350"]);
    let change = |id_of: &str, active| pb::RegisterRecipientRequest {
        request_id: id(),
        recipient: Some(pb::Recipient {
            recipient_id: id_of.to_owned(),
            active,
            ..recipient(pb::RecipientRole::DutyCentre, COUNTY, "12351")
        }),
    };
    running
        .client()
        .register_recipient(change(&nearer, false))
        .await
        .unwrap();
    running
        .client()
        .register_recipient(change(&centre, true))
        .await
        .unwrap();
    running.settled().await;
    let alert = running.alert().await.alert_id;
    running.resolve(&alert, pb::AlertOutcome::FalseAlarm).await;
    running.says("SB0001", pb::SignalKind::Press).await;
    assert_eq!(ground.told.addresses(), ["12350", "12351"]);
    let listed = pb::ListRecipientsRequest {
        division_code: COUNTY.to_owned(),
        include_inactive: true,
        ..Default::default()
    };
    let listed = running.client().list_recipients(listed).await.unwrap();
    assert_eq!(listed.into_inner().recipients.len(), 2);
    running.stop().await;
}
