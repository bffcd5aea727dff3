//! What services keep of elders' files for themselves: read models of the registry's log, each service its own under its own name.
//!
//! - [`FactsTable`]: all facts of each elder, by which a service judges; it holds no name.
//! - [`columns`]: words, sets and days as columns.
//! - [`CardsTable`]: each elder's name and contacts, sealed, and what towns and villages are called.
//! - `testing` (a feature): stories in the logs that several services follow, for tests of their read models.

mod cards_table;
pub mod columns;
mod facts_table;
#[cfg(feature = "testing")]
pub mod testing;

pub use cards_table::{Card, CardsTable};
pub use facts_table::{FactsTable, Kept};
