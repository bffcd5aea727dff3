//! Where a system is that runs elsewhere, for the commands that work on servers.

use std::path::PathBuf;

use clap::Args;

/// By which settings a system is reached that runs elsewhere, as in a cluster.
#[derive(Debug, Clone, Default, Args)]
pub struct Elsewhere {
    /// A file of variables, one NAME=VALUE a line, as the services' processes have them: ELDERCARE_…, and what a single service
    /// has with its name before it, as VISITS_ELDERCARE_POSTGRES__URL or VISITS_PGPASSWORD. Variables of the environment
    /// prevail [default: the environment alone, where it has such variables of services; else the data folder]
    #[arg(
        long,
        value_name = "FILE",
        env = "ELDERCARE_SETTINGS",
        hide_env_values = true
    )]
    pub settings: Option<PathBuf>,
}
