//! An elder is registered: the ID number claimed, the key made, and the first record sealed and written, as one decision.

use std::sync::{Arc, Mutex, PoisonError};

use civic::{ElderId, VillageCode};
use decider::Decider as _;
use elders::{
    event::{Registered, Residence, Source},
    purpose,
};
use eventlog::{ExecuteError, Held, RequestDigest, UnitOfWork};
use proto::eldercare::registry::v1 as pb;
use tonic::Status;
use uuid::Uuid;
use vault::{Created, DataKey};

use crate::{
    call::Call,
    commands::{Done, of_elder},
    derived_ids,
    elder::{Command, File},
    identity,
    parse::commands::Registration,
    refusals,
    registry::Registry,
};

impl Registry {
    /// Opens an elder's file, and claims the ID number for it.
    ///
    /// The key is in the vault before the first record that it seals. Should the number turn out to be another's, the
    /// key is destroyed again, if this call made it.
    pub(crate) async fn register(
        &self,
        call: &Call,
        registration: &Registration,
        digest: RequestDigest,
    ) -> Result<Done, Status> {
        call.caller
            .may_where_asked(&registration.village.division())?;
        self.register_from(call, registration, digest, Source::Api)
            .await
    }

    /// The same for any source; who may do it is settled.
    pub(crate) async fn register_from(
        &self,
        call: &Call,
        registration: &Registration,
        digest: RequestDigest,
        source: Source,
    ) -> Result<Done, Status> {
        let elder = derived_ids::elder(registration.request_id);
        let claims = self.claims_to(&registration.id_number);
        let context = call.context(
            registration.request_id,
            digest,
            Some(registration.village.as_str().to_owned()),
        );
        let used = UsedKey::default();
        // Elder and claim are taken for new without asking the log, which is what mostly holds. Where it does not, since
        // this is a retry or the number is registered, the log refuses the record, and the decision is made again.
        let new = self.elders.assume_new(&elder.to_string());
        let free = self.claims.assume_new(&claims[0]);
        new.and(free)
            .map_err(|error| service::errors::internal(&error))?;
        let outcome = self
            .elders
            .transact(&elder.to_string(), &context, |unit, file: Held<File>| {
                let (claims, used) = (&claims, &used);
                async move {
                    if source == Source::Api {
                        self.check_village(&registration.village)
                            .await
                            .map_err(ExecuteError::Refused)?;
                    }
                    if let Err(refused) = self.claim(&unit, claims, elder).await {
                        // A key made for an attempt before this one.
                        if matches!(refused, ExecuteError::Refused(_))
                            && let Some(made) = used.take_made()
                        {
                            self.take_key_back(elder, &made).await;
                        }
                        return Err(refused);
                    }
                    let created = self.vault.create_or_find(elder.as_uuid()).await;
                    let created = created.map_err(|error| {
                        ExecuteError::Refused(match error {
                            vault::KeyError::Erased => service::errors::unavailable("vault"),
                            vault::KeyError::Unavailable(away) => refusals::of_keys(away),
                        })
                    })?;
                    used.note(&created);
                    let key = created.key;
                    let registered =
                        sealed_registration(elder, &claims[0], registration, source, &key);
                    let events = file
                        .state
                        .decide(&Command::Register(Box::new(registered)))
                        .map_err(of_elder)?;
                    unit.record(file, events);
                    Ok(())
                }
            })
            .await;
        // A retry that comes after the erasure must not leave a new key behind.
        let answered = matches!(outcome, Ok(_) | Err(ExecuteError::RequestIdReused));
        let used = used.into_inner();
        if answered && used.made.is_some() && self.is_erased(elder).await {
            self.destroy_stray_key(elder).await;
        }
        let committed = outcome.map_err(refusals::of_execution)?;
        if let Some(found) = used.found.filter(|_| !committed.repeated) {
            // Whoever made it may have been refused since, and have taken it back.
            self.keep_key(elder, &found)
                .await
                .map_err(refusals::of_keys)?;
        }
        Ok(Done::of(elder, &committed))
    }

    /// Claims an ID number for an elder, under the key in use; under former keys nobody else may hold it.
    pub(crate) async fn claim(
        &self,
        unit: &UnitOfWork<'_>,
        claims: &[String],
        elder: ElderId,
    ) -> Result<(), ExecuteError<Status>> {
        for (place, name) in claims.iter().enumerate() {
            let claim = unit.load(&self.claims, name).await?;
            let events = claim
                .state
                .decide(&identity::Command::Claim(elder))
                .map_err(|refusal| ExecuteError::Refused(refusals::of_claim(refusal)))?;
            if place == 0 {
                unit.record(claim, events);
            }
        }
        Ok(())
    }

    async fn is_erased(&self, elder: ElderId) -> bool {
        let file = self.elders.load(&elder.to_string()).await;
        file.is_ok_and(|file| matches!(file.state.0, elders::File::Erased))
    }

    /// Destroys a key that this call made, and that nothing is sealed with, as far as is known. A call under the same
    /// request id on another replica may have found it: if its record is there, it gets the key back; if its record
    /// comes later, it sees to that itself.
    async fn take_key_back(&self, elder: ElderId, made: &DataKey) {
        self.destroy_stray_key(elder).await;
        let file = self.elders.load_newest(&elder.to_string()).await;
        if file.is_ok_and(|file| file.is_new()) {
            return;
        }
        if let Err(error) = self.keep_key(elder, made).await {
            tracing::error!(%elder, %error, "a key that something may be sealed with could not be stored again");
        }
    }

    /// Sees to it that a key is in the vault, as long as its person is not erased.
    async fn keep_key(&self, elder: ElderId, key: &DataKey) -> Result<(), vault::Unavailable> {
        self.vault.restore(elder.as_uuid(), key).await?;
        // An erasure that was written before this is read has perhaps destroyed the key before it was stored again; one
        // that is written later destroys it later.
        let file = self.elders.load_newest(&elder.to_string()).await;
        if file.is_ok_and(|file| matches!(file.state.0, elders::File::Erased)) {
            self.destroy_stray_key(elder).await;
        }
        Ok(())
    }

    /// Destroys a key with which nothing is sealed. If that fails, the key stays, and protects nothing.
    async fn destroy_stray_key(&self, elder: ElderId) {
        if let Err(error) = self.vault.erase(elder.as_uuid()).await {
            tracing::warn!(%elder, %error, "a key that nothing was sealed with stays in the vault");
        }
    }
}

/// The key that a registration seals with, through all its attempts.
#[derive(Default)]
struct UsedKey(Mutex<KeyOrigin>);

#[derive(Default)]
struct KeyOrigin {
    /// The key, if this registration made it.
    made: Option<Arc<DataKey>>,
    /// The key, if it was there.
    found: Option<Arc<DataKey>>,
}

impl UsedKey {
    fn note(&self, created: &Created) {
        let mut origin = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if created.made {
            *origin = KeyOrigin {
                made: Some(Arc::clone(&created.key)),
                found: None,
            };
        } else if origin.made.is_none() {
            origin.found = Some(Arc::clone(&created.key));
        }
    }

    fn take_made(&self) -> Option<Arc<DataKey>> {
        let mut origin = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        origin.made.take()
    }

    fn into_inner(self) -> KeyOrigin {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Everything that a registration says, sealed where it is personal.
fn sealed_registration(
    elder: ElderId,
    claim: &str,
    registration: &Registration,
    source: Source,
    key: &DataKey,
) -> Registered {
    let person = elder.as_uuid();
    let identity = pb::Identity {
        name: registration.name.as_str().to_owned(),
        id_number: registration.id_number.as_str().to_owned(),
    };
    let contacts = Some(&registration.contacts).filter(|list| !list.contacts.is_empty());
    let remarks = Some(&registration.remarks).filter(|remarks| !remarks.text.is_empty());
    Registered {
        elder,
        source,
        identity: key.seal(purpose::IDENTITY, person, &identity),
        identity_claim: claim.to_owned(),
        birth_date: registration.id_number.birth_date(),
        sex: registration.id_number.sex(),
        residence: residence(
            registration.village,
            registration.home.as_ref(),
            person,
            key,
        ),
        categories: registration.categories,
        assistance: registration.assistance,
        capability: registration.capability.clone(),
        observations: registration.observations,
        handicap_grade: registration.handicap_grade,
        circumstances: registration.circumstances.clone(),
        contacts: contacts.map(|contacts| key.seal(purpose::CONTACTS, person, contacts)),
        consent: registration.consent,
        wanted_services: registration.wanted_services,
        remarks: remarks.map(|remarks| key.seal(purpose::REMARKS, person, remarks)),
        import: registration.import,
    }
}

fn residence(
    village: VillageCode,
    home: Option<&pb::Home>,
    person: Uuid,
    key: &DataKey,
) -> Residence {
    Residence {
        village,
        home: home.map(|home| key.seal(purpose::HOME, person, home)),
    }
}
