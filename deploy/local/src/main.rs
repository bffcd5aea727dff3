//! The program `eldercare`: reads the command line, does what it says, and ends with 0, 1 (a difference or failed rows) or 2 (wrong usage).

use std::process::ExitCode;

use clap::Parser as _;
use eldercare::{cli::Cli, commands};

#[tokio::main]
async fn main() -> ExitCode {
    commands::run(Cli::parse()).await
}
