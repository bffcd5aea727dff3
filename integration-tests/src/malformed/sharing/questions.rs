//! Malformed questions across all services, and for what is on record of them.

use proto::eldercare::sharing::v1 as sharing;

use super::without_fields;
use crate::{
    county, date,
    malformed::{Break, Known, Maker, maker, wrong_values::*},
    new_id,
};

pub(super) fn questions(known: &Known) -> Vec<Maker> {
    use sharing::{get_access_history_request::Whose, *};
    let elder = || known.elder.clone();
    let county = || county::COUNTY.to_owned();
    vec![
        without_fields(method!("ListProducts")),
        without_fields(method!("GetAuditHead")),
        maker(
            method!("GetDossier"),
            GetDossierRequest {
                elder_id: elder(),
                ..Default::default()
            },
            breaks!(GetDossierRequest:
                "elder_id" => |m, r| m.elder_id = no_uuid(r),
                "agreement_id" => |m, r| m.agreement_id = wrong_uuid(r),
                "products" => |m, _| m.products = vec!["elder".to_owned(), "income".to_owned()],
                "too many products" => |m, _| m.products = vec!["elder".to_owned(); 21],
                "newest" => |m, r| m.newest = no_page(r),
                "min_position" => |m, r| m.min_position = no_position(r),
            ),
        ),
        maker(
            method!("BreakGlass"),
            BreakGlassRequest {
                request_id: new_id(),
                elder_id: elder(),
                reason: "老人昏迷，急需联系家属".to_owned(),
                newest: 0,
            },
            asked!(BreakGlassRequest:
                "elder_id" => |m, r| m.elder_id = no_uuid(r),
                "no reason" => |m, _| m.reason.clear(),
                "a short reason" => |m, _| m.reason = "急".to_owned(),
                "reason" => |m, r| m.reason = too_long(r),
                "newest" => |m, r| m.newest = no_page(r),
            ),
        ),
        maker(
            method!("FindElders"),
            FindEldersRequest {
                division_codes: vec![county()],
                ..Default::default()
            },
            paged!(FindEldersRequest:
                "division_codes" => |m, r| m.division_codes = vec![no_division(r)],
                "a division twice" => |m, _| m.division_codes = vec![county::COUNTY.to_owned(); 2],
                "tiers" => |m, r| m.tiers = vec![too_long(r)],
                "too many tiers" => |m, _| m.tiers = vec!["PRIORITY".to_owned(); 21],
                "categories" => |m, _| m.categories = vec!["RICH".to_owned()],
                "not_visited_since" => |m, r| m.not_visited_since = no_date(r),
                "a day to come" => |m, _| m.not_visited_since = Some(date("2024-10-02")),
                "programme_code" => |m, r| m.programme_code = too_long(r),
            ),
        ),
        maker(
            method!("GetSituation"),
            GetSituationRequest {
                division_code: county(),
                ..Default::default()
            },
            breaks!(GetSituationRequest:
                "no division" => |m, _| m.division_code.clear(),
                "division_code" => |m, r| m.division_code = no_division(r),
                "day" => |m, r| m.day = no_date(r),
                "a day to come" => |m, _| m.day = Some(date("2024-10-02")),
                "min_position" => |m, r| m.min_position = no_position(r),
            ),
        ),
        maker(
            method!("WatchSituation"),
            WatchSituationRequest {
                division_code: county(),
            },
            breaks!(WatchSituationRequest:
                "no division" => |m, _| m.division_code.clear(),
                "division_code" => |m, r| m.division_code = no_division(r),
            ),
        ),
        maker(
            method!("GetAccessHistory"),
            GetAccessHistoryRequest {
                whose: Some(Whose::ElderId(elder())),
                first_day: Some(date("2024-09-02")),
                ..Default::default()
            },
            paged!(GetAccessHistoryRequest:
                "nobody's" => |m, _| m.whose = None,
                "elder_id" => |m, r| m.whose = Some(Whose::ElderId(no_uuid(r))),
                "no caller" => |m, _| m.whose = Some(Whose::Caller(String::new())),
                "caller" => |m, r| m.whose = Some(Whose::Caller(too_long(r))),
                "first_day" => |m, r| m.first_day = no_date(r),
                "last_day" => |m, r| m.last_day = no_date(r),
                "a last day before the first" => |m, _| m.last_day = Some(date("2024-09-01")),
            ),
        ),
        maker(
            method!("ExportAudit"),
            ExportAuditRequest { first_sequence: 1 },
            breaks!(ExportAuditRequest:
                "first_sequence" => |m, _| m.first_sequence = -1,
                "the least of all" => |m, _| m.first_sequence = i64::MIN,
            ),
        ),
    ]
}
