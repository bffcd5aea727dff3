//! How a call is refused: the status, the reason that a program reads, and the text that a person reads, in Chinese and English.
//!
//! Every refusal bears `google.rpc.ErrorInfo` (reason in UPPER_SNAKE_CASE, domain `eldercare`) and two
//! `google.rpc.LocalizedMessage` (zh-CN and en); the status message is the English text. Malformed requests name each
//! field in `BadRequest`. Texts name fields and rules, never values: no personal data leaves by an error.

use std::{borrow::Cow, collections::HashMap, time::Duration};

use rand::Rng as _;
use readmodel::DatabaseError;
use tonic::{Code, Status};
use tonic_types::{
    BadRequest, ErrorDetail, ErrorInfo, FieldViolation, LocalizedMessage, PreconditionFailure,
    PreconditionViolation, RequestInfo, ResourceInfo, RetryInfo, StatusExt as _,
};
use uuid::Uuid;

/// The domain of every reason.
pub const DOMAIN: &str = "eldercare";

/// More would not fit the headers that clients accept; who mends these will be told the rest.
const MOST_VIOLATIONS: usize = 16;

/// A text of ours: fixed, or put together from fixed parts.
pub type Text = Cow<'static, str>;

/// What is wrong with one field of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The field's path, as `contacts[1].phone`.
    pub field: String,
    /// For programs, as `TOO_LONG`.
    pub reason: Cow<'static, str>,
    /// For people, in English. Names no value.
    pub en: Text,
    /// The same in Chinese.
    pub zh: Text,
}

impl Violation {
    /// A violation by a field.
    pub fn new(
        field: impl Into<String>,
        reason: impl Into<Cow<'static, str>>,
        en: impl Into<Text>,
        zh: impl Into<Text>,
    ) -> Self {
        Self {
            field: field.into(),
            reason: reason.into(),
            en: en.into(),
            zh: zh.into(),
        }
    }
}

impl From<Violation> for Status {
    fn from(violation: Violation) -> Self {
        invalid_argument(vec![violation])
    }
}

/// A refusal in the making. The functions of this module cover the usual ones.
#[derive(Debug, Clone)]
#[must_use = "a refusal refuses nothing until it is returned"]
pub struct Refusal {
    code: Code,
    reason: Cow<'static, str>,
    en: Text,
    zh: Text,
    metadata: HashMap<String, String>,
    details: Vec<ErrorDetail>,
}

impl Refusal {
    /// A refusal with its code, its reason for programs, and its text for people in both languages.
    pub fn new(
        code: Code,
        reason: impl Into<Cow<'static, str>>,
        en: impl Into<Text>,
        zh: impl Into<Text>,
    ) -> Self {
        Self {
            code,
            reason: reason.into(),
            en: en.into(),
            zh: zh.into(),
            metadata: HashMap::new(),
            details: Vec::new(),
        }
    }

    /// Adds a fact that a program may act on. No personal data.
    pub fn with(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }

    /// Names the fields that are wrong; the first sixteen are told.
    pub fn violations(mut self, violations: &[Violation]) -> Self {
        let fields: Vec<FieldViolation> = violations
            .iter()
            .take(MOST_VIOLATIONS)
            .map(field_violation)
            .collect();
        self.details.push(BadRequest::new(fields).into());
        self
    }

    /// Says when it is worth trying again.
    pub fn retry_after(mut self, delay: Duration) -> Self {
        self.details.push(RetryInfo::new(Some(delay)).into());
        self
    }

    /// Names what the refusal is about, as (`elder`, its id).
    pub fn about(mut self, kind: &str, name: impl Into<String>) -> Self {
        self.details
            .push(ResourceInfo::new(kind, name, "", self.en.clone()).into());
        self
    }

    /// Names the rule that stands against it, and what would have to change first.
    pub fn precondition(mut self, subject: impl Into<String>) -> Self {
        let violation = PreconditionViolation::new(self.reason.clone(), subject, self.en.clone());
        self.details
            .push(PreconditionFailure::new(vec![violation]).into());
        self
    }

    /// Gives the id under which the log tells more.
    pub fn reference(mut self, reference: Uuid) -> Self {
        self.details
            .push(RequestInfo::new(reference.to_string(), "").into());
        self
    }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        let mut details: Vec<ErrorDetail> = vec![
            ErrorInfo::new(refusal.reason, DOMAIN, refusal.metadata).into(),
            LocalizedMessage::new("zh-CN", refusal.zh).into(),
            LocalizedMessage::new("en", refusal.en.clone()).into(),
        ];
        details.extend(refusal.details);
        Self::with_error_details_vec(refusal.code, refusal.en, details)
    }
}

fn field_violation(violation: &Violation) -> FieldViolation {
    let mut told = FieldViolation::new(violation.field.clone(), violation.en.clone());
    told.reason = violation.reason.clone().into_owned();
    // The description is English; Chinese clients read this.
    told.localized_message = Some(LocalizedMessage::new("zh-CN", violation.zh.clone()));
    told
}

/// INVALID_ARGUMENT: the request is malformed, each wrong field being named.
pub fn invalid_argument(violations: Vec<Violation>) -> Status {
    let reason = match violations.as_slice() {
        [only] => only.reason.clone(),
        _ => Cow::Borrowed("INVALID_REQUEST"),
    };
    let (en, zh) = match violations.first() {
        Some(first) if violations.len() == 1 => (
            format!("{}: {}", first.field, first.en),
            format!("{}：{}", first.field, first.zh),
        ),
        Some(_) | None => (
            format!("{} fields are wrong", violations.len()),
            format!("有 {} 个字段不符合要求", violations.len()),
        ),
    };
    Refusal::new(Code::InvalidArgument, reason, en, zh)
        .violations(&violations)
        .into()
}

/// FAILED_PRECONDITION: refused by the rules as things stand.
pub fn failed_precondition(
    reason: &'static str,
    en: impl Into<Text>,
    zh: impl Into<Text>,
) -> Status {
    Refusal::new(Code::FailedPrecondition, reason, en, zh)
        .precondition("")
        .into()
}

/// NOT_FOUND: there is no such thing, or none that the caller may know of.
pub fn not_found(
    kind: &'static str,
    name: impl Into<String>,
    en: impl Into<Text>,
    zh: impl Into<Text>,
) -> Status {
    let reason = format!("{}_NOT_FOUND", kind.to_ascii_uppercase());
    Refusal::new(Code::NotFound, reason, en, zh)
        .about(kind, name)
        .into()
}

/// ALREADY_EXISTS: what was to be created is there.
pub fn already_exists(
    kind: &'static str,
    name: impl Into<String>,
    reason: &'static str,
    en: impl Into<Text>,
    zh: impl Into<Text>,
) -> Status {
    Refusal::new(Code::AlreadyExists, reason, en, zh)
        .about(kind, name)
        .into()
}

/// ABORTED: others were faster again and again, or the etag is stale. Read again and retry.
pub fn aborted(reason: &'static str, en: impl Into<Text>, zh: impl Into<Text>) -> Status {
    Refusal::new(Code::Aborted, reason, en, zh)
        .retry_after(soon())
        .into()
}

/// ABORTED: the `etag` given is not the present one.
pub fn etag_mismatch() -> Status {
    aborted(
        "ETAG_MISMATCH",
        "the record has changed since it was read: read it again and repeat the change",
        "该档案在读取后已被修改，请重新读取后再提交",
    )
}

/// INVALID_ARGUMENT: the request id was used before, for something else.
pub fn request_id_reused() -> Status {
    Violation::new(
        "request_id",
        "REQUEST_ID_REUSED",
        "was used before with another request: take a new one",
        "已用于另一个请求，请换用新的标识",
    )
    .into()
}

/// PERMISSION_DENIED: the caller is known, and may not.
pub fn permission_denied(reason: &'static str, en: impl Into<Text>, zh: impl Into<Text>) -> Status {
    Refusal::new(Code::PermissionDenied, reason, en, zh).into()
}

/// UNAUTHENTICATED: the caller is not known.
pub fn unauthenticated(reason: &'static str, en: impl Into<Text>, zh: impl Into<Text>) -> Status {
    Refusal::new(Code::Unauthenticated, reason, en, zh).into()
}

/// RESOURCE_EXHAUSTED: more than can be done now, or than the caller is allowed.
pub fn resource_exhausted(
    reason: &'static str,
    en: impl Into<Text>,
    zh: impl Into<Text>,
    retry_after: Duration,
) -> Status {
    Refusal::new(Code::ResourceExhausted, reason, en, zh)
        .retry_after(retry_after)
        .into()
}

/// UNAVAILABLE: log, database or a peer is out of reach. The outcome may be unknown: a retry with the
/// same request id is safe.
pub fn unavailable(what: &'static str) -> Status {
    Refusal::new(
        Code::Unavailable,
        "UNAVAILABLE",
        format!("{what} is out of reach for the moment: try again with the same request_id"),
        "服务暂时不可用，请用同一 request_id 重试",
    )
    .with("dependency", what)
    .retry_after(soon())
    .into()
}

/// The answer where a query failed: UNAVAILABLE where the database is away, INTERNAL where a row can't be read.
pub fn of_database(error: sqlx::Error) -> Status {
    of_look_up(DatabaseError::from(error))
}

/// The same where those who look up single rows share a query.
pub fn of_look_up(error: DatabaseError) -> Status {
    if error.is_away() {
        tracing::warn!(%error, "the database is unavailable");
        return unavailable("the database");
    }
    // The server's own text may quote values of rows; this shows none.
    internal(&error)
}

/// DEADLINE_EXCEEDED: the call's time is up. The outcome may be unknown: a retry with the same request
/// id is safe.
pub fn deadline_exceeded() -> Status {
    Refusal::new(
        Code::DeadlineExceeded,
        "DEADLINE_EXCEEDED",
        "the call's deadline passed before it was done",
        "在期限内未能完成请求",
    )
    .into()
}

/// UNAVAILABLE: the service has just been started and does not know yet all that the log says. Nothing was done.
pub fn starting() -> Status {
    Refusal::new(
        Code::Unavailable,
        "STARTING",
        "the service is starting and still reading the log: try again",
        "服务正在启动，请稍后重试",
    )
    .retry_after(soon())
    .into()
}

/// UNAVAILABLE: the service is going down, and the call was cut off.
pub fn shutting_down() -> Status {
    Refusal::new(
        Code::Unavailable,
        "SHUTTING_DOWN",
        "the service is going down: try again, another instance will answer",
        "服务正在停止，请重试",
    )
    .retry_after(soon())
    .into()
}

/// INTERNAL: our own bug. The cause goes to the log under a reference, and only the reference to the caller.
///
/// `cause` must name no personal data.
pub fn internal(cause: &dyn std::fmt::Display) -> Status {
    let reference = Uuid::now_v7();
    tracing::error!(%reference, %cause, "a call failed by a fault of our own");
    Refusal::new(
        Code::Internal,
        "INTERNAL",
        format!("a fault of the system; its reference is {reference}"),
        format!("系统内部错误，编号 {reference}"),
    )
    .reference(reference)
    .into()
}

/// A short delay before the next try, different for each caller so that they don't come back together.
pub fn soon() -> Duration {
    Duration::from_millis(rand::rng().random_range(100..500))
}

/// An error with its causes, for the log and for whoever starts a service.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_speaks_to_programs_and_to_people_in_both_languages() {
        let status = failed_precondition(
            "CONSENT_REQUIRED",
            "no consent to home visits",
            "未获入户同意",
        );
        assert_eq!(status.code(), Code::FailedPrecondition);
        assert_eq!(status.message(), "no consent to home visits");
        let details = status.get_error_details_vec();
        let mut spoken = Vec::new();
        let mut reasons = Vec::new();
        for detail in details {
            if let ErrorDetail::LocalizedMessage(message) = detail {
                spoken.push((message.locale, message.message));
            } else if let ErrorDetail::ErrorInfo(info) = detail {
                reasons.push((info.reason, info.domain));
            }
        }
        assert_eq!(
            reasons,
            [("CONSENT_REQUIRED".to_owned(), "eldercare".to_owned())]
        );
        assert_eq!(
            spoken,
            [
                ("zh-CN".to_owned(), "未获入户同意".to_owned()),
                ("en".to_owned(), "no consent to home visits".to_owned()),
            ]
        );
    }

    #[test]
    fn each_wrong_field_is_named() {
        let status = invalid_argument(vec![
            Violation::new("name", "REQUIRED", "is missing", "缺少"),
            Violation::new(
                "contacts[1].phone",
                "PHONE_INVALID",
                "is no phone number",
                "号码无效",
            ),
        ]);
        let bad = status.get_details_bad_request().unwrap();
        let fields: Vec<_> = bad
            .field_violations
            .iter()
            .map(|v| (v.field.as_str(), v.reason.as_str()))
            .collect();
        assert_eq!(
            fields,
            [("name", "REQUIRED"), ("contacts[1].phone", "PHONE_INVALID")]
        );
        assert_eq!(
            status.get_details_error_info().unwrap().reason,
            "INVALID_REQUEST"
        );
    }

    #[test]
    fn a_fault_of_our_own_tells_only_its_reference() {
        let status = internal(&"column elder_name is null");
        assert_eq!(status.code(), Code::Internal);
        assert!(!status.message().contains("column"));
        let reference = status.get_details_request_info().unwrap().request_id;
        assert!(status.message().contains(&reference));
    }

    #[test]
    fn a_refusal_with_very_many_violations_still_fits_the_headers() {
        let many = (0..500)
            .map(|i| Violation::new(format!("rows[{i}]"), "REQUIRED", "is missing", "缺少"))
            .collect();
        assert!(invalid_argument(many).details().len() < 4096);
    }
}
