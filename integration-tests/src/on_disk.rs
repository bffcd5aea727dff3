//! What lies on the disks of the two servers, and what a backup holds: where nothing of an erased person may be.

use std::{
    fs,
    io::BufRead as _,
    path::{Path, PathBuf},
    process::Command,
};

use sqlx::Connection as _;

use crate::System;

/// All files below a folder. What is removed while we look is not there any more.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in
        fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
    {
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

/// Whether bytes hold others, of which there are some. Goes by their first byte, which should not be a common one.
pub fn contains(content: &[u8], wanted: &[u8]) -> bool {
    let mut at = 0;
    loop {
        let mut rest = &content[at..];
        // The standard library looks for one byte quickly, also where tests are compiled without optimising.
        let skipped = rest.skip_until(wanted[0]).unwrap();
        if skipped == 0 {
            return false;
        }
        at += skipped;
        if content[at - 1..].starts_with(wanted) {
            return true;
        }
    }
}

/// The files below a folder whose content is `wanted`.
pub fn holding(folder: &Path, wanted: impl Fn(&[u8]) -> bool) -> Vec<PathBuf> {
    let mut found = Vec::new();
    files(folder, &mut found);
    assert!(
        !found.is_empty(),
        "{} holds nothing to be looked at",
        folder.display()
    );
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

/// Has the databases' server write everything to its files.
pub async fn checkpoint(system: &System) {
    let mut connection = sqlx::PgConnection::connect(&system.postgres().url())
        .await
        .unwrap();
    sqlx::raw_sql("CHECKPOINT")
        .execute(&mut connection)
        .await
        .unwrap();
}
