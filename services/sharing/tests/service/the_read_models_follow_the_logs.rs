//! The rows of all read models follow from the logs alone, in whatever batches these are read: with corrections, an erased elder,
//! and what can't be read.

mod claims;
mod own;

use std::sync::Arc;

use backing_services::testing::fresh_database;
use elder_tables::testing::{self as stories, Contract, Story};
use eventlog::{EventLog, RawEvent};
use futures::future::join_all;
use service::testing::{BATCHES, log_of, rows_in_batches};
use sharing::alerts_table::AlertsTable;
use sharing::book_table::BookTable;
use sharing::cards_table;
use sharing::claims_table::ClaimsTable;
use sharing::elders_table::EldersTable;
use sharing::tiers_table::TiersTable;
use sharing::visits_table::VisitsTable;
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

/// An event of a type that nobody knows yet.
fn unknown(context: &str) -> RawEvent {
    RawEvent {
        event_type: format!("eldercare.{context}.v1.Unheard"),
        data: vec![1_u8, 2, 3].into(),
    }
}

/// The same event with bytes that are no message.
fn malformed(event: RawEvent) -> RawEvent {
    RawEvent {
        data: vec![0xff_u8].into(),
        ..event
    }
}

/// How many rows of a table a read model has; of `parked` how many events it passed by.
fn count(rows: &[String], table: &str) -> usize {
    let of_table = format!("{table} ");
    rows.iter().filter(|row| row.starts_with(&of_table)).count()
}

#[tokio::test]
async fn rows_of_elders_and_tiers_are_the_same_in_batches_of_any_size() {
    let databases = databases().await;
    let registry = log("REGISTRY", stories::REGISTRY, stories::of_registry()).await;
    let elders = rows_in_batches(&databases, &registry, || EldersTable).await;
    assert_eq!(count(&elders, "elder"), 8, "{elders:#?}");
    let cards = rows_in_batches(&databases, &registry, || cards_table::TABLE).await;
    // Neither the erased elder has one nor the one whose registration can't be read.
    assert_eq!(count(&cards, "card"), 6, "{cards:#?}");
    let tiering = log("TIERING", stories::TIERING, stories::of_tiering()).await;
    let tiers = rows_in_batches(&databases, &tiering, || TiersTable).await;
    assert_eq!(count(&tiers, "parked"), 4, "{tiers:#?}");
}

#[tokio::test]
async fn rows_of_visits_and_alerts_are_the_same_in_batches_of_any_size() {
    let databases = databases().await;
    let visits = log("VISITS", stories::VISITS, stories::of_visits()).await;
    let visits = rows_in_batches(&databases, &visits, || VisitsTable).await;
    // Five of each of two elders, one beside what can't be read, two whose ids were used again.
    assert_eq!(count(&visits, "record"), 13, "{visits:#?}");
    let alerts = log("ALERTS", stories::ALERTS, stories::of_alerts()).await;
    let alerts = rows_in_batches(&databases, &alerts, || AlertsTable).await;
    // Two of each of two elders, one beside what can't be read, three of devices.
    assert_eq!(count(&alerts, "alert"), 8, "{alerts:#?}");
}

#[tokio::test]
async fn rows_of_claims_and_our_own_are_the_same_in_batches_of_any_size() {
    let databases = databases().await;
    let claims = log("CLAIMS", claims::CONTRACT, claims::stories()).await;
    let claims = rows_in_batches(&databases, &claims, || ClaimsTable).await;
    // Four of each of two programmes.
    assert_eq!(count(&claims, "service_order"), 8, "{claims:#?}");
    assert!(count(&claims, "parked") > 3, "{claims:#?}");
    let own = log("SHARING", own::CONTRACT, own::stories()).await;
    let own = rows_in_batches(&databases, &own, || BookTable).await;
    assert_eq!(count(&own, "look"), 5, "{own:#?}");
    assert_eq!(count(&own, "agreement"), 2, "{own:#?}");
    assert!(count(&own, "parked") > 3, "{own:#?}");
}
