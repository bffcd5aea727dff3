//! The registry's own settings, beside those that all services have.
//!
//! | key | default | meaning |
//! | --- | --- | --- |
//! | `registry.remembered_files` | `50000` | elders' files kept in memory for deciding, some 2 KB each |
//! | `registry.remembered_claims` | `100000` | claims to ID numbers kept in memory, some 0.3 KB each |
//! | `registry.remembered_keys` | `50000` | keys of persons kept in memory, some 2 KB each |
//! | `registry.create_streams` | `true` | make the streams `REGISTRY` and `VAULT` where they are missing; in a cluster an operator makes them |

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
    /// Keys kept in memory.
    pub remembered_keys: u64,
    /// Whether missing streams are made.
    pub create_streams: bool,
}

impl Default for RegistrySettings {
    fn default() -> Self {
        Self {
            remembered_files: 50_000,
            remembered_claims: 100_000,
            remembered_keys: 50_000,
            create_streams: true,
        }
    }
}

impl Section for RegistrySettings {
    const NAME: &'static str = "registry";
}
