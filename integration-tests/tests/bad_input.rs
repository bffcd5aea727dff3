//! Requests that are wrong in every way: each is refused with a reason, nothing is written, and the service stays as it was.

use bytes::{Buf as _, BufMut as _, Bytes};
use futures::StreamExt as _;
use http::uri::PathAndQuery;
use integration_tests::{System, an_elder, callers::Authorised, new_id, reason};
use prost::Message;
use proto::eldercare::registry::v1::RecordHandicapRequest;
use tonic::{
    Code, Request, Status,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
};
use tonic_types::{ErrorDetail, StatusExt as _};

mod any_message;
mod callers;
mod claims;
mod messages;
mod orders;
mod oversize;
mod programmes;
mod records;
mod signals;
mod survey_streams;
mod terms;
mod workbooks;

/// Sends bytes as they are, so that they may be no message at all.
#[derive(Clone, Copy, Default)]
struct AsTheyAre;

impl Codec for AsTheyAre {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for AsTheyAre {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        into.put(item);
        Ok(())
    }
}

impl Decoder for AsTheyAre {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}

/// Sends a request and hears the answer to its end.
async fn send(
    channel: Authorised,
    path: &'static str,
    messages: Vec<Bytes>,
) -> Result<usize, Status> {
    let mut grpc = tonic::client::Grpc::new(channel).max_decoding_message_size(64 << 20);
    grpc.ready()
        .await
        .map_err(|error| Status::unknown(error.to_string()))?;
    let request = Request::new(tokio_stream::iter(messages));
    let mut answers = grpc
        .streaming(request, PathAndQuery::from_static(path), AsTheyAre)
        .await?
        .into_inner();
    let mut heard = 0;
    while answers.message().await?.is_some() {
        heard += 1;
    }
    Ok(heard)
}

/// Sends bytes as a stream of messages, each of which is answered: the answers, and why it ended if it did not end well.
async fn stream<A: Message + Default>(
    channel: Authorised,
    path: &'static str,
    messages: Vec<Bytes>,
) -> (Vec<A>, Option<Status>) {
    let mut grpc = tonic::client::Grpc::new(channel);
    grpc.ready().await.unwrap();
    let request = Request::new(tokio_stream::iter(messages));
    let path = PathAndQuery::from_static(path);
    let mut answers = match grpc.streaming(request, path, AsTheyAre).await {
        Ok(answers) => answers.into_inner(),
        Err(status) => return (Vec::new(), Some(status)),
    };
    let mut heard = Vec::new();
    while let Some(answer) = answers.next().await {
        match answer {
            Ok(bytes) => heard.push(A::decode(bytes).unwrap()),
            Err(status) => return (heard, Some(status)),
        }
    }
    (heard, None)
}

/// Bytes that are no message of a stream whose messages have a message in field 1.
const NO_MESSAGES: [&[u8]; 3] = [&[0x0A, 0x7F, 1], &[0x08, 0x96, 0x01], &[0x0F; 3]];

/// A refusal as every refusal must be: a code that fits, a reason of ours, texts in both languages.
fn is_typed(status: &Status, wrong: &str) {
    let fits = [
        Code::InvalidArgument,
        Code::Unauthenticated,
        Code::PermissionDenied,
        Code::FailedPrecondition,
        Code::NotFound,
    ];
    assert!(fits.contains(&status.code()), "{wrong}: {status}");
    assert!(
        !reason(status).is_empty(),
        "{wrong}: no reason of ours in {status}"
    );
    let details = status.get_error_details_vec();
    let mut spoken: Vec<_> = details
        .iter()
        .filter_map(|detail| {
            if let ErrorDetail::LocalizedMessage(text) = detail {
                Some(text.locale.as_str())
            } else {
                None
            }
        })
        .collect();
    spoken.sort_unstable();
    assert_eq!(spoken, ["en", "zh-CN"], "{wrong}: {status}");
}

async fn still_works(system: &mut System) {
    assert!(system.is_running());
    assert!(!system.logged().contains("panicked"), "a handler panicked");
    let elder_id = system.register(an_elder("林好人")).await;
    let handicap = RecordHandicapRequest {
        request_id: new_id(),
        elder_id,
        grade: 3,
        ..Default::default()
    };
    assert!(
        system
            .registry()
            .record_handicap(handicap)
            .await
            .unwrap()
            .into_inner()
            .committed
            .unwrap()
            .changed
    );
}
