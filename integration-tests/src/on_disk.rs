//! What lies on the disks of the two servers, and what backups of databases hold: where nothing of an erased person may be.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use sqlx::{Connection as _, PgConnection};

use crate::{System, secrets::Secrets};

/// All files below a folder, in which there are some.
pub(crate) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    files(folder, &mut found);
    assert!(
        !found.is_empty(),
        "{} holds nothing to be looked at",
        folder.display()
    );
    found
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    let entries = match fs::read_dir(folder) {
        // A server goes on meanwhile: what it removes while we look is not there any more.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return,
        entries => entries.unwrap_or_else(|error| panic!("{}: {error}", folder.display())),
    };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.is_symlink() {
            files(&path, found);
        } else if path.is_file() {
            found.push(path);
        }
    }
}

/// Whether bytes hold a text. What is no text in between is passed over.
pub fn tells(content: &[u8], text: &str) -> bool {
    String::from_utf8_lossy(content).contains(text)
}

/// The files below a folder whose content is `wanted`.
pub fn holding(folder: &Path, wanted: impl Fn(&[u8]) -> bool) -> Vec<PathBuf> {
    let mut found = files_below(folder);
    found.retain(|file| fs::read(file).is_ok_and(|content| wanted(&content)));
    found
}

/// The folders of both servers.
pub fn folders(system: &System) -> [PathBuf; 2] {
    [
        system.streams_folder(),
        system.postgres().cluster().to_owned(),
    ]
}

/// A backup of a database, as an operator takes one.
pub fn backup(system: &System, url: &str) -> Vec<u8> {
    let program = system.postgres().programs().bin.join("pg_dump");
    let dumped = Command::new(program).arg(url).output().unwrap();
    assert!(
        dumped.status.success(),
        "{}",
        String::from_utf8_lossy(&dumped.stderr)
    );
    dumped.stdout
}

/// Backups of all databases, by their names.
pub async fn backups(system: &System) -> Vec<(String, Vec<u8>)> {
    let mut connection = as_superuser(system).await;
    let names = "SELECT datname::text FROM pg_database WHERE NOT datistemplate";
    let names: Vec<String> = sqlx::query_scalar(names)
        .fetch_all(&mut connection)
        .await
        .unwrap();
    let backup = |name: String| {
        let backup = backup(system, &system.postgres().url_of(&name));
        (name, backup)
    };
    names.into_iter().map(backup).collect()
}

/// Has the databases' server write everything to its files.
pub async fn checkpoint(system: &System) {
    sqlx::raw_sql("CHECKPOINT")
        .execute(&mut as_superuser(system).await)
        .await
        .unwrap();
}

async fn as_superuser(system: &System) -> PgConnection {
    let url = system.postgres().url();
    PgConnection::connect(&url).await.unwrap()
}

/// What of it lies anywhere: in files of both servers once all is written there, in a backup of a database that is taken now, or in
/// what the processes have logged.
pub async fn lying_about(system: &System, secrets: &Secrets) -> Vec<String> {
    checkpoint(system).await;
    let folders = folders(system);
    let mut found: Vec<String> = folders
        .iter()
        .flat_map(|folder| secrets.in_files(folder))
        .collect();
    for (database, backup) in backups(system).await {
        let form = secrets.in_bytes(&backup);
        found.extend(form.map(|form| format!("{form} in a backup of {database}")));
    }
    let form = secrets.in_bytes(system.logged().as_bytes());
    found.extend(form.map(|form| format!("{form} in the services' log")));
    found
}
