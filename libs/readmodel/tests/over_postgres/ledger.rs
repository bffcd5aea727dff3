//! The read model of the tests: each account's number of entries, and a chain that depends on their order.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use chrono::Utc;
use eventlog::{EventLog, Metadata, NewRecord, Position, RawEvent, Record, Subject};
use readmodel::{ApplyError, Parked, Phase, Projection, copy_rows};
use sqlx::postgres::PgPoolOptions;
use sqlx::{PgConnection, PgPool, Row};
use tokio::time::Instant;
use uuid::Uuid;

/// The fold. What it remembers of the accounts is wrong as soon as a transaction is rolled back and it doesn't forget.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) second_version: bool,
    accounts: HashMap<String, (i64, i64)>,
}

impl Ledger {
    pub(crate) fn second_version() -> Self {
        Self {
            second_version: true,
            ..Self::default()
        }
    }
}

#[async_trait]
impl Projection for Ledger {
    fn name(&self) -> &'static str {
        "ledger"
    }

    fn version(&self) -> u32 {
        if self.second_version { 2 } else { 1 }
    }

    fn ddl(&self) -> &'static str {
        if self.second_version {
            "CREATE TABLE account (subject text PRIMARY KEY, entries bigint NOT NULL, chain bigint NOT NULL,
                                   doubled bigint GENERATED ALWAYS AS (entries * 2) STORED);
             CREATE TABLE entry (sequence bigint NOT NULL, subject text NOT NULL)"
        } else {
            "CREATE TABLE account (subject text PRIMARY KEY, entries bigint NOT NULL, chain bigint NOT NULL);
             CREATE TABLE entry (sequence bigint NOT NULL, subject text NOT NULL)"
        }
    }

    fn post_load_ddl(&self) -> &'static str {
        "ALTER TABLE entry ADD PRIMARY KEY (sequence); CREATE INDEX entry_subject ON entry (subject)"
    }

    async fn apply(
        &mut self,
        db: &mut PgConnection,
        records: &[Record],
        phase: Phase,
    ) -> Result<Vec<Parked>, ApplyError> {
        let mut parked = vec![];
        let mut entries = vec![];
        for record in records {
            for event in &record.events {
                match event.event_type.as_str() {
                    "test.Added" => {
                        entries.push((record.sequence as i64, record.subject.to_string()))
                    }
                    "test.Poison" => return Err(ApplyError::Poison("poison")),
                    "test.Null" => {
                        sqlx::query("INSERT INTO entry (sequence) VALUES (1)")
                            .execute(&mut *db)
                            .await?;
                    }
                    "test.Panics" => panic!("a fold panics"),
                    _ => parked.push(Parked::unknown_type(record, event)),
                }
            }
        }
        self.remember(db, &entries).await?;
        let mut changed = BTreeMap::new();
        for (sequence, subject) in &entries {
            let account = self.accounts.entry(subject.clone()).or_default();
            *account = next(*account, *sequence);
            changed.insert(subject.clone(), *account);
        }
        match phase {
            Phase::Rebuild => {
                copy_rows(
                    db,
                    "entry",
                    &["sequence", "subject"],
                    &entries,
                    |row, (sequence, subject)| {
                        row.put(sequence).put(subject);
                    },
                )
                .await?;
            }
            Phase::Live => {
                let (sequences, subjects): (Vec<i64>, Vec<String>) = entries.into_iter().unzip();
                sqlx::query("INSERT INTO entry SELECT * FROM unnest($1::bigint[], $2::text[])")
                    .bind(sequences)
                    .bind(subjects)
                    .execute(&mut *db)
                    .await?;
            }
        }
        sqlx::query(
            "INSERT INTO account SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[]) \
             ON CONFLICT (subject) DO UPDATE SET entries = excluded.entries, chain = excluded.chain",
        )
        .bind(changed.keys().cloned().collect::<Vec<_>>())
        .bind(changed.values().map(|account| account.0).collect::<Vec<_>>())
        .bind(changed.values().map(|account| account.1).collect::<Vec<_>>())
        .execute(db)
        .await?;
        Ok(parked)
    }

    fn forget(&mut self) {
        self.accounts.clear();
    }
}

impl Ledger {
    async fn remember(
        &mut self,
        db: &mut PgConnection,
        entries: &[(i64, String)],
    ) -> Result<(), ApplyError> {
        let unknown: Vec<_> = entries
            .iter()
            .map(|(_, subject)| subject)
            .filter(|subject| !self.accounts.contains_key(*subject))
            .collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let rows =
            sqlx::query("SELECT subject, entries, chain FROM account WHERE subject = ANY ($1)")
                .bind(unknown)
                .fetch_all(db)
                .await?;
        for row in rows {
            self.accounts
                .insert(row.try_get(0)?, (row.try_get(1)?, row.try_get(2)?));
        }
        Ok(())
    }
}

fn next((entries, chain): (i64, i64), sequence: i64) -> (i64, i64) {
    (entries + 1, (chain * 31 + sequence) % 1_000_003)
}

/// What the accounts are, by the log alone.
pub(crate) fn told_by(written: &[(u64, String)]) -> BTreeMap<String, (i64, i64)> {
    let mut accounts = BTreeMap::new();
    for (sequence, subject) in written {
        let account: &mut (i64, i64) = accounts.entry(subject.clone()).or_default();
        *account = next(*account, *sequence as i64);
    }
    accounts
}

/// What the accounts are, by the read model.
pub(crate) async fn accounts(pool: &PgPool) -> BTreeMap<String, (i64, i64)> {
    let rows = sqlx::query("SELECT subject, entries, chain FROM ledger.account")
        .fetch_all(pool)
        .await
        .unwrap();
    rows.iter()
        .map(|row| (row.get(0), (row.get(1), row.get(2))))
        .collect()
}

/// The sequences that the read model has entries for.
pub(crate) async fn sequences(pool: &PgPool) -> Vec<u64> {
    let rows: Vec<i64> = sqlx::query_scalar("SELECT sequence FROM ledger.entry ORDER BY sequence")
        .fetch_all(pool)
        .await
        .unwrap();
    rows.into_iter().map(i64::unsigned_abs).collect()
}

/// Writes to a log, knowing what it wrote.
#[derive(Clone)]
pub(crate) struct Writer {
    pub(crate) log: Arc<dyn EventLog>,
    last: Arc<Mutex<HashMap<String, u64>>>,
    written: Arc<Mutex<Vec<(u64, String)>>>,
    head: Arc<AtomicU64>,
}

impl Writer {
    pub(crate) fn to(log: Arc<dyn EventLog>) -> Self {
        Self {
            log,
            last: Arc::default(),
            written: Arc::default(),
            head: Arc::default(),
        }
    }

    /// An entry on the account of that number.
    pub(crate) async fn add(&self, account: u64) -> Position {
        self.write(account, "test.Added").await
    }

    pub(crate) async fn add_many(&self, count: u64, accounts: u64) -> Position {
        let mut last = Position {
            stream: self.log.stream().to_owned(),
            sequence: 0,
        };
        for number in 0..count {
            last = self.add(number * 7 % accounts).await;
        }
        last
    }

    pub(crate) async fn write(&self, account: u64, event_type: &str) -> Position {
        let context = self.log.stream().to_lowercase();
        let subject = Subject::new(&context, "account", &format!("a{account}")).unwrap();
        let expected = self
            .last
            .lock()
            .unwrap()
            .get(&subject.to_string())
            .copied()
            .unwrap_or_default();
        let record = record(subject.clone(), expected, event_type);
        let sequence = self.log.append(record).await.unwrap();
        self.last
            .lock()
            .unwrap()
            .insert(subject.to_string(), sequence);
        if event_type == "test.Added" {
            self.written
                .lock()
                .unwrap()
                .push((sequence, subject.to_string()));
        }
        self.head.store(sequence, Ordering::SeqCst);
        Position {
            stream: self.log.stream().to_owned(),
            sequence,
        }
    }

    pub(crate) fn written(&self) -> Vec<(u64, String)> {
        let mut written = self.written.lock().unwrap().clone();
        written.sort_unstable();
        written
    }

    /// The read model is just what the log says.
    pub(crate) async fn assert_told(&self, pool: &PgPool) {
        let written = self.written();
        assert_eq!(accounts(pool).await, told_by(&written));
        assert_eq!(
            sequences(pool).await,
            written
                .iter()
                .map(|(sequence, _)| *sequence)
                .collect::<Vec<_>>()
        );
    }
}

pub(crate) fn record(subject: Subject, expected: u64, event_type: &str) -> NewRecord {
    NewRecord {
        subject,
        expected,
        metadata: Metadata {
            id: Uuid::now_v7(),
            time: Utc::now(),
            actor: "test".to_owned(),
            request_id: Uuid::now_v7(),
            request_digest: [0; 16],
            correlation_id: Uuid::now_v7(),
            causation_id: None,
            division: None,
            traceparent: None,
            answers: None,
            purpose: None,
        },
        events: vec![RawEvent {
            event_type: event_type.to_owned(),
            data: vec![7; 40].into(),
        }],
    }
}

/// A pool on a database of the test's own.
pub(crate) async fn database() -> PgPool {
    pool(&backing_services::testing::fresh_database().await).await
}

pub(crate) async fn pool(url: &str) -> PgPool {
    PgPoolOptions::new()
        .max_connections(6)
        .acquire_timeout(Duration::from_secs(5))
        .connect(url)
        .await
        .unwrap()
}

/// Long enough for a loaded machine; a test that gets here has failed.
pub(crate) fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

/// Numbers that differ from run to run; the seed is printed with a failure.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new() -> Self {
        let seed = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_nanos() as u64
            | 1;
        println!("dice: {seed}");
        Self(seed)
    }

    pub(crate) fn roll(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }
}
