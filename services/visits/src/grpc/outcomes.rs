//! Records that come in a stream, and how their outcomes are told.

use elders::terms::wire_set;
use eventlog::Position;
use futures::StreamExt as _;
use proto::eldercare::visits::v1 as pb;
use service::{Caller, Deadline};
use tokio::sync::mpsc::Sender;
use tokio_util::task::AbortOnDropHandle;
use tonic::{Status, Streaming};
use tonic_types::StatusExt as _;
use tracing::Instrument as _;

use super::VisitsFace;
use crate::desk::{Arrived, Outcome};
use crate::keeping::{Order, Place, Turn, is_of_the_record};
use crate::recording::Refusal;

/// How many records of a stream are judged together.
const TOGETHER: usize = 500;
/// How many such batches of a stream are under way at once.
const BATCHES: usize = 4;

impl VisitsFace {
    /// Answers a stream's records in their order, until it ends or the caller goes.
    pub(super) async fn answer_all(
        self,
        caller: Caller,
        incoming: Streaming<pb::RecordVisitsRequest>,
        sender: Sender<Result<pb::RecordVisitsResponse, Status>>,
        deadline: Deadline,
    ) {
        let mut order = Order::new();
        // Each by a task of its own: a caller who does not read the answers holds up nobody else, whatever it holds.
        let batches = incoming
            .ready_chunks(TOGETHER)
            .map(|batch| {
                let (face, caller, place) = (self.clone(), caller.clone(), order.place());
                let batch = async move { face.batch(&caller, batch, place, deadline).await };
                AbortOnDropHandle::new(tokio::spawn(batch.in_current_span()))
            })
            .buffered(BATCHES);
        let mut batches = std::pin::pin!(batches);
        loop {
            let outcomes = tokio::select! {
                () = sender.closed() => return,
                outcomes = batches.next() => outcomes,
            };
            let (outcomes, end) = match outcomes {
                Some(Ok(outcomes)) => outcomes,
                Some(Err(broken)) => (vec![], Some(service::errors::internal(&broken))),
                None => return,
            };
            for outcome in outcomes {
                let answer = pb::RecordVisitsResponse {
                    outcome: Some(outcome),
                };
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
    }

    /// The outcomes of records that came together, and why the stream ends after them, if it does.
    async fn batch(
        &self,
        caller: &Caller,
        batch: Vec<Result<pb::RecordVisitsRequest, Status>>,
        place: Place,
        deadline: Deadline,
    ) -> (Vec<pb::RecordOutcome>, Option<Status>) {
        let Some(turn) = place.turn().await else {
            // The batch before has ended the stream.
            return (vec![], Some(service::errors::unavailable("the stream")));
        };
        let mut end = None;
        let mut parsed = Vec::with_capacity(batch.len());
        let mut positions: Vec<Position> = Vec::new();
        for request in batch {
            let request = match request {
                Ok(request) => request,
                Err(broken) => {
                    end = Some(broken);
                    break;
                }
            };
            let id = request
                .record
                .as_ref()
                .map(|record| record.record_id.clone());
            let arrived = self.parse.streamed(request.record.as_ref());
            let arrived = arrived.and_then(|arrived| {
                let later = self.parse.streamed_position(&request.min_position)?;
                keep_later(&mut positions, later);
                Ok(arrived)
            });
            parsed.push((id.unwrap_or_default(), arrived));
        }
        let outcomes = self.outcomes(caller, parsed, positions, turn, deadline);
        match outcomes.await {
            Ok((outcomes, failed)) => (outcomes, failed.or(end)),
            Err(failed) => (vec![], Some(failed)),
        }
    }

    async fn outcomes(
        &self,
        caller: &Caller,
        parsed: Vec<(String, Result<Arrived, Status>)>,
        positions: Vec<Position>,
        turn: Turn,
        deadline: Deadline,
    ) -> Result<(Vec<pb::RecordOutcome>, Option<Status>), Status> {
        for position in positions {
            self.visits.wait_to_judge(Some(position), deadline).await?;
        }
        let mut arrived = Vec::with_capacity(parsed.len());
        let parsed: Vec<(String, Result<(), Status>)> = parsed
            .into_iter()
            .map(|(id, parsed)| (id, parsed.map(|one| arrived.push(one))))
            .collect();
        let judged = self.visits.take_in(caller, arrived, Some(turn), deadline);
        let judged = judged.await?;
        let mut judged = judged.into_iter();
        let mut outcomes = Vec::with_capacity(parsed.len());
        for (id, arrived) in parsed {
            let outcome = match arrived {
                Ok(()) => judged.next().unwrap_or_else(|| {
                    Err(service::errors::internal(&"a record without an outcome"))
                }),
                Err(malformed) => Err(malformed),
            };
            match outcome {
                Ok(outcome) => outcomes.push(self.told(id, outcome)),
                Err(status) if is_of_the_record(&status) => outcomes.push(invalid(id, &status)),
                // What became of it is open: sent again it is answered.
                Err(status) => return Ok((outcomes, Some(status))),
            }
        }
        Ok((outcomes, None))
    }

    pub(super) fn told(&self, record_id: String, outcome: Outcome) -> pb::RecordOutcome {
        match outcome {
            Outcome::Kept {
                result,
                doubts,
                sequence,
                repeated,
            } => {
                let kind = if !doubts.is_empty() {
                    pb::RecordOutcomeKind::Doubtful
                } else if result == civic::VisitResult::Met {
                    pb::RecordOutcomeKind::Counted
                } else {
                    pb::RecordOutcomeKind::NotMet
                };
                pb::RecordOutcome {
                    record_id,
                    outcome: kind.into(),
                    doubts: wire_set(doubts),
                    repeated_record: repeated,
                    position: Position::new(self.visits.own.stream(), sequence).to_string(),
                    ..Default::default()
                }
            }
            Outcome::Refused(refusal) => pb::RecordOutcome {
                record_id,
                outcome: pb::RecordOutcomeKind::Refused.into(),
                refusal: match refusal {
                    Refusal::ModeNotAllowed => pb::RecordRefusal::ModeNotAllowed,
                    Refusal::ConsentRequired => pb::RecordRefusal::ConsentRequired,
                    Refusal::NotInScope => pb::RecordRefusal::NotInScope,
                    Refusal::VisitorUnknown => pb::RecordRefusal::VisitorUnknown,
                    Refusal::TimeInvalid => pb::RecordRefusal::TimeInvalid,
                }
                .into(),
                ..Default::default()
            },
        }
    }
}

/// Keeps of each stream the position that says most.
fn keep_later(positions: &mut Vec<Position>, position: Option<Position>) {
    let Some(position) = position else { return };
    let same = positions
        .iter_mut()
        .find(|kept| kept.stream == position.stream);
    match same {
        Some(kept) => kept.sequence = kept.sequence.max(position.sequence),
        None => positions.push(position),
    }
}

fn invalid(record_id: String, status: &Status) -> pb::RecordOutcome {
    let field = status
        .get_details_bad_request()
        .and_then(|bad| bad.field_violations.into_iter().next());
    let reason = status.get_details_error_info().map(|info| info.reason);
    let (field, reason) = match field {
        Some(violation) => (
            violation.field,
            Some(violation.reason)
                .filter(|reason| !reason.is_empty())
                .or(reason),
        ),
        None => (String::new(), reason),
    };
    pb::RecordOutcome {
        record_id,
        outcome: pb::RecordOutcomeKind::Invalid.into(),
        invalid_reason: reason.unwrap_or_default(),
        invalid_field: field,
        ..Default::default()
    }
}
