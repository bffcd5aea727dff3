//! The read model of the registry's log: all facts of each elder, by which enrolments and orders are judged.

use elder_tables::FactsTable;

/// The projection's name and schema.
pub const NAME: &str = "claims_elders";

/// The table.
pub const TABLE: FactsTable = FactsTable::named(NAME);
