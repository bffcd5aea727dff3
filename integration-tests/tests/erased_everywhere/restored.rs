//! A backup of the log as an operator takes it, and what lies on the disk of a server into which it was put back.

use std::{
    fs,
    path::{Path, PathBuf},
};

use backing_services::testing;
use clap::Parser as _;
use eldercare::{
    backup::{of_server, restore},
    cli::{Cli, Command},
    output::Progress,
};
use integration_tests::{
    System,
    on_disk::{holding, tells},
    secrets::Secrets,
};

/// A command of the launcher as it is typed, on a log's server.
fn command(words: &[&str], server: &str, settings: &Path) -> Cli {
    let settings = settings.to_str().unwrap();
    let launcher = ["eldercare"].into_iter();
    let words = launcher.chain(words.iter().copied());
    Cli::try_parse_from(words.chain(["--nats", server, "--config", settings])).unwrap()
}

/// Backs all streams up: the folder of the backup.
pub(super) async fn backed_up(system: &System, shelf: &Path) -> PathBuf {
    let url = system.nats().url();
    let words = ["backup", shelf.to_str().unwrap()];
    let cli = command(&words, &url, &system.operators_settings());
    let Command::Backup(arguments) = cli.command else {
        panic!("it is understood otherwise");
    };
    let outcome = of_server(&cli.common, &url, &arguments, Progress::hidden()).await;
    let outcome = outcome.unwrap();
    assert_eq!(outcome.erasures.unwrap().erased, 1);
    PathBuf::from(outcome.backup.unwrap().folder)
}

/// Puts a backup back into a server of its own: what of the secrets lies on its disk. Of somebody else it holds all there was.
pub(super) async fn put_back(backup: &Path, secrets: &Secrets, somebody: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let (streams, settings) = (
        folder.path().join("streams"),
        folder.path().join("operator"),
    );
    fs::write(&settings, "auth.mode = \"local\"\n").unwrap();
    let server = testing::own_nats_with(|options| options.store = Some(streams.clone())).await;
    let words = ["restore", backup.to_str().unwrap()];
    let cli = command(&words, &server.url(), &settings);
    let Command::Restore(arguments) = cli.command else {
        panic!("it is understood otherwise");
    };
    let restored = restore(&cli.common, &arguments, Progress::hidden()).await;
    assert_eq!(restored.unwrap().erasures.before, 1);
    let others = holding(&streams, |content| tells(content, somebody));
    assert!(!others.is_empty(), "nobody is in it");
    secrets.in_files(&streams)
}
