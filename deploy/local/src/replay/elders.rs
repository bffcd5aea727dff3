//! The elders as the registry lists them: whose ID number is which file's, and what a file says.

use std::collections::HashMap;

use anyhow::Context as _;
use proto::eldercare::{
    registry::v1::{Elder, ElderView, ListEldersRequest, SearchEldersRequest},
    r#type::v1 as types,
};
use serde_json::{Value, json};
use tonic::Status;

use crate::{
    client::{Client, call, try_call},
    load::{FailedLine, refused_line},
    wire,
    words::{Word as _, name_of, names_of},
};

/// Elders on one page.
const PAGE: i32 = 1_000;

/// Which file is whose.
#[derive(Debug, Default)]
pub(super) struct Directory {
    id_of: HashMap<String, String>,
    number_of: HashMap<String, String>,
}

impl Directory {
    /// Takes note of a file.
    pub(super) fn add(&mut self, elder: &Elder) {
        self.id_of
            .insert(elder.id_number.clone(), elder.elder_id.clone());
        self.number_of
            .insert(elder.elder_id.clone(), elder.id_number.clone());
    }

    /// The ID number of a file.
    pub(super) fn id_number(&self, elder_id: &str) -> Option<&str> {
        self.number_of.get(elder_id).map(String::as_str)
    }

    /// The elder whom a line of a file is about, or why it is about none.
    ///
    /// # Errors
    /// Where the registry doesn't answer.
    pub(super) async fn elder_of(
        &mut self,
        client: &Client,
        id_number: &str,
        (file, line): (&str, u64),
    ) -> anyhow::Result<Result<String, FailedLine>> {
        match self.elder_id(client, id_number).await {
            Ok(Some(elder_id)) => Ok(Ok(elder_id)),
            Ok(None) => Ok(Err(FailedLine {
                file: file.to_owned(),
                line,
                reason: "no elder has this ID number / 台账中没有该身份证号".to_owned(),
            })),
            Err(status) => refused_line(file, line, &status).map(Err),
        }
    }

    /// The file of an ID number; the registry is asked for one that it doesn't know.
    ///
    /// # Errors
    /// The registry's refusal; `None` where it knows no such elder.
    async fn elder_id(
        &mut self,
        client: &Client,
        id_number: &str,
    ) -> Result<Option<String>, Status> {
        if let Some(id) = self.id_of.get(id_number) {
            return Ok(Some(id.clone()));
        }
        let request = SearchEldersRequest {
            id_number: id_number.to_owned(),
            ..Default::default()
        };
        let found = try_call(request, async |request| {
            client.registry().search_elders(request).await
        })
        .await?;
        Ok(found.elders.first().map(|elder| {
            self.add(elder);
            self.id_of
                .insert(id_number.to_owned(), elder.elder_id.clone());
            elder.elder_id.clone()
        }))
    }
}

/// All files of a division, of whatever status.
///
/// # Errors
/// The call's.
pub(super) async fn all(
    client: &Client,
    division: &str,
    min_position: &str,
) -> anyhow::Result<Vec<Elder>> {
    let statuses = [
        types::ElderStatus::Active,
        types::ElderStatus::MovedOut,
        types::ElderStatus::Deceased,
    ]
    .map(Into::into);
    let mut request = ListEldersRequest {
        division_code: division.to_owned(),
        statuses: statuses.to_vec(),
        page_size: PAGE,
        min_position: min_position.to_owned(),
        view: ElderView::Full.into(),
        ..Default::default()
    };
    let mut elders = Vec::new();
    loop {
        let page = call(request.clone(), async |request| {
            client.registry().list_elders(request).await
        })
        .await?;
        elders.extend(page.elders);
        if page.next_page_token.is_empty() {
            return Ok(elders);
        }
        request.page_token = page.next_page_token;
    }
}

/// The facts of a file as `expected/registry.json` has them.
///
/// # Errors
/// Where the file lacks what every file has.
pub(super) fn facts(elder: &Elder) -> anyhow::Result<Value> {
    let birth_date = elder
        .birth_date
        .and_then(wire::from_date)
        .context("a file has no birth date")?;
    let text_or_null = |text: &str| {
        if text.is_empty() {
            Value::Null
        } else {
            Value::from(text)
        }
    };
    let contact = |contact: &types::Contact| {
        json!({
            "name": text_or_null(&contact.name),
            "relation": text_or_null(&contact.relation),
            "phone": text_or_null(&contact.phone),
        })
    };
    let capability = elder
        .capability
        .as_ref()
        .map_or(0, |capability| capability.level);
    let consent = elder.consent.as_ref().map_or(0, |consent| consent.state);
    Ok(json!({
        "name": elder.name,
        "sex": name_of::<types::Sex>(elder.sex),
        "birth_date": birth_date.to_string(),
        "division_code": elder.division_code,
        "position": elder.position.map(|position| [position.latitude, position.longitude]),
        "categories": names_of::<types::Category>(&elder.categories),
        "assistance": names_of::<types::Assistance>(&elder.assistance),
        "capability": name_of::<types::CapabilityLevel>(capability).unwrap_or(types::CapabilityLevel::Unassessed.name()),
        "observations": names_of::<types::Observation>(&elder.observations),
        "handicap_grade": (elder.handicap_grade != 0).then_some(elder.handicap_grade),
        "consent": name_of::<types::ConsentState>(consent).unwrap_or(types::ConsentState::Unknown.name()),
        "contacts": elder.contacts.iter().map(contact).collect::<Vec<_>>(),
        "wanted_services": names_of::<types::ServiceKind>(&elder.wanted_services),
    }))
}
