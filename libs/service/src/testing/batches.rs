//! That a read model is the same in whatever batches its log is read: logs in which all happens that can, and the rows that
//! batches of several sizes give, compared.

use std::{collections::BTreeSet, sync::Arc};

use chrono::{DateTime, TimeDelta, Utc};
use eventlog::{EventLog, MemoryLog, RawEvent, Subject};
use futures::future::join_all;
use prost::Message as _;
use prost_types::FileDescriptorSet;
use readmodel::{Projection, Settings};
use sqlx::PgPool;

use super::{
    folding::{rows_and_parked_of, tables_of},
    metadata, write,
};

/// How many records come at once: each alone, few, and all there are.
pub const BATCHES: [usize; 4] = [1, 2, 7, 10_000];

/// What an aggregate is told at once.
pub type Told = (Subject, Vec<RawEvent>);

/// When the first step of a story is told: 2024-10-01 at eight.
const BEGUN: DateTime<Utc> = DateTime::from_timestamp_nanos(1_727_740_800_000_000_000);
/// How long after it the next one is: so stories take some days.
const STEP: TimeDelta = TimeDelta::hours(5);
/// Where they are told.
const VILLAGE: &str = "350524100001";

/// A log in memory in which all events of a contract occur, such as `eldercare/visits/v1/visits_events.proto`, and a message that
/// is no record: its stories are told in turns, some steps of one after some of another, so that batches part them at many
/// places. Messages of the contract that stand in no event since they lie `sealed` in one are none.
///
/// # Panics
/// If an event of the contract is missing, or the names make no sense.
pub async fn log_of(
    stream: &str,
    contract: &str,
    sealed: &[&str],
    stories: Vec<Vec<Told>>,
) -> Arc<dyn EventLog> {
    let memory = MemoryLog::new(stream);
    let unreadable = format!("eldercare.{}.unreadable.1", stream.to_lowercase());
    memory.write_unreadable(&unreadable, vec![0xff_u8]);
    let mut missing = events_of(contract, sealed);
    let mut turns = (1..=3).cycle();
    let mut now = BEGUN;
    let mut stories: Vec<_> = stories.into_iter().map(Vec::into_iter).collect();
    while !stories.is_empty() {
        for story in &mut stories {
            let steps = turns.next().unwrap_or(1);
            for (subject, events) in story.by_ref().take(steps) {
                for event in &events {
                    missing.remove(&event.event_type);
                }
                write(&memory, subject, metadata(now, VILLAGE), events).await;
                now += STEP;
            }
        }
        stories.retain(|story| !story.as_slice().is_empty());
    }
    assert!(missing.is_empty(), "{missing:?} do not occur in {stream}");
    Arc::new(memory)
}

/// The events of a contract: its messages that are no part of another one, nor among these.
fn events_of(contract: &str, sealed: &[&str]) -> BTreeSet<String> {
    let contracts = FileDescriptorSet::decode(proto::FILE_DESCRIPTOR_SET);
    let contracts = contracts.expect("the contracts were compiled");
    let mut files = contracts.file.iter();
    let file = files.find(|file| file.name() == contract);
    let file = file.expect("there is such a contract");
    let fields = file.message_type.iter().flat_map(|message| &message.field);
    let parts: BTreeSet<&str> = fields
        .map(|field| field.type_name().trim_start_matches('.'))
        .collect();
    let messages = file.message_type.iter();
    messages
        .filter(|message| !sealed.contains(&message.name()))
        .map(|message| format!("{}.{}", file.package(), message.name()))
        .filter(|name| !parts.contains(name.as_str()))
        .collect()
}

/// All rows that a projection makes of a log, and what it parks, after it was seen that batches of all sizes give the same, and
/// that each of its tables has rows: in as many databases as there are sizes.
///
/// # Panics
/// If they don't, a database is missing, log or database fails, or the end of the log is not reached in time.
pub async fn rows_in_batches<P: Projection + Sync>(
    databases: &[PgPool],
    log: &Arc<dyn EventLog>,
    make: impl Fn() -> P + Copy + Send + Sync + 'static,
) -> Vec<String> {
    assert_eq!(databases.len(), BATCHES.len());
    let folding = BATCHES.iter().zip(databases).map(|(records, pool)| {
        let settings = Settings {
            live_records: *records,
            bulk_from: u64::MAX,
            ..Settings::default()
        };
        rows_and_parked_of(pool, log, settings, make)
    });
    let mut folded = join_all(folding).await.into_iter();
    let one_by_one = folded.next().expect("there are sizes");
    let name = make().name();
    for (records, others) in BATCHES.iter().skip(1).zip(folded) {
        let only_in = |these: &[String], those: &[String]| -> Vec<String> {
            let these = these.iter().filter(|row| !those.contains(row));
            these.cloned().collect()
        };
        let (missing, extra) = (only_in(&one_by_one, &others), only_in(&others, &one_by_one));
        assert!(
            one_by_one == others,
            "{name} in batches of {records} lacks {missing:#?} and has {extra:#?}"
        );
    }
    if let Some(pool) = databases.first() {
        for table in tables_of(pool, name).await {
            let of_table = format!("{table} ");
            let filled = one_by_one.iter().any(|row| row.starts_with(&of_table));
            assert!(filled, "{name}.{table} is put to the test");
        }
    }
    one_by_one
}
