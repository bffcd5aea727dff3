//! Sharing's own settings, beside those that all services have.
//!
//! | key | default | meaning |
//! | --- | --- | --- |
//! | `sharing.audit.signing_key` | none | the Ed25519 key that signs the chain over our log: Base64 of a seed of 32 bytes, or PKCS#8 PEM |
//! | `sharing.audit.key_id` | `audit_1` | its name, as signed heads bear it: a new key needs a new one |
//! | `sharing.audit.former_keys` | none | public keys of former ones by name, PEM: what they signed is told with them |
//! | `sharing.feeds.access.issuer_seed` | none | seed of the key by which the NATS server knows our answers (`auth_callout.issuer` is its public half, the same as for devices); without the section `sharing.feeds.access` departments can't connect to the server, and have their feeds by gRPC alone |
//! | `sharing.feeds.access.sealing_seed` | none | seed of the key that the server seals its questions for (`auth_callout.xkey`) |
//! | `sharing.feeds.access.system_user`, `sharing.feeds.access.system_password` | none | a user of the server's system account, who may close connections |
//! | `sharing.feeds.access.admitted_for` | `24h` | after this a department's client shows its password again |
//! | `sharing.notices` | nobody | who is told of dossiers opened beyond all agreements: see [`NoticeSettings`] |
//!
//! A section `sharing.feeds.access` holds issuer's seed, user and password at least. Outside local mode sharing does not start
//! without `sharing.audit.signing_key`. Of the settings that all services have, a process of its own does not start without
//! `peers.registry` and `vault.index_key`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use service::settings::NatsDoors;
use service::{Secret, Section};

use crate::notice_settings::NoticeSettings;

/// Section `sharing`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SharingSettings {
    /// How the chain over our log is signed.
    pub audit: AuditSettings,
    /// How departments get their feeds.
    pub feeds: FeedSettings,
    /// Who is told of dossiers that were opened beyond all agreements.
    pub notices: NoticeSettings,
}

/// Section `sharing.feeds`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FeedSettings {
    /// How departments are let in to the NATS server; none: they are not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access: Option<NatsDoors>,
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
