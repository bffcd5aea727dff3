//! The desk for policies: they are checked and published, told, and tried as drafts before anybody is bound by them.

use std::sync::Arc;

use civic::{DivisionCode, LocalDay};
use decider::Decider as _;
use eventlog::{Aggregate, ExecuteError, Held, Position, Repository, RequestDigest};
use service::{Caller, Paged, Refusal, errors, paging};
use tokio::sync::SemaphorePermit;
use tonic::{Code, Status};

use crate::evaluate::{Jurisdiction, PolicyRef};
use crate::parse;
use crate::policies_in_force::{NATIONAL, PoliciesInForce, national_row};
use crate::policy::{Fault, Policy};
use crate::policy_book::{self, PolicyBook};
use crate::policy_comparison::{Compared, PolicyComparison};
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
    /// Checks a policy against the one above it and those right below it, and puts it in force.
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
        let command = policy_book::Command::Publish {
            jurisdiction,
            yaml: yaml.clone(),
            on: LocalDay::of(now),
        };
        // A retry is answered as the first time, whatever the policies above and below have become since.
        let committed = self
            .books
            .transact(
                division.as_str(),
                &context,
                |unit, book: Held<PolicyBook>| {
                    let (command, yaml) = (&command, &yaml);
                    async move {
                        let Ok(events) = book.state.decide(command);
                        if !events.is_empty() {
                            let id = PolicyComparison::id(&division);
                            let comparison = unit.load(&self.comparisons, &id).await?;
                            self.checked_now(&division, yaml.clone())
                                .await
                                .map_err(ExecuteError::Refused)?;
                            let compared = events.iter().map(|event| {
                                let policy_book::Event::Published { version, .. } = event;
                                Compared(PolicyRef {
                                    jurisdiction,
                                    version: *version,
                                })
                            });
                            let compared = compared.collect();
                            unit.record(comparison, compared);
                        }
                        unit.record(book, events);
                        Ok(())
                    }
                },
            )
            .await;
        let committed =
            committed.map_err(|error| service::not_executed(error, |refused: Status| refused))?;
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

    /// Checks a policy against those in force by all that the log holds now.
    async fn checked_now(&self, division: &DivisionCode, yaml: String) -> Result<(), Status> {
        let _place = self.trial().await?;
        let caught_up = self.tiers.catches_up(self.tiering.as_ref()).await;
        caught_up.map_err(unread)?;
        let in_force = self.in_force().await?;
        checked(&in_force, division, yaml).await?;
        Ok(())
    }

    /// The policies in force, as far as the read model knows them.
    async fn in_force(&self) -> Result<PoliciesInForce, Status> {
        let in_force = self.policies.on(&self.pool, LocalDay::MAX).await;
        in_force.map_err(errors::of_database)
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
        let before = self.in_force().await?;
        let draft = checked(&before, &division, yaml).await?;
        let draft_ref = PolicyRef {
            jurisdiction: Jurisdiction::Division(division),
            version: 0,
        };
        let after = before.clone().with(division, (draft_ref, draft));
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

/// Reads a policy, and checks it against the one above it and those right below it.
async fn checked(
    in_force: &PoliciesInForce,
    division: &DivisionCode,
    yaml: String,
) -> Result<Arc<Policy>, Status> {
    let above = Arc::clone(&in_force.above(division).1);
    let policy = beside(move || publication::check(&yaml, Some(&above))).await?;
    let policy = Arc::new(policy.map_err(refused)?);
    let mut short = Vec::new();
    for (below, rules) in in_force.right_below(division) {
        let (above, rules) = (Arc::clone(&policy), Arc::clone(rules));
        let held = beside(move || publication::hold_against(&rules, Some(&above))).await?;
        if let Err(faults) = held {
            short.extend(faults.into_iter().next().map(|fault| (*below, fault)));
        }
    }
    match below_fall_short(&short) {
        Some(refused) => Err(refused),
        None => Ok(policy),
    }
}

/// Beside the threads that answer calls: a check may take a second.
async fn beside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Status> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| errors::internal(&error))
}

/// A policy that is refused, since others below it, each with its first fault, would fall short of it.
fn below_fall_short(short: &[(PolicyRef, Fault)]) -> Option<Status> {
    let (first, fault) = short.first()?;
    let divisions = short.iter().take(MOST_FAULTS);
    let divisions = divisions.map(|(policy, _)| policy.jurisdiction.to_string());
    let divisions = divisions.collect::<Vec<_>>();
    let (named, count) = (divisions.join(", "), short.len());
    let (division, version) = (first.jurisdiction, first.version);
    let Fault { line, en, zh, .. } = fault;
    let refusal = Refusal::new(
        Code::FailedPrecondition,
        "POLICY_BELOW_FALLS_SHORT",
        format!(
            "{count} policies below fall short of this one, and are to be published anew first: {named}; \
             of {division} version {version}, line {line}: {en}"
        ),
        format!(
            "有 {count} 项下级政策低于本政策的要求，须先重新发布：{named}；其中 {division} 第 {version} 版第 {line} 行：{zh}"
        ),
    );
    Some(refusal.with("divisions", divisions.join(",")).into())
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
