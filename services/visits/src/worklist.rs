//! A visitor's day in the order of the route (探访清单): whom to see, where, how, and whom to call when nobody opens.
//!
//! Of an elder's file it tells what a visitor needs at the door and nothing more: no ID number, no assistance, nothing
//! about health.

use civic::{ConsentState, ElderId, IsoWeek, LocalDay, Set, VillageCode, VisitMode};
use elder_tables::{Card, Kept};
use elders::terms::{WireTerm as _, wire_set};
use proto::eldercare::registry::v1 as registry;
use proto::eldercare::visits::v1 as pb;
use service::{Caller, errors, person_keys};
use tonic::Status;
use uuid::Uuid;
use vault::DataKey;

use crate::planning::number;
use crate::visitor::Visitor;
use crate::visits::Visits;
use crate::week_plan::{PlanId, Slot, WeekPlan};
use crate::{cards_table, facts_table, refusals};

/// What is told of an elder on the way.
const STOP: &[&str] = &[
    "elder.name",
    "elder.address",
    "elder.position",
    "elder.contacts",
    "plan.mode",
];

/// A visit or talk of the day, in the order of the route.
struct Stop {
    /// Talks come last.
    order: (u16, ElderId),
    elder: ElderId,
    /// None for a talk.
    mode: Option<VisitMode>,
    village: VillageCode,
}

impl Visits {
    /// A visitor's day; empty where nothing is planned.
    pub(crate) async fn worklist(
        &self,
        caller: &Caller,
        visitor: Uuid,
        day: LocalDay,
    ) -> Result<pb::GetWorklistResponse, Status> {
        let loaded = self
            .visitors
            .load_newest(&visitor.to_string())
            .await
            .map_err(service::not_loaded)?;
        let Visitor::Registered(registered) = &loaded.state else {
            return Err(refusals::no_visitor(visitor));
        };
        let home = registered.profile.home;
        caller.knows(&home, || refusals::no_visitor(visitor))?;
        let county = registered.profile.county();
        let county = county.ok_or_else(|| errors::internal(&"a visitor without a county"))?;
        let week = IsoWeek::of(day);
        let plan = self.plan_as_it_stands(PlanId { county, week }).await?;
        let stops = stops(&plan.state, visitor, day);
        let elders: Vec<ElderId> = stops.iter().map(|stop| stop.elder).collect();
        let persons: Vec<Uuid> = elders.iter().map(ElderId::as_uuid).collect();
        let (files, cards, keys) = tokio::join!(
            facts_table::TABLE.of(&self.pool, &elders),
            cards_table::TABLE.of(&self.pool, &elders),
            self.keys.vault.keys(&persons),
        );
        let (files, cards) = (
            files.map_err(errors::of_database)?,
            cards.map_err(errors::of_database)?,
        );
        let keys = keys.map_err(|error| person_keys::away(&error))?;
        let can = registered.profile.modes;
        self.refresh_rules().await?;
        let mut rules = self.rules.lock().await;
        let mut response = pb::GetWorklistResponse::default();
        let mut told = Vec::with_capacity(stops.len());
        for (stop, place) in stops.iter().zip(1_usize..) {
            let file = files.get(&stop.elder);
            let village = file
                .and_then(|kept| kept.facts.as_ref())
                .map_or(stop.village, |facts| facts.on(day).residence.village);
            // Nobody sees beyond the own divisions, also where a visitor goes beyond them.
            if !caller.reaches(&village.division()) || !caller.reaches(&stop.village.division()) {
                response.elsewhere += 1;
                continue;
            }
            // An erased elder is in the plan until the week is planned again, and is told of no more.
            let Some(key) = keys.get(&stop.elder.as_uuid()) else {
                continue;
            };
            let facts = file.and_then(|kept| kept.facts.as_ref());
            let allowed = facts.map(|facts| {
                let consented = facts.on(day).consent.state == ConsentState::Granted;
                let modes = rules.1.modes(facts, day).intersection(can);
                modes
                    .iter()
                    .filter(|mode| consented || *mode != VisitMode::Home)
                    .collect()
            });
            let (modes, card) = (allowed.unwrap_or_default(), cards.get(&stop.elder));
            let Some(item) = item(stop, number(place), day, file, modes, card, key) else {
                continue;
            };
            told.push(stop.elder);
            response.items.push(item);
        }
        drop(rules);
        caller.told("GetWorklist", &told, STOP).await?;
        Ok(response)
    }
}

fn stops(plan: &WeekPlan, visitor: Uuid, on: LocalDay) -> Vec<Stop> {
    let mut stops: Vec<Stop> = plan
        .entries()
        .iter()
        .filter_map(|(elder, entry)| {
            let (place, mode) = match &entry.slot {
                Slot::Visit(visit) if (visit.visitor, visit.day) == (visitor, on) => {
                    (visit.place, Some(visit.mode))
                }
                Slot::Talk { visitor: by, day } if (*by, *day) == (visitor, on) => (u16::MAX, None),
                Slot::Visit(_) | Slot::Talk { .. } | Slot::Unplanned(_) | Slot::Skipped(_) => {
                    return None;
                }
            };
            Some(Stop {
                order: (place, *elder),
                elder: *elder,
                mode,
                village: entry.village,
            })
        })
        .collect();
    stops.sort_unstable_by_key(|stop| stop.order);
    stops
}

/// What a visitor is told; nothing of an elder whose file is gone.
fn item(
    stop: &Stop,
    place: i32,
    day: LocalDay,
    file: Option<&Kept>,
    modes: Set<VisitMode>,
    card: Option<&Card>,
    key: &DataKey,
) -> Option<pb::WorklistItem> {
    let person = stop.elder.as_uuid();
    let facts = file?.facts.as_ref()?.on(day);
    // Much may have happened since the week was planned: nobody is sent where nobody is owed a visit any more, nor into a
    // home that has not consented.
    if !facts.in_scope() {
        return None;
    }
    let mode = stop.mode.filter(|mode| modes.contains(*mode));
    let mode = mode.or_else(|| stop.mode.and(modes.iter().next()));
    let card = card?;
    let identity = key
        .open(elders::purpose::IDENTITY, person, &card.identity)
        .ok()?;
    let home: registry::Home = facts
        .residence
        .home
        .and_then(|sealed| key.open(elders::purpose::HOME, person, &sealed).ok())
        .unwrap_or_default();
    let contacts: registry::ContactList = card
        .contacts
        .as_ref()
        .and_then(|sealed| key.open(elders::purpose::CONTACTS, person, sealed).ok())
        .unwrap_or_default();
    Some(pb::WorklistItem {
        elder_id: stop.elder.to_string(),
        place,
        mode: mode.map_or(0, |mode| mode.wire()),
        talk: mode.is_none(),
        name: identity.name,
        address: home.address,
        position: home.position,
        division_code: facts.residence.village.to_string(),
        contacts: contacts.contacts,
        wanted_services: wire_set(facts.wanted_services),
    })
}
