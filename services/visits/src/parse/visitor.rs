//! Requests about visitors.

use civic::{DivisionLevel, ElderId, LocalDay, Set, VisitMode, VisitorKind};
use elders::terms::WireTerm as _;
use elders::terms::set_from_wire;
use eventlog::Position;
use prost::Message as _;
use proto::eldercare::visits::v1 as pb;
use service::{Asked, Checks, List, Paged};
use uuid::Uuid;

use super::{LISTS, Parse, Parsed, day, page_of};
use crate::visitors::{self, Change, Said};

/// The most elders paired at once.
const MOST_ELDERS: usize = 1_000;
/// The most visits a week.
const MOST_VISITS: i32 = 200;

impl Parse {
    pub(crate) fn register_visitor(
        &self,
        mut request: pb::RegisterVisitorRequest,
    ) -> Parsed<(Asked, Said, LocalDay)> {
        let mut checks = Checks::new();
        let id = std::mem::take(&mut request.request_id);
        let asked = self.asked(&mut checks, &id, &request);
        let visitor = checks.present("visitor", request.visitor);
        let (said, from) = visitor.map_or((None, None), |visitor| {
            checks.within("visitor", |checks| {
                (
                    said(checks, &visitor),
                    day(checks, "active_from", visitor.active_from),
                )
            })
        });
        checks.all((asked, said, from))
    }

    pub(crate) fn update_visitor(
        &self,
        mut request: pb::UpdateVisitorRequest,
    ) -> Parsed<(Asked, (Uuid, Option<u64>), Change)> {
        let mut checks = Checks::new();
        let id = std::mem::take(&mut request.request_id);
        let asked = self.asked(&mut checks, &id, &request);
        let fields = [
            "kind",
            "name",
            "phone",
            "home_division_code",
            "weekly_capacity",
            "modes",
        ];
        let mask = checks.field_mask("update_mask", request.update_mask.as_ref(), &fields);
        let visitor = checks.present("visitor", request.visitor);
        let change = visitor.zip(mask).and_then(|(visitor, mask)| {
            checks.within("visitor", |checks| {
                let which = checks.id("visitor_id", &visitor.visitor_id);
                let etag = checks.etag(&visitor.etag);
                let change = change(checks, &visitor, &mask);
                Some(((which?, etag?), change))
            })
        });
        let (asked, (which, change)) = checks.all((asked, change))?;
        Ok((asked, which, change))
    }

    pub(crate) fn retire_visitor(
        &self,
        mut request: pb::RetireVisitorRequest,
    ) -> Parsed<(Asked, Uuid, LocalDay)> {
        let mut checks = Checks::new();
        let id = std::mem::take(&mut request.request_id);
        let asked = self.asked(&mut checks, &id, &request);
        let visitor = checks.id("visitor_id", &request.visitor_id);
        let last = day(&mut checks, "last_day", request.last_day);
        checks.all((asked, visitor, last))
    }

    pub(crate) fn pair_elders(
        &self,
        mut request: pb::PairEldersRequest,
    ) -> Parsed<(Asked, Uuid, Vec<ElderId>, LocalDay)> {
        let mut checks = Checks::new();
        let id = std::mem::take(&mut request.request_id);
        let asked = self.asked(&mut checks, &id, &request);
        let visitor = checks.id("visitor_id", &request.visitor_id);
        let elders = elders(&mut checks, &request.elder_ids);
        let since = day(&mut checks, "since", request.since);
        checks.all((asked, visitor, elders, since))
    }

    pub(crate) fn unpair_elders(
        &self,
        mut request: pb::UnpairEldersRequest,
    ) -> Parsed<(Asked, Uuid, Vec<ElderId>, LocalDay)> {
        let mut checks = Checks::new();
        let id = std::mem::take(&mut request.request_id);
        let asked = self.asked(&mut checks, &id, &request);
        let visitor = checks.id("visitor_id", &request.visitor_id);
        let elders = elders(&mut checks, &request.elder_ids);
        let last = day(&mut checks, "last_day", request.last_day);
        checks.all((asked, visitor, elders, last))
    }

    pub(crate) fn list_visitors(
        &self,
        mut request: pb::ListVisitorsRequest,
    ) -> Parsed<Paged<visitors::Filter>> {
        let mut checks = Checks::new();
        let filter = checks
            .division("division_code", &request.division_code)
            .map(|division| visitors::Filter {
                division,
                retired_too: request.include_retired,
            });
        let (size, token) = page_of(&mut request.page_size, &mut request.page_token);
        let position = self.position(&mut checks, &std::mem::take(&mut request.min_position));
        let list = List::new("ListVisitors", &request.encode_to_vec());
        checks.paged(list, (size, &token, LISTS), position, filter)
    }

    pub(crate) fn visitor_figures(
        &self,
        request: &pb::GetVisitorFiguresRequest,
    ) -> Parsed<(Uuid, (LocalDay, LocalDay), Option<Position>)> {
        let mut checks = Checks::new();
        let visitor = checks.id("visitor_id", &request.visitor_id);
        let first = day(&mut checks, "first_day", request.first_day);
        let last = day(&mut checks, "last_day", request.last_day);
        let days = first.zip(last);
        checks.that(
            days.is_none_or(|(first, last)| first <= last),
            "last_day",
            "DAYS_INVALID",
            "must not lie before the first day",
            "不得早于起始日",
        );
        let position = self.position(&mut checks, &request.min_position);
        checks.all((visitor, days, position))
    }
}

fn said(checks: &mut Checks, visitor: &pb::Visitor) -> Option<Said> {
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
fn change(checks: &mut Checks, visitor: &pb::Visitor, named: &[&str]) -> Change {
    let is = |field: &str| named.contains(&field);
    let mut change = Change::default();
    if is("kind") {
        let kind = checks.known::<pb::VisitorKind>("kind", visitor.kind);
        change.kind = kind.and_then(|kind| VisitorKind::from_wire(kind.into()));
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
            checks.unknown(&format!("modes[{place}]"));
            None
        }
    }
}

fn elders(checks: &mut Checks, ids: &[String]) -> Option<Vec<ElderId>> {
    checks.count("elder_ids", ids.len(), 1..=MOST_ELDERS)?;
    let ids: Vec<_> = ids
        .iter()
        .enumerate()
        .map(|(place, id)| checks.id(&format!("elder_ids[{place}]"), id).map(ElderId))
        .collect();
    ids.into_iter().collect()
}
