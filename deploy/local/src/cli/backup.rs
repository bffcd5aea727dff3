//! `backup` and `restore`: copies of a system's streams, and a system put back from one.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::at_least_one;

/// A stream that may be left out: what lies there can be read by whoever has the copy, and goes by itself in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Passing {
    /// What devices sent, with the places of people
    #[value(name = "SIGNALS")]
    Signals,
    /// What departments were told
    #[value(name = "FEEDS")]
    Feeds,
}

impl Passing {
    /// The stream's name.
    #[must_use]
    pub fn stream(self) -> &'static str {
        match self {
            Self::Signals => "SIGNALS",
            Self::Feeds => "FEEDS",
        }
    }
}

/// Arguments of `backup`.
#[derive(Debug, Args)]
pub struct Backup {
    /// The folder of backups: each has a folder of its own there, beside `erasures.json`, which names who was erased
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// Leave a stream out in which data can be read
    #[arg(long, value_name = "STREAM")]
    pub without: Vec<Passing>,
    /// Take no backup: only note in `erasures.json` who was erased since it was written
    #[arg(long, conflicts_with_all = ["without", "prune"])]
    pub erasures_only: bool,
    /// Take no backup: only remove those that have expired
    #[arg(long, conflicts_with_all = ["without", "nats"])]
    pub prune: bool,
    /// A cluster's log server, or several separated by commas; how to come in there the section `nats` of the settings says
    /// [default: the log of the data folder]
    #[arg(long, value_name = "URL")]
    pub nats: Option<String>,
}

/// Arguments of `restore`.
#[derive(Debug, Args)]
pub struct Restore {
    /// The folder of one backup
    #[arg(value_name = "BACKUP")]
    pub backup: PathBuf,
    /// The keys of the system that was backed up, its `keys.toml` [default: the one in the data folder]
    #[arg(long, value_name = "FILE", conflicts_with = "nats")]
    pub keys: Option<PathBuf>,
    /// Who was erased since the backup was taken [default: `erasures.json` beside the backup]
    #[arg(long, value_name = "FILE")]
    pub erasures: Option<PathBuf>,
    /// Restore without such a file: whoever was erased since the backup was taken is there again
    #[arg(long, conflicts_with = "erasures")]
    pub erasures_unknown: bool,
    /// Leave a stream out, which then begins anew beyond all former positions
    #[arg(long, value_name = "STREAM")]
    pub without: Vec<Passing>,
    /// Restore a backup that has expired, too
    #[arg(long)]
    pub even_expired: bool,
    /// Restore into a cluster's log server, which has none of the streams yet [default: into the data folder, which is empty]
    #[arg(long, value_name = "URL")]
    pub nats: Option<String>,
    /// How many copies there are of each stream [default: nats.replicas of the settings]
    #[arg(long, value_name = "NUMBER", requires = "nats", value_parser = at_least_one)]
    pub replicas: Option<usize>,
}
