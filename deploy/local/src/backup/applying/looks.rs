//! Looks at personal data on their way to sharing: its log is copied after them, and may hold some of them already.

use anyhow::Context as _;
use eventlog::{Aggregate as _, Position};
use futures::StreamExt as _;
use prost::Message as _;
use proto::eldercare::log::v1 as log;
use sharing::look::Looks;

use crate::backup::{ACCESS, SHARING, ground::Ground, manifest::Backup};

/// Takes out what sharing had moved into its log by the time when that was copied. It moves them in their order, block by block, and
/// names in each record the last one that it holds; a block is called after the time at which the stream was made, which is
/// another one now, so that it would not know them again.
pub(super) async fn drop_moved(ground: &Ground, backup: &Backup) -> anyhow::Result<()> {
    let (Some((access, _)), Some(_)) = (backup.copied(ACCESS), backup.copied(SHARING)) else {
        return Ok(());
    };
    let sharing = ground.server.get_stream(SHARING).await?;
    let all = format!("eldercare.{}.{}.*", Looks::CONTEXT, Looks::NAME);
    let of_this_stream = format!("access-{}-", access.made);
    let mut subjects = sharing.info_with_subjects(all).await?;
    let mut last: Option<(u64, String)> = None;
    while let Some(subject) = subjects.next().await {
        let (subject, _) = subject?;
        let id = subject.rsplit('.').next().unwrap_or_default();
        let block = id.strip_prefix(&of_this_stream);
        let block = block.and_then(|number| number.parse::<u64>().ok());
        let highest = last.as_ref().map(|(block, _)| *block);
        if let Some(block) = block.filter(|block| Some(*block) > highest) {
            last = Some((block, subject));
        }
    }
    let Some((_, subject)) = last else {
        return Ok(());
    };
    let record = sharing.get_last_raw_message_by_subject(&subject).await?;
    let record = log::Record::decode(record.payload)?;
    let moved: Position = record.answers.parse().context("a record of looks")?;
    let access = ground.server.get_stream(ACCESS).await?;
    access.purge().sequence(moved.sequence + 1).await?;
    Ok(())
}
