//! The rules alone, without a server or a clock: the course of agreements, what is left of documents, the bytes of events.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod agreements;
mod asyncapi;
mod auditing;
mod codec;
mod credentials;
mod cutting;
