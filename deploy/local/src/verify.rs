//! `verify`: read models built aside from the log and compared row by row with the ones that serve, and every elder's tier
//! judged once more.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use eventlog::{EventLog, Position};
use readmodel::{DatabaseError, Differences, Follower, Projection, ReaderFollower};
use serde::Serialize;
use sqlx::PgPool;
use tiering::{audit::Audit, progress::Progress as Judged};

use crate::{
    output::{Progress, Report, Step, number, table},
    place::Place,
    read_models::{ReadModel, Task},
    stores::Stores,
};

/// What `verify` found.
#[derive(Debug, Serialize)]
pub struct Verified {
    /// Whether every read model holds just what the log says, and everybody has the tier that is due.
    pub equal: bool,
    /// Each read model.
    pub verified: Vec<Differences>,
    /// The tiers; null where only other read models were asked for.
    pub tiers: Option<Tiers>,
}

/// Every elder's tier judged once more, and compared with the one on record.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tiers {
    /// Elders judged.
    pub elders: u64,
    /// The day as of which they were; null before the first evaluation.
    pub day: Option<String>,
    /// Elders of whom something else is kept for that day than follows from their facts.
    pub stale: Elders,
    /// Elders whose tier on record is another than the policy in force gives.
    pub mistaken: Elders,
    /// Records of the registry that had not been judged yet: those they concern count as differences until then.
    pub waiting: u64,
}

/// A number of elders, the first of them named.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Elders {
    /// How many.
    pub count: u64,
    /// The ids of the first.
    pub first: Vec<String>,
}

impl Tiers {
    fn of(audit: &Audit, waiting: u64) -> Self {
        let elders = |count: u64, first: &[civic::ElderId]| Elders {
            count,
            first: first.iter().map(ToString::to_string).collect(),
        };
        Self {
            elders: audit.elders,
            day: audit.day.map(|day| day.to_string()),
            stale: elders(audit.stale_count, &audit.stale),
            mistaken: elders(audit.mistaken_count, &audit.mistaken),
            waiting,
        }
    }

    /// Records that still wait to be judged, as in a system that was stopped before it came to them, explain differences:
    /// those are told, and count once nothing waits.
    fn as_due(&self) -> bool {
        self.waiting > 0 || !self.differ()
    }

    fn differ(&self) -> bool {
        self.stale.count > 0 || self.mistaken.count > 0
    }
}

/// How long a running system is given to come to what was recorded before the audit.
const AT_REST: Duration = Duration::from_secs(30);
/// How often the audit is repeated while a running system changes tiers under it.
const ATTEMPTS: usize = 5;

/// Builds a read model aside and compares it, and tells how far it is.
struct Verifying<'a>(&'a Step);

impl Task for Verifying<'_> {
    type Done = Differences;

    async fn on<P: Projection>(
        self,
        pool: &PgPool,
        log: Arc<dyn EventLog>,
        fold: P,
    ) -> Result<Differences, readmodel::Error> {
        let tell = |told: readmodel::Progress| self.0.at(told.done, told.total);
        readmodel::verify(pool, log, fold, tell).await
    }
}

/// Builds read models aside and compares them row by row.
///
/// # Errors
/// An unknown name; settings that are missing or wrong; the database's, the log's and the fold's.
pub async fn verify(
    place: &Place,
    names: &[String],
    progress: Progress,
) -> anyhow::Result<Verified> {
    let chosen = ReadModel::chosen(names)?;
    let stores = ReadModel::stores(place, &chosen).await?;
    let mut verified = Vec::new();
    for one in &chosen {
        let name = one.name();
        let step = progress.begin(format!("核对 verifying {name}"), 1);
        let found = one.with(&stores, Verifying(&step)).await;
        let found = found.with_context(|| format!("verify {name}"))?;
        step.done(&format!("{} rows", found.rows));
        verified.push(found);
    }
    let tiers = if chosen.contains(&ReadModel::TieringTiers) {
        let step = progress.begin("核对 judging every elder once more", 0);
        let tiers = audited(&stores, place.is_running()).await;
        let tiers = tiers.context("audit the tiers")?;
        step.done(&format!("{} elders", tiers.elders));
        Some(tiers)
    } else {
        None
    };
    Ok(Verified {
        equal: verified.iter().all(Differences::is_empty)
            && tiers.as_ref().is_none_or(Tiers::as_due),
        verified,
        tiers,
    })
}

/// Audits the tiers. Where a system runs it is given the time to judge what was recorded before; what it changes while
/// everybody is judged once more is no difference, so that a difference must be found again to count.
async fn audited(stores: &Stores, running: bool) -> anyhow::Result<Tiers> {
    let pool = stores.pool("tiering")?;
    let registry = stores.log("tiering", "registry").await?;
    let own = stores.log("tiering", "tiering").await?;
    let evaluator = ReaderFollower::<Judged>::new(pool.clone());
    let written = Follower::new(pool.clone(), tiering::tiers_table::NAME, own.stream());
    let mut tiers = Tiers::default();
    for _ in 0..ATTEMPTS {
        let tip = registry.last_sequence().await?;
        if running {
            let judged = evaluator.wait_until(|judged: &Judged| judged.registry >= tip);
            // One that doesn't come to it in time is told by the number of records that wait.
            if let Ok(reached) = tokio::time::timeout(AT_REST, judged).await {
                let appended = Position::new(own.stream(), reached.appended);
                let _ = written
                    .wait_for(&appended, tokio::time::Instant::now() + AT_REST)
                    .await;
            }
        }
        let judged = Judged::read(&pool).await.map_err(DatabaseError::from)?;
        let waiting = judged.map_or(tip, |judged| tip.saturating_sub(judged.registry));
        let audit = tiering::audit::audit(&pool).await;
        tiers = Tiers::of(&audit.map_err(DatabaseError::from)?, waiting);
        if !tiers.differ() || !running {
            break;
        }
    }
    Ok(tiers)
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
        if let Some(tiers) = &self.tiers {
            text.push_str(&tiers.text());
        }
        let verdict = if self.equal {
            "一致 All is as the log says."
        } else {
            "不一致 Not all is as the log says."
        };
        format!("{rows}{text}\n{verdict}")
    }
}

impl Tiers {
    fn text(&self) -> String {
        let Some(day) = &self.day else {
            return "\n分级 No elder has been judged yet.".to_owned();
        };
        let mut text = format!(
            "\n分级 {} elders judged once more as of {day}: {} with other facts kept, {} with another tier than is due",
            self.elders, self.stale.count, self.mistaken.count
        );
        if self.differ() {
            text.push_str(&format!(" {:?}", [&self.stale.first, &self.mistaken.first]));
        }
        if self.waiting > 0 {
            text.push_str(&format!(
                "\n待评估 {} records of the registry wait to be judged: let tiering run (`eldercare up`), and verify again \
                 / 请启动系统后重新核对",
                self.waiting
            ));
        }
        text
    }
}
