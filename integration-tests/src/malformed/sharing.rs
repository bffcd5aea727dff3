//! Malformed requests to sharing: about agreements, feeds and erasures, and questions across all services.

use bytes::Bytes;
use rand::{Rng as _, rngs::StdRng, seq::IndexedRandom as _};

use super::{Known, Maker, Malformed};

/// A method of sharing.
macro_rules! method {
    ($name:literal) => {
        concat!("/eldercare.sharing.v1.SharingService/", $name)
    };
}

mod agreements;
mod feeds;
mod questions;

/// Requests to sharing.
pub(super) fn of_sharing(known: &Known) -> Vec<Maker> {
    let mut makers = agreements::about_agreements();
    makers.extend(feeds::about_feeds(known));
    makers.extend(questions::questions(known));
    makers
}

/// Bytes that are no message, whatever its fields.
const NO_MESSAGES: [(&str, &[u8]); 3] = [
    ("a field that is longer than the message", &[0x0A, 0x7F, 1]),
    ("a field numbered 0", &[0x00, 0x01]),
    ("a wire type that there isn't", &[0x0F; 3]),
];

/// Makes requests of a method whose message has no fields: only its bytes can be wrong.
fn without_fields(path: &'static str) -> Maker {
    Box::new(move |random| {
        let (wrong, body) = *NO_MESSAGES.choose(random).expect("not empty");
        Malformed {
            path,
            messages: vec![Bytes::from_static(body)],
            wrong: wrong.into(),
            names_fields: false,
        }
    })
}

/// No code of a department, nor empty.
fn wrong_department(random: &mut StdRng) -> String {
    let wrong = ["x", "Health", "卫健", "health care", " ", "health.*"];
    match random.random_range(0..=wrong.len()) {
        0 => "h".repeat(random.random_range(33..2_000)),
        number => wrong[number - 1].to_owned(),
    }
}

/// The same where one is needed.
fn no_department(random: &mut StdRng) -> String {
    if random.random() {
        String::new()
    } else {
        wrong_department(random)
    }
}

/// No short code of a reason.
fn no_reason(random: &mut StdRng) -> String {
    let wrong = ["", "leak", "NO NEED", "泄露"];
    match random.random_range(0..=wrong.len()) {
        0 => "A".repeat(random.random_range(65..2_000)),
        number => wrong[number - 1].to_owned(),
    }
}
