//! Malformed questions to the registry, which change nothing.

use proto::eldercare::registry::v1 as registry;

use super::{Break, Known, Maker, maker, wrong_values::*};
use crate::{county, date};

/// Questions to the registry.
pub(super) fn questions(known: &Known) -> Vec<Maker> {
    use registry::*;
    let elder = || known.elder.clone();
    let county = || county::COUNTY.to_owned();
    vec![
        maker(
            "/eldercare.registry.v1.RegistryService/GetElder",
            GetElderRequest {
                elder_id: elder(),
                ..Default::default()
            },
            breaks!(GetElderRequest:
                "elder_id" => |m, r| m.elder_id = no_uuid(r),
                "as_of" => |m, r| m.as_of = no_instant(r),
                "min_position" => |m, r| m.min_position = no_position(r),
                "view" => |m, r| m.view = no_word(r),
            ),
        ),
        maker(
            "/eldercare.registry.v1.RegistryService/BatchGetElders",
            BatchGetEldersRequest {
                elder_ids: vec![elder()],
                ..Default::default()
            },
            breaks!(BatchGetEldersRequest:
                "elder_ids" => |m, r| m.elder_ids = no_ids(r),
                "min_position" => |m, r| m.min_position = no_position(r),
                "view" => |m, r| m.view = no_word(r),
            ),
        ),
        maker(
            "/eldercare.registry.v1.RegistryService/ListElders",
            ListEldersRequest {
                division_code: county(),
                ..Default::default()
            },
            listed!(ListEldersRequest:
                "no division" => |m, _| m.division_code.clear(),
                "categories" => |m, r| m.categories = vec![no_word(r)],
                "assistance" => |m, r| m.assistance = vec![no_word(r)],
                "capabilities" => |m, r| m.capabilities = vec![no_word(r)],
                "statuses" => |m, r| m.statuses = vec![no_word(r)],
                "view" => |m, r| m.view = no_word(r),
            ),
        ),
        maker(
            "/eldercare.registry.v1.RegistryService/SearchElders",
            SearchEldersRequest {
                name: "林正确".to_owned(),
                division_code: county(),
                ..Default::default()
            },
            listed!(SearchEldersRequest:
                "nothing to search by" => |m, _| m.name.clear(),
                "two things to search by" => |m, _| m.id_number = "350524194910010243".to_owned(),
                "no division" => |m, _| m.division_code.clear(),
                "id_number" => |m, r| { m.name.clear(); m.id_number = no_id_number(r); },
                "name" => |m, r| m.name = no_name(r),
            ),
        ),
        maker(
            "/eldercare.registry.v1.RegistryService/GetElderHistory",
            GetElderHistoryRequest {
                elder_id: elder(),
                ..Default::default()
            },
            breaks!(GetElderHistoryRequest:
                "elder_id" => |m, r| m.elder_id = no_uuid(r),
                "page_size" => |m, r| m.page_size = no_page(r),
                "page_token" => |m, r| m.page_token = no_token(r),
            ),
        ),
        maker(
            "/eldercare.registry.v1.RegistryService/ListDuplicates",
            ListDuplicatesRequest {
                division_code: county(),
                ..Default::default()
            },
            listed!(ListDuplicatesRequest:
                "state" => |m, r| m.state = no_word(r),
            ),
        ),
        maker(
            "/eldercare.registry.v1.RegistryService/ExportSummary",
            ExportSummaryRequest {
                division_code: county(),
                ..Default::default()
            },
            breaks!(ExportSummaryRequest:
                "division_code" => |m, r| m.division_code = no_division(r),
                "on" => |m, r| m.on = no_date(r),
                "a day to come" => |m, _| m.on = Some(date("2024-10-02")),
                "min_position" => |m, r| m.min_position = no_position(r),
            ),
        ),
        maker(
            "/eldercare.registry.v1.RegistryService/ExportElderForm",
            ExportElderFormRequest {
                elder_id: elder(),
                ..Default::default()
            },
            breaks!(ExportElderFormRequest:
                "elder_id" => |m, r| m.elder_id = no_uuid(r),
                "min_position" => |m, r| m.min_position = no_position(r),
            ),
        ),
        maker(
            "/eldercare.registry.v1.RegistryService/GetStatistics",
            GetStatisticsRequest {
                division_code: county(),
                ..Default::default()
            },
            breaks!(GetStatisticsRequest:
                "division_code" => |m, r| m.division_code = no_division(r),
                "min_position" => |m, r| m.min_position = no_position(r),
            ),
        ),
        maker(
            "/eldercare.registry.v1.RegistryService/ListDivisions",
            ListDivisionsRequest::default(),
            breaks!(ListDivisionsRequest:
                "division_code" => |m, r| m.division_code = no_division(r),
                "min_position" => |m, r| m.min_position = no_position(r),
            ),
        ),
    ]
}
