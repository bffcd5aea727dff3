//! A department's credential for its feeds: what officers ask of it.

use std::collections::BTreeSet;

use civic::DivisionCode;
use eventlog::Position;
use proto::eldercare::sharing::v1 as pb;
use service::{Asked, Caller, Deadline, errors};
use sqlx::AssertSqlSafe;
use tonic::Status;

use crate::agreement_rows::PROPOSED;
use crate::agreements::{around, reaches_all};
use crate::book_table::NAME;
use crate::credential::{Command, Refusal};
use crate::feeds::access::{inboxes, user};
use crate::sharing::Sharing;

impl Sharing {
    /// Issues a department another credential. Once this returns, it opens the door, and none before it does.
    pub(crate) async fn issue_feed_credential(
        &self,
        caller: &Caller,
        asked: Asked,
        department: String,
        deadline: Deadline,
    ) -> Result<pb::IssueFeedCredentialResponse, Status> {
        let agreements = self.agreements_of(&department).await;
        let agreements = agreements.map_err(errors::of_database)?;
        if agreements.is_empty() {
            return Err(no_agreement());
        }
        let divisions = agreements
            .into_iter()
            .flat_map(|(_, terms)| terms.divisions);
        let divisions: BTreeSet<DivisionCode> = divisions.collect();
        reaches_all(caller, &divisions)?;
        let credential = asked.request_id;
        let command = Command::Issue {
            credential,
            by: caller.actor(),
        };
        let position = self
            .change_credential(caller, asked, &department, &divisions, &command)
            .await?;
        // A retry: others may have been quicker, and a dead password helps nobody.
        let loaded = self.credentials.load_newest(&department).await;
        if loaded.map_err(service::not_loaded)?.state.current != Some(credential) {
            return Err(replaced());
        }
        self.wait(Some(position.clone()), deadline).await?;
        self.show_out(&department);
        Ok(pb::IssueFeedCredentialResponse {
            user: user(&department),
            password: self.feed_passwords.of(&department, credential),
            inbox_prefix: inboxes(&department),
            position: position.to_string(),
            consumer: self.feed_passwords.consumer(&department),
        })
    }

    /// Takes a department's credential away. Once this returns, it opens no door, and its connections are being cut.
    pub(crate) async fn revoke_feed_credential(
        &self,
        caller: &Caller,
        asked: Asked,
        department: String,
        reason: String,
        deadline: Deadline,
    ) -> Result<Position, Status> {
        let divisions = self.divisions_of(&department).await?;
        if divisions.is_empty() {
            caller.may_everywhere()?;
        }
        reaches_all(caller, &divisions)?;
        let command = Command::Revoke { reason };
        let position = self
            .change_credential(caller, asked, &department, &divisions, &command)
            .await?;
        self.wait(Some(position.clone()), deadline).await?;
        self.show_out(&department);
        Ok(position)
    }

    /// Has the connections of a department cut that may come in no more, or with another password alone: the book says so
    /// by now.
    pub(crate) fn show_out(&self, department: &str) {
        if let Some(withdrawals) = &self.withdrawals
            && withdrawals.send(department.to_owned()).is_err()
        {
            // Nobody shows out any more: the process ends, and whoever is next asks for the password.
            tracing::warn!(
                department,
                "connections of a department stay until they end by themselves"
            );
        }
    }

    /// Has a department's credential decide a command; where the decision stands.
    async fn change_credential(
        &self,
        caller: &Caller,
        asked: Asked,
        department: &str,
        divisions: &BTreeSet<DivisionCode>,
        command: &Command,
    ) -> Result<Position, Status> {
        let context = asked.by(caller, self.clock.now(), around(divisions));
        let committed = self
            .credentials
            .execute(department, &context, command)
            .await;
        let committed = committed.map_err(|error| service::not_executed(error, of_credential))?;
        Ok(committed.position)
    }

    /// The divisions of all agreements with a department that were ever approved, or turned down.
    async fn divisions_of(&self, department: &str) -> Result<BTreeSet<DivisionCode>, Status> {
        let statement = format!(
            "SELECT DISTINCT unnest(divisions) FROM {NAME}.agreement WHERE department = $1 AND stage <> $2"
        );
        let codes: Vec<String> = sqlx::query_scalar(AssertSqlSafe(statement))
            .bind(department)
            .bind(PROPOSED)
            .fetch_all(&self.pool)
            .await
            .map_err(errors::of_database)?;
        let divisions = codes.iter().map(|code| code.parse::<DivisionCode>());
        let divisions: Result<BTreeSet<_>, _> = divisions.collect();
        divisions.map_err(|_malformed| errors::internal(&"a row holds no division"))
    }
}

/// There is nothing that the department could read.
fn no_agreement() -> Status {
    errors::failed_precondition(
        "NO_AGREEMENT",
        "no agreement with this department is in force",
        "该部门没有生效的共享协议",
    )
}

/// The credential of this request is worth nothing any more.
fn replaced() -> Status {
    errors::failed_precondition(
        "CREDENTIAL_REPLACED",
        "the credential that this request issued was replaced or revoked since: ask for another one with a new request_id",
        "该请求签发的凭证已被更换或吊销，请以新的 request_id 重新申请",
    )
}

/// A credential's rules refuse.
fn of_credential(refusal: Refusal) -> Status {
    match refusal {
        Refusal::NothingToRevoke => errors::failed_precondition(
            "NO_CREDENTIAL",
            "the department has no credential",
            "该部门没有有效的数据流凭证",
        ),
    }
}
