//! The keys of an installation on one machine: made at random at its first start, and kept where its owner alone can read.

use std::{
    collections::BTreeMap,
    fmt, fs,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD as BASE64, URL_SAFE_NO_PAD},
};
use nats_access::{Issuer, SealingKey, ServerAccess, User};
use rand::RngCore as _;
use serde::{Deserialize, Serialize};
use service::{
    Secret, TokenIssuer, derived_passwords::DerivedPasswords, settings, settings::NatsDoors,
};
use sharing::AuditSettings;
use uuid::Uuid;

use crate::nats_users;

/// The keys that a data folder's system works with.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keys {
    /// The key-encryption key that new data keys are wrapped under, by its name in `keks`.
    pub kek_id: String,
    /// The next one: a running system knows it already, so that keys can be rotated under it.
    pub next_kek_id: String,
    /// All key-encryption keys by name, Base64.
    keks: BTreeMap<String, String>,
    /// The key of lookups by ID number, Base64.
    index_key: String,
    /// The key that signs tokens, PEM.
    token_key: String,
    /// The key that signs the audit of sharing, Base64; a folder of an earlier version has none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    audit_key: String,
    /// What opens the log's server; a folder of an earlier version has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nats: Option<NatsKeys>,
}

/// What opens the log's server: to the operator, and to the services by passwords that follow from the operator's; to the one
/// that closes connections; and by the services' word to devices and departments.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NatsKeys {
    services_password: String,
    system_password: String,
    issuer_seed: String,
    sealing_seed: String,
}

impl NatsKeys {
    fn generate() -> Self {
        Self {
            services_password: random_password(),
            system_password: random_password(),
            issuer_seed: Issuer::generate().seed(),
            sealing_seed: SealingKey::generate().seed(),
        }
    }
}

/// The operator's user of the log's server, who may do everything where the streams are.
const OPERATOR_USER: &str = "eldercare";

/// What the passwords of the services' users are derived for.
const USERS: &[u8] = b"eldercare.nats-users";

/// Without the keys.
impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys")
            .field("kek_id", &self.kek_id)
            .finish_non_exhaustive()
    }
}

impl Keys {
    /// New keys at random.
    pub fn generate() -> Self {
        let token_key = TokenIssuer::generate()
            .private_pem()
            .expect("Ed25519 keys can be written");
        let keks = ["kek_1", "kek_2"].map(|id| (id.to_owned(), random_key()));
        Self {
            kek_id: "kek_1".to_owned(),
            next_kek_id: "kek_2".to_owned(),
            keks: keks.into(),
            index_key: random_key(),
            token_key: token_key.expose().to_owned(),
            audit_key: random_key(),
            nats: Some(NatsKeys::generate()),
        }
    }

    /// The keys of a data folder; new ones where it has none yet.
    ///
    /// # Errors
    /// Where the file can't be read, understood or written.
    pub fn of(folder: &Path) -> anyhow::Result<Self> {
        let path = file(folder);
        if path.exists() {
            let mut keys = Self::read(&path)?;
            if keys.nats.is_none() || keys.audit_key.is_empty() {
                keys.nats.get_or_insert_with(NatsKeys::generate);
                if keys.audit_key.is_empty() {
                    keys.audit_key = random_key();
                }
                keys.write(folder)?;
            }
            return Ok(keys);
        }
        let keys = Self::generate();
        keys.write(folder)?;
        Ok(keys)
    }

    /// The keys in a file, as they stand there.
    ///
    /// # Errors
    /// Where it can't be read or understood.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
        // The parser's own message would repeat the line, and the line holds a key.
        toml::from_str(&text).map_err(|_| {
            anyhow::anyhow!(
                "{} is not as this program wrote it: restore it",
                path.display()
            )
        })
    }

    /// Makes the next key-encryption key the current one, with a new next one. The old one stays until
    /// [`Keys::forget_old`].
    #[must_use]
    pub fn turned(&self) -> Self {
        let mut keys = self.clone();
        let number = |id: &str| {
            id.trim_start_matches("kek_")
                .parse::<u64>()
                .unwrap_or_default()
        };
        let highest = self
            .keks
            .keys()
            .map(|id| number(id))
            .max()
            .unwrap_or_default();
        keys.kek_id = std::mem::replace(&mut keys.next_kek_id, format!("kek_{}", highest + 1));
        keys.keks.insert(keys.next_kek_id.clone(), random_key());
        keys
    }

    /// Whether a rotation to the current key did not come to its end: a former one is still there.
    pub fn is_turning(&self) -> bool {
        self.keks
            .keys()
            .any(|id| *id != self.kek_id && *id != self.next_kek_id)
    }

    /// Drops the key-encryption keys that are neither current nor next.
    #[must_use]
    pub fn forget_old(&self) -> Self {
        let mut keys = self.clone();
        keys.keks
            .retain(|id, _| *id == self.kek_id || *id == self.next_kek_id);
        keys
    }

    /// Writes the keys to their file, whole or not at all.
    ///
    /// # Errors
    /// Where it can't be written.
    pub fn write(&self, folder: &Path) -> anyhow::Result<()> {
        let text = toml::to_string(self).context("write keys")?;
        let head = "# Whoever has this file can read the personal data of this folder; without it nobody can. Back it up apart.\n";
        write_private(&file(folder), format!("{head}{text}").as_bytes())
    }

    /// The section `vault` of the settings.
    pub fn vault(&self) -> settings::Vault {
        let key = |id: &str| self.keks.get(id).map(Secret::new);
        let others = self.keks.iter().filter(|(id, _)| **id != self.kek_id);
        settings::Vault {
            kek: key(&self.kek_id),
            kek_id: self.kek_id.clone(),
            previous_keks: others
                .map(|(id, key)| (id.clone(), Secret::new(key)))
                .collect(),
            index_key: Some(Secret::new(&self.index_key)),
            index_key_id: "index_1".to_owned(),
            ..settings::Vault::default()
        }
    }

    /// The section `sharing.audit` of the settings.
    pub fn audit(&self) -> AuditSettings {
        AuditSettings {
            signing_key: Some(Secret::new(&self.audit_key)),
            ..AuditSettings::default()
        }
    }

    fn nats(&self) -> anyhow::Result<&NatsKeys> {
        self.nats.as_ref().context("the keys of the log's server")
    }

    /// The operator's user of the log's server and its password.
    ///
    /// # Errors
    /// Keys of an earlier version, that were never written anew.
    pub fn nats_user(&self) -> anyhow::Result<(String, String)> {
        let password = self.nats()?.services_password.clone();
        Ok((OPERATOR_USER.to_owned(), password))
    }

    /// The passwords of the users that are declared for the log's server, each a service's or who makes streams.
    ///
    /// # Errors
    /// Keys of an earlier version, that were never written anew.
    pub fn nats_passwords(&self) -> anyhow::Result<impl Fn(&str) -> String + use<>> {
        let key = self.nats()?.services_password.as_bytes();
        let passwords = DerivedPasswords::keyed(USERS, key, []);
        Ok(move |user: &str| passwords.of(user, Uuid::nil()))
    }

    /// How the log's server knows the services, and lets devices and departments in by their word.
    ///
    /// # Errors
    /// Keys that are none.
    pub fn server_access(&self) -> anyhow::Result<ServerAccess> {
        let keys = self.nats()?;
        let issuer: Issuer = keys.issuer_seed.parse()?;
        let sealing: SealingKey = keys.sealing_seed.parse()?;
        let derived = self.nats_passwords()?;
        let password = |user: &str| match user {
            nats_users::SYSTEM => keys.system_password.clone(),
            service => derived(service),
        };
        let (issuer, sealing) = (issuer.public_key(), sealing.public_key());
        let mut access = nats_users::server_access(password, issuer, sealing);
        let (name, password) = self.nats_user()?;
        access.services.push(User {
            name,
            password,
            permissions: None,
        });
        Ok(access)
    }

    /// The sections `alerts.devices` and `sharing.feeds.access` of the settings.
    ///
    /// # Errors
    /// Keys of an earlier version, that were never written anew.
    pub fn nats_doors(&self) -> anyhow::Result<NatsDoors> {
        let keys = self.nats()?;
        Ok(NatsDoors {
            issuer_seed: Secret::new(&keys.issuer_seed),
            sealing_seed: Some(Secret::new(&keys.sealing_seed)),
            system_user: nats_users::SYSTEM.to_owned(),
            system_password: Secret::new(&keys.system_password),
            admitted_for: Duration::from_secs(24 * 3_600),
        })
    }

    /// The issuer of this installation's tokens.
    ///
    /// # Errors
    /// Where the key is none.
    pub fn token_issuer(&self) -> anyhow::Result<TokenIssuer> {
        TokenIssuer::from_private_pem(&self.token_key).context("the key that signs tokens")
    }
}

/// Where the keys of a data folder lie.
pub(crate) fn file(folder: &Path) -> PathBuf {
    folder.join("keys.toml")
}

fn random_key() -> String {
    let mut key = [0; 32];
    rand::rng().fill_bytes(&mut key);
    BASE64.encode(key)
}

/// Without characters that mean something in an address.
fn random_password() -> String {
    let mut password = [0; 24];
    rand::rng().fill_bytes(&mut password);
    URL_SAFE_NO_PAD.encode(password)
}

/// Writes a file that its owner alone can read, whole or not at all.
///
/// # Errors
/// Where it can't be written.
pub fn write_private(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    let doing = || format!("write {}", path.display());
    let unfinished = path.with_extension("unfinished");
    // What an earlier start left behind could be open to others.
    if unfinished.exists() {
        fs::remove_file(&unfinished).with_context(doing)?;
    }
    let mut options = fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&unfinished)
        .with_context(doing)?;
    file.write_all(content).with_context(doing)?;
    file.sync_all().with_context(doing)?;
    fs::rename(&unfinished, path).with_context(doing)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn keys_are_made_once_at_random_and_for_their_owner_alone() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let keys = Keys::of(one.path()).unwrap();
        assert_eq!(Keys::of(one.path()).unwrap().keks, keys.keks);
        assert_ne!(
            Keys::of(other.path()).unwrap().keks["kek_1"],
            keys.keks["kek_1"]
        );
        let mode = fs::metadata(file(one.path())).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(!format!("{keys:?}").contains(&keys.keks["kek_1"]));
    }

    #[test]
    fn the_next_key_takes_over_and_the_old_one_is_forgotten_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        let keys = Keys::of(folder.path()).unwrap();
        let turned = keys.turned();
        assert_eq!(
            (turned.kek_id.as_str(), turned.next_kek_id.as_str()),
            ("kek_2", "kek_3")
        );
        assert_eq!(turned.vault().previous_keks.len(), 2);
        let after = turned.forget_old();
        assert_eq!(
            [&keys, &turned, &after].map(|keys| keys.is_turning()),
            [false, true, false]
        );
        assert_eq!(after.keks.keys().collect::<Vec<_>>(), ["kek_2", "kek_3"]);
        assert_eq!(after.keks["kek_2"], keys.keks["kek_2"]);
    }

    #[test]
    fn a_broken_file_of_keys_is_told_without_its_content() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(file(folder.path()), "kek_id = \"SECRET").unwrap();
        let told = format!("{:#}", Keys::of(folder.path()).unwrap_err());
        assert!(
            told.contains("keys.toml") && !told.contains("SECRET"),
            "{told}"
        );
    }
}
