//! What calls are for, as their headers state it.

use std::sync::Arc;

use http::HeaderMap;

/// The metadata in which a call says what it is for; UTF-8, percent-encoded where it is not ASCII.
pub const PURPOSE: &str = "eldercare-purpose";

/// The longest purpose that is looked at, in bytes.
const LONGEST_PURPOSE: usize = 600;

/// The purpose that a call's headers state.
pub(crate) fn purpose_of(headers: &HeaderMap) -> Option<Arc<str>> {
    let value = headers
        .get(PURPOSE)?
        .to_str()
        .ok()
        .filter(|value| value.len() <= LONGEST_PURPOSE)?;
    let purpose = decode_percent(value)?;
    let purpose = purpose.trim();
    let clean = !purpose.is_empty() && !purpose.chars().any(char::is_control);
    clean.then(|| Arc::from(purpose))
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
            let clean = !trimmed.is_empty() && !trimmed.chars().any(char::is_control);
            let expected = (clean && encoded.len() <= LONGEST_PURPOSE).then_some(trimmed);
            assert_eq!(purpose_of(&headers).as_deref(), expected);
        });
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
