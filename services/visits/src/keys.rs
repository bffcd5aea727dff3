//! The keys of elders, which the registry owns, and of visitors, which it makes for us.

use std::fmt;

use proto::eldercare::registry::v1::CreateKeysRequest;
use proto::eldercare::registry::v1::vault_service_client::VaultServiceClient;
use service::peer::{self, PeerChannel};
use service::{Settings, elder_keys, errors};
use std::sync::Arc;
use tonic::Status;
use uuid::Uuid;
use vault::{DataKey, KeyError, Unavailable, Vault};

/// Keys, and the means to have one made.
#[derive(Clone)]
pub struct Keys {
    /// The keys that there are.
    pub vault: Vault,
    /// The registry's vault service; none where the vault is the owner's own, in one process with it.
    registry: Option<VaultServiceClient<PeerChannel>>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Keys")
    }
}

impl Keys {
    /// Keys that the registry hands out.
    ///
    /// # Errors
    /// If `peers.registry` is missing or no address.
    pub fn of_registry(settings: &Settings) -> anyhow::Result<Self> {
        Ok(Self {
            vault: elder_keys::of_registry(settings)?,
            registry: Some(VaultServiceClient::new(peer::channel(
                settings, "registry",
            )?)),
        })
    }

    /// The owner's own keys, in one process with it.
    #[must_use]
    pub fn own(vault: Vault) -> Self {
        Self {
            vault,
            registry: None,
        }
    }

    /// The key of a new visitor; where there is one, that is the answer.
    pub(crate) async fn create(&self, visitor: Uuid) -> Result<Arc<DataKey>, Status> {
        match &self.registry {
            None => self.vault.create(visitor).await,
            Some(registry) => {
                let request = CreateKeysRequest {
                    person_ids: vec![visitor.to_string()],
                };
                let made = registry.clone().create_keys(request).await;
                made.map_err(|_status| errors::unavailable("the vault"))?;
                self.vault.key(visitor).await
            }
        }
        .map_err(|error| no_key(&error))
    }

    /// The key of an elder or a visitor; none once erased.
    pub(crate) async fn key(&self, person: Uuid) -> Result<Option<Arc<DataKey>>, Status> {
        match self.vault.key(person).await {
            Ok(key) => Ok(Some(key)),
            Err(KeyError::Erased) => Ok(None),
            Err(error @ KeyError::Unavailable(_)) => Err(no_key(&error)),
        }
    }
}

fn no_key(error: &KeyError) -> Status {
    tracing::warn!(%error, "a key can't be had");
    errors::unavailable("the vault")
}

/// The answer where keys can't be had.
pub(crate) fn away(error: &Unavailable) -> Status {
    tracing::warn!(%error, "keys can't be had");
    errors::unavailable("the vault")
}
