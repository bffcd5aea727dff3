//! Whatever stands where a value belongs is read, or refused in words that do not repeat it; and what was read reads back.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

use std::{
    fmt::{Debug, Display},
    str::FromStr,
};

use civic::{
    CalendarMonth, Category, DivisionCode, ElderId, IdNumber, IsoWeek, LocalDay, PersonName, Phone,
    Set, VillageCode,
};
use fuzzing::assert_untold;
use proptest::prelude::any;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// How often each value is tried.
const CASES: u32 = 1_500;

const ID_NUMBERS: [&str; 6] = [
    "11010519491231002X",
    "１１０１０５１９４９１２３１００２ｘ",
    "110105-19491231-002X",
    "350524195207209372",
    "110105491231002",
    " 350524 19520720 9372",
];
const PHONES: [&str; 5] = [
    "13811178935",
    "0595-71335677",
    "010 6588 1234",
    "０５９５－７１３３５６７７",
    "138 1117 8935",
];
const NAMES: [&str; 4] = ["王秀英", "买买提·艾力", "王\u{3000}芳", "Mary Ann"];
const DAYS: [&str; 7] = [
    "2024-09-20",
    "0001-01-01",
    "9999-12-31",
    "2024年9月20日",
    "２０２４／９／２０",
    "2024.9.20",
    "2024—09—20",
];

/// Tries a value by its text.
fn tried<T>(samples: &[&str], written: impl Fn(&T) -> String)
where
    T: FromStr<Err: Display> + PartialEq + Debug,
{
    fuzzing::text(samples, CASES, |text| match text.parse::<T>() {
        Ok(value) => assert_eq!(written(&value).parse::<T>().ok(), Some(value)),
        Err(error) => is_not_repeated(text, &error.to_string()),
    });
}

/// No number of five digits or more, and no longer text as a whole.
fn is_not_repeated(text: &str, told: &str) {
    if text.chars().count() > 5 {
        assert_untold(told, &[text]);
    }
    let numbers = text.split(|c: char| !c.is_ascii_digit());
    let long: Vec<&str> = numbers.filter(|number| number.len() >= 5).collect();
    assert_untold(told, &long);
}

/// Tries a value where it stands in JSON, which must not repeat it either.
fn tried_in_json<T: DeserializeOwned>(samples: &[&str]) {
    let documents: Vec<Value> = samples.iter().map(|sample| json!(sample)).collect();
    fuzzing::documents(&documents, CASES, |document| {
        if let Err(error) = serde_json::from_str::<T>(document) {
            let secrets: Vec<&str> = samples.iter().map(|sample| sample.trim()).collect();
            assert_untold(&error.to_string(), &secrets);
            is_not_repeated(document.trim_matches('"'), &error.to_string());
        }
    });
}

#[test]
fn id_numbers_are_read_or_refused() {
    tried(&ID_NUMBERS, |number: &IdNumber| number.as_str().to_owned());
    tried_in_json::<IdNumber>(&ID_NUMBERS);
}

#[test]
fn cells_that_hold_a_number_are_read_or_refused() {
    fuzzing::run(CASES, &any::<f64>(), |number| {
        if let Ok(read) = IdNumber::from_number_cell(number) {
            assert_eq!(read.as_str().parse(), Ok(read));
        }
    });
    fuzzing::run(
        CASES,
        &(110_000_000_000_000_u64..660_000_000_000_000),
        |digits| {
            let read = IdNumber::from_number_cell(digits as f64);
            assert_eq!(read, digits.to_string().parse());
        },
    );
}

#[test]
fn telephone_numbers_are_read_or_refused() {
    tried(&PHONES, |phone: &Phone| phone.as_str().to_owned());
    tried_in_json::<Phone>(&PHONES);
}

#[test]
fn names_are_read_or_refused() {
    tried(&NAMES, |name: &PersonName| name.as_str().to_owned());
    tried_in_json::<PersonName>(&NAMES);
}

#[test]
fn days_are_read_or_refused() {
    tried::<LocalDay>(&DAYS, LocalDay::to_string);
    tried_in_json::<LocalDay>(&DAYS);
    fuzzing::text(&DAYS, CASES, |text| match LocalDay::from_sheet(text) {
        Ok(day) => assert_eq!(LocalDay::from_sheet(&day.to_string()), Ok(day)),
        Err(error) => is_not_repeated(text, &error.to_string()),
    });
}

#[test]
fn weeks_and_months_are_read_or_refused() {
    tried::<IsoWeek>(&["2024-W40", "2020-W53", "0001-W01"], IsoWeek::to_string);
    tried::<CalendarMonth>(&["2024-10", "9999-12", "0001-01"], CalendarMonth::to_string);
}

#[test]
fn codes_of_divisions_are_read_or_refused() {
    let codes = ["35", "3505", "350524", "350524100", "350524100001"];
    tried::<DivisionCode>(&codes, DivisionCode::to_string);
    tried::<VillageCode>(&codes, VillageCode::to_string);
    tried_in_json::<DivisionCode>(&codes[3..]);
}

#[test]
fn ids_of_elders_are_read_or_refused() {
    let ids = [
        "0192f3a4-5b6c-7d8e-9f01-23456789abcd",
        "0192F3A4-5B6C-7D8E-9F01-23456789ABCD",
    ];
    tried::<ElderId>(&ids, ElderId::to_string);
}

#[test]
fn sets_of_words_are_read_or_refused() {
    let samples = [json!(["LIVING_ALONE", "DISABLED"]), json!([])];
    fuzzing::documents(&samples, CASES, |document| {
        if let Ok(set) = serde_json::from_str::<Set<Category>>(document) {
            let written = serde_json::to_string(&set).unwrap();
            assert_eq!(
                serde_json::from_str::<Set<Category>>(&written).unwrap(),
                set
            );
        }
    });
}
