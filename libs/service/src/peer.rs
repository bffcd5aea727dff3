//! Calls to the other services of the system: where they are, in whose name, and in which trace.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use tonic::{
    Request, Status,
    body::Body,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};
use tower::Service;

use crate::{
    certificates::{CertificateError, FromFiles},
    secret::Secret,
    settings::{PeerTls, Settings},
    telemetry,
};

/// A channel to another service; generated clients take it as theirs.
///
/// Calls bear this service's own token unless they bear one already
/// ([`Caller::accompany`](crate::Caller::accompany)), and the present trace.
pub type PeerChannel = InterceptedService<Line, Credentials>;

/// How long a token from a file is used before the file is looked at again.
const FRESH: Duration = Duration::from_secs(30);

/// A peer can't be called.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// The configuration has no address of it.
    #[error("`peers.{0}` is not configured: where is that service?")]
    Unknown(String),
    /// The address is none.
    #[error("`peers.{0}`: {1}")]
    Address(String, tonic::transport::Error),
    /// The address asks for TLS, and nobody says whose certificates to trust.
    #[error("`peers.{0}` is https: set `peer_tls.ca`")]
    NoAuthority(String),
    /// Of certificate and key only one is configured.
    #[error("`peer_tls.certificate` and `peer_tls.key` belong together")]
    HalfACertificate,
    /// Certificates or keys can't be used.
    #[error(transparent)]
    Tls(#[from] CertificateError),
}

/// A channel to the service called `name`. It connects with the first call, and again whenever it must; with TLS where
/// its address is `https://`, showing this service's own certificate if it has one.
///
/// # Errors
/// If `peers` has no usable address for it, or the certificates can't be used.
pub fn channel(settings: &Settings, name: &str) -> Result<PeerChannel, PeerError> {
    let address = settings
        .peers
        .get(name)
        .ok_or_else(|| PeerError::Unknown(name.to_owned()))?;
    let endpoint = Endpoint::from_shared(address.clone())
        .map_err(|error| PeerError::Address(name.to_owned(), error))?
        .connect_timeout(Duration::from_secs(5))
        .http2_keep_alive_interval(settings.grpc.keepalive_interval)
        .keep_alive_timeout(settings.grpc.keepalive_timeout)
        .http2_adaptive_window(true)
        .tcp_nodelay(true);
    let line = if endpoint.uri().scheme_str() == Some("https") {
        let tls = settings
            .peer_tls
            .as_ref()
            .ok_or_else(|| PeerError::NoAuthority(name.to_owned()))?;
        Line::secured(endpoint, tls)?
    } else {
        Line::plain(&endpoint)
    };
    Ok(InterceptedService::new(line, Credentials::new(settings)))
}

/// The connection to a service, made anew when this service's certificate or the trusted authority changes: calls
/// under way finish on the old one.
#[derive(Debug, Clone)]
pub struct Line {
    channel: Channel,
    generation: u64,
    renewed: Option<Arc<FromFiles<Channel>>>,
}

impl Line {
    fn plain(endpoint: &Endpoint) -> Self {
        Self {
            channel: endpoint.connect_lazy(),
            generation: 0,
            renewed: None,
        }
    }

    fn secured(endpoint: Endpoint, settings: &PeerTls) -> Result<Self, PeerError> {
        let mut paths = vec![settings.ca.clone()];
        match (&settings.certificate, &settings.key) {
            (Some(certificate), Some(key)) => paths.extend([certificate.clone(), key.clone()]),
            (None, None) => {}
            (Some(_), None) | (None, Some(_)) => return Err(PeerError::HalfACertificate),
        }
        let renewed = FromFiles::read(paths, settings.reread, move |contents| {
            let mut tls = ClientTlsConfig::new();
            if let [authority, own @ ..] = contents {
                tls = tls.ca_certificate(Certificate::from_pem(authority));
                if let [certificate, key] = own {
                    tls = tls.identity(Identity::from_pem(certificate, key));
                }
            }
            Ok(endpoint.clone().tls_config(tls)?.connect_lazy())
        })?;
        Ok(Self {
            channel: renewed.current(),
            generation: 0,
            renewed: Some(Arc::new(renewed)),
        })
    }
}

impl Service<http::Request<Body>> for Line {
    type Response = http::Response<Body>;
    type Error = tonic::transport::Error;
    type Future = <Channel as Service<http::Request<Body>>>::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        if let Some(files) = &self.renewed
            && let Some((generation, channel)) = files.since(self.generation)
        {
            (self.generation, self.channel) = (generation, channel);
        }
        self.channel.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        self.channel.call(request)
    }
}

/// What this service shows to its peers.
#[derive(Debug, Clone)]
pub struct Credentials(Arc<Source>);

#[derive(Debug)]
enum Source {
    None,
    Fixed(Secret),
    File {
        path: PathBuf,
        last: Mutex<Option<(Instant, Secret)>>,
    },
}

impl Credentials {
    /// The credentials of the settings.
    pub fn new(settings: &Settings) -> Self {
        let auth = &settings.auth;
        Self(Arc::new(
            match (&auth.service_token, &auth.service_token_file) {
                (Some(token), _) => Source::Fixed(token.clone()),
                (None, Some(path)) => Source::File {
                    path: path.clone(),
                    last: Mutex::new(None),
                },
                (None, None) => Source::None,
            },
        ))
    }

    fn bearer(&self) -> Option<MetadataValue<Ascii>> {
        let token = match &*self.0 {
            Source::None => return None,
            Source::Fixed(token) => token.clone(),
            Source::File { path, last } => {
                let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
                let (looked, token) = match last.take() {
                    Some((looked, token)) if looked.elapsed() < FRESH => (looked, token),
                    known => (
                        Instant::now(),
                        read_again(path, known.map(|(_, token)| token))?,
                    ),
                };
                *last = Some((looked, token.clone()));
                token
            }
        };
        format!("Bearer {}", token.expose()).parse().ok()
    }
}

/// The token in a file. Where none can be read, as while another takes its place, the one that is known stays in use.
fn read_again(path: &Path, known: Option<Secret>) -> Option<Secret> {
    match std::fs::read_to_string(path) {
        Ok(text) if !text.trim().is_empty() => return Some(Secret::new(text.trim())),
        Ok(_nothing) => tracing::error!(path = %path.display(), "auth.service_token_file is empty"),
        Err(error) => {
            tracing::error!(path = %path.display(), %error, "auth.service_token_file can't be read");
        }
    }
    known
}

impl Interceptor for Credentials {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if !request.metadata().contains_key("authorization")
            && let Some(bearer) = self.bearer()
        {
            request.metadata_mut().insert("authorization", bearer);
        }
        telemetry::inject(request.metadata_mut());
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_stays_in_use_until_there_is_another_one() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        let read = |known: Option<&str>| {
            let token = read_again(&file, known.map(Secret::new));
            token.map(|token| token.expose().to_owned())
        };
        assert_eq!(read(None), None, "it is not there yet");
        std::fs::write(&file, " first\n").unwrap();
        assert_eq!(read(None).as_deref(), Some("first"));
        std::fs::write(&file, "\n").unwrap();
        assert_eq!(read(Some("first")).as_deref(), Some("first"));
        std::fs::write(&file, "second").unwrap();
        assert_eq!(read(Some("first")).as_deref(), Some("second"));
        std::fs::remove_file(&file).unwrap();
        assert_eq!(read(Some("second")).as_deref(), Some("second"));
    }
}
