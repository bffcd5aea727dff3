//! How many calls are at work at once; what comes on top is turned away at once, with the advice to come again.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::Status;

use crate::{action::Method, errors, settings};

/// Places for calls. Nobody waits for one: a queue would only have everybody wait, and in the end for nothing.
///
/// Urgent methods have places that no other takes, and take those of all once theirs are taken: whatever else is asked,
/// and however often, somebody who calls for help gets in.
#[derive(Debug)]
pub(crate) struct Admission {
    ordinary: Places,
    urgent: Places,
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
        Self {
            ordinary: Places::new(settings.max_calls, settings.max_streams),
            urgent: Places::new(settings.max_urgent_calls, settings.max_urgent_streams),
        }
    }

    /// A place for one call of a method.
    pub(crate) fn admit(&self, method: &Method) -> Result<OwnedSemaphorePermit, Status> {
        let reserved = if method.urgent {
            self.urgent.take(method.streaming)
        } else {
            None
        };
        let place = reserved.or_else(|| self.ordinary.take(method.streaming));
        place.ok_or_else(|| {
            errors::resource_exhausted(
                "OVERLOADED",
                "the service is busy: try again after the delay given",
                "服务繁忙，请稍后重试",
                errors::soon(),
            )
        })
    }
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
        let places = if streaming {
            &self.streams
        } else {
            &self.calls
        };
        Arc::clone(places).try_acquire_owned().ok()
    }
}
