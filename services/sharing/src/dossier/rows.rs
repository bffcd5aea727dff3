//! The rows of dossiers: those that are asked for at the same time come together, of each product by one query.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use civic::{ElderId, LocalDay};
use elder_tables::CardsTable;
use elders::FactsOnDay;
use readmodel::DatabaseError;
use service::Gathering;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgPool, Row as _};
use uuid::Uuid;
use vault::DataKey;

use crate::alerts_table::{self, AlertRow};
use crate::claims_table::{self, EnrolmentRow, OrderRow};
use crate::document::Document;
use crate::products::ProductName;
use crate::tiers_table::{self, TierRow};
use crate::visits_table::{self, VisitRow};
use crate::{cards_table, elders_table};

/// Of how many dossiers rows are looked for together.
const TOGETHER: usize = 64;

/// How a read model finds the rows of one who is asked for: of `asked.elder`, as of `asked.on_day`.
pub(crate) struct Finding {
    /// The statement, without order and bound.
    pub(crate) select: String,
    /// Its columns that say which row comes first.
    pub(crate) order: &'static str,
}

/// Of whom which rows are asked for.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) elder: ElderId,
    pub(super) products: Vec<ProductName>,
    /// At most so many of each product.
    pub(super) newest: i64,
    /// As of this day.
    pub(super) on: LocalDay,
}

/// The rows of one dossier, by product. Whoever asked for them reads them: one that can't be read is nobody else's trouble.
pub(super) struct Rows(BTreeMap<ProductName, Vec<PgRow>>);

/// Finds the rows of dossiers. Clones find them together.
#[derive(Clone, Debug)]
pub(crate) struct DossierRows(Gathering<Wanted, Result<Rows, DatabaseError>>);

impl DossierRows {
    /// In this database.
    pub(crate) fn new(pool: PgPool) -> Self {
        let find = move |wanted| find(pool.clone(), wanted);
        Self(Gathering::new(TOGETHER, find))
    }

    /// The rows of a dossier as they are now.
    ///
    /// # Errors
    /// The database's.
    pub(super) async fn of(&self, wanted: Wanted) -> Result<Rows, DatabaseError> {
        let found = self.0.ask(wanted).await;
        found.unwrap_or_else(|| Err(sqlx::Error::WorkerCrashed.into()))
    }
}

async fn find(pool: PgPool, wanted: Vec<Wanted>) -> Vec<Result<Rows, DatabaseError>> {
    match try_to_find(&pool, &wanted).await {
        Ok(found) => found.into_iter().map(Ok).collect(),
        Err(error) => {
            let error = DatabaseError::from(error);
            wanted.iter().map(|_| Err(error.clone())).collect()
        }
    }
}

async fn try_to_find(pool: &PgPool, wanted: &[Wanted]) -> Result<Vec<Rows>, sqlx::Error> {
    let mut all: Vec<Rows> = wanted.iter().map(Rows::none_of).collect();
    // One after the other: dossiers shall not take the connections of all others.
    let mut db = pool.acquire().await?;
    for product in ProductName::ALL {
        let asked = Asked::of(wanted, *product);
        if asked.places.is_empty() {
            continue;
        }
        let rows = sqlx::query(AssertSqlSafe(statement(*product)))
            .bind(asked.elders)
            .bind(asked.days)
            .bind(asked.newest)
            .bind(asked.places)
            .fetch_all(&mut *db)
            .await?;
        for row in rows {
            let place: i64 = row.try_get("place")?;
            let whose = usize::try_from(place).ok();
            if let Some(whose) = whose.and_then(|place| all.get_mut(place)) {
                whose.0.entry(*product).or_default().push(row);
            }
        }
    }
    Ok(all)
}

/// Of whom rows of a product are asked for, as columns: each by the place among those who ask.
#[derive(Debug, Default, PartialEq, Eq)]
struct Asked {
    elders: Vec<Uuid>,
    days: Vec<NaiveDate>,
    newest: Vec<i64>,
    places: Vec<i64>,
}

impl Asked {
    fn of(wanted: &[Wanted], product: ProductName) -> Self {
        let mut asked = Self::default();
        let places = wanted.iter().zip(0..);
        for (one, place) in places.filter(|(one, _)| one.products.contains(&product)) {
            asked.elders.push(one.elder.as_uuid());
            asked.days.push(one.on.date());
            asked.newest.push(one.newest);
            asked.places.push(place);
        }
        asked
    }
}

fn statement(product: ProductName) -> String {
    let Finding { select, order } = match product {
        ProductName::Elder => cards_table::of_asked(),
        ProductName::Tier => tiers_table::of_asked(),
        ProductName::Visit => visits_table::of_asked(),
        ProductName::Alert => alerts_table::of_asked(),
        ProductName::Order => claims_table::orders_of_asked(),
        ProductName::Enrolment => claims_table::enrolments_of_asked(),
    };
    format!(
        "SELECT found.*, asked.place \
         FROM unnest($1::uuid[], $2::date[], $3::bigint[], $4::bigint[]) AS asked (elder, on_day, newest, place), \
         LATERAL ({select} ORDER BY {order} LIMIT asked.newest) AS found \
         ORDER BY asked.place, {order}"
    )
}

impl Rows {
    /// None yet of each product.
    fn none_of(wanted: &Wanted) -> Self {
        let products = wanted.products.iter();
        Self(products.map(|product| (*product, vec![])).collect())
    }

    /// The documents, in the order of the catalogue.
    ///
    /// # Errors
    /// A row of another version of the program.
    pub(super) fn documents(
        &self,
        elder: ElderId,
        facts: &FactsOnDay,
        key: Option<&DataKey>,
    ) -> Result<Vec<Document>, sqlx::Error> {
        let mut documents = Vec::new();
        for (product, rows) in &self.0 {
            let read: Result<Vec<Document>, sqlx::Error> = match product {
                ProductName::Elder => {
                    let card = rows.first().map(CardsTable::read).transpose()?;
                    let card = card.as_ref().map(|(_elder, card)| card);
                    Ok(vec![elders_table::document(elder, facts, card, key)])
                }
                ProductName::Tier => each(rows, |row| Ok(TierRow::of(row)?.document())),
                ProductName::Visit => each(rows, |row| Ok(VisitRow::of(row)?.document(key))),
                ProductName::Alert => each(rows, |row| Ok(AlertRow::of(row)?.document())),
                ProductName::Order => each(rows, |row| Ok(OrderRow::of(row)?.document())),
                ProductName::Enrolment => each(rows, |row| Ok(EnrolmentRow::of(row)?.document())),
            };
            documents.extend(read?);
        }
        Ok(documents)
    }
}

fn each(
    rows: &[PgRow],
    document: impl Fn(&PgRow) -> Result<Document, sqlx::Error>,
) -> Result<Vec<Document>, sqlx::Error> {
    rows.iter().map(document).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(elder: u128, products: &[ProductName], newest: i64) -> Wanted {
        Wanted {
            elder: ElderId(Uuid::from_u128(elder)),
            products: products.to_vec(),
            newest,
            on: "2024-03-01".parse().unwrap(),
        }
    }

    #[test]
    fn each_is_asked_for_by_its_place_also_twice_and_only_for_what_it_may_have() {
        let (visit, alert) = (ProductName::Visit, ProductName::Alert);
        let all = [
            wanted(1, &[visit, alert], 20),
            wanted(2, &[alert], 20),
            wanted(1, &[visit], 200),
        ];
        let visits = Asked::of(&all, visit);
        assert_eq!(visits.elders, [Uuid::from_u128(1); 2]);
        assert_eq!((visits.newest, visits.places), (vec![20, 200], vec![0, 2]));
        assert_eq!(Asked::of(&all, alert).places, [0, 1]);
        assert_eq!(Asked::of(&all, ProductName::Order), Asked::default());
    }
}
