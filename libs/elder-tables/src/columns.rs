//! Words, sets and days as columns of read models keep them: a word by its place in its list, a set as one bit for each word.

use chrono::NaiveDate;
use civic::{LocalDay, Set, Term};

/// For a column without a word.
pub const NO_WORD: i32 = -1;

/// A set as a number, one bit for each word.
#[must_use]
pub fn bits<T: Term>(set: Set<T>) -> i32 {
    set.iter().fold(0, |bits, word| bits | 1 << word.index())
}

/// The set of a number.
#[must_use]
pub fn set<T: Term>(bits: i32) -> Set<T> {
    let words = T::ALL.iter().copied();
    words
        .filter(|word| bits & (1 << word.index()) != 0)
        .collect()
}

/// A word's place in its list.
#[must_use]
pub fn place<T: Term>(word: T) -> i32 {
    word.index().cast_signed()
}

/// A word by its place in its list.
///
/// # Errors
/// A place that the list does not have.
pub fn word<T: Term>(place: i32) -> Result<T, sqlx::Error> {
    usize::try_from(place)
        .ok()
        .and_then(|place| T::ALL.get(place).copied())
        .ok_or_else(|| sqlx::Error::Decode("a column holds no word of its list".into()))
}

/// A word where there may be none ([`NO_WORD`]).
///
/// # Errors
/// Another place that the list does not have.
pub fn maybe_word<T: Term>(place: i32) -> Result<Option<T>, sqlx::Error> {
    (place != NO_WORD).then(|| word(place)).transpose()
}

/// A day.
///
/// # Errors
/// One of a year that no day has.
pub fn day(date: NaiveDate) -> Result<LocalDay, sqlx::Error> {
    LocalDay::try_from(date).map_err(|_day| sqlx::Error::Decode("a column holds no day".into()))
}
