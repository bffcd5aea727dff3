//! `rebuild-all`: every read model of every service is built anew from logs of a million events, as many of each kind as in the
//! sample county, beside a COPY of the very same rows.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use backing_services::Syncing;

use crate::bench::{
    Ground, Measured,
    callers::rate,
    logs::Logs,
    raw::{self, Copied},
    service::{
        Role,
        rebuild_each::{self, CONNECTION, PEAK, REBUILT, Rebuilt},
    },
    stage::Stage,
};

/// With so many elders there are a million events.
const ELDERS: usize = 142_000;

/// A read model that keeps less than one row of so many events is bound by reading them: a COPY says nothing of that.
const ONE_ROW_OF: u64 = 100;

pub(super) async fn run(ground: &Ground) -> anyhow::Result<Vec<Measured>> {
    let mut stage = Stage::guarded(ground, "rebuild_all", Syncing::EveryTwoMinutes).await?;
    let elders = ground.scaled(ELDERS) as u64;
    let logs = Logs::filled(&stage, elders, ground.progress).await?;
    let (rebuilt, peak) = rebuild(ground, &stage).await?;

    let mut results = Vec::new();
    let (mut rebuilding, mut copying, mut rows) = (Duration::ZERO, Duration::ZERO, 0);
    for one in &rebuilt {
        let events = logs.of(&one.stream);
        stage.database = stage.postgres.ensure_database(&one.database).await?;
        let name = format!("COPY of the rows of {}", one.name);
        let step = ground.progress.begin(name, 2);
        let copied = raw::copy(&stage, &one.name, &step).await?;
        step.done(&format!("{:.1} s", copied.keys_in_place.as_secs_f64()));
        rebuilding += Duration::from_secs_f64(one.seconds);
        copying += copied.keys_in_place;
        rows += copied.rows;
        results.push(stage.note(measured(one, events, &copied)));
    }
    let (seconds, events) = (rebuilding.as_secs_f64(), logs.all());
    let all = Measured::new("rebuild-all", rate(events, seconds), "events/s")
        .limit(rate(events, copying.as_secs_f64()))
        .peak(Some(peak))
        .with("read_models", rebuilt.len())
        .with("events", events)
        .with("elders", elders)
        .with("rows", rows)
        .with_rounded("seconds", seconds)
        .with_rounded("copy_keys_in_place_seconds", copying.as_secs_f64());
    results.push(stage.note(all));
    stage.strike().await;
    Ok(results)
}

/// Has a process rebuild all of them; what came of each, and the most memory that it held.
async fn rebuild(ground: &Ground, stage: &Stage) -> anyhow::Result<(Vec<Rebuilt>, u64)> {
    let connection = stage.connection_file().await?;
    stage.leave(CONNECTION, &serde_json::to_vec(&connection)?)?;
    let mut served = stage.start(Role::RebuildAll).await?;
    let mut rebuilt = Vec::new();
    for name in rebuild_each::names()? {
        let step = ground.progress.begin(format!("rebuild {name}"), 0);
        let one: Rebuilt = served.says(REBUILT).await?.parse()?;
        ensure!(one.name == name, "{} was rebuilt, not {name}", one.name);
        ensure!(
            one.parked == 0,
            "{name} could not take in {} events",
            one.parked
        );
        step.done(&format!("{:.1} s", one.seconds));
        rebuilt.push(one);
    }
    let peak: u64 = served.says(PEAK).await?.parse().context("bytes")?;
    served.stop().await?;
    Ok((rebuilt, peak))
}

fn measured(one: &Rebuilt, events: u64, copied: &Copied) -> Measured {
    let copying = copied.keys_in_place.as_secs_f64();
    let measured = Measured::new("rebuild-all", rate(events, one.seconds), "events/s")
        .with("read_model", one.name.as_str())
        .with("events", events)
        .with("rows", copied.rows)
        .with("row_bytes", copied.bytes)
        .with_rounded("seconds", one.seconds)
        .with_rounded("copy_keys_in_place_seconds", copying)
        .with_rounded(
            "copy_keys_afterwards_seconds",
            copied.keys_afterwards.as_secs_f64(),
        );
    if copied.rows * ONE_ROW_OF < events {
        measured
    } else {
        measured.limit(rate(events, copying))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rebuilt(rows: u64) -> Measured {
        let one = Rebuilt {
            name: "visits_book".to_owned(),
            stream: "VISITS".to_owned(),
            database: "visits".to_owned(),
            seconds: 4.0,
            parked: 0,
        };
        let copied = Copied {
            rows,
            bytes: 100 * rows,
            keys_in_place: Duration::from_secs(1),
            keys_afterwards: Duration::from_secs(1),
        };
        measured(&one, 1_000, &copied)
    }

    #[test]
    fn a_copy_is_no_limit_where_few_rows_are_kept() {
        assert_eq!(rebuilt(800).ratio, Some(0.25));
        assert_eq!(rebuilt(3).ratio, None);
        assert_eq!(rebuilt(3).settings["rows"], 3);
    }
}
