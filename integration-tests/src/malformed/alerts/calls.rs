//! Malformed commands about a call for help: that raise one, and that say what somebody did about one.

use proto::eldercare::alerts::v1::{self as alerts, raise_alert_request::Cause};
use rand::{Rng as _, rngs::StdRng};

use crate::{
    date,
    homes::a_call,
    malformed::{Break, Known, Maker, maker, wrong_values::*},
    new_id,
};

pub(super) fn about_calls(known: &Known) -> Vec<Maker> {
    use alerts::*;
    vec![
        maker(
            method!("RaiseAlert"),
            a_call(&known.elder),
            asked!(RaiseAlertRequest:
                "kind" => |m, r| m.kind = no_word(r),
                "no kind" => |m, _| m.kind = 0,
                "a kind that devices alone raise" => |m, r| m.kind = if r.random() { AlertKind::DeviceOffline } else { AlertKind::DeviceFault }.into(),
                "elder_id" => |m, r| m.elder_id = no_uuid(r),
                "division_code" => |m, r| m.division_code = no_village(r),
                "occurred_at" => |m, r| m.occurred_at = no_instant(r),
                "no occurred_at" => |m, _| m.occurred_at = None,
                "no period of a missed visit" => |m, _| m.kind = AlertKind::VisitMissed.into(),
                "a period of no missed visit" => |m, _| m.cause = Some(Cause::MissedVisit(a_missed_visit())),
                "missed_visit" => |m, r| { m.kind = AlertKind::VisitMissed.into(); m.cause = Some(Cause::MissedVisit(no_missed_visit(r))); },
            ),
        ),
        maker(
            method!("AcknowledgeAlert"),
            AcknowledgeAlertRequest {
                request_id: new_id(),
                alert_id: new_id(),
            },
            asked!(AcknowledgeAlertRequest: "alert_id" => |m, r| m.alert_id = no_uuid(r)),
        ),
        maker(
            method!("AssignAlert"),
            AssignAlertRequest {
                request_id: new_id(),
                alert_id: new_id(),
                recipient_id: new_id(),
            },
            asked!(AssignAlertRequest:
                "alert_id" => |m, r| m.alert_id = no_uuid(r),
                "recipient_id" => |m, r| m.recipient_id = no_uuid(r),
            ),
        ),
        maker(
            method!("DispatchAlert"),
            DispatchAlertRequest {
                request_id: new_id(),
                alert_id: new_id(),
            },
            asked!(DispatchAlertRequest: "alert_id" => |m, r| m.alert_id = no_uuid(r)),
        ),
        maker(
            method!("RecordArrival"),
            RecordArrivalRequest {
                request_id: new_id(),
                alert_id: new_id(),
            },
            asked!(RecordArrivalRequest: "alert_id" => |m, r| m.alert_id = no_uuid(r)),
        ),
        maker(
            method!("ResolveAlert"),
            ResolveAlertRequest {
                request_id: new_id(),
                alert_id: new_id(),
                outcome: AlertOutcome::Assisted.into(),
            },
            asked!(ResolveAlertRequest:
                "alert_id" => |m, r| m.alert_id = no_uuid(r),
                "outcome" => |m, r| m.outcome = no_word(r),
                "no outcome" => |m, _| m.outcome = 0,
                "an outcome of devices" => |m, _| m.outcome = AlertOutcome::SelfCleared.into(),
            ),
        ),
    ]
}

fn a_missed_visit() -> alerts::MissedVisit {
    alerts::MissedVisit {
        first_day: Some(date("2024-09-23")),
        last_day: Some(date("2024-09-29")),
        campaign_id: String::new(),
    }
}

/// No period in which a visit could have been missed.
fn no_missed_visit(random: &mut StdRng) -> alerts::MissedVisit {
    let mut missed = a_missed_visit();
    match random.random_range(0..6) {
        0 => missed.first_day = None,
        1 => missed.first_day = no_date(random),
        2 => missed.last_day = None,
        3 => missed.last_day = no_date(random),
        4 => missed.last_day = Some(date("2024-09-22")),
        _ => missed.campaign_id = wrong_uuid(random),
    }
    missed
}
