//! The rows of elders' years: how far each is written, and which of its duties are settled. By them a period closes for
//! thousands of elders at once, without reading each year from the log.

use std::collections::HashMap;

use chrono::Datelike as _;
use civic::{CalendarMonth, ElderId, IsoWeek};
use eventlog::Record;
use readmodel::ApplyError;
use sqlx::{AssertSqlSafe, PgConnection, Row as _};
use uuid::Uuid;

use crate::book_table;
use crate::elder_year::Event;
use crate::period::Period;

/// The periods of a year that are settled: one bit for each Sunday of the year, one for each month, and the campaigns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Settled {
    weeks: i64,
    months: i32,
    campaigns: Vec<Uuid>,
}

/// A year as far as a closing needs it.
#[derive(Clone, Debug, Default)]
pub(crate) struct YearRow {
    /// The sequence of its last record; 0 where it has none.
    pub(crate) sequence: u64,
    /// Its periods that are settled, met or missed.
    pub(crate) settled: Settled,
}

impl Settled {
    fn add(&mut self, period: Period) {
        match period {
            Period::Week(week) => self.weeks |= 1 << sunday(week),
            Period::Month(month) => self.months |= 1 << place(month),
            Period::Campaign(days) => self.campaigns.push(days.campaign),
        }
    }

    /// Whether a period of this year is settled.
    pub(crate) fn contains(&self, period: Period) -> bool {
        match period {
            Period::Week(week) => self.weeks & (1 << sunday(week)) != 0,
            Period::Month(month) => self.months & (1 << place(month)) != 0,
            Period::Campaign(days) => self.campaigns.contains(&days.campaign),
        }
    }
}

/// A week is known by its Sunday, for it belongs to the year of that day: one year has the Sundays of two weeks 52.
fn sunday(week: IsoWeek) -> u32 {
    week.last_day().date().ordinal0() / 7
}

fn place(month: CalendarMonth) -> u32 {
    month.last_day().date().month0()
}

/// The years of a batch.
#[derive(Default)]
pub(crate) struct YearRows(HashMap<(ElderId, i32), YearRow>);

impl YearRows {
    /// A record of an elder's year, with its events.
    pub(crate) fn fold(&mut self, record: &Record, year: (ElderId, i32), events: &[Event]) {
        let row = self.0.entry(year).or_default();
        row.sequence = record.sequence;
        for event in events {
            match event {
                Event::DutyMet { period, .. } => row.settled.add(*period),
                Event::Missed(missed) => row.settled.add(missed.period),
                Event::Recorded(_)
                | Event::Doubted { .. }
                | Event::Confirmed { .. }
                | Event::Rejected { .. }
                | Event::ReferralOpened { .. }
                | Event::ReferralAnswered { .. }
                | Event::ReferralClosed { .. } => {}
            }
        }
    }

    pub(crate) async fn write(self, db: &mut PgConnection) -> Result<(), ApplyError> {
        if self.0.is_empty() {
            return Ok(());
        }
        let (years, rows): (Vec<_>, Vec<_>) = self.0.into_iter().unzip();
        let elders: Vec<Uuid> = years.iter().map(|(elder, _)| elder.as_uuid()).collect();
        let numbers: Vec<i32> = years.iter().map(|(_, year)| *year).collect();
        let sequences: Vec<i64> = rows.iter().map(|row| row.sequence.cast_signed()).collect();
        let weeks: Vec<i64> = rows.iter().map(|row| row.settled.weeks).collect();
        let months: Vec<i32> = rows.iter().map(|row| row.settled.months).collect();
        // An array of arrays must be rectangular: the few campaigns go as texts.
        let campaigns: Vec<String> = rows
            .iter()
            .map(|row| {
                let ids: Vec<String> = row.settled.campaigns.iter().map(Uuid::to_string).collect();
                format!("{{{}}}", ids.join(","))
            })
            .collect();
        sqlx::query(
            "INSERT INTO year (elder_id, year, sequence, weeks, months, campaigns) \
             SELECT elder_id, year, sequence, weeks, months, campaigns::uuid[] \
             FROM unnest($1::uuid[], $2::integer[], $3::bigint[], $4::bigint[], $5::integer[], $6::text[]) \
             AS row (elder_id, year, sequence, weeks, months, campaigns) \
             ON CONFLICT (elder_id, year) DO UPDATE SET sequence = excluded.sequence, \
             weeks = year.weeks | excluded.weeks, months = year.months | excluded.months, \
             campaigns = year.campaigns || excluded.campaigns",
        )
        .bind(&elders)
        .bind(&numbers)
        .bind(&sequences)
        .bind(&weeks)
        .bind(&months)
        .bind(&campaigns)
        .execute(db)
        .await?;
        Ok(())
    }
}

/// The years of some elders; who has no record in it is missing.
///
/// # Errors
/// The database's.
pub(crate) async fn of(
    db: &mut PgConnection,
    elders: &[Uuid],
    year: i32,
) -> Result<HashMap<ElderId, YearRow>, sqlx::Error> {
    let statement = format!(
        "SELECT elder_id, sequence, weeks, months, campaigns FROM {}.year WHERE elder_id = ANY($1) AND year = $2",
        book_table::NAME
    );
    let rows = sqlx::query(AssertSqlSafe(statement))
        .bind(elders)
        .bind(year)
        .fetch_all(db)
        .await?;
    rows.iter()
        .map(|row| {
            let year = YearRow {
                sequence: row.try_get::<i64, _>(1)?.cast_unsigned(),
                settled: Settled {
                    weeks: row.try_get(2)?,
                    months: row.try_get(3)?,
                    campaigns: row.try_get(4)?,
                },
            };
            Ok((ElderId(row.try_get(0)?), year))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn period(text: &str) -> Period {
        text.parse().unwrap()
    }

    #[test]
    fn periods_that_end_in_one_year_are_told_apart() {
        // The weeks 2022-W52 and 2023-W52 both end in 2023.
        let (first, last): (IsoWeek, IsoWeek) =
            ("2022-W52".parse().unwrap(), "2023-W52".parse().unwrap());
        let weeks = std::iter::successors(Some(first), |week: &IsoWeek| {
            (*week != last).then(|| week.next())
        });
        let mut ending_in_2023: Vec<Period> = weeks.map(Period::Week).collect();
        ending_in_2023.extend((1..=12).map(|month| period(&format!("2023-{month:02}"))));
        assert_eq!(ending_in_2023.len(), 53 + 12);
        let mut settled = Settled::default();
        for period in ending_in_2023 {
            assert!(!settled.contains(period), "{period}");
            settled.add(period);
            assert!(settled.contains(period), "{period}");
        }
    }
}
