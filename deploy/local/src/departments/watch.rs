//! `sharing watch`: how things stand in a division, live: a table each time that it changes, or a line for machines.

use std::time::Duration;

use proto::eldercare::sharing::v1::{self as pb, WatchSituationRequest};
use tonic::{Status, Streaming};

use super::Situation;
use crate::{
    client::{Client, in_words, is_passing, is_torn},
    output::{Output, Report as _, print_line},
};

/// Before a lost stream is asked for again.
const AGAIN: Duration = Duration::from_secs(1);

/// Shows the situation of a division until it is interrupted. A stream that is lost is asked for again.
///
/// # Errors
/// Sharing's refusal, or a standard output that can't be written.
pub async fn watch(client: &Client, division: &str, output: Output) -> anyhow::Result<()> {
    let mut shown = None;
    loop {
        match follow(client, division, &mut shown, output).await {
            // Nobody reads any more.
            Ok(false) => return Ok(()),
            Ok(true) => {}
            Err(Lost::Stream(status)) if is_passing(status.code()) || is_torn(&status) => {}
            Err(Lost::Stream(status)) => return Err(in_words(&status)),
            Err(Lost::Output(error)) => return Err(error),
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Why nothing more is shown.
enum Lost {
    Stream(Status),
    Output(anyhow::Error),
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
