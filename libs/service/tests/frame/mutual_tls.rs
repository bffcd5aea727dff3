//! TLS: the server shows its certificate, and a client may be known by its own.

use crate::support::{Desk, READ, call, reason, text};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
use service::{
    Kind, TokenIssuer,
    settings::{Certificate, Tls},
    testing::{Running, settings},
};
use tonic::{
    Code,
    transport::{Certificate as Pem, ClientTlsConfig, Endpoint, Identity},
};

const NAME: &str = "spiffe://eldercare/tiering";

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Certificate and key of somebody with this name.
fn issue(authority: &CertifiedIssuer<'static, KeyPair>, name: SanType) -> (String, String) {
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![name];
    let key = KeyPair::generate().unwrap();
    (
        params.signed_by(&key, authority).unwrap().pem(),
        key.serialize_pem(),
    )
}

#[tokio::test]
async fn a_system_is_known_by_its_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let authority = authority();
    let (certificate, key) = issue(
        &authority,
        SanType::DnsName("localhost".try_into().unwrap()),
    );
    for (name, content) in [
        ("tls.crt", &certificate),
        ("tls.key", &key),
        ("ca.crt", &authority.pem()),
    ] {
        std::fs::write(folder.path().join(name), content).unwrap();
    }
    let mut settings = settings(&TokenIssuer::generate());
    settings.grpc.tls = Some(Tls {
        certificate: folder.path().join("tls.crt"),
        key: folder.path().join("tls.key"),
        client_ca: Some(folder.path().join("ca.crt")),
        client_certificate_optional: true,
    });
    settings.auth.certificates = vec![Certificate {
        name: NAME.to_owned(),
        subject: "tiering".to_owned(),
        kind: Kind::System,
        department: "platform".to_owned(),
        divisions: vec!["*".to_owned()],
        roles: vec!["service".to_owned()],
        purpose: None,
    }];
    let running = Running::start(Desk::new().server(&settings), &settings)
        .await
        .unwrap();
    let channel = |identity: Option<(String, String)>| {
        let tls = ClientTlsConfig::new()
            .ca_certificate(Pem::from_pem(authority.pem()))
            .domain_name("localhost");
        let tls = match identity {
            Some((certificate, key)) => tls.identity(Identity::from_pem(certificate, key)),
            None => tls,
        };
        let address = format!("https://{}", running.address);
        Endpoint::from_shared(address)
            .unwrap()
            .tls_config(tls)
            .unwrap()
            .connect_lazy()
    };
    let uri = |name: &str| SanType::URI(name.try_into().unwrap());

    let known = channel(Some(issue(&authority, uri(NAME))));
    assert_eq!(
        call(known, READ, text("370303")).await.unwrap(),
        "system:tiering"
    );
    for stranger in [
        None,
        Some(issue(&authority, uri("spiffe://eldercare/stranger"))),
    ] {
        let status = call(channel(stranger), READ, text("370303"))
            .await
            .unwrap_err();
        assert_eq!(
            (status.code(), reason(&status).as_str()),
            (Code::Unauthenticated, "TOKEN_MISSING")
        );
    }
    running.stop().await.unwrap();
}
