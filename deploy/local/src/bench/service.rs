//! The process that a bench measures: one service alone, as in production, so that memory and time are its own.

pub(super) mod bare;
mod bare_append;
mod claims_by_hand;
mod one_method;
pub(super) mod rebuild_each;

use std::{io::Read as _, path::Path, time::Instant};

use anyhow::Context as _;
use clap::ValueEnum;
use registry::RegistrySettings;
use service::{
    Application, Clock, Config, Section, Shutdown, Telemetry, application, config::Loader,
};

use super::processes::peak_rss;

/// What a process of a bench is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// The registry.
    Registry,
    /// Tiering.
    Tiering,
    /// Visits; it asks the registry for keys.
    Visits,
    /// Alerts; they ask the registry for keys.
    Alerts,
    /// Claims, whose clock can be moved; they ask the registry for keys.
    Claims,
    /// Sharing; it asks the registry for keys.
    Sharing,
    /// A bare gRPC server with the query of GetElder and nothing else.
    Bare,
    /// A bare gRPC server that publishes a record for each call and does nothing else.
    BareAppend,
    /// Rebuilds the registry's read model, and ends.
    Rebuild,
    /// Rebuilds every read model of every service, one after the other, and ends.
    RebuildAll,
}

impl Role {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Registry => "registry",
            Self::Tiering => "tiering",
            Self::Visits => "visits",
            Self::Alerts => "alerts",
            Self::Claims => "claims",
            Self::Sharing => "sharing",
            Self::Bare => "bare",
            Self::BareAppend => "bare-append",
            Self::Rebuild => "rebuild",
            Self::RebuildAll => "rebuild-all",
        }
    }
}

/// Serves until standard input is closed. Says `ready` with its address once all that it catches up with is done.
///
/// # Errors
/// Whatever keeps the service from starting or running.
pub async fn serve(role: Role, config: &Path) -> anyhow::Result<()> {
    let loader = Loader::from_process(Some(config))?;
    match role {
        Role::Registry => serve_alone::<registry::App>(loader.load()?).await,
        Role::Tiering => serve_alone::<tiering::App>(loader.load()?).await,
        Role::Visits => serve_alone::<visits::App>(loader.load()?).await,
        Role::Alerts => serve_alone::<alerts::App>(loader.load()?).await,
        Role::Claims => {
            let config = loader.load()?;
            let (shutdown, clock) = begin(&config)?;
            claims_by_hand::serve(config, clock, &shutdown).await
        }
        Role::Sharing => serve_alone::<sharing::App>(loader.load()?).await,
        Role::Rebuild => rebuild(loader.load()?).await,
        Role::RebuildAll => {
            let (_, clock) = begin(&loader.load::<RegistrySettings>()?)?;
            rebuild_each::run(&loader, config, &clock).await
        }
        Role::BareAppend => {
            let settings = loader.load::<()>()?.common;
            bare_append::serve(&settings, &closing(&settings)).await
        }
        Role::Bare => {
            let settings = loader.load::<()>()?.common;
            bare::serve(&settings, config, &closing(&settings)).await
        }
    }
}

async fn serve_alone<A: Application>(config: Config<A::Own>) -> anyhow::Result<()> {
    let (shutdown, clock) = begin(&config)?;
    let app = A::connect(&config, &config.own, clock).await?;
    let started = application::start(&app, &config, &shutdown).await?;
    let (address, ready) = (started.address(), app.settled(shutdown.requested()));
    tokio::spawn(async move {
        ready.await;
        println!("ready {address}");
    });
    started.serve().await
}

/// Rebuilds as `eldercare rebuild` does, and says how many seconds it took and how much memory.
async fn rebuild(config: Config<RegistrySettings>) -> anyhow::Result<()> {
    let (_, clock) = begin(&config)?;
    let app = registry::App::connect(&config, &config.own, clock).await?;
    println!("ready");
    let since = Instant::now();
    readmodel::rebuild(&app.pool(), app.log(), app.projection(), |_| {}).await?;
    println!("seconds {}", since.elapsed().as_secs_f64());
    println!("peak {}", peak_rss("/proc/self/status").unwrap_or_default());
    Ok(())
}

fn begin<S: Section>(config: &Config<S>) -> anyhow::Result<(Shutdown, Clock)> {
    // Runs to the end of the process; nothing is exported.
    let _telemetry = Telemetry::start(&config.telemetry, S::NAME)?;
    let clock = Clock::from_settings(config).context("the clock")?;
    Ok((closing(config), clock))
}

/// Goes down when standard input is closed, as it is when the bench ends, however it ends.
fn closing(settings: &service::Settings) -> Shutdown {
    let shutdown = Shutdown::new(&settings.shutdown);
    std::thread::spawn({
        let shutdown = shutdown.clone();
        move || {
            let _ = std::io::stdin().read_to_end(&mut Vec::new());
            shutdown.request();
        }
    });
    shutdown
}
