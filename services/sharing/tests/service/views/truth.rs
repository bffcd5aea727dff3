//! What is known of elders, put together straight from the events in the logs: slowly, and by nothing of the service's own.

mod file;
mod services;

use std::collections::BTreeMap;
use std::sync::Arc;

use civic::{ElderId, LocalDay};
use serde_json::{Map, Value};
use vault::DataKey;

use crate::support::Ground;

/// A thing of a product, with all that is known of it.
#[derive(Clone, Debug)]
pub(super) struct Document {
    pub(super) product: &'static str,
    pub(super) key: String,
    pub(super) fields: Map<String, Value>,
}

impl Document {
    /// The document with fields that are always known; `fields` is an object.
    fn of(product: &'static str, key: impl ToString, fields: Value) -> Self {
        Self {
            product,
            key: key.to_string(),
            fields: in_order(fields.as_object().unwrap().clone()),
        }
    }

    fn know(&mut self, field: &str, value: Option<impl Into<Value>>) {
        self.fields
            .extend(value.map(|value| (field.to_owned(), value.into())));
    }
}

/// An elder of whom something is known.
#[derive(Clone, Debug)]
pub(super) struct Known {
    /// Where the elder lives.
    pub(super) village: String,
    pub(super) documents: Vec<Document>,
}

/// All elders by what stands in the logs, as of a day. Of whom nothing is known any more is missing.
pub(super) async fn by_the_logs(ground: &Ground, today: LocalDay) -> BTreeMap<ElderId, Known> {
    let mut known = BTreeMap::new();
    let mut keys: BTreeMap<ElderId, Arc<DataKey>> = BTreeMap::new();
    for (elder, file) in file::files(&ground.logs.registry).await {
        let key = ground.vault.key(elder.as_uuid()).await.unwrap();
        let of_elder = Known {
            village: file.village(today),
            documents: vec![file.document(elder, &key, today)],
        };
        known.insert(elder, of_elder);
        keys.insert(elder, key);
    }
    let mut others = services::tiers(&ground.logs.tiering).await;
    others.extend(services::visits(&ground.logs.visits, &keys).await);
    others.extend(services::alerts(&ground.logs.alerts).await);
    others.extend(services::claims(&ground.logs.claims).await);
    for (elder, document) in others {
        // Of an erased elder the other logs hold what leads nowhere.
        if let Some(known) = known.get_mut(&elder) {
            known.documents.push(document);
        }
    }
    known
}

/// Fields whose lists of codes are in an order by which they can be compared.
pub(super) fn in_order(mut fields: Map<String, Value>) -> Map<String, Value> {
    for value in fields.values_mut() {
        if let Value::Array(codes) = value
            && codes.iter().all(Value::is_string)
        {
            codes.sort_by(|one, other| one.as_str().cmp(&other.as_str()));
        }
    }
    fields
}
