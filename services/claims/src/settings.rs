//! Claims' own settings, beside those that all services have: none so far, and any key is refused.
//!
//! Of the settings that all services have, a process of its own does not start without `peers.registry` and
//! `vault.index_key`.

use serde::{Deserialize, Serialize};
use service::Section;

/// Section `claims`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClaimsSettings {}

impl Section for ClaimsSettings {
    const NAME: &'static str = "claims";
}
