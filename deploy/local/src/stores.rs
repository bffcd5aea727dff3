//! What read models are made from and kept in: the logs and the databases of the services, in a data folder or elsewhere.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use anyhow::Context as _;
use eventlog::EventLog;
use registry::registry_elders::RegistryElders;
use service::Connections;
use sqlx::PgPool;
use vault::{BlindIndex, Vault};

use crate::{
    installation::{Installation, KEYS},
    system::Services,
};

/// The logs and databases that somebody works on.
pub(crate) enum Stores {
    /// Of all services of a data folder.
    Folder(Box<Services>),
    /// Of those services of an installation elsewhere that were asked for.
    Elsewhere(Box<Reached>),
}

/// Some services of an installation elsewhere.
pub(crate) struct Reached {
    services: BTreeMap<&'static str, Connections>,
    /// Where somebody needs the keys of persons.
    keys: Option<(Vault, BlindIndex)>,
}

impl Stores {
    /// Reaches some services of an installation; their keys of persons too, where these are needed.
    ///
    /// # Errors
    /// A setting that is missing or wrong, which the text names; servers that don't let us in.
    pub(crate) async fn elsewhere(
        installation: &Installation,
        of: &BTreeSet<&'static str>,
        with_keys: bool,
    ) -> anyhow::Result<Self> {
        let mut services = BTreeMap::new();
        for service in of {
            services.insert(*service, installation.connect(service).await?);
        }
        let keys = match services.get(KEYS) {
            Some(owner) if with_keys => Some(installation.keys(owner.nats.clone()).await?),
            Some(_) | None => None,
        };
        Ok(Self::Elsewhere(Box::new(Reached { services, keys })))
    }

    /// The database of a service.
    ///
    /// # Errors
    /// A service that was not asked for.
    pub(crate) fn pool(&self, service: &str) -> anyhow::Result<PgPool> {
        match self {
            Self::Folder(services) => services.pool(service).with_context(|| unasked(service)),
            Self::Elsewhere(reached) => Ok(reached.service(service)?.database.clone()),
        }
    }

    /// The log of `owner`, as a service reads it.
    ///
    /// # Errors
    /// A service that was not asked for, or a log that is not there.
    pub(crate) async fn log(
        &self,
        service: &str,
        owner: &str,
    ) -> anyhow::Result<Arc<dyn EventLog>> {
        match self {
            Self::Folder(services) => services.log(owner).with_context(|| unasked(owner)),
            Self::Elsewhere(reached) => Ok(reached.service(service)?.log_of(owner).await?),
        }
    }

    /// The fold of elders' files, which alone needs keys.
    ///
    /// # Errors
    /// Where the keys were not asked for.
    pub(crate) fn elders(&self) -> anyhow::Result<RegistryElders> {
        match self {
            Self::Folder(services) => Ok(services.registry.projection()),
            Self::Elsewhere(reached) => {
                let keys = reached.keys.clone();
                let (vault, index) = keys.with_context(|| unasked(KEYS))?;
                Ok(RegistryElders::new(vault, index))
            }
        }
    }
}

impl Reached {
    fn service(&self, name: &str) -> anyhow::Result<&Connections> {
        self.services.get(name).with_context(|| unasked(name))
    }
}

fn unasked(service: &str) -> String {
    format!("`{service}` was not asked for")
}
