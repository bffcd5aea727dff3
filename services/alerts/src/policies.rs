//! The rules of divisions: what callers ask of them, and what is told about them.

use civic::DivisionCode;
use eventlog::Position;
use proto::eldercare::alerts::v1 as pb;
use service::{Asked, Caller, errors};
use sqlx::AssertSqlSafe;
use tonic::Status;

use crate::alert_policy::AlertPolicy;
use crate::alerts::Alerts;
use crate::board_table;
use crate::codec::write_policy;
use crate::division_policy::Publish;
use crate::refusals;

impl Alerts {
    /// Publishes rules; the version, and where that stands.
    pub(crate) async fn publish_policy(
        &self,
        caller: &Caller,
        asked: Asked,
        division: DivisionCode,
        policy: AlertPolicy,
    ) -> Result<(u32, Position), Status> {
        caller.may_here(&division)?;
        let context = asked.by(caller, self.clock.now(), Some(division));
        let committed = self
            .policies
            .execute(division.as_str(), &context, &Publish { division, policy })
            .await
            .map_err(|error| service::not_executed(error, refusals::of_policy))?;
        // Each record is a version; a retry is answered with its own, whichever have followed.
        let until = committed.position.sequence;
        let requests = committed.state.requests().iter();
        let version = requests.filter(|known| known.sequence <= until).count();
        let version = u32::try_from(version).map_err(|error| errors::internal(&error))?;
        Ok((version, committed.position))
    }

    /// The rules that hold in a division.
    pub(crate) async fn policy(
        &self,
        division: &DivisionCode,
    ) -> Result<pb::GetAlertPolicyResponse, Status> {
        let rules = self.rules.now().await.map_err(errors::of_database)?;
        let (policy, published_for) = rules.of_division(division);
        let version = match published_for {
            None => 0,
            Some(of) => {
                let statement = format!(
                    "SELECT version FROM {}.policy WHERE division = $1",
                    board_table::NAME
                );
                sqlx::query_scalar(AssertSqlSafe(statement))
                    .bind(of.as_str())
                    .fetch_one(&self.pool)
                    .await
                    .map_err(errors::of_database)?
            }
        };
        Ok(pb::GetAlertPolicyResponse {
            policy: Some(write_policy(policy)),
            published_for: published_for.map_or_else(String::new, |of| of.to_string()),
            version,
        })
    }
}
