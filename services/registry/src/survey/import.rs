//! The import of a survey: each row that can stand becomes a file, once, however often the workbook is sent.
//!
//! A row's request id follows from the import's id and the row's number, and the elder's id from that. An import that was
//! cut off is therefore gone through again from the top, and each row ends as it did before: what was written is found,
//! what was not is written now.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use civic::{Category, DivisionCode, ElderId, ElderStatus, IdNumber, LocalDay, PersonName, Set, VillageCode};
use elders::{
    codec::write_day,
    event::{Capability, Consent, Source, Spoken},
};
use eventlog::Position;
use futures::{StreamExt as _, stream};
use proto::eldercare::{registry::v1 as pb, r#type::v1 as types};
use tokio::sync::mpsc;
use tonic::{Code, Status};
use uuid::Uuid;

use super::{
    Column, Limits, Sheet, TownVillages, resurvey,
    row::{self, Candidate, Rejection, Warning},
    workbook,
};
use crate::{
    call::Call,
    derived_ids,
    elder_files::{FoundFile, ListedFiles},
    parse::{commands::Registration, queries::ImportOptions},
    refusals,
    registry::{Registry, open_identity},
};

/// How many rows are looked up together; their outcomes are told together too.
const ROWS_AT_ONCE: usize = 512;

/// How many elders are registered side by side.
const SIDE_BY_SIDE: usize = 96;

/// How many files of a town are listed at a time.
const LISTED_AT_ONCE: usize = 1_000;

/// Where the messages of the answer go.
type Answers = mpsc::Sender<Result<pb::ImportSurveyResponse, Status>>;

/// One import under way.
struct Import<'a> {
    registry: &'a Registry,
    call: &'a Call,
    options: ImportOptions,
    as_of: LocalDay,
    /// The digest of the workbook: the same import may not be sent with another one.
    digest: [u8; 16],
    summary: pb::ImportSummary,
    last_position: u64,
    listed: HashSet<ElderId>,
    /// Claims to the numbers of rows that were rejected: these elders are listed all the same.
    listed_claims: Vec<String>,
}

/// A data row on its way.
struct Judged {
    row: u32,
    judgement: Result<Candidate, Rejection>,
    id_number: Option<IdNumber>,
}

/// What became of a row.
struct Outcome {
    row: pb::RowOutcome,
    elder: Option<ElderId>,
    position: Option<u64>,
}

/// The client has gone, or the import failed with this.
enum Ended {
    Unheard,
    Failed(Status),
}

impl From<Status> for Ended {
    fn from(status: Status) -> Self {
        Self::Failed(status)
    }
}

impl Registry {
    /// Reads a workbook and imports it, telling outcomes and progress as it goes.
    pub(crate) async fn import_survey(&self, call: Call, options: ImportOptions, file: Vec<u8>, answers: Answers) {
        match self.run_import(&call, options, file, &answers).await {
            // Nobody listens any more: the rest waits until the workbook is sent again.
            Ok(()) | Err(Ended::Unheard) => {}
            Err(Ended::Failed(status)) => {
                let _unheard = answers.send(Err(status)).await;
            }
        }
    }

    async fn run_import(
        &self,
        call: &Call,
        options: ImportOptions,
        file: Vec<u8>,
        answers: &Answers,
    ) -> Result<(), Ended> {
        let town = self.town(&options.town).await?;
        let digest = self.index.request_digest("ImportSurvey", &file);
        let sheet = tokio::task::spawn_blocking(move || workbook::read(&file, &Limits::DEFAULT))
            .await
            .map_err(|error| service::errors::internal(&error))?
            .map_err(|error| refusals::of_workbook(&error))?;
        // What is registered is looked up in the read model: it must hold what was there before this import.
        let last = self.log.last_sequence().await.map_err(|error| refusals::of_loading(error.into()))?;
        self.reach(call, Some(&Position::new(self.log.stream(), last))).await?;
        let mut import = Import {
            registry: self,
            call,
            options,
            as_of: sheet.as_of(),
            digest,
            summary: pb::ImportSummary {
                as_of: Some(write_day(sheet.as_of())),
                rows: count(sheet.len()),
                ..pb::ImportSummary::default()
            },
            last_position: 0,
            listed: HashSet::new(),
            listed_claims: Vec::new(),
        };
        import.run(&sheet, &town, answers).await
    }

    /// The villages of a town.
    async fn town(&self, town: &DivisionCode) -> Result<TownVillages, Status> {
        let county = town.at(civic::DivisionLevel::County).unwrap_or(*town);
        let table = self.county(&county).await?;
        if table.state.name(town).is_none() {
            return Err(service::Refusal::new(
                Code::FailedPrecondition,
                "DIVISION_UNKNOWN",
                "the town is not in its county's table of divisions: import the divisions first",
                "区划表中没有该乡镇（街道），请先导入区划代码",
            )
            .precondition("town_code")
            .into());
        }
        let villages = table.state.iter().filter(|(code, _)| town.contains(code));
        Ok(TownVillages::new(villages.filter_map(|(code, name)| Some((VillageCode::try_from(*code).ok()?, name)))))
    }

    /// The files that hold these claims, by claim. A merged file counts by itself: it is the one under that number.
    async fn holders(&self, claims: &[String]) -> Result<HashMap<String, FoundFile>, Status> {
        self.files.by_claims(claims).await.map_err(refusals::of_database)
    }
}

impl Import<'_> {
    async fn run(&mut self, sheet: &Sheet, town: &TownVillages, answers: &Answers) -> Result<(), Ended> {
        let mut rows = sheet.rows().map(|row| {
            let id_number = row.text(Column::IdNumber).parse::<IdNumber>().ok();
            Judged { row: row.number(), judgement: row::judge(&row, town, self.as_of), id_number }
        });
        let mut done = 0;
        loop {
            let some: Vec<Judged> = rows.by_ref().take(ROWS_AT_ONCE).collect();
            if some.is_empty() {
                break;
            }
            let outcomes = conclude(self.registry, self.call, &self.options, self.as_of, self.digest, &some).await?;
            for (outcome, judged) in outcomes.into_iter().zip(&some) {
                self.last_position = self.last_position.max(outcome.position.unwrap_or_default());
                match (outcome.elder, judged.id_number) {
                    (Some(elder), _) => {
                        self.listed.insert(elder);
                    }
                    (None, Some(number)) if self.options.update => {
                        self.listed_claims.extend(self.registry.claims_to(&number));
                    }
                    (None, Some(_) | None) => {}
                }
                tally(&mut self.summary, outcome.row.outcome());
                tell(answers, pb::import_survey_response::Part::Row(outcome.row)).await?;
            }
            done += some.len();
            let progress = pb::ImportProgress { rows_done: count(done), rows_total: self.summary.rows };
            tell(answers, pb::import_survey_response::Part::Progress(progress)).await?;
        }
        drop(rows);
        if self.options.update {
            self.summary.no_longer_listed_elder_ids = self.no_longer_listed().await?;
        }
        if self.last_position > 0 {
            self.summary.position = self.position().to_string();
        }
        tell(answers, pb::import_survey_response::Part::Summary(std::mem::take(&mut self.summary))).await
    }

    fn position(&self) -> Position {
        Position::new(self.registry.log.stream(), self.last_position)
    }

    /// The town's active elders with a category whom the workbook does not list.
    async fn no_longer_listed(&mut self) -> Result<Vec<String>, Status> {
        let registry = self.registry;
        registry.reach(self.call, Some(&self.position()).filter(|position| position.sequence > 0)).await?;
        for claims in self.listed_claims.chunks(ROWS_AT_ONCE) {
            self.listed.extend(registry.holders(claims).await?.into_values().map(|file| file.elder.id));
        }
        let mut missing = Vec::new();
        let mut after = None;
        loop {
            let files = registry.files.list(ListedFiles {
                division: &self.options.town,
                categories: Category::ALL.iter().copied().collect(),
                assistance: Set::EMPTY,
                capabilities: Set::EMPTY,
                statuses: ElderStatus::Active.into(),
                on: self.as_of,
                after,
                limit: LISTED_AT_ONCE,
            });
            let files = files.await.map_err(refusals::of_database)?;
            after = files.last().map(|file| file.elder.id.as_uuid());
            let unlisted = files.iter().filter(|file| !self.listed.contains(&file.elder.id));
            missing.extend(unlisted.map(|file| file.elder.id.to_string()));
            if files.len() < LISTED_AT_ONCE {
                return Ok(missing);
            }
        }
    }
}

/// The outcomes of some rows, in their order. Rows with one ID number are concluded one after the other, others side by
/// side.
async fn conclude(
    registry: &Registry,
    call: &Call,
    options: &ImportOptions,
    as_of: LocalDay,
    digest: [u8; 16],
    rows: &[Judged],
) -> Result<Vec<Outcome>, Status> {
    let call = Call { now: registry.clock.now(), ..call.clone() };
    let claims: HashMap<IdNumber, Vec<String>> = rows
        .iter()
        .filter_map(|judged| judged.judgement.as_ref().ok())
        .map(|candidate| (candidate.id_number, registry.claims_to(&candidate.id_number)))
        .collect();
    let asked: Vec<String> = claims.values().flatten().cloned().collect();
    let holders = if asked.is_empty() { HashMap::new() } else { registry.holders(&asked).await? };
    let persons: Vec<Uuid> = holders.values().map(|file| file.elder.id.as_uuid()).collect();
    // Kept by the vault for the moment in which they are needed.
    let _keys = registry.vault.keys(&persons).await.map_err(refusals::of_keys)?;

    let mut outcomes: Vec<Option<Outcome>> = Vec::new();
    outcomes.resize_with(rows.len(), || None);
    let mut by_number: HashMap<IdNumber, Vec<(usize, &Candidate)>> = HashMap::new();
    let mut order = Vec::new();
    for (place, judged) in rows.iter().enumerate() {
        match &judged.judgement {
            Ok(candidate) => {
                let same = by_number.entry(candidate.id_number).or_insert_with(|| {
                    order.push(candidate.id_number);
                    Vec::new()
                });
                same.push((place, candidate));
            }
            Err(rejection) => outcomes[place] = Some(rejected(judged.row, *rejection)),
        }
    }
    let desk = Desk { registry, call: &call, options, as_of, digest };
    let mut concluded = stream::iter(order)
        .map(|number| {
            let (desk, claims, rows) = (&desk, &claims[&number], &by_number[&number]);
            let holder = claims.iter().find_map(|claim| holders.get(claim));
            async move {
                let mut outcomes = Vec::with_capacity(rows.len());
                for (place, candidate) in rows {
                    // Only the first row may rest on what was looked up for all: it may change it.
                    let holder = holder.filter(|_| outcomes.is_empty());
                    outcomes.push((*place, desk.conclude(candidate, claims, holder).await?));
                }
                Ok::<_, Status>(outcomes)
            }
        })
        .buffer_unordered(SIDE_BY_SIDE);
    while let Some(some) = concluded.next().await {
        for (place, outcome) in some? {
            outcomes[place] = Some(outcome);
        }
    }
    Ok(outcomes.into_iter().flatten().collect())
}

/// Where a row that can stand is held against the registry.
struct Desk<'a> {
    registry: &'a Registry,
    call: &'a Call,
    options: &'a ImportOptions,
    as_of: LocalDay,
    digest: [u8; 16],
}

impl Desk<'_> {
    async fn conclude(
        &self,
        candidate: &Candidate,
        claims: &[String],
        holder: Option<&FoundFile>,
    ) -> Result<Outcome, Status> {
        if let Some(file) = holder {
            return self.known(candidate, file.elder.id, Some(file)).await;
        }
        if let Some(elder) = self.holder_in_memory(claims).await? {
            return self.known(candidate, elder, None).await;
        }
        if self.options.dry_run {
            return Ok(accepted(candidate, None, None));
        }
        let registration = registration(candidate, self.options.import);
        match self.registry.register_from(self.call, &registration, self.digest, Source::Survey).await {
            Ok(done) => {
                let position = done.position.parse::<Position>().ok().map(|position| position.sequence);
                Ok(accepted(candidate, Some(done.elder), position))
            }
            Err(status) if status.code() == Code::AlreadyExists => {
                // Somebody was faster.
                for claim in claims {
                    let claim = self.registry.claims.load_newest(claim).await.map_err(refusals::of_loading)?;
                    if let Some(elder) = claim.state.holder() {
                        return self.known(candidate, elder, None).await;
                    }
                }
                Err(status)
            }
            Err(status) => Err(self.of_another_workbook(status)),
        }
    }

    /// Who holds the number by what this process has seen: a row above may just have registered it. What the read model
    /// does not know is taken for new otherwise; if it is not, the log says so.
    async fn holder_in_memory(&self, claims: &[String]) -> Result<Option<ElderId>, Status> {
        for claim in claims {
            self.registry.claims.assume_new(claim).map_err(|error| service::errors::internal(&error))?;
            let known = self.registry.claims.load(claim).await.map_err(refusals::of_loading)?;
            if let Some(elder) = known.state.holder() {
                return Ok(Some(elder));
            }
        }
        Ok(None)
    }

    /// The number is registered: by this very row on an earlier try, under the same name, or under another.
    async fn known(
        &self,
        candidate: &Candidate,
        elder: ElderId,
        looked_up: Option<&FoundFile>,
    ) -> Result<Outcome, Status> {
        let request = derived_ids::survey_row(self.options.import, candidate.row);
        if elder == derived_ids::elder(request) {
            let name = elder.to_string();
            let file = self.registry.elders.load(&name).await.map_err(refusals::of_loading)?;
            if let Some(known) = file.request(request) {
                if known.digest != self.digest {
                    return Err(self.of_another_workbook(service::errors::request_id_reused()));
                }
                return Ok(accepted(candidate, Some(elder), Some(known.sequence)));
            }
        }
        let Some(registered_as) = self.name_of(elder, looked_up).await? else {
            // Erased in this moment; the number is free again from the next try on.
            return Err(service::errors::aborted("CONTENDED", "an elder was erased meanwhile", "有老年人档案刚被删除，请重试"));
        };
        match candidate.identity(Some(&registered_as)) {
            row::Identity::Known if self.options.update => self.resurvey(candidate, elder, request).await,
            row::Identity::Known => Ok(duplicate(candidate, elder)),
            row::Identity::Conflict | row::Identity::New => {
                Ok(rejected(candidate.row, Rejection::IdentityConflict))
            }
        }
    }

    async fn name_of(&self, elder: ElderId, looked_up: Option<&FoundFile>) -> Result<Option<PersonName>, Status> {
        let loaded;
        let file = match looked_up {
            Some(found) => &*found.elder,
            None => {
                loaded = self.registry.elders.load(&elder.to_string()).await.map_err(refusals::of_loading)?;
                let Some(open) = loaded.state.0.open() else { return Ok(None) };
                open
            }
        };
        let key = match self.registry.vault.key(elder.as_uuid()).await {
            Ok(key) => key,
            Err(vault::KeyError::Erased) => return Ok(None),
            Err(vault::KeyError::Unavailable(away)) => return Err(refusals::of_keys(away)),
        };
        let identity = open_identity(&key, file)?;
        identity.name.parse().map(Some).map_err(|error| service::errors::internal(&error))
    }

    async fn resurvey(&self, candidate: &Candidate, elder: ElderId, request: Uuid) -> Result<Outcome, Status> {
        let resurvey = resurvey::Resurvey {
            registry: self.registry,
            call: self.call,
            request,
            digest: self.digest,
            as_of: self.as_of,
            dry_run: self.options.dry_run,
        };
        let taken = resurvey.take_over(candidate, elder).await.map_err(|status| self.of_another_workbook(status))?;
        let outcome =
            if taken.fields.is_empty() { pb::SurveyOutcome::Unchanged } else { pb::SurveyOutcome::Changed };
        let fields = taken.fields.into_iter().map(str::to_owned).collect();
        let row = pb::RowOutcome { changed_fields: fields, ..with_warnings(candidate, outcome, Some(taken.elder)) };
        Ok(Outcome { row, elder: Some(taken.elder), position: taken.position })
    }

    /// A row's request id that is known with another workbook means that the import's id is.
    fn of_another_workbook(&self, status: Status) -> Status {
        if status.code() == Code::InvalidArgument {
            return service::Violation::new(
                "options.import_id",
                "REQUEST_ID_REUSED",
                "was used before with another workbook: take a new one",
                "已用于另一个工作簿，请换用新的标识",
            )
            .into();
        }
        status
    }
}

/// What a row asks to be registered. A survey's facts have no day of their own: they hold since ever.
fn registration(candidate: &Candidate, import: Uuid) -> Registration {
    let position = candidate.position.map(|position| types::GeoPosition {
        latitude: position.latitude(),
        longitude: position.longitude(),
    });
    let address = candidate.address.clone();
    Registration {
        request_id: derived_ids::survey_row(import, candidate.row),
        name: candidate.name.clone(),
        id_number: candidate.id_number,
        village: candidate.village,
        home: (!address.is_empty() || position.is_some()).then_some(pb::Home { address, position }),
        categories: candidate.categories,
        assistance: candidate.assistance,
        capability: Capability { level: candidate.capability, assessed_on: None, source: "SURVEY".to_owned() },
        observations: candidate.observations,
        handicap_grade: candidate.handicap_grade,
        circumstances: Vec::new(),
        contacts: pb::ContactList { contacts: candidate.contact.iter().map(resurvey::contact).collect() },
        consent: Consent { state: candidate.consent, spoken: Spoken { by: None, at: None } },
        wanted_services: candidate.wanted_services,
        remarks: pb::Remarks { text: candidate.remarks.clone() },
        import: Some(import),
    }
}

fn accepted(candidate: &Candidate, elder: Option<ElderId>, position: Option<u64>) -> Outcome {
    Outcome { row: with_warnings(candidate, pb::SurveyOutcome::Accepted, elder), elder, position }
}

fn duplicate(candidate: &Candidate, elder: ElderId) -> Outcome {
    let row = pb::RowOutcome {
        row: number(candidate.row),
        outcome: pb::SurveyOutcome::Duplicate.into(),
        elder_id: elder.to_string(),
        column: Column::IdNumber.header().to_owned(),
        ..pb::RowOutcome::default()
    };
    Outcome { row, elder: Some(elder), position: None }
}

fn rejected(row: u32, rejection: Rejection) -> Outcome {
    let row = pb::RowOutcome {
        row: number(row),
        outcome: pb::SurveyOutcome::Rejected.into(),
        rejection: wire_rejection(rejection).into(),
        column: rejection.column().header().to_owned(),
        ..pb::RowOutcome::default()
    };
    Outcome { row, elder: None, position: None }
}

fn with_warnings(candidate: &Candidate, outcome: pb::SurveyOutcome, elder: Option<ElderId>) -> pb::RowOutcome {
    let column = candidate.warnings.first().map(|warning| warning.column().header().to_owned());
    pb::RowOutcome {
        row: number(candidate.row),
        outcome: outcome.into(),
        warnings: candidate.warnings.iter().map(|warning| wire_warning(*warning).into()).collect(),
        elder_id: elder.map(|elder| elder.to_string()).unwrap_or_default(),
        column: column.unwrap_or_default(),
        ..pb::RowOutcome::default()
    }
}

fn wire_rejection(rejection: Rejection) -> pb::SurveyRejection {
    match rejection {
        Rejection::NameMissing => pb::SurveyRejection::NameMissing,
        Rejection::IdInvalid => pb::SurveyRejection::IdInvalid,
        Rejection::AgeOutOfRange => pb::SurveyRejection::AgeOutOfRange,
        Rejection::CategoryMissing => pb::SurveyRejection::CategoryMissing,
        Rejection::CategoryUnknown => pb::SurveyRejection::CategoryUnknown,
        Rejection::CapabilityUnknown => pb::SurveyRejection::CapabilityUnknown,
        Rejection::VillageUnknown => pb::SurveyRejection::VillageUnknown,
        Rejection::IdentityConflict => pb::SurveyRejection::IdentityConflict,
    }
}

fn wire_warning(warning: Warning) -> pb::SurveyWarning {
    match warning {
        Warning::SexMismatch => pb::SurveyWarning::SexMismatch,
        Warning::AgeMismatch => pb::SurveyWarning::AgeMismatch,
        Warning::CapabilityBlank => pb::SurveyWarning::CapabilityBlank,
        Warning::PhoneInvalid => pb::SurveyWarning::PhoneInvalid,
        Warning::GradeConflict => pb::SurveyWarning::GradeConflict,
    }
}

fn tally(summary: &mut pb::ImportSummary, outcome: pb::SurveyOutcome) {
    let counter = match outcome {
        pb::SurveyOutcome::Accepted => &mut summary.accepted,
        pb::SurveyOutcome::Duplicate => &mut summary.duplicate,
        pb::SurveyOutcome::Rejected => &mut summary.rejected,
        pb::SurveyOutcome::Changed => &mut summary.changed,
        pb::SurveyOutcome::Unchanged => &mut summary.unchanged,
        pb::SurveyOutcome::Unspecified => return,
    };
    *counter += 1;
}

async fn tell(answers: &Answers, part: pb::import_survey_response::Part) -> Result<(), Ended> {
    answers.send(Ok(pb::ImportSurveyResponse { part: Some(part) })).await.map_err(|_gone| Ended::Unheard)
}

/// A row's number on the wire; a sheet has a million rows at the most.
fn number(row: u32) -> i32 {
    i32::try_from(row).unwrap_or(i32::MAX)
}

fn count(rows: usize) -> i32 {
    i32::try_from(rows).unwrap_or(i32::MAX)
}

/// Reads the pieces of a workbook as they arrive.
pub(crate) struct Upload {
    file: Vec<u8>,
}

impl Upload {
    pub(crate) fn new() -> Self {
        Self { file: Vec::new() }
    }

    /// Takes the next piece.
    pub(crate) fn take(&mut self, message: pb::ImportSurveyRequest) -> Result<(), Status> {
        match message.part {
            Some(pb::import_survey_request::Part::Chunk(chunk)) => {
                if chunk.len() > 1 << 20 {
                    return Err(service::Violation::new("chunk", "TOO_LONG", "may have 1 MiB at most", "最多 1 MiB").into());
                }
                if self.file.len() + chunk.len() > Limits::DEFAULT.file_bytes {
                    let limit = Limits::DEFAULT.file_bytes;
                    return Err(refusals::of_workbook(&super::WorkbookError::FileTooLarge { limit }));
                }
                self.file.extend_from_slice(&chunk);
                Ok(())
            }
            Some(pb::import_survey_request::Part::Options(_)) => {
                Err(service::Violation::new("options", "REPEATED", "come first and once", "只能出现一次，且须在最前").into())
            }
            None => Err(service::Violation::new("part", "REQUIRED", "is required", "不能为空").into()),
        }
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.file
    }
}

/// Sheets in memory at a time; each may take some hundred MiB at the worst.
pub(crate) fn places() -> Arc<tokio::sync::Semaphore> {
    Arc::new(tokio::sync::Semaphore::new(2))
}
