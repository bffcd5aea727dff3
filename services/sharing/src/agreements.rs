//! Agreements with departments: what callers ask of them, and which of them are in force.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use civic::{DivisionCode, LocalDay};
use elder_tables::columns::day;
use elders::wire::write_time;
use eventlog::Position;
use proto::eldercare::sharing::v1 as pb;
use service::{Asked, Caller, Deadline, errors, paging};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Row as _};
use tonic::Status;
use uuid::Uuid;

use crate::agreement::{Command, State, Terms};
use crate::agreement_rows::{APPROVED, ENDED, PROPOSED, SUSPENDED, stage};
use crate::book_table::NAME;
use crate::granting::{self, Granting};
use crate::refusals;
use crate::sharing::Sharing;

/// The department that keeps the agreements, and sees all of them.
pub(crate) const KEEPER: &str = "civil_affairs";

/// The columns that [`told`] reads.
const COLUMNS: &str = "agreement_id, stage, suspended_by, terms, last_day, proposed_by, proposed_at, approved_by, \
    approved_at, reason, sequence";

/// Which agreements are listed.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    pub(crate) department: Option<String>,
    pub(crate) state: Option<State>,
}

impl Sharing {
    /// Proposes to share with a department; the agreement, and where it stands.
    pub(crate) async fn propose(
        &self,
        caller: &Caller,
        asked: Asked,
        terms: Terms,
    ) -> Result<(Uuid, Position), Status> {
        reaches_all(caller, &terms.divisions)?;
        let agreement = asked.request_id;
        let division = around(&terms.divisions);
        let command = Command::Propose {
            terms,
            by: caller.actor(),
            today: self.clock.today(),
        };
        let position = self
            .change(caller, asked, agreement, division, &command)
            .await?;
        Ok((agreement, position))
    }

    /// Puts an agreement in force, or lifts its suspension.
    pub(crate) async fn approve(
        &self,
        caller: &Caller,
        asked: Asked,
        agreement: Uuid,
    ) -> Result<Position, Status> {
        let (_, division) = self.reached(caller, agreement).await?;
        let command = Command::Approve {
            by: caller.actor(),
            today: self.clock.today(),
        };
        self.change(caller, asked, agreement, division, &command)
            .await
    }

    /// Stops an agreement until it is approved anew. Once this returns, nothing is told under it any more.
    pub(crate) async fn suspend(
        &self,
        caller: &Caller,
        asked: Asked,
        agreement: Uuid,
        reason: String,
        deadline: Deadline,
    ) -> Result<Position, Status> {
        let (department, division) = self.reached(caller, agreement).await?;
        let by = caller.actor();
        let command = Command::Suspend { reason, by };
        let position = self
            .change(caller, asked, agreement, division, &command)
            .await?;
        self.rests_from(&department, &position, deadline).await?;
        self.wait(Some(position.clone()), deadline).await?;
        self.take_from(&department, deadline).await?;
        Ok(position)
    }

    /// Ends an agreement for good, or turns a proposal down. Once this returns, nothing is told under it any more.
    pub(crate) async fn end(
        &self,
        caller: &Caller,
        asked: Asked,
        agreement: Uuid,
        reason: String,
        deadline: Deadline,
    ) -> Result<Position, Status> {
        let (department, division) = self.reached(caller, agreement).await?;
        let command = Command::End { reason };
        let position = self
            .change(caller, asked, agreement, division, &command)
            .await?;
        self.rests_from(&department, &position, deadline).await?;
        self.wait(Some(position.clone()), deadline).await?;
        self.take_from(&department, deadline).await?;
        Ok(position)
    }

    /// Has an agreement decide a command; where the decision stands.
    async fn change(
        &self,
        caller: &Caller,
        asked: Asked,
        agreement: Uuid,
        division: Option<DivisionCode>,
        command: &Command,
    ) -> Result<Position, Status> {
        let context = asked.by(caller, self.clock.now(), division);
        let id = agreement.to_string();
        let committed = self.agreements.execute(&id, &context, command).await;
        let committed = committed.map_err(|error| {
            service::not_executed(error, |refusal| refusals::of_agreement(agreement, refusal))
        })?;
        Ok(committed.position)
    }

    /// Sees that a department fetches nothing over NATS that is granted to it no longer, and cuts its connections where nothing is.
    async fn take_from(&self, department: &str, deadline: Deadline) -> Result<(), Status> {
        let left = self.agreements_of(department).await;
        if left.map_err(errors::of_database)?.is_empty() {
            self.show_out(department);
        }
        let Some(consumers) = &self.consumers else {
            return Ok(());
        };
        let seen_to = deadline.bounds(consumers.see_to(department)).await?;
        seen_to.map_err(|error| not_seen_to(department, &error))
    }

    /// Has a department fetch nothing over NATS from now on, before the table of agreements knows why.
    async fn rests_from(
        &self,
        department: &str,
        position: &Position,
        deadline: Deadline,
    ) -> Result<(), Status> {
        let Some(consumers) = &self.consumers else {
            return Ok(());
        };
        let resting = consumers.rest_until(department, position.sequence);
        let rests = deadline.bounds(resting).await?;
        rests.map_err(|error| not_seen_to(department, &error))
    }

    /// Lets the call go on if its caller works for all divisions of an agreement; its department, and the division around them.
    async fn reached(
        &self,
        caller: &Caller,
        agreement: Uuid,
    ) -> Result<(String, Option<DivisionCode>), Status> {
        let loaded = self.agreements.load_newest(&agreement.to_string()).await;
        let loaded = loaded.map_err(service::not_loaded)?;
        let proposal = loaded.state.proposal.as_ref();
        let proposal = proposal.ok_or_else(|| refusals::no_agreement(agreement))?;
        reaches_all(caller, &proposal.terms.divisions)?;
        let division = around(&proposal.terms.divisions);
        Ok((proposal.terms.department.clone(), division))
    }

    /// One agreement. To other departments those of others are not there.
    pub(crate) async fn get_agreement(
        &self,
        caller: &Caller,
        agreement: Uuid,
    ) -> Result<pb::Agreement, Status> {
        let statement = format!(
            "SELECT {COLUMNS} FROM {NAME}.agreement \
             WHERE agreement_id = $1 AND ($2::text IS NULL OR department = $2)"
        );
        let row = sqlx::query(AssertSqlSafe(statement))
            .bind(agreement)
            .bind(only(caller))
            .fetch_optional(&self.pool)
            .await
            .map_err(errors::of_database)?;
        let row = row.ok_or_else(|| refusals::no_agreement(agreement))?;
        told(&row, self.clock.today()).map_err(errors::of_database)
    }

    /// A page of agreements, the last proposed first, and the cursor of the next one: the sequence of a proposal.
    pub(crate) async fn list_agreements(
        &self,
        caller: &Caller,
        filter: &Filter,
        before: Option<u64>,
        size: u32,
    ) -> Result<(Vec<pb::Agreement>, Option<u64>), Status> {
        let today = self.clock.today();
        let (stages, over) = filter.state.map_or((STAGES, None), stages);
        let statement = format!(
            "SELECT {COLUMNS} FROM {NAME}.agreement \
             WHERE ($1::text IS NULL OR department = $1) AND ($2::text IS NULL OR department = $2) \
             AND stage = ANY($3::text[]) AND ($4::boolean IS NULL OR (last_day < $5) = $4) \
             AND ($6::bigint IS NULL OR sequence < $6) ORDER BY sequence DESC LIMIT $7"
        );
        let rows = sqlx::query(AssertSqlSafe(statement))
            .bind(only(caller))
            .bind(filter.department.as_deref())
            .bind(stages.to_vec())
            .bind(over)
            .bind(today.date())
            .bind(before.map(u64::cast_signed))
            .bind(i64::from(size) + 1)
            .fetch_all(&self.pool)
            .await
            .map_err(errors::of_database)?;
        let found = rows
            .iter()
            .map(|row| Ok((row.try_get::<i64, _>(10)?, told(row, today)?)));
        let found = found.collect::<Result<Vec<_>, sqlx::Error>>();
        let mut found = found.map_err(errors::of_database)?;
        let next = paging::cut(&mut found, size).map(|(sequence, _)| sequence.cast_unsigned());
        let agreements = found.into_iter().map(|(_, agreement)| agreement);
        Ok((agreements.collect(), next))
    }

    /// All agreements with a department that are in force today and can be read, the first proposed first.
    pub(crate) async fn agreements_of(
        &self,
        department: &str,
    ) -> Result<Vec<(Uuid, Terms)>, sqlx::Error> {
        let today = self.clock.today();
        let granting = Granting::in_force(&self.pool, today, Some(department)).await?;
        Ok(granting.agreements)
    }
}

fn not_seen_to(department: &str, error: &anyhow::Error) -> Status {
    tracing::warn!(%error, department, "a department's consumer could not be seen to");
    errors::unavailable("feeds")
}

/// Lets the call go on if its caller works for all of these divisions.
pub(crate) fn reaches_all(
    caller: &Caller,
    divisions: &BTreeSet<DivisionCode>,
) -> Result<(), Status> {
    divisions
        .iter()
        .try_for_each(|division| caller.may_where_asked(division))
}

/// The smallest division that holds all of these; none where they lie in several provinces.
pub(crate) fn around(divisions: &BTreeSet<DivisionCode>) -> Option<DivisionCode> {
    let first = divisions.first()?;
    let mut upwards = first.upwards();
    upwards.find(|one| divisions.iter().all(|other| one.contains(other)))
}

/// The department whose agreements alone the caller sees; none where that is all of them.
pub(crate) fn only(caller: &Caller) -> Option<&str> {
    (caller.department != KEEPER).then_some(caller.department.as_str())
}

const STAGES: &[&str] = &[PROPOSED, APPROVED, SUSPENDED, ENDED];

/// The stages of a state, and whether the last day is over, where that matters: as [`crate::agreement::Stage::state_on`].
fn stages(state: State) -> (&'static [&'static str], Option<bool>) {
    match state {
        State::Proposed => (&[PROPOSED], None),
        State::InForce => (&[APPROVED], Some(false)),
        State::Suspended => (&[SUSPENDED], Some(false)),
        State::Ended => (&[ENDED], None),
        State::Expired => (&[APPROVED, SUSPENDED], Some(true)),
    }
}

fn told(row: &PgRow, today: LocalDay) -> Result<pb::Agreement, sqlx::Error> {
    let agreement: Uuid = row.try_get(0)?;
    let stage = stage(row.try_get(1)?, row.try_get(2)?).ok_or_else(broken)?;
    let approved_at: Option<DateTime<Utc>> = row.try_get(8)?;
    Ok(pb::Agreement {
        agreement_id: agreement.to_string(),
        // One that can't be read is found here, and can be ended.
        terms: granting::listed(row.try_get(3)?),
        state: wire(stage.state_on(today, day(row.try_get(4)?)?)).into(),
        proposed_by: row.try_get(5)?,
        proposed_at: Some(write_time(row.try_get(6)?)),
        approved_by: row.try_get(7)?,
        approved_at: approved_at.map(write_time),
        reason: row.try_get(9)?,
    })
}

fn broken() -> sqlx::Error {
    sqlx::Error::Decode("a row holds no agreement".into())
}

fn wire(state: State) -> pb::AgreementState {
    match state {
        State::Proposed => pb::AgreementState::Proposed,
        State::InForce => pb::AgreementState::InForce,
        State::Suspended => pb::AgreementState::Suspended,
        State::Ended => pb::AgreementState::Ended,
        State::Expired => pb::AgreementState::Expired,
    }
}
