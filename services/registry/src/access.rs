//! The access record: who read whose personal data, by which call and what for. It names elders by their ids alone.

use civic::ElderId;
use service::Caller;

/// How many elders one line names; a long list goes on in further lines.
const IN_ONE_LINE: usize = 200;

/// Records that a caller was given personal data of these elders.
pub(crate) fn record(caller: &Caller, action: &'static str, elders: &[ElderId]) {
    for some in elders.chunks(IN_ONE_LINE) {
        let ids = some
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(" ");
        tracing::info!(
            target: "access",
            caller = caller.actor(),
            department = caller.department,
            purpose = caller.purpose().unwrap_or_default(),
            action,
            elders = elders.len(),
            ids,
            "personal data read"
        );
    }
}
