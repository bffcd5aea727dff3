//! What callers ask of erasures: which departments were told, and that one has erased what it held.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use civic::ElderId;
use elders::wire::write_time;
use eventlog::{CommandContext, ExecuteError, Position, Record, RequestDigest};
use proto::eldercare::sharing::v1 as pb;
use readmodel::reaction_request_id;
use service::{Asked, Caller, errors, paging};
use sqlx::{AssertSqlSafe, Row as _};
use tonic::Status;
use uuid::Uuid;

use crate::agreements::{KEEPER, only};
use crate::book_table::NAME;
use crate::erasure::{Command, Refusal};
use crate::refusals;
use crate::sharing::Sharing;

/// Who asks departments.
const ACTOR: &str = "system:sharing";

/// Which receipts are listed.
#[derive(Clone, Debug)]
pub(crate) struct ErasureFilter {
    /// Of this department alone.
    pub(crate) department: Option<String>,
    /// Only those that are not confirmed.
    pub(crate) outstanding: bool,
}

/// The place of a receipt in the list: the record that asked, and the department's place in it.
pub(crate) type ErasureCursor = (u64, i32);

impl Sharing {
    /// Asks departments to erase what they hold of an elder, whose erasure a record tells of: those that feeds told of the elder,
    /// and all that were ever provided with something.
    ///
    /// # Errors
    /// The log's and the database's, in words.
    pub(crate) async fn ask_to_erase(
        &self,
        elder: ElderId,
        mut departments: BTreeSet<String>,
        record: &Record,
    ) -> Result<(), String> {
        let statement = format!(
            "SELECT DISTINCT look.department FROM {NAME}.look_of JOIN {NAME}.look USING (sequence, place) \
             WHERE look_of.elder_id = $1 AND (look.kind = 'PROVIDED' OR look.kind = 'BREAK_GLASS' AND look.department <> $2)"
        );
        let provided: Vec<String> = sqlx::query_scalar(AssertSqlSafe(statement))
            .bind(elder.as_uuid())
            .bind(KEEPER)
            .fetch_all(&self.pool)
            .await
            .map_err(|_database| "the database did not answer".to_owned())?;
        departments.extend(provided);
        let context = CommandContext {
            request_id: reaction_request_id(
                ACTOR,
                &Position::new(self.logs.registry.stream(), record.sequence),
                0,
            ),
            request_digest: RequestDigest::from([0; 16]),
            actor: ACTOR.to_owned(),
            now: self.clock.now(),
            correlation_id: record.metadata.correlation_id,
            causation_id: Some(record.metadata.id),
            division: record.metadata.division.clone(),
            traceparent: record.metadata.traceparent.clone(),
            answers: None,
            purpose: None,
        };
        let asked = self
            .erasures
            .execute(&elder.to_string(), &context, &Command::Ask { departments })
            .await;
        match asked {
            Ok(_) | Err(ExecuteError::Refused(_)) => Ok(()),
            Err(error) => Err(format!("the log: {error:?}")),
        }
    }

    /// That the caller's department has erased what it held of an elder; where that stands.
    pub(crate) async fn confirm_erasure(
        &self,
        caller: &Caller,
        asked: Asked,
        elder: ElderId,
    ) -> Result<Position, Status> {
        let context = asked.by(caller, self.clock.now(), None);
        let command = Command::Confirm {
            department: caller.department.clone(),
            by: caller.actor(),
        };
        let id = elder.to_string();
        let committed = self.erasures.execute(&id, &context, &command).await;
        let committed = committed.map_err(|error| {
            service::not_executed(error, |refusal| match refusal {
                Refusal::NobodyToAsk | Refusal::NotAsked => refusals::no_erasure(elder),
                Refusal::AlreadyConfirmed => errors::failed_precondition(
                    "ALREADY_CONFIRMED",
                    "the department has confirmed this erasure before",
                    "该部门已确认删除",
                ),
            })
        })?;
        Ok(committed.position)
    }

    /// A page of receipts, the last told first, and the cursor of the next one.
    pub(crate) async fn list_erasures(
        &self,
        caller: &Caller,
        filter: &ErasureFilter,
        before: Option<ErasureCursor>,
        size: u32,
    ) -> Result<(Vec<pb::ErasureReceipt>, Option<ErasureCursor>), Status> {
        let statement = format!(
            "SELECT elder_id, department, asked_at, confirmed_at, confirmed_by, sequence, place FROM {NAME}.erasure \
             WHERE ($1::text IS NULL OR department = $1) AND ($2::text IS NULL OR department = $2) \
             AND (NOT $3 OR confirmed_at IS NULL) \
             AND ($4::bigint IS NULL OR (sequence, place) < ($4, $5)) ORDER BY sequence DESC, place DESC LIMIT $6"
        );
        let (sequence, place) = before.unzip();
        let rows = sqlx::query(AssertSqlSafe(statement))
            .bind(only(caller))
            .bind(filter.department.as_deref())
            .bind(filter.outstanding)
            .bind(sequence.map(u64::cast_signed))
            .bind(place.unwrap_or_default())
            .bind(i64::from(size) + 1)
            .fetch_all(&self.pool)
            .await
            .map_err(errors::of_database)?;
        let found = rows.iter().map(|row| {
            let confirmed_at: Option<DateTime<Utc>> = row.try_get(3)?;
            let receipt = pb::ErasureReceipt {
                elder_id: row.try_get::<Uuid, _>(0)?.to_string(),
                department: row.try_get(1)?,
                told_at: Some(write_time(row.try_get(2)?)),
                confirmed_at: confirmed_at.map(write_time),
                confirmed_by: row.try_get(4)?,
            };
            let cursor = (row.try_get::<i64, _>(5)?.cast_unsigned(), row.try_get(6)?);
            Ok((cursor, receipt))
        });
        let found = found.collect::<Result<Vec<(ErasureCursor, _)>, sqlx::Error>>();
        let mut found = found.map_err(errors::of_database)?;
        let next = paging::cut(&mut found, size).map(|(cursor, _)| *cursor);
        let receipts = found.into_iter().map(|(_, receipt)| receipt);
        Ok((receipts.collect(), next))
    }
}
