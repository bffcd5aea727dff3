//! Events become wire bytes and back, here and nowhere else.

use chrono::{DateTime, Utc};
use civic::{
    CalendarMonth, CampaignKind, DivisionCode, Doubt, ElderId, FindingKind, IsoWeek, LocalDay,
    ReferralOutcome, Set, SkipReason, Term, UnplannedReason, VillageCode, VisitResult, VisitorKind,
};
use elders::codec::{read_day, write_day};
use elders::terms::{WireTerm, set_from_wire, wire_set};
use eventlog::{Aggregate, DecodeError, RawEvent};
use prost::{Message, Name};
use proto::eldercare::r#type::v1 as types;
use proto::eldercare::visits::v1 as pb;
use uuid::Uuid;
use vault::Sealed;

use crate::campaign::{self, Announced, Campaign, Selection};
use crate::elder_year::{self, ElderYear, Finding, Missed, Recorded};
use crate::period::{CampaignDays, Period};
use crate::visiting::{self, Visiting};
use crate::visitor::{self, Profile, Visitor};

pub mod week_plan;

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

impl Aggregate for Visitor {
    const CONTEXT: &'static str = CONTEXT;
    const NAME: &'static str = "visitor";

    fn encode(event: &visitor::Event) -> RawEvent {
        match event {
            visitor::Event::Registered {
                visitor,
                profile,
                active_from,
            } => RawEvent::of(&pb::VisitorRegistered {
                visitor_id: visitor.to_string(),
                kind: profile.kind.number(),
                home_division_code: profile.home.to_string(),
                weekly_capacity: i32::from(profile.weekly_capacity),
                modes: wire_set(profile.modes),
                active_from: Some(write_day(*active_from)),
                name: Some(envelope(&profile.name)),
            }),
            visitor::Event::Updated { visitor, profile } => RawEvent::of(&pb::VisitorUpdated {
                visitor_id: visitor.to_string(),
                kind: profile.kind.number(),
                home_division_code: profile.home.to_string(),
                weekly_capacity: i32::from(profile.weekly_capacity),
                modes: wire_set(profile.modes),
                name: Some(envelope(&profile.name)),
            }),
            visitor::Event::Retired { visitor, last_day } => RawEvent::of(&pb::VisitorRetired {
                visitor_id: visitor.to_string(),
                last_day: Some(write_day(*last_day)),
            }),
            visitor::Event::Paired {
                visitor,
                elders,
                since,
            } => RawEvent::of(&pb::EldersPaired {
                visitor_id: visitor.to_string(),
                elder_ids: elders.iter().map(ToString::to_string).collect(),
                since: Some(write_day(*since)),
            }),
            visitor::Event::Unpaired {
                visitor,
                elders,
                last_day,
            } => RawEvent::of(&pb::PairingEnded {
                visitor_id: visitor.to_string(),
                elder_ids: elders.iter().map(ToString::to_string).collect(),
                last_day: Some(write_day(*last_day)),
            }),
        }
    }

    fn decode(raw: &RawEvent) -> Result<visitor::Event, DecodeError> {
        let name = raw.event_type.as_str();
        if name == pb::VisitorRegistered::full_name() {
            let message: pb::VisitorRegistered = read(raw)?;
            Ok(visitor::Event::Registered {
                visitor: id(&message.visitor_id, "visitor_id")?,
                profile: Box::new(profile(
                    message.kind,
                    &message.home_division_code,
                    message.weekly_capacity,
                    &message.modes,
                    message.name,
                )?),
                active_from: day(message.active_from, "active_from")?,
            })
        } else if name == pb::VisitorUpdated::full_name() {
            let message: pb::VisitorUpdated = read(raw)?;
            Ok(visitor::Event::Updated {
                visitor: id(&message.visitor_id, "visitor_id")?,
                profile: Box::new(profile(
                    message.kind,
                    &message.home_division_code,
                    message.weekly_capacity,
                    &message.modes,
                    message.name,
                )?),
            })
        } else if name == pb::VisitorRetired::full_name() {
            let message: pb::VisitorRetired = read(raw)?;
            Ok(visitor::Event::Retired {
                visitor: id(&message.visitor_id, "visitor_id")?,
                last_day: day(message.last_day, "last_day")?,
            })
        } else if name == pb::EldersPaired::full_name() {
            let message: pb::EldersPaired = read(raw)?;
            Ok(visitor::Event::Paired {
                visitor: id(&message.visitor_id, "visitor_id")?,
                elders: elder_ids(&message.elder_ids)?,
                since: day(message.since, "since")?,
            })
        } else if name == pb::PairingEnded::full_name() {
            let message: pb::PairingEnded = read(raw)?;
            Ok(visitor::Event::Unpaired {
                visitor: id(&message.visitor_id, "visitor_id")?,
                elders: elder_ids(&message.elder_ids)?,
                last_day: day(message.last_day, "last_day")?,
            })
        } else {
            Err(DecodeError::unknown(raw))
        }
    }
}

impl Aggregate for Visiting {
    const CONTEXT: &'static str = CONTEXT;
    const NAME: &'static str = "visiting";

    fn encode(event: &visiting::Event) -> RawEvent {
        match event {
            visiting::Event::Started { division, on } => RawEvent::of(&pb::VisitingStarted {
                division_code: division.to_string(),
                on: Some(write_day(*on)),
            }),
            visiting::Event::Closed {
                division,
                period,
                duties,
                missed,
            } => RawEvent::of(&pb::PeriodClosed {
                division_code: division.to_string(),
                period: Some(write_period(*period)),
                duties: duties.cast_signed(),
                missed: missed.cast_signed(),
            }),
        }
    }

    fn decode(raw: &RawEvent) -> Result<visiting::Event, DecodeError> {
        let name = raw.event_type.as_str();
        if name == pb::VisitingStarted::full_name() {
            let message: pb::VisitingStarted = read(raw)?;
            Ok(visiting::Event::Started {
                division: division(&message.division_code)?,
                on: day(message.on, "on")?,
            })
        } else if name == pb::PeriodClosed::full_name() {
            let message: pb::PeriodClosed = read(raw)?;
            Ok(visiting::Event::Closed {
                division: division(&message.division_code)?,
                period: period(message.period)?,
                duties: message.duties.cast_unsigned(),
                missed: message.missed.cast_unsigned(),
            })
        } else {
            Err(DecodeError::unknown(raw))
        }
    }
}

impl Aggregate for Campaign {
    const CONTEXT: &'static str = CONTEXT;
    const NAME: &'static str = "campaign";

    fn encode(event: &campaign::Event) -> RawEvent {
        match event {
            campaign::Event::Started(announced) => RawEvent::of(&pb::CampaignStarted {
                campaign_id: announced.campaign.to_string(),
                division_code: announced.division.to_string(),
                kind: announced.kind.number(),
                name: announced.name.clone(),
                first_day: Some(write_day(announced.first)),
                last_day: Some(write_day(announced.last)),
                selection: Some(write_selection(&announced.selection)),
            }),
            campaign::Event::Ended { campaign, last } => RawEvent::of(&pb::CampaignEnded {
                campaign_id: campaign.to_string(),
                last_day: Some(write_day(*last)),
            }),
            campaign::Event::Closed {
                campaign,
                duties,
                missed,
            } => RawEvent::of(&pb::CampaignClosed {
                campaign_id: campaign.to_string(),
                duties: duties.cast_signed(),
                missed: missed.cast_signed(),
            }),
        }
    }

    fn decode(raw: &RawEvent) -> Result<campaign::Event, DecodeError> {
        let name = raw.event_type.as_str();
        if name == pb::CampaignStarted::full_name() {
            let message: pb::CampaignStarted = read(raw)?;
            let selection = message.selection.unwrap_or_default();
            Ok(campaign::Event::Started(Box::new(Announced {
                campaign: id(&message.campaign_id, "campaign_id")?,
                division: division(&message.division_code)?,
                kind: term(message.kind, "kind")?,
                name: message.name,
                first: day(message.first_day, "first_day")?,
                last: day(message.last_day, "last_day")?,
                selection: Selection {
                    tiers: selection.tiers,
                    condition: selection.condition,
                },
            })))
        } else if name == pb::CampaignEnded::full_name() {
            let message: pb::CampaignEnded = read(raw)?;
            Ok(campaign::Event::Ended {
                campaign: id(&message.campaign_id, "campaign_id")?,
                last: day(message.last_day, "last_day")?,
            })
        } else if name == pb::CampaignClosed::full_name() {
            let message: pb::CampaignClosed = read(raw)?;
            Ok(campaign::Event::Closed {
                campaign: id(&message.campaign_id, "campaign_id")?,
                duties: message.duties.cast_unsigned(),
                missed: message.missed.cast_unsigned(),
            })
        } else {
            Err(DecodeError::unknown(raw))
        }
    }
}

impl Aggregate for ElderYear {
    const CONTEXT: &'static str = CONTEXT;
    const NAME: &'static str = "year";

    fn encode(event: &elder_year::Event) -> RawEvent {
        match event {
            elder_year::Event::Recorded(recorded) => RawEvent::of(&write_recorded(recorded)),
            elder_year::Event::Doubted { record, doubts } => RawEvent::of(&pb::RecordDoubted {
                record_id: record.to_string(),
                doubts: write_doubts(*doubts),
            }),
            elder_year::Event::Confirmed { record } => RawEvent::of(&pb::RecordConfirmed {
                record_id: record.to_string(),
            }),
            elder_year::Event::Rejected { record } => RawEvent::of(&pb::RecordRejected {
                record_id: record.to_string(),
            }),
            elder_year::Event::DutyMet {
                elder,
                period,
                record,
                late,
            } => RawEvent::of(&pb::DutyMet {
                elder_id: elder.to_string(),
                period: Some(write_period(*period)),
                record_id: record.to_string(),
                late: *late,
            }),
            elder_year::Event::Missed(missed) => RawEvent::of(&pb::VisitMissed {
                elder_id: missed.elder.to_string(),
                period: Some(write_period(missed.period)),
                tier: missed.tier.clone(),
                division_code: missed.village.to_string(),
                blocked_by_consent: missed.blocked_by_consent,
            }),
            elder_year::Event::ReferralOpened {
                referral,
                record,
                finding,
            } => RawEvent::of(&pb::ReferralOpened {
                referral_id: referral.to_string(),
                record_id: record.to_string(),
                finding: Some(pb::Finding {
                    kind: finding.kind.number(),
                    note: finding.note.as_ref().map(envelope),
                }),
            }),
            elder_year::Event::ReferralAnswered {
                referral,
                department,
                answer,
            } => RawEvent::of(&pb::ReferralAnswered {
                referral_id: referral.to_string(),
                department: department.clone(),
                answer: Some(envelope(answer)),
            }),
            elder_year::Event::ReferralClosed { referral, outcome } => {
                RawEvent::of(&pb::ReferralClosed {
                    referral_id: referral.to_string(),
                    outcome: outcome.number(),
                })
            }
        }
    }

    fn decode(raw: &RawEvent) -> Result<elder_year::Event, DecodeError> {
        let name = raw.event_type.as_str();
        if name == pb::VisitRecorded::full_name() {
            Ok(elder_year::Event::Recorded(Box::new(recorded(read(raw)?)?)))
        } else if name == pb::RecordDoubted::full_name() {
            let message: pb::RecordDoubted = read(raw)?;
            Ok(elder_year::Event::Doubted {
                record: id(&message.record_id, "record_id")?,
                doubts: message
                    .doubts
                    .iter()
                    .map(|doubt| Doubt::of_number(*doubt))
                    .collect::<Option<_>>()
                    .ok_or_else(|| DecodeError::malformed("doubts"))?,
            })
        } else if name == pb::RecordConfirmed::full_name() {
            let message: pb::RecordConfirmed = read(raw)?;
            Ok(elder_year::Event::Confirmed {
                record: id(&message.record_id, "record_id")?,
            })
        } else if name == pb::RecordRejected::full_name() {
            let message: pb::RecordRejected = read(raw)?;
            Ok(elder_year::Event::Rejected {
                record: id(&message.record_id, "record_id")?,
            })
        } else if name == pb::DutyMet::full_name() {
            let message: pb::DutyMet = read(raw)?;
            Ok(elder_year::Event::DutyMet {
                elder: elder(&message.elder_id)?,
                period: period(message.period)?,
                record: id(&message.record_id, "record_id")?,
                late: message.late,
            })
        } else if name == pb::VisitMissed::full_name() {
            let message: pb::VisitMissed = read(raw)?;
            Ok(elder_year::Event::Missed(Missed {
                elder: elder(&message.elder_id)?,
                period: period(message.period)?,
                tier: message.tier,
                village: village(&message.division_code)?,
                blocked_by_consent: message.blocked_by_consent,
            }))
        } else if name == pb::ReferralOpened::full_name() {
            let message: pb::ReferralOpened = read(raw)?;
            let finding = message
                .finding
                .ok_or_else(|| DecodeError::malformed("finding"))?;
            Ok(elder_year::Event::ReferralOpened {
                referral: id(&message.referral_id, "referral_id")?,
                record: id(&message.record_id, "record_id")?,
                finding: Finding {
                    kind: term(finding.kind, "kind")?,
                    note: finding.note.map(|note| sealed(note, "note")).transpose()?,
                },
            })
        } else if name == pb::ReferralAnswered::full_name() {
            let message: pb::ReferralAnswered = read(raw)?;
            let answer = message
                .answer
                .ok_or_else(|| DecodeError::malformed("answer"))?;
            Ok(elder_year::Event::ReferralAnswered {
                referral: id(&message.referral_id, "referral_id")?,
                department: message.department,
                answer: sealed(answer, "answer")?,
            })
        } else if name == pb::ReferralClosed::full_name() {
            let message: pb::ReferralClosed = read(raw)?;
            Ok(elder_year::Event::ReferralClosed {
                referral: id(&message.referral_id, "referral_id")?,
                outcome: term(message.outcome, "outcome")?,
            })
        } else {
            Err(DecodeError::unknown(raw))
        }
    }
}

fn write_recorded(recorded: &Recorded) -> pb::VisitRecorded {
    pb::VisitRecorded {
        record_id: recorded.record.to_string(),
        elder_id: recorded.elder.to_string(),
        visitor_id: recorded.visitor.to_string(),
        mode: recorded.mode.wire(),
        result: recorded.result.number(),
        start_time: Some(write_time(recorded.start)),
        end_time: Some(write_time(recorded.end)),
        services: wire_set(recorded.services),
        signed: recorded.signed,
        check_in: recorded.check_in.as_ref().map(envelope),
        remarks: recorded.remarks.as_ref().map(envelope),
        photo_hashes: recorded
            .photos
            .iter()
            .map(|photo| photo.to_vec().into())
            .collect(),
        division_code: recorded.village.to_string(),
    }
}

fn recorded(message: pb::VisitRecorded) -> Result<Recorded, DecodeError> {
    let time = |time: Option<prost_types::Timestamp>, field: &str| {
        time.and_then(read_time)
            .ok_or_else(|| DecodeError::malformed(field))
    };
    Ok(Recorded {
        record: id(&message.record_id, "record_id")?,
        elder: elder(&message.elder_id)?,
        visitor: id(&message.visitor_id, "visitor_id")?,
        mode: WireTerm::from_wire(message.mode).ok_or_else(|| DecodeError::malformed("mode"))?,
        result: term(message.result, "result")?,
        start: time(message.start_time, "start_time")?,
        end: time(message.end_time, "end_time")?,
        services: set_from_wire(&message.services)
            .map_err(|_index| DecodeError::malformed("services"))?,
        signed: message.signed,
        check_in: message
            .check_in
            .map(|check_in| sealed(check_in, "check_in"))
            .transpose()?,
        remarks: message
            .remarks
            .map(|remarks| sealed(remarks, "remarks"))
            .transpose()?,
        photos: message
            .photo_hashes
            .iter()
            .map(|photo| photo.as_ref().try_into())
            .collect::<Result<_, _>>()
            .map_err(|_length| DecodeError::malformed("photo_hashes"))?,
        village: village(&message.division_code)?,
    })
}

fn profile(
    kind: i32,
    home: &str,
    capacity: i32,
    modes: &[i32],
    name: Option<types::Sealed>,
) -> Result<Profile, DecodeError> {
    Ok(Profile {
        kind: term(kind, "kind")?,
        home: home
            .parse()
            .map_err(|_code| DecodeError::malformed("home_division_code"))?,
        weekly_capacity: u16::try_from(capacity)
            .map_err(|_number| DecodeError::malformed("weekly_capacity"))?,
        modes: set_from_wire(modes).map_err(|_index| DecodeError::malformed("modes"))?,
        name: sealed(name.ok_or_else(|| DecodeError::malformed("name"))?, "name")?,
    })
}

/// Whom a campaign is for, as a protobuf message.
#[must_use]
pub fn write_selection(selection: &Selection) -> pb::CampaignSelection {
    pb::CampaignSelection {
        tiers: selection.tiers.clone(),
        condition: selection.condition.clone(),
    }
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
