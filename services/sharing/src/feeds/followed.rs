//! A message of `FEEDS` that is followed, and where the way to it begins.

use async_nats::jetstream;

use super::message::Lying;
use super::stream::StreamError;

/// What is followed.
pub(crate) struct Following<M> {
    /// After which sequence it begins.
    pub(crate) after: u64,
    /// How many messages lay there then.
    pub(crate) waiting: u64,
    /// What lay there, and what comes.
    pub(crate) messages: M,
}

/// A message that is followed.
#[derive(Debug)]
pub(crate) struct Followed {
    /// Its sequence.
    pub(crate) sequence: u64,
    /// The message; none where it is none of a feed.
    pub(crate) lying: Option<Lying>,
    /// How many more there are now.
    pub(crate) pending: u64,
}

impl Followed {
    /// The same where it lies beyond a sequence; none of a feed else. A way that is lost before anything came by it begins at the
    /// first message of all.
    pub(super) fn beyond(self, after: u64) -> Self {
        match self.sequence > after {
            true => self,
            false => Self {
                sequence: after,
                lying: None,
                pending: self.pending,
            },
        }
    }
}

/// What came of the stream.
pub(super) fn followed(message: &jetstream::Message) -> Result<Followed, StreamError> {
    let info = message.info().map_err(StreamError::because)?;
    let (sequence, pending) = (info.stream_sequence, info.pending);
    let headers = message.headers.clone().unwrap_or_default();
    let lying = Lying::of(sequence, &message.subject, headers, message.payload.clone());
    Ok(Followed {
        sequence,
        lying,
        pending,
    })
}

#[cfg(test)]
mod tests {
    use async_nats::HeaderMap;
    use bytes::Bytes;

    use super::*;

    fn come(sequence: u64) -> Followed {
        let subject = "feed.health.visit.350524.VisitRecorded";
        Followed {
            sequence,
            lying: Lying::of(sequence, subject, HeaderMap::new(), Bytes::new()),
            pending: 3,
        }
    }

    #[test]
    fn what_lies_before_the_beginning_is_not_told_though_it_comes() {
        for (sequence, expected, is_told) in [(1, 7, false), (7, 7, false), (8, 8, true)] {
            let one = come(sequence).beyond(7);
            assert_eq!((one.sequence, one.pending), (expected, 3));
            assert_eq!(one.lying.is_some(), is_told, "{sequence}");
        }
    }
}
