//! How a record is written down: its facts as the body of a message, who, when and why as the message's headers.
//!
//! The headers are CloudEvents attributes in the binary mode of its NATS binding. Text that is not plain ASCII is
//! percent-encoded there as that binding says.

use std::{fmt::Write as _, str::FromStr};

use async_nats::{HeaderMap, HeaderName};
use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use prost::Message as _;
use proto::eldercare::log::v1 as pb;
use uuid::Uuid;

use crate::{
    position::Position,
    record::{Delivery, Metadata, NewRecord, RawEvent, RawMessage, Record},
    subject::Subject,
};

static ID: HeaderName = HeaderName::from_static("ce-id");
static SOURCE: HeaderName = HeaderName::from_static("ce-source");
static TYPE: HeaderName = HeaderName::from_static("ce-type");
static SUBJECT: HeaderName = HeaderName::from_static("ce-subject");
static TIME: HeaderName = HeaderName::from_static("ce-time");
static SPEC_VERSION: HeaderName = HeaderName::from_static("ce-specversion");
static CONTENT_TYPE: HeaderName = HeaderName::from_static("content-type");
static ACTOR: HeaderName = HeaderName::from_static("ce-actor");
static REQUEST_ID: HeaderName = HeaderName::from_static("ce-requestid");
static CORRELATION_ID: HeaderName = HeaderName::from_static("ce-correlationid");
static CAUSATION_ID: HeaderName = HeaderName::from_static("ce-causationid");
static DIVISION: HeaderName = HeaderName::from_static("ce-division");
static PURPOSE: HeaderName = HeaderName::from_static("ce-purpose");
static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The headers and the body of a record.
pub(crate) fn encode(record: &NewRecord) -> (HeaderMap, Bytes) {
    let metadata = &record.metadata;
    let mut headers = HeaderMap::new();
    headers.insert(ID.clone(), metadata.id.to_string());
    headers.insert(
        SOURCE.clone(),
        format!("/eldercare/{}", record.subject.context()),
    );
    // A decision is known by its first fact; the others follow from it.
    if let Some(first) = record.events.first() {
        headers.insert(TYPE.clone(), percent_encoded(&first.event_type));
    }
    headers.insert(
        SUBJECT.clone(),
        format!("{}/{}", record.subject.aggregate(), record.subject.id()),
    );
    headers.insert(
        TIME.clone(),
        metadata.time.to_rfc3339_opts(SecondsFormat::AutoSi, true),
    );
    headers.insert(SPEC_VERSION.clone(), "1.0");
    headers.insert(CONTENT_TYPE.clone(), "application/protobuf");
    headers.insert(ACTOR.clone(), percent_encoded(&metadata.actor));
    headers.insert(REQUEST_ID.clone(), metadata.request_id.to_string());
    headers.insert(CORRELATION_ID.clone(), metadata.correlation_id.to_string());
    if let Some(causation) = metadata.causation_id {
        headers.insert(CAUSATION_ID.clone(), causation.to_string());
    }
    if let Some(division) = &metadata.division {
        headers.insert(DIVISION.clone(), percent_encoded(division));
    }
    if let Some(purpose) = &metadata.purpose {
        headers.insert(PURPOSE.clone(), percent_encoded(purpose));
    }
    if let Some(traceparent) = &metadata.traceparent {
        headers.insert(TRACEPARENT.clone(), percent_encoded(traceparent));
    }

    let body = pb::Record {
        events: record
            .events
            .iter()
            .map(|event| pb::Event {
                r#type: event.event_type.clone(),
                data: event.data.clone(),
            })
            .collect(),
        request_digest: Bytes::copy_from_slice(&metadata.request_digest),
        answers: metadata
            .answers
            .as_ref()
            .map(Position::to_string)
            .unwrap_or_default(),
    };
    (headers, body.encode_to_vec().into())
}

/// What a reader gets for a message: the record in it, or the message as it stands with what is wrong with it.
pub(crate) fn deliver(
    sequence: u64,
    subject: async_nats::Subject,
    headers: Option<&HeaderMap>,
    payload: Bytes,
) -> Delivery {
    match decode(sequence, subject.clone(), headers, payload.clone()) {
        Ok(record) => Delivery::Record(record),
        Err(reason) => Delivery::Unreadable {
            sequence,
            subject: subject.to_string(),
            reason,
            payload,
        },
    }
}

/// What the server adds to a message that is read straight from the stream.
const ADDED: [&str; 7] = [
    "Nats-Stream",
    "Nats-Subject",
    "Nats-Sequence",
    "Nats-Time-Stamp",
    "Nats-Num-Pending",
    "Nats-Last-Sequence",
    "Nats-UpTo-Sequence",
];

/// A message as it stands. The headers come from a map that has no order of its own: they are sorted by name.
pub(crate) fn raw(
    sequence: u64,
    subject: &str,
    headers: Option<&HeaderMap>,
    body: Bytes,
) -> RawMessage {
    let mut named: Vec<(&str, _)> = headers
        .into_iter()
        .flat_map(HeaderMap::iter)
        .map(|(name, values)| {
            let name: &str = name.as_ref();
            (name, values)
        })
        .filter(|(name, _)| !ADDED.contains(name))
        .collect();
    named.sort_by_key(|(name, _)| *name);
    let mut headers = Vec::with_capacity(named.len());
    for (name, values) in named {
        for value in values {
            headers.push((name.to_owned(), value.as_str().to_owned()));
        }
    }
    RawMessage {
        sequence,
        subject: subject.to_owned(),
        headers,
        body,
    }
}

/// Reads a record, or says what is wrong, without repeating content that could be personal.
pub(crate) fn decode(
    sequence: u64,
    subject: async_nats::Subject,
    headers: Option<&HeaderMap>,
    payload: Bytes,
) -> Result<Record, String> {
    let subject = Subject::received(subject).map_err(|invalid| invalid.to_string())?;
    let attributes = Attributes::of(headers.ok_or("it has no headers")?);
    let body = pb::Record::decode(payload).map_err(|_| "its body is no eldercare.log.v1.Record")?;
    if body.events.is_empty() {
        return Err("it has no events".to_owned());
    }
    let request_digest = <[u8; 16]>::try_from(&*body.request_digest)
        .map_err(|_| "its request digest is not 16 bytes long")?;
    let answers = match body.answers.as_str() {
        "" => None,
        position => {
            Some(Position::from_str(position).map_err(|_| "what it answers is no position")?)
        }
    };
    let time = required("ce-time", attributes.time)?;
    let time = DateTime::parse_from_rfc3339(time)
        .map_err(|_| "its header ce-time is no instant")?
        .with_timezone(&Utc);
    Ok(Record {
        sequence,
        subject,
        metadata: Metadata {
            id: uuid("ce-id", required("ce-id", attributes.id)?)?,
            time,
            actor: percent_decoded("ce-actor", required("ce-actor", attributes.actor)?)?,
            request_id: uuid(
                "ce-requestid",
                required("ce-requestid", attributes.request_id)?,
            )?,
            request_digest,
            correlation_id: uuid(
                "ce-correlationid",
                required("ce-correlationid", attributes.correlation_id)?,
            )?,
            causation_id: attributes
                .causation_id
                .map(|text| uuid("ce-causationid", text))
                .transpose()?,
            division: attributes
                .division
                .map(|text| percent_decoded("ce-division", text))
                .transpose()?,
            traceparent: attributes
                .traceparent
                .map(|text| percent_decoded("traceparent", text))
                .transpose()?,
            answers,
            purpose: attributes
                .purpose
                .map(|text| percent_decoded("ce-purpose", text))
                .transpose()?,
        },
        events: body
            .events
            .into_iter()
            .map(|event| RawEvent {
                event_type: event.r#type,
                data: event.data,
            })
            .collect(),
    })
}

/// The headers that a record is read from, found in one pass: looking each up by name takes longer, and replay reads
/// them by the million.
#[derive(Default)]
struct Attributes<'headers> {
    id: Option<&'headers str>,
    time: Option<&'headers str>,
    actor: Option<&'headers str>,
    request_id: Option<&'headers str>,
    correlation_id: Option<&'headers str>,
    causation_id: Option<&'headers str>,
    division: Option<&'headers str>,
    purpose: Option<&'headers str>,
    traceparent: Option<&'headers str>,
}

impl<'headers> Attributes<'headers> {
    fn of(headers: &'headers HeaderMap) -> Self {
        let mut found = Self::default();
        for (name, values) in headers.iter() {
            let name: &str = name.as_ref();
            let attribute = match name {
                "ce-id" => &mut found.id,
                "ce-time" => &mut found.time,
                "ce-actor" => &mut found.actor,
                "ce-requestid" => &mut found.request_id,
                "ce-correlationid" => &mut found.correlation_id,
                "ce-causationid" => &mut found.causation_id,
                "ce-division" => &mut found.division,
                "ce-purpose" => &mut found.purpose,
                "traceparent" => &mut found.traceparent,
                _ => continue,
            };
            *attribute = values.first().map(|value| value.as_str());
        }
        found
    }
}

fn required<'text>(name: &str, text: Option<&'text str>) -> Result<&'text str, String> {
    text.ok_or_else(|| format!("its header {name} is missing"))
}

fn uuid(name: &str, text: &str) -> Result<Uuid, String> {
    Uuid::try_parse(text).map_err(|_| format!("its header {name} is no UUID"))
}

fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'"' | b'%' | 0..=b' ' | 0x7f.. => {
                write!(encoded, "%{byte:02X}").expect("writing to a string does not fail");
            }
            plain => encoded.push(char::from(plain)),
        }
    }
    encoded
}

fn percent_decoded(name: &str, text: &str) -> Result<String, String> {
    let broken = || format!("its header {name} is not percent-encoded");
    if !text.contains('%') {
        return Ok(text.to_owned());
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let mut digit = || {
            let digit = bytes.next().and_then(|byte| char::from(byte).to_digit(16));
            digit.and_then(|digit| u8::try_from(digit).ok())
        };
        let (Some(high), Some(low)) = (digit(), digit()) else {
            return Err(broken());
        };
        decoded.push(high << 4 | low);
    }
    String::from_utf8(decoded).map_err(|_| broken())
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, option, prelude::*};

    use super::*;

    fn instants() -> impl Strategy<Value = DateTime<Utc>> {
        // The years 1 to 9999.
        (-62_135_596_800_i64..253_402_300_800, 0..1_000_000_000_u32).prop_map(
            |(seconds, nanoseconds)| DateTime::from_timestamp(seconds, nanoseconds).unwrap(),
        )
    }

    fn uuids() -> impl Strategy<Value = Uuid> {
        any::<u128>().prop_map(Uuid::from_u128)
    }

    fn any_metadata() -> impl Strategy<Value = Metadata> {
        let positions =
            ("[A-Z_-]{1,20}", any::<u64>()).prop_map(|(stream, at)| Position::new(stream, at));
        let who = (
            uuids(),
            instants(),
            any::<String>(),
            uuids(),
            any::<[u8; 16]>(),
            uuids(),
        );
        let why = (
            option::of(uuids()),
            option::of(any::<String>()),
            option::of(any::<String>()),
            option::of(positions),
            option::of(any::<String>()),
        );
        (who, why).prop_map(
            |(
                (id, time, actor, request_id, request_digest, correlation_id),
                (causation_id, division, traceparent, answers, purpose),
            )| {
                Metadata {
                    id,
                    time,
                    actor,
                    request_id,
                    request_digest,
                    correlation_id,
                    causation_id,
                    division,
                    traceparent,
                    answers,
                    purpose,
                }
            },
        )
    }

    fn records() -> impl Strategy<Value = NewRecord> {
        let events =
            (any::<String>(), vec(any::<u8>(), 0..200)).prop_map(|(event_type, data)| RawEvent {
                event_type,
                data: data.into(),
            });
        (
            "[a-z]{1,9}",
            "[a-z]{1,9}",
            "[A-Za-z0-9_-]{1,36}",
            any_metadata(),
            vec(events, 1..5),
        )
            .prop_map(|(context, aggregate, id, metadata, events)| NewRecord {
                subject: Subject::new(&context, &aggregate, &id).unwrap(),
                expected: 0,
                metadata,
                events,
            })
    }

    proptest! {
        #[test]
        fn every_record_is_read_as_it_was_written(new in records(), sequence in 1_u64..) {
            let (headers, body) = encode(&new);
            let read = decode(sequence, new.subject.nats(), Some(&headers), body);
            let written = Record { sequence, subject: new.subject, metadata: new.metadata, events: new.events };
            prop_assert_eq!(read, Ok(written));
        }

        #[test]
        fn whatever_lies_in_the_log_is_read_or_refused(
            body in vec(any::<u8>(), 0..200),
            subject in any::<String>(),
            headers in vec(("ce-[a-z]{1,12}", "[^\r\n]*"), 0..20),
        ) {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.insert(name.as_str(), value.as_str());
            }
            let delivered = deliver(1, subject.into(), Some(&map), body.into());
            prop_assert!(delivered.sequence() == 1);
        }

        #[test]
        fn a_record_with_one_damaged_part_is_read_or_refused(
            new in records(),
            at in any::<prop::sample::Index>(),
            byte in any::<u8>(),
            header in prop::sample::select(vec![
                "ce-id", "ce-time", "ce-actor", "ce-requestid", "ce-correlationid", "ce-causationid", "ce-division",
                "ce-purpose",
            ]),
            value in "[^\r\n]{0,40}",
        ) {
            let (mut headers, body) = encode(&new);
            let mut damaged = body.to_vec();
            let at = at.index(damaged.len());
            damaged[at] = byte;
            // Neither panics; whether it is still a record depends on what was hit.
            let _ = decode(1, new.subject.nats(), Some(&headers), damaged.into());
            headers.insert(header, value.as_str());
            let _ = decode(1, new.subject.nats(), Some(&headers), body);
        }
    }

    #[test]
    fn a_raw_message_has_its_own_headers_by_name_and_none_of_the_servers() {
        let mut headers = HeaderMap::new();
        headers.insert("ce-time", "2");
        headers.append("ce-time", "1");
        headers.insert("Nats-Expected-Last-Subject-Sequence", "0");
        headers.insert("Nats-Sequence", "7");
        headers.insert("Nats-Subject", "eldercare.registry.elder.1");
        let message = raw(
            7,
            "eldercare.registry.elder.1",
            Some(&headers),
            Bytes::new(),
        );
        let named = [
            ("Nats-Expected-Last-Subject-Sequence", "0"),
            ("ce-time", "2"),
            ("ce-time", "1"),
        ];
        assert_eq!(
            message.headers,
            named.map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
        assert_eq!(raw(8, "x", None, Bytes::new()).headers, []);
    }

    #[test]
    fn a_record_without_its_headers_is_refused() {
        let body = pb::Record {
            events: vec![pb::Event::default()],
            request_digest: vec![0; 16].into(),
            answers: String::new(),
        };
        let subject = async_nats::Subject::from_static("eldercare.registry.elder.1");
        let body = Bytes::from(body.encode_to_vec());
        assert_eq!(
            decode(1, subject.clone(), None, body.clone()),
            Err("it has no headers".to_owned())
        );
        let refused = decode(1, subject, Some(&HeaderMap::new()), body);
        assert_eq!(refused, Err("its header ce-time is missing".to_owned()));
    }

    #[test]
    fn the_headers_are_cloudevents_attributes() {
        let metadata = Metadata {
            id: Uuid::from_u128(1),
            time: DateTime::from_timestamp(1_730_390_400, 0).unwrap(),
            actor: "officer 7".to_owned(),
            request_id: Uuid::from_u128(2),
            request_digest: [0; 16],
            correlation_id: Uuid::from_u128(3),
            causation_id: None,
            division: Some("310101".to_owned()),
            traceparent: None,
            answers: None,
            purpose: Some("入户 visit".to_owned()),
        };
        let (headers, _) = encode(&NewRecord {
            subject: Subject::new("registry", "elder", "4").unwrap(),
            expected: 0,
            metadata,
            events: vec![RawEvent {
                event_type: "eldercare.registry.v1.ElderRegistered".to_owned(),
                data: Bytes::new(),
            }],
        });
        let mut lines: Vec<_> = headers
            .iter()
            .map(|(name, values)| format!("{name}: {}", values[0]))
            .collect();
        lines.sort();
        assert_eq!(
            lines,
            [
                "ce-actor: officer%207",
                "ce-correlationid: 00000000-0000-0000-0000-000000000003",
                "ce-division: 310101",
                "ce-id: 00000000-0000-0000-0000-000000000001",
                "ce-purpose: %E5%85%A5%E6%88%B7%20visit",
                "ce-requestid: 00000000-0000-0000-0000-000000000002",
                "ce-source: /eldercare/registry",
                "ce-specversion: 1.0",
                "ce-subject: elder/4",
                "ce-time: 2024-10-31T16:00:00Z",
                "ce-type: eldercare.registry.v1.ElderRegistered",
                "content-type: application/protobuf",
            ]
        );
    }
}
