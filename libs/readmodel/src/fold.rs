//! One batch, one transaction: rows, parked events and checkpoint move together or not at all.

use std::ops::DerefMut;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use eventlog::Record;
use futures::FutureExt;
use sqlx::{Connection, PgConnection, Postgres, Transaction};

use crate::checkpoint::{self, Checkpoint, Lead, signed};
use crate::failure::{ApplyError, Error, Severity};
use crate::feed::Batch;
use crate::parked;
use crate::projection::{Parked, Phase, Projection};

/// What is known of a record that makes transactions fail; outlives the connection on which it failed.
///
/// After a failure the connection is given up, whatever state it may be in, and the work starts over from the checkpoint
/// with smaller batches, until the record at fault stands alone and is parked.
#[derive(Debug)]
pub(crate) struct Caution {
    /// At most so many records a transaction, for now.
    limit: Option<usize>,
    /// This record failed alone: it is parked with this reason.
    park: Option<(u64, String)>,
    /// Since when an unclear error stands at this sequence.
    unclear: Option<(u64, Instant)>,
    patience: Duration,
}

impl Caution {
    pub(crate) fn new(patience: Duration) -> Self {
        Self {
            limit: None,
            park: None,
            unclear: None,
            patience,
        }
    }

    /// Takes note of a failure, and says whether to start over at once.
    fn note(&mut self, batch: &Batch, error: &ApplyError) {
        let severity = error.severity();
        if severity == Severity::Passing {
            return;
        }
        if batch.records.len() > 1 {
            self.limit = Some((batch.records.len() / 8).max(1));
            return;
        }
        let Some(record) = batch.records.first() else {
            return;
        };
        self.limit = Some(1);
        let since = match self.unclear {
            Some((sequence, since)) if sequence == record.sequence => since,
            Some(_) | None => Instant::now(),
        };
        self.unclear = Some((record.sequence, since));
        if severity == Severity::OfTheRecord || since.elapsed() >= self.patience {
            self.park = Some((record.sequence, error.reason()));
        }
    }

    /// Whether the error led to a plan that differs from what was just tried, so that no pause is needed.
    pub(crate) fn has_a_plan_for(&self, error: &Error) -> bool {
        match error {
            Error::Apply(error) => {
                error.severity() != Severity::Passing
                    && (self.park.is_some() || self.unclear.is_none())
            }
            Error::Database(_)
            | Error::Log(_)
            | Error::Superseded
            | Error::Busy(_)
            | Error::OtherStream { .. }
            | Error::Newer { .. }
            | Error::NotThere(_)
            | Error::TooSlow(_)
            | Error::SubscriptionEnded => false,
        }
    }

    fn passed(&mut self, batch: usize) {
        self.unclear = None;
        self.limit = self
            .limit
            .map(|limit| limit.saturating_mul(2))
            .filter(|limit| *limit < 4 * batch.max(1_000));
    }
}

/// A projection on the connection that it writes with.
///
/// For the live version this connection also holds the lead: who loses the one loses the other.
pub(crate) struct Fold<'p, P, C> {
    conn: C,
    projection: &'p mut P,
    schema: String,
    checkpoint: Checkpoint,
    transaction_limit: Duration,
}

impl<'p, P: Projection> Fold<'p, P, Box<PgConnection>> {
    pub(crate) async fn open(
        mut conn: PgConnection,
        projection: &'p mut P,
        schema: &str,
        lead: Lead,
        transaction_limit: Duration,
    ) -> Result<Self, Error> {
        projection.forget();
        checkpoint::write_to(&mut conn, schema, lead).await?;
        let checkpoint = checkpoint::read(&mut conn, schema)
            .await?
            .ok_or_else(|| Error::NotThere(schema.to_owned()))?;
        Ok(Self {
            conn: Box::new(conn),
            projection,
            schema: schema.to_owned(),
            checkpoint,
            transaction_limit,
        })
    }

    /// Goes on within one transaction that sees the database as it is now, whatever others commit meanwhile.
    pub(crate) async fn in_snapshot(
        &mut self,
    ) -> Result<Fold<'_, P, Transaction<'_, Postgres>>, Error> {
        let conn = self
            .conn
            .begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ")
            .await?;
        Ok(Fold {
            conn,
            projection: &mut *self.projection,
            schema: self.schema.clone(),
            checkpoint: self.checkpoint.clone(),
            transaction_limit: self.transaction_limit,
        })
    }

    /// The connection, for what comes after.
    pub(crate) fn into_connection(self) -> PgConnection {
        *self.conn
    }
}

impl<P: Projection> Fold<'_, P, Transaction<'_, Postgres>> {
    /// Ends the snapshot, keeping what was applied in it.
    pub(crate) async fn end(self) -> Result<(), Error> {
        self.conn.commit().await?;
        Ok(())
    }
}

impl<P: Projection, C: DerefMut<Target = PgConnection> + Send> Fold<'_, P, C> {
    /// The connection that the fold writes with.
    pub(crate) fn connection(&mut self) -> &mut PgConnection {
        &mut self.conn
    }

    pub(crate) fn projection(&self) -> &P {
        self.projection
    }

    pub(crate) fn schema(&self) -> &str {
        &self.schema
    }

    pub(crate) fn sequence(&self) -> u64 {
        self.checkpoint.sequence
    }

    pub(crate) fn loaded(&self) -> bool {
        self.checkpoint.loaded
    }

    /// Applies a batch, in one transaction unless there is reason for caution; returns how many events were parked.
    pub(crate) async fn advance(
        &mut self,
        batch: Batch,
        phase: Phase,
        caution: &mut Caution,
    ) -> Result<u64, Error> {
        let mut parked = 0;
        let mut rest = Some(batch);
        while let Some(batch) = rest.take() {
            let (batch, later) = match caution.limit {
                Some(limit) => batch.split(limit),
                None => (batch, None),
            };
            rest = later;
            let outcome = tokio::time::timeout(
                self.transaction_limit,
                self.commit(&batch, phase, &caution.park),
            )
            .await;
            match outcome.unwrap_or(Err(Error::TooSlow(self.transaction_limit))) {
                Ok(count) => parked += count,
                Err(error) => {
                    self.projection.forget();
                    if let Error::Apply(error) = &error {
                        caution.note(&batch, error);
                    }
                    return Err(error);
                }
            }
            caution
                .park
                .take_if(|(sequence, _)| *sequence <= self.checkpoint.sequence);
            caution.passed(batch.records.len());
        }
        Ok(parked)
    }

    async fn commit(
        &mut self,
        batch: &Batch,
        phase: Phase,
        condemned: &Option<(u64, String)>,
    ) -> Result<u64, Error> {
        let mut parked = batch.unreadable.clone();
        let mut records = batch.records.as_slice();
        if let ([record], Some((sequence, reason))) = (records, condemned)
            && record.sequence == *sequence
        {
            parked.extend(whole(record, reason));
            records = &[];
        }

        let mut tx = self.conn.begin().await?;
        // Fence, lock and checkpoint in one: nobody else may have moved it, nobody can replace the tables until we commit.
        let moved = sqlx::query(
            "UPDATE readmodel.checkpoint SET sequence = $1, updated_at = clock_timestamp() \
             WHERE projection = $2 AND sequence = $3 AND generation = $4",
        )
        .bind(signed(batch.last))
        .bind(&self.schema)
        .bind(signed(self.checkpoint.sequence))
        .bind(self.checkpoint.generation)
        .execute(&mut *tx)
        .await?;
        if moved.rows_affected() == 0 {
            return Err(Error::Superseded);
        }
        if !records.is_empty() {
            let applied = AssertUnwindSafe(self.projection.apply(&mut tx, records, phase))
                .catch_unwind()
                .await;
            parked.extend(applied.unwrap_or(Err(ApplyError::Poison("the fold panicked")))?);
        }
        parked::park(&mut tx, &self.schema, &self.checkpoint.stream, &parked).await?;
        // Deferred constraints speak up here.
        tx.commit().await.map_err(ApplyError::from)?;
        self.checkpoint.sequence = batch.last;
        Ok(parked.len() as u64)
    }

    /// Ends a bulk load: what was staged goes to its place, and the late indexes are built.
    pub(crate) async fn finish_load(&mut self) -> Result<(), Error> {
        let mut tx = self.conn.begin().await?;
        self.projection.finish_load(&mut tx).await?;
        checkpoint::run(&mut tx, self.projection.post_load_ddl().to_owned()).await?;
        let moved = sqlx::query(
            "UPDATE readmodel.checkpoint SET loaded = true WHERE projection = $1 AND sequence = $2 AND generation = $3",
        )
        .bind(&self.schema)
        .bind(signed(self.checkpoint.sequence))
        .bind(self.checkpoint.generation)
        .execute(&mut *tx)
        .await?;
        if moved.rows_affected() == 0 {
            return Err(Error::Superseded);
        }
        tx.commit().await?;
        self.checkpoint.loaded = true;
        Ok(())
    }

    /// Notices, while nothing happens, that the connection (and with it the lead) was lost or the tables were replaced.
    pub(crate) async fn check(&mut self) -> Result<(), Error> {
        let limit = Duration::from_secs(10);
        let found =
            tokio::time::timeout(limit, checkpoint::read(&mut self.conn, &self.schema)).await;
        let found = found.map_err(|_| Error::TooSlow(limit))??;
        let mine = &self.checkpoint;
        if found.is_some_and(|found| {
            found.generation == mine.generation && found.sequence == mine.sequence
        }) {
            Ok(())
        } else {
            Err(Error::Superseded)
        }
    }
}

/// All events of a record that could not be applied.
fn whole(record: &Record, reason: &str) -> Vec<Parked> {
    record
        .events
        .iter()
        .map(|event| Parked::with_reason(record, event, reason.to_owned().into()))
        .collect()
}
