//! Requests for elders that are searched, and for the situation of a division.

use std::collections::BTreeSet;

use civic::{Category, DivisionCode, LocalDay, Set};
use eventlog::Position;
use proto::eldercare::sharing::v1 as pb;
use proto::eldercare::r#type::v1 as types;
use service::{Checks, Paged};

use super::{Parse, Parsed, divisions, maybe_day, page_of, set};
use crate::find::FindAsked;

/// The most tiers, or categories, that elders are searched by.
const MOST_WORDS: usize = 20;
/// The longest name of a tier, or code of a programme.
const LONGEST_NAME: usize = 64;

impl Parse {
    pub(crate) fn find(
        &self,
        mut request: pb::FindEldersRequest,
        today: LocalDay,
    ) -> Parsed<Paged<FindAsked>> {
        let mut checks = Checks::new();
        let filter = find(&mut checks, &request, today);
        let page = page_of(&mut request.page_size, &mut request.page_token);
        let paging = (page, std::mem::take(&mut request.min_position));
        self.paged(checks, ("FindElders", &request), paging, filter)
    }

    pub(crate) fn situation(
        &self,
        request: &pb::GetSituationRequest,
        today: LocalDay,
    ) -> Parsed<(DivisionCode, LocalDay, Option<Position>)> {
        let mut checks = Checks::new();
        let division = checks.division("division_code", &request.division_code);
        let on = past_day(&mut checks, "day", request.day, today);
        let on = on.map(|on| on.unwrap_or(today));
        let position = self.position(&mut checks, &request.min_position);
        checks.all((division, on, position))
    }
}

/// The division that is watched.
pub(crate) fn watch(request: &pb::WatchSituationRequest) -> Parsed<DivisionCode> {
    let mut checks = Checks::new();
    let division = checks.division("division_code", &request.division_code);
    checks.all(division)
}

fn find(
    checks: &mut Checks,
    request: &pb::FindEldersRequest,
    today: LocalDay,
) -> Option<FindAsked> {
    let divisions = if request.division_codes.is_empty() {
        Some(BTreeSet::new())
    } else {
        divisions(checks, &request.division_codes)
    };
    let tiers = tiers(checks, &request.tiers);
    let categories = categories(checks, &request.categories);
    let since = past_day(
        checks,
        "not_visited_since",
        request.not_visited_since,
        today,
    );
    let programme = if request.programme_code.is_empty() {
        Some(None)
    } else {
        let code = checks.string("programme_code", &request.programme_code, 1..=LONGEST_NAME);
        code.map(Some)
    };
    Some(FindAsked {
        divisions: divisions?,
        tiers: tiers?,
        categories: categories?,
        not_visited_since: since?,
        open_alert: request.with_open_alert,
        missed_visit: request.with_missed_visit,
        programme: programme?,
    })
}

/// Tiers by their names in policies, which may be any.
fn tiers(checks: &mut Checks, names: &[String]) -> Option<BTreeSet<String>> {
    set(checks, "tiers", names, MOST_WORDS, |checks, field, name| {
        checks.string(field, name, 1..=LONGEST_NAME)
    })
}

fn categories(checks: &mut Checks, names: &[String]) -> Option<Set<Category>> {
    checks.count("categories", names.len(), 0..=MOST_WORDS)?;
    let mut categories = Some(Set::new());
    for (number, name) in names.iter().enumerate() {
        let category = Category::from_name(name);
        if category.is_none() {
            checks.unknown(&format!("categories[{number}]"));
        }
        categories = categories.zip(category).map(|(mut known, category)| {
            known.insert(category);
            known
        });
    }
    categories
}

/// A day that may be absent, today or before.
fn past_day(
    checks: &mut Checks,
    field: &str,
    date: Option<types::Date>,
    today: LocalDay,
) -> Option<Option<LocalDay>> {
    let day = maybe_day(checks, field, date)?;
    let past = day.is_none_or(|day| day <= today);
    checks.that(
        past,
        field,
        "DAY_IN_THE_FUTURE",
        "must not be after today",
        "不能晚于今天",
    );
    past.then_some(day)
}
