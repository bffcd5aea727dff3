//! For tests of services: a server or a whole service of their own on a free port, callers with tokens, records that
//! other services might have written, the rows that a read model makes of them, and a collector of telemetry.

mod asked_for;
mod batches;
pub mod collector;
mod folding;

use std::{future::Future, net::SocketAddr};

use bytes::Buf as _;
use chrono::{DateTime, Utc};
use eventlog::{EventLog, Metadata, NewRecord, Position, RawEvent, Subject};
use http::uri::PathAndQuery;
use prost::Message as _;
use prost_types::FileDescriptorSet;
use tokio::task::JoinHandle;
use tonic::{
    Request, Status,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};
use tonic_types::StatusExt as _;
use uuid::Uuid;

use crate::{
    application::{self, Application},
    auth::Claims,
    caller::Caller,
    gate::Gate,
    server::{ServeError, Server},
    settings::{Mode, Settings},
    shutdown::Shutdown,
    token_issuer::TokenIssuer,
};

pub use asked_for::{AskedFor, every_method_is_asked};
pub use batches::{BATCHES, Told, log_of, rows_in_batches};
pub use folding::{carry_out, rows_of};

/// Settings that trust `issuer`, listen on a free port of this machine, and go down at once. Local mode.
pub fn settings(issuer: &TokenIssuer) -> Settings {
    let mut settings = Settings::default();
    settings.auth.mode = Mode::Local;
    settings.auth.keys = vec![issuer.public_key()];
    settings.grpc.listen = SocketAddr::from(([127, 0, 0, 1], 0));
    // A machine that builds and tests at once may hold a call up.
    settings.grpc.default_deadline = settings.grpc.max_deadline;
    settings
}

/// An officer of civil affairs with every role, for all divisions and with a purpose: whom nothing stops that stops
/// no officer.
pub fn anybody() -> Claims {
    [
        "viewer",
        "clerk",
        "supervisor",
        "administrator",
        "operator",
        "privacy_officer",
        "simulator",
    ]
    .into_iter()
    .fold(
        Claims::officer("test-officer", "civil_affairs")
            .division("*")
            .purpose("test"),
        Claims::role,
    )
}

/// As [`anybody`], for one division alone.
pub fn anybody_of(division: &str) -> Claims {
    Claims {
        divisions: vec![division.to_owned()],
        ..anybody()
    }
}

/// Shows a token with each call.
#[derive(Clone, Debug)]
pub struct Bearer(MetadataValue<Ascii>);

impl Bearer {
    /// Of a token as an issuer gives them.
    pub fn of(token: &str) -> Self {
        let words = format!("Bearer {token}");
        Self(words.parse().expect("a token is ASCII"))
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let metadata = request.metadata_mut();
        metadata.insert("authorization", self.0.clone());
        Ok(request)
    }
}

/// The channel of a caller with a token.
pub type Authorised = InterceptedService<Channel, Bearer>;

/// Whoever the claims describe as the caller of a method, such as `eldercare.registry.v1.RegistryService/GetElder`, to ask
/// what the policies of a gate permit; known without a token, and let in nowhere.
///
/// # Panics
/// If the claims make no sense.
pub fn somebody(gate: &Gate, claims: &Claims, method: &str) -> Caller {
    let caller = gate.somebody(claims, method);
    caller.expect("the claims make sense")
}

/// Calls every method of a service, such as `eldercare.visits.v1.VisitService`, with an empty message: the name of each, and
/// how it is refused, if it is.
///
/// # Panics
/// If the contracts know no such service, or nobody answers.
pub async fn knock(channel: &Authorised, service: &str) -> Vec<(String, Result<(), Status>)> {
    let mut outcomes = Vec::new();
    for method in methods_of(service) {
        let path: Result<PathAndQuery, _> = format!("/{service}/{method}").parse();
        let path = path.expect("the name of a method is a path");
        outcomes.push((method, call(channel.clone(), path).await));
    }
    assert!(!outcomes.is_empty(), "there is no service {service}");
    outcomes
}

/// The names of a service's methods, such as `GetVisit`, as the contracts have them; none where they know no such service.
///
/// # Panics
/// If the contracts can't be read.
pub fn methods_of(service: &str) -> Vec<String> {
    let contracts = FileDescriptorSet::decode(proto::FILE_DESCRIPTOR_SET);
    let contracts = contracts.expect("the contracts were compiled");
    let mut methods = Vec::new();
    for contract in &contracts.file {
        for one in &contract.service {
            if service == format!("{}.{}", contract.package(), one.name()) {
                methods.extend(one.method.iter().map(|method| method.name().to_owned()));
            }
        }
    }
    methods
}

/// Calls one, and hears how its answer begins.
async fn call(channel: Authorised, path: PathAndQuery) -> Result<(), Status> {
    let mut grpc = tonic::client::Grpc::new(channel);
    grpc.ready().await.expect("the server answers");
    let request = Request::new(tokio_stream::iter([()]));
    let mut answers = grpc.streaming(request, path, Nothing).await?.into_inner();
    answers.message().await.map(|_| ())
}

/// Sends empty messages, and does not read those that come.
#[derive(Clone, Copy, Debug)]
struct Nothing;

impl Codec for Nothing {
    type Encode = ();
    type Decode = ();
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Nothing {
    type Item = ();
    type Error = Status;

    fn encode(&mut self, (): (), _: &mut EncodeBuf<'_>) -> Result<(), Status> {
        Ok(())
    }
}

impl Decoder for Nothing {
    type Item = ();
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<()>, Status> {
        from.advance(from.remaining());
        Ok(Some(()))
    }
}

/// The reason of a refusal, for programs; empty where it bears none.
pub fn reason(status: &Status) -> String {
    let info = status.get_details_error_info();
    info.map(|info| info.reason).unwrap_or_default()
}

/// A server under test.
#[derive(Debug)]
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    /// Brings it down.
    pub shutdown: Shutdown,
    served: JoinHandle<Result<(), ServeError>>,
}

impl Running {
    /// Starts a server.
    ///
    /// # Errors
    /// If it can't be bound.
    pub async fn start(server: Server, settings: &Settings) -> Result<Self, ServeError> {
        let shutdown = Shutdown::new(&settings.shutdown);
        let bound = server.bind().await?;
        let address = bound.address();
        let served = tokio::spawn({
            let shutdown = shutdown.clone();
            async move { bound.serve(&shutdown).await }
        });
        Ok(Self {
            address,
            shutdown,
            served,
        })
    }

    /// A channel to it, without a caller.
    pub fn channel(&self) -> Channel {
        channel_to(self.address)
    }

    /// A channel to it for the bearer of a token.
    pub fn channel_of(&self, token: &str) -> Authorised {
        InterceptedService::new(self.channel(), Bearer::of(token))
    }

    /// Brings it down and waits for the end.
    ///
    /// # Errors
    /// If it failed.
    pub fn stop(self) -> impl Future<Output = Result<(), ServeError>> {
        self.shutdown.request();
        async move { self.served.await.expect("the server does not panic") }
    }
}

/// A whole service under test, with what runs beside its server.
#[derive(Debug)]
pub struct Served {
    shutdown: Shutdown,
    channel: Channel,
    served: JoinHandle<anyhow::Result<()>>,
}

impl Served {
    /// Starts a service; what it has to catch up with may still be on the way.
    pub async fn start<A: Application>(app: &A, settings: &Settings) -> Self {
        let shutdown = Shutdown::new(&settings.shutdown);
        let started = application::start(app, settings, &shutdown)
            .await
            .expect("the service starts");
        Self {
            shutdown,
            channel: channel_to(started.address()),
            served: tokio::spawn(started.serve()),
        }
    }

    /// A channel to it for a caller; all channels are one connection.
    pub fn as_caller(&self, issuer: &TokenIssuer, caller: &Claims) -> Authorised {
        let bearer = Bearer::of(&issuer.issue(caller));
        InterceptedService::new(self.channel.clone(), bearer)
    }

    /// Brings it down and waits for the end, which is no failure.
    pub async fn stop(self) {
        self.shutdown.request();
        let outcome = self.served.await.expect("the service does not panic");
        outcome.expect("the service goes down in order");
    }
}

fn channel_to(address: SocketAddr) -> Channel {
    Endpoint::from_shared(format!("http://{address}"))
        .expect("an address is a URI")
        .connect_lazy()
}

/// Of a record that an officer wrote now, of something in a division; each is another request.
pub fn metadata(now: DateTime<Utc>, division: &str) -> Metadata {
    Metadata {
        id: Uuid::now_v7(),
        time: now,
        actor: "officer:test".to_owned(),
        request_id: Uuid::now_v7(),
        request_digest: [1; 16],
        correlation_id: Uuid::now_v7(),
        causation_id: None,
        division: Some(division.to_owned()),
        traceparent: None,
        answers: None,
        purpose: None,
    }
}

/// Writes events after all that an aggregate has, as its owner does who is alone; where they stand, in text.
pub async fn write(
    log: &dyn EventLog,
    subject: Subject,
    metadata: Metadata,
    events: Vec<RawEvent>,
) -> String {
    let before = log.read(&subject, 0).await;
    let before = before.expect("the aggregate can be read");
    let record = NewRecord {
        subject,
        expected: before.last().map_or(0, |record| record.sequence),
        metadata,
        events,
    };
    let sequence = log.append(record).await.expect("nobody else writes");
    Position::new(log.stream(), sequence).to_string()
}
