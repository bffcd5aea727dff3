//! A person's name, as it is compared between a survey and the registry.

use std::{fmt, str::FromStr};

use crate::{handwriting::is_blank, serde_text::as_text};

/// The most characters of a name.
const LONGEST: usize = 64;

/// A name without white space (`王 芳` is `王芳`), of 1 to 64 characters, none of them a control character.
///
/// Personal: `Debug` shows nothing of it, and there is no `Display`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PersonName(Box<str>);

/// Why something is no name. Never holds the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PersonNameError {
    /// Nothing, or white space only.
    #[error("the name is blank")]
    Blank,
    /// More than 64 characters.
    #[error("the name has over 64 characters")]
    TooLong,
    /// A control character, or one that turns the direction of writing.
    #[error("the name holds a control character")]
    ControlCharacter,
}

impl PersonName {
    /// The name. Personal.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PersonName {
    type Err = PersonNameError;

    fn from_str(text: &str) -> Result<Self, PersonNameError> {
        let name: String = text.chars().filter(|c| !is_blank(*c)).collect();
        if name.is_empty() {
            return Err(PersonNameError::Blank);
        }
        if name.chars().any(is_control) {
            return Err(PersonNameError::ControlCharacter);
        }
        if name.chars().count() > LONGEST {
            return Err(PersonNameError::TooLong);
        }
        Ok(Self(name.into()))
    }
}

/// Marks of direction make a name look like another one; they are refused with the control characters proper.
fn is_control(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

impl fmt::Debug for PersonName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("PersonName(**)")
    }
}

as_text!(PersonName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_inside_a_name_is_dropped() {
        let name: PersonName = " 王\u{3000}芳 \t\u{00A0}".parse().unwrap();
        assert_eq!(name.as_str(), "王芳");
        assert_eq!(
            "Mary Ann".parse::<PersonName>().unwrap().as_str(),
            "MaryAnn"
        );
    }

    #[test]
    fn a_name_with_a_middle_dot_is_kept() {
        assert_eq!(
            "买买提·艾力".parse::<PersonName>().unwrap().as_str(),
            "买买提·艾力"
        );
    }

    #[test]
    fn a_blank_name_is_none() {
        assert_eq!("".parse::<PersonName>(), Err(PersonNameError::Blank));
        assert_eq!(
            " \u{3000}\n\u{FEFF}".parse::<PersonName>(),
            Err(PersonNameError::Blank)
        );
    }

    #[test]
    fn control_characters_are_refused() {
        assert_eq!(
            "王\u{0}芳".parse::<PersonName>(),
            Err(PersonNameError::ControlCharacter)
        );
        assert_eq!(
            "王\u{202E}芳".parse::<PersonName>(),
            Err(PersonNameError::ControlCharacter)
        );
    }

    #[test]
    fn the_length_is_counted_in_characters_after_white_space_is_dropped() {
        assert!("王 ".repeat(64).parse::<PersonName>().is_ok());
        assert_eq!(
            "王".repeat(65).parse::<PersonName>(),
            Err(PersonNameError::TooLong)
        );
    }

    #[test]
    fn neither_debug_nor_errors_show_the_name() {
        assert_eq!(
            format!("{:?}", "王芳".parse::<PersonName>()),
            "Ok(PersonName(**))"
        );
    }
}
