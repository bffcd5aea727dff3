//! Money, kept as a whole number of fen (分).

use std::fmt;

use serde::{Deserialize, Serialize};

/// An amount in fen; 100 fen are 1 yuan. Serde writes the number of fen, `Display` yuan: `-12.05`.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Fen(pub i64);

impl Fen {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// The sum; `None` where it is too large to count.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// The difference; `None` where it is too large to count.
    #[must_use]
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// So many times the amount; `None` where it is too large to count.
    #[must_use]
    pub fn checked_mul(self, times: i64) -> Option<Self> {
        self.0.checked_mul(times).map(Self)
    }
}

/// The digits of amounts in words.
const DIGITS: [&str; 10] = ["零", "壹", "贰", "叁", "肆", "伍", "陆", "柒", "捌", "玖"];

impl Fen {
    /// The amount in the words that vouchers bear (大写金额), such as `贰仟零叁拾元伍角整`.
    #[must_use]
    pub fn in_words(self) -> String {
        let (yuan, fen) = (self.0.unsigned_abs() / 100, self.0.unsigned_abs() % 100);
        let mut words = String::new();
        if self.0 < 0 {
            words.push('负');
        }
        if yuan > 0 {
            words.push_str(&yuan_in_words(yuan));
            words.push('元');
        }
        let (jiao, fen) = (fen / 10, fen % 10);
        match (jiao, fen) {
            (0, 0) if yuan == 0 => return "零元整".to_owned(),
            (0, 0) => words.push('整'),
            (jiao, 0) => {
                words.push_str(digit(jiao));
                words.push_str("角整");
            }
            (0, fen) => {
                if yuan > 0 {
                    words.push('零');
                }
                words.push_str(digit(fen));
                words.push('分');
            }
            (jiao, fen) => {
                words.push_str(digit(jiao));
                words.push('角');
                words.push_str(digit(fen));
                words.push('分');
            }
        }
        words
    }
}

fn digit(digit: u64) -> &'static str {
    usize::try_from(digit)
        .ok()
        .and_then(|digit| DIGITS.get(digit).copied())
        .unwrap_or_default()
}

/// Groups of four digits: each read by itself, with 零 wherever digits are left out between others.
fn yuan_in_words(yuan: u64) -> String {
    const GROUPS: [&str; 5] = ["", "万", "亿", "万亿", "亿亿"];
    const PLACES: [&str; 4] = ["仟", "佰", "拾", ""];
    let mut groups = Vec::new();
    let mut rest = yuan;
    while rest > 0 {
        groups.push(rest % 10_000);
        rest /= 10_000;
    }
    let mut words = String::new();
    let mut gap = false;
    for (group, name) in groups.iter().zip(GROUPS).rev() {
        let mut divisor = 1_000;
        for place in PLACES {
            let here = group / divisor % 10;
            if here == 0 {
                gap |= !words.is_empty();
            } else {
                if gap {
                    words.push('零');
                    gap = false;
                }
                words.push_str(digit(here));
                words.push_str(place);
            }
            divisor = (divisor / 10).max(1);
        }
        if *group > 0 {
            words.push_str(name);
        }
    }
    words
}

impl fmt::Display for Fen {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fen = self.0.unsigned_abs();
        formatter.pad_integral(self.0 >= 0, "", &format!("{}.{:02}", fen / 100, fen % 100))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fen_are_shown_as_yuan() {
        assert_eq!(Fen(30_000).to_string(), "300.00");
        assert_eq!(Fen(-5).to_string(), "-0.05");
        assert_eq!(Fen(i64::MIN).to_string(), "-92233720368547758.08");
        assert_eq!(format!("{:>8}", Fen(1205)), "   12.05");
    }

    #[test]
    fn vouchers_bear_amounts_in_words() {
        let words = |fen: i64| Fen(fen).in_words();
        assert_eq!(words(0), "零元整");
        assert_eq!(words(5), "伍分");
        assert_eq!(words(50), "伍角整");
        assert_eq!(words(100), "壹元整");
        assert_eq!(words(105), "壹元零伍分");
        assert_eq!(words(203_050), "贰仟零叁拾元伍角整");
        assert_eq!(words(1_000_000), "壹万元整");
        assert_eq!(words(1_000_100), "壹万零壹元整");
        assert_eq!(words(236_100_000), "贰佰叁拾陆万壹仟元整");
        assert_eq!(words(10_000_000_000_000), "壹仟亿元整");
        assert_eq!(words(10_000_005_000_012), "壹仟亿零伍万元壹角贰分");
        assert_eq!(words(-20_000), "负贰佰元整");
    }

    #[test]
    fn sums_that_cannot_be_counted_are_none() {
        assert_eq!(Fen(1).checked_add(Fen(2)), Some(Fen(3)));
        assert_eq!(Fen(1).checked_sub(Fen(2)), Some(Fen(-1)));
        assert_eq!(Fen(20_000).checked_mul(12), Some(Fen(240_000)));
        assert_eq!(Fen(i64::MAX).checked_add(Fen(1)), None);
        assert_eq!(Fen(i64::MIN).checked_sub(Fen(1)), None);
        assert_eq!(Fen(i64::MAX).checked_mul(2), None);
    }
}
