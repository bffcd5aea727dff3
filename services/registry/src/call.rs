//! One call: who calls, what for, until when, and at what time.

use chrono::{DateTime, Utc};
use civic::LocalDay;
use eventlog::{CommandContext, RequestDigest};
use service::{Caller, Clock, Deadline};
use tonic::{Request, Status};
use uuid::Uuid;

use crate::{answer::Moment, parse::commands::Now};

/// What every handler knows of its call.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) caller: Caller,
    pub(crate) deadline: Deadline,
    /// The time by the system's clock, read once.
    pub(crate) now: DateTime<Utc>,
}

impl Call {
    /// The call of a request.
    pub(crate) fn of<T>(request: &Request<T>, clock: &Clock) -> Result<Self, Status> {
        Ok(Self {
            caller: Caller::from_request(request)?,
            deadline: Deadline::of(request),
            now: clock.now(),
        })
    }

    /// The day.
    pub(crate) fn today(&self) -> LocalDay {
        LocalDay::of(self.now)
    }

    /// The time at which the request is read.
    pub(crate) fn time(&self) -> Now {
        Now {
            instant: self.now,
            today: self.today(),
        }
    }

    /// The time as of which facts are answered.
    pub(crate) fn moment(&self) -> Moment {
        Moment::at(self.now)
    }

    /// What is recorded of the request with what it decides.
    pub(crate) fn context(
        &self,
        request_id: Uuid,
        digest: RequestDigest,
        division: Option<String>,
    ) -> CommandContext {
        CommandContext {
            request_id,
            request_digest: digest,
            actor: self.caller.actor(),
            now: self.now,
            correlation_id: request_id,
            causation_id: None,
            division,
            traceparent: service::telemetry::traceparent(),
            answers: None,
            purpose: self.caller.purpose().map(str::to_owned),
        }
    }
}
