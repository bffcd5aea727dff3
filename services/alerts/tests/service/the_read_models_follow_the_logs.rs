//! The rows of all read models follow from the logs alone, in whatever batches these are read: with corrections, an erased elder,
//! and what can't be read.

use std::sync::Arc;

use alerts::board_table::BoardTable;
use alerts::elders_tables::{CARDS, FACTS};
use backing_services::testing::fresh_database;
use elder_tables::testing::{self as stories, Contract, Story};
use eventlog::EventLog;
use futures::future::join_all;
use service::testing::{BATCHES, log_of, rows_in_batches};
use sqlx::PgPool;

async fn databases() -> Vec<PgPool> {
    let connecting = BATCHES.iter().map(|_size| async {
        let database = fresh_database().await;
        PgPool::connect(&database).await.unwrap()
    });
    join_all(connecting).await
}

async fn log(stream: &str, contract: Contract, told: Vec<Story>) -> Arc<dyn EventLog> {
    let (contract, sealed) = contract;
    log_of(stream, contract, sealed, told).await
}

/// How many rows of a table a read model has; of `parked` how many events it passed by.
fn count(rows: &[String], table: &str) -> usize {
    let of_table = format!("{table} ");
    rows.iter().filter(|row| row.starts_with(&of_table)).count()
}

#[tokio::test]
async fn our_own_rows_are_the_same_in_batches_of_any_size() {
    let databases = databases().await;
    let own = log("ALERTS", stories::ALERTS, stories::of_alerts()).await;
    let rows = rows_in_batches(&databases, &own, || BoardTable).await;
    assert!(count(&rows, "parked") > 5, "{rows:#?}");
    // Two of each of two elders, one beside what can't be read, three of devices.
    assert_eq!(count(&rows, "alert"), 8, "{rows:#?}");
    assert_eq!(count(&rows, "device"), 2, "{rows:#?}");
    assert_eq!(count(&rows, "offline"), 1, "{rows:#?}");
    assert_eq!(count(&rows, "away"), 1, "{rows:#?}");
}

#[tokio::test]
async fn rows_of_other_logs_are_the_same_in_batches_of_any_size() {
    let databases = databases().await;
    let registry = log("REGISTRY", stories::REGISTRY, stories::of_registry()).await;
    let cards = rows_in_batches(&databases, &registry, || CARDS).await;
    // Neither the erased elder has one nor the one whose registration can't be read.
    assert_eq!(count(&cards, "card"), 6, "{cards:#?}");
    let facts = rows_in_batches(&databases, &registry, || FACTS).await;
    assert_eq!(count(&facts, "elder"), 8, "{facts:#?}");
}
