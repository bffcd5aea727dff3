//! The whole system seen from outside, over real NATS and PostgreSQL: servers of its own, processes that can be killed, callers, sample data.
//!
//! A story begins with [`System::start`] and speaks with the system as other systems do, over gRPC. It may kill and
//! restart whatever it likes, move the clock, read the log, and have the read models verified.
#![allow(clippy::unwrap_used, reason = "a harness of tests may unwrap")]

pub mod callers;
pub mod county;
pub mod days;
pub mod elders;
pub mod lines;
pub mod malformed;
pub mod on_disk;
pub mod process;
pub mod refusals;
pub mod settings;
pub mod survey;
pub mod system;
pub mod visiting;
pub mod workbook;

pub use callers::{Registry, Tiering, Vault, Visits, officer};
pub use days::{at, date, day, timestamp};
pub use elders::{an_elder, born, id_number};
pub use refusals::{asked_to_wait, is_passing, reason, wrong_fields};
pub use survey::{Imported, import, importing};
pub use system::{Setup, System};
