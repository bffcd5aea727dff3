//! `demo` and `replay`: a system for a moment, a data set played on a simulated clock, and its figures compared.

use std::{path::Path, time::Instant};

use anyhow::Context as _;
use service::{Clock, config::Loader};

use crate::{
    cli::Common,
    client::Client,
    county::County,
    data_folder::DataFolder,
    output::Progress,
    replay::{
        self, Extent, Played,
        report::{Outcome, compare},
    },
    servers::tools,
    summary::Summary,
    system::{Start, System},
};

/// Plays a county from nothing and sums up what came out.
///
/// # Errors
/// A data set that can't be read, or a system that doesn't start or answer.
pub async fn demo(common: &Common, county: &County, progress: Progress) -> anyhow::Result<Summary> {
    let (played, outcome) = from_nothing(common, county, progress).await?;
    Ok(Summary::of(&played, outcome))
}

/// Plays a data set from nothing, and compares what came out with what it expects.
///
/// # Errors
/// As for [`demo`].
pub async fn replay(common: &Common, folder: &Path, progress: Progress) -> anyhow::Result<Outcome> {
    let county = County::open(folder).with_context(|| folder.display().to_string())?;
    Ok(from_nothing(common, &county, progress).await?.1)
}

async fn from_nothing(
    common: &Common,
    county: &County,
    progress: Progress,
) -> anyhow::Result<(Played, Outcome)> {
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
    let played = tokio::select! {
        played = replay::play(&client, county, Extent::whole(), progress) => played,
        why = system.failed() => Err(why),
    };
    // Stopped in good order even where playing failed, so that the reason is told and not its consequences.
    let stopped = system.stop().await;
    let played = played?;
    stopped?;
    let outcome = compare(county, &played, since.elapsed().as_secs_f64())?;
    Ok((played, outcome))
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
