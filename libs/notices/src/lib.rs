//! Ways to tell somebody something: a webhook, SMS, a call, a push, a line in the log; one attempt at a time, behind one interface.
//!
//! ```no_run
//! # async fn told(settings: &notices::ChannelSettings, notice: &notices::Notice) -> Result<(), notices::SettingsError> {
//! use notices::{Channels, Failure};
//!
//! let channels = Channels::new(settings)?;
//! match channels.send(notice).await {
//!     Ok(delivered) => println!("told; the receiver calls it {:?}", delivered.reference),
//!     Err(Failure::Passing(reason)) => println!("{reason}: another attempt may help"),
//!     Err(Failure::Final(reason)) => println!("{reason}: no further attempt will help"),
//! }
//! # Ok(()) }
//! ```
//!
//! Who sends decides when there is another attempt, has each on record, and tells recipients in parallel. A channel makes one
//! attempt: it ends in time, whatever the receiver does, leaves one alone that fails again and again, and says whether
//! another attempt may help. Delivery is at least once; receivers know by [`Notice::key`] what they have had before.
//!
//! - [`webhook`]: what another system gets, and what its answers mean; [`signature`]: how it checks what it gets.
//! - [`gateway`]: what a gateway of SMS, calls and pushes gets and answers.
//! - [`settings`]: every key with its default.
//!
//! Nothing that is personal, no address and no text stands in logs, metrics, errors or `Debug`.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests may unwrap"))]

mod channels;
mod circuit;
mod destination;
mod failure;
pub mod gateway;
mod lines_file;
mod log_line;
mod measures;
mod notice;
mod outgoing;
pub mod settings;
pub mod signature;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod webhook;

pub use channels::{Channel, Channels};
pub use failure::{Failure, Reason};
pub use notice::{Address, Delivered, Notice, Text};
pub use settings::{ChannelSettings, SettingsError};
