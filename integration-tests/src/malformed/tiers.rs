//! Malformed requests to tiering: for tiers, and with policies.

use proto::eldercare::tiering::v1 as tiering;

use super::{Break, Known, Maker, maker, wrong_values::*};
use crate::{county, date, elders::VILLAGE, new_id};

/// Requests to tiering.
pub(super) fn of_tiering(known: &Known) -> Vec<Maker> {
    use tiering::*;
    let elder = || known.elder.clone();
    let county = || county::COUNTY.to_owned();
    vec![
        maker(
            "/eldercare.tiering.v1.TieringService/GetTier",
            GetTierRequest {
                elder_id: elder(),
                ..Default::default()
            },
            breaks!(GetTierRequest:
                "elder_id" => |m, r| m.elder_id = no_uuid(r),
                "min_position" => |m, r| m.min_position = no_position(r),
            ),
        ),
        maker(
            "/eldercare.tiering.v1.TieringService/BatchGetTiers",
            BatchGetTiersRequest {
                elder_ids: vec![elder()],
                ..Default::default()
            },
            breaks!(BatchGetTiersRequest:
                "elder_ids" => |m, r| m.elder_ids = no_ids(r),
                "min_position" => |m, r| m.min_position = no_position(r),
            ),
        ),
        maker(
            "/eldercare.tiering.v1.TieringService/ListTiers",
            ListTiersRequest {
                division_code: county(),
                ..Default::default()
            },
            listed!(ListTiersRequest:),
        ),
        maker(
            "/eldercare.tiering.v1.TieringService/CountTiers",
            CountTiersRequest {
                division_code: county(),
                ..Default::default()
            },
            breaks!(CountTiersRequest:
                "division_code" => |m, r| m.division_code = no_division(r),
                "min_position" => |m, r| m.min_position = no_position(r),
            ),
        ),
        maker(
            "/eldercare.tiering.v1.TieringService/ExplainTier",
            ExplainTierRequest {
                elder_id: elder(),
                ..Default::default()
            },
            breaks!(ExplainTierRequest:
                "elder_id" => |m, r| m.elder_id = no_uuid(r),
                "on" => |m, r| m.on = no_date(r),
                "a day to come" => |m, _| m.on = Some(date("2024-10-02")),
                "min_position" => |m, r| m.min_position = no_position(r),
            ),
        ),
        maker(
            "/eldercare.tiering.v1.TieringService/PublishPolicy",
            PublishPolicyRequest {
                request_id: new_id(),
                division_code: county(),
                yaml: known.policy.to_owned(),
            },
            breaks!(PublishPolicyRequest:
                "request_id" => |m, r| m.request_id = no_uuid(r),
                "division_code" => |m, r| m.division_code = no_division(r),
                "a village" => |m, _| m.division_code = VILLAGE.to_owned(),
                "yaml" => |m, r| m.yaml = no_policy(r),
            ),
        ),
        maker(
            "/eldercare.tiering.v1.TieringService/SimulatePolicy",
            SimulatePolicyRequest {
                division_code: county(),
                yaml: known.policy.to_owned(),
                ..Default::default()
            },
            breaks!(SimulatePolicyRequest:
                "division_code" => |m, r| m.division_code = no_division(r),
                "yaml" => |m, r| m.yaml = no_policy(r),
                "min_position" => |m, r| m.min_position = no_position(r),
            ),
        ),
        maker(
            "/eldercare.tiering.v1.TieringService/GetPolicy",
            GetPolicyRequest {
                division_code: county(),
                ..Default::default()
            },
            breaks!(GetPolicyRequest:
                "division_code" => |m, r| m.division_code = no_division(r),
                "version" => |m, _| m.version = -1,
                "min_position" => |m, r| m.min_position = no_position(r),
            ),
        ),
        maker(
            "/eldercare.tiering.v1.TieringService/ListPolicies",
            ListPoliciesRequest::default(),
            listed!(ListPoliciesRequest:),
        ),
        maker(
            "/eldercare.tiering.v1.TieringService/WatchTiers",
            WatchTiersRequest {
                division_code: county(),
                ..Default::default()
            },
            breaks!(WatchTiersRequest:
                "division_code" => |m, r| m.division_code = no_division(r),
                "after_position" => |m, r| m.after_position = no_position(r),
                "a position of another log" => |m, _| m.after_position = "REGISTRY:1".to_owned(),
            ),
        ),
    ]
}
