//! The registry as a process of its own: configuration, telemetry, connect, serve, drain.

use registry::{App, RegistrySettings};
use service::{Clock, Config, Shutdown, Telemetry};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Some(config) = Config::<RegistrySettings>::from_command_line()? else {
        return Ok(());
    };
    let telemetry = Telemetry::start(&config.telemetry, "registry")?;
    let shutdown = Shutdown::on_signals(&config.shutdown)?;
    let clock = Clock::from_settings(&config)?;
    let app = App::connect(&config, &config.own, clock).await?; // no port is bound before this has succeeded
    let outcome = app.serve(&shutdown).await;
    telemetry.flush().await;
    outcome
}
