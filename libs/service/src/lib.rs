//! The frame of every service: settings, telemetry, the gRPC server with its gate, the clock, errors, and going down in order.
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests may unwrap"))]

pub mod action;
pub mod auth;
pub mod caller;
pub mod clock;
pub mod config;
pub mod errors;
pub mod input;
pub mod paging;
pub mod permit;
mod secret;
pub mod settings;

pub use action::{Action, Actions};
pub use auth::{Claims, TokenIssuer};
pub use caller::{Caller, Kind};
pub use clock::Clock;
pub use config::{Config, Section};
pub use errors::{Refusal, Violation};
pub use input::{Checks, etag, request_digest};
pub use paging::{List, Page, PageBounds};
pub use settings::{Secret, Settings};
