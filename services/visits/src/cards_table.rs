//! The read model of the registry's log that tells whom a visitor calls on: each elder's name and contacts, as they are sealed,
//! and what towns and villages are called.

use elder_tables::CardsTable;

/// The projection's name and schema.
pub const NAME: &str = "visits_cards";

/// The table.
pub const TABLE: CardsTable = CardsTable::named(NAME);
