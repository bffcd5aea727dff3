//! One address for all services, as the mesh of a cluster gives one: each call goes to the process that serves it. Where that
//! goes down meanwhile the call ends with UNAVAILABLE, and where it is down the call waits until it is back.

use std::{
    convert::Infallible,
    net::{Ipv4Addr, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::{HeaderMap, Request, Response};
use http_body::Frame;
use proto::eldercare::simulation::v1::simulation_service_server::{
    SERVICE_NAME, SimulationServiceServer,
};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;
use tonic::{
    Status,
    body::Body,
    codegen::{BoxFuture, Service},
    transport::{Server, server::TcpIncoming},
};

use super::clocks::{Clocks, Present};
use crate::{
    System,
    lines::{Lines, pass_on},
    process::Part,
};

/// The address; gone with the handle.
#[derive(Debug)]
pub(super) struct Gateway {
    address: SocketAddr,
    present: watch::Sender<Present>,
    calls: watch::Receiver<u64>,
    clocks: Arc<Clocks>,
    _serving: AbortOnDropHandle<Result<(), tonic::transport::Error>>,
}

impl Gateway {
    /// Stands before the processes of a system, all of which run. They come back to where they are however often they are killed.
    pub(super) fn before(system: &System) -> Self {
        let (present, who_is) = watch::channel([true; Part::ALL.len()]);
        let (called, calls) = watch::channel(0);
        let clocks = Arc::new(Clocks::at(system.now, system.officer(), who_is));
        let way = Way {
            lines: system.lines_apart(),
            called,
            clocks: Arc::clone(&clocks),
        };
        let incoming = TcpIncoming::bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let address = incoming.local_addr().unwrap();
        let incoming = incoming.with_nodelay(Some(true));
        let server = Server::builder().serve_with_incoming(way, incoming);
        Self {
            address,
            present,
            calls,
            clocks,
            _serving: AbortOnDropHandle::new(tokio::spawn(server)),
        }
    }

    /// Where clients call.
    pub(super) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many calls have come.
    pub(super) fn calls(&self) -> watch::Receiver<u64> {
        self.calls.clone()
    }

    /// What the clock shows.
    pub(super) async fn now(&self) -> DateTime<Utc> {
        self.clocks.now().await
    }

    /// A part is about to be killed: who calls it from now on waits.
    pub(super) fn leaves(&self, part: Part) {
        self.present
            .send_modify(|present| present[part as usize] = false);
    }

    /// A part is ready again.
    pub(super) fn is_back(&self, part: Part) {
        self.clocks.forget(part);
        self.present
            .send_modify(|present| present[part as usize] = true);
    }
}

/// What serves one connection.
#[derive(Clone, Debug)]
struct Way {
    lines: Lines,
    called: watch::Sender<u64>,
    clocks: Arc<Clocks>,
}

impl Way {
    /// Leads a call to the process that serves it.
    async fn lead(self, request: Request<Body>) -> Response<Body> {
        self.called.send_modify(|calls| *calls += 1);
        let path = request.uri().path().to_owned();
        let service = path.split('/').nth(1).unwrap_or_default();
        if service == SERVICE_NAME {
            let mut clock = SimulationServiceServer::from_arc(Arc::clone(&self.clocks));
            let Ok(answer) = clock.call(request).await;
            return answer;
        }
        let answer = self.answer(Part::serving(service), request).await;
        answer.unwrap_or_else(Status::into_http)
    }

    async fn answer(&self, part: Part, request: Request<Body>) -> Result<Response<Body>, Status> {
        self.clocks.may_be_called(part).await?;
        let answer = pass_on(self.lines.to(part), request).await;
        let answer = answer.map_err(|_| gone())?;
        // A part that needs another one refuses while that is down. A client's patience is not what is tried here, and on a busy
        // machine a process may take longer to come back: it hears of it when it may try again.
        if answer.headers().contains_key("grpc-status") {
            self.clocks.all_run().await?;
        }
        Ok(answer.map(|body| Body::new(Answer(body))))
    }
}

impl Service<Request<Body>> for Way {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Response<Body>, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let led = self.clone().lead(request);
        Box::pin(async move { Ok(led.await) })
    }
}

/// What becomes of a call whose process goes down.
fn gone() -> Status {
    Status::unavailable("the process is gone")
}

/// What a process answers. Where it breaks off the call ends with a status, as a mesh ends it.
#[derive(Debug)]
struct Answer(Body);

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = ready!(Pin::new(&mut self.0).poll_frame(context));
        Poll::Ready(match frame {
            Some(Err(_)) => {
                self.0 = Body::empty();
                let mut trailers = HeaderMap::new();
                Some(
                    gone()
                        .add_header(&mut trailers)
                        .map(|()| Frame::trailers(trailers)),
                )
            }
            Some(Ok(frame)) => Some(Ok(frame)),
            None => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }
}
