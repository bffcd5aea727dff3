//! Tiering's own settings, beside those that all services have: none so far, and any key is refused.

use serde::{Deserialize, Serialize};
use service::Section;

/// Section `tiering`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TieringSettings {}

impl Section for TieringSettings {
    const NAME: &'static str = "tiering";
}
