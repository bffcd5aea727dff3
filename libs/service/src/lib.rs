//! The frame of every service: settings, telemetry, the gRPC server with its gate, the clock, errors, and going down in order.
//!
//! A service's `main.rs` reads:
//!
//! ```no_run
//! # #[derive(Default, serde::Serialize, serde::Deserialize)]
//! # struct Registry {}
//! # impl service::Section for Registry { const NAME: &'static str = "registry"; }
//! # struct App;
//! # impl App {
//! #     async fn connect(_: &service::Config<Registry>) -> anyhow::Result<Self> { Ok(Self) }
//! #     fn server(&self, settings: &service::Settings) -> service::Server { service::Server::new(settings) }
//! #     fn run_projections(&self, _: &mut service::Supervised) {}
//! # }
//! # async fn run() -> anyhow::Result<()> {
//! let Some(config) = service::Config::<Registry>::from_command_line()? else { return Ok(()) };
//! let telemetry = service::Telemetry::start(&config.telemetry, "registry")?;
//! let shutdown = service::Shutdown::on_signals(&config.shutdown)?;
//! let app = App::connect(&config).await?; // no port is bound before this has succeeded
//! let server = app.server(&config).bind().await?;
//! let mut tasks = service::Supervised::new(&shutdown);
//! app.run_projections(&mut tasks);
//! let outcome = tasks.run(server.serve(&shutdown)).await;
//! telemetry.flush().await;
//! outcome
//! # }
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests may unwrap"))]

pub mod action;
mod admission;
mod allocator;
pub mod auth;
pub mod caller;
pub mod clock;
pub mod command;
pub mod config;
mod connection;
pub mod deadline;
pub mod errors;
mod frame;
pub mod gate;
pub mod input;
pub mod paging;
pub mod peer;
pub mod permit;
mod secret;
pub mod server;
pub mod settings;
pub mod shutdown;
pub mod telemetry;
pub mod testing;
mod token_issuer;
mod wire_fault;

pub use action::{Action, Actions};
pub use auth::Claims;
pub use caller::{Caller, Kind};
pub use clock::Clock;
pub use command::{RequestDigests, not_executed, not_loaded};
pub use config::{Config, Section};
pub use deadline::Deadline;
pub use errors::{Refusal, Violation};
pub use input::{Checks, etag};
pub use paging::{List, Page, PageBounds};
pub use peer::PeerChannel;
pub use server::{ServeError, Server};
pub use settings::{Secret, Settings};
pub use shutdown::{Shutdown, Supervised};
pub use telemetry::Telemetry;
pub use token_issuer::TokenIssuer;
