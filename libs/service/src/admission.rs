//! How many calls are at work at once; what comes on top is turned away at once, with the advice to come again.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::Status;

use crate::{errors, settings};

/// Places for calls. Unary calls and streams have places of their own, so that streams, which stay
/// long, never crowd out the calls; a place is held until the answer has been sent to its end.
#[derive(Debug)]
pub(crate) struct Admission {
    calls: Arc<Semaphore>,
    streams: Arc<Semaphore>,
}

impl Admission {
    pub(crate) fn new(settings: &settings::Grpc) -> Self {
        let places = |most: usize| Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)));
        Self {
            calls: places(settings.max_calls),
            streams: places(settings.max_streams),
        }
    }

    /// A place for one call.
    pub(crate) fn admit(&self, streaming: bool) -> Result<OwnedSemaphorePermit, Status> {
        let places = if streaming {
            &self.streams
        } else {
            &self.calls
        };
        Arc::clone(places).try_acquire_owned().map_err(|_| {
            errors::resource_exhausted(
                "OVERLOADED",
                "the service is busy: try again after the delay given",
                "服务繁忙，请稍后重试",
                errors::soon(),
            )
        })
    }
}
