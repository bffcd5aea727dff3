//! Alerts' own settings, beside those that all services have.
//!
//! | key | default | meaning |
//! | --- | --- | --- |
//! | `alerts.signals_kept_for` | `30d` | for how long the stream of signals keeps them, where the service itself makes it; `eldercare streams apply` and the launcher make it as `deploy/streams.yaml` says |
//! | `alerts.devices.issuer_seed` | none | seed of the key by which the NATS server knows our answers (`auth_callout.issuer` is its public half); without the section `alerts.devices` devices can't connect themselves, and signals come by gRPC alone |
//! | `alerts.devices.sealing_seed` | none | seed of the key that the server seals its questions for (`auth_callout.xkey`) |
//! | `alerts.devices.system_user`, `alerts.devices.system_password` | none | a user of the server's system account, who may close connections |
//! | `alerts.devices.admitted_for` | `24h` | after this a device shows its password again |
//! | `alerts.notices.…` | none configured | the ways to tell somebody (`notices::settings` has the table); without any nobody is told |
//!
//! None of these is required; a section `alerts.devices` holds issuer's seed, user and password at least. Of the settings that
//! all services have, a process of its own does not start without `peers.registry` and `vault.index_key`, and tells nobody
//! without `auth.service_token` or `auth.service_token_file`: for that token the registry hands out the keys by which names,
//! homes and numbers are opened. Where its subject is `alerts`, the registry keeps places for these questions.

use std::time::Duration;

use notices::ChannelSettings;
use serde::{Deserialize, Serialize};
use service::{Section, config::duration, settings::NatsDoors};

/// A day.
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// Section `alerts`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AlertsSettings {
    /// For how long signals are kept.
    #[serde(with = "duration")]
    pub signals_kept_for: Duration,
    /// How devices are let in to the NATS server; none: they are not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub devices: Option<NatsDoors>,
    /// The ways to tell somebody.
    pub notices: ChannelSettings,
}

impl Default for AlertsSettings {
    fn default() -> Self {
        Self {
            signals_kept_for: 30 * DAY,
            devices: None,
            notices: ChannelSettings::default(),
        }
    }
}

impl Section for AlertsSettings {
    const NAME: &'static str = "alerts";
}
