//! `demo` and `replay`: a system for a moment, a data set played on a simulated clock, and its figures compared.

mod dossiers;

use std::{path::Path, time::Instant};

use anyhow::Context as _;
use civic::{IsoWeek, LocalDay};
use service::{Clock, config::Loader};

use crate::{
    cli::Common,
    client::Client,
    county::County,
    data_folder::DataFolder,
    departments,
    output::Progress,
    plans::{self, WeekPlan},
    replay::{
        self, Extent, Played,
        report::{Outcome, compare},
    },
    servers::tools,
    summary::{Shared, Summary},
    system::{Start, System},
};

pub use dossiers::SeenByDepartments;

/// Plays a county from nothing and sums up what came out.
///
/// # Errors
/// A data set that can't be read, or a system that doesn't start or answer.
pub async fn demo(common: &Common, county: &County, progress: Progress) -> anyhow::Result<Summary> {
    let then = async |client: &Client, played: &Played| {
        let plan = planned(client, played, progress).await?;
        let shared = shared(client, county, played).await?;
        Ok((plan, shared))
    };
    let (played, (plan, shared), outcome) = from_nothing(common, county, progress, then).await?;
    Ok(Summary::of(&played, plan, shared, outcome))
}

/// The county's situation, and the dossier of the elder of an order that is not paid, as two departments see it.
async fn shared(client: &Client, county: &County, played: &Played) -> anyhow::Result<Shared> {
    let situation = departments::situation(client, &county.set.county, None).await?;
    let unpaid = played.claims.as_ref();
    let Some(unpaid) = unpaid.and_then(|claims| claims.unpaid.as_ref()) else {
        return Ok(Shared {
            situation,
            dossier: None,
        });
    };
    let (until, elder) = (client.now().await?, &unpaid.order.elder_id);
    let until = LocalDay::of(until).plus_days(365).to_string();
    let seen = dossiers::as_departments_see(client, &county.set.county, &until, elder);
    Ok(Shared {
        situation,
        dossier: Some(seen.await?),
    })
}

/// Plays a data set from nothing, and compares what came out with what it expects.
///
/// # Errors
/// As for [`demo`].
pub async fn replay(common: &Common, folder: &Path, progress: Progress) -> anyhow::Result<Outcome> {
    let county = County::open(folder).with_context(|| folder.display().to_string())?;
    let nothing = async |_: &Client, _: &Played| Ok(());
    Ok(from_nothing(common, &county, progress, nothing).await?.2)
}

/// The week after the last day of the data set as it is planned for the first of the county's towns.
async fn planned(
    client: &Client,
    played: &Played,
    progress: Progress,
) -> anyhow::Result<Option<WeekPlan>> {
    let towns = played
        .tiers
        .values()
        .next_back()
        .and_then(|tiers| tiers["towns"].as_object());
    let Some(town) = towns.and_then(|towns| towns.keys().next()) else {
        return Ok(None);
    };
    let today = LocalDay::of(client.now().await?);
    let week = IsoWeek::of(today.plus_days(7)).to_string();
    plans::plan(client, town, &week, 0, progress)
        .await
        .map(Some)
}

/// Plays a data set and, before the system is stopped, does what is to be done with it `then`.
async fn from_nothing<T>(
    common: &Common,
    county: &County,
    progress: Progress,
    then: impl AsyncFnOnce(&Client, &Played) -> anyhow::Result<T>,
) -> anyhow::Result<(Played, T, Outcome)> {
    let since = Instant::now();
    let folder = match &common.data_dir {
        Some(path) => empty(path)?,
        None => DataFolder::temporary()?,
    };
    let start = Start {
        tools: tools(common, Some(&folder)),
        folder,
        loader: Loader::from_process(common.config.as_deref())?,
        clock: Clock::stopped_at(county.set.facts_hold_from.start()),
        listen: ([127, 0, 0, 1], 0).into(),
    };
    let mut system = System::start(start, progress).await?;
    let client = Client::new(&system.connection())?;
    let playing = async {
        let played = replay::play(&client, county, Extent::whole(), progress).await?;
        let after = then(&client, &played).await?;
        Ok((played, after))
    };
    let played = tokio::select! {
        played = playing => played,
        why = system.failed() => Err(why),
    };
    // Stopped in good order even where playing failed, so that the reason is told and not its consequences.
    let stopped = system.stop().await;
    let (played, after) = played?;
    stopped?;
    let outcome = compare(county, &played, since.elapsed().as_secs_f64())?;
    Ok((played, after, outcome))
}

/// A data folder to play in, which must hold no system yet: its figures would be among ours.
fn empty(path: &Path) -> anyhow::Result<DataFolder> {
    if path.join("nats").exists() {
        anyhow::bail!(
            "{} holds a system already: name another folder, or leave --data-dir out for a temporary one \
             / {} 中已有系统数据：请另选目录，或省略 --data-dir 使用临时目录",
            path.display(),
            path.display()
        );
    }
    DataFolder::kept(path)
}
