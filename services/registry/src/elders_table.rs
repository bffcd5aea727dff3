//! The read model of elders' files: one row for each file, and its facts by days.
//!
//! The rows hold nothing personal in the clear: the file with its sealed fields, and keyed digests of ID number and name
//! by which an elder is found. The rows of an erased elder are deleted.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use chrono::{DateTime, Utc};
use civic::ElderId;
use elders::{Event, codec};
use eventlog::Record;
use moka::sync::Cache;
use readmodel::{ApplyError, Parked, Phase, read_events};
use sqlx::{PgConnection, Row as _};
use uuid::Uuid;
use vault::{BlindIndex, Vault};

use crate::{
    elders_ahead::{EldersAhead, Prepared},
    elders_rows::{Changes, ElderRow, FactRow},
    fact_spans::{Span, spans},
};

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
        changes(&touched)?.write(db, phase).await?;
        for (elder, touched) in touched {
            if touched.now.file == elders::File::Erased {
                // A vault of another process learns of the erasure here.
                self.vault.forget(elder.as_uuid());
            }
            // A bulk load goes through everybody, and hardly meets the same ones again soon.
            if phase == Phase::Rebuild {
                self.remembered.invalidate(&elder);
                continue;
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
        let events = read_events(record, codec::decode, parked);
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

/// What becomes of the rows, in the order of the keys: neighbours in an index are written together.
fn changes(touched: &HashMap<ElderId, Touched>) -> Result<Changes<'_>, ApplyError> {
    let mut changes = Changes::default();
    let mut ordered: Vec<_> = touched.iter().collect();
    ordered.sort_unstable_by_key(|(elder, _)| **elder);
    for (elder, touched) in ordered {
        let (id, kept) = (elder.as_uuid(), &touched.now);
        let Some(file) = kept.file.open() else {
            if kept.stored {
                changes.gone.push(id);
            }
            continue;
        };
        let row = ElderRow {
            elder: id,
            version: kept.version,
            complete: kept.complete,
            registered_at: kept.registered_at,
            name_digest: kept.name_digest.as_deref(),
            claim: &file.identity_claim,
            merged_into: file.merged_into.map(Uuid::from),
            requests: &touched.requests,
            file: postcard::to_allocvec(&kept.file)
                .map_err(|_failed| ApplyError::Poison("a file can't be written down"))?,
        };
        let (before, now) = (&touched.spans_before, kept.spans());
        if kept.stored {
            changes.changed.push(row);
            let dropped = before.iter().filter(|span| {
                now.iter()
                    .all(|standing| standing.first_day != span.first_day)
            });
            changes
                .dropped_facts
                .extend(dropped.map(|span| (id, span.first_day.date())));
            let different = now.iter().filter(|span| !before.contains(span));
            changes
                .changed_facts
                .extend(different.map(|span| FactRow::new(id, file, span)));
        } else {
            changes.opened.push(row);
            changes
                .opened_facts
                .extend(now.iter().map(|span| FactRow::new(id, file, span)));
        }
    }
    Ok(changes)
}
