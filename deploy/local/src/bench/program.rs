//! A department's own program: it shows the department's credential to the log's server, and reads its feeds there.

use std::{
    collections::HashMap,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use async_nats::{ConnectOptions, HeaderMap, Subscriber};
use eventlog::Position;
use futures::StreamExt as _;
use serde_json::json;

use super::agreed::DEPARTMENT;
use crate::{client::Client, departments};

/// How many messages it asks for at a time, and for how long.
const ASKED: usize = 1_000;
const FOR: Duration = Duration::from_secs(10);

/// When nothing comes for so long, nothing comes any more.
const PATIENCE: Duration = Duration::from_secs(300);

/// How many messages a request that has ended still waited for.
const UNMET: &str = "Nats-Pending-Messages";

/// A program that reads the department's feeds.
#[derive(Debug)]
pub(super) struct Program {
    connection: async_nats::Client,
    messages: Subscriber,
    /// Where they come.
    inbox: String,
    /// Where the department's consumer takes requests for more.
    requests: String,
    /// How many are asked for that have not come.
    awaited: usize,
}

impl Program {
    /// Has the department's credential issued, and comes in with it.
    pub(super) async fn admitted(client: &Client, server: &str) -> anyhow::Result<Self> {
        let issued = departments::issue(client, DEPARTMENT, Path::new("-")).await?;
        let password = issued.password.context("a credential has no password")?;
        let connection = ConnectOptions::with_user_and_password(issued.user, password)
            .custom_inbox_prefix(issued.inbox_prefix)
            .connect(server)
            .await
            .context("the department is not let in")?;
        let inbox = connection.new_inbox();
        Ok(Self {
            messages: connection.subscribe(inbox.clone()).await?,
            requests: format!("$JS.API.CONSUMER.MSG.NEXT.FEEDS.{}", issued.consumer),
            connection,
            inbox,
            awaited: 0,
        })
    }

    /// Reads until a feed says this by itself, such as `FeedCaughtUp`.
    pub(super) async fn until(&mut self, event: &str) -> anyhow::Result<()> {
        let event = format!("eldercare.sharing.v1.feed.{event}");
        loop {
            let (headers, _) = self.next().await?;
            if headers
                .get("ce-type")
                .is_some_and(|name| name.as_str() == event)
            {
                return Ok(());
            }
        }
    }

    /// When each record of a log came, by its sequence, once so many have.
    pub(super) async fn hears(
        mut self,
        stream: String,
        records: usize,
    ) -> anyhow::Result<HashMap<u64, Instant>> {
        let mut came = HashMap::with_capacity(records);
        while came.len() < records {
            let (headers, at) = self.next().await?;
            let Some(position) = headers.get("ce-position") else {
                continue;
            };
            let position: Position = position.as_str().parse()?;
            if position.stream == stream {
                came.entry(position.sequence).or_insert(at);
            }
        }
        Ok(came)
    }

    /// The headers of the next message, which is acknowledged, and when it came.
    async fn next(&mut self) -> anyhow::Result<(HeaderMap, Instant)> {
        let next = tokio::time::timeout(PATIENCE, self.receive()).await;
        next.context("nothing comes on the department's feeds")?
    }

    async fn receive(&mut self) -> anyhow::Result<(HeaderMap, Instant)> {
        loop {
            self.ask().await?;
            let message = self.messages.next().await;
            let message = message.context("the department was shown out")?;
            let at = Instant::now();
            let headers = message.headers.unwrap_or_default();
            if message.status.is_some() {
                // A request has ended.
                let unmet = headers
                    .get(UNMET)
                    .and_then(|unmet| unmet.as_str().parse().ok());
                self.awaited = self.awaited.saturating_sub(unmet.unwrap_or(self.awaited));
                continue;
            }
            self.awaited = self.awaited.saturating_sub(1);
            if let Some(acknowledgement) = message.reply {
                self.connection
                    .publish(acknowledgement, "+ACK".into())
                    .await?;
            }
            return Ok((headers, at));
        }
    }

    /// Asks for more before all that was asked for has come, so that nothing waits for a request.
    async fn ask(&mut self) -> anyhow::Result<()> {
        if self.awaited > ASKED / 2 {
            return Ok(());
        }
        let expires = u64::try_from(FOR.as_nanos())?;
        let request = json!({ "batch": ASKED, "expires": expires }).to_string();
        self.connection
            .publish_with_reply(self.requests.clone(), self.inbox.clone(), request.into())
            .await?;
        self.awaited += ASKED;
        Ok(())
    }
}
