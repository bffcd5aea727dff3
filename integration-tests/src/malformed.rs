//! Requests that are wrong, thousands of them, always the same ones: valid requests of every method in which something was broken.

use std::borrow::Cow;

use bytes::{BufMut as _, Bytes, BytesMut};
use prost::Message;
use proto::eldercare::alerts::v1::Signal;
use rand::{Rng as _, rngs::StdRng, seq::IndexedRandom as _};

/// All that may be wrong with one kind of request: a name, and how it is broken.
macro_rules! breaks {
    ($kind:ty: $($wrong:literal => $change:expr),* $(,)?) => {{
        const BREAKS: &[Break<$kind>] = &[$(($wrong, $change)),*];
        BREAKS
    }};
}

/// What begins a command, and what follows.
macro_rules! asked {
    ($kind:ty: $($wrong:literal => $change:expr),* $(,)?) => {
        breaks!($kind:
            "request_id" => |m, r| m.request_id = no_uuid(r),
            $($wrong => $change),*
        )
    };
}

/// What is asked of a list that is of no division, and what follows.
macro_rules! paged {
    ($kind:ty: $($wrong:literal => $change:expr),* $(,)?) => {
        breaks!($kind:
            "page_size" => |m, r| m.page_size = no_page(r),
            "page_token" => |m, r| m.page_token = no_token(r),
            "min_position" => |m, r| m.min_position = no_position(r),
            $($wrong => $change),*
        )
    };
}

/// What is asked of a list of a division, and what follows.
macro_rules! listed {
    ($kind:ty: $($wrong:literal => $change:expr),* $(,)?) => {
        breaks!($kind:
            "division_code" => |m, r| m.division_code = no_division(r),
            "page_size" => |m, r| m.page_size = no_page(r),
            "page_token" => |m, r| m.page_token = no_token(r),
            "min_position" => |m, r| m.min_position = no_position(r),
            $($wrong => $change),*
        )
    };
}

mod alerts;
mod claims;
mod commands;
mod questions;
mod sharing;
mod tiers;
mod visits;
mod wrong_values;

/// A malformed request.
#[derive(Clone, Debug)]
pub struct Malformed {
    /// The method's path.
    pub path: &'static str,
    /// The messages, one unless the method takes a stream.
    pub messages: Vec<Bytes>,
    /// What is wrong with it, for the test's own output.
    pub wrong: Cow<'static, str>,
    /// Whether the refusal must name the fields.
    pub names_fields: bool,
}

/// What a valid request may speak of.
#[derive(Clone, Debug)]
pub struct Known {
    /// An elder of the registry.
    pub elder: String,
    /// Another one.
    pub other: String,
    /// Somebody who visits.
    pub visitor: String,
    /// A policy that could be published.
    pub policy: &'static str,
}

/// Breaks something in a request.
type Break<M> = (&'static str, fn(&mut M, &mut StdRng));

/// Makes one malformed request of a method.
pub type Maker = Box<dyn Fn(&mut StdRng) -> Malformed>;

fn maker<M: Message + Clone + 'static>(
    path: &'static str,
    valid: M,
    breaks: &'static [Break<M>],
) -> Maker {
    Box::new(move |random| {
        // One in six is broken below the fields, as bytes.
        if random.random_ratio(1, 6) {
            let (wrong, body) = broken_bytes(valid.encode_to_vec(), random);
            return Malformed {
                path,
                messages: vec![body],
                wrong: wrong.into(),
                names_fields: false,
            };
        }
        let mut request = valid.clone();
        let (wrong, break_it) = breaks
            .choose(random)
            .expect("each method has something to be broken");
        break_it(&mut request, random);
        // Where no two of them mend each other, sometimes a second thing too: all that is wrong is told at once.
        if path.ends_with("RegisterElder") && random.random() {
            breaks.choose(random).expect("as above").1(&mut request, random);
        }
        let messages = vec![Bytes::from(request.encode_to_vec())];
        Malformed {
            path,
            messages,
            wrong: (*wrong).into(),
            names_fields: true,
        }
    })
}

/// Bytes that are no message of any method: field 1 is a text, a message or a varint in all of them, and never a fixed number.
fn broken_bytes(valid: Vec<u8>, random: &mut StdRng) -> (&'static str, Bytes) {
    let mut body = BytesMut::from(valid.as_slice());
    let wrong = match random.random_range(0..6) {
        0 => {
            body.put_slice(&[0x0A, 4, 0xFF, 0xFE, 0xC0, 0x80]);
            "a text that is no UTF-8, or a message that is none"
        }
        1 => {
            body.put_slice(&[0x0A, 0x7F, 1]);
            "a field that is longer than the message"
        }
        2 => {
            body.put_slice(&[0x0D, 0x96, 0x01, 0x00, 0x00]);
            "a fixed number where none must be"
        }
        3 => {
            body.put_slice(&[0x00, 0x01]);
            "a field numbered 0"
        }
        4 => {
            body.put_slice(&[
                0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F,
            ]);
            "a length of many exabytes"
        }
        _ => {
            body.put_slice(&[0x0F; 3]);
            "a wire type that there isn't"
        }
    };
    (wrong, body.freeze())
}

/// Makers for every method that reads one message.
pub fn makers(known: &Known) -> Vec<Maker> {
    let mut makers = commands::commands(known);
    makers.extend(questions::questions(known));
    makers.extend(tiers::of_tiering(known));
    makers.extend(visits::of_visits(known));
    makers.extend(alerts::of_alerts(known));
    makers.extend(claims::of_claims(known));
    makers.extend(sharing::of_sharing(known));
    makers
}

/// A maker of malformed records of visits, whose messages may go into a stream of them too.
pub fn records(known: &Known) -> Maker {
    visits::of_a_record(known)
}

/// A maker of malformed orders, whose messages may go into a stream of them too.
pub fn orders(known: &Known) -> Maker {
    claims::of_an_order(known)
}

/// A maker of malformed enrolments of a stream.
pub fn enrolments(known: &Known) -> Maker {
    claims::of_an_enrolment(known)
}

/// Makes one broken signal of a device, and names the field at fault.
pub fn signals(device: &str) -> impl Fn(&mut StdRng) -> (Signal, &'static str) {
    alerts::of_a_device(device)
}
