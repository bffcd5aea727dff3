//! The words of the domain as protobuf enums, and back.

use civic::{
    AlertKind, AlertOutcome, AppealState, Assistance, AwayReason, CampaignKind, CapabilityLevel,
    Category, CircumstanceKind, ConsentGiver, ConsentState, DepositKind, DeviceKind, Doubt,
    ElderStatus, EntitlementUnit, EvidenceKind, FindingKind, FundAccount, HoldState,
    NotSettledReason, NoticeChannel, Observation, OrderCode, OrderState, RecipientRole,
    ReferralOutcome, ServiceKind, Set, SettlementStage, Severity, Sex, SignalKind, SkipReason,
    Term, UnplannedReason, VisitMode, VisitResult, VisitorKind,
};
use proto::eldercare::alerts::v1 as alerts;
use proto::eldercare::claims::v1 as claims;
use proto::eldercare::r#type::v1 as types;
use proto::eldercare::visits::v1 as visits;

/// A word of the domain that has a protobuf enum.
pub trait WireTerm: Term {
    /// The number on the wire.
    fn wire(self) -> i32;

    /// The word of a number on the wire; none for 0 (unspecified) and for numbers that are not known.
    fn from_wire(number: i32) -> Option<Self>;
}

/// The numbers of a set's words, in the list's order.
#[must_use]
pub fn wire_set<T: WireTerm>(set: Set<T>) -> Vec<i32> {
    set.iter().map(T::wire).collect()
}

/// The set of these words; the place of the first that is not known otherwise.
///
/// # Errors
/// The index of the first number that is no known word.
pub fn set_from_wire<T: WireTerm>(numbers: &[i32]) -> Result<Set<T>, usize> {
    numbers
        .iter()
        .enumerate()
        .map(|(index, number)| T::from_wire(*number).ok_or(index))
        .collect()
}

macro_rules! wire_terms {
    ($pb:ident: $($term:ident { $($word:ident),+ $(,)? })+) => {$(
        impl WireTerm for $term {
            fn wire(self) -> i32 {
                match self { $(Self::$word => $pb::$term::$word.into()),+ }
            }

            fn from_wire(number: i32) -> Option<Self> {
                match $pb::$term::try_from(number).ok()? {
                    $pb::$term::Unspecified => None,
                    $($pb::$term::$word => Some(Self::$word),)+
                }
            }
        }
    )+};
}

wire_terms! { claims:
    OrderCode {
        NotEnrolled, NotEntitled, NotAliveOrPresent, ProviderInvalid, DurationShort, ItemsInvalid, LocationMismatch,
        EvidenceMissing, EvidenceReused, CaregiverOverlap, DuplicateService, LateSubmission, QuotaExceeded,
    }
    OrderState { Waiting, Approved, AbnormalOpen, NotSettled }
    AppealState { Pending, Accepted, AcceptedOverQuota, Refused }
    NotSettledReason { NoAppeal, AppealRefused, QuotaExceeded, Withdrawn }
    HoldState { OnHold, Kept, Withdrawn, ForRecovery, Recovered }
    EvidenceKind { Video, Photo }
    DepositKind { Premium, Grant }
    SettlementStage { Draft, Confirmed, Paid }
    EntitlementUnit { Services, Minutes }
    FundAccount { Cash, Premiums, Grants, Benefits, Payable }
}

wire_terms! { types:
    Sex { Female, Male }
    Category { LivingAlone, EmptyNest, LeftBehind, Disabled, SeverelyHandicapped, SpecialFamily }
    Assistance { ExtremePoverty, MinimumLiving, MinimumLivingMarginal, PreferentialTreatment, FiveVeterans }
    CapabilityLevel { Unassessed, Intact, Mild, Moderate, Severe, Total }
    Observation { Bedridden, MobilityImpaired, Dementia }
    CircumstanceKind { FamilyChange, NaturalDisaster, Accident, PublicHealthEvent, LifeDifficulty, PoorHealth }
    ConsentState { Unknown, Granted, Refused }
    ConsentGiver { Elder, Supporter }
    ServiceKind { HealthManagement, HomeSafety, DailyCare, RehabilitationNursing, SpiritualComfort, EnvironmentSanitation, EmergencyRescue, RecreationSports, Other }
    VisitMode { Home, Phone, Online, Encounter }
    ElderStatus { Active, MovedOut, Deceased, Erased }
}

wire_terms! { alerts:
    DeviceKind { SosPhone, SosButton, SmokeDetector, GasDetector, WaterMeter, FallDetector, DoorSensor, PowerMonitor, Camera }
    SignalKind { Press, Alarm, AlarmCleared, Flow, Heartbeat, Position, LowBattery, Tamper }
    AlertKind { Sos, Fire, GasLeak, Fall, Inactivity, DeviceOffline, DeviceFault, VisitMissed }
    Severity { Critical, High, Low, Notice }
    AlertOutcome { Rescued, Assisted, FalseAlarm, NoOneHome, Deceased, SelfCleared }
    AwayReason { Hospital, Family, Travel }
    NoticeChannel { Sms, Voice, Push, Webhook, Log, Record }
    RecipientRole { EmergencyContact, GridWorker, VillageCommittee, Town, DutyCentre, Maintainer, FireService }
}

wire_terms! { visits:
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

#[cfg(test)]
mod tests {
    use super::*;

    fn every_word_survives<T: WireTerm>() {
        for word in T::ALL {
            assert_eq!(T::from_wire(word.wire()), Some(*word));
        }
        assert_eq!(T::from_wire(0), None);
        assert_eq!(T::from_wire(999), None);
    }

    #[test]
    fn words_survive_the_wire() {
        every_word_survives::<Sex>();
        every_word_survives::<Category>();
        every_word_survives::<Assistance>();
        every_word_survives::<CapabilityLevel>();
        every_word_survives::<Observation>();
        every_word_survives::<CircumstanceKind>();
        every_word_survives::<ConsentState>();
        every_word_survives::<ConsentGiver>();
        every_word_survives::<ServiceKind>();
        every_word_survives::<VisitMode>();
        every_word_survives::<ElderStatus>();
        every_word_survives::<DeviceKind>();
        every_word_survives::<SignalKind>();
        every_word_survives::<AlertKind>();
        every_word_survives::<Severity>();
        every_word_survives::<AlertOutcome>();
        every_word_survives::<AwayReason>();
        every_word_survives::<NoticeChannel>();
        every_word_survives::<RecipientRole>();
        every_word_survives::<VisitorKind>();
        every_word_survives::<VisitResult>();
        every_word_survives::<Doubt>();
        every_word_survives::<FindingKind>();
        every_word_survives::<ReferralOutcome>();
        every_word_survives::<CampaignKind>();
        every_word_survives::<SkipReason>();
        every_word_survives::<UnplannedReason>();
    }

    #[test]
    fn an_unknown_word_is_named_by_its_place() {
        assert_eq!(set_from_wire::<Category>(&[1, 2, 99]), Err(2));
    }
}
