//! The keys of persons as they were put back: those of whoever was erased are destroyed, and all others open.

use std::sync::Arc;

use anyhow::Context as _;
use vault::{Entry, JetStreamKeyStore, KeyStore as _, KeyStream, PersonId, Vault, VaultOptions};

use crate::{
    backup::{erasures::Erasures, ground::Ground},
    output::Progress,
};

/// Keys that are looked at in one go.
const AT_ONCE: usize = 500;

/// The keys of persons.
pub(in crate::backup) struct Keys {
    store: JetStreamKeyStore,
    pub(super) vault: Vault,
}

impl Keys {
    /// Those that are there.
    pub(in crate::backup) async fn of(ground: &Ground) -> anyhow::Result<Self> {
        let stream = KeyStream {
            replicas: ground.copies,
            create: false,
            ..KeyStream::default()
        };
        let store = JetStreamKeyStore::open(ground.server.clone(), stream).await?;
        let kept = Arc::new(store.clone());
        let vault = Vault::new(kept, ground.key_ring()?, VaultOptions::default());
        Ok(Self { store, vault })
    }

    /// Destroys those of whoever was erased.
    pub(in crate::backup) async fn destroy(&self, erasures: &Erasures) -> anyhow::Result<()> {
        for elder in erasures.erased.keys() {
            self.vault.erase(*elder).await?;
        }
        Ok(())
    }

    /// Unwraps each of them: without its key nobody can be read, and the backup is worth nothing.
    pub(in crate::backup) async fn check(&self, progress: Progress) -> anyhow::Result<()> {
        let step = progress.begin("校验 opening the keys", self.store.count().await?);
        let (mut after, mut opened) = (0, 0);
        loop {
            let some = self.store.scan(after, AT_ONCE).await?;
            let Some(last) = some.last() else {
                break;
            };
            after = last.sequence();
            let persons: Vec<PersonId> = some.iter().filter_map(person).collect();
            let keys = self.vault.keys_in_passing(&persons).await;
            let keys = keys.context(
                "the keys of the backup do not open with the given ones: give the keys.toml of the time when it was taken, from \
                 before any `rotate-keys` since / 密钥不符：请使用备份当时的 keys.toml",
            )?;
            opened += keys.len();
            step.advance(some.len() as u64);
        }
        step.done(&format!("{opened} keys"));
        Ok(())
    }
}

fn person(entry: &Entry) -> Option<PersonId> {
    match entry {
        Entry::Key(stored) => Some(stored.person),
        Entry::Divider { .. } => None,
    }
}
