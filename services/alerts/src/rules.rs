//! The rules of all divisions, as they are published by now.

use std::sync::Arc;

use prost::Message as _;
use proto::eldercare::alerts::v1 as pb;
use sqlx::{AssertSqlSafe, PgPool, Row as _};
use tokio::sync::Mutex;

use crate::alert_policy::Policies;
use crate::board_table;
use crate::codec::read_policy;

/// The rules, read again when others were published. Clones share what was read.
#[derive(Clone, Debug)]
pub struct Rules {
    pool: PgPool,
    read: Arc<Mutex<(i64, Arc<Policies>)>>,
}

impl Rules {
    /// Of this database.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        Self {
            pool,
            read: Arc::default(),
        }
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
