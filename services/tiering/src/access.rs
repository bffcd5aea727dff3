//! The access record: who read whose tier, by which call and what for. It names elders by their ids alone.

use civic::ElderId;
use service::Caller;

/// How many elders one line names; a long list goes on in further lines.
const IN_ONE_LINE: usize = 200;

/// Records that a caller was told the tiers of these elders.
pub(crate) fn record(
    caller: &Caller,
    action: &'static str,
    elders: impl IntoIterator<Item = ElderId>,
) {
    let ids: Vec<String> = elders.into_iter().map(|elder| elder.to_string()).collect();
    for some in ids.chunks(IN_ONE_LINE) {
        tracing::info!(
            target: "access",
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
