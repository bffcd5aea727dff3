//! How many elders a division has, by each fact on which visiting rests.

use civic::{
    Age, Assistance, CapabilityLevel, Category, CircumstanceKind, ConsentState, DivisionCode,
    DivisionLevel, ElderStatus, LocalDay, Observation, Set, Sex, Term,
};
use proto::eldercare::registry::v1 as pb;
use sqlx::{PgPool, Row as _};

use crate::elders_rows::{bits, place};

/// The first age of each band: under 60, 60-64, …, 95-99, 100 and over.
const BANDS: [u16; 9] = [60, 65, 70, 75, 80, 85, 90, 95, 100];

/// The counts of a division's subtree on a day, in one pass over its facts.
pub(crate) async fn count(
    pool: &PgPool,
    division: &DivisionCode,
    on: LocalDay,
) -> Result<pb::GetStatisticsResponse, sqlx::Error> {
    let below = digits_below(division.level());
    // Who was born on this day or before has reached the age; the oldest first, as buckets are counted.
    let born: Vec<_> = BANDS
        .iter()
        .rev()
        .map(|age| latest_birth(on, *age).date())
        .collect();
    let rows = sqlx::query(
        "WITH held AS ( \
             SELECT status, sex, categories, assistance, capability, observations, handicap_grade, consent, source, \
                    circumstances, 9 - width_bucket(birth_date - 1, $4::date[]) AS band, \
                    left(division_code, $5) AS part \
             FROM registry_elders.fact \
             WHERE division_code >= $1 AND division_code < $2 AND first_day <= $3 AND last_day >= $3 \
         ) \
         SELECT grouping(status, sex, categories, assistance, capability, observations, handicap_grade, consent, \
                         source, circumstances, band, part)::int4, \
                coalesce(status, sex, categories, assistance, capability, observations, handicap_grade, consent, \
                         source, circumstances, band)::int4, \
                part, \
                count(*), \
                count(*) FILTER (WHERE status = $6), \
                count(*) FILTER (WHERE status = $6 AND band > 0 AND categories <> 0) \
         FROM held \
         GROUP BY GROUPING SETS ((status), (sex), (categories), (assistance), (capability), (observations), \
                                 (handicap_grade), (consent), (source), (circumstances), (band), (part))",
    )
    .bind(division.as_str())
    .bind(division.beyond())
    .bind(on.date())
    .bind(born)
    .bind(below)
    .bind(place(ElderStatus::Active))
    .fetch_all(pool)
    .await?;

    let mut counts = Counts::default();
    for row in rows {
        // A bit is set for each column that the row is not about; the first column is the highest bit.
        let grouping: i32 = row.try_get(0)?;
        let about = 11 - (!grouping & 0xfff).trailing_zeros();
        let value: Option<i32> = row.try_get(1)?;
        let all: i64 = row.try_get(3)?;
        let active: i64 = row.try_get(4)?;
        let in_scope: i64 = row.try_get(5)?;
        if about == 11 {
            counts.parts.push((row.try_get(2)?, active));
        } else if let Some(value) = value {
            counts.take(about, value, all, active, in_scope);
        }
    }
    Ok(counts.into_answer())
}

/// The last day of birth of those who have reached an age on a day.
fn latest_birth(on: LocalDay, age: u16) -> LocalDay {
    let year = on.year() - i32::from(age);
    let anniversary = LocalDay::from_ymd(year, on.month_of_year(), on.day_of_month())
        .or_else(|_| LocalDay::from_ymd(year, 2, 28))
        .unwrap_or(LocalDay::MIN);
    // Who was born on 29 February reaches an age on the 28th of a common year.
    if Age::birthday_reaching(anniversary.next(), age) <= on {
        anniversary.next()
    } else {
        anniversary
    }
}

/// How many digits the codes have of the divisions one level below.
fn digits_below(level: DivisionLevel) -> i32 {
    match level {
        DivisionLevel::Province => 4,
        DivisionLevel::City => 6,
        DivisionLevel::County => 9,
        DivisionLevel::Town | DivisionLevel::Village => 12,
    }
}

#[derive(Default)]
struct Counts {
    active: i64,
    in_scope: i64,
    /// By column, in the order of the query: value and count.
    by_column: [Vec<(i32, i64)>; 11],
    parts: Vec<(String, i64)>,
}

impl Counts {
    fn take(&mut self, column: u32, value: i32, all: i64, active: i64, in_scope: i64) {
        if column == 0 {
            self.by_column[0].push((value, all));
            self.active += active;
            self.in_scope += in_scope;
        } else {
            self.by_column[column as usize].push((value, active));
        }
    }

    fn into_answer(mut self) -> pb::GetStatisticsResponse {
        self.parts.sort();
        let [
            status,
            sex,
            categories,
            assistance,
            capability,
            observations,
            grade,
            consent,
            source,
            circumstances,
            band,
        ] = &self.by_column;
        pb::GetStatisticsResponse {
            elders: self.active,
            in_scope: self.in_scope,
            by_sex: of_words::<Sex>(sex),
            by_age_band: named(band, band_name),
            by_category: of_sets::<Category>(categories),
            by_assistance: of_sets::<Assistance>(assistance),
            by_capability: of_words::<CapabilityLevel>(capability),
            by_handicap_grade: named(grade, |grade| {
                if grade == 0 {
                    "NONE".to_owned()
                } else {
                    grade.to_string()
                }
            }),
            by_observation: of_sets::<Observation>(observations),
            by_consent: of_words::<ConsentState>(consent),
            by_division: self
                .parts
                .into_iter()
                .filter(|(_, elders)| *elders > 0)
                .map(counted)
                .collect(),
            by_source: named(source, |source| {
                if source == 0 { "API" } else { "SURVEY" }.to_owned()
            }),
            by_status: of_words::<ElderStatus>(status),
            by_circumstance: of_sets::<CircumstanceKind>(circumstances),
        }
    }
}

fn counted((value, elders): (String, i64)) -> pb::Count {
    pb::Count { value, elders }
}

fn band_name(band: i32) -> String {
    match usize::try_from(band)
        .ok()
        .and_then(|band| band.checked_sub(1))
        .and_then(|band| BANDS.get(band))
    {
        None => "under 60".to_owned(),
        Some(100) => "100+".to_owned(),
        Some(first) => format!("{first}-{}", first + 4),
    }
}

fn named(counts: &[(i32, i64)], name: impl Fn(i32) -> String) -> Vec<pb::Count> {
    let mut counts: Vec<_> = counts.iter().filter(|(_, elders)| *elders > 0).collect();
    counts.sort();
    counts
        .into_iter()
        .map(|(value, elders)| counted((name(*value), *elders)))
        .collect()
}

/// The counts of a column that holds one word.
fn of_words<T: Term>(counts: &[(i32, i64)]) -> Vec<pb::Count> {
    let elders = |word: T| {
        counts
            .iter()
            .filter(|(value, _)| *value == i32::from(place(word)))
            .map(|(_, n)| n)
            .sum()
    };
    T::ALL
        .iter()
        .map(|word| (word.name().to_owned(), elders(*word)))
        .filter(|(_, elders)| *elders > 0)
        .map(counted)
        .collect()
}

/// The counts of a column that holds a set of words: an elder with two of them counts for both.
fn of_sets<T: Term>(counts: &[(i32, i64)]) -> Vec<pb::Count> {
    let elders = |word: T| {
        let bit = bits(Set::from(word));
        counts
            .iter()
            .filter(|(value, _)| value & bit != 0)
            .map(|(_, n)| n)
            .sum()
    };
    T::ALL
        .iter()
        .map(|word| (word.name().to_owned(), elders(*word)))
        .filter(|(_, elders)| *elders > 0)
        .map(counted)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> LocalDay {
        LocalDay::from_sheet(text).unwrap()
    }

    #[test]
    fn the_latest_birth_of_an_age_is_found_also_around_leap_days() {
        for (on, age, born) in [
            ("2024-10-01", 60, "1964-10-01"),
            ("2024-02-29", 60, "1964-02-29"),
            ("2024-02-29", 61, "1963-02-28"),
            ("2025-02-28", 61, "1964-02-29"),
            ("2025-02-28", 60, "1965-02-28"),
            ("2025-02-27", 61, "1964-02-27"),
        ] {
            assert_eq!(latest_birth(day(on), age), day(born), "{on} {age}");
            assert_eq!(Age::on(latest_birth(day(on), age), day(on)).years(), age);
            assert_eq!(
                Age::on(latest_birth(day(on), age).next(), day(on)).years(),
                age - 1
            );
        }
    }

    #[test]
    fn bands_are_of_five_years() {
        let names: Vec<_> = (0..=9).map(band_name).collect();
        assert_eq!(
            names,
            [
                "under 60", "60-64", "65-69", "70-74", "75-79", "80-84", "85-89", "90-94", "95-99",
                "100+"
            ]
        );
    }
}
