//! Trees of JSON in which something is another thing, elsewhere, missing or too much.

use proptest::{
    collection::vec,
    prelude::{Just, Strategy, any},
    prop_oneof,
    sample::{Index, select},
};
use serde_json::{Map, Value, json};

/// One thing that is done to a tree.
#[derive(Clone, Debug)]
enum Change {
    /// Something else stands there.
    Replaced(Index, Value),
    /// An element or field is lost, or half of a text.
    Lost(Index, Index),
    /// An element or field comes again, so many times, or a text does.
    Repeated(Index, Index, usize),
    /// A field has another name.
    Renamed(Index, Index, String),
    /// It lies so many lists deep.
    Buried(Index, usize),
    /// What stands elsewhere in the tree stands here, too.
    Copied(Index, Index),
}

/// Trees made of these samples.
pub(crate) fn spoilt(samples: Vec<Value>) -> impl Strategy<Value = Value> {
    (select(samples), vec(change(), 0..5)).prop_map(|(mut tree, changes)| {
        for change in changes {
            change.befall(&mut tree);
        }
        tree
    })
}

fn change() -> impl Strategy<Value = Change> {
    let at = any::<Index>;
    let times = prop_oneof![4 => Just(1), 1 => 2_usize..100];
    prop_oneof![
        4 => (at(), odd()).prop_map(|(at, value)| Change::Replaced(at, value)),
        2 => (at(), at()).prop_map(|(at, which)| Change::Lost(at, which)),
        2 => (at(), at(), times).prop_map(|(at, which, times)| Change::Repeated(at, which, times)),
        1 => (at(), at(), "[a-z_]{0,8}").prop_map(|(at, which, name)| Change::Renamed(at, which, name)),
        1 => (at(), 1_usize..40).prop_map(|(at, depth)| Change::Buried(at, depth)),
        2 => (at(), at()).prop_map(|(at, from)| Change::Copied(at, from)),
    ]
}

/// Values that fit hardly anywhere, and some that fit nearly.
fn odd() -> impl Strategy<Value = Value> {
    let plain = vec![
        Value::Null,
        json!(true),
        json!(0),
        json!(-1),
        json!(1.5),
        json!(i64::MAX),
        json!(i64::MIN),
        json!(u64::MAX),
        json!(1e308),
        json!(-0.0),
        json!(""),
        json!(" "),
        json!("0"),
        json!("null"),
        json!("\u{0}"),
        json!("\u{202e}王芳"),
        json!("350524195207209372"),
        json!("2024-02-30"),
        json!("9999-12-31"),
        json!("+262142-12-31T23:59:59Z"),
        json!("0001-01-01T00:00:00+14:00"),
        json!("age >= 80 && "),
        json!("9".repeat(400)),
        json!([]),
        json!({}),
        json!([[]]),
    ];
    prop_oneof![
        4 => select(plain),
        1 => any::<i64>().prop_map(Value::from),
        1 => any::<f64>().prop_map(|number| json!(number)),
        1 => any::<String>().prop_map(Value::from),
    ]
}

impl Change {
    /// Does it to a tree. What has no place in it is left.
    fn befall(self, tree: &mut Value) {
        let places = places_of(tree);
        let at = |at: &Index| at.get(&places).as_str();
        match self {
            Self::Replaced(place, value) => with(tree, at(&place), |node| *node = value),
            Self::Lost(place, which) => with(tree, at(&place), |node| lose(node, which)),
            Self::Repeated(place, which, times) => {
                with(tree, at(&place), |node| repeat(node, which, times));
            }
            Self::Renamed(place, which, name) => {
                with(tree, at(&place), |node| rename(node, which, name));
            }
            Self::Buried(place, depth) => with(tree, at(&place), |node| {
                for _ in 0..depth {
                    *node = Value::Array(vec![node.take()]);
                }
            }),
            Self::Copied(place, from) => {
                let copy = tree.pointer(at(&from)).cloned();
                with(tree, at(&place), |node| *node = copy.unwrap_or_default());
            }
        }
    }
}

fn with(tree: &mut Value, place: &str, change: impl FnOnce(&mut Value)) {
    if let Some(node) = tree.pointer_mut(place) {
        change(node);
    }
}

fn lose(node: &mut Value, which: Index) {
    match node {
        Value::Array(elements) => {
            if !elements.is_empty() {
                elements.remove(which.index(elements.len()));
            }
        }
        Value::Object(fields) => {
            if let Some(name) = name_of(fields, which) {
                fields.remove(&name);
            }
        }
        Value::String(text) => {
            let kept = text.chars().count() / 2;
            *text = text.chars().take(kept).collect();
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => *node = Value::Null,
    }
}

fn repeat(node: &mut Value, which: Index, times: usize) {
    match node {
        Value::Array(elements) => {
            if !elements.is_empty() {
                let element = which.get(elements).clone();
                elements.extend(std::iter::repeat_n(element, times));
            }
        }
        Value::Object(fields) => {
            if let Some(name) = name_of(fields, which) {
                let field = fields[&name].clone();
                for number in 0..times {
                    fields.insert(format!("{name}_{number}"), field.clone());
                }
            }
        }
        Value::String(text) => *text = text.repeat(times + 1),
        Value::Null | Value::Bool(_) | Value::Number(_) => {
            *node = Value::Array(vec![node.clone(); times + 1]);
        }
    }
}

fn rename(node: &mut Value, which: Index, to: String) {
    if let Value::Object(fields) = node
        && let Some(name) = name_of(fields, which)
        && let Some(field) = fields.remove(&name)
    {
        fields.insert(to, field);
    }
}

fn name_of(fields: &Map<String, Value>, which: Index) -> Option<String> {
    let names: Vec<&String> = fields.keys().collect();
    (!names.is_empty()).then(|| (*which.get(&names)).clone())
}

/// The place of each node, as JSON pointers have it; the root's is empty.
fn places_of(tree: &Value) -> Vec<String> {
    let mut places = Vec::new();
    collect(tree, String::new(), &mut places);
    places
}

fn collect(node: &Value, place: String, places: &mut Vec<String>) {
    match node {
        Value::Array(elements) => {
            for (number, element) in elements.iter().enumerate() {
                collect(element, format!("{place}/{number}"), places);
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                let name = name.replace('~', "~0").replace('/', "~1");
                collect(field, format!("{place}/{name}"), places);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    places.push(place);
}
