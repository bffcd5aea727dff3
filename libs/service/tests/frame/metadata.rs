//! Calls with more metadata than a call needs.

use crate::support::{Desk, READ, call, reason, text};
use service::{
    TokenIssuer,
    testing::{anybody, settings},
};
use tonic::Code;

#[tokio::test]
async fn metadata_beyond_16_kib_is_refused_with_a_typed_error() {
    let issuer = TokenIssuer::generate();
    let settings = settings(&issuer);
    let running = Desk::new().serve(&settings).await;
    let channel = running.channel_of(&issuer.issue(&anybody()));
    for (bytes, expected) in [(8 << 10, None), (17 << 10, Some(())), (48 << 10, Some(()))] {
        let mut request = text("370303");
        request
            .metadata_mut()
            .insert("x-note", "n".repeat(bytes).parse().unwrap());
        let answer = call(channel.clone(), READ, request).await;
        let Some(()) = expected else {
            answer.unwrap();
            continue;
        };
        let status = answer.unwrap_err();
        assert_eq!(
            (status.code(), reason(&status).as_str()),
            (Code::ResourceExhausted, "METADATA_TOO_LARGE")
        );
    }
    // However large it is, the connection's other calls go on.
    let mut request = text("370303");
    request
        .metadata_mut()
        .insert("x-note", "n".repeat(100 << 10).parse().unwrap());
    call(channel.clone(), READ, request).await.unwrap_err();
    call(channel.clone(), READ, text("370303")).await.unwrap();
    drop(channel);
    running.stop().await.unwrap();
}
