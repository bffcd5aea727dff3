//! The gRPC face of claims: parse, execute, answer. No rule lives here.

mod actions;
mod cursors;
mod streams;

use std::pin::Pin;

use futures::{Stream, StreamExt as _};
use proto::eldercare::claims::v1 as pb;
use proto::eldercare::claims::v1::claims_service_server::ClaimsService;
use service::{Caller, Deadline};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use tracing::Instrument as _;

pub use self::actions::actions;
use self::cursors::{
    cursor_bytes, cursor_of, enrolment_bytes, enrolment_of, entry_bytes, entry_of, sequence_of,
    settlement_bytes, settlement_of,
};
use crate::claims::Claims;
use crate::desk::Kept;
use crate::parse::Parse;

/// How many answers wait for a slow reader.
const UNREAD: usize = 500;

/// The gRPC face.
#[derive(Clone)]
pub(crate) struct ClaimsFace {
    claims: Claims,
    parse: Parse,
}

impl ClaimsFace {
    /// Answers from these parts.
    pub(crate) fn new(claims: Claims) -> Self {
        let parse = Parse {
            streams: [
                claims.own.stream().to_owned(),
                claims.registry.stream().to_owned(),
            ],
            digests: claims.digests.clone(),
        };
        Self { claims, parse }
    }

    fn position(&self, sequence: u64) -> String {
        eventlog::Position::new(self.claims.own.stream(), sequence).to_string()
    }
}

type Answer<T> = Result<Response<T>, Status>;
type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl ClaimsService for ClaimsFace {
    async fn define_programme(
        &self,
        request: Request<pb::DefineProgrammeRequest>,
    ) -> Answer<pb::DefineProgrammeResponse> {
        let (caller, _) = call(&request)?;
        let (asked, code, division, definition) =
            self.parse.define_programme(request.into_inner())?;
        let (version, position) = self
            .claims
            .define_programme(&caller, asked, &code, division, definition)
            .await?;
        Ok(Response::new(pb::DefineProgrammeResponse {
            version: version.cast_signed(),
            position: position.to_string(),
        }))
    }

    async fn get_programme(
        &self,
        request: Request<pb::GetProgrammeRequest>,
    ) -> Answer<pb::GetProgrammeResponse> {
        let (_, deadline) = call(&request)?;
        let (code, version, position) = self.parse.get_programme(request.get_ref())?;
        self.claims.wait(position, deadline).await?;
        let programme = self.claims.get_programme(&code, version).await?;
        Ok(Response::new(pb::GetProgrammeResponse {
            programme: Some(programme),
        }))
    }

    async fn list_programmes(
        &self,
        request: Request<pb::ListProgrammesRequest>,
    ) -> Answer<pb::ListProgrammesResponse> {
        let (_, deadline) = call(&request)?;
        let asked = self.parse.list_programmes(request.into_inner())?;
        self.claims.wait(asked.position, deadline).await?;
        let after = asked.page.after.as_deref();
        let after = after.and_then(|cursor| std::str::from_utf8(cursor).ok());
        let listed = self.claims.list_programmes(after, asked.page.size);
        let (programmes, next) = listed.await?;
        let next = next.map_or_else(String::new, |next| asked.list.token(next.as_bytes()));
        Ok(Response::new(pb::ListProgrammesResponse {
            programmes,
            next_page_token: next,
        }))
    }

    type EnrolPersonsStream = Answers<pb::EnrolPersonsResponse>;

    async fn enrol_persons(
        &self,
        request: Request<Streaming<pb::EnrolPersonsRequest>>,
    ) -> Answer<Self::EnrolPersonsStream> {
        let (caller, deadline) = call(&request)?;
        let (sender, answers) = mpsc::channel(UNREAD);
        let enrolling = self
            .clone()
            .enrol_all(caller, request.into_inner(), sender, deadline);
        tokio::spawn(enrolling.in_current_span());
        Ok(Response::new(Box::pin(ReceiverStream::new(answers))))
    }

    async fn end_enrolment(
        &self,
        request: Request<pb::EndEnrolmentRequest>,
    ) -> Answer<pb::EndEnrolmentResponse> {
        let (caller, _) = call(&request)?;
        let (asked, whose, enrolment, last) = self.parse.end_enrolment(request.into_inner())?;
        let position = self
            .claims
            .end_enrolment(&caller, asked, whose, enrolment, last)
            .await?;
        Ok(Response::new(pb::EndEnrolmentResponse {
            position: position.to_string(),
        }))
    }

    async fn list_enrolments(
        &self,
        request: Request<pb::ListEnrolmentsRequest>,
    ) -> Answer<pb::ListEnrolmentsResponse> {
        let (caller, deadline) = call(&request)?;
        let asked = self.parse.list_enrolments(request.into_inner())?;
        self.claims.wait(asked.position, deadline).await?;
        let after = asked.page.after.as_deref().and_then(enrolment_of);
        let (enrolments, next) = self
            .claims
            .list_enrolments(&caller, &asked.filter, after, asked.page.size)
            .await?;
        let next = next.map_or_else(String::new, |next| asked.list.token(&enrolment_bytes(next)));
        Ok(Response::new(pb::ListEnrolmentsResponse {
            enrolments,
            next_page_token: next,
        }))
    }

    async fn get_entitlement(
        &self,
        request: Request<pb::GetEntitlementRequest>,
    ) -> Answer<pb::GetEntitlementResponse> {
        let (caller, deadline) = call(&request)?;
        let (programme, elder, on, position) = self.parse.get_entitlement(request.get_ref())?;
        self.claims.wait(position.clone(), deadline).await?;
        let entitlement =
            self.claims
                .entitlement(&caller, &programme, elder, on, position.as_ref());
        Ok(Response::new(entitlement.await?))
    }

    async fn contract_provider(
        &self,
        request: Request<pb::ContractProviderRequest>,
    ) -> Answer<pb::ContractProviderResponse> {
        let (caller, _) = call(&request)?;
        let (asked, contract) = self.parse.contract(request.into_inner())?;
        let contracted = self.claims.contract_provider(&caller, asked, contract);
        let (contract, position) = contracted.await?;
        Ok(Response::new(pb::ContractProviderResponse {
            contract_id: contract.to_string(),
            position: position.to_string(),
        }))
    }

    async fn end_contract(
        &self,
        request: Request<pb::EndContractRequest>,
    ) -> Answer<pb::EndContractResponse> {
        let (caller, _) = call(&request)?;
        let (asked, provider, contract, last) = self.parse.end_contract(request.into_inner())?;
        let position = self
            .claims
            .end_contract(&caller, asked, provider, contract, last)
            .await?;
        Ok(Response::new(pb::EndContractResponse {
            position: position.to_string(),
        }))
    }

    async fn register_caregiver(
        &self,
        request: Request<pb::RegisterCaregiverRequest>,
    ) -> Answer<pb::RegisterCaregiverResponse> {
        let (caller, _) = call(&request)?;
        let (asked, provider, name, days) = self.parse.register_caregiver(request.into_inner())?;
        let (caregiver, position) = self
            .claims
            .register_caregiver(&caller, asked, provider, name, days)
            .await?;
        Ok(Response::new(pb::RegisterCaregiverResponse {
            caregiver_id: caregiver.to_string(),
            position: position.to_string(),
        }))
    }

    async fn retire_caregiver(
        &self,
        request: Request<pb::RetireCaregiverRequest>,
    ) -> Answer<pb::RetireCaregiverResponse> {
        let (caller, _) = call(&request)?;
        let (asked, caregiver, last) = self.parse.retire_caregiver(request.into_inner())?;
        let retired = self
            .claims
            .retire_caregiver(&caller, asked, caregiver, last);
        Ok(Response::new(pb::RetireCaregiverResponse {
            position: retired.await?.to_string(),
        }))
    }

    async fn submit_order(
        &self,
        request: Request<pb::SubmitOrderRequest>,
    ) -> Answer<pb::SubmitOrderResponse> {
        let (caller, deadline) = call(&request)?;
        let pb::SubmitOrderRequest {
            order,
            min_position,
        } = request.into_inner();
        let now = self.claims.clock.now();
        let (arrived, position) = self.parse.order(order, &min_position, now)?;
        self.claims.wait(position, deadline).await?;
        let kept = self.claims.keep_orders(&caller, vec![arrived]).await?;
        let missing = || Err(service::errors::internal(&"an order without an outcome"));
        let kept: Kept = kept.into_iter().next().unwrap_or_else(missing)?;
        let mut standings = self.claims.verdicts(&caller, &[kept], deadline).await?;
        Ok(Response::new(pb::SubmitOrderResponse {
            standing: standings.remove(&kept.key),
            repeated_order: kept.repeated,
            position: self.position(kept.sequence),
        }))
    }

    type SubmitOrdersStream = Answers<pb::SubmitOrdersResponse>;

    async fn submit_orders(
        &self,
        request: Request<Streaming<pb::SubmitOrdersRequest>>,
    ) -> Answer<Self::SubmitOrdersStream> {
        let (caller, deadline) = call(&request)?;
        let (sender, answers) = mpsc::channel(UNREAD);
        let submitting = self
            .clone()
            .submit_all(caller, request.into_inner(), sender, deadline);
        tokio::spawn(submitting.in_current_span());
        Ok(Response::new(Box::pin(ReceiverStream::new(answers))))
    }

    async fn get_order(
        &self,
        request: Request<pb::GetOrderRequest>,
    ) -> Answer<pb::GetOrderResponse> {
        let (caller, deadline) = call(&request)?;
        let (named, position) = self.parse.get_order(request.get_ref())?;
        self.claims.wait(position, deadline).await?;
        let order = self.claims.get_order(&caller, &named);
        Ok(Response::new(order.await?))
    }

    async fn list_orders(
        &self,
        request: Request<pb::ListOrdersRequest>,
    ) -> Answer<pb::ListOrdersResponse> {
        let (caller, deadline) = call(&request)?;
        let asked = self.parse.list_orders(request.into_inner())?;
        self.claims.wait(asked.position, deadline).await?;
        let after = asked.page.after.as_deref().and_then(sequence_of);
        let (orders, next) = self
            .claims
            .list_orders(&caller, &asked.filter, after, asked.page.size)
            .await?;
        let next = next.map_or_else(String::new, |next| asked.list.token(&next.to_be_bytes()));
        Ok(Response::new(pb::ListOrdersResponse {
            orders,
            next_page_token: next,
        }))
    }

    async fn appeal_order(
        &self,
        request: Request<pb::AppealOrderRequest>,
    ) -> Answer<pb::AppealOrderResponse> {
        let (caller, deadline) = call(&request)?;
        let (asked, named, statement, evidence) = self.parse.appeal(request.into_inner())?;
        let position = self
            .claims
            .appeal_order(&caller, asked, named, statement, evidence, deadline)
            .await?;
        Ok(Response::new(pb::AppealOrderResponse {
            position: position.to_string(),
        }))
    }

    async fn decide_appeal(
        &self,
        request: Request<pb::DecideAppealRequest>,
    ) -> Answer<pb::DecideAppealResponse> {
        let (caller, deadline) = call(&request)?;
        let (asked, key, accept) = self.parse.decision(request.into_inner())?;
        let (standing, position) = self
            .claims
            .decide_appeal(&caller, asked, key, accept, deadline)
            .await?;
        Ok(Response::new(pb::DecideAppealResponse {
            standing: Some(standing),
            position: position.to_string(),
        }))
    }

    async fn list_appeals(
        &self,
        request: Request<pb::ListAppealsRequest>,
    ) -> Answer<pb::ListAppealsResponse> {
        let (caller, deadline) = call(&request)?;
        let asked = self.parse.list_appeals(request.into_inner())?;
        self.claims.wait(asked.position, deadline).await?;
        let after = asked.page.after.as_deref().and_then(cursor_of);
        let (appeals, next) = self
            .claims
            .list_appeals(&caller, &asked.filter, after, asked.page.size)
            .await?;
        let next = next.map_or_else(String::new, |next| asked.list.token(&cursor_bytes(next)));
        Ok(Response::new(pb::ListAppealsResponse {
            appeals,
            next_page_token: next,
        }))
    }

    async fn list_held_orders(
        &self,
        request: Request<pb::ListHeldOrdersRequest>,
    ) -> Answer<pb::ListHeldOrdersResponse> {
        let (caller, deadline) = call(&request)?;
        let asked = self.parse.list_held(request.into_inner())?;
        self.claims.wait(asked.position, deadline).await?;
        let after = asked.page.after.as_deref().and_then(cursor_of);
        let (orders, next) = self
            .claims
            .list_held(&caller, &asked.filter, after, asked.page.size)
            .await?;
        let next = next.map_or_else(String::new, |next| asked.list.token(&cursor_bytes(next)));
        Ok(Response::new(pb::ListHeldOrdersResponse {
            orders,
            next_page_token: next,
        }))
    }

    async fn decide_hold(
        &self,
        request: Request<pb::DecideHoldRequest>,
    ) -> Answer<pb::DecideHoldResponse> {
        let (caller, deadline) = call(&request)?;
        let (asked, decision) = self.parse.hold_decision(request.into_inner())?;
        let (standing, position) = self
            .claims
            .decide_hold(&caller, asked, decision, deadline)
            .await?;
        Ok(Response::new(pb::DecideHoldResponse {
            standing: Some(standing),
            position: position.to_string(),
        }))
    }

    async fn draft_settlement(
        &self,
        request: Request<pb::DraftSettlementRequest>,
    ) -> Answer<pb::DraftSettlementResponse> {
        let (caller, deadline) = call(&request)?;
        let (asked, programme, provider, month) = self.parse.draft(request.into_inner())?;
        let (settlement, position) = self
            .claims
            .draft_settlement(&caller, asked, programme, provider, month, deadline)
            .await?;
        Ok(Response::new(pb::DraftSettlementResponse {
            settlement: Some(settlement),
            position: position.to_string(),
        }))
    }

    async fn confirm_settlement(
        &self,
        request: Request<pb::ConfirmSettlementRequest>,
    ) -> Answer<pb::ConfirmSettlementResponse> {
        let (caller, _) = call(&request)?;
        let (asked, which, total) = self.parse.confirm(request.into_inner())?;
        let confirmed = self.claims.confirm_settlement(&caller, asked, which, total);
        let (settlement, position) = confirmed.await?;
        Ok(Response::new(pb::ConfirmSettlementResponse {
            settlement: Some(settlement),
            position: position.to_string(),
        }))
    }

    async fn record_payment(
        &self,
        request: Request<pb::RecordPaymentRequest>,
    ) -> Answer<pb::RecordPaymentResponse> {
        let (caller, _) = call(&request)?;
        let today = self.claims.clock.today();
        let (asked, which, payment) = self.parse.payment(request.into_inner(), today)?;
        let paid = self.claims.record_payment(&caller, asked, which, payment);
        let (settlement, position) = paid.await?;
        Ok(Response::new(pb::RecordPaymentResponse {
            settlement: Some(settlement),
            position: position.to_string(),
        }))
    }

    async fn adjust_settlement(
        &self,
        request: Request<pb::AdjustSettlementRequest>,
    ) -> Answer<pb::AdjustSettlementResponse> {
        let (caller, _) = call(&request)?;
        let (asked, which, wrong) = self.parse.adjustment(request.into_inner())?;
        let adjusted = self.claims.adjust_settlement(&caller, asked, which, wrong);
        let (adjustment, position) = adjusted.await?;
        Ok(Response::new(pb::AdjustSettlementResponse {
            adjustment_id: adjustment.to_string(),
            position: position.to_string(),
        }))
    }

    async fn get_settlement(
        &self,
        request: Request<pb::GetSettlementRequest>,
    ) -> Answer<pb::GetSettlementResponse> {
        let (caller, deadline) = call(&request)?;
        let (which, position) = self.parse.get_settlement(request.get_ref())?;
        self.claims.wait(position, deadline).await?;
        let settlement = self.claims.get_settlement(&caller, &which);
        Ok(Response::new(settlement.await?))
    }

    async fn list_settlements(
        &self,
        request: Request<pb::ListSettlementsRequest>,
    ) -> Answer<pb::ListSettlementsResponse> {
        let (caller, deadline) = call(&request)?;
        let asked = self.parse.list_settlements(request.into_inner())?;
        self.claims.wait(asked.position, deadline).await?;
        let after = asked.page.after.as_deref().and_then(settlement_of);
        let (settlements, next) = self
            .claims
            .list_settlements(&caller, &asked.filter, after, asked.page.size)
            .await?;
        let next = next.map_or_else(String::new, |(provider, number)| {
            asked.list.token(&settlement_bytes(&provider, number))
        });
        Ok(Response::new(pb::ListSettlementsResponse {
            settlements,
            next_page_token: next,
        }))
    }

    type ExportSettlementStream = Answers<pb::ExportSettlementResponse>;

    async fn export_settlement(
        &self,
        request: Request<pb::ExportSettlementRequest>,
    ) -> Answer<Self::ExportSettlementStream> {
        let (caller, deadline) = call(&request)?;
        let (which, format, position) = self.parse.export_settlement(request.get_ref())?;
        self.claims.wait(position, deadline).await?;
        let file = self
            .claims
            .export_settlement(&caller, &which, format)
            .await?;
        let pieces = file.pieces();
        Ok(Response::new(
            pieces
                .map(|chunk| Ok(pb::ExportSettlementResponse { chunk }))
                .boxed(),
        ))
    }

    async fn list_suspicions(
        &self,
        request: Request<pb::ListSuspicionsRequest>,
    ) -> Answer<pb::ListSuspicionsResponse> {
        let (caller, deadline) = call(&request)?;
        let (filter, position) = self.parse.suspicions(request.get_ref())?;
        self.claims.wait(position, deadline).await?;
        let suspicions = self.claims.suspicions(&caller, &filter).await?;
        Ok(Response::new(pb::ListSuspicionsResponse { suspicions }))
    }

    async fn fund_deposit(
        &self,
        request: Request<pb::FundDepositRequest>,
    ) -> Answer<pb::FundDepositResponse> {
        let (caller, _) = call(&request)?;
        let (asked, programme, deposit) = self.parse.deposit(request.into_inner())?;
        let deposited = self.claims.deposit(&caller, asked, &programme, deposit);
        Ok(Response::new(pb::FundDepositResponse {
            position: deposited.await?.to_string(),
        }))
    }

    async fn get_fund(&self, request: Request<pb::GetFundRequest>) -> Answer<pb::GetFundResponse> {
        let (caller, deadline) = call(&request)?;
        let (programme, position) = self.parse.fund(request.get_ref())?;
        self.claims.wait(position, deadline).await?;
        let fund = self.claims.fund(&caller, &programme).await?;
        Ok(Response::new(fund))
    }

    async fn get_fund_ledger(
        &self,
        request: Request<pb::GetFundLedgerRequest>,
    ) -> Answer<pb::GetFundLedgerResponse> {
        let (caller, deadline) = call(&request)?;
        let asked = self.parse.ledger(request.into_inner())?;
        self.claims.wait(asked.position, deadline).await?;
        let after = asked.page.after.as_deref().and_then(entry_of);
        let (entries, next) = self
            .claims
            .ledger(&caller, &asked.filter, after, asked.page.size)
            .await?;
        let next = next.map_or_else(String::new, |next| asked.list.token(&entry_bytes(next)));
        Ok(Response::new(pb::GetFundLedgerResponse {
            entries,
            next_page_token: next,
        }))
    }

    async fn get_figures(
        &self,
        request: Request<pb::GetFiguresRequest>,
    ) -> Answer<pb::GetFiguresResponse> {
        let (caller, deadline) = call(&request)?;
        let (filter, groups, position) = self.parse.figures(request.get_ref())?;
        self.claims.wait(position, deadline).await?;
        let figures = self.claims.figures(&caller, &filter, &groups).await?;
        Ok(Response::new(figures))
    }
}

fn call<T>(request: &Request<T>) -> Result<(Caller, Deadline), Status> {
    Ok((Caller::from_request(request)?, Deadline::of(request)))
}
