//! `rebuild`: read models built anew from the log, beside the ones that serve, and put in their place.

use anyhow::Context as _;
use serde::Serialize;
use tiering::{facts_table::FactsTable, tiers_table::TiersTable};
use visits::{book_table::BookTable, policies_table::PoliciesTable};

use crate::{
    output::{Progress, Report, number, table},
    system::Services,
    workplace::{Workplace, chosen},
};

/// What `rebuild` did.
#[derive(Debug, Serialize)]
pub struct Rebuilt {
    /// The read models that were built anew.
    pub rebuilt: Vec<RebuiltOne>,
}

/// A read model that was built anew.
#[derive(Debug, Serialize)]
pub struct RebuiltOne {
    /// Its name.
    pub projection: String,
    /// The last sequence that it holds.
    pub position: u64,
    /// How long it took, in seconds.
    pub seconds: f64,
}

/// Builds read models anew and puts them in their place.
///
/// # Errors
/// An unknown name; the database's, the log's and the fold's.
pub async fn rebuild(
    workplace: &Workplace,
    names: &[String],
    progress: Progress,
) -> anyhow::Result<Rebuilt> {
    let names = chosen(names)?;
    let Services {
        registry,
        tiering,
        visits,
    } = workplace.services().await?;
    let mut rebuilt = Vec::new();
    for name in names {
        let since = std::time::Instant::now();
        let step = progress.begin(format!("重建 rebuilding {name}"), 1);
        let position = std::sync::atomic::AtomicU64::new(0);
        let tell = |told: readmodel::Progress| {
            position.store(told.done, std::sync::atomic::Ordering::Relaxed);
            step.at(told.done, told.total);
        };
        match name {
            "registry_elders" => {
                readmodel::rebuild(
                    &registry.pool(),
                    registry.log(),
                    registry.projection(),
                    tell,
                )
                .await
            }
            "tiering_facts" => {
                readmodel::rebuild(&tiering.pool(), tiering.registry_log(), FactsTable, tell).await
            }
            "tiering_tiers" => {
                readmodel::rebuild(&tiering.pool(), tiering.log(), TiersTable, tell).await
            }
            "visits_elders" => {
                let fold = visits::facts_table::FactsTable;
                readmodel::rebuild(&visits.pool(), visits.registry_log(), fold, tell).await
            }
            "visits_cards" => {
                let fold = visits::cards_table::CardsTable;
                readmodel::rebuild(&visits.pool(), visits.registry_log(), fold, tell).await
            }
            "visits_policies" => {
                readmodel::rebuild(&visits.pool(), visits.tiering_log(), PoliciesTable, tell).await
            }
            _book => readmodel::rebuild(&visits.pool(), visits.log(), BookTable, tell).await,
        }
        .with_context(|| format!("rebuild {name}"))?;
        let (position, seconds) = (position.into_inner(), since.elapsed().as_secs_f64());
        step.done(&format!("up to {position}"));
        rebuilt.push(RebuiltOne {
            projection: name.to_owned(),
            position,
            seconds,
        });
    }
    Ok(Rebuilt { rebuilt })
}

impl Report for Rebuilt {
    fn text(&self) -> String {
        let mut rows = table(["读模型 read model", "位置 position", "秒 seconds"]);
        for one in &self.rebuilt {
            rows.add_row([
                one.projection.clone().into(),
                number(one.position),
                number(format!("{:.1}", one.seconds)),
            ]);
        }
        rows.to_string()
    }
}
