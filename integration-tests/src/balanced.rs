//! A line over all replicas of a part, as a mesh gives it to callers: each call goes to one of those that are ready.

use tokio::sync::mpsc::Sender;
use tonic::transport::{Channel, Endpoint, channel::Change};

use crate::{lines::endpoint_of, process::Process};

/// So many changes of replicas may wait for the next call, with which the line looks at them.
const CHANGES: usize = 16;

/// A line with its replicas, by their addresses.
#[derive(Debug)]
pub(crate) struct Balanced {
    line: Channel,
    changes: Sender<Change<String, Endpoint>>,
}

impl Balanced {
    /// A line to one process, so far.
    pub(crate) fn over(process: &Process) -> Self {
        let (line, changes) = Channel::balance_channel(CHANGES);
        let balanced = Self { line, changes };
        balanced.add(process);
        balanced
    }

    /// The line. All clones have the same replicas.
    pub(crate) fn line(&self) -> Channel {
        self.line.clone()
    }

    /// From now on the process is called too.
    pub(crate) fn add(&self, process: &Process) {
        let address = process.address().to_owned();
        self.change(Change::Insert(address, endpoint_of(process)));
    }

    /// From now on the process is not called any more. Calls under way finish.
    pub(crate) fn remove(&self, process: &Process) {
        self.change(Change::Remove(process.address().to_owned()));
    }

    fn change(&self, change: Change<String, Endpoint>) {
        let taken = self.changes.try_send(change);
        taken.expect("the line is there, and looks at changes with each call");
    }
}
