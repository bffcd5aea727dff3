//! A town's week from outside: planned, changed by people, planned again, and told to visitors day by day.
//!
//! Every plan that is made here is also checked by the planner's validator, inside the service.

use civic::{ConsentState, ElderId};
use elders::event::{Event, Residence};
use proto::eldercare::r#type::v1 as types;
use proto::eldercare::visits::v1 as pb;
use service::{Claims, testing::anybody};
use tonic::Code;
use uuid::Uuid;

use crate::planned::{
    NEXT_VILLAGE, OTHER_TOWN, OTHER_VILLAGE, Person, TOWN, WEEK, adjust, mark, monday, of, plan,
    skip, started, stored, to, to_adjust, to_plan, try_plan, unplanned, visit_of, visitor, weekly,
    worklist,
};
use crate::support::{Ground, VILLAGE, date, day, place, reason, visit};

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
    let unknown = client.adjust_plan(request).await.unwrap_err();
    assert_eq!(reason(&unknown), "ELDER_NOT_FOUND");
}

#[tokio::test]
async fn a_plan_is_made_and_changed_by_who_says_what_for_since_it_is_told() {
    let ground = monday();
    let elder = weekly(&ground, 1).await[0];
    let running = started(&ground).await;
    visitor(&running, VILLAGE, 20).await;
    plan(&running, TOWN).await;
    let before = stored(&running, TOWN).await;
    let silent = Claims {
        purpose: None,
        ..anybody()
    };
    let mut client = running.client_of(&silent);
    let pin = to_adjust(elder, mark(pb::PlanMark::Pinned));
    let refused = [
        client.plan_week(to_plan(TOWN)).await.err(),
        client.adjust_plan(pin.clone()).await.err(),
    ];
    for refused in refused {
        let refused = refused.unwrap();
        assert_eq!(refused.code(), Code::PermissionDenied);
        assert_eq!(reason(&refused), "PURPOSE_REQUIRED");
    }
    assert_eq!(stored(&running, TOWN).await, before, "nothing was done");
    let mut pin = tonic::Request::new(pin);
    let purpose = "home visits".parse().unwrap();
    pin.metadata_mut().insert("eldercare-purpose", purpose);
    assert!(client.adjust_plan(pin).await.is_ok());
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

#[tokio::test]
async fn a_change_that_comes_again_is_answered_as_before_whatever_became_of_the_elder() {
    let ground = monday();
    let moves = Person::default().on(&ground).await;
    let erased = Person::default().on(&ground).await;
    let running = started(&ground).await;
    let one = visitor(&running, VILLAGE, 50).await;
    plan(&running, TOWN).await;
    let send = |request: pb::AdjustPlanRequest| {
        let mut client = running.client();
        async move {
            client
                .adjust_plan(request)
                .await
                .map(tonic::Response::into_inner)
        }
    };
    let changes = [
        to_adjust(moves, to(&one, "2024-10-17", 0)),
        to_adjust(erased, skip(pb::SkipReason::Away)),
    ];
    let mut answers = Vec::new();
    for change in &changes {
        answers.push(send(change.clone()).await.unwrap());
    }
    let elsewhere = Residence {
        village: "350525100001".parse().unwrap(),
        home: None,
    };
    let moved = Event::Relocated(elsewhere, day("2024-10-14"));
    ground.record(moves, &[moved]).await;
    let erasure = Event::Erased {
        reason: "REQUEST".to_owned(),
    };
    ground.record(erased, &[erasure]).await;
    running.settled().await;
    for (change, before) in changes.iter().zip(&answers) {
        let again = send(change.clone()).await.unwrap();
        assert_eq!(again.position, before.position);
        assert_eq!(again.entry, before.entry);
        // Another change under the same request is noticed all the same.
        let another = pb::AdjustPlanRequest {
            adjustment: Some(mark(pb::PlanMark::Pinned)),
            ..change.clone()
        };
        assert_eq!(
            reason(&send(another).await.unwrap_err()),
            "REQUEST_ID_REUSED"
        );
    }
    running.stop().await;
}
