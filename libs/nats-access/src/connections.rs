//! Ends the connections of those who may speak to the NATS server no longer.

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_nats::{Client, Message, StatusCode};
use chrono::{DateTime, Utc};
use futures::StreamExt as _;
use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

/// All servers tell here which connections they have.
const ASK_ALL: &str = "$SYS.REQ.SERVER.PING.CONNZ";

/// How many connections of a user a server tells in one go.
const AT_MOST: u32 = 1_024;

/// How long the first server may take, and the next after each.
const FIRST_WITHIN: Duration = Duration::from_secs(3);
const NEXT_WITHIN: Duration = Duration::from_millis(500);

/// Whoever was let in by an answer that was under way is there by then: the server waits no longer for one.
const ANSWERED_BY: Duration = Duration::from_secs(3);

/// Before servers that were away are asked again.
const AGAIN: Duration = Duration::from_millis(200);

/// The connections of all users to all servers, over NATS and MQTT.
#[derive(Debug, Clone)]
pub struct Connections {
    system: Client,
}

/// The servers could not be asked.
#[derive(Debug, thiserror::Error)]
#[error("connections can't be cut: {0}")]
struct Away(String);

fn away(error: impl std::fmt::Display) -> Away {
    Away(error.to_string())
}

#[derive(Serialize)]
struct Ask<'a> {
    user: &'a str,
    auth: bool,
    limit: u32,
}

#[derive(Deserialize)]
struct Told {
    server: Server,
    data: Listed,
}

#[derive(Deserialize)]
struct Server {
    id: String,
}

#[derive(Deserialize)]
struct Listed {
    now: DateTime<Utc>,
    #[serde(default)]
    connections: Vec<One>,
}

#[derive(Serialize, Deserialize)]
struct One {
    cid: u64,
    #[serde(skip_serializing)]
    start: DateTime<Utc>,
}

/// When servers told which connections they have, each by its own clock.
type Looked = HashMap<String, DateTime<Utc>>;

impl Connections {
    /// Over a client whose user is of the system account (`system` of [`crate::ServerAccess`]).
    #[must_use]
    pub fn new(system: Client) -> Self {
        Self { system }
    }

    /// Ends all connections of the user that a [`crate::Grant`] calls so, at once; the admission must refuse that user by
    /// then, or want another password. It returns, with how many were ended, when nobody can be left who was let in just before:
    /// after some four seconds. Whoever comes in meanwhile stays. Servers that are away are waited for.
    pub async fn cut_off(&self, user: &str) -> usize {
        let (ended, looked) = self.cut(user, &Looked::new()).await;
        tokio::time::sleep(ANSWERED_BY).await;
        // Whoever came after the first look was judged as the admission judges now.
        let (stragglers, _) = self.cut(user, &looked).await;
        ended + stragglers
    }

    /// Cuts off whoever is named, `at_once` at once, until stopped: `user` says what [`Connections::cut_off`] calls them, and
    /// `after` does what is left to do for each, told how many connections were ended.
    pub async fn show_out<Name, Done>(
        self,
        mut named: mpsc::UnboundedReceiver<Name>,
        at_once: usize,
        user: fn(&Name) -> String,
        after: impl Fn(Name, usize) -> Done + Send + Sync + 'static,
        stopped: CancellationToken,
    ) where
        Name: Send + 'static,
        Done: Future<Output = ()> + Send + 'static,
    {
        let showing_out = Arc::new((self, after));
        let places = Arc::new(Semaphore::new(at_once));
        let showing = async {
            while let Some(name) = named.recv().await {
                let (showing_out, places) = (Arc::clone(&showing_out), Arc::clone(&places));
                let user = user(&name);
                tokio::spawn(async move {
                    let _place = places.acquire_owned().await;
                    let (connections, after) = &*showing_out;
                    let ended = connections.cut_off(&user).await;
                    after(name, ended).await;
                });
            }
        };
        stopped.run_until_cancelled(showing).await;
    }

    /// Ends the connections that began before their server was looked at, or all where it was not; how many, and when servers were
    /// looked at now.
    async fn cut(&self, user: &str, before: &Looked) -> (usize, Looked) {
        loop {
            match self.try_cut(user, before).await {
                Ok(cut) => return cut,
                Err(error) => tracing::warn!(%error, "who may speak no longer is cut off later"),
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    async fn try_cut(&self, user: &str, before: &Looked) -> Result<(usize, Looked), Away> {
        let ask = Ask {
            user,
            auth: true,
            limit: AT_MOST,
        };
        let ask = serde_json::to_vec(&ask).map_err(away)?;
        let inbox = self.system.new_inbox();
        let mut servers = self.system.subscribe(inbox.clone()).await.map_err(away)?;
        self.system
            .publish_with_reply(ASK_ALL, inbox, ask.into())
            .await
            .map_err(away)?;
        let (mut ended, mut looked) = (0, Looked::new());
        let mut within = FIRST_WITHIN;
        // How many servers there are nobody knows: the last is the one after which none answers.
        while let Ok(Some(answer)) = tokio::time::timeout(within, servers.next()).await {
            let Told { server, data } = told(&answer)?;
            let since = before.get(&server.id);
            let began_before = |one: &&One| since.is_none_or(|since| one.start <= *since);
            for connection in data.connections.iter().filter(began_before) {
                self.end(&server, connection).await?;
                ended += 1;
            }
            looked.insert(server.id, data.now);
            within = NEXT_WITHIN;
        }
        if within == FIRST_WITHIN {
            return Err(away("no server answers"));
        }
        Ok((ended, looked))
    }

    /// Ends a connection to a server.
    async fn end(&self, server: &Server, connection: &One) -> Result<(), Away> {
        let kick = format!("$SYS.REQ.SERVER.{}.KICK", server.id);
        let which = serde_json::to_vec(connection).map_err(away)?;
        let ended = self.system.request(kick, which.into()).await;
        ended.map(drop).map_err(away)
    }
}

/// The connections that a server tells of.
fn told(answer: &Message) -> Result<Told, Away> {
    if answer.status == Some(StatusCode::NO_RESPONDERS) {
        return Err(away("no server listens to this user"));
    }
    serde_json::from_slice(&answer.payload).map_err(away)
}
