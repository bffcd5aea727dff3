//! The records of one elder, the latest visit first: the ledger sheet of annex 2.

use chrono::{DateTime, Utc};
use civic::{Doubt, ElderId, ServiceKind, VisitMode, VisitResult};
use elders::terms::{WireTerm as _, wire_set};
use elders::wire::write_time;
use proto::eldercare::visits::v1 as pb;
use service::{Caller, errors, paging};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Row as _};
use tonic::Status;
use uuid::Uuid;
use vault::{DataKey, Sealed};

use crate::book_table::{self, set, word};
use crate::codec::purpose;
use crate::record_rows::{CONFIRMED, REJECTED};
use crate::visits::Visits;
use crate::{facts_table, refusals};

/// Where a page of an elder's records ended.
pub(crate) type Cursor = (DateTime<Utc>, Uuid);

/// What is told of an elder's visits.
const VISIT: &[&str] = &[
    "visit.record_id",
    "visit.start_time",
    "visit.end_time",
    "visit.mode",
    "visit.result",
    "visit.services",
    "visit.findings",
    "visit.doubts",
    "visit.visitor_id",
    "visit.remarks",
    "visit.check_in_position",
];

impl Visits {
    /// A page of an elder's records, and the cursor of the next one.
    pub(crate) async fn elder_visits(
        &self,
        caller: &Caller,
        elder: ElderId,
        after: Option<Cursor>,
        size: u32,
    ) -> Result<(Vec<pb::ElderVisit>, Option<Cursor>), Status> {
        let known = facts_table::TABLE
            .of(&self.pool, &[elder])
            .await
            .map_err(errors::of_database)?;
        let facts = known.get(&elder).and_then(|kept| kept.facts.as_ref());
        let facts = facts.ok_or_else(|| refusals::no_elder(elder))?;
        let village = *facts.on(self.today()).village();
        caller.knows(&village.division(), || refusals::no_elder(elder))?;
        let key = self.keys.key(elder.as_uuid()).await?;
        let statement = format!(
            "SELECT record_id, visitor_id, mode, result, start_at, end_at, services, signed, check_in, remarks, arrived_at, \
                    doubts, decision FROM {}.record WHERE elder_id = $1 \
             AND ($2::timestamptz IS NULL OR (start_at, record_id) < ($2, $3)) ORDER BY start_at DESC, record_id DESC LIMIT $4",
            book_table::NAME
        );
        let rows = sqlx::query(AssertSqlSafe(statement))
            .bind(elder.as_uuid())
            .bind(after.map(|(start, _)| start))
            .bind(after.map(|(_, record)| record))
            .bind(i64::from(size) + 1)
            .fetch_all(&self.pool)
            .await
            .map_err(errors::of_database)?;
        let mut visits = rows
            .iter()
            .map(|row| {
                let cursor = (row.try_get(4)?, row.try_get(0)?);
                Ok((visit(row, elder, key.as_deref())?, cursor))
            })
            .collect::<Result<Vec<(pb::ElderVisit, Cursor)>, sqlx::Error>>()
            .map_err(errors::of_database)?;
        let next = paging::cut(&mut visits, size).map(|(_, cursor)| *cursor);
        caller.told("GetElderVisits", [elder], VISIT).await?;
        Ok((visits.into_iter().map(|(visit, _)| visit).collect(), next))
    }
}

fn visit(
    row: &PgRow,
    elder: ElderId,
    key: Option<&DataKey>,
) -> Result<pb::ElderVisit, sqlx::Error> {
    let person = elder.as_uuid();
    let check_in: Option<&[u8]> = row.try_get(8)?;
    let check_in = check_in
        .and_then(|bytes| Sealed::<pb::CheckIn>::from_bytes(bytes).ok())
        .zip(key)
        .and_then(|(sealed, key)| key.open(purpose::CHECK_IN, person, &sealed).ok())
        .and_then(|check_in| check_in.position);
    let remarks: Option<&[u8]> = row.try_get(9)?;
    let remarks = remarks
        .and_then(|bytes| Sealed::<pb::Remarks>::from_bytes(bytes).ok())
        .zip(key)
        .and_then(|(sealed, key)| key.open(purpose::REMARKS, person, &sealed).ok())
        .unwrap_or_default();
    let result: VisitResult = word(row.try_get(3)?)?;
    let doubts = set::<Doubt>(row.try_get(11)?);
    let decision: i16 = row.try_get(12)?;
    let state = match (decision, result) {
        (CONFIRMED, _) => pb::RecordState::Confirmed,
        (REJECTED, _) => pb::RecordState::Rejected,
        _ if !doubts.is_empty() => pb::RecordState::Doubtful,
        (_, VisitResult::Met) => pb::RecordState::Counted,
        (_, VisitResult::NotAtHome | VisitResult::RefusedAtDoor) => pb::RecordState::NotMet,
    };
    Ok(pb::ElderVisit {
        record: Some(pb::VisitRecord {
            record_id: row.try_get::<Uuid, _>(0)?.to_string(),
            elder_id: elder.to_string(),
            visitor_id: row.try_get::<Uuid, _>(1)?.to_string(),
            mode: word::<VisitMode>(row.try_get(2)?)?.wire(),
            result: result.wire(),
            start_time: Some(write_time(row.try_get(4)?)),
            end_time: Some(write_time(row.try_get(5)?)),
            services: wire_set(set::<ServiceKind>(row.try_get(6)?)),
            signed: row.try_get(7)?,
            remarks: remarks.text,
            check_in,
            photo_hashes: vec![],
            findings: vec![],
        }),
        state: state.into(),
        doubts: wire_set(doubts),
        arrive_time: Some(write_time(row.try_get(10)?)),
    })
}
