//! Ids that follow from the caller's request id, so that a request repeated however late means the same elder.
//!
//! An elder's id is a name-based UUID (version 5) of the id of the request that registers it. A retry therefore meets
//! its own elder's file, which knows the request, and is answered from there; no other record of requests is needed.

use civic::ElderId;
use uuid::Uuid;

// Any fixed UUIDs serve as namespaces, as long as they never change.
const ELDERS: Uuid = Uuid::from_u128(0x1b0a_7c52_4d0e_4c8f_8a35_91b4_6a7f_2e10);
const CIRCUMSTANCES: Uuid = Uuid::from_u128(0x1b0a_7c52_4d0e_4c8f_8a35_91b4_6a7f_2e11);
const SURVEY_ROWS: Uuid = Uuid::from_u128(0x1b0a_7c52_4d0e_4c8f_8a35_91b4_6a7f_2e12);

/// The elder that a request registers.
pub(crate) fn elder(request: Uuid) -> ElderId {
    ElderId(Uuid::new_v5(&ELDERS, request.as_bytes()))
}

/// The circumstance at a place of a request's list.
pub(crate) fn circumstance(request: Uuid, place: usize) -> Uuid {
    Uuid::new_v5(&CIRCUMSTANCES, &with_number(request, place as u64))
}

/// The request that one row of a survey import makes.
pub(crate) fn survey_row(import: Uuid, row: u32) -> Uuid {
    Uuid::new_v5(&SURVEY_ROWS, &with_number(import, u64::from(row)))
}

fn with_number(id: Uuid, number: u64) -> [u8; 24] {
    let mut name = [0; 24];
    name[..16].copy_from_slice(id.as_bytes());
    name[16..].copy_from_slice(&number.to_be_bytes());
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_means_the_same_elder_for_ever() {
        let request = Uuid::from_u128(1);
        // These values are in logs: they must not change with the program.
        assert_eq!(
            elder(request).to_string(),
            "b9d17ecf-1dfa-5e69-954e-2999410d5c71"
        );
        assert_eq!(
            circumstance(request, 3).to_string(),
            "21430c6c-53f3-51b4-9926-eb07b4fe5f5d"
        );
        assert_eq!(
            survey_row(request, 4).to_string(),
            "0e82903e-80db-5d51-8213-7e84efa6224d"
        );
        assert_ne!(elder(request), elder(Uuid::from_u128(2)));
    }

    #[test]
    fn rows_and_places_have_ids_of_their_own() {
        let request = Uuid::from_u128(1);
        assert_ne!(survey_row(request, 4), survey_row(request, 5));
        assert_ne!(circumstance(request, 0), circumstance(request, 1));
        assert_ne!(circumstance(request, 4), survey_row(request, 4));
    }
}
