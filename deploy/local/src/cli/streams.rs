//! `streams …`: the streams of a cluster's log server, and its users.

use clap::{Args, Subcommand};

use super::at_least_one;

/// `streams …`
#[derive(Debug, Subcommand)]
pub enum Streams {
    /// Make the streams that are missing, and bring the others to what is declared where nothing can be lost by that
    Apply(LogServer),
    /// Compare the streams with what is declared, and name each setting that is otherwise
    Check(LogServer),
    /// Print the users and what each may do, for the configuration of the server
    Accounts,
}

/// Which server; how to come in there the section `nats` of the settings says, as for a service.
#[derive(Debug, Args)]
pub struct LogServer {
    /// The server, or several separated by commas [default: nats.url of the settings]
    #[arg(long, value_name = "URL")]
    pub nats: Option<String>,
    /// How many copies there are of each stream [default: nats.replicas of the settings]
    #[arg(long, value_name = "NUMBER", value_parser = at_least_one)]
    pub replicas: Option<usize>,
}
