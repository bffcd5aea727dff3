//! TLS handshakes of new connections: many at a time, none for long, each with the certificate that is in force when it begins.

use std::{pin::pin, sync::Arc, time::Duration};

use futures::Stream;
use tokio::{net::TcpStream, sync::mpsc, task::JoinSet};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig, server::TlsStream};
use tokio_stream::{StreamExt as _, wrappers::ReceiverStream};

use crate::certificates::FromFiles;

/// Handshakes under way at a time; further connections wait to be accepted.
const MOST: usize = 256;

/// Connections made and not served yet.
const WAITING: usize = 64;

/// The connections of `incoming` once their handshake is done, for which each has so long. Ends with it; nothing is accepted
/// any more once the stream is dropped.
pub(crate) fn secured(
    incoming: impl Stream<Item = TcpStream> + Send + 'static,
    certificates: Arc<FromFiles<Arc<ServerConfig>>>,
    patience: Duration,
) -> impl Stream<Item = TlsStream<TcpStream>> {
    let (sender, secured) = mpsc::channel(WAITING);
    tokio::spawn(accept(incoming, certificates, patience, sender));
    ReceiverStream::new(secured)
}

async fn accept(
    incoming: impl Stream<Item = TcpStream>,
    certificates: Arc<FromFiles<Arc<ServerConfig>>>,
    patience: Duration,
    sender: mpsc::Sender<TlsStream<TcpStream>>,
) {
    let mut incoming = pin!(incoming);
    let mut handshakes = JoinSet::new();
    loop {
        let done = tokio::select! {
            () = sender.closed() => return,
            Some(done) = handshakes.join_next() => done,
            connection = incoming.next(), if handshakes.len() < MOST => {
                let Some(connection) = connection else { return };
                let acceptor = TlsAcceptor::from(certificates.current());
                handshakes.spawn(tokio::time::timeout(patience, acceptor.accept(connection)));
                continue;
            }
        };
        match done {
            Ok(Ok(Ok(secured))) => {
                if sender.send(secured).await.is_err() {
                    return;
                }
            }
            Ok(Ok(Err(error))) => tracing::debug!(%error, "a TLS handshake failed"),
            Ok(Err(_elapsed)) => tracing::debug!("a TLS handshake took too long"),
            Err(error) => tracing::error!(%error, "a TLS handshake panicked"),
        }
    }
}
