//! Where a running system is and how to speak with it: what `up` writes down for the other commands.

use std::{
    collections::BTreeMap,
    fs, io,
    net::TcpStream,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::keys::write_private;

/// Under this name stands the token of a gateway, which passes on what devices say.
pub const GATEWAY: &str = "device_gateway";

/// Under this name stands the token of somebody who decides on what the operator handed in.
pub const REVIEWER: &str = "reviewer";

/// How to reach a system. It holds secrets: the file is its owner's alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// The gRPC address, such as `http://127.0.0.1:7000`.
    pub endpoint: String,
    /// The operator's token.
    pub token: service::Secret,
    /// A gateway's token, where the launcher knows one.
    pub gateway: Option<service::Secret>,
    /// A reviewer's token, where the launcher knows one.
    pub reviewer: Option<service::Secret>,
    /// Tokens of departments' officers, by department, where the launcher knows them.
    pub departments: BTreeMap<String, service::Secret>,
}

/// The file that a running system leaves for the commands beside it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ConnectionFile {
    /// The gRPC address.
    pub endpoint: String,
    /// The operator's token: all that the launcher itself may do.
    pub token: String,
    /// Tokens of the sample departments, of a gateway of devices, and of a reviewer.
    pub tokens: BTreeMap<String, String>,
    /// The log's server.
    pub nats_url: String,
    /// The operator's user there, and its password.
    pub nats_user: (String, String),
    /// Where devices speak MQTT, with their id as user and the credential of their registration as password.
    pub mqtt_url: Option<String>,
    /// The databases by service; passwords included.
    pub databases: BTreeMap<String, String>,
    /// The key-encryption key that the running system wraps new keys under.
    pub kek_id: String,
    /// The process that serves.
    pub pid: u32,
}

impl ConnectionFile {
    /// What a running system left in the data folder; `None` where none runs there.
    ///
    /// # Errors
    /// Where the file is there and can't be understood.
    pub fn of_running(folder: &Path) -> anyhow::Result<Option<Self>> {
        let path = file(folder);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("read {}", path.display())),
        };
        let found: Self = serde_json::from_str(&text).map_err(|_| {
            anyhow::anyhow!(
                "{} is not as this program wrote it: remove it",
                path.display()
            )
        })?;
        Ok(found.answers().then_some(found))
    }

    /// Writes it for the commands that follow.
    ///
    /// # Errors
    /// Where it can't be written.
    pub fn write(&self, folder: &Path) -> anyhow::Result<()> {
        write_private(
            &file(folder),
            &serde_json::to_vec_pretty(self).context("write the connection")?,
        )
    }

    /// Removes it: nothing runs any more.
    pub fn remove(folder: &Path) {
        let _ = fs::remove_file(file(folder));
    }

    /// How to speak with the system as the operator.
    pub fn connection(&self) -> Connection {
        Connection {
            endpoint: self.endpoint.clone(),
            token: service::Secret::new(&self.token),
            gateway: self.tokens.get(GATEWAY).map(service::Secret::new),
            reviewer: self.tokens.get(REVIEWER).map(service::Secret::new),
            departments: self
                .tokens
                .iter()
                .filter(|(name, _)| ![GATEWAY, REVIEWER].contains(&name.as_str()))
                .map(|(name, token)| (name.clone(), service::Secret::new(token)))
                .collect(),
        }
    }

    /// A crash leaves the file behind: then nothing listens there.
    fn answers(&self) -> bool {
        let address = self.endpoint.trim_start_matches("http://").parse();
        address.is_ok_and(|address| {
            TcpStream::connect_timeout(&address, Duration::from_secs(2)).is_ok()
        })
    }
}

fn file(folder: &Path) -> PathBuf {
    folder.join("connection.json")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn left_by(endpoint: String) -> (tempfile::TempDir, Option<ConnectionFile>) {
        let folder = tempfile::tempdir().unwrap();
        let left = ConnectionFile {
            endpoint,
            token: "t".to_owned(),
            tokens: Default::default(),
            nats_url: String::new(),
            nats_user: (String::new(), String::new()),
            mqtt_url: None,
            databases: Default::default(),
            kek_id: "kek_1".to_owned(),
            pid: 1,
        };
        left.write(folder.path()).unwrap();
        let found = ConnectionFile::of_running(folder.path()).unwrap();
        (folder, found)
    }

    #[test]
    fn a_running_system_is_found_and_its_file_is_private() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let (folder, found) = left_by(format!("http://{}", listener.local_addr().unwrap()));
        assert_eq!(found.unwrap().connection().token.expose(), "t");
        assert_eq!(
            fs::metadata(file(folder.path()))
                .unwrap()
                .permissions()
                .mode()
                & 0o777,
            0o600
        );
    }

    #[test]
    fn what_a_crash_left_behind_is_no_running_system() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        assert!(left_by(format!("http://{address}")).1.is_none());
        assert!(
            ConnectionFile::of_running(tempfile::tempdir().unwrap().path())
                .unwrap()
                .is_none()
        );
    }
}
