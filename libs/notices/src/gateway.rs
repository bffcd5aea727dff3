//! Hands SMS, calls and pushes to a gateway, which every carrier's or city's platform can be put behind.
//!
//! ```text
//! POST <gateway.url>
//! authorization: Bearer <gateway.token>
//! content-type: application/json
//! idempotency-key: 01900000-0000-7000-8000-000000000001
//! traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01      (if there is a trace)
//!
//! {"idempotency_key":"01900000-0000-7000-8000-000000000001","channel":"SMS","to":"13811178935","text":"…",
//!  "language":"zh-CN","attempt":1}
//! ```
//!
//! | field | meaning |
//! | --- | --- |
//! | `idempotency_key` | the same in each attempt: what it was taken for once is not sent again, and answered as then |
//! | `channel` | `SMS`, `VOICE` (the text is read aloud) or `PUSH` |
//! | `to` | a telephone number of 5 to 15 digits, with a `+` before a country's; for `PUSH` the id of the application's user |
//! | `text` | what is shown or read |
//! | `language` | of the text |
//! | `attempt` | the number of the attempt, from 1 on |
//!
//! The gateway answers 2xx with a JSON object of at most 16 KiB when it has taken the notice;
//! `{"reference": "…"}` in it gives its own id, at most 128 printable ASCII characters. A 2xx without a JSON object is
//! `BROKEN_ANSWER`, since pages that proxies put in between would read as told; another attempt follows. All other answers
//! mean what they mean of a webhook ([`crate::webhook`]).
//!
//! The gateway is one destination: where it fails again and again, it is left alone with all channels.

use async_trait::async_trait;
use civic::{NoticeChannel, Phone};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use serde::Serialize;
use uuid::Uuid;

use crate::{
    Channel, Delivered, Failure, Notice, Reason,
    circuit::Circuits,
    destination::Destination,
    outgoing::{Outgoing, trace},
    webhook::IDEMPOTENCY_KEY,
};

/// The digits of a number: those of services (12349) have 5, and with a country's there are 15 at most (ITU-T E.164). The
/// emergency services have 3: they are called by people.
const DIGITS: std::ops::RangeInclusive<usize> = 5..=15;
/// The most characters of the id of an application's user.
const USER_ID: usize = 256;

/// What the gateway is told.
#[derive(Serialize)]
struct Body<'a> {
    idempotency_key: Uuid,
    channel: &'static str,
    to: &'a str,
    text: &'a str,
    language: &'static str,
    attempt: u32,
}

pub(crate) struct Gateway {
    pub(crate) outgoing: Outgoing,
    pub(crate) circuits: Circuits,
    pub(crate) destination: Destination,
    /// The whole of the header, marked as sensitive.
    pub(crate) authorization: HeaderValue,
}

#[async_trait]
impl Channel for Gateway {
    async fn send(&self, notice: &Notice) -> Result<Delivered, Failure> {
        let address = notice.address.expose();
        let to = match notice.channel {
            NoticeChannel::Sms | NoticeChannel::Voice => number(address),
            NoticeChannel::Push => user_id(address),
            NoticeChannel::Webhook | NoticeChannel::Log | NoticeChannel::Record => {
                return Err(Reason::NotConfigured.into());
            }
        }
        .ok_or(Reason::AddressInvalid)?;
        let body = serde_json::to_vec(&Body {
            idempotency_key: notice.key,
            channel: notice.channel.name(),
            to: &to,
            text: &notice.text.zh,
            language: "zh-CN",
            attempt: notice.attempt,
        })
        .expect("JSON of text");
        let key = HeaderValue::from_str(&notice.key.to_string()).expect("digits and letters");
        let mut headers = HeaderMap::from_iter([
            (AUTHORIZATION, self.authorization.clone()),
            (IDEMPOTENCY_KEY, key),
        ]);
        trace(notice, &mut headers);
        let posting = async {
            let answer = self
                .outgoing
                .post(&self.destination, headers, body)
                .await??;
            if answer.is_object() {
                Ok(answer)
            } else {
                Err(Reason::BrokenAnswer.into())
            }
        };
        let attempt = self.circuits.attempt(&self.destination.origin, posting);
        Ok(Delivered::by(&attempt.await?, &to))
    }
}

/// A number as it is dialled, or none.
fn number(address: &str) -> Option<String> {
    let written = match address.parse::<Phone>() {
        Ok(phone) => phone.as_str().to_owned(),
        Err(_) => address.trim().to_owned(),
    };
    let dialled: String = written
        .chars()
        .filter(|c| !matches!(c, '-' | ' '))
        .collect();
    let digits = dialled.strip_prefix('+').unwrap_or(&dialled);
    let fits = DIGITS.contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    fits.then_some(dialled)
}

/// The id of an application's user, or none.
fn user_id(address: &str) -> Option<String> {
    let fits = (1..=USER_ID).contains(&address.len())
        && address.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then(|| address.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(address: &str, expected: Option<&str>) {
        assert_eq!(number(address).as_deref(), expected, "{address}");
    }

    #[test]
    fn numbers_are_dialled_as_digits() {
        check("13811178935", Some("13811178935"));
        check(" １３８ １１１７ ８９３５", Some("13811178935"));
        check("0595-71335677", Some("059571335677"));
        check("+86 138 1117 8935", Some("+8613811178935"));
        check("400-820-8820", Some("4008208820"));
        check("12349", Some("12349"));
    }

    #[test]
    fn letters_and_emergency_services_are_no_numbers() {
        for address in [
            "1381117893a",
            "119",
            "110",
            "",
            "+",
            "无",
            "1234567890123456",
            "+-",
            "13811178935;1",
        ] {
            check(address, None);
        }
    }

    #[test]
    fn an_applications_users_have_ids_without_spaces() {
        assert!(user_id("user-17@app").is_some());
        assert!(user_id("user 17").is_none());
        assert!(user_id("张三").is_none());
        assert!(user_id("").is_none());
        assert!(user_id(&"x".repeat(257)).is_none());
    }
}
