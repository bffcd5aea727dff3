//! The desk where a row that can stand by itself is held against the registry: new, known, changed, or another's number.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, PoisonError},
};

use civic::{ElderId, IdNumber, LocalDay, PersonName};
use elders::{
    Elder,
    event::{Capability, Consent, Source, Spoken},
};
use eventlog::{Position, RequestDigest};
use proto::eldercare::{registry::v1 as pb, r#type::v1 as types};
use tonic::{Code, Status};
use uuid::Uuid;

use super::{
    candidate::{Candidate, Identity},
    outcome::{Outcome, accepted, duplicate, rejected, with_warnings},
    resurvey,
    verdict::Rejection,
};
use crate::{
    call::Call,
    derived_ids,
    elder_files::FoundFile,
    parse::{commands::Registration, queries::ImportOptions},
    queries::residence,
    refusals,
    registry::{Registry, open_identity},
};

/// Where a row that can stand is held against the registry.
pub(super) struct Desk<'a> {
    pub(super) registry: &'a Registry,
    pub(super) call: &'a Call,
    pub(super) options: &'a ImportOptions,
    pub(super) as_of: LocalDay,
    pub(super) digest: RequestDigest,
    /// The elders of the rows before.
    pub(super) listed: &'a Mutex<HashSet<ElderId>>,
    /// In a dry run: under which names the rows before would have been registered.
    pub(super) would_be: &'a Mutex<HashMap<IdNumber, PersonName>>,
}

impl Desk<'_> {
    /// `above` is the elder of a row above with the same ID number.
    pub(super) async fn conclude(
        &self,
        candidate: &Candidate,
        claims: &[String],
        holder: Option<&FoundFile>,
        above: Option<ElderId>,
    ) -> Result<Outcome, Status> {
        if let Some(file) = holder {
            return self
                .known(candidate, file.elder.id, Some(file), above)
                .await;
        }
        if let Some(elder) = self.holder_in_memory(claims).await? {
            return self.known(candidate, elder, None, above).await;
        }
        if self.options.dry_run {
            return Ok(self.would_become(candidate));
        }
        let registration = registration(candidate, self.options.import);
        match self
            .registry
            .register_from(
                self.call,
                &registration,
                self.digest.clone(),
                Source::Survey,
            )
            .await
        {
            Ok(done) => {
                let position = done
                    .position
                    .parse::<Position>()
                    .ok()
                    .map(|position| position.sequence);
                Ok(accepted(candidate, Some(done.elder), position))
            }
            Err(status) if status.code() == Code::AlreadyExists => {
                // Somebody was faster.
                for claim in claims {
                    let claim = self
                        .registry
                        .claims
                        .load_newest(claim)
                        .await
                        .map_err(refusals::of_loading)?;
                    if let Some(elder) = claim.state.holder() {
                        return self.known(candidate, elder, None, above).await;
                    }
                }
                Err(status)
            }
            Err(status) => Err(self.of_another_workbook(status)),
        }
    }

    /// What a row would become whose number nobody holds, but for the rows before it.
    fn would_become(&self, candidate: &Candidate) -> Outcome {
        let mut would_be = self.would_be.lock().unwrap_or_else(PoisonError::into_inner);
        match candidate.identity(would_be.get(&candidate.id_number)) {
            Identity::New => {
                would_be.insert(candidate.id_number, candidate.name.clone());
                accepted(candidate, None, None)
            }
            Identity::Known => duplicate(candidate, None),
            Identity::Conflict => rejected(candidate.row, Rejection::IdentityConflict),
        }
    }

    /// Who holds the number by what this process has seen: a row above may just have registered it. What the read model
    /// does not know is taken for new otherwise; if it is not, the log says so. The log says as well whether it is so still:
    /// elsewhere the number may have been taken from its holder meanwhile, and the outcome of the row leaves no trace by which
    /// that would be found out.
    async fn holder_in_memory(&self, claims: &[String]) -> Result<Option<ElderId>, Status> {
        for claim in claims {
            self.registry
                .claims
                .assume_new(claim)
                .map_err(|error| service::errors::internal(&error))?;
            let known = self
                .registry
                .claims
                .load(claim)
                .await
                .map_err(refusals::of_loading)?;
            if known.state.holder().is_none() {
                continue;
            }
            let newest = self.registry.claims.load_newest(claim).await;
            let newest = newest.map_err(refusals::of_loading)?;
            if let Some(elder) = newest.state.holder() {
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
        above: Option<ElderId>,
    ) -> Result<Outcome, Status> {
        let request = derived_ids::survey_row(self.options.import, candidate.row);
        if elder == derived_ids::elder(request) {
            // An earlier try may have written it without ever being told so: memory then has nothing of it.
            let file = self.registry.known_file(elder).await?;
            if let Some(known) = file.request(request) {
                if !self.digest.is(&known.digest) {
                    return Err(self.of_another_workbook(service::errors::request_id_reused()));
                }
                return Ok(accepted(candidate, Some(elder), Some(known.sequence)));
            }
        }
        let registered_as = match self.holder(elder, looked_up).await? {
            Holder::Named(name) => name,
            Holder::Elsewhere => return Ok(duplicate(candidate, None)),
            // The number is free again from the next try on.
            Holder::Erased => {
                return Err(service::errors::aborted(
                    "CONTENDED",
                    "an elder was erased meanwhile",
                    "有老年人档案刚被删除，请重试",
                ));
            }
        };
        match candidate.identity(Some(&registered_as)) {
            // Of several rows about one elder the first has the say: were each to update the file, every import would
            // change it again.
            Identity::Known if self.options.update && above.is_none() && !self.is_listed(elder) => {
                self.resurvey(candidate, elder, request).await
            }
            Identity::Known => Ok(duplicate(candidate, Some(elder))),
            Identity::Conflict | Identity::New => {
                Ok(rejected(candidate.row, Rejection::IdentityConflict))
            }
        }
    }

    fn is_listed(&self, elder: ElderId) -> bool {
        let listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        listed.contains(&elder)
    }

    /// Who holds a number. A name is opened only for those in whose charge it is.
    async fn holder(
        &self,
        elder: ElderId,
        looked_up: Option<&FoundFile>,
    ) -> Result<Holder, Status> {
        let loaded;
        let file = match looked_up {
            Some(found) => &*found.elder,
            None => {
                let newest = self.registry.elders.load_newest(&elder.to_string()).await;
                loaded = newest.map_err(refusals::of_loading)?;
                let Some(open) = loaded.state.0.open() else {
                    return Ok(Holder::Erased);
                };
                open
            }
        };
        if !self.is_theirs(file).await? {
            return Ok(Holder::Elsewhere);
        }
        let key = match self.registry.vault.key(elder.as_uuid()).await {
            Ok(key) => key,
            Err(vault::KeyError::Erased) => return Ok(Holder::Erased),
            Err(vault::KeyError::Unavailable(away)) => return Err(refusals::of_keys(away)),
        };
        let identity = open_identity(&key, file)?;
        let name = identity.name.parse::<PersonName>();
        name.map(Holder::Named)
            .map_err(|error| service::errors::internal(&error))
    }

    /// Whether an elder lives where the caller may import; of a merged file the one that stands for it.
    async fn is_theirs(&self, file: &Elder) -> Result<bool, Status> {
        let loaded;
        let standing = match file.merged_into {
            None => Some(file),
            Some(surviving) => {
                loaded = self.registry.file_for(surviving, Uuid::nil()).await?.1;
                loaded.state.0.open()
            }
        };
        let village = standing.map(|elder| residence(elder, self.call.today()));
        Ok(village.is_some_and(|village| self.call.caller.reaches(&village)))
    }

    async fn resurvey(
        &self,
        candidate: &Candidate,
        elder: ElderId,
        request: Uuid,
    ) -> Result<Outcome, Status> {
        let resurvey = resurvey::Resurvey {
            registry: self.registry,
            call: self.call,
            request,
            digest: self.digest.clone(),
            as_of: self.as_of,
            dry_run: self.options.dry_run,
        };
        let taken = resurvey
            .take_over(candidate, elder)
            .await
            .map_err(|status| self.of_another_workbook(status))?;
        // Moved away in this moment.
        let Some(taken) = taken else {
            return Ok(duplicate(candidate, None));
        };
        let outcome = if taken.fields.is_empty() {
            pb::SurveyOutcome::Unchanged
        } else {
            pb::SurveyOutcome::Changed
        };
        let fields = taken.fields.into_iter().map(str::to_owned).collect();
        let row = pb::RowOutcome {
            changed_fields: fields,
            ..with_warnings(candidate, outcome, Some(taken.elder))
        };
        Ok(Outcome {
            row,
            elder: Some(taken.elder),
            position: taken.position,
        })
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

/// Who holds the number of a row.
enum Holder {
    /// Somebody of this name.
    Named(PersonName),
    /// Somebody in the charge of others: the caller learns that the number is registered, and no more.
    Elsewhere,
    /// Nobody any more: the elder was erased in this moment.
    Erased,
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
        capability: Capability {
            level: candidate.capability,
            assessed_on: None,
            source: "SURVEY".to_owned(),
        },
        observations: candidate.observations,
        handicap_grade: candidate.handicap_grade,
        circumstances: Vec::new(),
        contacts: pb::ContactList {
            contacts: candidate.contact.iter().map(resurvey::contact).collect(),
        },
        consent: Consent {
            state: candidate.consent,
            spoken: Spoken { by: None, at: None },
        },
        wanted_services: candidate.wanted_services,
        remarks: pb::Remarks {
            text: candidate.remarks.clone(),
        },
        import: Some(import),
    }
}
