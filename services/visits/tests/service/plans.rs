//! A town's week from outside: planned, changed by people, planned again, and told to visitors day by day.
//!
//! Every plan that is made here is also checked by the planner's validator, inside the service.

use civic::{CapabilityLevel, Category, ConsentState, ElderId, Set, Sex};
use elders::event::{Capability, Consent, Event, Registered, Residence, Source, Spoken};
use elders::purpose;
use proto::eldercare::registry::v1 as registry;
use proto::eldercare::r#type::v1 as types;
use proto::eldercare::visits::v1 as pb;
use service::testing::anybody;
use tonic::{Code, Status};
use uuid::Uuid;

use crate::support::{Ground, Running, VILLAGE, date, day, place, reason, visit};

const TOWN: &str = "350524100";
const NEXT_VILLAGE: &str = "350524100002";
const OTHER_TOWN: &str = "350524101";
const OTHER_VILLAGE: &str = "350524101001";
const WEEK: &str = "2024-W42";

/// An elder of these tests: over eighty, mildly disabled, and welcome to visits at home.
struct Person<'a> {
    name: &'a str,
    village: &'a str,
    metres: Option<f64>,
    birth: &'a str,
    capability: CapabilityLevel,
    consent: ConsentState,
}

impl Default for Person<'_> {
    fn default() -> Self {
        Self {
            name: "陈阿婆",
            village: VILLAGE,
            metres: Some(0.0),
            birth: "1930-03-01",
            capability: CapabilityLevel::Mild,
            consent: ConsentState::Granted,
        }
    }
}

impl Person<'_> {
    /// Seventy and healthy: owed a visit each month, also by telephone.
    fn monthly(self) -> Self {
        Self {
            birth: "1954-03-01",
            capability: CapabilityLevel::Intact,
            ..self
        }
    }

    async fn on(&self, ground: &Ground) -> ElderId {
        let elder = ElderId(Uuid::now_v7());
        let person = elder.as_uuid();
        let key = ground.vault.create(person).await.unwrap();
        let identity = registry::Identity {
            name: self.name.to_owned(),
            id_number: "350524193003011234".to_owned(),
        };
        let home = registry::Home {
            address: format!("{}的家", self.name),
            position: self.metres.map(place),
        };
        let contacts = registry::ContactList {
            contacts: vec![types::Contact {
                name: "陈小明".to_owned(),
                relation: "子".to_owned(),
                phone: "13800000000".to_owned(),
                call_order: 1,
                supporter: true,
            }],
        };
        let registered = Registered {
            elder,
            source: Source::Api,
            identity: key.seal(purpose::IDENTITY, person, &identity),
            identity_claim: "k1-00ff".to_owned(),
            birth_date: day(self.birth),
            sex: Sex::Female,
            residence: Residence {
                village: self.village.parse().unwrap(),
                home: Some(key.seal(purpose::HOME, person, &home)),
            },
            categories: Category::LivingAlone.into(),
            assistance: Set::new(),
            capability: Capability {
                level: self.capability,
                assessed_on: None,
                source: String::new(),
            },
            observations: Set::new(),
            handicap_grade: None,
            circumstances: vec![],
            contacts: Some(key.seal(purpose::CONTACTS, person, &contacts)),
            consent: Consent {
                state: self.consent,
                spoken: Spoken { by: None, at: None },
            },
            wanted_services: civic::ServiceKind::DailyCare.into(),
            remarks: None,
            import: None,
        };
        let event = Event::Registered(Box::new(registered));
        ground.record(elder, &[event]).await;
        elder
    }
}

async fn weekly(ground: &Ground, count: usize) -> Vec<ElderId> {
    let mut elders = Vec::new();
    for number in 0..count {
        let metres = Some(f64::from(u32::try_from(number).unwrap()) * 100.0);
        let person = Person {
            metres,
            ..Person::default()
        };
        elders.push(person.on(ground).await);
    }
    elders
}

/// Visits with a county that visits since before the week, on its Monday.
async fn started(ground: &Ground) -> Running {
    let running = ground.start().await;
    running.start_visiting("2024-09-30").await;
    running
}

fn monday() -> Ground {
    Ground::at("2024-10-14 08:00")
}

/// A visitor of a village who calls on people at home.
async fn visitor(running: &Running, village: &str, capacity: i32) -> String {
    let request = pb::RegisterVisitorRequest {
        request_id: Uuid::now_v7().to_string(),
        visitor: Some(pb::Visitor {
            kind: pb::VisitorKind::GridWorker.into(),
            name: "王网格".to_owned(),
            home_division_code: village.to_owned(),
            weekly_capacity: capacity,
            modes: vec![types::VisitMode::Home.into()],
            active_from: Some(date("2024-01-01")),
            ..Default::default()
        }),
    };
    let registered = running.client().register_visitor(request).await.unwrap();
    running.settled().await;
    registered.into_inner().visitor_id
}

fn to_plan(division: &str) -> pb::PlanWeekRequest {
    pb::PlanWeekRequest {
        request_id: Uuid::now_v7().to_string(),
        division_code: division.to_owned(),
        week: WEEK.to_owned(),
        seed: 7,
        min_position: String::new(),
    }
}

/// What is told on the way, and the plan.
async fn try_plan(
    running: &Running,
    request: &pb::PlanWeekRequest,
) -> Result<(Option<pb::PlanReport>, pb::WeekPlan), Status> {
    running.settled().await;
    let mut steps = running
        .client()
        .plan_week(request.clone())
        .await?
        .into_inner();
    let mut report = None;
    while let Some(step) = steps.message().await? {
        match step.step.unwrap() {
            pb::plan_week_response::Step::Progress(_) => {}
            pb::plan_week_response::Step::Report(told) => report = Some(told),
            pb::plan_week_response::Step::Plan(plan) => return Ok((report, plan)),
        }
    }
    panic!("a plan ends with a plan");
}

async fn plan(running: &Running, division: &str) -> pb::WeekPlan {
    try_plan(running, &to_plan(division)).await.unwrap().1
}

/// What a plan says of an elder.
fn of(plan: &pb::WeekPlan, elder: ElderId) -> pb::plan_entry::Planned {
    let elder = elder.to_string();
    let entry = plan.entries.iter().find(|entry| entry.elder_id == elder);
    entry.unwrap().planned.clone().unwrap()
}

fn visit_of(plan: &pb::WeekPlan, elder: ElderId) -> pb::PlannedVisit {
    let pb::plan_entry::Planned::Visit(visit) = of(plan, elder) else {
        panic!("no visit");
    };
    visit
}

fn unplanned(plan: &pb::WeekPlan, elder: ElderId) -> pb::UnplannedReason {
    let pb::plan_entry::Planned::Unplanned(reason) = of(plan, elder) else {
        panic!("planned");
    };
    reason.try_into().unwrap()
}

async fn adjust(
    running: &Running,
    elder: ElderId,
    adjustment: pb::adjust_plan_request::Adjustment,
) -> Result<pb::AdjustPlanResponse, Status> {
    let request = pb::AdjustPlanRequest {
        request_id: Uuid::now_v7().to_string(),
        week: WEEK.to_owned(),
        elder_id: elder.to_string(),
        etag: String::new(),
        adjustment: Some(adjustment),
        min_position: String::new(),
    };
    let adjusted = running.client().adjust_plan(request).await?;
    Ok(adjusted.into_inner())
}

fn to(visitor: &str, day: &str, place: i32) -> pb::adjust_plan_request::Adjustment {
    pb::adjust_plan_request::Adjustment::Move(pb::PlanMove {
        visitor_id: visitor.to_owned(),
        day: Some(date(day)),
        place,
    })
}

fn mark(mark: pb::PlanMark) -> pb::adjust_plan_request::Adjustment {
    pb::adjust_plan_request::Adjustment::Mark(mark.into())
}

fn skip(reason: pb::SkipReason) -> pb::adjust_plan_request::Adjustment {
    pb::adjust_plan_request::Adjustment::Skip(reason.into())
}

async fn worklist(running: &Running, visitor: &str, day: &str) -> pb::GetWorklistResponse {
    let request = pb::GetWorklistRequest {
        visitor_id: visitor.to_owned(),
        day: Some(date(day)),
        min_position: String::new(),
    };
    let worklist = running.client().get_worklist(request).await.unwrap();
    worklist.into_inner()
}

async fn stored(running: &Running, division: &str) -> pb::GetPlanResponse {
    let request = pb::GetPlanRequest {
        division_code: division.to_owned(),
        week: WEEK.to_owned(),
        ..Default::default()
    };
    running
        .client()
        .get_plan(request)
        .await
        .unwrap()
        .into_inner()
}

#[tokio::test]
async fn every_elder_who_is_owed_a_visit_has_one_from_the_own_village() {
    let ground = monday();
    let here = weekly(&ground, 5).await;
    let next_door = Person {
        village: NEXT_VILLAGE,
        metres: Some(3_000.0),
        ..Person::default()
    };
    let there = next_door.on(&ground).await;
    let nowhere = Person {
        metres: None,
        ..Person::default()
    };
    let nowhere = nowhere.on(&ground).await;
    let running = started(&ground).await;
    let (ours, theirs) = (
        visitor(&running, VILLAGE, 20).await,
        visitor(&running, NEXT_VILLAGE, 20).await,
    );
    let request = to_plan(TOWN);
    let (report, plan) = try_plan(&running, &request).await.unwrap();
    assert_eq!(plan.entries.len(), 7);
    for elder in here.into_iter().chain([nowhere]) {
        assert_eq!(visit_of(&plan, elder).visitor_id, ours);
    }
    assert_eq!(visit_of(&plan, there).visitor_id, theirs);
    let report = report.unwrap();
    let (made, nearest) = (report.plan.unwrap(), report.nearest_visitor.unwrap());
    let score = |figures: &pb::PlanFigures| {
        (
            figures.unassigned,
            figures.pairings_broken,
            figures.other_village,
            figures.travel_metres,
        )
    };
    assert!(score(&made) <= score(&nearest));
    assert_eq!(made.unassigned, 0);
    assert_eq!(report.load.unwrap().by_day.iter().sum::<i32>(), 7);

    let told = stored(&running, TOWN).await;
    assert_eq!(
        (told.visits, told.talks, told.unplanned, told.skipped),
        (7, 0, 0, 0)
    );
    let mut entries = told.entries;
    entries.sort_by(|one, other| one.elder_id.cmp(&other.elder_id));
    assert_eq!(entries, plan.entries);
    assert_eq!(stored(&running, NEXT_VILLAGE).await.visits, 1);

    // Asked again, the first plan is told, and nothing is written.
    let before = running.events().await;
    let (report, again) = try_plan(&running, &request).await.unwrap();
    assert_eq!((report, again), (None, plan));
    assert_eq!(running.events().await, before);
    let other = pb::PlanWeekRequest { seed: 8, ..request };
    let refused = try_plan(&running, &other).await.unwrap_err();
    assert_eq!(reason(&refused), "REQUEST_ID_REUSED");
}

#[tokio::test]
async fn what_people_decided_stays_when_the_week_is_planned_again() {
    let ground = monday();
    let elders = weekly(&ground, 4).await;
    let running = started(&ground).await;
    let (one, other) = (
        visitor(&running, VILLAGE, 20).await,
        visitor(&running, NEXT_VILLAGE, 20).await,
    );
    plan(&running, TOWN).await;
    let [moved, pinned, left_out, free] = elders[..] else {
        panic!("four elders");
    };
    let answer = adjust(&running, moved, to(&other, "2024-10-17", 0))
        .await
        .unwrap();
    let Some(pb::plan_entry::Planned::Visit(visit)) = answer.entry.unwrap().planned else {
        panic!("no visit");
    };
    assert_eq!(
        (visit.visitor_id, visit.day, visit.place, visit.pinned),
        (other.clone(), Some(date("2024-10-17")), 1, true)
    );
    adjust(&running, pinned, mark(pb::PlanMark::Pinned))
        .await
        .unwrap();
    adjust(&running, left_out, skip(pb::SkipReason::Away))
        .await
        .unwrap();
    let before = stored(&running, TOWN).await;
    assert_eq!((before.visits, before.skipped), (3, 1));

    let again = plan(&running, TOWN).await;
    let visit = visit_of(&again, moved);
    assert_eq!(
        (visit.visitor_id.as_str(), visit.day, visit.pinned),
        (other.as_str(), Some(date("2024-10-17")), true)
    );
    assert!(visit_of(&again, pinned).pinned);
    assert_eq!(
        of(&again, left_out),
        pb::plan_entry::Planned::Skipped(pb::SkipReason::Away.into())
    );
    assert_eq!(visit_of(&again, free).visitor_id, one);

    // Released, they are the planner's again; whom they know stays their visitor.
    for elder in [moved, pinned, left_out] {
        adjust(&running, elder, mark(pb::PlanMark::Released))
            .await
            .unwrap();
    }
    let released = plan(&running, TOWN).await;
    assert!(!visit_of(&released, pinned).pinned);
    assert_eq!(visit_of(&released, left_out).visitor_id, one);
    // Nobody is paired with her, and a visitor of the village goes before continuity.
    assert_eq!(visit_of(&released, moved).visitor_id, one);
}

#[tokio::test]
async fn nobody_is_given_more_than_the_capacity_allows() {
    let ground = monday();
    let elders = weekly(&ground, 4).await;
    let running = started(&ground).await;
    visitor(&running, VILLAGE, 2).await;
    let plan = plan(&running, TOWN).await;
    let left: Vec<_> = elders
        .iter()
        .filter(|elder| matches!(of(&plan, **elder), pb::plan_entry::Planned::Unplanned(_)))
        .collect();
    assert_eq!(left.len(), 2);
    for elder in left {
        assert_eq!(
            unplanned(&plan, *elder),
            pb::UnplannedReason::CapacityExhausted
        );
    }
}

#[tokio::test]
async fn towns_that_are_planned_one_by_one_share_their_visitors() {
    let ground = monday();
    weekly(&ground, 3).await;
    let elsewhere = Person {
        village: OTHER_VILLAGE,
        metres: Some(5_000.0),
        ..Person::default()
    };
    let elsewhere = elsewhere.on(&ground).await;
    let running = started(&ground).await;
    let only = visitor(&running, VILLAGE, 3).await;
    let theirs = plan(&running, OTHER_TOWN).await;
    assert_eq!(visit_of(&theirs, elsewhere).visitor_id, only);
    let ours = plan(&running, TOWN).await;
    assert_eq!(ours.entries.len(), 3);
    let told = stored(&running, TOWN).await;
    assert_eq!((told.visits, told.unplanned), (2, 1));
    // What the other town was promised is kept.
    assert_eq!(stored(&running, OTHER_TOWN).await.visits, 1);
    assert_eq!(stored(&running, "350524").await.visits, 3);
}

#[tokio::test]
async fn the_visitor_of_last_week_comes_again() {
    let ground = monday();
    let elder = Person::default().on(&ground).await;
    let running = started(&ground).await;
    let mut visitors = vec![
        visitor(&running, VILLAGE, 20).await,
        visitor(&running, VILLAGE, 20).await,
        visitor(&running, VILLAGE, 20).await,
    ];
    let first = visit_of(&plan(&running, TOWN).await, elder).visitor_id;
    visitors.retain(|visitor| *visitor != first);
    // Somebody else was asked to go, and is known to her now.
    let chosen = &visitors[0];
    adjust(&running, elder, to(chosen, "2024-10-15", 0))
        .await
        .unwrap();
    let next = pb::PlanWeekRequest {
        week: "2024-W43".to_owned(),
        ..to_plan(TOWN)
    };
    let (_, next) = try_plan(&running, &next).await.unwrap();
    assert_eq!(visit_of(&next, elder).visitor_id, *chosen);
}

#[tokio::test]
async fn monthly_visits_are_spread_over_the_weeks() {
    let ground = Ground::at("2024-10-07 08:00");
    for _ in 0..8 {
        Person::default().monthly().on(&ground).await;
    }
    let running = started(&ground).await;
    visitor(&running, VILLAGE, 50).await;
    let mut planned = Vec::new();
    for week in ["2024-W41", "2024-W42", "2024-W43", "2024-W44"] {
        let request = pb::PlanWeekRequest {
            week: week.to_owned(),
            ..to_plan(TOWN)
        };
        let (_, plan) = try_plan(&running, &request).await.unwrap();
        let monday = week.parse::<civic::IsoWeek>().unwrap().first_day();
        running.advance(&format!("{monday} 20:00")).await;
        for (entry, hour) in plan.entries.iter().zip(9..) {
            let elder = ElderId(entry.elder_id.parse().unwrap());
            let visitor = visit_of(&plan, elder).visitor_id;
            let record = visit(&visitor, elder, &format!("{monday} {hour:02}:00"));
            assert_eq!(running.told(&record).await, "COUNTED");
        }
        planned.push(plan.entries.len());
    }
    // 19 workdays are left on the 7th: 5, 5, 5 and 4.
    assert_eq!(planned, [3, 2, 2, 1]);
}

#[tokio::test]
async fn weeks_that_are_planned_ahead_take_no_elder_twice() {
    let ground = Ground::at("2024-10-07 08:00");
    for _ in 0..8 {
        Person::default().monthly().on(&ground).await;
    }
    let running = started(&ground).await;
    visitor(&running, VILLAGE, 50).await;
    let mut planned = Vec::new();
    for week in ["2024-W41", "2024-W42", "2024-W43", "2024-W44"] {
        let request = pb::PlanWeekRequest {
            week: week.to_owned(),
            ..to_plan(TOWN)
        };
        let (_, plan) = try_plan(&running, &request).await.unwrap();
        planned.extend(plan.entries.into_iter().map(|entry| entry.elder_id));
    }
    planned.sort_unstable();
    planned.dedup();
    assert_eq!(planned.len(), 8);
}

#[tokio::test]
async fn who_has_not_consented_gets_a_talk_and_no_visit() {
    let ground = monday();
    let asked = Person {
        consent: ConsentState::Unknown,
        ..Person::default()
    };
    let asked = asked.on(&ground).await;
    let running = started(&ground).await;
    let one = visitor(&running, VILLAGE, 5).await;
    let plan = plan(&running, TOWN).await;
    let pb::plan_entry::Planned::Talk(talk) = of(&plan, asked) else {
        panic!("no talk");
    };
    assert_eq!(talk.visitor_id, one);
    let refused = adjust(&running, asked, to(&one, "2024-10-15", 0)).await;
    assert_eq!(reason(&refused.unwrap_err()), "CONSENT_REQUIRED");
    let items = worklist(&running, &one, "2024-10-14").await.items;
    assert!(items[0].talk && items[0].mode == 0);
}

#[tokio::test]
async fn a_visitor_is_told_the_own_day_and_nothing_more() {
    let ground = monday();
    let mut elders = Vec::new();
    for (name, metres) in [("甲", 900.0), ("乙", 300.0), ("丙", 600.0)] {
        let person = Person {
            name,
            metres: Some(metres),
            ..Person::default()
        };
        elders.push(person.on(&ground).await);
    }
    let running = started(&ground).await;
    let one = visitor(&running, VILLAGE, 50).await;
    let other = visitor(&running, NEXT_VILLAGE, 50).await;
    plan(&running, TOWN).await;
    for elder in &elders {
        adjust(&running, *elder, to(&one, "2024-10-16", 0))
            .await
            .unwrap();
    }
    let names = |list: &pb::GetWorklistResponse| -> Vec<String> {
        list.items.iter().map(|item| item.name.clone()).collect()
    };
    let day = worklist(&running, &one, "2024-10-16").await;
    assert_eq!(names(&day), ["甲", "乙", "丙"]);
    let first = &day.items[0];
    assert_eq!((first.place, first.address.as_str()), (1, "甲的家"));
    assert_eq!(first.contacts[0].phone, "13800000000");
    assert_eq!(first.position, Some(place(900.0)));
    assert_eq!(first.division_code, VILLAGE);
    assert_eq!(
        first.wanted_services,
        [i32::from(types::ServiceKind::DailyCare)]
    );
    for (visitor, on) in [(&one, "2024-10-17"), (&other, "2024-10-16")] {
        assert_eq!(worklist(&running, visitor, on).await.items, []);
    }

    // Who is erased is told of no more, though the plan still holds the id.
    running
        .ground
        .vault
        .erase(elders[0].as_uuid())
        .await
        .unwrap();
    let erasure = Event::Erased {
        reason: "REQUEST".to_owned(),
    };
    running.ground.record(elders[0], &[erasure]).await;
    running.settled().await;
    let day = worklist(&running, &one, "2024-10-16").await;
    assert_eq!(names(&day), ["乙", "丙"]);
    assert_eq!(plan(&running, TOWN).await.entries.len(), 2);
}

#[tokio::test]
async fn nobody_sees_beyond_the_own_divisions() {
    let ground = monday();
    let here = Person::default().on(&ground).await;
    let there = Person {
        village: OTHER_VILLAGE,
        ..Person::default()
    };
    let there = there.on(&ground).await;
    let running = started(&ground).await;
    let one = visitor(&running, VILLAGE, 50).await;
    plan(&running, "350524").await;
    for elder in [there, here] {
        adjust(&running, elder, to(&one, "2024-10-16", 0))
            .await
            .unwrap();
    }
    let mut officer = anybody();
    officer.divisions = vec![TOWN.to_owned()];
    let mut client = running.client_of(&officer);
    let request = pb::GetWorklistRequest {
        visitor_id: one.clone(),
        day: Some(date("2024-10-16")),
        min_position: String::new(),
    };
    let list = client.get_worklist(request).await.unwrap().into_inner();
    assert_eq!((list.items.len(), list.elsewhere), (1, 1));
    assert_eq!(list.items[0].elder_id, here.to_string());
    assert_eq!(list.items[0].place, 2);
    for division in ["350524", OTHER_TOWN] {
        let denied = client.plan_week(to_plan(division)).await.unwrap_err();
        assert_eq!(denied.code(), Code::PermissionDenied);
        let request = pb::GetPlanRequest {
            division_code: division.to_owned(),
            week: WEEK.to_owned(),
            ..Default::default()
        };
        let denied = client.get_plan(request).await.unwrap_err();
        assert_eq!(denied.code(), Code::PermissionDenied);
    }
    let request = pb::AdjustPlanRequest {
        request_id: Uuid::now_v7().to_string(),
        week: WEEK.to_owned(),
        elder_id: there.to_string(),
        adjustment: Some(mark(pb::PlanMark::Pinned)),
        ..Default::default()
    };
    let denied = client.adjust_plan(request).await.unwrap_err();
    assert_eq!(denied.code(), Code::PermissionDenied);
}

#[tokio::test]
async fn what_took_place_by_the_middle_of_the_week_stays_and_the_rest_is_planned_anew() {
    let ground = monday();
    let elders = weekly(&ground, 3).await;
    let running = started(&ground).await;
    let one = visitor(&running, VILLAGE, 20).await;
    plan(&running, TOWN).await;
    for elder in &elders[..2] {
        adjust(&running, *elder, to(&one, "2024-10-15", 0))
            .await
            .unwrap();
    }
    running.advance("2024-10-16 08:00").await;
    // Of Tuesday's two one took place.
    let record = visit(&one, elders[0], "2024-10-15 09:00");
    assert_eq!(running.told(&record).await, "COUNTED");
    let again = plan(&running, TOWN).await;
    assert_eq!(visit_of(&again, elders[0]).day, Some(date("2024-10-15")));
    for elder in &elders[1..] {
        let day = visit_of(&again, *elder).day.unwrap();
        assert!((16..=18).contains(&day.day), "{day:?}");
        assert!(!visit_of(&again, *elder).pinned);
    }
    let refused = adjust(&running, elders[1], to(&one, "2024-10-15", 0)).await;
    assert_eq!(reason(&refused.unwrap_err()), "DAY_NOT_OPEN");
}

#[tokio::test]
async fn wrong_requests_are_told_what_is_wrong() {
    let ground = monday();
    let elders = weekly(&ground, 1).await;
    let running = started(&ground).await;
    let one = visitor(&running, VILLAGE, 20).await;
    let invalid = [
        pb::PlanWeekRequest {
            week: "2024-W54".to_owned(),
            ..to_plan(TOWN)
        },
        pb::PlanWeekRequest {
            division_code: "35".to_owned(),
            ..to_plan(TOWN)
        },
        pb::PlanWeekRequest {
            request_id: "17".to_owned(),
            ..to_plan(TOWN)
        },
    ];
    for request in invalid {
        let refused = try_plan(&running, &request).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{request:?}");
    }
    let over = pb::PlanWeekRequest {
        week: "2024-W41".to_owned(),
        ..to_plan(TOWN)
    };
    let refused = try_plan(&running, &over).await.unwrap_err();
    assert_eq!(reason(&refused), "WEEK_OVER");
    let request = pb::GetPlanRequest {
        division_code: TOWN.to_owned(),
        week: WEEK.to_owned(),
        ..Default::default()
    };
    let refused = running.client().get_plan(request).await.unwrap_err();
    assert_eq!(reason(&refused), "PLAN_NOT_FOUND");
    let refused = adjust(&running, elders[0], mark(pb::PlanMark::Pinned)).await;
    assert_eq!(reason(&refused.unwrap_err()), "PLAN_NOT_FOUND");

    plan(&running, TOWN).await;
    let cases = [
        (to(&one, "2024-10-20", 0), "DAY_NOT_OPEN"),
        (to(&one, "2024-10-22", 0), "DAY_NOT_OPEN"),
        (
            to(&Uuid::now_v7().to_string(), "2024-10-15", 0),
            "VISITOR_NOT_FOUND",
        ),
    ];
    for (adjustment, expected) in cases {
        let refused = adjust(&running, elders[0], adjustment).await.unwrap_err();
        assert_eq!(reason(&refused), expected);
    }
    let stranger = Person::default().monthly().on(&running.ground).await;
    running.settled().await;
    let refused = adjust(&running, stranger, mark(pb::PlanMark::Pinned)).await;
    assert_eq!(reason(&refused.unwrap_err()), "NOT_IN_PLAN");
    let request = pb::AdjustPlanRequest {
        request_id: Uuid::now_v7().to_string(),
        week: WEEK.to_owned(),
        elder_id: elders[0].to_string(),
        ..Default::default()
    };
    let refused = running
        .client()
        .adjust_plan(request.clone())
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    let stale = pb::AdjustPlanRequest {
        adjustment: Some(mark(pb::PlanMark::Pinned)),
        etag: "v1".to_owned(),
        ..request
    };
    let refused = running.client().adjust_plan(stale).await.unwrap_err();
    assert_eq!(reason(&refused), "ETAG_MISMATCH");
}

#[tokio::test]
async fn a_caller_who_goes_leaves_the_way_free_for_the_next() {
    let ground = monday();
    weekly(&ground, 3).await;
    let running = started(&ground).await;
    visitor(&running, VILLAGE, 20).await;
    let steps = running.client().plan_week(to_plan(TOWN)).await.unwrap();
    drop(steps);
    assert_eq!(plan(&running, TOWN).await.entries.len(), 3);
}
