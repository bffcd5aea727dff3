//! A client that speaks HTTP/2 frame by frame, so that it can say what no decent client says, and leave out what all do.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

// Kinds of frames.
pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

// Flags.
pub(crate) const ACK: u8 = 1;
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// The setting that says how much may be sent on a new stream before its reader asks for more.
pub(crate) const INITIAL_WINDOW_SIZE: u16 = 4;

// Why a stream or a connection ends.
pub(crate) const REFUSED_STREAM: u32 = 7;
pub(crate) const CANCEL: u32 = 8;
pub(crate) const ENHANCE_YOUR_CALM: u32 = 11;

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// A frame as it came.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// The number that ends a stream or a connection, where it is of such a kind.
    pub(crate) fn reason(&self) -> u32 {
        let at = if self.kind == GOAWAY { 4 } else { 0 };
        u32::from_be_bytes(self.payload[at..at + 4].try_into().unwrap())
    }
}

/// A frame as it is sent.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// The headers of a call of a method by the bearer of a token, as they go into frames.
pub(crate) fn headers_of(method: &str, token: &str) -> Vec<u8> {
    let bearer = format!("Bearer {token}");
    let mut block = Vec::new();
    for (name, value) in [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", method),
        (":authority", "desk"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("authorization", bearer.as_str()),
    ] {
        // Each as it stands, to be remembered by nobody.
        block.push(0);
        string(&mut block, name);
        string(&mut block, value);
    }
    block
}

fn string(block: &mut Vec<u8>, text: &str) {
    let byte = |number: usize| u8::try_from(number).unwrap();
    if text.len() < 127 {
        block.push(byte(text.len()));
    } else {
        // What does not fit goes on in groups of seven bits, the lowest first.
        block.push(127);
        let mut rest = text.len() - 127;
        while rest >= 128 {
            block.push(byte(rest % 128 + 128));
            rest /= 128;
        }
        block.push(byte(rest));
    }
    block.extend(text.as_bytes());
}

/// A whole call: headers, and a message with a text.
pub(crate) fn call_of(stream: u32, method: &str, token: &str, text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).unwrap();
    let mut message = vec![0, 0, 0, 0, length + 2, 0x0A, length];
    message.extend(text.as_bytes());
    let mut bytes = frame(HEADERS, END_HEADERS, stream, &headers_of(method, token));
    bytes.extend(frame(DATA, END_STREAM, stream, &message));
    bytes
}

/// The client.
pub(crate) struct Wire(TcpStream);

impl Wire {
    /// A connection on which nothing has been said yet.
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self(TcpStream::connect(address).await.unwrap())
    }

    /// A connection that has begun as HTTP/2 begins, with these settings.
    pub(crate) async fn greeting(address: SocketAddr, settings: &[(u16, u32)]) -> Self {
        let mut wire = Self::connect(address).await;
        let mut payload = Vec::new();
        for (setting, value) in settings {
            payload.extend(setting.to_be_bytes());
            payload.extend(value.to_be_bytes());
        }
        wire.send(PREFACE).await.unwrap();
        let settings = frame(SETTINGS, 0, 0, &payload);
        wire.send(&settings).await.unwrap();
        wire
    }

    /// Sends bytes as they are.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes).await
    }

    /// The next frame; none once the server has closed the connection.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        tokio::time::timeout(PATIENCE, self.read()).await.unwrap()
    }

    async fn read(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).await.ok()?;
        let [a, b, c, kind, flags, d, e, f, g] = head;
        let length = usize::try_from(u32::from_be_bytes([0, a, b, c])).unwrap();
        let mut payload = vec![0; length];
        self.0.read_exact(&mut payload).await.ok()?;
        Some(Frame {
            kind,
            flags,
            stream: u32::from_be_bytes([d, e, f, g]),
            payload,
        })
    }

    /// The next frame of a kind; none where the connection is closed before it comes.
    pub(crate) async fn next_of(&mut self, kind: u8) -> Option<Frame> {
        loop {
            let frame = self.next().await?;
            if frame.kind == kind {
                return Some(frame);
            }
        }
    }

    /// Waits until the server closes the connection: why, if it has said so.
    pub(crate) async fn is_shown_out(&mut self) -> Option<u32> {
        let mut told = None;
        while let Some(frame) = self.next().await {
            if frame.kind == GOAWAY {
                told = Some(frame.reason());
            }
        }
        told
    }
}
