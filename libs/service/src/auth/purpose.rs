//! What calls are for, as their headers state it.

use std::sync::Arc;

use civic::IdNumber;
use http::HeaderMap;

/// The metadata in which a call says what it is for; UTF-8, percent-encoded where it is not ASCII.
pub const PURPOSE: &str = "eldercare-purpose";

/// The longest purpose, in bytes of UTF-8. In a header each may take three.
const LONGEST_PURPOSE: usize = 600;

/// The purpose of a call: what its headers state, else that of its caller's token. What they state and can't be read is none:
/// no call goes on record with a purpose that is not its own.
pub(crate) fn purpose_of_call(
    headers: &HeaderMap,
    of_token: Option<&Arc<str>>,
) -> Option<Arc<str>> {
    match headers.get(PURPOSE) {
        Some(stated) if !stated.as_bytes().trim_ascii().is_empty() => purpose_of(headers),
        Some(_) | None => of_token.cloned(),
    }
}

/// The purpose that a call's headers state.
fn purpose_of(headers: &HeaderMap) -> Option<Arc<str>> {
    let value = headers
        .get(PURPOSE)?
        .to_str()
        .ok()
        .filter(|value| value.len() <= 3 * LONGEST_PURPOSE)?;
    plain_purpose(&decode_percent(value)?)
}

/// A purpose as it goes on record, for good; none where that is too long, no plain text, or bears somebody's number.
pub(crate) fn plain_purpose(purpose: &str) -> Option<Arc<str>> {
    let purpose = purpose.trim();
    let clean = (1..=LONGEST_PURPOSE).contains(&purpose.len())
        && !purpose.chars().any(char::is_control)
        && !bears_a_number(purpose);
    clean.then(|| Arc::from(purpose))
}

/// Whether a text bears what one person alone has: an ID number, or the number of a mobile telephone.
fn bears_a_number(text: &str) -> bool {
    // Among other letters, as in an id of a case, digits are no number of a person's.
    let mut runs = text
        .split(|c: char| !c.is_numeric() && !c.is_ascii_alphabetic() && !matches!(c, 'Ｘ' | 'ｘ'));
    // The older form of ID numbers has no check character: any number may be one.
    let is_id = |run: &str| run.chars().count() == 18 && run.parse::<IdNumber>().is_ok();
    runs.any(|run| is_id(run) || is_mobile(run.as_bytes()))
}

fn is_mobile(digits: &[u8]) -> bool {
    let [b'1', b'3'..=b'9', rest @ ..] = digits else {
        return false;
    };
    rest.len() == 9 && rest.iter().all(u8::is_ascii_digit)
}

/// Metadata is ASCII; what is not is percent-encoded as in a URL.
pub(crate) fn encode_purpose(purpose: &str) -> String {
    let mut encoded = String::with_capacity(purpose.len());
    for byte in purpose.bytes() {
        if byte.is_ascii_graphic() && byte != b'%' || byte == b' ' {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

fn decode_percent(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digit = |byte: u8| char::from(byte).to_digit(16);
            let value = digit(rest.next()?)? * 16 + digit(rest.next()?)?;
            bytes.push(u8::try_from(value).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn any_purpose_is_read_as_it_was_written_or_not_at_all() {
        fuzzing::text(&["入户探访", "home visits, 20 %"], 1_000, |purpose| {
            let encoded = encode_purpose(purpose);
            let mut headers = HeaderMap::new();
            headers.insert(PURPOSE, encoded.parse().unwrap());
            let trimmed = purpose.trim();
            let plain = !trimmed.chars().any(char::is_control) && !bears_a_number(trimmed);
            let clean = !trimmed.is_empty() && plain;
            // White space around it counts in a header, which is not looked at beyond what any purpose takes.
            let fits = trimmed.len() <= LONGEST_PURPOSE && encoded.len() <= 3 * LONGEST_PURPOSE;
            let expected = (clean && fits).then_some(trimmed);
            assert_eq!(purpose_of(&headers).as_deref(), expected);
        });
    }

    #[test]
    fn what_a_call_states_prevails_also_where_it_cannot_be_read() {
        let token: Arc<str> = Arc::from("visits");
        let of = |stated: Option<&str>| {
            let mut headers = HeaderMap::new();
            if let Some(stated) = stated {
                headers.insert(PURPOSE, HeaderValue::from_str(stated).unwrap());
            }
            purpose_of_call(&headers, Some(&token))
        };
        for nothing in [None, Some(""), Some(" ")] {
            assert_eq!(of(nothing).as_deref(), Some("visits"));
        }
        assert_eq!(of(Some("audit")).as_deref(), Some("audit"));
        let long = "a".repeat(LONGEST_PURPOSE + 1);
        for unreadable in ["%E5%85", "%0A", &long] {
            assert_eq!(of(Some(unreadable)), None, "{unreadable}");
        }
    }

    #[test]
    fn what_a_token_bears_is_a_purpose_of_plain_text_or_none() {
        assert_eq!(plain_purpose(" 入户探访\n").as_deref(), Some("入户探访"));
        let long = "访".repeat(LONGEST_PURPOSE);
        for text in ["", "  ", "home\nvisits", &long] {
            assert_eq!(plain_purpose(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_purpose_bears_nobodys_number() {
        for text in [
            "核对13800138000来电",
            "ID 11010519491231002X",
            "身份证１１０１０５１９４９１２３１００２Ｘ",
        ] {
            assert_eq!(plain_purpose(text), None, "{text:?}");
        }
        for text in [
            "工单 20240301000017",
            "case 0f3a13800138000b",
            "case 1380013",
            "110105194912310021",
            "2024-10",
        ] {
            assert_eq!(plain_purpose(text).as_deref(), Some(text));
        }
    }

    #[test]
    fn any_header_is_a_purpose_or_none() {
        let samples: [&[u8]; 2] = [b"%E5%85%A5%E6%88%B7", b" home visits "];
        fuzzing::bytes(&samples, 1_000, |value| {
            if let Ok(value) = HeaderValue::from_bytes(value) {
                let headers =
                    HeaderMap::from_iter([(http::HeaderName::from_static(PURPOSE), value)]);
                if let Some(purpose) = purpose_of(&headers) {
                    assert!((1..=LONGEST_PURPOSE).contains(&purpose.len()));
                    assert!(!purpose.chars().any(char::is_control));
                }
            }
        });
    }
}
