//! Tells another system by an HTTP POST that it can check.
//!
//! ```text
//! POST <the recipient's address>
//! content-type: application/json
//! idempotency-key: 01900000-0000-7000-8000-000000000001
//! eldercare-timestamp: 1728435600
//! eldercare-key-id: key_1
//! eldercare-signature: aafd8235691f4d861c5bd2457fcebe13696a592970efe756a544764a061ae31b
//! traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01      (if there is a trace)
//!
//! {"idempotency_key":"01900000-…","attempt":1,"text":{"zh":"…","en":"…"},"data":{…}}
//! ```
//!
//! How the signature is checked: [`crate::signature`]. The idempotency key is the same in each attempt; timestamp and
//! signature are new. The address is `https://`, or `http://` on this machine alone.
//!
//! | answer | meaning |
//! | --- | --- |
//! | 2xx | told; `{"reference": "…"}` may give the receiver's own id, at most 128 printable ASCII characters |
//! | 408, 425, 429 | not now (`OVERLOADED`): another attempt follows |
//! | 5xx, no answer in time, none at all | another attempt follows |
//! | 401, 403 | `UNAUTHORIZED`, no further attempt |
//! | any other, redirects too | `REFUSED`, no further attempt |
//!
//! Of an answer 16 KiB are read; a longer one, or one that is no JSON, is told all the same, without a reference.

use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::{
    Channel, Delivered, Failure, Notice, Text,
    circuit::Circuits,
    destination::Destination,
    outgoing::{Outgoing, trace},
    signature::SigningKey,
};

/// The same for each attempt.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// When the request was signed, in seconds since 1970.
pub const TIMESTAMP: HeaderName = HeaderName::from_static("eldercare-timestamp");
/// Under which key it was signed.
pub const KEY_ID: HeaderName = HeaderName::from_static("eldercare-key-id");
/// See [`crate::signature`].
pub const SIGNATURE: HeaderName = HeaderName::from_static("eldercare-signature");

/// What a webhook says.
#[derive(Serialize)]
struct Body<'a> {
    idempotency_key: Uuid,
    attempt: u32,
    text: &'a Text,
    data: &'a Value,
}

pub(crate) struct Webhook {
    pub(crate) outgoing: Outgoing,
    pub(crate) circuits: Circuits,
    pub(crate) key: SigningKey,
    pub(crate) key_id: HeaderValue,
    pub(crate) plain_http: bool,
}

#[async_trait]
impl Channel for Webhook {
    async fn send(&self, notice: &Notice) -> Result<Delivered, Failure> {
        let address = notice.address.expose();
        let destination = Destination::parse(address, self.plain_http)?;
        let body = serde_json::to_vec(&Body {
            idempotency_key: notice.key,
            attempt: notice.attempt,
            text: &notice.text,
            data: &notice.data,
        })
        .expect("JSON of text and JSON");
        let headers = self.headers(notice, &body);
        let posting = self.outgoing.post(&destination, headers, body);
        let answer = self.circuits.attempt(&destination.origin, posting).await?;
        Ok(Delivered::by(&answer.unwrap_or_default(), address))
    }
}

impl Webhook {
    fn headers(&self, notice: &Notice, body: &[u8]) -> HeaderMap {
        let value = |text: &str| HeaderValue::from_str(text).expect("digits and letters");
        let timestamp = now().to_string();
        let mut headers = HeaderMap::from_iter([
            (IDEMPOTENCY_KEY, value(&notice.key.to_string())),
            (TIMESTAMP, value(&timestamp)),
            (KEY_ID, self.key_id.clone()),
            (SIGNATURE, value(&self.key.sign(&timestamp, body))),
        ]);
        trace(notice, &mut headers);
        headers
    }
}

/// By the machine's clock and not by that of the domain: receivers compare it with their own.
fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
