//! The ID number of a resident (公民身份号码): who somebody is, when and as what sex they were born.

use std::{fmt, str::FromStr};

use crate::{
    LocalDay, Sex,
    handwriting::{is_dash, tidied},
    serde_text::as_text,
};

/// A valid ID number by GB 11643-1999: 17 digits and a check character (ISO 7064 MOD 11-2), of which digits 7 to 14
/// are the birth date and digit 17 is odd for male and even for female.
///
/// Personal: `Debug` shows nothing of it, and there is no `Display`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdNumber {
    characters: [u8; 18],
    birth_date: LocalDay,
}

/// Why something is no ID number. Never holds the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdNumberError {
    /// Neither 18 nor 15 characters.
    #[error("an ID number has 18 characters, or 15 of the old form")]
    Length,
    /// A character that does not belong where it stands.
    #[error("an ID number has digits only, but for an X at the end")]
    Characters,
    /// Digits 7 to 14 are no day of the calendar.
    #[error("the birth date in the ID number is no day of the calendar")]
    BirthDate,
    /// The last character does not agree with the others: a slip of the pen.
    #[error("the check character of the ID number does not agree with its digits")]
    CheckCharacter,
}

impl IdNumber {
    /// The check character that belongs to the first 17 digits; `None` unless these are 17 digits.
    #[must_use]
    pub fn compute_check_char(seventeen_digits: &str) -> Option<char> {
        let digits: &[u8; 17] = seventeen_digits.as_bytes().try_into().ok()?;
        digits.iter().all(u8::is_ascii_digit).then(|| char::from(check_character(digits)))
    }

    /// Reads an ID number from a cell that holds a number, by its digits.
    ///
    /// # Errors
    ///
    /// As for text, and [`IdNumberError::Characters`] for what is no whole number. One of 18 digits is always refused,
    /// as [`IdNumberError::CheckCharacter`]: a spreadsheet keeps 15 digits or so, and the ones that it made up after
    /// these may agree by chance.
    pub fn from_number_cell(number: f64) -> Result<Self, IdNumberError> {
        if !number.is_finite() || number < 0.0 || number.fract() != 0.0 {
            return Err(IdNumberError::Characters);
        }
        let digits = format!("{number:.0}");
        if digits.len() == 18 {
            return Err(IdNumberError::CheckCharacter);
        }
        digits.parse()
    }

    /// All 18 characters. Personal.
    #[must_use]
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.characters).expect("an ID number is of ASCII digits and X")
    }

    /// The birth date, digits 7 to 14.
    #[must_use]
    pub fn birth_date(&self) -> LocalDay {
        self.birth_date
    }

    /// The sex, by digit 17.
    #[must_use]
    pub fn sex(&self) -> Sex {
        if self.characters[16] % 2 == 1 { Sex::Male } else { Sex::Female }
    }
}

/// Full-width characters, white space, dashes of any kind and a lower-case `x` are understood, and the 15-digit form
/// (births of the years 1900 to 1999) is upgraded.
impl FromStr for IdNumber {
    type Err = IdNumberError;

    fn from_str(text: &str) -> Result<Self, IdNumberError> {
        let written: Vec<char> = tidied(text).filter(|c| !is_dash(*c)).map(|c| c.to_ascii_uppercase()).collect();
        let characters = match written.len() {
            18 => eighteen(&written)?,
            15 => upgraded(&written)?,
            _ => return Err(IdNumberError::Length),
        };
        let birth_date = birth_date(&characters)?;
        if check_character(&first_17(&characters)) != characters[17] {
            return Err(IdNumberError::CheckCharacter);
        }
        Ok(Self { characters, birth_date })
    }
}

fn eighteen(written: &[char]) -> Result<[u8; 18], IdNumberError> {
    let mut characters = [b'0'; 18];
    for (place, (character, written)) in characters.iter_mut().zip(written).enumerate() {
        *character = match written {
            'X' if place == 17 => b'X',
            digit => ascii_digit(*digit)?,
        };
    }
    Ok(characters)
}

/// The old form lacks the century and the check character: `19` goes before the year.
fn upgraded(written: &[char]) -> Result<[u8; 18], IdNumberError> {
    let mut characters = *b"000000190000000000";
    for (place, written) in written.iter().enumerate() {
        characters[if place < 6 { place } else { place + 2 }] = ascii_digit(*written)?;
    }
    characters[17] = check_character(&first_17(&characters));
    Ok(characters)
}

fn ascii_digit(character: char) -> Result<u8, IdNumberError> {
    match u8::try_from(character) {
        Ok(digit) if digit.is_ascii_digit() => Ok(digit),
        _ => Err(IdNumberError::Characters),
    }
}

fn birth_date(characters: &[u8; 18]) -> Result<LocalDay, IdNumberError> {
    let number = |digits: &[u8]| digits.iter().fold(0_u32, |number, digit| number * 10 + u32::from(digit - b'0'));
    let year = i32::try_from(number(&characters[6..10])).map_err(|_| IdNumberError::BirthDate)?;
    LocalDay::from_ymd(year, number(&characters[10..12]), number(&characters[12..14]))
        .map_err(|_| IdNumberError::BirthDate)
}

fn first_17(characters: &[u8; 18]) -> [u8; 17] {
    std::array::from_fn(|place| characters[place])
}

/// ISO 7064 MOD 11-2, the pure system: each digit is weighed by a power of 2 modulo 11, and all of them, the check
/// character included (X being 10), add up to 1 modulo 11.
fn check_character(digits: &[u8; 17]) -> u8 {
    let sum = digits.iter().fold(0, |sum, digit| (sum + u32::from(digit - b'0')) * 2 % 11);
    b"10X98765432"[sum as usize]
}

impl fmt::Debug for IdNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("IdNumber(**)")
    }
}

as_text!(IdNumber);
