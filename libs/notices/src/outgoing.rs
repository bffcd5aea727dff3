//! One HTTP request to a receiver: bounded in time and in what is read, never sent on elsewhere.

use std::{error::Error, path::Path, sync::Arc, time::Duration};

use bytes::BytesMut;
use reqwest::{
    Client, Response,
    dns::Resolve,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
    redirect,
};
use serde_json::Value;
use tokio_rustls::rustls::{
    self, ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};

use crate::{
    Failure, Notice, Reason, SettingsError,
    destination::{Destination, Forbidden, Guarded},
};

/// Of an answer no more than this is read.
const ANSWER: usize = 16 * 1024;
/// Connections without work are kept this long, and so many to one receiver.
const IDLE: Duration = Duration::from_secs(30);
const IDLE_CONNECTIONS: usize = 8;
/// The header of the W3C trace context.
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Sends requests.
pub(crate) struct Outgoing {
    client: Client,
    timeout: Duration,
}

impl Outgoing {
    pub(crate) fn new<R: Resolve + 'static>(
        tls: ClientConfig,
        names: R,
        timeout: Duration,
        connect_timeout: Duration,
    ) -> Result<Self, SettingsError> {
        let client = Client::builder()
            .user_agent(concat!("eldercare/", env!("CARGO_PKG_VERSION")))
            .tls_backend_preconfigured(tls)
            .dns_resolver(Arc::new(Guarded(Arc::new(names))))
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .referer(false)
            .connect_timeout(connect_timeout)
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .tcp_nodelay(true)
            .build()
            .map_err(|error| SettingsError::Client(error.to_string()))?;
        Ok(Self { client, timeout })
    }

    /// Posts JSON. Told is who answers 2xx; the JSON of the answer comes apart from that, since not every receiver owes one.
    pub(crate) async fn post(
        &self,
        destination: &Destination,
        headers: HeaderMap,
        body: Vec<u8>,
    ) -> Result<Result<Value, Reason>, Failure> {
        let answer = self
            .client
            .post(destination.url.clone())
            .timeout(self.timeout)
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .headers(headers)
            .body(body)
            .send()
            .await
            .map_err(|error| reason(&error))?;
        match answer.status().as_u16() {
            200..=299 => Ok(json(answer).await),
            401 | 403 => Err(Reason::Unauthorized.into()),
            408 | 425 | 429 => Err(Reason::Overloaded.into()),
            500..=599 => Err(Reason::ReceiverFailed.into()),
            _ => Err(Reason::Refused.into()),
        }
    }
}

/// The trace that a notice belongs to, for those who follow it further. What can't stand in a header is left out.
pub(crate) fn trace(notice: &Notice, headers: &mut HeaderMap) {
    let trace = notice.traceparent.as_deref();
    if let Some(trace) = trace.and_then(|trace| HeaderValue::from_str(trace).ok()) {
        headers.insert(TRACEPARENT, trace);
    }
}

async fn json(mut answer: Response) -> Result<Value, Reason> {
    let mut body = BytesMut::new();
    while let Some(piece) = answer.chunk().await.map_err(|error| reason(&error))? {
        if body.len() + piece.len() > ANSWER {
            return Err(Reason::BrokenAnswer);
        }
        body.extend_from_slice(&piece);
    }
    serde_json::from_slice(&body).map_err(|_| Reason::BrokenAnswer)
}

/// What went wrong. The error itself would show the address.
fn reason(error: &reqwest::Error) -> Reason {
    if causes(error).any(|cause| cause.is::<Forbidden>()) {
        Reason::AddressForbidden
    } else if error.is_timeout() {
        Reason::Timeout
    } else if causes(error).any(is_untrusted) {
        Reason::Untrusted
    } else if error.is_connect() {
        Reason::Unreachable
    } else {
        Reason::BrokenAnswer
    }
}

fn is_untrusted(cause: &(dyn Error + 'static)) -> bool {
    matches!(
        cause.downcast_ref(),
        Some(rustls::Error::InvalidCertificate(_))
    )
}

/// An error and what lies beneath it. An I/O error passes over what it wraps itself.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| {
        let wrapped = error
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref);
        wrapped
            .map(|wrapped| wrapped as &(dyn Error + 'static))
            .or_else(|| error.source())
    })
}

/// Trusts the authorities of this machine, and those in the file.
pub(crate) fn tls(authorities: Option<&Path>) -> Result<ClientConfig, SettingsError> {
    let mut roots = RootCertStore::empty();
    let machine = rustls_native_certs::load_native_certs();
    for error in &machine.errors {
        tracing::warn!(%error, "an authority of this machine can't be read");
    }
    roots.add_parsable_certificates(machine.certs);
    if let Some(path) = authorities {
        let unusable =
            |error: &dyn std::fmt::Display| SettingsError::Authorities(error.to_string());
        let read = CertificateDer::pem_file_iter(path).map_err(|error| unusable(&error))?;
        let before = roots.len();
        for authority in read {
            let authority = authority.map_err(|error| unusable(&error))?;
            roots.add(authority).map_err(|error| unusable(&error))?;
        }
        if roots.len() == before {
            return Err(unusable(&"no certificate stands in the file"));
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| SettingsError::Client(error.to_string()))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, SocketAddr};

    use reqwest::dns::{Addrs, Name, Resolving};

    use super::*;
    use crate::testing::Sample;

    const KEY: &str = "a key of tests, of thirty-two bytes";

    /// Each name leads there.
    struct Leads(Vec<IpAddr>);

    impl Resolve for Leads {
        fn resolve(&self, _: Name) -> Resolving {
            let found: Vec<SocketAddr> = self.0.iter().map(|ip| (*ip, 0).into()).collect();
            Box::pin(async move { Ok(Box::new(found.into_iter()) as Addrs) })
        }
    }

    async fn posted(
        host: &str,
        leads: &[IpAddr],
        port: u16,
    ) -> Result<Result<Value, Reason>, Failure> {
        let second = Duration::from_secs(60);
        let names = Leads(leads.to_vec());
        let outgoing = Outgoing::new(tls(None).unwrap(), names, second, second).unwrap();
        let destination = Destination::parse(&format!("http://{host}:{port}/"), true);
        let destination = destination.ok().unwrap();
        outgoing
            .post(&destination, HeaderMap::new(), Vec::new())
            .await
    }

    #[tokio::test]
    async fn a_name_may_not_lead_to_what_an_address_may_not_be() {
        let receiver = Sample::receiver("key_1", KEY).await.unwrap();
        let port = receiver.at().port();
        let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let metadata = IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254));
        let private = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
        let forbidden = Err(Failure::Final(Reason::AddressForbidden));
        // The receiver is there, and refuses what is not signed.
        let refused = Err(Failure::Final(Reason::Unauthorized));
        assert_eq!(posted("hook.example", &[here], port).await, refused);
        assert_eq!(posted("hook.example", &[metadata], port).await, forbidden);
        assert_eq!(
            posted("hook.example", &[here, metadata], port).await,
            forbidden
        );
        assert_eq!(posted("localhost", &[here], port).await, refused);
        assert_eq!(posted("localhost", &[private], port).await, forbidden);
        let unknown = Err(Failure::Passing(Reason::Unreachable));
        assert_eq!(posted("hook.example", &[], port).await, unknown);
    }
}
