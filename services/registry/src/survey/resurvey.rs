//! A town surveyed again: what the newer survey says of a known elder becomes changes of the file, effective on the survey's date.
//!
//! A blank says nothing: no capability, no grade, no contact, no consent and no remarks leave what is known. Observations
//! stay until they are ended, so that a survey only adds to them.

use std::sync::{Mutex, PoisonError};

use civic::{CapabilityLevel, ConsentState, ElderId, LocalDay, Observation, Set};
use decider::Decider as _;
use elders::{
    Elder, Event, codec,
    event::{Capability, ProfileUpdated, Residence, Spoken},
    purpose,
};
use eventlog::{Loaded, Repository, RequestDigest};
use proto::eldercare::{registry::v1 as pb, r#type::v1 as types};
use tonic::Status;
use uuid::Uuid;
use vault::DataKey;

use super::candidate::{self, Candidate};
use crate::{
    answer,
    call::Call,
    commands::{OpenFile, sealed_remarks},
    elder::{Command, File},
    refusals,
    registry::{Registry, seal_or_keep},
};

/// A row of a newer survey, to be taken over.
pub(super) struct Resurvey<'a> {
    pub(super) registry: &'a Registry,
    pub(super) call: &'a Call,
    pub(super) request: Uuid,
    pub(super) digest: RequestDigest,
    pub(super) as_of: LocalDay,
    pub(super) dry_run: bool,
}

/// What came of it.
pub(super) struct TakenOver {
    /// Whose file took it: of a merged one the file that stands for it.
    pub(super) elder: ElderId,
    /// The fields of `Elder` that changed.
    pub(super) fields: Vec<&'static str>,
    /// The record's sequence, where one was written.
    pub(super) position: Option<u64>,
}

impl Resurvey<'_> {
    pub(super) async fn take_over(
        &self,
        candidate: &Candidate,
        elder: ElderId,
    ) -> Result<TakenOver, Status> {
        let (elder, loaded) = self.registry.file_for(elder, self.request).await?;
        if self.dry_run {
            let Some(open) = loaded.state.0.open() else {
                return Err(refusals::elder_not_found());
            };
            let events = self.events(candidate, open, &*self.registry.key(elder).await?);
            let events = loaded
                .state
                .decide(&Command::Resurvey(events))
                .map_err(|refusal| refusals::of_elder(&refusal))?;
            return Ok(TakenOver {
                elder,
                fields: fields(open, &events),
                position: None,
            });
        }
        let context = self.call.context(
            self.request,
            self.digest.clone(),
            Some(candidate.village.as_str().to_owned()),
        );
        let seen = Mutex::new(Vec::new());
        let committed = self
            .registry
            .elders
            .execute_with(&elder.to_string(), &context, |file| {
                let seen = &seen;
                async move {
                    let open = OpenFile::of(&file)?;
                    let events = self.events(candidate, &open, &*self.registry.key(elder).await?);
                    let events = file
                        .state
                        .decide(&Command::Resurvey(events))
                        .map_err(|refusal| refusals::of_elder(&refusal))?;
                    *seen.lock().unwrap_or_else(PoisonError::into_inner) = fields(&open, &events);
                    Ok(events)
                }
            })
            .await
            .map_err(refusals::of_execution)?;
        let changed = if committed.repeated {
            self.recorded(elder, committed.position.sequence).await?
        } else {
            seen.into_inner().unwrap_or_else(PoisonError::into_inner)
        };
        let position = committed.changed.then_some(committed.position.sequence);
        Ok(TakenOver {
            elder,
            fields: changed,
            position,
        })
    }

    /// The fields that an earlier try of this very row changed.
    async fn recorded(&self, elder: ElderId, sequence: u64) -> Result<Vec<&'static str>, Status> {
        let subject = Repository::<File>::subject(&elder.to_string())
            .map_err(|error| service::errors::internal(&error))?;
        let records = self.registry.log.read(&subject, 0).await;
        let records = records.map_err(|error| refusals::of_loading(error.into()))?;
        let mut before = Loaded::<File>::default();
        for record in records
            .iter()
            .take_while(|record| record.sequence < sequence)
        {
            before.take_in(record).map_err(refusals::of_loading)?;
        }
        let answer = records.iter().find(|record| record.sequence == sequence);
        let events = answer.map(|record| {
            record
                .events
                .iter()
                .map(codec::decode)
                .collect::<Result<Vec<_>, _>>()
        });
        let events = events
            .transpose()
            .map_err(|error| service::errors::internal(&error))?;
        Ok(before
            .state
            .0
            .open()
            .map(|before| fields(before, &events.unwrap_or_default()))
            .unwrap_or_default())
    }

    fn events(&self, candidate: &Candidate, elder: &Elder, key: &DataKey) -> Vec<Event> {
        let facts = elder.facts.on(self.as_of);
        let mut events = Vec::new();
        let profile = ProfileUpdated {
            on: Some(self.as_of),
            categories: differs(facts.categories, candidate.categories),
            assistance: differs(facts.assistance, candidate.assistance),
            wanted_services: differs(facts.wanted_services, candidate.wanted_services)
                .filter(|services| !services.is_empty()),
            remarks: (!candidate.remarks.is_empty())
                .then(|| {
                    sealed_remarks(
                        key,
                        elder,
                        &pb::Remarks {
                            text: candidate.remarks.clone(),
                        },
                    )
                })
                .flatten()
                .filter(|remarks| elder.remarks.as_ref() != Some(remarks)),
        };
        if profile
            != (ProfileUpdated {
                on: Some(self.as_of),
                ..ProfileUpdated::default()
            })
        {
            events.push(Event::ProfileUpdated(profile));
        }
        events.extend(self.relocation(candidate, elder, &facts.residence, key));
        if candidate.capability != CapabilityLevel::Unassessed
            && candidate.capability != facts.capability.level
        {
            let capability = Capability {
                level: candidate.capability,
                assessed_on: Some(self.as_of),
                source: "SURVEY".to_owned(),
            };
            events.push(Event::CapabilityAssessed(capability, None));
        }
        let seen: Set<Observation> = candidate.observations.difference(facts.observations);
        events.extend(seen.iter().map(|observation| Event::ObservationRecorded {
            observation,
            on: Some(self.as_of),
        }));
        if candidate.handicap_grade.is_some() && candidate.handicap_grade != facts.handicap_grade {
            events.push(Event::HandicapRecorded {
                grade: candidate.handicap_grade,
                on: Some(self.as_of),
            });
        }
        events.extend(contacts(candidate, elder, key));
        if candidate.consent != ConsentState::Unknown && candidate.consent != facts.consent.state {
            let spoken = Spoken {
                by: None,
                at: Some(self.as_of.start()),
            };
            events.push(match (candidate.consent, facts.consent.state) {
                (ConsentState::Granted, _) => Event::ConsentGranted(spoken),
                (_, ConsentState::Granted) => Event::ConsentWithdrawn(spoken),
                (_, ConsentState::Unknown | ConsentState::Refused) => Event::ConsentRefused(spoken),
            });
        }
        events
    }

    /// Another village, or another address. A blank address in the same village says nothing, and neither does a
    /// position that the sheet does not have.
    fn relocation(
        &self,
        candidate: &Candidate,
        elder: &Elder,
        before: &Residence,
        key: &DataKey,
    ) -> Option<Event> {
        let known: pb::Home = answer::open(
            Some(key),
            purpose::HOME,
            elder.id.as_uuid(),
            before.home.as_ref(),
        )
        .unwrap_or_default();
        let moved = candidate.village != before.village;
        let position = candidate.position.map(|position| types::GeoPosition {
            latitude: position.latitude(),
            longitude: position.longitude(),
        });
        let home = if moved {
            pb::Home {
                address: candidate.address.clone(),
                position,
            }
        } else {
            let address = if candidate.address.is_empty() {
                known.address.clone()
            } else {
                candidate.address.clone()
            };
            // Another address makes the old position a wrong one.
            let kept = known.position.filter(|_| address == known.address);
            pb::Home {
                address,
                position: position.or(kept),
            }
        };
        if !moved && home == known {
            return None;
        }
        let nothing = home == pb::Home::default();
        let home = (!nothing)
            .then(|| seal_or_keep(key, purpose::HOME, elder.id, before.home.as_ref(), &home));
        Some(Event::Relocated(
            Residence {
                village: candidate.village,
                home,
            },
            self.as_of,
        ))
    }
}

fn differs<T: Copy + PartialEq>(known: T, listed: T) -> Option<T> {
    (known != listed).then_some(listed)
}

/// The survey's contact takes the place of the one with the same name, or comes first; the others stay.
fn contacts(candidate: &Candidate, elder: &Elder, key: &DataKey) -> Option<Event> {
    let listed = contact(candidate.contact.as_ref()?);
    let known: pb::ContactList = answer::open(
        Some(key),
        purpose::CONTACTS,
        elder.id.as_uuid(),
        elder.contacts.as_ref(),
    )
    .unwrap_or_default();
    let mut contacts = known.contacts.clone();
    match contacts
        .iter_mut()
        .find(|contact| contact.name == listed.name)
    {
        Some(same) => {
            if !listed.relation.is_empty() {
                same.relation = listed.relation;
            }
            if !listed.phone.is_empty() {
                same.phone = listed.phone;
            }
        }
        None => {
            contacts.insert(0, listed);
            for (contact, order) in contacts.iter_mut().zip(1..) {
                contact.call_order = order;
            }
        }
    }
    if contacts == known.contacts {
        return None;
    }
    let list = pb::ContactList { contacts };
    Some(Event::ContactsSet(key.seal(
        purpose::CONTACTS,
        elder.id.as_uuid(),
        &list,
    )))
}

/// A survey's contact, the first to be called.
pub(super) fn contact(contact: &candidate::Contact) -> types::Contact {
    types::Contact {
        name: contact.name.as_str().to_owned(),
        relation: contact.relation.clone(),
        phone: contact
            .phone
            .as_ref()
            .map(|phone| phone.as_str().to_owned())
            .unwrap_or_default(),
        call_order: 1,
        supporter: false,
    }
}

/// The fields of `Elder` that events change.
fn fields(before: &Elder, events: &[Event]) -> Vec<&'static str> {
    let mut fields = Vec::new();
    for event in events {
        match event {
            Event::ProfileUpdated(update) => {
                fields.extend(update.categories.map(|_| "categories"));
                fields.extend(update.assistance.map(|_| "assistance"));
                fields.extend(update.wanted_services.map(|_| "wanted_services"));
                fields.extend(update.remarks.as_ref().map(|_| "remarks"));
            }
            Event::Relocated(residence, on) => {
                let from = before.facts.on(*on).residence;
                fields.extend((from.village != residence.village).then_some("division_code"));
                fields.extend((from.home != residence.home).then_some("address"));
            }
            Event::CapabilityAssessed(..) => fields.push("capability"),
            Event::HandicapRecorded { .. } => fields.push("handicap_grade"),
            Event::ObservationRecorded { .. } | Event::ObservationEnded { .. } => {
                fields.push("observations")
            }
            Event::ContactsSet(_) => fields.push("contacts"),
            Event::ConsentGranted(_) | Event::ConsentRefused(_) | Event::ConsentWithdrawn(_) => {
                fields.push("consent")
            }
            // A survey brings no others.
            Event::Registered(_)
            | Event::IdentityCorrected(_)
            | Event::CircumstanceRecorded(_)
            | Event::CircumstanceEnded { .. }
            | Event::Died { .. }
            | Event::MovedOut { .. }
            | Event::Reinstated { .. }
            | Event::Merged(_)
            | Event::Unmerged(_)
            | Event::Erased { .. } => {}
        }
    }
    fields.dedup();
    fields
}
