//! Who was erased: nothing but ids. By them it is made sure that no key comes back with a restored vault.

use std::collections::BTreeSet;

use civic::ElderId;
use eventlog::Record;
use prost::Name as _;
use proto::eldercare::registry::v1 as pb;
use readmodel::ApplyError;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;
use vault::Vault;

/// The table.
pub(crate) const DDL: &str = "
CREATE TABLE erased (
    elder_id uuid PRIMARY KEY
);
";

/// Ids read at a time.
const AT_ONCE: i64 = 5_000;

/// Notes the erasures among records of elders.
pub(crate) async fn apply(db: &mut PgConnection, records: &[&Record]) -> Result<(), ApplyError> {
    let erased = pb::ElderErased::full_name();
    let ids: BTreeSet<Uuid> = records
        .iter()
        .filter(|record| record.tells_of(&erased))
        // A subject that names no elder is parked by the table of elders.
        .filter_map(|record| record.subject.id().parse::<ElderId>().ok())
        .map(|elder| elder.as_uuid())
        .collect();
    if !ids.is_empty() {
        let ids: Vec<_> = ids.into_iter().collect();
        sqlx::query("INSERT INTO erased SELECT * FROM unnest($1::uuid[]) ON CONFLICT DO NOTHING")
            .bind(ids)
            .execute(db)
            .await?;
    }
    Ok(())
}

/// Destroys the keys of whoever the read model knows as erased. Mostly there are none: the vault must have been put back
/// to what it was before the erasure. Tells how many there were.
pub(crate) async fn destroy_what_came_back(pool: &PgPool, vault: &Vault) -> anyhow::Result<u64> {
    let there: bool =
        sqlx::query_scalar("SELECT to_regclass('registry_elders.erased') IS NOT NULL")
            .fetch_one(pool)
            .await?;
    if !there {
        return Ok(0);
    }
    let (mut after, mut destroyed) = (Uuid::nil(), 0);
    loop {
        let ids: Vec<Uuid> = sqlx::query_scalar(
            "SELECT elder_id FROM registry_elders.erased WHERE elder_id > $1 ORDER BY elder_id LIMIT $2",
        )
        .bind(after)
        .bind(AT_ONCE)
        .fetch_all(pool)
        .await?;
        let Some(last) = ids.last() else {
            break;
        };
        after = *last;
        for person in vault.keys(&ids).await?.into_keys() {
            vault.erase(person).await?;
            destroyed += 1;
        }
    }
    if destroyed > 0 {
        tracing::warn!(
            destroyed,
            "keys of erased persons were in the vault, which was most likely restored: they are destroyed again"
        );
    }
    Ok(destroyed)
}
