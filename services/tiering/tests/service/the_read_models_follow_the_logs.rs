//! The rows of both read models follow from the logs alone, in whatever batches these are read.

use std::{collections::HashMap, sync::Arc};

use backing_services::testing::fresh_database;
use civic::ElderId;
use elders::{Event, codec, testing as generated_elders};
use eventlog::{EventLog, MemoryLog, Metadata, Subject};
use proptest::{
    prelude::*,
    sample::select,
    strategy::ValueTree as _,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use readmodel::{Projection, Settings};
use service::testing::{carry_out, rows_of, write};
use sqlx::PgPool;
use tiering::{
    evaluate::Jurisdiction, facts_table::FactsTable, policy_book::PolicyBook, tier::Tier,
    tiers_table::TiersTable,
};

use crate::{
    generated::{evaluation, publication},
    support::{VILLAGE, elder, instant},
};

fn runner(seed: [u8; 32]) -> TestRunner {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    TestRunner::new_with_rng(Config::default(), rng)
}

fn sample<S: Strategy>(runner: &mut TestRunner, strategy: S) -> S::Value {
    strategy.new_tree(runner).unwrap().current()
}

/// Of a record of a minute of its own.
fn metadata(step: usize) -> Metadata {
    let at = format!("2024-10-01T10:{:02}:00+08:00", step % 60);
    service::testing::metadata(instant(&at), VILLAGE)
}

/// The persons of a log: the first is the one of generated merges.
fn person(number: usize) -> ElderId {
    if number == 0 {
        generated_elders::ELDER
    } else {
        elder(number as u128)
    }
}

/// A log of tiers, with publications of policies among them.
async fn log_of_tiers(elders: usize, changes: usize, seed: [u8; 32]) -> Arc<dyn EventLog> {
    let log: Arc<dyn EventLog> = Arc::new(MemoryLog::new("TIERING"));
    let mut runner = runner(seed);
    let mut tiers: HashMap<ElderId, Tier> = HashMap::new();
    let mut books: HashMap<Jurisdiction, PolicyBook> = HashMap::new();
    for step in 0..elders * changes {
        if step.is_multiple_of(5) {
            let code = sample(&mut runner, select(vec!["0", "350524"]));
            let jurisdiction: Jurisdiction = code.parse().unwrap();
            let command = sample(&mut runner, publication(jurisdiction));
            let book = books.entry(jurisdiction).or_default();
            carry_out(&*log, (code, book), metadata(step), &command).await;
        }
        let elder = person(step % elders);
        let command = sample(&mut runner, evaluation(elder));
        let tier = tiers.entry(elder).or_default();
        let id = elder.to_string();
        carry_out(&*log, (id.as_str(), tier), metadata(step), &command).await;
    }
    log
}

/// A log of elders' files.
async fn log_of_facts(elders: usize, changes: usize, seed: [u8; 32]) -> Arc<dyn EventLog> {
    let log: Arc<dyn EventLog> = Arc::new(MemoryLog::new("REGISTRY"));
    let mut runner = runner(seed);
    for step in 0..elders * changes {
        let elder = person(step % elders);
        let event = if step < elders {
            let mut registered = sample(&mut runner, generated_elders::registered());
            registered.elder = elder;
            Event::Registered(Box::new(registered))
        } else {
            sample(&mut runner, generated_elders::change())
        };
        let subject = Subject::new("registry", "elder", &elder.to_string()).unwrap();
        write(&*log, subject, metadata(step), vec![codec::encode(&event)]).await;
    }
    log
}

/// All rows that one record at a time gives, after it was seen that batches give the same.
async fn compared<P: Projection + Sync>(
    log: Arc<dyn EventLog>,
    batches: Settings,
    make: impl Fn() -> P + Copy + Send + Sync + 'static,
) -> Vec<String> {
    let one_by_one = Settings {
        live_records: 1,
        bulk_from: u64::MAX,
        ..Settings::default()
    };
    let mut found = Vec::new();
    for settings in [one_by_one, batches] {
        let pool = PgPool::connect(&fresh_database().await).await.unwrap();
        found.push(rows_of(&pool, &log, settings, make).await);
    }
    let others = found.pop().unwrap();
    let rows = found.pop().unwrap();
    assert_eq!(rows, others);
    rows
}

#[track_caller]
fn all_are_filled(rows: &[String], tables: &[&str]) {
    for table in tables {
        let of_table = format!("{table} ");
        let filled = rows.iter().any(|row| row.starts_with(&of_table));
        assert!(filled, "{table} is put to the test");
    }
}

proptest! {
    // Each case fills four databases.
    #![proptest_config(Config { cases: 4, max_shrink_iters: 8, ..Config::default() })]

    #[test]
    fn any_logs_in_batches_of_any_size_give_the_same_rows(
        seed in any::<[u8; 32]>(),
        elders in 1..12_usize,
        changes in 2..12_usize,
        live_records in 2..60_usize,
        rebuild_records in 2..60_usize,
        in_bulk in any::<bool>(),
    ) {
        let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        tokio.block_on(async {
            let bulk_from = if in_bulk { 0 } else { u64::MAX };
            let batches = Settings { live_records, rebuild_records, bulk_from, ..Settings::default() };
            let tiers = log_of_tiers(elders, changes, seed).await;
            let rows = compared(tiers, batches.clone(), || TiersTable).await;
            // The first step publishes; whoever is out of scope at all times has no row.
            all_are_filled(&rows, &["policy"]);
            let facts = log_of_facts(elders, changes, seed).await;
            let rows = compared(facts, batches, || FactsTable).await;
            all_are_filled(&rows, &["elder"]);
        });
    }
}

#[tokio::test]
async fn the_rows_are_the_same_in_bulk() {
    let in_bulk = Settings {
        bulk_from: 0,
        rebuild_records: 50,
        ..Settings::default()
    };
    let tiers = log_of_tiers(20, 12, [42; 32]).await;
    let rows = compared(tiers, in_bulk.clone(), || TiersTable).await;
    all_are_filled(&rows, &["policy", "tier"]);
    let facts = log_of_facts(20, 12, [42; 32]).await;
    let rows = compared(facts, in_bulk, || FactsTable).await;
    assert_eq!(rows.len(), 20, "an elder keeps the row for good");
}
