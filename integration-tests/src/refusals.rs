//! What a refusal tells programs.

use std::time::Duration;

use tonic::{Code, Status};
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

/// Whether a client is right to try again.
pub fn is_passing(status: &Status) -> bool {
    // UNKNOWN and INTERNAL are what a client's own library makes of a connection that broke.
    let broke = reason(status).is_empty()
        && matches!(
            status.code(),
            Code::Unknown | Code::Internal | Code::Cancelled
        );
    broke || [Code::Unavailable, Code::DeadlineExceeded, Code::Aborted].contains(&status.code())
}

/// Waits as long as a refusal asks for before the next try, or for a moment.
pub async fn asked_to_wait(status: &Status) {
    assert!(is_passing(status), "{status}");
    let asked = status
        .get_details_retry_info()
        .and_then(|info| info.retry_delay);
    tokio::time::sleep(asked.unwrap_or(Duration::from_millis(200))).await;
}
