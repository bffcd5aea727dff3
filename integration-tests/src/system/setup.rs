//! How a system is set up: what the clock says, what it has of its own, and which services run.

use std::net::SocketAddr;

use backing_services::Syncing;
use chrono::{DateTime, Utc};

use crate::{at, process::Part, trust::Asked};

/// How a system is set up.
#[derive(Debug)]
pub struct Setup {
    /// What the clock says at the start. It stands still until it is moved.
    pub as_of: DateTime<Utc>,
    /// A PostgreSQL of its own, for stories that kill it or look into its files.
    pub own_postgres: bool,
    /// Whether three servers keep the log together, instead of one.
    pub cluster: bool,
    /// When the log's servers write through to the disk. Where it is always, as in the clusters of `k8s/`, services gather what they
    /// write.
    pub syncing: Syncing,
    /// Whose certificates are asked for, where the log's server and the databases', which is the system's own then, are to speak
    /// TLS; they speak plainly unless it is said.
    pub tls: Option<Asked>,
    /// Where the processes send traces and metrics; nowhere unless it is said.
    pub collector: Option<String>,
    /// Whether processes are replaced by others while callers go on: callers reach all replicas of a part, and services the registry
    /// at an address that stays. All parts run.
    pub rolling: bool,
    /// Whether a data set is replayed on the clocks of the processes: visits tell alerts of those who were missed, and the clock of
    /// alerts stops wherever something falls due. Both run.
    pub replayed: bool,
    /// How many calls and streams that are not urgent each process takes at once; as many as usual unless it is said.
    pub calls: Option<usize>,
    /// Whether the sample county's table of divisions is imported.
    pub divisions: bool,
    /// Whether visits run too, in a process of their own.
    pub visits: bool,
    /// Where visits tell of those who were missed; nobody is told where there is nobody.
    pub alerts: Option<SocketAddr>,
    /// Whether alerts run too, in a process of their own.
    pub homes: bool,
    /// Whether claims run too, in a process of their own.
    pub claims: bool,
    /// Whether sharing runs too, in a process of its own, and departments may come in to the log's server. It reads the logs of
    /// all others, which must run.
    pub sharing: bool,
}

impl Setup {
    /// The parts that run.
    pub(super) fn parts(&self) -> Vec<Part> {
        let runs = |part: &Part| match part {
            Part::Elders => true,
            Part::Visits => self.visits,
            Part::Alerts => self.homes,
            Part::Claims => self.claims,
            Part::Sharing => self.sharing,
        };
        Part::ALL.into_iter().filter(runs).collect()
    }

    /// The usual one with visits beside registry and tiering.
    pub fn with_visits() -> Self {
        Self {
            visits: true,
            ..Self::default()
        }
    }

    /// All but sharing.
    pub fn with_all() -> Self {
        Self {
            visits: true,
            homes: true,
            claims: true,
            ..Self::default()
        }
    }

    /// All that there is.
    pub fn with_sharing() -> Self {
        Self {
            sharing: true,
            ..Self::with_all()
        }
    }

    /// The usual one with alerts beside registry and tiering.
    pub fn with_alerts() -> Self {
        Self {
            homes: true,
            ..Self::default()
        }
    }

    /// The usual one with claims beside registry and tiering.
    pub fn with_claims() -> Self {
        Self {
            claims: true,
            ..Self::default()
        }
    }
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            as_of: at("2024-10-01T09:00:00+08:00"),
            own_postgres: false,
            cluster: false,
            syncing: Syncing::EveryTwoMinutes,
            tls: None,
            collector: None,
            rolling: false,
            replayed: false,
            calls: None,
            divisions: true,
            visits: false,
            alerts: None,
            homes: false,
            claims: false,
            sharing: false,
        }
    }
}
