//! The registry's own settings, beside those that all services have.
//!
//! | key | default | meaning |
//! | --- | --- | --- |
//! | `registry.remembered_files` | `50000` | elders' files kept in memory for deciding, some 2 KB each |
//! | `registry.remembered_claims` | `100000` | claims to ID numbers kept in memory, some 0.3 KB each |

use serde::{Deserialize, Serialize};
use service::Section;

/// Section `registry`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RegistrySettings {
    /// Elders' files kept in memory.
    pub remembered_files: u64,
    /// Claims kept in memory.
    pub remembered_claims: u64,
}

impl Default for RegistrySettings {
    fn default() -> Self {
        Self {
            remembered_files: 50_000,
            remembered_claims: 100_000,
        }
    }
}

impl Section for RegistrySettings {
    const NAME: &'static str = "registry";
}
