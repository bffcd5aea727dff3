//! The rows of the read model follow from the log alone, in whatever batches it is read: an order may stand in one with its
//! verdict, its appeal and its settlement, or in another one than each of these.

mod course;

use std::sync::Arc;

use backing_services::testing::fresh_database;
use civic::OrderState;
use claims::book_table::BookTable;
use elder_tables::columns::{NO_WORD, place};
use eventlog::EventLog;
use readmodel::Settings;
use service::testing::rows_of;
use sqlx::PgPool;

use self::course::Course;

/// All tables of the read model.
const TABLES: [&str; 16] = [
    "adjustment",
    "approval",
    "caregiver",
    "conflict",
    "contract",
    "enrolment",
    "evidence",
    "fund",
    "fund_entry",
    "hold",
    "open_order",
    "programme",
    "service_order",
    "settled",
    "settlement",
    "used",
];

/// All rows of all tables, filled in batches of this size.
async fn rows(log: &Arc<dyn EventLog>, settings: Settings) -> Vec<String> {
    let pool = PgPool::connect(&fresh_database().await).await.unwrap();
    let rows = rows_of(&pool, log, settings, BookTable::default).await;
    orders_are_found_by_their_verdicts(&pool).await;
    rows
}

/// What is looked for by its verdict has rows of its own, which say what the rows of orders say.
async fn orders_are_found_by_their_verdicts(pool: &PgPool) {
    let astray: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM (SELECT * FROM claims_book.service_order WHERE state = $1 AND appeal = $2) o \
         FULL JOIN claims_book.open_order p ON p.order_key = o.order_key AND p.appeal_until = o.appeal_until \
         WHERE o.order_key IS NULL OR p.order_key IS NULL",
    )
    .bind(place(OrderState::AbnormalOpen))
    .bind(NO_WORD)
    .fetch_one(pool)
    .await
    .unwrap();
    assert_eq!(astray, 0, "open for an appeal");
    let astray: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM (SELECT * FROM claims_book.service_order WHERE approved_at IS NOT NULL) o \
         FULL JOIN claims_book.approval a ON a.order_key = o.order_key AND a.approved_at = o.approved_at \
             AND a.programme = o.programme AND a.provider_id = o.provider_id \
         WHERE o.order_key IS NULL OR a.order_key IS NULL",
    )
    .fetch_one(pool)
    .await
    .unwrap();
    assert_eq!(astray, 0, "approved");
}

#[tokio::test]
async fn the_rows_are_the_same_in_batches_of_any_size() {
    let log = Course::of([42; 32]).run(343).await;
    let live = |live_records| Settings {
        live_records,
        bulk_from: u64::MAX,
        ..Settings::default()
    };
    let one_by_one = rows(&log, live(1)).await;
    for table in TABLES {
        let of_table = format!("{table} ");
        let filled = one_by_one.iter().any(|row| row.starts_with(&of_table));
        assert!(filled, "{table} is put to the test");
    }
    let in_bulk = |rebuild_records| Settings {
        bulk_from: 0,
        rebuild_records,
        ..Settings::default()
    };
    for settings in [live(7), live(10_000), in_bulk(40), in_bulk(10_000)] {
        let told = format!("{settings:?}");
        assert_eq!(rows(&log, settings).await, one_by_one, "{told}");
    }
}
