//! A small service under test: it reads, waits, watches, and panics.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use prost::Message as _;
use prost_types::{
    FileDescriptorProto, FileDescriptorSet, MethodDescriptorProto, ServiceDescriptorProto,
};
pub(crate) use service::testing::reason;
use service::{
    Action, Actions, Caller, Clock, Deadline, Server, Settings, TokenIssuer,
    access::Access,
    errors,
    testing::{Authorised, Running, anybody, settings},
};
use tokio::sync::Semaphore;
use tokio_stream::{Stream, StreamExt as _, wrappers::ReceiverStream};
use tonic::{Request, Response, Status, body::Body, client::GrpcService, server::NamedService};
use tonic_prost::ProstCodec;
use uuid::Uuid;

pub(crate) const READ: &str = "/test.v1.Desk/Read";
pub(crate) const WAIT: &str = "/test.v1.Desk/Wait";
pub(crate) const PANIC: &str = "/test.v1.Desk/Panic";
pub(crate) const WATCH: &str = "/test.v1.Desk/Watch";
pub(crate) const UNDECLARED: &str = "/test.v1.Desk/Undeclared";
pub(crate) const REMAINING: &str = "/test.v1.Desk/Remaining";
pub(crate) const FAR: &str = "/test.v1.Desk/Far";
pub(crate) const MUCH: &str = "/test.v1.Desk/Much";
/// Answers with one message of many parts.
pub(crate) const LOT: &str = "/test.v1.Desk/Lot";
/// Waits as `Wait` does, and is urgent.
pub(crate) const ALARM: &str = "/test.v1.Desk/Alarm";
/// Streams as `Watch` does, and is urgent.
pub(crate) const LISTEN: &str = "/test.v1.Desk/Listen";
/// Tells of somebody, which goes on record.
pub(crate) const TELL: &str = "/test.v1.Desk/Tell";
/// Streams without end, as fast as it is read.
pub(crate) const POUR: &str = "/test.v1.Desk/Pour";

/// How large the messages of `Pour` are.
pub(crate) const POURED_BYTES: usize = 4_096;

/// How large the message of `Lot` is.
pub(crate) const LOT_BYTES: usize = 128 << 10;

/// The most bytes of an answer, `Lot` aside.
const MOST_BYTES: usize = 8_192;

/// The service. Callers of `Wait` add a permit to `entered` and take one of `released`.
#[derive(Clone)]
pub(crate) struct Desk {
    pub(crate) entered: Arc<Semaphore>,
    pub(crate) released: Arc<Semaphore>,
    /// How many messages `Pour` has made.
    pub(crate) poured: Arc<AtomicUsize>,
    /// Who was told by `Tell`.
    pub(crate) access: Access,
}

impl Desk {
    pub(crate) fn new() -> Self {
        Self {
            entered: Arc::new(Semaphore::new(0)),
            released: Arc::new(Semaphore::new(0)),
            poured: Arc::default(),
            access: Access::in_memory(Clock::system()),
        }
    }

    pub(crate) fn server(&self, settings: &Settings) -> Server {
        let actions = Actions::new().declare(
            Self::NAME,
            &[
                ("Read", Action::ReadPersonal),
                ("Tell", Action::ReadPersonal),
                ("Wait", Action::ReadReference),
                ("Panic", Action::ReadReference),
                ("Watch", Action::ReadReference),
                ("Remaining", Action::ReadReference),
                ("Far", Action::ReadPersonal),
                ("Much", Action::ReadReference),
                ("Lot", Action::ReadReference),
                ("Alarm", Action::ReadReference),
                ("Listen", Action::ReadReference),
                ("Pour", Action::ReadReference),
            ],
        );
        let actions = actions.urgent(Self::NAME, &["Alarm", "Listen"]);
        Server::new(settings)
            .with_descriptors(descriptors())
            .recording(self.access.clone())
            .service(self.clone(), actions)
    }

    /// Serves on a port of its own.
    pub(crate) async fn serve(&self, settings: &Settings) -> Running {
        let server = self.server(settings);
        Running::start(server, settings).await.unwrap()
    }

    /// Waits until a call of `Wait` is in its handler.
    pub(crate) async fn somebody_waits(&self) {
        self.entered.acquire().await.unwrap().forget();
    }

    async fn read(request: Request<String>) -> Result<Response<String>, Status> {
        let caller = Caller::from_request(&request)?;
        let division = request.get_ref().parse().map_err(|_| {
            errors::invalid_argument(vec![service::Violation::new(
                "division",
                "DIVISION_INVALID",
                "is none",
                "无效",
            )])
        })?;
        caller.may_where_asked(&division)?;
        Ok(Response::new(caller.actor()))
    }

    async fn tell(request: Request<String>) -> Result<Response<String>, Status> {
        let caller = Caller::from_request(&request)?;
        let told = caller.told("Tell", [Uuid::from_u128(7)], &["elder.name"]);
        told.await?;
        Ok(Response::new("told".to_owned()))
    }

    /// Something about somebody who lives in 370304.
    fn far(request: &Request<String>) -> Result<Response<String>, Status> {
        let caller = Caller::from_request(request)?;
        caller.may_here(&"370304".parse().unwrap())?;
        Ok(Response::new("told".to_owned()))
    }

    async fn wait(self) -> Result<Response<String>, Status> {
        self.entered.add_permits(1);
        self.released.acquire().await.unwrap().forget();
        Ok(Response::new("done".to_owned()))
    }

    async fn watch(
        self,
    ) -> Result<Response<Pin<Box<dyn Stream<Item = Result<String, Status>> + Send>>>, Status> {
        let (sender, receiver) = tokio::sync::mpsc::channel(1);
        sender.send(Ok("first".to_owned())).await.unwrap();
        // The stream never ends by itself: its sender is kept.
        let endless = ReceiverStream::new(receiver).chain(tokio_stream::pending());
        Ok(Response::new(Box::pin(endless)))
    }

    async fn pour(
        self,
    ) -> Result<Response<Pin<Box<dyn Stream<Item = Result<String, Status>> + Send>>>, Status> {
        let messages = std::iter::repeat_with(move || {
            self.poured.fetch_add(1, Ordering::Relaxed);
            Ok::<_, Status>("x".repeat(POURED_BYTES))
        });
        Ok(Response::new(Box::pin(tokio_stream::iter(messages))))
    }
}

/// A desk that is served, and somebody who is known to it.
pub(crate) struct OpenDesk {
    pub(crate) running: Running,
    pub(crate) desk: Desk,
    pub(crate) token: String,
    /// A connection of somebody else, who bears the same token.
    pub(crate) others: Authorised,
}

impl OpenDesk {
    pub(crate) async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let issuer = TokenIssuer::generate();
        let mut settings = settings(&issuer);
        change(&mut settings);
        let desk = Desk::new();
        let running = desk.serve(&settings).await;
        let token = issuer.issue(&anybody());
        Self {
            others: running.channel_of(&token),
            running,
            desk,
            token,
        }
    }
}

impl NamedService for Desk {
    const NAME: &'static str = "test.v1.Desk";
}

impl tower::Service<http::Request<Body>> for Desk {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let desk = self.clone();
        Box::pin(async move {
            let path = request.uri().path().to_owned();
            let most = if path == LOT {
                2 * LOT_BYTES
            } else {
                MOST_BYTES
            };
            let mut grpc = tonic::server::Grpc::new(ProstCodec::<String, String>::default())
                .max_encoding_message_size(most);
            Ok(match path.as_str() {
                WATCH | LISTEN => {
                    let watch = tower::service_fn(move |_: Request<String>| desk.clone().watch());
                    grpc.server_streaming(watch, request).await
                }
                POUR => {
                    let pour = tower::service_fn(move |_: Request<String>| desk.clone().pour());
                    grpc.server_streaming(pour, request).await
                }
                _ => {
                    let unary = tower::service_fn(move |request: Request<String>| {
                        let (desk, path) = (desk.clone(), path.clone());
                        async move {
                            match path.as_str() {
                                READ => Self::read(request).await,
                                TELL => Self::tell(request).await,
                                WAIT | ALARM => desk.wait().await,
                                FAR => Self::far(&request),
                                MUCH => Ok(Response::new("much ".repeat(2_000))),
                                LOT => Ok(Response::new("x".repeat(LOT_BYTES))),
                                PANIC => panic!("a handler's fault, on purpose"),
                                REMAINING => {
                                    let left = Deadline::of(&request).remaining().unwrap();
                                    Ok(Response::new(left.as_millis().to_string()))
                                }
                                _ => Ok(Response::new("nobody should see this".to_owned())),
                            }
                        }
                    });
                    grpc.unary(unary, request).await
                }
            })
        })
    }
}

/// Calls a unary method.
pub(crate) async fn call<C>(
    channel: C,
    method: &'static str,
    request: Request<String>,
) -> Result<String, Status>
where
    C: GrpcService<Body>,
    C::ResponseBody: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    <C::ResponseBody as http_body::Body>::Error:
        Into<Box<dyn std::error::Error + Send + Sync>> + Send,
    C::Error: std::fmt::Debug,
{
    let mut grpc = tonic::client::Grpc::new(channel);
    grpc.ready().await.unwrap();
    let path = http::uri::PathAndQuery::from_static(method);
    let response = grpc
        .unary(request, path, ProstCodec::<String, String>::default())
        .await?;
    Ok(response.into_inner())
}

/// Calls the watching method.
pub(crate) async fn watch(
    channel: Authorised,
    request: Request<String>,
) -> Result<tonic::Streaming<String>, Status> {
    stream(channel, WATCH, request).await
}

/// Calls a method that streams.
pub(crate) async fn stream(
    channel: Authorised,
    method: &'static str,
    request: Request<String>,
) -> Result<tonic::Streaming<String>, Status> {
    let mut grpc = tonic::client::Grpc::new(channel);
    grpc.ready().await.unwrap();
    let path = http::uri::PathAndQuery::from_static(method);
    let response = grpc
        .server_streaming(request, path, ProstCodec::<String, String>::default())
        .await?;
    Ok(response.into_inner())
}

/// A request with this text.
pub(crate) fn text(text: &str) -> Request<String> {
    Request::new(text.to_owned())
}

fn descriptors() -> &'static [u8] {
    let method = |name: &str| MethodDescriptorProto {
        name: Some(name.to_owned()),
        input_type: Some(".test.v1.Text".to_owned()),
        output_type: Some(".test.v1.Text".to_owned()),
        server_streaming: Some(["Watch", "Listen", "Pour"].contains(&name)),
        ..Default::default()
    };
    let set = FileDescriptorSet {
        file: vec![FileDescriptorProto {
            name: Some("test/v1/desk.proto".to_owned()),
            package: Some("test.v1".to_owned()),
            message_type: vec![prost_types::DescriptorProto {
                name: Some("Text".to_owned()),
                ..Default::default()
            }],
            service: vec![ServiceDescriptorProto {
                name: Some("Desk".to_owned()),
                method: [
                    "Read",
                    "Tell",
                    "Wait",
                    "Panic",
                    "Watch",
                    "Undeclared",
                    "Remaining",
                    "Far",
                    "Much",
                    "Lot",
                    "Alarm",
                    "Listen",
                    "Pour",
                ]
                .map(method)
                .to_vec(),
                ..Default::default()
            }],
            syntax: Some("proto3".to_owned()),
            ..Default::default()
        }],
    };
    Box::leak(set.encode_to_vec().into_boxed_slice())
}
