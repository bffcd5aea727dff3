//! The commands of alerts, each of which is carried out once however often it is sent.

use integration_tests::{
    Setup, System, an_elder,
    callers::gateway,
    county,
    homes::{a_call, a_device, a_recipient, a_signal, raised, recipient, say},
    new_id, reason, timestamp,
};
use proto::eldercare::alerts::v1::{
    self as pb, AcknowledgeAlertRequest, AlertPolicy, AssignAlertRequest, Device,
    DispatchAlertRequest, EndAwayRequest, GetAlertPolicyRequest, MarkAwayRequest,
    PublishAlertPolicyRequest, RaiseAlertRequest, RecordArrivalRequest, ResolveAlertRequest,
    RetireDeviceRequest, Signal, UpdateDeviceRequest,
};

use super::{Case, carried_out_once, crash, each_command_has_a_case, each_is_answered_as_before};

const DEVICE: &str = "SB0001";

/// What the commands are about.
struct Ground {
    elders: [String; 2],
    recipients: [String; 2],
    /// Two calls of the second elder, of which the first is over.
    alerts: [String; 2],
    policy: AlertPolicy,
}

/// One case for each command, in an order in which all of them can be carried out.
fn cases(ground: &Ground) -> Vec<Case> {
    let request_id = new_id;
    let [one, other_elder] = &ground.elders;
    let [over, open] = &ground.alerts;
    let over = || over.clone();
    let alert_id = || open.clone();
    vec![
        case!(
            alerts.register_recipient(a_recipient(pb::RecipientRole::GridWorker, "周值守")),
            |other| other.recipient.as_mut().unwrap().name = "周另外".to_owned()
        ),
        case!(alerts.register_device(a_device(DEVICE, one)), |other| {
            other.device.as_mut().unwrap().kind = pb::DeviceKind::FallDetector.into();
        }),
        case!(
            alerts.update_device(UpdateDeviceRequest {
                request_id: request_id(),
                device: Some(Device {
                    device_id: DEVICE.to_owned(),
                    elder_id: other_elder.clone(),
                    maintainer_id: ground.recipients[0].clone(),
                    ..Device::default()
                }),
                update_mask: Some(prost_types::FieldMask {
                    paths: vec!["elder_id".to_owned(), "maintainer_id".to_owned()],
                }),
            }),
            |other| other.update_mask.as_mut().unwrap().paths.truncate(1)
        ),
        case!(alerts.retire_device(RetireDeviceRequest {
            request_id: request_id(),
            device_id: DEVICE.to_owned(),
        })),
        case!(
            alerts.mark_away(MarkAwayRequest {
                request_id: request_id(),
                elder_id: one.clone(),
                reason: pb::AwayReason::Family.into(),
            }),
            |other| other.reason = pb::AwayReason::Travel.into()
        ),
        case!(alerts.end_away(EndAwayRequest {
            request_id: request_id(),
            elder_id: one.clone(),
        })),
        case!(alerts.raise_alert(a_call(one)), |other| {
            other.occurred_at = Some(timestamp("2024-10-01T08:58:00+08:00"));
        }),
        case!(
            alerts.acknowledge_alert(AcknowledgeAlertRequest {
                request_id: request_id(),
                alert_id: alert_id(),
            }),
            |other| other.alert_id = over()
        ),
        case!(
            alerts.assign_alert(AssignAlertRequest {
                request_id: request_id(),
                alert_id: alert_id(),
                recipient_id: ground.recipients[0].clone(),
            }),
            |other| other.recipient_id = ground.recipients[1].clone()
        ),
        case!(
            alerts.dispatch_alert(DispatchAlertRequest {
                request_id: request_id(),
                alert_id: alert_id(),
            }),
            |other| other.alert_id = over()
        ),
        case!(
            alerts.record_arrival(RecordArrivalRequest {
                request_id: request_id(),
                alert_id: alert_id(),
            }),
            |other| other.alert_id = over()
        ),
        case!(
            alerts.resolve_alert(ResolveAlertRequest {
                request_id: request_id(),
                alert_id: alert_id(),
                outcome: pb::AlertOutcome::Assisted.into(),
            }),
            |other| other.outcome = pb::AlertOutcome::FalseAlarm.into()
        ),
        case!(
            alerts.publish_alert_policy(rules(&ground.policy, 9 * 60)),
            |other| other.policy.as_mut().unwrap().notice_minute = 0
        ),
    ]
}

/// The county's rules with another time of telling, to be published.
fn rules(policy: &AlertPolicy, notice_minute: i32) -> PublishAlertPolicyRequest {
    PublishAlertPolicyRequest {
        request_id: new_id(),
        division_code: county::COUNTY.to_owned(),
        policy: Some(AlertPolicy {
            notice_minute,
            ..policy.clone()
        }),
    }
}

/// The rules that hold in the county.
async fn policy(system: &System) -> AlertPolicy {
    let request = GetAlertPolicyRequest {
        division_code: county::COUNTY.to_owned(),
        ..GetAlertPolicyRequest::default()
    };
    let answer = system.alerts().get_alert_policy(request).await.unwrap();
    answer.into_inner().policy.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_of_alerts_is_carried_out_once_however_often_it_is_sent() {
    let mut system = System::start_with(Setup::with_alerts()).await;
    let elders = [
        system.register(an_elder("周甲")).await,
        system.register(an_elder("周乙")).await,
    ];
    let over = raised(&system, &a_call(&elders[1])).await;
    let resolve = ResolveAlertRequest {
        request_id: new_id(),
        alert_id: over.clone(),
        outcome: pb::AlertOutcome::NoOneHome.into(),
    };
    system.alerts().resolve_alert(resolve).await.unwrap();
    let open = raised(&system, &a_call(&elders[1])).await;
    assert_ne!(over, open);
    let ground = Ground {
        recipients: [
            recipient(&system, pb::RecipientRole::GridWorker, "周网格").await,
            recipient(&system, pb::RecipientRole::GridWorker, "周维护").await,
        ],
        alerts: [over, open],
        policy: policy(&system).await,
        elders,
    };
    let cases = cases(&ground);
    each_command_has_a_case(&["eldercare.alerts.v1.AlertService"], &cases, &[]);

    // Each at once after it was carried out.
    let answers = carried_out_once(&system, &cases).await;

    // The device is there again, under another registration; a further call joins the one that is open.
    let again = a_device(DEVICE, &ground.elders[0]);
    system.alerts().register_device(again).await.unwrap();
    let call = a_call(&ground.elders[0]);
    let joins = raised(&system, &call).await;
    // So does somebody who presses the button.
    let press = Signal {
        kind: pb::SignalKind::Press.into(),
        ..a_signal(DEVICE)
    };
    let gateway = async |system: &System| {
        let alerts = system.caller(&gateway()).alerts();
        let receipt = say(alerts, vec![press.clone()]).await.unwrap();
        assert_eq!((receipt.stored, receipt.refused), (1, vec![]));
        system.settled().await;
    };
    let before = system.written().await.alerts;
    gateway(&system).await;
    let pressed = system.written().await.alerts;
    assert_ne!(pressed, before, "nobody heard the button");

    let all_as_before = async |system: &System| {
        each_is_answered_as_before(system, &cases, &answers).await;
        assert_eq!(raised(system, &call).await, joins);
        gateway(system).await;
        let now = system.written().await.alerts;
        assert_eq!(now, pressed, "what was sent again was heard again");
    };
    // After everything else has happened to the same homes.
    all_as_before(&system).await;
    // After a crash.
    crash(&mut system).await;
    all_as_before(&system).await;
    let raised = system.events::<pb::AlertRaised>("alerts").await;
    assert_eq!(raised.len(), 3, "two calls of one elder, one of the other");
    let joined = system.events::<pb::SignalJoined>("alerts").await;
    assert_eq!(joined.len(), 2, "a call and a button");
    system.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_that_others_replaced_are_answered_as_before() {
    let system = System::start_with(Setup::with_alerts()).await;
    let own = policy(&system).await;
    let (first, second) = (rules(&own, 9 * 60), rules(&own, 10 * 60));
    let mut alerts = system.alerts();
    let published = alerts.publish_alert_policy(first.clone()).await.unwrap();
    alerts.publish_alert_policy(second).await.unwrap();
    let again = alerts.publish_alert_policy(first).await.unwrap();
    assert_eq!(again.into_inner(), published.into_inner());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_request_raises_one_alert() {
    let system = System::start_with(Setup::with_alerts()).await;
    let elder = system.register(an_elder("周丙")).await;
    let call = a_call(&elder);
    raised(&system, &call).await;
    let before = system.written().await;
    let other = RaiseAlertRequest {
        kind: pb::AlertKind::Fall.into(),
        ..call
    };
    let refused = system.alerts().raise_alert(other).await;
    let refused = refused.expect_err("the id was used for another request");
    assert_eq!(reason(&refused), "REQUEST_ID_REUSED");
    assert_eq!(system.written().await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_about_somebody_who_was_erased_since_are_answered_as_before() {
    let system = System::start_with(Setup::with_alerts()).await;
    let elder = system.register(an_elder("周丁")).await;
    let mut alerts = system.alerts();
    let register = a_device("SB0002", &elder);
    let registered = alerts.register_device(register.clone()).await.unwrap();
    let away = MarkAwayRequest {
        request_id: new_id(),
        elder_id: elder.clone(),
        reason: pb::AwayReason::Family.into(),
    };
    let marked = alerts.mark_away(away.clone()).await.unwrap();
    let retire = RetireDeviceRequest {
        request_id: new_id(),
        device_id: "SB0002".to_owned(),
    };
    let retired = alerts.retire_device(retire.clone()).await.unwrap();
    system.erase(&elder).await;
    system.settled().await;
    let again = alerts.retire_device(retire).await.unwrap();
    assert_eq!(again.into_inner(), retired.into_inner());
    let again = alerts.mark_away(away).await.unwrap();
    assert_eq!(again.into_inner(), marked.into_inner());
    let again = alerts.register_device(register).await.unwrap();
    assert_eq!(again.into_inner(), registered.into_inner());
}
