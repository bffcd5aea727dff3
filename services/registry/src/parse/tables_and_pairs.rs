//! Commands about pairs of elders and about counties' tables, as they arrive.

use civic::{DivisionCode, DivisionLevel, ElderId};
use elders::event::Merge;
use proto::eldercare::registry::v1 as pb;
use service::Checks;
use tonic::Status;
use uuid::Uuid;

use super::fields;
use crate::{
    divisions::{Division, Publish},
    duplicate::Pair,
};

/// A command about two elders.
#[derive(Clone, Debug)]
pub(crate) struct Paired<T> {
    pub(crate) request_id: Uuid,
    pub(crate) pair: Pair,
    pub(crate) what: T,
}

/// A county's table of divisions.
#[derive(Clone, Debug)]
pub(crate) struct DivisionTable {
    pub(crate) request_id: Uuid,
    /// The county whose table it is.
    pub(crate) county: DivisionCode,
    pub(crate) publish: Publish,
}

pub(crate) fn report_duplicate(
    request: pb::ReportDuplicateRequest,
) -> Result<Paired<String>, Status> {
    reasoned_pair(
        &request.request_id,
        &request.elder_id,
        &request.other_elder_id,
        &request.reason,
    )
}

pub(crate) fn dismiss_duplicate(
    request: pb::DismissDuplicateRequest,
) -> Result<Paired<String>, Status> {
    reasoned_pair(
        &request.request_id,
        &request.elder_id,
        &request.other_elder_id,
        &request.reason,
    )
}

fn reasoned_pair(
    request_id: &str,
    elder: &str,
    other: &str,
    reason: &str,
) -> Result<Paired<String>, Status> {
    let mut checks = Checks::new();
    let request_id = checks.request_id(request_id);
    let elder = fields::elder_id(&mut checks, "elder_id", elder);
    let other = fields::elder_id(&mut checks, "other_elder_id", other);
    let pair = pair(&mut checks, "other_elder_id", elder, other);
    let what = fields::code(&mut checks, "reason", reason);
    let (request_id, pair, what) = checks.all((request_id, pair, what))?;
    Ok(Paired {
        request_id,
        pair,
        what,
    })
}

fn pair(
    checks: &mut Checks,
    field: &str,
    one: Option<ElderId>,
    other: Option<ElderId>,
) -> Option<Pair> {
    let pair = Pair::of(one?, other?);
    checks.that(
        pair.is_some(),
        field,
        "SAME_ELDER",
        "is the same elder",
        "两份档案相同",
    );
    pair
}

pub(crate) fn merge(request: pb::MergeEldersRequest) -> Result<Paired<Merge>, Status> {
    merging(
        &request.request_id,
        &request.surviving_elder_id,
        &request.merged_elder_id,
        &request.reason,
    )
}

pub(crate) fn unmerge(request: pb::UnmergeEldersRequest) -> Result<Paired<Merge>, Status> {
    merging(
        &request.request_id,
        &request.surviving_elder_id,
        &request.merged_elder_id,
        &request.reason,
    )
}

fn merging(
    request_id: &str,
    surviving: &str,
    merged: &str,
    reason: &str,
) -> Result<Paired<Merge>, Status> {
    let mut checks = Checks::new();
    let request_id = checks.request_id(request_id);
    let surviving = fields::elder_id(&mut checks, "surviving_elder_id", surviving);
    let merged = fields::elder_id(&mut checks, "merged_elder_id", merged);
    let pair = pair(&mut checks, "merged_elder_id", surviving, merged);
    let reason = fields::code(&mut checks, "reason", reason);
    let (request_id, pair, surviving, merged, reason) =
        checks.all((request_id, pair, surviving, merged, reason))?;
    Ok(Paired {
        request_id,
        pair,
        what: Merge {
            surviving,
            merged,
            reason,
        },
    })
}

/// The most divisions of a county.
const MOST_DIVISIONS: usize = 20_000;

pub(crate) fn import_divisions(
    request: pb::ImportDivisionsRequest,
) -> Result<DivisionTable, Status> {
    let mut checks = Checks::new();
    let request_id = checks.request_id(&request.request_id);
    checks.count("divisions", request.divisions.len(), 1..=MOST_DIVISIONS);
    let divisions: Vec<_> = request
        .divisions
        .iter()
        .take(MOST_DIVISIONS)
        .enumerate()
        .map(|(place, division)| {
            checks.within(&format!("divisions[{place}]"), |checks| {
                let code = checks.division("code", &division.code);
                let name = checks.string("name", &division.name, 1..=64);
                // Level and parent follow from the code; where they are given they must agree with it.
                if let Some(code) = &code {
                    let parent = code
                        .parent()
                        .map(|parent| parent.to_string())
                        .unwrap_or_default();
                    let county = code.level() == DivisionLevel::County;
                    checks.that(
                        division.parent == parent || division.parent.is_empty() && county,
                        "parent",
                        "PARENT_INVALID",
                        "is not the division right above the code",
                        "与代码的上级不符",
                    );
                }
                Some(Division {
                    code: code?,
                    name: name?,
                })
            })
        })
        .collect();
    let divisions = divisions.into_iter().collect::<Option<Vec<_>>>();
    let (request_id, divisions) = checks.all((request_id, divisions))?;
    let county = divisions
        .iter()
        .map(|division| division.code)
        .find(|code| code.level() == DivisionLevel::County);
    let county = county
        .ok_or_else(|| crate::refusals::of_divisions(&crate::divisions::Refusal::CountyMissing))?;
    Ok(DivisionTable {
        request_id,
        county,
        publish: Publish(divisions),
    })
}
