//! From a call to a decision on the log and back: who asks, under which request id, and how it is answered if nothing comes of it.

use chrono::{DateTime, Utc};
use civic::DivisionCode;
use eventlog::{CommandContext, ExecuteError, LoadError, RequestDigest};
use hmac::{Hmac, KeyInit as _, Mac as _};
use prost::Message;
use sm3::Sm3;
use tonic::{Code, Status};
use uuid::Uuid;

use crate::{
    caller::Caller,
    errors::{self, Refusal},
    input::first_half,
    settings::Settings,
    telemetry,
};

/// What is remembered of requests with their ids, so that the same id with another body is refused.
///
/// The digests stay in the log for ever. They are keyed (HMAC-SM3), since a plain digest of a request with an ID number
/// would let anybody who reads the log find that number by trying all of them, also after its person was erased.
/// Where the key was changed, a retry of a request from before is known by the former keys.
#[derive(Clone)]
pub struct RequestDigests {
    current: Hmac<Sm3>,
    former: Vec<Hmac<Sm3>>,
}

/// There is no key for digests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("`vault.index_key` is not configured: digests of requests need it")]
pub struct NoDigestKey;

impl std::fmt::Debug for RequestDigests {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RequestDigests")
    }
}

impl RequestDigests {
    /// Digests under keys of their own, derived from `vault.index_key` and `vault.previous_index_keys`.
    ///
    /// # Errors
    /// If no index key is configured.
    pub fn from_settings(settings: &Settings) -> Result<Self, NoDigestKey> {
        let vault = &settings.vault;
        let current = vault.index_key.as_ref().ok_or(NoDigestKey)?;
        let former = vault.previous_index_keys.values();
        Ok(Self {
            current: mac(current.expose().as_bytes()),
            former: former.map(|key| mac(key.expose().as_bytes())).collect(),
        })
    }

    /// Digests under a key that is kept. A fixed text will do for a service whose requests hold no personal data.
    pub fn keyed(key: &[u8]) -> Self {
        Self {
            current: mac(key),
            former: Vec::new(),
        }
    }

    /// The digest of a request. Fields that this version does not know don't count.
    pub fn of(&self, request: &impl Message) -> RequestDigest {
        let bytes = request.encode_to_vec();
        let digest = |mac: &Hmac<Sm3>| {
            let whole = mac.clone().chain_update(&bytes).finalize().into_bytes();
            first_half(&whole)
        };
        RequestDigest::new(digest(&self.current), self.former.iter().map(digest))
    }
}

fn mac(key: &[u8]) -> Hmac<Sm3> {
    let mac = Hmac::<Sm3>::new_from_slice(key).expect("an HMAC takes keys of any length");
    mac.chain_update(b"eldercare request digest\0")
}

/// What each command of a caller bears.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The caller's id of the request.
    pub request_id: Uuid,
    /// What tells a retry from another request under this id.
    pub digest: RequestDigest,
}

impl Asked {
    /// The context of the command, in the present trace; `division` is where its aggregate belongs.
    pub fn by(
        &self,
        caller: &Caller,
        now: DateTime<Utc>,
        division: Option<DivisionCode>,
    ) -> CommandContext {
        caller.context(self.request_id, self.digest.clone(), now, division)
    }
}

impl Caller {
    /// The context of a command that this call asks for, in the present trace.
    pub fn context(
        &self,
        request_id: Uuid,
        request_digest: impl Into<RequestDigest>,
        now: DateTime<Utc>,
        division: Option<DivisionCode>,
    ) -> CommandContext {
        CommandContext {
            request_id,
            request_digest: request_digest.into(),
            actor: self.actor(),
            now,
            correlation_id: request_id,
            causation_id: None,
            division: division.map(|division| division.to_string()),
            traceparent: telemetry::traceparent(),
            answers: None,
            purpose: self.purpose().map(str::to_owned),
        }
    }
}

/// The answer to a command that was not carried out; `refused` says how the rules' own refusals are told.
pub fn not_executed<R>(error: ExecuteError<R>, refused: impl FnOnce(R) -> Status) -> Status {
    match error {
        ExecuteError::Refused(refusal) => refused(refusal),
        ExecuteError::RequestIdReused => errors::request_id_reused(),
        ExecuteError::Contended => errors::aborted(
            "CONTENDED",
            "others kept changing the same record: try again",
            "该档案正被他人反复修改，请重试",
        ),
        ExecuteError::TooLarge => Refusal::new(
            Code::InvalidArgument,
            "REQUEST_TOO_LARGE",
            "what follows from the request is too large for one record",
            "请求内容过大，无法写入一条记录",
        )
        .into(),
        ExecuteError::Invalid(fault) => errors::internal(&fault),
        ExecuteError::Unreadable {
            subject,
            sequence,
            reason,
        } => errors::internal(&format!(
            "message {sequence} on {subject} can't be read: {reason}"
        )),
        ExecuteError::Unavailable(error) => log_unavailable(&error),
    }
}

/// The answer to a query whose aggregate could not be loaded.
pub fn not_loaded(error: LoadError) -> Status {
    match error {
        LoadError::Unavailable(error) => log_unavailable(&error),
        fault
        @ (LoadError::Invalid(_) | LoadError::Twice { .. } | LoadError::Unreadable { .. }) => {
            errors::internal(&fault)
        }
    }
}

fn log_unavailable(error: &str) -> Status {
    tracing::warn!(error, "the event log is unavailable");
    errors::unavailable("the event log")
}

#[cfg(test)]
mod tests {
    use tonic_types::StatusExt as _;

    use super::*;

    #[test]
    fn the_digest_tells_requests_apart_and_needs_its_key() {
        let (ours, theirs) = (
            RequestDigests::keyed(b"ours"),
            RequestDigests::keyed(b"theirs"),
        );
        let request = "370303195001011234".to_owned();
        assert_eq!(ours.of(&request), ours.of(&request.clone()));
        assert_ne!(ours.of(&request), ours.of(&"370303195001011242".to_owned()));
        assert_ne!(ours.of(&request), theirs.of(&request));
    }

    #[test]
    fn each_outcome_has_its_code() {
        let told = |error: ExecuteError<&'static str>| {
            let status = not_executed(error, |reason| {
                errors::failed_precondition(reason, "no", "否")
            });
            (
                status.code(),
                status.get_details_error_info().unwrap().reason,
            )
        };
        let expect = |code, reason: &str| (code, reason.to_owned());
        assert_eq!(
            told(ExecuteError::Refused("DECEASED")),
            expect(Code::FailedPrecondition, "DECEASED")
        );
        assert_eq!(
            told(ExecuteError::RequestIdReused),
            expect(Code::InvalidArgument, "REQUEST_ID_REUSED")
        );
        assert_eq!(
            told(ExecuteError::Contended),
            expect(Code::Aborted, "CONTENDED")
        );
        assert_eq!(
            told(ExecuteError::Unavailable("gone".into())),
            expect(Code::Unavailable, "UNAVAILABLE")
        );
        assert_eq!(
            told(ExecuteError::Invalid("twice".into())),
            expect(Code::Internal, "INTERNAL")
        );
    }
}
