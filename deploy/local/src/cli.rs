//! The arguments of the command line: what all commands have in common, and those of the small ones. The others' are in
//! the files of their names.

mod alerts;
mod backup;
mod claims;
mod elsewhere;
mod sharing;
mod streams;
mod visits;

use std::{net::SocketAddr, path::PathBuf};

use chrono::{DateTime, FixedOffset};
use civic::LocalDay;
use clap::{Args, Parser, Subcommand};

use crate::{bench::service::Role, output::Output};

pub use alerts::Alerts;
pub use backup::{Backup, Passing, Restore};
pub use claims::{Claims, FiguresBy, HoldDecision, WhichOrders};
pub use elsewhere::Elsewhere;
pub use sharing::{Audit, Credential, Feed, FeedName, Search, Sharing};
pub use streams::{LogServer, Streams};
pub use visits::{Level, Visits, Whose};

/// The elder-care platform on one machine: its sample county, its services, and the operator's commands.
#[derive(Debug, Parser)]
#[command(name = "eldercare", version, propagate_version = true)]
pub struct Cli {
    /// What all commands have in common.
    #[command(flatten)]
    pub common: Common,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Where a system keeps everything unless told otherwise.
const DATA_DIR: &str = ".eldercare";

/// What all commands have in common.
#[derive(Debug, Clone, Args)]
pub struct Common {
    /// Print tables for people, or one JSON document
    #[arg(long, global = true, value_enum, default_value_t = Output::Table)]
    pub output: Output,
    /// Where a system keeps everything [default: .eldercare; of `demo` and `replay` a temporary folder]
    #[arg(long, global = true, value_name = "DIR", env = "ELDERCARE_DATA_DIR")]
    pub data_dir: Option<PathBuf>,
    /// The NATS server program to use (2.14 or later) [default: found on this machine, else installed]
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "ELDERCARE_NATS_SERVER",
        hide_env_values = true
    )]
    pub nats_server: Option<PathBuf>,
    /// The PostgreSQL to use (15 or later): its folder of programs [default: found on this machine, else installed]
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "ELDERCARE_POSTGRES",
        hide_env_values = true
    )]
    pub postgres: Option<PathBuf>,
    /// Where programs that must be installed are kept [default: `tools` in the data folder; without one, the user's cache]
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "ELDERCARE_TOOLS",
        hide_env_values = true
    )]
    pub tools: Option<PathBuf>,
    /// A TOML file with settings of the services
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "ELDERCARE_CONFIG",
        hide_env_values = true
    )]
    pub config: Option<PathBuf>,
    /// The gRPC address of the system to speak with [default: the one that runs in the data folder]
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "ELDERCARE_ENDPOINT",
        requires = "token"
    )]
    pub endpoint: Option<String>,
    /// The token to show there
    #[arg(
        long,
        global = true,
        value_name = "JWT",
        env = "ELDERCARE_TOKEN",
        hide_env_values = true,
        requires = "endpoint"
    )]
    pub token: Option<String>,
}

impl Common {
    /// Where the system keeps everything that the command is about.
    pub fn folder(&self) -> PathBuf {
        self.data_dir.clone().unwrap_or_else(|| DATA_DIR.into())
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Play the sample county from nothing to a printed summary, compare it with what is expected, and leave nothing behind
    Demo(Demo),
    /// Load the sample county and serve until Ctrl-C
    Up(Up),
    /// Play any data set in the sample county's format on a simulated clock, and list each difference from what it expects
    Replay(Replay),
    /// Import divisions or survey workbooks
    #[command(subcommand)]
    Import(Import),
    /// Export annex 3
    #[command(subcommand)]
    Export(Export),
    /// Look at one elder's file
    #[command(subcommand)]
    Elder(Elder),
    /// Explain a tier, or try a draft policy
    #[command(subcommand)]
    Tier(Tier),
    /// Show how far elders are visited, and who was missed; plan weeks, show a visitor's day, and export annex 2
    #[command(subcommand)]
    Visits(Visits),
    /// Show alerts, the course of one, and how fast help came; watch those that are open
    #[command(subcommand)]
    Alerts(Alerts),
    /// Explain why service orders are paid or not, show who may have what, settle with providers, and show funds and figures
    #[command(subcommand)]
    Claims(Claims),
    /// What departments may see of elders, by agreement, and who has looked at what
    #[command(subcommand)]
    Sharing(Sharing),
    /// Take out the audit of sharing, and verify that no record was changed, removed or put in between
    #[command(subcommand)]
    Audit(Audit),
    /// Build read models anew from the log, beside the ones that serve, and put them in their place
    Rebuild(Projections),
    /// Build read models aside, compare them row by row with the ones that serve, and judge every elder's tier once more
    Verify(Projections),
    /// Wrap all persons' keys under a new key-encryption key and destroy the former one; the log is not touched. Elsewhere: under the
    /// one that the settings name, and the former ones (`vault.previous_keks`) are needed no more
    RotateKeys(Elsewhere),
    /// Copy all streams while the system goes on, note who was erased, and remove backups that have expired
    Backup(Backup),
    /// Put a backup back where there is nothing, and apply every erasure since before the system serves
    Restore(Restore),
    /// Measure how fast the system is on this machine, beside what the machine can do at most
    Bench(Bench),
    /// The process that a bench measures
    #[command(hide = true)]
    BenchService(BenchService),
    /// Show streams and their copies, read models, how far they are behind and who brings them on, and parked events
    Status(Elsewhere),
    /// Show a running system live: how much is written, what is behind, which alerts are open
    Top(Top),
    /// Make the streams of a cluster's log server, compare them with what is declared, and print the server's users
    #[command(subcommand)]
    Streams(Streams),
}

/// Arguments of `top`.
#[derive(Debug, Args)]
pub struct Top {
    /// Where the system is.
    #[command(flatten)]
    pub elsewhere: Elsewhere,
    /// Look for a second, print that, and end
    #[arg(long)]
    pub once: bool,
}

/// Arguments of `demo`.
#[derive(Debug, Args)]
pub struct Demo {
    /// Another data set instead of the sample county
    #[arg(long, value_name = "DIR")]
    pub county: Option<PathBuf>,
}

/// Arguments of `up`.
#[derive(Debug, Args)]
pub struct Up {
    /// Set the clock: the sample county is played until then, and the clock goes on from there
    #[arg(long, value_name = "INSTANT", value_parser = instant)]
    pub as_of: Option<DateTime<FixedOffset>>,
    /// Load nothing
    #[arg(long, conflicts_with = "county")]
    pub empty: bool,
    /// Another data set instead of the sample county
    #[arg(long, value_name = "DIR")]
    pub county: Option<PathBuf>,
    /// Where to serve gRPC; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7000", value_parser = loopback)]
    pub listen: SocketAddr,
}

/// Arguments of `replay`.
#[derive(Debug, Args)]
pub struct Replay {
    /// The folder of the data set
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
}

/// What can be imported.
#[derive(Debug, Subcommand)]
pub enum Import {
    /// Replace a county's table of divisions (code, name, level, parent)
    Divisions {
        /// A CSV file
        file: PathBuf,
    },
    /// Import survey workbooks (annex 3), one town a file
    Survey(Survey),
}

/// Arguments of `import survey`.
#[derive(Debug, Args)]
pub struct Survey {
    /// Workbooks, whose names begin with the town's code
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// The town's code, where the name of the one workbook doesn't begin with it
    #[arg(long, value_name = "CODE")]
    pub town: Option<String>,
    /// Judge every row and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Update elders who are known already
    #[arg(long)]
    pub update: bool,
    /// Print the outcome of every row too
    #[arg(long)]
    pub rows: bool,
}

/// What can be exported.
#[derive(Debug, Subcommand)]
pub enum Export {
    /// Annex 3 (汇总表) of a division as a workbook
    Summary {
        /// The division's code
        #[arg(value_name = "DIVISION")]
        division: String,
        /// The workbook to write
        #[arg(short = 'o', long = "file", value_name = "FILE")]
        file: PathBuf,
        /// The day in its heading [default: today]
        #[arg(long, value_name = "DAY")]
        on: Option<LocalDay>,
    },
}

/// Which elder.
#[derive(Debug, Clone, Args)]
#[group(required = true, multiple = false)]
pub struct Whom {
    /// The elder's id
    #[arg(value_name = "ID")]
    pub id: Option<String>,
    /// Or the ID number (身份证号); `-` reads it from standard input
    #[arg(long, value_name = "NUMBER")]
    pub id_number: Option<String>,
}

/// What can be seen of an elder.
#[derive(Debug, Subcommand)]
pub enum Elder {
    /// The file
    Show {
        /// Whose
        #[command(flatten)]
        whom: Whom,
        /// As it was known at this instant
        #[arg(long, value_name = "INSTANT", value_parser = instant)]
        as_of: Option<DateTime<FixedOffset>>,
    },
    /// Every change: who, when, what, why
    History {
        /// Whose
        #[command(flatten)]
        whom: Whom,
    },
    /// Annex 1 (摸底表) as a workbook
    Form {
        /// Whose
        #[command(flatten)]
        whom: Whom,
        /// The workbook to write
        #[arg(short = 'o', long = "file", value_name = "FILE")]
        file: PathBuf,
    },
}

/// What can be asked about tiers.
#[derive(Debug, Subcommand)]
pub enum Tier {
    /// Why an elder has this tier: each rule, each fact and the event that gave it
    Explain {
        /// Whose
        #[command(flatten)]
        whom: Whom,
        /// On this day, as known then [default: today]
        #[arg(long, value_name = "DAY")]
        on: Option<LocalDay>,
    },
    /// What a draft policy would change
    Simulate {
        /// The draft, YAML
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// The division that it is for
        #[arg(long, value_name = "CODE")]
        division: String,
    },
}

/// Which read models.
#[derive(Debug, Args)]
pub struct Projections {
    /// Their names, as `status` shows them, or `all` [default: all]
    #[arg(value_name = "PROJECTION")]
    pub names: Vec<String>,
    /// Where the system is.
    #[command(flatten)]
    pub elsewhere: Elsewhere,
}

/// Arguments of `bench`.
#[derive(Debug, Args)]
pub struct Bench {
    /// Which ones, or `all` [default: list them]
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// Do only a part of the work, for a quick look; the figures then say little
    #[arg(long, value_name = "PART", default_value_t = 1.0)]
    pub scale: f64,
}

/// Arguments of `bench-service`; its configuration is the file that `--config` names.
#[derive(Debug, Args)]
pub struct BenchService {
    /// What to be
    #[arg(value_enum)]
    pub role: Role,
}

fn at_least_one(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|number| *number > 0)
        .ok_or_else(|| "give a number from 1 on".to_owned())
}

fn instant(text: &str) -> Result<DateTime<FixedOffset>, String> {
    DateTime::parse_from_rfc3339(text)
        .map_err(|_| "give an instant like 2024-11-01T00:00:00+08:00".to_owned())
}

/// This binary serves one machine and its user, nobody else.
fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text
        .parse()
        .map_err(|_| "give an address like 127.0.0.1:7000".to_owned())?;
    if address.ip().is_loopback() {
        Ok(address)
    } else {
        Err(
            "the launcher serves this machine alone: give an address like 127.0.0.1:7000"
                .to_owned(),
        )
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn wrong_usage_ends_with_2() {
        for arguments in [
            vec!["eldercare"],
            vec!["eldercare", "up", "--listen", "0.0.0.0:7000"],
            vec!["eldercare", "up", "--as-of", "tomorrow"],
            vec!["eldercare", "elder", "show"],
            vec!["eldercare", "import", "survey"],
            vec!["eldercare", "alerts", "list"],
            vec![
                "eldercare",
                "alerts",
                "list",
                "--division",
                "350524",
                "--limit",
                "0",
            ],
            vec!["eldercare", "audit", "verify", "audit.log"],
            vec![
                "eldercare",
                "audit",
                "verify",
                "audit.log",
                "--public-key",
                "key.pem",
                "--head",
                "7",
            ],
            vec!["eldercare", "sharing", "feed", "elder.350524"],
            vec![
                "eldercare",
                "sharing",
                "feed",
                "health.elder.350524",
                "--since",
                "yesterday",
            ],
            vec!["eldercare", "sharing", "credential", "issue", "health"],
            vec!["eldercare", "sharing", "credential", "revoke", "health"],
            vec!["eldercare", "sharing", "confirm-erasure", "--as", "health"],
            vec!["eldercare", "sharing", "broken-glass"],
            vec!["eldercare", "claims", "order", "P01"],
            vec!["eldercare", "claims", "orders", "--provider", "P01"],
            vec!["eldercare", "claims", "settle", "LTCI", "P01", "2024-13"],
            vec!["eldercare", "claims", "entitlement", "LTCI"],
            vec![
                "eldercare",
                "claims",
                "figures",
                "--division",
                "350524",
                "--by",
                "weather",
            ],
            vec!["eldercare", "status", "--endpoint", "http://127.0.0.1:1"],
            vec!["eldercare", "up", "--settings", "installation.env"],
            vec!["eldercare", "backup"],
            vec!["eldercare", "backup", "b", "--prune", "--erasures-only"],
            vec!["eldercare", "backup", "b", "--without", "REGISTRY"],
            vec!["eldercare", "restore"],
            vec!["eldercare", "restore", "b", "--replicas", "3"],
        ] {
            assert_eq!(Cli::try_parse_from(arguments).unwrap_err().exit_code(), 2);
        }
    }

    #[test]
    fn an_elder_is_named_by_id_or_by_id_number() {
        assert!(Cli::try_parse_from(["eldercare", "elder", "show", "x"]).is_ok());
        assert!(
            Cli::try_parse_from([
                "eldercare",
                "tier",
                "explain",
                "--id-number",
                "x",
                "--on",
                "2024-10-01"
            ])
            .is_ok()
        );
        assert!(
            Cli::try_parse_from(["eldercare", "elder", "show", "x", "--id-number", "x"]).is_err()
        );
    }
}
