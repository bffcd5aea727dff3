//! What happens around every call, in this order: it is traced, gets its deadline, passes the gate, and gets a place or is
//! turned away. Until the service has begun, some wait before they get one.

mod answer;

use std::{collections::HashMap, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::FutureExt as _;
use http::{HeaderMap, Request, Response};
use http_body::Body as _;
use opentelemetry::{
    KeyValue,
    metrics::{Counter, Histogram, UpDownCounter},
};
use tokio::{sync::OwnedSemaphorePermit, time::Instant};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status, body::Body, service::Routes};
use tower::ServiceExt as _;
use tracing::{Instrument as _, Span};

use self::answer::{Accompanied, Limits};
use crate::{
    access::Access,
    action::Method,
    admission::Admission,
    deadline::Deadline,
    errors,
    errors::Refusal,
    gate::Gate,
    proxies,
    serving::{self, AnswerTo},
    settings, telemetry,
    unread::Waits,
    wire_fault,
};

/// The largest headers of a call, by HTTP/2's way of counting: names, values, and 32 bytes for each.
pub(crate) const LARGEST_HEADERS: usize = 16 << 10;

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

/// The services of a server with their surroundings.
#[derive(Debug, Clone)]
pub(crate) struct Framed {
    routes: Routes,
    around: Arc<Surroundings>,
}

impl Framed {
    /// Puts the surroundings around the services.
    pub(crate) fn new(routes: Routes, around: Surroundings) -> Self {
        Self {
            routes,
            around: Arc::new(around),
        }
    }

    /// Answers a call, in the task that is for it.
    pub(crate) async fn answer(self, mut request: Request<Body>) -> Response<Body> {
        let Self { routes, around } = self;
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
        ending.client = serving::answer_to(request.extensions_mut());

        if weight(request.headers()) > LARGEST_HEADERS {
            return ending.refuse(&headers_too_large());
        }
        if method.open {
            let draining = around.draining.clone();
            let work = handle(routes, request, Deadline::NONE, draining, ending);
            return work.instrument(span).await;
        }
        let streaming = method.streaming;
        let deadline = Deadline::of_call(request.headers(), streaming, &around.settings);
        request.extensions_mut().insert(deadline);
        // Where that makes no difference, not even who calls is found out.
        if !method.may_be_urgent()
            && around.begun.is_cancelled()
            && let Err(status) = around.admission.has_room(streaming)
        {
            return ending.shed(&status);
        }
        let Entered { urgent, waits } = match enter(&around, method, &mut request, &span) {
            Ok(entered) => entered,
            Err(status) => return ending.refuse(&status),
        };
        let place = if waits {
            around.admission.wait(streaming)
        } else {
            around.admission.admit(streaming, urgent)
        };
        match place {
            Ok(place) => ending.takes(place),
            Err(status) => return ending.shed(&status),
        }
        let cut = around.cut.clone();
        let work = async move {
            if waits {
                if let Err(status) = begun(&around, deadline).await {
                    return ending.refuse(&status);
                }
                // Else it keeps the place in which it has waited.
                if let Ok(place) = around.admission.admit(streaming, urgent) {
                    ending.takes(place);
                }
            }
            handle(routes, request, deadline, cut, ending).await
        };
        work.instrument(span).await
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

/// A call whose caller may make it.
struct Entered {
    /// Whether it has places that others never take.
    urgent: bool,
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

/// Finds out who calls, and turns away whoever may not.
fn enter(
    around: &Surroundings,
    method: &Method,
    request: &mut Request<Body>,
    span: &Span,
) -> Result<Entered, Status> {
    let mut caller = around
        .gate
        .enter(method, request.headers(), request.extensions())?;
    let trusted = &around.settings.trusted_proxies;
    caller.address = proxies::origin(request.extensions(), request.headers(), trusted);
    let service = method.name.split('/').next().unwrap_or_default();
    caller.access = around.accesses.get(service).cloned();
    span.record("eldercare.caller.department", caller.department.as_str());
    let urgent = method.is_urgent_of(&caller);
    let waits = !around.begun.is_cancelled() && !urgent && !caller.is_of_the_platform();
    request.extensions_mut().insert(caller);
    Ok(Entered { urgent, waits })
}

/// Has the handler answer.
async fn handle(
    routes: Routes,
    request: Request<Body>,
    deadline: Deadline,
    cut: CancellationToken,
    ending: Ending,
) -> Response<Body> {
    // Where a handler panics its caller gets a status too, not a stream that breaks off.
    let handler = AssertUnwindSafe(routes.oneshot(request)).catch_unwind();
    let outcome = tokio::select! {
        biased;
        outcome = handler => outcome,
        () = until(deadline.instant()) => return ending.refuse(&errors::deadline_exceeded()),
        () = cut.cancelled() => return ending.refuse(&errors::shutting_down()),
    };
    match outcome {
        Ok(Ok(response)) => ending.accompany(wire_fault::typed(response), deadline, cut),
        Ok(Err(never)) => match never {},
        Err(_panic) => ending.refuse(&errors::internal(
            &"a handler panicked; its message stands above",
        )),
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
    /// Who is to take the answer.
    client: Option<AnswerTo>,
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
            client: None,
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

    /// The call has a place to its end, instead of the one that it had.
    fn takes(&mut self, place: OwnedSemaphorePermit) {
        drop(self.place.replace(place));
    }

    /// The answer to a call for which there is no place.
    fn shed(self, status: &Status) -> Response<Body> {
        self.around.figures.shed.add(1, &self.method().labels);
        self.refuse(status)
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
            let patience = self.around.settings.max_unread;
            let limits = if unary {
                Limits::of_unary(deadline, patience)
            } else {
                Limits::of_stream(deadline, cut)
            };
            Body::new(Accompanied::new(inner, self, limits))
        })
    }

    /// The client is waited for, from now on until what is returned is dropped, and no longer than until an instant.
    fn waits(&self, until: Option<Instant>) -> Option<Waits> {
        let client = self.client.as_ref()?;
        Some(client.waits(until))
    }

    fn note(&mut self, headers: &HeaderMap) {
        if let Some(status) = headers.get("grpc-status") {
            self.code = Some(Code::from_bytes(status.as_bytes()));
        }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        // No status was sent: the caller went away, or did not take the answer.
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
