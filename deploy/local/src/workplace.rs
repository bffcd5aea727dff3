//! The servers of a data folder as an operator works on them, beside the system that runs there or without one.

use std::path::Path;

use service::{Clock, config::Loader};

use crate::{
    cli::Common,
    connection::ConnectionFile,
    data_folder::DataFolder,
    keys::Keys,
    output::Progress,
    servers::{Servers, tools},
    system::Services,
};

/// The servers of a data folder and the services connected to them, none of which serves here.
#[derive(Debug)]
pub struct Workplace {
    /// The folder, where no system runs in it.
    folder: Option<DataFolder>,
    /// What the running system wrote down, where one runs.
    pub(crate) running: Option<ConnectionFile>,
    pub(crate) keys: Keys,
    pub(crate) loader: Loader,
    pub(crate) servers: Servers,
}

impl Workplace {
    /// Finds the running system's servers, or starts those of the folder.
    ///
    /// # Errors
    /// A folder without a system, or servers that don't start.
    pub async fn open(common: &Common, path: &Path, progress: Progress) -> anyhow::Result<Self> {
        let loader = Loader::from_process(common.config.as_deref())?;
        if let Some(running) = ConnectionFile::of_running(path)? {
            let servers = Servers::of_running(&running);
            return Ok(Self {
                folder: None,
                keys: Keys::of(path)?,
                running: Some(running),
                loader,
                servers,
            });
        }
        if !path.join("nats").exists() {
            anyhow::bail!(
                "{} holds no system: name its folder with --data-dir, the settings of one that runs elsewhere with --settings, \
                 or start one with `eldercare up` / {} 中没有系统数据：请用 --data-dir 指定目录，用 --settings 指定他处系统的设置，\
                 或先执行 eldercare up",
                path.display(),
                path.display()
            );
        }
        let folder = DataFolder::kept(path)?;
        let keys = folder.keys()?;
        let tools = tools(common, Some(&folder));
        let servers = Servers::start(&folder, &tools, &keys, progress).await?;
        Ok(Self {
            folder: Some(folder),
            running: None,
            keys,
            loader,
            servers,
        })
    }

    /// The services, connected and not serving.
    ///
    /// # Errors
    /// Settings that can't be read, or servers that don't answer.
    pub async fn services(&self) -> anyhow::Result<Services> {
        let clock = Clock::system();
        Services::connect(&self.loader, &self.servers, &self.keys, &clock, None).await
    }

    /// Stops the servers that were started for this work.
    pub async fn close(self) {
        self.servers.stop().await;
    }

    /// Where the keys lie.
    pub(crate) fn key_folder<'a>(&'a self, path: &'a Path) -> &'a Path {
        self.folder.as_ref().map_or(path, DataFolder::path)
    }
}
