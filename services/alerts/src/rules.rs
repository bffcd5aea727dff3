//! The rules of all divisions, as they are published by now.

use std::sync::Arc;
use std::time::Duration;

use prost::Message as _;
use proto::eldercare::alerts::v1 as pb;
use sqlx::{AssertSqlSafe, PgPool, Row as _};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::alert_policy::Policies;
use crate::board_table;
use crate::codec::read_policy;

/// The rules, read again when others were published. Clones share what was read.
#[derive(Clone, Debug)]
pub struct Rules {
    pool: PgPool,
    read: Arc<Mutex<(i64, Arc<Policies>)>>,
    asked: Arc<Mutex<Option<Asked>>>,
}

/// What was answered, and when.
#[derive(Clone, Debug)]
struct Asked {
    at: Instant,
    policies: Arc<Policies>,
}

/// How old an answer of [`Rules::recent`] may be.
const RECENT: Duration = Duration::from_secs(1);

impl Rules {
    /// Of this database.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        Self {
            pool,
            read: Arc::default(),
            asked: Arc::default(),
        }
    }

    /// As they stood a moment ago, or stand: for who asks again and again.
    ///
    /// # Errors
    /// As for [`Rules::now`].
    pub async fn recent(&self) -> Result<Arc<Policies>, sqlx::Error> {
        {
            let asked = self.asked.lock().await;
            if let Some(asked) = &*asked
                && asked.at.elapsed() < RECENT
            {
                return Ok(Arc::clone(&asked.policies));
            }
        }
        let policies = self.now().await?;
        *self.asked.lock().await = Some(Asked {
            at: Instant::now(),
            policies: Arc::clone(&policies),
        });
        Ok(policies)
    }

    /// As they stand.
    ///
    /// # Errors
    /// The database's; a row of another version of the program.
    pub async fn now(&self) -> Result<Arc<Policies>, sqlx::Error> {
        let newest = format!(
            "SELECT coalesce(max(sequence), 0) FROM {}.policy",
            board_table::NAME
        );
        let newest: i64 = sqlx::query_scalar(AssertSqlSafe(newest))
            .fetch_one(&self.pool)
            .await?;
        let mut read = self.read.lock().await;
        if newest > read.0 {
            let statement = format!("SELECT division, policy FROM {}.policy", board_table::NAME);
            let rows = sqlx::query(AssertSqlSafe(statement))
                .fetch_all(&self.pool)
                .await?;
            let mut policies = Policies::default();
            for row in rows {
                let broken = || sqlx::Error::Decode("a row of policy holds no rules".into());
                let division = row.try_get::<&str, _>(0)?.parse();
                let message = pb::AlertPolicy::decode(row.try_get::<&[u8], _>(1)?);
                let policy = message.ok().and_then(|message| read_policy(&message).ok());
                policies.publish(
                    division.map_err(|_code| broken())?,
                    policy.ok_or_else(broken)?,
                );
            }
            *read = (newest, Arc::new(policies));
        }
        Ok(Arc::clone(&read.1))
    }
}
