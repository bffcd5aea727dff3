//! Keeps the figures of coverage by months and by divisions of all levels as standings and records change, so that they
//! need not be counted when they are asked for.
//!
//! Rule: section 3, "Coverage". One reader alone writes these tables ([`crate::standings_kept`]), in the transaction of
//! what changes the figures.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use civic::{CalendarMonth, DivisionLevel, LocalDay};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection, Row as _};
use uuid::Uuid;

use crate::book_table;

/// How many months before the current one are counted from the start.
const MONTHS_BEFORE: usize = 12;

/// By month and village: elders in scope, and how many of them were visited.
type Figures = BTreeMap<(NaiveDate, String), (i64, i64)>;

/// How many digits the codes of the levels have.
const LEVELS: &str = "VALUES (2), (4), (6), (9), (12)";

/// What some elders add to the figures.
#[derive(Debug, Default)]
pub(crate) struct Contribution(Figures);

impl Contribution {
    /// What these elders add as the tables stand.
    pub(crate) async fn of(db: &mut PgConnection, elders: &[Uuid]) -> Result<Self, sqlx::Error> {
        let rows = sqlx::query(
            "SELECT m.month, s.village, count(*), count(v.elder_id) FROM visits_kept.span s \
             JOIN visits_kept.counted_month m ON s.from_day <= m.on_day AND s.until_day > m.on_day \
             LEFT JOIN visits_kept.visited v ON v.elder_id = s.elder_id AND v.month = m.month \
             WHERE s.elder_id = ANY($1) GROUP BY 1, 2",
        )
        .bind(elders)
        .fetch_all(db)
        .await?;
        rows.iter()
            .map(|row| {
                let place = (row.try_get(0)?, row.try_get(1)?);
                Ok((place, (row.try_get(2)?, row.try_get(3)?)))
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Moves the figures by what the same elders add now instead.
    pub(crate) async fn becomes(self, db: &mut PgConnection, now: Self) -> Result<(), sqlx::Error> {
        let mut moved = now.0;
        for (place, (in_scope, visited)) in self.0 {
            let figures = moved.entry(place).or_default();
            figures.0 -= in_scope;
            figures.1 -= visited;
        }
        move_by(db, moved).await
    }
}

/// Moves the figures by these of villages.
async fn move_by(db: &mut PgConnection, mut villages: Figures) -> Result<(), sqlx::Error> {
    villages.retain(|_, figures| *figures != (0, 0));
    let moved = of_all_levels(&villages);
    if moved.is_empty() {
        return Ok(());
    }
    let months: Vec<NaiveDate> = moved.keys().map(|(month, _)| *month).collect();
    let divisions: Vec<&str> = moved.keys().map(|(_, code)| *code).collect();
    let in_scope: Vec<i64> = moved.values().map(|figures| figures.0).collect();
    let visited: Vec<i64> = moved.values().map(|figures| figures.1).collect();
    sqlx::query(
        "INSERT INTO visits_kept.coverage AS kept (month, digits, division, in_scope, visited) \
         SELECT month, length(division), division, in_scope, visited \
         FROM unnest($1::date[], $2::text[], $3::bigint[], $4::bigint[]) AS row (month, division, in_scope, visited) \
         ON CONFLICT (month, digits, division) DO UPDATE SET in_scope = kept.in_scope + excluded.in_scope, \
         visited = kept.visited + excluded.visited",
    )
    .bind(&months)
    .bind(&divisions)
    .bind(&in_scope)
    .bind(&visited)
    .execute(db)
    .await?;
    Ok(())
}

/// Figures of villages, added up for all divisions around them.
fn of_all_levels(villages: &Figures) -> BTreeMap<(NaiveDate, &str), (i64, i64)> {
    let mut all: BTreeMap<(NaiveDate, &str), (i64, i64)> = BTreeMap::new();
    for ((month, village), figures) in villages {
        let codes = DivisionLevel::ALL
            .iter()
            .filter_map(|level| village.get(..level.digits()));
        for code in codes {
            let sum = all.entry((*month, code)).or_default();
            sum.0 += figures.0;
            sum.1 += figures.1;
        }
    }
    all
}

/// Forgets everything: it will be counted anew.
pub(crate) async fn clear(db: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(
        "DELETE FROM visits_kept.counted_month; DELETE FROM visits_kept.coverage; DELETE FROM visits_kept.visited",
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Takes in what records after a sequence of our own log changed, at the most so many; how far it got, and whether there
/// is more.
pub(crate) async fn take_in_records(
    db: &mut PgConnection,
    after: u64,
    most: i64,
) -> Result<(u64, bool), sqlx::Error> {
    // The last sequence may have changed several: they are taken together.
    let statement = format!(
        "SELECT changed FROM {}.record WHERE changed > $1 ORDER BY changed OFFSET $2 LIMIT 1",
        book_table::NAME
    );
    let last: Option<i64> = sqlx::query_scalar(AssertSqlSafe(statement))
        .bind(after.cast_signed())
        .bind(most - 1)
        .fetch_optional(&mut *db)
        .await?;
    let statement = format!(
        "SELECT elder_id, date_trunc('month', day)::date, bool_or(counted_at IS NOT NULL), max(changed) \
         FROM {}.record WHERE changed > $1 AND changed <= $2 GROUP BY 1, 2",
        book_table::NAME
    );
    let rows = sqlx::query(AssertSqlSafe(statement))
        .bind(after.cast_signed())
        .bind(last.unwrap_or(i64::MAX))
        .fetch_all(&mut *db)
        .await?;
    let (mut counted, mut others) = (Months::default(), Months::default());
    let mut reached = after;
    for row in &rows {
        let counts: bool = row.try_get(2)?;
        let months = if counts { &mut counted } else { &mut others };
        months.elders.push(row.try_get(0)?);
        months.months.push(row.try_get(1)?);
        reached = reached.max(row.try_get::<i64, _>(3)?.cast_unsigned());
    }
    let mut moved = Figures::new();
    counted
        .become_visited(db)
        .await?
        .count(db, 1, &mut moved)
        .await?;
    others
        .are_visited_no_more(db)
        .await?
        .count(db, -1, &mut moved)
        .await?;
    move_by(db, moved).await?;
    Ok((reached, last.is_some()))
}

/// Months of elders.
#[derive(Default)]
struct Months {
    elders: Vec<Uuid>,
    months: Vec<NaiveDate>,
}

impl Months {
    fn of_rows(rows: &[PgRow]) -> Result<Self, sqlx::Error> {
        let mut these = Self::default();
        for row in rows {
            these.elders.push(row.try_get(0)?);
            these.months.push(row.try_get(1)?);
        }
        Ok(these)
    }

    /// Elders were visited in these months; those in which they were not before.
    async fn become_visited(self, db: &mut PgConnection) -> Result<Self, sqlx::Error> {
        if self.elders.is_empty() {
            return Ok(self);
        }
        let rows = sqlx::query(
            "INSERT INTO visits_kept.visited (elder_id, month) SELECT * FROM unnest($1::uuid[], $2::date[]) \
             ON CONFLICT DO NOTHING RETURNING elder_id, month",
        )
        .bind(&self.elders)
        .bind(&self.months)
        .fetch_all(db)
        .await?;
        Self::of_rows(&rows)
    }

    /// Elders may have no counted record left in these months; those in which they had one before.
    async fn are_visited_no_more(self, db: &mut PgConnection) -> Result<Self, sqlx::Error> {
        if self.elders.is_empty() {
            return Ok(self);
        }
        // Looked up for each by itself, and not for all there are at once.
        let statement = format!(
            "DELETE FROM visits_kept.visited v USING unnest($1::uuid[], $2::date[]) AS t (elder_id, month) \
             WHERE v.elder_id = t.elder_id AND v.month = t.month AND v.elder_id = ANY ($1) \
             AND (SELECT r.record_id FROM {}.record r WHERE r.elder_id = t.elder_id AND r.counted_at IS NOT NULL \
                  AND r.day >= t.month AND r.day < t.month + interval '1 month' LIMIT 1) IS NULL \
             RETURNING v.elder_id, v.month",
            book_table::NAME
        );
        let rows = sqlx::query(AssertSqlSafe(statement))
            .bind(&self.elders)
            .bind(&self.months)
            .fetch_all(db)
            .await?;
        Self::of_rows(&rows)
    }

    /// Adds to the figures what comes of so many visited more in each of these months.
    async fn count(
        &self,
        db: &mut PgConnection,
        each: i64,
        moved: &mut Figures,
    ) -> Result<(), sqlx::Error> {
        if self.elders.is_empty() {
            return Ok(());
        }
        let rows = sqlx::query(
            "SELECT m.month, s.village, count(*) FROM (SELECT * FROM visits_kept.span WHERE elder_id = ANY ($1)) AS s \
             JOIN unnest($1::uuid[], $2::date[]) AS t (elder_id, month) ON t.elder_id = s.elder_id \
             JOIN visits_kept.counted_month m ON m.month = t.month AND s.from_day <= m.on_day AND s.until_day > m.on_day \
             GROUP BY 1, 2",
        )
        .bind(&self.elders)
        .bind(&self.months)
        .fetch_all(db)
        .await?;
        for row in &rows {
            let place = (row.try_get(0)?, row.try_get(1)?);
            let elders: i64 = row.try_get(2)?;
            moved.entry(place).or_default().1 += each * elders;
        }
        Ok(())
    }
}

/// Counts the months that are not counted yet, and those that are not counted as of the day that they are to be counted
/// as of today.
pub(crate) async fn count(db: &mut PgConnection, today: LocalDay) -> Result<(), sqlx::Error> {
    let rows = sqlx::query("SELECT month, on_day FROM visits_kept.counted_month")
        .fetch_all(&mut *db)
        .await?;
    let counted = rows
        .iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
        .collect::<Result<BTreeMap<NaiveDate, NaiveDate>, sqlx::Error>>()?;
    let current = CalendarMonth::of(today);
    let mut months: Vec<CalendarMonth> =
        std::iter::successors(Some(current), |month| Some(month.prev()))
            .take(MONTHS_BEFORE + 1)
            .collect();
    // Months that were counted when they were newer are still counted.
    let older = counted
        .keys()
        .filter_map(|first| LocalDay::try_from(*first).ok());
    months.extend(older.map(CalendarMonth::of));
    months.sort_unstable();
    months.dedup();
    for month in months {
        let on = month.last_day().min(today);
        if counted.get(&month.first_day().date()) != Some(&on.date()) {
            count_month(db, month, on).await?;
        }
    }
    Ok(())
}

async fn count_month(
    db: &mut PgConnection,
    month: CalendarMonth,
    on: LocalDay,
) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM visits_kept.coverage WHERE month = $1")
        .bind(month.first_day().date())
        .execute(&mut *db)
        .await?;
    let statement = format!(
        "INSERT INTO visits_kept.coverage (month, digits, division, in_scope, visited) \
         SELECT $1, l.digits, left(v.village, l.digits), sum(v.in_scope), sum(v.visited) FROM ( \
             SELECT s.village, count(*) AS in_scope, count(v.elder_id) AS visited FROM visits_kept.span s \
             LEFT JOIN visits_kept.visited v ON v.elder_id = s.elder_id AND v.month = $1 \
             WHERE s.from_day <= $2 AND s.until_day > $2 GROUP BY s.village) AS v \
         CROSS JOIN ({LEVELS}) AS l (digits) GROUP BY 2, 3"
    );
    sqlx::query(AssertSqlSafe(statement))
        .bind(month.first_day().date())
        .bind(on.date())
        .execute(&mut *db)
        .await?;
    sqlx::query(
        "INSERT INTO visits_kept.counted_month (month, on_day) VALUES ($1, $2) \
         ON CONFLICT (month) DO UPDATE SET on_day = excluded.on_day",
    )
    .bind(month.first_day().date())
    .bind(on.date())
    .execute(db)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_those_of_the_codes() {
        let digits = DivisionLevel::ALL.map(|level| format!("({})", level.digits()));
        assert_eq!(LEVELS, format!("VALUES {}", digits.join(", ")));
    }

    #[test]
    fn villages_are_added_up_for_all_around_them() {
        let month = NaiveDate::from_ymd_opt(2024, 10, 1).unwrap();
        let villages = [("350524100001", (2, 1)), ("350524101001", (-1, 0))]
            .map(|(code, figures)| ((month, code.to_owned()), figures))
            .into();
        let all = of_all_levels(&villages);
        let of = |code| all.get(&(month, code)).copied();
        assert_eq!(of("35"), Some((1, 1)));
        assert_eq!(of("350524"), Some((1, 1)));
        assert_eq!(of("350524101"), Some((-1, 0)));
        assert_eq!(all.len(), 3 + 2 + 2);
    }
}
