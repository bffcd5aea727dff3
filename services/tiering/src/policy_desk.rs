//! The desk for policies: they are checked and published, told, and tried as drafts before anybody is bound by them.

use std::sync::Arc;

use civic::{DivisionCode, LocalDay};
use eventlog::{Aggregate, Position, Repository, RequestDigest};
use service::{Caller, Paged, Refusal, errors, paging};
use tokio::sync::SemaphorePermit;
use tonic::{Code, Status};

use crate::evaluate::{Jurisdiction, PolicyRef};
use crate::parse;
use crate::policies_in_force::{NATIONAL, PoliciesInForce, national_row};
use crate::policy::{Fault, Policy};
use crate::policy_book::{self, PolicyBook};
use crate::publication;
use crate::simulate::{self, Outcome};
use crate::tiering::{Tiering, unread};
use crate::tiers_queries::{self, Listed};

/// The most faults of a policy that are told; who mends these is told the rest.
const MOST_FAULTS: usize = 16;

/// A published policy's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publication {
    /// The position of its record.
    pub position: Position,
    /// Its version.
    pub version: u64,
}

impl Tiering {
    /// Checks a policy against the one above it, and puts it in force.
    pub async fn publish(
        &self,
        caller: &Caller,
        request_id: uuid::Uuid,
        digest: RequestDigest,
        division: DivisionCode,
        yaml: String,
    ) -> Result<Publication, Status> {
        caller.may_where_asked(&division)?;
        let now = self.clock.now();
        let context = caller.context(request_id, digest, now, Some(division));
        let jurisdiction = Jurisdiction::Division(division);
        // A retry is answered as the first time, whatever the policy above has become since.
        let book = self
            .books
            .load_newest(division.as_str())
            .await
            .map_err(service::not_loaded)?;
        if book.request(request_id).is_none() {
            let _place = self.trial().await?;
            let above = self.above(&division).await?;
            check(yaml.clone(), above).await?;
        }
        let command = policy_book::Command::Publish {
            jurisdiction,
            yaml,
            on: LocalDay::of(now),
        };
        let committed = self
            .books
            .execute(division.as_str(), &context, &command)
            .await;
        let committed =
            committed.map_err(|error| service::not_executed(error, |never| match never {}))?;
        let version = if committed.repeated {
            self.version_at(division, committed.position.sequence)
                .await?
        } else {
            committed.state.state.version
        };
        Ok(Publication {
            position: committed.position,
            version,
        })
    }

    /// A place for a trial; it is waited for as long as the call may take.
    async fn trial(&self) -> Result<SemaphorePermit<'_>, Status> {
        self.trials
            .acquire()
            .await
            .map_err(|error| errors::internal(&error))
    }

    /// The policy above a division, by the newest that the log knows.
    async fn above(&self, division: &DivisionCode) -> Result<Arc<Policy>, Status> {
        for above in division.upwards().skip(1) {
            let book = self
                .books
                .load_newest(above.as_str())
                .await
                .map_err(service::not_loaded)?;
            if book.state.version > 0 {
                match Policy::parse(&book.state.yaml) {
                    Ok(policy) => return Ok(Arc::new(policy)),
                    Err(_) => {
                        tracing::error!(division = %above, "a published policy can't be read: the one above it holds")
                    }
                }
            }
        }
        Ok(Policy::national())
    }

    /// The version that a record published.
    async fn version_at(&self, division: DivisionCode, sequence: u64) -> Result<u64, Status> {
        let subject = Repository::<PolicyBook>::subject(division.as_str())
            .map_err(|error| errors::internal(&error))?;
        let records = self
            .tiering
            .read(&subject, sequence - 1)
            .await
            .map_err(unread)?;
        let record = records.iter().find(|record| record.sequence == sequence);
        let event = record
            .and_then(|record| record.events.first())
            .map(PolicyBook::decode);
        match event {
            Some(Ok(policy_book::Event::Published { version, .. })) => Ok(version),
            Some(Err(_)) | None => Err(errors::internal(&"the record of a policy can't be read")),
        }
    }

    /// One policy, and whether it is the one in force for its division.
    pub async fn policy(
        &self,
        jurisdiction: Jurisdiction,
        version: Option<u64>,
    ) -> Result<Listed, Status> {
        let unknown = || {
            errors::not_found(
                "policy",
                jurisdiction.to_string(),
                "there is no such policy",
                "没有该政策",
            )
        };
        let division = match jurisdiction {
            Jurisdiction::National if version.is_none_or(|version| version == NATIONAL.version) => {
                return Ok(shipped());
            }
            Jurisdiction::National => return Err(unknown()),
            Jurisdiction::Division(division) => division,
        };
        let newest = tiers_queries::policy(&self.pool, jurisdiction, None)
            .await
            .map_err(errors::of_database)?;
        if let Some(version) = version {
            let row = tiers_queries::policy(&self.pool, jurisdiction, Some(version))
                .await
                .map_err(errors::of_database)?;
            let latest = newest.is_some_and(|newest| newest.policy.version == version);
            return row.map(|row| Listed { row, latest }).ok_or_else(unknown);
        }
        if let Some(row) = newest {
            return Ok(Listed { row, latest: true });
        }
        for above in division.upwards().skip(1) {
            let row = tiers_queries::policy(&self.pool, Jurisdiction::Division(above), None)
                .await
                .map_err(errors::of_database)?;
            if let Some(row) = row {
                return Ok(Listed { row, latest: true });
            }
        }
        Ok(shipped())
    }

    /// A page of the policies of a division and of those above it, or of all; the shipped one comes first.
    pub async fn list_policies(
        &self,
        asked: Paged<Option<Jurisdiction>>,
    ) -> Result<(Vec<Listed>, String), Status> {
        let after = asked
            .page
            .after
            .as_deref()
            .and_then(parse::policy_of_cursor);
        let divisions: Vec<DivisionCode> = match asked.filter {
            None => vec![],
            Some(Jurisdiction::National) => return Ok((vec![shipped()], String::new())),
            Some(Jurisdiction::Division(division)) => division.upwards().collect(),
        };
        let mut policies = if after.is_none() {
            vec![shipped()]
        } else {
            vec![]
        };
        let rows =
            tiers_queries::policies(&self.pool, &divisions, after.as_ref(), asked.page.size + 1)
                .await
                .map_err(errors::of_database)?;
        policies.extend(rows);
        let token = paging::cut(&mut policies, asked.page.size).map_or_else(String::new, |last| {
            asked.list.token(&parse::policy_cursor(&last.row.policy))
        });
        Ok((policies, token))
    }

    /// Tries a draft; `told` is given how many elders are judged, of how many.
    pub async fn simulate(
        &self,
        caller: &Caller,
        division: DivisionCode,
        yaml: String,
        told: impl FnMut(u64, u64),
    ) -> Result<Outcome, Status> {
        caller.may_where_asked(&division)?;
        let _place = self.trial().await?;
        let before = self
            .policies
            .on(&self.pool, LocalDay::MAX)
            .await
            .map_err(errors::of_database)?;
        let draft = check(yaml, Arc::clone(&before.above(&division).1)).await?;
        let draft_ref = PolicyRef {
            jurisdiction: Jurisdiction::Division(division),
            version: 0,
        };
        let after = before.clone().with(division, (draft_ref, Arc::new(draft)));
        self.simulated(&division, &before, &after, told).await
    }

    async fn simulated(
        &self,
        division: &DivisionCode,
        before: &PoliciesInForce,
        after: &PoliciesInForce,
        told: impl FnMut(u64, u64),
    ) -> Result<Outcome, Status> {
        let mut conn = self.pool.acquire().await.map_err(errors::of_database)?;
        simulate::simulate(&mut *conn, division, before, after, told)
            .await
            .map_err(errors::of_database)
    }
}

/// Reads and checks a policy beside the threads that answer calls: it may take a second.
async fn check(yaml: String, above: Arc<Policy>) -> Result<Policy, Status> {
    let checked =
        tokio::task::spawn_blocking(move || publication::check(&yaml, Some(&above))).await;
    checked
        .map_err(|error| errors::internal(&error))?
        .map_err(refused)
}

/// A policy that is refused: each fault with its line.
fn refused(faults: Vec<Fault>) -> Status {
    let violations: Vec<service::Violation> = faults
        .iter()
        .take(MOST_FAULTS)
        .map(
            |Fault {
                 line,
                 reason,
                 en,
                 zh,
             }| {
                service::Violation::new(
                    "yaml",
                    *reason,
                    format!("line {line}: {en}"),
                    format!("第 {line} 行：{zh}"),
                )
            },
        )
        .collect();
    let Some((first, Fault { line, reason, .. })) = violations.first().zip(faults.first()) else {
        return errors::internal(&"a policy was refused without a fault");
    };
    Refusal::new(
        Code::InvalidArgument,
        *reason,
        first.en.clone(),
        first.zh.clone(),
    )
    .with("line", line.to_string())
    .violations(&violations)
    .into()
}

fn shipped() -> Listed {
    Listed {
        row: national_row(),
        latest: true,
    }
}
