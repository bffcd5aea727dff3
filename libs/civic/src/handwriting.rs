//! Digits, blanks and dashes as people type them into sheets and forms.

/// The text with full-width characters (U+FF01 to U+FF5E) made half-width, and all white space dropped.
pub(crate) fn tidied(text: &str) -> impl Iterator<Item = char> {
    text.chars().map(half_width).filter(|c| !is_blank(*c))
}

/// A full-width letter, digit or sign as its half-width twin; any other character as it is.
fn half_width(c: char) -> char {
    match c {
        '\u{FF01}'..='\u{FF5E}' => char::from_u32(u32::from(c) - 0xFEE0).unwrap_or(c),
        _ => c,
    }
}

/// White space, and the invisible characters that spreadsheets and web pages leave behind in its place.
pub(crate) fn is_blank(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{200B}' | '\u{2060}' | '\u{FEFF}')
}

/// A hyphen, a dash or a minus sign of any width (the full-width hyphen is half-width by then).
pub(crate) fn is_dash(c: char) -> bool {
    matches!(
        c,
        '-' | '\u{00AD}' | '\u{2010}'
            ..='\u{2015}' | '\u{2212}' | '\u{2E3A}' | '\u{2E3B}' | '\u{FE58}' | '\u{FE63}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_width_characters_become_half_width_and_blanks_go() {
        assert_eq!(
            tidied(" ３５０５\u{3000}２４ Ｘ\t－\u{00A0}\u{FEFF}年").collect::<String>(),
            "350524X-年"
        );
    }

    #[test]
    fn dashes_of_every_width_are_dashes() {
        assert!(tidied("-－–—―−‐‑﹣").all(is_dash));
        assert!(!is_dash('一'), "the numeral one is no dash");
    }
}
