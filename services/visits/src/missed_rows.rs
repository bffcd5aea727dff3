//! The rows of duties that were missed when their periods closed: a miss stays on record, also when it is met late.

use std::collections::BTreeMap;

use civic::ElderId;
use readmodel::ApplyError;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::elder_year::{Event, Missed};
use crate::period::Period;

/// The misses of a batch.
#[derive(Default)]
pub(crate) struct MissedRows {
    missed: Vec<Missed>,
    late: BTreeMap<(ElderId, Period), Uuid>,
}

impl MissedRows {
    pub(crate) fn fold(&mut self, event: &Event) {
        match event {
            Event::Missed(missed) => self.missed.push(missed.clone()),
            Event::DutyMet {
                elder,
                period,
                record,
                late: true,
            } => {
                self.late.insert((*elder, *period), *record);
            }
            Event::DutyMet { late: false, .. }
            | Event::Recorded(_)
            | Event::Doubted { .. }
            | Event::Confirmed { .. }
            | Event::Rejected { .. }
            | Event::ReferralOpened { .. }
            | Event::ReferralAnswered { .. }
            | Event::ReferralClosed { .. } => {}
        }
    }

    pub(crate) async fn write(self, db: &mut PgConnection) -> Result<(), ApplyError> {
        if !self.missed.is_empty() {
            let rows = &self.missed;
            let elders: Vec<Uuid> = rows.iter().map(|row| row.elder.as_uuid()).collect();
            let periods: Vec<String> = rows.iter().map(|row| row.period.to_string()).collect();
            let tiers: Vec<String> = rows.iter().map(|row| row.tier.clone()).collect();
            let villages: Vec<String> = rows.iter().map(|row| row.village.to_string()).collect();
            let blocked: Vec<bool> = rows.iter().map(|row| row.blocked_by_consent).collect();
            sqlx::query(
                "INSERT INTO missed (elder_id, period, tier, village, blocked) \
                 SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::boolean[])",
            )
            .bind(&elders)
            .bind(&periods)
            .bind(&tiers)
            .bind(&villages)
            .bind(&blocked)
            .execute(&mut *db)
            .await?;
        }
        if !self.late.is_empty() {
            let keys = || self.late.keys();
            let elders: Vec<Uuid> = keys().map(|(elder, _)| elder.as_uuid()).collect();
            let periods: Vec<String> = keys().map(|(_, period)| period.to_string()).collect();
            let records: Vec<Uuid> = self.late.values().copied().collect();
            sqlx::query(
                "UPDATE missed SET met_late_by = met.record_id \
                 FROM unnest($1::uuid[], $2::text[], $3::uuid[]) AS met (elder_id, period, record_id) \
                 WHERE missed.elder_id = met.elder_id AND missed.period = met.period",
            )
            .bind(&elders)
            .bind(&periods)
            .bind(&records)
            .execute(db)
            .await?;
        }
        Ok(())
    }
}
