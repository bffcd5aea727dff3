//! The program `eldercare`: reads the command line, does what it says, and ends with 0, 1 (a difference or failed rows) or 2 (wrong usage).

use std::{process::ExitCode, time::Duration};

use clap::Parser as _;
use eldercare::{cli::Cli, commands};

/// How long work that nobody waits for any more, such as an interrupted installation, may keep the program.
const LEFTOVERS: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(1);
        }
    };
    let code = runtime.block_on(commands::run(cli));
    runtime.shutdown_timeout(LEFTOVERS);
    code
}
