//! A line between two servers that can be cut, as a network that loses everything: connections stay, and nothing comes through.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// How much is carried at once, in bytes.
const PART: usize = 64 << 10;

/// A line; gone with the handle.
#[derive(Debug)]
pub(super) struct Line {
    address: SocketAddr,
    silent: watch::Sender<bool>,
    listening: JoinHandle<()>,
}

impl Line {
    /// A line to this port.
    pub(super) async fn to(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (silent, heard) = watch::channel(false);
        let listening = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(carry(near, port, heard.clone()));
            }
        });
        Self {
            address,
            silent,
            listening,
        }
    }

    /// Where it begins.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Has nothing come through any more.
    pub(super) fn fall_silent(&self) {
        self.silent.send_replace(true);
    }

    /// Has everything come through again, also what was sent meanwhile on connections that are still there.
    pub(super) fn carry_on(&self) {
        self.silent.send_replace(false);
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

/// Carries one connection until one side ends it.
async fn carry(near: TcpStream, port: u16, silent: watch::Receiver<bool>) {
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
        ended = one_way(near_in, far_out, silent.clone()) => ended,
        ended = one_way(far_in, near_out, silent) => ended,
    };
}

async fn one_way(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut silent: watch::Receiver<bool>,
) -> io::Result<()> {
    let mut part = vec![0; PART];
    loop {
        let read = from.read(&mut part).await?;
        if read == 0 || silent.wait_for(|silent| !silent).await.is_err() {
            return Ok(());
        }
        to.write_all(&part[..read]).await?;
    }
}
