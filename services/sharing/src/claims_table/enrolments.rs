//! Enrolments, with what is used of their years' entitlements.

use std::collections::{BTreeMap, BTreeSet};

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
use crate::dossier::Finding;
use crate::feeds::changes::Which;
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

impl EnrolmentSaid {
    /// Which document it changes.
    pub(super) fn changes(self) -> Option<(ProductName, Which)> {
        match self {
            Self::Enrolled(Enrolment { enrolment, .. }, ..)
            | Self::Ended(Enrolment { enrolment, .. }, _) => {
                Some((ProductName::Enrolment, Which::One(enrolment)))
            }
            Self::Nothing => None,
        }
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

/// Enrolments, with what is used of the entitlement of the first day's calendar year.
fn select(which: &str) -> String {
    format!(
        "SELECT e.enrolment_id, e.programme, e.elder_id, e.first_day, e.last_day, coalesce(u.units, 0), e.sequence \
         FROM {NAME}.enrolment e LEFT JOIN {NAME}.used u ON u.elder_id = e.elder_id AND u.programme = e.programme \
             AND u.year = extract(year FROM e.first_day)::integer \
         WHERE {which}"
    )
}

/// Finds the enrolments of an elder whose dossier is asked for by their first days, the newest first.
pub(crate) fn enrolments_of_asked() -> Finding {
    Finding {
        select: select("e.elder_id = asked.elder"),
        order: "first_day DESC, sequence DESC, enrolment_id",
    }
}

/// Enrolments by their ids; one that is not there is missing.
///
/// # Errors
/// The database's; a row of another version of the program.
pub(crate) async fn enrolments_by_key(
    db: impl PgExecutor<'_>,
    enrolments: &[Uuid],
) -> Result<Vec<EnrolmentRow>, sqlx::Error> {
    many(db, "e.enrolment_id = ANY($1)", enrolments.to_vec()).await
}

/// All enrolments of some elders by their first days, the oldest first.
///
/// # Errors
/// The database's; a row of another version of the program.
pub(crate) async fn enrolments_of_all(
    db: impl PgExecutor<'_>,
    elders: &[ElderId],
) -> Result<Vec<EnrolmentRow>, sqlx::Error> {
    let ids = elders.iter().map(ElderId::as_uuid).collect();
    let which = "e.elder_id = ANY($1) ORDER BY e.first_day, e.sequence, e.enrolment_id";
    many(db, which, ids).await
}

async fn many(
    db: impl PgExecutor<'_>,
    which: &str,
    ids: Vec<Uuid>,
) -> Result<Vec<EnrolmentRow>, sqlx::Error> {
    let rows = sqlx::query(AssertSqlSafe(select(which)))
        .bind(ids)
        .fetch_all(db)
        .await?;
    rows.iter().map(EnrolmentRow::of).collect()
}

/// The enrolments that changes name, one by one or by what is used of a year, each by what names it and with its elder. One
/// that is not there is missing.
///
/// # Errors
/// The database's.
pub(crate) async fn whose_enrolments(
    db: impl PgExecutor<'_>,
    named: &BTreeSet<&Which>,
) -> Result<Vec<(Which, Uuid, ElderId)>, sqlx::Error> {
    let mut keys: Vec<Uuid> = vec![];
    let (mut elders, mut programmes, mut years) = (vec![], vec![], vec![]);
    for which in named {
        match which {
            Which::One(key) => keys.push(*key),
            Which::Account {
                elder,
                programme,
                year,
            } => {
                elders.push(elder.as_uuid());
                programmes.push(programme.as_str());
                years.push(*year);
            }
            // It bears orders.
            Which::Settlement { .. } => {}
        }
    }
    let statement = format!(
        "SELECT enrolment_id, elder_id, NULL::text, NULL::integer FROM {NAME}.enrolment WHERE enrolment_id = ANY($1) \
         UNION ALL \
         SELECT e.enrolment_id, e.elder_id, e.programme, account.year \
         FROM unnest($2::uuid[], $3::text[], $4::integer[]) AS account (elder_id, programme, year) \
         JOIN {NAME}.enrolment e ON e.elder_id = account.elder_id AND e.programme = account.programme \
             AND extract(year FROM e.first_day)::integer = account.year"
    );
    let rows = sqlx::query(AssertSqlSafe(statement))
        .bind(keys)
        .bind(elders)
        .bind(programmes)
        .bind(years)
        .fetch_all(db)
        .await?;
    rows.iter()
        .map(|row| {
            let (key, elder) = (row.try_get(0)?, ElderId(row.try_get(1)?));
            let programme: Option<String> = row.try_get(2)?;
            let year: Option<i32> = row.try_get(3)?;
            let which = match programme.zip(year) {
                Some((programme, year)) => Which::Account {
                    elder,
                    programme,
                    year,
                },
                None => Which::One(key),
            };
            Ok((which, key, elder))
        })
        .collect()
}

impl EnrolmentRow {
    pub(crate) fn of(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            enrolment: row.try_get(0)?,
            programme: row.try_get(1)?,
            elder: ElderId(row.try_get(2)?),
            first: day(row.try_get(3)?)?,
            last: day(row.try_get(4)?)?,
            units_used: row.try_get(5)?,
        })
    }

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
