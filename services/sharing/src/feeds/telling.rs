//! What somebody is told of feeds by gRPC: as it is granted now, and on record as read by that one before it is told.
//!
//! What the publisher put on record says what a department was given; this says who in the department had it, what for, and from
//! where. Several messages go on record together.

use std::time::Duration;

use chrono::{DateTime, Utc};
use elders::wire::write_time;
use eventlog::Position;
use proto::eldercare::sharing::v1 as pb;
use serde_json::Value;
use service::{AnswerRoom, Caller, errors};
use tokio::time::Instant;
use tonic::Status;

use super::message::{Lying, Own, header};
use super::standing::{Granted, Standing, is_token};
use super::stream::STREAM;
use crate::cut::{Cut, tells_birth, told_as};
use crate::document::Fields;
use crate::dossier::of_fields;
use crate::look::Recorded;
use crate::look_groups::groups;
use crate::products::{ProductName, product};
use crate::right::look_by;
use crate::sharing::Sharing;

/// How long it may take until a subscriber is told nothing more of what has ended.
const SOON: Duration = Duration::from_millis(500);

/// Who reads feeds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    /// By which method.
    pub(super) method: &'static str,
    pub(super) caller: &'a Caller,
    /// From where; empty where that is not known.
    pub(super) address: &'a str,
}

/// The feeds of a department, and when they were looked up.
#[derive(Debug)]
pub(super) struct AsOf {
    pub(super) stands: Standing,
    at: Instant,
}

impl AsOf {
    /// Whether more may be granted than was found, by a message that came since: its feed stands only now, or begins anew, with
    /// other fields perhaps.
    pub(super) fn may_lack(&self, message: &Lying) -> bool {
        self.stands.get(&message.feed).is_none() || message.says() == Some(Own::Begun)
    }
}

/// What becomes of messages for a reader.
pub(super) struct Read {
    /// What goes on record before any of them is told.
    pub(super) looks: Vec<Recorded>,
    /// Each as an event; none where the reader is not told of it.
    pub(super) events: Vec<Option<pb::FeedEvent>>,
}

impl Reader<'_> {
    /// Whether this one may be told of a message: its feed stands, and the caller works for all of its division; or it says that
    /// the feed is over.
    pub(super) fn may_see(&self, stands: &Standing, message: &Lying) -> bool {
        self.granted(stands, message).is_some() || self.hears_of_the_end(message)
    }

    /// Whether a message asks whoever has read its feed to forget all of it. It tells of nobody.
    fn hears_of_the_end(&self, message: &Lying) -> bool {
        message.says() == Some(Own::Ended) && self.caller.reaches(&message.feed.division)
    }

    fn granted<'s>(&self, stands: &'s Standing, message: &Lying) -> Option<&'s Granted> {
        let granted = stands.get(&message.feed)?;
        let reaches = self.caller.reaches(&message.feed.division);
        reaches.then_some(granted)
    }

    /// Messages as this one may be told of them; none stands for what is no feed's.
    pub(super) fn read<'m>(
        &self,
        stands: &Standing,
        messages: impl IntoIterator<Item = Option<&'m Lying>>,
        now: DateTime<Utc>,
    ) -> Read {
        let (mut events, mut told) = (Vec::new(), Vec::new());
        for message in messages {
            let Some(message) = message else {
                events.push(None);
                continue;
            };
            let Some(granted) = self.granted(stands, message) else {
                let ended = self.hears_of_the_end(message);
                events.push(ended.then(|| event(message, &Granted::default())));
                continue;
            };
            let event = event(message, granted);
            // Also that there is nothing any more is told of somebody.
            if let Some(elder) = message.elder() {
                let fields = personal_fields(message.feed.product, &event);
                told.push((&granted.agreements, elder, fields));
            } else if event.fields.is_some() || !event.elder_id.is_empty() {
                // Of whom nobody knows whom it is about nothing can go on record.
                events.push(None);
                continue;
            }
            events.push(Some(event));
        }
        let look = look_by(self.caller, self.method, self.address.to_owned(), now);
        let looks = groups(told).into_iter().map(|group| Recorded::Provided {
            agreements: group.by.iter().copied().collect(),
            look: group.within(&look),
        });
        Read {
            looks: looks.collect(),
            events,
        }
    }
}

impl Sharing {
    /// These messages as their reader is told of them, once that is on record: as many of the first ones as there is room for. None
    /// stands for one that the reader may be told no longer.
    pub(super) async fn tell_page(
        &self,
        reader: Reader<'_>,
        mut messages: &[Lying],
        room: AnswerRoom,
    ) -> Result<Vec<Option<pb::FeedEvent>>, Status> {
        if messages.is_empty() {
            return Ok(vec![]);
        }
        let mut stands = self.feeds_of(reader.caller).await?;
        loop {
            let read = reader.read(&stands, messages.iter().map(Some), self.clock.now());
            let fitting = read.fitting(room);
            if fitting < messages.len() {
                messages = messages.get(..fitting).unwrap_or_default();
                continue;
            }
            self.recorder.record_all(read.looks).await?;
            // Whatever ended a right while this was put together has ended it before it is told.
            let still = self.feeds_of(reader.caller).await?;
            if still == stands {
                return Ok(read.events);
            }
            stands = still;
        }
    }

    /// Whether what is granted has changed since it was looked up, and what it is now. It is not looked up each time.
    pub(super) async fn changed(&self, caller: &Caller, as_of: &mut AsOf) -> Result<bool, Status> {
        if as_of.at.elapsed() <= SOON {
            return Ok(false);
        }
        let still = self.feeds_as_of_now(caller).await?;
        let changed = still.stands != as_of.stands;
        *as_of = still;
        Ok(changed)
    }

    /// The feeds of the caller's department, as of now.
    pub(super) async fn feeds_as_of_now(&self, caller: &Caller) -> Result<AsOf, Status> {
        let at = Instant::now();
        let stands = self.feeds_of(caller).await?;
        Ok(AsOf { stands, at })
    }

    /// The feeds of the caller's department. Whoever asks at the same time shares one look at the table.
    pub(super) async fn feeds_of(&self, caller: &Caller) -> Result<Standing, Status> {
        if !is_token(&caller.department) {
            return Ok(Standing::default());
        }
        let agreements = self.in_force.now().await.map_err(errors::of_look_up)?;
        Ok(Standing::of(agreements.with(&caller.department)))
    }
}

impl Read {
    /// How many of the first events have room; one at the least.
    fn fitting(&self, mut room: AnswerRoom) -> usize {
        let fits = |event: &&Option<pb::FeedEvent>| match event {
            Some(event) => room.takes(event),
            None => true,
        };
        self.events.iter().take_while(fits).count()
    }
}

/// A message of a feed, as callers are told of it: what is granted no longer is left out, also where it still lies there.
fn event(message: &Lying, granted: &Granted) -> pb::FeedEvent {
    let time: Option<DateTime<Utc>> = message.header(header::TIME).parse().ok();
    let fields: Option<Fields> = serde_json::from_slice(&message.body).ok();
    let masked: Vec<&str> = message.header(header::MASKED).split(',').collect();
    let product = message.feed.product;
    let still = |field: &str, told: &Value| match granted.grants.get(product, field) {
        None => false,
        Some(Cut::Plain) => true,
        Some(Cut::Masked) => {
            let hides_more = field == "id_number" && tells_birth(product, &granted.grants);
            masked.contains(&field) && !(hides_more && keeps_digits_behind(told))
        }
    };
    let fields = fields.map(|mut fields| {
        fields.retain(|field, told| still(field, told));
        fields
    });
    let is_told = |field: &str| {
        let mut fields = fields.iter();
        fields.any(|fields| fields.contains_key(field))
    };
    let masked = masked.iter().filter(|field| is_told(field));
    let masked = masked.map(|field| (*field).to_owned()).collect();
    let about_document = !message.header(header::SUBJECT).is_empty();
    pb::FeedEvent {
        position: Position::new(STREAM, message.sequence).to_string(),
        product: message.feed.product.name().to_owned(),
        division_code: message.feed.division.to_string(),
        event: message.event.clone(),
        id: message.header(header::ID).to_owned(),
        source: message.header(header::SOURCE).to_owned(),
        time: time.map(write_time),
        source_position: message.header(header::POSITION).to_owned(),
        key: message.header(header::SUBJECT).to_owned(),
        elder_id: message.header(header::ELDER).to_owned(),
        fields: fields.filter(|_| about_document).map(of_fields),
        masked,
    }
}

/// Whether a masked ID number was masked as it is where no birth date is told beside it.
fn keeps_digits_behind(number: &Value) -> bool {
    number.as_str().is_none_or(|text| !text.ends_with('*'))
}

/// Which personal fields an event tells, as looks name them.
fn personal_fields(name: ProductName, event: &pb::FeedEvent) -> Vec<String> {
    let fields = event.fields.iter().flat_map(|told| told.fields.keys());
    let told = fields.filter_map(|field| {
        let cut = match event.masked.contains(field) {
            true => Cut::Masked,
            false => Cut::Plain,
        };
        told_as(name, product(name).field(field)?, cut)
    });
    told.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_tells_what_has_room_and_the_first_event_in_any_case() {
        let told = |size: usize| {
            Some(pb::FeedEvent {
                key: "x".repeat(size),
                ..Default::default()
            })
        };
        let read = |events| Read {
            looks: vec![],
            events,
        };
        // A sixteenth is kept for what stands beside the events.
        let room = AnswerRoom::within(1_600);
        let all = read(vec![told(500), None, told(500)]);
        assert_eq!(all.fitting(room), 3);
        let some = read(vec![told(700), None, told(900), told(1)]);
        assert_eq!(some.fitting(room), 2);
        assert_eq!(read(vec![None, told(9_000), told(1)]).fitting(room), 2);
    }
}
