//! Under which agreements something lies in `FEEDS` for each department, as rows: by them the departments' consumers rest or not.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::{Connection as _, PgConnection, PgTransaction, Row as _};
use uuid::Uuid;

use super::super::standing::Standing;

/// Agreements by department. Of one that is missing nobody knows what lies there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Under(BTreeMap<String, BTreeSet<Uuid>>);

impl Under {
    /// As the table says.
    pub(super) async fn read(db: &mut PgConnection) -> Result<Self, sqlx::Error> {
        let rows = sqlx::query("SELECT department, agreements FROM sharing_kept.feed_under")
            .fetch_all(db)
            .await?;
        let rows = rows.iter().map(|row| {
            let agreements: Vec<Uuid> = row.try_get(1)?;
            let agreements: BTreeSet<Uuid> = agreements.into_iter().collect();
            Ok((row.try_get(0)?, agreements))
        });
        let rows: Result<BTreeMap<String, BTreeSet<Uuid>>, sqlx::Error> = rows.collect();
        rows.map(Self)
    }

    /// Whether something may lie there for one of these departments that the feeds which stand do not tell.
    pub(super) fn is_more_than(&self, standing: &Standing, departments: &BTreeSet<String>) -> bool {
        let by_these = standing.under();
        let is_more = |department: &String| {
            let (known, now) = (self.0.get(department), by_these.get(department.as_str()));
            known.is_none_or(|known| match now {
                Some(now) => !known.is_subset(now),
                None => !known.is_empty(),
            })
        };
        departments.iter().any(is_more)
    }

    /// What the feeds tell that stand lies there from now on too. Where nobody knows what does, nobody knows it after this either.
    pub(super) async fn add(
        &mut self,
        db: &mut PgConnection,
        standing: &Standing,
    ) -> Result<(), sqlx::Error> {
        for (department, agreements) in standing.under() {
            let Some(known) = self.0.get(department) else {
                continue;
            };
            let both = known.union(&agreements).copied().collect();
            self.write(db, department, both).await?;
        }
        Ok(())
    }

    /// For these departments nothing lies there any more but what the feeds tell that stand.
    pub(super) async fn set(
        &mut self,
        db: &mut PgConnection,
        standing: &Standing,
        departments: &BTreeSet<String>,
    ) -> Result<(), sqlx::Error> {
        let mut by_these = standing.under();
        for department in departments {
            let now = by_these.remove(department.as_str());
            self.write(db, department, now.unwrap_or_default()).await?;
        }
        Ok(())
    }

    /// Nobody knows any more what lies there.
    pub(super) async fn forget(&mut self, db: &mut PgConnection) -> Result<(), sqlx::Error> {
        self.0.clear();
        let mut transaction = lasting(db).await?;
        sqlx::raw_sql("DELETE FROM sharing_kept.feed_under")
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await
    }

    async fn write(
        &mut self,
        db: &mut PgConnection,
        department: &str,
        agreements: BTreeSet<Uuid>,
    ) -> Result<(), sqlx::Error> {
        if self.0.get(department) == Some(&agreements) {
            return Ok(());
        }
        let row: Vec<Uuid> = agreements.iter().copied().collect();
        let mut transaction = lasting(db).await?;
        sqlx::query(
            "INSERT INTO sharing_kept.feed_under (department, agreements) VALUES ($1, $2) \
             ON CONFLICT (department) DO UPDATE SET agreements = excluded.agreements",
        )
        .bind(department)
        .bind(row)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        self.0.insert(department.to_owned(), agreements);
        Ok(())
    }
}

/// What is told follows at once, and must not outlast these rows: the publisher's other ones may be lost together and made again.
async fn lasting(db: &mut PgConnection) -> Result<PgTransaction<'_>, sqlx::Error> {
    let mut transaction = db.begin().await?;
    sqlx::raw_sql("SET LOCAL synchronous_commit = on")
        .execute(&mut *transaction)
        .await?;
    Ok(transaction)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agreement::testing::terms;
    use crate::cut::Cut;
    use crate::products::ProductName;

    const HEALTH: &str = "health";

    fn id(number: u128) -> Uuid {
        Uuid::from_u128(number)
    }

    /// The feeds of some agreements with health.
    fn standing(agreements: &[u128]) -> Standing {
        let terms = terms(&["350524"], &[(ProductName::Elder, "name", Cut::Plain)]);
        let agreements = agreements.iter().map(|number| (id(*number), terms.clone()));
        Standing::of(&agreements.collect::<Vec<_>>())
    }

    fn under(agreements: &[u128]) -> Under {
        let agreements = agreements.iter().map(|number| id(*number));
        Under(BTreeMap::from([(HEALTH.to_owned(), agreements.collect())]))
    }

    #[test]
    fn more_lies_there_where_an_agreement_has_ended_or_nobody_knows_under_which_it_was_told() {
        let departments = BTreeSet::from([HEALTH.to_owned()]);
        let is_more =
            |under: Under, standing: &Standing| under.is_more_than(standing, &departments);
        assert!(!is_more(under(&[1]), &standing(&[1])));
        assert!(!is_more(under(&[1]), &standing(&[1, 2])));
        assert!(is_more(under(&[1, 2]), &standing(&[1])));
        assert!(is_more(under(&[1]), &standing(&[])));
        assert!(!is_more(under(&[]), &standing(&[])));
        assert!(is_more(Under::default(), &standing(&[1])));
        assert!(is_more(Under::default(), &standing(&[])));
        assert!(!under(&[1]).is_more_than(&standing(&[]), &BTreeSet::new()));
    }
}
