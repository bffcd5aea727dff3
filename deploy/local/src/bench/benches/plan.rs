//! `plan`: a week of a county is planned, in the whole system, with the sample's elders, visitors and visits until then.

use std::time::Instant;

use civic::IsoWeek;
use proto::eldercare::visits::v1::{PlanWeekRequest, UnplannedReason, plan_entry::Planned};
use service::{Clock, config::Loader};
use uuid::Uuid;

use crate::{
    bench::{Ground, Measured},
    client::Client,
    data_folder::DataFolder,
    plans::{self, Figures, Quality},
    replay::{self, Extent},
    sample,
    system::{Start, System},
};

/// The week: the month's first share of visits is done, and the month goes on after it.
const WEEK: &str = "2024-W42";

/// At a part of the scale, one town.
const TOWN: &str = "350524100";

/// How often it is planned; the first time from nothing, then as one who plans again.
const TIMES: usize = 3;

pub(super) async fn run(ground: &Ground) -> anyhow::Result<Vec<Measured>> {
    let county = sample::county(None)?;
    let week: IsoWeek = WEEK.parse()?;
    let start = Start {
        tools: ground.tools.clone(),
        folder: DataFolder::kept(&ground.folder)?,
        loader: Loader::from_process(None)?,
        // The day of the survey: from the year's beginning on, thousands of birthdays would be judged first.
        clock: Clock::stopped_at(county.set.import_as_of.start()),
        listen: ([127, 0, 0, 1], 0).into(),
    };
    let mut system = System::start(start, ground.progress).await?;
    let client = Client::new(&system.connection())?;
    let until_then = Extent {
        after: None,
        until: Some(week.first_day().start()),
        reads: false,
    };
    let division = if ground.scale < 1.0 {
        TOWN
    } else {
        county.set.county.as_str()
    };
    let measured = tokio::select! {
        measured = async {
            replay::play(&client, &county, until_then, ground.progress).await?;
            measure(&client, division, ground).await
        } => measured,
        why = system.failed() => Err(why),
    };
    let stopped = system.stop().await;
    let measured = measured?;
    stopped?;
    Ok(vec![measured])
}

async fn measure(client: &Client, division: &str, ground: &Ground) -> anyhow::Result<Measured> {
    let step = ground.progress.begin("PlanWeek", TIMES as u64);
    let first = timed(client, division).await?;
    step.advance(1);
    let mut again = Vec::with_capacity(TIMES - 1);
    for _ in 1..TIMES {
        again.push(timed(client, division).await?.seconds);
        step.advance(1);
    }
    step.done(&format!("{:.2} s", first.seconds));
    anyhow::ensure!(
        first.quality.plan < first.quality.nearest_visitor,
        "the plan is no better than going to the nearest each time"
    );
    anyhow::ensure!(
        first.left_over == 0,
        "{} visits are given to nobody for want of capacity, which the sample has enough of",
        first.left_over
    );
    let slowest_again = again.into_iter().fold(0.0, f64::max);
    let measured = Measured::new("plan", first.seconds, "s")
        .with("division", division)
        .with("week", WEEK)
        .with("entries", first.entries)
        .with("left_for_want_of_capacity", first.left_over)
        .with_rounded("planned_again_s", slowest_again)
        .with("weekly_unassigned", first.quality.weekly_unassigned);
    let measured = with_figures(measured, "plan", &first.quality.plan);
    let measured = with_figures(measured, "nearest", &first.quality.nearest_visitor);
    Ok(match &first.quality.load {
        Some(load) => measured
            .with("load_idle", load.idle)
            .with("load_full", load.full)
            .with_rounded("load_median_percent", load.median_percent)
            .with_rounded("load_ninth_decile_percent", load.ninth_decile_percent)
            .with_rounded("load_deviation_percent", load.deviation_percent)
            .with("load_by_day", load.by_day.clone()),
        None => measured,
    })
}

fn with_figures(measured: Measured, of: &str, figures: &Figures) -> Measured {
    measured
        .with(&format!("{of}_unassigned"), figures.unassigned)
        .with(&format!("{of}_pairings_broken"), figures.pairings_broken)
        .with(&format!("{of}_other_village"), figures.other_village)
        .with(&format!("{of}_travel_metres"), figures.travel_metres)
}

/// A plan that was made.
struct Timed {
    /// From the request to the plan.
    seconds: f64,
    entries: usize,
    /// Visits given to nobody for want of capacity.
    left_over: usize,
    quality: Quality,
}

async fn timed(client: &Client, division: &str) -> anyhow::Result<Timed> {
    let request = PlanWeekRequest {
        request_id: Uuid::now_v7().to_string(),
        division_code: division.to_owned(),
        week: WEEK.to_owned(),
        ..Default::default()
    };
    let since = Instant::now();
    let (quality, plan) = plans::made(client, request, |_| {}).await?;
    let seconds = since.elapsed().as_secs_f64();
    let left_over = plan.entries.iter().filter(|entry| {
        let full = UnplannedReason::CapacityExhausted.into();
        entry.planned == Some(Planned::Unplanned(full))
    });
    Ok(Timed {
        seconds,
        entries: plan.entries.len(),
        left_over: left_over.count(),
        quality: quality.ok_or_else(|| anyhow::anyhow!("planning told no figures"))?,
    })
}
