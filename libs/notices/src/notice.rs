//! What is to be told to one recipient, by which channel and where.

use std::fmt;

use civic::NoticeChannel;
use serde::Serialize;
use uuid::Uuid;

/// What is to be told to one recipient by one channel. `Debug` shows nothing that is personal.
#[derive(Clone)]
pub struct Notice {
    /// The same for each attempt; receivers know by it what they have had before.
    pub key: Uuid,
    /// How it is told.
    pub channel: NoticeChannel,
    /// Where.
    pub address: Address,
    /// The number of this attempt, from 1 on.
    pub attempt: u32,
    /// What is read aloud or shown. Personal.
    pub text: Text,
    /// The same for machines, a JSON object. Personal.
    ///
    /// Of it the log channel shows `alert_id`, `kind`, `severity`, `level` and `division`, where they are what they are
    /// called; all else is for the receiver alone.
    pub data: serde_json::Value,
    /// The W3C trace that this belongs to; webhooks and the gateway get it.
    pub traceparent: Option<String>,
}

impl fmt::Debug for Notice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Notice")
            .field("key", &self.key)
            .field("channel", &self.channel)
            .field("attempt", &self.attempt)
            .finish_non_exhaustive()
    }
}

/// Where somebody is told: a telephone number, the id of an application's user, or a URL. Personal: `Debug` shows nothing of
/// it, and there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Address(String);

impl Address {
    /// As it was registered. Whether it will do is found when it is used.
    pub fn new(address: impl Into<String>) -> Self {
        Self(address.into())
    }

    /// The address itself, for what sends and for nothing that prints. Personal.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Address(**)")
    }
}

/// What is read aloud or shown, in both languages. Personal: `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Text {
    /// 中文.
    pub zh: String,
    /// English.
    pub en: String,
}

impl fmt::Debug for Text {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Text(**)")
    }
}

/// Somebody was told, as far as the channel can know.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Delivered {
    /// The receiver's own id of it, if its answer gives one: at most 128 printable ASCII characters.
    pub reference: Option<String>,
}

/// The most characters of a reference.
const REFERENCE: usize = 128;

impl Delivered {
    /// By the receiver's answer, `{"reference": "…"}`. What is no reference is left out, and so is one that repeats the
    /// address: references stand on record.
    pub(crate) fn by(answer: &serde_json::Value, address: &str) -> Self {
        let reference = answer
            .get("reference")
            .and_then(serde_json::Value::as_str)
            .filter(|reference| (1..=REFERENCE).contains(&reference.len()))
            .filter(|reference| reference.bytes().all(|byte| byte.is_ascii_graphic()))
            .filter(|reference| !reference.contains(address))
            .map(str::to_owned);
        Self { reference }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[track_caller]
    fn check(reference: impl Into<Value>, expected: Option<&str>) {
        let answer = json!({ "reference": reference.into() });
        let delivered = Delivered::by(&answer, "13811178935");
        assert_eq!(delivered.reference.as_deref(), expected);
    }

    #[test]
    fn a_reference_is_short_and_printable_and_repeats_no_address() {
        check("sms-00017", Some("sms-00017"));
        check("x".repeat(128), Some(&"x".repeat(128)));
        check("x".repeat(129), None);
        check("", None);
        check("a\nb", None);
        check("张三", None);
        check("13811178935-1", None);
        check(17, None);
        assert_eq!(Delivered::by(&json!([]), "12349"), Delivered::default());
    }

    #[test]
    fn debug_shows_nothing_personal() {
        let notice = Notice {
            key: Uuid::from_u128(7),
            channel: NoticeChannel::Sms,
            address: Address::new("13811178935"),
            attempt: 2,
            text: Text {
                zh: "张三家".to_owned(),
                en: "At Zhang San's".to_owned(),
            },
            data: json!({ "name": "张三" }),
            traceparent: None,
        };
        assert_eq!(
            format!("{notice:?}"),
            "Notice { key: 00000000-0000-0000-0000-000000000007, channel: Sms, attempt: 2, .. }"
        );
        assert_eq!(
            format!("{:?} {:?}", notice.address, notice.text),
            "Address(**) Text(**)"
        );
    }
}
