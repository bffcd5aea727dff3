//! `aggregates`: a log and a read model with ever more elders in them: what they take, how soon the log's server serves again
//! after it was killed, and how fast single aggregates are read and go on, and all of them are followed and projected.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use async_nats::jetstream;
use backing_services::Syncing;
use elders::{Event, event::Spoken};
use eventlog::{
    Aggregate as _, Delivery, EventLog as _, Gather, JetStreamLog, NewRecord, StreamSettings,
    Subject,
};
use futures::StreamExt as _;
use registry::{elder::File, registry_elders};
use sqlx::PgConnection;
use vault::{Algorithm, DataKey};

use super::rebuild;
use crate::{
    bench::{
        Ground, Measured,
        callers::{self, Latencies, rate},
        people::{AS_OF, Person, day},
        raw,
        seed::{self, Seeded},
        service::Role,
        stage::Stage,
    },
    output::Step,
};

/// How many aggregates the log has.
const SIZES: [usize; 3] = [300_000, 1_000_000, 3_000_000];

/// Each elder is two of them: the file, and the claim to the ID number. The key in `VAULT` is one more subject of the server.
const OF_AN_ELDER: usize = 2;
const SUBJECTS_OF_AN_ELDER: usize = 3;

/// How many single aggregates are read, and go on, and how many callers do so at a time.
const CALLS: usize = 50_000;
const CALLERS: usize = 8;

/// How many new aggregates are written as fast as may be, and how many of them are on their way at a time.
const WRITTEN: usize = 100_000;
const ON_THEIR_WAY: usize = 1_000;

/// How long the server may take to answer: the first to ask for an aggregate after a restart may wait long.
const PATIENCE: Duration = Duration::from_secs(300);

/// How often it is looked how far the read model is.
const LOOK: Duration = Duration::from_millis(5);

pub(super) async fn run(ground: &Ground) -> anyhow::Result<Vec<Measured>> {
    let mut results = Vec::new();
    for size in SIZES {
        results.push(measure(ground, size).await?);
    }
    Ok(results)
}

async fn measure(ground: &Ground, size: usize) -> anyhow::Result<Measured> {
    let name = format!("aggregates-{size}");
    let stage = Stage::set(ground, &name, Syncing::EveryTwoMinutes).await?;
    let elders = ground.scaled(size) / OF_AN_ELDER;
    let seeded = Seeded::registered(&stage, elders as u64, ground.progress).await?;
    let records = seeded.events;
    drop(seeded);
    let grown = Grown {
        ground,
        stage: &stage,
        elders,
        records,
        calls: ground.scaled(CALLS).min(elders / 2),
    };
    let resident = stage.nats.resident_bytes();
    let restarted = grown.restarted(&ground.folder.join(&name)).await?;
    let followed = grown.followed().await?;
    let rebuilt = grown.rebuilt().await?;
    let rows = Rows::of(&stage).await?;
    let looked_up = grown.looked_up().await?;
    // What the service does once, at its first start, is done before the runner is measured.
    stage.start(Role::Registry).await?.stop().await?;
    let last = grown.last().await?;
    let (read, sequences) = grown.read().await?;
    let appended = grown.appended(sequences).await?;
    let projected = grown.projected().await?;
    let (written, limit) = grown.written().await?;

    let subjects = (SUBJECTS_OF_AN_ELDER * elders) as u64;
    let measured = Measured::new("aggregates", written.rate(), "records/s")
        .limit(limit.rate())
        .latencies(&appended)
        .peak(Some(rebuilt.peak))
        .with("aggregates", records)
        .with("elders", elders)
        .with("subjects", subjects)
        .with("callers", CALLERS)
        .with("latency_of", "a record appended at its expected sequence")
        .with("peak_of", "the process that builds the read model")
        .with("nats_resident_bytes", resident)
        .with("nats_resident_bytes_after_restart", restarted.resident)
        .with("record_bytes", restarted.logged / records.max(1))
        .with("record_disk_bytes", restarted.stored / records.max(1))
        .with_rounded("restart_seconds", restarted.took.as_secs_f64())
        .with_rounded("first_read_ms", restarted.first_read.as_secs_f64() * 1e3)
        .with_rounded("followed_per_second", followed)
        .with_rounded("rebuilt_per_second", rebuilt.rate)
        .with("projected_per_second", projected.map(f64::round))
        .with("elder_rows", rows.elders.0)
        .with("elder_row_bytes", rows.elders.1)
        .with("fact_rows", rows.facts.0)
        .with("fact_row_bytes", rows.facts.1);
    let measured = told(measured, "last", &last);
    let measured = told(measured, "read", &read);
    let measured = told(measured, "looked_up", &looked_up);
    let measured = stage.note(told(measured, "appended", &appended));
    stage.strike().await;
    Ok(measured)
}

/// Notes the latencies and the rate of something.
fn told(measured: Measured, what: &str, latencies: &Latencies) -> Measured {
    measured
        .with_rounded(&format!("{what}_p50_ms"), latencies.permille(500))
        .with_rounded(&format!("{what}_p99_ms"), latencies.permille(990))
        .with_rounded(&format!("{what}_per_second"), latencies.rate())
}

/// A log of many elders.
struct Grown<'a> {
    ground: &'a Ground,
    stage: &'a Stage,
    elders: usize,
    records: u64,
    /// How many single aggregates are read, and go on, after a tenth of as many that are not measured.
    calls: usize,
}

/// What became of a server that was killed.
#[derive(Debug)]
struct Restarted {
    /// How long it took until it served again.
    took: Duration,
    /// How long the first aggregate took then.
    first_read: Duration,
    /// The memory that it held then.
    resident: Option<u64>,
    /// How large the log is, as the server counts it.
    logged: u64,
    /// How large its files are, with all that finds records again.
    stored: u64,
}

/// A read model that was built from the log.
#[derive(Debug)]
struct Rebuilt {
    /// Events a second.
    rate: f64,
    /// The most memory that the process held.
    peak: u64,
}

/// The tables of the read model: how many rows there are, and what each takes on the disk with all indexes.
#[derive(Debug)]
struct Rows {
    elders: (i64, i64),
    facts: (i64, i64),
}

impl Grown<'_> {
    /// The log, with patience.
    async fn log(&self) -> anyhow::Result<JetStreamLog> {
        let settings = StreamSettings {
            timeout: PATIENCE,
            ..StreamSettings::of(File::CONTEXT, Gather::GroupsOnly)
        };
        Ok(JetStreamLog::open(self.stage.nats_client().await?, settings).await?)
    }

    /// Kills the server, and starts it again.
    async fn restarted(&self, folder: &Path) -> anyhow::Result<Restarted> {
        let step = self.begin("the log's server is killed and started", 0);
        let (nats, stream) = (&self.stage.nats, stream());
        nats.kill().await;
        let stored = bytes_in(&files_of(folder, &stream))?;
        let since = Instant::now();
        nats.restart().await?;
        let took = since.elapsed();
        let log = self.log().await?;
        let asked = file_of(self.somebody(self.calls));
        let since = Instant::now();
        let found = log.read(&asked, 0).await?;
        let first_read = since.elapsed();
        ensure!(!found.is_empty(), "a file is not in the log any more");
        let server = jetstream::new(self.stage.nats_client().await?);
        let kept = server.get_stream(&stream).await?;
        let state = &kept.cached_info().state;
        ensure!(
            state.messages == self.records,
            "{} records are left of {}",
            state.messages,
            self.records
        );
        step.done(&format!("{:.1} s", took.as_secs_f64()));
        Ok(Restarted {
            took,
            first_read,
            resident: nats.resident_bytes(),
            logged: state.bytes,
            stored,
        })
    }

    /// Reads the log from its beginning; records a second.
    async fn followed(&self) -> anyhow::Result<f64> {
        let log = self.log().await?;
        let step = self.begin("the log is followed", self.records);
        let since = Instant::now();
        let mut deliveries = log.subscribe(0).await?;
        let mut last = 0;
        while last < self.records {
            let batch = deliveries.next().await.context("the reading ended")??;
            last = batch.last().map_or(last, Delivery::sequence);
            step.at(last, self.records);
        }
        let rate = rate(self.records, since.elapsed().as_secs_f64());
        step.done(&format!("{rate:.0}/s"));
        Ok(rate)
    }

    /// Builds the registry's read model.
    async fn rebuilt(&self) -> anyhow::Result<Rebuilt> {
        let step = self.begin("the read model is built", 0);
        let (seconds, peak) = rebuild::rebuilt(self.stage).await?;
        let rate = rate(self.records, seconds);
        step.done(&format!("{rate:.0} events/s"));
        Ok(Rebuilt { rate, peak })
    }

    /// Looks single files up in the read model, by the registry's own statement.
    async fn looked_up(&self) -> anyhow::Result<Latencies> {
        let settings = self.stage.settings()?;
        let pool = service::connections::pool_options(&settings.common.postgres)
            .connect(&self.stage.database)
            .await?;
        let elders = self.elders;
        self.driven("files looked up", move |number| {
            let (pool, elder) = (pool.clone(), somebody(number, elders).id());
            async move {
                sqlx::query(
                    "SELECT elder_id, version, registered_at, file FROM registry_elders.elder WHERE elder_id = ANY($1)",
                )
                .bind([elder].as_slice())
                .fetch_one(&pool)
                .await?;
                Ok(())
            }
        })
        .await
    }

    /// Asks the server for the last records of single files.
    async fn last(&self) -> anyhow::Result<Latencies> {
        let server = jetstream::new(self.stage.nats_client().await?);
        let stream = server.get_stream_no_info(stream()).await?;
        let elders = self.elders;
        self.driven("last records of files", move |number| {
            let (stream, file) = (stream.clone(), file_of(somebody(number, elders)));
            async move {
                stream.direct_get_last_for_subject(file.as_str()).await?;
                Ok(())
            }
        })
        .await
    }

    /// Reads single files as a service does that remembers nothing of them; and the sequences on which their next records rest.
    async fn read(&self) -> anyhow::Result<(Latencies, Arc<[AtomicU64]>)> {
        let (log, elders) = (self.log().await?, self.elders);
        let sequences: Arc<[AtomicU64]> = (0..self.warm() + self.calls)
            .map(|_| AtomicU64::default())
            .collect();
        let found = Arc::clone(&sequences);
        let latencies = self.driven("files read from the log", move |number| {
            let (log, found) = (log.clone(), Arc::clone(&found));
            let file = file_of(somebody(number, elders));
            async move {
                let records = log.read(&file, 0).await?;
                let last = records.last().context("a file without a record")?;
                found[number].store(last.sequence, Ordering::Relaxed);
                Ok(())
            }
        });
        Ok((latencies.await?, sequences))
    }

    /// Has single files go on by a record each.
    async fn appended(&self, sequences: Arc<[AtomicU64]>) -> anyhow::Result<Latencies> {
        let (log, elders) = (self.log().await?, self.elders);
        self.driven("records appended to files", move |number| {
            let log = log.clone();
            let expected = sequences[number].load(Ordering::Relaxed);
            let record = refusal(somebody(number, elders), expected);
            async move {
                log.append(record).await?;
                Ok(())
            }
        })
        .await
    }

    /// Has a service take in what the log has beyond the read model, as its one runner does; records a second, where that took
    /// more than one transaction.
    async fn projected(&self) -> anyhow::Result<Option<f64>> {
        let head = self.log().await?.last_sequence().await?;
        let mut db = self.stage.database().await?;
        let from = projected_to(&mut db).await?;
        let step = self.begin("what was appended is projected", head - from);
        let projecting = async {
            let since = Instant::now();
            let mut look = tokio::time::interval(LOOK);
            let mut begun = None;
            loop {
                look.tick().await;
                let (reached, now) = (projected_to(&mut db).await?, Instant::now());
                if reached > from && begun.is_none() {
                    begun = Some((reached, now));
                }
                if reached >= head {
                    return anyhow::Ok(begun.map(|(first, at)| (head - first, now - at)));
                }
                ensure!(since.elapsed() < PATIENCE, "the read model stands still");
            }
        };
        let (served, taken_in) = tokio::try_join!(self.stage.start(Role::Registry), projecting)?;
        served.stop().await?;
        let taken_in = taken_in.filter(|(records, _)| *records > 0);
        let rate = taken_in.map(|(records, took)| rate(records, took.as_secs_f64()));
        step.done(&rate.map_or_else(String::new, |rate| format!("{rate:.0}/s")));
        Ok(rate)
    }

    /// Writes new files as fast as the log takes them, and the same bytes into an empty stream.
    async fn written(&self) -> anyhow::Result<(Latencies, Latencies)> {
        let count = self.ground.scaled(WRITTEN);
        // Nobody opens them.
        let key = DataKey::generate(Algorithm::default());
        let files = (self.elders..self.elders + count).map(|number| {
            let person = Person(number as u64);
            let village = person.village_code().parse().expect("a village");
            seed::file(person, &key, village)
        });
        let (log, files) = (self.log().await?, files.collect::<Arc<[NewRecord]>>());
        let step = self.begin("new files", count as u64);
        let written = callers::drive(ON_THEIR_WAY, 0, count, &step, move |_, number| {
            let (log, file) = (log.clone(), files[number].clone());
            async move {
                log.append(file).await?;
                Ok(())
            }
        });
        let written = written.await?;
        step.done(&format!("{:.0}/s", written.rate()));
        let stream = stream();
        let files = [(stream.as_str(), "eldercare.registry.elder.")];
        let samples = raw::samples(self.stage, &files).await?;
        let step = self.begin("the same into an empty stream", count as u64);
        let limit = raw::publishes(self.stage, &samples, ON_THEIR_WAY, count, &step).await?;
        step.done(&format!("{:.0}/s", limit.rate()));
        Ok((written, limit))
    }

    /// Has callers do something to single files, each to files of its own.
    async fn driven<C>(
        &self,
        what: &str,
        call: impl Fn(usize) -> C + Clone + Send + 'static,
    ) -> anyhow::Result<Latencies>
    where
        C: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let (warm, calls) = (self.warm(), self.calls);
        let step = self.begin(what, (warm + calls) as u64);
        let call = move |_: usize, number| call(number);
        let latencies = callers::drive(CALLERS, warm, calls, &step, call).await?;
        step.done(&format!("p50 {:.2} ms", latencies.permille(500)));
        Ok(latencies)
    }

    fn begin(&self, what: &str, items: u64) -> Step {
        let what = format!("{what}, {} aggregates", self.records);
        self.ground.progress.begin(what, items)
    }

    fn warm(&self) -> usize {
        self.calls / 10
    }

    fn somebody(&self, number: usize) -> Person {
        somebody(number, self.elders)
    }
}

impl Rows {
    async fn of(stage: &Stage) -> anyhow::Result<Self> {
        let mut db = stage.database().await?;
        let (elders, elder_bytes, facts, fact_bytes): (i64, i64, i64, i64) = sqlx::query_as(
            "SELECT (SELECT count(*) FROM registry_elders.elder), pg_total_relation_size('registry_elders.elder'), \
             (SELECT count(*) FROM registry_elders.fact), pg_total_relation_size('registry_elders.fact')",
        )
        .fetch_one(&mut db)
        .await?;
        Ok(Self {
            elders: (elders, elder_bytes / elders.max(1)),
            facts: (facts, fact_bytes / facts.max(1)),
        })
    }
}

/// One of so many elders: for each number below that another one, and nobody near the one before.
fn somebody(number: usize, elders: usize) -> Person {
    // A prime beyond all of them: its multiples come to each rest once.
    const STRIDE: u64 = 2_654_435_761;
    Person(number as u64 * STRIDE % elders as u64)
}

/// Where an elder's file lies in the log.
fn file_of(person: Person) -> Subject {
    let id = person.id().to_string();
    Subject::new(File::CONTEXT, File::NAME, &id).expect("an id is a token")
}

/// A record that changes both an elder's file and the facts of it.
fn refusal(person: Person, expected: u64) -> NewRecord {
    let refused = Event::ConsentRefused(Spoken {
        by: Some(civic::ConsentGiver::Elder),
        at: Some(day(AS_OF).start()),
    });
    let mut record = seed::record(file_of(person), expected, vec![File::encode(&refused)]);
    record.metadata.division = Some(person.village_code());
    record
}

/// The registry's stream.
fn stream() -> String {
    File::CONTEXT.to_ascii_uppercase()
}

/// Where the server of a stage keeps a stream: it makes a folder `jetstream` of its own in the one that it is given, with one in it
/// for each account.
fn files_of(folder: &Path, stream: &str) -> PathBuf {
    let parts = ["nats", "jetstream", "jetstream", "$G", "streams", stream];
    folder.join(parts.iter().collect::<PathBuf>())
}

/// How large all files in a folder are.
fn bytes_in(folder: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let about = entry.metadata()?;
        bytes += if about.is_dir() {
            bytes_in(&entry.path())?
        } else {
            about.len()
        };
    }
    Ok(bytes)
}

/// How far the registry's read model is in the log.
async fn projected_to(db: &mut PgConnection) -> anyhow::Result<u64> {
    let [sequence] = readmodel::checkpoints(db, [registry_elders::NAME]).await?;
    Ok(sequence)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_number_is_somebody_else_and_nobody_is_near_the_one_before() {
        for elders in [128, 150_000] {
            let all = (0..elders).map(|number| somebody(number, elders).0);
            let all: Vec<_> = all.collect();
            let different: HashSet<_> = all.iter().copied().collect();
            assert_eq!(different.len(), elders);
            let near = all.windows(2).filter(|two| two[0].abs_diff(two[1]) < 8);
            assert_eq!(near.count(), 0, "of {elders}");
        }
    }

    #[test]
    fn files_count_in_whatever_folder_they_lie() {
        let folder = tempfile::tempdir().unwrap();
        let messages = files_of(folder.path(), "REGISTRY").join("msgs");
        std::fs::create_dir_all(&messages).unwrap();
        std::fs::write(messages.join("1.blk"), [0_u8; 300]).unwrap();
        std::fs::write(messages.join("index.db"), [0_u8; 20]).unwrap();
        let stream = messages.parent().unwrap();
        std::fs::write(stream.join("meta.inf"), [0_u8; 3]).unwrap();
        assert_eq!(bytes_in(stream).unwrap(), 323);
        assert!(bytes_in(&folder.path().join("elsewhere")).is_err());
    }
}
