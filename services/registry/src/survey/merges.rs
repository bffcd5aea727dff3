//! Merged ranges of a sheet: their one value holds for each of their cells.

/// A merged range, both corners included. Rows count from 1 as the sheet shows them, columns from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Merge {
    pub(super) first_row: u32,
    pub(super) last_row: u32,
    pub(super) first_column: u16,
    pub(super) last_column: u16,
}

impl Merge {
    /// Reads `F97:F99`. `None` for what is no range of more than one cell.
    pub(super) fn parse(range: &str) -> Option<Self> {
        let (start, end) = range.split_once(':')?;
        let ((first_column, first_row), (last_column, last_row)) = (place(start)?, place(end)?);
        let merge = Self {
            first_row,
            last_row,
            first_column,
            last_column,
        };
        (first_row <= last_row && first_column <= last_column).then_some(merge)
    }
}

/// The column, from 0, and the row, from 1, of a reference such as `AB12`.
pub(super) fn place(reference: &str) -> Option<(u16, u32)> {
    let reference = reference.as_bytes();
    let mut column = 0_u32;
    let mut letters = 0;
    for byte in reference {
        let letter = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a',
            b'$' => continue,
            _ => break,
        };
        column = column * 26 + u32::from(letter) + 1;
        letters += 1;
        if letters > 3 {
            return None;
        }
    }
    let digits = reference.iter().position(u8::is_ascii_digit)?;
    let row: u32 = str::from_utf8(&reference[digits..]).ok()?.parse().ok()?;
    let known = letters > 0 && (1..=LAST_ROW).contains(&row);
    Some((u16::try_from(column.checked_sub(1)?).ok()?, row)).filter(|_| known)
}

/// The last row that a sheet can have.
pub(super) const LAST_ROW: u32 = 1_048_576;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_has_two_corners() {
        let merge = Merge {
            first_row: 97,
            last_row: 99,
            first_column: 5,
            last_column: 5,
        };
        assert_eq!(Merge::parse("F97:F99"), Some(merge));
        for broken in [
            "F97",
            "F97:F96",
            "G97:F97",
            "F0:F9",
            ":",
            "1:9",
            "AAAA1:AAAA2",
            "F1:F99999999999",
            "é1:é2",
        ] {
            assert_eq!(Merge::parse(broken), None, "{broken}");
        }
    }

    #[test]
    fn places_are_read_by_letters_and_digits() {
        assert_eq!(place("A1"), Some((0, 1)));
        assert_eq!(place("XFD1048576"), Some((16_383, 1_048_576)));
        assert_eq!(place("$B$3"), Some((1, 3)));
        assert_eq!(place("A1048577"), None);
    }
}
