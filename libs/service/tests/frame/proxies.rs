//! From where a call comes goes on record: from the peer, or, where that is a trusted proxy, from whom it names.

use crate::{
    authority::{Authority, Files, channel},
    mutual_tls::{TIERING, settings_with},
    support::{Desk, TELL, call, text},
};
use proto::eldercare::sharing::v1::Look;
use service::{
    Settings, TokenIssuer,
    settings::TrustedProxy,
    testing::{anybody, settings},
};
use tonic::Request;

/// Settings that trust these proxies.
fn trusting(settings: Settings, proxies: &str) -> Settings {
    let proxies = proxies.split_whitespace();
    let proxies = proxies.map(|one| TrustedProxy::try_from(one.to_owned()).unwrap());
    let mut settings = settings;
    settings.grpc.trusted_proxies = proxies.collect();
    settings
}

/// A request as it comes by way of others, with these headers.
fn forwarded(headers: &[&str]) -> Request<String> {
    let mut request = text("");
    for header in headers {
        let header = header.parse().unwrap();
        request.metadata_mut().append("x-forwarded-for", header);
    }
    request
}

/// The one look that is on record.
fn look(desk: &Desk) -> Look {
    let mut looks = desk.access.looks();
    assert_eq!(looks.len(), 1, "{looks:?}");
    looks.remove(0)
}

#[tokio::test]
async fn a_proxy_is_believed_where_it_is_trusted() {
    const BEHIND_TWO: &[&str] = &["198.51.100.1", "203.0.113.9"];
    const PEER: &str = "127.0.0.1";
    let issuer = TokenIssuer::generate();
    let cases: [(&str, &[&str], &str); 8] = [
        ("", BEHIND_TWO, PEER),
        ("192.0.2.0/24 2001:db8::/32", BEHIND_TWO, PEER),
        ("127.0.0.0/8", BEHIND_TWO, "203.0.113.9"),
        ("sidecar", BEHIND_TWO, "203.0.113.9"),
        ("sidecar 203.0.113.0/24", BEHIND_TWO, "198.51.100.1"),
        ("sidecar", &["nonsense, [2001:db8::9]:41000"], "2001:db8::9"),
        ("sidecar", &["198.51.100.1, unknown"], PEER),
        ("sidecar", &[], PEER),
    ];
    for (trusted, headers, expected) in cases {
        let settings = trusting(settings(&issuer), trusted);
        let desk = Desk::new();
        let running = desk.serve(&settings).await;
        let channel = running.channel_of(&issuer.issue(&anybody()));
        call(channel, TELL, forwarded(headers)).await.unwrap();
        assert_eq!(look(&desk).address, expected, "{trusted}: {headers:?}");
        running.stop().await.unwrap();
    }
}

#[tokio::test]
async fn over_tls_it_is_the_same() {
    let authority = Authority::new();
    let files = Files::of(&authority.server(), &authority);
    for (trusted, expected) in [("", "127.0.0.1"), ("127.0.0.1", "203.0.113.9")] {
        let settings = trusting(settings_with(&files), trusted);
        let desk = Desk::new();
        let running = desk.serve(&settings).await;
        let known = channel(running.address, &authority, Some(authority.caller(TIERING)));
        let request = forwarded(&["203.0.113.9"]);
        call(known, TELL, request).await.unwrap();
        let look = look(&desk);
        assert_eq!(
            [look.caller.as_str(), &look.address],
            ["system:tiering", expected]
        );
        running.stop().await.unwrap();
    }
}
