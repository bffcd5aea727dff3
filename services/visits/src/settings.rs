//! Visits' own settings, beside those that all services have: none so far, and any key is refused.

use serde::{Deserialize, Serialize};
use service::Section;

/// Section `visits`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VisitsSettings {}

impl Section for VisitsSettings {
    const NAME: &'static str = "visits";
}
