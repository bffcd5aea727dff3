//! TLS handshakes of new connections: many at a time, none for long, each with the certificate that is in force when it begins.

use std::{io, sync::Arc, time::Duration};

use futures::Stream;
use tokio::{net::TcpStream, sync::mpsc, task::JoinSet};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig, server::TlsStream};
use tokio_stream::{StreamExt as _, wrappers::ReceiverStream};

use crate::certificates::FromFiles;

/// Handshakes under way at a time; further connections wait to be accepted.
const MOST: usize = 256;

/// Connections made and not served yet.
const WAITING: usize = 64;

/// Before the next connection is accepted after one could not be, as for lack of file descriptors.
const PAUSE: Duration = Duration::from_millis(50);

/// The connections of `incoming` once their handshake is done, for which each has so long. Ends with it; nothing is accepted
/// any more once the stream is dropped.
pub(crate) fn secured(
    incoming: impl Stream<Item = io::Result<TcpStream>> + Send + Unpin + 'static,
    certificates: Arc<FromFiles<Arc<ServerConfig>>>,
    patience: Duration,
) -> impl Stream<Item = io::Result<TlsStream<TcpStream>>> {
    let (sender, secured) = mpsc::channel(WAITING);
    tokio::spawn(accept(incoming, certificates, patience, sender));
    ReceiverStream::new(secured)
}

async fn accept(
    mut incoming: impl Stream<Item = io::Result<TcpStream>> + Unpin,
    certificates: Arc<FromFiles<Arc<ServerConfig>>>,
    patience: Duration,
    sender: mpsc::Sender<io::Result<TlsStream<TcpStream>>>,
) {
    let mut handshakes = JoinSet::new();
    loop {
        let done = tokio::select! {
            () = sender.closed() => return,
            Some(done) = handshakes.join_next() => done,
            accepted = incoming.next(), if handshakes.len() < MOST => {
                match accepted {
                    Some(Ok(connection)) => {
                        let acceptor = TlsAcceptor::from(certificates.current());
                        handshakes.spawn(tokio::time::timeout(patience, acceptor.accept(connection)));
                    }
                    Some(Err(error)) => {
                        tracing::warn!(%error, "a connection could not be accepted");
                        tokio::time::sleep(PAUSE).await;
                    }
                    None => return,
                }
                continue;
            }
        };
        match done {
            Ok(Ok(Ok(secured))) => {
                if sender.send(Ok(secured)).await.is_err() {
                    return;
                }
            }
            Ok(Ok(Err(error))) => tracing::debug!(%error, "a TLS handshake failed"),
            Ok(Err(_elapsed)) => tracing::debug!("a TLS handshake took too long"),
            Err(error) => tracing::error!(%error, "a TLS handshake panicked"),
        }
    }
}
