//! What happens around every call, in this order: it is traced, gets a place or is turned away, gets its deadline, and passes the gate.

use std::{
    collections::HashMap,
    convert::Infallible,
    future::Future,
    net::IpAddr,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures::FutureExt as _;
use http::{Extensions, HeaderMap, Request, Response};
use http_body::{Body as _, Frame, SizeHint};
use opentelemetry::{
    KeyValue,
    metrics::{Counter, Histogram, UpDownCounter},
};
use pin_project_lite::pin_project;
use tokio::{sync::OwnedSemaphorePermit, time::Instant};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::{
    Code, Status,
    body::Body,
    transport::server::{TcpConnectInfo, TlsConnectInfo},
};
use tower::{Layer, Service};
use tracing::{Instrument as _, Span};

use crate::{
    access::Access,
    action::Method,
    admission::Admission,
    connection,
    deadline::Deadline,
    errors,
    errors::Refusal,
    gate::Gate,
    settings, telemetry,
    unread::{self, Unread, Waits},
    wire_fault,
};

/// The largest headers of a call, by HTTP/2's way of counting: names, values, and 32 bytes for each.
pub(crate) const LARGEST_HEADERS: usize = 16 << 10;

/// Pieces of an answer from so many bytes on are known to wait until they have left the process, and hold the place of
/// their call. What is smaller waits until the transport takes it, which costs less to find out.
const LARGE: usize = 16 << 10;

/// What all calls of a server share.
#[derive(Debug)]
pub(crate) struct Surroundings {
    pub(crate) gate: Gate,
    /// Where looks go on record, by the full name of the gRPC service.
    pub(crate) accesses: HashMap<&'static str, Access>,
    pub(crate) admission: Admission,
    pub(crate) settings: settings::Grpc,
    /// Cancelled once the service has been ready for the first time: what it says before then may be what was true long ago.
    pub(crate) begun: CancellationToken,
    /// Once cancelled, streams of health and reflection end.
    pub(crate) draining: CancellationToken,
    /// Once cancelled, whatever still runs is cut off.
    pub(crate) cut: CancellationToken,
    pub(crate) figures: Figures,
}

/// The metrics of calls.
#[derive(Debug)]
pub(crate) struct Figures {
    duration: Histogram<f64>,
    shed: Counter<u64>,
    at_work: UpDownCounter<i64>,
}

impl Figures {
    pub(crate) fn new() -> Self {
        let meter = opentelemetry::global::meter("eldercare.grpc");
        Self {
            duration: meter
                .f64_histogram("rpc.server.call.duration")
                .with_unit("s")
                .with_description("Calls by method and code, from arrival to the end of the answer")
                .with_boundaries(vec![
                    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5,
                    5.0, 7.5, 10.0, 30.0, 60.0,
                ])
                .build(),
            shed: meter
                .u64_counter("eldercare.rpc.shed")
                .with_unit("{call}")
                .with_description("Calls turned away because too many were at work")
                .build(),
            at_work: meter
                .i64_up_down_counter("eldercare.rpc.at_work")
                .with_unit("{call}")
                .with_description("Calls at work, streams included")
                .build(),
        }
    }
}

/// Puts the surroundings around a service.
#[derive(Debug, Clone)]
pub(crate) struct FrameLayer(pub(crate) Arc<Surroundings>);

impl<S> Layer<S> for FrameLayer {
    type Service = Framed<S>;

    fn layer(&self, inner: S) -> Framed<S> {
        Framed {
            inner,
            around: Arc::clone(&self.0),
        }
    }
}

/// A service with its surroundings.
#[derive(Debug, Clone)]
pub(crate) struct Framed<S> {
    inner: S,
    around: Arc<Surroundings>,
}

impl<S> Service<Request<Body>> for Framed<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let around = Arc::clone(&self.around);
        // The service that was polled ready is the one to be called.
        let waiting = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, waiting);

        let method = around.gate.methods.of_path(request.uri().path());
        let span = tracing::info_span!(
            "rpc",
            otel.name = %method.name,
            otel.kind = "server",
            otel.status_code = tracing::field::Empty,
            rpc.system.name = "grpc",
            rpc.method = %method.name,
            rpc.response.status_code = tracing::field::Empty,
            "error.type" = tracing::field::Empty,
            eldercare.caller.department = tracing::field::Empty,
        );
        telemetry::follow_headers(&span, request.headers());
        let mut ending = Ending::new(Arc::clone(&around), method.number, span.clone());
        ending.unread = connection::unread_of(request.extensions_mut());

        if weight(request.headers()) > LARGEST_HEADERS {
            return Box::pin(std::future::ready(Ok(ending.refuse(&headers_too_large()))));
        }
        if method.open {
            let draining = around.draining.clone();
            return Box::pin(
                answer(inner, request, Deadline::NONE, draining, ending).instrument(span),
            );
        }
        let deadline = Deadline::of_call(request.headers(), method.streaming, &around.settings);
        let waits = match prepare(&around, method, &mut request, deadline, &span) {
            Ok(Admitted { place, waits }) => {
                ending.place = Some(place);
                waits
            }
            Err(status) => return Box::pin(std::future::ready(Ok(ending.refuse(&status)))),
        };
        let cut = around.cut.clone();
        if waits {
            let work = async move {
                match begun(&around, deadline).await {
                    Ok(()) => answer(inner, request, deadline, cut, ending).await,
                    Err(status) => Ok(ending.refuse(&status)),
                }
            };
            return Box::pin(work.instrument(span));
        }
        let work = answer(inner, request, deadline, cut, ending);
        Box::pin(work.instrument(span))
    }
}

fn weight(headers: &HeaderMap) -> usize {
    headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 32)
        .sum()
}

fn headers_too_large() -> Status {
    Refusal::new(
        Code::ResourceExhausted,
        "METADATA_TOO_LARGE",
        "the call's metadata is larger than 16 KiB",
        "请求元数据超过 16 KiB",
    )
    .into()
}

/// A call that was let in.
struct Admitted {
    place: OwnedSemaphorePermit,
    /// Until the service has begun. Services of the platform don't wait for each other: each of them waits for its own read
    /// models, which may take another's answers to be filled. Nor does a call for help wait for what others want to read.
    waits: bool,
}

/// How long a call waits at most until the service has begun, where its deadline leaves it the time.
const BEGINS_WITHIN: Duration = Duration::from_secs(10);

/// Waits until the service has been ready for the first time.
async fn begun(around: &Surroundings, deadline: Deadline) -> Result<(), Status> {
    tokio::select! {
        biased;
        () = around.begun.cancelled() => Ok(()),
        () = around.cut.cancelled() => Err(errors::shutting_down()),
        () = until(deadline.instant()) => Err(errors::starting()),
        () = tokio::time::sleep(BEGINS_WITHIN) => Err(errors::starting()),
    }
}

/// Everything that can turn a call away before its handler sees it.
fn prepare(
    around: &Surroundings,
    method: &Method,
    request: &mut Request<Body>,
    deadline: Deadline,
    span: &Span,
) -> Result<Admitted, Status> {
    let place = around
        .admission
        .admit(method)
        .inspect_err(|_| around.figures.shed.add(1, &method.labels))?;
    request.extensions_mut().insert(deadline);
    let mut caller = around
        .gate
        .enter(method, request.headers(), request.extensions())?;
    caller.address = address_of(request.extensions());
    let service = method.name.split('/').next().unwrap_or_default();
    caller.access = around.accesses.get(service).cloned();
    span.record("eldercare.caller.department", caller.department.as_str());
    let waits = !around.begun.is_cancelled() && !method.urgent && !caller.is_of_the_platform();
    request.extensions_mut().insert(caller);
    Ok(Admitted { place, waits })
}

/// The address of the peer, as the connection has it.
fn address_of(connection: &Extensions) -> Option<IpAddr> {
    let plain = connection.get::<TcpConnectInfo>();
    let secured = connection.get::<TlsConnectInfo<TcpConnectInfo>>();
    let peer = plain.or(secured.map(TlsConnectInfo::get_ref))?;
    Some(peer.remote_addr()?.ip().to_canonical())
}

async fn answer<S>(
    mut inner: S,
    request: Request<Body>,
    deadline: Deadline,
    cut: CancellationToken,
    ending: Ending,
) -> Result<Response<Body>, Infallible>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Send,
    S::Future: Send,
{
    // A handler that panics would take its whole connection along, with the calls of others on it.
    let handler = AssertUnwindSafe(async move { inner.call(request).await }).catch_unwind();
    let outcome = tokio::select! {
        biased;
        outcome = handler => outcome,
        () = until(deadline.instant()) => return Ok(ending.refuse(&errors::deadline_exceeded())),
        () = cut.cancelled() => return Ok(ending.refuse(&errors::shutting_down())),
    };
    match outcome {
        Ok(Ok(response)) => Ok(ending.accompany(wire_fault::typed(response), deadline, cut)),
        Ok(Err(never)) => match never {},
        Err(_panic) => Ok(ending.refuse(&errors::internal(
            &"a handler panicked; its message stands above",
        ))),
    }
}

async fn until(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

/// Counts and times a call when it is over, however it ends.
struct Ending {
    around: Arc<Surroundings>,
    method: usize,
    began: std::time::Instant,
    span: Span,
    code: Option<Code>,
    place: Option<OwnedSemaphorePermit>,
    /// What waits on the call's connection.
    unread: Option<Arc<Unread>>,
}

impl Ending {
    fn new(around: Arc<Surroundings>, method: usize, span: Span) -> Self {
        let ending = Self {
            around,
            method,
            began: std::time::Instant::now(),
            span,
            code: None,
            place: None,
            unread: None,
        };
        ending
            .around
            .figures
            .at_work
            .add(1, &ending.method().labels);
        ending
    }

    fn method(&self) -> &Method {
        self.around.gate.methods.number(self.method)
    }

    /// The answer that is nothing but a status.
    fn refuse(mut self, status: &Status) -> Response<Body> {
        self.code = Some(status.code());
        status.clone().into_http()
    }

    /// The handler's answer, with this ending at its end.
    fn accompany(
        mut self,
        response: Response<Body>,
        deadline: Deadline,
        cut: CancellationToken,
    ) -> Response<Body> {
        self.note(response.headers());
        let unary = !self.method().streaming;
        response.map(|inner| {
            if inner.is_end_stream() {
                return Body::empty();
            }
            // The one message of a unary answer is there already: nothing is left to wait for.
            let limits = if unary {
                None
            } else {
                Some(Limits::new(deadline, cut))
            };
            Body::new(Accompanied {
                inner,
                ending: Some(self),
                limits,
                waits: None,
            })
        })
    }

    /// Hands a piece of the answer on. Its connection knows that it waits until the client has taken it.
    fn hand_on(&mut self, piece: Frame<Bytes>) -> (Frame<Bytes>, Option<Waits>) {
        let Some(waits) = self.unread.as_ref().map(Unread::waits) else {
            return (piece, None);
        };
        match piece.into_data() {
            Ok(bytes) if bytes.len() >= LARGE => {
                // A stream keeps its place to its end; the answer of a unary call is all that there is of it.
                let place = if self.method().streaming {
                    None
                } else {
                    self.place.take()
                };
                let bytes = unread::until_it_leaves(bytes, waits, place);
                (Frame::data(bytes), None)
            }
            Ok(bytes) => (Frame::data(bytes), Some(waits)),
            Err(piece) => (piece, Some(waits)),
        }
    }

    fn note(&mut self, headers: &HeaderMap) {
        if let Some(status) = headers.get("grpc-status") {
            self.code = Some(Code::from_bytes(status.as_bytes()));
        }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        // No status was sent: the caller went away.
        let code = self.code.unwrap_or(Code::Cancelled);
        let name = name_of(code);
        self.span.record("rpc.response.status_code", name);
        let mut labels = self.method().labels.to_vec();
        labels.push(KeyValue::new("rpc.response.status_code", name));
        if is_failure(code) {
            self.span.record("error.type", name);
            self.span.record("otel.status_code", "error");
            labels.push(KeyValue::new("error.type", name));
        }
        let seconds = self
            .began
            .elapsed()
            .max(Duration::from_nanos(1))
            .as_secs_f64();
        self.around.figures.duration.record(seconds, &labels);
        self.around.figures.at_work.add(-1, &self.method().labels);
        if matches!(code, Code::Internal | Code::Unknown | Code::DataLoss) {
            tracing::error!(parent: &self.span, ?code, seconds, "call");
        } else {
            tracing::debug!(parent: &self.span, ?code, seconds, "call");
        }
    }
}

/// A code as contracts and telemetry name it.
const fn name_of(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

/// Whether it was the server that failed, and not the caller who asked for what can't be.
const fn is_failure(code: Code) -> bool {
    matches!(
        code,
        Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
    )
}

/// What ends a stream that does not end by itself.
struct Limits {
    deadline: Option<Pin<Box<tokio::time::Sleep>>>,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Limits {
    fn new(deadline: Deadline, cut: CancellationToken) -> Self {
        Self {
            deadline: deadline
                .instant()
                .map(|instant| Box::pin(tokio::time::sleep_until(instant))),
            cut: Box::pin(cut.cancelled_owned()),
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Status> {
        if let Some(deadline) = &mut self.deadline
            && deadline.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(errors::deadline_exceeded());
        }
        self.cut.as_mut().poll(cx).map(|()| errors::shutting_down())
    }
}

pin_project! {
    /// An answer on its way, until its end.
    struct Accompanied {
        #[pin]
        inner: Body,
        ending: Option<Ending>,
        limits: Option<Limits>,
        // The piece that was handed on last, until the next one is asked for.
        waits: Option<Waits>,
    }
}

impl http_body::Body for Accompanied {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.project();
        let Some(ending) = this.ending else {
            return Poll::Ready(None);
        };
        let span = ending.span.clone();
        let _entered = span.enter();
        *this.waits = None;
        let polled = this.inner.poll_frame(cx);
        match polled {
            Poll::Ready(Some(Ok(mut frame))) => {
                if let Some(trailers) = frame.trailers_mut() {
                    wire_fault::type_trailers(trailers);
                    ending.note(trailers);
                    *this.ending = None;
                    return Poll::Ready(Some(Ok(frame)));
                }
                let (piece, waits) = ending.hand_on(frame);
                *this.waits = waits;
                Poll::Ready(Some(Ok(piece)))
            }
            Poll::Ready(Some(Err(status))) => {
                ending.code = Some(status.code());
                *this.ending = None;
                Poll::Ready(Some(Err(status)))
            }
            Poll::Ready(None) => {
                *this.ending = None;
                Poll::Ready(None)
            }
            Poll::Pending => {
                let Some(Poll::Ready(status)) = this.limits.as_mut().map(|limits| limits.poll(cx))
                else {
                    return Poll::Pending;
                };
                ending.code = Some(status.code());
                *this.ending = None;
                let mut trailers = HeaderMap::new();
                // Fails only for metadata, and there is none.
                let _ = status.add_header(&mut trailers);
                Poll::Ready(Some(Ok(Frame::trailers(trailers))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ending.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
