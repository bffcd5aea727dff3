//! What is left of a document for somebody (脱敏与裁剪): fields are absent, masked or plain, as they are granted.
//!
//! Where anything is in doubt a field is absent: a value that is not of its kind has no mask, and what has no mask is not
//! told masked.

use std::collections::{BTreeMap, BTreeSet};

use civic::{ElderId, LocalDay};
use serde_json::Value;

use crate::document::{Document, Fields};
use crate::products::{Field, FieldKind, ProductName, product};

/// How much of a field is granted; the greater one is the more generous.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cut {
    /// With its middle hidden (脱敏).
    Masked,
    /// As it is (明文).
    Plain,
}

/// What is granted, product by product and field by field. What is not named is not granted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    // No product stands here without a field.
    products: BTreeMap<ProductName, BTreeMap<&'static str, Cut>>,
}

impl Grants {
    /// All there is, in plain: for those who own the data.
    #[must_use]
    pub fn all_plain() -> Self {
        let mut grants = Self::default();
        for name in ProductName::ALL {
            for field in product(*name).fields {
                grants.grant(*name, field.name, Cut::Plain);
            }
        }
        grants
    }

    /// Grants a field; of two grants the more generous holds. One that is not in the catalogue is never told.
    pub fn grant(&mut self, product: ProductName, field: &'static str, cut: Cut) {
        let granted = self
            .products
            .entry(product)
            .or_default()
            .entry(field)
            .or_insert(cut);
        *granted = cut.max(*granted);
    }

    /// Takes a field away where it is granted masked.
    pub(crate) fn revoke_masked(&mut self, product: ProductName, field: &str) {
        if let Some(fields) = self.products.get_mut(&product) {
            fields.retain(|name, cut| *name != field || *cut == Cut::Plain);
            if fields.is_empty() {
                self.products.remove(&product);
            }
        }
    }

    /// Takes in what others grant; of two grants of a field the more generous holds.
    pub fn merge(&mut self, other: &Self) {
        for (product, fields) in &other.products {
            for (&field, &cut) in fields {
                self.grant(*product, field, cut);
            }
        }
    }

    /// Leaves only these products.
    pub fn keep(&mut self, only: &BTreeSet<ProductName>) {
        self.products.retain(|product, _| only.contains(product));
    }

    /// How much of a field is granted.
    #[must_use]
    pub fn get(&self, product: ProductName, field: &str) -> Option<Cut> {
        self.products.get(&product)?.get(field).copied()
    }

    /// Whether nothing is granted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.products.is_empty()
    }

    /// Whether any field of a product is granted.
    #[must_use]
    pub fn has(&self, product: ProductName) -> bool {
        self.products.contains_key(&product)
    }

    /// The products of which something is granted, in the order of the catalogue.
    pub fn products(&self) -> impl Iterator<Item = ProductName> {
        self.products.keys().copied()
    }

    /// The fields of a product that are granted, in the order of the catalogue.
    pub fn fields(&self, name: ProductName) -> impl Iterator<Item = (&'static Field, Cut)> {
        product(name)
            .fields
            .iter()
            .filter_map(move |field| Some((field, self.get(name, field.name)?)))
    }
}

/// A document, cut to what somebody may see.
#[derive(Clone, Debug, PartialEq)]
pub struct CutDocument {
    /// The product.
    pub product: ProductName,
    /// Which one.
    pub key: String,
    /// Whom it is about.
    pub elder: ElderId,
    /// The fields that are granted and known.
    pub fields: Fields,
    /// Which of these are masked, in the order of the catalogue.
    pub masked: Vec<&'static str>,
    /// Which personal fields are told: `elder.name`, or `elder.name:masked`.
    pub told: Vec<String>,
}

/// What is left of a document; none where nothing is.
#[must_use]
pub fn cut(document: &Document, grants: &Grants) -> Option<CutDocument> {
    let mut left = CutDocument {
        product: document.product,
        key: document.key.clone(),
        elder: document.elder,
        fields: Fields::new(),
        masked: vec![],
        told: vec![],
    };
    for (field, cut) in grants.fields(document.product) {
        let Some(known) = document.fields.get(field.name) else {
            continue;
        };
        let value = match cut {
            Cut::Plain => Some(known.clone()),
            Cut::Masked
                if field.kind == FieldKind::IdNumber && tells_birth(document.product, grants) =>
            {
                masked_text(known, masked_to_the_county)
            }
            Cut::Masked => mask(field.kind, known),
        };
        let Some(value) = value else { continue };
        left.fields.insert(field.name.to_owned(), value);
        if cut == Cut::Masked {
            left.masked.push(field.name);
        }
        left.told.extend(told_as(document.product, field, cut));
    }
    (!left.fields.is_empty()).then_some(left)
}

/// How a look names a field that is told; not at all where it is not personal.
pub(crate) fn told_as(product: ProductName, field: &Field, cut: Cut) -> Option<String> {
    let how = match cut {
        Cut::Plain => "",
        Cut::Masked => ":masked",
    };
    let (product, name) = (product.name(), field.name);
    field.personal().then(|| format!("{product}.{name}{how}"))
}

/// Whether what the mask of an ID number hides, the birth date, is told beside it: with the last four digits it gives the rest.
pub(crate) fn tells_birth(product: ProductName, grants: &Grants) -> bool {
    ["birth_date", "age"]
        .iter()
        .any(|field| grants.get(product, field) == Some(Cut::Plain))
}

/// A value with its middle hidden; none where the kind has no mask, or the value is not of the kind.
#[must_use]
pub fn mask(kind: FieldKind, value: &Value) -> Option<Value> {
    match kind {
        FieldKind::Code
        | FieldKind::Codes
        | FieldKind::Id
        | FieldKind::Day
        | FieldKind::Instant
        | FieldKind::Number
        | FieldKind::Money
        | FieldKind::Flag => None,
        FieldKind::Name => masked_text(value, masked_name),
        FieldKind::IdNumber => masked_text(value, masked_id_number),
        FieldKind::Phone => masked_text(value, masked_phone),
        FieldKind::Address => masked_text(value, masked_address),
        FieldKind::BirthDate => {
            let day: LocalDay = value.as_str()?.parse().ok()?;
            Some(format!("{:04}", day.year()).into())
        }
        FieldKind::Text => masked_text(value, |_| HIDDEN.to_owned()),
        FieldKind::Contacts => {
            let contacts = value.as_array()?.iter().filter_map(masked_contact);
            Some(contacts.collect())
        }
    }
}

/// What stands for a text of which nothing is told.
const HIDDEN: &str = "***";

/// The mask of a text; an empty one is as good as none.
fn masked_text(value: &Value, mask: impl FnOnce(&str) -> String) -> Option<Value> {
    let text = value.as_str().filter(|text| !text.is_empty())?;
    Some(mask(text).into())
}

/// `张*`: the first character, and a star for each other one. A name of one character would stand there whole.
fn masked_name(name: &str) -> String {
    match name.chars().count() {
        0 | 1 => "*".to_owned(),
        length => ends(name, length, 1, 0),
    }
}

/// `350524************`.
fn masked_to_the_county(number: &str) -> String {
    match number.chars().count() {
        0..15 => HIDDEN.to_owned(),
        length => ends(number, length, 6, 0),
    }
}

/// `350524********1234`; what is too short to be an ID number is hidden.
fn masked_id_number(number: &str) -> String {
    // The old form has 15 characters.
    match number.chars().count() {
        0..15 => HIDDEN.to_owned(),
        length => ends(number, length, 6, 4),
    }
}

/// `138****1234`; of a landline the last two digits alone, as the first ones tell where the phone is.
fn masked_phone(number: &str) -> String {
    let digits = number.bytes().all(|b| b.is_ascii_digit());
    match number.chars().count() {
        11 if digits && number.starts_with('1') => ends(number, 11, 3, 4),
        0..6 => HIDDEN.to_owned(),
        length => ends(number, length, 0, 2),
    }
}

/// The first six characters; of an address that has no more, nothing.
fn masked_address(address: &str) -> String {
    let seen: String = address.chars().take(6).collect();
    if seen.len() == address.len() {
        HIDDEN.to_owned()
    } else {
        seen + HIDDEN
    }
}

/// The first and the last characters of a text of this length, and a star for each between.
fn ends(text: &str, length: usize, first: usize, last: usize) -> String {
    let seen = |place: usize| place < first || place >= length.saturating_sub(last);
    text.chars()
        .enumerate()
        .map(|(place, character)| if seen(place) { character } else { '*' })
        .collect()
}

/// A contact's relation, with name and telephone masked; anything else that is said of a contact is not told.
fn masked_contact(contact: &Value) -> Option<Value> {
    let contact = contact.as_object()?;
    let mut masked = Fields::new();
    if let Some(name) = contact.get("name") {
        masked.extend(masked_text(name, masked_name).map(|name| ("name".to_owned(), name)));
    }
    if let Some(relation) = contact.get("relation").filter(|value| value.is_string()) {
        masked.insert("relation".to_owned(), relation.clone());
    }
    if let Some(phone) = contact.get("phone") {
        masked.extend(masked_text(phone, masked_phone).map(|phone| ("phone".to_owned(), phone)));
    }
    Some(Value::Object(masked))
}
