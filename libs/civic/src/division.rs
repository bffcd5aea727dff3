//! Administrative divisions: province, city, county, town, and village or community.

use std::{cmp::Ordering, fmt, str::FromStr};

use crate::serde_text::as_text;

/// A level of administration, the widest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DivisionLevel {
    /// 省, 2 digits.
    Province,
    /// 市, 4 digits.
    City,
    /// 县, 6 digits.
    County,
    /// 乡镇 or 街道, 9 digits.
    Town,
    /// 村 or 社区, 12 digits.
    Village,
}

impl DivisionLevel {
    /// All levels, the widest first.
    pub const ALL: [Self; 5] = [
        Self::Province,
        Self::City,
        Self::County,
        Self::Town,
        Self::Village,
    ];

    /// The number of digits of a code of this level.
    #[must_use]
    pub const fn digits(self) -> usize {
        match self {
            Self::Province => 2,
            Self::City => 4,
            Self::County => 6,
            Self::Town => 9,
            Self::Village => 12,
        }
    }

    /// The level above.
    #[must_use]
    pub const fn parent(self) -> Option<Self> {
        match self {
            Self::Province => None,
            Self::City => Some(Self::Province),
            Self::County => Some(Self::City),
            Self::Town => Some(Self::County),
            Self::Village => Some(Self::Town),
        }
    }
}

/// The code of a division: a GB/T 2260 code of 2, 4 or 6 digits (province, city, county), or a statistical code of 9 or
/// 12 digits (town, village). The code of a division begins with that of the division around it.
///
/// That the code is well formed does not say that there is such a division: this is known by the registry.
/// Codes are ordered as text, so that a division comes right before all that lies in it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct DivisionCode {
    // Zero bytes after the last digit, which keeps codes of equal text equal.
    digits: [u8; 12],
    level: DivisionLevel,
}

/// Why something is no division code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DivisionCodeError {
    /// Not 2, 4, 6, 9 or 12 digits, of which the first is not 0.
    #[error("a division code has 2, 4, 6, 9 or 12 digits")]
    Form,
    /// A division where a village or community is called for.
    #[error("a village or community has a code of 12 digits")]
    NotAVillage,
}

impl DivisionCode {
    /// The level, by the number of digits.
    #[must_use]
    pub fn level(&self) -> DivisionLevel {
        self.level
    }

    /// The division right above; none above a province.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        self.level.parent().and_then(|level| self.at(level))
    }

    /// This division or the one around it that has the given level; none when that level is lower than its own.
    #[must_use]
    pub fn at(&self, level: DivisionLevel) -> Option<Self> {
        if level > self.level {
            return None;
        }
        let digits = std::array::from_fn(|place| {
            if place < level.digits() {
                self.digits[place]
            } else {
                0
            }
        });
        Some(Self { digits, level })
    }

    /// This division, then the ones around it, the nearest first.
    pub fn upwards(&self) -> impl Iterator<Item = Self> + use<> {
        std::iter::successors(Some(*self), Self::parent)
    }

    /// Whether the other division lies in this one, or is this one.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        other.as_str().starts_with(self.as_str())
    }

    /// The first text after the codes of its subtree: those from its own on and below this are the division's.
    #[must_use]
    pub fn beyond(&self) -> String {
        // After the digit 9 comes the colon, so that `37:` lies beyond all that begins with 37.
        format!("{self}:")
    }

    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.digits[..self.level.digits()])
            .expect("a division code is of ASCII digits")
    }
}

impl FromStr for DivisionCode {
    type Err = DivisionCodeError;

    fn from_str(text: &str) -> Result<Self, DivisionCodeError> {
        let level = DivisionLevel::ALL
            .into_iter()
            .find(|level| level.digits() == text.len())
            .ok_or(DivisionCodeError::Form)?;
        if text.starts_with('0') || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(DivisionCodeError::Form);
        }
        let mut digits = [0; 12];
        digits[..text.len()].copy_from_slice(text.as_bytes());
        Ok(Self { digits, level })
    }
}

impl Ord for DivisionCode {
    fn cmp(&self, other: &Self) -> Ordering {
        self.digits.cmp(&other.digits)
    }
}

impl PartialOrd for DivisionCode {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for DivisionCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

impl fmt::Debug for DivisionCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "DivisionCode({self})")
    }
}

as_text!(DivisionCode);

/// The code of a village or community, 12 digits: where an elder lives.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VillageCode(DivisionCode);

impl VillageCode {
    /// The same as a division of any level.
    #[must_use]
    pub fn division(&self) -> DivisionCode {
        self.0
    }

    /// The town around it.
    #[must_use]
    pub fn town(&self) -> DivisionCode {
        self.around(DivisionLevel::Town)
    }

    /// The county around it.
    #[must_use]
    pub fn county(&self) -> DivisionCode {
        self.around(DivisionLevel::County)
    }

    fn around(&self, level: DivisionLevel) -> DivisionCode {
        self.0
            .at(level)
            .expect("every level is above or at a village")
    }

    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl From<VillageCode> for DivisionCode {
    fn from(village: VillageCode) -> Self {
        village.0
    }
}

impl TryFrom<DivisionCode> for VillageCode {
    type Error = DivisionCodeError;

    fn try_from(code: DivisionCode) -> Result<Self, DivisionCodeError> {
        if code.level() == DivisionLevel::Village {
            Ok(Self(code))
        } else {
            Err(DivisionCodeError::NotAVillage)
        }
    }
}

impl FromStr for VillageCode {
    type Err = DivisionCodeError;

    fn from_str(text: &str) -> Result<Self, DivisionCodeError> {
        text.parse::<DivisionCode>()?.try_into()
    }
}

impl fmt::Display for VillageCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl fmt::Debug for VillageCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "VillageCode({self})")
    }
}

as_text!(VillageCode);

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> DivisionCode {
        text.parse().unwrap()
    }

    #[test]
    fn the_number_of_digits_tells_the_level() {
        assert_eq!(code("35").level(), DivisionLevel::Province);
        assert_eq!(code("3505").level(), DivisionLevel::City);
        assert_eq!(code("350524").level(), DivisionLevel::County);
        assert_eq!(code("350524100").level(), DivisionLevel::Town);
        assert_eq!(code("350524100001").level(), DivisionLevel::Village);
    }

    #[test]
    fn a_division_is_a_range_of_codes() {
        let county = code("350524");
        let beyond = county.beyond();
        let holds = |code: &str| county.as_str() <= code && code < beyond.as_str();
        assert!(holds("350524"));
        assert!(holds("350524100"));
        assert!(holds("350524999999"));
        assert!(!holds("350525"));
        assert!(!holds("350523999999"));
        assert!(!holds("3505"));
    }

    #[test]
    fn other_texts_are_no_codes() {
        for text in [
            "",
            "3",
            "350",
            "35052",
            "3505241",
            "3505241000011",
            "35052a",
            "３５",
            "05",
            " 35",
            "350524100 01",
        ] {
            assert_eq!(
                text.parse::<DivisionCode>(),
                Err(DivisionCodeError::Form),
                "{text}"
            );
        }
    }

    #[test]
    fn a_village_lies_in_a_town_a_county_a_city_and_a_province() {
        let upwards: Vec<String> = code("350524100001")
            .upwards()
            .map(|code| code.to_string())
            .collect();
        assert_eq!(
            upwards,
            ["350524100001", "350524100", "350524", "3505", "35"]
        );
        assert_eq!(code("35").parent(), None);
        assert_eq!(
            code("350524100001").at(DivisionLevel::County),
            Some(code("350524"))
        );
        assert_eq!(code("350524").at(DivisionLevel::Town), None);
    }

    #[test]
    fn a_division_contains_itself_and_what_lies_in_it() {
        let county = code("350524");
        assert!(county.contains(&county));
        assert!(county.contains(&code("350524100001")));
        assert!(!county.contains(&code("350525100001")));
        assert!(!county.contains(&code("3505")));
    }

    #[test]
    fn codes_are_ordered_as_text() {
        let mut codes = [
            code("350525"),
            code("350524100"),
            code("35"),
            code("350524"),
            code("350524100001"),
        ];
        codes.sort();
        assert_eq!(
            codes.map(|code| code.to_string()),
            ["35", "350524", "350524100", "350524100001", "350525"]
        );
    }

    #[test]
    fn an_elder_lives_in_a_village() {
        let village: VillageCode = "350524100001".parse().unwrap();
        assert_eq!(village.town(), code("350524100"));
        assert_eq!(village.county(), code("350524"));
        assert_eq!(
            "350524100".parse::<VillageCode>(),
            Err(DivisionCodeError::NotAVillage)
        );
        assert_eq!(
            "3505241".parse::<VillageCode>(),
            Err(DivisionCodeError::Form)
        );
        assert_eq!(serde_json::to_string(&village).unwrap(), "\"350524100001\"");
        assert!(serde_json::from_str::<VillageCode>("\"350524\"").is_err());
    }
}
