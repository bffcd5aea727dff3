//! Clients that keep the server waiting: they don't begin, don't end what they say, or don't take what they asked for. They
//! cost little, for a while only, and the others are served.

use std::{net::SocketAddr, sync::Arc, sync::atomic::Ordering, time::Duration};

use crate::{
    authority::{Authority, Files},
    mutual_tls::settings_with,
    support::{
        Desk, LOT, LOT_BYTES, OpenDesk, POUR, POURED_BYTES, READ, call, reason, stream, text,
    },
    wire::{
        CANCEL, DATA, END_HEADERS, END_STREAM, HEADERS, INITIAL_WINDOW_SIZE, PREFACE, RST_STREAM,
        WINDOW_UPDATE, Wire, call_of, frame, headers_of,
    },
};
use tokio::{io::AsyncReadExt as _, net::TcpStream};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, ServerName, pem::PemObject as _},
    },
};

/// How long something is waited for that must come.
const PATIENCE: Duration = Duration::from_secs(30);

impl OpenDesk {
    /// A client that asks for calls of a method, which begin to be answered, and takes the answers with this window.
    async fn reader(&self, method: &'static str, calls: u32, window: u32) -> Wire {
        let settings = [(INITIAL_WINDOW_SIZE, window)];
        let mut wire = Wire::greeting(self.running.address, &settings).await;
        let mut stream = 1;
        let begun = async {
            for _ in 0..calls {
                // Whoever has just gone leaves the place a moment later: until then nothing comes but a refusal.
                loop {
                    let call = call_of(stream, method, &self.token, "370303");
                    wire.send(&call).await.unwrap();
                    stream += 2;
                    let answer = wire.next_of(HEADERS).await.unwrap();
                    if answer.flags & END_STREAM == 0 {
                        break;
                    }
                }
            }
        };
        tokio::time::timeout(PATIENCE, begun).await.unwrap();
        wire
    }

    /// What becomes of a call of somebody else: why it is refused, if it is.
    async fn another(&self, method: &'static str) -> Option<String> {
        let channel = self.others.clone();
        let refused = if method == READ {
            call(channel, method, text("370303")).await.err()
        } else {
            stream(channel, method, text("370303")).await.err()
        };
        refused.map(|status| reason(&status))
    }

    /// Waits until somebody else gets a place.
    async fn has_room(&self, method: &'static str) {
        let room = async {
            while let Some(refused) = self.another(method).await {
                assert_eq!(refused, "OVERLOADED");
            }
        };
        tokio::time::timeout(PATIENCE, room).await.unwrap();
    }
}

#[tokio::test]
async fn a_client_that_does_not_begin_is_shown_out() {
    let slowed = OpenDesk::with(|settings| {
        settings.grpc.handshake_timeout = Duration::from_millis(100);
    });
    let slowed = slowed.await;
    for said in [&b""[..], &PREFACE[..PREFACE.len() - 1]] {
        let mut wire = Wire::connect(slowed.running.address).await;
        wire.send(said).await.unwrap();
        wire.is_shown_out().await;
    }
    // Whoever has begun may be silent for as long as pings are answered.
    let channel = slowed.running.channel();
    let mut health = tonic_health::pb::health_client::HealthClient::new(channel);
    let about = || tonic_health::pb::HealthCheckRequest::default();
    let mut watched = health.watch(about()).await.unwrap().into_inner();
    while watched.message().await.unwrap().unwrap().status != 1 {}
    let silent = tokio::time::timeout(Duration::from_millis(400), watched.message()).await;
    assert!(silent.is_err(), "the watch has ended: {silent:?}");
    health.check(about()).await.unwrap();
    drop((watched, health));
    slowed.running.stop().await.unwrap();
}

/// Shakes hands, and says no more.
async fn secured(address: SocketAddr, authority: &Authority) -> TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap();
    roots.add(root).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols.push(b"h2".to_vec());
    let tcp = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    connector.connect(name, tcp).await.unwrap()
}

#[tokio::test]
async fn a_client_of_tls_that_does_not_begin_is_shown_out_before_its_handshake_and_after_it() {
    let authority = Authority::new();
    let files = Files::of(&authority.server(), &authority);
    let mut settings = settings_with(&files);
    settings.grpc.handshake_timeout = Duration::from_millis(500);
    let running = Desk::new().serve(&settings).await;
    let mut silent = Wire::connect(running.address).await;
    assert!(silent.next().await.is_none(), "it was answered in plain");
    let mut secured = secured(running.address, &authority).await;
    let ended = async {
        let mut bytes = [0; 1_024];
        while secured.read(&mut bytes).await.is_ok_and(|read| read > 0) {}
    };
    tokio::time::timeout(PATIENCE, ended).await.unwrap();
    running.stop().await.unwrap();
}

#[tokio::test]
async fn headers_that_do_not_come_to_an_end_are_not_waited_for() {
    let slowed = OpenDesk::with(|settings| {
        settings.grpc.keepalive_interval = Duration::from_millis(100);
        settings.grpc.keepalive_timeout = Duration::from_millis(100);
    });
    let slowed = slowed.await;
    let mut wire = Wire::greeting(slowed.running.address, &[]).await;
    let headers = headers_of(READ, &slowed.token);
    let begun = frame(HEADERS, 0, 1, &headers[..20]);
    wire.send(&begun).await.unwrap();
    // Who is in the midst of headers can't answer a ping.
    wire.is_shown_out().await;
    assert_eq!(slowed.another(READ).await, None);
    slowed.running.stop().await.unwrap();
}

#[tokio::test]
async fn a_call_whose_message_does_not_come_ends_at_its_deadline() {
    let slowed = OpenDesk::with(|settings| {
        settings.grpc.max_calls = 1;
        settings.grpc.default_deadline = Duration::from_millis(100);
    });
    let slowed = slowed.await;
    let mut wire = Wire::greeting(slowed.running.address, &[]).await;
    let headers = headers_of(READ, &slowed.token);
    let begun = frame(HEADERS, END_HEADERS, 1, &headers);
    wire.send(&begun).await.unwrap();
    // The answer is nothing but its status, though nobody has read the question.
    wire.next_of(HEADERS).await.unwrap();
    slowed.has_room(READ).await;
    drop(wire);
    slowed.running.stop().await.unwrap();
}

#[tokio::test]
async fn answers_that_are_not_taken_are_ended_and_their_places_are_free_again() {
    let slowed = OpenDesk::with(|settings| {
        settings.grpc.max_calls = 2;
        settings.grpc.max_streams = 2;
        // Long enough for another call to come in between on a busy machine.
        settings.grpc.max_unread = Duration::from_secs(3);
    });
    let slowed = slowed.await;
    // No window at all, one that a small answer does not fit, and one that a piece of a large one does not.
    for (method, window) in [(READ, 0), (POUR, 0), (POUR, 10), (POUR, 40_000)] {
        let mut reader = slowed.reader(method, 2, window).await;
        let refused = slowed.another(method).await;
        assert_eq!(refused.as_deref(), Some("OVERLOADED"), "{method} {window}");
        for _ in 0..2 {
            let ended = reader.next_of(RST_STREAM).await.unwrap();
            assert_eq!(ended.reason(), CANCEL, "{method} {window}");
        }
        slowed.has_room(method).await;
    }
    slowed.running.stop().await.unwrap();
}

#[tokio::test]
async fn who_leaves_one_answer_alone_gets_the_others_on_the_same_connection() {
    let slowed = OpenDesk::with(|settings| {
        settings.grpc.max_unread = Duration::from_millis(200);
    });
    let slowed = slowed.await;
    let no_window = [(INITIAL_WINDOW_SIZE, 0)];
    let mut wire = Wire::greeting(slowed.running.address, &no_window).await;
    let ask = async |wire: &mut Wire, stream: u32| {
        let call = call_of(stream, READ, &slowed.token, "370303");
        wire.send(&call).await.unwrap();
    };
    ask(&mut wire, 1).await;
    let ended = wire.next_of(RST_STREAM).await.unwrap();
    assert_eq!((ended.stream, ended.reason()), (1, CANCEL));
    ask(&mut wire, 3).await;
    let room = 1_000_u32.to_be_bytes();
    wire.send(&frame(WINDOW_UPDATE, 0, 3, &room)).await.unwrap();
    let answer = wire.next_of(DATA).await.unwrap();
    assert_eq!(answer.stream, 3);
    drop(wire);
    slowed.running.stop().await.unwrap();
}

#[tokio::test]
async fn who_takes_a_large_answer_slowly_gets_all_of_it_and_keeps_its_place_meanwhile() {
    /// What is taken at a time: one part of an answer.
    const WINDOW: u32 = 16 << 10;
    let slowed = OpenDesk::with(|settings| {
        settings.grpc.max_calls = 1;
        // Much longer than between two parts, and much shorter than all of them take.
        settings.grpc.max_unread = Duration::from_secs(1);
    });
    let slowed = slowed.await;
    let settings = [(INITIAL_WINDOW_SIZE, WINDOW)];
    let mut wire = Wire::greeting(slowed.running.address, &settings).await;
    let more = (1_u32 << 20).to_be_bytes();
    wire.send(&frame(WINDOW_UPDATE, 0, 0, &more)).await.unwrap();
    wire.send(&call_of(1, LOT, &slowed.token, ""))
        .await
        .unwrap();
    let mut taken = 0;
    loop {
        let came = wire.next().await.expect("the connection goes on");
        match came.kind {
            DATA if !came.payload.is_empty() => {
                taken += came.payload.len();
                if taken < LOT_BYTES {
                    let refused = slowed.another(READ).await;
                    assert_eq!(refused.as_deref(), Some("OVERLOADED"));
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
                let taken = u32::try_from(came.payload.len()).unwrap().to_be_bytes();
                wire.send(&frame(WINDOW_UPDATE, 0, 1, &taken))
                    .await
                    .unwrap();
            }
            HEADERS if came.flags & END_STREAM != 0 => break,
            RST_STREAM => panic!("it is ended after {taken} bytes"),
            _ => {}
        }
    }
    assert!(taken > LOT_BYTES, "{taken} bytes came");
    slowed.has_room(READ).await;
    drop(wire);
    slowed.running.stop().await.unwrap();
}

#[tokio::test]
async fn who_leaves_everything_in_the_network_is_shown_out_too() {
    let slowed = OpenDesk::with(|settings| {
        settings.grpc.max_streams = 1;
        settings.grpc.max_unread = Duration::from_secs(1);
    });
    let slowed = slowed.await;
    // There is room for gigabytes, as HTTP/2 counts: it is TCP that has none left.
    let window = i32::MAX.unsigned_abs();
    let mut wire = slowed.reader(POUR, 1, window).await;
    let more = (window - 65_535).to_be_bytes();
    wire.send(&frame(WINDOW_UPDATE, 0, 0, &more)).await.unwrap();
    slowed.has_room(POUR).await;
    let poured = slowed.desk.poured.load(Ordering::Relaxed) * POURED_BYTES;
    assert!(poured < 256 << 20, "{} MiB were made", poured >> 20);
    drop(wire);
    slowed.running.stop().await.unwrap();
}

#[tokio::test]
async fn many_who_read_nothing_cost_little_and_the_others_are_served() {
    const CLIENTS: usize = 20;
    const STREAMS: usize = 10;
    /// What HTTP/2 lets a server send before it is asked for more.
    const WINDOW: usize = 65_535;
    /// A piece that the transport has, and one that waits for it, each of which is somewhat more than 32 KiB.
    const WAITING: usize = 2 * (40 << 10);
    let slowed = OpenDesk::with(|_| {}).await;
    let mut readers = Vec::new();
    for _ in 0..CLIENTS {
        let streams = u32::try_from(STREAMS).unwrap();
        readers.push(slowed.reader(POUR, streams, 65_535).await);
    }
    for _ in 0..100 {
        assert_eq!(slowed.another(READ).await, None);
    }
    let most = CLIENTS * (WINDOW + STREAMS * WAITING);
    let poured = slowed.desk.poured.load(Ordering::Relaxed) * POURED_BYTES;
    assert!(
        poured <= most,
        "{poured} bytes were made, not {most} at most"
    );
    assert!(poured >= CLIENTS * STREAMS * POURED_BYTES);
    drop(readers);
    slowed.running.stop().await.unwrap();
}
