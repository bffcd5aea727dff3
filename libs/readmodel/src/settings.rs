//! How large the bites are that a read model takes, and how patient it is.

use std::time::Duration;

/// The tunable part of a [`Runner`](crate::Runner); the defaults suit a county and a large city alike.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Most records in a transaction of the live tail.
    pub live_records: usize,
    /// Most bytes of events in a transaction of the live tail.
    pub live_bytes: usize,
    /// While records stream in, transactions begin at most this often, so that each is worth its commit. At rest nothing
    /// waits.
    pub live_pace: Duration,
    /// Most records in a transaction of a bulk load.
    pub rebuild_records: usize,
    /// Most bytes of events in a transaction of a bulk load.
    pub rebuild_bytes: usize,
    /// A projection that has nothing yet is filled in bulk when its stream is longer than this, record by record otherwise.
    pub bulk_from: u64,
    /// A transaction that takes longer is given up with its connection.
    pub transaction_limit: Duration,
    /// An error that is neither plainly passing nor plainly of the record is tried again for this long before the record
    /// is parked.
    pub patience: Duration,
    /// How often a standby tries to take the lead.
    pub standby_poll: Duration,
    /// How often the lag is measured and an idle connection is checked.
    pub heartbeat: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            live_records: 1_000,
            live_bytes: 4 << 20,
            live_pace: Duration::from_millis(25),
            rebuild_records: 20_000,
            rebuild_bytes: 16 << 20,
            bulk_from: 5_000,
            transaction_limit: Duration::from_secs(300),
            patience: Duration::from_secs(60),
            standby_poll: Duration::from_millis(250),
            heartbeat: Duration::from_secs(2),
        }
    }
}
