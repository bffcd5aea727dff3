//! Plays `changes.ndjson`: each change becomes the registry's command of its kind.

use proto::eldercare::{
    registry::v1::{
        Committed, RecordAssessmentRequest, RecordCircumstanceRequest, RecordConsentRequest,
        RecordDeathRequest, RecordMoveOutRequest, RelocateElderRequest,
    },
    r#type::v1 as types,
};
use tonic::Status;

use super::elders::Directory;
use crate::{
    client::{Client, try_call},
    county::{Change, ChangeKind, Line},
    load::{FailedLine, refused_line},
    wire,
};

/// Plays one change: the position of its record, or why it was refused.
///
/// # Errors
/// A system that doesn't answer.
pub(super) async fn play(
    client: &Client,
    directory: &mut Directory,
    line: &Line<Change>,
) -> anyhow::Result<Result<String, FailedLine>> {
    let file = "changes.ndjson";
    let elder = directory.elder_of(client, &line.what.id_number, (file, line.number));
    let elder_id = match elder.await? {
        Ok(elder_id) => elder_id,
        Err(about_nobody) => return Ok(Err(about_nobody)),
    };
    match command(client, elder_id, line).await {
        Ok(committed) => Ok(Ok(committed.unwrap_or_default().position)),
        Err(status) => refused_line(file, line.number, &status).map(Err),
    }
}

async fn command(
    client: &Client,
    elder_id: String,
    line: &Line<Change>,
) -> Result<Option<Committed>, Status> {
    let request_id = line.request_id.to_string();
    let registry = || client.registry();
    Ok(match &line.what.kind {
        ChangeKind::CapabilityAssessed(types::Capability {
            level,
            assessed_on,
            source,
        }) => {
            let request = RecordAssessmentRequest {
                request_id,
                elder_id,
                assessed_on: *assessed_on,
                source: source.clone(),
                level: *level,
                ..Default::default()
            };
            try_call(request, async |request| {
                registry().record_assessment(request).await
            })
            .await?
            .committed
        }
        ChangeKind::Circumstance(circumstance) => {
            let circumstance = Some(circumstance.clone());
            let request = RecordCircumstanceRequest {
                request_id,
                elder_id,
                circumstance,
                ..Default::default()
            };
            try_call(request, async |request| {
                registry().record_circumstance(request).await
            })
            .await?
            .committed
        }
        ChangeKind::Consent(consent) => {
            let request = RecordConsentRequest {
                request_id,
                elder_id,
                state: consent.state,
                by: consent.by,
                at: consent.at,
                ..Default::default()
            };
            try_call(request, async |request| {
                registry().record_consent(request).await
            })
            .await?
            .committed
        }
        ChangeKind::Relocated {
            on,
            division_code,
            address,
            position,
        } => {
            let request = RelocateElderRequest {
                request_id,
                elder_id,
                on: Some(wire::date(*on)),
                division_code: division_code.clone(),
                address: address.clone(),
                position: *position,
                ..Default::default()
            };
            try_call(request, async |request| {
                registry().relocate_elder(request).await
            })
            .await?
            .committed
        }
        ChangeKind::Deceased { on } => {
            let on = Some(wire::date(*on));
            let request = RecordDeathRequest {
                request_id,
                elder_id,
                on,
                ..Default::default()
            };
            try_call(request, async |request| {
                registry().record_death(request).await
            })
            .await?
            .committed
        }
        ChangeKind::MovedOut { on } => {
            let on = Some(wire::date(*on));
            let request = RecordMoveOutRequest {
                request_id,
                elder_id,
                on,
                ..Default::default()
            };
            try_call(request, async |request| {
                registry().record_move_out(request).await
            })
            .await?
            .committed
        }
    })
}
