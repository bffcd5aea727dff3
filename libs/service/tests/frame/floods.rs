//! Clients that send more than anybody asked for: calls that are taken back at once, too many calls, frames that only cost
//! time, headers without end. Their connection is given up, or they are kept waiting; the others are served.

use crate::{
    support::{OpenDesk, READ, WAIT, call, text},
    wire::{
        ACK, CANCEL, CONTINUATION, END_HEADERS, ENHANCE_YOUR_CALM, GOAWAY, HEADERS, PING,
        REFUSED_STREAM, RST_STREAM, SETTINGS, WINDOW_UPDATE, Wire, call_of, frame, headers_of,
    },
};

impl OpenDesk {
    /// Somebody is served whatever others do.
    async fn serves_others(&self) {
        let others = self.running.channel_of(&self.token);
        for _ in 0..20 {
            let answer = call(others.clone(), READ, text("370303")).await;
            assert_eq!(answer.unwrap(), "officer:test-officer");
        }
    }

    /// Sends streams of this making, a hundred at a time, until the server gives the connection up: why, if it has said so.
    async fn until_given_up(&self, making: impl Fn(u32) -> Vec<u8>) -> Option<u32> {
        let mut wire = Wire::greeting(self.running.address, &[]).await;
        let mut numbers = (1..).step_by(2);
        for _ in 0..40 {
            let mut burst: Vec<u8> = numbers.by_ref().take(100).flat_map(&making).collect();
            burst.extend(frame(PING, 0, 0, b"all read"));
            if wire.send(&burst).await.is_err() {
                return wire.is_shown_out().await;
            }
            loop {
                let answer = wire.next().await?;
                match (answer.kind, answer.flags) {
                    (GOAWAY, _) => return Some(answer.reason()),
                    (PING, ACK) => break,
                    _ => {}
                }
            }
        }
        panic!("4,000 streams, and the connection is still there");
    }
}

/// What is still on its way when a connection is closed may take the reason along.
fn is_asked_for_calm(told: Option<u32>) {
    assert!(
        told.is_none_or(|reason| reason == ENHANCE_YOUR_CALM),
        "{told:?}"
    );
}

#[tokio::test]
async fn calls_that_are_taken_back_before_they_are_looked_at_end_the_connection() {
    let attacked = OpenDesk::with(|_| {}).await;
    let headers = headers_of(WAIT, &attacked.token);
    let told = attacked.until_given_up(|stream| {
        let mut bytes = frame(HEADERS, END_HEADERS, stream, &headers);
        bytes.extend(frame(RST_STREAM, 0, stream, &CANCEL.to_be_bytes()));
        bytes
    });
    is_asked_for_calm(told.await);
    attacked.serves_others().await;
    attacked.running.stop().await.unwrap();
}

#[tokio::test]
async fn streams_that_the_server_is_made_to_reset_end_the_connection() {
    let attacked = OpenDesk::with(|_| {}).await;
    let headers = headers_of(WAIT, &attacked.token);
    // More than all that there is of a window.
    let increment = i32::MAX.to_be_bytes();
    let told = attacked.until_given_up(|stream| {
        let mut bytes = frame(HEADERS, END_HEADERS, stream, &headers);
        bytes.extend(frame(WINDOW_UPDATE, 0, stream, &increment));
        bytes
    });
    is_asked_for_calm(told.await);
    attacked.serves_others().await;
    attacked.running.stop().await.unwrap();
}

#[tokio::test]
async fn calls_beyond_the_streams_of_a_connection_are_refused_and_those_before_go_on() {
    let attacked = OpenDesk::with(|settings| settings.grpc.max_streams_per_connection = 3).await;
    let mut wire = Wire::greeting(attacked.running.address, &[]).await;
    for stream in [1, 3, 5] {
        let call = call_of(stream, WAIT, &attacked.token, "");
        wire.send(&call).await.unwrap();
    }
    let headers = headers_of(WAIT, &attacked.token);
    let one_more = frame(HEADERS, END_HEADERS, 7, &headers);
    wire.send(&one_more).await.unwrap();
    let refused = wire.next_of(RST_STREAM).await.unwrap();
    assert_eq!((refused.stream, refused.reason()), (7, REFUSED_STREAM));
    attacked.serves_others().await;
    for _ in 0..3 {
        attacked.desk.somebody_waits().await;
    }
    attacked.desk.released.add_permits(3);
    let mut answered = Vec::new();
    while answered.len() < 3 {
        answered.push(wire.next_of(HEADERS).await.unwrap().stream);
        // Trailers are headers too.
        answered.sort_unstable();
        answered.dedup();
    }
    assert_eq!(answered, [1, 3, 5]);
    drop(wire);
    attacked.running.stop().await.unwrap();
}

#[tokio::test]
async fn frames_that_only_cost_time_hold_up_nobody_else() {
    let attacked = OpenDesk::with(|_| {}).await;
    for one in [
        frame(PING, 0, 0, b"anybody?"),
        frame(SETTINGS, 0, 0, &[0, 4, 0, 1, 0, 0]),
        frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]),
    ] {
        let mut wire = Wire::greeting(attacked.running.address, &[]).await;
        // The answers are not read: once they have no room left, the server reads no further either.
        let flood = tokio::spawn(async move { wire.send(&one.repeat(200_000)).await });
        attacked.serves_others().await;
        flood.abort();
    }
    attacked.serves_others().await;
    attacked.running.stop().await.unwrap();
}

#[tokio::test]
async fn headers_without_end_are_not_kept() {
    let attacked = OpenDesk::with(|_| {}).await;
    let mut wire = Wire::greeting(attacked.running.address, &[]).await;
    let headers = headers_of(READ, &attacked.token);
    wire.send(&frame(HEADERS, 0, 1, &headers)).await.unwrap();
    let more = frame(CONTINUATION, 0, 1, &[b'x'; 1_024]);
    // Sooner or later there is nobody who would take them.
    let _refused = wire.send(&more.repeat(4_096)).await;
    let _told = wire.is_shown_out().await;
    attacked.serves_others().await;
    attacked.running.stop().await.unwrap();
}

#[tokio::test]
async fn bytes_that_are_no_http_2_end_the_connection() {
    let attacked = OpenDesk::with(|_| {}).await;
    for bytes in [
        &b"GET / HTTP/1.1\r\nhost: desk\r\n\r\n"[..],
        &[0xFF_u8; 4_096],
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF",
    ] {
        let mut wire = Wire::connect(attacked.running.address).await;
        let _refused = wire.send(bytes).await;
        let _told = wire.is_shown_out().await;
    }
    attacked.serves_others().await;
    attacked.running.stop().await.unwrap();
}
