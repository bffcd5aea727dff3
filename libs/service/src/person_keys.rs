//! The keys of elders, which the registry owns, and of officers such as visitors, which it makes for us.

use std::{fmt, sync::Arc};

use proto::eldercare::registry::v1::{CreateKeysRequest, vault_service_client::VaultServiceClient};
use tonic::Status;
use uuid::Uuid;
use vault::{DataKey, KeyError, Unavailable, Vault};

use crate::{
    elder_keys, errors,
    peer::{self, PeerChannel},
    settings::Settings,
};

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

    /// The key of a new officer; where there is one, that is the answer.
    ///
    /// # Errors
    /// UNAVAILABLE where the registry or its vault is out of reach.
    pub async fn create(&self, officer: Uuid) -> Result<Arc<DataKey>, Status> {
        match &self.registry {
            None => self.vault.create(officer).await,
            Some(registry) => {
                let request = CreateKeysRequest {
                    person_ids: vec![officer.to_string()],
                };
                let made = registry.clone().create_keys(request).await;
                made.map_err(|_status| errors::unavailable("the vault"))?;
                self.vault.key(officer).await
            }
        }
        .map_err(|error| no_key(&error))
    }

    /// The key of an elder or an officer; none once erased.
    ///
    /// # Errors
    /// UNAVAILABLE where keys can't be had.
    pub async fn key(&self, person: Uuid) -> Result<Option<Arc<DataKey>>, Status> {
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

/// The answer where keys can't be had: UNAVAILABLE.
#[must_use]
pub fn away(error: &Unavailable) -> Status {
    tracing::warn!(%error, "keys can't be had");
    errors::unavailable("the vault")
}
