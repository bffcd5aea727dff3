//! Calls to the other services of the system: where they are, in whose name, and in which trace.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};

use crate::{secret::Secret, settings::Settings, telemetry};

/// A channel to another service; generated clients take it as theirs.
///
/// Calls bear this service's own token unless they bear one already
/// ([`Caller::accompany`](crate::Caller::accompany)), and the present trace.
pub type PeerChannel = InterceptedService<Channel, Credentials>;

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
}

/// A channel to the service called `name`. It connects with the first call, and again whenever it must.
///
/// # Errors
/// If `peers` has no usable address for it.
pub fn channel(settings: &Settings, name: &str) -> Result<PeerChannel, PeerError> {
    let address = settings
        .peers
        .get(name)
        .ok_or_else(|| PeerError::Unknown(name.to_owned()))?;
    let channel = Endpoint::from_shared(address.clone())
        .map_err(|error| PeerError::Address(name.to_owned(), error))?
        .connect_timeout(Duration::from_secs(5))
        .http2_keep_alive_interval(settings.grpc.keepalive_interval)
        .keep_alive_timeout(settings.grpc.keepalive_timeout)
        .http2_adaptive_window(true)
        .tcp_nodelay(true)
        .connect_lazy();
    Ok(InterceptedService::new(channel, Credentials::new(settings)))
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
                match &*last {
                    Some((read, token)) if read.elapsed() < FRESH => token.clone(),
                    Some(_) | None => match std::fs::read_to_string(path) {
                        Ok(text) => last
                            .insert((Instant::now(), Secret::new(text.trim())))
                            .1
                            .clone(),
                        Err(error) => {
                            tracing::error!(path = %path.display(), %error, "auth.service_token_file can't be read");
                            return None;
                        }
                    },
                }
            }
        };
        format!("Bearer {}", token.expose()).parse().ok()
    }
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
