//! How a webhook is signed, and how its receiver checks that.
//!
//! `eldercare-signature` is HMAC-SM3 (GB/T 32905, RFC 2104) under the key that `eldercare-key-id` names, over the
//! value of `eldercare-timestamp`, a full stop, and the body as it came, byte by byte; written as 64 lower-case hex digits.
//! The timestamp is in seconds since 1970. A receiver
//!
//! 1. takes the key of that id, and refuses an id that it does not know;
//! 2. computes the HMAC of timestamp, full stop and body, and compares it in constant time;
//! 3. refuses a timestamp that is more than five minutes from its own clock;
//! 4. answers a notice whose `idempotency-key` it has had before as it did then, and acts on it once.
//!
//! A worked example:
//!
//! ```
//! use notices::signature::SigningKey;
//!
//! let key = SigningKey::new("a worked example: thirty-two bytes or more").expect("long enough");
//! let body = r#"{"idempotency_key":"01900000-0000-7000-8000-000000000001","attempt":1,"text":{"zh":"测试","en":"A trial"},"data":{"kind":"SOS"}}"#;
//! let signature = "aafd8235691f4d861c5bd2457fcebe13696a592970efe756a544764a061ae31b";
//! assert_eq!(key.sign("1728435600", body.as_bytes()), signature);
//! assert!(key.is_genuine("1728435600", body.as_bytes(), signature));
//! assert!(!key.is_genuine("1728435601", body.as_bytes(), signature));
//! ```
//!
//! The same with OpenSSL: `printf '%s.%s' "$timestamp" "$body" | openssl dgst -sm3 -hmac "$key"`.

use std::fmt::{self, Write as _};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sm3::Sm3;

/// The fewest bytes of a key.
const SHORTEST: usize = 32;

/// The key under which webhooks are signed. `Debug` shows nothing of it.
#[derive(Clone)]
pub struct SigningKey(Hmac<Sm3>);

impl SigningKey {
    /// By 64 or more hex digits, which say its bytes, or by any other text of 32 bytes or more, which is the key as it stands.
    /// None if it is shorter.
    #[must_use]
    pub fn new(key: &str) -> Option<Self> {
        let bytes = from_hex(key).unwrap_or_else(|| key.as_bytes().to_vec());
        (bytes.len() >= SHORTEST)
            .then(|| Self(Hmac::new_from_slice(&bytes).expect("an HMAC takes keys of any length")))
    }

    /// The signature of a body that is sent at `timestamp`.
    #[must_use]
    pub fn sign(&self, timestamp: &str, body: &[u8]) -> String {
        let mac = self.over(timestamp, body).finalize().into_bytes();
        mac.iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }

    /// Whether a signature belongs to timestamp and body; compared in constant time.
    #[must_use]
    pub fn is_genuine(&self, timestamp: &str, body: &[u8], signature: &str) -> bool {
        from_hex(signature)
            .is_some_and(|signature| self.over(timestamp, body).verify_slice(&signature).is_ok())
    }

    fn over(&self, timestamp: &str, body: &[u8]) -> Hmac<Sm3> {
        self.0
            .clone()
            .chain_update(timestamp)
            .chain_update(b".")
            .chain_update(body)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SigningKey(**)")
    }
}

/// The bytes that 64 or more hex digits say.
fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if digits.len() < 2 * SHORTEST || !digits.len().is_multiple_of(2) {
        return None;
    }
    digits
        .chunks_exact(2)
        .map(|pair| {
            let high = char::from(pair[0]).to_digit(16)?;
            let low = char::from(pair[1]).to_digit(16)?;
            u8::try_from(16 * high + low).ok()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "0123456789abcdefghijklmnopqrstuv";

    #[test]
    fn a_key_is_long_enough_in_hex_or_as_text() {
        assert!(SigningKey::new(TEXT).is_some());
        assert!(SigningKey::new(&TEXT[..31]).is_none());
        let hex: String = TEXT.bytes().map(|byte| format!("{byte:02X}")).collect();
        let (text, hex) = (SigningKey::new(TEXT), SigningKey::new(&hex));
        let (text, hex) = (text.unwrap(), hex.unwrap());
        assert_eq!(text.sign("1", b"{}"), hex.sign("1", b"{}"));
        assert_eq!(format!("{text:?}"), "SigningKey(**)");
    }

    #[test]
    fn a_signature_fits_one_body_one_time_and_one_key() {
        let key = SigningKey::new(TEXT).unwrap();
        let signature = key.sign("1728435600", b"{}");
        assert_eq!(signature.len(), 64);
        assert!(key.is_genuine("1728435600", b"{}", &signature));
        assert!(!key.is_genuine("1728435600", b"{ }", &signature));
        assert!(!key.is_genuine("1728435601", b"{}", &signature));
        assert!(!key.is_genuine("1728435600", b"{}", &signature[..62]));
        assert!(!key.is_genuine("1728435600", b"{}", ""));
        let other = SigningKey::new("another key of thirty-two bytes!").unwrap();
        assert!(!other.is_genuine("1728435600", b"{}", &signature));
    }
}
