//! The history of a file: every change with who, when, what and why, read from the log itself.

use civic::{ElderId, LocalDay, Set, Term};
use elders::{
    Event, codec,
    event::{Capability, Circumstance, Consent, Registered, Residence, Spoken},
    purpose,
};
use eventlog::{Position, RawEvent, Record};
use prost::Message;
use proto::eldercare::registry::v1 as pb;
use service::AnswerRoom;
use tonic::Status;
use vault::{DataKey, Sealed};

use crate::{
    answer::{self, timestamp},
    call::Call,
    parse::queries::History,
    queries::FILE,
    registry::Registry,
};

impl Registry {
    /// A page of a file's changes, oldest first. Of an erased file the changes remain, without what was personal.
    pub(crate) async fn history(
        &self,
        call: &Call,
        history: &History,
    ) -> Result<pb::GetElderHistoryResponse, Status> {
        let file = self.standing_records(call, history.elder).await?;
        let stands = file.file(None);
        self.may_change(call, &stands)?;
        let elder = file.elder;
        // The log says first who is erased: a key may still be in memory.
        let key = if matches!(stands.state.0, elders::File::Erased) {
            None
        } else {
            self.key_of(elder).await?
        };
        let told = Telling {
            stream: self.log.stream(),
            elder,
            key: key.as_deref(),
        };
        let mut changes = Vec::new();
        let mut last = None;
        let mut next_page_token = String::new();
        let mut room = AnswerRoom::within(self.largest_answer);
        'records: for record in &file.records {
            for (raw, place) in record.events.iter().zip(0_u32..) {
                if history
                    .after
                    .is_some_and(|seen| (record.sequence, place) <= seen)
                {
                    continue;
                }
                let change = match codec::decode(raw) {
                    Ok(event) => told.change(record, &event),
                    Err(_unreadable) => told.unreadable(record, raw),
                };
                if changes.len() == history.size || !room.takes(&change) {
                    next_page_token = last
                        .map(|(sequence, place)| history.token(sequence, place))
                        .unwrap_or_default();
                    break 'records;
                }
                changes.push(change);
                last = Some((record.sequence, place));
            }
        }
        if key.is_some() {
            call.caller.told("GetElderHistory", [elder], FILE).await?;
        }
        Ok(pb::GetElderHistoryResponse {
            changes,
            next_page_token,
        })
    }
}

/// What is needed to put a change into words.
struct Telling<'a> {
    stream: &'a str,
    elder: ElderId,
    key: Option<&'a DataKey>,
}

/// The fields of a change, as they are found.
#[derive(Default)]
struct Words(Vec<pb::ChangedField>);

impl Telling<'_> {
    fn change(&self, record: &Record, event: &Event) -> pb::ElderChange {
        let mut words = Words::default();
        let (holds_from, reason) = self.tell(event, &mut words);
        pb::ElderChange {
            position: Position::new(self.stream, record.sequence).to_string(),
            recorded_at: Some(timestamp(record.metadata.time)),
            actor: record.metadata.actor.clone(),
            event: event.name().to_owned(),
            holds_from,
            reason,
            fields: words.0,
            request_id: record.metadata.request_id.to_string(),
            unreadable: false,
            purpose: record.metadata.purpose.clone().unwrap_or_default(),
        }
    }

    /// What this program can't read: who, when and its name are known all the same.
    fn unreadable(&self, record: &Record, raw: &RawEvent) -> pb::ElderChange {
        let name = raw.event_type.rsplit('.').next().unwrap_or_default();
        pb::ElderChange {
            position: Position::new(self.stream, record.sequence).to_string(),
            recorded_at: Some(timestamp(record.metadata.time)),
            actor: record.metadata.actor.clone(),
            event: name.to_owned(),
            request_id: record.metadata.request_id.to_string(),
            unreadable: true,
            purpose: record.metadata.purpose.clone().unwrap_or_default(),
            ..pb::ElderChange::default()
        }
    }

    /// Puts the fields into words, and says from when the change holds and why it was made.
    fn tell(&self, event: &Event, words: &mut Words) -> (String, String) {
        let from = |day: Option<LocalDay>| day.map(|day| day.to_string()).unwrap_or_default();
        match event {
            Event::Registered(registered) => self.registered(registered, words),
            Event::IdentityCorrected(corrected) => {
                self.identity(&corrected.identity, words);
                words.fact("birth_date", corrected.birth_date);
                words.fact("sex", corrected.sex);
                return (String::new(), corrected.reason.clone());
            }
            Event::Relocated(residence, on) => {
                self.residence(residence, words);
                return (on.to_string(), String::new());
            }
            Event::ProfileUpdated(update) => {
                words.set("categories", update.categories);
                words.set("assistance", update.assistance);
                words.set("wanted_services", update.wanted_services);
                self.personal(
                    words,
                    "remarks",
                    purpose::REMARKS,
                    update.remarks.as_ref(),
                    |remarks: pb::Remarks| remarks.text,
                );
                return (from(update.on), String::new());
            }
            Event::CapabilityAssessed(capability, items) => {
                words.capability(capability);
                self.personal(
                    words,
                    "capability.item_scores",
                    purpose::ASSESSMENT_ITEMS,
                    items.as_ref(),
                    |items: pb::AssessmentItems| {
                        items
                            .scores
                            .iter()
                            .map(ToString::to_string)
                            .collect::<Vec<_>>()
                            .join(" ")
                    },
                );
                return (from(capability.assessed_on), String::new());
            }
            Event::HandicapRecorded { grade, on } => {
                words.fact("handicap_grade", grade.map_or(0, |grade| grade.number()));
                return (from(*on), String::new());
            }
            Event::ObservationRecorded { observation, on } => {
                words.fact("observations", observation);
                return (from(*on), String::new());
            }
            Event::ObservationEnded { observation, on } => {
                words.fact("observations", observation);
                return (on.to_string(), String::new());
            }
            Event::CircumstanceRecorded(circumstance) => {
                words.circumstance(circumstance);
                return (circumstance.first_day.to_string(), String::new());
            }
            Event::CircumstanceEnded { id, last_day } => {
                words.fact("circumstances.circumstance_id", id);
                words.fact("circumstances.last_day", last_day);
            }
            Event::ContactsSet(contacts) => self.contacts(Some(contacts), words),
            Event::ConsentGranted(spoken) => {
                return (words.spoken("GRANTED", spoken), String::new());
            }
            Event::ConsentRefused(spoken) | Event::ConsentWithdrawn(spoken) => {
                return (words.spoken("REFUSED", spoken), String::new());
            }
            Event::Died { on } => {
                words.fact("status", "DECEASED");
                return (on.to_string(), String::new());
            }
            Event::MovedOut { on } => {
                words.fact("status", "MOVED_OUT");
                return (on.to_string(), String::new());
            }
            Event::Reinstated { on, reason } => {
                words.fact("status", "ACTIVE");
                return (on.to_string(), reason.clone());
            }
            Event::Merged(merge) | Event::Unmerged(merge) => {
                words.fact("surviving_elder_id", merge.surviving);
                words.fact("merged_elder_id", merge.merged);
                return (String::new(), merge.reason.clone());
            }
            Event::Erased { reason } => {
                words.fact("status", "ERASED");
                return (String::new(), reason.clone());
            }
        }
        (String::new(), String::new())
    }

    fn registered(&self, registered: &Registered, words: &mut Words) {
        self.identity(&registered.identity, words);
        words.fact("birth_date", registered.birth_date);
        words.fact("sex", registered.sex);
        self.residence(&registered.residence, words);
        words.set("categories", Some(registered.categories));
        words.set("assistance", Some(registered.assistance));
        words.capability(&registered.capability);
        words.set("observations", Some(registered.observations));
        words.fact(
            "handicap_grade",
            registered.handicap_grade.map_or(0, |grade| grade.number()),
        );
        for circumstance in &registered.circumstances {
            words.circumstance(circumstance);
        }
        self.contacts(registered.contacts.as_ref(), words);
        words.consent(&registered.consent);
        words.set("wanted_services", Some(registered.wanted_services));
        self.personal(
            words,
            "remarks",
            purpose::REMARKS,
            registered.remarks.as_ref(),
            |remarks: pb::Remarks| remarks.text,
        );
        words.fact("source", answer::source(registered.source));
    }

    fn identity(&self, identity: &Sealed<pb::Identity>, words: &mut Words) {
        let opened = answer::open(
            self.key,
            purpose::IDENTITY,
            self.elder.as_uuid(),
            Some(identity),
        );
        let (name, id_number) = opened
            .map(|identity| (identity.name, identity.id_number))
            .unwrap_or_default();
        words.personal("name", name);
        words.personal("id_number", id_number);
    }

    fn residence(&self, residence: &Residence, words: &mut Words) {
        words.fact("division_code", residence.village);
        let home = answer::open(
            self.key,
            purpose::HOME,
            self.elder.as_uuid(),
            residence.home.as_ref(),
        );
        let home: pb::Home = home.unwrap_or_default();
        if residence.home.is_some() {
            words.personal("address", home.address);
            let position = home
                .position
                .map(|position| format!("{} {}", position.latitude, position.longitude));
            words.personal("position", position.unwrap_or_default());
        }
    }

    fn contacts(&self, contacts: Option<&Sealed<pb::ContactList>>, words: &mut Words) {
        self.personal(
            words,
            "contacts",
            purpose::CONTACTS,
            contacts,
            |list: pb::ContactList| {
                let one = |contact: &proto::eldercare::r#type::v1::Contact| {
                    [
                        contact.name.as_str(),
                        contact.relation.as_str(),
                        contact.phone.as_str(),
                    ]
                    .into_iter()
                    .filter(|part| !part.is_empty())
                    .collect::<Vec<_>>()
                    .join(" ")
                };
                list.contacts.iter().map(one).collect::<Vec<_>>().join("; ")
            },
        );
    }

    fn personal<T: Message + Default>(
        &self,
        words: &mut Words,
        field: &str,
        purpose: &'static str,
        sealed: Option<&Sealed<T>>,
        value: impl FnOnce(T) -> String,
    ) {
        if sealed.is_some() {
            let opened = answer::open(self.key, purpose, self.elder.as_uuid(), sealed);
            words.personal(field, opened.map(value).unwrap_or_default());
        }
    }
}

impl Words {
    fn fact(&mut self, field: &str, value: impl ToString) {
        self.0.push(pb::ChangedField {
            field: field.to_owned(),
            value: value.to_string(),
            personal: false,
        });
    }

    fn personal(&mut self, field: &str, value: String) {
        self.0.push(pb::ChangedField {
            field: field.to_owned(),
            value,
            personal: true,
        });
    }

    fn set<T: Term>(&mut self, field: &str, set: Option<Set<T>>) {
        if let Some(set) = set {
            self.fact(field, set.names().collect::<Vec<_>>().join(", "));
        }
    }

    fn capability(&mut self, capability: &Capability) {
        self.fact("capability", capability.level);
        if !capability.source.is_empty() {
            self.fact("capability.source", &capability.source);
        }
    }

    fn circumstance(&mut self, circumstance: &Circumstance) {
        let last = circumstance
            .last_day
            .map(|day| day.to_string())
            .unwrap_or_default();
        self.fact(
            "circumstances",
            format!("{} {}/{last}", circumstance.kind, circumstance.first_day),
        );
        self.fact("circumstances.circumstance_id", circumstance.id);
    }

    fn consent(&mut self, consent: &Consent) {
        self.spoken(consent.state.name(), &consent.spoken);
    }

    /// What was said about home visits; answers from when it holds.
    fn spoken(&mut self, state: &str, spoken: &Spoken) -> String {
        self.fact("consent", state);
        if let Some(by) = spoken.by {
            self.fact("consent.by", by);
        }
        spoken.at.map(|at| at.to_rfc3339()).unwrap_or_default()
    }
}
