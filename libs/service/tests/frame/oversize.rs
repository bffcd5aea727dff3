//! Messages that are larger than they may be, or say so: refused with a reason, before they are in memory, and the calls of
//! others on the same connection go on.

use crate::{
    support::{Desk, READ, WAIT, call, reason, text},
    wire::{DATA, END_HEADERS, END_STREAM, HEADERS, Wire, call_of, frame, headers_of},
};
use service::{
    TokenIssuer,
    testing::{anybody, settings},
};
use tonic::{Code, Request};

/// A MiB more than is taken.
const TOO_LARGE: usize = 5 << 20;

#[tokio::test]
async fn a_request_that_is_too_large_or_in_an_unknown_form_is_refused_and_others_go_on() {
    let issuer = TokenIssuer::generate();
    let settings = settings(&issuer);
    let desk = Desk::new();
    let running = desk.serve(&settings).await;
    let channel = running.channel_of(&issuer.issue(&anybody()));
    let other = tokio::spawn(call(channel.clone(), WAIT, text("")));
    desk.somebody_waits().await;

    let mut packed = text("370303");
    let encoding = "gzip".parse().unwrap();
    packed.metadata_mut().insert("grpc-encoding", encoding);
    let large: Request<String> = Request::new("x".repeat(TOO_LARGE));
    for (request, expected) in [
        (large, (Code::InvalidArgument, "MESSAGE_TOO_LARGE")),
        (packed, (Code::Unimplemented, "NOT_IMPLEMENTED")),
    ] {
        let status = call(channel.clone(), READ, request).await.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), expected);
    }
    call(channel, READ, text("370303")).await.unwrap();
    desk.released.add_permits(1);
    assert_eq!(other.await.unwrap().unwrap(), "done");
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_message_that_only_says_that_it_is_large_is_not_waited_for() {
    let issuer = TokenIssuer::generate();
    let settings = settings(&issuer);
    let running = Desk::new().serve(&settings).await;
    let token = issuer.issue(&anybody());
    let mut wire = Wire::greeting(running.address, &[]).await;
    let headers = headers_of(READ, &token);
    // Four gigabytes are announced, and three bytes come.
    let announced = [0, 0xFF, 0xFF, 0xFF, 0xFF, 1, 2, 3];
    for bytes in [
        frame(HEADERS, END_HEADERS, 1, &headers),
        frame(DATA, 0, 1, &announced),
    ] {
        wire.send(&bytes).await.unwrap();
    }
    let refused = wire.next_of(HEADERS).await.unwrap();
    assert_eq!(
        (refused.stream, refused.flags & END_STREAM),
        (1, END_STREAM)
    );
    let next = call_of(3, READ, &token, "370303");
    wire.send(&next).await.unwrap();
    let answered = wire.next_of(HEADERS).await.unwrap();
    assert_eq!((answered.stream, answered.flags & END_STREAM), (3, 0));
    drop(wire);
    running.stop().await.unwrap();
}
