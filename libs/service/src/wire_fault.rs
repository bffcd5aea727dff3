//! Messages that can't be read or sent, as they are no Protobuf or too large: the refusal bears a reason like every other one.

use http::{HeaderMap, Response};
use tonic::{Code, Status, body::Body};

use crate::errors::Refusal;

const CODE: &str = "grpc-status";
const DETAILS: &str = "grpc-status-details-bin";

/// Puts a typed refusal in the place of one that the transport gave before a handler saw the request.
///
/// What a handler refuses bears details; what bears none came from below. In place of INTERNAL, which the transport
/// gives for a message that is no Protobuf, it is the caller's mistake.
pub(crate) fn typed(response: Response<Body>) -> Response<Body> {
    match refusal(response.headers()) {
        Some(refusal) => Status::from(refusal).into_http(),
        None => response,
    }
}

/// The same for what the transport says at the end of an answer: the answer itself may be too large, or a message in a
/// stream of requests unreadable.
pub(crate) fn type_trailers(trailers: &mut HeaderMap) {
    if let Some(refusal) = refusal(trailers) {
        let told = Status::from(refusal);
        let mut typed = HeaderMap::new();
        // Fails only for metadata, and there is none.
        if told.add_header(&mut typed).is_ok() {
            trailers.extend(typed);
        }
    }
}

/// How tonic begins its text where it is the answer that is too large, not the request.
const ANSWER_TOO_LARGE: &str = "Error, encoded message";

fn refusal(headers: &HeaderMap) -> Option<Refusal> {
    if headers.contains_key(DETAILS) {
        return None;
    }
    let code = Code::from_bytes(headers.get(CODE)?.as_bytes());
    let says = |text| {
        Status::from_header_map(headers).is_some_and(|status| status.message().starts_with(text))
    };
    match code {
        Code::OutOfRange | Code::ResourceExhausted if says(ANSWER_TOO_LARGE) => Some(Refusal::new(
            Code::OutOfRange,
            "ANSWER_TOO_LARGE",
            "the answer is larger than this service gives: ask for less at a time",
            "应答超过本服务允许的大小，请减少一次查询的数据量",
        )),
        Code::Internal => Some(Refusal::new(
            Code::InvalidArgument,
            "MESSAGE_MALFORMED",
            "the request can't be read: it is no message of this method, or a text in it is no UTF-8",
            "请求无法解析：不是该方法的消息，或文字不是 UTF-8",
        )),
        Code::OutOfRange | Code::ResourceExhausted => Some(Refusal::new(
            Code::InvalidArgument,
            "MESSAGE_TOO_LARGE",
            "the request is larger than this service takes",
            "请求超过本服务接收的大小",
        )),
        Code::Unimplemented => Some(Refusal::new(
            Code::Unimplemented,
            "NOT_IMPLEMENTED",
            "the service has no such method, or does not read this compression",
            "没有该方法，或不支持该压缩方式",
        )),
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::InvalidArgument
        | Code::DeadlineExceeded
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::Aborted
        | Code::Unavailable
        | Code::DataLoss
        | Code::Unauthenticated => None,
    }
}

#[cfg(test)]
mod tests {
    use tonic_types::StatusExt as _;

    use super::*;

    fn told(response: &Response<Body>) -> Status {
        Status::from_header_map(response.headers()).unwrap()
    }

    #[test]
    fn what_the_transport_refuses_gets_a_reason() {
        for (from_below, code, reason) in [
            (
                Status::internal("failed to decode"),
                Code::InvalidArgument,
                "MESSAGE_MALFORMED",
            ),
            (
                Status::out_of_range("too large"),
                Code::InvalidArgument,
                "MESSAGE_TOO_LARGE",
            ),
            (
                Status::unimplemented("gzip"),
                Code::Unimplemented,
                "NOT_IMPLEMENTED",
            ),
        ] {
            let status = told(&typed(from_below.into_http()));
            assert_eq!(status.code(), code);
            assert_eq!(status.get_details_error_info().unwrap().reason, reason);
        }
    }

    #[test]
    fn what_a_handler_refuses_stays_as_it_is() {
        let ours = crate::errors::internal(&"a fault");
        let status = told(&typed(ours.clone().into_http()));
        assert_eq!(
            (status.code(), status.details()),
            (ours.code(), ours.details())
        );
        let answered = typed(Response::new(Body::empty()));
        assert!(answered.headers().is_empty());
        let mut trailers = HeaderMap::new();
        ours.add_header(&mut trailers).unwrap();
        let before = trailers.clone();
        type_trailers(&mut trailers);
        assert_eq!(trailers, before);
    }

    #[test]
    fn what_the_transport_says_at_the_end_gets_a_reason_too() {
        let mut trailers = HeaderMap::new();
        let status = Status::internal("failed to decode Protobuf message");
        status.add_header(&mut trailers).unwrap();
        type_trailers(&mut trailers);
        let told = Status::from_header_map(&trailers).unwrap();
        assert_eq!(told.code(), Code::InvalidArgument);
        let reason = told.get_details_error_info().unwrap().reason;
        assert_eq!(reason, "MESSAGE_MALFORMED");
    }
}
