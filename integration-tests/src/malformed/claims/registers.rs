//! Malformed commands about programmes, who serves for them, and who is enrolled.

use proto::eldercare::claims::v1 as claims;
use rand::{Rng as _, rngs::StdRng};

use super::{no_programme, no_provider};
use crate::{
    claiming::{DEFINITION, PROGRAMME, a_caregiver, a_contract, a_programme, an_enrolment},
    date,
    elders::VILLAGE,
    malformed::{Break, Known, Maker, maker, wrong_values::*},
    new_id,
};

pub(super) fn about_registers(known: &Known) -> Vec<Maker> {
    use claims::*;
    vec![
        maker(
            method!("DefineProgramme"),
            a_programme(PROGRAMME),
            asked!(DefineProgrammeRequest:
                "programme_code" => |m, r| m.programme_code = no_programme(r),
                "division_code" => |m, r| m.division_code = no_division(r),
                "no division" => |m, _| m.division_code.clear(),
                "a village" => |m, _| m.division_code = VILLAGE.to_owned(),
                "a town" => |m, _| m.division_code = "350524100".to_owned(),
                "definition" => |m, r| m.definition = no_definition(r),
            ),
        ),
        maker(
            method!("ContractProvider"),
            a_contract("P01", PROGRAMME),
            asked!(ContractProviderRequest:
                "no contract" => |m, _| m.contract = None,
                "provider_id" => |m, r| m.contract.as_mut().expect("there").provider_id = no_provider(r),
                "programme_code" => |m, r| m.contract.as_mut().expect("there").programme_code = no_programme(r),
                "name" => |m, r| m.contract.as_mut().expect("there").name = no_name_of_a_provider(r),
                "first_day" => |m, r| m.contract.as_mut().expect("there").first_day = no_date(r),
                "no first_day" => |m, _| m.contract.as_mut().expect("there").first_day = None,
                "last_day" => |m, r| m.contract.as_mut().expect("there").last_day = no_date(r),
                "the last day before the first" => |m, _| m.contract.as_mut().expect("there").last_day = Some(date("2023-12-31")),
            ),
        ),
        maker(
            method!("EndContract"),
            EndContractRequest {
                request_id: new_id(),
                provider_id: "P01".to_owned(),
                contract_id: new_id(),
                last_day: Some(date("2024-12-31")),
            },
            asked!(EndContractRequest:
                "provider_id" => |m, r| m.provider_id = no_provider(r),
                "contract_id" => |m, r| m.contract_id = no_uuid(r),
                "last_day" => |m, r| m.last_day = no_date(r),
                "no last_day" => |m, _| m.last_day = None,
            ),
        ),
        maker(
            method!("RegisterCaregiver"),
            a_caregiver("P01", "林护理"),
            asked!(RegisterCaregiverRequest:
                "no caregiver" => |m, _| m.caregiver = None,
                "provider_id" => |m, r| m.caregiver.as_mut().expect("there").provider_id = no_provider(r),
                "name" => |m, r| m.caregiver.as_mut().expect("there").name = no_name(r),
                "first_day" => |m, r| m.caregiver.as_mut().expect("there").first_day = no_date(r),
                "no first_day" => |m, _| m.caregiver.as_mut().expect("there").first_day = None,
                "last_day" => |m, r| m.caregiver.as_mut().expect("there").last_day = no_date(r),
                "the last day before the first" => |m, _| m.caregiver.as_mut().expect("there").last_day = Some(date("2023-12-31")),
            ),
        ),
        maker(
            method!("RetireCaregiver"),
            RetireCaregiverRequest {
                request_id: new_id(),
                caregiver_id: new_id(),
                last_day: Some(date("2024-12-31")),
            },
            asked!(RetireCaregiverRequest:
                "caregiver_id" => |m, r| m.caregiver_id = no_uuid(r),
                "last_day" => |m, r| m.last_day = no_date(r),
                "no last_day" => |m, _| m.last_day = None,
            ),
        ),
        maker(
            method!("EndEnrolment"),
            EndEnrolmentRequest {
                request_id: new_id(),
                programme_code: PROGRAMME.to_owned(),
                elder_id: known.elder.clone(),
                enrolment_id: new_id(),
                last_day: Some(date("2024-06-30")),
            },
            asked!(EndEnrolmentRequest:
                "programme_code" => |m, r| m.programme_code = no_programme(r),
                "elder_id" => |m, r| m.elder_id = no_uuid(r),
                "enrolment_id" => |m, r| m.enrolment_id = no_uuid(r),
                "last_day" => |m, r| m.last_day = no_date(r),
                "no last_day" => |m, _| m.last_day = None,
            ),
        ),
    ]
}

/// Of one enrolment of a stream.
pub(in crate::malformed) fn of_an_enrolment(known: &Known) -> Maker {
    use claims::*;
    maker(
        method!("EnrolPersons"),
        EnrolPersonsRequest {
            enrolment: Some(an_enrolment(PROGRAMME, &known.elder)),
            min_position: String::new(),
        },
        breaks!(EnrolPersonsRequest:
            "no enrolment" => |m, _| m.enrolment = None,
            "min_position" => |m, r| m.min_position = no_position(r),
            "enrolment_id" => |m, r| of(m).enrolment_id = no_uuid(r),
            "programme_code" => |m, r| of(m).programme_code = no_programme(r),
            "elder_id" => |m, r| of(m).elder_id = no_uuid(r),
            "first_day" => |m, r| of(m).first_day = no_date(r),
            "no first_day" => |m, _| of(m).first_day = None,
            "last_day" => |m, r| of(m).last_day = no_date(r),
            "the last day before the first" => |m, _| of(m).last_day = Some(date("2023-12-31")),
            "the last day in another year" => |m, _| of(m).last_day = Some(date("2025-01-01")),
        ),
    )
}

fn of(request: &mut claims::EnrolPersonsRequest) -> &mut claims::Enrolment {
    request.enrolment.as_mut().expect("there")
}

fn no_name_of_a_provider(random: &mut StdRng) -> String {
    match random.random_range(0..3) {
        0 => String::new(),
        1 => "长".repeat(random.random_range(101..5_000)),
        _ => "禾康\u{7}".to_owned(),
    }
}

/// A definition that is none: no YAML, too long, of the wrong form, or one in which something is left out.
fn no_definition(random: &mut StdRng) -> String {
    match random.random_range(0..6) {
        0 => String::new(),
        1 => "a: [".to_owned(),
        2 => format!("{DEFINITION}{}", "#".repeat(70_000)),
        3 => garbage(random, 2_000),
        4 => {
            let lines = DEFINITION.lines().filter(|line| line.contains(':'));
            let lines: Vec<_> = lines.collect();
            // What is not said of a premium is nothing to be paid, and of a source nothing at all.
            let needed = |line: &&str| !line.contains("premium_fen") && !line.contains("source");
            let left_out = lines.iter().filter(|line| needed(line)).count();
            let left_out = random.random_range(0..left_out);
            let left_out = lines.iter().filter(|line| needed(line)).nth(left_out);
            let left_out = left_out.expect("one of them");
            DEFINITION.replacen(&format!("{left_out}\n"), "", 1)
        }
        _ => "a: &a [x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nd: [*c, *c]\n".to_owned(),
    }
}
