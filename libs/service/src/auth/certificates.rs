//! Callers that are known by their client certificates.

use std::sync::Arc;

use http::Extensions;
use sm3::{Digest as _, Sm3};
use tonic::transport::{
    CertificateDer,
    server::{TcpConnectInfo, TlsConnectInfo},
};

use super::{Claims, KeyError};
use crate::{caller::Identity, input::first_half, settings};

/// Who is known by which name of a certificate.
pub(super) struct Certificates(Vec<(String, Arc<Identity>)>);

impl Certificates {
    pub(super) fn load(settings: &[settings::Certificate]) -> Result<Self, KeyError> {
        let known = settings.iter().map(certificate);
        Ok(Self(known.collect::<Result<_, _>>()?))
    }

    /// How many are known.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Who is at the other end of a connection.
    pub(super) fn caller(&self, connection: &Extensions) -> Option<Arc<Identity>> {
        if self.is_empty() {
            return None;
        }
        let certificates = connection
            .get::<TlsConnectInfo<TcpConnectInfo>>()?
            .peer_certs()?;
        // The chain was verified in the handshake; the first certificate is the client's own.
        let names = names_of(certificates.first()?)?;
        self.0
            .iter()
            .find(|(name, _)| names.contains(name))
            .map(|(_, identity)| Arc::clone(identity))
    }
}

fn names_of(certificate: &CertificateDer<'_>) -> Option<Vec<String>> {
    let certificate = webpki::EndEntityCert::try_from(certificate).ok()?;
    Some(
        certificate
            .valid_uri_names()
            .chain(certificate.valid_dns_names())
            .map(str::to_owned)
            .collect(),
    )
}

fn certificate(settings: &settings::Certificate) -> Result<(String, Arc<Identity>), KeyError> {
    let claims = Claims {
        divisions: settings.divisions.clone(),
        roles: settings.roles.clone(),
        purpose: settings.purpose.clone(),
        ..Claims::new(
            settings.kind,
            settings.subject.clone(),
            settings.department.clone(),
        )
    };
    // Callers by certificate have no token; what tells them apart is the name that they are known by.
    let fingerprint = first_half(
        &Sm3::new()
            .chain_update("certificate ")
            .chain_update(&settings.name)
            .finalize(),
    );
    let identity = Identity::of_claims(&claims, fingerprint)
        .map_err(|_| KeyError::Unusable(settings.name.clone()))?;
    Ok((settings.name.clone(), Arc::new(identity)))
}
