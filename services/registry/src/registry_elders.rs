//! The read model of the registry as one fold of its log: files with their facts, pairs that may be one person's, and divisions.

use std::sync::{Arc, LazyLock};

use async_trait::async_trait;
use eventlog::Record;
use readmodel::{Ahead, ApplyError, Parked, Phase, Projection};
use sqlx::PgConnection;
use vault::{BlindIndex, Vault};

use crate::{
    divisions_table, duplicates_table, elders_rows, elders_table::EldersTable, erased_table,
    lookup_keys,
};

/// The projection's name, and that of its schema.
pub const NAME: &str = "registry_elders";

/// Raised whenever tables or fold change.
const VERSION: u32 = 4;

static TABLES: LazyLock<String> = LazyLock::new(|| {
    [
        elders_rows::DDL,
        duplicates_table::DDL,
        divisions_table::DDL,
        erased_table::DDL,
    ]
    .concat()
});

static INDEXES: LazyLock<String> =
    LazyLock::new(|| [elders_rows::INDEXES, duplicates_table::INDEXES].concat());

/// The projection.
pub struct RegistryElders {
    elders: EldersTable,
    tables: String,
}

impl RegistryElders {
    /// The projection, which opens names to digest them.
    #[must_use]
    pub fn new(vault: Vault, index: BlindIndex) -> Self {
        // Names are found by digests under the current key: with another one the rows are made anew.
        let tables = format!(
            "{}-- Names are digested under the key {}.\n",
            *TABLES,
            index.current_key()
        );
        Self {
            elders: EldersTable::new(vault, index),
            tables,
        }
    }
}

#[async_trait]
impl Projection for RegistryElders {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> u32 {
        VERSION
    }

    fn ddl(&self) -> &str {
        &self.tables
    }

    fn post_load_ddl(&self) -> &'static str {
        &INDEXES
    }

    async fn apply(
        &mut self,
        db: &mut PgConnection,
        records: &[Record],
        phase: Phase,
    ) -> Result<Vec<Parked>, ApplyError> {
        let (mut elders, mut duplicates, mut divisions) = (Vec::new(), Vec::new(), Vec::new());
        let mut parked = Vec::new();
        for record in records {
            match record.subject.aggregate() {
                "elder" => elders.push(record),
                "duplicate" => duplicates.push(record),
                "divisions" => divisions.push(record),
                // Claims and keys of lookups are read from the log alone.
                "identity" | lookup_keys::AGGREGATE => {}
                _ => parked.extend(
                    record
                        .events
                        .iter()
                        .map(|event| Parked::because(record, event, "unknown kind of aggregate")),
                ),
            }
        }
        self.elders.apply(db, &elders, phase, &mut parked).await?;
        erased_table::apply(db, &elders).await?;
        if !duplicates.is_empty() {
            duplicates_table::apply(db, &duplicates, &mut parked).await?;
        }
        if !divisions.is_empty() {
            divisions_table::apply(db, &divisions, &mut parked).await?;
        }
        Ok(parked)
    }

    fn forget(&mut self) {
        self.elders.forget();
    }

    fn ahead(&self) -> Option<Arc<dyn Ahead>> {
        Some(self.elders.ahead())
    }
}
