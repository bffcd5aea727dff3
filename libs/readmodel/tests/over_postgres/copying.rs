//! Rows written in bulk come back as they were.

use chrono::{DateTime, NaiveDate, SubsecRound, Utc};
use readmodel::{Array, Jsonb, copy_rows};
use sqlx::Row;
use uuid::Uuid;

use crate::ledger::database;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_type_survives_the_binary_copy() {
    let pool = database().await;
    let mut db = pool.acquire().await.unwrap();
    sqlx::raw_sql(
        "CREATE TABLE kinds (n int PRIMARY KEY, flag bool, small int2, number int4, big int8, float float8, \
         id uuid, words text, bytes bytea, day date, instant timestamptz, facts jsonb, days date[], tags text[])",
    )
    .execute(&mut *db)
    .await
    .unwrap();
    let day = |text: &str| text.parse::<NaiveDate>().unwrap();
    let now = Utc::now().trunc_subsecs(6);
    let early: DateTime<Utc> = "1911-10-10T00:00:00.000001Z".parse().unwrap();
    let long = "长".repeat(200_000);
    type Kind<'a> = (
        bool,
        i16,
        i32,
        i64,
        f64,
        Uuid,
        &'a str,
        Vec<u8>,
        NaiveDate,
        DateTime<Utc>,
    );
    let rows: Vec<Option<Kind<'_>>> = vec![
        Some((
            true,
            i16::MIN,
            i32::MAX,
            i64::MIN,
            0.1,
            Uuid::from_u128(7),
            "",
            vec![],
            day("2000-01-01"),
            now,
        )),
        Some((
            false,
            -1,
            -1,
            -1,
            f64::INFINITY,
            Uuid::nil(),
            &long,
            vec![0; 70_000],
            day("1900-02-28"),
            early,
        )),
        None,
        Some((
            false,
            0,
            0,
            0,
            -0.0,
            Uuid::max(),
            "a\tb\\n\"",
            vec![0, 1, 255],
            day("2104-02-29"),
            now,
        )),
    ];
    let columns = [
        "n", "flag", "small", "number", "big", "float", "id", "words", "bytes", "day", "instant",
        "facts", "days", "tags",
    ];
    let copied = copy_rows(
        &mut db,
        "kinds",
        &columns,
        rows.iter().enumerate(),
        |row, (n, kind)| {
            row.put(n as i32)
                .put(kind.as_ref().map(|kind| kind.0))
                .put(kind.as_ref().map(|kind| kind.1))
                .put(kind.as_ref().map(|kind| kind.2))
                .put(kind.as_ref().map(|kind| kind.3))
                .put(kind.as_ref().map(|kind| kind.4))
                .put(kind.as_ref().map(|kind| kind.5))
                .put(kind.as_ref().map(|kind| kind.6))
                .put(kind.as_ref().map(|kind| &kind.7))
                .put(kind.as_ref().map(|kind| kind.8))
                .put(kind.as_ref().map(|kind| kind.9))
                .put(kind.as_ref().map(|_| Jsonb(r#"{"a": [1]}"#)))
                .put(
                    kind.as_ref()
                        .map(|kind| Array(std::slice::from_ref(&kind.8)).0)
                        .map(Array),
                )
                .put(kind.as_ref().map(|_| Array(&[Some("x"), None])));
        },
    )
    .await
    .unwrap();
    assert_eq!(copied, 4);
    let found = sqlx::query("SELECT * FROM kinds ORDER BY n")
        .fetch_all(&mut *db)
        .await
        .unwrap();
    for (row, kind) in found.iter().zip(&rows) {
        assert_eq!(
            row.get::<Option<bool>, _>(1),
            kind.as_ref().map(|kind| kind.0)
        );
        assert_eq!(
            row.get::<Option<i16>, _>(2),
            kind.as_ref().map(|kind| kind.1)
        );
        assert_eq!(
            row.get::<Option<i32>, _>(3),
            kind.as_ref().map(|kind| kind.2)
        );
        assert_eq!(
            row.get::<Option<i64>, _>(4),
            kind.as_ref().map(|kind| kind.3)
        );
        assert_eq!(
            row.get::<Option<f64>, _>(5),
            kind.as_ref().map(|kind| kind.4)
        );
        assert_eq!(
            row.get::<Option<Uuid>, _>(6),
            kind.as_ref().map(|kind| kind.5)
        );
        assert_eq!(
            row.get::<Option<&str>, _>(7),
            kind.as_ref().map(|kind| kind.6)
        );
        assert_eq!(
            row.get::<Option<Vec<u8>>, _>(8),
            kind.as_ref().map(|kind| kind.7.clone())
        );
        assert_eq!(
            row.get::<Option<NaiveDate>, _>(9),
            kind.as_ref().map(|kind| kind.8)
        );
        assert_eq!(
            row.get::<Option<DateTime<Utc>>, _>(10),
            kind.as_ref().map(|kind| kind.9)
        );
        assert_eq!(
            row.get::<Option<Vec<NaiveDate>>, _>(12),
            kind.as_ref().map(|kind| vec![kind.8])
        );
        let tags = kind.as_ref().map(|_| vec![Some("x".to_owned()), None]);
        assert_eq!(row.get::<Option<Vec<Option<String>>>, _>(13), tags);
    }
    let facts: i64 =
        sqlx::query_scalar("SELECT count(*) FROM kinds WHERE facts = '{\"a\":[1]}'::jsonb")
            .fetch_one(&mut *db)
            .await
            .unwrap();
    assert_eq!(facts, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_copy_leaves_the_connection_usable() {
    let pool = database().await;
    let mut db = pool.acquire().await.unwrap();
    sqlx::raw_sql("CREATE TABLE one (id int8 PRIMARY KEY)")
        .execute(&mut *db)
        .await
        .unwrap();
    let twice = (0..100_000_i64).chain(0..100_000);
    let refused = copy_rows(&mut db, "one", &["id"], twice, |row, id| {
        row.put(id);
    })
    .await;
    assert_eq!(
        refused
            .unwrap_err()
            .as_database_error()
            .unwrap()
            .code()
            .unwrap(),
        "23505"
    );
    let written = copy_rows(&mut db, "public.one", &["id"], 0..10_i64, |row, id| {
        row.put(id);
    })
    .await;
    assert_eq!(written.unwrap(), 10);
    let empty = copy_rows(
        &mut db,
        "one",
        &["id"],
        std::iter::empty::<i64>(),
        |row, id| {
            row.put(id);
        },
    )
    .await;
    assert_eq!(empty.unwrap(), 0);
}
