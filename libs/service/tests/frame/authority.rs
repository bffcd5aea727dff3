//! An authority that issues certificates to servers and callers of the tests, and the files that hold them.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
use service::settings::{PeerTls, Tls};
use tempfile::TempDir;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

/// Somebody whose certificates are trusted by those who trust it.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// Certificate and key, as PEM.
pub(crate) type Issued = (String, String);

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate with whatever stands in it.
    pub(crate) fn issue_with(&self, change: impl FnOnce(&mut CertificateParams)) -> Issued {
        let mut params = CertificateParams::default();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        (
            params.signed_by(&key, &self.0).unwrap().pem(),
            key.serialize_pem(),
        )
    }

    fn issue(&self, name: SanType) -> Issued {
        self.issue_with(|params| params.subject_alt_names = vec![name])
    }

    /// For a server on this machine.
    pub(crate) fn server(&self) -> Issued {
        self.issue(SanType::IpAddress([127, 0, 0, 1].into()))
    }

    /// For a caller with this name.
    pub(crate) fn caller(&self, uri: &str) -> Issued {
        self.issue(SanType::URI(uri.try_into().unwrap()))
    }
}

/// The files of one server or caller.
pub(crate) struct Files(TempDir);

impl Files {
    pub(crate) fn of((certificate, key): &Issued, trusted: &Authority) -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        files.put((certificate, key));
        std::fs::write(files.path("ca.crt"), trusted.pem()).unwrap();
        files
    }

    /// Replaces certificate and key.
    pub(crate) fn put(&self, (certificate, key): (&str, &str)) {
        std::fs::write(self.path("tls.crt"), certificate).unwrap();
        std::fs::write(self.path("tls.key"), key).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        Path::new(self.0.path()).join(name)
    }

    /// For a server that asks callers for their certificate; changes are noticed with the next connection.
    pub(crate) fn server(&self) -> Tls {
        Tls {
            certificate: self.path("tls.crt"),
            key: self.path("tls.key"),
            client_ca: Some(self.path("ca.crt")),
            client_certificate_optional: true,
            reread: Duration::ZERO,
        }
    }

    /// For a service that calls others; changes are noticed with the next call.
    pub(crate) fn peer(&self) -> PeerTls {
        PeerTls {
            ca: self.path("ca.crt"),
            certificate: Some(self.path("tls.crt")),
            key: Some(self.path("tls.key")),
            reread: Duration::ZERO,
        }
    }
}

/// A new connection by somebody who trusts `authority`, and shows a certificate or none.
pub(crate) fn channel(
    address: std::net::SocketAddr,
    authority: &Authority,
    own: Option<Issued>,
) -> Channel {
    let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authority.pem()));
    if let Some((certificate, key)) = own {
        tls = tls.identity(Identity::from_pem(certificate, key));
    }
    Endpoint::from_shared(format!("https://{address}"))
        .unwrap()
        .tls_config(tls)
        .unwrap()
        .connect_lazy()
}
