//! The rows of all read models follow from the logs alone, in whatever batches these are read: with corrections, an erased elder,
//! and what can't be read.

use std::sync::Arc;

use backing_services::testing::fresh_database;
use elder_tables::testing::{self as stories, Contract, Story};
use eventlog::EventLog;
use futures::future::join_all;
use service::testing::{BATCHES, log_of, rows_in_batches};
use sqlx::PgPool;
use visits::book_table::BookTable;
use visits::policies_table::PoliciesTable;
use visits::{cards_table, facts_table};

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
    let own = log("VISITS", stories::VISITS, stories::of_visits()).await;
    let rows = rows_in_batches(&databases, &own, || BookTable).await;
    assert!(count(&rows, "parked") > 5, "{rows:#?}");
    // Five of each of two elders, one beside what can't be read, two of whose ids were used again.
    assert_eq!(count(&rows, "record"), 13, "{rows:#?}");
    // Two of each of two elders: of a record's id that was used again there is none.
    assert_eq!(count(&rows, "referral"), 4, "{rows:#?}");
}

#[tokio::test]
async fn rows_of_other_logs_are_the_same_in_batches_of_any_size() {
    let databases = databases().await;
    let registry = log("REGISTRY", stories::REGISTRY, stories::of_registry()).await;
    let cards = rows_in_batches(&databases, &registry, || cards_table::TABLE).await;
    // Neither the erased elder has one nor the one whose registration can't be read.
    assert_eq!(count(&cards, "card"), 6, "{cards:#?}");
    let facts = rows_in_batches(&databases, &registry, || facts_table::TABLE).await;
    assert_eq!(count(&facts, "elder"), 8, "{facts:#?}");
    assert_eq!(count(&facts, "parked"), 6, "{facts:#?}");
    let tiering = log("TIERING", stories::TIERING, stories::of_tiering()).await;
    let policies = rows_in_batches(&databases, &tiering, || PoliciesTable).await;
    assert_eq!(count(&policies, "policy"), 3, "{policies:#?}");
}
