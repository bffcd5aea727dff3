//! When an elder was erased, the key is destroyed, even if the process that recorded the erasure died before it could.

use async_trait::async_trait;
use civic::ElderId;
use eventlog::Record;
use prost::Name as _;
use proto::eldercare::registry::v1 as pb;
use readmodel::{ApplyError, Parked, Reactor};
use sqlx::PgConnection;
use vault::Vault;

/// The reactor's name; it never changes.
pub const NAME: &str = "on_elder_erased";

/// Destroys keys. Doing it twice changes nothing.
pub struct OnElderErased {
    vault: Vault,
    erased: String,
}

impl OnElderErased {
    /// The reactor over the vault of the registry, which owns the keys.
    #[must_use]
    pub fn new(vault: Vault) -> Self {
        Self {
            vault,
            erased: pb::ElderErased::full_name(),
        }
    }
}

#[async_trait]
impl Reactor for OnElderErased {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn react(
        &mut self,
        _db: &mut PgConnection,
        records: &[Record],
    ) -> Result<Vec<Parked>, ApplyError> {
        for record in records {
            if !record.tells_of(&self.erased) {
                continue;
            }
            // A subject that names no elder is parked by the read model; there is no key to destroy.
            let Ok(elder) = record.subject.id().parse::<ElderId>() else {
                continue;
            };
            self.vault
                .erase(elder.as_uuid())
                .await
                .map_err(|_away| ApplyError::Unavailable("the vault"))?;
        }
        Ok(Vec::new())
    }
}
