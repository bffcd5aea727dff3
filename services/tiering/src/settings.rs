//! Tiering's own settings, beside those that all services have.
//!
//! | key | default | meaning |
//! | --- | --- | --- |
//! | `tiering.create_streams` | `true` | make the stream `TIERING` where it is missing; in a cluster an operator makes it |

use serde::{Deserialize, Serialize};
use service::Section;

/// Section `tiering`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TieringSettings {
    /// Whether a missing stream is made.
    pub create_streams: bool,
}

impl Default for TieringSettings {
    fn default() -> Self {
        Self {
            create_streams: true,
        }
    }
}

impl Section for TieringSettings {
    const NAME: &'static str = "tiering";
}
