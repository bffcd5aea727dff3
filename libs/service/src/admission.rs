//! How many calls are at work at once; what comes on top is turned away at once, with the advice to come again.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::Status;

use crate::{errors, settings};

/// Places for calls. Nobody waits for one: a queue would only have everybody wait, and in the end for nothing.
///
/// Urgent calls have places that no other takes, and take those of all once theirs are taken: whatever else is asked,
/// and however often, somebody who calls for help gets in. Those who wait until the service has begun have places of their
/// own too: others who wait for nothing are not turned away for them. Where none of all is free then, these go to work with
/// the one that they have, so that nobody who comes later turns away who has waited; at the worst twice as many are at work
/// for a moment.
#[derive(Debug)]
pub(crate) struct Admission {
    ordinary: Places,
    urgent: Places,
    waiting: Places,
}

/// Unary calls and streams have places of their own, so that streams, which stay long, never crowd out the calls; a place
/// is held until the answer has been sent to its end.
#[derive(Debug)]
struct Places {
    calls: Arc<Semaphore>,
    streams: Arc<Semaphore>,
}

impl Admission {
    pub(crate) fn new(settings: &settings::Grpc) -> Self {
        let ordinary = || Places::new(settings.max_calls, settings.max_streams);
        Self {
            ordinary: ordinary(),
            urgent: Places::new(settings.max_urgent_calls, settings.max_urgent_streams),
            waiting: ordinary(),
        }
    }

    /// A place for one call, or stream.
    pub(crate) fn admit(
        &self,
        streaming: bool,
        urgent: bool,
    ) -> Result<OwnedSemaphorePermit, Status> {
        let reserved = if urgent {
            self.urgent.take(streaming)
        } else {
            None
        };
        let place = reserved.or_else(|| self.ordinary.take(streaming));
        place.ok_or_else(overloaded)
    }

    /// Whether there is a place for a call, or stream, that is not urgent; it is not taken yet.
    pub(crate) fn has_room(&self, streaming: bool) -> Result<(), Status> {
        if self.ordinary.of(streaming).available_permits() > 0 {
            Ok(())
        } else {
            Err(overloaded())
        }
    }

    /// A place among those who wait until the service has begun: as many as may be at work then.
    pub(crate) fn wait(&self, streaming: bool) -> Result<OwnedSemaphorePermit, Status> {
        self.waiting.take(streaming).ok_or_else(overloaded)
    }
}

fn overloaded() -> Status {
    errors::resource_exhausted(
        "OVERLOADED",
        "the service is busy: try again after the delay given",
        "服务繁忙，请稍后重试",
        errors::soon(),
    )
}

impl Places {
    fn new(calls: usize, streams: usize) -> Self {
        let places = |most: usize| Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)));
        Self {
            calls: places(calls),
            streams: places(streams),
        }
    }

    /// A place, if one is free.
    fn take(&self, streaming: bool) -> Option<OwnedSemaphorePermit> {
        Arc::clone(self.of(streaming)).try_acquire_owned().ok()
    }

    fn of(&self, streaming: bool) -> &Arc<Semaphore> {
        if streaming {
            &self.streams
        } else {
            &self.calls
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_waits_for_the_beginning_takes_nobodys_place() {
        let admission = Admission::new(&settings::Grpc {
            max_calls: 1,
            max_streams: 1,
            max_urgent_calls: 0,
            ..settings::Grpc::default()
        });
        let waiting = admission.wait(false).unwrap();
        assert!(admission.wait(false).is_err(), "these have an end too");
        let stream = admission.wait(true).unwrap();
        let at_work = admission.admit(false, false).unwrap();
        assert!(admission.admit(false, true).is_err());
        assert!(admission.has_room(false).is_err() && admission.has_room(true).is_ok());
        drop((waiting, stream));
        assert!(admission.wait(false).is_ok());
        drop(at_work);
        assert!(admission.admit(false, false).is_ok());
    }
}
