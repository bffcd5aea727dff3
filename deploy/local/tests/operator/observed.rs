//! What operators see of a system at work, and that nobody of the sample county is told in it: no name, no ID number, no telephone.

use std::{
    collections::{BTreeSet, HashSet},
    fs,
    path::Path,
};

use calamine::{Data, Reader as _, Xlsx};
use futures::TryStreamExt as _;
use serde_json::Value;
use service::testing::collector::{Collector, SentSpan};
use tokio::runtime::Runtime;

use crate::desk::{Desk, county, text};

/// The libraries' own chatter, of which there is too much; what statements say of values is no part of it.
const FILTER: &str = "debug,sqlx=info,async_nats=info,h2=off,hyper=off,hyper_util=off,tower=off,tonic=off,rustls=off";

/// A collector for a system.
pub(crate) struct Observed {
    runtime: Runtime,
    collector: Collector,
}

/// All that might tell somebody of the county.
struct Personal {
    /// Names of two to four characters, as they are written.
    names: HashSet<String>,
    /// ID numbers and telephone numbers, digits alone.
    numbers: HashSet<String>,
}

impl Observed {
    /// Has all that a desk starts from now on tell what it does: lines of JSON, in all detail, and telemetry.
    pub(crate) fn begin(desk: &mut Desk) -> Self {
        let runtime = Runtime::new().unwrap();
        let collector = runtime.block_on(async { Collector::serve() });
        desk.tells(&[
            ("ELDERCARE_TELEMETRY__OTLP_ENDPOINT", &collector.endpoint()),
            ("ELDERCARE_TELEMETRY__METRICS_INTERVAL", "1s"),
            ("ELDERCARE_TELEMETRY__LOG_FORMAT", "json"),
            ("ELDERCARE_TELEMETRY__LOG_FILTER", FILTER),
        ]);
        Self { runtime, collector }
    }

    /// The subjects of all streams of a system that runs.
    pub(crate) fn subjects(&self, desk: &Desk) -> BTreeSet<String> {
        let running = desk.running();
        self.runtime.block_on(async {
            let (user, password) = running.nats_user;
            let client = async_nats::ConnectOptions::with_user_and_password(user, password);
            let client = client.connect(running.nats_url).await.unwrap();
            let server = async_nats::jetstream::new(client);
            let names: Vec<String> = server.stream_names().try_collect().await.unwrap();
            let mut subjects = BTreeSet::new();
            for name in names {
                let stream = server.get_stream(name).await.unwrap();
                let mut some = stream.info_with_subjects(">").await.unwrap();
                while let Some((subject, _)) = some.try_next().await.unwrap() {
                    subjects.insert(subject);
                }
            }
            subjects
        })
    }

    /// The spans that were sent.
    pub(crate) fn spans(&self) -> Vec<SentSpan> {
        self.collector.spans()
    }

    /// Once the system has gone down: nothing that it told tells of anybody.
    pub(crate) fn tells_of_nobody(&self, desk: &Desk, subjects: &BTreeSet<String>) {
        let personal = Personal::of_the_county();
        // Otherwise nothing could be found.
        assert!(personal.names.len() > 5_000 && personal.numbers.len() > 20_000);
        let name = personal.names.iter().next().unwrap();
        let number = personal.numbers.iter().next().unwrap();
        let found = personal.found_in(&format!("x{number} 见{name}。"));
        assert!(found.contains(name) && found.contains(number), "{found:?}");

        // What `up` says to people is no line of the log.
        let log = desk.log();
        let log: Vec<&str> = log.lines().filter(|line| line.starts_with('{')).collect();
        assert!(log.len() > 100, "{} lines", log.len());
        let lines = log.iter().map(|line| serde_json::from_str(line).unwrap());
        let lines: Vec<Value> = lines.collect();
        let traced = lines.iter().filter(|line| line["trace_id"].is_string());
        let traced: BTreeSet<&str> = traced.map(|line| text(&line["trace_id"])).collect();
        let spans = self.collector.spans();
        let traces: BTreeSet<&str> = spans.iter().map(|span| span.trace.as_str()).collect();
        assert!(
            traced.intersection(&traces).next().is_some(),
            "no line leads to a trace"
        );
        assert!(self.collector.metrics().len() > 20);
        assert!(subjects.len() > 500, "{} subjects", subjects.len());

        let sent = self.collector.bytes();
        let sent = String::from_utf8_lossy(&sent);
        let subjects: Vec<&str> = subjects.iter().map(String::as_str).collect();
        let told = [
            ("the log", log.join("\n")),
            ("telemetry", sent.into_owned()),
            ("subjects", subjects.join("\n")),
        ];
        for (what, told) in told.into_iter().chain(kept(&desk.path("county"))) {
            let found = personal.found_in(&told);
            assert_eq!(found, BTreeSet::new(), "in {what}");
        }
    }
}

/// What lies in a data folder for operators to read: who looked at whom, what the servers say, and the notices, if any.
fn kept(folder: &Path) -> Vec<(&'static str, String)> {
    let always = [
        "access.ndjson",
        "nats/nats-server.log",
        "postgres/postgres.log",
    ];
    let read = |file: &'static str| {
        let bytes = fs::read(folder.join(file)).unwrap_or_default();
        (file, String::from_utf8_lossy(&bytes).into_owned())
    };
    let mut kept: Vec<_> = always.into_iter().map(read).collect();
    for (file, text) in &kept {
        assert!(!text.is_empty(), "{file} says nothing");
    }
    kept.push(read("notices.ndjson"));
    kept
}

impl Personal {
    fn of_the_county() -> Self {
        let mut personal = Self {
            names: HashSet::new(),
            numbers: HashSet::new(),
        };
        for resident in fs::read_to_string(county().join("residents.ndjson"))
            .unwrap()
            .lines()
        {
            let resident: Value = serde_json::from_str(resident).unwrap();
            personal.add(text(&resident["name"]));
            personal.add(text(&resident["id_number"]));
            for contact in resident["contacts"].as_array().into_iter().flatten() {
                personal.add(text(&contact["name"]));
                personal.add(contact["phone"].as_str().unwrap_or_default());
            }
        }
        for file in ["visitors.csv", "claims/caregivers.csv"] {
            let lines = fs::read_to_string(county().join(file)).unwrap();
            let values = lines.lines().skip(1).flat_map(|line| line.split(','));
            values.for_each(|value| personal.add(value));
        }
        for workbook in fs::read_dir(county().join("survey")).unwrap() {
            let mut book: Xlsx<_> = calamine::open_workbook(workbook.unwrap().path()).unwrap();
            let sheet = book.worksheet_range_at(0).unwrap().unwrap();
            personal.add_survey(sheet.rows());
        }
        personal
    }

    /// The rows of a town below the headings of its columns.
    fn add_survey<'a>(&mut self, rows: impl Iterator<Item = &'a [Data]>) {
        let mut columns: Vec<usize> = Vec::new();
        for row in rows {
            let cells: Vec<String> = row.iter().map(ToString::to_string).collect();
            for column in &columns {
                self.add(&cells[*column]);
            }
            if cells.iter().any(|cell| cell == "身份证号") {
                let wanted = ["姓名", "身份证号", "联系人", "联系电话"];
                let places = (0..cells.len()).filter(|place| wanted.contains(&&*cells[*place]));
                columns = places.collect();
            }
        }
    }

    /// Whatever it is: a name, or a number by which somebody is known or called.
    fn add(&mut self, value: &str) {
        let value = value.trim();
        let digits: String = value.chars().filter(|one| *one != '-').collect();
        // Codes of villages are as long as some telephone numbers, and begin otherwise.
        let is_number = match digits.len() {
            18 => true,
            11 | 12 => digits.starts_with(['0', '1']),
            _ => false,
        };
        if is_number && digits.chars().all(|one| one.is_ascii_digit() || one == 'X') {
            self.numbers.insert(digits);
        } else if (2..=4).contains(&value.chars().count()) && value.chars().all(is_chinese) {
            self.names.insert(value.to_owned());
        }
    }

    /// What of it stands in a text: a name within Chinese characters, a number by itself or as an ID number within others.
    fn found_in(&self, text: &str) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for run in text.split(|one: char| !is_chinese(one)) {
            let run: Vec<char> = run.chars().collect();
            for length in 2..=4 {
                let pieces = run.windows(length).map(String::from_iter);
                found.extend(pieces.filter(|piece| self.names.contains(piece)));
            }
        }
        for run in text.split(|one: char| !one.is_ascii_digit() && one != 'X' && one != '-') {
            let run: String = run.chars().filter(|one| *one != '-').collect();
            let windows = run.len().saturating_sub(17);
            let pieces = (0..windows).map(|from| &run[from..from + 18]);
            let pieces = pieces.chain([run.as_str()]);
            let known = pieces.filter(|piece| self.numbers.contains(*piece));
            found.extend(known.map(str::to_owned));
        }
        found
    }
}

fn is_chinese(one: char) -> bool {
    ('\u{4e00}'..='\u{9fff}').contains(&one)
}
