//! The read models of the registry's log, and what a dossier says of the elder: the registry's document.

use civic::ElderId;
use elder_tables::{Card, CardsTable, FactsTable};
use elders::{FactsOnDay, purpose};
use serde_json::{Value, json};
use vault::DataKey;

use crate::document::{Document, Fields};
use crate::products::ProductName;

/// The facts of each elder.
pub const FACTS: FactsTable = FactsTable::named("sharing_elders");

/// Each elder's name, number and contacts, as they are sealed.
pub const CARDS: CardsTable = CardsTable::named("sharing_cards");

/// What the registry says of an elder on a day. What does not open is absent.
pub(crate) fn document(
    elder: ElderId,
    facts: &FactsOnDay,
    card: Option<&Card>,
    key: Option<&DataKey>,
) -> Document {
    let mut fields = Fields::new();
    let mut put = |name: &str, value: Value| {
        fields.insert(name.to_owned(), value);
    };
    let id = elder.as_uuid();
    put("elder_id", elder.to_string().into());
    put("division_code", facts.village().to_string().into());
    put("status", facts.status.name().into());
    let identity = card
        .zip(key)
        .and_then(|(card, key)| key.open(purpose::IDENTITY, id, &card.identity).ok());
    if let Some(identity) = identity {
        put("name", identity.name.into());
        put("id_number", identity.id_number.into());
    }
    put("sex", facts.sex.name().into());
    put("birth_date", facts.birth_date.to_string().into());
    put("age", facts.age.into());
    put("categories", facts.categories.names().collect());
    put("assistance", facts.assistance.names().collect());
    put("capability", facts.capability_level().name().into());
    let grade = facts.handicap_grade.map_or(0, |grade| grade.number());
    put("handicap_grade", grade.into());
    put("observations", facts.observations.names().collect());
    put("consent", facts.consent.state.name().into());
    let home = facts.residence.home.as_ref().zip(key);
    if let Some(home) = home.and_then(|(home, key)| key.open(purpose::HOME, id, home).ok())
        && !home.address.is_empty()
    {
        put("address", home.address.into());
    }
    let contacts = card.and_then(|card| card.contacts.as_ref()).zip(key);
    if let Some(list) =
        contacts.and_then(|(contacts, key)| key.open(purpose::CONTACTS, id, contacts).ok())
    {
        let contacts = list.contacts.into_iter().map(|contact| {
            json!({ "name": contact.name, "relation": contact.relation, "phone": contact.phone })
        });
        put("contacts", contacts.collect());
    }
    Document {
        product: ProductName::Elder,
        key: elder.to_string(),
        elder,
        fields,
    }
}
