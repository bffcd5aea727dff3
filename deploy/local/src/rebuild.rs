//! `rebuild`: read models built anew from the log, beside the ones that serve, and put in their place.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use anyhow::Context as _;
use eventlog::EventLog;
use readmodel::Projection;
use serde::Serialize;
use sqlx::PgPool;

use crate::{
    output::{Progress, Report, Step, number, table},
    place::Place,
    read_models::{ReadModel, Task},
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

/// Builds a read model anew, and tells how far it is.
struct Rebuilding<'a> {
    step: &'a Step,
    position: &'a AtomicU64,
}

impl Task for Rebuilding<'_> {
    type Done = ();

    async fn on<P: Projection>(
        self,
        pool: &PgPool,
        log: Arc<dyn EventLog>,
        fold: P,
    ) -> Result<(), readmodel::Error> {
        let tell = |told: readmodel::Progress| {
            self.position.store(told.done, Ordering::Relaxed);
            self.step.at(told.done, told.total);
        };
        readmodel::rebuild(pool, log, fold, tell).await
    }
}

/// Builds read models anew and puts them in their place.
///
/// # Errors
/// An unknown name; settings that are missing or wrong; the database's, the log's and the fold's.
pub async fn rebuild(
    place: &Place,
    names: &[String],
    progress: Progress,
) -> anyhow::Result<Rebuilt> {
    let chosen = ReadModel::chosen(names)?;
    let stores = ReadModel::stores(place, &chosen).await?;
    let mut rebuilt = Vec::new();
    for one in chosen {
        let (name, since) = (one.name(), Instant::now());
        let step = progress.begin(format!("重建 rebuilding {name}"), 1);
        let position = AtomicU64::new(0);
        let rebuilding = Rebuilding {
            step: &step,
            position: &position,
        };
        let done = one.with(&stores, rebuilding).await;
        done.with_context(|| format!("rebuild {name}"))?;
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
