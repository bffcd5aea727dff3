//! `sharing …` and `audit …`: what departments may see of elders, who has looked at what, and the records of it.

use std::{fmt, path::PathBuf, str::FromStr};

use chrono::{DateTime, FixedOffset};
use civic::LocalDay;
use clap::{Args, Subcommand};
use sharing::audit_chain::Head;

use super::{Whom, at_least_one, instant};
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
    /// How things stand in a division, or stood: tiers, coverage, alerts, orders and funds
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
    /// Who has looked at an elder's data, or what somebody has looked at, the last look first; that goes on record
    History {
        /// Looks at this elder
        #[arg(long, value_name = "ID", required_unless_present = "caller")]
        elder: Option<String>,
        /// Looks by this caller, such as officer:operator
        #[arg(long, value_name = "CALLER", conflicts_with = "elder")]
        caller: Option<String>,
        /// At most so many, read page by page
        #[arg(long, value_name = "NUMBER", default_value_t = 50)]
        limit: usize,
    },
    /// Why dossiers were opened beyond all agreements, as a reviewer is told it; that goes on record
    BrokenGlass {
        /// The dossiers of this elder
        #[arg(long, value_name = "ID", required_unless_present = "caller")]
        elder: Option<String>,
        /// Those that this caller opened, such as officer:operator
        #[arg(long, value_name = "CALLER", conflicts_with = "elder")]
        caller: Option<String>,
        /// Not before this day
        #[arg(long, value_name = "DAY")]
        from: Option<LocalDay>,
        /// Not after this day
        #[arg(long, value_name = "DAY")]
        until: Option<LocalDay>,
    },
    /// The feeds of the agreements in force: what each tells, and where it stands
    Feeds {
        /// Those of this department
        #[arg(long, value_name = "DEPARTMENT")]
        department: Option<String>,
    },
    /// The events of a feed, as an officer of its department sees them: a table, or a line of JSON for each
    Feed(Feed),
    /// What departments show to the NATS server to read their feeds
    #[command(subcommand)]
    Credential(Credential),
    /// The erased elders of whom departments had been told, and who has confirmed, the last one first
    Erasures {
        /// Of this department
        #[arg(long, value_name = "DEPARTMENT")]
        department: Option<String>,
        /// Only those that are not confirmed
        #[arg(long)]
        outstanding: bool,
    },
    /// Confirm that a department has erased what it held of an elder
    ConfirmErasure {
        /// The elder
        #[arg(value_name = "ID")]
        elder: String,
        /// As an officer of this department [default: as the operator]
        #[arg(long = "as", value_name = "DEPARTMENT")]
        department: Option<String>,
    },
}

/// Which events `sharing feed` shows.
#[derive(Debug, Clone, Args)]
pub struct Feed {
    /// The feed as `sharing feeds` names it, such as health.elder.350524
    #[arg(value_name = "NAME")]
    pub name: FeedName,
    /// What came out after this position, such as FEEDS:4711 [default: all that there is]
    #[arg(long, value_name = "POSITION", conflicts_with = "since")]
    pub from: Option<String>,
    /// What came out at this time or later
    #[arg(long, value_name = "INSTANT", value_parser = instant)]
    pub since: Option<DateTime<FixedOffset>>,
    /// Go on with each new event as it comes out, a line for each
    #[arg(long, conflicts_with = "limit")]
    pub follow: bool,
    /// At most so many [default: all]
    #[arg(long, value_name = "NUMBER", value_parser = at_least_one)]
    pub limit: Option<usize>,
}

/// Which feed: whose, of what, and where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FeedName {
    /// The department that it is for.
    pub department: String,
    /// The product.
    pub product: String,
    /// The division, as agreements name it.
    pub division: String,
}

impl FromStr for FeedName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split('.').collect();
        match parts[..] {
            [department, product, division] if parts.iter().all(|part| !part.is_empty()) => {
                Ok(Self {
                    department: department.to_owned(),
                    product: product.to_owned(),
                    division: division.to_owned(),
                })
            }
            _ => Err("give DEPARTMENT.PRODUCT.DIVISION, such as health.elder.350524".to_owned()),
        }
    }
}

impl fmt::Display for FeedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            department,
            product,
            division,
        } = self;
        write!(f, "{department}.{product}.{division}")
    }
}

/// `sharing credential …`
#[derive(Debug, Subcommand)]
pub enum Credential {
    /// Issue a department another one; the one before is worth nothing any more, and its connections are cut
    Issue {
        /// The department
        #[arg(value_name = "DEPARTMENT")]
        department: String,
        /// The file to write it to, which its owner alone can read; `-` prints it
        #[arg(short = 'o', long, value_name = "FILE")]
        file: PathBuf,
    },
    /// Take a department's away, and cut its connections
    Revoke {
        /// The department
        #[arg(value_name = "DEPARTMENT")]
        department: String,
        /// Why, a short code
        #[arg(long, value_name = "CODE")]
        reason: String,
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
    /// What was told on this machine of dossiers opened beyond all agreements, where the settings name nobody else who is told
    Notices,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feed_is_named_by_department_product_and_division() {
        let name: FeedName = "health.elder.350524".parse().unwrap();
        assert_eq!(name.product, "elder");
        assert_eq!(name.to_string(), "health.elder.350524");
        for wrong in [
            "",
            "health",
            "elder.350524",
            "health..350524",
            "feed.health.elder.350524",
        ] {
            assert!(wrong.parse::<FeedName>().is_err(), "{wrong}");
        }
    }
}
