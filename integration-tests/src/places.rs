//! Where the processes of a system listen: each at a place of its own, to which it comes back however often it is killed.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::TcpSocket;

use crate::process::Part;

/// A port of 127.0.0.1 that nobody but its process is given, as long as the handle lives.
#[derive(Debug)]
struct Place {
    address: SocketAddr,
    /// Bound and never listening: the system gives the port to nobody else, and lets the process listen beside it.
    _kept: TcpSocket,
}

/// A place for each part of a system.
#[derive(Debug)]
pub(crate) struct Places([Place; Part::ALL.len()]);

impl Places {
    pub(crate) fn kept() -> Self {
        Self(Part::ALL.map(|_| Place::kept()))
    }

    /// Where a part listens.
    pub(crate) fn of(&self, part: Part) -> SocketAddr {
        self.0[part as usize].address
    }
}

impl Place {
    fn kept() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let address = socket.local_addr().unwrap();
        Self {
            address,
            _kept: socket,
        }
    }
}
