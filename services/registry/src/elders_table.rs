//! The read model of elders' files: one row for each file, and its facts by days.
//!
//! The rows hold nothing personal in the clear: the file with its sealed fields, and keyed digests of ID number and name
//! by which an elder is found. The rows of an erased elder are deleted.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use chrono::{DateTime, NaiveDate, Utc};
use civic::{ElderId, Set, Term};
use elders::{Event, codec, event::Source};
use eventlog::{DecodeError, Record};
use moka::sync::Cache;
use readmodel::{ApplyError, Parked, Phase, copy_rows};
use sqlx::{PgConnection, Row as _};
use uuid::Uuid;
use vault::{BlindIndex, Vault};

use crate::{
    elders_ahead::{EldersAhead, Prepared},
    fact_spans::{Span, spans},
};

/// The tables. `requests` is a row of 40 bytes for each record: request id, sequence, digest.
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
);
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
    PRIMARY KEY (elder_id, first_day)
);
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
];

/// The domain of name digests.
pub(crate) const NAME: &str = "name";

/// How many files are remembered from batch to batch.
const REMEMBERED: u64 = 20_000;

/// Folds records of elders into the tables.
pub(crate) struct EldersTable {
    vault: Vault,
    ahead: Arc<EldersAhead>,
    remembered: Cache<ElderId, Arc<Kept>>,
}

/// A file as its row holds it.
#[derive(Clone, Debug)]
struct Kept {
    file: elders::File,
    version: u64,
    /// False when an event was passed by: the file is then no ground for decisions.
    complete: bool,
    registered_at: DateTime<Utc>,
    name_digest: Option<Vec<u8>>,
    /// Whether there is a row.
    stored: bool,
}

/// A file that a batch touches.
struct Touched {
    now: Kept,
    spans_before: Vec<Span>,
    /// What is to be added to `requests`.
    requests: Vec<u8>,
    renamed: bool,
}

impl EldersTable {
    pub(crate) fn new(vault: Vault, index: BlindIndex) -> Self {
        Self {
            ahead: Arc::new(EldersAhead::new(vault.clone(), index)),
            vault,
            remembered: Cache::new(REMEMBERED),
        }
    }

    pub(crate) fn forget(&self) {
        self.remembered.invalidate_all();
        self.ahead.forget();
    }

    /// Who prepares records for a bulk load.
    pub(crate) fn ahead(&self) -> Arc<EldersAhead> {
        Arc::clone(&self.ahead)
    }

    /// Applies the records of elders' files, in their order.
    pub(crate) async fn apply(
        &self,
        db: &mut PgConnection,
        records: &[&Record],
        phase: Phase,
        parked: &mut Vec<Parked>,
    ) -> Result<(), ApplyError> {
        if records.is_empty() {
            return Ok(());
        }
        let mut touched = HashMap::new();
        let mut decoded = Vec::with_capacity(records.len());
        let mut prepared = self.ahead.take(records);
        for record in records {
            let Ok(elder) = record.subject.id().parse::<ElderId>() else {
                parked.extend(
                    record
                        .events
                        .iter()
                        .map(|event| Parked::malformed(record, event)),
                );
                continue;
            };
            decoded.push(match prepared.remove(&record.sequence) {
                Some(prepared) => Decoded::prepared(elder, record, prepared),
                None => Decoded::of(elder, record, parked),
            });
        }
        self.load(db, &decoded, &mut touched).await?;
        for decoded in &decoded {
            if let Some(touched) = touched.get_mut(&decoded.elder) {
                touched.take_in(decoded);
            }
        }
        self.digest_names(&mut touched).await?;
        write(db, &touched, phase).await?;
        for (elder, touched) in touched {
            if touched.now.file == elders::File::Erased {
                // A vault of another process learns of the erasure here.
                self.vault.forget(elder.as_uuid());
            }
            self.remembered.insert(
                elder,
                Arc::new(Kept {
                    stored: touched.now.is_row(),
                    ..touched.now
                }),
            );
        }
        Ok(())
    }

    /// The files that the records change, as they are before.
    async fn load(
        &self,
        db: &mut PgConnection,
        decoded: &[Decoded<'_>],
        touched: &mut HashMap<ElderId, Touched>,
    ) -> Result<(), ApplyError> {
        let mut unknown = Vec::new();
        for Decoded {
            elder,
            record,
            events,
            ..
        } in decoded
        {
            let Entry::Vacant(entry) = touched.entry(*elder) else {
                continue;
            };
            if let Some(kept) = self.remembered.get(elder) {
                entry.insert(Touched::new(Kept::clone(&kept)));
                continue;
            }
            // Nobody registers an elder twice, so that the row of a new one need not be looked for.
            if !matches!(events.first(), Some(Event::Registered(_))) {
                unknown.push(elder.as_uuid());
            }
            entry.insert(Touched::new(Kept::absent(record.metadata.time)));
        }
        if unknown.is_empty() {
            return Ok(());
        }
        let rows = sqlx::query(
            "SELECT elder_id, version, complete, registered_at, name_digest, file FROM elder WHERE elder_id = ANY($1)",
        )
        .bind(&unknown)
        .fetch_all(db)
        .await?;
        for row in rows {
            let file: elders::File =
                postcard::from_bytes(row.try_get(5)?).map_err(|_unreadable| {
                    ApplyError::Poison("a file of the read model can't be read")
                })?;
            let kept = Kept {
                file,
                version: row.try_get::<i64, _>(1)?.unsigned_abs(),
                complete: row.try_get(2)?,
                registered_at: row.try_get(3)?,
                name_digest: row.try_get(4)?,
                stored: true,
            };
            touched.insert(ElderId(row.try_get(0)?), Touched::new(kept));
        }
        Ok(())
    }

    /// Opens the names that are new, and digests them.
    async fn digest_names(
        &self,
        touched: &mut HashMap<ElderId, Touched>,
    ) -> Result<(), ApplyError> {
        let renamed: Vec<Uuid> = touched
            .iter()
            .filter(|(_, touched)| touched.renamed && touched.now.is_row())
            .map(|(elder, _)| elder.as_uuid())
            .collect();
        if renamed.is_empty() {
            return Ok(());
        }
        let keys = self
            .vault
            .keys(&renamed)
            .await
            .map_err(|_away| ApplyError::Unavailable("the keys of elders"))?;
        for person in renamed {
            let Some(touched) = touched.get_mut(&ElderId(person)) else {
                continue;
            };
            // Without a key the elder is erased: the event that says so is on its way.
            let identity = touched.now.file.open().map(|elder| &elder.identity);
            touched.now.name_digest = identity
                .zip(keys.get(&person))
                .and_then(|(identity, key)| self.ahead.digest(person, identity, key));
        }
        Ok(())
    }
}

/// A record of an elder's file.
struct Decoded<'a> {
    elder: ElderId,
    record: &'a Record,
    /// The events that can be read.
    events: Vec<Event>,
    /// Whether these are all.
    whole: bool,
    /// The digest of the name that they give, where it was made ahead.
    name_digest: Option<Vec<u8>>,
}

impl<'a> Decoded<'a> {
    fn prepared(elder: ElderId, record: &'a Record, prepared: Prepared) -> Self {
        Self {
            elder,
            record,
            events: prepared.events,
            whole: true,
            name_digest: prepared.name_digest,
        }
    }

    fn of(elder: ElderId, record: &'a Record, parked: &mut Vec<Parked>) -> Self {
        let mut events = Vec::with_capacity(record.events.len());
        for raw in &record.events {
            match codec::decode(raw) {
                Ok(event) => events.push(event),
                Err(DecodeError::UnknownType(_)) => parked.push(Parked::unknown_type(record, raw)),
                Err(DecodeError::Malformed(_)) => parked.push(Parked::malformed(record, raw)),
            }
        }
        let whole = events.len() == record.events.len();
        Self {
            elder,
            record,
            events,
            whole,
            name_digest: None,
        }
    }
}

impl Kept {
    fn absent(registered_at: DateTime<Utc>) -> Self {
        Self {
            file: elders::File::Absent,
            version: 0,
            complete: true,
            registered_at,
            name_digest: None,
            stored: false,
        }
    }

    /// Whether the file has a row.
    fn is_row(&self) -> bool {
        self.file.open().is_some()
    }

    /// Facts by days; a merged file is neither listed nor counted.
    fn spans(&self) -> Vec<Span> {
        match self.file.open() {
            Some(elder) if elder.merged_into.is_none() => spans(&elder.facts),
            Some(_) | None => Vec::new(),
        }
    }
}

impl Touched {
    fn new(kept: Kept) -> Self {
        Self {
            spans_before: kept.spans(),
            now: kept,
            requests: Vec::new(),
            renamed: false,
        }
    }

    fn take_in(&mut self, decoded: &Decoded<'_>) {
        let record = decoded.record;
        for event in &decoded.events {
            if let Event::Registered(_) = event {
                self.now.registered_at = record.metadata.time;
            }
            if matches!(event, Event::Registered(_) | Event::IdentityCorrected(_)) {
                self.renamed = decoded.name_digest.is_none();
                self.now.name_digest.clone_from(&decoded.name_digest);
            }
            self.now.file = std::mem::take(&mut self.now.file).evolve(event);
        }
        self.now.version = record.sequence;
        self.now.complete &= decoded.whole;
        self.requests
            .extend_from_slice(record.metadata.request_id.as_bytes());
        self.requests
            .extend_from_slice(&record.sequence.to_be_bytes());
        self.requests
            .extend_from_slice(&record.metadata.request_digest);
    }
}

/// A row of `elder`, ready to be written.
struct ElderRow<'a> {
    elder: Uuid,
    kept: &'a Kept,
    claim: &'a str,
    merged_into: Option<Uuid>,
    requests: &'a [u8],
    file: Vec<u8>,
}

/// A row of `fact`.
struct FactRow {
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
}

async fn write(
    db: &mut PgConnection,
    touched: &HashMap<ElderId, Touched>,
    phase: Phase,
) -> Result<(), ApplyError> {
    let (mut new, mut changed, mut facts) = (Vec::new(), Vec::new(), Vec::new());
    let (mut gone, mut stale) = (Vec::new(), Vec::new());
    // In the order of the keys: neighbours in an index are written together.
    let mut ordered: Vec<_> = touched.iter().collect();
    ordered.sort_unstable_by_key(|(elder, _)| **elder);
    for (elder, touched) in ordered {
        let (id, kept) = (elder.as_uuid(), &touched.now);
        let spans = kept.spans();
        if kept.stored && spans != touched.spans_before {
            stale.push(id);
        }
        match kept.file.open() {
            Some(file) => {
                if !kept.stored || spans != touched.spans_before {
                    facts.extend(spans.iter().map(|span| FactRow::new(id, file, span)));
                }
                let row = ElderRow {
                    elder: id,
                    kept,
                    claim: &file.identity_claim,
                    merged_into: file.merged_into.map(Uuid::from),
                    requests: &touched.requests,
                    file: postcard::to_allocvec(&kept.file)
                        .map_err(|_failed| ApplyError::Poison("a file can't be written down"))?,
                };
                if kept.stored {
                    changed.push(row)
                } else {
                    new.push(row)
                }
            }
            None if kept.stored => gone.push(id),
            None => {}
        }
    }
    delete(db, &gone, &stale).await?;
    if phase == Phase::Rebuild {
        copy_elders(db, &new).await?;
        copy_facts(db, &facts).await?;
        upsert_elders(db, &changed).await?;
    } else {
        new.append(&mut changed);
        upsert_elders(db, &new).await?;
        insert_facts(db, &facts).await?;
    }
    Ok(())
}

async fn delete(db: &mut PgConnection, gone: &[Uuid], stale: &[Uuid]) -> Result<(), ApplyError> {
    if !gone.is_empty() {
        sqlx::query("DELETE FROM elder WHERE elder_id = ANY($1)")
            .bind(gone)
            .execute(&mut *db)
            .await?;
    }
    if !stale.is_empty() {
        sqlx::query("DELETE FROM fact WHERE elder_id = ANY($1)")
            .bind(stale)
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
            .put(row.kept.version.cast_signed())
            .put(row.kept.complete)
            .put(row.kept.registered_at)
            .put(row.claim)
            .put(row.kept.name_digest.as_deref())
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
            .put(row.source);
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
    .bind(rows.iter().map(|row| row.kept.version.cast_signed()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.kept.complete).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.kept.registered_at).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.claim).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.kept.name_digest.as_deref()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.merged_into).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.requests).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.file.as_slice()).collect::<Vec<_>>())
    .execute(db)
    .await?;
    Ok(())
}

async fn insert_facts(db: &mut PgConnection, rows: &[FactRow]) -> Result<(), ApplyError> {
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO fact (elder_id, first_day, last_day, division_code, status, sex, birth_date, categories, \
                           assistance, capability, observations, handicap_grade, consent, source) \
         SELECT * FROM unnest($1::uuid[], $2::date[], $3::date[], $4::text[], $5::int2[], $6::int2[], $7::date[], \
                              $8::int4[], $9::int4[], $10::int2[], $11::int4[], $12::int2[], $13::int2[], $14::int2[])",
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
    .execute(db)
    .await?;
    Ok(())
}

impl FactRow {
    fn new(elder: Uuid, file: &elders::Elder, span: &Span) -> Self {
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
