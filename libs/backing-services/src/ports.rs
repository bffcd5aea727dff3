//! A free port of this machine.

use std::net::{Ipv4Addr, TcpListener};

/// Below what systems hand out for outgoing connections (32,768 and up): there, a client that retries against a stopped
/// server could be given the server's own port, and keep it from coming back.
const FREE_TO_TAKE: std::ops::Range<u16> = 15_000..32_500;

/// A port on which nobody listened a moment ago; the caller tries another when it is taken after all.
pub(crate) fn free_port() -> u16 {
    loop {
        let port = rand::random_range(FREE_TO_TAKE);
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}
