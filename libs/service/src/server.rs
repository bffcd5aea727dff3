//! The gRPC server of a service: its methods behind the gate, health, reflection, TLS, and an orderly end.
//!
//! Health (`grpc.health.v1`) knows `liveness` (the process answers), `readiness` (it serves; also under the empty name
//! and the name of each service), which ends as soon as the service is asked to go down.

use std::{
    collections::HashMap, fmt, future::Future, net::SocketAddr, pin::Pin, sync::Arc, time::Duration,
};

use hyper::server::conn::http2;
use hyper_util::rt::TokioTimer;
use rand::Rng as _;
use tokio_rustls::rustls::ServerConfig;
use tokio_util::sync::CancellationToken;
use tonic::{
    server::NamedService,
    service::{Routes, RoutesBuilder},
    transport::server::TcpIncoming,
};
use tonic_health::{ServingStatus, server::HealthReporter};

use crate::{
    access::Access,
    action::Actions,
    admission::Admission,
    certificates::{self, CertificateError, FromFiles},
    connection::Bounds,
    frame::{Figures, Framed, Surroundings},
    gate::{Gate, GateError},
    handshakes::secured,
    serving::{Calls, Serving, accepted},
    settings::{self, Settings},
    shutdown::Shutdown,
    unread::PART,
};

/// What is left running after the grace has this long to take its leave.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The headers that are read at all, in bytes, so that those that are too large get an answer
/// that says so; beyond this HTTP/2 answers with a bare 431.
const LARGEST_HEADERS_READ: u32 = 64 << 10;

/// How many streams of a connection may go wrong by what its client sends, before the connection is given up.
const FAULTY_STREAMS: usize = 1_024;

/// How much of an answer the transport has at a time, in bytes, beside a part that waits: one part is sent while the next is
/// handed on. Were it more, a client that takes an answer steadily would have too much of it to take at its end, when nothing
/// is left to be asked for by which that is seen.
const ON_THE_WAY: usize = 2 * PART;

/// What a caller may send on one stream before its handler reads it, in bytes.
const UNREAD_BY_STREAM: u32 = 256 << 10;

/// What a caller may send on all streams of a connection before handlers read it: as much as on each of them, so that a
/// handler that does not read yet (an upload that waits for its turn) holds up no other call on its connection.
fn unread_by_connection(streams: u32) -> u32 {
    const MOST: u32 = i32::MAX.unsigned_abs(); // by RFC 9113
    UNREAD_BY_STREAM
        .saturating_mul(streams)
        .clamp(UNREAD_BY_STREAM, MOST)
}

/// A server in the making: services are added, then it is bound, then it serves.
pub struct Server {
    settings: Settings,
    routes: RoutesBuilder,
    names: Vec<&'static str>,
    actions: Actions,
    /// Where looks of the services that are added next go on record.
    recording: Option<Access>,
    accesses: HashMap<&'static str, Access>,
    descriptors: Vec<&'static [u8]>,
    ready_when: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("services", &self.names)
            .finish_non_exhaustive()
    }
}

/// The server can't be built or has failed.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Keys, policies or actions can't be used.
    #[error(transparent)]
    Gate(#[from] GateError),
    /// The descriptors can't be served.
    #[error("reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// Certificates or keys can't be used.
    #[error(transparent)]
    Tls(#[from] CertificateError),
    /// The address can't be bound.
    #[error("can't listen on {0}: {1}")]
    Bind(SocketAddr, std::io::Error),
    /// No connection comes in any more, though nobody has closed the port.
    #[error("no connection comes in any more at {0}")]
    Incoming(SocketAddr),
}

impl Server {
    /// A server without services, for the contracts of `libs/proto`.
    pub fn new(settings: &Settings) -> Self {
        Self {
            settings: settings.clone(),
            routes: RoutesBuilder::default(),
            names: Vec::new(),
            actions: Actions::new(),
            recording: None,
            accesses: HashMap::new(),
            descriptors: vec![proto::FILE_DESCRIPTOR_SET],
            ready_when: None,
        }
    }

    /// The largest message that a service takes or gives, in bytes: each sets it before it is added.
    #[must_use]
    pub fn max_message_bytes(&self) -> usize {
        self.settings.grpc.max_message_bytes
    }

    /// Serves the contracts of these descriptors instead of those of `libs/proto`.
    #[must_use]
    pub fn with_descriptors(mut self, descriptors: &'static [u8]) -> Self {
        self.descriptors = vec![descriptors];
        self
    }

    /// Puts on record by `access` what callers of the services that are added from now on are told: without it, these can't
    /// use [`Caller::told`](crate::Caller::told).
    #[must_use]
    pub fn recording(mut self, access: Access) -> Self {
        self.recording = Some(access);
        self
    }

    /// Adds a service (its message limits already set) and says what its methods do.
    #[must_use]
    pub fn service<S>(mut self, service: S, actions: Actions) -> Self
    where
        S: tower::Service<
                http::Request<tonic::body::Body>,
                Response = http::Response<tonic::body::Body>,
                Error = std::convert::Infallible,
            > + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send + 'static,
    {
        self.names.push(S::NAME);
        if let Some(access) = &self.recording {
            self.accesses.insert(S::NAME, access.clone());
        }
        self.routes.add_service(service);
        self.actions = self.actions.and(actions);
        self
    }

    /// Is ready only once `condition` holds, as that its read models have caught up; without one, as soon as it serves. Until
    /// then calls wait, some seconds at most: no caller is told what was true before the service was last stopped.
    #[must_use]
    pub fn ready_when(mut self, condition: impl Future<Output = ()> + Send + 'static) -> Self {
        self.ready_when = Some(Box::pin(condition));
        self
    }

    /// Checks everything and binds the port; nothing is answered yet.
    ///
    /// # Errors
    /// Keys, policies, actions or TLS files that can't be used, or an address that is taken.
    pub async fn bind(self) -> Result<Bound, ServeError> {
        let Self {
            settings,
            mut routes,
            names,
            actions,
            recording: _,
            accesses,
            descriptors,
            ready_when,
        } = self;
        let gate = Gate::new(&settings, &descriptors, &actions)?;
        for method in names.iter().flat_map(|name| gate.methods.undeclared(name)) {
            tracing::warn!(method, "no action is declared: nobody may call it");
        }
        let (health, service) = tonic_health::server::health_reporter();
        routes.add_service(service);
        if settings.grpc.reflection {
            add_reflection(&mut routes, &descriptors, &names)?;
        }
        let readiness = Readiness { health, names };
        readiness.set(false).await;
        readiness
            .health
            .set_service_status("liveness", ServingStatus::Serving)
            .await;

        let tls = settings.grpc.tls.as_ref();
        let tls = tls.map(certificates::of_server).transpose()?.map(Arc::new);
        let listen = settings.grpc.listen;
        let incoming = TcpIncoming::bind(listen)
            .map_err(|error| ServeError::Bind(listen, error))?
            .with_nodelay(Some(true));
        let address = incoming
            .local_addr()
            .map_err(|error| ServeError::Bind(listen, error))?;
        Ok(Bound {
            settings,
            routes: routes.routes(),
            gate,
            accesses,
            readiness,
            tls,
            incoming,
            address,
            ready_when,
        })
    }
}

fn add_reflection(
    routes: &mut RoutesBuilder,
    descriptors: &[&'static [u8]],
    names: &[&'static str],
) -> Result<(), ServeError> {
    let builder = || {
        let builder = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .with_service_name("grpc.health.v1.Health");
        let builder = descriptors.iter().fold(builder, |builder, set| {
            builder.register_encoded_file_descriptor_set(set)
        });
        names
            .iter()
            .fold(builder, |builder, name| builder.with_service_name(*name))
    };
    routes.add_service(
        builder()
            .with_service_name("grpc.reflection.v1.ServerReflection")
            .build_v1()?,
    );
    routes.add_service(
        builder()
            .with_service_name("grpc.reflection.v1alpha.ServerReflection")
            .build_v1alpha()?,
    );
    Ok(())
}

/// What health tells.
#[derive(Debug, Clone)]
pub struct Readiness {
    health: HealthReporter,
    names: Vec<&'static str>,
}

impl Readiness {
    /// Tells whether the service is ready.
    pub async fn set(&self, ready: bool) {
        let status = if ready {
            ServingStatus::Serving
        } else {
            ServingStatus::NotServing
        };
        for name in ["", "readiness"].iter().chain(&self.names) {
            self.health.set_service_status(name, status).await;
        }
    }
}

/// A server whose port is bound.
pub struct Bound {
    settings: Settings,
    routes: Routes,
    gate: Gate,
    accesses: HashMap<&'static str, Access>,
    readiness: Readiness,
    tls: Option<Arc<FromFiles<Arc<ServerConfig>>>>,
    incoming: TcpIncoming,
    address: SocketAddr,
    ready_when: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl fmt::Debug for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bound")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Bound {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What health tells, for a service that is at times not ready.
    pub fn readiness(&self) -> Readiness {
        self.readiness.clone()
    }

    /// Serves until asked to go down, then drains: not ready at once, the port closed after `shutdown.delay`, calls in
    /// flight finished, what is left after `shutdown.grace` cut off with UNAVAILABLE.
    ///
    /// # Errors
    /// If no connection comes in any more.
    pub async fn serve(self, shutdown: &Shutdown) -> Result<(), ServeError> {
        let Self {
            settings,
            routes,
            gate,
            accesses,
            readiness,
            tls,
            incoming,
            address,
            ready_when,
        } = self;
        let grpc = &settings.grpc;
        let (cut, begun) = (CancellationToken::new(), CancellationToken::new());
        // Whoever drops this future, abandons what runs: connections have tasks of their own.
        let _cut = cut.clone().drop_guard();
        let around = Surroundings {
            gate,
            accesses,
            admission: Admission::new(grpc),
            settings: grpc.clone(),
            begun: begun.clone(),
            draining: shutdown.draining(),
            cut: cut.clone(),
            figures: Figures::new(),
        };
        let connections = serving(grpc, routes, around);
        let incoming = accepted(incoming);

        let drain = async {
            shutdown.requested().cancelled().await;
            readiness.set(false).await;
            tokio::time::sleep(shutdown.delay()).await;
            tracing::info!(%address, "draining");
            shutdown.drain();
        };
        let mut serving: Pin<Box<dyn Future<Output = ()> + Send + '_>> = match tls {
            None => Box::pin(connections.serve(incoming, drain)),
            Some(certificates) => {
                let incoming = secured(incoming, certificates, grpc.handshake_timeout);
                Box::pin(connections.serve(incoming, drain))
            }
        };
        let become_ready = async {
            if let Some(condition) = ready_when {
                tokio::select! {
                    () = condition => {}
                    () = shutdown.requested().cancelled_owned() => std::future::pending().await,
                }
            }
            if !shutdown.requested().is_cancelled() {
                begun.cancel();
                readiness.set(true).await;
                tracing::info!(%address, "serving");
            }
            std::future::pending::<()>().await;
        };
        let patience = async {
            shutdown.draining().cancelled().await;
            tokio::time::sleep(shutdown.grace()).await;
        };
        tokio::select! {
            () = &mut serving => return ended(address, shutdown),
            () = patience => {}
            () = become_ready => {}
        }
        tracing::warn!("calls did not finish in time and are cut off");
        cut.cancel();
        // What is left then ends with the process.
        let _left = tokio::time::timeout(LAST_WORDS, serving).await;
        Ok(())
    }
}

/// What it means that all connections have ended: it was wanted, or none comes in any more.
fn ended(address: SocketAddr, shutdown: &Shutdown) -> Result<(), ServeError> {
    if shutdown.draining().is_cancelled() {
        Ok(())
    } else {
        Err(ServeError::Incoming(address))
    }
}

/// How connections are served.
fn serving(grpc: &settings::Grpc, routes: Routes, around: Surroundings) -> Serving {
    // Connections of instances that started together shall not all end together.
    let age = grpc
        .max_connection_age
        .mul_f64(rand::rng().random_range(0.9..1.1));
    let bounds = Bounds {
        lifetime: age.saturating_add(grpc.max_connection_age_grace),
        greeting: grpc.handshake_timeout,
        unread: grpc.max_unread,
    };
    Serving {
        http2: http2_of(grpc),
        bounds,
        age,
        service: Framed::new(routes.prepare(), around),
    }
}

/// How HTTP/2 is spoken.
fn http2_of(grpc: &settings::Grpc) -> http2::Builder<Calls> {
    let mut http2 = http2::Builder::new(Calls);
    http2
        .timer(TokioTimer::new())
        .keep_alive_interval(grpc.keepalive_interval)
        .keep_alive_timeout(grpc.keepalive_timeout)
        .initial_stream_window_size(UNREAD_BY_STREAM)
        .initial_connection_window_size(unread_by_connection(grpc.max_streams_per_connection))
        .max_concurrent_streams(grpc.max_streams_per_connection)
        .max_header_list_size(LARGEST_HEADERS_READ)
        .max_send_buf_size(ON_THE_WAY)
        .max_local_error_reset_streams(FAULTY_STREAMS);
    http2
}

#[cfg(test)]
mod tests;
