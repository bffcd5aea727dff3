//! Single rows by their ids, for many callers at once: what is asked for while queries are under way goes out together with the next one.
//!
//! A query for one row costs the database and the way to it about as much as one for fifty. So no caller waits while
//! there is nothing under way, and under load the queries grow instead of their number.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use sqlx::{PgPool, Row as _, postgres::PgRow};
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::failure::DatabaseError;

/// How many queries are under way at once: while the database works on one, the answers of the other are read.
const UNDER_WAY: usize = 2;

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
pub struct LookUp(Arc<Shared>);

struct Shared {
    pool: PgPool,
    statement: &'static str,
    desk: Mutex<Desk>,
}

#[derive(Default)]
struct Desk {
    waiting: Vec<Asked>,
    under_way: usize,
}

struct Asked {
    id: Uuid,
    answer: oneshot::Sender<Found>,
}

/// A row is read by each of its callers for itself.
type Found = Result<Option<Arc<PgRow>>, DatabaseError>;

impl fmt::Debug for LookUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LookUp").field(&self.0.statement).finish()
    }
}

impl LookUp {
    /// Looks up rows by a statement that takes an array of ids as `$1`, and gives at most one row for each, with the id in
    /// its first column.
    #[must_use]
    pub fn new(pool: PgPool, statement: &'static str) -> Self {
        Self(Arc::new(Shared {
            pool,
            statement,
            desk: Mutex::default(),
        }))
    }

    /// The row of an id, as it is at this moment or a later one.
    ///
    /// # Errors
    /// The database's.
    pub async fn row(&self, id: Uuid) -> Result<Option<Arc<PgRow>>, DatabaseError> {
        let (answer, found) = oneshot::channel();
        let begins = {
            let mut desk = self.0.desk();
            desk.waiting.push(Asked { id, answer });
            let begins = desk.under_way < UNDER_WAY;
            desk.under_way += usize::from(begins);
            begins
        };
        if begins {
            // A task of its own: a caller that gives up takes nobody's answer along.
            tokio::spawn(Turn::new(&self.0).work());
        }
        found
            .await
            .unwrap_or_else(|_ended| Err(sqlx::Error::WorkerCrashed.into()))
    }
}

impl Shared {
    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn find(&self, ids: Vec<Uuid>) -> Result<HashMap<Uuid, Arc<PgRow>>, sqlx::Error> {
        let rows = sqlx::query(self.statement)
            .bind(ids)
            .fetch_all(&self.pool)
            .await?;
        rows.into_iter()
            .map(|row| Ok((row.try_get(0)?, Arc::new(row))))
            .collect()
    }
}

/// The right to have one query under way.
struct Turn {
    shared: Arc<Shared>,
    over: bool,
}

impl Turn {
    fn new(shared: &Arc<Shared>) -> Self {
        Self {
            shared: Arc::clone(shared),
            over: false,
        }
    }

    /// Queries until nobody waits.
    async fn work(mut self) {
        while let Some(asked) = self.next() {
            let ids = asked.iter().map(|asked| asked.id).collect();
            let found = self.shared.find(ids).await.map_err(DatabaseError::from);
            for Asked { id, answer } in asked {
                let row = match &found {
                    Ok(rows) => Ok(rows.get(&id).cloned()),
                    Err(error) => Err(error.clone()),
                };
                // A caller that has gone needs no answer.
                let _ = answer.send(row);
            }
        }
    }

    /// Whom to query for next; with nobody left the turn is over, at the same moment.
    fn next(&mut self) -> Option<Vec<Asked>> {
        let mut desk = self.shared.desk();
        desk.waiting.retain(|asked| !asked.answer.is_closed());
        let count = desk.waiting.len().min(AT_ONCE);
        if count == 0 {
            desk.under_way -= 1;
            self.over = true;
            return None;
        }
        Some(desk.waiting.drain(..count).collect())
    }
}

impl Drop for Turn {
    /// The runtime ends, or something panicked: whoever waits is told, and whoever asks next begins anew.
    fn drop(&mut self) {
        if !self.over {
            let mut desk = self.shared.desk();
            desk.under_way -= 1;
            desk.waiting.clear();
        }
    }
}
