//! The whole system seen from outside, over real NATS and PostgreSQL: servers of its own, processes that can be killed, callers, sample data.
//!
//! A story begins with [`System::start`] and speaks with the system as other systems do, over gRPC. It may kill and
//! restart whatever it likes, move the clock, read the log, and have the read models verified.
#![allow(clippy::unwrap_used, reason = "a harness of tests may unwrap")]

use std::{collections::BTreeSet, fmt::Debug, path::Path};

pub mod agreements;
mod balanced;
mod beside;
pub mod callers;
pub mod claiming;
pub mod clients;
pub mod cluster;
pub mod consumers;
pub mod contracts;
pub mod county;
pub mod days;
mod doors;
pub mod elders;
mod front;
pub mod homes;
pub mod lines;
pub mod load;
mod log_server;
pub mod malformed;
mod node;
pub mod on_disk;
pub mod overload;
mod places;
pub mod process;
pub mod published;
mod pulse;
pub mod refusals;
pub mod replayed;
pub mod secrets;
pub mod seeds;
pub mod settings;
pub mod survey;
pub mod system;
pub mod trust;
pub mod turnstile;
mod verified;
pub mod villages;
pub mod visiting;
pub mod workbook;
pub mod written;

pub use callers::{Registry, Tiering, Vault, Visits, officer};
pub use days::{at, date, day, timestamp};
pub use elders::{an_elder, an_elder_with_a_daughter, born, id_number};
pub use refusals::{asked_to_wait, is_passing, reason, wrong_fields};
pub use survey::{Imported, import, importing};
pub use system::{Setup, System};
pub use written::Written;

/// Where the stories and the programs that they run lie.
fn sources() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// An id that nobody has used: of a request, or of whatever a caller names.
pub fn new_id() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// Things of which each must be there once.
pub fn each_once<T: Ord + Debug>(things: impl IntoIterator<Item = T>) -> BTreeSet<T> {
    let mut seen = BTreeSet::new();
    for thing in things {
        assert!(!seen.contains(&thing), "{thing:?} is there twice");
        seen.insert(thing);
    }
    seen
}
