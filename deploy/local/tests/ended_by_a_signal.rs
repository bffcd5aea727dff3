//! Whatever asks a command to end, it leaves neither processes nor folders behind.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

use std::{
    fs,
    io::{BufRead as _, BufReader},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Stdio},
};

/// What a command has made in its folder for temporary ones.
fn made(folder: &Path) -> Vec<String> {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| name.starts_with("eldercare-"))
        .collect()
}

/// Lets the demo come so far that its servers run, and sends it the signal.
fn ended_by(signal: &str) {
    let ground = tempfile::tempdir().unwrap();
    fs::set_permissions(ground.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let mut demo = Command::new(env!("CARGO_BIN_EXE_eldercare"))
        .arg("demo")
        .current_dir(ground.path())
        .env("TMPDIR", ground.path())
        .env("ELDERCARE_TOOLS", backing_services::testing::tools().folder)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = BufReader::new(demo.stderr.take().unwrap());
    let mut lines = Vec::new();
    let mut line = String::new();
    while !lines
        .last()
        .is_some_and(|last: &String| last.contains("PostgreSQL"))
    {
        assert!(told.read_line(&mut line).unwrap() > 0, "{lines:?}");
        lines.push(std::mem::take(&mut line));
    }
    assert!(!made(ground.path()).is_empty());
    let sent = Command::new("kill")
        .args([signal, &demo.id().to_string()])
        .status()
        .unwrap();
    assert!(sent.success());
    while told.read_line(&mut line).unwrap() > 0 {
        lines.push(std::mem::take(&mut line));
    }
    let ended = demo.wait().unwrap();
    assert_eq!(ended.code(), Some(1), "{signal}: {lines:?}");
    assert!(
        lines
            .last()
            .is_some_and(|last| last.contains("interrupted")),
        "{signal}: {lines:?}"
    );
    assert_eq!(made(ground.path()), Vec::<String>::new(), "{signal}");
}

#[test]
fn a_demo_that_a_supervisor_ends_leaves_nothing() {
    ended_by("-TERM");
}

#[test]
fn a_demo_whose_terminal_is_closed_leaves_nothing() {
    ended_by("-HUP");
}
