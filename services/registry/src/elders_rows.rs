//! The rows of elders' files and of their facts by days: the tables that hold them, and how a batch of changes is written.

use chrono::{DateTime, NaiveDate, Utc};
use civic::{Set, Term};
use elders::event::Source;
use readmodel::{ApplyError, Phase, copy_rows};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::fact_spans::Span;

/// The tables. `requests` is a row of 40 bytes for each record: request id, sequence, digest. Pages are not filled, so that
/// a changed row finds room beside the old one and no index needs to learn of it.
pub(crate) const DDL: &str = "
CREATE TABLE elder (
    elder_id uuid PRIMARY KEY,
    version bigint NOT NULL,
    complete boolean NOT NULL,
    registered_at timestamptz NOT NULL,
    identity_claim text COLLATE \"C\" NOT NULL,
    name_digest bytea,
    merged_into uuid,
    requests bytea NOT NULL,
    file bytea NOT NULL
) WITH (fillfactor = 80);
ALTER TABLE elder ALTER COLUMN file SET STORAGE EXTERNAL;
ALTER TABLE elder ALTER COLUMN requests SET STORAGE EXTERNAL;
CREATE TABLE fact (
    elder_id uuid NOT NULL,
    first_day date NOT NULL,
    last_day date NOT NULL,
    division_code text COLLATE \"C\" NOT NULL,
    status smallint NOT NULL,
    sex smallint NOT NULL,
    birth_date date NOT NULL,
    categories integer NOT NULL,
    assistance integer NOT NULL,
    capability smallint NOT NULL,
    observations integer NOT NULL,
    handicap_grade smallint NOT NULL,
    consent smallint NOT NULL,
    source smallint NOT NULL,
    circumstances integer NOT NULL,
    PRIMARY KEY (elder_id, first_day)
) WITH (fillfactor = 90);
";

/// What only readers need.
pub(crate) const INDEXES: &str = "
CREATE INDEX elder_identity_claim ON elder (identity_claim);
CREATE INDEX elder_name_digest ON elder (name_digest);
CREATE INDEX fact_division ON fact (division_code, elder_id);
";

const ELDER_COLUMNS: &[&str] = &[
    "elder_id",
    "version",
    "complete",
    "registered_at",
    "identity_claim",
    "name_digest",
    "merged_into",
    "requests",
    "file",
];

const FACT_COLUMNS: &[&str] = &[
    "elder_id",
    "first_day",
    "last_day",
    "division_code",
    "status",
    "sex",
    "birth_date",
    "categories",
    "assistance",
    "capability",
    "observations",
    "handicap_grade",
    "consent",
    "source",
    "circumstances",
];

/// A row of `elder`, ready to be written.
pub(crate) struct ElderRow<'a> {
    pub(crate) elder: Uuid,
    pub(crate) version: u64,
    pub(crate) complete: bool,
    pub(crate) registered_at: DateTime<Utc>,
    pub(crate) name_digest: Option<&'a [u8]>,
    pub(crate) claim: &'a str,
    pub(crate) merged_into: Option<Uuid>,
    pub(crate) requests: &'a [u8],
    pub(crate) file: Vec<u8>,
}

/// A row of `fact`.
pub(crate) struct FactRow {
    elder: Uuid,
    first_day: NaiveDate,
    last_day: NaiveDate,
    division_code: String,
    status: i16,
    sex: i16,
    birth_date: NaiveDate,
    categories: i32,
    assistance: i32,
    capability: i16,
    observations: i32,
    handicap_grade: i16,
    consent: i16,
    source: i16,
    circumstances: i32,
}

/// What a batch does to the tables.
#[derive(Default)]
pub(crate) struct Changes<'a> {
    /// Files that had no row.
    pub(crate) opened: Vec<ElderRow<'a>>,
    /// Their facts.
    pub(crate) opened_facts: Vec<FactRow>,
    /// Files whose row changes.
    pub(crate) changed: Vec<ElderRow<'a>>,
    /// Their facts that are new or different.
    pub(crate) changed_facts: Vec<FactRow>,
    /// First days of their facts that no longer stand.
    pub(crate) dropped_facts: Vec<(Uuid, NaiveDate)>,
    /// Files that go, with all their facts.
    pub(crate) gone: Vec<Uuid>,
}

impl Changes<'_> {
    /// Writes them, in the transaction in hand.
    pub(crate) async fn write(
        mut self,
        db: &mut PgConnection,
        phase: Phase,
    ) -> Result<(), ApplyError> {
        delete(db, &self.gone, &self.dropped_facts).await?;
        if phase == Phase::Rebuild {
            copy_elders(db, &self.opened).await?;
            copy_facts(db, &self.opened_facts).await?;
        } else {
            self.changed.append(&mut self.opened);
            self.changed_facts.append(&mut self.opened_facts);
        }
        upsert_elders(db, &self.changed).await?;
        upsert_facts(db, &self.changed_facts).await
    }
}

async fn delete(
    db: &mut PgConnection,
    gone: &[Uuid],
    dropped: &[(Uuid, NaiveDate)],
) -> Result<(), ApplyError> {
    if !gone.is_empty() {
        sqlx::query("DELETE FROM elder WHERE elder_id = ANY($1)")
            .bind(gone)
            .execute(&mut *db)
            .await?;
        sqlx::query("DELETE FROM fact WHERE elder_id = ANY($1)")
            .bind(gone)
            .execute(&mut *db)
            .await?;
    }
    if !dropped.is_empty() {
        sqlx::query(
            "DELETE FROM fact USING unnest($1::uuid[], $2::date[]) AS dropped (elder_id, first_day) \
             WHERE fact.elder_id = dropped.elder_id AND fact.first_day = dropped.first_day",
        )
        .bind(dropped.iter().map(|(elder, _)| *elder).collect::<Vec<_>>())
        .bind(dropped.iter().map(|(_, day)| *day).collect::<Vec<_>>())
        .execute(&mut *db)
        .await?;
    }
    Ok(())
}

async fn copy_elders(db: &mut PgConnection, rows: &[ElderRow<'_>]) -> Result<(), ApplyError> {
    if rows.is_empty() {
        return Ok(());
    }
    copy_rows(db, "elder", ELDER_COLUMNS, rows, |to, row| {
        to.put(row.elder)
            .put(row.version.cast_signed())
            .put(row.complete)
            .put(row.registered_at)
            .put(row.claim)
            .put(row.name_digest)
            .put(row.merged_into)
            .put(row.requests)
            .put(&row.file);
    })
    .await?;
    Ok(())
}

async fn copy_facts(db: &mut PgConnection, rows: &[FactRow]) -> Result<(), ApplyError> {
    if rows.is_empty() {
        return Ok(());
    }
    copy_rows(db, "fact", FACT_COLUMNS, rows, |to, row| {
        to.put(row.elder)
            .put(row.first_day)
            .put(row.last_day)
            .put(&row.division_code)
            .put(row.status)
            .put(row.sex)
            .put(row.birth_date)
            .put(row.categories)
            .put(row.assistance)
            .put(row.capability)
            .put(row.observations)
            .put(row.handicap_grade)
            .put(row.consent)
            .put(row.source)
            .put(row.circumstances);
    })
    .await?;
    Ok(())
}

async fn upsert_elders(db: &mut PgConnection, rows: &[ElderRow<'_>]) -> Result<(), ApplyError> {
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO elder (elder_id, version, complete, registered_at, identity_claim, name_digest, merged_into, \
                            requests, file) \
         SELECT * FROM unnest($1::uuid[], $2::int8[], $3::bool[], $4::timestamptz[], $5::text[], $6::bytea[], \
                              $7::uuid[], $8::bytea[], $9::bytea[]) \
         ON CONFLICT (elder_id) DO UPDATE SET \
             version = excluded.version, complete = excluded.complete, identity_claim = excluded.identity_claim, \
             name_digest = excluded.name_digest, merged_into = excluded.merged_into, \
             requests = elder.requests || excluded.requests, file = excluded.file",
    )
    .bind(rows.iter().map(|row| row.elder).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.version.cast_signed()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.complete).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.registered_at).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.claim).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.name_digest).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.merged_into).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.requests).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.file.as_slice()).collect::<Vec<_>>())
    .execute(db)
    .await?;
    Ok(())
}

async fn upsert_facts(db: &mut PgConnection, rows: &[FactRow]) -> Result<(), ApplyError> {
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO fact (elder_id, first_day, last_day, division_code, status, sex, birth_date, categories, \
                           assistance, capability, observations, handicap_grade, consent, source, circumstances) \
         SELECT * FROM unnest($1::uuid[], $2::date[], $3::date[], $4::text[], $5::int2[], $6::int2[], $7::date[], \
                              $8::int4[], $9::int4[], $10::int2[], $11::int4[], $12::int2[], $13::int2[], $14::int2[], \
                              $15::int4[]) \
         ON CONFLICT (elder_id, first_day) DO UPDATE SET \
             last_day = excluded.last_day, division_code = excluded.division_code, status = excluded.status, \
             sex = excluded.sex, birth_date = excluded.birth_date, categories = excluded.categories, \
             assistance = excluded.assistance, capability = excluded.capability, \
             observations = excluded.observations, handicap_grade = excluded.handicap_grade, \
             consent = excluded.consent, source = excluded.source, circumstances = excluded.circumstances",
    )
    .bind(rows.iter().map(|row| row.elder).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.first_day).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.last_day).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.division_code.as_str()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.status).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.sex).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.birth_date).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.categories).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.assistance).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.capability).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.observations).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.handicap_grade).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.consent).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.source).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.circumstances).collect::<Vec<_>>())
    .execute(db)
    .await?;
    Ok(())
}

impl FactRow {
    pub(crate) fn new(elder: Uuid, file: &elders::Elder, span: &Span) -> Self {
        let facts = &span.facts;
        Self {
            elder,
            first_day: span.first_day.date(),
            last_day: span.last_day.date(),
            division_code: facts.village.as_str().to_owned(),
            status: place(facts.status),
            sex: place(facts.sex),
            birth_date: facts.birth_date.date(),
            categories: bits(facts.categories),
            assistance: bits(facts.assistance),
            capability: place(facts.capability),
            observations: bits(facts.observations),
            handicap_grade: facts
                .handicap_grade
                .map_or(0, |grade| i16::from(grade.number())),
            consent: place(facts.consent),
            source: match file.source {
                Source::Api => 0,
                Source::Survey => 1,
            },
            circumstances: bits(facts.circumstances),
        }
    }
}

/// A word as a column holds it: its place in its list.
pub(crate) fn place<T: Term>(word: T) -> i16 {
    i16::try_from(word.index()).expect("a list has 32 words at most")
}

/// A set of words as a column holds it: a bit for each.
pub(crate) fn bits<T: Term>(words: Set<T>) -> i32 {
    words
        .iter()
        .fold(0_u32, |bits, word| bits | 1 << word.index())
        .cast_signed()
}
