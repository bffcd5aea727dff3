//! `verify`: read models built aside from the log, and compared row by row with the ones that serve.

use anyhow::Context as _;
use readmodel::Differences;
use serde::Serialize;
use tiering::{facts_table::FactsTable, tiers_table::TiersTable};

use crate::{
    output::{Progress, Report, Step, number, table},
    system::Services,
    workplace::{Workplace, chosen},
};

/// What `verify` found.
#[derive(Debug, Serialize)]
pub struct Verified {
    /// Whether every read model holds just what the log says.
    pub equal: bool,
    /// Each read model.
    pub verified: Vec<Differences>,
}

/// Builds read models aside and compares them row by row.
///
/// # Errors
/// An unknown name; the database's, the log's and the fold's.
pub async fn verify(
    workplace: &Workplace,
    names: &[String],
    progress: Progress,
) -> anyhow::Result<Verified> {
    let names = chosen(names)?;
    let Services { registry, tiering } = workplace.services().await?;
    let mut verified = Vec::new();
    for name in names {
        let step: Step = progress.begin(format!("核对 verifying {name}"), 1);
        let tell = |told: readmodel::Progress| step.at(told.done, told.total);
        let found = match name {
            "registry_elders" => {
                readmodel::verify(
                    &registry.pool(),
                    registry.log(),
                    registry.projection(),
                    tell,
                )
                .await
            }
            "tiering_facts" => {
                readmodel::verify(&tiering.pool(), tiering.registry_log(), FactsTable, tell).await
            }
            _tiers => readmodel::verify(&tiering.pool(), tiering.log(), TiersTable, tell).await,
        };
        let found = found.with_context(|| format!("verify {name}"))?;
        step.done(&format!("{} rows", found.rows));
        verified.push(found);
    }
    Ok(Verified {
        equal: verified.iter().all(Differences::is_empty),
        verified,
    })
}

impl Report for Verified {
    fn text(&self) -> String {
        let mut rows = table([
            "读模型 read model",
            "位置 position",
            "行 rows",
            "差异 differences",
        ]);
        let mut text = String::new();
        for one in &self.verified {
            rows.add_row([
                one.projection.clone().into(),
                number(&one.position),
                number(one.rows),
                number(one.tables.len()),
            ]);
            for table in &one.tables {
                let _ = std::fmt::Write::write_fmt(
                    &mut text,
                    format_args!(
                        "\n{}.{}: {} rows missing, {} too many, {} with other content {:?}",
                        one.projection,
                        table.table,
                        table.missing.count,
                        table.extra.count,
                        table.changed.count,
                        [
                            &table.missing.first,
                            &table.extra.first,
                            &table.changed.first
                        ],
                    ),
                );
            }
        }
        let verdict = if self.equal {
            "一致 All read models hold just what the log says."
        } else {
            "不一致"
        };
        format!("{rows}{text}\n{verdict}")
    }
}
