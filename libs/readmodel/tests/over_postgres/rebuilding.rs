//! A new version is built beside the live one and takes its place while queries run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use eventlog::MemoryLog;
use readmodel::{Error, Follower, Runner, WaitError, rebuild, verify};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::ledger::{Ledger, Writer, pool, soon};

/// Asks the same prepared queries again and again until told to stop, and counts them: none fails, and nothing that was
/// seen once is ever missing.
async fn ask(pool: PgPool, stop: Arc<AtomicBool>) -> u64 {
    let mut conn = pool.acquire().await.unwrap();
    let (mut asked, mut entries, mut of_one) = (0, 0, 0);
    while !stop.load(Ordering::SeqCst) {
        let now: i64 = sqlx::query_scalar("SELECT count(*) FROM ledger.entry")
            .fetch_one(&mut *conn)
            .await
            .unwrap();
        assert!(now >= entries, "{now} entries after {entries}");
        entries = now;
        let now: i64 = sqlx::query_scalar("SELECT entries FROM ledger.account WHERE subject = $1")
            .bind("eldercare.test.account.a0")
            .fetch_one(&mut *conn)
            .await
            .unwrap();
        assert!(now >= of_one, "{now} entries of one account after {of_one}");
        of_one = now;
        asked += 1;
    }
    asked
}

/// Runs a program until the handle is dropped.
fn started(
    pool: &PgPool,
    writer: &Writer,
    make: fn() -> Ledger,
) -> (Follower, AbortOnDropHandle<()>) {
    let runner = Runner::new(pool.clone(), Arc::clone(&writer.log), make);
    let follower = runner.follower();
    let run = tokio::spawn(runner.run(CancellationToken::new()));
    (follower, AbortOnDropHandle::new(run))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queries_and_the_live_tail_go_on_across_the_switch() {
    let url = backing_services::testing::fresh_database().await;
    let pool = pool(&url).await;
    let readers = crate::ledger::pool(&url).await;
    let writer = Writer::to(Arc::new(MemoryLog::new("TEST")));
    let (follower, _running) = started(&pool, &writer, Ledger::default);
    follower
        .wait_for(&writer.add_many(3_000, 50).await, soon())
        .await
        .unwrap();

    let stop = Arc::new(AtomicBool::new(false));
    let asking: Vec<_> = (0..4)
        .map(|_| tokio::spawn(ask(readers.clone(), Arc::clone(&stop))))
        .collect();
    let written = Arc::new(AtomicU64::new(0));
    let writing = tokio::spawn({
        let (writer, follower, stop, written) = (
            writer.clone(),
            follower.clone(),
            Arc::clone(&stop),
            Arc::clone(&written),
        );
        async move {
            while !stop.load(Ordering::SeqCst) {
                let position = writer.add_many(20, 50).await;
                follower.wait_for(&position, soon()).await.unwrap();
                written.fetch_add(20, Ordering::SeqCst);
            }
        }
    });
    for _ in 0..5 {
        let before = written.load(Ordering::SeqCst);
        rebuild(&pool, Arc::clone(&writer.log), Ledger::default(), |_| {})
            .await
            .unwrap();
        while written.load(Ordering::SeqCst) <= before {
            tokio::task::yield_now().await;
        }
    }
    stop.store(true, Ordering::SeqCst);
    for asking in asking {
        assert!(asking.await.unwrap() > 0);
    }
    writing.await.unwrap();
    follower
        .wait_for(&writer.add(1).await, soon())
        .await
        .unwrap();
    writer.assert_told(&pool).await;
    assert!(
        verify(&pool, Arc::clone(&writer.log), Ledger::default(), |_| {})
            .await
            .unwrap()
            .is_empty()
    );
    let schemas: Vec<String> = sqlx::query_scalar(
        "SELECT nspname::text FROM pg_namespace WHERE nspname LIKE 'ledger%' ORDER BY nspname",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    assert_eq!(schemas, ["ledger"], "nothing is left beside");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_version_takes_over_from_a_running_old_one() {
    let url = backing_services::testing::fresh_database().await;
    let pool = pool(&url).await;
    let writer = Writer::to(Arc::new(MemoryLog::new("TEST")));
    let (old_follower, _old) = started(&pool, &writer, Ledger::default);
    old_follower
        .wait_for(&writer.add_many(300, 10).await, soon())
        .await
        .unwrap();

    let (new_follower, _new) = started(&pool, &writer, Ledger::second_version);
    // The old one notices at its next event, or heartbeat, that it is over.
    while !new_follower.leading() {
        old_follower
            .wait_for(&writer.add(3).await, soon())
            .await
            .unwrap();
    }
    let position = writer.add(4).await;
    new_follower.wait_for(&position, soon()).await.unwrap();
    old_follower.wait_for(&position, soon()).await.unwrap();
    assert!(
        !old_follower.leading(),
        "the old version does not take its place back"
    );
    writer.assert_told(&pool).await;
    let wrong: i64 =
        sqlx::query_scalar("SELECT count(*) FROM ledger.account WHERE doubled <> 2 * entries")
            .fetch_one(&pool)
            .await
            .unwrap();
    assert_eq!(wrong, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_waits_for_the_tables_of_the_version_before() {
    let url = backing_services::testing::fresh_database().await;
    let pool = pool(&url).await;
    let writer = Writer::to(Arc::new(MemoryLog::new("TEST")));
    let (old_follower, _old) = started(&pool, &writer, Ledger::default);
    let written = writer.add_many(30, 5).await;
    old_follower.wait_for(&written, soon()).await.unwrap();

    // Whoever serves by the new tables has nothing to serve by yet, though the old ones hold all that there is.
    let new = Runner::new(
        pool.clone(),
        Arc::clone(&writer.log),
        Ledger::second_version,
    );
    let new_follower = new.follower();
    let a_moment = tokio::time::Instant::now() + Duration::from_millis(100);
    assert_eq!(
        new_follower.wait_for(&written, a_moment).await,
        Err(WaitError::TimedOut)
    );
    let _new = AbortOnDropHandle::new(tokio::spawn(new.run(CancellationToken::new())));
    new_follower.wait_for(&written, soon()).await.unwrap();
    let doubled: i64 = sqlx::query_scalar("SELECT sum(doubled)::bigint FROM ledger.account")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(doubled, 60);
    // The old program is told how far the new tables are.
    let written = writer.add(1).await;
    old_follower.wait_for(&written, soon()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_started_anew_leaves_later_tables_alone() {
    let url = backing_services::testing::fresh_database().await;
    let pool = pool(&url).await;
    let writer = Writer::to(Arc::new(MemoryLog::new("TEST")));
    let new = Runner::new(
        pool.clone(),
        Arc::clone(&writer.log),
        Ledger::second_version,
    );
    let new_follower = new.follower();
    let stop = CancellationToken::new();
    let running = tokio::spawn(new.run(stop.clone()));
    let written = writer.add_many(30, 5).await;
    new_follower.wait_for(&written, soon()).await.unwrap();
    stop.cancel();
    running.await.unwrap();

    // Nobody leads now; the older program does not either, and what is written later waits for the newer one.
    let (old_follower, _old) = started(&pool, &writer, Ledger::default);
    let later = writer.add(1).await;
    let a_moment = tokio::time::Instant::now() + Duration::from_millis(300);
    assert_eq!(
        old_follower.wait_for(&later, a_moment).await,
        Err(WaitError::TimedOut)
    );
    assert!(!old_follower.leading());
    let (_, _new) = started(&pool, &writer, Ledger::second_version);
    old_follower.wait_for(&later, soon()).await.unwrap();
    writer.assert_told(&pool).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_rebuild_goes_on_where_it_was() {
    let pool = pool(&backing_services::testing::fresh_database().await).await;
    let writer = Writer::to(Arc::new(MemoryLog::new("TEST")));
    writer.add_many(70_000, 300).await;
    let mut begun_at = vec![];
    // Cut off twice, each time after at least one more transaction.
    for _ in 0..2 {
        let told = Arc::new(std::sync::Mutex::new(vec![]));
        let (committed, mut cut) = tokio::sync::mpsc::unbounded_channel();
        let building = tokio::spawn({
            let (pool, log, told) = (pool.clone(), Arc::clone(&writer.log), Arc::clone(&told));
            async move {
                rebuild(&pool, log, Ledger::default(), move |progress| {
                    let mut told = told.lock().unwrap();
                    told.push(progress.done);
                    if progress.done > told[0] {
                        let _ = committed.send(());
                    }
                })
                .await
            }
        });
        cut.recv().await.unwrap();
        building.abort();
        let _ = building.await;
        begun_at.push(told.lock().unwrap()[0]);
    }
    assert_eq!(begun_at[0], 0);
    assert!(begun_at[1] >= 20_000, "{begun_at:?}");
    rebuild(&pool, Arc::clone(&writer.log), Ledger::default(), |_| {})
        .await
        .unwrap();
    writer.assert_told(&pool).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_one_rebuild_at_a_time() {
    let pool = pool(&backing_services::testing::fresh_database().await).await;
    let writer = Writer::to(Arc::new(MemoryLog::new("TEST")));
    writer.add_many(100, 10).await;
    readmodel::migrate(&pool).await.unwrap();
    let mut conn = pool.acquire().await.unwrap();
    sqlx::query("SELECT pg_advisory_lock(hashtextextended('readmodel aside ledger', 0))")
        .execute(&mut *conn)
        .await
        .unwrap();
    let refused = rebuild(&pool, Arc::clone(&writer.log), Ledger::default(), |_| {}).await;
    assert!(matches!(refused, Err(Error::Busy(_))), "{refused:?}");
}
