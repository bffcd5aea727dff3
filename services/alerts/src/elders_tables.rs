//! The read models of the registry's log: where elders live, and whom to tell of what befalls them.

use elder_tables::{CardsTable, FactsTable};

/// All facts of each elder: of these alerts need where home is.
pub const FACTS: FactsTable = FactsTable::named("alerts_elders");

/// Each elder's name and contacts, as they are sealed, and what villages are called.
pub const CARDS: CardsTable = CardsTable::named("alerts_cards");
