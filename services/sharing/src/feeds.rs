//! Event feeds (数据流): each approved agreement yields, for each product and division that it names, a durable stream of events
//! about elders who live there, cut to what is granted.
//!
//! - [`standing`]: which feeds there are, by the agreements in force.
//! - [`changes`], [`documents`]: which documents a record of a log changed, and how they stand now; [`shown`]: who hears of it;
//!   [`unreadable`]: rows that can't be read, and stop nothing.
//! - [`message`]: what a feed bears, as CloudEvents; [`stream`]: where it is kept, `FEEDS`; [`followed`]: what comes of it.
//! - [`index`]: what the feeds bore so far, so that elders can leave them, or be erased from them.
//! - [`publisher`]: reads all logs and writes the feeds; each event comes out once, whenever it dies; [`positions`]: how far it
//!   has come.
//! - [`query`], [`subscription`], [`telling`]: the same for callers by gRPC, who reads on record; [`access`], [`consumers`], [`resting`],
//!   [`credentials`]: for departments by NATS.

pub(crate) mod access;
pub(crate) mod changes;
pub(crate) mod consumers;
mod credentials;
mod documents;
mod followed;
pub(crate) mod index;
mod message;
mod positions;
pub(crate) mod publisher;
mod query;
mod resting;
mod shown;
mod standing;
pub mod stream;
mod subscription;
mod telling;
mod unreadable;

pub(crate) use query::{FeedAsked, Start};
