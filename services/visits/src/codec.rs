//! Events become wire bytes and back, here and nowhere else.

use chrono::{DateTime, Utc};
use civic::{
    CalendarMonth, CampaignKind, DivisionCode, Doubt, ElderId, FindingKind, IsoWeek, LocalDay,
    ReferralOutcome, Set, SkipReason, Term, UnplannedReason, VillageCode, VisitResult, VisitorKind,
};
use elders::codec::{read_day, write_day};
use eventlog::{DecodeError, RawEvent};
use prost::Message;
use proto::eldercare::r#type::v1 as types;
use proto::eldercare::visits::v1 as pb;
use uuid::Uuid;
use vault::Sealed;

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

/// A word of visits that has a protobuf enum.
pub trait VisitTerm: Term {
    /// The number on the wire.
    fn number(self) -> i32;

    /// The word of a number on the wire; none for 0 (unspecified) and for numbers that are not known.
    fn of_number(number: i32) -> Option<Self>;
}

macro_rules! visit_terms {
    ($($term:ident { $($word:ident),+ $(,)? })+) => {$(
        impl VisitTerm for $term {
            fn number(self) -> i32 {
                match self { $(Self::$word => pb::$term::$word.into()),+ }
            }

            fn of_number(number: i32) -> Option<Self> {
                match pb::$term::try_from(number).ok()? {
                    pb::$term::Unspecified => None,
                    $(pb::$term::$word => Some(Self::$word),)+
                }
            }
        }
    )+};
}

visit_terms! {
    VisitorKind {
        VillageCommittee, CareInstitution, SocialWorker, FamilyDoctor, ElderAssociation, PropertyCompany, Volunteer,
        StudentVolunteer, GridWorker, PartyVeteran, YoungerElder, NeighbourOrRelative, Courier,
    }
    VisitResult { Met, NotAtHome, RefusedAtDoor }
    Doubt { Overlap, ImpossibleTravel, LocationMismatch, EvidenceReused, ImplausibleVolume, TooShort }
    FindingKind {
        HousingHazard, PolicyEntitlement, Medical, MentalHealth, LegalSupport, DailyCare, Rehabilitation, HomeAdaptation,
        FraudRisk,
    }
    ReferralOutcome { Solved, Declined, Unfounded, Unsolved }
    CampaignKind { ExtremeWeather, Festival, Other }
    SkipReason { Away, AskedForAnotherWeek, ArrangedOtherwise, WayNotSafe }
    UnplannedReason {
        ConsentMissing, NoVisitorForMode, NoVisitorOnDays, CapacityExhausted, PinMode, PinConsent, PinDay, PinVisitor,
        PinCapacity, AwaitsPlanning,
    }
}

/// Doubts in the order of their numbers.
#[must_use]
pub fn write_doubts(doubts: Set<Doubt>) -> Vec<i32> {
    doubts.iter().map(VisitTerm::number).collect()
}

/// An instant on the wire.
#[must_use]
pub fn write_time(at: DateTime<Utc>) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: at.timestamp(),
        nanos: i32::try_from(at.timestamp_subsec_nanos()).unwrap_or_default(),
    }
}

/// An instant from the wire.
#[must_use]
pub fn read_time(at: prost_types::Timestamp) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(at.seconds, u32::try_from(at.nanos).ok()?)
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
    let first = message.first_day.and_then(read_day).ok_or_else(broken)?;
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

fn read<M: Message + Default>(raw: &RawEvent) -> Result<M, DecodeError> {
    M::decode(raw.data.clone()).map_err(|_broken| DecodeError::malformed("message"))
}

fn term<T: VisitTerm>(number: i32, field: &str) -> Result<T, DecodeError> {
    T::of_number(number).ok_or_else(|| DecodeError::malformed(field))
}

fn id(text: &str, field: &str) -> Result<Uuid, DecodeError> {
    Uuid::try_parse(text).map_err(|_text| DecodeError::malformed(field))
}

fn elder(text: &str) -> Result<ElderId, DecodeError> {
    text.parse()
        .map_err(|_text| DecodeError::malformed("elder_id"))
}

fn elder_ids(texts: &[String]) -> Result<Vec<ElderId>, DecodeError> {
    texts.iter().map(|text| elder(text)).collect()
}

fn division(text: &str) -> Result<DivisionCode, DecodeError> {
    text.parse()
        .map_err(|_code| DecodeError::malformed("division_code"))
}

fn village(text: &str) -> Result<VillageCode, DecodeError> {
    text.parse()
        .map_err(|_code| DecodeError::malformed("division_code"))
}

fn day(date: Option<types::Date>, field: &str) -> Result<LocalDay, DecodeError> {
    date.and_then(read_day)
        .ok_or_else(|| DecodeError::malformed(field))
}

fn envelope<T>(sealed: &Sealed<T>) -> types::Sealed {
    types::Sealed::from(sealed)
}

fn sealed<T>(envelope: types::Sealed, field: &str) -> Result<Sealed<T>, DecodeError> {
    envelope
        .try_into()
        .map_err(|_broken| DecodeError::malformed(field))
}

#[cfg(test)]
mod tests;
