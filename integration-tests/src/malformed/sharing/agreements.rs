//! Malformed requests about agreements.

use proto::eldercare::sharing::v1 as sharing;
use rand::{Rng as _, rngs::StdRng};

use super::{no_department, no_reason, wrong_department};
use crate::{
    agreements::{grant, terms},
    county::COUNTY,
    date,
    malformed::{Break, Maker, maker, wrong_values::*},
    new_id,
};

pub(super) fn about_agreements() -> Vec<Maker> {
    use sharing::*;
    vec![
        maker(
            method!("ProposeAgreement"),
            ProposeAgreementRequest {
                request_id: new_id(),
                terms: Some(terms(vec![grant("elder", &["elder_id"], &["name"])])),
            },
            asked!(ProposeAgreementRequest:
                "no terms" => |m, _| m.terms = None,
                "department" => |m, r| of(m).department = no_department(r),
                "no purpose" => |m, _| of(m).purpose.clear(),
                "purpose" => |m, r| of(m).purpose = too_long(r),
                "no legal basis" => |m, _| of(m).legal_basis.clear(),
                "legal_basis" => |m, r| of(m).legal_basis = too_long(r),
                "products" => |m, r| of(m).products = no_products(r),
                "no division" => |m, _| of(m).division_codes.clear(),
                "division_codes" => |m, r| of(m).division_codes = vec![no_division(r)],
                "a division twice" => |m, _| of(m).division_codes = vec![COUNTY.to_owned(); 2],
                "until" => |m, r| of(m).until = no_date(r),
                "no last day" => |m, _| of(m).until = None,
                "for ever" => |m, _| of(m).until = Some(date("2099-12-31")),
            ),
        ),
        maker(
            method!("ApproveAgreement"),
            ApproveAgreementRequest {
                request_id: new_id(),
                agreement_id: new_id(),
            },
            asked!(ApproveAgreementRequest:
                "agreement_id" => |m, r| m.agreement_id = no_uuid(r),
            ),
        ),
        maker(
            method!("SuspendAgreement"),
            SuspendAgreementRequest {
                request_id: new_id(),
                agreement_id: new_id(),
                reason: "LEAK".to_owned(),
            },
            asked!(SuspendAgreementRequest:
                "agreement_id" => |m, r| m.agreement_id = no_uuid(r),
                "reason" => |m, r| m.reason = no_reason(r),
            ),
        ),
        maker(
            method!("EndAgreement"),
            EndAgreementRequest {
                request_id: new_id(),
                agreement_id: new_id(),
                reason: "NO_NEED".to_owned(),
            },
            asked!(EndAgreementRequest:
                "agreement_id" => |m, r| m.agreement_id = no_uuid(r),
                "reason" => |m, r| m.reason = no_reason(r),
            ),
        ),
        maker(
            method!("GetAgreement"),
            GetAgreementRequest {
                agreement_id: new_id(),
                ..Default::default()
            },
            breaks!(GetAgreementRequest:
                "agreement_id" => |m, r| m.agreement_id = no_uuid(r),
                "min_position" => |m, r| m.min_position = no_position(r),
            ),
        ),
        maker(
            method!("ListAgreements"),
            ListAgreementsRequest::default(),
            paged!(ListAgreementsRequest:
                "department" => |m, r| m.department = wrong_department(r),
                "state" => |m, r| m.state = no_word(r),
            ),
        ),
    ]
}

fn of(request: &mut sharing::ProposeAgreementRequest) -> &mut sharing::AgreementTerms {
    request.terms.get_or_insert_default()
}

/// Grants that are none: of nothing, of what there isn't, of one thing twice, masked where there is no mask.
fn no_products(random: &mut StdRng) -> Vec<sharing::ProductGrant> {
    let name = || grant("elder", &[], &["name"]);
    match random.random_range(0..8) {
        0 => vec![],
        1 => vec![name(); 21],
        2 => vec![name(); 2],
        3 => vec![grant("income", &["name"], &[])],
        4 => vec![grant("elder", &[], &[])],
        5 => vec![grant("elder", &["name"], &["name"])],
        6 => vec![grant("tier", &[], &["tier"])],
        _ => {
            let mut name = name();
            name.fields[0].cut = if random.random() { 0 } else { no_word(random) };
            vec![name]
        }
    }
}
