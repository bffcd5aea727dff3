//! `alerts …`: lists, the course of one, those that are open as they change, and how fast help came.

use civic::LocalDay;
use clap::Subcommand;

use super::at_least_one;

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
