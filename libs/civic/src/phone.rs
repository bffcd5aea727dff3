//! A telephone number at which a contact can be called.

use std::{fmt, str::FromStr};

use crate::{
    handwriting::{is_dash, tidied},
    serde_text::as_text,
};

/// A mobile number of 11 digits from `1[3-9]`, or a landline: `0`, 2 or 3 digits of area code, an optional hyphen, and
/// 7 or 8 digits. The hyphen of a landline is kept where it was written.
///
/// Personal: `Debug` shows nothing of it, and there is no `Display`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Phone(Box<str>);

/// Something is no telephone number. Never holds the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("neither a mobile number of 11 digits nor a landline with its area code")]
pub struct PhoneError;

impl Phone {
    /// The digits, with the hyphen of a landline if it has one. Personal.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether messages can be sent there.
    #[must_use]
    pub fn is_mobile(&self) -> bool {
        self.0.starts_with('1')
    }
}

/// White space is dropped, and full-width digits and dashes are understood.
impl FromStr for Phone {
    type Err = PhoneError;

    fn from_str(text: &str) -> Result<Self, PhoneError> {
        let number: String = tidied(text)
            .map(|c| if is_dash(c) { '-' } else { c })
            .collect();
        if is_mobile(&number) || is_landline(&number) {
            Ok(Self(number.into()))
        } else {
            Err(PhoneError)
        }
    }
}

fn is_mobile(number: &str) -> bool {
    number.len() == 11 && is_digits(number) && matches!(number.as_bytes(), [b'1', b'3'..=b'9', ..])
}

fn is_landline(number: &str) -> bool {
    match number.split_once('-') {
        Some((area, line)) => {
            matches!(area.len(), 3 | 4)
                && area.starts_with('0')
                && matches!(line.len(), 7 | 8)
                && is_digits(area)
                && is_digits(line)
        }
        // Where the area code ends cannot be told without a hyphen, nor need it be.
        None => number.starts_with('0') && (10..=12).contains(&number.len()) && is_digits(number),
    }
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit())
}

impl fmt::Debug for Phone {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Phone(**)")
    }
}

as_text!(Phone);

#[cfg(test)]
mod tests {
    use super::*;

    fn check(written: &str, expected: Option<&str>) {
        let phone = written.parse::<Phone>();
        assert_eq!(
            phone.as_ref().ok().map(Phone::as_str),
            expected,
            "{written}"
        );
    }

    #[test]
    fn mobile_numbers_have_eleven_digits_from_13_to_19() {
        check("13811178935", Some("13811178935"));
        check("19911178935", Some("19911178935"));
        check("12811178935", None);
        check("23811178935", None);
        check("1381117893", None);
        check("138111789351", None);
        check("138-1117-8935", None);
    }

    #[test]
    fn landlines_have_an_area_code_and_an_optional_hyphen() {
        check("0595-71335677", Some("0595-71335677"));
        check("0595-7133567", Some("0595-7133567"));
        check("059571335677", Some("059571335677"));
        check("010-65881234", Some("010-65881234"));
        check("0106588123", Some("0106588123"));
        check("010658812", None);
        check("0595713356770", None);
        check("05951-7133567", None);
        check("05-71335677", None);
        check("0595-713356", None);
        check("0595-713356778", None);
        check("0595-7133-5677", None);
        check("71335677", None);
    }

    #[test]
    fn white_space_and_width_do_not_matter() {
        check(" １３８ １１１７\u{3000}８９３５ ", Some("13811178935"));
        check("0595 － 71335677", Some("0595-71335677"));
    }

    #[test]
    fn other_text_is_no_number() {
        check("", None);
        check("无", None);
        check("+8613811178935", None);
        check("1381117893a", None);
        check("١٣٨١١١٧٨٩٣٥", None);
    }

    #[test]
    fn debug_shows_nothing_of_the_number() {
        assert_eq!(
            format!("{:?}", "13811178935".parse::<Phone>()),
            "Ok(Phone(**))"
        );
    }
}
