//! What a refusal tells programs.

use tonic::Status;
use tonic_types::StatusExt as _;

/// The reason, in UPPER_SNAKE_CASE; empty where the refusal bears none, or of another domain than ours.
pub fn reason(status: &Status) -> String {
    let info = status.get_details_error_info();
    info.filter(|info| info.domain == "eldercare")
        .map(|info| info.reason)
        .unwrap_or_default()
}

/// The fields that it calls wrong.
pub fn wrong_fields(status: &Status) -> Vec<String> {
    let bad = status.get_details_bad_request();
    bad.map(|bad| {
        bad.field_violations
            .into_iter()
            .map(|violation| violation.field)
            .collect()
    })
    .unwrap_or_default()
}
