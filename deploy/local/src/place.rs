//! Where an operator works: on the servers of a data folder, or on those of an installation that runs elsewhere.

use std::{collections::BTreeSet, path::PathBuf};

use crate::{
    cli::{Common, Elsewhere},
    installation::Installation,
    output::Progress,
    stores::Stores,
    workplace::Workplace,
};

/// Where an operator works.
#[derive(Debug)]
pub enum Place {
    /// On a data folder.
    Folder(Box<Workplace>, PathBuf),
    /// On an installation elsewhere.
    Elsewhere(Installation),
}

impl Place {
    /// Takes the installation that settings tell of; else the data folder, whose servers are found or started.
    ///
    /// # Errors
    /// Settings that can't be read, a folder without a system, or servers that don't start.
    pub async fn open(
        common: &Common,
        elsewhere: &Elsewhere,
        progress: Progress,
    ) -> anyhow::Result<Self> {
        if let Some(found) = Installation::found(common, elsewhere.settings.as_deref())? {
            return Ok(Self::Elsewhere(found));
        }
        let folder = common.folder();
        let workplace = Workplace::open(common, &folder, progress).await?;
        Ok(Self::Folder(Box::new(workplace), folder))
    }

    /// Whether services run there meanwhile. Elsewhere they are taken to.
    pub(crate) fn is_running(&self) -> bool {
        match self {
            Self::Folder(workplace, _) => workplace.running.is_some(),
            Self::Elsewhere(_) => true,
        }
    }

    /// The logs and databases of some services; the keys of persons too, where these are needed.
    ///
    /// # Errors
    /// Settings that are missing or wrong, or servers that don't answer.
    pub(crate) async fn stores(
        &self,
        of: &BTreeSet<&'static str>,
        with_keys: bool,
    ) -> anyhow::Result<Stores> {
        match self {
            Self::Folder(workplace, _) => {
                let services = workplace.services().await?;
                Ok(Stores::Folder(Box::new(services)))
            }
            Self::Elsewhere(installation) => Stores::elsewhere(installation, of, with_keys).await,
        }
    }

    /// Stops the servers that were started for this work.
    pub async fn close(self) {
        match self {
            Self::Folder(workplace, _) => workplace.close().await,
            Self::Elsewhere(_) => {}
        }
    }
}
