//! What is asked of the registry: files by id, by facts, by number or name, as they stand or as they once were known.

use std::{collections::HashMap, sync::Arc};

use chrono::{DateTime, Utc};
use civic::{ElderId, LocalDay};
use eventlog::{Loaded, Repository};
use proto::eldercare::registry::v1 as pb;
use service::access;
use tonic::Status;
use uuid::Uuid;
use vault::DataKey;

use crate::{
    answer::{self, Moment, Shown},
    call::Call,
    duplicates_table,
    elder::File,
    elder_files::{FoundFile, ListedFiles},
    elders_table, parse,
    parse::queries::{DuplicateFilter, ElderFilter, Get, InDivision, Listed, SearchBy},
    refusals,
    registry::Registry,
    statistics,
};

impl Registry {
    /// One file, as it stands or as it was known at an instant.
    pub(crate) async fn get(&self, call: &Call, get: &Get) -> Result<pb::Elder, Status> {
        self.reach(call, get.min_position.as_ref()).await?;
        let (file, moment) = match get.as_of {
            None => (
                self.files
                    .get(get.elder)
                    .await
                    .map_err(refusals::of_database)?,
                call.moment(),
            ),
            Some(instant) => (
                self.as_known_at(get.elder, instant).await?,
                Moment::at(instant),
            ),
        };
        let file = file.ok_or_else(refusals::elder_not_found)?;
        call.caller.may_here(&residence(&file, call.today()))?;
        if !get.personal {
            return Ok(answer::elder(shown(&file), moment, None));
        }
        // Who was erased has no key any more; a row that is still there then is about to go.
        let Some(key) = self.key_of(file.elder.id).await? else {
            return Err(refusals::elder_not_found());
        };
        access::record(&call.caller, "GetElder", [file.elder.id]);
        Ok(answer::elder(shown(&file), moment, Some(&key)))
    }

    async fn key_of(&self, elder: ElderId) -> Result<Option<Arc<DataKey>>, Status> {
        match self.vault.key(elder.as_uuid()).await {
            Ok(key) => Ok(Some(key)),
            Err(vault::KeyError::Erased) => Ok(None),
            Err(vault::KeyError::Unavailable(away)) => Err(refusals::of_keys(away)),
        }
    }

    /// The file as its records up to an instant leave it; of a file merged by then, the one that stood for it.
    async fn as_known_at(
        &self,
        elder: ElderId,
        instant: DateTime<Utc>,
    ) -> Result<Option<FoundFile>, Status> {
        let mut id = elder;
        for _ in 0..16 {
            let subject = Repository::<File>::subject(&id.to_string())
                .map_err(|error| service::errors::internal(&error))?;
            let records = self
                .log
                .read(&subject, 0)
                .await
                .map_err(|error| refusals::of_loading(error.into()))?;
            let Some(first) = records.first() else {
                return Ok(None);
            };
            let registered_at = first.metadata.time;
            let mut loaded = Loaded::<File>::default();
            for record in records
                .iter()
                .take_while(|record| record.metadata.time <= instant)
            {
                loaded.take_in(record).map_err(refusals::of_loading)?;
            }
            let version = loaded.sequence;
            let elders::File::Open(elder) = loaded.state.0 else {
                return Ok(None);
            };
            match elder.merged_into {
                Some(surviving) => id = surviving,
                None => {
                    return Ok(Some(FoundFile {
                        elder,
                        version,
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
        found.retain(|_, file| call.caller.reaches(&residence(file, call.today())));
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
        let elders = self
            .show(call, "BatchGetElders", &files, batch.personal)
            .await?;
        Ok(pb::BatchGetEldersResponse {
            elders,
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
        let elders = self
            .show(call, "ListElders", &files, filter.personal)
            .await?;
        Ok(pb::ListEldersResponse {
            elders,
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
                    .filter(|file| call.caller.reaches(&residence(file, call.today())))
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
        let elders = self.show(call, "SearchElders", &files, true).await?;
        Ok(pb::SearchEldersResponse {
            elders,
            next_page_token,
        })
    }

    /// Files as answers of today, opened together. Whoever lost their key meanwhile is left out.
    pub(crate) async fn show(
        &self,
        call: &Call,
        action: &'static str,
        files: &[FoundFile],
        personal: bool,
    ) -> Result<Vec<pb::Elder>, Status> {
        if !personal {
            return Ok(files
                .iter()
                .map(|file| answer::elder(shown(file), call.moment(), None))
                .collect());
        }
        let keys = self.keys(files).await?;
        let mut opened = Vec::with_capacity(files.len());
        let elders = files
            .iter()
            .filter_map(|file| {
                let key = keys.get(&file.elder.id.as_uuid())?;
                opened.push(file.elder.id);
                Some(answer::elder(shown(file), call.moment(), Some(key)))
            })
            .collect();
        access::record(&call.caller, action, &opened);
        Ok(elders)
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

    /// A page of pairs that may be one person's.
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
        let (duplicates, next_page_token) = page(listed, pairs, |pair| {
            Uuid::try_parse(&pair.duplicate_id).unwrap_or_default()
        });
        Ok(pb::ListDuplicatesResponse {
            duplicates,
            next_page_token,
        })
    }
}

/// Where an elder lives on a day.
fn residence(file: &FoundFile, day: LocalDay) -> civic::DivisionCode {
    file.elder.facts.on(day).residence.village.division()
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
