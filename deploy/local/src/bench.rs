//! `bench`: how fast the system is on this machine, each figure beside what the machine can do at most in the same run.
//!
//! What is measured is in [`benches`], a file for each; the others are what it is measured with.

use std::{collections::BTreeMap, pin::Pin};

use serde::Serialize;
use serde_json::Value;

use crate::output::{Progress, Report, number, table};

mod agreed;
mod benches;
mod callers;
mod care;
mod handing_in;
mod homes;
mod lives;
mod logs;
mod people;
mod processes;
mod program;
mod raw;
mod seed;
pub mod service;
mod stage;
mod steady;
mod visiting;

pub use benches::BENCHES;

/// What a bench measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measured {
    /// The bench.
    pub name: String,
    /// The figure.
    pub figure: f64,
    /// Its unit, such as `commands/s`.
    pub unit: String,
    /// The raw limit in the same run and unit; null where there is none.
    pub limit: Option<f64>,
    /// How much of the limit the figure reaches: figure by limit, and the other way round where less is better.
    pub ratio: Option<f64>,
    /// The median of single latencies, in milliseconds.
    pub p50_ms: Option<f64>,
    /// Of a hundred latencies 99 are at most this, in milliseconds.
    pub p99_ms: Option<f64>,
    /// The most memory that this process held, in bytes.
    pub peak_rss_bytes: Option<u64>,
    /// What it ran with.
    pub settings: BTreeMap<String, Value>,
}

impl Measured {
    fn new(name: &str, figure: f64, unit: &str) -> Self {
        Self {
            name: name.to_owned(),
            figure,
            unit: unit.to_owned(),
            limit: None,
            ratio: None,
            p50_ms: None,
            p99_ms: None,
            peak_rss_bytes: None,
            settings: BTreeMap::new(),
        }
    }

    /// The most that the machine could do.
    fn limit(mut self, limit: f64) -> Self {
        self.limit = Some(limit);
        self.ratio = Some(self.figure / limit);
        self
    }

    /// The least time that the machine needs.
    fn limit_at_least(mut self, limit: f64) -> Self {
        self.limit = Some(limit);
        self.ratio = Some(limit / self.figure);
        self
    }

    fn latencies(mut self, latencies: &callers::Latencies) -> Self {
        self.p50_ms = Some(latencies.permille(500));
        self.p99_ms = Some(latencies.permille(990));
        self
    }

    fn peak(mut self, bytes: Option<u64>) -> Self {
        self.peak_rss_bytes = bytes;
        self
    }

    /// A setting that is a measurement: no digit is told that means nothing.
    fn with_rounded(self, setting: &str, value: f64) -> Self {
        self.with(setting, (value * 1e3).round() / 1e3)
    }

    fn with(mut self, setting: &str, value: impl Into<Value>) -> Self {
        self.settings.insert(setting.to_owned(), value.into());
        self
    }
}

/// Where benches work, and how they tell how far they are.
#[derive(Debug, Clone)]
pub struct Ground {
    /// The programs of the servers.
    pub tools: backing_services::Tools,
    /// An empty folder, gone afterwards.
    pub folder: std::path::PathBuf,
    /// Progress on standard error.
    pub progress: Progress,
    /// How much of the work is done: less than 1 for a quick look, whose figures say little.
    pub scale: f64,
}

impl Ground {
    /// So many of something at this scale, at least enough for every caller to have some.
    fn scaled(&self, full: usize) -> usize {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            clippy::cast_sign_loss,
            reason = "a rough number"
        )]
        let scaled = (full as f64 * self.scale) as usize;
        scaled.max(full.min(256))
    }
}

/// A running bench. One bench may measure several settings.
pub type Running<'a> = Pin<Box<dyn Future<Output = anyhow::Result<Vec<Measured>>> + 'a>>;

/// A bench: its name, what it measures, and the work.
#[derive(Clone, Copy)]
pub struct Bench {
    /// The name on the command line.
    pub name: &'static str,
    /// What it measures, in a line.
    pub about: &'static str,
    /// Runs it.
    pub run: for<'a> fn(&'a Ground) -> Running<'a>,
}

impl std::fmt::Debug for Bench {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bench")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// The benches that there are, for those who name none.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct Known(Vec<BTreeMap<&'static str, &'static str>>);

impl Known {
    /// All benches.
    pub fn all() -> Self {
        let told = |bench: &Bench| BTreeMap::from([("name", bench.name), ("about", bench.about)]);
        Self(BENCHES.iter().map(told).collect())
    }
}

impl Report for Known {
    fn text(&self) -> String {
        let mut rows = table(["bench", "measures"]);
        for bench in &self.0 {
            rows.add_row([bench["name"], bench["about"]]);
        }
        rows.to_string()
    }
}

/// What `bench` prints.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct Results(pub Vec<Measured>);

/// The benches of these names.
///
/// # Errors
/// A name that none has.
pub fn named(names: &[String]) -> anyhow::Result<Vec<Bench>> {
    if names.iter().any(|name| name == "all") {
        return Ok(BENCHES.to_vec());
    }
    let find = |name: &String| {
        let known = || {
            BENCHES
                .iter()
                .map(|bench| bench.name)
                .collect::<Vec<_>>()
                .join(", ")
        };
        let found = BENCHES.iter().find(|bench| bench.name == name);
        found.copied().ok_or_else(|| {
            anyhow::anyhow!("there is no bench `{name}`; there are: all, {}", known())
        })
    };
    names.iter().map(find).collect()
}

/// Runs benches one after the other, each in a folder of its own.
///
/// # Errors
/// The first that fails.
pub async fn run(
    benches: &[Bench],
    tools: &backing_services::Tools,
    scale: f64,
    progress: Progress,
) -> anyhow::Result<Results> {
    let mut measured = Vec::new();
    for bench in benches {
        progress.say(&format!("{}: {}", bench.name, bench.about));
        let folder = tempfile::Builder::new()
            .prefix("eldercare-bench-")
            .tempdir()?;
        let ground = Ground {
            tools: tools.clone(),
            folder: folder.path().to_owned(),
            progress,
            scale,
        };
        measured.extend((bench.run)(&ground).await?);
    }
    Ok(Results(measured))
}

impl Report for Results {
    fn text(&self) -> String {
        let mut rows = table([
            "bench", "figure", "unit", "limit", "ratio", "p50 ms", "p99 ms", "peak MiB", "settings",
        ]);
        let fixed = |value: Option<f64>, digits: usize| {
            value
                .map(|value| format!("{value:.digits$}"))
                .unwrap_or_default()
        };
        for one in &self.0 {
            let settings: Vec<_> = one
                .settings
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            rows.add_row([
                one.name.clone().into(),
                number(fixed(Some(one.figure), 1)),
                one.unit.clone().into(),
                number(fixed(one.limit, 1)),
                number(fixed(one.ratio, 2)),
                number(fixed(one.p50_ms, 2)),
                number(fixed(one.p99_ms, 2)),
                number(
                    one.peak_rss_bytes
                        .map(|bytes| (bytes >> 20).to_string())
                        .unwrap_or_default(),
                ),
                settings.join("\n").into(),
            ]);
        }
        rows.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_bench_is_refused_by_name() {
        let told = named(&["nonsense".to_owned()]).unwrap_err().to_string();
        assert!(told.contains("nonsense"), "{told}");
        assert_eq!(named(&["all".to_owned()]).unwrap().len(), BENCHES.len());
    }

    #[test]
    fn figures_that_do_not_apply_are_null() {
        let measured = Measured {
            name: "append".to_owned(),
            figure: 2.0,
            unit: "commands/s".to_owned(),
            limit: Some(4.0),
            ratio: Some(0.5),
            p50_ms: None,
            p99_ms: None,
            peak_rss_bytes: None,
            settings: BTreeMap::new(),
        };
        let json = serde_json::to_value(Results(vec![measured])).unwrap();
        assert_eq!(json[0]["p50_ms"], Value::Null);
        assert_eq!(json[0]["ratio"], 0.5);
    }
}
