//! The streams of the NATS server and what each of its users may do there, as `deploy/streams.yaml` declares them.
//!
//! A service makes and judges its streams by [`stream()`] and [`log()`]; the launcher and the operator's commands see to all of
//! them by [`apply`] and [`check`], and give the server its users by [`Declared::users`]. What has to be forgotten is taken out of a
//! stream by [`erase`].

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests may unwrap"))]

mod declared;
mod erasing;
mod open;
mod settings;
mod stream;
mod tend;
mod user;

pub use declared::{Declared, declared, log, stream};
pub use erasing::{EraseError, Messages, erase, erase_each, erase_some};
pub use open::OpenError;
pub use settings::Deviation;
pub use stream::Stream;
pub use tend::{State, apply, check};
pub use user::User;
