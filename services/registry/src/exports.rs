//! What leaves the registry on paper: the summary of a division (annex 3) and the form of one elder (annex 1).

use std::collections::HashMap;

use civic::{Category, DivisionCode, ElderId, ElderStatus, GeoPosition, IdNumber, LocalDay, Set};
use elders::purpose;
use eventlog::Position;
use proto::eldercare::registry::v1 as pb;
use tonic::{Code, Status};
use vault::DataKey;
use workbooks::{Outgoing, printing::PrintError};

use crate::{
    annex1::{self, Form},
    annex3::{self, ContactLine, Line},
    answer,
    call::Call,
    divisions_table,
    elder_files::{FoundFile, ListedFiles},
    parse::queries::InDivision,
    queries::FILE,
    refusals,
    registry::{Registry, open_identity},
};

/// How many files are read at a time.
const AT_ONCE: usize = 1_000;

/// What is personal in annex 1.
const FORM: &[&str] = &[
    "elder.name",
    "elder.id_number",
    "elder.address",
    "elder.contacts",
];

impl Registry {
    /// Annex 3 of a division: its elders in scope on a day, by village and name.
    pub(crate) async fn export_summary(
        &self,
        call: &Call,
        asked: &InDivision,
    ) -> Result<Outgoing, Status> {
        call.caller.may_where_asked(&asked.division)?;
        self.reach(call, asked.min_position.as_ref()).await?;
        let place = self.exports.place().await?;
        let names = self.division_names(&asked.division).await?;
        let heading = names
            .get(&asked.division)
            .cloned()
            .unwrap_or_else(|| asked.division.to_string());
        let mut lines = Vec::new();
        let mut after = None;
        loop {
            let files = self.files.list(ListedFiles {
                division: &asked.division,
                categories: Category::ALL.iter().copied().collect(),
                assistance: Set::EMPTY,
                capabilities: Set::EMPTY,
                statuses: ElderStatus::Active.into(),
                on: asked.on,
                after,
                limit: AT_ONCE,
            });
            let files = files.await.map_err(refusals::of_database)?;
            after = files.last().map(|file| file.elder.id.as_uuid());
            self.add_lines(call, &files, asked.on, &names, &mut lines)
                .await?;
            if lines.len() > annex3::MOST_ELDERS {
                return Err(too_large());
            }
            if files.len() < AT_ONCE {
                break;
            }
        }
        if lines.is_empty() && !names.contains_key(&asked.division) {
            return Err(refusals::no_such_division(&asked.division));
        }
        lines.sort_by(|(village, one), (other, another)| {
            (village, &one.name).cmp(&(other, &another.name))
        });
        let on = asked.on;
        let print = move || {
            let book = annex3::summary(&heading, on, lines.into_iter().map(|(_, line)| line));
            // It goes on also where the caller has gone meanwhile.
            drop(place);
            book
        };
        let bytes = tokio::task::spawn_blocking(print)
            .await
            .map_err(|error| service::errors::internal(&error))?
            .map_err(|error| of_printing(&error))?;
        self.exports.send(bytes)
    }

    async fn division_names(
        &self,
        division: &DivisionCode,
    ) -> Result<HashMap<DivisionCode, String>, Status> {
        let divisions = divisions_table::list(&self.pool, Some(division))
            .await
            .map_err(refusals::of_database)?;
        Ok(divisions
            .into_iter()
            .map(|division| (division.code, division.name))
            .collect())
    }

    async fn add_lines(
        &self,
        call: &Call,
        files: &[FoundFile],
        on: LocalDay,
        names: &HashMap<DivisionCode, String>,
        lines: &mut Vec<(DivisionCode, Line)>,
    ) -> Result<(), Status> {
        let persons: Vec<_> = files.iter().map(|file| file.elder.id.as_uuid()).collect();
        let keys = self.vault.keys(&persons).await.map_err(refusals::of_keys)?;
        let mut told = Vec::with_capacity(files.len());
        for file in files {
            let facts = file.elder.facts.on(on);
            // An erased elder's row may be there for a moment longer than the key.
            let Some(key) = keys
                .get(&file.elder.id.as_uuid())
                .filter(|_| facts.in_scope())
            else {
                continue;
            };
            let personal = Personal::of(file, on, key)?;
            let village = facts.residence.village.division();
            told.push(file.elder.id);
            lines.push((
                village,
                Line {
                    name: personal.identity.name,
                    id_number: personal.id_number,
                    village: names.get(&village).cloned().unwrap_or_default(),
                    address: personal.home.address,
                    position: personal.home.position.and_then(|position| {
                        GeoPosition::new(position.latitude, position.longitude).ok()
                    }),
                    categories: facts.categories,
                    assistance: facts.assistance,
                    handicap_grade: facts.handicap_grade,
                    capability: facts.capability.level,
                    observations: facts.observations,
                    contact: personal.contacts.into_iter().next(),
                    wanted_services: facts.wanted_services,
                    consent: facts.consent.state,
                    remarks: personal.remarks,
                },
            ));
        }
        call.caller.told("ExportSummary", &told, FILE).await?;
        Ok(())
    }

    /// Annex 1 of an elder, as of today.
    pub(crate) async fn export_form(
        &self,
        call: &Call,
        elder: ElderId,
        min_position: Option<&Position>,
    ) -> Result<Vec<u8>, Status> {
        self.reach(call, min_position).await?;
        let file = self.files.get(elder).await.map_err(refusals::of_database)?;
        let file = file.ok_or_else(refusals::elder_not_found)?;
        let facts = file.elder.facts.on(call.today());
        let village = facts.residence.village.division();
        call.caller.knows(&village, refusals::elder_not_found)?;
        let key = self.key(file.elder.id).await?;
        let personal = Personal::of(&file, call.today(), &key)?;
        let told = [file.elder.id];
        call.caller.told("ExportElderForm", told, FORM).await?;
        let form = Form {
            name: personal.identity.name,
            id_number: personal.id_number,
            address: personal.home.address,
            categories: facts.categories,
            assistance: facts.assistance,
            handicap_grade: facts.handicap_grade,
            capability: facts.capability.level,
            observations: facts.observations,
            contacts: personal.contacts,
            wanted_services: facts.wanted_services,
        };
        annex1::form(&form, call.today()).map_err(|error| of_printing(&error))
    }
}

/// What is personal in a file, opened.
struct Personal {
    identity: pb::Identity,
    id_number: IdNumber,
    home: pb::Home,
    contacts: Vec<ContactLine>,
    remarks: String,
}

impl Personal {
    fn of(file: &FoundFile, on: LocalDay, key: &DataKey) -> Result<Self, Status> {
        let elder = &file.elder;
        let person = elder.id.as_uuid();
        let identity = open_identity(key, elder)?;
        let id_number = identity
            .id_number
            .parse()
            .map_err(|error: civic::IdNumberError| service::errors::internal(&error))?;
        let home = elder.facts.on(on).residence.home;
        let contacts: pb::ContactList = answer::open(
            Some(key),
            purpose::CONTACTS,
            person,
            elder.contacts.as_ref(),
        )
        .unwrap_or_default();
        let remarks: pb::Remarks =
            answer::open(Some(key), purpose::REMARKS, person, elder.remarks.as_ref())
                .unwrap_or_default();
        Ok(Self {
            identity,
            id_number,
            home: answer::open(Some(key), purpose::HOME, person, home.as_ref()).unwrap_or_default(),
            contacts: contacts
                .contacts
                .into_iter()
                .map(|contact| ContactLine {
                    name: contact.name,
                    relation: contact.relation,
                    phone: contact.phone,
                })
                .collect(),
            remarks: remarks.text,
        })
    }
}

fn of_printing(error: &PrintError) -> Status {
    match error {
        PrintError::TooManyElders { .. } => too_large(),
        PrintError::Sheet(_) => service::errors::internal(error),
    }
}

fn too_large() -> Status {
    service::Refusal::new(
        Code::FailedPrecondition,
        "SUMMARY_TOO_LARGE",
        "the division has more elders than one summary holds: ask for smaller divisions",
        "该区划老年人过多，请按下级区划分别导出",
    )
    .precondition("division_code")
    .into()
}
