//! Records of visits, with what was doubted, decided and found.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use civic::{
    DivisionCode, Doubt, ElderId, FindingKind, LocalDay, ServiceKind, Set, VillageCode, VisitMode,
    VisitResult,
};
use elder_tables::columns::{bits, place, set, word};
use elders::terms::set_from_wire;
use elders::wire::{elder, id, maybe_sealed, term, time, village};
use eventlog::DecodeError;
use proto::eldercare::visits::v1 as pb;
use readmodel::ApplyError;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection, PgExecutor, Row as _};
use uuid::Uuid;
use vault::{DataKey, Sealed};

use super::{NAME, count};
use crate::document::{Document, instant};
use crate::dossier::Finding;
use crate::products::ProductName;

/// What the remarks of a record are sealed for, as visits names it.
const REMARKS: &str = "visits.remarks";

/// No supervisor has decided, as a row keeps it.
const UNDECIDED: i16 = 0;
/// A supervisor let the record count.
pub(super) const CONFIRMED: i16 = 1;
/// A supervisor let it never count.
pub(super) const REJECTED: i16 = 2;

/// A visit as it was recorded.
#[derive(Debug, PartialEq)]
pub(super) struct Recorded {
    pub(super) record: Uuid,
    elder: ElderId,
    visitor: Uuid,
    mode: VisitMode,
    result: VisitResult,
    start: DateTime<Utc>,
    end: DateTime<Utc>,
    services: Set<ServiceKind>,
    remarks: Option<Sealed<pb::Remarks>>,
    village: VillageCode,
}

pub(super) fn recorded(message: pb::VisitRecorded) -> Result<Recorded, DecodeError> {
    Ok(Recorded {
        record: id(&message.record_id, "record_id")?,
        elder: elder(&message.elder_id)?,
        visitor: id(&message.visitor_id, "visitor_id")?,
        mode: term(message.mode, "mode")?,
        result: term(message.result, "result")?,
        start: time(message.start_time, "start_time")?,
        end: time(message.end_time, "end_time")?,
        services: set_from_wire(&message.services)
            .map_err(|_index| DecodeError::malformed("services"))?,
        remarks: maybe_sealed(message.remarks, "remarks")?,
        village: village(&message.division_code)?,
    })
}

/// The visits of a batch, and what happened to these and to older ones.
#[derive(Default)]
pub(super) struct VisitRows {
    new: BTreeMap<Uuid, Recorded>,
    /// By record and elder: what is said of another elder's record changes nothing.
    changed: BTreeMap<(Uuid, ElderId), Change>,
}

/// What happened to a record.
#[derive(Default)]
pub(super) struct Change {
    pub(super) doubts: Set<Doubt>,
    pub(super) findings: Set<FindingKind>,
    decision: i16,
}

impl Change {
    /// The first decision holds.
    pub(super) fn decide(&mut self, decision: i16) {
        if self.decision == UNDECIDED {
            self.decision = decision;
        }
    }
}

impl VisitRows {
    /// As across batches, the first record of an id stays.
    pub(super) fn recorded(&mut self, recorded: Recorded) {
        self.new.entry(recorded.record).or_insert(recorded);
    }

    pub(super) fn change(&mut self, record: Uuid, elder: ElderId) -> &mut Change {
        self.changed.entry((record, elder)).or_default()
    }

    pub(super) async fn write(self, db: &mut PgConnection) -> Result<(), ApplyError> {
        insert(db, &self.new.into_values().collect::<Vec<_>>()).await?;
        update(db, &self.changed).await
    }
}

async fn insert(db: &mut PgConnection, rows: &[Recorded]) -> Result<(), ApplyError> {
    if rows.is_empty() {
        return Ok(());
    }
    let id = |of: fn(&Recorded) -> Uuid| rows.iter().map(of).collect::<Vec<_>>();
    let number = |of: fn(&Recorded) -> i32| rows.iter().map(of).collect::<Vec<_>>();
    let time = |of: fn(&Recorded) -> DateTime<Utc>| rows.iter().map(of).collect::<Vec<_>>();
    let days = rows.iter().map(|row| LocalDay::of(row.start).date());
    let days: Vec<NaiveDate> = days.collect();
    let remarks = rows.iter().map(|row| {
        let sealed = row.remarks.as_ref();
        sealed.map(|sealed| sealed.as_bytes().to_vec())
    });
    let remarks: Vec<Option<Vec<u8>>> = remarks.collect();
    let villages: Vec<&str> = rows.iter().map(|row| row.village.as_str()).collect();
    sqlx::query(
        "INSERT INTO record (record_id, elder_id, visitor_id, mode, result, start_at, end_at, day, services, remarks, \
                             village, findings, doubts, decision) \
         SELECT *, 0, 0, 0 FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::integer[], $5::integer[], \
                                       $6::timestamptz[], $7::timestamptz[], $8::date[], $9::integer[], $10::bytea[], \
                                       $11::text[]) \
         ON CONFLICT (record_id) DO NOTHING",
    )
    .bind(id(|row| row.record))
    .bind(id(|row| row.elder.as_uuid()))
    .bind(id(|row| row.visitor))
    .bind(number(|row| place(row.mode)))
    .bind(number(|row| place(row.result)))
    .bind(time(|row| row.start))
    .bind(time(|row| row.end))
    .bind(&days)
    .bind(number(|row| bits(row.services)))
    .bind(&remarks)
    .bind(&villages)
    .execute(db)
    .await?;
    Ok(())
}

async fn update(
    db: &mut PgConnection,
    changed: &BTreeMap<(Uuid, ElderId), Change>,
) -> Result<(), ApplyError> {
    if changed.is_empty() {
        return Ok(());
    }
    let records: Vec<Uuid> = changed.keys().map(|(record, _)| *record).collect();
    let elders: Vec<Uuid> = changed.keys().map(|(_, elder)| elder.as_uuid()).collect();
    let doubts: Vec<i32> = changed.values().map(|change| bits(change.doubts)).collect();
    let findings = changed.values().map(|change| bits(change.findings));
    let findings: Vec<i32> = findings.collect();
    let decisions: Vec<i16> = changed.values().map(|change| change.decision).collect();
    // The first decision holds. Planned each time: a plan that was made while there were few records would read all of them.
    sqlx::query(
        "UPDATE record SET \
             doubts = record.doubts | changed.doubts, \
             findings = record.findings | changed.findings, \
             decision = CASE WHEN record.decision = 0 THEN changed.decision ELSE record.decision END \
         FROM unnest($1::uuid[], $2::uuid[], $3::integer[], $4::integer[], $5::smallint[]) \
             AS changed (record_id, elder_id, doubts, findings, decision) \
         WHERE record.record_id = changed.record_id AND record.elder_id = changed.elder_id",
    )
    .persistent(false)
    .bind(&records)
    .bind(&elders)
    .bind(&doubts)
    .bind(&findings)
    .bind(&decisions)
    .execute(db)
    .await?;
    Ok(())
}

/// A record as it stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct VisitRow {
    /// The record.
    pub(crate) record: Uuid,
    /// Whom it is about.
    pub(crate) elder: ElderId,
    visitor: Uuid,
    mode: VisitMode,
    result: VisitResult,
    start: DateTime<Utc>,
    end: DateTime<Utc>,
    services: Set<ServiceKind>,
    remarks: Option<Vec<u8>>,
    village: String,
    findings: Set<FindingKind>,
    doubts: Set<Doubt>,
    counted: bool,
}

const COLUMNS: &str = "record_id, elder_id, visitor_id, mode, result, start_at, end_at, services, remarks, village, \
    findings, doubts, counted";

/// Finds the records of an elder whose dossier is asked for, the newest visit first.
pub(crate) fn of_asked() -> Finding {
    Finding {
        select: format!("SELECT {COLUMNS} FROM {NAME}.record WHERE elder_id = asked.elder"),
        order: "start_at DESC, record_id",
    }
}

/// Records by their ids; one that is not there is missing.
///
/// # Errors
/// The database's; a row of another version of the program.
pub(crate) async fn by_key(
    db: impl PgExecutor<'_>,
    records: &[Uuid],
) -> Result<Vec<VisitRow>, sqlx::Error> {
    many(db, "record_id = ANY($1)", records.to_vec()).await
}

/// All records of some elders, the oldest visit first.
///
/// # Errors
/// The database's; a row of another version of the program.
pub(crate) async fn of_all(
    db: impl PgExecutor<'_>,
    elders: &[ElderId],
) -> Result<Vec<VisitRow>, sqlx::Error> {
    let ids = elders.iter().map(ElderId::as_uuid).collect();
    many(db, "elder_id = ANY($1) ORDER BY start_at, record_id", ids).await
}

async fn many(
    db: impl PgExecutor<'_>,
    which: &str,
    ids: Vec<Uuid>,
) -> Result<Vec<VisitRow>, sqlx::Error> {
    let statement = format!("SELECT {COLUMNS} FROM {NAME}.record WHERE {which}");
    let rows = sqlx::query(AssertSqlSafe(statement))
        .bind(ids)
        .fetch_all(db)
        .await?;
    rows.iter().map(VisitRow::of).collect()
}

/// Whom records are about; one that is not there is missing.
///
/// # Errors
/// The database's.
pub(crate) async fn whose(
    db: impl PgExecutor<'_>,
    records: Vec<Uuid>,
) -> Result<Vec<(Uuid, ElderId)>, sqlx::Error> {
    let statement =
        format!("SELECT record_id, elder_id FROM {NAME}.record WHERE record_id = ANY($1)");
    let rows = sqlx::query(AssertSqlSafe(statement))
        .bind(records)
        .fetch_all(db)
        .await?;
    rows.iter()
        .map(|row| Ok((row.try_get(0)?, ElderId(row.try_get(1)?))))
        .collect()
}

/// How many elders of a division were met on some days, both included, at visits that count.
///
/// # Errors
/// The database's.
pub(crate) async fn visited(
    db: impl PgExecutor<'_>,
    division: &DivisionCode,
    first: LocalDay,
    last: LocalDay,
) -> Result<i64, sqlx::Error> {
    let statement = format!(
        "SELECT count(DISTINCT elder_id) FROM {NAME}.record \
         WHERE counted AND village >= $1 AND village < $2 AND day BETWEEN $3 AND $4"
    );
    count(db, statement, division, first, last).await
}

impl VisitRow {
    pub(crate) fn of(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            record: row.try_get(0)?,
            elder: ElderId(row.try_get(1)?),
            visitor: row.try_get(2)?,
            mode: word(row.try_get(3)?)?,
            result: word(row.try_get(4)?)?,
            start: row.try_get(5)?,
            end: row.try_get(6)?,
            services: set(row.try_get(7)?),
            remarks: row.try_get(8)?,
            village: row.try_get(9)?,
            findings: set(row.try_get(10)?),
            doubts: set(row.try_get(11)?),
            counted: row.try_get(12)?,
        })
    }

    /// The row as a document of the product visit. Without the elder's key there are no remarks.
    #[must_use]
    pub(crate) fn document(&self, key: Option<&DataKey>) -> Document {
        Document::new(ProductName::Visit, self.record, self.elder)
            .with("record_id", self.record.to_string())
            .with("elder_id", self.elder.to_string())
            .with("division_code", self.village.as_str())
            .with("start_time", instant(self.start))
            .with("end_time", instant(self.end))
            .with("mode", self.mode.name())
            .with("result", self.result.name())
            .with("services", self.services.names().collect::<Vec<_>>())
            .with("findings", self.findings.names().collect::<Vec<_>>())
            .with("doubts", self.doubts.names().collect::<Vec<_>>())
            .with("counted", self.counted)
            .with("visitor_id", self.visitor.to_string())
            .with_known("remarks", key.and_then(|key| self.remarks(key)))
    }

    fn remarks(&self, key: &DataKey) -> Option<String> {
        let sealed = Sealed::<pb::Remarks>::from_bytes(self.remarks.as_deref()?).ok()?;
        let remarks = key.open(REMARKS, self.elder.as_uuid(), &sealed).ok()?;
        Some(remarks.text)
    }
}

#[cfg(test)]
mod tests {
    use vault::Algorithm;

    use super::*;

    fn elder() -> ElderId {
        ElderId(Uuid::from_u128(1))
    }

    fn row(remarks: Option<Vec<u8>>) -> VisitRow {
        VisitRow {
            record: Uuid::from_u128(2),
            elder: elder(),
            visitor: Uuid::from_u128(3),
            mode: VisitMode::Home,
            result: VisitResult::Met,
            start: "2024-10-01T01:00:00Z".parse().unwrap(),
            end: "2024-10-01T01:30:00Z".parse().unwrap(),
            services: Set::new(),
            remarks,
            village: "350524100001".to_owned(),
            findings: FindingKind::Medical.into(),
            doubts: Set::new(),
            counted: true,
        }
    }

    #[test]
    fn remarks_open_with_the_key_of_the_elder_alone() {
        let key = DataKey::generate(Algorithm::Sm4Gcm);
        let said = pb::Remarks {
            text: "门铃坏了".to_owned(),
        };
        let sealed = key.seal(REMARKS, elder().as_uuid(), &said);
        let row = row(Some(sealed.as_bytes().to_vec()));
        let document = row.document(Some(&key));
        assert_eq!(document.fields["remarks"], "门铃坏了");
        assert_eq!(document.fields["start_time"], "2024-10-01T09:00:00+08:00");
        assert_eq!(document.fields["findings"][0], "MEDICAL");
        assert!(!row.document(None).fields.contains_key("remarks"));
        let other = DataKey::generate(Algorithm::Sm4Gcm);
        assert!(!row.document(Some(&other)).fields.contains_key("remarks"));
    }
}
