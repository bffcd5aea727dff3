//! The arguments of the command line.

use std::{net::SocketAddr, path::PathBuf};

use chrono::{DateTime, FixedOffset};
use civic::{CalendarMonth, LocalDay};
use clap::{Args, Parser, Subcommand, ValueEnum};
use sharing::audit_chain::Head;

use crate::{auditing::parse_head, bench::service::Role, output::Output};

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

/// What all commands have in common.
#[derive(Debug, Clone, Args)]
pub struct Common {
    /// Print tables for people, or one JSON document
    #[arg(long, global = true, value_enum, default_value_t = Output::Table)]
    pub output: Output,
    /// Where a system keeps everything [default: .eldercare; of `demo` and `replay` a temporary folder]
    #[arg(long, global = true, value_name = "DIR", env = "ELDERCARE_DATA_DIR")]
    pub data_dir: Option<PathBuf>,
    /// The NATS server program to use (2.12 or later) [default: found on this machine, else installed]
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
    /// Wrap all persons' keys under a new key-encryption key and destroy the former one; the log is not touched
    RotateKeys,
    /// Measure how fast the system is on this machine, beside what the machine can do at most
    Bench(Bench),
    /// The process that a bench measures
    #[command(hide = true)]
    BenchService(BenchService),
    /// Show streams, read models and how far they are behind, and parked events
    Status,
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

/// Whose visits.
#[derive(Debug, Clone, Args)]
#[group(required = true, multiple = false)]
pub struct Whose {
    /// Of all elders who were visited in this division
    #[arg(long, value_name = "CODE")]
    pub division: Option<String>,
    /// Of one elder, by id
    #[arg(long, value_name = "ID")]
    pub elder: Option<String>,
    /// Of one elder, by ID number (身份证号); `-` reads it from standard input
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

/// `visits …`
#[derive(Debug, Subcommand)]
pub enum Visits {
    /// How many of the elders in scope were visited in a month, by division
    Coverage {
        /// The division
        #[arg(long, value_name = "CODE")]
        division: String,
        /// The month, YYYY-MM [default: the current one]
        #[arg(long, value_name = "MONTH")]
        month: Option<String>,
        /// The level of the divisions to list: city, county, town or village [default: the next below]
        #[arg(long, value_name = "LEVEL")]
        by: Option<Level>,
    },
    /// Whose visit was missed when a week or month closed
    Missed {
        /// The division
        #[arg(long, value_name = "CODE")]
        division: String,
        /// The week, YYYY-Www, or month, YYYY-MM
        #[arg(long, value_name = "PERIOD")]
        period: String,
    },
    /// Plan a week: who visits whom, on which day and in which order
    Plan {
        /// The division: a county, a town or a village
        #[arg(long, value_name = "CODE")]
        division: String,
        /// The week, YYYY-Www
        #[arg(long, value_name = "WEEK")]
        week: String,
        /// Where the search turns when two ways look alike
        #[arg(long, value_name = "NUMBER", default_value_t = 0)]
        seed: u64,
        /// Show the plan as it stands, and plan nothing
        #[arg(long, conflicts_with = "seed")]
        show: bool,
    },
    /// Annex 2 (记录表) as a workbook: a form for each elder, with the visits that count
    Export {
        /// Whose
        #[command(flatten)]
        whose: Whose,
        /// The first day, YYYY-MM-DD
        #[arg(long, value_name = "DAY")]
        first_day: LocalDay,
        /// The last day, included; at most 366 days in all
        #[arg(long, value_name = "DAY")]
        last_day: LocalDay,
        /// The workbook to write
        #[arg(short = 'o', long = "file", value_name = "FILE")]
        file: PathBuf,
    },
    /// A visitor's day in the order of the route: whom to see, where, and whom to call
    Worklist {
        /// The visitor
        #[arg(long, value_name = "ID")]
        visitor: String,
        /// The day, YYYY-MM-DD
        #[arg(long, value_name = "DAY")]
        day: LocalDay,
    },
}

/// `alerts …`
#[derive(Debug, Subcommand)]
pub enum Alerts {
    /// List alerts, the latest first
    List {
        /// The division
        #[arg(long, value_name = "CODE")]
        division: String,
        /// Only those that are not over
        #[arg(long)]
        open: bool,
        /// Only those of a kind, such as SOS
        #[arg(long, value_name = "KIND")]
        kind: Option<String>,
        /// At most so many
        #[arg(long, value_name = "NUMBER", default_value_t = 50, value_parser = at_least_one)]
        limit: usize,
    },
    /// The whole course of an alert: what was heard, who was told, and how help came
    Show {
        /// The alert
        #[arg(value_name = "ID")]
        id: String,
    },
    /// The open alerts of a division, live: a table on a terminal, a line for each change otherwise
    Watch {
        /// The division
        #[arg(long, value_name = "CODE")]
        division: String,
    },
    /// How long help took, and how many alerts were false
    Figures {
        /// The division
        #[arg(long, value_name = "CODE")]
        division: String,
        /// Of alerts that were raised from this day on [default: 30 days in all]
        #[arg(long, value_name = "DAY")]
        from: Option<LocalDay>,
        /// Until this day, included [default: today]
        #[arg(long, value_name = "DAY")]
        until: Option<LocalDay>,
    },
}

/// `audit …`
#[derive(Debug, Subcommand)]
pub enum Audit {
    /// Write all records of sharing's log to a file
    Export {
        /// The file to write
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Verify such a file by the public key alone; no system is needed
    Verify {
        /// The file
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// A file with the public key, PEM; may be given again where another key signed before
        #[arg(long = "public-key", value_name = "PEM", required = true)]
        public_keys: Vec<PathBuf>,
        /// A signed head that is known from elsewhere: the file must hold all up to it
        #[arg(long, value_name = "SEQUENCE:HEX", value_parser = parse_head)]
        head: Option<(u64, Head)>,
    },
    /// The public key, and the newest signed head
    Key,
}

/// `sharing …`
#[derive(Debug, Subcommand)]
pub enum Sharing {
    /// The catalogue: every product with its fields
    Products,
    /// List agreements, the last proposed first
    Agreements {
        /// Those with this department
        #[arg(long, value_name = "DEPARTMENT")]
        department: Option<String>,
    },
    /// Propose an agreement; it grants nothing until somebody else approves it
    Propose {
        /// The terms: YAML with department, purpose, legal_basis, divisions, until, and under products each field with plain or masked
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Approve an agreement, as a reviewer
    Approve {
        /// The agreement
        #[arg(value_name = "AGREEMENT")]
        agreement: String,
    },
    /// Suspend an agreement at once, until it is approved anew
    Suspend {
        /// The agreement
        #[arg(value_name = "AGREEMENT")]
        agreement: String,
        /// Why, a short code
        #[arg(long, value_name = "CODE")]
        reason: String,
    },
    /// End an agreement for good, or turn a proposal down
    End {
        /// The agreement
        #[arg(value_name = "AGREEMENT")]
        agreement: String,
        /// Why, a short code
        #[arg(long, value_name = "CODE")]
        reason: String,
    },
    /// One elder across all services; it goes on record
    Dossier {
        /// Who
        #[command(flatten)]
        whom: Whom,
        /// As an officer of this department sees it [default: as the operator does]
        #[arg(long = "as", value_name = "DEPARTMENT")]
        department: Option<String>,
        /// Of visits, alerts and orders the newest so many of each
        #[arg(long, value_name = "NUMBER", default_value_t = 20)]
        newest: i32,
    },
    /// How things stand in a division: tiers, visits, alerts, orders and funds
    Situation {
        /// The division
        #[arg(value_name = "CODE")]
        division: String,
        /// At the end of this day [default: today]
        #[arg(long, value_name = "DAY")]
        day: Option<LocalDay>,
    },
    /// Who has looked at an elder's data, or what somebody has looked at, the last look first
    History {
        /// Looks at this elder
        #[arg(long, value_name = "ID", required_unless_present = "caller")]
        elder: Option<String>,
        /// Looks by this caller, such as officer:operator
        #[arg(long, value_name = "CALLER", conflicts_with = "elder")]
        caller: Option<String>,
        /// At most so many
        #[arg(long, value_name = "NUMBER", default_value_t = 50)]
        limit: i32,
    },
}

/// `claims …`
#[derive(Debug, Subcommand)]
pub enum Claims {
    /// A service order: where it stands, each code with its explanation, the facts that were judged, and the appeal
    Order {
        /// The provider
        #[arg(value_name = "PROVIDER")]
        provider: String,
        /// The provider's number of the order
        #[arg(value_name = "ORDER")]
        order: String,
    },
    /// List service orders, the last handed in first
    Orders {
        /// Which
        #[command(flatten)]
        which: WhichOrders,
        /// At most so many
        #[arg(long, value_name = "NUMBER", default_value_t = 50, value_parser = at_least_one)]
        limit: usize,
    },
    /// What an elder may still have of a programme in the calendar year, and why
    Entitlement {
        /// The programme
        #[arg(value_name = "PROGRAMME")]
        programme: String,
        /// Who
        #[command(flatten)]
        whom: Whom,
        /// On this day [default: today]
        #[arg(long, value_name = "DAY")]
        on: Option<LocalDay>,
    },
    /// Put together what a provider is paid for the orders approved in a month
    Settle {
        /// The programme
        #[arg(value_name = "PROGRAMME")]
        programme: String,
        /// The provider
        #[arg(value_name = "PROVIDER")]
        provider: String,
        /// The month of approval, YYYY-MM
        #[arg(value_name = "MONTH")]
        month: CalendarMonth,
        /// Confirm it too: it stands as it is from then on
        #[arg(long)]
        confirm: bool,
        /// Confirm it and record that it was paid today, by the voucher of this number
        #[arg(long, value_name = "REFERENCE")]
        pay: Option<String>,
    },
    /// What a programme's fund took in, has reserved and paid, and its last double entries
    Fund {
        /// The programme
        #[arg(value_name = "PROGRAMME")]
        programme: String,
        /// So many entries
        #[arg(long, value_name = "NUMBER", default_value_t = 20, value_parser = at_least_one)]
        entries: usize,
    },
    /// Counts and sums of service orders
    Figures {
        /// Of which
        #[command(flatten)]
        which: WhichOrders,
        /// Put together by this, the first one first; at most two [default: in all]
        #[arg(long, value_name = "GROUP", value_enum, value_delimiter = ',')]
        by: Vec<FiguresBy>,
    },
    /// Write a settlement to a file for the finance office
    Export {
        /// The programme
        #[arg(value_name = "PROGRAMME")]
        programme: String,
        /// The provider
        #[arg(value_name = "PROVIDER")]
        provider: String,
        /// The settlement's number
        #[arg(value_name = "NUMBER")]
        number: i32,
        /// The file: a sheet, or CSV where its name ends with .csv
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Approved orders against which a fact stands that was recorded later: on hold, or to be recovered
    Held {
        /// Those of elders in this division
        #[arg(long, value_name = "CODE")]
        division: String,
    },
    /// Decide on an order on hold: let it be settled, or withdraw its approval
    Hold {
        /// The provider
        #[arg(value_name = "PROVIDER")]
        provider: String,
        /// The provider's number of the order
        #[arg(value_name = "ORDER")]
        order: String,
        /// Keep it, or withdraw it
        #[arg(value_enum)]
        decision: HoldDecision,
    },
    /// Patterns in orders that a supervisor should look into
    Suspicions {
        /// Among orders about elders in this division
        #[arg(long, value_name = "CODE")]
        division: String,
        /// Of this provider
        #[arg(long, value_name = "PROVIDER")]
        provider: Option<String>,
        /// The first service day
        #[arg(long, value_name = "DAY")]
        from: LocalDay,
        /// The last service day
        #[arg(long, value_name = "DAY")]
        until: LocalDay,
    },
    /// A programme as it was defined
    Programme {
        /// Its code
        #[arg(value_name = "CODE")]
        code: String,
        /// The version [default: the newest]
        #[arg(long = "programme-version", value_name = "NUMBER")]
        number: Option<i32>,
    },
}

/// Which service orders.
#[derive(Debug, Clone, Default, Args)]
pub struct WhichOrders {
    /// Of elders who lived in this division on the service day
    #[arg(long, value_name = "CODE")]
    pub division: String,
    /// Of this programme
    #[arg(long, value_name = "PROGRAMME")]
    pub programme: Option<String>,
    /// Of this provider
    #[arg(long, value_name = "PROVIDER")]
    pub provider: Option<String>,
    /// Of this elder, by id
    #[arg(long, value_name = "ID")]
    pub elder: Option<String>,
    /// In this state, such as NOT_SETTLED; may be given again
    #[arg(long = "state", value_name = "STATE")]
    pub states: Vec<String>,
    /// To which this code was given, such as DURATION_SHORT
    #[arg(long, value_name = "CODE")]
    pub code: Option<String>,
    /// Whose service day is this one or a later one
    #[arg(long, value_name = "DAY")]
    pub from: Option<LocalDay>,
    /// Whose service day is this one or an earlier one
    #[arg(long, value_name = "DAY")]
    pub until: Option<LocalDay>,
    /// Approved in this month, YYYY-MM
    #[arg(long, value_name = "MONTH")]
    pub approved_in: Option<CalendarMonth>,
    /// Of elders who were entitled by this rule, such as LOW_INCOME
    #[arg(long, value_name = "RULE")]
    pub entitled_by: Option<String>,
}

/// What becomes of an order on hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum HoldDecision {
    /// It is settled.
    Keep,
    /// Its approval is withdrawn.
    Withdraw,
}

/// By what figures are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FiguresBy {
    /// 机构.
    Provider,
    /// 服务月份.
    ServiceMonth,
    /// 审核月份.
    ApprovalMonth,
    /// 待遇类别.
    EntitledBy,
    /// 异常代码.
    Code,
    /// 区划, one level below the one that is named.
    Division,
}

/// A level of divisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Level {
    /// 市.
    City,
    /// 县.
    County,
    /// 乡镇、街道.
    Town,
    /// 村、社区.
    Village,
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
    /// Their names, as `status` shows them [default: all]
    #[arg(value_name = "PROJECTION")]
    pub names: Vec<String>,
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

    fn claims(arguments: &[&str]) -> Claims {
        let arguments = ["eldercare", "claims"]
            .into_iter()
            .chain(arguments.iter().copied());
        let Command::Claims(claims) = Cli::try_parse_from(arguments).unwrap().command else {
            panic!("the command is another");
        };
        claims
    }

    #[test]
    fn a_settlement_is_named_by_programme_provider_and_month() {
        let Claims::Settle {
            provider,
            month,
            confirm,
            pay,
            ..
        } = claims(&["settle", "LTCI", "P01", "2024-02", "--pay", "V-7"])
        else {
            panic!("the command is another");
        };
        assert_eq!((provider.as_str(), confirm), ("P01", false));
        assert_eq!(month, "2024-02".parse().unwrap());
        assert_eq!(pay.as_deref(), Some("V-7"));
    }

    #[test]
    fn orders_and_figures_are_narrowed_down_in_the_same_way() {
        let narrowed = [
            "--division",
            "350524",
            "--provider",
            "P01",
            "--state",
            "NOT_SETTLED",
            "--state",
            "APPROVED",
        ];
        let Claims::Orders { which, limit } = claims(&[&["orders"], &narrowed[..]].concat()) else {
            panic!("the command is another");
        };
        assert_eq!((which.division.as_str(), limit), ("350524", 50));
        assert_eq!(which.states, ["NOT_SETTLED", "APPROVED"]);
        let by = ["--by", "provider", "--by", "approval-month"];
        for by in [&by[..], &["--by", "provider,approval-month"]] {
            let arguments = [&["figures"], &narrowed[..], by].concat();
            let Claims::Figures { which, by } = claims(&arguments) else {
                panic!("the command is another");
            };
            assert_eq!(which.provider.as_deref(), Some("P01"));
            assert_eq!(by, [FiguresBy::Provider, FiguresBy::ApprovalMonth]);
        }
    }

    #[test]
    fn whose_entitlement_it_is_is_named_by_id_or_by_id_number() {
        for whom in [&["she"][..], &["--id-number", "1"]] {
            let arguments = [&["entitlement", "LTCI"], whom, &["--on", "2024-03-01"]].concat();
            let Claims::Entitlement {
                programme,
                whom,
                on,
            } = claims(&arguments)
            else {
                panic!("the command is another");
            };
            assert_eq!(programme, "LTCI");
            assert!(whom.id.is_some() != whom.id_number.is_some());
            assert!(on.is_some());
        }
    }
}
