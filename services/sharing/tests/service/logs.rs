//! What stands in the logs, event by event.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use eventlog::{Delivery, EventLog, Position, RawEvent};
use futures::{StreamExt as _, stream};
use prost::Message;

/// An event as it stands in a log.
pub(crate) struct Told {
    /// Where its record stands.
    pub(crate) position: String,
    /// Of which aggregate.
    pub(crate) aggregate: String,
    /// Of which one.
    pub(crate) id: String,
    /// When it was recorded.
    pub(crate) at: DateTime<Utc>,
    /// Where, as the record says.
    pub(crate) division: Option<String>,
    /// The event itself.
    pub(crate) raw: RawEvent,
}

impl Told {
    /// The name without its package.
    pub(crate) fn name(&self) -> &str {
        self.raw.event_type.rsplit('.').next().unwrap()
    }

    pub(crate) fn read<M: Message + Default>(&self) -> M {
        M::decode(self.raw.data.clone()).unwrap()
    }
}

/// All events of a log, in their order.
pub(crate) async fn events(log: &Arc<dyn EventLog>) -> Vec<Told> {
    events_after(log, 0).await
}

/// The events of the records after a sequence.
pub(crate) async fn events_after(log: &Arc<dyn EventLog>, sequence: u64) -> Vec<Told> {
    let last = log.last_sequence().await.unwrap();
    let all = usize::try_from(last - sequence).unwrap();
    let deliveries = log.subscribe(sequence).await.unwrap();
    let deliveries = deliveries.flat_map(|some| stream::iter(some.unwrap()));
    let deliveries: Vec<Delivery> = deliveries.take(all).collect().await;
    let mut events = vec![];
    for delivery in deliveries {
        let record = match delivery {
            Delivery::Record(record) => record,
            Delivery::Unreadable { sequence, .. } => panic!("{sequence} can't be read"),
        };
        let position = Position::new(log.stream(), record.sequence).to_string();
        events.extend(record.events.iter().map(|raw| Told {
            position: position.clone(),
            aggregate: record.subject.aggregate().to_owned(),
            id: record.subject.id().to_owned(),
            at: record.metadata.time,
            division: record.metadata.division.clone(),
            raw: raw.clone(),
        }));
    }
    events
}
