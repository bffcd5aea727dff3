//! What is said of a visitor.

use civic::{DivisionLevel, Set, VisitMode, VisitorKind};
use elders::terms::set_from_wire;
use proto::eldercare::visits::v1 as pb;
use service::Checks;

use super::unknown;
use crate::codec::VisitTerm as _;
use crate::visitors::{Change, Said};

/// The most visits a week.
const MOST_VISITS: i32 = 200;

pub(super) fn said(checks: &mut Checks, visitor: &pb::Visitor) -> Option<Said> {
    let all = change(
        checks,
        visitor,
        &[
            "kind",
            "name",
            "phone",
            "home_division_code",
            "weekly_capacity",
            "modes",
        ],
    );
    Some(Said {
        kind: all.kind?,
        name: all.name?,
        phone: all.phone?,
        home: all.home?,
        weekly_capacity: all.weekly_capacity?,
        modes: all.modes?,
    })
}

/// Those fields of a visitor that are named.
pub(super) fn change(checks: &mut Checks, visitor: &pb::Visitor, named: &[&str]) -> Change {
    let is = |field: &str| named.contains(&field);
    let mut change = Change::default();
    if is("kind") {
        let kind = checks.known::<pb::VisitorKind>("kind", visitor.kind);
        change.kind = kind.and_then(|kind| VisitorKind::of_number(kind.into()));
    }
    if is("name") {
        change.name = checks.string("name", &visitor.name, 1..=64);
    }
    if is("phone") {
        change.phone = checks.string("phone", &visitor.phone, 0..=32);
    }
    if is("home_division_code") {
        let code = checks.division("home_division_code", &visitor.home_division_code);
        checks.that(
            code.is_none_or(|code| code.at(DivisionLevel::County).is_some()),
            "home_division_code",
            "DIVISION_TOO_LARGE",
            "must be a village or community, or the county where that is not known",
            "应为村（社区）；不详时为县",
        );
        change.home = code;
    }
    if is("weekly_capacity") {
        let capacity = visitor.weekly_capacity;
        let capacity = checks.number("weekly_capacity", capacity, 1..=MOST_VISITS);
        change.weekly_capacity = capacity.and_then(|capacity| u16::try_from(capacity).ok());
    }
    if is("modes") {
        change.modes = modes(checks, &visitor.modes);
    }
    change
}

fn modes(checks: &mut Checks, numbers: &[i32]) -> Option<Set<VisitMode>> {
    match set_from_wire(numbers) {
        Ok(modes) if modes.is_empty() => {
            checks.refuse("modes", "REQUIRED", "is required", "不能为空");
            None
        }
        Ok(modes) => Some(modes),
        Err(place) => {
            unknown(checks, &format!("modes[{place}]"));
            None
        }
    }
}
