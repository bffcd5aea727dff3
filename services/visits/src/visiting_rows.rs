//! The rows of divisions that visit their elders.

use chrono::NaiveDate;
use civic::{CalendarMonth, DivisionCode, IsoWeek, LocalDay};
use readmodel::ApplyError;
use sqlx::{AssertSqlSafe, PgConnection, PgExecutor, Row as _};

use crate::book_table;
use crate::period::Period;
use crate::visiting::{Event, Started};

/// Writes what happened to a division's visiting.
pub(crate) async fn write(db: &mut PgConnection, event: &Event) -> Result<(), ApplyError> {
    match event {
        Event::Started { division, on } => {
            sqlx::query("INSERT INTO visiting (division, start_on) VALUES ($1, $2)")
                .bind(division.as_str())
                .bind(on.date())
                .execute(db)
                .await?;
        }
        Event::Closed {
            division, period, ..
        } => {
            let statement = match period {
                Period::Week(_) => "UPDATE visiting SET week_closed = $2 WHERE division = $1",
                Period::Month(_) => "UPDATE visiting SET month_closed = $2 WHERE division = $1",
                Period::Campaign(_) => return Ok(()),
            };
            sqlx::query(statement)
                .bind(division.as_str())
                .bind(period.first_day().date())
                .execute(db)
                .await?;
        }
    }
    Ok(())
}

/// The divisions that visit, each with what is closed.
///
/// # Errors
/// The database's.
pub(crate) async fn all(
    db: impl PgExecutor<'_>,
) -> Result<Vec<(DivisionCode, Started)>, sqlx::Error> {
    let statement = format!(
        "SELECT division, start_on, week_closed, month_closed FROM {}.visiting ORDER BY division",
        book_table::NAME
    );
    let rows = sqlx::query(AssertSqlSafe(statement)).fetch_all(db).await?;
    rows.iter()
        .map(|row| {
            let division = row
                .try_get::<&str, _>(0)?
                .parse()
                .map_err(|_code| sqlx::Error::Decode("column division holds no code".into()))?;
            let day = |date: NaiveDate| {
                LocalDay::try_from(date)
                    .map_err(|_day| sqlx::Error::Decode("a column holds no day".into()))
            };
            let week: Option<NaiveDate> = row.try_get(2)?;
            let month: Option<NaiveDate> = row.try_get(3)?;
            let started = Started {
                on: day(row.try_get(1)?)?,
                week_closed: week.map(day).transpose()?.map(IsoWeek::of),
                month_closed: month.map(day).transpose()?.map(CalendarMonth::of),
            };
            Ok((division, started))
        })
        .collect()
}
