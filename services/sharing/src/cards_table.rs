//! The read model of the registry's log that tells who an elder is, as it is sealed.

use elder_tables::CardsTable;

use crate::dossier::Finding;

/// The projection's name and schema.
const NAME: &str = "sharing_cards";

/// Each elder's name, number and contacts, as they are sealed.
pub const TABLE: CardsTable = CardsTable::named(NAME);

/// Finds the card of an elder whose dossier is asked for.
pub(crate) fn of_asked() -> Finding {
    Finding {
        select: format!(
            "SELECT elder_id, identity, contacts FROM {NAME}.card WHERE elder_id = asked.elder"
        ),
        order: "elder_id",
    }
}
