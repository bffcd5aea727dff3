//! How fast help came, and how often a kind of device cries wolf.
//!
//! Rule: section 4, "Figures kept".

use chrono::{DateTime, Utc};
use civic::{AlertKind, AlertOutcome, DeviceKind, DivisionCode, LocalDay};
use elders::terms::WireTerm as _;
use proto::eldercare::alerts::v1 as pb;
use service::{Caller, errors};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgPool, Row as _};
use tonic::Status;

use crate::alerts::Alerts;
use crate::board_table::{self, NO_WORD, place, word};

/// The instants to which delays are told, in the order of the answer.
const UNTIL: [&str; 4] = [
    "first_notice_at",
    "acknowledged_at",
    "arrived_at",
    "resolved_at",
];

impl Alerts {
    /// The figures of a division, of alerts that were raised on some days, both included.
    pub(crate) async fn figures(
        &self,
        caller: &Caller,
        division: &DivisionCode,
        (first, last): (LocalDay, LocalDay),
    ) -> Result<pb::GetResponseFiguresResponse, Status> {
        caller.may_here(division)?;
        let (from, before) = (first.start(), last.end());
        let kinds = self.delays(division, from, before).await;
        let false_alarms = self.false_alarms(division, from, before).await;
        Ok(pb::GetResponseFiguresResponse {
            kinds: kinds.map_err(errors::of_database)?,
            false_alarms: false_alarms.map_err(errors::of_database)?,
        })
    }

    async fn delays(
        &self,
        division: &DivisionCode,
        from: DateTime<Utc>,
        before: DateTime<Utc>,
    ) -> Result<Vec<pb::KindFigures>, sqlx::Error> {
        let delays = UNTIL.map(|until| {
            // What an alert bears a later time than, such as a device's fast clock, took no time.
            let seconds = format!("greatest(extract(epoch FROM {until} - raised_at)::float8, 0)");
            format!(
                "count({until}), percentile_cont(0.5) WITHIN GROUP (ORDER BY {seconds}) FILTER (WHERE {until} IS NOT NULL), \
                 percentile_cont(0.9) WITHIN GROUP (ORDER BY {seconds}) FILTER (WHERE {until} IS NOT NULL), \
                 max({seconds}) FILTER (WHERE {until} IS NOT NULL)"
            )
        });
        let statement = format!(
            "SELECT kind, count(*), count(*) FILTER (WHERE open), {} FROM {}.alert \
             WHERE division >= $1 AND division < $2 AND raised_at >= $3 AND raised_at < $4 GROUP BY kind ORDER BY kind",
            delays.join(", "),
            board_table::NAME
        );
        let rows = sqlx::query(AssertSqlSafe(statement))
            .bind(division.as_str())
            .bind(division.beyond())
            .bind(from)
            .bind(before)
            .fetch_all(&self.pool)
            .await?;
        rows.iter()
            .map(|row| {
                Ok(pb::KindFigures {
                    kind: word::<AlertKind>(row.try_get(0)?)?.wire(),
                    raised: row.try_get(1)?,
                    open: row.try_get(2)?,
                    to_first_notice: Some(delay(row, 3)?),
                    to_acknowledgement: Some(delay(row, 7)?),
                    to_arrival: Some(delay(row, 11)?),
                    to_resolution: Some(delay(row, 15)?),
                })
            })
            .collect()
    }

    async fn false_alarms(
        &self,
        division: &DivisionCode,
        from: DateTime<Utc>,
        before: DateTime<Utc>,
    ) -> Result<Vec<pb::FalseAlarmFigures>, sqlx::Error> {
        let of_devices = AlertKind::ALL.iter().filter(|kind| kind.is_of_a_device());
        let of_devices: Vec<i32> = of_devices.map(|kind| place(*kind)).collect();
        let statement = format!(
            "SELECT device_kind, count(*), count(*) FILTER (WHERE outcome = $5) FROM {}.alert \
             WHERE division >= $1 AND division < $2 AND raised_at >= $3 AND raised_at < $4 AND NOT open \
             AND device_kind <> $6 AND kind <> ALL($7) GROUP BY device_kind ORDER BY device_kind",
            board_table::NAME
        );
        let rows = sqlx::query(AssertSqlSafe(statement))
            .bind(division.as_str())
            .bind(division.beyond())
            .bind(from)
            .bind(before)
            .bind(place(AlertOutcome::FalseAlarm))
            .bind(NO_WORD)
            .bind(of_devices)
            .fetch_all(&self.pool)
            .await?;
        rows.iter()
            .map(|row| {
                Ok(pb::FalseAlarmFigures {
                    device_kind: word::<DeviceKind>(row.try_get(0)?)?.wire(),
                    closed: row.try_get(1)?,
                    false_alarms: row.try_get(2)?,
                })
            })
            .collect()
    }
}

/// How many alerts of each kind are open, everywhere: for who keeps the platform running, not for callers.
///
/// # Errors
/// The database's.
pub async fn open(pool: &PgPool) -> Result<Vec<(AlertKind, u64)>, sqlx::Error> {
    let statement = format!(
        "SELECT kind, count(*) FROM {}.alert WHERE open GROUP BY kind ORDER BY kind",
        board_table::NAME
    );
    let rows = sqlx::query(AssertSqlSafe(statement))
        .fetch_all(pool)
        .await?;
    let of_kind = |row: &PgRow| -> Result<(AlertKind, u64), sqlx::Error> {
        let open: i64 = row.try_get(1)?;
        Ok((word(row.try_get(0)?)?, open.unsigned_abs()))
    };
    rows.iter().map(of_kind).collect()
}

fn delay(row: &PgRow, column: usize) -> Result<pb::DelayFigures, sqlx::Error> {
    let span = |column: usize| -> Result<Option<prost_types::Duration>, sqlx::Error> {
        let seconds: Option<f64> = row.try_get(column)?;
        Ok(seconds.and_then(|seconds| {
            std::time::Duration::try_from_secs_f64(seconds)
                .ok()?
                .try_into()
                .ok()
        }))
    };
    Ok(pb::DelayFigures {
        count: row.try_get(column)?,
        p50: span(column + 1)?,
        p90: span(column + 2)?,
        longest: span(column + 3)?,
    })
}
