//! Malformed questions about devices, alerts, figures, rules and recipients.

use proto::eldercare::alerts::v1 as alerts;

use crate::{
    county, date,
    malformed::{Break, Known, Maker, maker, wrong_values::*},
    new_id,
};

pub(super) fn questions(known: &Known) -> Vec<Maker> {
    use alerts::*;
    let county = || county::COUNTY.to_owned();
    vec![
        maker(
            method!("ListDevices"),
            ListDevicesRequest {
                division_code: county(),
                ..Default::default()
            },
            listed!(ListDevicesRequest:
                "no division" => |m, _| m.division_code.clear(),
                "elder_id" => |m, r| m.elder_id = wrong_uuid(r),
                "state" => |m, r| m.state = no_word(r),
            ),
        ),
        maker(
            method!("ListAlerts"),
            ListAlertsRequest {
                division_code: county(),
                elder_id: known.elder.clone(),
                ..Default::default()
            },
            listed!(ListAlertsRequest:
                "no division" => |m, _| m.division_code.clear(),
                "kinds" => |m, r| m.kinds = vec![1, no_word(r)],
                "no kind" => |m, _| m.kinds = vec![0],
                "severities" => |m, r| m.severities = vec![1, no_word(r)],
                "no severity" => |m, _| m.severities = vec![0],
                "elder_id" => |m, r| m.elder_id = wrong_uuid(r),
                "raised_from" => |m, r| m.raised_from = no_time(r),
                "raised_before" => |m, r| m.raised_before = no_time(r),
            ),
        ),
        maker(
            method!("GetAlert"),
            GetAlertRequest {
                alert_id: new_id(),
                ..Default::default()
            },
            breaks!(GetAlertRequest:
                "alert_id" => |m, r| m.alert_id = no_uuid(r),
                "min_position" => |m, r| m.min_position = no_position(r),
                "a position of another log" => |m, _| m.min_position = "TIERING:1".to_owned(),
            ),
        ),
        maker(
            method!("WatchAlerts"),
            WatchAlertsRequest {
                division_code: county(),
                ..Default::default()
            },
            breaks!(WatchAlertsRequest:
                "division_code" => |m, r| m.division_code = no_division(r),
                "no division" => |m, _| m.division_code.clear(),
                "after_position" => |m, r| m.after_position = no_position(r),
                "a position of another log" => |m, _| m.after_position = "SIGNALS:1".to_owned(),
            ),
        ),
        maker(
            method!("GetResponseFigures"),
            GetResponseFiguresRequest {
                division_code: county(),
                first_day: Some(date("2024-09-01")),
                last_day: Some(date("2024-09-30")),
                ..Default::default()
            },
            breaks!(GetResponseFiguresRequest:
                "division_code" => |m, r| m.division_code = no_division(r),
                "first_day" => |m, r| m.first_day = no_date(r),
                "no first_day" => |m, _| m.first_day = None,
                "last_day" => |m, r| m.last_day = no_date(r),
                "no last_day" => |m, _| m.last_day = None,
                "the last day before the first" => |m, _| m.last_day = Some(date("2024-08-31")),
                "more than 400 days" => |m, _| m.last_day = Some(date("2025-10-06")),
                "min_position" => |m, r| m.min_position = no_position(r),
            ),
        ),
        maker(
            method!("GetAlertPolicy"),
            GetAlertPolicyRequest {
                division_code: county(),
                ..Default::default()
            },
            breaks!(GetAlertPolicyRequest:
                "division_code" => |m, r| m.division_code = no_division(r),
                "no division" => |m, _| m.division_code.clear(),
                "min_position" => |m, r| m.min_position = no_position(r),
            ),
        ),
        maker(
            method!("ListRecipients"),
            ListRecipientsRequest {
                division_code: county(),
                ..Default::default()
            },
            listed!(ListRecipientsRequest: "no division" => |m, _| m.division_code.clear()),
        ),
    ]
}
