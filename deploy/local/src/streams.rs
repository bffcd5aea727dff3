//! `streams`: what a cluster's log server needs before services can start, and what it must be told of its users.

use std::time::Duration;

use anyhow::Context as _;
use async_nats::jetstream;
use nats_streams::State;
use serde::Serialize;
use service::{
    Settings,
    config::Loader,
    connections,
    settings::{self, Address},
};

use crate::{
    cli::{Common, LogServer},
    nats_users,
    output::{Report, table},
};

/// How long the server may take to let us in.
const PATIENCE: Duration = Duration::from_secs(60);

/// How it is with all streams.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Streams {
    /// Whether services can stand on each.
    pub well: bool,
    /// The streams, in the order in which they are declared.
    pub streams: Vec<Stream>,
}

/// How it is with a stream.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Stream {
    /// Its name.
    pub name: String,
    /// `AS_DECLARED`, `MADE`, `CHANGED`, `ABSENT` or `DEVIATING`.
    pub state: &'static str,
    /// In what it was changed, or deviates.
    pub deviations: Vec<Deviation>,
}

/// A setting that is, or was, not as declared.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Deviation {
    /// The setting, as the server calls it.
    pub setting: &'static str,
    /// What it is, or was.
    pub found: String,
    /// What it must be.
    pub declared: String,
}

/// Makes the streams that are missing, and brings the others to what is declared where nothing can be lost by that.
///
/// # Errors
/// A server that does not answer, or refuses.
pub async fn apply(common: &Common, server: &LogServer) -> anyhow::Result<Streams> {
    let (server, copies) = reach(common, server).await?;
    Ok(Streams::of(nats_streams::apply(&server, copies).await?))
}

/// Compares the streams with what is declared.
///
/// # Errors
/// A server that does not answer, or refuses.
pub async fn check(common: &Common, server: &LogServer) -> anyhow::Result<Streams> {
    let (server, copies) = reach(common, server).await?;
    Ok(Streams::of(nats_streams::check(&server, copies).await?))
}

/// The users, what each may do, and what others are offered, for the server's configuration. Passwords and keys are variables
/// of the server's environment.
pub fn accounts() -> String {
    let password = |user: &str| format!("NATS_{}_PASSWORD", user.to_uppercase());
    let issuer = "NATS_AUTH_ISSUER".to_owned();
    let sealing = "NATS_AUTH_XKEY".to_owned();
    let access = nats_users::server_access(password, issuer, sealing);
    let head = "# Printed by `eldercare streams accounts` from deploy/streams.yaml: change that, and print it again.\n";
    format!("{head}{}", access.server_template())
}

/// The server that the command line names, or else the settings that services would have.
async fn reach(common: &Common, server: &LogServer) -> anyhow::Result<(jetstream::Context, usize)> {
    let loader = Loader::from_process(common.config.as_deref())?;
    let nats = settings_to_reach(&loader, server.nats.as_deref())?.nats;
    let copies = server.replicas.unwrap_or(nats.replicas);
    Ok((jetstream::new(come_in("streams", &nats).await?), copies))
}

/// The settings that services would have, with the server that the command line names.
pub(crate) fn settings_to_reach(loader: &Loader, url: Option<&str>) -> anyhow::Result<Settings> {
    let mut settings = loader.load::<()>()?.common;
    let nats = &mut settings.nats;
    if let Some(url) = url {
        nats.url = Address::new(url);
    }
    if nats.user.is_some() && nats.inbox_prefix.is_none() {
        nats.inbox_prefix = nats.user.as_deref().map(nats_access::inbox_prefix);
    }
    Ok(settings)
}

/// A connection to a cluster's log server, as an operator's command has.
pub(crate) async fn come_in(
    command: &'static str,
    nats: &settings::Nats,
) -> anyhow::Result<async_nats::Client> {
    let connecting = connections::nats(command, nats);
    let client = tokio::time::timeout(PATIENCE, connecting).await;
    let client = client.with_context(|| format!("NATS at {} does not let us in", nats.url))?;
    Ok(client?)
}

/// The first stream on which no service can stand, and in what it deviates.
pub(crate) fn unfit(states: &[(&'static str, State)]) -> Option<(&'static str, String)> {
    let (stream, state) = states.iter().find(|(_, state)| !state.is_well())?;
    let deviations = state.deviations().iter().map(ToString::to_string);
    let told: Vec<_> = deviations.collect();
    Some((*stream, told.join("; ")))
}

impl Streams {
    fn of(states: Vec<(&'static str, State)>) -> Self {
        let streams = states.iter().map(|(name, state)| Stream::of(name, state));
        Self {
            streams: streams.collect(),
            well: states.iter().all(|(_, state)| state.is_well()),
        }
    }
}

impl Stream {
    fn of(name: &str, state: &State) -> Self {
        let deviations = state.deviations().iter().map(|deviation| Deviation {
            setting: deviation.setting,
            found: deviation.found.clone(),
            declared: deviation.declared.clone(),
        });
        Self {
            name: name.to_owned(),
            state: match state {
                State::AsDeclared => "AS_DECLARED",
                State::Made => "MADE",
                State::Changed(_) => "CHANGED",
                State::Absent => "ABSENT",
                State::Deviating(_) => "DEVIATING",
            },
            deviations: deviations.collect(),
        }
    }
}

impl Report for Streams {
    fn text(&self) -> String {
        let mut streams = table(["流 stream", "状态 state", "差异 setting: found → declared"]);
        for stream in &self.streams {
            let deviations = stream.deviations.iter().map(|deviation| {
                let Deviation {
                    setting,
                    found,
                    declared,
                } = deviation;
                format!("{setting}: {found} → {declared}")
            });
            let deviations: Vec<_> = deviations.collect();
            let name = stream.name.as_str();
            streams.add_row([name, stream.state, &deviations.join("\n")]);
        }
        streams.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cluster_has_the_users_that_are_declared() {
        let of_cluster = include_str!("../../../k8s/base/nats/accounts.conf");
        assert_eq!(accounts(), of_cluster);
    }
}
