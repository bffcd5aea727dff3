//! Documents as they stand, many at a time: those that changes name, by key, or all of some elders. It may be one that is asked for,
//! or thousands: the publisher's connection plans each statement anew.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use civic::ElderId;
use elders::FactsOnDay;
use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;
use vault::DataKey;

use super::unreadable::{Unreadable, readable};
use crate::document::Document;
use crate::feeds::changes::{Change, Which};
use crate::products::ProductName;
use crate::{alerts_table, cards_table, claims_table, elders_table, tiers_table, visits_table};

/// A change whose document is known by its key, and whom it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Resolved {
    /// The product.
    pub(crate) product: ProductName,
    /// The document's key.
    pub(crate) key: Uuid,
    /// Whom it is about.
    pub(crate) elder: ElderId,
    /// The place of the event among those of its record.
    pub(crate) event: usize,
    /// The place of the change among those that were asked about.
    pub(crate) change: usize,
}

/// What is known of an elder whose documents are put together.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    /// The facts of the day of which tiers are told.
    pub(crate) facts: FactsOnDay,
    /// The elder's key; without it nothing sealed is told.
    pub(crate) key: Option<Arc<DataKey>>,
}

/// The documents of changes, in the order of the changes; of a change of many, by key. One of which the read models hold no
/// row is left out, as its beginning could not be read.
///
/// Files and tiers are not looked for: what ended has changed as well.
///
/// # Errors
/// The database's.
pub(crate) async fn resolve(
    db: &mut PgConnection,
    changes: &[Change],
) -> Result<Vec<Resolved>, sqlx::Error> {
    let mut named: BTreeMap<ProductName, BTreeSet<&Which>> = BTreeMap::new();
    for change in changes {
        named
            .entry(change.product)
            .or_default()
            .insert(&change.which);
    }
    let mut found: BTreeMap<ProductName, Found> = BTreeMap::new();
    for (product, which) in &named {
        found.insert(*product, find(db, *product, which).await?);
    }
    let mut resolved = Vec::with_capacity(changes.len());
    for (index, change) in changes.iter().enumerate() {
        let of_product = found.get(&change.product);
        let documents = of_product.and_then(|found| found.get(&change.which));
        resolved.extend(
            documents
                .into_iter()
                .flatten()
                .map(|(key, elder)| Resolved {
                    product: change.product,
                    key: *key,
                    elder: *elder,
                    event: change.event,
                    change: index,
                }),
        );
    }
    Ok(resolved)
}

/// Keys, each with whom its document is about, by what names them.
type Found = BTreeMap<Which, BTreeMap<Uuid, ElderId>>;

async fn find(
    db: &mut PgConnection,
    product: ProductName,
    named: &BTreeSet<&Which>,
) -> Result<Found, sqlx::Error> {
    let ones = named.iter().filter_map(|which| match which {
        Which::One(key) => Some(*key),
        Which::Settlement { .. } | Which::Account { .. } | Which::Version { .. } => None,
    });
    let ones: Vec<Uuid> = ones.collect();
    let alone = |rows: Vec<(Uuid, ElderId)>| -> Vec<(Which, Uuid, ElderId)> {
        let rows = rows.into_iter();
        rows.map(|(key, elder)| (Which::One(key), key, elder))
            .collect()
    };
    let rows = match product {
        ProductName::Elder | ProductName::Tier => {
            alone(ones.into_iter().map(|key| (key, ElderId(key))).collect())
        }
        ProductName::Visit => alone(visits_table::whose(db, ones).await?),
        ProductName::Alert => alone(alerts_table::whose(db, ones).await?),
        ProductName::Order => claims_table::whose_orders(db, named).await?,
        ProductName::Enrolment => claims_table::whose_enrolments(db, named).await?,
    };
    let mut found = Found::new();
    for (which, key, elder) in rows {
        found.entry(which).or_default().insert(key, elder);
    }
    Ok(found)
}

/// Documents by product and key as they stand. What is not there, such as a tier out of scope, is missing, and so is what is
/// about somebody else than these elders, or has a row that can't be read.
///
/// # Errors
/// The database's.
pub(crate) async fn by_key(
    db: &mut PgConnection,
    wanted: &BTreeMap<ProductName, BTreeSet<Uuid>>,
    elders: &BTreeMap<ElderId, Known>,
    unreadable: &mut BTreeSet<Unreadable>,
) -> Result<BTreeMap<(ProductName, Uuid), Document>, sqlx::Error> {
    let mut found = BTreeMap::new();
    for (product, keys) in wanted {
        let keys: Vec<Uuid> = keys.iter().copied().collect();
        let documents = those_readable(db, *product, Of::Keys(&keys), elders, unreadable);
        for (key, document) in documents.await? {
            found.insert((*product, key), document);
        }
    }
    Ok(found)
}

/// All documents of some products of some elders with their keys, by elder: in the catalogue's order. Of whom there is none is
/// missing, and so is one whose row can't be read.
///
/// # Errors
/// The database's.
pub(crate) async fn all_of(
    db: &mut PgConnection,
    elders: &BTreeMap<ElderId, Known>,
    products: &BTreeSet<ProductName>,
    unreadable: &mut BTreeSet<Unreadable>,
) -> Result<BTreeMap<ElderId, Vec<(Uuid, Document)>>, sqlx::Error> {
    let ids: Vec<ElderId> = elders.keys().copied().collect();
    let mut all: BTreeMap<ElderId, Vec<(Uuid, Document)>> = BTreeMap::new();
    for product in products {
        let documents = those_readable(db, *product, Of::Elders(&ids), elders, unreadable);
        for (key, document) in documents.await? {
            all.entry(document.elder).or_default().push((key, document));
        }
    }
    Ok(all)
}

/// Which documents of a product are asked for.
#[derive(Clone, Copy)]
enum Of<'a> {
    Keys(&'a [Uuid]),
    /// All of these elders.
    Elders(&'a [ElderId]),
}

impl Of<'_> {
    /// The elders that are asked for, where the keys are theirs.
    fn elders(self, known: &BTreeMap<ElderId, Known>) -> Vec<ElderId> {
        match self {
            Self::Keys(keys) => {
                let elders = keys.iter().copied().map(ElderId);
                elders.filter(|elder| known.contains_key(elder)).collect()
            }
            Self::Elders(elders) => elders.to_vec(),
        }
    }

    fn is_empty(self) -> bool {
        match self {
            Self::Keys(keys) => keys.is_empty(),
            Self::Elders(elders) => elders.is_empty(),
        }
    }
}

/// Documents of a product with their keys. Where a row can't be read each is read by itself.
async fn those_readable(
    db: &mut PgConnection,
    product: ProductName,
    of: Of<'_>,
    elders: &BTreeMap<ElderId, Known>,
    unreadable: &mut BTreeSet<Unreadable>,
) -> Result<Vec<(Uuid, Document)>, sqlx::Error> {
    if let Some(all) = readable(documents(db, product, of, elders).await)? {
        return Ok(all);
    }
    let mut found = Vec::new();
    for (key, elder) in keys(db, product, of, elders).await? {
        match readable(documents(db, product, Of::Keys(&[key]), elders).await)? {
            Some(one) => found.extend(one),
            None => {
                unreadable.insert(Unreadable {
                    product,
                    key,
                    elder,
                });
            }
        }
    }
    Ok(found)
}

/// The keys of documents that are asked for and about these elders, each with its elder.
async fn keys(
    db: &mut PgConnection,
    product: ProductName,
    of: Of<'_>,
    elders: &BTreeMap<ElderId, Known>,
) -> Result<Vec<(Uuid, ElderId)>, sqlx::Error> {
    let (schema, table, key) = match product {
        ProductName::Elder | ProductName::Tier => {
            let ids = of.elders(elders).into_iter();
            return Ok(ids.map(|elder| (elder.as_uuid(), elder)).collect());
        }
        ProductName::Visit => (visits_table::NAME, "record", "record_id"),
        ProductName::Alert => (alerts_table::NAME, "alert", "alert_id"),
        ProductName::Order => (claims_table::NAME, "service_order", "order_key"),
        ProductName::Enrolment => (claims_table::NAME, "enrolment", "enrolment_id"),
    };
    let (keys, ids): (Vec<Uuid>, Vec<Uuid>) = match of {
        Of::Keys(keys) => (keys.to_vec(), vec![]),
        Of::Elders(elders) => (vec![], elders.iter().map(ElderId::as_uuid).collect()),
    };
    let statement = format!(
        "SELECT {key}, elder_id FROM {schema}.{table} WHERE {key} = ANY($1) OR elder_id = ANY($2)"
    );
    let rows: Vec<(Uuid, Uuid)> = sqlx::query_as(AssertSqlSafe(statement))
        .persistent(false)
        .bind(keys)
        .bind(ids)
        .fetch_all(db)
        .await?;
    let keys = rows.into_iter().map(|(key, elder)| (key, ElderId(elder)));
    let keys = keys.filter(|(_, elder)| elders.contains_key(elder));
    Ok(keys.collect())
}

/// Documents of a product with their keys, of each elder the oldest first.
///
/// # Errors
/// The database's; a row that can't be read.
async fn documents(
    db: &mut PgConnection,
    product: ProductName,
    of: Of<'_>,
    elders: &BTreeMap<ElderId, Known>,
) -> Result<Vec<(Uuid, Document)>, sqlx::Error> {
    if of.is_empty() {
        return Ok(Vec::new());
    }
    let known = |elder: &ElderId| elders.contains_key(elder);
    let documents: Vec<(Uuid, Document)> = match product {
        ProductName::Elder => {
            let ids = of.elders(elders);
            let cards = cards_table::TABLE.of(db, &ids).await?;
            let documents = ids.into_iter().filter_map(|elder| {
                let known = elders.get(&elder)?;
                let (card, key) = (cards.get(&elder), known.key.as_deref());
                let document = elders_table::document(elder, &known.facts, card, key);
                Some((elder.as_uuid(), document))
            });
            documents.collect()
        }
        ProductName::Tier => {
            let ids = of.elders(elders).into_iter();
            let days = ids.filter_map(|elder| Some((elder, elders.get(&elder)?.facts.day)));
            let rows = tiers_table::at_all(db, &days.collect::<Vec<_>>()).await?;
            let documents = rows.iter().map(|row| {
                let document = row.document();
                (document.elder.as_uuid(), document)
            });
            documents.collect()
        }
        ProductName::Visit => {
            let rows = match of {
                Of::Keys(keys) => visits_table::by_key(db, keys).await?,
                Of::Elders(elders) => visits_table::of_all(db, elders).await?,
            };
            let documents = rows.iter().filter_map(|row| {
                let key = elders.get(&row.elder)?.key.as_deref();
                Some((row.record, row.document(key)))
            });
            documents.collect()
        }
        ProductName::Alert => {
            let rows = match of {
                Of::Keys(keys) => alerts_table::by_key(db, keys).await?,
                Of::Elders(elders) => alerts_table::of_all(db, elders).await?,
            };
            let rows = rows.iter().filter(|row| known(&row.elder));
            rows.map(|row| (row.alert, row.document())).collect()
        }
        ProductName::Order => {
            let rows = match of {
                Of::Keys(keys) => claims_table::orders_by_key(db, keys).await?,
                Of::Elders(elders) => claims_table::orders_of_all(db, elders).await?,
            };
            let rows = rows.iter().filter(|row| known(&row.elder));
            rows.map(|row| (row.key, row.document())).collect()
        }
        ProductName::Enrolment => {
            let rows = match of {
                Of::Keys(keys) => claims_table::enrolments_by_key(db, keys).await?,
                Of::Elders(elders) => claims_table::enrolments_of_all(db, elders).await?,
            };
            let rows = rows.iter().filter(|row| known(&row.elder));
            rows.map(|row| (row.enrolment, row.document())).collect()
        }
    };
    Ok(documents)
}
