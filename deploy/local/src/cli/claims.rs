//! `claims …`: service orders and why they are paid or not, entitlements, settlements, funds and figures.

use std::path::PathBuf;

use civic::{CalendarMonth, LocalDay};
use clap::{Args, Subcommand, ValueEnum};

use super::{Whom, at_least_one};

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
    /// Who is enrolled in a programme on a day, by elder
    Enrolments {
        /// The programme
        #[arg(value_name = "PROGRAMME")]
        programme: String,
        /// Those who lived in this division when they were enrolled
        #[arg(long, value_name = "CODE")]
        division: String,
        /// On this day [default: today]
        #[arg(long, value_name = "DAY")]
        on: Option<LocalDay>,
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
        /// As `claims held` shows it: refused where something else stands against the order by now
        #[arg(long, value_name = "ETAG")]
        etag: Option<String>,
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
    /// Abnormal when they were adjudicated, whatever became of them
    #[arg(long)]
    pub abnormal_at_submission: bool,
    /// To which no code was given, or that wait
    #[arg(long, conflicts_with_all = ["code", "abnormal_at_submission"])]
    pub without_code: bool,
    /// Never approved
    #[arg(long, conflicts_with = "approved_in")]
    pub not_approved: bool,
}

/// What becomes of an order on hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
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
    /// 项目.
    Programme,
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};

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
