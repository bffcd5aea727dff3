//! Certificates that are not what they should be: of another authority, for another name, of another time; and plain bytes
//! where TLS is spoken. Nobody gets in by one, and the others are served.

use std::net::SocketAddr;

use crate::{
    authority::{Authority, Files, Issued, channel},
    mutual_tls::{TIERING, settings_with},
    support::{Desk, READ, call, reason, text},
};
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, KeyPair, SanType, date_time_ymd};
use service::{
    Settings, TokenIssuer,
    testing::{Bearer, anybody, settings},
};
use tonic::{
    Code, Status, service::interceptor::InterceptedService, transport::Channel, transport::Endpoint,
};

/// A server that serves nobody without a certificate of this authority.
fn strict(files: &Files) -> Settings {
    let mut settings = settings_with(files);
    let tls = settings.grpc.tls.as_mut().unwrap();
    tls.client_certificate_optional = false;
    settings
}

/// The call fails before it reaches the gate: which code the transport gives depends on when it learns of the refusal, and
/// none of our refusals is without details.
async fn is_kept_out(channel: Channel, who: &str) {
    let status = call(channel, READ, text("370303")).await.expect_err(who);
    let ours = [Code::Unauthenticated, Code::PermissionDenied];
    assert!(!ours.contains(&status.code()), "{who}: {status:?}");
    assert!(status.details().is_empty(), "{who}: {status:?}");
}

/// Tiering goes on as ever.
async fn tiering_gets_in(address: SocketAddr, authority: &Authority) {
    let known = channel(address, authority, Some(authority.caller(TIERING)));
    let answer = call(known, READ, text("370303")).await;
    assert_eq!(answer.unwrap(), "system:tiering");
}

fn named(uri: &str) -> Vec<SanType> {
    vec![SanType::URI(uri.try_into().unwrap())]
}

/// Nobody but itself has signed it.
fn self_signed(uri: &str) -> Issued {
    let mut params = CertificateParams::default();
    params.subject_alt_names = named(uri);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    (certificate.pem(), key.serialize_pem())
}

#[tokio::test]
async fn a_server_is_known_by_its_authority_its_name_and_its_time() {
    let (authority, another) = (Authority::new(), Authority::new());
    let here = || vec![SanType::IpAddress([127, 0, 0, 1].into())];
    let elsewhere = SanType::DnsName("registry.elsewhere".try_into().unwrap());
    let wrong = [
        ("of another authority", another.server()),
        (
            "for another name",
            authority.issue_with(|params| params.subject_alt_names = vec![elsewhere]),
        ),
        (
            "of last year",
            authority.issue_with(|params| {
                params.subject_alt_names = here();
                params.not_after = date_time_ymd(2020, 1, 1);
            }),
        ),
        (
            "of next century",
            authority.issue_with(|params| {
                params.subject_alt_names = here();
                params.not_before = date_time_ymd(2100, 1, 1);
            }),
        ),
        (
            "that is for clients",
            authority.issue_with(|params| {
                params.subject_alt_names = here();
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            }),
        ),
    ];
    for (what, issued) in &wrong {
        let files = Files::of(issued, &authority);
        let settings = settings_with(&files);
        let running = Desk::new().serve(&settings).await;
        let own = Some(authority.caller(TIERING));
        let distrustful = channel(running.address, &authority, own);
        let status = call(distrustful, READ, text("370303"))
            .await
            .expect_err(what);
        assert_eq!(status.code(), Code::Unavailable, "a server {what}");
        running.stop().await.unwrap();
    }
}

#[tokio::test]
async fn a_client_is_known_by_its_authority_and_its_time() {
    let authority = Authority::new();
    let files = Files::of(&authority.server(), &authority);
    let wrong = [
        ("of another authority", Authority::new().caller(TIERING)),
        ("of itself", self_signed(TIERING)),
        (
            "of last year",
            authority.issue_with(|params| {
                params.subject_alt_names = named(TIERING);
                params.not_after = date_time_ymd(2020, 1, 1);
            }),
        ),
        (
            "of next century",
            authority.issue_with(|params| {
                params.subject_alt_names = named(TIERING);
                params.not_before = date_time_ymd(2100, 1, 1);
            }),
        ),
        (
            "that is for servers",
            authority.issue_with(|params| {
                params.subject_alt_names = named(TIERING);
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            }),
        ),
    ];
    // Whether or not a certificate is asked for: one that is shown must be good.
    for settings in [settings_with(&files), strict(&files)] {
        let running = Desk::new().serve(&settings).await;
        for (what, issued) in &wrong {
            let forged = channel(running.address, &authority, Some(issued.clone()));
            is_kept_out(forged, &format!("a client {what}")).await;
        }
        tiering_gets_in(running.address, &authority).await;
        running.stop().await.unwrap();
    }
}

#[tokio::test]
async fn where_a_certificate_is_asked_for_no_token_stands_in_for_it() {
    let authority = Authority::new();
    let files = Files::of(&authority.server(), &authority);
    let issuer = TokenIssuer::generate();
    let mut settings = strict(&files);
    settings.auth.keys = vec![issuer.public_key()];
    let running = Desk::new().serve(&settings).await;
    let token = issuer.issue(&anybody());
    let bare = channel(running.address, &authority, None);
    let bearer = InterceptedService::new(bare, Bearer::of(&token));
    let status = call(bearer, READ, text("370303")).await.unwrap_err();
    assert!(status.details().is_empty(), "{status:?}");
    tiering_gets_in(running.address, &authority).await;
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_token_that_is_shown_must_be_good_whatever_the_certificate() {
    let authority = Authority::new();
    let files = Files::of(&authority.server(), &authority);
    let issuer = TokenIssuer::generate();
    let mut settings = settings_with(&files);
    settings.auth.keys = vec![issuer.public_key()];
    let running = Desk::new().serve(&settings).await;
    let outcome = async |token: String| -> Result<String, Status> {
        let own = Some(authority.caller(TIERING));
        let known = channel(running.address, &authority, own);
        let bearer = InterceptedService::new(known, Bearer::of(&token));
        call(bearer, READ, text("370303")).await
    };
    let forged = TokenIssuer::generate().issue(&anybody());
    let status = outcome(forged).await.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::Unauthenticated, "TOKEN_INVALID")
    );
    // A good one says who calls, and not the certificate.
    let officer = outcome(issuer.issue(&anybody())).await.unwrap();
    assert_eq!(officer, "officer:test-officer");
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_name_is_the_whole_name() {
    let authority = Authority::new();
    let files = Files::of(&authority.server(), &authority);
    let mut settings = settings_with(&files);
    settings.auth.certificates[0].name = "tiering.platform".to_owned();
    let running = Desk::new().serve(&settings).await;
    let dns = |name: &str| SanType::DnsName(name.try_into().unwrap());
    for (names, expected) in [
        (vec![dns("tiering.platform")], true),
        (vec![dns("visits.platform"), dns("tiering.platform")], true),
        (vec![dns("*.platform")], false),
        (vec![dns("tiering.platform.elsewhere")], false),
        (vec![dns("not-tiering.platform")], false),
        (named("tiering:platform"), false),
    ] {
        let issued = authority.issue_with(|params| params.subject_alt_names = names.clone());
        let caller = channel(running.address, &authority, Some(issued));
        let answer = call(caller, READ, text("370303")).await;
        let told = answer.map_err(|status| reason(&status));
        let who = if expected {
            Ok("system:tiering".to_owned())
        } else {
            Err("TOKEN_MISSING".to_owned())
        };
        assert_eq!(told, who, "{names:?}");
    }
    running.stop().await.unwrap();
}

#[tokio::test]
async fn who_speaks_plainly_to_tls_and_tls_to_a_plain_port_gets_no_answer() {
    let authority = Authority::new();
    let files = Files::of(&authority.server(), &authority);
    let settings_of_tls = settings_with(&files);
    let secured = Desk::new().serve(&settings_of_tls).await;
    let plain = Endpoint::from_shared(format!("http://{}", secured.address));
    is_kept_out(plain.unwrap().connect_lazy(), "a plain client").await;
    tiering_gets_in(secured.address, &authority).await;
    secured.stop().await.unwrap();

    let issuer = TokenIssuer::generate();
    let settings_of_plain = settings(&issuer);
    let plain = Desk::new().serve(&settings_of_plain).await;
    let own = Some(authority.caller(TIERING));
    is_kept_out(channel(plain.address, &authority, own), "a client of TLS").await;
    let channel = plain.channel_of(&issuer.issue(&anybody()));
    call(channel, READ, text("370303")).await.unwrap();
    plain.stop().await.unwrap();
}
