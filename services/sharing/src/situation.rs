//! How things stand in a division on a day (态势总览): numbers alone. Those of a small village may tell of few.
//!
//! Of a past day they are those of its end, by what is on record now: what bears a day or a time of its own holds from then,
//! whenever it was recorded, all else from the day on which it was recorded.

use civic::{DivisionCode, LocalDay, Severity};
use elders::codec::write_day;
use proto::eldercare::sharing::v1 as pb;
use service::{Caller, errors};
use sqlx::PgConnection;
use tonic::Status;

use crate::alerts_table::{self, Delay, OpenAlerts, ResponseTimes};
use crate::claims_table::{self, FundSums, OrderCount};
use crate::coverage::{Coverage, coverage};
use crate::sharing::Sharing;
use crate::{elders_table, tiers_table, visits_table};

/// Of alerts of how many days, the day itself included, response times are told.
const RESPONSE_DAYS: i64 = 30;

/// The severities whose response times are told: of the others nobody waits for help.
const URGENT: [Severity; 2] = [Severity::Critical, Severity::High];

impl Sharing {
    /// How things stand in a division on a day.
    pub(crate) async fn situation(
        &self,
        caller: &Caller,
        division: DivisionCode,
        on: LocalDay,
    ) -> Result<pb::Situation, Status> {
        caller.may_where_asked(&division)?;
        // All figures are of one moment.
        let snapshot = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
        let mut db = self
            .pool
            .begin_with(snapshot)
            .await
            .map_err(errors::of_database)?;
        let situation = read(&mut db, &division, on)
            .await
            .map_err(errors::of_database)?;
        db.commit().await.map_err(errors::of_database)?;
        Ok(situation)
    }
}

async fn read(
    db: &mut PgConnection,
    division: &DivisionCode,
    on: LocalDay,
) -> Result<pb::Situation, sqlx::Error> {
    let elders = elders_table::active(&mut *db, division, on).await?;
    let tiers = tiers_table::counts(&mut *db, division, on).await?;
    let visits = visits(&mut *db, division, on).await?;
    let open = alerts_table::open(&mut *db, division, on.end()).await?;
    let since = on.plus_days(1 - RESPONSE_DAYS);
    let times = alerts_table::response_times(&mut *db, division, &URGENT, since, on).await?;
    let orders = claims_table::order_counts(&mut *db, division, on).await?;
    let funds = claims_table::funds(&mut *db, division, on).await?;
    let tiers = tiers.into_iter();
    Ok(pb::Situation {
        division_code: division.to_string(),
        day: Some(write_day(on)),
        elders,
        tiers: tiers
            .map(|(tier, elders)| pb::TierCount { tier, elders })
            .collect(),
        visits: Some(visits),
        open_alerts: open.iter().map(of_open).collect(),
        response_times: Some(of_times(&times)),
        orders: orders.iter().map(of_orders).collect(),
        funds: funds.into_iter().map(of_fund).collect(),
    })
}

async fn visits(
    db: &mut PgConnection,
    division: &DivisionCode,
    on: LocalDay,
) -> Result<pb::VisitCoverage, sqlx::Error> {
    let week = on.iso_week();
    let visited = visits_table::visited(&mut *db, division, week.first_day(), on).await?;
    let before = week.prev();
    let (first, last) = (before.first_day(), before.last_day());
    let missed = visits_table::missed(&mut *db, division, first, last).await?;
    let met_in_time = visits_table::met_in_time(&mut *db, division, first, last).await?;
    let Coverage {
        in_scope,
        covered,
        owed,
        met,
    } = coverage(&mut *db, division, on).await?;
    Ok(pb::VisitCoverage {
        visited_elders: visited,
        missed_duties: missed,
        closed_duties: missed.saturating_add(met_in_time),
        in_scope_elders: in_scope,
        covered_elders: covered,
        owed_duties: owed,
        met_duties: met,
    })
}

fn of_open(open: &OpenAlerts) -> pb::OpenAlertCount {
    pb::OpenAlertCount {
        severity: open.severity.name().to_owned(),
        kind: open.kind.name().to_owned(),
        alerts: open.alerts,
    }
}

fn of_times(times: &ResponseTimes) -> pb::ResponseTimes {
    pb::ResponseTimes {
        alerts: times.alerts,
        to_acknowledgement: Some(of_delay(times.acknowledged)),
        to_arrival: Some(of_delay(times.arrived)),
    }
}

fn of_delay(delay: Delay) -> pb::DelayFigures {
    let span = |seconds| prost_types::Duration { seconds, nanos: 0 };
    pb::DelayFigures {
        count: delay.alerts,
        p50: delay.median.map(span),
        p90: delay.ninetieth.map(span),
    }
}

fn of_orders(count: &OrderCount) -> pb::OrderCount {
    pb::OrderCount {
        state: count.stage.name().to_owned(),
        orders: count.orders,
        amount_fen: count.amount.0,
    }
}

fn of_fund((programme_code, sums): (String, FundSums)) -> pb::FundFigures {
    let FundSums {
        deposited,
        reserved,
        paid,
    } = sums;
    pb::FundFigures {
        programme_code,
        in_fen: deposited.0,
        reserved_fen: reserved.0,
        paid_fen: paid.0,
        balance_fen: deposited.0.saturating_sub(paid.0),
    }
}
