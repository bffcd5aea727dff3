//! The values that civil affairs speaks of: days, ages, ID numbers, divisions, telephones, money, and the terms of the registry.
//!
//! Each is parsed once, at the edge, and is valid from there on. Nothing here does I/O or reads a clock.
//!
//! Personal values ([`IdNumber`], [`PersonName`], [`Phone`], [`GeoPosition`]) have no `Display`, a `Debug`
//! that shows nothing of them, and errors that say what is wrong without repeating the value. Serde writes
//! them out in full: it is for what is sealed afterwards, or for an answer to a caller who may see it.
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests may unwrap"))]

mod handwriting;
mod serde_text;

mod age;
mod alert_terms;
mod claim_terms;
mod division;
mod elder_id;
mod elder_terms;
mod fen;
mod geo_position;
mod id_number;
mod local_day;
mod period;
mod person_name;
mod phone;
mod term;
mod timeline;
mod visit_terms;

pub use age::Age;
pub use alert_terms::{
    AlertKind, AlertOutcome, AwayReason, DeviceKind, HelpStage, NoticeChannel, RecipientRole,
    Severity, SignalKind,
};
pub use claim_terms::{
    AppealState, DepositKind, EntitlementUnit, EvidenceKind, FundAccount, HoldState,
    NotSettledReason, OrderCode, OrderStage, OrderState, SettlementStage,
};
pub use division::{DivisionCode, DivisionCodeError, DivisionLevel, VillageCode};
pub use elder_id::{ElderId, ElderIdError};
pub use elder_terms::{
    Assistance, CapabilityLevel, Category, CircumstanceKind, ConsentGiver, ConsentState,
    ElderStatus, HandicapGrade, HandicapGradeError, Observation, ServiceKind, Sex, VisitMode,
};
pub use fen::Fen;
pub use geo_position::{EARTH_RADIUS_METRES, GeoPosition, GeoPositionError};
pub use id_number::{IdNumber, IdNumberError};
pub use local_day::{LocalDay, LocalDayError, SHANGHAI};
pub use period::{CalendarMonth, IsoWeek, PeriodError};
pub use person_name::{PersonName, PersonNameError};
pub use phone::{Phone, PhoneError};
pub use term::{Set, Term, UnknownTerm};
pub use timeline::Timeline;
pub use visit_terms::{
    CampaignKind, Doubt, FindingKind, ReferralOutcome, SkipReason, UnplannedReason, VisitResult,
    VisitorKind,
};
