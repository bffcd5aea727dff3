//! Tells of each change of a tier in a division, as it is written.

use std::sync::Arc;

use civic::DivisionCode;
use decider::Decider;
use elders::codec::write_day;
use eventlog::{Aggregate, Delivery, EventLog, Position, ReadError, Record};
use futures::StreamExt as _;
use proto::eldercare::tiering::v1 as pb;
use tokio::sync::mpsc::Sender;
use tonic::Status;

use crate::codec::write_assignment;
use crate::tier::{self, Tier};

/// Sends changes after a sequence until the receiver is gone.
///
/// # Errors
/// The log can't be read on.
pub async fn watch(
    log: Arc<dyn EventLog>,
    division: DivisionCode,
    after: u64,
    sender: &Sender<Result<pb::WatchTiersResponse, Status>>,
) -> Result<(), ReadError> {
    let mut deliveries = log.subscribe(after).await?;
    while let Some(batch) = deliveries.next().await {
        for delivery in batch? {
            let Delivery::Record(record) = delivery else {
                continue;
            };
            // The division stands beside the record, so that most need not be read.
            let place = record
                .metadata
                .division
                .as_deref()
                .and_then(|place| place.parse().ok());
            if record.subject.aggregate() != Tier::NAME
                || !place.is_some_and(|place| division.contains(&place))
            {
                continue;
            }
            for change in changes(log.as_ref(), &record).await? {
                if sender.send(Ok(change)).await.is_err() {
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}

async fn changes(
    log: &dyn EventLog,
    record: &Record,
) -> Result<Vec<pb::WatchTiersResponse>, ReadError> {
    let mut changes = Vec::new();
    for event in record
        .events
        .iter()
        .filter_map(|raw| Tier::decode(raw).ok())
    {
        let position = Position::new(log.stream(), record.sequence).to_string();
        let (change, elder, assignment, on) = match event {
            tier::Event::Assigned {
                elder,
                assignment,
                on,
            } => (
                pb::TierChange::Assigned,
                elder,
                Some(write_assignment(&assignment)),
                on,
            ),
            tier::Event::Changed {
                elder,
                assignment,
                on,
            } => (
                pb::TierChange::Changed,
                elder,
                Some(write_assignment(&assignment)),
                on,
            ),
            tier::Event::Ended { elder, on } => {
                let last = before(log, record).await?;
                (
                    pb::TierChange::Ended,
                    elder,
                    last.assignment().map(write_assignment),
                    on,
                )
            }
        };
        let tier = pb::Tier {
            elder_id: elder.to_string(),
            assignment,
            on: Some(write_day(on)),
            position,
        };
        changes.push(pb::WatchTiersResponse {
            change: change.into(),
            tier: Some(tier),
        });
    }
    Ok(changes)
}

/// The tier that an elder had before a record.
async fn before(log: &dyn EventLog, record: &Record) -> Result<Tier, ReadError> {
    let records = log.read(&record.subject, 0).await?;
    let earlier = records
        .iter()
        .take_while(|earlier| earlier.sequence < record.sequence);
    let events: Vec<_> = earlier
        .flat_map(|earlier| &earlier.events)
        .filter_map(|raw| Tier::decode(raw).ok())
        .collect();
    Ok(Tier::default().evolve_all(&events))
}
