//! `backup` and `restore`: copies of all streams, and a system put back from one, in which every erasure since is applied before
//! it serves.
//!
//! - [`taking`]: a backup, by JetStream's own snapshots ([`snapshot`]) in an order in which none refers to what it lacks.
//! - [`shelf`]: the folder of backups; [`manifest`], [`parts`] and [`proven`]: what lies in one, known by its digests.
//! - [`erasures`]: who was erased, by ids alone; kept apart from backups, which know nothing of what came after them.
//! - [`restoring`]: a backup put back where nothing is, in a [`ground`]; [`contents`]: message by message as it was.
//! - [`applying`]: what must be done before anybody is served.

mod applying;
mod contents;
mod erasures;
mod ground;
mod manifest;
mod parts;
mod proven;
mod restoring;
mod shelf;
mod snapshot;
mod taking;

pub use applying::Applied;
pub use restoring::{PutBack, Restored, restore};
pub use taking::{Copied, Noted, Outcome, Taken, of_data_folder, of_server, prune};

/// The streams in the order in which they are copied: each before those that its messages refer to, so that these hold what is
/// referred to. What is in [`SHARING`] already is known when [`ACCESS`] is put back; all need the keys in [`VAULT`].
const STREAMS: [&str; 10] = [
    FEEDS, ACCESS, SHARING, "CLAIMS", ALERTS, SIGNALS, "VISITS", "TIERING", REGISTRY, VAULT,
];

const REGISTRY: &str = "REGISTRY";
const VAULT: &str = "VAULT";
const ALERTS: &str = "ALERTS";
const SHARING: &str = "SHARING";
const SIGNALS: &str = "SIGNALS";
const FEEDS: &str = "FEEDS";
const ACCESS: &str = "ACCESS";

/// Whether a stream is a log, from which nothing is ever deleted.
fn is_log(stream: &str) -> bool {
    let mut logs = crate::servers::SERVICES.iter();
    logs.any(|service| service.eq_ignore_ascii_case(stream))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stream_that_is_declared_is_backed_up() {
        let declared = nats_streams::declared().streams.iter();
        let mut declared: Vec<_> = declared.map(|stream| stream.name()).collect();
        declared.sort_unstable();
        let mut copied = STREAMS;
        copied.sort_unstable();
        assert_eq!(declared, copied);
    }

    #[test]
    fn what_is_deleted_from_is_no_log() {
        let logs: Vec<_> = STREAMS
            .into_iter()
            .filter(|stream| is_log(stream))
            .collect();
        assert_eq!(
            logs,
            [
                "SHARING", "CLAIMS", "ALERTS", "VISITS", "TIERING", "REGISTRY"
            ]
        );
    }
}
