//! Requests that can't be understood: each is refused by the fields that are at fault, and leaves no trace.

use proto::eldercare::r#type::v1 as types;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

mod agreements;
mod dossiers;
mod feeds;
mod histories;
mod pages;
mod searches;

/// The fields at fault, with their reasons.
#[track_caller]
fn faults<T: std::fmt::Debug>(outcome: Result<T, Status>) -> Vec<String> {
    let status = outcome.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    let bad = status.get_details_bad_request().unwrap();
    let faults = bad.field_violations.into_iter();
    faults
        .map(|one| format!("{} {}", one.field, one.reason))
        .collect()
}

/// 30 February.
const NO_DAY: Option<types::Date> = Some(types::Date {
    year: 2024,
    month: 2,
    day: 30,
});
