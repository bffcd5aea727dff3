//! What an installation may say of the stream; how it is kept otherwise is declared for all.

use std::time::Duration;

use nats_streams::Stream;

use super::STREAM;

/// How the stream is made.
#[derive(Debug, Clone)]
pub struct SignalSettings {
    /// For how long signals are kept.
    pub kept_for: Duration,
    /// On how many servers.
    pub replicas: usize,
    /// Make the stream if it is not there.
    pub create: bool,
}

impl SignalSettings {
    /// The stream as it is declared, with what the installation says.
    pub(super) fn stream(&self) -> Stream {
        nats_streams::stream(STREAM).keeping_for(self.kept_for)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{DEVICES, STAMPED};
    use super::*;

    #[test]
    fn the_stream_takes_what_devices_send_and_what_we_stamp() {
        let subjects = [DEVICES.to_owned(), format!("{DEVICES}{STAMPED}")];
        assert_eq!(nats_streams::stream(STREAM).subjects(), subjects);
    }
}
