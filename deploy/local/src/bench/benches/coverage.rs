//! `coverage`: the coverage of a city in a month, county by county, with all elders of the city and a year of their records.

use std::{ops::Range, sync::Arc, time::Instant};

use anyhow::ensure;
use backing_services::Syncing;
use chrono::{DateTime, TimeDelta, Utc};
use civic::{Doubt, ElderId, LocalDay, Set, VillageCode};
use eventlog::{Aggregate as _, EventLog as _, JetStreamLog, NewRecord, Position, Subject};
use proto::eldercare::{r#type::v1::DivisionLevel, visits::v1 as pb};
use readmodel::reaction_request_id;
use uuid::Uuid;
use vault::{Algorithm, DataKey};
use visits::{
    codec::CONTEXT,
    elder_year::{ElderYear, Event, Recorded},
    on_visit_recorded,
};

use crate::{
    bench::{
        Ground, Measured,
        callers::{self, Latencies},
        people::Person,
        processes::per_command,
        raw, seed,
        service::Role,
        stage::{Served, Stage},
        visiting,
    },
    client::Client,
    output::Step,
};

/// The city, and its elders.
const CITY: &str = "3505";
const ELDERS: u64 = 380_000;

/// Villages: so many counties, with so many towns each, with so many villages each.
const COUNTIES: u64 = 14;
const TOWNS: u64 = 13;
const VILLAGES: u64 = 15;

/// The year of the records.
const YEAR: i32 = 2024;
const MONTHS: u32 = 12;

/// When the officers ask: all months of the year are over.
const NOW: &str = "2025-01-01T08:00:00+08:00";

/// One elder of so many has a record in doubt, which does not count.
const ONE_DOUBTED_OF: u64 = 300;

/// How many officers ask at once, and how often all of them do.
const CALLERS: usize = 8;
const CALLS: usize = 8_000;

/// How many elders are written at a time.
const CHUNK: u64 = 5_000;

/// The ids of visitors: each village has one.
const VISITORS: Uuid = Uuid::from_u128(0x7c43_15d2_9b6e_4f0a_b1c8_40e2_6a9d_73f1);

pub(super) async fn run(ground: &Ground) -> anyhow::Result<Vec<Measured>> {
    let city = City {
        elders: ground.scaled(usize::try_from(ELDERS)?) as u64,
    };
    let mut stage = Stage::set(ground, "coverage", Syncing::EveryTwoMinutes).await?;
    seed::log_of(&stage, "tiering").await?;
    let registry = seed::log_of(&stage, "registry").await?;
    let step = ground
        .progress
        .begin("elders in the registry's log", city.elders);
    let facts = city.register(&registry, &step).await?;
    step.done(&format!("{}", city.elders));
    let visits = seed::log_of(&stage, CONTEXT).await?;
    let step = ground.progress.begin("a year of their visits", city.elders);
    let written = city.visit(&visits, &step).await?;
    step.done(&format!("{} records", written.records));

    // No key is asked for: no record bears what the readers open.
    stage.become_peer("visits", "http://127.0.0.1:9").await?;
    stage.set_clock(NOW)?;
    let step = ground.progress.begin("read by the service", 0);
    let since = Instant::now();
    let served = stage.start(Role::Visits).await?;
    let client = served.clients()?.swap_remove(0);
    let expected = city.coverage();
    let facts = Position::new(registry.stream(), facts).to_string();
    let own = Position::new(visits.stream(), written.last).to_string();
    for position in [facts, own] {
        check(&client, &expected, position).await?;
    }
    let reading = since.elapsed().as_secs_f64();
    step.done("");
    // What the database would do by itself by and by.
    sqlx::raw_sql("VACUUM ANALYZE")
        .execute(&mut stage.database().await?)
        .await?;

    let (warm, count) = (ground.scaled(CALLS) / 10, ground.scaled(CALLS));
    let step = ground.progress.begin("GetCoverage", (warm + count) as u64);
    let before = served.processor_time();
    let latencies = ask(&served, warm, count, &step).await?;
    step.done(&format!("p99 {:.2} ms", latencies.permille(990)));
    let processor = served.processor_time_since(before);
    let step = ground.progress.begin("SELECT 1", (warm + count) as u64);
    let limit = raw::selects(&stage, CALLERS, warm, count, &step).await?;
    step.done(&format!("p99 {:.2} ms", limit.permille(990)));
    check(&client, &expected, String::new()).await?;

    let peak = served.peak_rss();
    served.stop().await?;
    let measured = Measured::new("coverage", latencies.permille(990), "ms (p99)")
        .limit_at_least(limit.permille(990))
        .latencies(&latencies)
        .peak(peak)
        .with("limit_is", "SELECT 1 of as many callers")
        .with_rounded("calls_per_second", latencies.rate())
        .with_rounded("limit_calls_per_second", limit.rate())
        .with("callers", CALLERS)
        .with("calls", count)
        .with("elders", city.elders)
        .with("records", written.records)
        .with("doubted", written.doubted)
        .with("counties", COUNTIES)
        .with("villages", City::villages())
        .with_rounded("seconds_to_read_the_logs", reading)
        .with("service_processor_us", per_command(processor, warm + count));
    let measured = stage.note(measured);
    stage.strike().await;
    Ok(vec![measured])
}

/// A made-up city. Its elders are numbered village by village.
struct City {
    elders: u64,
}

/// What stands in the log of visits.
struct Written {
    records: u64,
    doubted: u64,
    /// The last sequence.
    last: u64,
}

/// Elders in scope and elders visited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Count {
    in_scope: i64,
    visited: i64,
}

impl City {
    fn villages() -> u64 {
        COUNTIES * TOWNS * VILLAGES
    }

    /// The numbers of a village's elders.
    fn of_village(&self, village: u64) -> Range<u64> {
        let first = |village: u64| village * self.elders / Self::villages();
        first(village)..first(village + 1)
    }

    fn people(&self) -> impl Iterator<Item = Dweller> + use<> {
        let city = Self {
            elders: self.elders,
        };
        (0..Self::villages()).flat_map(move |village| {
            let numbers = city.of_village(village);
            let first = numbers.start;
            let last = city.elders - 1;
            numbers.map(move |number| Dweller {
                number,
                village,
                place: number - first,
                last: number == last,
            })
        })
    }

    /// Writes what the registry says of everybody; the last sequence.
    async fn register(&self, log: &JetStreamLog, step: &Step) -> anyhow::Result<u64> {
        let mut last = 0;
        let mut people = self.people();
        loop {
            let some: Vec<_> = people.by_ref().take(usize::try_from(CHUNK)?).collect();
            if some.is_empty() {
                return Ok(last);
            }
            let files = tokio::task::spawn_blocking(move || {
                // Nobody opens what is sealed.
                let key = DataKey::generate(Algorithm::default());
                let file = |one: Dweller| seed::file(Person(one.number), &key, one.village_code());
                some.into_iter().map(file).collect()
            });
            let sequences = seed::write(log, files.await?).await?;
            last = sequences.last().copied().unwrap_or(last);
            step.advance(sequences.len() as u64);
        }
    }

    /// Writes a year of visits to everybody, and then which of them are in doubt, as the readers found when they came.
    async fn visit(&self, log: &JetStreamLog, step: &Step) -> anyhow::Result<Written> {
        let mut written = Written {
            records: 0,
            doubted: 0,
            last: 0,
        };
        let mut verdicts = Vec::new();
        let mut people = self.people();
        loop {
            let some: Vec<_> = people.by_ref().take(usize::try_from(CHUNK)?).collect();
            if some.is_empty() {
                break;
            }
            let (some, years) = tokio::task::spawn_blocking(move || {
                let years: Vec<_> = some.iter().map(Dweller::year).collect();
                (some, years)
            })
            .await?;
            let records = years.iter().map(|year| year.events.len() as u64);
            written.records += records.sum::<u64>();
            let sequences = seed::write(log, years).await?;
            for (one, sequence) in some.iter().zip(&sequences) {
                verdicts.extend(one.verdict(log.stream(), *sequence));
            }
            step.advance(sequences.len() as u64);
        }
        written.doubted = verdicts.len() as u64;
        let sequences = seed::write(log, verdicts).await?;
        written.last = sequences.last().copied().unwrap_or_default();
        Ok(written)
    }

    /// What the coverage of each county must be, by month.
    fn coverage(&self) -> Vec<Vec<Count>> {
        let mut months = vec![vec![Count::default(); place(COUNTIES)]; MONTHS as usize];
        for one in self.people() {
            for (month, counties) in (1..).zip(&mut months) {
                let county = &mut counties[place(one.county())];
                county.in_scope += 1;
                county.visited += i64::from(one.is_visited(month));
            }
        }
        months
    }
}

/// An elder of the city.
#[derive(Debug, Clone, Copy)]
struct Dweller {
    number: u64,
    /// The village, from 0.
    village: u64,
    /// The place among the village's elders, from 0.
    place: u64,
    /// Nobody comes after in the log.
    last: bool,
}

impl Dweller {
    fn id(self) -> ElderId {
        ElderId(Person(self.number).id())
    }

    /// The county, from 0.
    fn county(self) -> u64 {
        self.village / (TOWNS * VILLAGES)
    }

    fn village_code(self) -> VillageCode {
        let (town, village) = (self.village / VILLAGES % TOWNS, self.village % VILLAGES);
        let code = format!(
            "{}{:03}{:03}",
            county_code(self.county()),
            100 + town,
            200 + village
        );
        code.parse().expect("a village")
    }

    /// How many visits there are in a month: mostly one.
    fn visits(self, month: u32) -> u64 {
        if (self.number + u64::from(month)).is_multiple_of(10) {
            0
        } else if self.number.is_multiple_of(5) {
            2
        } else {
            1
        }
    }

    /// Whether the first record of the year is in doubt. It is so of the last elder: all that stands before was judged.
    fn is_doubted(self) -> bool {
        self.last || self.number.is_multiple_of(ONE_DOUBTED_OF)
    }

    fn first_month(self) -> u32 {
        (1..=MONTHS)
            .find(|month| self.visits(*month) > 0)
            .unwrap_or(1)
    }

    /// Whether a record counts in the month.
    fn is_visited(self, month: u32) -> bool {
        let doubted = self.is_doubted() && month == self.first_month();
        self.visits(month) > u64::from(doubted)
    }

    /// A visit. The village's visitor is with one elder at a time.
    fn recorded(self, month: u32, nth: u64) -> Recorded {
        let elder = self.id();
        let day = 1 + u32::try_from(self.place % 28).expect("a day of a month");
        let on = LocalDay::from_ymd(YEAR, month, day).expect("each month has 28 days");
        let hour = 8 + nth * 6 + self.place / 28;
        let start = on.start() + TimeDelta::hours(hour.cast_signed());
        let record = Uuid::new_v5(&elder.as_uuid(), format!("{month}-{nth}").as_bytes());
        let visitor = Uuid::new_v5(&VISITORS, &self.village.to_be_bytes());
        visiting::visit(record, elder, visitor, start, self.village_code())
    }

    fn records(self) -> impl Iterator<Item = Recorded> {
        (1..=MONTHS).flat_map(move |month| {
            (0..self.visits(month)).map(move |nth| self.recorded(month, nth))
        })
    }

    /// The year's visits in one message of the log, which a reader takes as it takes many.
    fn year(&self) -> NewRecord {
        let recorded = self
            .records()
            .map(|recorded| ElderYear::encode(&Event::Recorded(Box::new(recorded))));
        let mut year = seed::record(self.subject(), 0, recorded.collect());
        year.metadata.time = end_of_year();
        year
    }

    /// What the examiner wrote of it, if anything.
    fn verdict(self, stream: &str, sequence: u64) -> Option<NewRecord> {
        let doubted = self.records().next().filter(|_| self.is_doubted())?;
        let event = Event::Doubted {
            record: doubted.record,
            doubts: Set::from(Doubt::EvidenceReused),
        };
        let position = Position::new(stream, sequence);
        let events = vec![ElderYear::encode(&event)];
        let mut verdict = seed::record(self.subject(), sequence, events);
        verdict.metadata.time = end_of_year();
        verdict.metadata.request_id = reaction_request_id(on_visit_recorded::NAME, &position, 0);
        verdict.metadata.answers = Some(position);
        Some(verdict)
    }

    fn subject(self) -> Subject {
        let day = LocalDay::from_ymd(YEAR, 1, 1).expect("a day");
        visiting::year(self.id(), day)
    }
}

fn end_of_year() -> DateTime<Utc> {
    let last = LocalDay::from_ymd(YEAR, 12, 31).expect("a day");
    last.end() - TimeDelta::hours(1)
}

fn county_code(county: u64) -> String {
    format!("{CITY}{:02}", 1 + county)
}

fn place(number: u64) -> usize {
    usize::try_from(number).expect("a small number")
}

fn request(month: u32, min_position: String) -> pb::GetCoverageRequest {
    pb::GetCoverageRequest {
        division_code: CITY.to_owned(),
        month: format!("{YEAR}-{month:02}"),
        by: DivisionLevel::County.into(),
        min_position,
        ..pb::GetCoverageRequest::default()
    }
}

/// Sees that the answers are right, each month's.
async fn check(client: &Client, months: &[Vec<Count>], position: String) -> anyhow::Result<()> {
    for (month, expected) in (1..).zip(months) {
        let asked = request(month, position.clone());
        let answer = client.visits().get_coverage(asked).await?.into_inner();
        let told: Vec<_> = answer
            .divisions
            .iter()
            .map(|county| Count {
                in_scope: county.in_scope,
                visited: county.visited,
            })
            .collect();
        ensure!(
            told == *expected,
            "in month {month} the counties' coverage is {told:?} and must be {expected:?}"
        );
    }
    Ok(())
}

async fn ask(served: &Served, warm: usize, count: usize, step: &Step) -> anyhow::Result<Latencies> {
    let months: Vec<_> = (1..=MONTHS)
        .map(|month| request(month, String::new()))
        .collect();
    let months = Arc::new(months);
    let call = |client: Client, month: pb::GetCoverageRequest| async move {
        client.visits().get_coverage(month).await
    };
    callers::ask(served, CALLERS, months, warm, count, step, call).await
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use visits::ledger::{Entry, Timeline};

    use super::*;

    #[test]
    fn the_villages_share_all_elders() {
        for elders in [256, 3_800, 380_000] {
            let city = City { elders };
            let numbers: Vec<_> = city.people().map(|one| one.number).collect();
            assert!(numbers.iter().copied().eq(0..elders));
        }
    }

    #[test]
    fn a_villages_visitor_is_with_one_elder_at_a_time() {
        let city = City { elders: ELDERS };
        let mut timeline = Timeline::default();
        let village = city.people().filter(|one| one.village == 77);
        for recorded in village.flat_map(Dweller::records) {
            let entry = Entry {
                elder: recorded.elder,
                start: recorded.start,
                end: recorded.end,
                check_in: None,
            };
            assert_eq!(timeline.doubts(&entry), Set::new());
            timeline.add(entry);
        }
    }

    #[test]
    fn one_elder_in_ten_is_not_visited_in_a_month() {
        let mut visited: HashMap<u32, u64> = HashMap::new();
        let mut in_scope: HashMap<u32, i64> = HashMap::new();
        for (month, counties) in (1..).zip(City { elders: 38_000 }.coverage()) {
            let all: i64 = counties.iter().map(|county| county.visited).sum();
            visited.insert(month, all.cast_unsigned());
            in_scope.insert(month, counties.iter().map(|county| county.in_scope).sum());
        }
        assert!(in_scope.values().all(|elders| *elders == 38_000));
        assert!(visited[&6] <= 34_200 && visited[&6] > 34_000);
    }
}
