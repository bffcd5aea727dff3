//! Whom the services trust, and who trusts them: an authority, and the files that a platform would lay down for the log's server, the
//! databases' and whoever comes to them.

use std::{fmt, fs, path::PathBuf};

use async_nats::ConnectOptions;
use backing_services::{Shown, Tls};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair,
    KeyUsagePurpose, SanType, date_time_ymd,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::new_id;

/// Where the authority lies that is trusted.
const AUTHORITY: &str = "ca.crt";

/// Of whom the certificate is that services show.
const SERVICES: &str = "services";

/// A certificate and its key, as PEM.
pub type Issued = (String, String);

/// Whose certificates are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Those of servers alone, as in the clusters of `k8s/`.
    OfServers,
    /// Those of clients too.
    OfBoth,
}

/// A server that the services stand on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    /// The log's.
    Log,
    /// The databases'.
    Databases,
}

impl Base {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Log, Self::Databases];

    /// Of whom its certificate is.
    fn whose(self) -> &'static str {
        match self {
            Self::Log => "nats",
            Self::Databases => "postgres",
        }
    }
}

/// Somebody who issues certificates.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authority")
    }
}

impl Authority {
    /// One whom nobody knows yet.
    pub fn founded() -> Self {
        let mut params = called(&format!("authority {}", new_id()));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap());
        Self(issuer.unwrap())
    }

    /// For whoever is on this machine.
    pub fn issue(&self) -> Issued {
        self.issue_with(|_| {})
    }

    fn issue_with(&self, change: impl FnOnce(&mut CertificateParams)) -> Issued {
        let mut params = called("eldercare");
        params.use_authority_key_identifier_extension = true;
        let name = SanType::DnsName("localhost".try_into().unwrap());
        params.subject_alt_names = vec![SanType::IpAddress([127, 0, 0, 1].into()), name];
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    /// What a server may show without being trusted by those who trust this authority, and what they say of it.
    pub fn wrong(&self) -> [(Issued, &'static str); 3] {
        let elsewhere = SanType::DnsName("elsewhere.example".try_into().unwrap());
        let of_another = self.issue_with(|params| params.subject_alt_names = vec![elsewhere]);
        let ended = self.issue_with(|params| params.not_after = date_time_ymd(2020, 1, 1));
        [
            (Self::founded().issue(), "UnknownIssuer"),
            (of_another, "not valid for name"),
            (ended, "certificate expired"),
        ]
    }
}

/// Nobody is called as somebody else: an issuer is found by its name.
fn called(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

/// The files of a system. Gone with the handle.
#[derive(Debug)]
pub struct Trust {
    folder: TempDir,
    asked: Asked,
    authority: Authority,
}

impl Trust {
    pub(crate) fn founded(asked: Asked) -> Self {
        let trust = Self {
            folder: tempfile::tempdir().unwrap(),
            asked,
            authority: Authority::founded(),
        };
        trust.lay(&trust.authority);
        trust
    }

    /// Who has issued all certificates, at first.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// Lays down whom to trust, and new certificates of that authority for everybody.
    pub fn lay(&self, authority: &Authority) {
        fs::write(self.file_to_trust(), authority.0.pem()).unwrap();
        for whose in Base::ALL.map(Base::whose).into_iter().chain([SERVICES]) {
            self.put(whose, &authority.issue());
        }
    }

    /// Lays down what a server shows once it is started again.
    pub fn lay_for(&self, base: Base, issued: &Issued) {
        self.put(base.whose(), issued);
    }

    /// Where a certificate and its key lie that somebody may show who is none of ours.
    pub fn stranger(&self, issued: &Issued) -> Shown {
        self.put("stranger", issued);
        self.shown("stranger")
    }

    /// The authority that is trusted: its file.
    pub fn file_to_trust(&self) -> PathBuf {
        self.file(AUTHORITY)
    }

    /// What a server and its clients show and trust.
    pub(crate) fn of(&self, base: Base) -> Tls {
        Tls {
            authority: self.file_to_trust(),
            server: self.shown(base.whose()),
            client: self.of_services(),
        }
    }

    /// Has a client of the log's server trust whom services trust, and show what they show.
    pub(crate) fn taken_along(&self, options: ConnectOptions) -> ConnectOptions {
        let options = options.add_root_certificates(self.file_to_trust());
        match self.of_services() {
            Some(shown) => options.add_client_certificate(shown.certificate, shown.key),
            None => options,
        }
    }

    /// The same in the settings of a service, section `nats`.
    pub(crate) fn add_to(&self, nats: &mut Value) {
        nats["tls_ca"] = json!(self.file_to_trust());
        if let Some(shown) = self.of_services() {
            nats["tls_certificate"] = json!(shown.certificate);
            nats["tls_key"] = json!(shown.key);
        }
    }

    fn of_services(&self) -> Option<Shown> {
        (self.asked == Asked::OfBoth).then(|| self.shown(SERVICES))
    }

    fn put(&self, whose: &str, (certificate, key): &Issued) {
        let shown = self.shown(whose);
        fs::write(shown.certificate, certificate).unwrap();
        fs::write(shown.key, key).unwrap();
    }

    fn shown(&self, whose: &str) -> Shown {
        Shown {
            certificate: self.file(&format!("{whose}.crt")),
            key: self.file(&format!("{whose}.key")),
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}
