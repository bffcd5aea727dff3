//! What the vault's tests share: rings with keys of their own, and stores of every kind.

use std::sync::Arc;

use async_nats::jetstream;
use backing_services::testing;
use vault::{
    Gather, JetStreamKeyStore, KeyRing, KeyStore, KeyStream, KeysConfig, MemoryKeyStore, Mode,
    SecretKey, Vault, VaultOptions,
};

/// A ring of the named keys; the first is current.
pub(crate) fn ring(names: &[&str]) -> KeyRing {
    let secret = |name: &str| {
        let seed = name
            .bytes()
            .fold(7_u8, |seed, byte| seed.wrapping_mul(31) ^ byte);
        SecretKey::new(std::array::from_fn(|index| {
            seed ^ (index as u8).wrapping_mul(3)
        }))
    };
    let config = KeysConfig {
        current: names[0].to_owned(),
        keys: names
            .iter()
            .map(|name| ((*name).to_owned(), secret(name)))
            .collect(),
    };
    KeyRing::from_config(&config, Mode::Production).unwrap()
}

pub(crate) fn vault(store: &Arc<dyn KeyStore>, ring: KeyRing) -> Vault {
    Vault::new(Arc::clone(store), ring, VaultOptions::default())
}

pub(crate) fn in_memory() -> Arc<dyn KeyStore> {
    Arc::new(MemoryKeyStore::new())
}

/// A stream of its own on the server that the tests share.
pub(crate) async fn on_jetstream(gather: Gather) -> Arc<dyn KeyStore> {
    let own = uuid::Uuid::now_v7().simple();
    let settings = KeyStream {
        name: format!("VAULT-{own}"),
        subjects: format!("test.{own}.vault.key"),
        gather,
        ..KeyStream::default()
    };
    Arc::new(open(&testing::nats().await.url(), settings).await)
}

pub(crate) async fn open(url: &str, settings: KeyStream) -> JetStreamKeyStore {
    let client = async_nats::connect(url).await.unwrap();
    JetStreamKeyStore::open(jetstream::new(client), settings)
        .await
        .unwrap()
}

/// Runs each check over each kind of store, as tests of their own.
macro_rules! over_every_store {
    ($($check:ident),+ $(,)?) => {
        mod in_memory {
            $(#[tokio::test]
            async fn $check() {
                super::$check($crate::support::in_memory()).await;
            })+
        }
        mod on_jetstream {
            $(#[tokio::test]
            async fn $check() {
                super::$check($crate::support::on_jetstream(vault::Gather::Never).await).await;
            })+
        }
        mod on_jetstream_gathered {
            $(#[tokio::test]
            async fn $check() {
                super::$check($crate::support::on_jetstream(vault::Gather::Always).await).await;
            })+
        }
    };
}

pub(crate) use over_every_store;
