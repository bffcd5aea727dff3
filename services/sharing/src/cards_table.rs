//! The read model of the registry's log that tells who an elder is, as it is sealed.

use elder_tables::CardsTable;

/// Each elder's name, number and contacts, as they are sealed.
pub const TABLE: CardsTable = CardsTable::named("sharing_cards");
