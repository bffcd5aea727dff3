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
        digits
            .iter()
            .all(u8::is_ascii_digit)
            .then(|| char::from(check_character(digits)))
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
        if self.characters[16] % 2 == 1 {
            Sex::Male
        } else {
            Sex::Female
        }
    }
}

/// Full-width characters, white space, dashes of any kind and a lower-case `x` are understood, and the 15-digit form
/// (births of the years 1900 to 1999) is upgraded.
impl FromStr for IdNumber {
    type Err = IdNumberError;

    fn from_str(text: &str) -> Result<Self, IdNumberError> {
        let written: Vec<char> = tidied(text)
            .filter(|c| !is_dash(*c))
            .map(|c| c.to_ascii_uppercase())
            .collect();
        let characters = match written.len() {
            18 => eighteen(&written)?,
            15 => upgraded(&written)?,
            _ => return Err(IdNumberError::Length),
        };
        let birth_date = birth_date(&characters)?;
        if check_character(&first_17(&characters)) != characters[17] {
            return Err(IdNumberError::CheckCharacter);
        }
        Ok(Self {
            characters,
            birth_date,
        })
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
    let number = |digits: &[u8]| {
        digits
            .iter()
            .fold(0_u32, |number, digit| number * 10 + u32::from(digit - b'0'))
    };
    let year = i32::try_from(number(&characters[6..10])).map_err(|_| IdNumberError::BirthDate)?;
    LocalDay::from_ymd(
        year,
        number(&characters[10..12]),
        number(&characters[12..14]),
    )
    .map_err(|_| IdNumberError::BirthDate)
}

fn first_17(characters: &[u8; 18]) -> [u8; 17] {
    std::array::from_fn(|place| characters[place])
}

/// ISO 7064 MOD 11-2, the pure system: each digit is weighed by a power of 2 modulo 11, and all of them, the check
/// character included (X being 10), add up to 1 modulo 11.
fn check_character(digits: &[u8; 17]) -> u8 {
    let sum = digits
        .iter()
        .fold(0, |sum, digit| (sum + u32::from(digit - b'0')) * 2 % 11);
    b"10X98765432"[sum as usize]
}

impl fmt::Debug for IdNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("IdNumber(**)")
    }
}

as_text!(IdNumber);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(text: &str) -> Result<String, IdNumberError> {
        text.parse()
            .map(|number: IdNumber| number.as_str().to_owned())
    }

    /// The standard's own example.
    const EXAMPLE: &str = "11010519491231002X";

    #[test]
    fn a_number_tells_birth_date_and_sex() {
        let woman: IdNumber = EXAMPLE.parse().unwrap();
        assert_eq!(woman.birth_date().to_string(), "1949-12-31");
        assert_eq!(woman.sex(), Sex::Female);
        let man: IdNumber = "350524195207209372".parse().unwrap();
        assert_eq!(man.sex(), Sex::Male);
    }

    #[test]
    fn the_ways_in_which_people_write_it_are_understood() {
        for text in [
            "11010519491231002x",
            "１１０１０５１９４９１２３１００２Ｘ",
            "１１０１０５１９４９１２３１００２ｘ",
            " 110105 19491231\u{3000}002X\t",
            "110105-19491231-002X",
            "110105－19491231–002—X",
            "\u{FEFF}110105\u{00A0}19491231−002X",
        ] {
            assert_eq!(parsed(text).as_deref(), Ok(EXAMPLE), "{text}");
        }
    }

    #[test]
    fn the_old_form_of_15_digits_is_upgraded() {
        assert_eq!(parsed("110105491231002").as_deref(), Ok(EXAMPLE));
        assert_eq!(parsed("110105 491231 002").as_deref(), Ok(EXAMPLE));
        assert_eq!(parsed("11010549123100X"), Err(IdNumberError::Characters));
        assert_eq!(parsed("110105490231002"), Err(IdNumberError::BirthDate));
        // 1900 was a common year.
        assert_eq!(parsed("110105000229002"), Err(IdNumberError::BirthDate));
    }

    #[test]
    fn wrong_lengths_are_refused() {
        for text in [
            "",
            "X",
            "11010519491231002",
            "11010519491231002X1",
            "11010549123100",
            "1101054912310021",
        ] {
            assert_eq!(parsed(text), Err(IdNumberError::Length), "{text}");
        }
    }

    #[test]
    fn other_characters_are_refused() {
        for text in [
            "1101051949123100XX",
            "X1010519491231002X",
            "11010519491231002Y",
            // A Cyrillic letter, Arabic digits, and signs that are no dashes.
            "11010519491231002Х",
            "١1010519491231002X",
            "110105_9491231002X",
            "11010519491231００２*",
            "一1010519491231002X",
        ] {
            assert_eq!(parsed(text), Err(IdNumberError::Characters), "{text}");
        }
    }

    #[test]
    fn a_birth_date_that_never_was_is_refused_before_the_check_character() {
        for text in [
            "110105194902310021",
            "110105190002290021",
            "110105194913010021",
            "110105000001010021",
        ] {
            assert_eq!(parsed(text), Err(IdNumberError::BirthDate), "{text}");
        }
    }

    #[test]
    fn a_wrong_check_character_is_refused() {
        assert_eq!(
            parsed("110105194912310021"),
            Err(IdNumberError::CheckCharacter)
        );
    }

    #[test]
    fn a_number_cell_is_read_by_its_digits() {
        let read =
            |number| IdNumber::from_number_cell(number).map(|number| number.as_str().to_owned());
        assert_eq!(read(110_105_491_231_002.0).as_deref(), Ok(EXAMPLE));
        assert_eq!(read(11_010_549_123_100.0), Err(IdNumberError::Length));
        assert_eq!(read(110_105_491_231_002.5), Err(IdNumberError::Characters));
        assert_eq!(read(-110_105_491_231_002.0), Err(IdNumberError::Characters));
        assert_eq!(read(f64::NAN), Err(IdNumberError::Characters));
        assert_eq!(read(f64::INFINITY), Err(IdNumberError::Characters));
        assert_eq!(read(f64::MAX), Err(IdNumberError::Length));
    }

    #[test]
    fn a_number_cell_of_18_digits_is_refused_even_where_it_agrees_by_chance() {
        // A valid number that a spreadsheet would happen to keep exactly.
        let lucky = (350_524_195_207_200_000_u64..350_524_195_207_209_999)
            .filter(|number| *number as f64 as u64 == *number)
            .find(|number| parsed(&number.to_string()).is_ok())
            .unwrap();
        assert!(IdNumber::from_number_cell(lucky as f64).is_err());
    }

    #[test]
    fn check_characters_are_computed_for_17_digits_only() {
        assert_eq!(IdNumber::compute_check_char("11010519491231002"), Some('X'));
        assert_eq!(IdNumber::compute_check_char("35052419520720937"), Some('2'));
        assert_eq!(IdNumber::compute_check_char("1101051949123100"), None);
        assert_eq!(IdNumber::compute_check_char("1101051949123100X"), None);
    }

    #[test]
    fn neither_debug_nor_errors_show_the_number() {
        let number: IdNumber = EXAMPLE.parse().unwrap();
        assert_eq!(format!("{number:?}"), "IdNumber(**)");
        for wrong in [
            "\"110105194912310021\"",
            "110105194912310021",
            "110105194912310021.5",
            "[110105194912310021]",
        ] {
            let error = serde_json::from_str::<IdNumber>(wrong)
                .unwrap_err()
                .to_string();
            assert!(!error.contains("1101051"), "{error}");
        }
    }

    #[test]
    fn serde_writes_the_number_and_checks_it_on_reading() {
        let number: IdNumber = EXAMPLE.parse().unwrap();
        let json = serde_json::to_string(&number).unwrap();
        assert_eq!(json, format!("\"{EXAMPLE}\""));
        assert_eq!(serde_json::from_str::<IdNumber>(&json).unwrap(), number);
    }

    /// Valid numbers, made by another reading of the standard: each weight is a power of 2 modulo 11.
    fn a_valid_number() -> impl Strategy<Value = String> {
        (110_000_u32..830_000, -40_000..20_000, 0_u32..1000).prop_map(|(area, birth, order)| {
            let birth = LocalDay::from_epoch_days(birth)
                .unwrap()
                .to_string()
                .replace('-', "");
            let digits = format!("{area}{birth}{order:03}");
            let weights = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
            let sum: u32 = digits
                .chars()
                .zip(weights)
                .map(|(digit, weight)| digit.to_digit(10).unwrap() * weight)
                .sum();
            let check = "10X98765432".chars().nth((sum % 11) as usize).unwrap();
            format!("{digits}{check}")
        })
    }

    proptest! {
        #[test]
        fn valid_numbers_are_accepted_and_stay_as_they_are(text in a_valid_number()) {
            let number: IdNumber = text.parse().unwrap();
            prop_assert_eq!(number.as_str(), &text);
            prop_assert_eq!(number.birth_date().to_string().replace('-', ""), &text[6..14]);
            prop_assert_eq!(IdNumber::compute_check_char(&text[..17]), text.chars().last());
        }

        #[test]
        fn any_single_wrong_character_is_caught(text in a_valid_number(), place in 0_usize..18, other in 0_usize..11) {
            let other = b"0123456789X"[other];
            prop_assume!(text.as_bytes()[place] != other);
            let mut wrong = text.into_bytes();
            wrong[place] = other;
            prop_assert!(String::from_utf8(wrong).unwrap().parse::<IdNumber>().is_err());
        }

        #[test]
        fn any_two_neighbours_exchanged_are_caught(text in a_valid_number(), place in 0_usize..17) {
            let mut wrong = text.into_bytes();
            prop_assume!(wrong[place] != wrong[place + 1]);
            wrong.swap(place, place + 1);
            prop_assert!(String::from_utf8(wrong).unwrap().parse::<IdNumber>().is_err());
        }

        #[test]
        fn blanks_dashes_and_width_change_nothing(
            text in a_valid_number(),
            places in proptest::collection::vec((0_usize..=18, prop::sample::select(vec!['-', ' ', '\u{3000}', '－', '—', '\t'])), 0..6),
            wide in any::<bool>(),
        ) {
            let mut written: Vec<char> = text.to_lowercase().chars().collect();
            if wide {
                written = written.into_iter().map(|c| char::from_u32(u32::from(c) + 0xFEE0).unwrap()).collect();
            }
            for (place, c) in places {
                written.insert(place, c);
            }
            prop_assert_eq!(parsed(&written.into_iter().collect::<String>()), Ok(text));
        }

        #[test]
        fn the_old_form_and_the_new_one_are_the_same_number(text in a_valid_number()) {
            prop_assume!(&text[6..8] == "19");
            let old = format!("{}{}", &text[..6], &text[8..17]);
            let digits: f64 = old.parse().unwrap();
            let number: IdNumber = text.parse().unwrap();
            prop_assert_eq!(old.parse(), Ok(number));
            prop_assert_eq!(IdNumber::from_number_cell(digits), Ok(number));
        }

        #[test]
        fn no_text_at_all_makes_the_reading_fail_otherwise_than_by_an_error(text in any::<String>()) {
            if let Ok(number) = text.parse::<IdNumber>() {
                prop_assert_eq!(number.as_str().parse(), Ok(number));
            }
        }
    }
}
