//! What is left of a document by what is granted, as the catalogue and the contract say it.

use std::collections::{BTreeMap, BTreeSet};

use proto::eldercare::sharing::v1 as pb;
use serde_json::{Map, Value, json};

use super::truth::Document;
use crate::support::{Running, reader};

/// How much of each field is granted, by product.
pub(super) type Grants = BTreeMap<String, BTreeMap<String, pb::Cut>>;

/// What somebody may see of a document.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Left {
    pub(super) fields: Map<String, Value>,
    pub(super) masked: BTreeSet<String>,
}

/// The products with their fields.
pub(super) struct Catalogue(pub(super) Vec<pb::Product>);

impl Catalogue {
    pub(super) async fn of(running: &Running) -> Self {
        let mut client = running.client_of(&reader());
        let listed = client.list_products(pb::ListProductsRequest {}).await;
        Self(listed.unwrap().into_inner().products)
    }

    fn kind(&self, product: &str, field: &str) -> pb::FieldKind {
        let mut products = self.0.iter();
        let product = products.find(|one| one.name == product).unwrap();
        let mut fields = product.fields.iter();
        fields.find(|one| one.name == field).unwrap().kind()
    }
}

/// Takes in what somebody grants; of two grants of a field the more generous holds.
pub(super) fn merge(all: &mut Grants, more: &Grants) {
    for (product, fields) in more {
        let granted = all.entry(product.clone()).or_default();
        for (field, cut) in fields {
            let granted = granted.entry(field.clone()).or_insert(*cut);
            *granted = (*cut).max(*granted);
        }
    }
}

/// Whether a file tells how old somebody is, to the year at least.
pub(super) fn tells_birth(elder: &BTreeMap<String, pb::Cut>) -> bool {
    let plain = |field| elder.get(field) == Some(&pb::Cut::Plain);
    plain("birth_date") || plain("age")
}

/// What is left of a document; none where that is nothing.
pub(super) fn left(document: &Document, grants: &Grants, catalogue: &Catalogue) -> Option<Left> {
    let granted = grants.get(document.product)?;
    let mut left = Left {
        fields: Map::new(),
        masked: BTreeSet::new(),
    };
    for (field, cut) in granted {
        let Some(value) = document.fields.get(field) else {
            continue;
        };
        let value = match cut {
            pb::Cut::Plain => value.clone(),
            pb::Cut::Masked => {
                left.masked.insert(field.clone());
                let kind = catalogue.kind(document.product, field);
                mask(kind, value, tells_birth(granted))
            }
            pb::Cut::Unspecified => panic!("a grant of nothing"),
        };
        left.fields.insert(field.clone(), value);
    }
    (!left.fields.is_empty()).then_some(left)
}

/// A value with its middle hidden.
fn mask(kind: pb::FieldKind, value: &Value, birth_is_told: bool) -> Value {
    match kind {
        pb::FieldKind::Name => name(text(value)).into(),
        // The last digits would give the birth date's others away.
        pb::FieldKind::IdNumber if birth_is_told => starred(text(value), 6, 0).into(),
        pb::FieldKind::IdNumber => starred(text(value), 6, 4).into(),
        pb::FieldKind::Phone => phone(text(value)).into(),
        pb::FieldKind::Address => {
            let begins: String = text(value).chars().take(6).collect();
            format!("{begins}***").into()
        }
        pb::FieldKind::BirthDate => text(value)[..4].into(),
        pb::FieldKind::Text => "***".into(),
        pb::FieldKind::Contacts => {
            let contacts = value.as_array().unwrap().iter().map(|one| {
                json!({
                    "name": name(text(&one["name"])),
                    "relation": one["relation"],
                    "phone": phone(text(&one["phone"])),
                })
            });
            contacts.collect()
        }
        pb::FieldKind::Unspecified
        | pb::FieldKind::Code
        | pb::FieldKind::Codes
        | pb::FieldKind::Id
        | pb::FieldKind::Day
        | pb::FieldKind::Instant
        | pb::FieldKind::Number
        | pb::FieldKind::Money
        | pb::FieldKind::Flag => panic!("{kind:?} has no mask"),
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// `张*`; of one character nothing is told.
fn name(name: &str) -> String {
    match name.chars().count() {
        1 => "*".to_owned(),
        _ => starred(name, 1, 0),
    }
}

/// `138****1234`; of a landline the last two digits.
fn phone(number: &str) -> String {
    match number.starts_with('1') {
        true => starred(number, 3, 4),
        false => starred(number, 0, 2),
    }
}

/// The first and the last characters, with stars between them.
fn starred(text: &str, first: usize, last: usize) -> String {
    let all: Vec<char> = text.chars().collect();
    let (begins, ends) = (&all[..first], &all[all.len() - last..]);
    let stars = "*".repeat(all.len() - first - last);
    let (begins, ends) = (String::from_iter(begins), String::from_iter(ends));
    format!("{begins}{stars}{ends}")
}
