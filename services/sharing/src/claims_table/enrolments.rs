//! Enrolments: why somebody was admitted, what was charged, and what is used and left of the year's entitlement.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use civic::{ElderId, Fen, LocalDay};
use elder_tables::columns::{day, word};
use elders::wire::{self, id, message};
use eventlog::{DecodeError, RawEvent, Record};
use proto::eldercare::claims::v1 as pb;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection, PgExecutor, Row as _};
use uuid::Uuid;

use super::programmes::Quota;
use super::{NAME, short_name};
use crate::document::Document;
use crate::dossier::Finding;
use crate::feeds::changes::Which;
use crate::products::ProductName;

/// What is said of an enrolment.
pub(super) enum EnrolmentSaid {
    Enrolled(Enrolment, Admission),
    Charged(Enrolment, Fen),
    Ended(Enrolment, NaiveDate),
}

/// From when to when somebody is enrolled, and by which rule.
pub(super) struct Admission {
    first: NaiveDate,
    last: NaiveDate,
    basis: String,
}

/// Which enrolment.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Enrolment {
    elder: ElderId,
    programme: String,
    enrolment: Uuid,
}

impl Enrolment {
    fn of(elder: &str, programme: String, enrolment: &str) -> Result<Self, DecodeError> {
        Ok(Self {
            elder: wire::elder(elder)?,
            programme,
            enrolment: id(enrolment, "enrolment_id")?,
        })
    }
}

pub(super) fn decode(raw: &RawEvent) -> Result<EnrolmentSaid, DecodeError> {
    match short_name(raw)? {
        "PersonEnrolled" => {
            let said: pb::PersonEnrolled = message(raw)?;
            let first = wire::day(said.first_day, "first_day")?;
            let last = wire::day(said.last_day, "last_day")?;
            let which = Enrolment::of(&said.elder_id, said.programme_code, &said.enrolment_id)?;
            let admission = Admission {
                first: first.date(),
                last: last.date(),
                basis: said.basis,
            };
            Ok(EnrolmentSaid::Enrolled(which, admission))
        }
        "PremiumCharged" => {
            let said: pb::PremiumCharged = message(raw)?;
            let which = Enrolment::of(&said.elder_id, said.programme_code, &said.enrolment_id)?;
            Ok(EnrolmentSaid::Charged(which, Fen(said.amount_fen)))
        }
        "EnrolmentEnded" => {
            let said: pb::EnrolmentEnded = message(raw)?;
            let last = wire::day(said.last_day, "last_day")?;
            let which = Enrolment::of(&said.elder_id, said.programme_code, &said.enrolment_id)?;
            Ok(EnrolmentSaid::Ended(which, last.date()))
        }
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
            // It stands in the record of its enrolment, which tells both.
            Self::Charged(..) => None,
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
    admission: Admission,
    premium: Option<Fen>,
}

impl Enrolments {
    pub(super) fn fold(&mut self, record: &Record, said: EnrolmentSaid) {
        match said {
            EnrolmentSaid::Enrolled(enrolment, admission) => {
                self.new.entry(enrolment).or_insert_with(|| Enrolled {
                    sequence: record.sequence,
                    village: record.metadata.division.clone().unwrap_or_default(),
                    admission,
                    premium: None,
                });
            }
            EnrolmentSaid::Charged(enrolment, amount) => {
                // One record says both; whether another one comes in the same batch must not matter.
                let new = self.new.get_mut(&enrolment);
                if let Some(new) = new.filter(|new| new.sequence == record.sequence) {
                    new.premium = Some(amount);
                }
            }
            EnrolmentSaid::Ended(enrolment, last) => {
                self.ended.insert(enrolment, last);
            }
        }
    }

    pub(super) async fn write(&self, db: &mut PgConnection) -> Result<(), sqlx::Error> {
        if !self.new.is_empty() {
            let (mut elders, mut programmes, mut ids) = (vec![], vec![], vec![]);
            let (mut sequences, mut villages) = (vec![], vec![]);
            let (mut firsts, mut lasts) = (vec![], vec![]);
            let (mut bases, mut premiums): (Vec<&str>, Vec<Option<i64>>) = (vec![], vec![]);
            for (enrolment, new) in &self.new {
                elders.push(enrolment.elder.as_uuid());
                programmes.push(enrolment.programme.as_str());
                ids.push(enrolment.enrolment);
                sequences.push(new.sequence.cast_signed());
                villages.push(new.village.as_str());
                firsts.push(new.admission.first);
                lasts.push(new.admission.last);
                bases.push(new.admission.basis.as_str());
                premiums.push(new.premium.map(|premium| premium.0));
            }
            sqlx::query(
                "INSERT INTO enrolment (elder_id, programme, enrolment_id, sequence, village, first_day, last_day, basis, premium) \
                 SELECT * FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::bigint[], $5::text[], $6::date[], $7::date[], \
                     $8::text[], $9::bigint[]) \
                 ON CONFLICT DO NOTHING",
            )
            .bind(elders)
            .bind(programmes)
            .bind(ids)
            .bind(sequences)
            .bind(villages)
            .bind(firsts)
            .bind(lasts)
            .bind(bases)
            .bind(premiums)
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
    /// By which rule of the programme.
    pub(crate) basis: String,
    /// What was charged for the year with this enrolment.
    pub(crate) premium: Option<Fen>,
    /// The entitlement of a year; none where no version of the programme holds on any of the days.
    pub(crate) quota: Option<Quota>,
}

/// Enrolments, with what is used of the entitlement of the first day's calendar year, and what that is by the newest version that
/// holds on one of the days.
fn select(which: &str) -> String {
    format!(
        "SELECT e.enrolment_id, e.programme, e.elder_id, e.first_day, e.last_day, coalesce(u.units, 0), e.sequence, \
             e.basis, e.premium, p.unit, p.units \
         FROM {NAME}.enrolment e LEFT JOIN {NAME}.used u ON u.elder_id = e.elder_id AND u.programme = e.programme \
             AND u.year = extract(year FROM e.first_day)::integer \
         LEFT JOIN LATERAL (SELECT v.unit, v.units FROM {NAME}.programme v \
             WHERE v.code = e.programme AND v.effective_from <= e.last_day ORDER BY v.version DESC LIMIT 1) p ON true \
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

/// The enrolments that changes name, one by one, by what is used of a year or by what that is, each by what names it and with its
/// elder. One that is not there is missing.
///
/// # Errors
/// The database's.
pub(crate) async fn whose_enrolments(
    db: impl PgExecutor<'_>,
    named: &BTreeSet<&Which>,
) -> Result<Vec<(Which, Uuid, ElderId)>, sqlx::Error> {
    let mut keys: Vec<Uuid> = vec![];
    let (mut elders, mut programmes, mut years) = (vec![], vec![], vec![]);
    let (mut defined, mut versions) = (vec![], vec![]);
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
            Which::Version { programme, version } => {
                defined.push(programme.as_str());
                versions.push(*version);
            }
            // It bears orders.
            Which::Settlement { .. } => {}
        }
    }
    let statement = format!(
        "SELECT enrolment_id, elder_id, NULL::text, NULL::integer, NULL::integer \
         FROM {NAME}.enrolment WHERE enrolment_id = ANY($1) \
         UNION ALL \
         SELECT e.enrolment_id, e.elder_id, e.programme, account.year, NULL::integer \
         FROM unnest($2::uuid[], $3::text[], $4::integer[]) AS account (elder_id, programme, year) \
         JOIN {NAME}.enrolment e ON e.elder_id = account.elder_id AND e.programme = account.programme \
             AND extract(year FROM e.first_day)::integer = account.year \
         UNION ALL \
         SELECT e.enrolment_id, e.elder_id, e.programme, NULL::integer, v.version \
         FROM unnest($5::text[], $6::integer[]) AS named (code, version) \
         JOIN {NAME}.programme v ON v.code = named.code AND v.version = named.version \
         LEFT JOIN {NAME}.programme earlier ON earlier.code = v.code AND earlier.version = v.version - 1 \
         JOIN {NAME}.enrolment e ON e.programme = v.code AND e.last_day >= v.effective_from \
         WHERE (earlier.unit, earlier.units) IS DISTINCT FROM (v.unit, v.units)"
    );
    let rows = sqlx::query(AssertSqlSafe(statement))
        .bind(keys)
        .bind(elders)
        .bind(programmes)
        .bind(years)
        .bind(defined)
        .bind(versions)
        .fetch_all(db)
        .await?;
    rows.iter()
        .map(|row| {
            let (key, elder) = (row.try_get(0)?, ElderId(row.try_get(1)?));
            let programme: Option<String> = row.try_get(2)?;
            let (year, version): (Option<i32>, Option<i32>) = (row.try_get(3)?, row.try_get(4)?);
            let which = match (programme, year, version) {
                (Some(programme), Some(year), _) => Which::Account {
                    elder,
                    programme,
                    year,
                },
                (Some(programme), None, Some(version)) => Which::Version { programme, version },
                (Some(_) | None, _, _) => Which::One(key),
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
            basis: row.try_get(7)?,
            premium: row.try_get::<Option<i64>, _>(8)?.map(Fen),
            quota: quota(row)?,
        })
    }

    /// The document of an enrolment.
    pub(crate) fn document(&self) -> Document {
        let basis = Some(self.basis.as_str()).filter(|basis| !basis.is_empty());
        // More than there is may be used: a later version may set it lower.
        let left = |quota: Quota| quota.units.saturating_sub(self.units_used).max(0);
        Document::new(ProductName::Enrolment, self.enrolment, self.elder)
            .with("enrolment_id", self.enrolment.to_string())
            .with("programme_code", self.programme.as_str())
            .with("elder_id", self.elder.to_string())
            .with("first_day", self.first.to_string())
            .with("last_day", self.last.to_string())
            .with("units_used", self.units_used)
            .with_known("basis", basis)
            .with_known("premium", self.premium.map(|premium| premium.to_string()))
            .with_known("unit", self.quota.map(|quota| quota.unit.name()))
            .with_known("units_a_year", self.quota.map(|quota| quota.units))
            .with_known("units_left", self.quota.map(left))
    }
}

fn quota(row: &PgRow) -> Result<Option<Quota>, sqlx::Error> {
    let (unit, units): (Option<i32>, Option<i64>) = (row.try_get(9)?, row.try_get(10)?);
    let quota = unit.zip(units).map(|(unit, units)| {
        let unit = word(unit)?;
        Ok(Quota { unit, units })
    });
    quota.transpose()
}
