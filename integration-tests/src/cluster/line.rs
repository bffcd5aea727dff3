//! A line between two servers that can be cut in two ways: as by a network that loses everything, where connections stay and
//! nothing comes through, and as by one that tears connections and lets no new one come about.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tokio_util::task::AbortOnDropHandle;

/// How much is carried at once, in bytes.
const PART: usize = 64 << 10;

/// What becomes of that which comes to a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It is carried.
    Carried,
    /// It is held: a connection is made by nobody, and that a side has ended one the other does not hear either.
    Held,
    /// Connections end.
    Torn,
}

/// A line; gone with the handle.
#[derive(Debug)]
pub(super) struct Line {
    address: SocketAddr,
    state: watch::Sender<State>,
    _listening: AbortOnDropHandle<()>,
}

impl Line {
    /// A line to this port.
    pub(super) async fn to(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (state, told) = watch::channel(State::Carried);
        let listening = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(carry(near, port, told.clone()));
            }
        });
        Self {
            address,
            state,
            _listening: AbortOnDropHandle::new(listening),
        }
    }

    /// Where it begins.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Has nothing come through any more.
    pub(super) fn fall_silent(&self) {
        self.state.send_replace(State::Held);
    }

    /// Ends all connections, and each new one at once.
    pub(super) fn tear(&self) {
        self.state.send_replace(State::Torn);
    }

    /// Has everything come through again, also what was sent meanwhile on connections that are still there.
    pub(super) fn carry_on(&self) {
        self.state.send_replace(State::Carried);
    }
}

/// Carries one connection until one side ends it, or the line is torn.
async fn carry(near: TcpStream, port: u16, mut state: watch::Receiver<State>) {
    let through = between(near, port, state.clone());
    tokio::select! {
        _torn = state.wait_for(|state| *state == State::Torn) => {}
        () = through => {}
    }
}

/// Carries one connection both ways until one side ends it.
async fn between(near: TcpStream, port: u16, mut state: watch::Receiver<State>) {
    if !comes_through(&mut state).await {
        return;
    }
    let Ok(far) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await else {
        return;
    };
    // Routes send many small messages.
    if near.set_nodelay(true).is_err() || far.set_nodelay(true).is_err() {
        return;
    }
    let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
    // Whichever way ends first takes the other one along.
    let _ended = tokio::select! {
        ended = one_way(near_in, far_out, state.clone()) => ended,
        ended = one_way(far_in, near_out, state) => ended,
    };
}

async fn one_way(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut state: watch::Receiver<State>,
) -> io::Result<()> {
    let mut part = vec![0; PART];
    loop {
        let read = from.read(&mut part).await;
        if !comes_through(&mut state).await {
            return Ok(());
        }
        match read? {
            0 => return Ok(()),
            read => to.write_all(&part[..read]).await?,
        }
    }
}

/// Waits until the line holds nothing back any more; false where it is gone.
async fn comes_through(state: &mut watch::Receiver<State>) -> bool {
    state.wait_for(|state| *state != State::Held).await.is_ok()
}
