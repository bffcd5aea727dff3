//! Malformed questions about programmes, entitlements, orders, settlements, funds and figures.

use proto::eldercare::claims::v1 as claims;
use rand::{rngs::StdRng, seq::IndexedRandom as _};

use super::{no_number, no_order, no_programme, no_provider, wrong_programme, wrong_provider};
use crate::{
    claiming::PROGRAMME,
    county, date,
    malformed::{Break, Known, Maker, maker, wrong_values::*},
};

/// What is asked of some orders, and what follows.
macro_rules! filtered {
    ($kind:ty: $($wrong:literal => $change:expr),* $(,)?) => {
        breaks!($kind:
            "no filter" => |m, _| m.filter = None,
            "division_code" => |m, r| of(&mut m.filter).division_code = no_division(r),
            "no division" => |m, _| of(&mut m.filter).division_code.clear(),
            "programme_code" => |m, r| of(&mut m.filter).programme_code = wrong_programme(r),
            "provider_id" => |m, r| of(&mut m.filter).provider_id = wrong_provider(r),
            "elder_id" => |m, r| of(&mut m.filter).elder_id = wrong_uuid(r),
            "states" => |m, r| of(&mut m.filter).states = vec![1, no_word(r)],
            "no state" => |m, _| of(&mut m.filter).states = vec![0],
            "code" => |m, r| of(&mut m.filter).code = no_code_of_orders(r),
            "first_service_day" => |m, r| of(&mut m.filter).first_service_day = no_date(r),
            "last_service_day" => |m, r| of(&mut m.filter).last_service_day = no_date(r),
            "approved_in_month_of" => |m, r| of(&mut m.filter).approved_in_month_of = no_date(r),
            "entitled_by" => |m, r| of(&mut m.filter).entitled_by = too_long(r),
            "min_position" => |m, r| m.min_position = no_position(r),
            $($wrong => $change),*
        )
    };
}

fn of(filter: &mut Option<claims::OrderFilter>) -> &mut claims::OrderFilter {
    filter.as_mut().expect("there")
}

fn no_code_of_orders(random: &mut StdRng) -> i32 {
    *[-1, 14, 99, i32::MAX, i32::MIN]
        .choose(random)
        .expect("not empty")
}

/// Groups that are none, that are one twice, or too many.
fn no_groups(random: &mut StdRng) -> Vec<i32> {
    [&[0][..], &[8], &[1, -1], &[3, 3], &[1, 2, 3]]
        .choose(random)
        .expect("not empty")
        .to_vec()
}

pub(super) fn questions(known: &Known) -> Vec<Maker> {
    use claims::*;
    let county = || county::COUNTY.to_owned();
    let (programme_code, provider_id) = (|| PROGRAMME.to_owned(), || "P01".to_owned());
    let filter = || OrderFilter {
        division_code: county(),
        elder_id: known.elder.clone(),
        ..OrderFilter::default()
    };
    vec![
        maker(
            method!("GetProgramme"),
            GetProgrammeRequest {
                programme_code: programme_code(),
                ..Default::default()
            },
            breaks!(GetProgrammeRequest:
                "programme_code" => |m, r| m.programme_code = no_programme(r),
                "version" => |m, _| m.version = -1,
                "min_position" => |m, r| m.min_position = no_position(r),
            ),
        ),
        maker(
            method!("ListProgrammes"),
            ListProgrammesRequest::default(),
            paged!(ListProgrammesRequest:),
        ),
        maker(
            method!("ListEnrolments"),
            ListEnrolmentsRequest {
                division_code: county(),
                programme_code: programme_code(),
                ..Default::default()
            },
            listed!(ListEnrolmentsRequest:
                "no division" => |m, _| m.division_code.clear(),
                "programme_code" => |m, r| m.programme_code = no_programme(r),
                "on" => |m, r| m.on = no_date(r),
            ),
        ),
        maker(
            method!("GetEntitlement"),
            GetEntitlementRequest {
                programme_code: programme_code(),
                elder_id: known.elder.clone(),
                ..Default::default()
            },
            breaks!(GetEntitlementRequest:
                "programme_code" => |m, r| m.programme_code = no_programme(r),
                "elder_id" => |m, r| m.elder_id = no_uuid(r),
                "on" => |m, r| m.on = no_date(r),
                "min_position" => |m, r| m.min_position = no_position(r),
            ),
        ),
        maker(
            method!("GetOrder"),
            GetOrderRequest {
                provider_id: provider_id(),
                order_id: "1".to_owned(),
                ..Default::default()
            },
            breaks!(GetOrderRequest:
                "provider_id" => |m, r| m.provider_id = no_provider(r),
                "order_id" => |m, r| m.order_id = no_order(r),
                "min_position" => |m, r| m.min_position = no_position(r),
            ),
        ),
        maker(
            method!("ListOrders"),
            ListOrdersRequest {
                filter: Some(filter()),
                ..Default::default()
            },
            filtered!(ListOrdersRequest:
                "page_size" => |m, r| m.page_size = no_page(r),
                "page_token" => |m, r| m.page_token = no_token(r),
            ),
        ),
        maker(
            method!("GetFigures"),
            GetFiguresRequest {
                filter: Some(filter()),
                ..Default::default()
            },
            filtered!(GetFiguresRequest: "groups" => |m, r| m.groups = no_groups(r)),
        ),
        maker(
            method!("ListAppeals"),
            ListAppealsRequest {
                division_code: county(),
                ..Default::default()
            },
            listed!(ListAppealsRequest:
                "no division" => |m, _| m.division_code.clear(),
                "provider_id" => |m, r| m.provider_id = wrong_provider(r),
                "state" => |m, r| m.state = no_word(r),
            ),
        ),
        maker(
            method!("ListHeldOrders"),
            ListHeldOrdersRequest {
                division_code: county(),
                ..Default::default()
            },
            listed!(ListHeldOrdersRequest:
                "no division" => |m, _| m.division_code.clear(),
                "state" => |m, r| m.state = no_word(r),
            ),
        ),
        maker(
            method!("ListSuspicions"),
            ListSuspicionsRequest {
                division_code: county(),
                first_day: Some(date("2024-09-01")),
                last_day: Some(date("2024-09-30")),
                ..Default::default()
            },
            breaks!(ListSuspicionsRequest:
                "division_code" => |m, r| m.division_code = no_division(r),
                "no division" => |m, _| m.division_code.clear(),
                "provider_id" => |m, r| m.provider_id = wrong_provider(r),
                "first_day" => |m, r| m.first_day = no_date(r),
                "no first_day" => |m, _| m.first_day = None,
                "last_day" => |m, r| m.last_day = no_date(r),
                "no last_day" => |m, _| m.last_day = None,
                "the last day before the first" => |m, _| m.last_day = Some(date("2024-08-31")),
                "more than a year" => |m, _| m.last_day = Some(date("2025-09-02")),
                "min_position" => |m, r| m.min_position = no_position(r),
            ),
        ),
        maker(
            method!("GetSettlement"),
            GetSettlementRequest {
                programme_code: programme_code(),
                provider_id: provider_id(),
                number: 1,
                ..Default::default()
            },
            breaks!(GetSettlementRequest:
                "programme_code" => |m, r| m.programme_code = no_programme(r),
                "provider_id" => |m, r| m.provider_id = no_provider(r),
                "number" => |m, r| m.number = no_number(r),
                "min_position" => |m, r| m.min_position = no_position(r),
            ),
        ),
        maker(
            method!("ListSettlements"),
            ListSettlementsRequest {
                programme_code: programme_code(),
                ..Default::default()
            },
            paged!(ListSettlementsRequest:
                "programme_code" => |m, r| m.programme_code = no_programme(r),
                "provider_id" => |m, r| m.provider_id = wrong_provider(r),
                "month_of" => |m, r| m.month_of = no_date(r),
                "stage" => |m, r| m.stage = no_word(r),
            ),
        ),
        maker(
            method!("ExportSettlement"),
            ExportSettlementRequest {
                programme_code: programme_code(),
                provider_id: provider_id(),
                number: 1,
                format: SettlementFormat::Csv.into(),
                ..Default::default()
            },
            breaks!(ExportSettlementRequest:
                "programme_code" => |m, r| m.programme_code = no_programme(r),
                "provider_id" => |m, r| m.provider_id = no_provider(r),
                "number" => |m, r| m.number = no_number(r),
                "format" => |m, r| m.format = no_word(r),
                "no format" => |m, _| m.format = 0,
                "min_position" => |m, r| m.min_position = no_position(r),
            ),
        ),
        maker(
            method!("GetFund"),
            GetFundRequest {
                programme_code: programme_code(),
                ..Default::default()
            },
            breaks!(GetFundRequest:
                "programme_code" => |m, r| m.programme_code = no_programme(r),
                "min_position" => |m, r| m.min_position = no_position(r),
            ),
        ),
        maker(
            method!("GetFundLedger"),
            GetFundLedgerRequest {
                programme_code: programme_code(),
                ..Default::default()
            },
            paged!(GetFundLedgerRequest: "programme_code" => |m, r| m.programme_code = no_programme(r)),
        ),
    ]
}
