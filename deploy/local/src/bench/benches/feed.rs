//! `feed`: visits are recorded at a steady pace, and a department's own program reads of each on its feed, beside bare messages at
//! the same pace to a bare reader.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use backing_services::Syncing;
use chrono::TimeDelta;
use civic::{ElderId, Set};
use eventlog::{Aggregate as _, EventLog as _, JetStreamLog};
use proto::eldercare::visits::v1 as pb;
use serde_json::json;
use uuid::Uuid;
use vault::Sealed;
use visits::{
    codec::CONTEXT,
    elder_year::{ElderYear, Event},
};

use crate::bench::{
    Ground, Measured, agreed,
    callers::{Latencies, rate},
    people::{Person, day},
    processes::Spent,
    program::Program,
    raw,
    seed::{self, Seeded},
    service::Role,
    stage::{Served, Stage},
    steady, visiting,
};

/// The elders of the county, all of whom the agreement covers.
const ELDERS: usize = 20_000;

/// How many visits are recorded a second, how many in all, and how many are not measured before.
const A_SECOND: u32 = 2_000;
const VISITS: usize = 60_000;
const WARM: usize = 10_000;

/// The day of the first visit. The next one begins a minute later.
const FROM: &str = "2024-11-01";
const MINUTES: usize = 40_000;

/// Who visits everybody.
const VISITOR: Uuid = Uuid::from_u128(0x3d0e_51c7_6b1f_4a92_8c55_02da_9e47_b160);

pub(super) async fn run(ground: &Ground) -> anyhow::Result<Vec<Measured>> {
    let mut stage = Stage::guarded(ground, "feed", Syncing::EveryTwoMinutes).await?;
    let visits = Visits::of_registered(&stage, ground).await?;
    for owner in ["tiering", "alerts", "claims"] {
        seed::log_of(&stage, owner).await?;
    }
    let registry = stage.start(Role::Registry).await?;
    stage.become_peer("sharing", &registry.endpoint()).await?;
    stage.set_clock(agreed::NOW)?;
    stage.let_departments_in()?;
    let served = stage.start(Role::Sharing).await?;
    let program = followed(ground, &stage, &served).await?;

    let (warm, count) = (ground.scaled(WARM), ground.scaled(VISITS));
    let all = warm + count;
    let stream = visits.log.stream().to_owned();
    let hearing = tokio::spawn(program.hears(stream.clone(), all));
    let processes = [
        ("service_processor_us", &served),
        ("registry_processor_us", &registry),
    ];
    let before = Spent::so_far(&stage, &processes);
    let step = ground.progress.begin("visits", all as u64);
    let elders = visits.elders.len();
    let visits = Arc::new(visits);
    let recorded = steady::drive(A_SECOND, all, &step, |number, due| {
        let visits = Arc::clone(&visits);
        async move { visits.record(number, due).await }
    });
    let (recorded, came) = (recorded.await?, hearing.await??);
    let spent = Spent::so_far(&stage, &processes);
    let recorded = recorded.into_iter().filter(|one| one.number >= warm);
    let heard = Heard::of(&recorded.collect::<Vec<_>>(), &came)?;
    step.done(&format!("p50 {:.2} ms", heard.since_due.permille(500)));

    let sample = raw::samples(&stage, &[(stream.as_str(), "eldercare.visits.")]).await?;
    let sample = sample.first().context("no visit is in the log")?;
    let step = ground.progress.begin("bare messages", all as u64);
    let limit = raw::passages(&stage, sample, A_SECOND, warm, count, &step).await?;
    step.done(&format!("p50 {:.2} ms", limit.permille(500)));

    let peak = served.peak_rss();
    served.stop().await?;
    registry.stop().await?;
    let measured = Measured::new("feed", heard.since_due.permille(500), "ms (p50)")
        .limit_at_least(limit.permille(500))
        .latencies(&heard.since_due)
        .peak(peak)
        .with(
            "latency_of",
            "a visit, from when it is due to be recorded until the department's program has it",
        )
        .with_rounded("from_the_log_p50_ms", heard.since_recorded.permille(500))
        .with_rounded("from_the_log_p99_ms", heard.since_recorded.permille(990))
        .with_rounded("events_per_second", heard.rate)
        .with("events_per_second_due", A_SECOND)
        .with("limit_is", "the same bytes, as often, to a bare reader")
        .with_rounded("limit_p99_ms", limit.permille(990))
        .with("visits", count)
        .with("elders", elders);
    let measured = stage.note(spent.since(&before, all, measured));
    stage.strike().await;
    Ok(vec![measured])
}

/// The department's program, once an agreement is in force and the feed has told what there was.
async fn followed(ground: &Ground, stage: &Stage, served: &Served) -> anyhow::Result<Program> {
    let step = ground.progress.begin("the feed begins", 0);
    let client = agreed::clients(stage, served)?.swap_remove(0);
    let fields = json!({
        "record_id": "plain",
        "start_time": "plain",
        "mode": "plain",
        "result": "plain",
        "counted": "plain",
        "remarks": "plain",
    });
    agreed::agree(&client, json!({ "visit": fields })).await?;
    let mut program = Program::admitted(&client, &stage.nats.url()).await?;
    program.until("FeedCaughtUp").await?;
    step.done("it has told what there was");
    Ok(program)
}

/// The log of visits, and whose visits are recorded.
#[derive(Debug)]
struct Visits {
    log: JetStreamLog,
    elders: Vec<Visited>,
}

/// An elder who is visited again and again.
#[derive(Debug)]
struct Visited {
    remarks: Sealed<pb::Remarks>,
    /// The sequence of the last record.
    last: AtomicU64,
}

/// A visit that stands in the log.
#[derive(Debug, Clone, Copy)]
struct Recorded {
    number: usize,
    sequence: u64,
    /// When it was due.
    due: Instant,
    /// When the log had it.
    at: Instant,
}

impl Visits {
    /// Registers the elders; nobody was visited yet.
    async fn of_registered(stage: &Stage, ground: &Ground) -> anyhow::Result<Self> {
        let elders = ground.scaled(ELDERS) as u64;
        let sealing = Seeded::sealing(
            stage,
            elders,
            Set::EMPTY,
            visiting::remarks,
            ground.progress,
        );
        let (_, remarks) = sealing.await?;
        let elders = remarks.into_iter().map(|remarks| Visited {
            remarks,
            last: AtomicU64::new(0),
        });
        Ok(Self {
            log: seed::log_of(stage, CONTEXT).await?,
            elders: elders.collect(),
        })
    }

    /// Records a visit, each elder's in turn.
    async fn record(&self, number: usize, due: Instant) -> anyhow::Result<Recorded> {
        let place = number % self.elders.len();
        let (person, visited) = (Person(place as u64), &self.elders[place]);
        let minutes = i64::try_from(number % MINUTES)?;
        let start = day(FROM).start() + TimeDelta::minutes(minutes);
        let id = Uuid::new_v5(&person.id(), &number.to_be_bytes());
        let (elder, village) = (ElderId(person.id()), person.village_code().parse()?);
        let mut visit = visiting::visit(id, elder, VISITOR, start, village);
        visit.remarks = Some(visited.remarks.clone());
        let event = ElderYear::encode(&Event::Recorded(Box::new(visit)));
        let subject = visiting::year(elder, day(FROM));
        let last = visited.last.load(Ordering::Relaxed);
        let record = seed::record(subject, last, vec![event]);
        let sequence = self.log.append(record).await?;
        let at = Instant::now();
        visited.last.store(sequence, Ordering::Relaxed);
        Ok(Recorded {
            number,
            sequence,
            due,
            at,
        })
    }
}

/// How long visits took to the department.
#[derive(Debug)]
struct Heard {
    since_due: Latencies,
    since_recorded: Latencies,
    /// How many came a second.
    rate: f64,
}

impl Heard {
    fn of(recorded: &[Recorded], came: &HashMap<u64, Instant>) -> anyhow::Result<Self> {
        let (mut since_due, mut since_recorded) = (Vec::new(), Vec::new());
        let (mut first, mut last): (Option<Instant>, Option<Instant>) = (None, None);
        for one in recorded {
            let at = *came.get(&one.sequence).context("a visit did not come")?;
            since_due.push(at.saturating_duration_since(one.due));
            since_recorded.push(at.saturating_duration_since(one.at));
            first = Some(first.map_or(one.due, |first| first.min(one.due)));
            last = last.max(Some(at));
        }
        let lasted = first.zip(last).map(|(first, last)| last - first);
        let lasted = lasted.unwrap_or(Duration::ZERO).as_secs_f64();
        ensure!(lasted > 0.0, "no visit was measured");
        let rate = rate(recorded.len() as u64, lasted);
        Ok(Self {
            since_due: Latencies::of(since_due),
            since_recorded: Latencies::of(since_recorded),
            rate,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_counts_from_when_a_visit_was_due() {
        let began = Instant::now();
        let after = |millis: u64| began + Duration::from_millis(millis);
        let one = |number: usize, sequence: u64, due: u64, at: u64| Recorded {
            number,
            sequence,
            due: after(due),
            at: after(at),
        };
        let recorded = [one(0, 7, 0, 10), one(1, 8, 500, 520)];
        let came = HashMap::from([(7, after(30)), (8, after(1_000))]);
        let heard = Heard::of(&recorded, &came).unwrap();
        let (slowest, least) = (
            heard.since_due.permille(990),
            heard.since_recorded.permille(0),
        );
        assert_eq!((slowest, least, heard.rate), (500.0, 20.0, 2.0));
        assert!(Heard::of(&[one(2, 9, 600, 610)], &came).is_err());
    }
}
