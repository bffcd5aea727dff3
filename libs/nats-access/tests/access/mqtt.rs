//! As much of MQTT 3.1.1 as a device needs that tells something and waits until it is acknowledged.

use std::{io, net::Ipv4Addr};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, BufStream},
    net::TcpStream,
};

const CONNECT: u8 = 0x10;
const CONNACK: u8 = 0x20;
/// With quality 1: it is to be acknowledged.
const PUBLISH: u8 = 0x32;
/// With quality 2: it is to be acknowledged in two steps.
const PUBLISH_IN_TWO_STEPS: u8 = 0x34;
const PUBACK: u8 = 0x40;

/// A new session, with a user and a password.
const FLAGS: u8 = 0xC2;

/// A device's connection.
pub(crate) struct Mqtt {
    stream: BufStream<TcpStream>,
    packet: u16,
}

impl Mqtt {
    /// Connects under its own name, and fails unless it is let in.
    pub(crate) async fn connect(port: u16, user: &str, password: &str) -> io::Result<Self> {
        Self::connect_as(user, port, user, password).await
    }

    /// As [`Mqtt::connect`], with a client id of its own.
    pub(crate) async fn connect_as(
        client_id: &str,
        port: u16,
        user: &str,
        password: &str,
    ) -> io::Result<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
        let mut device = Self {
            stream: BufStream::new(stream),
            packet: 0,
        };
        let mut body = text("MQTT");
        body.extend([4, FLAGS, 0, 60]);
        for field in [client_id, user, password] {
            body.extend(text(field));
        }
        device.write(CONNECT, &body).await?;
        match device.read(CONNACK).await? {
            [_, 0] => Ok(device),
            [_, _] => Err(io::ErrorKind::PermissionDenied.into()),
        }
    }

    /// Sends a message; its number.
    pub(crate) async fn send(&mut self, topic: &str, payload: &str) -> io::Result<u16> {
        self.send_as(PUBLISH, topic, payload).await
    }

    /// Sends a message with quality 2.
    pub(crate) async fn send_in_two_steps(
        &mut self,
        topic: &str,
        payload: &str,
    ) -> io::Result<u16> {
        self.send_as(PUBLISH_IN_TWO_STEPS, topic, payload).await
    }

    async fn send_as(&mut self, kind: u8, topic: &str, payload: &str) -> io::Result<u16> {
        self.packet = self.packet % u16::MAX + 1;
        let mut body = text(topic);
        body.extend(self.packet.to_be_bytes());
        body.extend(payload.as_bytes());
        self.write(kind, &body).await?;
        Ok(self.packet)
    }

    /// Waits for the next acknowledgement; which message it is for.
    pub(crate) async fn acknowledged(&mut self) -> io::Result<u16> {
        Ok(u16::from_be_bytes(self.read(PUBACK).await?))
    }

    /// Sends a message and waits until it is acknowledged.
    pub(crate) async fn publish(&mut self, topic: &str, payload: &str) -> io::Result<()> {
        let sent = self.send(topic, payload).await?;
        if self.acknowledged().await? == sent {
            Ok(())
        } else {
            Err(io::ErrorKind::InvalidData.into())
        }
    }

    /// Waits until the server ends the connection.
    pub(crate) async fn ended(mut self) {
        while self.stream.read_u8().await.is_ok() {}
    }

    async fn write(&mut self, kind: u8, body: &[u8]) -> io::Result<()> {
        self.stream.write_u8(kind).await?;
        let mut rest = body.len();
        loop {
            let digit = u8::try_from(rest % 128).unwrap();
            rest /= 128;
            let more = if rest > 0 { 128 } else { 0 };
            self.stream.write_u8(digit | more).await?;
            if rest == 0 {
                break;
            }
        }
        self.stream.write_all(body).await?;
        self.stream.flush().await
    }

    /// Reads a packet of two bytes.
    async fn read(&mut self, kind: u8) -> io::Result<[u8; 2]> {
        let mut packet = [0; 4];
        self.stream.read_exact(&mut packet).await?;
        match packet {
            [found, 2, first, second] if found == kind => Ok([first, second]),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

fn text(field: &str) -> Vec<u8> {
    let length = u16::try_from(field.len()).unwrap();
    [&length.to_be_bytes(), field.as_bytes()].concat()
}
