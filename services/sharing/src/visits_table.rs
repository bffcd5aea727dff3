//! The read model of visits' log: what was recorded, doubted, decided and found at visits, and which duties were missed.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use civic::{
    CalendarMonth, DivisionCode, Doubt, ElderId, FindingKind, IsoWeek, LocalDay, SHANGHAI,
    ServiceKind, Set, VillageCode, VisitMode, VisitResult,
};
use elder_tables::columns::{bits, place, set, word};
use elders::terms::set_from_wire;
use elders::wire::{self, elder, id, maybe_sealed, term, time, village};
use eventlog::{DecodeError, RawEvent, Record};
use prost::Name as _;
use proto::eldercare::visits::v1 as pb;
use readmodel::{ApplyError, Parked, Phase, Projection, read_events};
use serde_json::Value;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection, PgExecutor, Row as _};
use uuid::Uuid;
use vault::{DataKey, Sealed};

use crate::document::{Document, Fields};
use crate::products::ProductName;

/// The projection's name and schema.
pub const NAME: &str = "sharing_visits";

/// What the remarks of a record are sealed for, as visits names it.
const REMARKS: &str = "visits.remarks";

/// The aggregates whose events are kept: elders' years.
const YEAR: &str = "year";
/// The other aggregates of the log, which say nothing of elders' visits.
const OTHERS: [&str; 4] = ["visitor", "visiting", "campaign", "plan"];

/// No supervisor has decided, as a row keeps it.
const UNDECIDED: i16 = 0;
/// A supervisor let the record count.
const CONFIRMED: i16 = 1;
/// A supervisor let it never count.
const REJECTED: i16 = 2;

/// Folds visits' records.
#[derive(Debug, Default)]
pub struct VisitsTable;

#[async_trait]
impl Projection for VisitsTable {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> u32 {
        1
    }

    fn ddl(&self) -> &'static str {
        // What is personal stays sealed. Words are kept by their places: a record counts where the elder was met (0), and it
        // was confirmed (1), or nobody doubts it. Of a week or a month the campaign is the nil UUID.
        "CREATE TABLE record (
            record_id uuid PRIMARY KEY,
            elder_id uuid NOT NULL,
            visitor_id uuid NOT NULL,
            mode integer NOT NULL,
            result integer NOT NULL,
            start_at timestamptz NOT NULL,
            end_at timestamptz NOT NULL,
            day date NOT NULL,
            services integer NOT NULL,
            remarks bytea,
            village text COLLATE \"C\" NOT NULL,
            findings integer NOT NULL,
            doubts integer NOT NULL,
            decision smallint NOT NULL,
            counted boolean NOT NULL GENERATED ALWAYS AS
                (result = 0 AND (decision = 1 OR decision = 0 AND doubts = 0)) STORED
        );
        CREATE TABLE missed (
            elder_id uuid NOT NULL,
            kind text COLLATE \"C\" NOT NULL,
            first_day date NOT NULL,
            campaign_id uuid NOT NULL,
            last_day date NOT NULL,
            tier text COLLATE \"C\" NOT NULL,
            village text COLLATE \"C\" NOT NULL,
            met_late boolean NOT NULL,
            PRIMARY KEY (elder_id, kind, first_day, campaign_id)
        );"
    }

    fn post_load_ddl(&self) -> &'static str {
        "CREATE INDEX record_elder ON record (elder_id, start_at DESC);
        CREATE INDEX record_day ON record (day, village, elder_id) WHERE counted;
        CREATE INDEX missed_day ON missed (last_day, village);"
    }

    async fn apply(
        &mut self,
        db: &mut PgConnection,
        records: &[Record],
        _: Phase,
    ) -> Result<Vec<Parked>, ApplyError> {
        let mut parked = Vec::new();
        let (mut visits, mut missed) = (VisitRows::default(), MissedRows::default());
        for record in records {
            let aggregate = record.subject.aggregate();
            if OTHERS.contains(&aggregate) {
                continue;
            }
            if aggregate != YEAR {
                let events = record.events.iter();
                parked.extend(events.map(|event| Parked::unknown_type(record, event)));
                continue;
            }
            let Some(elder) = elder_of_year(record.subject.id()) else {
                let events = record.events.iter();
                parked.extend(events.map(|event| Parked::malformed(record, event)));
                continue;
            };
            for told in read_events(record, decode, &mut parked) {
                match told {
                    Told::Recorded(recorded) => visits.recorded(*recorded),
                    Told::Doubted { record, doubts } => {
                        let change = visits.change(record, elder);
                        change.doubts = change.doubts.union(doubts);
                    }
                    Told::Decided { record, decision } => {
                        visits.change(record, elder).decide(decision);
                    }
                    Told::Found { record, finding } => {
                        visits.change(record, elder).findings.insert(finding);
                    }
                    Told::Missed(duty, miss) => missed.missed(duty, miss),
                    Told::MetLate(duty) => missed.met_late(duty),
                    Told::Nothing => {}
                }
            }
        }
        visits.write(db).await?;
        missed.write(db).await?;
        Ok(parked)
    }
}

/// The elder of a year, which is named `<elder id>-<year>`.
fn elder_of_year(id: &str) -> Option<ElderId> {
    let (elder, _year) = id.rsplit_once('-')?;
    elder.parse().ok()
}

/// What an event says, as far as it is kept.
#[derive(Debug, PartialEq)]
enum Told {
    Recorded(Box<Recorded>),
    Doubted {
        record: Uuid,
        doubts: Set<Doubt>,
    },
    Decided {
        record: Uuid,
        decision: i16,
    },
    Found {
        record: Uuid,
        finding: FindingKind,
    },
    Missed(Duty, Miss),
    MetLate(Duty),
    /// Nothing that is kept.
    Nothing,
}

/// A visit as it was recorded.
#[derive(Debug, PartialEq)]
struct Recorded {
    record: Uuid,
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

/// Which duty of an elder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Duty {
    elder: ElderId,
    kind: &'static str,
    first: LocalDay,
    /// Nil of a week or a month.
    campaign: Uuid,
}

/// How it was when the duty's period closed.
#[derive(Debug, PartialEq)]
struct Miss {
    last: LocalDay,
    tier: String,
    village: VillageCode,
}

fn decode(raw: &RawEvent) -> Result<Told, DecodeError> {
    let name = raw.event_type.as_str();
    if name == pb::VisitRecorded::full_name() {
        Ok(Told::Recorded(Box::new(recorded(wire::message(raw)?)?)))
    } else if name == pb::RecordDoubted::full_name() {
        let message: pb::RecordDoubted = wire::message(raw)?;
        Ok(Told::Doubted {
            record: id(&message.record_id, "record_id")?,
            doubts: set_from_wire(&message.doubts)
                .map_err(|_index| DecodeError::malformed("doubts"))?,
        })
    } else if name == pb::RecordConfirmed::full_name() {
        let message: pb::RecordConfirmed = wire::message(raw)?;
        Ok(Told::Decided {
            record: id(&message.record_id, "record_id")?,
            decision: CONFIRMED,
        })
    } else if name == pb::RecordRejected::full_name() {
        let message: pb::RecordRejected = wire::message(raw)?;
        Ok(Told::Decided {
            record: id(&message.record_id, "record_id")?,
            decision: REJECTED,
        })
    } else if name == pb::ReferralOpened::full_name() {
        let message: pb::ReferralOpened = wire::message(raw)?;
        let finding = wire::present(message.finding, "finding")?;
        Ok(Told::Found {
            record: id(&message.record_id, "record_id")?,
            finding: term(finding.kind, "kind")?,
        })
    } else if name == pb::VisitMissed::full_name() {
        let message: pb::VisitMissed = wire::message(raw)?;
        let (duty, last) = read_duty(&message.elder_id, message.period)?;
        let miss = Miss {
            last,
            tier: message.tier,
            village: village(&message.division_code)?,
        };
        Ok(Told::Missed(duty, miss))
    } else if name == pb::DutyMet::full_name() {
        let message: pb::DutyMet = wire::message(raw)?;
        let (duty, _last) = read_duty(&message.elder_id, message.period)?;
        Ok(if message.late {
            Told::MetLate(duty)
        } else {
            Told::Nothing
        })
    } else if name == pb::ReferralAnswered::full_name() || name == pb::ReferralClosed::full_name() {
        Ok(Told::Nothing)
    } else {
        Err(DecodeError::unknown(raw))
    }
}

fn recorded(message: pb::VisitRecorded) -> Result<Recorded, DecodeError> {
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

/// A duty, and the last day of its period.
fn read_duty(elder_id: &str, period: Option<pb::Period>) -> Result<(Duty, LocalDay), DecodeError> {
    let period = wire::present(period, "period")?;
    let first = wire::day(period.first_day, "period")?;
    let (kind, last, campaign) = match pb::PeriodKind::try_from(period.kind) {
        Ok(pb::PeriodKind::Week) => ("WEEK", IsoWeek::of(first).last_day(), Uuid::nil()),
        Ok(pb::PeriodKind::Month) => ("MONTH", CalendarMonth::of(first).last_day(), Uuid::nil()),
        Ok(pb::PeriodKind::Campaign) => (
            "CAMPAIGN",
            wire::day(period.last_day, "last_day")?,
            id(&period.campaign_id, "campaign_id")?,
        ),
        Ok(pb::PeriodKind::Unspecified) | Err(_) => return Err(DecodeError::malformed("period")),
    };
    let duty = Duty {
        elder: elder(elder_id)?,
        kind,
        first,
        campaign,
    };
    Ok((duty, last))
}

/// The visits of a batch, and what happened to these and to older ones.
#[derive(Default)]
struct VisitRows {
    new: BTreeMap<Uuid, Recorded>,
    /// By record and elder: what is said of another elder's record changes nothing.
    changed: BTreeMap<(Uuid, ElderId), Change>,
}

/// What happened to a record.
#[derive(Default)]
struct Change {
    doubts: Set<Doubt>,
    findings: Set<FindingKind>,
    decision: i16,
}

impl Change {
    /// The first decision holds.
    fn decide(&mut self, decision: i16) {
        if self.decision == UNDECIDED {
            self.decision = decision;
        }
    }
}

impl VisitRows {
    /// As across batches, the first record of an id stays.
    fn recorded(&mut self, recorded: Recorded) {
        self.new.entry(recorded.record).or_insert(recorded);
    }

    fn change(&mut self, record: Uuid, elder: ElderId) -> &mut Change {
        self.changed.entry((record, elder)).or_default()
    }

    async fn write(self, db: &mut PgConnection) -> Result<(), ApplyError> {
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

/// The misses of a batch: they stay on record, also when they are met late.
#[derive(Default)]
struct MissedRows {
    missed: BTreeMap<Duty, Miss>,
    late: BTreeSet<Duty>,
}

impl MissedRows {
    fn missed(&mut self, duty: Duty, miss: Miss) {
        self.missed.entry(duty).or_insert(miss);
    }

    fn met_late(&mut self, duty: Duty) {
        self.late.insert(duty);
    }

    async fn write(self, db: &mut PgConnection) -> Result<(), ApplyError> {
        if !self.missed.is_empty() {
            let (elders, kinds, first_days, campaigns) = keys(self.missed.keys());
            let misses = || self.missed.values();
            let last_days: Vec<NaiveDate> = misses().map(|miss| miss.last.date()).collect();
            let tiers: Vec<&str> = misses().map(|miss| miss.tier.as_str()).collect();
            let villages: Vec<&str> = misses().map(|miss| miss.village.as_str()).collect();
            sqlx::query(
                "INSERT INTO missed (elder_id, kind, first_day, campaign_id, last_day, tier, village, met_late) \
                 SELECT *, false FROM unnest($1::uuid[], $2::text[], $3::date[], $4::uuid[], $5::date[], $6::text[], $7::text[]) \
                 ON CONFLICT (elder_id, kind, first_day, campaign_id) DO NOTHING",
            )
            .bind(&elders)
            .bind(&kinds)
            .bind(&first_days)
            .bind(&campaigns)
            .bind(&last_days)
            .bind(&tiers)
            .bind(&villages)
            .execute(&mut *db)
            .await?;
        }
        if !self.late.is_empty() {
            let (elders, kinds, first_days, campaigns) = keys(self.late.iter());
            sqlx::query(
                "UPDATE missed SET met_late = true \
                 FROM unnest($1::uuid[], $2::text[], $3::date[], $4::uuid[]) AS met (elder_id, kind, first_day, campaign_id) \
                 WHERE missed.elder_id = met.elder_id AND missed.kind = met.kind AND missed.first_day = met.first_day \
                 AND missed.campaign_id = met.campaign_id",
            )
            .persistent(false)
            .bind(&elders)
            .bind(&kinds)
            .bind(&first_days)
            .bind(&campaigns)
            .execute(db)
            .await?;
        }
        Ok(())
    }
}

/// Duties as columns: elders, kinds, first days, campaigns.
type Keys = (Vec<Uuid>, Vec<&'static str>, Vec<NaiveDate>, Vec<Uuid>);

fn keys<'a>(duties: impl Iterator<Item = &'a Duty>) -> Keys {
    let mut keys = Keys::default();
    for duty in duties {
        keys.0.push(duty.elder.as_uuid());
        keys.1.push(duty.kind);
        keys.2.push(duty.first.date());
        keys.3.push(duty.campaign);
    }
    keys
}

/// A record as it stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct VisitRow {
    record: Uuid,
    elder: ElderId,
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

/// The records of an elder, the newest visit first, at most so many.
///
/// # Errors
/// The database's; a row of another version of the program.
pub(crate) async fn of(
    db: impl PgExecutor<'_>,
    elder: ElderId,
    newest: i64,
) -> Result<Vec<VisitRow>, sqlx::Error> {
    let statement = format!(
        "SELECT record_id, elder_id, visitor_id, mode, result, start_at, end_at, services, remarks, village, findings, \
             doubts, counted FROM {NAME}.record WHERE elder_id = $1 ORDER BY start_at DESC, record_id LIMIT $2"
    );
    let rows = sqlx::query(AssertSqlSafe(statement))
        .bind(elder.as_uuid())
        .bind(newest)
        .fetch_all(db)
        .await?;
    rows.iter().map(VisitRow::of).collect()
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

/// How many duties of a division were missed of the periods that ended on some days, both included; also those that were met
/// late.
///
/// # Errors
/// The database's.
pub(crate) async fn missed(
    db: impl PgExecutor<'_>,
    division: &DivisionCode,
    first: LocalDay,
    last: LocalDay,
) -> Result<i64, sqlx::Error> {
    let statement = format!(
        "SELECT count(*) FROM {NAME}.missed WHERE village >= $1 AND village < $2 AND last_day BETWEEN $3 AND $4"
    );
    count(db, statement, division, first, last).await
}

async fn count(
    db: impl PgExecutor<'_>,
    statement: String,
    division: &DivisionCode,
    first: LocalDay,
    last: LocalDay,
) -> Result<i64, sqlx::Error> {
    let row = sqlx::query(AssertSqlSafe(statement))
        .bind(division.as_str())
        .bind(division.beyond())
        .bind(first.date())
        .bind(last.date())
        .fetch_one(db)
        .await?;
    row.try_get(0)
}

impl VisitRow {
    fn of(row: &PgRow) -> Result<Self, sqlx::Error> {
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
        let mut fields = Fields::new();
        let mut put = |name: &str, value: Value| {
            fields.insert(name.to_owned(), value);
        };
        put("record_id", self.record.to_string().into());
        put("elder_id", self.elder.to_string().into());
        put("division_code", self.village.clone().into());
        put("start_time", instant(self.start).into());
        put("end_time", instant(self.end).into());
        put("mode", self.mode.name().into());
        put("result", self.result.name().into());
        put("services", self.services.names().collect::<Vec<_>>().into());
        put("findings", self.findings.names().collect::<Vec<_>>().into());
        put("doubts", self.doubts.names().collect::<Vec<_>>().into());
        put("counted", self.counted.into());
        put("visitor_id", self.visitor.to_string().into());
        if let Some(remarks) = key.and_then(|key| self.remarks(key)) {
            put("remarks", remarks.into());
        }
        Document {
            product: ProductName::Visit,
            key: self.record.to_string(),
            elder: self.elder,
            fields,
        }
    }

    fn remarks(&self, key: &DataKey) -> Option<String> {
        let sealed = Sealed::<pb::Remarks>::from_bytes(self.remarks.as_deref()?).ok()?;
        let remarks = key.open(REMARKS, self.elder.as_uuid(), &sealed).ok()?;
        Some(remarks.text)
    }
}

fn instant(at: DateTime<Utc>) -> String {
    at.with_timezone(&SHANGHAI)
        .to_rfc3339_opts(SecondsFormat::Secs, false)
}

#[cfg(test)]
mod tests {
    use elders::codec::write_day;
    use vault::Algorithm;

    use super::*;

    fn elder() -> ElderId {
        ElderId(Uuid::from_u128(1))
    }

    fn period(kind: pb::PeriodKind, first: &str) -> pb::Period {
        pb::Period {
            kind: kind.into(),
            first_day: Some(write_day(first.parse().unwrap())),
            ..pb::Period::default()
        }
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
    fn a_year_names_its_elder() {
        let id = format!("{}-2024", elder());
        assert_eq!(elder_of_year(&id), Some(elder()));
        assert_eq!(elder_of_year("2024"), None);
    }

    #[test]
    fn a_missed_month_ends_on_its_last_day() {
        let raw = RawEvent::of(&pb::VisitMissed {
            elder_id: elder().to_string(),
            period: Some(period(pb::PeriodKind::Month, "2024-10-01")),
            tier: "GENERAL".to_owned(),
            division_code: "350524100001".to_owned(),
            blocked_by_consent: false,
        });
        let duty = Duty {
            elder: elder(),
            kind: "MONTH",
            first: "2024-10-01".parse().unwrap(),
            campaign: Uuid::nil(),
        };
        let miss = Miss {
            last: "2024-10-31".parse().unwrap(),
            tier: "GENERAL".to_owned(),
            village: "350524100001".parse().unwrap(),
        };
        assert_eq!(decode(&raw), Ok(Told::Missed(duty, miss)));
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
