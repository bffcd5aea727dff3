//! The databases of the services, asked one by one: one that is away hides none of the others.

use std::{fmt::Display, time::Duration};

use sqlx::{Connection as _, PgConnection, PgPool};

use super::Unanswered;

/// How long a database may take to answer, on a machine that has much else to do.
const PATIENCE: Duration = Duration::from_secs(20);

/// The database of a service.
pub(super) struct Database {
    pub(super) service: &'static str,
    pub(super) pool: PgPool,
}

impl Database {
    /// What it answers to a question, or why it does not.
    pub(super) async fn answer<T, E: Display>(
        &self,
        question: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Unanswered> {
        let answering = async {
            self.lets_in().await.map_err(|why| why.to_string())?;
            question.await.map_err(|why| why.to_string())
        };
        let answer = tokio::time::timeout(PATIENCE, answering).await;
        let answer = answer.unwrap_or_else(|_elapsed| Err("it does not answer".to_owned()));
        answer.map_err(|reason| Unanswered {
            name: self.service.to_owned(),
            reason,
        })
    }

    /// Sees whether it lets us in, where we are not there yet: a pool would try for long, and not say why it does not.
    async fn lets_in(&self) -> Result<(), sqlx::Error> {
        if self.pool.size() > 0 {
            return Ok(());
        }
        let options = self.pool.connect_options();
        let connection = PgConnection::connect_with(&options).await?;
        // It was only asked whether we may come in.
        let _ = connection.close().await;
        Ok(())
    }
}
