//! A division's subtree as a range of codes: an index finds it at once.

use civic::DivisionCode;

/// All codes that begin with the division's own.
#[derive(Clone, Debug)]
pub(crate) struct DivisionRange {
    first: String,
    beyond: String,
}

impl DivisionRange {
    /// The subtree of a division.
    pub(crate) fn of(division: &DivisionCode) -> Self {
        let first = division.to_string();
        // After the digit 9 comes the colon, so that `37:` lies beyond all that begins with 37.
        let beyond = format!("{first}:");
        Self { first, beyond }
    }

    /// The first code.
    pub(crate) fn first(&self) -> &str {
        &self.first
    }

    /// What comes right after the last code.
    pub(crate) fn beyond(&self) -> &str {
        &self.beyond
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_division_holds_itself_and_what_begins_with_it() {
        let range = DivisionRange::of(&"350524".parse().unwrap());
        let holds = |code: &str| range.first() <= code && code < range.beyond();
        assert!(holds("350524"));
        assert!(holds("350524100"));
        assert!(holds("350524999999"));
        assert!(!holds("350525"));
        assert!(!holds("350523999999"));
        assert!(!holds("3505"));
    }
}
