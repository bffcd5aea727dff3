//! What is done to elders' files: each command is checked, sealed, decided and written here, as one decision.
//!
//! What happens twice: a request that was answered before, however long ago, is answered from the record that it led
//! to. Nothing is written again, and nothing is sealed or decided anew.

use std::{
    ops::Deref,
    sync::{Arc, Mutex, PoisonError},
};

use civic::{ElderId, IdNumber};
use decider::Decider as _;
use elders::{
    Elder,
    event::{Circumstance, IdentityCorrected, ProfileUpdated, Residence},
    purpose,
};
use eventlog::{Committed, ExecuteError, Held, Loaded, RequestDigest, UnitOfWork};
use proto::eldercare::registry::v1 as pb;
use tonic::Status;
use uuid::Uuid;
use vault::{DataKey, Sealed};

use crate::{
    call::Call,
    elder::{Command, File},
    identity,
    parse::commands::{Addressed, Assessment, Correction, ProfileChange, Relocation},
    refusals,
    registry::{Registry, open_identity, seal_or_keep},
};

/// What came of a command: where its record lies, and whose file took it.
#[derive(Clone, Debug)]
pub(crate) struct Done {
    pub(crate) elder: ElderId,
    pub(crate) position: String,
    pub(crate) version: u64,
    pub(crate) changed: bool,
}

impl Done {
    pub(crate) fn of<A>(elder: ElderId, committed: &Committed<A>) -> Self {
        Self {
            elder,
            position: committed.position.to_string(),
            version: committed.version,
            changed: committed.changed,
        }
    }
}

impl From<Done> for pb::Committed {
    fn from(done: Done) -> Self {
        Self {
            position: done.position,
            etag: service::etag(done.version),
            changed: done.changed,
            elder_id: done.elder.to_string(),
        }
    }
}

impl Registry {
    /// Has an elder's file decide a command that `build` makes of it.
    pub(crate) async fn change<T, B, F>(
        &self,
        call: &Call,
        addressed: &Addressed<T>,
        digest: RequestDigest,
        build: B,
    ) -> Result<Done, Status>
    where
        B: Fn(OpenFile) -> F,
        F: Future<Output = Result<Option<Command>, Status>>,
    {
        let (elder, loaded) = self.file_for(addressed.elder, addressed.request_id).await?;
        let permitted = self.permit_change(call, elder, &loaded, addressed.request_id);
        let division = permitted.await?;
        let judged = loaded.sequence;
        drop(loaded);
        let context = call.context(addressed.request_id, digest, division);
        let committed = self
            .elders
            .execute_with(&elder.to_string(), &context, |file| {
                let build = &build;
                async move {
                    // Decided again on a newer state: the elder may have moved away from the caller.
                    if file.sequence != judged {
                        self.may_change(call, &file)?;
                    }
                    check_etag(&file, addressed.etag)?;
                    let open = OpenFile::of(&file)?;
                    match build(open).await? {
                        Some(command) => file
                            .state
                            .decide(&command)
                            .map_err(|refusal| refusals::of_elder(&refusal)),
                        None => Ok(Vec::new()),
                    }
                }
            })
            .await
            .map_err(refusals::of_execution)?;
        Ok(Done::of(elder, &committed))
    }

    /// A command that needs nothing sealed.
    pub(crate) async fn change_plainly(
        &self,
        call: &Call,
        command: &Addressed<Command>,
        digest: RequestDigest,
    ) -> Result<Done, Status> {
        self.change(call, command, digest, |_| async move {
            Ok(Some(command.what.clone()))
        })
        .await
    }

    /// Changes categories, assistance, wanted services or remarks.
    pub(crate) async fn update(
        &self,
        call: &Call,
        command: &Addressed<ProfileChange>,
        digest: RequestDigest,
    ) -> Result<Done, Status> {
        let change = &command.what;
        self.change(call, command, digest, |elder| async move {
            let remarks = match &change.remarks {
                Some(remarks) => sealed_remarks(&*self.key(elder.id).await?, &elder, remarks),
                None => None,
            };
            Ok(Some(Command::UpdateProfile(ProfileUpdated {
                on: Some(change.on),
                categories: change.categories,
                assistance: change.assistance,
                wanted_services: change.wanted_services,
                remarks,
            })))
        })
        .await
    }

    /// Records where the elder lives.
    pub(crate) async fn relocate(
        &self,
        call: &Call,
        command: &Addressed<Relocation>,
        digest: RequestDigest,
    ) -> Result<Done, Status> {
        let relocation = &command.what;
        self.change(call, command, digest, |elder| async move {
            // Who records an arrival must be in charge there too.
            call.caller
                .may_where_asked(&relocation.village.division())?;
            self.check_village(&relocation.village).await?;
            let before = elder.facts.on(relocation.on).residence;
            let home = match &relocation.home {
                Some(home) => {
                    let key = self.key(elder.id).await?;
                    Some(seal_or_keep(
                        &key,
                        purpose::HOME,
                        elder.id,
                        before.home.as_ref(),
                        home,
                    ))
                }
                None => None,
            };
            let residence = Residence {
                village: relocation.village,
                home,
            };
            Ok(Some(Command::Relocate {
                residence,
                on: relocation.on,
            }))
        })
        .await
    }

    /// Records an assessment.
    pub(crate) async fn assess(
        &self,
        call: &Call,
        command: &Addressed<Assessment>,
        digest: RequestDigest,
    ) -> Result<Done, Status> {
        let assessment = &command.what;
        self.change(call, command, digest, |elder| async move {
            let items = match &assessment.items {
                Some(items) => {
                    let key = self.key(elder.id).await?;
                    Some(key.seal(purpose::ASSESSMENT_ITEMS, elder.id.as_uuid(), items))
                }
                None => None,
            };
            let capability = assessment.capability.clone();
            Ok(Some(Command::RecordAssessment {
                capability,
                items,
                today: call.today(),
            }))
        })
        .await
    }

    /// Records a circumstance; answers the id by which the file knows it.
    pub(crate) async fn record_circumstance(
        &self,
        call: &Call,
        command: &Addressed<Circumstance>,
        digest: RequestDigest,
    ) -> Result<(Done, Uuid), Status> {
        let done = self
            .change(call, command, digest, |_| async move {
                Ok(Some(Command::RecordCircumstance(command.what.clone())))
            })
            .await?;
        if done.changed {
            return Ok((done, command.what.id));
        }
        // The file knew it already, under another id.
        let file = self
            .elders
            .load(&done.elder.to_string())
            .await
            .map_err(refusals::of_loading)?;
        let same = |one: &&Circumstance| {
            let new = &command.what;
            (one.kind, one.first_day, one.last_day) == (new.kind, new.first_day, new.last_day)
        };
        let known = file
            .state
            .0
            .open()
            .and_then(|elder| elder.facts.circumstances().iter().find(same));
        Ok((
            done,
            known.map_or(command.what.id, |circumstance| circumstance.id),
        ))
    }

    /// Replaces the contacts.
    pub(crate) async fn set_contacts(
        &self,
        call: &Call,
        command: &Addressed<pb::ContactList>,
        digest: RequestDigest,
    ) -> Result<Done, Status> {
        self.change(call, command, digest, |elder| async move {
            let key = self.key(elder.id).await?;
            Ok(sealed_contacts(&key, &elder, &command.what).map(Command::SetContacts))
        })
        .await
    }

    /// Replaces a wrong name or ID number; of a number the claim moves along.
    pub(crate) async fn correct_identity(
        &self,
        call: &Call,
        command: &Addressed<Correction>,
        digest: RequestDigest,
    ) -> Result<Done, Status> {
        let (elder, loaded) = self.file_for(command.elder, command.request_id).await?;
        let permitted = self.permit_change(call, elder, &loaded, command.request_id);
        let division = permitted.await?;
        let judged = loaded.sequence;
        drop(loaded);
        let context = call.context(command.request_id, digest, division);
        let committed = self
            .elders
            .transact(
                &elder.to_string(),
                &context,
                |unit, file: Held<File>| async move {
                    if file.sequence != judged {
                        self.may_change(call, &file)
                            .map_err(ExecuteError::Refused)?;
                    }
                    check_etag(&file, command.etag).map_err(ExecuteError::Refused)?;
                    let open = OpenFile::of(&file.loaded()).map_err(ExecuteError::Refused)?;
                    let key = self.key(elder).await.map_err(ExecuteError::Refused)?;
                    let before = open_identity(&key, &open).map_err(ExecuteError::Refused)?;
                    let id_number = match command.what.id_number {
                        Some(id_number) => id_number,
                        None => before.id_number.parse::<IdNumber>().map_err(|error| {
                            ExecuteError::Refused(service::errors::internal(&error))
                        })?,
                    };
                    let name = command
                        .what
                        .name
                        .as_ref()
                        .map_or(before.name, |name| name.as_str().to_owned());
                    let identity = pb::Identity {
                        name,
                        id_number: id_number.as_str().to_owned(),
                    };
                    let claims = self.claims_to(&id_number);
                    // Where the number stays, so does its claim, whatever key of the index named it.
                    let kept = claims.contains(&open.identity_claim);
                    let identity_claim = if kept {
                        open.identity_claim.clone()
                    } else {
                        claims[0].clone()
                    };
                    let correction = Command::CorrectIdentity(IdentityCorrected {
                        identity: seal_or_keep(
                            &key,
                            purpose::IDENTITY,
                            elder,
                            Some(&open.identity),
                            &identity,
                        ),
                        identity_claim,
                        birth_date: id_number.birth_date(),
                        sex: id_number.sex(),
                        reason: command.what.reason.clone(),
                    });
                    let former = open.identity_claim.clone();
                    let events = file.state.decide(&correction).map_err(of_elder)?;
                    if !kept {
                        self.claim(&unit, &claims, elder).await?;
                        self.release(&unit, &former, elder).await?;
                    }
                    unit.record(file, events);
                    Ok(())
                },
            )
            .await
            .map_err(refusals::of_execution)?;
        Ok(Done::of(elder, &committed))
    }

    async fn release(
        &self,
        unit: &UnitOfWork<'_>,
        claim: &str,
        elder: ElderId,
    ) -> Result<(), ExecuteError<Status>> {
        let claim = unit.load(&self.claims, claim).await?;
        let events = claim
            .state
            .decide(&identity::Command::Release(elder))
            .map_err(|refusal| ExecuteError::Refused(refusals::of_claim(refusal)))?;
        unit.record(claim, events);
        Ok(())
    }

    /// Erases a person: the file, and the files that were merged into it, which are the same person's. Answers when the
    /// keys are destroyed; should the process die in between, the reactor on `ElderErased` destroys them.
    pub(crate) async fn erase(
        &self,
        call: &Call,
        command: &Addressed<String>,
        digest: RequestDigest,
    ) -> Result<Done, Status> {
        let found = self.file_for(command.elder, command.request_id).await?;
        let (elder, loaded) = self.erased_first(found, command.request_id).await?;
        let permitted = self.permit_change(call, elder, &loaded, command.request_id);
        let division = permitted.await?;
        let judged = loaded.sequence;
        drop(loaded);
        let context = call.context(command.request_id, digest, division);
        let erased = Mutex::new(Vec::new());
        let committed = self
            .elders
            .transact(&elder.to_string(), &context, |unit, file: Held<File>| {
                let erased = &erased;
                async move {
                    if file.sequence != judged {
                        self.may_change(call, &file)
                            .map_err(ExecuteError::Refused)?;
                    }
                    check_etag(&file, command.etag).map_err(ExecuteError::Refused)?;
                    let erase = Command::Erase {
                        reason: command.what.clone(),
                    };
                    let mut absorbed = absorbed_by(&file);
                    let mut persons = vec![elder];
                    self.erase_file(&unit, file, elder, &erase).await?;
                    while let Some(merged) = absorbed.pop() {
                        let file = unit.load(&self.elders, &merged.to_string()).await?;
                        absorbed.extend(absorbed_by(&file));
                        self.erase_file(&unit, file, merged, &erase).await?;
                        persons.push(merged);
                    }
                    *erased.lock().unwrap_or_else(PoisonError::into_inner) = persons;
                    Ok(())
                }
            })
            .await
            .map_err(refusals::of_execution)?;
        let mut erased = erased.into_inner().unwrap_or_else(PoisonError::into_inner);
        if committed.repeated {
            // Of a repeated request only this much is sure; the files that were merged are the reactor's.
            erased = vec![elder];
        }
        for elder in erased {
            self.vault
                .erase(elder.as_uuid())
                .await
                .map_err(refusals::of_keys)?;
        }
        Ok(Done::of(elder, &committed))
    }

    async fn erase_file(
        &self,
        unit: &UnitOfWork<'_>,
        file: Held<File>,
        elder: ElderId,
        erase: &Command,
    ) -> Result<(), ExecuteError<Status>> {
        let events = file.state.decide(erase).map_err(of_elder)?;
        if let Some(open) = file.state.0.open() {
            let claim = open.identity_claim.clone();
            self.release(unit, &claim, elder).await?;
        }
        unit.record(file, events);
        Ok(())
    }
}

/// A file that is open, as a command finds it.
#[derive(Clone, Debug)]
pub(crate) struct OpenFile(Arc<Loaded<File>>);

impl OpenFile {
    /// The open file, or the refusal that fits what it is instead.
    pub(crate) fn of(file: &Arc<Loaded<File>>) -> Result<Self, Status> {
        match &file.state.0 {
            elders::File::Open(_) => Ok(Self(Arc::clone(file))),
            elders::File::Absent => Err(refusals::elder_not_found()),
            elders::File::Erased => Err(refusals::of_elder(&crate::elder::Refusal::Erased)),
        }
    }
}

impl Deref for OpenFile {
    type Target = Elder;

    fn deref(&self) -> &Elder {
        self.0
            .state
            .0
            .open()
            .expect("the file was open when this was made, and does not change")
    }
}

fn absorbed_by(file: &Loaded<File>) -> Vec<ElderId> {
    file.state
        .0
        .open()
        .map(|elder| elder.absorbed.clone())
        .unwrap_or_default()
}

/// A file's refusal, as the outcome of a decision.
pub(crate) fn of_elder(refusal: crate::elder::Refusal) -> ExecuteError<Status> {
    ExecuteError::Refused(refusals::of_elder(&refusal))
}

fn check_etag(file: &Loaded<File>, etag: Option<u64>) -> Result<(), Status> {
    match etag {
        Some(version) if version != file.sequence => Err(service::errors::etag_mismatch()),
        Some(_) | None => Ok(()),
    }
}

/// New contacts, sealed; none where there were none and are none.
pub(crate) fn sealed_contacts(
    key: &DataKey,
    elder: &Elder,
    contacts: &pb::ContactList,
) -> Option<Sealed<pb::ContactList>> {
    let nothing = elder.contacts.is_none() && contacts.contacts.is_empty();
    (!nothing).then(|| {
        seal_or_keep(
            key,
            purpose::CONTACTS,
            elder.id,
            elder.contacts.as_ref(),
            contacts,
        )
    })
}

/// New remarks, sealed; none where there were none and are none.
pub(crate) fn sealed_remarks(
    key: &DataKey,
    elder: &Elder,
    remarks: &pb::Remarks,
) -> Option<Sealed<pb::Remarks>> {
    let nothing = elder.remarks.is_none() && remarks.text.is_empty();
    (!nothing).then(|| {
        seal_or_keep(
            key,
            purpose::REMARKS,
            elder.id,
            elder.remarks.as_ref(),
            remarks,
        )
    })
}
