//! A client's connection, which does not live for ever. It is closed at an age, so that load spreads over new instances; and
//! before that where its client does not begin to speak, or takes nothing at all. Where it leaves some of its answers alone,
//! the streams of these are ended, and the others on the connection go on.

use std::{
    future::Future as _,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep},
};
use tonic::transport::server::Connected;

use crate::unread::Unread;

/// How many bytes a client of HTTP/2 says first, whatever comes then.
const PREFACE: usize = 24;

/// How long a connection may live, and how long it bears with its client.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// From its beginning to its end. The client is told to go elsewhere at the maximal age, and what runs may finish; this is
    /// the end of the grace that follows.
    pub(crate) lifetime: Duration,
    /// Until the client has begun to speak.
    pub(crate) greeting: Duration,
    /// Until the client takes what it has asked for: anything, or else some more of an answer.
    pub(crate) unread: Duration,
}

/// A connection that fails at its end.
pub(crate) struct Connection<S> {
    stream: S,
    bounds: Bounds,
    began: Instant,
    /// How much of the preface is still to come.
    unsaid: usize,
    /// Since when the client has taken nothing of what is being written.
    blocked: Option<Instant>,
    unread: Arc<Unread>,
    /// When it is looked at again whether this is the end.
    look: Pin<Box<Sleep>>,
}

impl<S> Connection<S> {
    pub(crate) fn new(stream: S, bounds: Bounds) -> Self {
        let began = Instant::now();
        let mut connection = Self {
            stream,
            bounds,
            began,
            unsaid: PREFACE,
            blocked: None,
            unread: Arc::default(),
            look: Box::pin(tokio::time::sleep_until(began)),
        };
        let first = connection.next_look(began);
        connection.look.as_mut().reset(first);
        connection
    }

    /// What waits on it for the client.
    pub(crate) fn unread(&self) -> Arc<Unread> {
        Arc::clone(&self.unread)
    }

    /// Asked for where the client neither says nor takes anything: fails at the connection's end.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        loop {
            ready!(self.look.as_mut().poll(cx));
            let now = Instant::now();
            if self.is_over(now) {
                return Poll::Ready(io::ErrorKind::TimedOut.into());
            }
            let since = now.checked_sub(self.bounds.unread);
            let ended = self.unread.end_overdue(since, now);
            if ended > 0 {
                tracing::info!(ended, "answers that their client does not take are ended");
            }
            let next = self.next_look(now);
            self.look.as_mut().reset(next);
        }
    }

    fn is_over(&self, now: Instant) -> bool {
        let Bounds {
            lifetime,
            greeting,
            unread,
        } = self.bounds;
        let for_long = |since: Instant, span| now.saturating_duration_since(since) >= span;
        for_long(self.began, lifetime)
            || self.unsaid > 0 && for_long(self.began, greeting)
            || self.blocked.is_some_and(|since| for_long(since, unread))
    }

    fn next_look(&self, now: Instant) -> Instant {
        // Nobody says when something begins to wait, or is to be over: it is noticed half as much too late at the most.
        let often = (self.bounds.unread / 2).max(Duration::from_millis(1));
        let next = after(now, often).min(after(self.began, self.bounds.lifetime));
        if self.unsaid > 0 {
            next.min(after(self.began, self.bounds.greeting))
        } else {
            next
        }
    }

    /// What comes of a write: the client has room for it, or is waited for.
    fn written<T>(
        &mut self,
        written: Poll<io::Result<T>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.blocked = None;
            return written;
        }
        self.blocked.get_or_insert_with(Instant::now);
        self.poll_end(cx).map(Err)
    }
}

fn after(instant: Instant, span: Duration) -> Instant {
    const YEAR: Duration = Duration::from_secs(86_400 * 365);
    instant.checked_add(span).unwrap_or_else(|| instant + YEAR)
}

impl<S: Connected> Connected for Connection<S> {
    type ConnectInfo = S::ConnectInfo;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.stream.connect_info()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Connection<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        match Pin::new(&mut self.stream).poll_read(cx, buffer) {
            Poll::Ready(read) => {
                let said = buffer.filled().len() - before;
                self.unsaid = self.unsaid.saturating_sub(said);
                Poll::Ready(read)
            }
            Poll::Pending => self.poll_end(cx).map(Err),
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Connection<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.written(written, cx)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.written(flushed, cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.written(shut, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.written(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
