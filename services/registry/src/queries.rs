//! What is asked of the registry: files by id, by facts, by number or name, as they stand or as they once were known.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use chrono::{DateTime, Utc};
use civic::{ElderId, LocalDay};
use elders::Elder;
use proto::eldercare::registry::v1 as pb;
use service::{AnswerRoom, Violation};
use tonic::Status;
use uuid::Uuid;
use vault::DataKey;

use crate::{
    answer::{self, Moment, Shown},
    call::Call,
    divisions::Division,
    divisions_table, duplicates_table,
    elder_files::{FoundFile, ListedFiles},
    elders_table, parse,
    parse::queries::{
        DivisionPage, DuplicateFilter, ElderFilter, Get, InDivision, Listed, SearchBy,
    },
    refusals,
    registry::{LONGEST_CHAIN, Registry},
    statistics,
};

/// What is personal in a file.
pub(crate) const FILE: &[&str] = &[
    "elder.name",
    "elder.id_number",
    "elder.birth_date",
    "elder.address",
    "elder.position",
    "elder.contacts",
    "elder.remarks",
];
/// What is told of a file that may be another one's.
const PAIR: &[&str] = &["duplicate.state", "duplicate.reason"];

impl Registry {
    /// One file, as it stands or as it was known at an instant.
    pub(crate) async fn get(&self, call: &Call, get: &Get) -> Result<pb::Elder, Status> {
        self.reach(call, get.min_position.as_ref()).await?;
        let (file, moment) = match get.as_of {
            None => {
                let file = self.files.get(get.elder).await;
                let file = file.map_err(refusals::of_database)?;
                let file = file.ok_or_else(refusals::elder_not_found)?;
                let village = residence(&file.elder, call.today());
                call.caller.knows(&village, refusals::elder_not_found)?;
                (file, call.moment())
            }
            Some(instant) => {
                // Who may read of the past is who is in charge now, wherever the elder lived then.
                let stands = self.in_charge_of(call, get.elder).await?;
                let file = self.as_known_at(get.elder, instant).await?;
                let file = file.ok_or_else(refusals::elder_not_found)?;
                // The file that stood for it then may be somebody else's, as came out since.
                if file.elder.id != stands {
                    self.in_charge_of(call, file.elder.id).await?;
                }
                (file, Moment::at(instant))
            }
        };
        if !get.personal {
            return Ok(answer::elder(shown(&file), moment, None));
        }
        // Who was erased has no key any more; a row that is still there then is about to go.
        let Some(key) = self.key_of(file.elder.id).await? else {
            return Err(refusals::elder_not_found());
        };
        let told = [file.elder.id];
        call.caller.told("GetElder", told, FILE).await?;
        Ok(answer::elder(shown(&file), moment, Some(&key)))
    }

    /// Lets a call go on if its caller may read where the elder lives now; tells the file that stands for this one.
    async fn in_charge_of(&self, call: &Call, elder: ElderId) -> Result<ElderId, Status> {
        let stands = self.standing_records(call, elder).await?.file(None);
        let stands = stands.state.0.open();
        let stands = stands.ok_or_else(refusals::elder_not_found)?;
        let village = residence(stands, call.today());
        call.caller.knows(&village, refusals::elder_not_found)?;
        Ok(stands.id)
    }

    /// The key of an elder; none where there is none any more.
    pub(crate) async fn key_of(&self, elder: ElderId) -> Result<Option<Arc<DataKey>>, Status> {
        match self.vault.key(elder.as_uuid()).await {
            Ok(key) => Ok(Some(key)),
            Err(vault::KeyError::Erased) => Ok(None),
            Err(vault::KeyError::Unavailable(away)) => Err(refusals::of_keys(away)),
        }
    }

    /// The file as its records up to an instant leave it; of a file merged by then, the one that stood for it. Of an
    /// erased person nothing is told of any time.
    async fn as_known_at(
        &self,
        elder: ElderId,
        instant: DateTime<Utc>,
    ) -> Result<Option<FoundFile>, Status> {
        let mut id = elder;
        for _ in 0..LONGEST_CHAIN {
            let records = self.records_of(id).await?;
            if records.erased() {
                return Ok(None);
            }
            let known = records.file(Some(instant));
            let (elders::File::Open(elder), Some(registered_at)) =
                (known.state.0, records.registered_at())
            else {
                return Ok(None);
            };
            match elder.merged_into {
                Some(surviving) => id = surviving,
                None => {
                    return Ok(Some(FoundFile {
                        elder,
                        version: known.sequence,
                        registered_at,
                    }));
                }
            }
        }
        Ok(None)
    }

    /// Many files, in the order asked; those that the caller may not see count as missing.
    pub(crate) async fn batch(
        &self,
        call: &Call,
        batch: &parse::queries::Batch,
    ) -> Result<pb::BatchGetEldersResponse, Status> {
        self.reach(call, batch.min_position.as_ref()).await?;
        let mut found = self
            .files
            .get_many(&batch.elders)
            .await
            .map_err(refusals::of_database)?;
        found.retain(|_, file| call.caller.reaches(&residence(&file.elder, call.today())));
        let missing = batch
            .elders
            .iter()
            .filter(|elder| !found.contains_key(elder));
        let missing_elder_ids = missing.map(ToString::to_string).collect();
        let files: Vec<_> = batch
            .elders
            .iter()
            .filter_map(|elder| found.get(elder).cloned())
            .collect();
        let shown = self
            .show(call, "BatchGetElders", &files, batch.personal)
            .await?;
        if shown.files < files.len() {
            return Err(Violation::new(
                "elder_ids",
                "ANSWER_TOO_LARGE",
                "name more files than one answer can hold: ask for fewer at a time",
                "所查档案超出单次答复的容量，请分批查询",
            )
            .into());
        }
        Ok(pb::BatchGetEldersResponse {
            elders: shown.elders,
            missing_elder_ids,
        })
    }

    /// A page of a division's files by their facts of today.
    pub(crate) async fn list(
        &self,
        call: &Call,
        listed: &Listed<ElderFilter>,
    ) -> Result<pb::ListEldersResponse, Status> {
        let filter = &listed.filter;
        call.caller.may_where_asked(&filter.division)?;
        self.reach(call, listed.min_position.as_ref()).await?;
        let files = self.files.list(ListedFiles {
            division: &filter.division,
            categories: filter.categories,
            assistance: filter.assistance,
            capabilities: filter.capabilities,
            statuses: filter.statuses,
            on: call.today(),
            after: listed.after,
            limit: listed.size + 1,
        });
        let (files, next_page_token) =
            page(listed, files.await.map_err(refusals::of_database)?, file_id);
        let shown = self
            .show(call, "ListElders", &files, filter.personal)
            .await?;
        let next_page_token = shown.token(listed, &files, next_page_token);
        Ok(pb::ListEldersResponse {
            elders: shown.elders,
            next_page_token,
        })
    }

    /// A page of the files under an ID number, or under a name in a division.
    pub(crate) async fn search(
        &self,
        call: &Call,
        search: &Listed<SearchBy>,
    ) -> Result<pb::SearchEldersResponse, Status> {
        self.reach(call, search.min_position.as_ref()).await?;
        let files = match &search.filter {
            SearchBy::IdNumber(number) => {
                let found = self
                    .files
                    .by_claim(&self.claims_to(number))
                    .await
                    .map_err(refusals::of_database)?;
                // Nobody learns by asking that a number is registered elsewhere.
                found
                    .into_iter()
                    .filter(|file| call.caller.reaches(&residence(&file.elder, call.today())))
                    .filter(|file| {
                        search
                            .after
                            .is_none_or(|after| file.elder.id.as_uuid() > after)
                    })
                    .collect()
            }
            SearchBy::Name(name, division) => {
                call.caller.may_where_asked(division)?;
                let digests = self.index.digests(elders_table::NAME, name.as_str());
                let digests: Vec<_> = digests.map(|digest| digest.as_bytes().to_vec()).collect();
                self.files
                    .by_name(
                        &digests,
                        division,
                        call.today(),
                        search.after,
                        search.size + 1,
                    )
                    .await
                    .map_err(refusals::of_database)?
            }
        };
        let (files, next_page_token) = page(search, files, file_id);
        let shown = self.show(call, "SearchElders", &files, true).await?;
        let next_page_token = shown.token(search, &files, next_page_token);
        Ok(pb::SearchEldersResponse {
            elders: shown.elders,
            next_page_token,
        })
    }

    /// Files as answers of today, opened together, as far as one answer has room. Whoever lost their key meanwhile is
    /// left out.
    pub(crate) async fn show(
        &self,
        call: &Call,
        action: &'static str,
        files: &[FoundFile],
        personal: bool,
    ) -> Result<ShownFiles, Status> {
        let keys = if personal {
            Some(self.keys(files).await?)
        } else {
            None
        };
        let mut room = AnswerRoom::within(self.largest_answer);
        let mut shown_files = ShownFiles {
            elders: Vec::with_capacity(files.len()),
            files: 0,
        };
        let mut opened = Vec::new();
        for file in files {
            let key = keys.as_ref().map(|keys| keys.get(&file_id(file)));
            // Whoever has no key any more is about to go.
            if !matches!(key, Some(None)) {
                let elder =
                    answer::elder(shown(file), call.moment(), key.flatten().map(AsRef::as_ref));
                if !room.takes(&elder) {
                    break;
                }
                shown_files.elders.push(elder);
                opened.push(file.elder.id);
            }
            shown_files.files += 1;
        }
        if personal {
            call.caller.told(action, &opened, FILE).await?;
        }
        Ok(shown_files)
    }

    async fn keys(&self, files: &[FoundFile]) -> Result<HashMap<Uuid, Arc<DataKey>>, Status> {
        let persons: Vec<_> = files.iter().map(|file| file.elder.id.as_uuid()).collect();
        self.vault.keys(&persons).await.map_err(refusals::of_keys)
    }

    /// The counts of a division today.
    pub(crate) async fn statistics(
        &self,
        call: &Call,
        asked: &InDivision,
    ) -> Result<pb::GetStatisticsResponse, Status> {
        call.caller.may_where_asked(&asked.division)?;
        self.reach(call, asked.min_position.as_ref()).await?;
        statistics::count(&self.pool, &asked.division, asked.on)
            .await
            .map_err(refusals::of_database)
    }

    /// A page of the known divisions of a subtree, or of all.
    pub(crate) async fn divisions(
        &self,
        call: &Call,
        asked: &DivisionPage,
    ) -> Result<pb::ListDivisionsResponse, Status> {
        self.reach(call, asked.min_position.as_ref()).await?;
        let found = divisions_table::page(
            &self.pool,
            asked.division.as_ref(),
            asked.after.as_deref(),
            asked.size + 1,
        );
        let found = found.await.map_err(refusals::of_database)?;
        let mut room = AnswerRoom::within(self.largest_answer);
        let divisions: Vec<_> = found
            .iter()
            .take(asked.size)
            .map(Division::to_proto)
            .take_while(|division| room.takes(division))
            .collect();
        let next_page_token = match divisions.last() {
            Some(last) if divisions.len() < found.len() => asked.list.token(last.code.as_bytes()),
            Some(_) | None => String::new(),
        };
        Ok(pb::ListDivisionsResponse {
            divisions,
            next_page_token,
        })
    }

    /// A page of pairs that may be one person's. Of a file that lies beyond the caller's reach the pair does not say which it is.
    pub(crate) async fn duplicates(
        &self,
        call: &Call,
        listed: &Listed<DuplicateFilter>,
    ) -> Result<pb::ListDuplicatesResponse, Status> {
        let filter = &listed.filter;
        call.caller.may_where_asked(&filter.division)?;
        self.reach(call, listed.min_position.as_ref()).await?;
        let pairs = duplicates_table::list(
            &self.pool,
            &filter.division,
            filter.state,
            call.today(),
            listed.after,
            listed.size + 1,
        );
        let pairs = pairs.await.map_err(refusals::of_database)?;
        let (mut duplicates, next_page_token) = page(listed, pairs, |pair| {
            Uuid::try_parse(&pair.duplicate_id).unwrap_or_default()
        });
        let told = self.cut_pairs(call, &mut duplicates).await?;
        call.caller.told("ListDuplicates", &told, PAIR).await?;
        Ok(pb::ListDuplicatesResponse {
            duplicates,
            next_page_token,
        })
    }

    /// Leaves out of pairs the files that lie beyond the caller's reach; the files that stay.
    async fn cut_pairs(
        &self,
        call: &Call,
        pairs: &mut Vec<pb::Duplicate>,
    ) -> Result<HashSet<String>, Status> {
        let ids = pairs
            .iter()
            .flat_map(|pair| [&pair.elder_id, &pair.other_elder_id]);
        let ids: Vec<ElderId> = ids.filter_map(|id| id.parse().ok()).collect();
        let mut files = self
            .files
            .get_many(&ids)
            .await
            .map_err(refusals::of_database)?;
        files.retain(|_, file| call.caller.reaches(&residence(&file.elder, call.today())));
        let reached: HashSet<String> = files.keys().map(ToString::to_string).collect();
        for pair in pairs.iter_mut() {
            for id in [&mut pair.elder_id, &mut pair.other_elder_id] {
                if !reached.contains(id.as_str()) {
                    id.clear();
                }
            }
        }
        // Who has just moved away takes the pair along.
        pairs.retain(|pair| !pair.elder_id.is_empty() || !pair.other_elder_id.is_empty());
        Ok(reached)
    }
}

/// Files as an answer shows them: as many as have room in it.
pub(crate) struct ShownFiles {
    pub(crate) elders: Vec<pb::Elder>,
    /// How many of the files these are, from the first on; those without a key any more count, and are not shown.
    files: usize,
}

impl ShownFiles {
    /// The token of the next page: after the last file shown, or `whole` where the whole page was.
    fn token<F>(&self, listed: &Listed<F>, files: &[FoundFile], whole: String) -> String {
        match files[..self.files].last() {
            Some(last) if self.files < files.len() => listed.list.token(file_id(last).as_bytes()),
            Some(_) | None => whole,
        }
    }
}

/// Where an elder lives on a day.
pub(crate) fn residence(elder: &Elder, day: LocalDay) -> civic::DivisionCode {
    elder.facts.on(day).residence.village.division()
}

fn shown(file: &FoundFile) -> Shown<'_> {
    Shown {
        elder: &file.elder,
        version: file.version,
        registered_at: file.registered_at,
    }
}

fn file_id(file: &FoundFile) -> Uuid {
    file.elder.id.as_uuid()
}

/// Cuts what was found, which is one more than asked for where there are more, into a page and its token.
fn page<F, T>(listed: &Listed<F>, mut found: Vec<T>, id: impl Fn(&T) -> Uuid) -> (Vec<T>, String) {
    let more = found.len() > listed.size;
    found.truncate(listed.size);
    let token = match found.last() {
        Some(last) if more => listed.list.token(id(last).as_bytes()),
        Some(_) | None => String::new(),
    };
    (found, token)
}
