//! The frame of every service: settings, telemetry, the gRPC server with its gate, the clock, errors, and going down in order.
//!
//! A service names its section of the configuration, implements [`Application`], and its `main.rs` reads:
//!
//! ```no_run
//! # use futures::future::BoxFuture;
//! # use service::{Application, Background, Clock, Connections, Server, Settings, Shutdown};
//! # use tokio_util::sync::CancellationToken;
//! # #[derive(Default, serde::Serialize, serde::Deserialize)]
//! # struct VisitsSettings {}
//! # impl service::Section for VisitsSettings { const NAME: &'static str = "visits"; }
//! # struct App { background: Background }
//! # impl Application for App {
//! #     type Own = VisitsSettings;
//! #     fn migrations() -> Option<sqlx::migrate::Migrator> { None }
//! #     async fn connect(settings: &Settings, _: &VisitsSettings, _: Clock) -> anyhow::Result<Self> {
//! #         let connections = Connections::open("visits", settings).await?;
//! #         let (_own, _registry) = (connections.own_log().await?, connections.log_of("registry").await?);
//! #         Ok(Self { background: Background::new() })
//! #     }
//! #     fn add_to(&self, server: Server, _: &Shutdown) -> Server { server }
//! #     fn background(&self) -> &Background { &self.background }
//! #     fn settled(&self, _: CancellationToken) -> BoxFuture<'static, ()> { Box::pin(async {}) }
//! # }
//! #[tokio::main]
//! async fn main() -> anyhow::Result<()> {
//!     service::run::<App>().await
//! }
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests may unwrap"))]

pub mod access;
pub mod action;
mod admission;
mod allocator;
pub mod application;
pub mod auth;
pub mod caller;
pub mod certificates;
pub mod clock;
pub mod command;
pub mod config;
mod connection;
pub mod connections;
pub mod deadline;
pub mod derived_passwords;
pub mod elder_keys;
pub mod errors;
mod frame;
pub mod gate;
mod handshakes;
pub mod input;
pub mod lateness;
mod own_token;
pub mod paging;
pub mod peer;
pub mod permit;
pub mod person_keys;
mod pool;
mod proxies;
mod retries;
mod secret;
pub mod server;
mod serving;
pub mod settings;
pub mod shutdown;
pub mod telemetry;
pub mod testing;
mod token_issuer;
mod unread;
mod wire_fault;

pub use action::{Action, Actions};
pub use application::{Application, Background, run};
pub use auth::Claims;
pub use caller::{Caller, Kind};
pub use clock::Clock;
pub use command::{Asked, RequestDigests, not_executed, not_loaded};
pub use config::{Config, Section};
pub use connections::Connections;
pub use deadline::Deadline;
pub use errors::{Refusal, Violation};
pub use input::{Checks, etag};
pub use lateness::Lateness;
pub use paging::{AnswerRoom, List, Page, PageBounds, Paged};
pub use peer::PeerChannel;
pub use readmodel::Gathering;
pub use server::{ServeError, Server};
pub use settings::{Secret, Settings};
pub use shutdown::{Shutdown, Supervised};
pub use telemetry::Telemetry;
pub use token_issuer::TokenIssuer;
