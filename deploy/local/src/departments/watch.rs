//! `sharing watch`: how things stand in a division, live: a table each time that it changes, or a line for machines.

use proto::eldercare::sharing::v1::{self as pb, WatchSituationRequest};
use tonic::{Status, Streaming};

use super::Situation;
use super::live::{Lost, live};
use crate::{
    client::Client,
    output::{Output, Report as _, print_line},
};

/// Shows the situation of a division until it is interrupted. A stream that is lost is asked for again.
///
/// # Errors
/// Sharing's refusal, or a standard output that can't be written.
pub async fn watch(client: &Client, division: &str, output: Output) -> anyhow::Result<()> {
    let mut shown = None;
    live(async || follow(client, division, &mut shown, output).await).await
}

/// Shows what one stream tells; whether anybody still reads.
async fn follow(
    client: &Client,
    division: &str,
    shown: &mut Option<pb::Situation>,
    output: Output,
) -> Result<bool, Lost> {
    let mut situations = open(client, division).await.map_err(Lost::Stream)?;
    while let Some(told) = situations.message().await.map_err(Lost::Stream)? {
        let situation = told.situation.unwrap_or_default();
        // What a new stream begins with may be known.
        if shown.as_ref() == Some(&situation) {
            continue;
        }
        *shown = Some(situation.clone());
        let read = print(&Situation::of(situation), output);
        if !read.map_err(Lost::Output)? {
            return Ok(false);
        }
    }
    Ok(true)
}

async fn open(
    client: &Client,
    division: &str,
) -> Result<Streaming<pb::WatchSituationResponse>, Status> {
    let request = WatchSituationRequest {
        division_code: division.to_owned(),
    };
    let situations = client.sharing().watch_situation(request).await?;
    Ok(situations.into_inner())
}

/// Prints a situation; whether anybody still reads.
fn print(situation: &Situation, output: Output) -> anyhow::Result<bool> {
    print_line(match output {
        Output::Json => serde_json::to_string(situation)?,
        Output::Table => situation.text(),
    })
}
