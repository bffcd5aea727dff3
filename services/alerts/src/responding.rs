//! What people do about alerts: raise one, take it on, give it to somebody, send somebody, arrive, and say how it ended.

use chrono::{DateTime, Utc};
use civic::{AlertKind, AlertOutcome, DivisionCode, ElderId, VillageCode};
use eventlog::Position;
use service::{Asked, Caller, Deadline, errors};
use sqlx::{AssertSqlSafe, Row as _};
use tonic::Status;
use uuid::Uuid;

use crate::alert_line::{Cause, Command, LineId, Raised};
use crate::alert_request::Requested;
use crate::alerts::{Alerts, reaches};
use crate::board_table;
use crate::deeds::alert_of;
use crate::refusals;

/// An alert that somebody asks for.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) kind: AlertKind,
    pub(crate) elder: ElderId,
    pub(crate) village: VillageCode,
    pub(crate) at: DateTime<Utc>,
    pub(crate) cause: Cause,
}

/// What somebody did about an alert.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Done {
    Acknowledged,
    Assigned(Uuid),
    Dispatched,
    Arrived,
    Resolved(AlertOutcome),
}

/// Where an alert stands.
struct Found {
    line: String,
    division: Option<DivisionCode>,
}

impl Alerts {
    /// Raises an alert, or has it join the one that is open; the alert's id, and where that stands.
    pub(crate) async fn raise_alert(
        &self,
        caller: &Caller,
        asked: Asked,
        wanted: Wanted,
        deadline: Deadline,
    ) -> Result<(Uuid, Position), Status> {
        let Wanted {
            kind,
            elder,
            village,
            at,
            cause,
        } = wanted;
        caller.may_here(&village.division())?;
        self.may_call_for(caller, &asked, elder, deadline).await?;
        let rules = self.rules.now().await.map_err(errors::of_database)?;
        let raised = Raised {
            alert: alert_of(asked.request_id),
            kind,
            elder,
            village: Some(village),
            at,
            cause,
            levels: rules.of(Some(&village)).levels(kind, at),
        };
        let context = asked.by(caller, self.clock.now(), Some(village.division()));
        // An id that was used for another kind or elder stands on another line: here it is known.
        self.requests
            .execute(
                &asked.request_id.to_string(),
                &context,
                &Requested { kind, elder },
            )
            .await
            .map_err(|error| service::not_executed(error, |never| match never {}))?;
        let line = LineId::of_elder(kind, elder).to_string();
        let alert = raised.alert;
        let committed = self
            .lines
            .execute(&line, &context, &Command::Raise(raised))
            .await
            .map_err(|error| {
                service::not_executed(error, |refusal| refusals::of_line(alert, refusal))
            })?;
        // Of a request that joined, the line remembers what it joined.
        let alert = committed.state.state.raised_by(alert);
        Ok((alert, committed.position))
    }

    /// Refuses a caller who names an elder of elsewhere: that home's people would be told, and its alerts joined. To who works
    /// everywhere an elder of whom we have not heard yet is no reason to refuse help; to anybody else neither is known, or it
    /// could be told which of the two it is.
    async fn may_call_for(
        &self,
        caller: &Caller,
        asked: &Asked,
        elder: ElderId,
        deadline: Deadline,
    ) -> Result<(), Status> {
        let village = self.known_village_of(elder).await?;
        if village.is_some_and(|village| caller.reaches(&village.division()))
            || caller.may_everywhere().is_ok()
        {
            return Ok(());
        }
        // It may have been recorded a moment ago.
        let Err(unknown) = self.village_of(caller, elder, deadline).await else {
            return Ok(());
        };
        // A retry is answered as before, whether the elder's file is still there or not.
        let (id, request) = (asked.request_id.to_string(), asked.request_id);
        if caller.was_answered(&self.requests, &id, request).await? {
            return Ok(());
        }
        Err(unknown)
    }

    /// Puts on record what somebody did about an alert.
    pub(crate) async fn respond(
        &self,
        caller: &Caller,
        asked: Asked,
        alert: Uuid,
        done: Done,
        deadline: Deadline,
    ) -> Result<Position, Status> {
        let found = self.find_alert(caller, alert, deadline).await?;
        if let Done::Assigned(recipient) = done
            && !caller
                .was_answered(&self.lines, &found.line, asked.request_id)
                .await?
        {
            self.recipient_is_known(caller, recipient, found.division.as_ref())
                .await?;
        }
        let at = self.clock.now();
        let command = match done {
            Done::Acknowledged => Command::Acknowledge { alert, at },
            Done::Assigned(recipient) => Command::Assign {
                alert,
                recipient,
                at,
            },
            Done::Dispatched => Command::Dispatch { alert, at },
            Done::Arrived => Command::Arrive { alert, at },
            Done::Resolved(outcome) => Command::Resolve { alert, outcome, at },
        };
        let context = asked.by(caller, at, found.division);
        let committed = self
            .lines
            .execute(&found.line, &context, &command)
            .await
            .map_err(|error| {
                service::not_executed(error, |refusal| refusals::of_line(alert, refusal))
            })?;
        Ok(committed.position)
    }

    /// On which line an alert stands that the caller reaches; one that was raised a moment ago is waited for.
    async fn find_alert(
        &self,
        caller: &Caller,
        alert: Uuid,
        deadline: Deadline,
    ) -> Result<Found, Status> {
        if let Some(found) = self.line_of(caller, alert).await? {
            return Ok(found);
        }
        self.catch_up(deadline).await?;
        let found = self.line_of(caller, alert).await?;
        found.ok_or_else(|| refusals::no_alert(alert))
    }

    async fn line_of(&self, caller: &Caller, alert: Uuid) -> Result<Option<Found>, Status> {
        let statement = format!(
            "SELECT line, division FROM {}.alert WHERE alert_id = $1",
            board_table::NAME
        );
        let row = sqlx::query(AssertSqlSafe(statement))
            .bind(alert)
            .fetch_optional(&self.pool)
            .await
            .map_err(errors::of_database)?;
        let found = row.map(|row| {
            Ok(Found {
                line: row.try_get(0)?,
                division: row.try_get::<&str, _>(1)?.parse().ok(),
            })
        });
        let found: Option<Found> = found.transpose().map_err(errors::of_database)?;
        Ok(found.filter(|found| reaches(caller, found.division.as_ref())))
    }
}
