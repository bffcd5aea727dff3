//! What is known of an elder that decides what the elder may still have: the facts, the enrolments, and what is used. Those
//! who ask at the same time share a query.

use chrono::NaiveDate;
use civic::ElderId;
use elder_tables::columns::day;
use elder_tables::{FactsTable, Kept};
use readmodel::{DatabaseError, LookUp};
use sqlx::postgres::PgRow;
use sqlx::{PgPool, Row as _};
use uuid::Uuid;

use crate::enrolment::Spell;

const STATEMENT: &str = "\
    SELECT e.elder_id, e.facts, e.sequence, e.recorded_at, \
        s.programmes, s.enrolments, s.first_days, s.last_days, u.programmes, u.years, u.units \
    FROM claims_elders.elder e, \
    LATERAL (SELECT array_agg(programme) AS programmes, array_agg(enrolment_id) AS enrolments, \
            array_agg(first_day) AS first_days, array_agg(last_day) AS last_days \
        FROM (SELECT DISTINCT ON (enrolment_id) programme, enrolment_id, first_day, last_day \
            FROM claims_book.enrolment WHERE elder_id = e.elder_id ORDER BY enrolment_id, sequence DESC) AS newest) AS s, \
    LATERAL (SELECT array_agg(programme) AS programmes, array_agg(year) AS years, array_agg(units) AS units \
        FROM claims_book.used WHERE elder_id = e.elder_id) AS u \
    WHERE e.elder_id = ANY($1)";

/// Asks for what is known of single elders.
#[derive(Clone, Debug)]
pub(crate) struct Entitlements(LookUp);

/// What is known of one.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) kept: Kept,
    /// By programme.
    spells: Vec<(String, Spell)>,
    /// By programme and calendar year.
    used: Vec<(String, i32, i64)>,
}

impl Entitlements {
    pub(crate) fn new(pool: PgPool) -> Self {
        Self(LookUp::new(pool, STATEMENT))
    }

    /// What is known of an elder; none where nothing is.
    pub(crate) async fn of(&self, elder: ElderId) -> Result<Option<Known>, DatabaseError> {
        let row = self.0.row(elder.as_uuid()).await?;
        Ok(row.map(|row| Known::read(&row)).transpose()?)
    }
}

impl Known {
    fn read(row: &PgRow) -> Result<Self, sqlx::Error> {
        let programmes: Vec<String> = list(row, 4)?;
        let enrolments: Vec<Uuid> = list(row, 5)?;
        let (first, last): (Vec<NaiveDate>, Vec<NaiveDate>) = (list(row, 6)?, list(row, 7)?);
        let days = first.into_iter().zip(last);
        let spells = programmes.into_iter().zip(enrolments).zip(days);
        let mut spells = spells
            .map(|((programme, enrolment), (first, last))| {
                let (first, last) = (day(first)?, day(last)?);
                let spell = Spell {
                    enrolment,
                    first,
                    last,
                };
                Ok((programme, spell))
            })
            .collect::<Result<Vec<_>, sqlx::Error>>()?;
        spells.sort_by_key(|(_, spell)| (spell.first, spell.enrolment));
        let (programmes, years): (Vec<String>, Vec<i32>) = (list(row, 8)?, list(row, 9)?);
        let units: Vec<i64> = list(row, 10)?;
        let used = programmes.into_iter().zip(years).zip(units);
        Ok(Self {
            kept: FactsTable::read(row)?.1,
            spells,
            used: used
                .map(|((programme, year), units)| (programme, year, units))
                .collect(),
        })
    }

    /// The enrolments in a programme that begin in a calendar year, the first one first.
    pub(crate) fn enrolments(&self, programme: &str, year: i32) -> Vec<Spell> {
        let of = |(of, spell): &&(String, Spell)| of == programme && spell.first.year() == year;
        let spells = self.spells.iter().filter(of);
        spells.map(|(_, spell)| *spell).collect()
    }

    /// What is used of a year's entitlement.
    pub(crate) fn used(&self, programme: &str, year: i32) -> i64 {
        let mut used = self.used.iter();
        let used = used.find(|(of, in_year, _)| of == programme && *in_year == year);
        used.map_or(0, |(_, _, units)| *units)
    }
}

/// A list that is NULL where it would be empty.
fn list<'r, T>(row: &'r PgRow, column: usize) -> Result<Vec<T>, sqlx::Error>
where
    Option<Vec<T>>: sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    Ok(row
        .try_get::<Option<Vec<T>>, _>(column)?
        .unwrap_or_default())
}
