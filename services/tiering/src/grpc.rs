//! The gRPC face of tiering: parse, execute, answer. No rule lives here.

use std::pin::Pin;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use civic::ElderId;
use elders::codec::write_day;
use eventlog::Position;
use futures::{Stream, StreamExt as _, stream};
use proto::eldercare::tiering::v1 as pb;
use proto::eldercare::tiering::v1::tiering_service_server::{SERVICE_NAME, TieringService};
use service::{Action, Actions, Caller, Deadline, errors};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};
use tracing::{Instrument as _, Span};

use crate::codec::write_assignment;
use crate::explain::Explanation;
use crate::parse::Parse;
use crate::simulate::{Load, Outcome};
use crate::tiering::{TIER, Tiering, in_order};
use crate::tiers_queries::{Found, Listed};
use crate::watch;

/// How many messages of a stream wait for a slow reader.
const UNREAD: usize = 256;
/// How many of them go on record together.
const TOLD_AT_ONCE: usize = 200;

/// The gRPC face.
#[derive(Clone)]
pub struct TieringFace {
    tiering: Tiering,
    parse: Parse,
    /// Cancelled when streams are to end.
    draining: CancellationToken,
}

impl TieringFace {
    /// Answers from these parts; streams end with `draining`.
    #[must_use]
    pub fn new(tiering: Tiering, draining: CancellationToken) -> Self {
        let parse = Parse {
            registry: tiering.registry.stream().to_owned(),
            tiering: tiering.tiering.stream().to_owned(),
        };
        Self {
            tiering,
            parse,
            draining,
        }
    }

    fn tier(&self, found: &Found) -> pb::Tier {
        let mut assignment = found.row.tier.assignment().map(write_assignment);
        if let Some(assignment) = &mut assignment {
            assignment.division_code = found.village.to_string();
        }
        let on = found.row.tier.since().map(write_day);
        let position = Position::new(self.tiering.tiering.stream(), found.row.sequence).to_string();
        pb::Tier {
            elder_id: found.row.elder.to_string(),
            assignment,
            on,
            position,
        }
    }
}

/// What each method does, as the policies of permission speak of it.
#[must_use]
pub fn actions() -> Actions {
    Actions::new().declare(
        SERVICE_NAME,
        &[
            ("GetTier", Action::ReadPersonal),
            ("BatchGetTiers", Action::ReadPersonal),
            ("ListTiers", Action::ReadPersonal),
            ("CountTiers", Action::ReadStatistics),
            ("ExplainTier", Action::ReadPersonal),
            ("PublishPolicy", Action::Administer),
            ("GetPolicy", Action::ReadReference),
            ("ListPolicies", Action::ReadReference),
            ("SimulatePolicy", Action::ReadStatistics),
            ("WatchTiers", Action::ReadPersonal),
        ],
    )
}

type Answer<T> = Result<Response<T>, Status>;
type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl TieringService for TieringFace {
    async fn get_tier(&self, request: Request<pb::GetTierRequest>) -> Answer<pb::GetTierResponse> {
        let (caller, deadline) = call(&request)?;
        let (elder, position) = self.parse.get_tier(request.get_ref())?;
        self.tiering.wait(position, deadline).await?;
        let found = self.tiering.tier(&caller, elder).await?;
        Ok(Response::new(pb::GetTierResponse {
            tier: Some(self.tier(&found)),
        }))
    }

    async fn batch_get_tiers(
        &self,
        request: Request<pb::BatchGetTiersRequest>,
    ) -> Answer<pb::BatchGetTiersResponse> {
        let (caller, deadline) = call(&request)?;
        let (elders, position) = self.parse.batch_get_tiers(request.get_ref())?;
        self.tiering.wait(position, deadline).await?;
        let found = self.tiering.tiers_of(&caller, &elders).await?;
        let missing = elders.iter().zip(&found).filter(|(_, tier)| tier.is_none());
        Ok(Response::new(pb::BatchGetTiersResponse {
            missing_elder_ids: missing.map(|(elder, _)| elder.to_string()).collect(),
            tiers: found
                .iter()
                .flatten()
                .map(|found| self.tier(found))
                .collect(),
        }))
    }

    async fn list_tiers(
        &self,
        request: Request<pb::ListTiersRequest>,
    ) -> Answer<pb::ListTiersResponse> {
        let (caller, deadline) = call(&request)?;
        let asked = self.parse.list_tiers(request.into_inner())?;
        self.tiering.wait(asked.position.clone(), deadline).await?;
        let (found, next_page_token) = self.tiering.list(&caller, asked).await?;
        let tiers = found.iter().map(|found| self.tier(found)).collect();
        Ok(Response::new(pb::ListTiersResponse {
            tiers,
            next_page_token,
        }))
    }

    async fn count_tiers(
        &self,
        request: Request<pb::CountTiersRequest>,
    ) -> Answer<pb::CountTiersResponse> {
        let (caller, deadline) = call(&request)?;
        let (division, position) = self.parse.count_tiers(request.get_ref())?;
        self.tiering.wait(position, deadline).await?;
        let (counts, order) = self.tiering.count(&caller, &division).await?;
        let tier_counts = |counts| {
            in_order(counts, &order).map(|(tier, elders)| pb::TierCount {
                tier: tier.to_owned(),
                elders: signed(elders),
            })
        };
        let reasons = counts.reasons.iter();
        let divisions = counts
            .divisions
            .iter()
            .map(|(code, tiers)| pb::DivisionCount {
                division_code: code.clone(),
                in_scope: signed(tiers.values().sum()),
                tiers: tier_counts(tiers)
                    .filter(|count| count.elders > 0)
                    .collect(),
            });
        Ok(Response::new(pb::CountTiersResponse {
            in_scope: signed(counts.tiers.values().sum()),
            tiers: tier_counts(&counts.tiers).collect(),
            reasons: reasons
                .map(|(reason, elders)| pb::ReasonCount {
                    reason: reason.clone(),
                    elders: signed(*elders),
                })
                .collect(),
            divisions: divisions.collect(),
        }))
    }

    async fn explain_tier(
        &self,
        request: Request<pb::ExplainTierRequest>,
    ) -> Answer<pb::ExplainTierResponse> {
        let (caller, deadline) = call(&request)?;
        let (elder, day, position) = self
            .parse
            .explain_tier(request.get_ref(), self.tiering.clock.today())?;
        // The facts are read from the log itself; only policies must be waited for.
        let of_ours = position.filter(|position| position.stream == self.parse.tiering);
        self.tiering.wait_for_policies(of_ours, deadline).await?;
        let explanation = self.tiering.explain(&caller, elder, day).await?;
        Ok(Response::new(explained(
            explanation,
            write_day(day),
            &self.parse.registry,
        )))
    }

    async fn publish_policy(
        &self,
        request: Request<pb::PublishPolicyRequest>,
    ) -> Answer<pb::PublishPolicyResponse> {
        let (caller, _) = call(&request)?;
        let mut request = request.into_inner();
        let (request_id, division) = self.parse.publish_policy(&request)?;
        request.request_id.clear();
        let digest = self.tiering.digests.of(&request);
        let published = self
            .tiering
            .publish(&caller, request_id, digest, division, request.yaml)
            .await?;
        Ok(Response::new(pb::PublishPolicyResponse {
            position: published.position.to_string(),
            version: signed(published.version),
        }))
    }

    async fn get_policy(
        &self,
        request: Request<pb::GetPolicyRequest>,
    ) -> Answer<pb::GetPolicyResponse> {
        let (caller, deadline) = call(&request)?;
        let (jurisdiction, version, position) = self.parse.get_policy(request.get_ref())?;
        may_read_reference(&caller)?;
        self.tiering.wait_for_policies(position, deadline).await?;
        let listed = self.tiering.policy(jurisdiction, version).await?;
        Ok(Response::new(pb::GetPolicyResponse {
            policy: Some(policy(listed)),
        }))
    }

    async fn list_policies(
        &self,
        request: Request<pb::ListPoliciesRequest>,
    ) -> Answer<pb::ListPoliciesResponse> {
        let (caller, deadline) = call(&request)?;
        let asked = self.parse.list_policies(request.into_inner())?;
        may_read_reference(&caller)?;
        self.tiering
            .wait_for_policies(asked.position.clone(), deadline)
            .await?;
        let (policies, next_page_token) = self.tiering.list_policies(asked).await?;
        let policies = policies.into_iter().map(policy).collect();
        Ok(Response::new(pb::ListPoliciesResponse {
            policies,
            next_page_token,
        }))
    }

    type SimulatePolicyStream = Answers<pb::SimulatePolicyResponse>;

    async fn simulate_policy(
        &self,
        request: Request<pb::SimulatePolicyRequest>,
    ) -> Answer<Self::SimulatePolicyStream> {
        let (caller, deadline) = call(&request)?;
        let request = request.into_inner();
        let (division, position) = self.parse.simulate_policy(&request)?;
        self.tiering.wait(position, deadline).await?;
        let (sender, answers) = mpsc::channel(UNREAD);
        let tiering = self.tiering.clone();
        // In the trace of the call.
        let task = async move {
            let progress = |done, total| {
                let progress = pb::SimulationProgress {
                    elders_done: signed(done),
                    elders_total: signed(total),
                };
                let part = pb::simulate_policy_response::Part::Progress(progress);
                // A reader that falls behind misses some progress, never the result.
                let _ = sender.try_send(Ok(pb::SimulatePolicyResponse { part: Some(part) }));
            };
            let simulating = tiering.simulate(&caller, division, request.yaml, progress);
            let outcome = tokio::select! {
                () = sender.closed() => return,
                outcome = simulating => outcome,
            };
            let answer = outcome.map(|outcome| {
                let part = pb::simulate_policy_response::Part::Result(simulated(outcome));
                pb::SimulatePolicyResponse { part: Some(part) }
            });
            // The caller may have gone.
            let _ = sender.send(answer).await;
        };
        tokio::spawn(task.instrument(Span::current()));
        Ok(Response::new(Box::pin(ReceiverStream::new(answers))))
    }

    type WatchTiersStream = Answers<pb::WatchTiersResponse>;

    async fn watch_tiers(
        &self,
        request: Request<pb::WatchTiersRequest>,
    ) -> Answer<Self::WatchTiersStream> {
        let (caller, _) = call(&request)?;
        let (division, after) = self.parse.watch_tiers(request.get_ref())?;
        caller.may_where_asked(&division)?;
        let log = Arc::clone(&self.tiering.tiering);
        let after = match after {
            Some(after) => after,
            None => log
                .last_sequence()
                .await
                .map_err(|_error| errors::unavailable("the event log"))?,
        };
        let (sender, answers) = mpsc::channel(UNREAD);
        let draining = self.draining.clone();
        // In the trace of the call.
        let task = async move {
            let watching = watch::watch(log, division, after, &sender);
            let outcome = tokio::select! {
                () = draining.cancelled() => return,
                () = sender.closed() => return,
                outcome = watching => outcome,
            };
            if let Err(error) = outcome {
                tracing::warn!(%error, "a stream of tiers ends");
                let _ = sender.send(Err(errors::unavailable("the event log"))).await;
            }
        };
        tokio::spawn(task.instrument(Span::current()));
        let recorded = ReceiverStream::new(answers)
            .ready_chunks(TOLD_AT_ONCE)
            .then(move |answers| recorded(caller.clone(), answers))
            .flat_map(stream::iter);
        Ok(Response::new(Box::pin(recorded)))
    }
}

type Watched = Result<pb::WatchTiersResponse, Status>;

/// Puts on record whose tiers these are, and hands them on; nothing but the refusal where that fails.
async fn recorded(caller: Caller, answers: Vec<Watched>) -> Vec<Watched> {
    let tiers = answers.iter().flatten();
    let tiers = tiers.filter_map(|answer| answer.tier.as_ref());
    let elders: Vec<ElderId> = tiers
        .filter_map(|tier| tier.elder_id.parse().ok())
        .collect();
    match caller.told("WatchTiers", elders, TIER).await {
        Ok(()) => answers,
        Err(status) => vec![Err(status)],
    }
}

fn call<T>(request: &Request<T>) -> Result<(Caller, Deadline), Status> {
    Ok((Caller::from_request(request)?, Deadline::of(request)))
}

/// Policies concern nobody in particular: whoever may read them somewhere may read all.
fn may_read_reference(caller: &Caller) -> Result<(), Status> {
    caller.may_everywhere()
}

fn policy(listed: Listed) -> pb::Policy {
    let Listed { row, latest } = listed;
    // The shipped policy was never published.
    let published = (row.sequence > 0).then(|| timestamp(row.published_at));
    pb::Policy {
        division_code: row.policy.jurisdiction.to_string(),
        version: signed(row.policy.version),
        yaml: row.yaml,
        published_at: published,
        published_by: row.published_by,
        in_force: latest,
    }
}

fn explained(
    explanation: Explanation,
    on: proto::eldercare::r#type::v1::Date,
    registry: &str,
) -> pb::ExplainTierResponse {
    pb::ExplainTierResponse {
        on: Some(on),
        in_scope: explanation.assignment.is_some(),
        out_of_scope_reasons: explanation
            .out_of_scope
            .into_iter()
            .map(str::to_owned)
            .collect(),
        assignment: explanation.assignment.as_ref().map(write_assignment),
        rules: explanation
            .rules
            .into_iter()
            .map(|rule| pb::RuleResult {
                tier: rule.tier,
                rule: rule.rule,
                condition: rule.condition,
                source: rule.source,
                applies: rule.applies,
            })
            .collect(),
        facts: explanation
            .facts
            .into_iter()
            .map(|fact| pb::FactOrigin {
                fact: fact.fact.to_owned(),
                value: fact.value,
                event: fact.event.to_owned(),
                position: Position::new(registry, fact.sequence).to_string(),
                recorded_at: Some(timestamp(fact.recorded_at)),
                holds_from: fact.holds_from.map(write_day),
            })
            .collect(),
        next_change_on: explanation.next_change_on.map(write_day),
        policy_division_code: explanation
            .policy
            .map(|policy| policy.jurisdiction.to_string())
            .unwrap_or_default(),
        policy_version: explanation
            .policy
            .map(|policy| signed(policy.version))
            .unwrap_or_default(),
    }
}

fn simulated(outcome: Outcome) -> pb::SimulationResult {
    let load = |load: Load| pb::VisitingLoad {
        weekly_elders: signed(load.weekly),
        monthly_elders: signed(load.monthly),
        visits_per_month: signed(load.visits_per_month()),
        home_only_elders: signed(load.home_only),
    };
    pb::SimulationResult {
        moves: outcome
            .moves
            .into_iter()
            .map(|((from_tier, to_tier), elders)| pb::Move {
                from_tier,
                to_tier,
                elders: signed(elders),
            })
            .collect(),
        before: Some(load(outcome.before)),
        after: Some(load(outcome.after)),
        in_scope: signed(outcome.in_scope),
        distinct_facts: signed(outcome.distinct_facts),
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn timestamp(instant: DateTime<Utc>) -> prost_types::Timestamp {
    let nanos = instant
        .timestamp_subsec_nanos()
        .min(999_999_999)
        .cast_signed();
    prost_types::Timestamp {
        seconds: instant.timestamp(),
        nanos,
    }
}
