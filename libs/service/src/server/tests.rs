//! Answers that their clients take slowly, or in part, while a clock runs that stands still wherever there is something to do.

use std::{
    convert::Infallible,
    io,
    task::{Context, Poll},
};

use http::uri::PathAndQuery;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream},
    time::Instant,
};
use tokio_stream::StreamExt as _;
use tonic::{
    Request, Response, Status, Streaming, body::Body, service::interceptor::InterceptedService,
    transport::Endpoint,
};
use tonic_prost::ProstCodec;

use super::*;
use crate::{
    action::Action,
    testing::{self, Authorised, Bearer, anybody, reason},
    token_issuer::TokenIssuer,
};

/// What the network carries to the client in a second, in bytes.
const A_SECOND: usize = 4 << 10;

/// How large a large answer is, in bytes: it takes a minute and a half.
const LARGE: usize = 96 * A_SECOND;

/// For how long an answer may be left alone: the last parts of an answer come in less, but not all of a large one.
const PATIENCE: Duration = Duration::from_secs(30);

const METHOD: &str = "/eldercare.registry.v1.RegistryService/GetElder";

/// Answers each call with so many bytes.
#[derive(Clone)]
struct Answers(usize);

impl NamedService for Answers {
    const NAME: &'static str = "eldercare.registry.v1.RegistryService";
}

impl tower::Service<http::Request<Body>> for Answers {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let Self(bytes) = *self;
        Box::pin(async move {
            let answer = tower::service_fn(move |_: Request<String>| async move {
                Ok::<_, Status>(Response::new("x".repeat(bytes)))
            });
            let mut grpc = tonic::server::Grpc::new(ProstCodec::<String, String>::default());
            Ok(grpc.unary(answer, request).await)
        })
    }
}

/// A client of such a service over a slow network.
struct Client(Authorised);

impl Client {
    /// The client lets the server send so many bytes of an answer before it has read them.
    fn of(answers: Answers, window: u32, change: impl FnOnce(&mut settings::Grpc)) -> Self {
        let issuer = TokenIssuer::generate();
        let mut settings = testing::settings(&issuer);
        settings.grpc.max_calls = 1;
        settings.grpc.max_unread = PATIENCE;
        change(&mut settings.grpc);
        let actions = [("GetElder", Action::ReadReference)];
        let actions = Actions::new().declare(Answers::NAME, &actions);
        let around = Surroundings {
            gate: Gate::new(&settings, &[proto::FILE_DESCRIPTOR_SET], &actions).unwrap(),
            accesses: HashMap::new(),
            admission: Admission::new(&settings.grpc),
            settings: settings.grpc.clone(),
            begun: CancellationToken::new(),
            draining: CancellationToken::new(),
            cut: CancellationToken::new(),
            figures: Figures::new(),
        };
        around.begun.cancel();
        let (client, server) = slow_network();
        let incoming = tokio_stream::once(server).chain(tokio_stream::pending());
        let serving = serving(&settings.grpc, Routes::new(answers), around);
        tokio::spawn(serving.serve(incoming, std::future::pending()));

        let mut client = Some(TokioIo::new(client));
        let connector = tower::service_fn(move |_: http::Uri| {
            let client = client.take().ok_or(io::ErrorKind::NotConnected);
            std::future::ready(client.map_err(io::Error::from))
        });
        let channel = Endpoint::from_static("http://desk")
            .initial_stream_window_size(window)
            .initial_connection_window_size(1_u32 << 20)
            .connect_with_connector_lazy(connector);
        let bearer = Bearer::of(&issuer.issue(&anybody()));
        Self(InterceptedService::new(channel, bearer))
    }

    /// Calls, and takes nothing of the answer.
    async fn asks(&self) -> Result<Streaming<String>, Status> {
        let mut grpc = tonic::client::Grpc::new(self.0.clone());
        grpc.ready().await.unwrap();
        let (path, codec) = (PathAndQuery::from_static(METHOD), ProstCodec::default());
        let answer = grpc.server_streaming(Request::new(String::new()), path, codec);
        Ok(answer.await?.into_inner())
    }

    /// Calls, and takes the answer as fast as it comes: how large it is.
    async fn takes(&self) -> Result<usize, Status> {
        let answer = self.asks().await?.message().await?;
        Ok(answer.unwrap_or_default().len())
    }
}

/// A connection on which the client's end is the first, and what the server says to it takes its time.
fn slow_network() -> (DuplexStream, DuplexStream) {
    let (client, of_client) = tokio::io::duplex(A_SECOND);
    let (server, of_server) = tokio::io::duplex(A_SECOND);
    let (mut from_client, mut to_client) = tokio::io::split(of_client);
    let (mut from_server, mut to_server) = tokio::io::split(of_server);
    tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
    tokio::spawn(async move {
        let mut carried = vec![0; A_SECOND];
        while let Ok(read @ 1..) = from_server.read(&mut carried).await {
            tokio::time::sleep(Duration::from_secs(1)).await;
            if to_client.write_all(&carried[..read]).await.is_err() {
                break;
            }
        }
    });
    (client, server)
}

#[tokio::test(start_paused = true)]
async fn who_takes_an_answer_steadily_gets_all_of_it_however_much_it_lets_be_sent() {
    let client = Client::of(Answers(LARGE), 1 << 20, |grpc| {
        grpc.default_deadline = Duration::from_secs(600);
    });
    let began = Instant::now();
    assert_eq!(client.takes().await.unwrap(), LARGE);
    assert!(began.elapsed() > 2 * PATIENCE);
}

#[tokio::test(start_paused = true)]
async fn an_answer_as_a_whole_has_an_end_however_steadily_it_is_taken() {
    let client = Client::of(Answers(LARGE), 1 << 20, |grpc| {
        grpc.default_deadline = Duration::from_secs(10);
    });
    let began = Instant::now();
    let second = async {
        tokio::time::sleep(PATIENCE / 2).await;
        client.takes().await.unwrap_err()
    };
    let (first, refused) = tokio::join!(client.takes(), second);
    assert_eq!(reason(&refused), "OVERLOADED");
    assert_eq!(reason(&first.unwrap_err()), "", "it breaks off");
    let took = began.elapsed();
    assert!(took >= PATIENCE && took < 2 * PATIENCE, "{took:?}");
    client.asks().await.expect("the place is free again");
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_deadline_is_later_has_until_then_to_take_its_answer() {
    let client = Client::of(Answers(LARGE), 1 << 20, |grpc| {
        grpc.default_deadline = PATIENCE + PATIENCE / 2;
    });
    let began = Instant::now();
    client.takes().await.unwrap_err();
    let took = began.elapsed();
    assert!(took >= PATIENCE + PATIENCE / 2, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_one_part_of_which_nobody_takes_more_than_the_beginning_is_ended() {
    // The client takes a byte: the transport has all of it by then.
    let client = Client::of(Answers(8_000), 1, |grpc| {
        grpc.default_deadline = Duration::from_secs(10);
    });
    let unread = client.asks().await.unwrap();
    tokio::time::sleep(PATIENCE / 2).await;
    let refused = client.asks().await.unwrap_err();
    assert_eq!(reason(&refused), "OVERLOADED");
    tokio::time::sleep(PATIENCE + PATIENCE / 2).await;
    client.asks().await.expect("the place is free again");
    drop(unread);
}
