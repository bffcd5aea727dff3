//! For tests of what happens between two versions of a program: a process that calls itself the next one.

use std::sync::atomic::{AtomicU32, Ordering};

static LATER: AtomicU32 = AtomicU32::new(0);

/// From now on each projection that this process runs is of the next version: its tables are built anew beside those of the version
/// before, and take their place. Before the first [`Runner`](crate::Runner) is made.
pub fn be_the_next_version() {
    LATER.store(1, Ordering::Relaxed);
}

/// How much later this process is than its program says.
pub(crate) fn later() -> u32 {
    LATER.load(Ordering::Relaxed)
}
