//! Rows of the read models that can't be read (坏行): each is passed by alone, and stops nothing else.

use std::collections::{BTreeMap, BTreeSet};

use civic::ElderId;
use elders::Facts;
use readmodel::Parked;
use readmodel::parked::ParkedEvent;
use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

use crate::elders_table;
use crate::products::{ProductName, product};

/// A row that can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Unreadable {
    /// The product whose documents it is for.
    pub(crate) product: ProductName,
    /// The key of the document.
    pub(crate) key: Uuid,
    /// Whom it is about.
    pub(crate) elder: ElderId,
}

impl Unreadable {
    /// An elder's file.
    pub(crate) fn file(elder: ElderId) -> Self {
        Self {
            product: ProductName::Elder,
            key: elder.as_uuid(),
            elder,
        }
    }

    /// The log that the row was made of.
    pub(crate) fn log(&self) -> String {
        product(self.product).owner.to_ascii_uppercase()
    }

    /// As it is parked.
    pub(crate) fn parked(&self) -> Parked {
        let which = format!("{} {}", self.product.name(), self.key);
        Parked::row(which, self.elder.to_string())
    }

    /// The row that was parked; none where it is something else.
    pub(crate) fn of_parked(parked: &ParkedEvent) -> Option<Self> {
        let (product, key) = parked.event_type.split_once(' ')?;
        Some(Self {
            product: ProductName::parse(product)?,
            key: key.parse().ok()?,
            elder: parked.subject.parse().ok()?,
        })
    }
}

/// What was read; none where a row is at fault, and will be the next time.
///
/// # Errors
/// Any other failure: what is away comes back.
pub(super) fn readable<T>(read: Result<T, sqlx::Error>) -> Result<Option<T>, sqlx::Error> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The facts of some elders; of whom there are none, or none any more, is missing, and so is whose row can't be read.
///
/// # Errors
/// The database's.
pub(super) async fn facts_of(
    db: &mut PgConnection,
    elders: &[ElderId],
    unreadable: &mut BTreeSet<Unreadable>,
) -> Result<BTreeMap<ElderId, Facts>, sqlx::Error> {
    if let Some(all) = readable(elders_table::facts_of_all(&mut *db, elders).await)? {
        return Ok(all);
    }
    let facts = one_by_one(db, elders, unreadable).await?.into_iter();
    Ok(facts
        .filter_map(|(elder, facts)| Some((elder, facts?)))
        .collect())
}

/// Some elders, in the order of their ids.
#[derive(Debug, Default)]
pub(super) struct Page {
    /// Their facts; none of whom none are known any more.
    pub(super) facts: Vec<(ElderId, Option<Facts>)>,
    /// The last one, be it that the row can't be read; none where there are no more.
    pub(super) last: Option<ElderId>,
}

/// The facts of the next elders in the order of their ids; whose row can't be read is missing.
///
/// # Errors
/// The database's.
pub(super) async fn page(
    db: &mut PgConnection,
    after: Option<ElderId>,
    most: i64,
    unreadable: &mut BTreeSet<Unreadable>,
) -> Result<Page, sqlx::Error> {
    if let Some(facts) = readable(elders_table::page(&mut *db, after, most).await)? {
        let last = facts.last().map(|(elder, _)| *elder);
        return Ok(Page { facts, last });
    }
    let statement = format!(
        "SELECT elder_id FROM {}.elder WHERE $1::uuid IS NULL OR elder_id > $1 ORDER BY elder_id LIMIT $2",
        elders_table::NAME
    );
    let ids: Vec<Uuid> = sqlx::query_scalar(AssertSqlSafe(statement))
        .bind(after.map(|elder| elder.as_uuid()))
        .bind(most)
        .fetch_all(&mut *db)
        .await?;
    let elders: Vec<ElderId> = ids.into_iter().map(ElderId).collect();
    Ok(Page {
        facts: one_by_one(db, &elders, unreadable).await?,
        last: elders.last().copied(),
    })
}

async fn one_by_one(
    db: &mut PgConnection,
    elders: &[ElderId],
    unreadable: &mut BTreeSet<Unreadable>,
) -> Result<Vec<(ElderId, Option<Facts>)>, sqlx::Error> {
    let mut all = Vec::with_capacity(elders.len());
    for elder in elders {
        match readable(elders_table::facts(&mut *db, *elder).await)? {
            Some(facts) => all.push((*elder, facts)),
            None => {
                unreadable.insert(Unreadable::file(*elder));
            }
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    #[test]
    fn a_row_at_fault_is_told_from_a_database_that_is_away() {
        let broken = sqlx::Error::Decode("column facts holds no facts".into());
        assert!(matches!(readable::<()>(Err(broken)), Ok(None)));
        assert!(matches!(readable(Ok(7)), Ok(Some(7))));
        for away in [sqlx::Error::PoolTimedOut, sqlx::Error::WorkerCrashed] {
            assert!(readable::<()>(Err(away)).is_err());
        }
    }

    #[test]
    fn what_is_parked_is_found_again() {
        let row = Unreadable {
            product: ProductName::Visit,
            key: Uuid::from_u128(7),
            elder: ElderId(Uuid::from_u128(1)),
        };
        assert_eq!(row.log(), "VISITS");
        let parked = |event_type: String, subject: String| ParkedEvent {
            id: 1,
            projection: "sharing_feeds".to_owned(),
            stream: row.log(),
            sequence: 0,
            place: 0,
            subject,
            event_type,
            reason: String::new(),
            payload: vec![],
            parked_at: DateTime::UNIX_EPOCH,
        };
        let found = parked(format!("visit {}", row.key), row.elder.to_string());
        assert_eq!(Unreadable::of_parked(&found), Some(row));
        let other = parked("eldercare.visits.v1.Unheard".to_owned(), String::new());
        assert_eq!(Unreadable::of_parked(&other), None);
    }
}
