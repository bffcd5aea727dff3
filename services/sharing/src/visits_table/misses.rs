//! Duties that were missed when their periods closed; they stay on record, also when they are met late.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use civic::{CalendarMonth, DivisionCode, ElderId, IsoWeek, LocalDay, VillageCode};
use elders::wire::{self, elder, id};
use eventlog::DecodeError;
use proto::eldercare::visits::v1 as pb;
use readmodel::ApplyError;
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use super::{NAME, count};

/// Which duty of an elder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Duty {
    pub(super) elder: ElderId,
    pub(super) kind: &'static str,
    pub(super) first: LocalDay,
    /// Nil of a week or a month.
    pub(super) campaign: Uuid,
}

/// How it was when the duty's period closed.
#[derive(Debug, PartialEq)]
pub(super) struct Miss {
    pub(super) last: LocalDay,
    pub(super) tier: String,
    pub(super) village: VillageCode,
}

/// A duty, and the last day of its period.
pub(super) fn read_duty(
    elder_id: &str,
    period: Option<pb::Period>,
) -> Result<(Duty, LocalDay), DecodeError> {
    let period = wire::present(period, "period")?;
    let first = wire::day(period.first_day, "period")?;
    let (kind, last, campaign) = match pb::PeriodKind::try_from(period.kind) {
        Ok(pb::PeriodKind::Week) => ("WEEK", IsoWeek::of(first).last_day(), Uuid::nil()),
        Ok(pb::PeriodKind::Month) => ("MONTH", CalendarMonth::of(first).last_day(), Uuid::nil()),
        Ok(pb::PeriodKind::Campaign) => (
            "CAMPAIGN",
            wire::day(period.last_day, "last_day")?,
            id(&period.campaign_id, "campaign_id")?,
        ),
        Ok(pb::PeriodKind::Unspecified) | Err(_) => return Err(DecodeError::malformed("period")),
    };
    let duty = Duty {
        elder: elder(elder_id)?,
        kind,
        first,
        campaign,
    };
    Ok((duty, last))
}

/// The misses of a batch: they stay on record, also when they are met late.
#[derive(Default)]
pub(super) struct MissedRows {
    missed: BTreeMap<Duty, Miss>,
    late: BTreeSet<Duty>,
}

impl MissedRows {
    pub(super) fn missed(&mut self, duty: Duty, miss: Miss) {
        self.missed.entry(duty).or_insert(miss);
    }

    pub(super) fn met_late(&mut self, duty: Duty) {
        self.late.insert(duty);
    }

    pub(super) async fn write(self, db: &mut PgConnection) -> Result<(), ApplyError> {
        if !self.missed.is_empty() {
            let (elders, kinds, first_days, campaigns) = keys(self.missed.keys());
            let misses = || self.missed.values();
            let last_days: Vec<NaiveDate> = misses().map(|miss| miss.last.date()).collect();
            let tiers: Vec<&str> = misses().map(|miss| miss.tier.as_str()).collect();
            let villages: Vec<&str> = misses().map(|miss| miss.village.as_str()).collect();
            sqlx::query(
                "INSERT INTO missed (elder_id, kind, first_day, campaign_id, last_day, tier, village, met_late) \
                 SELECT *, false FROM unnest($1::uuid[], $2::text[], $3::date[], $4::uuid[], $5::date[], $6::text[], $7::text[]) \
                 ON CONFLICT (elder_id, kind, first_day, campaign_id) DO NOTHING",
            )
            .bind(&elders)
            .bind(&kinds)
            .bind(&first_days)
            .bind(&campaigns)
            .bind(&last_days)
            .bind(&tiers)
            .bind(&villages)
            .execute(&mut *db)
            .await?;
        }
        if !self.late.is_empty() {
            let (elders, kinds, first_days, campaigns) = keys(self.late.iter());
            sqlx::query(
                "UPDATE missed SET met_late = true \
                 FROM unnest($1::uuid[], $2::text[], $3::date[], $4::uuid[]) AS met (elder_id, kind, first_day, campaign_id) \
                 WHERE missed.elder_id = met.elder_id AND missed.kind = met.kind AND missed.first_day = met.first_day \
                 AND missed.campaign_id = met.campaign_id",
            )
            .persistent(false)
            .bind(&elders)
            .bind(&kinds)
            .bind(&first_days)
            .bind(&campaigns)
            .execute(db)
            .await?;
        }
        Ok(())
    }
}

/// Duties as columns: elders, kinds, first days, campaigns.
type Keys = (Vec<Uuid>, Vec<&'static str>, Vec<NaiveDate>, Vec<Uuid>);

fn keys<'a>(duties: impl Iterator<Item = &'a Duty>) -> Keys {
    let mut keys = Keys::default();
    for duty in duties {
        keys.0.push(duty.elder.as_uuid());
        keys.1.push(duty.kind);
        keys.2.push(duty.first.date());
        keys.3.push(duty.campaign);
    }
    keys
}

/// How many duties of a division were missed of the periods that ended on some days, both included; also those that were met
/// late.
///
/// # Errors
/// The database's.
pub(crate) async fn missed(
    db: impl PgExecutor<'_>,
    division: &DivisionCode,
    first: LocalDay,
    last: LocalDay,
) -> Result<i64, sqlx::Error> {
    let statement = format!(
        "SELECT count(*) FROM {NAME}.missed WHERE village >= $1 AND village < $2 AND last_day BETWEEN $3 AND $4"
    );
    count(db, statement, division, first, last).await
}
