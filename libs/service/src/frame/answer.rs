//! The body of an answer on its way: handed to the transport part by part, so that it is known whether the client takes it.
//!
//! The transport asks for more once the client has made room for what it has. The end of an answer waits until all of it has
//! left, unless that is little, so that until then its call has its place, and can be ended alone.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::{Status, body::Body};

use super::Ending;
use crate::{
    deadline::Deadline,
    errors,
    unread::{Parts, Waits},
    wire_fault,
};

/// What ends an answer that does not end by itself.
pub(super) struct Limits {
    /// When its stream is reset where the client keeps it waiting: the transport asks for nothing meanwhile, so that no status
    /// can be said.
    until: Option<Instant>,
    stream: Option<StreamLimits>,
}

struct StreamLimits {
    deadline: Option<Pin<Box<tokio::time::Sleep>>>,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Limits {
    /// The one message is there already: nothing is left to wait for but the client, who has as long as the call may take, or
    /// as our patience with who takes nothing, to take all of it. Else who takes a little now and then would keep its place.
    pub(super) fn of_unary(deadline: Deadline, patience: Duration) -> Self {
        let most = Instant::now().checked_add(patience);
        let both = deadline.instant().zip(most);
        Self {
            until: both.map(|(deadline, most)| deadline.max(most)),
            stream: None,
        }
    }

    pub(super) fn of_stream(deadline: Deadline, cut: CancellationToken) -> Self {
        let until = deadline.instant();
        Self {
            until,
            stream: Some(StreamLimits {
                deadline: until.map(|instant| Box::pin(tokio::time::sleep_until(instant))),
                cut: Box::pin(cut.cancelled_owned()),
            }),
        }
    }
}

impl StreamLimits {
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
    pub(super) struct Accompanied {
        #[pin]
        inner: Body,
        ending: Option<Ending>,
        limits: Limits,
        // A large piece that is being handed on.
        parts: Parts,
        // The end of the answer, once it is known.
        end: Option<HeaderMap>,
        // The part that was handed on last, until the next one is asked for; at the end, all that has not left yet.
        waits: Option<Waits>,
    }
}

impl Accompanied {
    /// An answer with its ending.
    pub(super) fn new(inner: Body, ending: Ending, limits: Limits) -> Self {
        Self {
            inner,
            ending: Some(ending),
            limits,
            parts: Parts::default(),
            end: None,
            waits: None,
        }
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
        let until = this.limits.until;
        if this.end.is_none() {
            *this.waits = None;
            if let Some(part) = this.parts.another() {
                *this.waits = ending.waits(until);
                return Poll::Ready(Some(Ok(Frame::data(part))));
            }
            // Looked at first: there may always be more to say.
            let limits = this.limits.stream.as_mut();
            if let Some(Poll::Ready(status)) = limits.map(|limits| limits.poll(cx)) {
                let mut trailers = HeaderMap::new();
                // Fails only for metadata, and there is none.
                let _ = status.add_header(&mut trailers);
                *this.end = Some(trailers);
            } else {
                let polled = ending.span.in_scope(|| this.inner.poll_frame(cx));
                match ready!(polled) {
                    Some(Ok(frame)) => match frame.into_data() {
                        Ok(piece) => {
                            *this.waits = ending.waits(until);
                            let part = this.parts.of(piece);
                            return Poll::Ready(Some(Ok(Frame::data(part))));
                        }
                        // Of any other kind there is one frame: the end.
                        Err(end) => {
                            let mut trailers = end.into_trailers().unwrap_or_default();
                            wire_fault::type_trailers(&mut trailers);
                            *this.end = Some(trailers);
                        }
                    },
                    Some(Err(status)) => {
                        ending.code = Some(status.code());
                        *this.ending = None;
                        return Poll::Ready(Some(Err(status)));
                    }
                    None => {
                        *this.ending = None;
                        return Poll::Ready(None);
                    }
                }
            }
        }
        if this.parts.poll_left(cx).is_pending() {
            if this.waits.is_none() {
                *this.waits = ending.waits(until);
            }
            return Poll::Pending;
        }
        let trailers = this.end.take().unwrap_or_default();
        ending.note(&trailers);
        *this.waits = None;
        *this.ending = None;
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.ending.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
