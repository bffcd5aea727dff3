//! TLS: the server shows its certificate, a client may be known by its own, and both may be replaced without a restart.

use crate::{
    authority::{Authority, Files, channel},
    support::{Desk, READ, TELL, call, reason, text},
};
use service::{Kind, Settings, TokenIssuer, settings::Certificate, testing::settings};
use tonic::Code;

pub(crate) const TIERING: &str = "spiffe://eldercare/tiering";

/// Settings of a server with these files, which knows tiering by its certificate.
pub(crate) fn settings_with(files: &Files) -> Settings {
    let mut settings = settings(&TokenIssuer::generate());
    settings.grpc.tls = Some(files.server());
    settings.auth.certificates = vec![Certificate {
        name: TIERING.to_owned(),
        subject: "tiering".to_owned(),
        kind: Kind::System,
        department: "platform".to_owned(),
        divisions: vec!["*".to_owned()],
        roles: vec!["service".to_owned()],
        purpose: Some("tiers".to_owned()),
    }];
    settings
}

#[tokio::test]
async fn a_system_is_known_by_its_certificate() {
    let authority = Authority::new();
    let files = Files::of(&authority.server(), &authority);
    let settings = settings_with(&files);
    let running = Desk::new().serve(&settings).await;
    let known = channel(running.address, &authority, Some(authority.caller(TIERING)));
    assert_eq!(
        call(known, READ, text("370303")).await.unwrap(),
        "system:tiering"
    );
    for stranger in [None, Some(authority.caller("spiffe://eldercare/stranger"))] {
        let channel = channel(running.address, &authority, stranger);
        let status = call(channel, READ, text("370303")).await.unwrap_err();
        assert_eq!(
            (status.code(), reason(&status).as_str()),
            (Code::Unauthenticated, "TOKEN_MISSING")
        );
    }
    // A certificate of an authority that nobody trusts does not even get as far as a call.
    let forged = Authority::new().caller(TIERING);
    let status = call(
        channel(running.address, &authority, Some(forged)),
        READ,
        text("370303"),
    )
    .await
    .unwrap_err();
    // Which code the transport gives depends on when it learns of the refusal.
    assert!(!matches!(
        status.code(),
        Code::Unauthenticated | Code::PermissionDenied
    ));
    running.stop().await.unwrap();
}

#[tokio::test]
async fn who_is_known_by_a_certificate_says_what_for_in_the_settings_or_in_the_call() {
    let authority = Authority::new();
    let files = Files::of(&authority.server(), &authority);
    let own = || Some(authority.caller(TIERING));
    let stated = |purpose: &'static str| {
        let mut request = text("");
        let purpose = purpose.parse().unwrap();
        request.metadata_mut().insert("eldercare-purpose", purpose);
        request
    };
    let mut settings = settings_with(&files);
    let desk = Desk::new();
    let running = desk.serve(&settings).await;
    let known = channel(running.address, &authority, own());
    call(known.clone(), TELL, text("")).await.unwrap();
    call(known, TELL, stated("review")).await.unwrap();
    running.stop().await.unwrap();

    settings.auth.certificates[0].purpose = None;
    let running = desk.serve(&settings).await;
    let silent = channel(running.address, &authority, own());
    let status = call(silent.clone(), TELL, text("")).await.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::PermissionDenied, "PURPOSE_REQUIRED")
    );
    call(silent, TELL, stated("review")).await.unwrap();
    let looks = desk.access.looks();
    let told: Vec<_> = looks.iter().map(|look| look.purpose.as_str()).collect();
    assert_eq!(told, ["tiers", "review", "review"]);
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_new_certificate_is_shown_without_a_restart() {
    let (first, second) = (Authority::new(), Authority::new());
    let files = Files::of(&first.server(), &first);
    let settings = settings_with(&files);
    let running = Desk::new().serve(&settings).await;
    let old = channel(running.address, &first, Some(first.caller(TIERING)));
    call(old.clone(), READ, text("370303")).await.unwrap();

    // Half of the new files are there: what was read before stays in use.
    let (certificate, key) = second.server();
    std::fs::write(files.path("tls.crt"), &certificate).unwrap();
    let meanwhile = channel(running.address, &first, Some(first.caller(TIERING)));
    call(meanwhile, READ, text("370303")).await.unwrap();

    files.put((&certificate, &key));
    let new = channel(running.address, &second, Some(first.caller(TIERING)));
    assert_eq!(
        call(new, READ, text("370303")).await.unwrap(),
        "system:tiering"
    );
    let distrustful = channel(running.address, &first, None);
    let status = call(distrustful, READ, text("370303")).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "the old one is not shown");
    call(old, READ, text("370303"))
        .await
        .expect("open connections go on");

    // Another authority for callers, too.
    std::fs::write(files.path("ca.crt"), second.pem()).unwrap();
    let new = channel(running.address, &second, Some(second.caller(TIERING)));
    assert_eq!(
        call(new, READ, text("370303")).await.unwrap(),
        "system:tiering"
    );
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_server_does_not_start_with_files_that_do_not_fit() {
    let authority = Authority::new();
    let files = Files::of(&authority.server(), &authority);
    let settings = settings_with(&files);
    let refused = async || {
        let server = Desk::new().server(&settings);
        server.bind().await.unwrap_err().to_string()
    };
    let (_, another_key) = authority.server();
    std::fs::write(files.path("tls.key"), another_key).unwrap();
    assert!(refused().await.contains("certificate and key"));
    std::fs::write(files.path("tls.key"), "no PEM").unwrap();
    assert!(refused().await.contains("private key"));
    std::fs::remove_file(files.path("ca.crt")).unwrap();
    assert!(refused().await.contains("ca.crt"));
}
