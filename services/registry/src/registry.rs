//! The registry at work: the aggregates in the log, the keys, and the read model, as commands and queries use them.

use std::{sync::Arc, time::Duration};

use civic::{DivisionCode, ElderId};
use elders::purpose;
use eventlog::{EventLog, Loaded, Position, Repository, RequestDigest};
use moka::sync::Cache;
use prost::Message;
use proto::eldercare::registry::v1 as pb;
use readmodel::{Follower, WaitError};
use service::{Clock, errors};
use sqlx::PgPool;
use tonic::Status;
use uuid::Uuid;
use vault::{BlindIndex, DataKey, KeyError, Sealed, Vault};
use workbooks::Exports;

use crate::{
    call::Call, divisions::Divisions, duplicate::Duplicate, elder, elder_files::ElderFiles,
    identity::Claim, refusals,
};

/// The domain of digests of ID numbers: claims are named by them.
pub(crate) const ID_NUMBER: &str = "id_number";

/// How long a query waits for the read model where its call has no nearer deadline.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a county's table may be out of date on another replica before it is looked at again.
const TABLE_AGE: Duration = Duration::from_secs(10);

/// The longest chain of merges that is followed.
pub(crate) const LONGEST_CHAIN: usize = 16;

/// What commands and queries work with. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Registry {
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) elders: Repository<elder::File>,
    pub(crate) claims: Repository<Claim>,
    pub(crate) duplicates: Repository<Duplicate>,
    pub(crate) counties: Repository<Divisions>,
    pub(crate) vault: Vault,
    pub(crate) index: BlindIndex,
    pub(crate) pool: PgPool,
    pub(crate) files: ElderFiles,
    pub(crate) follower: Follower,
    pub(crate) clock: Clock,
    /// Counties' tables as seen a moment ago.
    pub(crate) tables: Cache<DivisionCode, Arc<Loaded<Divisions>>>,
    /// What summaries may take of the memory.
    pub(crate) exports: Exports,
    /// The bytes of the largest answer.
    pub(crate) largest_answer: usize,
}

/// The parts that a [`Registry`] is made of.
pub(crate) struct Parts {
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) vault: Vault,
    pub(crate) index: BlindIndex,
    pub(crate) pool: PgPool,
    pub(crate) follower: Follower,
    pub(crate) clock: Clock,
    /// How many elders' files are kept in memory.
    pub(crate) remembered_files: u64,
    /// How many claims are kept in memory.
    pub(crate) remembered_claims: u64,
    /// The bytes of the largest answer.
    pub(crate) largest_answer: usize,
}

impl Registry {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts {
            log,
            vault,
            index,
            pool,
            follower,
            clock,
            remembered_files,
            remembered_claims,
            largest_answer,
        } = parts;
        let files = ElderFiles::new(pool.clone());
        Self {
            elders: Repository::new(Arc::clone(&log))
                .caching(remembered_files)
                .with_snapshots(Arc::new(files.clone())),
            claims: Repository::new(Arc::clone(&log)).caching(remembered_claims),
            duplicates: Repository::new(Arc::clone(&log)).caching(1_000),
            counties: Repository::new(Arc::clone(&log)).caching(100),
            tables: Cache::builder()
                .max_capacity(1_000)
                .time_to_live(TABLE_AGE)
                .build(),
            log,
            vault,
            index,
            pool,
            files,
            follower,
            clock,
            exports: Exports::default(),
            largest_answer,
        }
    }

    /// The file of an elder that takes this request: of a merged file the one that stands for it, unless the request
    /// was answered by the file itself, before the merge; and a file that stood once for it, or for one that now does, if it
    /// answered the request then.
    pub(crate) async fn file_for(
        &self,
        elder: ElderId,
        request: Uuid,
    ) -> Result<(ElderId, Arc<Loaded<elder::File>>), Status> {
        let (mut id, mut former): (_, Vec<ElderId>) = (elder, Vec::new());
        for _ in 0..LONGEST_CHAIN {
            let loaded = self.known_file(id).await?;
            if loaded.request(request).is_some() {
                return Ok((id, loaded));
            }
            let open = loaded.state.0.open();
            // Each file on the way may have led elsewhere when the request came first.
            former.extend(open.iter().flat_map(|open| &open.formerly_merged_into));
            match open.and_then(|elder| elder.merged_into) {
                Some(surviving) => id = surviving,
                None => {
                    let answered = self.answered_by_a_former(former, request).await?;
                    return Ok(answered.unwrap_or((id, loaded)));
                }
            }
        }
        Err(errors::internal(&"a chain of merges is too long"))
    }

    /// The file that answered a request, among those that stood for another one once and those that they led to. There
    /// are hardly ever any.
    async fn answered_by_a_former(
        &self,
        mut former: Vec<ElderId>,
        request: Uuid,
    ) -> Result<Option<(ElderId, Arc<Loaded<elder::File>>)>, Status> {
        let mut seen = Vec::new();
        while let Some(id) = former.pop() {
            if seen.contains(&id) || seen.len() == LONGEST_CHAIN {
                continue;
            }
            seen.push(id);
            let loaded = self.known_file(id).await?;
            if loaded.request(request).is_some() {
                return Ok(Some((id, loaded)));
            }
            match &loaded.state.0 {
                elders::File::Open(elder) => {
                    former.extend(elder.merged_into);
                    former.extend(&elder.formerly_merged_into);
                }
                elders::File::Erased => former.extend(self.once_merged_into(id).await?),
                elders::File::Absent => {}
            }
        }
        Ok(None)
    }

    /// The file that answered a request by which it was erased, with those that were merged into it: a retry may name one of
    /// these, which bears the request too.
    pub(crate) async fn erased_first(
        &self,
        (mut elder, mut file): (ElderId, Arc<Loaded<elder::File>>),
        request: Uuid,
    ) -> Result<(ElderId, Arc<Loaded<elder::File>>), Status> {
        for _ in 0..LONGEST_CHAIN {
            let erased = matches!(file.state.0, elders::File::Erased);
            if !erased || file.request(request).is_none() {
                break;
            }
            let Some(above) = self.erased_under(elder).await? else {
                break;
            };
            let surviving = self.known_file(above).await?;
            if surviving.request(request).is_none() {
                break;
            }
            (elder, file) = (above, surviving);
        }
        Ok((elder, file))
    }

    /// A file as it is known; where memory has none, as the log has it.
    pub(crate) async fn known_file(
        &self,
        elder: ElderId,
    ) -> Result<Arc<Loaded<elder::File>>, Status> {
        let loaded = self.elders.load_if_there(&elder.to_string()).await;
        loaded.map_err(refusals::of_loading)
    }

    /// Lets a command on a file go on if its caller may work where the elder lives; tells the elder's division. To all others
    /// there is no such file, whoever it is about.
    pub(crate) fn may_change(
        &self,
        call: &Call,
        file: &Loaded<elder::File>,
    ) -> Result<Option<String>, Status> {
        let unknown = refusals::elder_not_found;
        match &file.state.0 {
            elders::File::Open(elder) => {
                let village = elder.facts.on(call.today()).residence.village;
                call.caller.knows(&village.division(), unknown)?;
                Ok(Some(village.to_string()))
            }
            elders::File::Absent => Err(unknown()),
            // An erased file lies nowhere: only who works everywhere may know that it was there.
            elders::File::Erased => {
                let everywhere = call.caller.may_everywhere();
                everywhere.map(|()| None).map_err(|_| unknown())
            }
        }
    }

    /// As [`Registry::may_change`], and asks once more of what the log holds where the caller may not: nobody is refused on
    /// what may be stale. A request that an erased file has answered gets that answer again. For a file that is not there the
    /// log has been asked already ([`Registry::file_for`]); a second time would set it apart from one that lies elsewhere.
    pub(crate) async fn permit_change(
        &self,
        call: &Call,
        elder: ElderId,
        known: &Loaded<elder::File>,
        request: Uuid,
    ) -> Result<Option<String>, Status> {
        let permitted = self.may_change(call, known);
        if permitted.is_ok() || known.is_new() {
            return permitted;
        }
        let newest = self.elders.load_newest(&elder.to_string()).await;
        let newest = newest.map_err(refusals::of_loading)?;
        if newest.request(request).is_some() && matches!(newest.state.0, elders::File::Erased) {
            self.worked_where_it_lay(call, elder).await?;
            return Ok(None);
        }
        self.may_change(call, &newest)
    }

    /// Lets a call go on if its caller may work where an elder lived when the file was erased, as the log has it beside the
    /// record.
    pub(crate) async fn worked_where_it_lay(
        &self,
        call: &Call,
        elder: ElderId,
    ) -> Result<(), Status> {
        let unknown = refusals::elder_not_found;
        let file = self.records_of(elder).await?;
        let last = file.records.iter().rev().find_map(|record| {
            let division = record.metadata.division.as_deref()?;
            division.parse::<DivisionCode>().ok()
        });
        match last {
            Some(last) => call.caller.knows(&last, unknown),
            None => call.caller.may_everywhere().map_err(|_| unknown()),
        }
    }

    /// The names of the claim to an ID number: the one to be used first, then those under former keys of the index.
    pub(crate) fn claims_to(&self, id_number: &civic::IdNumber) -> Vec<String> {
        self.index
            .digests(ID_NUMBER, id_number.as_str())
            .map(|digest| digest.subject_token())
            .collect()
    }

    /// The digest by which a request is known again. The request comes without its id.
    pub(crate) fn digest(&self, method: &'static str, request: &impl Message) -> RequestDigest {
        self.digest_of(method, &request.encode_to_vec())
    }

    /// The same of a request's bytes.
    pub(crate) fn digest_of(&self, method: &'static str, request: &[u8]) -> RequestDigest {
        let mut digests = self.index.request_digests(method, request);
        let current = digests.next().expect("an index has a current key");
        RequestDigest::new(current, digests)
    }

    /// The key of an elder whose file is open.
    pub(crate) async fn key(&self, elder: ElderId) -> Result<Arc<DataKey>, Status> {
        self.vault
            .key(elder.as_uuid())
            .await
            .map_err(|error| match error {
                // The erasure is in the log already, or about to be read there.
                KeyError::Erased => refusals::of_elder(&elder::Refusal::Erased),
                KeyError::Unavailable(away) => refusals::of_keys(away),
            })
    }

    /// Waits until the read model holds what the caller has seen.
    pub(crate) async fn reach(
        &self,
        call: &Call,
        position: Option<&Position>,
    ) -> Result<(), Status> {
        let Some(position) = position else {
            return Ok(());
        };
        let wait = call.deadline.wait_at_most(PATIENCE);
        self.follower
            .wait_for(position, tokio::time::Instant::now() + wait)
            .await
            .map_err(|error| match error {
                WaitError::TimedOut => errors::deadline_exceeded(),
                WaitError::OtherStream => service::Violation::new(
                    "min_position",
                    "POSITION_INVALID",
                    "lies in a stream that this service does not follow",
                    "不属于本服务的日志",
                )
                .into(),
            })
    }
}

/// Seals what is new, and keeps the envelope where its content is the same: what did not change is not written again.
pub(crate) fn seal_or_keep<T: Message + Default + PartialEq>(
    key: &DataKey,
    purpose: &'static str,
    person: ElderId,
    kept: Option<&Sealed<T>>,
    content: &T,
) -> Sealed<T> {
    match kept {
        Some(kept)
            if key
                .open(purpose, person.as_uuid(), kept)
                .is_ok_and(|opened| opened == *content) =>
        {
            kept.clone()
        }
        Some(_) | None => key.seal(purpose, person.as_uuid(), content),
    }
}

/// The name and ID number in a file.
pub(crate) fn open_identity(key: &DataKey, elder: &elders::Elder) -> Result<pb::Identity, Status> {
    key.open(purpose::IDENTITY, elder.id.as_uuid(), &elder.identity)
        .map_err(|error| errors::internal(&error))
}
