//! `visits …`: coverage, who was missed, the plan of a week, a visitor's day, and annex 2.

use std::path::PathBuf;

use civic::LocalDay;
use clap::{Args, Subcommand, ValueEnum};

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
