//! Alerts' own settings, beside those that all services have.
//!
//! | key | default | meaning |
//! | --- | --- | --- |
//! | `signals_kept_for` | `30d` | for how long the stream of signals keeps them, when the service makes it |
//! | `notices` | none configured | the ways to tell somebody (`notices::settings` has the table) |

use std::time::Duration;

use notices::ChannelSettings;
use serde::{Deserialize, Serialize};
use service::{Section, config::duration};

/// A day.
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// Section `alerts`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AlertsSettings {
    /// For how long signals are kept.
    #[serde(with = "duration")]
    pub signals_kept_for: Duration,
    /// The ways to tell somebody.
    pub notices: ChannelSettings,
}

impl Default for AlertsSettings {
    fn default() -> Self {
        Self {
            signals_kept_for: 30 * DAY,
            notices: ChannelSettings::default(),
        }
    }
}

impl Section for AlertsSettings {
    const NAME: &'static str = "alerts";
}
