//! What callers ask of a plan that was made: to see it, and to change what it says of an elder.

use std::collections::BTreeSet;
use std::sync::Arc;

use civic::{
    CalendarMonth, ConsentState, DivisionCode, DivisionLevel, ElderId, IsoWeek, LocalDay, VisitMode,
};
use decider::Decider as _;
use eventlog::{Committed, Loaded, Position, ReadError, Subject};
use proto::eldercare::visits::v1 as pb;
use service::{Action, Asked, Caller, errors, paging};
use tier_policy::policy::Interval;
use tonic::Status;
use uuid::Uuid;
use visit_planning::{Workday, Workdays};

use crate::codec::week_plan::write_entry;
use crate::plan_draft::active_days;
use crate::planning::county_of;
use crate::standing::Standings;
use crate::visitor::Visitor;
use crate::visits::Visits;
use crate::week_plan::{Adjustment, Command, Entry, Event, Fit, PlanId, Slot, WeekPlan};
use crate::{facts_table, policies_table, refusals};

/// What an entry of a plan tells of an elder.
pub(crate) const ENTRY: &[&str] = &["plan.visitor_id", "plan.day", "plan.mode", "plan.state"];

/// Which plan is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Filter {
    pub(crate) division: DivisionCode,
    pub(crate) week: IsoWeek,
}

/// Where an entry stands in a plan's list, and where a page of it ended: visits and talks by visitor, day and place, then
/// what is not planned.
pub(crate) type Cursor = (bool, Uuid, i32, u16, Uuid);

/// What is to change for an elder.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ToAdjust {
    pub(crate) week: IsoWeek,
    pub(crate) elder: ElderId,
    pub(crate) etag: Option<u64>,
    pub(crate) change: Wish,
}

/// What is wished for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wish {
    Move {
        visitor: Uuid,
        day: LocalDay,
        place: Option<u16>,
    },
    Pin,
    Release,
    Skip(civic::SkipReason),
}

impl Visits {
    /// A page of a division's plan, and the cursor of the next one.
    pub(crate) async fn plan(
        &self,
        caller: &Caller,
        filter: &Filter,
        after: Option<Cursor>,
        size: u32,
    ) -> Result<(pb::GetPlanResponse, Option<Cursor>), Status> {
        caller.may_where_asked(&filter.division)?;
        let id = PlanId {
            county: county_of(filter.division),
            week: filter.week,
        };
        let held = self.plan_as_it_stands(id).await?;
        if !held.state.is_planned() {
            return Err(refusals::no_plan(id));
        }
        let mut response = pb::GetPlanResponse {
            etag: service::etag(held.sequence),
            ..Default::default()
        };
        let mut entries = Vec::new();
        for (elder, entry) in held.state.within(filter.division) {
            let counted = match &entry.slot {
                Slot::Visit(_) => &mut response.visits,
                Slot::Talk { .. } => &mut response.talks,
                Slot::Unplanned(_) => &mut response.unplanned,
                Slot::Skipped(_) => &mut response.skipped,
            };
            *counted += 1;
            entries.push((cursor(elder, entry), elder, *entry));
        }
        entries.sort_unstable_by_key(|(cursor, ..)| *cursor);
        entries.retain(|(cursor, ..)| after.is_none_or(|after| *cursor > after));
        let next = paging::cut(&mut entries, size).map(|(cursor, ..)| *cursor);
        let told = entries.iter().map(|(_, elder, _)| elder);
        caller.told("GetPlan", told, ENTRY).await?;
        response.entries = entries
            .iter()
            .map(|(_, elder, entry)| write_entry(*elder, entry))
            .collect();
        Ok((response, next))
    }

    /// Changes what a plan says of an elder.
    pub(crate) async fn adjust_plan(
        &self,
        caller: &Caller,
        asked: Asked,
        what: ToAdjust,
    ) -> Result<pb::AdjustPlanResponse, Status> {
        let elder = what.elder;
        let request = asked.request_id;
        if let Some(id) = self.plan_adjusted_by(caller, request, &what).await? {
            return self.adjusted_before(caller, asked, id, elder).await;
        }
        let today = self.today();
        let known = facts_table::TABLE
            .of(&self.pool, &[elder])
            .await
            .map_err(errors::of_database)?;
        let facts = known.get(&elder).and_then(|kept| kept.facts.as_ref());
        let facts = facts.ok_or_else(|| refusals::no_elder(elder))?;
        let village = facts.on(today.max(what.week.first_day())).residence.village;
        caller.knows(&village.division(), || refusals::no_elder(elder))?;
        caller.may(Action::ReadPersonal, &village.division())?;
        let id = PlanId {
            county: village.county(),
            week: what.week,
        };
        let adjustment = match what.change {
            Wish::Move {
                visitor,
                day,
                place,
            } => {
                let held = self.plan_as_it_stands(id).await?;
                let entry = held.state.entry(elder);
                let mut fit = self.visitor_fit(id, visitor).await?;
                let (policies, _) = policies_table::all(&self.pool)
                    .await
                    .map_err(errors::of_database)?;
                let mut standings = Standings::new(policies);
                let weekly = standings
                    .on(facts, what.week.last_day())
                    .is_some_and(|standing| standing.interval == Interval::Weekly);
                let then = facts.on(day);
                let in_period = weekly || same_month(entry, day);
                let in_week = IsoWeek::of(day) == what.week;
                if in_week && day >= today && in_period && then.in_scope() {
                    fit.days = Workday::on(day).map_or(Workdays::new(), Workdays::from);
                }
                fit.modes = standings.modes(facts, day);
                fit.home_consent = then.consent.state == ConsentState::Granted;
                Adjustment::Move {
                    visitor,
                    day,
                    place,
                    fit,
                }
            }
            Wish::Pin => Adjustment::Pin,
            Wish::Release => Adjustment::Release,
            Wish::Skip(reason) => Adjustment::Skip(reason),
        };
        let command = Command::Adjust {
            plan: id,
            elder,
            adjustment,
        };
        let now = self.clock.now();
        let context = asked.by(caller, now, Some(village.division()));
        let over = what.week.last_day() < today;
        let committed = self
            .plans
            .execute_with(&id.token(), &context, |held| {
                let decided = decided(&held, id, over, what.etag, &command);
                async move { decided }
            })
            .await
            .map_err(|error| service::not_executed(error, |status| status))?;
        adjusted(caller, committed, elder).await
    }

    /// The plan of the week that this request has changed already, where the caller works, whatever has become of elder and
    /// visitor since.
    async fn plan_adjusted_by(
        &self,
        caller: &Caller,
        request: Uuid,
        what: &ToAdjust,
    ) -> Result<Option<PlanId>, Status> {
        let counties = match counties_of(caller) {
            Some(own) => own,
            None => self.counties_that_knew(caller, what.elder).await?,
        };
        for county in counties {
            let id = PlanId {
                county,
                week: what.week,
            };
            if caller
                .was_answered(&self.plans, &id.token(), request)
                .await?
            {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    /// The counties in which the registry has known an elder, of those where the caller works.
    async fn counties_that_knew(
        &self,
        caller: &Caller,
        elder: ElderId,
    ) -> Result<BTreeSet<DivisionCode>, Status> {
        let subject = Subject::new("registry", "elder", &elder.to_string())
            .map_err(|error| errors::internal(&error))?;
        let records = match self.registry.read(&subject, 0).await {
            Ok(records) => records,
            // Then it is decided by what is known of the elder now.
            Err(ReadError::Unreadable { .. }) => return Ok(BTreeSet::new()),
            Err(error) => return Err(service::not_loaded(error.into())),
        };
        let divisions = records
            .iter()
            .filter_map(|record| {
                record
                    .metadata
                    .division
                    .as_deref()?
                    .parse::<DivisionCode>()
                    .ok()
            })
            .filter(|division| caller.reaches(division));
        Ok(divisions.map(county_of).collect())
    }

    async fn adjusted_before(
        &self,
        caller: &Caller,
        asked: Asked,
        id: PlanId,
        elder: ElderId,
    ) -> Result<pb::AdjustPlanResponse, Status> {
        let (now, division) = (self.clock.now(), Some(id.county));
        let context = asked.by(caller, now, division);
        let committed = self
            .plans
            .execute_with(&id.token(), &context, |_| async {
                Err(errors::internal(&"a request that was known is not known"))
            })
            .await
            .map_err(|error| service::not_executed(error, |status| status))?;
        adjusted(caller, committed, elder).await
    }

    /// What a visitor of the county can do in a week; nothing is said of an elder yet.
    async fn visitor_fit(&self, id: PlanId, visitor: Uuid) -> Result<Fit, Status> {
        let loaded = self
            .visitors
            .load(&visitor.to_string())
            .await
            .map_err(service::not_loaded)?;
        let Visitor::Registered(state) = &loaded.state else {
            return Err(refusals::no_visitor(visitor));
        };
        if state.profile.county() != Some(id.county) {
            return Err(refusals::no_visitor(visitor));
        }
        Ok(Fit {
            modes: civic::Set::<VisitMode>::new(),
            home_consent: false,
            days: Workdays::new(),
            visitor_modes: state.profile.modes,
            visitor_days: active_days(id.week, state.active_from, state.active_until),
            capacity: state.profile.weekly_capacity,
        })
    }
}

/// The counties of a caller's divisions, in which any plan lies that the caller has changed; none where a division has many. They
/// don't depend on the elder, so that it takes as long to find nothing there about one of elsewhere as about nobody.
fn counties_of(caller: &Caller) -> Option<BTreeSet<DivisionCode>> {
    if caller.everywhere {
        return None;
    }
    let divisions = caller.divisions.iter();
    divisions
        .map(|division| division.at(DivisionLevel::County))
        .collect()
}

async fn adjusted(
    caller: &Caller,
    committed: Committed<WeekPlan>,
    elder: ElderId,
) -> Result<pb::AdjustPlanResponse, Status> {
    caller.told("AdjustPlan", [elder], ENTRY).await?;
    let entry = committed.state.state.entry(elder);
    Ok(pb::AdjustPlanResponse {
        position: Position::new(committed.position.stream, committed.position.sequence).to_string(),
        etag: service::etag(committed.version),
        entry: entry.map(|entry| write_entry(elder, entry)),
    })
}

/// In a week between two months a monthly visit stays in its month, which it is owed in.
fn same_month(entry: Option<&Entry>, day: LocalDay) -> bool {
    match entry.map(|entry| &entry.slot) {
        Some(Slot::Visit(visit)) => CalendarMonth::of(visit.day) == CalendarMonth::of(day),
        Some(Slot::Talk { .. } | Slot::Unplanned(_) | Slot::Skipped(_)) | None => true,
    }
}

fn decided(
    held: &Arc<Loaded<WeekPlan>>,
    id: PlanId,
    over: bool,
    etag: Option<u64>,
    command: &Command,
) -> Result<Vec<Event>, Status> {
    if !held.state.is_planned() {
        return Err(refusals::no_plan(id));
    }
    if over {
        return Err(refusals::week_over());
    }
    if etag.is_some_and(|etag| etag != held.sequence) {
        return Err(errors::etag_mismatch());
    }
    held.state.decide(command).map_err(refusals::of_plan)
}

fn cursor(elder: ElderId, entry: &Entry) -> Cursor {
    let elder = elder.as_uuid();
    match &entry.slot {
        Slot::Visit(visit) => (
            false,
            visit.visitor,
            visit.day.epoch_days(),
            visit.place,
            elder,
        ),
        // After the visits of the day.
        Slot::Talk { visitor, day } => (false, *visitor, day.epoch_days(), u16::MAX, elder),
        Slot::Unplanned(_) | Slot::Skipped(_) => (true, Uuid::nil(), 0, 0, elder),
    }
}

/// A cursor as bytes, for page tokens.
pub(crate) fn cursor_bytes((unplanned, visitor, day, place, elder): Cursor) -> Vec<u8> {
    let mut bytes = vec![u8::from(unplanned)];
    bytes.extend(visitor.as_bytes());
    bytes.extend(day.to_be_bytes());
    bytes.extend(place.to_be_bytes());
    bytes.extend(elder.as_bytes());
    bytes
}

/// The cursor of a page token.
pub(crate) fn cursor_of(bytes: &[u8]) -> Option<Cursor> {
    let (unplanned, rest) = bytes.split_first()?;
    let (visitor, rest) = rest.split_at_checked(16)?;
    let (day, rest) = rest.split_at_checked(4)?;
    let (place, elder) = rest.split_at_checked(2)?;
    Some((
        *unplanned != 0,
        Uuid::from_slice(visitor).ok()?,
        i32::from_be_bytes(day.try_into().ok()?),
        u16::from_be_bytes(place.try_into().ok()?),
        Uuid::from_slice(elder).ok()?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_goes_on_where_the_last_one_ended() {
        let cursor = (true, Uuid::from_u128(7), 20_000, 3, Uuid::from_u128(9));
        assert_eq!(cursor_of(&cursor_bytes(cursor)), Some(cursor));
        assert_eq!(cursor_of(b""), None);
        assert_eq!(cursor_of(&[0; 38]), None);
    }
}
