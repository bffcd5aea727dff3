//! Rows that many callers look up at once come in few queries, each to whoever asked for it.

use futures::{future::join_all, poll};
use readmodel::LookUp;
use sqlx::{PgPool, Row as _};
use uuid::Uuid;

use crate::ledger::database;

const STATEMENT: &str =
    "SELECT word.id, word.word FROM word, nextval('queries') WHERE word.id = ANY($1)";

/// A hundred words under the ids from 0 on.
async fn dictionary() -> PgPool {
    let pool = database().await;
    sqlx::raw_sql(
        "CREATE SEQUENCE queries; CREATE TABLE word (id uuid PRIMARY KEY, word text NOT NULL); \
         INSERT INTO word SELECT lpad(to_hex(n), 32, '0')::uuid, 'word ' || n FROM generate_series(0, 99) n",
    )
    .execute(&pool)
    .await
    .unwrap();
    pool
}

async fn word(words: &LookUp, id: u128) -> Option<String> {
    let row = words.row(Uuid::from_u128(id)).await.unwrap();
    row.map(|row| row.get(1))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_caller_gets_its_row_and_many_share_a_query() {
    let pool = dictionary().await;
    let words = LookUp::new(pool.clone(), STATEMENT);
    let mut closed = pool.begin().await.unwrap();
    sqlx::raw_sql("LOCK TABLE word IN ACCESS EXCLUSIVE MODE")
        .execute(&mut *closed)
        .await
        .unwrap();
    // Each word twice, and ten that there are not.
    let ids: Vec<u128> = (0..110).chain(0..100).collect();
    let mut asking: Vec<_> = ids.iter().map(|id| Box::pin(word(&words, *id))).collect();
    for asked in &mut asking {
        assert!(poll!(asked).is_pending());
    }
    // Some give up; the others are none the worse for it.
    asking.truncate(150);
    closed.rollback().await.unwrap();
    let found = join_all(asking).await;
    for (id, found) in ids.iter().zip(found) {
        assert_eq!(found, (*id < 100).then(|| format!("word {id}")));
    }
    let queries: i64 = sqlx::query_scalar("SELECT last_value FROM queries")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert!(queries <= 4, "{queries} queries");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_than_one_query_holds_are_all_answered() {
    let words = LookUp::new(dictionary().await, STATEMENT);
    let found = join_all((0..2_000).map(|id| word(&words, id))).await;
    assert_eq!(found.iter().flatten().count(), 100);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_that_fails_is_told_to_all_of_its_callers_and_the_next_one_is_asked() {
    let pool = dictionary().await;
    let words = LookUp::new(pool.clone(), STATEMENT);
    let rename = |from: &str, to: &str| format!("ALTER TABLE {from} RENAME TO {to}");
    let run = |statement: String| sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&pool);
    run(rename("word", "away")).await.unwrap();
    let found = join_all((0..20).map(|id| words.row(Uuid::from_u128(id)))).await;
    for found in found {
        assert_eq!(found.unwrap_err().code().as_deref(), Some("42P01"));
    }
    run(rename("away", "word")).await.unwrap();
    assert_eq!(word(&words, 7).await.as_deref(), Some("word 7"));
}
