//! A way to the registry as a cluster has it at its worst: under TLS, and whoever calls a method for the first time is told that
//! nobody is there.

use std::{
    collections::BTreeSet,
    convert::Infallible,
    future,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use http::{Request, Response};
use proto::eldercare::registry::v1::registry_service_server::SERVICE_NAME;
use tonic::{
    Status,
    body::Body,
    codegen::{BoxFuture, Service},
    server::NamedService,
    transport::{Channel, Endpoint, Identity, Server, ServerTlsConfig, server::TcpIncoming},
};

use crate::lines::pass_on;

/// The turnstile. It lets through what comes a second time.
#[derive(Debug)]
pub struct Turnstile {
    address: SocketAddr,
    certificate: String,
    turned_away: TurnedAway,
}

/// The methods that were called once.
type TurnedAway = Arc<Mutex<BTreeSet<String>>>;

impl Turnstile {
    /// Stands before the registry, for as long as the runtime lives.
    pub fn before(registry: &str) -> Self {
        let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let certificate = own.cert.pem();
        let identity = Identity::from_pem(&certificate, own.signing_key.serialize_pem());
        let turned_away = TurnedAway::default();
        let way = Way {
            line: Endpoint::from_shared(format!("http://{registry}"))
                .unwrap()
                .connect_lazy(),
            turned_away: Arc::clone(&turned_away),
        };
        let incoming = TcpIncoming::bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let address = incoming.local_addr().unwrap();
        let server = Server::builder()
            .tls_config(ServerTlsConfig::new().identity(identity))
            .unwrap()
            .add_service(way);
        tokio::spawn(server.serve_with_incoming(incoming));
        Self {
            address,
            certificate,
            turned_away,
        }
    }

    /// Where it is, by the name that its certificate bears.
    pub fn endpoint(&self) -> String {
        format!("https://localhost:{}", self.address.port())
    }

    /// The certificate, which nobody has signed but itself.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// The methods of which it turned the first call away.
    pub fn turned_away(&self) -> BTreeSet<String> {
        self.turned_away.lock().unwrap().clone()
    }
}

/// What serves one connection.
#[derive(Clone, Debug)]
struct Way {
    line: Channel,
    turned_away: TurnedAway,
}

impl NamedService for Way {
    const NAME: &'static str = SERVICE_NAME;
}

impl Service<Request<Body>> for Way {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Response<Body>, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let method = request.uri().path().rsplit('/').next().unwrap_or_default();
        if self.turned_away.lock().unwrap().insert(method.to_owned()) {
            let nobody: Response<Body> = Status::unavailable("nobody is there").into_http();
            return Box::pin(future::ready(Ok(nobody)));
        }
        // Whoever calls keeps the time: the line would do so too, and tell of it in words of its own.
        request.headers_mut().remove("grpc-timeout");
        let line = self.line.clone();
        Box::pin(async move {
            let answer = pass_on(&line, request).await;
            Ok(answer.unwrap_or_else(|error| Status::from_error(Box::new(error)).into_http()))
        })
    }
}
