//! The gRPC face of sharing: parse, execute, answer. No rule lives here.

use std::pin::Pin;

use civic::ElderId;
use futures::{Stream, StreamExt as _};
use proto::eldercare::sharing::v1 as pb;
use proto::eldercare::sharing::v1::sharing_service_server::{SERVICE_NAME, SharingService};
use service::{Action, Actions, AnswerRoom, Caller, Deadline};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::history;
use crate::parse::{self, Parse};
use crate::products::{Field, FieldKind, Product, ProductName, product};
use crate::sharing::Sharing;

/// The gRPC face.
#[derive(Clone)]
pub(crate) struct SharingFace {
    sharing: Sharing,
    parse: Parse,
    /// The largest message that is given, in bytes.
    largest_answer: usize,
    /// Once cancelled, streams that would go on for ever end.
    draining: CancellationToken,
}

impl SharingFace {
    /// Answers from these parts, in messages of so many bytes at most.
    pub(crate) fn new(
        sharing: Sharing,
        largest_answer: usize,
        draining: CancellationToken,
    ) -> Self {
        let parse = Parse {
            streams: sharing.logs.all().map(|log| log.stream().to_owned()),
            digests: sharing.digests.clone(),
        };
        Self {
            sharing,
            parse,
            largest_answer,
            draining,
        }
    }
}

/// What each method does, as the policies of permission speak of it.
pub fn actions() -> Actions {
    Actions::new().declare(
        SERVICE_NAME,
        &[
            ("ListProducts", Action::ReadReference),
            ("ProposeAgreement", Action::Administer),
            ("ApproveAgreement", Action::Review),
            ("SuspendAgreement", Action::Administer),
            ("EndAgreement", Action::Administer),
            ("GetAgreement", Action::ReadReference),
            ("ListAgreements", Action::ReadReference),
            ("GetDossier", Action::ReadShared),
            ("BreakGlass", Action::BreakGlass),
            ("FindElders", Action::ReadShared),
            ("GetSituation", Action::ReadStatistics),
            ("WatchSituation", Action::ReadStatistics),
            ("QueryFeed", Action::ReadShared),
            ("SubscribeFeed", Action::ReadShared),
            ("IssueFeedCredential", Action::Administer),
            ("RevokeFeedCredential", Action::Administer),
            ("ListErasures", Action::ReadReference),
            ("ConfirmErasure", Action::ConfirmErasure),
            ("GetAccessHistory", Action::ReadShared),
            ("GetAuditHead", Action::ReadReference),
            ("ExportAudit", Action::Operate),
        ],
    )
}

type Answer<T> = Result<Response<T>, Status>;
type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl SharingService for SharingFace {
    async fn list_products(
        &self,
        request: Request<pb::ListProductsRequest>,
    ) -> Answer<pb::ListProductsResponse> {
        call(&request)?;
        let products = ProductName::ALL
            .iter()
            .map(|name| of_product(product(*name)));
        Ok(Response::new(pb::ListProductsResponse {
            products: products.collect(),
        }))
    }

    async fn propose_agreement(
        &self,
        request: Request<pb::ProposeAgreementRequest>,
    ) -> Answer<pb::ProposeAgreementResponse> {
        let (caller, _) = call(&request)?;
        let today = self.sharing.clock.today();
        let (asked, terms) = self.parse.proposal(request.into_inner(), today)?;
        let (agreement, position) = self.sharing.propose(&caller, asked, terms).await?;
        Ok(Response::new(pb::ProposeAgreementResponse {
            agreement_id: agreement.to_string(),
            position: position.to_string(),
        }))
    }

    async fn approve_agreement(
        &self,
        request: Request<pb::ApproveAgreementRequest>,
    ) -> Answer<pb::ApproveAgreementResponse> {
        let (caller, _) = call(&request)?;
        let (asked, agreement) = self.parse.approval(request.into_inner())?;
        let position = self.sharing.approve(&caller, asked, agreement).await?;
        Ok(Response::new(pb::ApproveAgreementResponse {
            position: position.to_string(),
        }))
    }

    async fn suspend_agreement(
        &self,
        request: Request<pb::SuspendAgreementRequest>,
    ) -> Answer<pb::SuspendAgreementResponse> {
        let (caller, deadline) = call(&request)?;
        let (asked, agreement, reason) = self.parse.suspension(request.into_inner())?;
        let position = self
            .sharing
            .suspend(&caller, asked, agreement, reason, deadline)
            .await?;
        Ok(Response::new(pb::SuspendAgreementResponse {
            position: position.to_string(),
        }))
    }

    async fn end_agreement(
        &self,
        request: Request<pb::EndAgreementRequest>,
    ) -> Answer<pb::EndAgreementResponse> {
        let (caller, deadline) = call(&request)?;
        let (asked, agreement, reason) = self.parse.end(request.into_inner())?;
        let position = self
            .sharing
            .end(&caller, asked, agreement, reason, deadline)
            .await?;
        Ok(Response::new(pb::EndAgreementResponse {
            position: position.to_string(),
        }))
    }

    async fn get_agreement(
        &self,
        request: Request<pb::GetAgreementRequest>,
    ) -> Answer<pb::GetAgreementResponse> {
        let (caller, deadline) = call(&request)?;
        let (agreement, position) = self.parse.get_agreement(request.get_ref())?;
        self.sharing.wait(position, deadline).await?;
        let agreement = self.sharing.get_agreement(&caller, agreement).await?;
        Ok(Response::new(pb::GetAgreementResponse {
            agreement: Some(agreement),
        }))
    }

    async fn list_agreements(
        &self,
        request: Request<pb::ListAgreementsRequest>,
    ) -> Answer<pb::ListAgreementsResponse> {
        let (caller, deadline) = call(&request)?;
        let asked = self.parse.list_agreements(request.into_inner())?;
        self.sharing.wait(asked.position, deadline).await?;
        let before = asked.page.after.as_deref().and_then(sequence_of);
        let (agreements, next) = self
            .sharing
            .list_agreements(&caller, &asked.filter, before, asked.page.size)
            .await?;
        let next = next.map_or_else(String::new, |next| asked.list.token(&next.to_be_bytes()));
        Ok(Response::new(pb::ListAgreementsResponse {
            agreements,
            next_page_token: next,
        }))
    }

    async fn get_dossier(
        &self,
        request: Request<pb::GetDossierRequest>,
    ) -> Answer<pb::GetDossierResponse> {
        let (caller, deadline) = call(&request)?;
        let address = address_of(&caller);
        let (asked, position) = self.parse.dossier(request.get_ref())?;
        self.sharing.wait(position, deadline).await?;
        let dossier = self.sharing.dossier(&caller, asked, address).await?;
        Ok(Response::new(dossier))
    }

    async fn break_glass(
        &self,
        request: Request<pb::BreakGlassRequest>,
    ) -> Answer<pb::BreakGlassResponse> {
        let (caller, _) = call(&request)?;
        let address = address_of(&caller);
        let (asked, elder, reason, newest) = self.parse.break_glass(request.into_inner())?;
        let dossier = self
            .sharing
            .break_glass(&caller, asked, elder, reason, newest, address)
            .await?;
        Ok(Response::new(dossier))
    }

    async fn find_elders(
        &self,
        request: Request<pb::FindEldersRequest>,
    ) -> Answer<pb::FindEldersResponse> {
        let (caller, deadline) = call(&request)?;
        let address = address_of(&caller);
        let today = self.sharing.clock.today();
        let asked = self.parse.find(request.into_inner(), today)?;
        self.sharing.wait(asked.position, deadline).await?;
        let after = asked.page.after.as_deref().and_then(elder_of);
        let found = self
            .sharing
            .find_elders(&caller, &asked.filter, after, asked.page.size, address)
            .await?;
        let next = found.next.map_or_else(String::new, |next| {
            asked.list.token(next.as_uuid().as_bytes())
        });
        Ok(Response::new(pb::FindEldersResponse {
            elders: found.elders,
            next_page_token: next,
            agreement_ids: found.agreements.iter().map(Uuid::to_string).collect(),
        }))
    }

    async fn get_situation(
        &self,
        request: Request<pb::GetSituationRequest>,
    ) -> Answer<pb::GetSituationResponse> {
        let (caller, deadline) = call(&request)?;
        let today = self.sharing.clock.today();
        let (division, on, position) = self.parse.situation(request.get_ref(), today)?;
        self.sharing.wait(position, deadline).await?;
        let situation = self.sharing.situation(&caller, division, on).await?;
        Ok(Response::new(pb::GetSituationResponse {
            situation: Some(situation),
        }))
    }

    type WatchSituationStream = Answers<pb::WatchSituationResponse>;

    async fn watch_situation(
        &self,
        request: Request<pb::WatchSituationRequest>,
    ) -> Answer<Self::WatchSituationStream> {
        let (caller, _) = call(&request)?;
        let division = parse::watch(request.get_ref())?;
        let situations = self.sharing.watch_situation(&caller, division)?;
        Ok(Response::new(self.until_draining(situations)))
    }

    async fn query_feed(
        &self,
        request: Request<pb::QueryFeedRequest>,
    ) -> Answer<pb::QueryFeedResponse> {
        let (caller, _) = call(&request)?;
        let address = address_of(&caller);
        let (asked, size) = parse::query_feed(request.get_ref())?;
        let room = AnswerRoom::within(self.largest_answer);
        let events = self
            .sharing
            .query_feed(&caller, asked, size, room, &address)
            .await?;
        Ok(Response::new(events))
    }

    type SubscribeFeedStream = Answers<pb::SubscribeFeedResponse>;

    async fn subscribe_feed(
        &self,
        request: Request<pb::SubscribeFeedRequest>,
    ) -> Answer<Self::SubscribeFeedStream> {
        let (caller, _) = call(&request)?;
        let address = address_of(&caller);
        let asked = parse::subscribe_feed(request.get_ref())?;
        let events = self.sharing.subscribe_feed(&caller, asked, address).await?;
        Ok(Response::new(self.until_draining(events)))
    }

    async fn issue_feed_credential(
        &self,
        request: Request<pb::IssueFeedCredentialRequest>,
    ) -> Answer<pb::IssueFeedCredentialResponse> {
        let (caller, deadline) = call(&request)?;
        let (asked, department) = self.parse.issue_credential(request.into_inner())?;
        let issued = self
            .sharing
            .issue_feed_credential(&caller, asked, department, deadline)
            .await?;
        Ok(Response::new(issued))
    }

    async fn revoke_feed_credential(
        &self,
        request: Request<pb::RevokeFeedCredentialRequest>,
    ) -> Answer<pb::RevokeFeedCredentialResponse> {
        let (caller, deadline) = call(&request)?;
        let (asked, department, reason) = self.parse.revoke_credential(request.into_inner())?;
        let position = self
            .sharing
            .revoke_feed_credential(&caller, asked, department, reason, deadline)
            .await?;
        Ok(Response::new(pb::RevokeFeedCredentialResponse {
            position: position.to_string(),
        }))
    }

    async fn list_erasures(
        &self,
        request: Request<pb::ListErasuresRequest>,
    ) -> Answer<pb::ListErasuresResponse> {
        let (caller, deadline) = call(&request)?;
        let asked = self.parse.list_erasures(request.into_inner())?;
        self.sharing.wait(asked.position, deadline).await?;
        let before = asked.page.after.as_deref().and_then(cursor_of);
        let (receipts, next) = self
            .sharing
            .list_erasures(&caller, &asked.filter, before, asked.page.size)
            .await?;
        let next = next.map_or_else(String::new, |next| asked.list.token(&cursor_bytes(next)));
        Ok(Response::new(pb::ListErasuresResponse {
            receipts,
            next_page_token: next,
        }))
    }

    async fn confirm_erasure(
        &self,
        request: Request<pb::ConfirmErasureRequest>,
    ) -> Answer<pb::ConfirmErasureResponse> {
        let (caller, _) = call(&request)?;
        let (asked, elder) = self.parse.confirm_erasure(request.into_inner())?;
        let position = self.sharing.confirm_erasure(&caller, asked, elder).await?;
        Ok(Response::new(pb::ConfirmErasureResponse {
            position: position.to_string(),
        }))
    }

    async fn get_access_history(
        &self,
        request: Request<pb::GetAccessHistoryRequest>,
    ) -> Answer<pb::GetAccessHistoryResponse> {
        let (caller, deadline) = call(&request)?;
        let address = address_of(&caller);
        let asked = self.parse.history(request.into_inner())?;
        self.sharing.wait(asked.position, deadline).await?;
        let before = asked.page.after.as_deref().and_then(cursor_of);
        let page = (before, asked.page.size);
        let room = AnswerRoom::within(self.largest_answer);
        let (looks, next) = self
            .sharing
            .get_access_history(&caller, &asked.filter, page, room, address)
            .await?;
        let next = next.map_or_else(String::new, |next| asked.list.token(&cursor_bytes(next)));
        Ok(Response::new(pb::GetAccessHistoryResponse {
            looks,
            next_page_token: next,
        }))
    }

    async fn get_audit_head(
        &self,
        request: Request<pb::GetAuditHeadRequest>,
    ) -> Answer<pb::GetAuditHeadResponse> {
        call(&request)?;
        Ok(Response::new(self.sharing.get_audit_head().await?))
    }

    type ExportAuditStream = Answers<pb::ExportAuditResponse>;

    async fn export_audit(
        &self,
        request: Request<pb::ExportAuditRequest>,
    ) -> Answer<Self::ExportAuditStream> {
        let (caller, _) = call(&request)?;
        // The log tells of elders of all divisions.
        caller.may_everywhere()?;
        // It tells who looked at whom, though the action reads of nobody.
        caller.says_what_for()?;
        let address = address_of(&caller);
        let first = parse::export(request.get_ref())?;
        let records = self.sharing.export_audit(&caller, first, address).await?;
        Ok(Response::new(records.boxed()))
    }
}

impl SharingFace {
    /// A stream that has no end of its own, until the server goes down.
    fn until_draining<T>(
        &self,
        answers: impl Stream<Item = Result<T, Status>> + Send + 'static,
    ) -> Answers<T> {
        let draining = self.draining.clone().cancelled_owned();
        answers.take_until(draining).boxed()
    }
}

fn call<T>(request: &Request<T>) -> Result<(Caller, Deadline), Status> {
    Ok((Caller::from_request(request)?, Deadline::of(request)))
}

/// From where a call comes; empty where that is not known.
fn address_of(caller: &Caller) -> String {
    let address = caller.address();
    address.map_or_else(String::new, |address| address.to_string())
}

fn elder_of(bytes: &[u8]) -> Option<ElderId> {
    Uuid::from_slice(bytes).ok().map(ElderId)
}

fn sequence_of(bytes: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(bytes.try_into().ok()?))
}

fn cursor_bytes((sequence, place): history::Cursor) -> Vec<u8> {
    let mut bytes = sequence.to_be_bytes().to_vec();
    bytes.extend_from_slice(&place.to_be_bytes());
    bytes
}

fn cursor_of(bytes: &[u8]) -> Option<history::Cursor> {
    let (sequence, place) = bytes.split_at_checked(8)?;
    let place = i32::from_be_bytes(place.try_into().ok()?);
    Some((sequence_of(sequence)?, place))
}

fn of_product(product: &Product) -> pb::Product {
    pb::Product {
        name: product.name.name().to_owned(),
        title: product.title.to_owned(),
        owner: product.owner.to_owned(),
        department: product.department.to_owned(),
        legal_basis: product.legal_basis.to_owned(),
        freshness_ms: product.freshness_ms,
        fields: product.fields.iter().map(of_field).collect(),
        schema: product.schema().to_string(),
    }
}

fn of_field(field: &Field) -> pb::ProductField {
    pb::ProductField {
        name: field.name.to_owned(),
        title: field.title.to_owned(),
        kind: of_kind(field.kind).into(),
        personal: field.personal(),
        maskable: field.maskable(),
        description: field.description.to_owned(),
    }
}

fn of_kind(kind: FieldKind) -> pb::FieldKind {
    match kind {
        FieldKind::Code => pb::FieldKind::Code,
        FieldKind::Codes => pb::FieldKind::Codes,
        FieldKind::Id => pb::FieldKind::Id,
        FieldKind::Day => pb::FieldKind::Day,
        FieldKind::Instant => pb::FieldKind::Instant,
        FieldKind::Number => pb::FieldKind::Number,
        FieldKind::Money => pb::FieldKind::Money,
        FieldKind::Flag => pb::FieldKind::Flag,
        FieldKind::Name => pb::FieldKind::Name,
        FieldKind::IdNumber => pb::FieldKind::IdNumber,
        FieldKind::Phone => pb::FieldKind::Phone,
        FieldKind::Address => pb::FieldKind::Address,
        FieldKind::BirthDate => pb::FieldKind::BirthDate,
        FieldKind::Text => pb::FieldKind::Text,
        FieldKind::Contacts => pb::FieldKind::Contacts,
    }
}
