//! Sharing's own settings, beside those that all services have.
//!
//! | key | default | meaning |
//! | --- | --- | --- |
//! | `sharing.audit.signing_key` | none | the Ed25519 key that signs the chain over our log: Base64 of a seed of 32 bytes, or PKCS#8 PEM |
//! | `sharing.audit.key_id` | `audit_1` | its name, as signed heads bear it: a new key needs a new one |
//! | `sharing.audit.former_keys` | none | public keys of former ones by name, PEM: what they signed is told with them |
//!
//! Outside local mode sharing does not start without `sharing.audit.signing_key`. Of the settings that all services have, a
//! process of its own does not start without `peers.registry` and `vault.index_key`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use service::{Secret, Section};

/// Section `sharing`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SharingSettings {
    /// How the chain over our log is signed.
    pub audit: AuditSettings,
}

/// Section `sharing.audit`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuditSettings {
    /// The key that signs; none: in local mode a well-known one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signing_key: Option<Secret>,
    /// Its name.
    pub key_id: String,
    /// Public keys of former ones by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub former_keys: BTreeMap<String, String>,
}

impl Default for AuditSettings {
    fn default() -> Self {
        Self {
            signing_key: None,
            key_id: "audit_1".to_owned(),
            former_keys: BTreeMap::new(),
        }
    }
}

impl Section for SharingSettings {
    const NAME: &'static str = "sharing";
}
