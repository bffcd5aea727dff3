//! The figures of coverage follow whatever changes them: records, decisions, facts, policies, and the day.

use elders::event::{Event, Residence};
use proto::eldercare::r#type::v1 as types;
use proto::eldercare::visits::v1 as pb;

use crate::planned::Person;
use crate::support::{COUNTY, Ground, VILLAGE, date, day, visit};

#[tokio::test]
async fn figures_follow_records_decisions_and_facts() {
    let ground = Ground::at("2024-10-08 09:00");
    let (one, two, three) = (
        ground.weekly().await,
        ground.weekly().await,
        ground.monthly().await,
    );
    let running = ground.start().await;
    assert_eq!(running.coverage("2024-10").await, "0/3");
    let visitor = running.visitor().await;
    running.advance("2024-10-10 18:00").await;
    for (elder, start) in [
        (one, "2024-10-09 09:00"),
        (one, "2024-10-09 15:00"),
        (two, "2024-10-10 09:00"),
    ] {
        let told = running.told(&visit(&visitor, elder, start)).await;
        assert_eq!(told, "COUNTED");
    }
    assert_eq!(running.coverage("2024-10").await, "2/3");

    // It counts once it is confirmed.
    let doubtful = visit(&visitor, three, "2024-10-10 09:10");
    assert_eq!(running.told(&doubtful).await, "DOUBTFUL OVERLAP");
    assert_eq!(running.coverage("2024-10").await, "2/3");
    running.decide(&doubtful, true).await.unwrap();
    assert_eq!(running.coverage("2024-10").await, "3/3");

    // Whoever dies or moves away takes the visits along, also when it is told late.
    let ground = &running.ground;
    let died = Event::Died {
        on: day("2024-10-09"),
    };
    ground.record(one, &[died]).await;
    assert_eq!(running.coverage("2024-10").await, "2/2");
    let elsewhere = Residence {
        village: "350525100001".parse().unwrap(),
        home: None,
    };
    let moved = Event::Relocated(elsewhere, day("2024-10-10"));
    ground.record(two, &[moved]).await;
    assert_eq!(running.coverage("2024-10").await, "1/1");
    let erased = Event::Erased {
        reason: "REQUEST".to_owned(),
    };
    ground.record(three, &[erased]).await;
    assert_eq!(running.coverage("2024-10").await, "0/0");
}

#[tokio::test]
async fn figures_go_by_the_day_and_by_the_month() {
    let ground = Ground::at("2024-10-30 09:00");
    let elder = ground.weekly().await;
    // Sixty on the last day of October.
    ground
        .elder("1964-10-31", civic::CapabilityLevel::Mild)
        .await;
    let running = ground.start().await;
    let visitor = running.visitor().await;
    assert_eq!(running.coverage("2024-10").await, "0/1");
    running.advance("2024-10-31 00:00").await;
    assert_eq!(running.coverage("2024-10").await, "0/2");
    running.advance("2024-11-01 12:00").await;
    assert_eq!(running.coverage("2024-10").await, "0/2");
    assert_eq!(running.coverage("2024-11").await, "0/2");
    // A record from a phone that was off line moves the month that is over.
    let late = visit(&visitor, elder, "2024-10-31 09:00");
    assert_eq!(running.told(&late).await, "COUNTED");
    assert_eq!(running.coverage("2024-10").await, "1/2");
    assert_eq!(running.coverage("2024-11").await, "0/2");

    // The service was down over months; older ones than those that it keeps are counted when they are asked for.
    let (ground, database) = running.stop().await;
    ground
        .clock
        .advance_to(crate::support::at("2026-03-01 09:00"))
        .unwrap();
    let running = ground.start_on(database).await;
    assert_eq!(running.coverage("2024-10").await, "1/2");
    assert_eq!(running.coverage("2025-12").await, "0/2");
    assert_eq!(running.coverage("2024-03").await, "0/1");
    let (ground, _) = running.stop().await;
    let anew = ground.start().await;
    assert_eq!(anew.coverage("2024-10").await, "1/2");
}

#[tokio::test]
async fn figures_are_told_by_village_with_the_elders_behind_them() {
    let ground = Ground::at("2024-10-08 20:00");
    let mut elders = Vec::new();
    for _ in 0..4 {
        elders.push(ground.weekly().await);
    }
    let running = ground.start().await;
    let visitor = running.visitor().await;
    let visited = visit(&visitor, elders[1], "2024-10-08 09:00");
    assert_eq!(running.told(&visited).await, "COUNTED");
    running.settled().await;
    let request = pb::GetCoverageRequest {
        division_code: COUNTY.to_owned(),
        month: "2024-10".to_owned(),
        by: types::DivisionLevel::Village.into(),
        elders: pb::CoverageElders::ToVisit.into(),
        page_size: 2,
        ..Default::default()
    };
    let answer = running.client().get_coverage(request.clone()).await;
    let answer = answer.unwrap().into_inner();
    assert_eq!(answer.on, Some(date("2024-10-08")));
    let village = &answer.divisions[0];
    assert_eq!(
        (
            village.division_code.as_str(),
            village.in_scope,
            village.visited
        ),
        (VILLAGE, 4, 1)
    );
    let mut told: Vec<String> = answer
        .elders
        .iter()
        .map(|one| one.elder_id.clone())
        .collect();
    let rest = pb::GetCoverageRequest {
        page_token: answer.next_page_token,
        ..request
    };
    let rest = running.client().get_coverage(rest).await.unwrap();
    told.extend(rest.into_inner().elders.into_iter().map(|one| one.elder_id));
    let mut expected = [elders[0], elders[2], elders[3]].map(|elder| elder.to_string());
    expected.sort_unstable();
    told.sort_unstable();
    assert_eq!(told, expected);
}

#[tokio::test]
async fn a_citys_figures_are_told_by_county_and_sum_up() {
    // Given elders in two counties of a city and in another city, of whom one in the first county is visited.
    let ground = Ground::at("2024-10-08 20:00");
    let visited = ground.weekly().await;
    ground.monthly().await;
    for village in ["350525100001", "350583100001", "350602100001"] {
        let person = Person {
            village,
            ..Person::default()
        };
        person.on(&ground).await;
    }
    let running = ground.start().await;
    let visitor = running.visitor().await;
    let record = visit(&visitor, visited, "2024-10-08 09:00");
    assert_eq!(running.told(&record).await, "COUNTED");
    running.settled().await;

    // When the city is asked for, by county or by what is next below it.
    for by in [
        types::DivisionLevel::County,
        types::DivisionLevel::Unspecified,
    ] {
        let request = pb::GetCoverageRequest {
            division_code: "3505".to_owned(),
            month: "2024-10".to_owned(),
            by: by.into(),
            ..Default::default()
        };
        let answer = running.client().get_coverage(request).await;
        let answer = answer.unwrap().into_inner();

        // Then its counties are told in their order, without the other city, and their sum is the city's.
        let figures = |of: &pb::Coverage| {
            (
                of.division_code.clone(),
                of.in_scope,
                of.visited,
                of.coverage.to_string(),
            )
        };
        let row = |code: &str, in_scope, visited, share: &str| {
            (code.to_owned(), in_scope, visited, share.to_owned())
        };
        assert_eq!(
            figures(&answer.total.unwrap()),
            row("3505", 4, 1, "0.25"),
            "{by:?}"
        );
        let rows: Vec<_> = answer.divisions.iter().map(figures).collect();
        assert_eq!(
            rows,
            [
                row(COUNTY, 2, 1, "0.5"),
                row("350525", 1, 0, "0"),
                row("350583", 1, 0, "0"),
            ],
            "{by:?}"
        );
    }
    running.stop().await;
}
