//! Whose certificate convinces, and whose does not.

use std::{sync::Arc, time::Duration};

use civic::NoticeChannel;
use notices::{Channels, Delivered, Failure, Reason};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{PrivateKeyDer, pem::PemObject as _},
    },
};

use crate::{UNNAMED, notice, settings};

/// Answers one request with 204 over TLS, by a certificate for this name; gives its PEM and the port.
async fn receiver(name: &str) -> (String, u16) {
    let own = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let key = PrivateKeyDer::from_pem_slice(own.signing_key.serialize_pem().as_bytes());
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![own.cert.der().clone()], key.unwrap())
        .unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (connection, _) = listener.accept().await.unwrap();
        // Who is not convinced goes.
        let Ok(mut connection) = TlsAcceptor::from(Arc::new(config)).accept(connection).await
        else {
            return;
        };
        let mut request = Vec::new();
        while !request.ends_with(b"}}}") {
            if connection.read_buf(&mut request).await.unwrap() == 0 {
                return;
            }
        }
        let answer = b"HTTP/1.1 204 No Content\r\n\r\n";
        connection.write_all(answer).await.unwrap();
        connection.shutdown().await.unwrap();
    });
    (own.cert.pem(), port)
}

async fn told(name: &str, trusted: bool) -> Result<Delivered, Failure> {
    let (certificate, port) = receiver(name).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, certificate).unwrap();
    let mut settings = settings();
    settings.ca = trusted.then(|| file.path().to_owned());
    let channels = Channels::new(&settings).unwrap();
    let address = format!("https://127.0.0.1:{port}/");
    channels
        .send(&notice(NoticeChannel::Webhook, &address))
        .await
}

#[tokio::test]
async fn a_receiver_is_who_an_authority_says_it_is() {
    let untrusted = Err(Failure::Passing(Reason::Untrusted));
    assert_eq!(told("127.0.0.1", true).await, UNNAMED);
    assert_eq!(told("127.0.0.1", false).await, untrusted);
    assert_eq!(told("other.example", true).await, untrusted);
}

#[tokio::test]
async fn who_takes_the_connection_and_says_nothing_is_cut_off() {
    // The system takes the connection, and nobody speaks TLS on it.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("https://{}/", silent.local_addr().unwrap());
    let mut settings = settings();
    settings.webhook.connect_timeout = Duration::from_millis(300);
    let channels = Channels::new(&settings).unwrap();
    let notice = notice(NoticeChannel::Webhook, &address);
    let timeout = Err(Failure::Passing(Reason::Timeout));
    assert_eq!(channels.send(&notice).await, timeout);
}
