//! What the channels go by: how webhooks are signed, where the gateway is, how long a receiver may take.
//!
//! The keys stand in a section of the service that tells people. Of alerts that is `alerts.notices`: the first of them is
//! `alerts.notices.webhook.signing_key`, in the environment `ELDERCARE_ALERTS__NOTICES__WEBHOOK__SIGNING_KEY`. None is
//! required, but `gateway.url` and `gateway.token` go together.
//!
//! | key | default | meaning |
//! | --- | --- | --- |
//! | `webhook.signing_key` | none | signs webhooks: 64 or more hex digits, or text of 32 bytes or more; without it there is no WEBHOOK |
//! | `webhook.key_id` | `key_1` | the name by which receivers know that key |
//! | `webhook.timeout` | `10s` | for one attempt, the answer included |
//! | `webhook.connect_timeout` | `3s` | for the connection, the look-up of the name and TLS included |
//! | `webhook.allow_plain_http` | `false` | `http://` everywhere; otherwise only to `localhost` and loopback addresses |
//! | `gateway.url` | none | where SMS, VOICE and PUSH are handed over; without a gateway there are none |
//! | `gateway.token` | none | the bearer token that it is shown |
//! | `gateway.timeout` | `10s` | for one attempt, the answer included |
//! | `gateway.connect_timeout` | `3s` | for the connection |
//! | `gateway.allow_plain_http` | `false` | as with webhooks |
//! | `circuit.failures` | `5` | so many failures in a row, and a receiver is left alone |
//! | `circuit.open` | `30s` | for so long; then one attempt at a time is let through |
//! | `ca` | none | PEM file with authorities that receivers' certificates may also come from, besides those of the machine |
//! | `log` | `false` | for local runs: LOG is served by a log line, and so is each channel that is not configured |
//! | `file` | none | for local runs: LOG is served by a line of JSON in this file, which its owner alone can read |

use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};
use service::{
    config::duration,
    settings::{Address, Secret},
};

/// The settings of all channels; the table above has every key.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChannelSettings {
    /// Webhooks.
    pub webhook: Webhook,
    /// The gateway of SMS, VOICE and PUSH.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway: Option<Gateway>,
    /// When a receiver that fails is left alone.
    pub circuit: Circuit,
    /// PEM file with further authorities.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// Whether log lines take the place of channels that are not configured.
    pub log: bool,
    /// The file that takes what goes to LOG.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
}

/// Section `webhook` (of alerts: `alerts.notices.webhook`).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Webhook {
    /// Signs webhooks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signing_key: Option<Secret>,
    /// Its name.
    pub key_id: String,
    /// For one attempt.
    #[serde(with = "duration")]
    pub timeout: Duration,
    /// For the connection.
    #[serde(with = "duration")]
    pub connect_timeout: Duration,
    /// Whether `http://` will do everywhere.
    pub allow_plain_http: bool,
}

impl Default for Webhook {
    fn default() -> Self {
        Self {
            signing_key: None,
            key_id: "key_1".to_owned(),
            timeout: timeout(),
            connect_timeout: connect_timeout(),
            allow_plain_http: false,
        }
    }
}

/// Section `gateway` (of alerts: `alerts.notices.gateway`).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gateway {
    /// Where it is.
    pub url: Address,
    /// The bearer token that it is shown.
    pub token: Secret,
    /// For one attempt.
    #[serde(default = "timeout", with = "duration")]
    pub timeout: Duration,
    /// For the connection.
    #[serde(default = "connect_timeout", with = "duration")]
    pub connect_timeout: Duration,
    /// Whether `http://` will do everywhere.
    #[serde(default)]
    pub allow_plain_http: bool,
}

impl Gateway {
    /// A gateway with the defaults.
    #[must_use]
    pub fn at(url: impl Into<String>, token: impl Into<String>) -> Self {
        Self {
            url: Address::new(url),
            token: Secret::new(token),
            timeout: timeout(),
            connect_timeout: connect_timeout(),
            allow_plain_http: false,
        }
    }
}

/// Section `circuit` (of alerts: `alerts.notices.circuit`).
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Circuit {
    /// Failures in a row until a receiver is left alone.
    pub failures: u32,
    /// For how long.
    #[serde(with = "duration")]
    pub open: Duration,
}

impl Default for Circuit {
    fn default() -> Self {
        Self {
            failures: 5,
            open: Duration::from_secs(30),
        }
    }
}

const fn timeout() -> Duration {
    Duration::from_secs(10)
}

const fn connect_timeout() -> Duration {
    Duration::from_secs(3)
}

/// Settings that channels can't be made from. Shows no value.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The signing key is too short.
    #[error("webhook.signing_key: 64 hex digits or 32 bytes of text at least")]
    SigningKey,
    /// The key's name can't stand in a header.
    #[error("webhook.key_id: 1 to 64 printable ASCII characters")]
    KeyId,
    /// The gateway's address can't be used.
    #[error("gateway.url: an https:// URL without user and password, or http:// to this machine")]
    GatewayUrl,
    /// The gateway's token can't stand in a header.
    #[error("gateway.token: printable ASCII characters")]
    GatewayToken,
    /// No time is left for anything.
    #[error("{0}: more than 0s")]
    NoTime(&'static str),
    /// A circuit that is always open.
    #[error("circuit.failures: 1 at least")]
    CircuitFailures,
    /// The authorities can't be read.
    #[error("ca: {0}")]
    Authorities(String),
    /// The file can't be written.
    #[error("file: {0}")]
    File(String),
    /// The HTTP client can't be made.
    #[error("the HTTP client can't be made: {0}")]
    Client(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_has_a_default_but_what_is_secret() {
        let settings: ChannelSettings = toml::from_str("").unwrap();
        assert!(settings.gateway.is_none() && settings.webhook.signing_key.is_none());
        assert!(!settings.log);
        assert_eq!(
            toml::to_string(&settings).unwrap(),
            toml::to_string(&ChannelSettings::default()).unwrap()
        );
    }

    #[test]
    fn secrets_are_read_and_not_shown() {
        let settings: ChannelSettings = toml::from_str(
            "log = true\n\
             [webhook]\n\
             signing_key = \"hush-hush-hush-hush-hush-hush-hush\"\n\
             timeout = \"2s\"\n\
             [gateway]\n\
             url = \"https://gateway.example/notices\"\n\
             token = \"hush\"\n",
        )
        .unwrap();
        assert_eq!(settings.webhook.timeout, Duration::from_secs(2));
        let gateway = settings.gateway.as_ref().unwrap();
        assert_eq!(gateway.token.expose(), "hush");
        assert_eq!(gateway.timeout, Duration::from_secs(10));
        let shown = format!("{settings:?} {}", toml::to_string(&settings).unwrap());
        assert!(!shown.contains("hush"), "{shown}");
    }

    #[test]
    fn unknown_keys_are_refused() {
        for text in [
            "sms = 1",
            "[webhook]\nkey = 1",
            "[gateway]\nurl = \"https://x\"",
        ] {
            assert!(toml::from_str::<ChannelSettings>(text).is_err(), "{text}");
        }
    }
}
