//! What the commands print: tables for people on a terminal, one JSON document for machines, and progress beside it.

use std::{
    io::{IsTerminal as _, Write as _},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use comfy_table::{Attribute, Cell, CellAlignment, LineStyle, Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

/// How a command prints its result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Output {
    /// Tables for people
    #[default]
    Table,
    /// One JSON document
    Json,
}

/// A result that can be printed either way.
pub trait Report: Serialize {
    /// The result as a person reads it.
    fn text(&self) -> String;
}

impl Output {
    /// Prints a result on standard output.
    ///
    /// # Errors
    /// Where standard output can't be written. A reader that has gone is no failure.
    pub fn print(self, report: &impl Report) -> anyhow::Result<()> {
        let document = match self {
            Self::Table => report.text(),
            Self::Json => serde_json::to_string_pretty(report)?,
        };
        print_line(document).map(|_read| ())
    }
}

/// Prints a line, or some, on standard output; whether anybody still reads.
///
/// # Errors
/// Where standard output can't be written. A reader that has gone is no failure.
pub fn print_line(mut text: String) -> anyhow::Result<bool> {
    text.push('\n');
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // The reader has seen enough, as `head` does.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(false),
        written => written.map(|()| true).map_err(Into::into),
    }
}

/// An empty table with these headings.
pub fn table<const N: usize>(headings: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY.row_separator(LineStyle::none()));
    table.set_header(headings.map(|heading| Cell::new(heading).add_attribute(Attribute::Bold)));
    table
}

/// A cell with a number.
pub fn number(value: impl ToString) -> Cell {
    Cell::new(value).set_alignment(CellAlignment::Right)
}

/// A cell with a share of a whole, in percent.
pub fn percent(part: u64, whole: u64) -> Cell {
    if whole == 0 {
        return number("");
    }
    #[expect(clippy::cast_precision_loss, reason = "a share to look at")]
    let share = part as f64 * 100.0 / whole as f64;
    number(format!("{share:.1}%"))
}

/// Tells on standard error how far long work is: a bar on a terminal; otherwise a line when it is done, and one now and then while
/// it takes long.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    quiet: bool,
}

impl Progress {
    /// Progress on standard error.
    pub fn shown() -> Self {
        Self { quiet: false }
    }

    /// No progress at all.
    pub fn hidden() -> Self {
        Self { quiet: true }
    }

    /// Says something that stays.
    pub fn say(self, text: &str) {
        if !self.quiet {
            eprintln!("{text}");
        }
    }

    /// Begins a step of so many items; 0 where nobody knows how many.
    pub fn begin(self, what: impl Into<String>, items: u64) -> Step {
        let what = what.into();
        let watched = std::io::stderr().is_terminal();
        let bar = if self.quiet || !watched {
            ProgressBar::hidden()
        } else if items == 0 {
            let bar = ProgressBar::new_spinner().with_style(style("  {spinner} {msg} {pos}"));
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        } else {
            ProgressBar::new(items).with_style(style(BAR))
        };
        bar.set_message(what.clone());
        Step {
            bar,
            what,
            quiet: self.quiet,
            since: Instant::now(),
            told: (!self.quiet && !watched).then(|| Mutex::new(Instant::now())),
        }
    }
}

/// Where nobody watches a bar, a long step says so often how far it is.
const NOW_AND_THEN: Duration = Duration::from_secs(30);

/// A step whose length is known.
const BAR: &str = "  {msg:44} {bar:24} {pos}/{len} {per_sec}";

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the template is well-formed")
}

/// A step of long work. It ends with [`Step::done`]; dropped before, it leaves no trace.
#[derive(Debug)]
pub struct Step {
    bar: ProgressBar,
    what: String,
    quiet: bool,
    since: Instant,
    /// When it said last how far it is, where it says so.
    told: Option<Mutex<Instant>>,
}

impl Step {
    /// So many more items are done.
    pub fn advance(&self, items: u64) {
        self.bar.inc(items);
    }

    /// So many items are done, nobody knows of how many.
    pub fn so_far(&self, done: u64) {
        self.bar.set_position(done);
    }

    /// So many items are done, of so many.
    pub fn at(&self, done: u64, of: u64) {
        if of > 0 && self.bar.length() != Some(of) {
            self.bar.set_style(style(BAR));
            self.bar.set_length(of);
        }
        self.bar.set_position(done);
        if let Some(told) = &self.told {
            let mut last = told.lock().unwrap_or_else(PoisonError::into_inner);
            if last.elapsed() >= NOW_AND_THEN {
                *last = Instant::now();
                eprintln!("  {}: {done}/{of}", self.what);
            }
        }
    }

    /// The step is done.
    pub fn done(self, result: &str) {
        self.bar.finish_and_clear();
        if !self.quiet {
            let seconds = self.since.elapsed().as_secs_f64();
            let separator = if result.is_empty() { "" } else { ": " };
            eprintln!("  {}{separator}{result} ({seconds:.1} s)", self.what);
        }
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if !self.bar.is_finished() {
            self.bar.finish_and_clear();
        }
    }
}
