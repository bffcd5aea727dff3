//! A gRPC server of one method of the registry, and nothing around it: what any server could do at most.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use prost::Message;
use service::{Settings, Shutdown};
use tonic::{
    Request, Response, Status,
    body::Body,
    codegen::{Service, http},
    server::{Grpc, NamedService, UnaryService},
    transport::server::TcpIncoming,
};
use tonic_prost::ProstCodec;

/// What answers each call, whatever method it names.
pub(super) trait Method: Clone + Send + Sync + 'static {
    /// The request.
    type Asked: Message + Default + 'static;
    /// The answer.
    type Told: Message + Default + 'static;

    /// Answers a call.
    fn answer(self, asked: Self::Asked) -> impl Future<Output = Result<Self::Told, Status>> + Send;
}

type Answer<T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;

#[derive(Clone)]
struct Server<M>(M);

/// Says where it serves, and serves until `shutdown`.
pub(super) async fn serve<M: Method>(
    method: M,
    settings: &Settings,
    shutdown: &Shutdown,
) -> anyhow::Result<()> {
    let incoming = TcpIncoming::bind(settings.grpc.listen)?.with_nodelay(Some(true));
    println!("ready {}", incoming.local_addr()?);
    let served = tonic::transport::Server::builder()
        .add_service(Server(method))
        .serve_with_incoming_shutdown(incoming, shutdown.requested().cancelled_owned());
    Ok(served.await?)
}

impl<M> NamedService for Server<M> {
    const NAME: &'static str = "eldercare.registry.v1.RegistryService";
}

impl<M: Method> Service<http::Request<Body>> for Server<M> {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Answer<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let server = self.clone();
        Box::pin(async move {
            let codec = ProstCodec::<M::Told, M::Asked>::default();
            Ok(Grpc::new(codec).unary(server, request).await)
        })
    }
}

impl<M: Method> UnaryService<M::Asked> for Server<M> {
    type Response = M::Told;
    type Future = Answer<Response<M::Told>, Status>;

    fn call(&mut self, request: Request<M::Asked>) -> Self::Future {
        let method = self.0.clone();
        Box::pin(async move { method.answer(request.into_inner()).await.map(Response::new) })
    }
}
