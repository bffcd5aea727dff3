//! Events become wire bytes and back, here and nowhere else.

use civic::{CalendarMonth, ElderId, IsoWeek};
use elders::codec::write_day;
use elders::wire::{day, elder, id};
use eventlog::DecodeError;
use proto::eldercare::visits::v1 as pb;

use crate::period::{CampaignDays, Period};

mod campaign;
mod elder_year;
mod visiting;
mod visitor;
pub mod week_plan;

pub use campaign::write_selection;

/// The context that owns all aggregates.
pub const CONTEXT: &str = "visits";

/// What each sealed field is sealed for: a ciphertext opens only for its own purpose.
pub mod purpose {
    /// A visitor's name and telephone number.
    pub const VISITOR: &str = "visits.visitor";
    /// Where a visitor checked in.
    pub const CHECK_IN: &str = "visits.check_in";
    /// Remarks of a record.
    pub const REMARKS: &str = "visits.remarks";
    /// More about a finding.
    pub const FINDING: &str = "visits.finding";
    /// A department's answer to a referral.
    pub const ANSWER: &str = "visits.answer";
}

/// A period as a protobuf message.
#[must_use]
pub fn write_period(period: Period) -> pb::Period {
    let kind = match period {
        Period::Week(_) => pb::PeriodKind::Week,
        Period::Month(_) => pb::PeriodKind::Month,
        Period::Campaign(_) => pb::PeriodKind::Campaign,
    };
    let campaign = match period {
        Period::Week(_) | Period::Month(_) => None,
        Period::Campaign(days) => Some(days),
    };
    pb::Period {
        kind: kind.into(),
        first_day: Some(write_day(period.first_day())),
        last_day: campaign.map(|days| write_day(days.last)),
        campaign_id: campaign.map_or_else(String::new, |days| days.campaign.to_string()),
    }
}

fn period(message: Option<pb::Period>) -> Result<Period, DecodeError> {
    let broken = || DecodeError::malformed("period");
    let message = message.ok_or_else(broken)?;
    let first = day(message.first_day, "period")?;
    let period = match pb::PeriodKind::try_from(message.kind) {
        Ok(pb::PeriodKind::Week) => Period::Week(IsoWeek::of(first)),
        Ok(pb::PeriodKind::Month) => Period::Month(CalendarMonth::of(first)),
        Ok(pb::PeriodKind::Campaign) => Period::Campaign(CampaignDays {
            campaign: id(&message.campaign_id, "campaign_id")?,
            first,
            last: day(message.last_day, "last_day")?,
        }),
        Ok(pb::PeriodKind::Unspecified) | Err(_) => return Err(broken()),
    };
    (period.first_day() == first)
        .then_some(period)
        .ok_or_else(broken)
}

fn elder_ids(texts: &[String]) -> Result<Vec<ElderId>, DecodeError> {
    texts.iter().map(|text| elder(text)).collect()
}

#[cfg(test)]
mod tests;
