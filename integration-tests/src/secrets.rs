//! What may be nowhere once somebody is erased: words, degrees and keys, in whatever form they may lie somewhere.

use std::{fs, path::Path};

use aho_corasick::AhoCorasick;
use base64::{
    Engine as _,
    engine::general_purpose::{GeneralPurpose, STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};

use crate::on_disk::files_below;

/// What is looked for, all of it at once.
#[derive(Debug)]
pub struct Secrets {
    search: AhoCorasick,
    /// What each thing that is looked for is.
    names: Vec<String>,
}

/// A form in which something may lie: what it is called, and its bytes.
type Form = (String, Vec<u8>);

impl Secrets {
    /// These words, degrees and keys.
    pub fn of(words: &[&str], degrees: &[f64], keys: &[&[u8]]) -> Self {
        let words = words.iter().flat_map(|word| of_a_word(word));
        let degrees = degrees.iter().flat_map(|degrees| of_degrees(*degrees));
        let keys = keys.iter().zip(1..).flat_map(|(key, number)| {
            let name = format!("key {number}");
            of_bytes(&name, key)
        });
        let (names, forms): (Vec<_>, Vec<_>) = words.chain(degrees).chain(keys).unzip();
        Self {
            search: AhoCorasick::new(forms).unwrap(),
            names,
        }
    }

    /// The first of it that stands in some bytes, and in which form.
    pub fn in_bytes(&self, bytes: &[u8]) -> Option<&str> {
        let found = self.search.find(bytes)?;
        Some(&self.names[found.pattern().as_usize()])
    }

    /// What of it lies in which file below a folder. What is removed while we look is not there any more.
    pub fn in_files(&self, folder: &Path) -> Vec<String> {
        let lying = |file: &Path| {
            let content = fs::read(file).ok()?;
            let form = self.in_bytes(&content)?;
            Some(format!("{form} in {}", file.display()))
        };
        let files = files_below(folder);
        files.iter().filter_map(|file| lying(file)).collect()
    }
}

/// A word as it is, in the ways in which programs write texts down, and as its bytes may lie.
fn of_a_word(word: &str) -> Vec<Form> {
    assert!(word.len() > 8, "{word:?} may stand anywhere by chance");
    let utf16 = || word.encode_utf16();
    let escaped = |escape: fn(char) -> String| -> Vec<u8> {
        let plain = |one: char| one.is_ascii_alphanumeric();
        let each = word.chars();
        let each = each.map(|one| {
            if plain(one) {
                one.to_string()
            } else {
                escape(one)
            }
        });
        each.collect::<String>().into_bytes()
    };
    let mut forms = of_bytes(word, word.as_bytes());
    let more = [
        (
            "UTF-16, the low byte first",
            utf16().flat_map(u16::to_le_bytes).collect(),
        ),
        (
            "UTF-16, the high byte first",
            utf16().flat_map(u16::to_be_bytes).collect(),
        ),
        (
            "a text of JSON",
            escaped(|one| of_units(one, |unit| format!("\\u{unit:04x}"))),
        ),
        (
            "an address",
            escaped(|one| of_octets(one, |octet| format!("%{octet:02X}"))),
        ),
    ];
    forms.extend(more.map(|(form, bytes)| (format!("{word} as {form}"), bytes)));
    forms
}

/// A character by its units of UTF-16.
fn of_units(one: char, written: fn(u16) -> String) -> String {
    one.encode_utf16(&mut [0; 2])
        .iter()
        .copied()
        .map(written)
        .collect()
}

/// A character by its bytes.
fn of_octets(one: char, written: fn(u8) -> String) -> String {
    one.encode_utf8(&mut [0; 4]).bytes().map(written).collect()
}

/// Degrees as they are written for people and by programs.
fn of_degrees(degrees: f64) -> Vec<Form> {
    vec![
        (format!("{degrees}"), degrees.to_string().into_bytes()),
        (
            format!("{degrees}, the low byte first"),
            degrees.to_le_bytes().to_vec(),
        ),
        (
            format!("{degrees}, the high byte first"),
            degrees.to_be_bytes().to_vec(),
        ),
    ]
}

/// Bytes as they are, in hexadecimal digits, and in Base64 wherever they begin within others.
fn of_bytes(name: &str, bytes: &[u8]) -> Vec<Form> {
    let digits = |digit: fn(&u8) -> String| bytes.iter().map(digit).collect::<String>();
    let mut forms = vec![
        (name.to_owned(), bytes.to_vec()),
        (
            format!("{name} in small hexadecimal digits"),
            digits(|byte| format!("{byte:02x}")).into_bytes(),
        ),
        (
            format!("{name} in large hexadecimal digits"),
            digits(|byte| format!("{byte:02X}")).into_bytes(),
        ),
    ];
    for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
        let encoded = in_base64(bytes, &engine).into_iter();
        forms.extend(encoded.map(|digits| (format!("{name} in Base64"), digits)));
    }
    forms
}

/// The digits of bytes that may begin anywhere within others, but for those that they share with their neighbours.
fn in_base64(bytes: &[u8], engine: &GeneralPurpose) -> [Vec<u8>; 3] {
    [0, 1, 2].map(|before: usize| {
        let all = [&[0; 2][..before], bytes].concat();
        let digits = engine.encode(all).into_bytes();
        let (first, end) = ((before * 8).div_ceil(6), (before + bytes.len()) * 8 / 6);
        digits[first..end].to_vec()
    })
}
