//! Calls from one service to another: in whose name, in which trace, and over which connection.

use crate::{
    authority::{Authority, Files},
    mutual_tls::{TIERING, settings_with},
    support::{Desk, READ, WAIT, call, reason, text},
};
use service::{
    Claims, Settings, TokenIssuer,
    peer::{self, PeerError},
    settings::Secret,
    testing::{anybody, settings},
};
use tonic::{Code, service::Interceptor as _};

fn visits() -> Claims {
    Claims::system("visits", "platform")
        .role("service")
        .division("*")
        .purpose("visits")
}

/// The settings of a service whose peer, the desk, is at this address.
fn calling(address: &str) -> Settings {
    let mut settings = Settings::default();
    settings.peers.insert("desk".to_owned(), address.to_owned());
    settings
}

#[tokio::test]
async fn a_service_calls_in_its_own_name_unless_the_call_bears_that_of_another() {
    let issuer = TokenIssuer::generate();
    let own = settings(&issuer);
    let running = Desk::new().serve(&own).await;
    let mut settings = calling(&format!("http://{}", running.address));
    settings.auth.service_token = Some(Secret::new(issuer.issue(&visits())));
    let channel = peer::channel(&settings, "desk").unwrap();
    assert_eq!(
        call(channel.clone(), READ, text("370303")).await.unwrap(),
        "system:visits"
    );
    let mut of_another = text("370303");
    let officer = format!("Bearer {}", issuer.issue(&anybody()));
    of_another
        .metadata_mut()
        .insert("authorization", officer.parse().unwrap());
    assert_eq!(
        call(channel, READ, of_another).await.unwrap(),
        "officer:test-officer"
    );

    settings.auth.service_token = None;
    let nobody = peer::channel(&settings, "desk").unwrap();
    let status = call(nobody, READ, text("370303")).await.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::Unauthenticated, "TOKEN_MISSING")
    );
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_token_may_stand_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, " token-of-visits\n").unwrap();
    let mut settings = Settings::default();
    settings.auth.service_token_file = Some(file.clone());
    let mut credentials = peer::Credentials::new(&settings);
    let shown = credentials.call(tonic::Request::new(())).unwrap();
    assert_eq!(
        shown.metadata().get("authorization").unwrap(),
        "Bearer token-of-visits"
    );
    // It is remembered for a while: the file may be replaced, not taken away for long.
    std::fs::remove_file(&file).unwrap();
    let shown = credentials.call(tonic::Request::new(())).unwrap();
    assert!(shown.metadata().contains_key("authorization"));

    let mut without = peer::Credentials::new(&settings);
    let shown = without.call(tonic::Request::new(())).unwrap();
    assert!(!shown.metadata().contains_key("authorization"));
}

#[tokio::test]
async fn services_know_each_other_by_certificates_that_may_be_replaced() {
    let authority = Authority::new();
    let files = Files::of(&authority.server(), &authority);
    let mut own = settings_with(&files);
    let mut visits = own.auth.certificates[0].clone();
    visits.name = "spiffe://eldercare/visits".to_owned();
    visits.subject = "visits".to_owned();
    own.auth.certificates.push(visits);
    let running = Desk::new().serve(&own).await;

    let shown = Files::of(&authority.caller(TIERING), &authority);
    let mut settings = calling(&format!("https://{}", running.address));
    settings.peer_tls = Some(shown.peer());
    let channel = peer::channel(&settings, "desk").unwrap();
    assert_eq!(
        call(channel.clone(), READ, text("370303")).await.unwrap(),
        "system:tiering"
    );
    let (certificate, key) = authority.caller("spiffe://eldercare/visits");
    shown.put((&certificate, &key));
    assert_eq!(
        call(channel.clone(), READ, text("370303")).await.unwrap(),
        "system:visits"
    );
    // What can't be used changes nothing.
    shown.put(("no PEM", "no PEM"));
    assert_eq!(
        call(channel, READ, text("370303")).await.unwrap(),
        "system:visits"
    );

    // A server of an authority that is not trusted gets no call.
    let distrusted = Files::of(&authority.caller(TIERING), &Authority::new());
    settings.peer_tls = Some(distrusted.peer());
    let channel = peer::channel(&settings, "desk").unwrap();
    let status = call(channel, WAIT, text("")).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_peer_that_is_not_well_configured_is_refused_at_the_start() {
    let refused = |settings: &Settings| peer::channel(settings, "desk").unwrap_err();
    assert!(matches!(
        refused(&Settings::default()),
        PeerError::Unknown(name) if name == "desk"
    ));
    assert!(matches!(
        refused(&calling("not an address")),
        PeerError::Address(..)
    ));
    let mut settings = calling("https://desk:7000");
    assert!(matches!(refused(&settings), PeerError::NoAuthority(_)));
    let authority = Authority::new();
    let files = Files::of(&authority.caller(TIERING), &authority);
    settings.peer_tls = Some(service::settings::PeerTls {
        key: None,
        ..files.peer()
    });
    assert!(matches!(refused(&settings), PeerError::HalfACertificate));
    std::fs::remove_file(files.path("ca.crt")).unwrap();
    settings.peer_tls = Some(files.peer());
    assert!(matches!(refused(&settings), PeerError::Tls(_)));
}
