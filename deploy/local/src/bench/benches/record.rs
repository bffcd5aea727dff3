//! `record`: what phones kept while they were off line is recorded, each record judged and durable before its outcome is told.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use anyhow::{Context as _, ensure};
use backing_services::Syncing;
use chrono::TimeDelta;
use eventlog::Position;
use futures::stream;
use proto::eldercare::{r#type::v1 as types, visits::v1 as pb};
use uuid::Uuid;
use visits::codec::CONTEXT;

use super::append::CALLERS;
use crate::{
    bench::{
        Ground, Measured,
        callers::{self, Latencies},
        people::{Person, day},
        processes::Spent,
        raw,
        seed::{self, Seeded},
        service::Role,
        stage::{Served, Stage},
        visiting,
    },
    client::Client,
    wire,
};

/// The elders who are visited in each setting, and how often each.
const ELDERS: usize = 50_000;
const VISITS_EACH: usize = 2;

/// A visitor's week: so many days from the Monday on, with so many visits each, from eight o'clock on.
const MONDAY: &str = "2024-10-21";
const DAYS: usize = 6;
const VISITS_A_DAY: usize = 14;
const WEEK: usize = DAYS * VISITS_A_DAY;

/// From the beginning of one visit to the next, and to its own end. Across the whole county it is no drive of 40 minutes.
const APART: TimeDelta = TimeDelta::minutes(40);
const LASTING: TimeDelta = TimeDelta::minutes(20);

/// When the phones are on line again: the Sunday of that week, at noon.
const NOW: &str = "2024-10-27T12:00:00+08:00";

/// One of so many records is a week late: its period is over when it arrives.
const ONE_LATE_OF: usize = 20;

/// One of so many records bears the photo of the visitor's record before it.
const ONE_DOUBTFUL_OF: usize = 50;

/// The ids of visitors.
const VISITORS: Uuid = Uuid::from_u128(0x2f0c_9c8e_7a51_4b7e_8d19_6c1f_03b2_55d4);

/// How records come.
struct Sending {
    /// What one stream bears.
    a_stream_is: &'static str,
    /// How many visitors' weeks that is.
    weeks: usize,
    /// How many streams there are at once.
    at_once: usize,
    /// When the log's server writes through to the disk.
    syncing: Syncing,
}

/// Of one visitor the records are kept one after the other, since the later are doubted by the earlier; those of many
/// visitors are kept side by side.
const SENDINGS: [Sending; 3] = [
    Sending {
        a_stream_is: "a visitor's week",
        weeks: 1,
        at_once: CALLERS,
        syncing: Syncing::EveryTwoMinutes,
    },
    Sending {
        a_stream_is: "the week of twelve visitors",
        weeks: 12,
        at_once: 16,
        syncing: Syncing::EveryTwoMinutes,
    },
    Sending {
        a_stream_is: "a visitor's week",
        weeks: 1,
        at_once: CALLERS,
        syncing: Syncing::Always,
    },
];

pub(super) async fn run(ground: &Ground) -> anyhow::Result<Vec<Measured>> {
    let mut results = Vec::new();
    for sending in &SENDINGS {
        results.push(measure(ground, sending).await?);
    }
    Ok(results)
}

async fn measure(ground: &Ground, sending: &Sending) -> anyhow::Result<Measured> {
    let (interval, publishes) = match sending.syncing {
        Syncing::EveryTwoMinutes => ("2m", 200_000),
        Syncing::Always => ("always", 30_000),
    };
    let name = format!("record_{}_{interval}", sending.weeks);
    let mut stage = Stage::set(ground, &name, sending.syncing).await?;
    let elders = ground.scaled(ELDERS);
    Seeded::registered(&stage, elders as u64, ground.progress).await?;
    let visitors = visitors(elders);
    register(&stage, &visitors).await?;
    seed::log_of(&stage, "tiering").await?;

    let registry = stage.start(Role::Registry).await?;
    stage.become_peer("visits", &registry.endpoint()).await?;
    stage.set_clock(NOW)?;
    let served = stage.start(Role::Visits).await?;

    let streams: Arc<Vec<_>> = Arc::new(visitors.chunks(sending.weeks).map(together).collect());
    let all: usize = streams.iter().map(Vec::len).sum();
    let doubtful = streams.iter().flatten().filter(|one| one.doubtful).count();
    let warm = sending.at_once.min(streams.len() / 10);
    let measured: usize = streams[warm..].iter().map(Vec::len).sum();
    let step = ground.progress.begin(
        format!("RecordVisits, {}, sync {interval}", sending.a_stream_is),
        0,
    );
    let before = spent(&stage, &served, &registry);
    let (latencies, last) = record(&served, sending.at_once, warm, &streams).await?;
    #[expect(clippy::cast_precision_loss, reason = "a figure to look at")]
    let rate = latencies.rate() * measured as f64 / (streams.len() - warm) as f64;
    step.done(&format!("{rate:.0}/s"));
    let spent = spent(&stage, &served, &registry);
    let peak = served.peak_rss();

    let sample = raw::sample(&stage, "VISITS", last).await?;
    let publishes = ground.scaled(publishes);
    let limit = raw::same_bytes(&stage, &[sample], CALLERS, publishes, ground.progress).await?;
    served.stop().await?;
    registry.stop().await?;
    let result = Measured::new("record", rate, "records/s")
        .limit(limit.rate())
        .latencies(&latencies)
        .peak(peak)
        .with("a_stream_is", sending.a_stream_is)
        .with("latency_of", "a stream, until its last outcome")
        .with("streams", streams.len())
        .with("streams_at_once", sending.at_once)
        .with("records", measured)
        .with("doubtful", doubtful)
        .with("visitors", visitors.len())
        .with("elders", elders)
        .with("sync_interval", interval)
        .with_rounded("limit_p50_ms", limit.permille(500));
    let result = spent.since(&before, all, result);
    let result = stage.note(result);
    stage.strike().await;
    Ok(result)
}

/// The processor time that everybody took up to now.
fn spent(stage: &Stage, served: &Served, registry: &Served) -> Spent {
    let processes = [
        ("service_processor_us", served),
        ("registry_processor_us", registry),
    ];
    Spent::so_far(stage, &processes)
}

/// Has phones send these streams, each once; how long each took but the first `warm` ones, and the last record that
/// nothing is doubted of.
async fn record(
    served: &Served,
    at_once: usize,
    warm: usize,
    streams: &Arc<Vec<Vec<Sent>>>,
) -> anyhow::Result<(Latencies, u64)> {
    let last = Arc::new(AtomicU64::new(0));
    let (clients, sent) = (served.clients()?, Arc::clone(streams));
    let newest = Arc::clone(&last);
    let quiet = crate::output::Progress::hidden().begin("streams", 0);
    let latencies = callers::drive(at_once, warm, streams.len() - warm, &quiet, {
        move |caller, number| {
            let client = clients[caller % clients.len()].clone();
            let (sent, newest) = (Arc::clone(&sent), Arc::clone(&newest));
            async move {
                let sequence = send(&client, &sent[number]).await?;
                newest.fetch_max(sequence, Ordering::Relaxed);
                Ok(())
            }
        }
    })
    .await?;
    Ok((latencies, last.load(Ordering::Relaxed)))
}

/// Sends a stream, and sees that each record has the outcome that it must have.
async fn send(client: &Client, sent: &[Sent]) -> anyhow::Result<u64> {
    let requests: Vec<_> = sent
        .iter()
        .map(|one| pb::RecordVisitsRequest {
            record: Some(one.record.clone()),
            min_position: String::new(),
        })
        .collect();
    let answers = client.visits().record_visits(stream::iter(requests)).await;
    let mut answers = answers?.into_inner();
    let mut last = 0;
    for one in sent {
        let answer = answers.message().await?;
        let outcome = answer
            .and_then(|answer| answer.outcome)
            .context("a record without an outcome")?;
        one.check(&outcome)?;
        if !one.doubtful {
            let position: Position = outcome.position.parse()?;
            last = last.max(position.sequence);
        }
    }
    ensure!(
        answers.message().await?.is_none(),
        "more outcomes than records"
    );
    Ok(last)
}

/// A record of a phone.
struct Sent {
    record: pb::VisitRecord,
    /// Whether it must be doubted, for its photo.
    doubtful: bool,
}

impl Sent {
    fn check(&self, outcome: &pb::RecordOutcome) -> anyhow::Result<()> {
        let (kind, doubts): (_, Vec<i32>) = if self.doubtful {
            let reused = pb::Doubt::EvidenceReused;
            (pb::RecordOutcomeKind::Doubtful, vec![reused.into()])
        } else {
            (pb::RecordOutcomeKind::Counted, vec![])
        };
        let as_expected = outcome.record_id == self.record.record_id
            && outcome.outcome() == kind
            && outcome.doubts == doubts
            && !outcome.repeated_record;
        ensure!(
            as_expected,
            "a record that must be {} with the doubts {doubts:?} was answered so: {outcome:?}",
            kind.as_str_name(),
        );
        Ok(())
    }
}

/// A visitor, with a week of visits to neighbours.
struct Week {
    visitor: Uuid,
    /// In the order of the visits.
    elders: Vec<Person>,
    /// How many records other visitors make before.
    before: usize,
}

/// Gives every elder the visits of the week; those of a village mostly by the same visitors.
fn visitors(elders: usize) -> Vec<Week> {
    let mut persons: Vec<_> = (0..elders as u64).map(Person).collect();
    persons.sort_by_cached_key(|person| person.village_code());
    let visits = persons.repeat(VISITS_EACH);
    visits
        .chunks(WEEK)
        .enumerate()
        .map(|(number, elders)| Week {
            visitor: Uuid::new_v5(&VISITORS, &number.to_be_bytes()),
            elders: elders.to_vec(),
            before: number * WEEK,
        })
        .collect()
}

/// The records of some visitors as they come in one stream, in the order in which the visits took place.
fn together(weeks: &[Week]) -> Vec<Sent> {
    let mut sent: Vec<_> = weeks.iter().flat_map(Week::records).collect();
    let began = |one: &Sent| one.record.start_time.map(|start| start.seconds);
    if weeks.len() > 1 {
        sent.sort_by_key(began);
    }
    sent
}

impl Week {
    fn records(&self) -> Vec<Sent> {
        (0..self.elders.len())
            .map(|place| self.record(place))
            .collect()
    }

    fn record(&self, place: usize) -> Sent {
        let (elder, number) = (self.elders[place], self.before + place);
        let late = number.is_multiple_of(ONE_LATE_OF);
        let doubtful = place > 0 && (number + 1).is_multiple_of(ONE_DOUBTFUL_OF);
        let minutes = i32::try_from(place % VISITS_A_DAY).expect("visits of a day are few");
        let days = i64::try_from(place / VISITS_A_DAY).expect("days of a week are few");
        let on = day(MONDAY).plus_days(days - if late { 7 } else { 0 });
        let start = on.start() + TimeDelta::hours(8) + APART * minutes;
        let home = elder.position();
        let record = pb::VisitRecord {
            record_id: self.id(place).to_string(),
            elder_id: elder.id().to_string(),
            visitor_id: self.visitor.to_string(),
            mode: types::VisitMode::Home.into(),
            result: pb::VisitResult::Met.into(),
            start_time: Some(wire::timestamp(start)),
            end_time: Some(wire::timestamp(start + LASTING)),
            services: vec![types::ServiceKind::HealthManagement.into()],
            signed: true,
            remarks: "身体状况良好，家中整洁".to_owned(),
            // At the gate, some fifty metres from where the home is on the map.
            check_in: Some(types::GeoPosition {
                latitude: home.latitude + 0.000_5,
                ..home
            }),
            photo_hashes: vec![self.photo(place - usize::from(doubtful)).into()],
            findings: vec![],
        };
        Sent { record, doubtful }
    }

    fn id(&self, place: usize) -> Uuid {
        Uuid::new_v5(&self.visitor, &place.to_be_bytes())
    }

    /// The digest of a photo of its own.
    fn photo(&self, place: usize) -> Vec<u8> {
        let id = self.id(place);
        [id, Uuid::new_v5(&id, b"photo")]
            .map(Uuid::into_bytes)
            .concat()
    }
}

async fn register(stage: &Stage, visitors: &[Week]) -> anyhow::Result<()> {
    let log = seed::log_of(stage, CONTEXT).await?;
    // Each is at home where the first of the elders is.
    let registered = visitors
        .iter()
        .map(|week| visiting::registration(week.visitor, week.elders[0]))
        .collect();
    seed::write(&log, registered).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use civic::{ElderId, GeoPosition, Set};
    use visits::ledger::{Entry, Timeline};

    use super::*;

    fn entry(record: &pb::VisitRecord) -> Entry {
        let at = |time: Option<prost_types::Timestamp>| time.and_then(wire::from_timestamp);
        let place = record.check_in.unwrap();
        Entry {
            elder: ElderId(record.elder_id.parse().unwrap()),
            start: at(record.start_time).unwrap(),
            end: at(record.end_time).unwrap(),
            check_in: Some(GeoPosition::new(place.latitude, place.longitude).unwrap()),
        }
    }

    #[test]
    fn no_record_is_doubted_for_where_and_when_the_visitor_was() {
        let mut timelines: HashMap<String, Timeline> = HashMap::new();
        for one in together(&visitors(2_000)) {
            let timeline = timelines.entry(one.record.visitor_id.clone()).or_default();
            let entry = entry(&one.record);
            assert_eq!(timeline.doubts(&entry), Set::new());
            timeline.add(entry);
        }
    }

    #[test]
    fn a_record_is_doubtful_where_its_photo_came_before() {
        for weeks in [1, 12] {
            let mut seen = std::collections::HashSet::new();
            let sent = visitors(3_000);
            for one in sent.chunks(weeks).flat_map(together) {
                let photo = one.record.photo_hashes[0].clone();
                assert_eq!(photo.len(), 32);
                assert_eq!(!seen.insert(photo), one.doubtful);
            }
        }
    }

    #[test]
    fn each_elder_is_visited_twice() {
        let mut visits: HashMap<String, usize> = HashMap::new();
        for one in together(&visitors(500)) {
            *visits.entry(one.record.elder_id).or_default() += 1;
        }
        assert_eq!(visits.len(), 500);
        assert!(visits.values().all(|times| *times == VISITS_EACH));
    }
}
