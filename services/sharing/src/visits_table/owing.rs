//! Who owes visits: since when divisions visit their elders, and how many duties were met by the time when their periods closed. Those
//! that were not are told one by one ([`super::misses`]).

use std::collections::BTreeMap;

use chrono::NaiveDate;
use civic::{DivisionCode, LocalDay};
use elders::wire;
use eventlog::{DecodeError, RawEvent};
use prost::Name as _;
use proto::eldercare::visits::v1 as pb;
use readmodel::ApplyError;
use sqlx::{PgConnection, PgExecutor};

use super::{NAME, count};

/// A division starts visiting on a day; none where nothing of the kind is said.
pub(super) fn decode(raw: &RawEvent) -> Result<Option<(DivisionCode, LocalDay)>, DecodeError> {
    let name = raw.event_type.as_str();
    if name == pb::VisitingStarted::full_name() {
        let message: pb::VisitingStarted = wire::message(raw)?;
        let division = wire::division(&message.division_code)?;
        Ok(Some((division, wire::day(message.on, "on")?)))
    } else if name == pb::PeriodClosed::full_name() {
        Ok(None)
    } else {
        Err(DecodeError::unknown(raw))
    }
}

/// What a batch says of divisions and of duties that were met.
#[derive(Default)]
pub(super) struct OwingRows {
    started: BTreeMap<DivisionCode, LocalDay>,
    /// By the last day of the period, and the village.
    met: BTreeMap<(LocalDay, String), i64>,
}

impl OwingRows {
    /// A division starts but once.
    pub(super) fn started(&mut self, (division, on): (DivisionCode, LocalDay)) {
        self.started.entry(division).or_insert(on);
    }

    /// A duty was met when its period closed. Where the elder lived then the record itself says.
    pub(super) fn met(&mut self, last: LocalDay, village: Option<&str>) {
        let village = village.unwrap_or_default().to_owned();
        *self.met.entry((last, village)).or_default() += 1;
    }

    pub(super) async fn write(self, db: &mut PgConnection) -> Result<(), ApplyError> {
        if !self.started.is_empty() {
            let divisions: Vec<&str> = self.started.keys().map(DivisionCode::as_str).collect();
            let days: Vec<NaiveDate> = self.started.values().map(|on| on.date()).collect();
            sqlx::query(
                "INSERT INTO visiting (division, start_on) SELECT * FROM unnest($1::text[], $2::date[]) \
                 ON CONFLICT (division) DO NOTHING",
            )
            .bind(divisions)
            .bind(days)
            .execute(&mut *db)
            .await?;
        }
        if !self.met.is_empty() {
            let days: Vec<NaiveDate> = self.met.keys().map(|(last, _)| last.date()).collect();
            let villages = self.met.keys().map(|(_, village)| village.as_str());
            let villages: Vec<&str> = villages.collect();
            let duties: Vec<i64> = self.met.values().copied().collect();
            sqlx::query(
                "INSERT INTO met (last_day, village, duties) \
                 SELECT * FROM unnest($1::date[], $2::text[], $3::bigint[]) \
                 ON CONFLICT (last_day, village) DO UPDATE SET duties = met.duties + excluded.duties",
            )
            .bind(days)
            .bind(villages)
            .bind(duties)
            .execute(db)
            .await?;
        }
        Ok(())
    }
}

/// How many duties of a division were met when the periods closed that ended on some days, both included.
///
/// # Errors
/// The database's.
pub(crate) async fn met_in_time(
    db: impl PgExecutor<'_>,
    division: &DivisionCode,
    first: LocalDay,
    last: LocalDay,
) -> Result<i64, sqlx::Error> {
    let statement = format!(
        "SELECT coalesce(sum(duties), 0)::bigint FROM {NAME}.met \
         WHERE village >= $1 AND village < $2 AND last_day BETWEEN $3 AND $4"
    );
    count(db, statement, division, first, last).await
}

#[cfg(test)]
mod tests {
    use elders::codec::write_day;

    use super::*;

    #[test]
    fn a_division_starts_on_a_day_and_closes_its_periods() {
        let on: LocalDay = "2024-09-30".parse().unwrap();
        let started = RawEvent::of(&pb::VisitingStarted {
            division_code: "350524".to_owned(),
            on: Some(write_day(on)),
        });
        let division: DivisionCode = "350524".parse().unwrap();
        assert_eq!(decode(&started), Ok(Some((division, on))));
        let closed = RawEvent::of(&pb::PeriodClosed::default());
        assert_eq!(decode(&closed), Ok(None));
        let other = RawEvent::of(&pb::VisitorRetired::default());
        assert!(matches!(decode(&other), Err(DecodeError::UnknownType(_))));
    }
}
