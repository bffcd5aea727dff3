//! The access record: who was told whose personal data, by which call and what for. It names persons by their ids alone.

use std::fmt::Display;

use crate::Caller;

/// The target of access records.
pub(crate) const TARGET: &str = "access";

/// How many elders one line names; a long list goes on in further lines.
const IN_ONE_LINE: usize = 200;

/// Records that `action` (the method) told a caller something about these persons, elders or visitors: lines of JSON, written where
/// `telemetry.access_log` says, whatever the log's filter leaves out.
pub fn record(caller: &Caller, action: &'static str, persons: impl IntoIterator<Item: Display>) {
    let ids: Vec<String> = persons.into_iter().map(|one| one.to_string()).collect();
    for some in ids.chunks(IN_ONE_LINE) {
        tracing::info!(
            target: TARGET,
            caller = caller.actor(),
            department = caller.department,
            purpose = caller.purpose().unwrap_or_default(),
            action,
            elders = ids.len(),
            ids = some.join(" "),
            "personal data read"
        );
    }
}
