//! What became of a row, in the words of the answer. It holds nothing personal.

use civic::ElderId;
use proto::eldercare::registry::v1 as pb;

use super::{
    Column,
    candidate::Candidate,
    verdict::{Rejection, Warning},
};

/// What became of a row.
pub(super) struct Outcome {
    pub(super) row: pb::RowOutcome,
    pub(super) elder: Option<ElderId>,
    pub(super) position: Option<u64>,
}

pub(super) fn accepted(
    candidate: &Candidate,
    elder: Option<ElderId>,
    position: Option<u64>,
) -> Outcome {
    Outcome {
        row: with_warnings(candidate, pb::SurveyOutcome::Accepted, elder),
        elder,
        position,
    }
}

/// `elder` is absent where it is in the charge of others, and in a dry run whose own rows would have registered it.
pub(super) fn duplicate(candidate: &Candidate, elder: Option<ElderId>) -> Outcome {
    let row = pb::RowOutcome {
        row: number(candidate.row),
        outcome: pb::SurveyOutcome::Duplicate.into(),
        elder_id: elder.map(|elder| elder.to_string()).unwrap_or_default(),
        column: Column::IdNumber.header().to_owned(),
        ..pb::RowOutcome::default()
    };
    Outcome {
        row,
        elder,
        position: None,
    }
}

pub(super) fn rejected(row: u32, rejection: Rejection) -> Outcome {
    let row = pb::RowOutcome {
        row: number(row),
        outcome: pb::SurveyOutcome::Rejected.into(),
        rejection: wire_rejection(rejection).into(),
        column: rejection.column().header().to_owned(),
        ..pb::RowOutcome::default()
    };
    Outcome {
        row,
        elder: None,
        position: None,
    }
}

pub(super) fn with_warnings(
    candidate: &Candidate,
    outcome: pb::SurveyOutcome,
    elder: Option<ElderId>,
) -> pb::RowOutcome {
    let column = candidate
        .warnings
        .first()
        .map(|warning| warning.column().header().to_owned());
    pb::RowOutcome {
        row: number(candidate.row),
        outcome: outcome.into(),
        warnings: candidate
            .warnings
            .iter()
            .map(|warning| wire_warning(*warning).into())
            .collect(),
        elder_id: elder.map(|elder| elder.to_string()).unwrap_or_default(),
        column: column.unwrap_or_default(),
        ..pb::RowOutcome::default()
    }
}

fn wire_rejection(rejection: Rejection) -> pb::SurveyRejection {
    match rejection {
        Rejection::NameMissing => pb::SurveyRejection::NameMissing,
        Rejection::IdInvalid => pb::SurveyRejection::IdInvalid,
        Rejection::AgeOutOfRange => pb::SurveyRejection::AgeOutOfRange,
        Rejection::CategoryMissing => pb::SurveyRejection::CategoryMissing,
        Rejection::CategoryUnknown => pb::SurveyRejection::CategoryUnknown,
        Rejection::CapabilityUnknown => pb::SurveyRejection::CapabilityUnknown,
        Rejection::VillageUnknown => pb::SurveyRejection::VillageUnknown,
        Rejection::IdentityConflict => pb::SurveyRejection::IdentityConflict,
    }
}

fn wire_warning(warning: Warning) -> pb::SurveyWarning {
    match warning {
        Warning::SexMismatch => pb::SurveyWarning::SexMismatch,
        Warning::AgeMismatch => pb::SurveyWarning::AgeMismatch,
        Warning::CapabilityBlank => pb::SurveyWarning::CapabilityBlank,
        Warning::PhoneInvalid => pb::SurveyWarning::PhoneInvalid,
        Warning::GradeConflict => pb::SurveyWarning::GradeConflict,
    }
}

/// A row's number on the wire; a sheet has a million rows at the most.
fn number(row: u32) -> i32 {
    i32::try_from(row).unwrap_or(i32::MAX)
}
