//! Malformed commands and questions about campaigns.

use proto::eldercare::visits::v1 as visits;
use rand::{Rng as _, rngs::StdRng};

use super::no_id_of_a_caller;
use crate::{
    county, date,
    malformed::{Break, Maker, maker, wrong_values::*},
    new_id,
};

pub(super) fn about_campaigns() -> Vec<Maker> {
    use visits::*;
    vec![
        maker(
            method!("StartCampaign"),
            StartCampaignRequest {
                request_id: new_id(),
                division_code: county::COUNTY.to_owned(),
                kind: CampaignKind::Festival.into(),
                name: "重阳节走访".to_owned(),
                first_day: Some(date("2024-10-08")),
                last_day: Some(date("2024-10-14")),
                selection: Some(CampaignSelection::default()),
            },
            asked!(StartCampaignRequest:
                "division_code" => |m, r| m.division_code = no_division(r),
                "a province" => |m, _| m.division_code = "35".to_owned(),
                "kind" => |m, r| m.kind = no_word(r),
                "no kind" => |m, _| m.kind = 0,
                "name" => |m, r| m.name = no_name(r),
                "first_day" => |m, r| m.first_day = no_date(r),
                "no first_day" => |m, _| m.first_day = None,
                "last_day" => |m, r| m.last_day = no_date(r),
                "no last_day" => |m, _| m.last_day = None,
                "too many tiers" => |m, _| selection(m).tiers = vec!["PRIORITY".to_owned(); 11],
                "a tier that there isn't" => |m, r| selection(m).tiers = vec![garbage(r, 500)],
                "condition" => |m, r| selection(m).condition = no_condition(r),
            ),
        ),
        maker(
            method!("EndCampaign"),
            EndCampaignRequest {
                request_id: new_id(),
                campaign_id: new_id(),
            },
            asked!(EndCampaignRequest: "campaign_id" => |m, r| m.campaign_id = no_uuid(r)),
        ),
        maker(
            method!("ListCampaigns"),
            ListCampaignsRequest {
                division_code: county::COUNTY.to_owned(),
                ..Default::default()
            },
            listed!(ListCampaignsRequest: "no division" => |m, _| m.division_code.clear()),
        ),
    ]
}

fn selection(request: &mut visits::StartCampaignRequest) -> &mut visits::CampaignSelection {
    request.selection.as_mut().expect("there")
}

/// No condition on an elder's facts.
fn no_condition(random: &mut StdRng) -> String {
    match random.random_range(0..5) {
        0 => "age +".to_owned(),
        1 => "name == '林'".to_owned(),
        2 => "age".to_owned(),
        3 => "age >= ".repeat(5_000),
        _ => format!("({}", garbage(random, 2_000)),
    }
}
