//! The rows of records: what was recorded, whether it is in doubt, what a supervisor decided, and since when it counts.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, Utc};
use civic::{Doubt, ElderId, Set, VisitResult};
use eventlog::Record;
use readmodel::ApplyError;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::book_table::{bits, place};
use crate::elder_year::{Event, Recorded};

/// No supervisor has decided, as a row keeps it.
pub(crate) const UNDECIDED: i16 = 0;
/// A supervisor let the record count.
pub(crate) const CONFIRMED: i16 = 1;
/// A supervisor let it never count.
pub(crate) const REJECTED: i16 = 2;

/// An elder's year, whose record bears an event.
pub(crate) type Year = (ElderId, i32);

/// The records of a batch: new ones as they end up, and what happened to older ones.
#[derive(Default)]
pub(crate) struct RecordRows {
    new: HashMap<Uuid, Row>,
    /// By record and year: what another year says of a record's id, which was used there again, changes nothing.
    changed: HashMap<(Uuid, Year), Change>,
}

struct Row {
    recorded: Recorded,
    arrived: DateTime<Utc>,
    sequence: u64,
    change: Change,
}

#[derive(Clone, Copy, Default)]
struct Change {
    doubts: Set<Doubt>,
    decision: i16,
    decided_at: Option<DateTime<Utc>>,
    /// The sequence of the last change.
    sequence: u64,
}

impl RecordRows {
    pub(crate) fn fold(&mut self, record: &Record, year: Year, event: &Event) {
        let (at, sequence) = (record.metadata.time, record.sequence);
        match event {
            Event::Recorded(recorded) => {
                let row = Row {
                    recorded: (**recorded).clone(),
                    arrived: at,
                    sequence,
                    change: Change {
                        sequence,
                        ..Change::default()
                    },
                };
                // As across batches, the first stays.
                self.new.entry(recorded.record).or_insert(row);
            }
            Event::Doubted { record, doubts } => {
                let change = self.change((*record, year), sequence);
                change.doubts = change.doubts.union(*doubts);
            }
            Event::Confirmed { record } => {
                self.change((*record, year), sequence).decide(CONFIRMED, at);
            }
            Event::Rejected { record } => {
                self.change((*record, year), sequence).decide(REJECTED, at);
            }
            Event::DutyMet { .. }
            | Event::Missed(_)
            | Event::ReferralOpened { .. }
            | Event::ReferralAnswered { .. }
            | Event::ReferralClosed { .. } => {}
        }
    }

    /// A record of a year in this batch.
    pub(crate) fn recorded(&self, record: Uuid, year: Year) -> Option<&Recorded> {
        let row = self.new.get(&record).filter(|row| row.year() == year);
        row.map(|row| &row.recorded)
    }

    fn change(&mut self, key: (Uuid, Year), sequence: u64) -> &mut Change {
        let (record, year) = key;
        let change = match self.new.get_mut(&record).filter(|row| row.year() == year) {
            Some(row) => &mut row.change,
            None => self.changed.entry(key).or_default(),
        };
        change.sequence = sequence;
        change
    }

    pub(crate) async fn write(self, db: &mut PgConnection) -> Result<(), ApplyError> {
        insert(db, self.new.into_values().collect()).await?;
        update(db, self.changed).await
    }
}

impl Change {
    fn decide(&mut self, decision: i16, at: DateTime<Utc>) {
        if self.decision == UNDECIDED {
            self.decision = decision;
            self.decided_at = Some(at);
        }
    }
}

impl Row {
    fn year(&self) -> Year {
        (self.recorded.elder, self.recorded.day().year())
    }

    /// Since when it counts.
    fn counted_at(&self) -> Option<DateTime<Utc>> {
        if self.recorded.result != VisitResult::Met {
            return None;
        }
        match self.change.decision {
            CONFIRMED => self.change.decided_at,
            REJECTED => None,
            _ => self.change.doubts.is_empty().then_some(self.arrived),
        }
    }
}

async fn insert(db: &mut PgConnection, rows: Vec<Row>) -> Result<(), ApplyError> {
    if rows.is_empty() {
        return Ok(());
    }
    let id = |of: fn(&Row) -> Uuid| rows.iter().map(of).collect::<Vec<_>>();
    let number = |of: fn(&Row) -> i32| rows.iter().map(of).collect::<Vec<_>>();
    let time = |of: fn(&Row) -> DateTime<Utc>| rows.iter().map(of).collect::<Vec<_>>();
    let sealed = |of: fn(&Row) -> Option<Vec<u8>>| rows.iter().map(of).collect::<Vec<_>>();
    let days: Vec<NaiveDate> = rows.iter().map(|row| row.recorded.day().date()).collect();
    let signed: Vec<bool> = rows.iter().map(|row| row.recorded.signed).collect();
    let villages = rows.iter().map(|row| row.recorded.village.to_string());
    let villages: Vec<String> = villages.collect();
    let decisions: Vec<i16> = rows.iter().map(|row| row.change.decision).collect();
    let counted: Vec<Option<DateTime<Utc>>> = rows.iter().map(Row::counted_at).collect();
    let sequences: Vec<i64> = rows.iter().map(|row| row.sequence.cast_signed()).collect();
    let changes = rows.iter().map(|row| row.change.sequence.cast_signed());
    let changes: Vec<i64> = changes.collect();
    // A record's id that was used again for another elder or year is no second record: the first one stays.
    sqlx::query(
        "INSERT INTO record (record_id, elder_id, visitor_id, mode, result, start_at, end_at, day, services, signed, \
                             check_in, remarks, village, arrived_at, doubts, decision, counted_at, sequence, changed) \
         SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::integer[], $5::integer[], $6::timestamptz[], \
                              $7::timestamptz[], $8::date[], $9::integer[], $10::boolean[], $11::bytea[], $12::bytea[], \
                              $13::text[], $14::timestamptz[], $15::integer[], $16::smallint[], $17::timestamptz[], $18::bigint[], $19::bigint[]) \
         ON CONFLICT (record_id) DO NOTHING",
    )
    .bind(id(|row| row.recorded.record))
    .bind(id(|row| row.recorded.elder.as_uuid()))
    .bind(id(|row| row.recorded.visitor))
    .bind(number(|row| place(row.recorded.mode)))
    .bind(number(|row| place(row.recorded.result)))
    .bind(time(|row| row.recorded.start))
    .bind(time(|row| row.recorded.end))
    .bind(&days)
    .bind(number(|row| bits(row.recorded.services)))
    .bind(&signed)
    .bind(sealed(|row| {
        let sealed = row.recorded.check_in.as_ref();
        sealed.map(|sealed| sealed.as_bytes().to_vec())
    }))
    .bind(sealed(|row| {
        let sealed = row.recorded.remarks.as_ref();
        sealed.map(|sealed| sealed.as_bytes().to_vec())
    }))
    .bind(&villages)
    .bind(time(|row| row.arrived))
    .bind(number(|row| bits(row.change.doubts)))
    .bind(&decisions)
    .bind(&counted)
    .bind(&sequences)
    .bind(&changes)
    .execute(db)
    .await?;
    Ok(())
}

async fn update(
    db: &mut PgConnection,
    changed: HashMap<(Uuid, Year), Change>,
) -> Result<(), ApplyError> {
    if changed.is_empty() {
        return Ok(());
    }
    let records: Vec<Uuid> = changed.keys().map(|(record, _)| *record).collect();
    let years = || changed.keys().map(|(_, year)| year);
    let elders: Vec<Uuid> = years().map(|(elder, _)| elder.as_uuid()).collect();
    let numbers: Vec<i32> = years().map(|(_, number)| *number).collect();
    let doubts: Vec<i32> = changed.values().map(|change| bits(change.doubts)).collect();
    let decisions: Vec<i16> = changed.values().map(|change| change.decision).collect();
    let decided = changed.values().map(|change| change.decided_at);
    let decided: Vec<Option<DateTime<Utc>>> = decided.collect();
    let sequences = changed.values().map(|change| change.sequence.cast_signed());
    let sequences: Vec<i64> = sequences.collect();
    // The first decision holds; only who was met was visited. Planned each time: a plan that was made while there were few
    // records would read all of them for each that is doubted.
    sqlx::query(
        "UPDATE record SET \
             doubts = record.doubts | changed.doubts, \
             changed = changed.sequence, \
             decision = CASE WHEN record.decision = 0 THEN changed.decision ELSE record.decision END, \
             counted_at = CASE \
                 WHEN record.result <> $5 THEN NULL \
                 WHEN record.decision <> 0 THEN record.counted_at \
                 WHEN changed.decision = 1 THEN changed.decided_at \
                 WHEN changed.decision = 2 OR record.doubts | changed.doubts <> 0 THEN NULL \
                 ELSE record.counted_at END \
         FROM unnest($1::uuid[], $2::integer[], $3::smallint[], $4::timestamptz[], $6::bigint[], $7::uuid[], $8::integer[]) \
             AS changed (record_id, doubts, decision, decided_at, sequence, elder_id, year) \
         WHERE record.record_id = changed.record_id AND record.elder_id = changed.elder_id \
             AND extract(year FROM record.day)::integer = changed.year",
    )
    .persistent(false)
    .bind(&records)
    .bind(&doubts)
    .bind(&decisions)
    .bind(&decided)
    .bind(place(VisitResult::Met))
    .bind(&sequences)
    .bind(&elders)
    .bind(&numbers)
    .execute(db)
    .await?;
    Ok(())
}
