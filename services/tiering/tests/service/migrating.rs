//! The database is brought up to date by a process of its own, before others serve; programs of different versions get on.

use std::process::Output;

use backing_services::testing::fresh_database;
use service::connections;
use sqlx::PgPool;
use tiering::App;
use tokio::process::Command;

/// `tiering --migrate` over a database, with no log to be reached.
async fn migrate(database: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tiering"))
        .arg("--migrate")
        .env("ELDERCARE_POSTGRES__URL", database)
        .env("ELDERCARE_NATS__URL", "nats://127.0.0.1:1")
        .output()
        .await
        .unwrap()
}

async fn tables_are_there(pool: &PgPool) -> bool {
    sqlx::query_scalar(
        "SELECT to_regclass('tiering_today.progress') IS NOT NULL AND to_regclass('readmodel.checkpoint') IS NOT NULL",
    )
    .fetch_one(pool)
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_migrate_side_by_side_make_the_tables_once_and_end() {
    let database = fresh_database().await;
    let outputs = tokio::join!(migrate(&database), migrate(&database), migrate(&database));
    for output in [outputs.0, outputs.1, outputs.2] {
        assert!(output.status.success(), "{output:?}");
    }
    let pool = PgPool::connect(&database).await.unwrap();
    assert!(tables_are_there(&pool).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_gets_on_with_the_tables_of_a_later_one() {
    let database = fresh_database().await;
    let pool = PgPool::connect(&database).await.unwrap();
    connections::migrate(&pool, <App as service::Application>::migrations())
        .await
        .unwrap();
    for later in [
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (9000, 'later', true, '', 0)",
        "INSERT INTO readmodel.migration (version, description, success, checksum, execution_time) VALUES (9000, 'later', true, '', 0)",
    ] {
        sqlx::query(later).execute(&pool).await.unwrap();
    }
    let output = migrate(&database).await;
    assert!(output.status.success(), "{output:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_refuses_is_named_without_its_password() {
    let database = fresh_database().await.replace("/fresh_", "/gone_");
    let (_, rest) = database.split_once("://").unwrap();
    let (user, _) = rest.split_once('@').unwrap();
    let output = migrate(&database).await;
    assert!(!output.status.success(), "{output:?}");
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("PostgreSQL at"), "{told}");
    assert!(!told.contains(user), "{told}");
}
