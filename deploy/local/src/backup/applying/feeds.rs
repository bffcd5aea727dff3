//! Feeds, which tell departments of elders in plain words: sharing itself asks departments to erase, tells them so on their feeds,
//! and takes out what it had told, before it serves anybody. It lets nobody in meanwhile, and its database is gone afterwards.

use anyhow::Context as _;
use async_nats::jetstream::stream::{LastRawMessageErrorKind, Stream};
use backing_services::Postgres;
use futures::StreamExt as _;
use serde_json::{Map, Value, json};
use service::{Application as _, Shutdown, Supervised};
use vault::Vault;

use super::Keys;
use crate::{
    backup::{FEEDS, REGISTRY, erasures, ground::Ground},
    output::Progress,
    servers::SERVICES,
};

/// Where feeds lie.
const OF_FEEDS: &str = "feed.>";

/// Where it stands how far the publisher of feeds has come in each log.
const POSITION: &str = "feeds.position";

/// Feeds that begin anew hear of what is recorded from here on: whom departments are to be asked to erase, before anybody is told of
/// anything.
pub(super) async fn begin_here(ground: &Ground) -> anyhow::Result<()> {
    let feeds = ground.server.get_stream(FEEDS).await?;
    if position(&feeds).await?.is_some() {
        return Ok(());
    }
    let mut logs = Map::new();
    for service in SERVICES {
        let name = service.to_ascii_uppercase();
        let log = ground.server.get_stream(&name).await?;
        let last = log.cached_info().state.last_sequence;
        logs.insert(name, json!({ "done": last }));
    }
    let here = json!({ "logs": logs }).to_string();
    let written = ground.server.publish(POSITION, here.into()).await?;
    written.await.context("write where feeds begin")?;
    Ok(())
}

/// Has sharing do what follows from erasures that its feeds have not heard of.
pub(super) async fn erase(ground: &Ground, keys: Keys, progress: Progress) -> anyhow::Result<()> {
    let feeds = ground.server.get_stream(FEEDS).await?;
    let Some(position) = position(&feeds).await? else {
        return Ok(());
    };
    let mut told = feeds.info_with_subjects(OF_FEEDS).await?;
    if told.next().await.transpose()?.is_none() {
        return Ok(());
    }
    let heard = position["logs"][REGISTRY]["done"].as_u64();
    let log = erasures::registry_log(&ground.server).await?;
    let last = log.cached_info().state.last_sequence;
    let from = heard.unwrap_or_default() + 1;
    if erasures::recorded(&log, from, last).await?.is_empty() {
        return Ok(());
    }
    let step = progress.begin("删除 erasing what feeds told", 0);
    let postgres = Postgres::for_tests(&ground.tools).await?;
    let settled = let_sharing_settle(ground, keys.vault, &postgres).await;
    postgres.stop().await;
    settled.context("have sharing erase what feeds told")?;
    step.done("");
    Ok(())
}

async fn let_sharing_settle(
    ground: &Ground,
    vault: Vault,
    postgres: &Postgres,
) -> anyhow::Result<()> {
    let database = postgres.fresh_database().await?;
    let settings = ground.settings("sharing", &database)?;
    let (own, clock) = (ground.sharing()?, ground.clock.clone());
    let sharing = sharing::App::beside_registry(&settings, &own, clock, vault).await?;
    let shutdown = Shutdown::new(&settings.shutdown);
    let mut tasks = Supervised::new(&shutdown);
    sharing.background().start(&mut tasks, &shutdown);
    let settled = sharing.settled(shutdown.requested());
    // Where a part of it fails the wait is given up, and the failure is told.
    tasks
        .run(async move {
            settled.await;
            anyhow::Ok(())
        })
        .await
}

/// How far the publisher of feeds has come; none where it never began.
async fn position(feeds: &Stream) -> anyhow::Result<Option<Value>> {
    match feeds.get_last_raw_message_by_subject(POSITION).await {
        Ok(message) => Ok(Some(serde_json::from_slice(&message.payload)?)),
        Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}
