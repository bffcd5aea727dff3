//! Single rows by their ids, for many callers at once: what is asked for while queries are under way goes out together with the next one.
//!
//! A query for one row costs the database and the way to it about as much as one for fifty.

use std::{collections::HashMap, fmt, sync::Arc};

use sqlx::{PgPool, Row as _, postgres::PgRow};
use uuid::Uuid;

use crate::{failure::DatabaseError, gathering::Gathering};

/// How many ids one query asks for at most.
const AT_ONCE: usize = 256;

/// Looks up the rows of one statement. Clones share the queries.
///
/// ```no_run
/// # async fn example(pool: sqlx::PgPool, elder: uuid::Uuid) -> Result<(), readmodel::DatabaseError> {
/// let files = readmodel::LookUp::new(pool, "SELECT elder_id, file FROM elder WHERE elder_id = ANY($1)");
/// let row = files.row(elder).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct LookUp {
    statement: &'static str,
    rows: Gathering<Uuid, Found>,
}

/// A row is read by each of its callers for itself.
type Found = Result<Option<Arc<PgRow>>, DatabaseError>;

impl fmt::Debug for LookUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LookUp").field(&self.statement).finish()
    }
}

impl LookUp {
    /// Looks up rows by a statement that takes an array of ids as `$1`, and gives at most one row for each, with the id in
    /// its first column.
    #[must_use]
    pub fn new(pool: PgPool, statement: &'static str) -> Self {
        let find = move |ids| find_each(pool.clone(), statement, ids);
        Self {
            statement,
            rows: Gathering::new(AT_ONCE, find),
        }
    }

    /// The row of an id, as it is at this moment or a later one.
    ///
    /// # Errors
    /// The database's.
    pub async fn row(&self, id: Uuid) -> Result<Option<Arc<PgRow>>, DatabaseError> {
        let found = self.rows.ask(id).await;
        found.unwrap_or_else(|| Err(sqlx::Error::WorkerCrashed.into()))
    }
}

async fn find_each(pool: PgPool, statement: &'static str, ids: Vec<Uuid>) -> Vec<Found> {
    let found = find(&pool, statement, &ids).await;
    let found = found.map_err(DatabaseError::from);
    let row = |id: &Uuid| match &found {
        Ok(rows) => Ok(rows.get(id).cloned()),
        Err(error) => Err(error.clone()),
    };
    ids.iter().map(row).collect()
}

async fn find(
    pool: &PgPool,
    statement: &'static str,
    ids: &[Uuid],
) -> Result<HashMap<Uuid, Arc<PgRow>>, sqlx::Error> {
    let rows = sqlx::query(statement).bind(ids).fetch_all(pool).await?;
    rows.into_iter()
        .map(|row| Ok((row.try_get(0)?, Arc::new(row))))
        .collect()
}
