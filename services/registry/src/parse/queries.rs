//! Questions as they arrive.

use chrono::{DateTime, Utc};
use civic::{
    Assistance, CapabilityLevel, Category, DivisionCode, DivisionLevel, ElderId, ElderStatus,
    IdNumber, LocalDay, PersonName, Set,
};
use eventlog::Position;
use prost::Message as _;
use proto::eldercare::registry::v1 as pb;
use service::{
    Checks,
    paging::{List, Page, PageBounds},
};
use tonic::Status;
use uuid::Uuid;

use super::fields;

/// One elder's file.
#[derive(Debug)]
pub(crate) struct Get {
    pub(crate) elder: ElderId,
    pub(crate) as_of: Option<DateTime<Utc>>,
    pub(crate) min_position: Option<Position>,
    pub(crate) personal: bool,
}

/// Many files.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) elders: Vec<ElderId>,
    pub(crate) min_position: Option<Position>,
    pub(crate) personal: bool,
}

/// The files of a subtree. All filters must hold.
#[derive(Debug)]
pub(crate) struct ElderFilter {
    pub(crate) division: DivisionCode,
    /// At least one of these; empty: any.
    pub(crate) categories: Set<Category>,
    /// At least one of these; empty: any.
    pub(crate) assistance: Set<Assistance>,
    /// One of these; empty: any.
    pub(crate) capabilities: Set<CapabilityLevel>,
    /// One of these.
    pub(crate) statuses: Set<ElderStatus>,
    pub(crate) personal: bool,
}

/// A list of elders, one page of it.
#[derive(Debug)]
pub(crate) struct Listed<F> {
    pub(crate) filter: F,
    pub(crate) list: List,
    pub(crate) size: usize,
    /// The last one of the page before.
    pub(crate) after: Option<Uuid>,
    pub(crate) min_position: Option<Position>,
}

/// What to search by.
#[derive(Debug)]
pub(crate) enum SearchBy {
    /// The ID number.
    IdNumber(IdNumber),
    /// The whole name, within a division.
    Name(PersonName, DivisionCode),
}

/// Pairs of files that may be one person's.
#[derive(Debug)]
pub(crate) struct DuplicateFilter {
    pub(crate) division: DivisionCode,
    pub(crate) state: pb::DuplicateState,
}

/// The history of a file, one page of it.
#[derive(Debug)]
pub(crate) struct History {
    pub(crate) elder: ElderId,
    pub(crate) list: List,
    pub(crate) size: usize,
    /// Sequence and place in the record of the last change of the page before.
    pub(crate) after: Option<(u64, u32)>,
}

/// A division, on a day.
#[derive(Debug)]
pub(crate) struct InDivision {
    pub(crate) division: DivisionCode,
    pub(crate) on: LocalDay,
    pub(crate) min_position: Option<Position>,
}

/// The divisions of a subtree, one page of them.
#[derive(Debug)]
pub(crate) struct DivisionPage {
    /// None for all that are known.
    pub(crate) division: Option<DivisionCode>,
    pub(crate) list: List,
    pub(crate) size: usize,
    /// The code of the last one of the page before.
    pub(crate) after: Option<String>,
    pub(crate) min_position: Option<Position>,
}

/// How to import a survey.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ImportOptions {
    pub(crate) import: Uuid,
    pub(crate) town: DivisionCode,
    pub(crate) dry_run: bool,
    pub(crate) update: bool,
}

pub(crate) fn get(request: &pb::GetElderRequest, now: DateTime<Utc>) -> Result<Get, Status> {
    let mut checks = Checks::new();
    let elder = fields::elder_id(&mut checks, "elder_id", &request.elder_id);
    let as_of = checks.instant("as_of", request.as_of);
    fields::not_after_now(&mut checks, "as_of", as_of.flatten(), now);
    let min_position = fields::min_position(&mut checks, &request.min_position);
    let personal = personal(&mut checks, request.view);
    let (elder, as_of, min_position, personal) =
        checks.all((elder, as_of, min_position, personal))?;
    Ok(Get {
        elder,
        as_of,
        min_position,
        personal,
    })
}

/// Whether a view holds personal data.
fn personal(checks: &mut Checks, view: i32) -> Option<bool> {
    match pb::ElderView::try_from(view) {
        Ok(pb::ElderView::Unspecified | pb::ElderView::Full) => Some(true),
        Ok(pb::ElderView::Facts) => Some(false),
        Err(_) => {
            checks.unknown("view");
            None
        }
    }
}

/// The most files of one batch.
const MOST_IN_BATCH: usize = 1_000;

pub(crate) fn batch_get(request: &pb::BatchGetEldersRequest) -> Result<Batch, Status> {
    let mut checks = Checks::new();
    let elders = elder_ids(&mut checks, &request.elder_ids);
    let min_position = fields::min_position(&mut checks, &request.min_position);
    let personal = personal(&mut checks, request.view);
    let (elders, min_position, personal) = checks.all((elders, min_position, personal))?;
    Ok(Batch {
        elders,
        min_position,
        personal,
    })
}

/// The elders whose keys are asked for.
pub(crate) fn keys(request: &pb::GetKeysRequest) -> Result<Vec<ElderId>, Status> {
    let mut checks = Checks::new();
    let elders = elder_ids(&mut checks, &request.elder_ids);
    checks.all(elders)
}

/// The key-encryption key that is to lock the keys.
pub(crate) fn key_encryption_key(request: pb::RotateKeysRequest) -> Result<String, Status> {
    let mut checks = Checks::new();
    let key = checks.string("key_encryption_key", &request.key_encryption_key, 1..=64);
    checks.all(key)
}

/// The persons of other services for whom keys are made.
pub(crate) fn new_persons(request: &pb::CreateKeysRequest) -> Result<Vec<Uuid>, Status> {
    let mut checks = Checks::new();
    let persons = checks
        .count("person_ids", request.person_ids.len(), 1..=MOST_IN_BATCH)
        .and_then(|_| {
            let ids: Vec<_> = request
                .person_ids
                .iter()
                .enumerate()
                .map(|(place, id)| checks.id(&format!("person_ids[{place}]"), id))
                .collect();
            ids.into_iter().collect::<Option<Vec<_>>>()
        });
    checks.all(persons)
}

fn elder_ids(checks: &mut Checks, ids: &[String]) -> Option<Vec<ElderId>> {
    checks.count("elder_ids", ids.len(), 1..=MOST_IN_BATCH)?;
    let ids: Vec<_> = ids
        .iter()
        .enumerate()
        .map(|(place, id)| fields::elder_id(checks, &format!("elder_ids[{place}]"), id))
        .collect();
    ids.into_iter().collect()
}

/// Reads what all lists have in common; `filter` is the request without what varies from page to page.
fn listed<F>(
    mut checks: Checks,
    list: List,
    (page_size, page_token, bounds): (i32, &str, PageBounds),
    min_position: &str,
    filter: Option<F>,
) -> Result<(F, Page, Option<Position>), Status> {
    let page = match list.page(page_size, page_token, bounds) {
        Ok(page) => Some(page),
        Err(violation) => {
            checks.add(violation);
            None
        }
    };
    let min_position = fields::min_position(&mut checks, min_position);
    checks.all((filter, page, min_position))
}

/// Lists whose cursor is a UUID.
fn listed_by_id<F>(
    list: List,
    (filter, page, min_position): (F, Page, Option<Position>),
) -> Listed<F> {
    let after = page
        .after
        .as_deref()
        .and_then(|cursor| Uuid::from_slice(cursor).ok());
    Listed {
        filter,
        list,
        size: page.size as usize,
        after,
        min_position,
    }
}

const ELDER_PAGES: PageBounds = PageBounds {
    default: 100,
    most: 1_000,
};
/// A county's table in one page, mostly.
const DIVISION_PAGES: PageBounds = PageBounds {
    default: 10_000,
    most: 10_000,
};
const SEARCH_PAGES: PageBounds = PageBounds {
    default: 20,
    most: 100,
};

pub(crate) fn list(request: pb::ListEldersRequest) -> Result<Listed<ElderFilter>, Status> {
    let mut checks = Checks::new();
    let division = checks.division("division_code", &request.division_code);
    let categories = fields::words(&mut checks, "categories", &request.categories);
    let assistance = fields::words(&mut checks, "assistance", &request.assistance);
    let capabilities = fields::words(&mut checks, "capabilities", &request.capabilities);
    let statuses = fields::words(&mut checks, "statuses", &request.statuses);
    let personal = personal(&mut checks, request.view);
    let filter = (|| {
        let statuses = statuses?;
        Some(ElderFilter {
            division: division?,
            categories: categories?,
            assistance: assistance?,
            capabilities: capabilities?,
            statuses: if statuses.is_empty() {
                ElderStatus::Active.into()
            } else {
                statuses
            },
            personal: personal?,
        })
    })();
    let same = pb::ListEldersRequest {
        page_size: 0,
        page_token: String::new(),
        min_position: String::new(),
        ..request.clone()
    };
    let list = List::new("ListElders", &same.encode_to_vec());
    let paging = (request.page_size, request.page_token.as_str(), ELDER_PAGES);
    Ok(listed_by_id(
        list,
        listed(checks, list, paging, &request.min_position, filter)?,
    ))
}

pub(crate) fn search(request: pb::SearchEldersRequest) -> Result<Listed<SearchBy>, Status> {
    let mut checks = Checks::new();
    let by = match (
        request.id_number.trim().is_empty(),
        request.name.trim().is_empty(),
    ) {
        (false, true) => {
            fields::id_number(&mut checks, "id_number", &request.id_number).map(SearchBy::IdNumber)
        }
        (true, false) => {
            let name = fields::person_name(&mut checks, "name", &request.name);
            let division = checks.division("division_code", &request.division_code);
            (|| Some(SearchBy::Name(name?, division?)))()
        }
        (true, true) => {
            checks.refuse(
                "id_number",
                "REQUIRED",
                "or `name` must be given",
                "身份证号和姓名须填其一",
            );
            None
        }
        (false, false) => {
            checks.refuse(
                "name",
                "REPEATED",
                "is given beside `id_number`",
                "身份证号和姓名只能填其一",
            );
            None
        }
    };
    // The cursor rests on what was searched for, and must not give it away: the list is told by a digest only.
    let same = pb::SearchEldersRequest {
        page_size: 0,
        page_token: String::new(),
        min_position: String::new(),
        ..request.clone()
    };
    let list = List::new("SearchElders", &same.encode_to_vec());
    let paging = (request.page_size, request.page_token.as_str(), SEARCH_PAGES);
    Ok(listed_by_id(
        list,
        listed(checks, list, paging, &request.min_position, by)?,
    ))
}

pub(crate) fn list_duplicates(
    request: pb::ListDuplicatesRequest,
) -> Result<Listed<DuplicateFilter>, Status> {
    let mut checks = Checks::new();
    let division = checks.division("division_code", &request.division_code);
    let state = match pb::DuplicateState::try_from(request.state) {
        Ok(pb::DuplicateState::Unspecified) => Some(pb::DuplicateState::Open),
        Ok(state) => Some(state),
        Err(_) => {
            checks.unknown("state");
            None
        }
    };
    let filter = (|| {
        Some(DuplicateFilter {
            division: division?,
            state: state?,
        })
    })();
    let same = pb::ListDuplicatesRequest {
        page_size: 0,
        page_token: String::new(),
        min_position: String::new(),
        ..request.clone()
    };
    let list = List::new("ListDuplicates", &same.encode_to_vec());
    let paging = (request.page_size, request.page_token.as_str(), ELDER_PAGES);
    Ok(listed_by_id(
        list,
        listed(checks, list, paging, &request.min_position, filter)?,
    ))
}

pub(crate) fn history(request: &pb::GetElderHistoryRequest) -> Result<History, Status> {
    let mut checks = Checks::new();
    let elder = fields::elder_id(&mut checks, "elder_id", &request.elder_id);
    let list = List::new("GetElderHistory", request.elder_id.as_bytes());
    let paging = (request.page_size, request.page_token.as_str(), ELDER_PAGES);
    let (elder, page, _) = listed(checks, list, paging, "", elder)?;
    let after = page.after.as_deref().and_then(|cursor| {
        let (sequence, place) = cursor.split_first_chunk::<8>()?;
        Some((
            u64::from_be_bytes(*sequence),
            u32::from_be_bytes(place.try_into().ok()?),
        ))
    });
    Ok(History {
        elder,
        list,
        size: page.size as usize,
        after,
    })
}

impl History {
    /// The token of the page after the change at this place.
    pub(crate) fn token(&self, sequence: u64, place: u32) -> String {
        let mut cursor = sequence.to_be_bytes().to_vec();
        cursor.extend_from_slice(&place.to_be_bytes());
        self.list.token(&cursor)
    }
}

pub(crate) fn statistics(
    request: &pb::GetStatisticsRequest,
    today: LocalDay,
) -> Result<InDivision, Status> {
    let mut checks = Checks::new();
    let division = checks.division("division_code", &request.division_code);
    let min_position = fields::min_position(&mut checks, &request.min_position);
    let (division, min_position) = checks.all((division, min_position))?;
    Ok(InDivision {
        division,
        on: today,
        min_position,
    })
}

pub(crate) fn export_summary(
    request: &pb::ExportSummaryRequest,
    today: LocalDay,
) -> Result<InDivision, Status> {
    let mut checks = Checks::new();
    let division = checks.division("division_code", &request.division_code);
    let on = fields::day(&mut checks, "on", request.on);
    fields::not_after_today(&mut checks, "on", on.flatten(), today);
    let min_position = fields::min_position(&mut checks, &request.min_position);
    let (division, on, min_position) = checks.all((division, on, min_position))?;
    Ok(InDivision {
        division,
        on: on.unwrap_or(today),
        min_position,
    })
}

pub(crate) fn elder_form(
    request: &pb::ExportElderFormRequest,
) -> Result<(ElderId, Option<Position>), Status> {
    let mut checks = Checks::new();
    let elder = fields::elder_id(&mut checks, "elder_id", &request.elder_id);
    let min_position = fields::min_position(&mut checks, &request.min_position);
    checks.all((elder, min_position))
}

pub(crate) fn list_divisions(request: pb::ListDivisionsRequest) -> Result<DivisionPage, Status> {
    let mut checks = Checks::new();
    let division = if request.division_code.is_empty() {
        Some(None)
    } else {
        checks
            .division("division_code", &request.division_code)
            .map(Some)
    };
    let same = pb::ListDivisionsRequest {
        page_size: 0,
        page_token: String::new(),
        min_position: String::new(),
        ..request.clone()
    };
    let list = List::new("ListDivisions", &same.encode_to_vec());
    let paging = (
        request.page_size,
        request.page_token.as_str(),
        DIVISION_PAGES,
    );
    let (division, page, min_position) =
        listed(checks, list, paging, &request.min_position, division)?;
    Ok(DivisionPage {
        division,
        list,
        size: page.size as usize,
        after: page.after.and_then(|code| String::from_utf8(code).ok()),
        min_position,
    })
}

pub(crate) fn import_options(options: &pb::ImportSurveyOptions) -> Result<ImportOptions, Status> {
    let mut checks = Checks::new();
    let import = checks.id("import_id", &options.import_id);
    let town = checks.division("town_code", &options.town_code);
    checks.that(
        town.is_none_or(|town| town.level() == DivisionLevel::Town),
        "town_code",
        "DIVISION_INVALID",
        "is no code of a town, which has 9 digits",
        "应为 9 位乡镇（街道）代码",
    );
    let (import, town) = checks.all((import, town))?;
    Ok(ImportOptions {
        import,
        town,
        dry_run: options.dry_run,
        update: options.update,
    })
}
