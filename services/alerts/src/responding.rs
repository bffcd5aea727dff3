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
use crate::alerts::Alerts;
use crate::board_table;
use crate::deeds::alert_of;
use crate::elders_tables::FACTS;
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
    ) -> Result<(Uuid, Position), Status> {
        let Wanted {
            kind,
            elder,
            village,
            at,
            cause,
        } = wanted;
        caller.may_here(&village.division())?;
        // Whoever names an elder of elsewhere would have that home's people told, and its alerts joined.
        let known = FACTS
            .of(&self.pool, &[elder])
            .await
            .map_err(errors::of_database)?;
        if let Some(facts) = known.get(&elder).and_then(|kept| kept.facts.as_ref()) {
            caller.may_here(&facts.on(self.clock.today()).village().division())?;
        }
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

    /// Puts on record what somebody did about an alert.
    pub(crate) async fn respond(
        &self,
        caller: &Caller,
        asked: Asked,
        alert: Uuid,
        done: Done,
        deadline: Deadline,
    ) -> Result<Position, Status> {
        let found = self.find_alert(alert, deadline).await?;
        match &found.division {
            Some(division) => caller.may_here(division)?,
            None => caller.may_everywhere()?,
        }
        if let Done::Assigned(recipient) = done {
            let loaded = self.recipients.load_newest(&recipient.to_string()).await;
            if loaded.map_err(service::not_loaded)?.state.said.is_none() {
                return Err(refusals::no_recipient(recipient));
            }
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

    /// On which line an alert stands; one that was raised a moment ago is waited for.
    async fn find_alert(&self, alert: Uuid, deadline: Deadline) -> Result<Found, Status> {
        if let Some(found) = self.line_of(alert).await? {
            return Ok(found);
        }
        self.catch_up(deadline).await?;
        let found = self.line_of(alert).await?;
        found.ok_or_else(|| refusals::no_alert(alert))
    }

    async fn line_of(&self, alert: Uuid) -> Result<Option<Found>, Status> {
        let statement = format!(
            "SELECT line, division FROM {}.alert WHERE alert_id = $1",
            board_table::NAME
        );
        let row = sqlx::query(AssertSqlSafe(statement))
            .bind(alert)
            .fetch_optional(&self.pool)
            .await
            .map_err(errors::of_database)?;
        row.map(|row| {
            Ok(Found {
                line: row.try_get(0)?,
                division: row.try_get::<&str, _>(1)?.parse().ok(),
            })
        })
        .transpose()
        .map_err(errors::of_database)
    }
}
