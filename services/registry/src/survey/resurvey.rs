//! A town surveyed again: what the newer survey says of a known elder becomes changes of the file, effective on the survey's date.
//!
//! A blank says nothing: no capability, no grade, no contact, no consent and no remarks leave what is known. Observations
//! stay until they are ended, so that a survey only adds to them. What the file says already is recorded again as of the
//! survey's date, and is no change.

use std::sync::{Mutex, PoisonError};

use civic::{CapabilityLevel, ConsentState, ElderId, LocalDay};
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

/// What came of a row whose elder is in the caller's charge.
pub(super) struct TakenOver {
    /// Whose file took it: of a merged one the file that stands for it.
    pub(super) elder: ElderId,
    /// The fields of `Elder` that changed.
    pub(super) fields: Vec<&'static str>,
    /// The record's sequence, where one was written.
    pub(super) position: Option<u64>,
}

impl Resurvey<'_> {
    /// Has the elder's file take over what the row says. Nothing where the elder lives now is beyond the caller's reach:
    /// a survey of one town takes no elder out of another.
    pub(super) async fn take_over(
        &self,
        candidate: &Candidate,
        elder: ElderId,
    ) -> Result<Option<TakenOver>, Status> {
        let (elder, loaded) = self.registry.file_for(elder, self.request).await?;
        if self.dry_run {
            let Some(open) = loaded.state.0.open() else {
                return Err(refusals::elder_not_found());
            };
            if !self.reaches(open) {
                return Ok(None);
            }
            let events = self.events(candidate, open, &*self.registry.key(elder).await?);
            let events = loaded
                .state
                .decide(&Command::Resurvey(events))
                .map_err(|refusal| refusals::of_elder(&refusal))?;
            return Ok(Some(TakenOver {
                elder,
                fields: fields(open, &events, self.as_of),
                position: None,
            }));
        }
        let context = self.call.context(
            self.request,
            self.digest.clone(),
            Some(candidate.village.as_str().to_owned()),
        );
        // What the last attempt at a decision found: the fields that change, or nothing where the elder is out of reach.
        let seen = Mutex::new(None);
        let committed = self
            .registry
            .elders
            .execute_with(&elder.to_string(), &context, |file| {
                let seen = &seen;
                async move {
                    let open = OpenFile::of(&file)?;
                    // Asked of the very state that is decided on: nobody moves away in between.
                    if !self.reaches(&open) {
                        *seen.lock().unwrap_or_else(PoisonError::into_inner) = None;
                        return Ok(Vec::new());
                    }
                    let events = self.events(candidate, &open, &*self.registry.key(elder).await?);
                    let events = file
                        .state
                        .decide(&Command::Resurvey(events))
                        .map_err(|refusal| refusals::of_elder(&refusal))?;
                    *seen.lock().unwrap_or_else(PoisonError::into_inner) =
                        Some(fields(&open, &events, self.as_of));
                    Ok(events)
                }
            })
            .await
            .map_err(refusals::of_execution)?;
        let changed = if committed.repeated {
            Some(self.recorded(elder, committed.position.sequence).await?)
        } else {
            seen.into_inner().unwrap_or_else(PoisonError::into_inner)
        };
        let position = committed.changed.then_some(committed.position.sequence);
        Ok(changed.map(|fields| TakenOver {
            elder,
            fields,
            position,
        }))
    }

    /// Whether the caller may import where the elder lives today.
    fn reaches(&self, elder: &Elder) -> bool {
        let village = elder.facts.on(self.call.today()).residence.village;
        self.call.caller.reaches(&village.division())
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
            .map(|before| fields(before, &events.unwrap_or_default(), self.as_of))
            .unwrap_or_default())
    }

    /// All that the row says, as of the survey's date. What the file says of an earlier day is said again: it stands
    /// against what is yet recorded for the days between. What it says of that very day is dropped by the file.
    fn events(&self, candidate: &Candidate, elder: &Elder, key: &DataKey) -> Vec<Event> {
        let facts = elder.facts.on(self.as_of);
        let remarks = pb::Remarks {
            text: candidate.remarks.clone(),
        };
        let mut events = vec![
            Event::ProfileUpdated(ProfileUpdated {
                on: Some(self.as_of),
                categories: Some(candidate.categories),
                assistance: Some(candidate.assistance),
                wanted_services: Some(candidate.wanted_services)
                    .filter(|services| !services.is_empty()),
                remarks: (!remarks.text.is_empty())
                    .then(|| sealed_remarks(key, elder, &remarks))
                    .flatten(),
            }),
            self.residence(candidate, elder, &facts.residence, key),
        ];
        if candidate.capability != CapabilityLevel::Unassessed {
            let capability = Capability {
                level: candidate.capability,
                assessed_on: Some(self.as_of),
                source: "SURVEY".to_owned(),
            };
            events.push(Event::CapabilityAssessed(capability, None));
        }
        events.extend(candidate.observations.iter().map(|observation| {
            Event::ObservationRecorded {
                observation,
                on: Some(self.as_of),
            }
        }));
        if candidate.handicap_grade.is_some() {
            events.push(Event::HandicapRecorded {
                grade: candidate.handicap_grade,
                on: Some(self.as_of),
            });
        }
        events.extend(contacts(candidate, elder, key));
        let spoken = Spoken {
            by: None,
            at: Some(self.as_of.start()),
        };
        events.extend(match (candidate.consent, facts.consent.state) {
            (ConsentState::Unknown, _) => None,
            (ConsentState::Granted, _) => Some(Event::ConsentGranted(spoken)),
            (ConsentState::Refused, ConsentState::Granted) => Some(Event::ConsentWithdrawn(spoken)),
            (ConsentState::Refused, ConsentState::Unknown | ConsentState::Refused) => {
                Some(Event::ConsentRefused(spoken))
            }
        });
        events
    }

    /// Where the elder lives. A blank address in the same village says nothing, and neither does a position that the
    /// sheet does not have.
    fn residence(
        &self,
        candidate: &Candidate,
        elder: &Elder,
        before: &Residence,
        key: &DataKey,
    ) -> Event {
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
        let nothing = home == pb::Home::default();
        let home = (!nothing)
            .then(|| seal_or_keep(key, purpose::HOME, elder.id, before.home.as_ref(), &home));
        Event::Relocated(
            Residence {
                village: candidate.village,
                home,
            },
            self.as_of,
        )
    }
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

/// The fields of `Elder` that events change; what they only say again is no change.
fn fields(before: &Elder, events: &[Event], as_of: LocalDay) -> Vec<&'static str> {
    let known = before.facts.on(as_of);
    let mut fields = Vec::new();
    let mut changed = |field, changed: bool| {
        if changed && !fields.contains(&field) {
            fields.push(field);
        }
    };
    for event in events {
        match event {
            Event::ProfileUpdated(update) => {
                changed("categories", differs(update.categories, known.categories));
                changed("assistance", differs(update.assistance, known.assistance));
                changed(
                    "wanted_services",
                    differs(update.wanted_services, known.wanted_services),
                );
                changed("remarks", update.remarks.is_some());
            }
            Event::Relocated(residence, _) => {
                let from = &known.residence;
                changed("division_code", from.village != residence.village);
                changed("address", from.home != residence.home);
            }
            Event::CapabilityAssessed(capability, _) => {
                changed("capability", capability.level != known.capability.level);
            }
            Event::HandicapRecorded { grade, .. } => {
                changed("handicap_grade", *grade != known.handicap_grade);
            }
            Event::ObservationRecorded { observation, .. } => {
                changed("observations", !known.observations.contains(*observation));
            }
            Event::ContactsSet(_) => changed("contacts", true),
            Event::ConsentGranted(_) => {
                changed("consent", known.consent.state != ConsentState::Granted);
            }
            Event::ConsentRefused(_) | Event::ConsentWithdrawn(_) => {
                changed("consent", known.consent.state != ConsentState::Refused);
            }
            // A survey brings no others.
            Event::Registered(_)
            | Event::IdentityCorrected(_)
            | Event::ObservationEnded { .. }
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
    fields
}

fn differs<T: PartialEq>(said: Option<T>, known: T) -> bool {
    said.is_some_and(|said| said != known)
}
