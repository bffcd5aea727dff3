//! The agreements in force (生效的协议), as the table says at this moment: what is suspended or ended grants nothing from then on.
//!
//! Whoever asks at the same time shares one look at the table, and at ids alone: terms never change, so they are read again only
//! where other agreements are in force. One that can't be read grants nothing; it alone is read again each time, since its row may be
//! made anew.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use civic::LocalDay;
use readmodel::DatabaseError;
use service::{Clock, Gathering};
use sqlx::PgPool;
use uuid::Uuid;

use crate::agreement::Terms;
use crate::agreement_rows::ids_in_force;
use crate::granting::{self, Granting};

/// How many callers share a look at most.
const TOGETHER: usize = 1_000;

/// Looks which agreements are in force. Clones share their looks.
#[derive(Clone, Debug)]
pub(crate) struct InForce(Gathering<(), Found>);

type Found = Result<Arc<Agreements>, DatabaseError>;

/// The agreements that are in force on a day.
#[derive(Debug)]
pub(crate) struct Agreements {
    on: LocalDay,
    /// As the table has them, also those whose terms can't be read.
    found: Vec<Uuid>,
    unreadable: BTreeSet<Uuid>,
    by_department: BTreeMap<String, Vec<(Uuid, Terms)>>,
}

/// Those that were in force when it was looked last.
type Known = Mutex<Option<Arc<Agreements>>>;

impl InForce {
    /// Looks at the table in this database.
    pub(crate) fn new(pool: PgPool, clock: Clock) -> Self {
        let known = Arc::<Known>::default();
        Self(Gathering::new(TOGETHER, move |callers: Vec<()>| {
            let (pool, today, known) = (pool.clone(), clock.today(), Arc::clone(&known));
            async move {
                let found = look(&pool, today, &known).await;
                vec![found.map_err(DatabaseError::from); callers.len()]
            }
        }))
    }

    /// The agreements that are in force now.
    ///
    /// # Errors
    /// The database's.
    pub(crate) async fn now(&self) -> Found {
        let found = self.0.ask(()).await;
        found.unwrap_or_else(|| Err(sqlx::Error::WorkerCrashed.into()))
    }
}

async fn look(
    pool: &PgPool,
    today: LocalDay,
    known: &Known,
) -> Result<Arc<Agreements>, sqlx::Error> {
    let ids = ids_in_force(pool, today).await?;
    let before = locked(known).clone();
    if let Some(before) = before.as_ref().filter(|before| before.are(today, &ids))
        && before.are_as_readable(pool).await?
    {
        return Ok(Arc::clone(before));
    }
    let granting = Granting::in_force(pool, today, None).await?;
    let now = Arc::new(Agreements::of(today, granting));
    if before.is_none_or(|before| before.unreadable != now.unreadable)
        && let Err(error) = granting::park(pool, &now.unreadable).await
    {
        // What can be read is told all the same; what can't is parked with the next look.
        tracing::warn!(%error, "agreements that can't be read could not be parked");
        return Ok(now);
    }
    *locked(known) = Some(Arc::clone(&now));
    Ok(now)
}

fn locked(known: &Known) -> MutexGuard<'_, Option<Arc<Agreements>>> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Agreements {
    fn of(on: LocalDay, granting: Granting) -> Self {
        let Granting {
            found,
            agreements,
            unreadable,
        } = granting;
        let mut by_department: BTreeMap<String, Vec<(Uuid, Terms)>> = BTreeMap::new();
        for (id, terms) in agreements {
            let with_one = by_department.entry(terms.department.clone());
            with_one.or_default().push((id, terms));
        }
        Self {
            on,
            found,
            unreadable,
            by_department,
        }
    }

    /// Whether these are the ones of these ids, on this day.
    fn are(&self, on: LocalDay, ids: &[Uuid]) -> bool {
        self.on == on && self.found == ids
    }

    /// Whether none of those that could not be read can be now.
    async fn are_as_readable(&self, pool: &PgPool) -> Result<bool, sqlx::Error> {
        granting::are_unreadable(pool, &self.unreadable, self.on).await
    }

    /// Those with a department, the first proposed first.
    pub(crate) fn with(&self, department: &str) -> impl Iterator<Item = &(Uuid, Terms)> {
        self.by_department.get(department).into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agreement::testing;

    fn day(text: &str) -> LocalDay {
        text.parse().unwrap()
    }

    fn id(number: u128) -> Uuid {
        Uuid::from_u128(number)
    }

    fn terms(department: &str) -> Terms {
        Terms {
            department: department.to_owned(),
            ..testing::terms(&[], &[])
        }
    }

    #[test]
    fn what_is_remembered_counts_only_while_the_table_has_just_these_on_the_same_day() {
        let today = day("2024-03-01");
        let ids = vec![id(1), id(2), id(3)];
        let granting = Granting {
            found: ids.clone(),
            agreements: ids.iter().map(|id| (*id, terms("health"))).collect(),
            ..Granting::default()
        };
        let known = Agreements::of(today, granting.clone());
        assert!(known.are(today, &ids));
        let (suspended, approved) = ([id(1), id(3)], [id(1), id(2), id(3), id(4)]);
        for others in [&suspended[..], &approved[..], &[]] {
            assert!(!known.are(today, others));
        }
        assert!(!known.are(today.next(), &ids));
        // One that can't be read has none of the others read again.
        let unreadable = Granting {
            found: approved.to_vec(),
            unreadable: [id(4)].into(),
            ..granting
        };
        let known = Agreements::of(today, unreadable);
        assert!(known.are(today, &approved));
    }

    #[test]
    fn each_department_has_its_own_in_the_order_of_the_table() {
        let agreements = vec![
            (id(3), terms("health")),
            (id(1), terms("police")),
            (id(2), terms("health")),
        ];
        let granting = Granting {
            found: agreements.iter().map(|(id, _)| *id).collect(),
            agreements,
            unreadable: [id(4)].into(),
        };
        let known = Agreements::of(day("2024-03-01"), granting);
        let with = |department| {
            let ids = known.with(department).map(|(id, _)| *id);
            ids.collect::<Vec<_>>()
        };
        assert_eq!(with("health"), [id(3), id(2)]);
        assert_eq!(with("police"), [id(1)]);
        assert!(with("finance").is_empty());
    }
}
