//! Servers for tests: one of each for all tests of a process, started when first asked for.
//!
//! Tests share a server and stay independent by having streams and databases of their own ([`Postgres::fresh_database`]).
//! A test that stops or kills a server starts its own with [`own_nats`] or [`own_postgres`].

use std::path::{Path, PathBuf};

use tokio::sync::OnceCell;

use crate::account::Account;
use crate::error::Error;
use crate::nats::{Nats, NatsOptions, Syncing};
use crate::postgres::{Postgres, PostgresOptions};
use crate::scratch;
use crate::tools::Tools;

/// How much the streams of a test's server may take on the disk, in bytes (16 GiB).
const TEST_STORE: u64 = 16 << 30;

/// Where tests find the servers' programs: `ELDERCARE_NATS_SERVER` and `ELDERCARE_POSTGRES` name them if set; what must
/// be installed goes to `ELDERCARE_TOOLS`, or else to `tools` in cargo's target folder.
pub fn tools() -> Tools {
    let folder = std::env::var_os("ELDERCARE_TOOLS")
        .map_or_else(|| target_folder().join("tools"), PathBuf::from);
    let named = |variable| {
        std::env::var_os(variable)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let mut tools = Tools::new(folder);
    tools.nats_server = named("ELDERCARE_NATS_SERVER");
    tools.postgres = named("ELDERCARE_POSTGRES");
    tools
}

/// The target folder that this program was built into: cargo marks it with a file.
fn target_folder() -> PathBuf {
    let program = std::env::current_exe().unwrap_or_default();
    let marked = program
        .ancestors()
        .find(|folder| folder.join("CACHEDIR.TAG").is_file());
    marked.map_or_else(
        || std::env::temp_dir().join("eldercare-target"),
        PathBuf::from,
    )
}

/// The NATS server that all tests of this process share. It syncs every two minutes.
///
/// # Panics
/// It could not be found, installed or started.
pub async fn nats() -> &'static Nats {
    static SHARED: OnceCell<Nats> = OnceCell::const_new();
    SHARED.get_or_init(own_nats).await
}

/// The PostgreSQL server that all tests of this process share.
///
/// # Panics
/// It could not be found, installed or started.
pub async fn postgres() -> &'static Postgres {
    static SHARED: OnceCell<Postgres> = OnceCell::const_new();
    SHARED.get_or_init(own_postgres).await
}

/// A new, empty database on the shared server: its url.
///
/// # Panics
/// The server could not be started, or refused.
pub async fn fresh_database() -> String {
    must(postgres().await.fresh_database().await)
}

/// A NATS server of the test's own, on a free port, gone with the handle.
///
/// # Panics
/// It could not be found, installed or started.
pub async fn own_nats() -> Nats {
    own_nats_with(|_| {}).await
}

/// As [`own_nats`], with options that the test changes: permissions, syncing, a data folder that stays.
///
/// # Panics
/// It could not be found, installed or started.
pub async fn own_nats_with(change: impl FnOnce(&mut NatsOptions)) -> Nats {
    let mut options = NatsOptions::new(must(scratch::folder(Account::Ours)));
    options.syncing = Syncing::EveryTwoMinutes;
    options.max_file_store = Some(TEST_STORE);
    options.scratch = true;
    change(&mut options);
    must(Nats::start(&tools(), options).await)
}

/// A port of 127.0.0.1 on which nobody listened a moment ago, for what a server must be told before it is started.
pub fn free_port() -> u16 {
    crate::ports::free_port()
}

/// A PostgreSQL server of the test's own, on a free port, gone with the handle.
///
/// # Panics
/// It could not be found, installed or started.
pub async fn own_postgres() -> Postgres {
    own_postgres_with(|_| {}).await
}

/// As [`own_postgres`], with options that the test changes.
///
/// # Panics
/// It could not be found, installed or started.
pub async fn own_postgres_with(change: impl FnOnce(&mut PostgresOptions)) -> Postgres {
    must(Postgres::for_tests_with(&tools(), change).await)
}

/// Both shared servers.
#[derive(Clone, Copy, Debug)]
pub struct Servers {
    /// The event log's.
    pub nats: &'static Nats,
    /// The read models'.
    pub postgres: &'static Postgres,
}

/// Both shared servers, started side by side.
///
/// # Panics
/// One could not be found, installed or started.
pub async fn servers() -> Servers {
    let (nats, postgres) = tokio::join!(nats(), postgres());
    Servers { nats, postgres }
}

/// A test without its server has failed, and the text says what to do.
fn must<T>(started: Result<T, Error>) -> T {
    started.unwrap_or_else(|failed| panic!("{failed}"))
}

/// The folder with packages of the Python package index, at the pins of a file, installed once for these pins; for clients in
/// that language. `name` is that of the folder in cargo's target folder.
///
/// # Panics
/// There is no Python 3 with pip, or the packages can't be had.
pub async fn python_packages(name: &str, pins: &Path) -> PathBuf {
    let target = target_folder().join("python").join(name);
    let (kept, installed) = (target.join("packages"), target.join("installed.txt"));
    let wanted = std::fs::read_to_string(pins).expect("the pins are part of the project");
    if std::fs::read_to_string(&installed).is_ok_and(|installed| installed == wanted) {
        return kept;
    }
    // Beside the place, so that an install that broke off leaves nothing half done.
    std::fs::create_dir_all(&target).expect("the target folder is ours");
    let aside = target.join(format!("aside-{:016x}", rand::random::<u64>()));
    let output = tokio::process::Command::new("python3")
        .args(["-m", "pip", "install", "--quiet"])
        .args(["--disable-pip-version-check", "--root-user-action=ignore"])
        .args(["--only-binary=:all:", "--no-deps", "--target"])
        .arg(&aside)
        .arg("--requirement")
        .arg(pins)
        .output()
        .await
        .expect("tests with clients of other makers need python3 with pip");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    // Another process may have been faster with the same.
    let _ = std::fs::remove_dir_all(&kept);
    std::fs::rename(&aside, &kept).expect("the target folder is ours");
    std::fs::write(installed, wanted).expect("the target folder is ours");
    kept
}
