//! What the system tells of processes: the memory that they hold, and the processor time that they took.

use std::{path::Path, time::Duration};

use super::{
    Measured,
    stage::{Served, Stage},
};

/// The processor time that everybody took up to now, by the name of the setting that tells it.
#[derive(Debug)]
pub(super) struct Spent(Vec<(&'static str, Option<Duration>)>);

impl Spent {
    /// By these processes, and by the servers.
    pub(super) fn so_far(stage: &Stage, processes: &[(&'static str, &Served)]) -> Self {
        let processes = processes
            .iter()
            .map(|(who, served)| (*who, served.processor_time()));
        let servers = [
            ("nats_processor_us", processor_time(stage.nats.pid())),
            // With all its processes, one for each connection.
            ("postgres_processor_us", with_children(stage.postgres.pid())),
        ];
        Self(processes.chain(servers).collect())
    }

    /// Notes what everybody took since, in microseconds for each of so many.
    pub(super) fn since(&self, before: &Self, each_of: usize, measured: Measured) -> Measured {
        let both = self.0.iter().zip(&before.0);
        both.fold(measured, |measured, ((who, now), (_, before))| {
            let spent = now.zip(*before).map(|(now, before)| now - before);
            measured.with(who, per_command(spent, each_of))
        })
    }
}

/// Microseconds of processor time for each of so many.
pub(super) fn per_command(time: Option<Duration>, commands: usize) -> Option<u64> {
    let micros = u64::try_from(time?.as_micros()).ok()?;
    Some(micros / commands.max(1) as u64)
}

/// The fields of what the system says of a process, after its name, which may hold spaces.
fn stat(pid: u32) -> Option<Vec<String>> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields = stat.rsplit_once(')')?.1.split_whitespace();
    Some(fields.map(str::to_owned).collect())
}

/// The processor time that a process took up to now, where the system tells (Linux).
pub(super) fn processor_time(pid: u32) -> Option<Duration> {
    spent(&stat(pid)?, 11..13)
}

/// The same with its children, those that ended too.
fn with_children(pid: u32) -> Option<Duration> {
    let mut all = spent(&stat(pid)?, 11..15)?;
    let parent = pid.to_string();
    for process in std::fs::read_dir("/proc").ok()?.flatten() {
        let child = process
            .file_name()
            .to_str()
            .and_then(|pid| pid.parse().ok());
        if let Some(fields) = child.and_then(stat)
            && fields.get(1) == Some(&parent)
        {
            all += spent(&fields, 11..13).unwrap_or_default();
        }
    }
    Some(all)
}

/// User and system time are the 12th and 13th fields after the name, those of children that ended the next two.
fn spent(fields: &[String], which: std::ops::Range<usize>) -> Option<Duration> {
    let ticks = fields.get(which)?.iter().map(|ticks| ticks.parse::<u64>());
    let ticks: u64 = ticks.sum::<Result<_, _>>().ok()?;
    // Linux counts hundredths of seconds for programs, whatever it counts by itself.
    Some(Duration::from_millis(ticks * 10))
}

/// The peak of a process's resident memory, in bytes, where the system tells (Linux).
pub(super) fn peak_rss(status: impl AsRef<Path>) -> Option<u64> {
    resident(status, "VmHWM:")
}

/// What a process's resident memory is now, in bytes, where the system tells (Linux).
pub(super) fn rss(status: impl AsRef<Path>) -> Option<u64> {
    resident(status, "VmRSS:")
}

fn resident(status: impl AsRef<Path>, field: &str) -> Option<u64> {
    let status = std::fs::read_to_string(status).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_of_memory_is_read_where_the_system_tells() {
        if cfg!(target_os = "linux") {
            assert!(peak_rss("/proc/self/status").unwrap() > 1 << 20);
        }
        assert_eq!(peak_rss("/nowhere"), None);
    }
}
