//! Bytes at random, and samples with bytes changed, lost, put in, repeated, cut off, or taken from another sample.

use std::ops::Range;

use proptest::{
    collection::vec,
    prelude::{Just, Strategy, any},
    prop_oneof,
    sample::{Index, select},
};

/// The most bytes of an input that is of no sample.
const RANDOM: usize = 600;

/// The most times that a piece is repeated.
const REPEATED: usize = 200;

/// Pieces that mean something to one parser or another.
const WORDS: &[&str] = &[
    "\0",
    "\t",
    "\r\n",
    " ",
    "\u{feff}",
    "\u{202e}",
    "\u{3000}",
    "\u{10ffff}",
    "９",
    "Ｘ",
    "𝟙",
    "٣",
    "é",
    "一",
    "%",
    "%2",
    "%FF",
    "\"",
    "'",
    "\\",
    "\\u0000",
    "\\ud800",
    "{",
    "}",
    "[",
    "]",
    "[]",
    "(",
    ")",
    ",",
    ":",
    ": ",
    "- ",
    "-",
    "—",
    "|",
    ">",
    "<",
    "<a>",
    "</a>",
    "<!--",
    "]]>",
    "&lt;",
    "&a ",
    "*a ",
    "!!binary ",
    "<<: ",
    "---\n",
    "...\n",
    "#",
    "?",
    "!",
    "=",
    "==",
    "&&",
    "||",
    "/",
    ".",
    "..",
    "+",
    "~",
    "null",
    "true",
    "NaN",
    "-inf",
    "1e999",
    "0x1F",
    "1970-01-01",
    "2024-02-30",
    "24:60",
    "+23:59",
    "Z",
];

/// Numbers at which something ends.
const NUMBERS: &[&str] = &[
    "",
    "0",
    "-1",
    "00",
    "1.5",
    "127",
    "128",
    "65536",
    "2147483647",
    "2147483648",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551616",
    "1e308",
    "999999999999999999999999999999",
];

/// One thing that is done to a sample.
#[derive(Clone, Debug)]
enum Spoiling {
    /// Another byte at a place.
    Changed(Index, u8),
    /// One bit turned.
    Turned(Index, u8),
    /// Some bytes lost.
    Lost(Index, usize),
    /// Something put in.
    PutIn(Index, Vec<u8>),
    /// A piece from one place put in at another, so many times.
    Repeated {
        from: Index,
        length: usize,
        at: Index,
        times: usize,
    },
    /// All that follows lost.
    Cut(Index),
    /// What follows taken from another sample, from a place of its own on.
    Crossed(Index, Index, Index),
    /// One of the decimal numbers in it replaced.
    Counted(Index, &'static str),
}

/// Inputs made of these samples, and one in six of nothing.
pub(crate) fn spoilt(samples: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let random = vec(any::<u8>(), 0..RANDOM);
    if samples.is_empty() {
        return random.boxed();
    }
    let of_samples = (select(samples.clone()), vec(spoiling(), 0..6)).prop_map(
        move |(mut sample, spoilings)| {
            for spoiling in spoilings {
                spoiling.befall(&mut sample, &samples);
            }
            sample
        },
    );
    prop_oneof![1 => random, 5 => of_samples].boxed()
}

fn spoiling() -> impl Strategy<Value = Spoiling> {
    let at = any::<Index>;
    let word = select(WORDS).prop_map(|word| word.as_bytes().to_vec());
    let piece = prop_oneof![4 => word, 1 => vec(any::<u8>(), 1..8)];
    let repeated = (
        at(),
        1_usize..40,
        at(),
        prop_oneof![4 => Just(1_usize), 1 => 2..REPEATED],
    );
    prop_oneof![
        2 => (at(), any::<u8>()).prop_map(|(at, byte)| Spoiling::Changed(at, byte)),
        2 => (at(), 0_u8..8).prop_map(|(at, bit)| Spoiling::Turned(at, bit)),
        2 => (at(), 1_usize..20).prop_map(|(at, length)| Spoiling::Lost(at, length)),
        4 => (at(), piece).prop_map(|(at, piece)| Spoiling::PutIn(at, piece)),
        2 => repeated.prop_map(|(from, length, at, times)| Spoiling::Repeated { from, length, at, times }),
        1 => at().prop_map(Spoiling::Cut),
        1 => (at(), at(), at()).prop_map(|(here, sample, there)| Spoiling::Crossed(here, sample, there)),
        2 => (at(), select(NUMBERS)).prop_map(|(which, number)| Spoiling::Counted(which, number)),
    ]
}

impl Spoiling {
    /// Does it to a sample. What has no place in it is left.
    fn befall(self, sample: &mut Vec<u8>, samples: &[Vec<u8>]) {
        // Between any two bytes, and at both ends; and any byte, the first where there is none.
        let (gaps, length) = (sample.len() + 1, sample.len());
        let byte_at = |at: Index| at.index(length.max(1));
        match self {
            Self::Changed(at, byte) => {
                if let Some(here) = sample.get_mut(byte_at(at)) {
                    *here = byte;
                }
            }
            Self::Turned(at, bit) => {
                if let Some(here) = sample.get_mut(byte_at(at)) {
                    *here ^= 1 << bit;
                }
            }
            Self::Lost(at, lost) => {
                let at = byte_at(at);
                sample.drain(at..length.min(at + lost));
            }
            Self::PutIn(at, piece) => {
                let at = at.index(gaps);
                sample.splice(at..at, piece);
            }
            Self::Repeated {
                from,
                length: taken,
                at,
                times,
            } => {
                let from = byte_at(from);
                let piece = sample[from..length.min(from + taken)].repeat(times);
                let at = at.index(gaps);
                sample.splice(at..at, piece);
            }
            Self::Cut(at) => sample.truncate(at.index(gaps)),
            Self::Crossed(here, other, there) => {
                let other = other.get(samples);
                sample.truncate(here.index(gaps));
                sample.extend_from_slice(&other[there.index(other.len() + 1)..]);
            }
            Self::Counted(which, number) => {
                let numbers = numbers_of(sample);
                if !numbers.is_empty() {
                    sample.splice(which.get(&numbers).clone(), number.bytes());
                }
            }
        }
    }
}

/// Where decimal numbers stand.
fn numbers_of(bytes: &[u8]) -> Vec<Range<usize>> {
    let mut numbers: Vec<Range<usize>> = Vec::new();
    for (place, byte) in bytes.iter().enumerate() {
        if !byte.is_ascii_digit() {
            continue;
        }
        match numbers.last_mut() {
            Some(number) if number.end == place => number.end += 1,
            _ => numbers.push(place..place + 1),
        }
    }
    numbers
}
