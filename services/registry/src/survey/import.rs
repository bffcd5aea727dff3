//! The import of a survey: each row that can stand becomes a file, once, however often the workbook is sent.
//!
//! A row's request id follows from the import's id and the row's number, and the elder's id from that. An import that was
//! cut off is therefore gone through again from the top, and each row ends as it did before: what was written is found,
//! what was not is written now.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use civic::{
    Category, DivisionCode, ElderId, ElderStatus, IdNumber, LocalDay, PersonName, Set, VillageCode,
};
use elders::codec::write_day;
use eventlog::{Position, RequestDigest};
use futures::{
    StreamExt as _,
    stream::{self, FuturesOrdered},
};
use proto::eldercare::registry::v1 as pb;
use tonic::{Code, Status};
use uuid::Uuid;

use super::{
    Column, Limits, Sheet, TownVillages, WorkbookError,
    candidate::Candidate,
    desk::Desk,
    imports::{Telling, Unread},
    outcome::{Outcome, rejected},
    row,
    upload::Workbook,
    verdict::Rejection,
    workbook,
};
use crate::{
    call::Call,
    elder_files::{FoundFile, ListedFiles},
    parse::queries::ImportOptions,
    queries::residence,
    refusals,
    registry::Registry,
};

/// How many rows are looked up together; their outcomes are told together too.
const ROWS_AT_ONCE: usize = 512;

/// How many such pieces are under way at once: while what one decided is being written, the next one decides.
const PIECES_AT_ONCE: usize = 2;

/// How many files of a town are listed at a time.
const LISTED_AT_ONCE: usize = 1_000;

/// One import under way.
struct Import<'a> {
    registry: &'a Registry,
    call: &'a Call,
    options: ImportOptions,
    as_of: LocalDay,
    /// The digest of the workbook: the same import may not be sent with another one.
    digest: RequestDigest,
    /// The elders of the rows before.
    listed: Mutex<HashSet<ElderId>>,
    /// In a dry run: under which names the rows before would have been registered.
    would_be: Mutex<HashMap<IdNumber, PersonName>>,
}

/// What an import has come to so far.
struct Tally {
    summary: pb::ImportSummary,
    /// How many rows have been told.
    done: usize,
    last_position: u64,
    /// Claims to the numbers of rows whose outcome names no elder: these are listed all the same.
    listed_claims: Vec<String>,
}

/// A data row on its way.
struct Judged {
    row: u32,
    judgement: Result<Candidate, Rejection>,
    id_number: Option<IdNumber>,
}

/// Nobody reads the answers, or the import failed with this.
enum Ended {
    Unread(Unread),
    Failed(Status),
}

impl From<Unread> for Ended {
    fn from(unread: Unread) -> Self {
        Self::Unread(unread)
    }
}

impl From<Status> for Ended {
    fn from(status: Status) -> Self {
        Self::Failed(status)
    }
}

impl Registry {
    /// Reads a workbook and imports it, telling outcomes and progress as it goes.
    pub(super) async fn import_survey(
        &self,
        call: Call,
        options: ImportOptions,
        file: Workbook,
        mut answers: Telling,
    ) -> Result<(), Status> {
        match self.run_import(&call, options, file, &mut answers).await {
            // The rest waits until the workbook is sent again.
            Ok(()) | Err(Ended::Unread(Unread::Gone)) => Ok(()),
            Err(Ended::Unread(Unread::TooSlow)) => Err(service::errors::aborted(
                "ANSWERS_UNREAD",
                "the outcomes of the rows were not read in time: send the workbook again with the same import_id",
                "未及时读取各行结果，请用同一 import_id 重新上传",
            )),
            Err(Ended::Failed(status)) => Err(status),
        }
    }

    async fn run_import(
        &self,
        call: &Call,
        options: ImportOptions,
        workbook: Workbook,
        answers: &mut Telling,
    ) -> Result<(), Ended> {
        let town = self.town(&options.town).await?;
        let registry = self.clone();
        let read = move || {
            let digest = registry.digest_of("ImportSurvey", &workbook.file);
            (digest, workbook::read(&workbook.file, &Limits::DEFAULT))
        };
        let (digest, sheet) = tokio::task::spawn_blocking(read)
            .await
            .map_err(|error| service::errors::internal(&error))?;
        let sheet = sheet.map_err(|error| refusals::of_workbook(&error))?;
        // Who registers a county's elders for a day to come may: what a first survey says holds since ever. A newer one's
        // changes hold from its date on.
        if options.update && sheet.as_of() > call.today() {
            return Err(refusals::of_workbook(&WorkbookError::DateInFuture).into());
        }
        // What is registered is looked up in the read model: it must hold what was there before this import.
        let last = self
            .log
            .last_sequence()
            .await
            .map_err(|error| refusals::of_loading(error.into()))?;
        self.reach(call, Some(&Position::new(self.log.stream(), last)))
            .await?;
        let import = Import {
            registry: self,
            call,
            options,
            as_of: sheet.as_of(),
            digest,
            listed: Mutex::default(),
            would_be: Mutex::default(),
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
        Ok(TownVillages::new(villages.filter_map(|(code, name)| {
            Some((VillageCode::try_from(*code).ok()?, name))
        })))
    }

    /// The files that hold these claims, by claim. A merged file counts by itself: it is the one under that number.
    async fn holders(&self, claims: &[String]) -> Result<HashMap<String, FoundFile>, Status> {
        self.files
            .by_claims(claims)
            .await
            .map_err(refusals::of_database)
    }
}

impl Import<'_> {
    async fn run(
        &self,
        sheet: &Sheet,
        town: &TownVillages,
        answers: &mut Telling,
    ) -> Result<(), Ended> {
        let mut rows = sheet.rows().map(|row| {
            let id_number = row.text(Column::IdNumber).parse::<IdNumber>().ok();
            Judged {
                row: row.number(),
                judgement: row::judge(&row, town, self.as_of),
                id_number,
            }
        });
        let mut tally = Tally {
            summary: pb::ImportSummary {
                as_of: Some(write_day(self.as_of)),
                rows: count(sheet.len()),
                ..pb::ImportSummary::default()
            },
            done: 0,
            last_position: 0,
            listed_claims: Vec::new(),
        };
        // What an update does to a row depends on the rows before it.
        let at_once = if self.options.update {
            1
        } else {
            PIECES_AT_ONCE
        };
        let mut under_way = FuturesOrdered::new();
        let mut numbers: VecDeque<HashSet<IdNumber>> = VecDeque::new();
        let mut concluded = VecDeque::new();
        let mut next = None;
        loop {
            while under_way.len() + concluded.len() < at_once {
                let piece: Vec<Judged> = match next.take() {
                    Some(piece) => piece,
                    None => rows.by_ref().take(ROWS_AT_ONCE).collect(),
                };
                if piece.is_empty() {
                    break;
                }
                let own = numbers_of(&piece);
                // Of rows with one number the upper comes first.
                if numbers.iter().any(|before| !before.is_disjoint(&own)) {
                    next = Some(piece);
                    break;
                }
                numbers.push_back(own);
                under_way.push_back(async move {
                    let outcomes = self.conclude(&piece).await;
                    (piece, outcomes)
                });
            }
            let first = match concluded.pop_front() {
                Some(first) => Some(first),
                None => under_way.next().await.inspect(|_| {
                    numbers.pop_front();
                }),
            };
            let Some((piece, outcomes)) = first else {
                break;
            };
            let telling = self.tell(&piece, outcomes?, &mut tally, answers);
            let mut telling = std::pin::pin!(telling);
            // However long the reader takes, what is under way goes on: it holds locks that others wait for.
            loop {
                tokio::select! {
                    biased;
                    told = &mut telling => break told?,
                    Some(more) = under_way.next() => {
                        numbers.pop_front();
                        concluded.push_back(more);
                    }
                }
            }
        }
        drop((rows, under_way));
        let position = Position::new(self.registry.log.stream(), tally.last_position);
        if self.options.update {
            let missing = self.no_longer_listed(&position, &tally.listed_claims);
            tally.summary.no_longer_listed_elder_ids = missing.await?;
        }
        if tally.last_position > 0 {
            tally.summary.position = position.to_string();
        }
        answers
            .tell(pb::import_survey_response::Part::Summary(tally.summary))
            .await?;
        Ok(())
    }

    /// Tells the outcomes of some rows, and counts them.
    async fn tell(
        &self,
        rows: &[Judged],
        outcomes: Vec<Outcome>,
        tally: &mut Tally,
        answers: &mut Telling,
    ) -> Result<(), Unread> {
        for (outcome, judged) in outcomes.into_iter().zip(rows) {
            let reached = outcome.position.unwrap_or_default();
            tally.last_position = tally.last_position.max(reached);
            match (outcome.elder, judged.id_number) {
                (Some(elder), _) => {
                    self.listed().insert(elder);
                }
                (None, Some(number)) if self.options.update => {
                    tally.listed_claims.extend(self.registry.claims_to(&number));
                }
                (None, Some(_) | None) => {}
            }
            tally.count(outcome.row.outcome());
            answers
                .tell(pb::import_survey_response::Part::Row(outcome.row))
                .await?;
        }
        tally.done += rows.len();
        let progress = pb::ImportProgress {
            rows_done: count(tally.done),
            rows_total: tally.summary.rows,
        };
        answers
            .tell(pb::import_survey_response::Part::Progress(progress))
            .await
    }

    fn listed(&self) -> MutexGuard<'_, HashSet<ElderId>> {
        self.listed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The town's active elders with a category whom the workbook does not list.
    async fn no_longer_listed(
        &self,
        reached: &Position,
        listed_claims: &[String],
    ) -> Result<Vec<String>, Status> {
        let registry = self.registry;
        registry
            .reach(
                self.call,
                Some(reached).filter(|position| position.sequence > 0),
            )
            .await?;
        for claims in listed_claims.chunks(ROWS_AT_ONCE) {
            let holders = registry.holders(claims).await?;
            self.listed()
                .extend(holders.into_values().map(|file| file.elder.id));
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
            let listed = self.listed();
            let unlisted = files.iter().filter(|file| !listed.contains(&file.elder.id));
            missing.extend(unlisted.map(|file| file.elder.id.to_string()));
            drop(listed);
            if files.len() < LISTED_AT_ONCE {
                return Ok(missing);
            }
        }
    }
}

impl Import<'_> {
    /// The outcomes of some rows, in their order. Rows with one ID number are concluded one after the other, others side
    /// by side.
    async fn conclude(&self, rows: &[Judged]) -> Result<Vec<Outcome>, Status> {
        let registry = self.registry;
        let call = Call {
            now: registry.clock.now(),
            ..self.call.clone()
        };
        let claims: HashMap<IdNumber, Vec<String>> = rows
            .iter()
            .filter_map(|judged| judged.judgement.as_ref().ok())
            .map(|candidate| {
                (
                    candidate.id_number,
                    registry.claims_to(&candidate.id_number),
                )
            })
            .collect();
        let asked: Vec<String> = claims.values().flatten().cloned().collect();
        let holders = if asked.is_empty() {
            HashMap::new()
        } else {
            registry.holders(&asked).await?
        };
        let persons: Vec<Uuid> = holders
            .values()
            .filter(|file| call.caller.reaches(&residence(&file.elder, call.today())))
            .map(|file| file.elder.id.as_uuid())
            .collect();
        // Kept by the vault for the moment in which they are needed.
        let _keys = registry
            .vault
            .keys(&persons)
            .await
            .map_err(refusals::of_keys)?;

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
        let desk = Desk {
            registry,
            call: &call,
            options: &self.options,
            as_of: self.as_of,
            digest: self.digest.clone(),
            listed: &self.listed,
            would_be: &self.would_be,
        };
        let mut concluded = stream::iter(order)
            .map(|number| {
                let (desk, claims, rows) = (&desk, &claims[&number], &by_number[&number]);
                let holder = claims.iter().find_map(|claim| holders.get(claim));
                async move {
                    let mut outcomes: Vec<(usize, Outcome)> = Vec::with_capacity(rows.len());
                    for (place, candidate) in rows {
                        // Only the first row may rest on what was looked up for all: it may change it.
                        let holder = holder.filter(|_| outcomes.is_empty());
                        let above = outcomes.iter().find_map(|(_, outcome)| outcome.elder);
                        outcomes.push((
                            *place,
                            desk.conclude(candidate, claims, holder, above).await?,
                        ));
                    }
                    Ok::<_, Status>(outcomes)
                }
            })
            // All of them: what is written at the same moment goes to the log together.
            .buffer_unordered(ROWS_AT_ONCE);
        while let Some(some) = concluded.next().await {
            for (place, outcome) in some? {
                outcomes[place] = Some(outcome);
            }
        }
        Ok(outcomes.into_iter().flatten().collect())
    }
}

impl Tally {
    fn count(&mut self, outcome: pb::SurveyOutcome) {
        let summary = &mut self.summary;
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
}

/// The ID numbers of the rows that can stand.
fn numbers_of(rows: &[Judged]) -> HashSet<IdNumber> {
    let judged = rows.iter().filter_map(|row| row.judgement.as_ref().ok());
    judged.map(|candidate| candidate.id_number).collect()
}

fn count(rows: usize) -> i32 {
    i32::try_from(rows).unwrap_or(i32::MAX)
}
