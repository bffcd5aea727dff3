//! Supervisors decide on doubtful records, and departments on referrals; lists of both.

use civic::{DivisionCode, Doubt, ElderId, FindingKind, LocalDay, ReferralOutcome, VisitMode};
use elders::terms::{WireTerm as _, wire_set};
use elders::wire::write_time;
use eventlog::Position;
use proto::eldercare::visits::v1 as pb;
use service::{Asked, Caller, errors, paging, person_keys};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Row as _};
use tonic::Status;
use uuid::Uuid;
use vault::{DataKey, Sealed};

use crate::book_table::{self, place, set, word};
use crate::codec::purpose;
use crate::elder_year::{Command, ElderYear};
use crate::record_rows::{CONFIRMED, REJECTED};
use crate::referral_rows::OPEN;
use crate::refusals;
use crate::visits::{Visits, day, village};

/// What a doubtful record tells of an elder.
const DOUBTFUL: &[&str] = &[
    "visit.record_id",
    "visit.start_time",
    "visit.end_time",
    "visit.mode",
    "visit.doubts",
    "visit.visitor_id",
];
/// What a referral tells of an elder.
const REFERRAL: &[&str] = &[
    "visit.findings",
    "referral.note",
    "referral.answer",
    "referral.outcome",
];

/// Which of a list is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    pub(crate) division: DivisionCode,
    /// Also what is decided, or closed.
    pub(crate) done_too: bool,
}

/// What a department does about a referral.
#[derive(Clone, Debug)]
pub(crate) enum OfReferral {
    /// It answers.
    Answer(String),
    /// It is done.
    Close(ReferralOutcome),
}

impl Visits {
    /// Confirms or rejects a doubtful record.
    pub(crate) async fn decide_record(
        &self,
        caller: &Caller,
        asked: Asked,
        record: Uuid,
        confirm: bool,
    ) -> Result<Position, Status> {
        let statement = format!(
            "SELECT elder_id, day, village FROM {}.record WHERE record_id = $1",
            book_table::NAME
        );
        let (elder, on, division) = self
            .place_of(statement, record)
            .await?
            .ok_or_else(|| refusals::no_record(record))?;
        caller.knows(&division, || refusals::no_record(record))?;
        let command = if confirm {
            Command::Confirm { record }
        } else {
            Command::Reject { record }
        };
        self.decide(caller, asked, (elder, on, division), command)
            .await
    }

    /// Answers or closes a referral.
    pub(crate) async fn decide_referral(
        &self,
        caller: &Caller,
        asked: Asked,
        referral: Uuid,
        what: OfReferral,
    ) -> Result<Position, Status> {
        let statement = format!(
            "SELECT elder_id, day, village FROM {}.referral WHERE referral_id = $1",
            book_table::NAME
        );
        let (elder, on, division) = self
            .place_of(statement, referral)
            .await?
            .ok_or_else(|| refusals::no_referral(referral))?;
        caller.knows(&division, || refusals::no_referral(referral))?;
        let command = match what {
            OfReferral::Answer(text) => {
                // What was answered before stands, also when there is no key to seal it with any more.
                let year = self.years.load_newest(&ElderYear::id(elder, on)).await;
                let year = year.map_err(service::not_loaded)?;
                if let Some(request) = year.request(asked.request_id) {
                    if !asked.digest.is(&request.digest) {
                        return Err(errors::request_id_reused());
                    }
                    return Ok(Position::new(self.own.stream(), request.sequence));
                }
                let key = self.keys.key(elder.as_uuid()).await?;
                let key = key.ok_or_else(|| refusals::no_elder(elder))?;
                Command::AnswerReferral {
                    referral,
                    department: caller.department.clone(),
                    answer: key.seal(purpose::ANSWER, elder.as_uuid(), &pb::Remarks { text }),
                }
            }
            OfReferral::Close(outcome) => Command::CloseReferral { referral, outcome },
        };
        self.decide(caller, asked, (elder, on, division), command)
            .await
    }

    /// Of which elder, day and village something is.
    async fn place_of(
        &self,
        statement: String,
        id: Uuid,
    ) -> Result<Option<(ElderId, LocalDay, DivisionCode)>, Status> {
        let row = sqlx::query(AssertSqlSafe(statement))
            .bind(id)
            .fetch_optional(&self.pool)
            .await
            .map_err(errors::of_database)?;
        row.map(|row| {
            Ok((
                ElderId(row.try_get(0)?),
                day(row.try_get(1)?)?,
                village(row.try_get(2)?)?.division(),
            ))
        })
        .transpose()
        .map_err(errors::of_database)
    }

    async fn decide(
        &self,
        caller: &Caller,
        asked: Asked,
        (elder, on, division): (ElderId, LocalDay, DivisionCode),
        command: Command,
    ) -> Result<Position, Status> {
        let context = asked.by(caller, self.clock.now(), Some(division));
        let committed = self
            .years
            .execute(&ElderYear::id(elder, on), &context, &command)
            .await
            .map_err(|error| service::not_executed(error, refusals::of_year))?;
        Ok(committed.position)
    }

    /// A page of doubtful records in the order of arrival, and the cursor of the next one.
    pub(crate) async fn list_doubtful(
        &self,
        caller: &Caller,
        filter: &Filter,
        after: Option<i64>,
        size: u32,
    ) -> Result<(Vec<pb::DoubtfulRecord>, Option<i64>), Status> {
        caller.may_here(&filter.division)?;
        let statement = format!(
            "SELECT record_id, elder_id, visitor_id, mode, start_at, end_at, arrived_at, doubts, decision, village, sequence \
             FROM {}.record WHERE doubts <> 0 AND village >= $1 AND village < $2 AND ($3 OR decision = 0) \
             AND ($4::bigint IS NULL OR sequence > $4) ORDER BY sequence, record_id LIMIT $5",
            book_table::NAME
        );
        let rows = sqlx::query(AssertSqlSafe(statement))
            .bind(filter.division.as_str())
            .bind(filter.division.beyond())
            .bind(filter.done_too)
            .bind(after)
            .bind(i64::from(size) + 1)
            .fetch_all(&self.pool)
            .await
            .map_err(errors::of_database)?;
        let mut listed = rows
            .iter()
            .map(|row| Ok((doubtful(row)?, row.try_get(10)?)))
            .collect::<Result<Vec<(pb::DoubtfulRecord, i64)>, sqlx::Error>>()
            .map_err(errors::of_database)?;
        let next = paging::cut(&mut listed, size).map(|(_, sequence)| *sequence);
        let records: Vec<_> = listed.into_iter().map(|(record, _)| record).collect();
        let elders = records
            .iter()
            .filter_map(|one| one.elder_id.parse::<ElderId>().ok());
        caller.told("ListDoubtfulRecords", elders, DOUBTFUL).await?;
        Ok((records, next))
    }

    /// A page of referrals of findings of these kinds, in the order in which they were opened, and the cursor of the next one.
    pub(crate) async fn list_referrals(
        &self,
        caller: &Caller,
        filter: &Filter,
        kinds: &[FindingKind],
        after: Option<(i64, Uuid)>,
        size: u32,
    ) -> Result<(Vec<pb::Referral>, Option<(i64, Uuid)>), Status> {
        caller.may_here(&filter.division)?;
        let kinds: Vec<i32> = kinds.iter().copied().map(place).collect();
        let statement = format!(
            "SELECT referral_id, elder_id, record_id, kind, note, village, opened_at, department, answer, outcome, sequence \
             FROM {}.referral WHERE village >= $1 AND village < $2 AND ($3 OR outcome = $4) AND kind = ANY ($8) \
             AND ($5::bigint IS NULL OR (sequence, referral_id) > ($5, $6)) ORDER BY sequence, referral_id LIMIT $7",
            book_table::NAME
        );
        let rows = sqlx::query(AssertSqlSafe(statement))
            .bind(filter.division.as_str())
            .bind(filter.division.beyond())
            .bind(filter.done_too)
            .bind(OPEN)
            .bind(after.map(|(sequence, _)| sequence))
            .bind(after.map(|(_, referral)| referral))
            .bind(i64::from(size) + 1)
            .bind(kinds)
            .fetch_all(&self.pool)
            .await
            .map_err(errors::of_database)?;
        let elders = rows
            .iter()
            .map(|row| row.try_get(1))
            .collect::<Result<Vec<Uuid>, _>>()
            .map_err(errors::of_database)?;
        let keys = self.keys.vault.keys(&elders).await;
        let keys = keys.map_err(|error| person_keys::away(&error))?;
        let mut listed = rows
            .iter()
            .map(|row| {
                let elder: Uuid = row.try_get(1)?;
                let told = referral(row, elder, keys.get(&elder).map(AsRef::as_ref))?;
                Ok((told, (row.try_get(10)?, row.try_get(0)?)))
            })
            .collect::<Result<Vec<(pb::Referral, (i64, Uuid))>, sqlx::Error>>()
            .map_err(errors::of_database)?;
        let next = paging::cut(&mut listed, size).map(|(_, cursor)| *cursor);
        let told = elders.into_iter().map(ElderId);
        caller.told("ListReferrals", told, REFERRAL).await?;
        Ok((listed.into_iter().map(|(told, _)| told).collect(), next))
    }
}

fn doubtful(row: &PgRow) -> Result<pb::DoubtfulRecord, sqlx::Error> {
    let id = |column: usize| row.try_get::<Uuid, _>(column).map(|id| id.to_string());
    let time = |column: usize| row.try_get(column).map(write_time);
    let decision: i16 = row.try_get(8)?;
    let state = match decision {
        CONFIRMED => pb::RecordState::Confirmed,
        REJECTED => pb::RecordState::Rejected,
        _ => pb::RecordState::Doubtful,
    };
    Ok(pb::DoubtfulRecord {
        record_id: id(0)?,
        elder_id: id(1)?,
        visitor_id: id(2)?,
        mode: word::<VisitMode>(row.try_get(3)?)?.wire(),
        start_time: Some(time(4)?),
        end_time: Some(time(5)?),
        arrive_time: Some(time(6)?),
        doubts: wire_set(set::<Doubt>(row.try_get(7)?)),
        state: state.into(),
        division_code: row.try_get(9)?,
    })
}

fn referral(row: &PgRow, elder: Uuid, key: Option<&DataKey>) -> Result<pb::Referral, sqlx::Error> {
    let opened = |column: usize, purpose: &'static str| {
        let sealed: Option<&[u8]> = row.try_get(column)?;
        let text = sealed
            .and_then(|bytes| Sealed::<pb::Remarks>::from_bytes(bytes).ok())
            .zip(key)
            .and_then(|(sealed, key)| key.open(purpose, elder, &sealed).ok());
        Ok::<_, sqlx::Error>(text.unwrap_or_default().text)
    };
    let department: Option<String> = row.try_get(7)?;
    let kind = word::<FindingKind>(row.try_get(3)?)?;
    let outcome: i32 = row.try_get(9)?;
    let ended = (outcome != OPEN)
        .then(|| word::<ReferralOutcome>(outcome))
        .transpose()?;
    let state = match (&ended, &department) {
        (Some(_), _) => pb::ReferralState::Closed,
        (None, Some(_)) => pb::ReferralState::Answered,
        (None, None) => pb::ReferralState::Open,
    };
    Ok(pb::Referral {
        referral_id: row.try_get::<Uuid, _>(0)?.to_string(),
        elder_id: elder.to_string(),
        record_id: row.try_get::<Uuid, _>(2)?.to_string(),
        kind: kind.wire(),
        note: opened(4, purpose::FINDING)?,
        division_code: row.try_get(5)?,
        open_time: Some(write_time(row.try_get(6)?)),
        state: state.into(),
        department: department.unwrap_or_default(),
        answer: opened(8, purpose::ANSWER)?,
        outcome: ended.map_or(0, |outcome| outcome.wire()),
        referred_to: kind.department().to_owned(),
    })
}
