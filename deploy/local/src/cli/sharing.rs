//! `sharing …` and `audit …`: what departments may see of elders, who has looked at what, and the records of it.

use std::path::PathBuf;

use civic::LocalDay;
use clap::{Args, Subcommand};
use sharing::audit_chain::Head;

use super::Whom;
use crate::auditing::parse_head;

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
    /// Find elders by what all services know of them; each page goes on record
    Find(Search),
    /// How things stand in a division: tiers, visits, alerts, orders and funds
    Situation {
        /// The division
        #[arg(value_name = "CODE")]
        division: String,
        /// At the end of this day [default: today]
        #[arg(long, value_name = "DAY")]
        day: Option<LocalDay>,
    },
    /// How things stand in a division today, live: at once, and each time that it changes
    Watch {
        /// The division
        #[arg(value_name = "CODE")]
        division: String,
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

/// Whom `sharing find` finds: what is said holds together.
#[derive(Debug, Clone, Args)]
pub struct Search {
    /// Who live in this division; may be given again for another one [default: all that the caller works for]
    #[arg(long = "division", value_name = "CODE")]
    pub divisions: Vec<String>,
    /// Who have this tier, such as PRIORITY; may be given again
    #[arg(long = "tier", value_name = "TIER")]
    pub tiers: Vec<String>,
    /// Who have this category, such as LIVING_ALONE; may be given again
    #[arg(long = "category", value_name = "CATEGORY")]
    pub categories: Vec<String>,
    /// Who were not met, at a visit that counts, on this day or after it
    #[arg(long, value_name = "DAY")]
    pub not_visited_since: Option<LocalDay>,
    /// Who have an alert that is not over
    #[arg(long)]
    pub open_alert: bool,
    /// Who have a visit that was missed in the last 31 days, and not made up for
    #[arg(long)]
    pub missed_visit: bool,
    /// Who are enrolled in this programme
    #[arg(long, value_name = "CODE")]
    pub programme: Option<String>,
    /// As an officer of this department sees them [default: as the operator does]
    #[arg(long = "as", value_name = "DEPARTMENT")]
    pub department: Option<String>,
    /// At most so many
    #[arg(long, value_name = "NUMBER", default_value_t = 100)]
    pub limit: usize,
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
