//! The gRPC face of visits: parse, execute, answer. No rule lives here.

use std::pin::Pin;

use chrono::{DateTime, Utc};
use elders::codec::write_day;
use futures::{Stream, StreamExt as _};
use proto::eldercare::visits::v1 as pb;
use proto::eldercare::visits::v1::visit_service_server::VisitService;
use service::{Action, Caller, Deadline};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use tracing::Instrument as _;
use uuid::Uuid;

use crate::decisions::OfReferral;
use crate::desk::Outcome;
use crate::elder_visits::Cursor;
use crate::parse::{Parse, campaign};
use crate::visitor::Command;
use crate::visits::Visits;
use crate::{plans, refusals};

mod actions;
mod outcomes;

pub use actions::actions;

/// How many outcomes wait for a slow reader.
const UNREAD: usize = 2_000;
/// How many steps of planning wait for a slow reader.
const STEPS: usize = 16;

/// The gRPC face.
#[derive(Clone)]
pub(crate) struct VisitsFace {
    visits: Visits,
    parse: Parse,
}

impl VisitsFace {
    /// Answers from these parts.
    pub(crate) fn new(visits: Visits) -> Self {
        let streams = [&visits.own, &visits.registry, &visits.tiering];
        let parse = Parse {
            streams: streams.map(|log| log.stream().to_owned()),
            digests: visits.digests.clone(),
        };
        Self { visits, parse }
    }
}

type Answer<T> = Result<Response<T>, Status>;
type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl VisitService for VisitsFace {
    async fn register_visitor(
        &self,
        request: Request<pb::RegisterVisitorRequest>,
    ) -> Answer<pb::RegisterVisitorResponse> {
        let (caller, _) = call(&request)?;
        let (asked, said, from) = self.parse.register_visitor(request.into_inner())?;
        let registered = self
            .visits
            .register_visitor(&caller, asked, said, from)
            .await?;
        Ok(Response::new(pb::RegisterVisitorResponse {
            visitor_id: registered.0.to_string(),
            position: registered.1.to_string(),
        }))
    }

    async fn update_visitor(
        &self,
        request: Request<pb::UpdateVisitorRequest>,
    ) -> Answer<pb::UpdateVisitorResponse> {
        let (caller, _) = call(&request)?;
        let (asked, which, change) = self.parse.update_visitor(request.into_inner())?;
        let position = self
            .visits
            .update_visitor(&caller, asked, which, change)
            .await?;
        Ok(Response::new(pb::UpdateVisitorResponse {
            position: position.to_string(),
        }))
    }

    async fn retire_visitor(
        &self,
        request: Request<pb::RetireVisitorRequest>,
    ) -> Answer<pb::RetireVisitorResponse> {
        let (caller, _) = call(&request)?;
        let (asked, visitor, last_day) = self.parse.retire_visitor(request.into_inner())?;
        let command = Command::Retire { visitor, last_day };
        let position = self
            .visits
            .change_visitor(&caller, asked, visitor, command)
            .await?;
        Ok(Response::new(pb::RetireVisitorResponse {
            position: position.to_string(),
        }))
    }

    async fn pair_elders(
        &self,
        request: Request<pb::PairEldersRequest>,
    ) -> Answer<pb::PairEldersResponse> {
        let (caller, deadline) = call(&request)?;
        let (asked, visitor, elders, since) = self.parse.pair_elders(request.into_inner())?;
        self.visits
            .may_be_paired(&caller, &asked, visitor, &elders, deadline)
            .await?;
        let command = Command::Pair {
            visitor,
            elders,
            since,
        };
        let position = self
            .visits
            .change_visitor(&caller, asked, visitor, command)
            .await?;
        Ok(Response::new(pb::PairEldersResponse {
            position: position.to_string(),
        }))
    }

    async fn unpair_elders(
        &self,
        request: Request<pb::UnpairEldersRequest>,
    ) -> Answer<pb::UnpairEldersResponse> {
        let (caller, _) = call(&request)?;
        let (asked, visitor, elders, last_day) = self.parse.unpair_elders(request.into_inner())?;
        let command = Command::Unpair {
            visitor,
            elders,
            last_day,
        };
        let position = self
            .visits
            .change_visitor(&caller, asked, visitor, command)
            .await?;
        Ok(Response::new(pb::UnpairEldersResponse {
            position: position.to_string(),
        }))
    }

    async fn list_visitors(
        &self,
        request: Request<pb::ListVisitorsRequest>,
    ) -> Answer<pb::ListVisitorsResponse> {
        let (caller, deadline) = call(&request)?;
        let asked = self.parse.list_visitors(request.into_inner())?;
        self.visits.wait(asked.position, deadline).await?;
        let after = asked.page.after.as_deref().and_then(id_of);
        let (visitors, next) = self
            .visits
            .list_visitors(&caller, &asked.filter, after, asked.page.size)
            .await?;
        Ok(Response::new(pb::ListVisitorsResponse {
            visitors,
            next_page_token: next.map_or_else(String::new, |id| asked.list.token(id.as_bytes())),
        }))
    }

    async fn get_visitor_figures(
        &self,
        request: Request<pb::GetVisitorFiguresRequest>,
    ) -> Answer<pb::GetVisitorFiguresResponse> {
        let (caller, deadline) = call(&request)?;
        let (visitor, days, position) = self.parse.visitor_figures(request.get_ref())?;
        self.visits.wait(position, deadline).await?;
        let figures = self.visits.visitor_figures(&caller, visitor, days).await?;
        Ok(Response::new(figures))
    }

    async fn start_visiting(
        &self,
        request: Request<pb::StartVisitingRequest>,
    ) -> Answer<pb::StartVisitingResponse> {
        let (caller, _) = call(&request)?;
        let (asked, division, on) = self.parse.start_visiting(request.into_inner())?;
        let position = self
            .visits
            .start_visiting(&caller, asked, division, on)
            .await?;
        Ok(Response::new(pb::StartVisitingResponse {
            position: position.to_string(),
        }))
    }

    type PlanWeekStream = Answers<pb::PlanWeekResponse>;

    async fn plan_week(
        &self,
        request: Request<pb::PlanWeekRequest>,
    ) -> Answer<Self::PlanWeekStream> {
        let (caller, deadline) = call(&request)?;
        let (asked, what, position) = self.parse.plan_week(request.into_inner())?;
        caller.may_where_asked(&what.division)?;
        // The plan is told, too.
        caller.may(Action::ReadPersonal, &what.division)?;
        self.visits.wait(position, deadline).await?;
        let (sender, answers) = mpsc::channel(STEPS);
        let visits = self.visits.clone();
        let planning = async move {
            let last = match visits.plan_week(&caller, asked, what, &sender).await {
                Ok(None) => return,
                Ok(Some(plan)) => Ok(pb::PlanWeekResponse {
                    step: Some(pb::plan_week_response::Step::Plan(plan)),
                }),
                Err(status) => Err(status),
            };
            // The caller may have gone.
            let _ = sender.send(last).await;
        };
        tokio::spawn(planning.in_current_span());
        Ok(Response::new(Box::pin(ReceiverStream::new(answers))))
    }

    async fn get_plan(&self, request: Request<pb::GetPlanRequest>) -> Answer<pb::GetPlanResponse> {
        let (caller, deadline) = call(&request)?;
        let asked = self.parse.get_plan(request.into_inner())?;
        self.visits.wait(asked.position, deadline).await?;
        let after = asked.page.after.as_deref().and_then(plans::cursor_of);
        let (mut response, next) = self
            .visits
            .plan(&caller, &asked.filter, after, asked.page.size)
            .await?;
        if let Some(next) = next {
            response.next_page_token = asked.list.token(&plans::cursor_bytes(next));
        }
        Ok(Response::new(response))
    }

    async fn adjust_plan(
        &self,
        request: Request<pb::AdjustPlanRequest>,
    ) -> Answer<pb::AdjustPlanResponse> {
        let (caller, deadline) = call(&request)?;
        // What the plan says then is told, too; whether it may be there, is asked once it is known where.
        caller.may_somewhere(Action::ReadPersonal)?;
        let (asked, what, position) = self.parse.adjust_plan(request.into_inner())?;
        self.visits.wait(position, deadline).await?;
        let adjusted = self.visits.adjust_plan(&caller, asked, what).await?;
        Ok(Response::new(adjusted))
    }

    async fn get_worklist(
        &self,
        request: Request<pb::GetWorklistRequest>,
    ) -> Answer<pb::GetWorklistResponse> {
        let (caller, deadline) = call(&request)?;
        let (visitor, day, position) = self.parse.worklist(request.get_ref())?;
        self.visits.wait(position, deadline).await?;
        let worklist = self.visits.worklist(&caller, visitor, day).await?;
        Ok(Response::new(worklist))
    }

    async fn record_visit(
        &self,
        request: Request<pb::RecordVisitRequest>,
    ) -> Answer<pb::RecordVisitResponse> {
        let (caller, deadline) = call(&request)?;
        let (arrived, position) = self.parse.record_visit(request.into_inner())?;
        self.visits.wait_to_judge(position, deadline).await?;
        let record = arrived.record;
        let mut outcomes = self
            .visits
            .take_in(&caller, vec![arrived], None, deadline)
            .await?;
        let outcome = match outcomes.pop() {
            Some(Ok(Outcome::Refused(refusal))) => return Err(refusals::of_recording(refusal)),
            Some(outcome) => outcome?,
            None => return Err(service::errors::internal(&"a record without an outcome")),
        };
        Ok(Response::new(pb::RecordVisitResponse {
            outcome: Some(self.told(record.to_string(), outcome)),
        }))
    }

    type RecordVisitsStream = Answers<pb::RecordVisitsResponse>;

    async fn record_visits(
        &self,
        request: Request<Streaming<pb::RecordVisitsRequest>>,
    ) -> Answer<Self::RecordVisitsStream> {
        let (caller, deadline) = call(&request)?;
        let (sender, answers) = mpsc::channel(UNREAD);
        let recording = self
            .clone()
            .answer_all(caller, request.into_inner(), sender, deadline);
        tokio::spawn(recording.in_current_span());
        Ok(Response::new(Box::pin(ReceiverStream::new(answers))))
    }

    async fn confirm_record(
        &self,
        request: Request<pb::ConfirmRecordRequest>,
    ) -> Answer<pb::ConfirmRecordResponse> {
        let (caller, deadline) = call(&request)?;
        let (asked, record, position) = self.parse.confirm_record(request.into_inner())?;
        self.visits.wait(position, deadline).await?;
        let position = self
            .visits
            .decide_record(&caller, asked, record, true)
            .await?;
        Ok(Response::new(pb::ConfirmRecordResponse {
            position: position.to_string(),
        }))
    }

    async fn reject_record(
        &self,
        request: Request<pb::RejectRecordRequest>,
    ) -> Answer<pb::RejectRecordResponse> {
        let (caller, deadline) = call(&request)?;
        let (asked, record, position) = self.parse.reject_record(request.into_inner())?;
        self.visits.wait(position, deadline).await?;
        let position = self
            .visits
            .decide_record(&caller, asked, record, false)
            .await?;
        Ok(Response::new(pb::RejectRecordResponse {
            position: position.to_string(),
        }))
    }

    async fn list_doubtful_records(
        &self,
        request: Request<pb::ListDoubtfulRecordsRequest>,
    ) -> Answer<pb::ListDoubtfulRecordsResponse> {
        let (caller, deadline) = call(&request)?;
        let asked = self.parse.list_doubtful(request.into_inner())?;
        self.visits.wait(asked.position, deadline).await?;
        let after = asked.page.after.as_deref().and_then(number_of);
        let (records, next) = self
            .visits
            .list_doubtful(&caller, &asked.filter, after, asked.page.size)
            .await?;
        Ok(Response::new(pb::ListDoubtfulRecordsResponse {
            records,
            next_page_token: next
                .map_or_else(String::new, |next| asked.list.token(&next.to_be_bytes())),
        }))
    }

    async fn list_duties(
        &self,
        request: Request<pb::ListDutiesRequest>,
    ) -> Answer<pb::ListDutiesResponse> {
        let (caller, deadline) = call(&request)?;
        let today = self.visits.today();
        let asked = self.parse.list_duties(request.into_inner(), today)?;
        self.visits.wait(asked.position, deadline).await?;
        let after = asked.page.after.as_deref().and_then(id_of);
        let (mut response, next) = self
            .visits
            .duties(&caller, &asked.filter, after, asked.page.size)
            .await?;
        if let Some(next) = next {
            response.next_page_token = asked.list.token(next.as_bytes());
        }
        Ok(Response::new(response))
    }

    async fn get_coverage(
        &self,
        request: Request<pb::GetCoverageRequest>,
    ) -> Answer<pb::GetCoverageResponse> {
        let (caller, deadline) = call(&request)?;
        let today = self.visits.today();
        let asked = self.parse.coverage(request.into_inner(), today)?;
        if asked.filter.visited.is_some() {
            // Figures are statistics; who stands behind them is not.
            caller.may(Action::ReadPersonal, &asked.filter.division)?;
        }
        self.visits
            .wait_for_figures(asked.position, deadline)
            .await?;
        let after = asked.page.after.as_deref().and_then(id_of);
        let (mut response, next) = self
            .visits
            .coverage(&caller, &asked.filter, after, asked.page.size, deadline)
            .await?;
        if let Some(next) = next {
            response.next_page_token = asked.list.token(next.as_bytes());
        }
        Ok(Response::new(response))
    }

    async fn list_closed_doors(
        &self,
        request: Request<pb::ListClosedDoorsRequest>,
    ) -> Answer<pb::ListClosedDoorsResponse> {
        let (caller, deadline) = call(&request)?;
        let asked = self.parse.closed_doors(request.into_inner())?;
        self.visits.wait(asked.position, deadline).await?;
        let after = asked.page.after.as_deref().and_then(id_of);
        let (doors, next) = self
            .visits
            .closed_doors(&caller, &asked.filter, after, asked.page.size)
            .await?;
        Ok(Response::new(pb::ListClosedDoorsResponse {
            doors,
            next_page_token: next.map_or_else(String::new, |id| asked.list.token(id.as_bytes())),
        }))
    }

    async fn start_campaign(
        &self,
        request: Request<pb::StartCampaignRequest>,
    ) -> Answer<pb::StartCampaignResponse> {
        let (caller, _) = call(&request)?;
        let (asked, announced) = self.parse.start_campaign(request.into_inner())?;
        let (campaign, position) = self
            .visits
            .start_campaign(&caller, asked, announced)
            .await?;
        Ok(Response::new(pb::StartCampaignResponse {
            campaign_id: campaign.to_string(),
            position: position.to_string(),
        }))
    }

    async fn end_campaign(
        &self,
        request: Request<pb::EndCampaignRequest>,
    ) -> Answer<pb::EndCampaignResponse> {
        let (caller, _) = call(&request)?;
        let (asked, campaign) = self.parse.end_campaign(request.into_inner())?;
        let (last, position) = self.visits.end_campaign(&caller, asked, campaign).await?;
        Ok(Response::new(pb::EndCampaignResponse {
            position: position.to_string(),
            last_day: Some(write_day(last)),
        }))
    }

    async fn list_campaigns(
        &self,
        request: Request<pb::ListCampaignsRequest>,
    ) -> Answer<pb::ListCampaignsResponse> {
        let (caller, deadline) = call(&request)?;
        let asked = self.parse.list_campaigns(request.into_inner())?;
        self.visits.wait(asked.position, deadline).await?;
        let after = asked.page.after.as_deref().and_then(campaign::cursor_of);
        let (campaigns, next) = self
            .visits
            .list_campaigns(&caller, &asked.filter, after, asked.page.size)
            .await?;
        Ok(Response::new(pb::ListCampaignsResponse {
            campaigns,
            next_page_token: next.map_or_else(String::new, |next| {
                asked.list.token(&campaign::cursor_bytes(next))
            }),
        }))
    }

    async fn get_elder_visits(
        &self,
        request: Request<pb::GetElderVisitsRequest>,
    ) -> Answer<pb::GetElderVisitsResponse> {
        let (caller, deadline) = call(&request)?;
        let asked = self.parse.elder_visits(request.into_inner())?;
        self.visits.wait(asked.position, deadline).await?;
        let after = asked.page.after.as_deref().and_then(visit_of);
        let (visits, next) = self
            .visits
            .elder_visits(&caller, asked.filter, after, asked.page.size)
            .await?;
        Ok(Response::new(pb::GetElderVisitsResponse {
            visits,
            next_page_token: next.map_or_else(String::new, |(start, record)| {
                let mut cursor = start.timestamp_micros().to_be_bytes().to_vec();
                cursor.extend(record.as_bytes());
                asked.list.token(&cursor)
            }),
        }))
    }

    type ExportRecordsStream = Answers<pb::ExportRecordsResponse>;

    async fn export_records(
        &self,
        request: Request<pb::ExportRecordsRequest>,
    ) -> Answer<Self::ExportRecordsStream> {
        let (caller, deadline) = call(&request)?;
        let (whose, days, position) = self.parse.export_records(request.get_ref())?;
        self.visits.wait(position, deadline).await?;
        let book = self.visits.export_records(&caller, whose, days).await?;
        let pieces = book.pieces();
        Ok(Response::new(
            pieces
                .map(|chunk| Ok(pb::ExportRecordsResponse { chunk }))
                .boxed(),
        ))
    }

    async fn list_referrals(
        &self,
        request: Request<pb::ListReferralsRequest>,
    ) -> Answer<pb::ListReferralsResponse> {
        let (caller, deadline) = call(&request)?;
        let asked = self.parse.list_referrals(request.into_inner())?;
        self.visits.wait(asked.position, deadline).await?;
        let after = asked.page.after.as_deref().and_then(|cursor| {
            let (sequence, referral) = cursor.split_at_checked(8)?;
            Some((number_of(sequence)?, id_of(referral)?))
        });
        let (filter, kinds) = &asked.filter;
        let (referrals, next) = self
            .visits
            .list_referrals(&caller, filter, kinds, after, asked.page.size)
            .await?;
        Ok(Response::new(pb::ListReferralsResponse {
            referrals,
            next_page_token: next.map_or_else(String::new, |(sequence, referral)| {
                let mut cursor = sequence.to_be_bytes().to_vec();
                cursor.extend(referral.as_bytes());
                asked.list.token(&cursor)
            }),
        }))
    }

    async fn answer_referral(
        &self,
        request: Request<pb::AnswerReferralRequest>,
    ) -> Answer<pb::AnswerReferralResponse> {
        let (caller, deadline) = call(&request)?;
        let (asked, referral, answer, position) =
            self.parse.answer_referral(request.into_inner())?;
        self.visits.wait(position, deadline).await?;
        let what = OfReferral::Answer(answer);
        let position = self
            .visits
            .decide_referral(&caller, asked, referral, what)
            .await?;
        Ok(Response::new(pb::AnswerReferralResponse {
            position: position.to_string(),
        }))
    }

    async fn close_referral(
        &self,
        request: Request<pb::CloseReferralRequest>,
    ) -> Answer<pb::CloseReferralResponse> {
        let (caller, deadline) = call(&request)?;
        let (asked, referral, outcome, position) =
            self.parse.close_referral(request.into_inner())?;
        self.visits.wait(position, deadline).await?;
        let what = OfReferral::Close(outcome);
        let position = self
            .visits
            .decide_referral(&caller, asked, referral, what)
            .await?;
        Ok(Response::new(pb::CloseReferralResponse {
            position: position.to_string(),
        }))
    }
}

fn call<T>(request: &Request<T>) -> Result<(Caller, Deadline), Status> {
    Ok((Caller::from_request(request)?, Deadline::of(request)))
}

fn id_of(cursor: &[u8]) -> Option<Uuid> {
    Uuid::from_slice(cursor).ok()
}

fn number_of(cursor: &[u8]) -> Option<i64> {
    cursor.try_into().ok().map(i64::from_be_bytes)
}

fn visit_of(cursor: &[u8]) -> Option<Cursor> {
    let (start, record) = cursor.split_at_checked(8)?;
    let start = DateTime::<Utc>::from_timestamp_micros(number_of(start)?)?;
    Some((start, id_of(record)?))
}
