//! Enrolments and orders that come in streams: one outcome for each, in their order. A bad one never spoils the others.

use std::collections::HashMap;

use futures::StreamExt as _;
use futures::stream::FuturesOrdered;
use proto::eldercare::claims::v1 as pb;
use readmodel::GivingWay;
use service::{Caller, Deadline, errors};
use tokio::sync::mpsc::Sender;
use tonic::{Code, Status, Streaming};
use tonic_types::StatusExt as _;
use uuid::Uuid;

use super::ClaimsFace;
use crate::desk::{Arrived, Kept};

/// How many enrolments of a stream are under way at once.
const ENROLLING: usize = 64;
/// How many orders of a stream are kept together.
const TOGETHER: usize = 500;
/// How many batches of orders wait for their verdicts at once.
const WAITING: usize = 4;

/// Orders that were kept together, with their names as they were sent.
struct Batch {
    outcomes: Vec<(pb::OrderName, Result<Kept, Status>)>,
    /// Why the stream ends after them, if it does.
    end: Option<Status>,
}

impl ClaimsFace {
    /// Enrols all of a stream, until it ends or the caller goes.
    pub(super) async fn enrol_all(
        self,
        caller: Caller,
        incoming: Streaming<pb::EnrolPersonsRequest>,
        sender: Sender<Result<pb::EnrolPersonsResponse, Status>>,
        deadline: Deadline,
    ) {
        let mut requests = incoming;
        let mut enrolling = FuturesOrdered::new();
        let mut ended = false;
        while !(ended && enrolling.is_empty()) {
            tokio::select! {
                () = sender.closed() => return,
                Some(outcome) = enrolling.next(), if !enrolling.is_empty() => {
                    let outcome: Result<pb::EnrolPersonsResponse, Status> = outcome;
                    let failed = outcome.is_err();
                    if sender.send(outcome).await.is_err() || failed {
                        return;
                    }
                }
                request = requests.next(), if !ended && enrolling.len() < ENROLLING => {
                    match request {
                        Some(request) => enrolling.push_back(self.enrol(&caller, request, deadline)),
                        None => ended = true,
                    }
                }
            }
        }
    }

    async fn enrol(
        &self,
        caller: &Caller,
        request: Result<pb::EnrolPersonsRequest, Status>,
        deadline: Deadline,
    ) -> Result<pb::EnrolPersonsResponse, Status> {
        let request = request?;
        let enrolment_id = request
            .enrolment
            .as_ref()
            .map_or_else(String::new, |enrolment| enrolment.enrolment_id.clone());
        let enrolled = async {
            let (wanted, position) = self.parse.enrolment(request)?;
            self.claims.wait(position, deadline).await?;
            self.claims.enrol(caller, wanted).await
        };
        match enrolled.await {
            Ok(enrolled) => Ok(pb::EnrolPersonsResponse {
                enrolment_id,
                outcome: pb::EnrolmentOutcomeKind::Enrolled.into(),
                basis: enrolled.basis,
                premium_fen: enrolled.premium.0,
                position: enrolled.position.to_string(),
                ..Default::default()
            }),
            Err(status) if is_of_the_item(&status) => {
                let kind = if status.code() == Code::FailedPrecondition {
                    pb::EnrolmentOutcomeKind::Refused
                } else {
                    pb::EnrolmentOutcomeKind::Invalid
                };
                let (reason, field) = reason_of(&status);
                Ok(pb::EnrolPersonsResponse {
                    enrolment_id,
                    outcome: kind.into(),
                    reason,
                    field,
                    ..Default::default()
                })
            }
            // What became of it is open: sent again it is answered.
            Err(status) => Err(status),
        }
    }

    /// Keeps all orders of a stream, in their order, and answers their verdicts, until it ends or the caller goes.
    pub(super) async fn submit_all(
        self,
        caller: Caller,
        incoming: Streaming<pb::SubmitOrdersRequest>,
        sender: Sender<Result<pb::SubmitOrdersResponse, Status>>,
        deadline: Deadline,
    ) {
        let mut batches = incoming.ready_chunks(TOGETHER);
        let mut waiting = FuturesOrdered::new();
        let mut ended = false;
        while !(ended && waiting.is_empty()) {
            // One batch after the other goes into the log; while they wait for their verdicts the next ones come.
            tokio::select! {
                () = sender.closed() => return,
                Some((answers, end)) = waiting.next(), if !waiting.is_empty() => {
                    for answer in answers {
                        if sender.send(Ok(answer)).await.is_err() {
                            return;
                        }
                    }
                    if let Some(end) = end {
                        // The caller may have gone.
                        let _ = sender.send(Err(end)).await;
                        return;
                    }
                }
                batch = batches.next(), if !ended && waiting.len() < WAITING => match batch {
                    Some(batch) => {
                        let batch = self.keep(&caller, batch, deadline).await;
                        ended = batch.end.is_some();
                        waiting.push_back(self.answer(&caller, batch, deadline));
                    }
                    None => ended = true,
                },
            }
        }
    }

    async fn keep(
        &self,
        caller: &Caller,
        requests: Vec<Result<pb::SubmitOrdersRequest, Status>>,
        deadline: Deadline,
    ) -> Batch {
        let mut end = None;
        let mut names = Vec::with_capacity(requests.len());
        let mut arrived: Vec<Arrived> = Vec::with_capacity(requests.len());
        let now = self.claims.clock.now();
        let mut way = GivingWay::from_now();
        for request in requests {
            way.give().await;
            let request = match request {
                Ok(request) => request,
                Err(broken) => {
                    end = Some(broken);
                    break;
                }
            };
            let order = request.order.as_ref();
            let name = order.map_or_else(pb::OrderName::default, |order| pb::OrderName {
                provider_id: order.provider_id.clone(),
                order_id: order.order_id.clone(),
            });
            let parsed = async {
                let (order, position) =
                    self.parse
                        .order(request.order, &request.min_position, now)?;
                self.claims.wait(position, deadline).await?;
                Ok(order)
            };
            let parsed: Result<(), Status> = parsed.await.map(|order| arrived.push(order));
            names.push((name, parsed));
        }
        let kept = match self.claims.keep_orders(caller, arrived).await {
            Ok(kept) => kept,
            Err(status) => {
                return Batch {
                    outcomes: vec![],
                    end: Some(status),
                };
            }
        };
        let mut kept = kept.into_iter();
        let missing = || Err(errors::internal(&"an order without an outcome"));
        let outcomes = names.into_iter().map(|(name, parsed)| {
            let outcome = parsed.and_then(|()| kept.next().unwrap_or_else(missing));
            (name, outcome)
        });
        Batch {
            outcomes: outcomes.collect(),
            end,
        }
    }

    async fn answer(
        &self,
        caller: &Caller,
        batch: Batch,
        deadline: Deadline,
    ) -> (Vec<pb::SubmitOrdersResponse>, Option<Status>) {
        let kept = batch.outcomes.iter();
        let kept: Vec<Kept> = kept
            .filter_map(|(_, outcome)| outcome.as_ref().ok().copied())
            .collect();
        let standings: HashMap<Uuid, pb::OrderStanding> =
            match self.claims.verdicts(caller, &kept, deadline).await {
                Ok(standings) => standings,
                Err(status) => return (vec![], Some(status)),
            };
        let mut answers = Vec::with_capacity(batch.outcomes.len());
        for (name, outcome) in batch.outcomes {
            let mut answer = pb::SubmitOrdersResponse {
                provider_id: name.provider_id,
                order_id: name.order_id,
                ..Default::default()
            };
            match outcome {
                Ok(kept) => {
                    answer.standing = standings.get(&kept.key).cloned();
                    answer.repeated_order = kept.repeated;
                    answer.position = self.position(kept.sequence);
                }
                Err(status) if is_of_the_item(&status) => {
                    (answer.invalid_reason, answer.invalid_field) = reason_of(&status);
                }
                // What became of it is open: sent again it is answered.
                Err(status) => return (answers, Some(status)),
            }
            answers.push(answer);
        }
        (answers, batch.end)
    }
}

/// Whether it is the item that is at fault, and not the service or the caller's time.
fn is_of_the_item(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::InvalidArgument
            | Code::FailedPrecondition
            | Code::NotFound
            | Code::AlreadyExists
            | Code::PermissionDenied
    )
}

/// The reason in UPPER_SNAKE_CASE, and the field at fault, if one is.
fn reason_of(status: &Status) -> (String, String) {
    let violation = status
        .get_details_bad_request()
        .and_then(|bad| bad.field_violations.into_iter().next());
    let reason = status.get_details_error_info().map(|info| info.reason);
    match violation {
        Some(violation) => {
            let told = Some(violation.reason).filter(|reason| !reason.is_empty());
            (told.or(reason).unwrap_or_default(), violation.field)
        }
        None => (reason.unwrap_or_default(), String::new()),
    }
}
