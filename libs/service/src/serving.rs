//! Connections that are served: a task for each, and one for each call on it, which can be ended without the others.

use std::{convert::Infallible, io, pin::pin, sync::Arc, time::Duration};

use futures::{FutureExt as _, Stream, StreamExt as _};
use http::{Extensions, Request};
use hyper::{body::Incoming, rt::Executor, server::conn::http2, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::{body::Body, transport::server::Connected};

use crate::{
    connection::{Bounds, Connection},
    errors,
    frame::Framed,
    unread::{Unread, Waits},
};

/// Before the next connection is accepted after one could not be, as for lack of file descriptors.
const PAUSE: Duration = Duration::from_millis(50);

tokio::task_local! {
    /// Ends the stream of the call that a task is for, and nothing else.
    static END: CancellationToken;
}

/// Runs the calls of a connection, each in a task of its own: whoever ends the task resets the stream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Calls;

impl<F> Executor<F> for Calls
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, call: F) {
        let end = CancellationToken::new();
        let ended = end.clone();
        tokio::spawn(END.scope(end, async move {
            ended.run_until_cancelled(call).await;
        }));
    }
}

/// The client that is to take the answer to a call.
#[derive(Debug)]
pub(crate) struct AnswerTo {
    unread: Arc<Unread>,
    end: CancellationToken,
}

impl AnswerTo {
    /// It is waited for, from now on until what is returned is dropped. Where that takes too long, or goes on at `until`, the
    /// stream is reset.
    pub(crate) fn waits(&self, until: Option<Instant>) -> Waits {
        self.unread.waits(until, &self.end)
    }
}

/// Whoever is to take the answer to a call, asked in the task that is for it; none where it came over no connection of ours.
pub(crate) fn answer_to(call: &mut Extensions) -> Option<AnswerTo> {
    let unread = call.remove::<Arc<Unread>>()?;
    let end = END.try_with(CancellationToken::clone).ok()?;
    Some(AnswerTo { unread, end })
}

/// The connections of those that come in; what could not be accepted is said and passed by.
pub(crate) fn accepted<S>(incoming: impl Stream<Item = io::Result<S>>) -> impl Stream<Item = S> {
    incoming.filter_map(|accepted| async move {
        match accepted {
            Ok(connection) => Some(connection),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(PAUSE).await;
                None
            }
        }
    })
}

/// How connections are served.
#[derive(Debug, Clone)]
pub(crate) struct Serving {
    pub(crate) http2: http2::Builder<Calls>,
    pub(crate) bounds: Bounds,
    /// When a client is told to go elsewhere; what runs then goes on to the end of the connection's lifetime.
    pub(crate) age: Duration,
    pub(crate) service: Framed,
}

impl Serving {
    /// Serves the connections that come in until `closing`, which closes the port; returns once all of them have ended, or
    /// none comes in any more.
    pub(crate) async fn serve<S>(
        self,
        incoming: impl Stream<Item = S>,
        closing: impl Future<Output = ()>,
    ) where
        S: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
    {
        let (connections, going) = (TaskTracker::new(), CancellationToken::new());
        // Whoever drops this future has the clients told as well.
        let told = going.clone().drop_guard();
        self.accept(incoming, closing, &connections, &going).await;
        drop(told);
        connections.close();
        connections.wait().await;
    }

    async fn accept<S>(
        &self,
        incoming: impl Stream<Item = S>,
        closing: impl Future<Output = ()>,
        connections: &TaskTracker,
        going: &CancellationToken,
    ) where
        S: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
    {
        let mut incoming = pin!(incoming);
        let mut closing = pin!(closing);
        loop {
            let stream = tokio::select! {
                () = &mut closing => return,
                stream = incoming.next() => stream,
            };
            let Some(stream) = stream else { return };
            let connection = Connection::new(stream, self.bounds);
            connections.spawn(self.clone().serve_one(connection, going.clone()));
        }
    }

    /// Serves one connection to its end. At its age, or once the service goes down, it takes no further calls.
    async fn serve_one<S>(self, connection: Connection<S>, going: CancellationToken)
    where
        S: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
    {
        let (known, unread) = (connection.connect_info(), connection.unread());
        let service = self.service;
        let service = service_fn(move |request: Request<Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(known.clone());
            request.extensions_mut().insert(Arc::clone(&unread));
            // What follows is done in the task of the call.
            service.clone().answer(request).map(Ok::<_, Infallible>)
        });
        let served = self
            .http2
            .serve_connection(TokioIo::new(connection), service);
        let mut served = pin!(served);
        let ended = tokio::select! {
            ended = served.as_mut() => ended,
            () = going_or_aged(&going, self.age) => {
                served.as_mut().graceful_shutdown();
                served.await
            }
        };
        if let Err(error) = ended {
            let error = errors::with_causes(&error);
            tracing::debug!(error, "a connection failed");
        }
    }
}

async fn going_or_aged(going: &CancellationToken, age: Duration) {
    // Either way the client is told to go elsewhere.
    let _aged = tokio::time::timeout(age, going.cancelled()).await;
}
