//! How long a call may take: as its caller says, within bounds of our own.

use std::time::Duration;

use http::HeaderMap;
use tokio::time::Instant;
use tonic::{Request, Status};

use crate::{errors, settings};

/// How long an answer waits for something where the call has no nearer deadline.
const PATIENCE: Duration = Duration::from_secs(60);

/// When a call must be done. Streams without a deadline of their own have none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline(Option<Instant>);

impl Deadline {
    /// No deadline.
    pub const NONE: Self = Self(None);

    /// The deadline of a call.
    pub fn of<T>(request: &Request<T>) -> Self {
        request
            .extensions()
            .get::<Self>()
            .copied()
            .unwrap_or(Self::NONE)
    }

    /// In `span` from now.
    pub fn after(span: Duration) -> Self {
        Self(Instant::now().checked_add(span))
    }

    /// When it is, if there is one.
    pub fn instant(self) -> Option<Instant> {
        self.0
    }

    /// How long is left, if there is a deadline; zero once it has passed.
    pub fn remaining(self) -> Option<Duration> {
        self.0
            .map(|instant| instant.saturating_duration_since(Instant::now()))
    }

    /// How long to wait for something before answering, with `most` where there is no nearer deadline.
    /// A little less than what is left, so that the answer still arrives in time.
    pub fn wait_at_most(self, most: Duration) -> Duration {
        self.remaining()
            .map_or(most, |left| most.min(left.mul_f32(0.9)))
    }

    /// Waits for something before answering, as long as the call may take and for a minute at most.
    ///
    /// # Errors
    /// DEADLINE_EXCEEDED where it has not come by then.
    pub async fn bounds<T>(self, waiting: impl Future<Output = T>) -> Result<T, Status> {
        tokio::time::timeout(self.wait_at_most(PATIENCE), waiting)
            .await
            .map_err(|_elapsed| errors::deadline_exceeded())
    }

    /// Gives a call to another service the same deadline.
    pub fn accompany<T>(self, request: &mut Request<T>) {
        if let Some(left) = self.remaining() {
            request.set_timeout(left);
        }
    }

    /// What the headers and our own bounds give.
    pub(crate) fn of_call(headers: &HeaderMap, streaming: bool, settings: &settings::Grpc) -> Self {
        let asked = headers
            .get("grpc-timeout")
            .and_then(|value| parse(value.to_str().ok()?));
        match (asked, streaming) {
            (Some(asked), true) => Self::after(asked),
            (None, true) => Self::NONE,
            (Some(asked), false) => Self::after(asked.min(settings.max_deadline)),
            (None, false) => Self::after(settings.default_deadline),
        }
    }
}

/// `grpc-timeout`: up to eight digits and a unit.
fn parse(text: &str) -> Option<Duration> {
    let split = text.len().checked_sub(1)?;
    let (digits, unit) = text.split_at_checked(split)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let amount: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(amount * 3600)),
        "M" => Some(Duration::from_secs(amount * 60)),
        "S" => Some(Duration::from_secs(amount)),
        "m" => Some(Duration::from_millis(amount)),
        "u" => Some(Duration::from_micros(amount)),
        "n" => Some(Duration::from_nanos(amount)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_as_grpc_writes_them() {
        assert_eq!(parse("250m"), Some(Duration::from_millis(250)));
        assert_eq!(parse("2H"), Some(Duration::from_secs(7200)));
        assert_eq!(parse("99999999S"), Some(Duration::from_secs(99_999_999)));
        for strange in ["", "S", "5", "-5S", "999999999S", "5x", "５S", "S5"] {
            assert_eq!(parse(strange), None, "{strange}");
        }
    }

    #[test]
    fn unary_calls_are_bounded_and_streams_only_by_their_callers() {
        let settings = settings::Grpc::default();
        let headers = |timeout: &str| {
            HeaderMap::from_iter([(
                http::HeaderName::from_static("grpc-timeout"),
                timeout.parse().unwrap(),
            )])
        };
        // Rounded up to seconds, for a moment passes.
        let left = |headers: &HeaderMap, streaming| {
            let left = Deadline::of_call(headers, streaming, &settings).remaining()?;
            Some(Duration::from_secs(left.as_millis().div_ceil(1000) as u64))
        };
        assert_eq!(
            left(&HeaderMap::new(), false),
            Some(settings.default_deadline)
        );
        assert_eq!(left(&headers("3S"), false), Some(Duration::from_secs(3)));
        assert_eq!(left(&headers("1H"), false), Some(settings.max_deadline));
        assert_eq!(left(&HeaderMap::new(), true), None);
        assert_eq!(left(&headers("1H"), true), Some(Duration::from_secs(3600)));
    }
}
