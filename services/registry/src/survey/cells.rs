//! What stands in a cell of a survey sheet, and how its writing is smoothed before it is understood.

use std::borrow::Cow;

use civic::LocalDay;

/// The value of one cell.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum CellValue<'a> {
    /// Nothing, white space only, or an error such as `#N/A`.
    #[default]
    Blank,
    /// Text as it was typed.
    Text(&'a str),
    /// A number, a date among them.
    Number(f64),
}

impl CellValue<'_> {
    /// The cell as text: a whole number by its digits, a blank as the empty text.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Blank => "".into(),
            Self::Text(text) => (*text).into(),
            Self::Number(number) => number.to_string().into(),
        }
    }
}

/// White space, and the invisible characters that sheets hold in its place.
pub(super) fn is_blank(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{200B}' | '\u{2060}' | '\u{FEFF}')
}

/// A full-width letter, digit or sign as its half-width twin.
pub(super) fn half_width(c: char) -> char {
    match c {
        '\u{FF01}'..='\u{FF5E}' => char::from_u32(u32::from(c) - 0xFEE0).unwrap_or(c),
        _ => c,
    }
}

/// The text with its `_x000D_` and the like turned into the characters for which sheets write them.
pub(super) fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains("_x") {
        return text.into();
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("_x") {
        plain.push_str(&rest[..at]);
        let escape = &rest[at..];
        let character = escape
            .get(2..7)
            .and_then(|code| code.strip_suffix('_'))
            .filter(|code| code.bytes().all(|b| b.is_ascii_hexdigit()))
            .and_then(|code| u32::from_str_radix(code, 16).ok())
            .and_then(char::from_u32);
        match character {
            Some(character) => {
                plain.push(character);
                rest = &escape[7..];
            }
            None => {
                plain.push_str("_x");
                rest = &escape[2..];
            }
        }
    }
    plain.push_str(rest);
    plain.into()
}

/// The first whole date in a text, such as `填表日期：2024年9月20日` or `2024-9-20`.
pub(super) fn date_within(text: &str) -> Option<LocalDay> {
    let text: Vec<char> = text
        .chars()
        .map(half_width)
        .filter(|c| !is_blank(*c))
        .collect();
    (0..text.len()).find_map(|start| {
        let starts_a_number =
            text[start].is_ascii_digit() && (start == 0 || !text[start - 1].is_ascii_digit());
        if starts_a_number {
            date_at(&text[start..])
        } else {
            None
        }
    })
}

fn date_at(text: &[char]) -> Option<LocalDay> {
    let (year, rest) = digits(text, 4, 4)?;
    let (&first, rest) = rest.split_first()?;
    let (month, rest) = digits(rest, 1, 2)?;
    let (&second, rest) = rest.split_first()?;
    let (day, rest) = digits(rest, 1, 2)?;
    let closed = match (first, second) {
        ('年', '月') => matches!(rest.first(), Some('日' | '号')),
        ('-', '-') | ('/', '/') | ('.', '.') => true,
        _ => false,
    };
    if !closed {
        return None;
    }
    LocalDay::from_ymd(i32::try_from(year).ok()?, month, day).ok()
}

/// A number of so many digits, all that stand there.
fn digits(text: &[char], least: usize, most: usize) -> Option<(u32, &[char])> {
    let count = text.iter().take_while(|c| c.is_ascii_digit()).count();
    if !(least..=most).contains(&count) {
        return None;
    }
    let number = text[..count].iter().fold(0, |number, digit| {
        number * 10 + digit.to_digit(10).unwrap_or(0)
    });
    Some((number, &text[count..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_found_wherever_it_stands_in_a_heading() {
        let day = LocalDay::from_ymd(2024, 9, 20).ok();
        for text in [
            "2024年9月20日",
            "填表日期：2024年09月20日（摸排）",
            "镇（办）：凤城镇      2024 年 9 月 20 日",
            "２０２４年９月２０日",
            "2024-09-20",
            "2024/9/20",
            "2024.9.20",
            "2024-09-20T00:00:00",
            "第12号 2024年9月20日",
        ] {
            assert_eq!(date_within(text), day, "{text}");
        }
    }

    #[test]
    fn what_is_no_whole_date_is_none() {
        for text in [
            "",
            "年  月  日",
            "2024年度",
            "2024年9月",
            "2024年9月31日",
            "12024年9月20日",
            "2024-9/20",
            "2024年9月20",
        ] {
            assert_eq!(date_within(text), None, "{text}");
        }
    }

    #[test]
    fn escaped_characters_are_what_they_stand_for() {
        for (text, plain) in [
            ("张_x000D_\n三", "张\r\n三"),
            ("_x005F_x000D_", "_x000D_"),
            ("_x00D_", "_x00D_"),
            ("_xD800_", "_xD800_"),
            ("_x张三李四", "_x张三李四"),
            ("_x000", "_x000"),
        ] {
            assert_eq!(unescaped(text), plain);
        }
    }

    #[test]
    fn a_number_is_read_by_its_digits() {
        assert_eq!(CellValue::Number(18558451051.0).text(), "18558451051");
        assert_eq!(CellValue::Number(79.0).text(), "79");
        assert_eq!(CellValue::Number(117.725709).text(), "117.725709");
    }
}
