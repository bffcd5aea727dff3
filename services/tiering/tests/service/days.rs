//! Days pass: birthdays, ends of circumstances, facts that were recorded beforehand.

use civic::CapabilityLevel;
use elders::event::Event;

use crate::support::*;

#[tokio::test]
async fn a_tier_changes_on_the_day_itself() {
    let world = Running::on("2024-10-30").await;
    let (eighty, leap, sixty, hurt, leaves) = (elder(1), elder(2), elder(3), elder(4), elder(5));
    world
        .record(eighty, &[registered(eighty, "1944-11-05", |_| {})])
        .await;
    world
        .record(leap, &[registered(leap, "1945-02-28", |_| {})])
        .await;
    world
        .record(sixty, &[registered(sixty, "1964-11-02", |_| {})])
        .await;
    world
        .record(
            hurt,
            &[
                registered(hurt, "1954-11-02", |_| {}),
                circumstance("2024-10-01", Some("2024-11-03")),
            ],
        )
        .await;
    // Recorded beforehand, and both on the same day: moving out is what counts.
    let severe = assessed(CapabilityLevel::Severe, "2024-11-04");
    world
        .record(leaves, &[registered(leaves, "1954-11-02", |_| {}), severe])
        .await;
    world
        .record(
            leaves,
            &[Event::MovedOut {
                on: day("2024-11-06"),
            }],
        )
        .await;
    world.settled().await;
    let general = |on: &str, modes| {
        Some((
            "GENERAL".to_owned(),
            vec!["HEALTHY".to_owned()],
            on.to_owned(),
            modes,
        ))
    };
    assert_eq!(world.short(eighty).await, general("2024-10-30", 4));
    assert_eq!(world.short(sixty).await, None);
    assert_eq!(world.short(hurt).await, general("2024-10-30", 1));

    // A week at once: each change bears its own day.
    world.advance("2024-11-07").await;
    let priority = |reason: &str, on: &str, modes| {
        Some((
            "PRIORITY".to_owned(),
            vec![reason.to_owned()],
            on.to_owned(),
            modes,
        ))
    };
    assert_eq!(
        world.short(eighty).await,
        priority("AGE_80", "2024-11-05", 4)
    );
    assert_eq!(world.short(sixty).await, general("2024-11-02", 4));
    assert_eq!(world.short(hurt).await, general("2024-11-04", 4));
    assert_eq!(world.short(leaves).await, None);
    let of = |elder: civic::ElderId| {
        let id = elder.to_string();
        move |told: &Vec<String>| {
            told.iter()
                .filter(|event| event.ends_with(&id))
                .map(|event| event.split(' ').next().unwrap().to_owned())
                .collect::<Vec<_>>()
        }
    };
    let told = world.ground.told().await;
    assert_eq!(
        of(leaves)(&told),
        ["TierAssigned", "TierChanged", "TierEnded"]
    );

    // Months and a year end pass.
    world.advance("2025-02-27").await;
    assert_eq!(world.short(leap).await, general("2024-10-30", 4));
    world.advance("2025-03-01").await;
    assert_eq!(world.short(leap).await, priority("AGE_80", "2025-02-28", 4));
    world.verify().await;
    world.stop().await;
}

#[tokio::test]
async fn days_that_passed_while_tiering_was_down_are_caught_up_with() {
    let world = Running::on("2024-11-01").await;
    let (one, other) = (elder(1), elder(2));
    world
        .record(one, &[registered(one, "1944-11-05", |_| {})])
        .await;
    world.settled().await;
    let ground = world.stop().await;
    ground
        .clock
        .advance_to(instant("2024-11-06T12:00:00+08:00"))
        .unwrap();
    let assessed_then = elder(3);
    ground
        .record(
            assessed_then,
            &[
                registered(assessed_then, "1954-11-07", |_| {}),
                assessed(CapabilityLevel::Total, "2024-11-08"),
            ],
        )
        .await;
    ground
        .clock
        .advance_to(instant("2024-11-10T12:00:00+08:00"))
        .unwrap();
    ground
        .record(other, &[registered(other, "1944-11-07", |_| {})])
        .await;
    let world = ground.start().await;
    assert_eq!(world.short(one).await.unwrap().2, "2024-11-05");
    // Who was registered on the tenth has a tier from then on.
    assert_eq!(world.short(other).await.unwrap().2, "2024-11-10");
    // As if tiering had been there: assigned on the sixth, changed on the eighth.
    assert_eq!(world.short(assessed_then).await.unwrap().2, "2024-11-08");
    let told = world.ground.told().await;
    let changes = told
        .iter()
        .filter(|event| event.ends_with(&assessed_then.to_string()));
    assert_eq!(changes.count(), 2);
    world.verify().await;
    world.stop().await;
}

#[tokio::test]
async fn a_retroactive_fact_holds_from_its_own_day_on_though_not_before_the_file_was_opened() {
    let world = Running::on("2024-11-10").await;
    let she = elder(1);
    world
        .record(she, &[registered(she, "1950-11-05", |_| {})])
        .await;
    world.settled().await;
    world.advance("2024-11-12").await;
    let position = world
        .record(she, &[assessed(CapabilityLevel::Total, "2024-11-01")])
        .await;
    let tier = world.tier_after(she, position).await.unwrap();
    assert_eq!(tier.on, Some(date("2024-11-10")));
    // A later assessment prevails whenever it was recorded.
    let position = world
        .record(she, &[assessed(CapabilityLevel::Mild, "2024-10-01")])
        .await;
    assert_eq!(
        world
            .tier_after(she, position)
            .await
            .unwrap()
            .assignment
            .unwrap()
            .reasons,
        ["SEVERE_DISABILITY"]
    );
    world.stop().await;
}
