//! Stories in which all happens that can, in the logs that several services follow, for tests of their read models: with
//! corrections, an erased elder, of whom nothing follows, and events that can't be read.

mod alerts;
mod registry;
mod tiering;
mod visits;

use chrono::{DateTime, Utc};
use civic::{ElderId, LocalDay};
use elders::codec::write_day;
use eventlog::{RawEvent, Subject};
use prost::Message;
use proto::eldercare::r#type::v1 as types;
use uuid::Uuid;

pub use alerts::stories as of_alerts;
pub use registry::stories as of_registry;
pub use tiering::stories as of_tiering;
pub use visits::stories as of_visits;

/// What aggregates are told, one after the other.
pub type Story = Vec<(Subject, Vec<RawEvent>)>;

/// The events of a log: its contract, and the messages of that which lie sealed in events.
pub type Contract = (&'static str, &'static [&'static str]);

/// Of the registry's log.
pub const REGISTRY: Contract = (
    "eldercare/registry/v1/registry_events.proto",
    &[
        "Identity",
        "Home",
        "ContactList",
        "Remarks",
        "AssessmentItems",
    ],
);
/// Of tiering's log.
pub const TIERING: Contract = ("eldercare/tiering/v1/tiering_events.proto", &[]);
/// Of visits' log.
pub const VISITS: Contract = (
    "eldercare/visits/v1/visits_events.proto",
    &["VisitorName", "CheckIn", "Remarks"],
);
/// Of the log of alerts.
pub const ALERTS: Contract = (
    "eldercare/alerts/v1/alerts_events.proto",
    &["RecipientDetails"],
);

const VILLAGE: &str = "350524100001";
const OTHER_VILLAGE: &str = "350524100002";
const COUNTY: &str = "350524";

/// One of a few elders, by a number.
pub fn elder(number: u128) -> ElderId {
    ElderId(uuid(number))
}

/// The id of a thing of which there are a few.
fn uuid(number: u128) -> Uuid {
    Uuid::from_u128(0x0190_0000_0000_8000_8000_0000_0000_0000 + number)
}

/// The same as events name it.
fn id(number: u128) -> String {
    uuid(number).to_string()
}

fn day(text: &str) -> LocalDay {
    text.parse().expect("a day")
}

fn date(text: &str) -> Option<types::Date> {
    Some(write_day(day(text)))
}

/// A second of local time, such as `2024-10-01T09:00:00`.
fn at(text: &str) -> Option<prost_types::Timestamp> {
    let at: DateTime<Utc> = format!("{text}+08:00").parse().expect("an instant");
    Some(elders::wire::write_time(at))
}

/// Something sealed; what, no read model sees.
fn sealed<M: Message>(value: &M) -> Option<types::Sealed> {
    Some((&elders::testing::sealed("test", value)).into())
}

fn subject(context: &str, aggregate: &str, id: &str) -> Subject {
    Subject::new(context, aggregate, id).expect("the id can stand in a subject")
}

/// An event of a type that nobody knows yet.
fn unknown(context: &str) -> RawEvent {
    RawEvent {
        event_type: format!("eldercare.{context}.v1.Unheard"),
        data: vec![1_u8, 2, 3].into(),
    }
}

/// The same event with bytes that are no message.
fn malformed(event: RawEvent) -> RawEvent {
    RawEvent {
        data: vec![0xff_u8].into(),
        ..event
    }
}
