//! Enrolments, with what is used of their years' entitlements.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use civic::{ElderId, LocalDay};
use elder_tables::columns::day;
use elders::wire::{self, id, message};
use eventlog::{DecodeError, RawEvent, Record};
use proto::eldercare::claims::v1 as pb;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection, PgExecutor, Row as _};
use uuid::Uuid;

use super::{NAME, short_name};
use crate::document::Document;
use crate::products::ProductName;

/// What is said of an enrolment.
pub(super) enum EnrolmentSaid {
    Enrolled(Enrolment, NaiveDate, NaiveDate),
    Ended(Enrolment, NaiveDate),
    /// Nothing that is kept here.
    Nothing,
}

/// Which enrolment.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Enrolment {
    elder: ElderId,
    programme: String,
    enrolment: Uuid,
}

pub(super) fn decode(raw: &RawEvent) -> Result<EnrolmentSaid, DecodeError> {
    match short_name(raw)? {
        "PersonEnrolled" => {
            let said: pb::PersonEnrolled = message(raw)?;
            let first = wire::day(said.first_day, "first_day")?;
            let last = wire::day(said.last_day, "last_day")?;
            let enrolment = Enrolment {
                elder: wire::elder(&said.elder_id)?,
                enrolment: id(&said.enrolment_id, "enrolment_id")?,
                programme: said.programme_code,
            };
            Ok(EnrolmentSaid::Enrolled(
                enrolment,
                first.date(),
                last.date(),
            ))
        }
        "EnrolmentEnded" => {
            let said: pb::EnrolmentEnded = message(raw)?;
            let last = wire::day(said.last_day, "last_day")?;
            let enrolment = Enrolment {
                elder: wire::elder(&said.elder_id)?,
                enrolment: id(&said.enrolment_id, "enrolment_id")?,
                programme: said.programme_code,
            };
            Ok(EnrolmentSaid::Ended(enrolment, last.date()))
        }
        "PremiumCharged" => Ok(EnrolmentSaid::Nothing),
        _ => Err(DecodeError::unknown(raw)),
    }
}

/// The enrolments of a batch: new ones, and the last days that these and older ones have now.
#[derive(Default)]
pub(super) struct Enrolments {
    new: BTreeMap<Enrolment, Enrolled>,
    ended: BTreeMap<Enrolment, NaiveDate>,
}

pub(super) struct Enrolled {
    sequence: u64,
    village: String,
    first: NaiveDate,
    last: NaiveDate,
}

impl Enrolments {
    pub(super) fn fold(&mut self, record: &Record, said: EnrolmentSaid) {
        match said {
            EnrolmentSaid::Enrolled(enrolment, first, last) => {
                self.new.entry(enrolment).or_insert_with(|| Enrolled {
                    sequence: record.sequence,
                    village: record.metadata.division.clone().unwrap_or_default(),
                    first,
                    last,
                });
            }
            EnrolmentSaid::Ended(enrolment, last) => {
                self.ended.insert(enrolment, last);
            }
            EnrolmentSaid::Nothing => {}
        }
    }

    pub(super) async fn write(&self, db: &mut PgConnection) -> Result<(), sqlx::Error> {
        if !self.new.is_empty() {
            let (mut elders, mut programmes, mut ids) = (vec![], vec![], vec![]);
            let (mut sequences, mut villages) = (vec![], vec![]);
            let (mut firsts, mut lasts) = (vec![], vec![]);
            for (enrolment, new) in &self.new {
                elders.push(enrolment.elder.as_uuid());
                programmes.push(enrolment.programme.as_str());
                ids.push(enrolment.enrolment);
                sequences.push(new.sequence.cast_signed());
                villages.push(new.village.as_str());
                firsts.push(new.first);
                lasts.push(new.last);
            }
            sqlx::query(
                "INSERT INTO enrolment (elder_id, programme, enrolment_id, sequence, village, first_day, last_day) \
                 SELECT * FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::bigint[], $5::text[], $6::date[], $7::date[]) \
                 ON CONFLICT DO NOTHING",
            )
            .bind(elders)
            .bind(programmes)
            .bind(ids)
            .bind(sequences)
            .bind(villages)
            .bind(firsts)
            .bind(lasts)
            .execute(&mut *db)
            .await?;
        }
        if !self.ended.is_empty() {
            let (mut elders, mut programmes) = (vec![], vec![]);
            let (mut ids, mut lasts) = (vec![], vec![]);
            for (enrolment, last) in &self.ended {
                elders.push(enrolment.elder.as_uuid());
                programmes.push(enrolment.programme.as_str());
                ids.push(enrolment.enrolment);
                lasts.push(*last);
            }
            sqlx::query(
                "UPDATE enrolment SET last_day = now.last_day \
                 FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::date[]) \
                     AS now (elder_id, programme, enrolment_id, last_day) \
                 WHERE enrolment.elder_id = now.elder_id AND enrolment.programme = now.programme \
                     AND enrolment.enrolment_id = now.enrolment_id",
            )
            .persistent(false)
            .bind(elders)
            .bind(programmes)
            .bind(ids)
            .bind(lasts)
            .execute(&mut *db)
            .await?;
        }
        Ok(())
    }
}

/// An enrolment as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EnrolmentRow {
    /// The enrolment.
    pub(crate) enrolment: Uuid,
    /// The programme.
    pub(crate) programme: String,
    /// The elder.
    pub(crate) elder: ElderId,
    /// First day.
    pub(crate) first: LocalDay,
    /// Last day; before the first one where it never began.
    pub(crate) last: LocalDay,
    /// What is used of the entitlement of the first day's calendar year.
    pub(crate) units_used: i64,
}

fn enrolment_row(row: &PgRow) -> Result<EnrolmentRow, sqlx::Error> {
    Ok(EnrolmentRow {
        enrolment: row.try_get(0)?,
        programme: row.try_get(1)?,
        elder: ElderId(row.try_get(2)?),
        first: day(row.try_get(3)?)?,
        last: day(row.try_get(4)?)?,
        units_used: row.try_get(5)?,
    })
}

/// The newest enrolments of an elder by their first days, the newest first.
///
/// # Errors
/// The database's; a row of another version of the program.
pub(crate) async fn enrolments_of(
    db: impl PgExecutor<'_>,
    elder: ElderId,
    newest: i64,
) -> Result<Vec<EnrolmentRow>, sqlx::Error> {
    let statement = format!(
        "SELECT e.enrolment_id, e.programme, e.elder_id, e.first_day, e.last_day, coalesce(u.units, 0) \
         FROM {NAME}.enrolment e LEFT JOIN {NAME}.used u ON u.elder_id = e.elder_id AND u.programme = e.programme \
             AND u.year = extract(year FROM e.first_day)::integer \
         WHERE e.elder_id = $1 ORDER BY e.first_day DESC, e.sequence DESC, e.enrolment_id LIMIT $2"
    );
    let rows = sqlx::query(AssertSqlSafe(statement))
        .bind(elder.as_uuid())
        .bind(newest)
        .fetch_all(db)
        .await?;
    rows.iter().map(enrolment_row).collect()
}

impl EnrolmentRow {
    /// The document of an enrolment.
    pub(crate) fn document(&self) -> Document {
        Document::new(ProductName::Enrolment, self.enrolment, self.elder)
            .with("enrolment_id", self.enrolment.to_string())
            .with("programme_code", self.programme.as_str())
            .with("elder_id", self.elder.to_string())
            .with("first_day", self.first.to_string())
            .with("last_day", self.last.to_string())
            .with("units_used", self.units_used)
    }
}
