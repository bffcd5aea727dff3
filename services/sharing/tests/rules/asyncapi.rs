//! The feeds' document, `proto/feeds.asyncapi.yaml`, says of each product what the catalogue says, and names each event that
//! a feed has of its own.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use sharing::products::{FieldKind, ProductName, product};

/// What a feed says by itself.
const OWN: [&str; 6] = [
    "FeedBegun",
    "DocumentShared",
    "FeedCaughtUp",
    "ElderWithdrawn",
    "ElderErased",
    "FeedEnded",
];

fn document() -> Value {
    serde_saphyr::from_str(include_str!("../../../../proto/feeds.asyncapi.yaml")).unwrap()
}

fn products() -> Vec<&'static str> {
    ProductName::ALL.iter().map(|name| name.name()).collect()
}

fn keys(of: &Value) -> BTreeSet<&str> {
    of.as_object().unwrap().keys().map(String::as_str).collect()
}

/// The form of masked values, where it differs from that of plain ones.
fn masked_form(kind: FieldKind) -> Option<Value> {
    match kind {
        FieldKind::IdNumber => Some(json!({
            "type": "string",
            "pattern": "^[0-9]{6}(\\*{8}[0-9]{3}[0-9X]|\\*{12})$",
        })),
        FieldKind::BirthDate => Some(json!({"type": "string", "pattern": "^[0-9]{4}$"})),
        FieldKind::Code
        | FieldKind::Codes
        | FieldKind::Id
        | FieldKind::Day
        | FieldKind::Instant
        | FieldKind::Number
        | FieldKind::Money
        | FieldKind::Flag
        | FieldKind::Name
        | FieldKind::Phone
        | FieldKind::Address
        | FieldKind::Text
        | FieldKind::Contacts => None,
    }
}

/// What the catalogue says of a product, as a feed tells it: plain or masked.
fn told(name: ProductName) -> Value {
    let mut schema = product(name).schema();
    for of_document in ["$schema", "$id"] {
        schema.as_object_mut().unwrap().remove(of_document);
    }
    for field in product(name).fields {
        let Some(masked) = masked_form(field.kind) else {
            continue;
        };
        let plain = schema["properties"][field.name].as_object_mut().unwrap();
        let (title, description) = (plain.remove("title"), plain.remove("description"));
        let forms = json!([plain, masked]);
        *plain = Map::from_iter([
            ("title".to_owned(), title.unwrap()),
            ("description".to_owned(), description.unwrap()),
            ("anyOf".to_owned(), forms),
        ]);
    }
    schema
}

#[test]
fn each_product_has_the_fields_of_the_catalogue() {
    let document = document();
    for name in ProductName::ALL {
        let documented = &document["components"]["schemas"][name.name()];
        let catalogued = told(*name);
        let fields = (
            keys(&documented["properties"]),
            keys(&catalogued["properties"]),
        );
        assert_eq!(fields.0, fields.1, "{name:?}");
        for field in fields.0 {
            let of = |schema: &Value| schema["properties"][field].clone();
            assert_eq!(of(documented), of(&catalogued), "{name:?}.{field}");
        }
        assert_eq!(*documented, catalogued, "{name:?}");
    }
}

#[test]
fn each_product_and_each_event_of_a_feed_is_a_message() {
    let document = document();
    let expected: BTreeSet<&str> = products().into_iter().chain(OWN).collect();
    let feed = &document["channels"]["feed"];
    assert_eq!(keys(&feed["messages"]), expected);
    assert_eq!(keys(&document["components"]["messages"]), expected);
    let followed = document["operations"]["follow"]["messages"]
        .as_array()
        .unwrap();
    let followed: BTreeSet<&str> = followed
        .iter()
        .map(|message| message["$ref"].as_str().unwrap())
        .map(|path| path.rsplit('/').next().unwrap())
        .collect();
    assert_eq!(followed, expected);
    for name in products() {
        let message = &document["components"]["messages"][name];
        let schema = format!("#/components/schemas/{name}");
        assert_eq!(message["payload"], json!({ "$ref": schema }));
        let title = document["components"]["schemas"][name]["title"].clone();
        assert_eq!(message["title"], title);
    }
    for event in OWN {
        let headers = &document["components"]["messages"][event]["headers"];
        let event_type = format!("eldercare.sharing.v1.feed.{event}");
        let told = &headers["allOf"][1]["properties"]["ce-type"];
        assert_eq!(*told, json!({ "const": event_type }));
    }
}

#[test]
fn products_are_listed_wherever_one_is_named() {
    let document = document();
    let schemas = &document["components"]["schemas"];
    let named = json!(products());
    let parameters = &document["channels"]["feed"]["parameters"];
    assert_eq!(parameters["product"]["enum"], named);
    let header = &schemas["FeedHeaders"]["properties"]["ce-product"];
    assert_eq!(header["enum"], named);
    let any: Vec<Value> = products()
        .iter()
        .map(|name| json!({ "$ref": format!("#/components/schemas/{name}") }))
        .collect();
    let shared = &document["components"]["messages"]["DocumentShared"];
    assert_eq!(shared["payload"]["oneOf"], json!(any));
}
