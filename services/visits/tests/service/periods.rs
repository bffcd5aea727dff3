//! Weeks and months close by the clock alone, once, by what was recorded when they closed.

use civic::ElderId;
use elders::event::{Event, Residence, Spoken};
use eventlog::Fault;
use proto::eldercare::visits::v1 as pb;
use uuid::Uuid;

use crate::support::{COUNTY, Ground, Running, VILLAGE, at, date, day, visit};

const NEXT_COUNTY: &str = "350525";
const VILLAGE_OF_NEXT: &str = "350525100001";

#[tokio::test]
async fn a_week_closes_at_its_end_and_a_late_record_meets_it_late() {
    let ground = Ground::at("2024-10-07 09:00");
    let (met, missed) = (ground.weekly().await, ground.weekly().await);
    let running = ground.start().await;
    running.start_visiting("2024-10-07").await;
    let visitor = running.visitor().await;
    running.advance("2024-10-10 12:00").await;
    let record = visit(&visitor, met, "2024-10-10 09:00");
    assert_eq!(running.told(&record).await, "COUNTED");
    assert_eq!(running.duties("2024-W41").await, (2, 1, 1, 0, false));
    running.advance("2024-10-13 23:59").await;
    assert_eq!(running.duties("2024-W41").await, (2, 1, 1, 0, false));
    running.advance("2024-10-14 00:00").await;
    assert_eq!(running.duties("2024-W41").await, (2, 1, 1, 1, true));

    // From a phone that was off line: the miss stays on record, the duty is met.
    let late = visit(&visitor, missed, "2024-10-11 15:00");
    assert_eq!(running.told(&late).await, "COUNTED");
    assert_eq!(running.duties("2024-W41").await, (2, 2, 0, 1, true));
    let events = running.events().await;
    let count = |name: &str| events.iter().filter(|event| *event == name).count();
    assert_eq!((count("VisitMissed"), count("DutyMet")), (1, 2));
}

#[tokio::test]
async fn what_closes_while_the_service_is_down_closes_when_it_is_up_once() {
    let ground = Ground::at("2024-10-07 09:00");
    let (here, dies_late) = (ground.weekly().await, ground.weekly().await);
    let running = ground.start().await;
    running.start_visiting("2024-10-07").await;
    let (ground, database) = running.stop().await;
    // Over two weeks and the end of a month; meanwhile facts are recorded.
    ground.clock.advance_to(at("2024-10-20 09:00")).unwrap();
    ground
        .record(
            dies_late,
            &[Event::Died {
                on: day("2024-10-12"),
            }],
        )
        .await;
    ground.clock.advance_to(at("2024-11-02 09:00")).unwrap();

    let running = ground.start_on(database).await;
    // The death of the 12th was not known when the week of the 7th closed; by all facts nothing was owed.
    assert_eq!(running.duties("2024-W41").await, (1, 0, 1, 2, true));
    assert_eq!(running.duties("2024-W42").await, (1, 0, 1, 1, true));
    assert_eq!(running.duties("2024-W43").await, (1, 0, 1, 1, true));
    let events = running.events().await;
    let missed = || {
        events
            .iter()
            .filter(|event| *event == "VisitMissed")
            .count()
    };
    assert_eq!(missed(), 4);
    let _ = here;

    let (ground, _) = running.stop().await;
    let running = ground.start().await;
    assert_eq!(running.events().await, events);
    assert_eq!(running.duties("2024-W41").await, (1, 0, 1, 2, true));
}

#[tokio::test]
async fn a_closing_that_is_cut_off_while_it_writes_is_finished_and_nobody_is_missed_twice() {
    let ground = Ground::at("2024-10-07 09:00");
    let mut elders = Vec::new();
    for _ in 0..120 {
        elders.push(ground.weekly().await);
    }
    let running = ground.start().await;
    running.start_visiting("2024-10-07").await;
    let visitor = running.visitor().await;
    running.advance("2024-10-10 12:00").await;
    let record = visit(&visitor, elders[7], "2024-10-10 09:00");
    assert_eq!(running.told(&record).await, "COUNTED");
    // A batch is written without an answer, and another one never arrives.
    for fault in [Fault::AfterWriting, Fault::BeforeWriting] {
        running.ground.own.fail_next(fault);
    }
    running.advance("2024-10-14 00:00").await;
    assert_eq!(running.duties("2024-W41").await, (120, 1, 119, 119, true));
    let events = running.events().await;
    let count = |name: &str| events.iter().filter(|event| *event == name).count();
    assert_eq!(
        (
            count("VisitMissed"),
            count("DutyMet"),
            count("PeriodClosed")
        ),
        (119, 1, 1)
    );
}

#[tokio::test]
async fn who_turns_eighty_dies_or_is_erased_in_a_period_owes_by_its_last_day() {
    let ground = Ground::at("2024-12-30 09:00");
    let mild = civic::CapabilityLevel::Mild;
    // Eighty on the Thursday of ISO week 1 of 2025, which begins in 2024.
    let turns_eighty = ground.elder("1945-01-02", mild).await;
    let (dies, erased) = (ground.weekly().await, ground.weekly().await);
    let running = ground.start().await;
    running.start_visiting("2024-12-30").await;
    assert_eq!(running.duties("2025-W01").await, (2, 0, 2, 0, false));
    running.advance("2025-01-02 09:00").await;
    assert_eq!(running.duties("2025-W01").await, (3, 0, 3, 0, false));
    let ground = &running.ground;
    ground
        .record(
            dies,
            &[Event::Died {
                on: day("2025-01-03"),
            }],
        )
        .await;
    let erasure = Event::Erased {
        reason: "REQUEST".to_owned(),
    };
    ground.record(erased, &[erasure]).await;
    running.advance("2025-01-06 00:00").await;
    assert_eq!(running.duties("2025-W01").await, (1, 0, 1, 1, true));
    assert_eq!(running.coverage("2025-01").await, "0/1");
    // Monthly duties begin with the first full month, whose last day finds nobody left who is owed one.
    running.advance("2025-02-01 00:00").await;
    assert_eq!(running.duties("2025-01").await, (0, 0, 0, 0, true));
    assert_eq!(running.duties("2025-W04").await, (1, 0, 1, 1, true));
    let _ = turns_eighty;
}

#[tokio::test]
async fn week_53_closes_in_the_next_year_and_the_month_before_it() {
    let ground = Ground::at("2026-12-28 09:00");
    let (met, late) = (ground.weekly().await, ground.weekly().await);
    let monthly = ground.monthly().await;
    let running = ground.start().await;
    running.start_visiting("2026-12-01").await;
    let visitor = running.visitor().await;
    running.advance("2027-01-02 18:00").await;
    assert_eq!(running.duties("2026-12").await, (1, 0, 1, 1, true));
    // In the week, and in the year after the month that closed.
    for elder in [met, monthly] {
        let record = visit(
            &visitor,
            elder,
            if elder == met {
                "2027-01-02 09:00"
            } else {
                "2027-01-01 09:00"
            },
        );
        assert_eq!(running.told(&record).await, "COUNTED");
    }
    assert_eq!(running.duties("2026-W53").await, (2, 1, 1, 0, false));
    running.advance("2027-01-04 00:00").await;
    assert_eq!(running.duties("2026-W53").await, (2, 1, 1, 1, true));
    assert_eq!(running.duties("2027-W01").await, (2, 0, 2, 0, false));
    let record = visit(&visitor, late, "2026-12-31 09:00");
    assert_eq!(running.told(&record).await, "COUNTED");
    assert_eq!(running.duties("2026-W53").await, (2, 2, 0, 1, true));
    assert_eq!(running.coverage("2026-12").await, "1/3");
    assert_eq!(running.coverage("2027-01").await, "2/3");
}

/// Records that an elder moves to the village in the next county on a day.
async fn moves_away(running: &Running, elder: ElderId, on: &str) {
    let residence = Residence {
        village: VILLAGE_OF_NEXT.parse().unwrap(),
        home: None,
    };
    let moved = Event::Relocated(residence, day(on));
    running.ground.record(elder, &[moved]).await;
}

/// What a county says of a week: owed, met, unmet, missed, and whose duties, with the village and whether missed.
async fn of_the_week(
    running: &Running,
    county: &str,
    filter: pb::DutyFilter,
) -> ((i64, i64, i64, i64), Vec<(String, String, bool)>) {
    running.settled().await;
    let request = pb::ListDutiesRequest {
        division_code: county.to_owned(),
        period: "2024-W41".to_owned(),
        filter: filter.into(),
        ..Default::default()
    };
    let told = running.client().list_duties(request).await;
    let told = told.unwrap().into_inner();
    let duties = told.duties.into_iter();
    (
        (told.owed, told.met, told.unmet, told.missed),
        duties
            .map(|duty| (duty.elder_id, duty.division_code, duty.missed))
            .collect(),
    )
}

#[tokio::test]
async fn who_moves_is_owed_where_she_lives_on_the_last_day() {
    // Given two counties that visit, and an elder of the first.
    let ground = Ground::at("2024-10-07 09:00");
    let elder = ground.weekly().await;
    let running = ground.start().await;
    running.start_visiting("2024-10-07").await;
    let request = pb::StartVisitingRequest {
        request_id: Uuid::now_v7().to_string(),
        division_code: NEXT_COUNTY.to_owned(),
        on: Some(date("2024-10-07")),
    };
    running.client().start_visiting(request).await.unwrap();
    let all = pb::DutyFilter::Unspecified;
    let duty = |village: &str, missed| vec![(elder.to_string(), village.to_owned(), missed)];
    assert_eq!(
        of_the_week(&running, COUNTY, all).await,
        ((1, 0, 1, 0), duty(VILLAGE, false))
    );
    assert_eq!(
        of_the_week(&running, NEXT_COUNTY, all).await,
        ((0, 0, 0, 0), vec![])
    );

    // When she moves on the Saturday, then from that day on the second county owes the visit, and the first nothing.
    moves_away(&running, elder, "2024-10-12").await;
    running.advance("2024-10-12 09:00").await;
    assert_eq!(
        of_the_week(&running, NEXT_COUNTY, all).await,
        ((1, 0, 1, 0), duty(VILLAGE_OF_NEXT, false))
    );
    assert_eq!(
        of_the_week(&running, COUNTY, all).await,
        ((0, 0, 0, 0), vec![])
    );

    // And when the week closes, the second county missed her, once.
    running.advance("2024-10-14 00:00").await;
    for filter in [all, pb::DutyFilter::Missed] {
        assert_eq!(
            of_the_week(&running, NEXT_COUNTY, filter).await,
            ((1, 0, 1, 1), duty(VILLAGE_OF_NEXT, true)),
            "{filter:?}"
        );
        assert_eq!(
            of_the_week(&running, COUNTY, filter).await,
            ((0, 0, 0, 0), vec![]),
            "{filter:?}"
        );
    }
    assert_eq!(running.duties("2024-W41").await, (0, 0, 0, 0, true));
    let events = running.events().await;
    let missed = events.iter().filter(|event| *event == "VisitMissed");
    assert_eq!(missed.count(), 1);
    running.stop().await;
}

#[tokio::test]
async fn who_moves_to_where_nobody_visits_yet_is_owed_nothing() {
    let ground = Ground::at("2024-10-07 09:00");
    let elder = ground.weekly().await;
    let running = ground.start().await;
    running.start_visiting("2024-10-07").await;
    moves_away(&running, elder, "2024-10-12").await;
    running.advance("2024-10-14 00:00").await;
    assert_eq!(running.duties("2024-W41").await, (0, 0, 0, 0, true));
    running.stop().await;
}

#[tokio::test]
async fn a_duty_without_consent_is_told_apart() {
    let ground = Ground::at("2024-10-07 09:00");
    let elder = ground.weekly().await;
    let running = ground.start().await;
    running.start_visiting("2024-10-07").await;
    let refused = Event::ConsentRefused(Spoken {
        by: None,
        at: Some(at("2024-10-09 08:00")),
    });
    running.ground.record(elder, &[refused]).await;
    running.advance("2024-10-14 00:00").await;
    let request = pb::ListDutiesRequest {
        division_code: "350524".to_owned(),
        period: "2024-W41".to_owned(),
        filter: pb::DutyFilter::Missed.into(),
        ..Default::default()
    };
    let duties = running
        .client()
        .list_duties(request)
        .await
        .unwrap()
        .into_inner();
    assert!(duties.duties[0].blocked_by_consent && duties.duties[0].missed);
}
