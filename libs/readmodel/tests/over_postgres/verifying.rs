//! A read model that differs from the log is found out, row by row.

use std::sync::Arc;

use eventlog::MemoryLog;
use readmodel::{Error, Rows, Runner, verify};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::ledger::{Ledger, Writer, database, soon};

async fn change(pool: &PgPool, sql: &'static str) {
    sqlx::raw_sql(sql).execute(pool).await.unwrap();
}

fn named(keys: &[&str]) -> Rows {
    Rows {
        count: keys.len() as u64,
        first: keys.iter().map(|key| (*key).to_owned()).collect(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tampered_missing_and_extra_rows_and_tables_are_found() {
    let pool = database().await;
    let writer = Writer::to(Arc::new(MemoryLog::new("TEST")));
    let none = verify(&pool, Arc::clone(&writer.log), Ledger::default(), |_| {}).await;
    assert!(matches!(none, Err(Error::NotThere(_))));

    let runner = Runner::new(pool.clone(), Arc::clone(&writer.log), Ledger::default);
    let follower = runner.follower();
    let _running = AbortOnDropHandle::new(tokio::spawn(runner.run(CancellationToken::new())));
    follower
        .wait_for(&writer.add_many(2_500, 20).await, soon())
        .await
        .unwrap();
    let check = async || {
        verify(&pool, Arc::clone(&writer.log), Ledger::default(), |_| {})
            .await
            .unwrap()
    };

    let clean = check().await;
    assert!(clean.is_empty());
    assert_eq!(
        (clean.rows, clean.position.to_string().as_str()),
        (2_520, "TEST:2500")
    );

    change(
        &pool,
        "UPDATE ledger.account SET chain = chain + 1 WHERE subject = 'eldercare.test.account.a3';
         DELETE FROM ledger.entry WHERE sequence IN (17, 18);
         INSERT INTO ledger.entry VALUES (999999, 'x');
         CREATE TABLE ledger.stray (id int);
         ALTER TABLE ledger.entry ADD COLUMN note text",
    )
    .await;
    let found = check().await;
    let tables: Vec<_> = found
        .tables
        .iter()
        .map(|table| table.table.as_str())
        .collect();
    assert_eq!(tables, ["account", "entry", "stray"]);
    assert_eq!(
        found.tables[0].changed,
        named(&["eldercare.test.account.a3"])
    );
    assert_eq!(
        (&found.tables[0].missing, &found.tables[0].extra),
        (&named(&[]), &named(&[]))
    );
    assert_eq!(found.tables[1].missing, named(&["17", "18"]));
    assert_eq!(found.tables[1].extra, named(&["999999"]));
    assert_eq!(found.tables[1].columns_extra, ["note text"]);
    assert!(found.tables[2].table_extra);

    change(&pool, "DROP TABLE ledger.account").await;
    assert!(check().await.tables[0].table_missing);

    // And a rebuild puts it right.
    readmodel::rebuild(&pool, Arc::clone(&writer.log), Ledger::default(), |_| {})
        .await
        .unwrap();
    assert!(check().await.is_empty());
    writer.assert_told(&pool).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verification_is_exact_while_the_live_tail_moves() {
    let pool = database().await;
    let writer = Writer::to(Arc::new(MemoryLog::new("TEST")));
    let runner = Runner::new(pool.clone(), Arc::clone(&writer.log), Ledger::default);
    let follower = runner.follower();
    let _running = AbortOnDropHandle::new(tokio::spawn(runner.run(CancellationToken::new())));
    follower
        .wait_for(&writer.add_many(1_000, 20).await, soon())
        .await
        .unwrap();
    let (writing, done) = (writer.clone(), CancellationToken::new());
    let writing = tokio::spawn({
        let done = done.clone();
        async move {
            while !done.is_cancelled() {
                follower
                    .wait_for(&writing.add_many(10, 20).await, soon())
                    .await
                    .unwrap();
            }
        }
    });
    for _ in 0..4 {
        let found = verify(&pool, Arc::clone(&writer.log), Ledger::default(), |_| {})
            .await
            .unwrap();
        assert!(found.is_empty(), "{found:?}");
    }
    done.cancel();
    writing.await.unwrap();
}
