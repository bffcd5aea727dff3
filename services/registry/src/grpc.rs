//! The gRPC face of the registry: parse, execute, answer. No rule lives here.

use std::pin::Pin;

use eventlog::RequestDigest;
use futures::{Stream, StreamExt as _};
use prost::Message;
use proto::eldercare::registry::v1::{self as pb, registry_service_server::RegistryService};
use service::{Action, Actions};
use tonic::{Request, Response, Status, Streaming};

use crate::{
    call::Call,
    commands::Done,
    parse,
    registry::Registry,
    survey::imports::{self, Imports},
};

/// The gRPC face.
#[derive(Clone)]
pub(crate) struct RegistryFace {
    registry: Registry,
    imports: Imports,
}

impl RegistryFace {
    pub(crate) fn new(registry: Registry) -> Self {
        Self {
            registry,
            imports: Imports::default(),
        }
    }
}

/// What each method does, as the policies speak of it.
pub(crate) fn actions() -> Actions {
    let write = [
        "RegisterElder",
        "UpdateElder",
        "CorrectIdentity",
        "RelocateElder",
        "RecordAssessment",
        "RecordHandicap",
        "RecordObservation",
        "RecordCircumstance",
        "EndCircumstance",
        "SetContacts",
        "RecordConsent",
        "RecordDeath",
        "RecordMoveOut",
        "ReinstateElder",
        "ReportDuplicate",
    ]
    .map(|method| (method, Action::Write));
    Actions::new()
        .declare("eldercare.registry.v1.RegistryService", &write)
        .declare(
            "eldercare.registry.v1.RegistryService",
            &[
                ("GetElder", Action::ReadPersonal),
                ("BatchGetElders", Action::ReadPersonal),
                ("ListElders", Action::ReadPersonal),
                ("SearchElders", Action::ReadPersonal),
                ("GetElderHistory", Action::ReadPersonal),
                ("ListDuplicates", Action::ReadPersonal),
                ("DismissDuplicate", Action::Review),
                ("MergeElders", Action::Review),
                ("UnmergeElders", Action::Review),
                ("EraseElder", Action::Erase),
                ("ImportSurvey", Action::Import),
                ("ExportSummary", Action::ExportPersonal),
                ("ExportElderForm", Action::ExportPersonal),
                ("GetStatistics", Action::ReadStatistics),
                ("ImportDivisions", Action::Administer),
                ("ListDivisions", Action::ReadReference),
            ],
        )
}

type Answer<T> = Result<Response<T>, Status>;
type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// A request that asks for a change under an id of its caller's.
trait Asked: Message {
    fn request_id(&mut self) -> &mut String;
}

macro_rules! asked {
    ($($request:ident)+) => {$(
        impl Asked for pb::$request {
            fn request_id(&mut self) -> &mut String {
                &mut self.request_id
            }
        }
    )+};
}

asked! {
    RegisterElderRequest UpdateElderRequest CorrectIdentityRequest RelocateElderRequest RecordAssessmentRequest
    RecordHandicapRequest RecordObservationRequest RecordCircumstanceRequest EndCircumstanceRequest SetContactsRequest
    RecordConsentRequest RecordDeathRequest RecordMoveOutRequest ReinstateElderRequest ReportDuplicateRequest
    DismissDuplicateRequest MergeEldersRequest UnmergeEldersRequest EraseElderRequest ImportDivisionsRequest
}

impl RegistryFace {
    fn call<T>(&self, request: &Request<T>) -> Result<Call, Status> {
        Call::of(request, &self.registry.clock)
    }

    /// A command with its call, and the digest by which it is known again whatever its id.
    fn command<T: Asked>(
        &self,
        method: &'static str,
        request: Request<T>,
    ) -> Result<(Call, T, RequestDigest), Status> {
        let call = self.call(&request)?;
        let mut message = request.into_inner();
        let id = std::mem::take(message.request_id());
        let digest = self.registry.digest(method, &message);
        *message.request_id() = id;
        Ok((call, message, digest))
    }
}

fn committed(done: Done) -> Option<pb::Committed> {
    Some(done.into())
}

#[tonic::async_trait]
impl RegistryService for RegistryFace {
    async fn register_elder(
        &self,
        request: Request<pb::RegisterElderRequest>,
    ) -> Answer<pb::RegisterElderResponse> {
        let (call, request, digest) = self.command("RegisterElder", request)?;
        let registration = parse::commands::register(request, call.time())?;
        let done = self.registry.register(&call, &registration, digest).await?;
        let elder_id = done.elder.to_string();
        Ok(Response::new(pb::RegisterElderResponse {
            committed: committed(done),
            elder_id,
        }))
    }

    async fn get_elder(
        &self,
        request: Request<pb::GetElderRequest>,
    ) -> Answer<pb::GetElderResponse> {
        let call = self.call(&request)?;
        let get = parse::queries::get(request.get_ref(), call.now)?;
        let elder = self.registry.get(&call, &get).await?;
        Ok(Response::new(pb::GetElderResponse { elder: Some(elder) }))
    }

    async fn batch_get_elders(
        &self,
        request: Request<pb::BatchGetEldersRequest>,
    ) -> Answer<pb::BatchGetEldersResponse> {
        let call = self.call(&request)?;
        let batch = parse::queries::batch_get(request.get_ref())?;
        self.registry.batch(&call, &batch).await.map(Response::new)
    }

    async fn list_elders(
        &self,
        request: Request<pb::ListEldersRequest>,
    ) -> Answer<pb::ListEldersResponse> {
        let call = self.call(&request)?;
        let listed = parse::queries::list(request.into_inner())?;
        self.registry.list(&call, &listed).await.map(Response::new)
    }

    async fn search_elders(
        &self,
        request: Request<pb::SearchEldersRequest>,
    ) -> Answer<pb::SearchEldersResponse> {
        let call = self.call(&request)?;
        let search = parse::queries::search(request.into_inner())?;
        self.registry
            .search(&call, &search)
            .await
            .map(Response::new)
    }

    async fn update_elder(
        &self,
        request: Request<pb::UpdateElderRequest>,
    ) -> Answer<pb::UpdateElderResponse> {
        let (call, request, digest) = self.command("UpdateElder", request)?;
        let command = parse::commands::update(request, call.time())?;
        let done = self.registry.update(&call, &command, digest).await?;
        Ok(Response::new(pb::UpdateElderResponse {
            committed: committed(done),
        }))
    }

    async fn correct_identity(
        &self,
        request: Request<pb::CorrectIdentityRequest>,
    ) -> Answer<pb::CorrectIdentityResponse> {
        let (call, request, digest) = self.command("CorrectIdentity", request)?;
        let command = parse::commands::correct_identity(request, call.time())?;
        let done = self
            .registry
            .correct_identity(&call, &command, digest)
            .await?;
        Ok(Response::new(pb::CorrectIdentityResponse {
            committed: committed(done),
        }))
    }

    async fn relocate_elder(
        &self,
        request: Request<pb::RelocateElderRequest>,
    ) -> Answer<pb::RelocateElderResponse> {
        let (call, request, digest) = self.command("RelocateElder", request)?;
        let command = parse::commands::relocate(request, call.time())?;
        let done = self.registry.relocate(&call, &command, digest).await?;
        Ok(Response::new(pb::RelocateElderResponse {
            committed: committed(done),
        }))
    }

    async fn record_assessment(
        &self,
        request: Request<pb::RecordAssessmentRequest>,
    ) -> Answer<pb::RecordAssessmentResponse> {
        use elders::terms::WireTerm as _;
        let (call, request, digest) = self.command("RecordAssessment", request)?;
        let command = parse::commands::assess(request, call.time())?;
        let done = self.registry.assess(&call, &command, digest).await?;
        let level = command.what.capability.level.wire();
        Ok(Response::new(pb::RecordAssessmentResponse {
            committed: committed(done),
            level,
        }))
    }

    async fn record_handicap(
        &self,
        request: Request<pb::RecordHandicapRequest>,
    ) -> Answer<pb::RecordHandicapResponse> {
        let (call, request, digest) = self.command("RecordHandicap", request)?;
        let command = parse::commands::record_handicap(request, call.time())?;
        let done = self
            .registry
            .change_plainly(&call, &command, digest)
            .await?;
        Ok(Response::new(pb::RecordHandicapResponse {
            committed: committed(done),
        }))
    }

    async fn record_observation(
        &self,
        request: Request<pb::RecordObservationRequest>,
    ) -> Answer<pb::RecordObservationResponse> {
        let (call, request, digest) = self.command("RecordObservation", request)?;
        let command = parse::commands::record_observation(request, call.time())?;
        let done = self
            .registry
            .change_plainly(&call, &command, digest)
            .await?;
        Ok(Response::new(pb::RecordObservationResponse {
            committed: committed(done),
        }))
    }

    async fn record_circumstance(
        &self,
        request: Request<pb::RecordCircumstanceRequest>,
    ) -> Answer<pb::RecordCircumstanceResponse> {
        let (call, request, digest) = self.command("RecordCircumstance", request)?;
        let command = parse::commands::record_circumstance(request)?;
        let (done, id) = self
            .registry
            .record_circumstance(&call, &command, digest)
            .await?;
        let circumstance_id = id.to_string();
        Ok(Response::new(pb::RecordCircumstanceResponse {
            committed: committed(done),
            circumstance_id,
        }))
    }

    async fn end_circumstance(
        &self,
        request: Request<pb::EndCircumstanceRequest>,
    ) -> Answer<pb::EndCircumstanceResponse> {
        let (call, request, digest) = self.command("EndCircumstance", request)?;
        let command = parse::commands::end_circumstance(request, call.time())?;
        let done = self
            .registry
            .change_plainly(&call, &command, digest)
            .await?;
        Ok(Response::new(pb::EndCircumstanceResponse {
            committed: committed(done),
        }))
    }

    async fn set_contacts(
        &self,
        request: Request<pb::SetContactsRequest>,
    ) -> Answer<pb::SetContactsResponse> {
        let (call, request, digest) = self.command("SetContacts", request)?;
        let command = parse::commands::set_contacts(request)?;
        let done = self.registry.set_contacts(&call, &command, digest).await?;
        Ok(Response::new(pb::SetContactsResponse {
            committed: committed(done),
        }))
    }

    async fn record_consent(
        &self,
        request: Request<pb::RecordConsentRequest>,
    ) -> Answer<pb::RecordConsentResponse> {
        let (call, request, digest) = self.command("RecordConsent", request)?;
        let command = parse::commands::record_consent(request, call.time())?;
        let done = self
            .registry
            .change_plainly(&call, &command, digest)
            .await?;
        Ok(Response::new(pb::RecordConsentResponse {
            committed: committed(done),
        }))
    }

    async fn record_death(
        &self,
        request: Request<pb::RecordDeathRequest>,
    ) -> Answer<pb::RecordDeathResponse> {
        let (call, request, digest) = self.command("RecordDeath", request)?;
        let command = parse::commands::record_death(request, call.time())?;
        let done = self
            .registry
            .change_plainly(&call, &command, digest)
            .await?;
        Ok(Response::new(pb::RecordDeathResponse {
            committed: committed(done),
        }))
    }

    async fn record_move_out(
        &self,
        request: Request<pb::RecordMoveOutRequest>,
    ) -> Answer<pb::RecordMoveOutResponse> {
        let (call, request, digest) = self.command("RecordMoveOut", request)?;
        let command = parse::commands::move_out(request, call.time())?;
        let done = self
            .registry
            .change_plainly(&call, &command, digest)
            .await?;
        Ok(Response::new(pb::RecordMoveOutResponse {
            committed: committed(done),
        }))
    }

    async fn reinstate_elder(
        &self,
        request: Request<pb::ReinstateElderRequest>,
    ) -> Answer<pb::ReinstateElderResponse> {
        let (call, request, digest) = self.command("ReinstateElder", request)?;
        let command = parse::commands::reinstate(request, call.time())?;
        let done = self
            .registry
            .change_plainly(&call, &command, digest)
            .await?;
        Ok(Response::new(pb::ReinstateElderResponse {
            committed: committed(done),
        }))
    }

    async fn report_duplicate(
        &self,
        request: Request<pb::ReportDuplicateRequest>,
    ) -> Answer<pb::ReportDuplicateResponse> {
        let (call, request, digest) = self.command("ReportDuplicate", request)?;
        let command = parse::tables_and_pairs::report_duplicate(request)?;
        let done = self
            .registry
            .report_duplicate(&call, &command, digest)
            .await?;
        let duplicate_id = command.pair.id().to_string();
        Ok(Response::new(pb::ReportDuplicateResponse {
            committed: committed(done),
            duplicate_id,
        }))
    }

    async fn dismiss_duplicate(
        &self,
        request: Request<pb::DismissDuplicateRequest>,
    ) -> Answer<pb::DismissDuplicateResponse> {
        let (call, request, digest) = self.command("DismissDuplicate", request)?;
        let command = parse::tables_and_pairs::dismiss_duplicate(request)?;
        let done = self
            .registry
            .dismiss_duplicate(&call, &command, digest)
            .await?;
        Ok(Response::new(pb::DismissDuplicateResponse {
            committed: committed(done),
        }))
    }

    async fn merge_elders(
        &self,
        request: Request<pb::MergeEldersRequest>,
    ) -> Answer<pb::MergeEldersResponse> {
        let (call, request, digest) = self.command("MergeElders", request)?;
        let command = parse::tables_and_pairs::merge(request)?;
        let done = self.registry.merge(&call, &command, digest).await?;
        Ok(Response::new(pb::MergeEldersResponse {
            committed: committed(done),
        }))
    }

    async fn unmerge_elders(
        &self,
        request: Request<pb::UnmergeEldersRequest>,
    ) -> Answer<pb::UnmergeEldersResponse> {
        let (call, request, digest) = self.command("UnmergeElders", request)?;
        let command = parse::tables_and_pairs::unmerge(request)?;
        let done = self.registry.unmerge(&call, &command, digest).await?;
        Ok(Response::new(pb::UnmergeEldersResponse {
            committed: committed(done),
        }))
    }

    async fn erase_elder(
        &self,
        request: Request<pb::EraseElderRequest>,
    ) -> Answer<pb::EraseElderResponse> {
        let (call, request, digest) = self.command("EraseElder", request)?;
        let command = parse::commands::erase(request)?;
        let done = self.registry.erase(&call, &command, digest).await?;
        Ok(Response::new(pb::EraseElderResponse {
            committed: committed(done),
        }))
    }

    async fn get_elder_history(
        &self,
        request: Request<pb::GetElderHistoryRequest>,
    ) -> Answer<pb::GetElderHistoryResponse> {
        let call = self.call(&request)?;
        let history = parse::queries::history(request.get_ref())?;
        self.registry
            .history(&call, &history)
            .await
            .map(Response::new)
    }

    async fn list_duplicates(
        &self,
        request: Request<pb::ListDuplicatesRequest>,
    ) -> Answer<pb::ListDuplicatesResponse> {
        let call = self.call(&request)?;
        let listed = parse::queries::list_duplicates(request.into_inner())?;
        self.registry
            .duplicates(&call, &listed)
            .await
            .map(Response::new)
    }

    type ImportSurveyStream = imports::Answers;

    async fn import_survey(
        &self,
        request: Request<Streaming<pb::ImportSurveyRequest>>,
    ) -> Answer<Self::ImportSurveyStream> {
        let call = self.call(&request)?;
        let answers = self
            .imports
            .import(self.registry.clone(), call, request.into_inner());
        answers.await.map(Response::new)
    }

    type ExportSummaryStream = Answers<pb::ExportSummaryResponse>;

    async fn export_summary(
        &self,
        request: Request<pb::ExportSummaryRequest>,
    ) -> Answer<Self::ExportSummaryStream> {
        let call = self.call(&request)?;
        let asked = parse::queries::export_summary(request.get_ref(), call.today())?;
        let book = self.registry.export_summary(&call, &asked).await?;
        Ok(Response::new(
            book.pieces()
                .map(|chunk| Ok(pb::ExportSummaryResponse { chunk }))
                .boxed(),
        ))
    }

    async fn export_elder_form(
        &self,
        request: Request<pb::ExportElderFormRequest>,
    ) -> Answer<pb::ExportElderFormResponse> {
        let call = self.call(&request)?;
        let (elder, min_position) = parse::queries::elder_form(request.get_ref())?;
        let workbook = self
            .registry
            .export_form(&call, elder, min_position.as_ref())
            .await?
            .into();
        Ok(Response::new(pb::ExportElderFormResponse { workbook }))
    }

    async fn get_statistics(
        &self,
        request: Request<pb::GetStatisticsRequest>,
    ) -> Answer<pb::GetStatisticsResponse> {
        let call = self.call(&request)?;
        let asked = parse::queries::statistics(request.get_ref(), call.today())?;
        self.registry
            .statistics(&call, &asked)
            .await
            .map(Response::new)
    }

    async fn import_divisions(
        &self,
        request: Request<pb::ImportDivisionsRequest>,
    ) -> Answer<pb::ImportDivisionsResponse> {
        let (call, request, digest) = self.command("ImportDivisions", request)?;
        let table = parse::tables_and_pairs::import_divisions(request)?;
        let committed = self
            .registry
            .import_divisions(&call, &table, digest)
            .await?;
        Ok(Response::new(pb::ImportDivisionsResponse {
            committed: Some(committed),
        }))
    }

    async fn list_divisions(
        &self,
        request: Request<pb::ListDivisionsRequest>,
    ) -> Answer<pb::ListDivisionsResponse> {
        let call = self.call(&request)?;
        let asked = parse::queries::list_divisions(request.into_inner())?;
        self.registry
            .divisions(&call, &asked)
            .await
            .map(Response::new)
    }
}
