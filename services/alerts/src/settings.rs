//! Alerts' own settings, beside those that all services have.
//!
//! | key | default | meaning |
//! | --- | --- | --- |
//! | `signals_kept_for` | `30d` | for how long the stream of signals keeps them, when the service makes it |
//! | `devices.issuer_seed` | none | seed of the key by which the NATS server knows our answers (`auth_callout.issuer` is its public half); without the section devices can't connect themselves, and signals come by gRPC alone |
//! | `devices.sealing_seed` | none | seed of the key that the server seals its questions for (`auth_callout.xkey`) |
//! | `devices.system_user`, `devices.system_password` | | a user of the server's system account, who may close connections |
//! | `devices.admitted_for` | `24h` | after this a device shows its password again |
//! | `notices` | none configured | the ways to tell somebody (`notices::settings` has the table) |

use std::time::Duration;

use notices::ChannelSettings;
use serde::{Deserialize, Serialize};
use service::{Secret, Section, config::duration};

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
    pub devices: Option<DeviceAccess>,
    /// The ways to tell somebody.
    pub notices: ChannelSettings,
}

/// Section `devices`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceAccess {
    /// Signs our answers.
    pub issuer_seed: Secret,
    /// Opens sealed questions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealing_seed: Option<Secret>,
    /// A user of the system account.
    pub system_user: String,
    /// Its password.
    pub system_password: Secret,
    /// After this a device shows its password again.
    #[serde(default = "a_day", with = "duration")]
    pub admitted_for: Duration,
}

const fn a_day() -> Duration {
    DAY
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
