//! What the registry records becomes a tier, is changed and is ended; lists and counts follow.

use civic::{CapabilityLevel, Category, Observation, Set};
use elders::event::{Event, Merge, ProfileUpdated};
use proto::eldercare::tiering::v1 as pb;
use proto::eldercare::r#type::v1::VisitMode;

use crate::support::*;

#[tokio::test]
async fn a_registration_gives_a_tier_that_later_facts_change_and_a_death_ends() {
    let world = Running::on("2024-10-01").await;
    let she = elder(1);
    let position = world
        .record(she, &[registered(she, "1950-05-05", |_| {})])
        .await;
    let tier = world.tier_after(she, position).await.unwrap();
    let assignment = tier.assignment.unwrap();
    assert_eq!(
        (assignment.tier.as_str(), assignment.reasons.as_slice()),
        ("GENERAL", ["HEALTHY".to_owned()].as_slice())
    );
    assert_eq!(assignment.interval(), pb::Interval::Monthly);
    let all = [
        VisitMode::Home,
        VisitMode::Phone,
        VisitMode::Online,
        VisitMode::Encounter,
    ];
    assert_eq!(assignment.modes().collect::<Vec<_>>(), all);
    assert_eq!(
        (
            assignment.policy_division_code.as_str(),
            assignment.policy_version
        ),
        ("0", 1)
    );
    assert_eq!(
        (
            assignment.division_code.as_str(),
            tier.on,
            tier.position.as_str()
        ),
        (VILLAGE, Some(date("2024-10-01")), "TIERING:1")
    );

    let position = world
        .record(she, &[assessed(CapabilityLevel::Severe, "2024-10-01")])
        .await;
    let assignment = world
        .tier_after(she, position)
        .await
        .unwrap()
        .assignment
        .unwrap();
    assert_eq!(
        (assignment.tier.as_str(), assignment.reasons.as_slice()),
        ("PRIORITY", ["SEVERE_DISABILITY".to_owned()].as_slice())
    );
    assert_eq!(assignment.interval(), pb::Interval::Weekly);

    // A fact that changes nothing is no event.
    let move_on = Event::Relocated(residence("350524102003"), day("2024-10-01"));
    let position = world.record(she, &[move_on]).await;
    let tier = world.tier_after(she, position).await.unwrap();
    assert_eq!(
        (
            tier.position.as_str(),
            tier.assignment.unwrap().division_code.as_str()
        ),
        ("TIERING:2", "350524102003")
    );

    let position = world
        .record(
            she,
            &[Event::Died {
                on: day("2024-10-01"),
            }],
        )
        .await;
    assert_eq!(world.tier_after(she, position).await, None);
    let id = she.to_string();
    assert_eq!(
        world.ground.told().await,
        [
            format!("TierAssigned {id}"),
            format!("TierChanged {id}"),
            format!("TierEnded {id}")
        ]
    );
    world.verify().await;
    world.stop().await;
}

#[tokio::test]
async fn an_elder_out_of_scope_gets_no_tier_until_there_is_a_category() {
    let world = Running::on("2024-10-01").await;
    let he = elder(1);
    world
        .record(
            he,
            &[registered(he, "1950-05-05", |elder| {
                elder.categories = Set::new()
            })],
        )
        .await;
    world.settled().await;
    assert_eq!(world.tier(he).await, None);
    let category = ProfileUpdated {
        categories: Some(Category::EmptyNest.into()),
        ..ProfileUpdated::default()
    };
    let position = world.record(he, &[Event::ProfileUpdated(category)]).await;
    assert!(world.tier_after(he, position).await.is_some());
    // An erased elder's tier ends, and nothing of the facts stays.
    world
        .record(
            he,
            &[Event::Erased {
                reason: "REQUEST".to_owned(),
            }],
        )
        .await;
    world.settled().await;
    assert_eq!(world.tier(he).await, None);
    let left: (i64, i64, i64) = sqlx::query_as(
        "SELECT (SELECT count(*) FROM tiering_facts.elder WHERE facts IS NOT NULL), \
                (SELECT count(*) FROM tiering_today.elder), \
                (SELECT count(*) FROM tiering_tiers.tier WHERE tier IS NOT NULL OR cardinality(reasons) > 0)",
    )
    .fetch_one(&world.instance.pool)
    .await
    .unwrap();
    assert_eq!(left, (0, 0, 0));
    world.verify().await;
    world.stop().await;
}

#[tokio::test]
async fn tiers_are_listed_and_counted_by_division() {
    let world = Running::on("2024-10-01").await;
    let villages = [
        "350524100001",
        "350524100002",
        "350524101001",
        "370303100001",
    ];
    for number in 0..40_u128 {
        let id = elder(number);
        let birth = if number.is_multiple_of(4) {
            "1940-01-01"
        } else {
            "1955-01-01"
        };
        let event = registered(id, birth, |elder| {
            elder.residence = residence(villages[usize::try_from(number).unwrap() % 4]);
            if number % 4 == 2 {
                elder.capability = elders::event::Capability::unassessed();
                elder.observations = Observation::MobilityImpaired.into();
            }
        });
        world.record(id, &[event]).await;
    }
    world.settled().await;
    let mut client = world.client();
    let request = pb::CountTiersRequest {
        division_code: "350524".to_owned(),
        min_position: String::new(),
    };
    let counts = client.count_tiers(request).await.unwrap().into_inner();
    let by_tier = |tiers: &[pb::TierCount]| {
        tiers
            .iter()
            .map(|count| (count.tier.clone(), count.elders))
            .collect::<Vec<_>>()
    };
    let expected = [("PRIORITY", 10), ("SECONDARY", 10), ("GENERAL", 10)]
        .map(|(tier, elders)| (tier.to_owned(), elders));
    assert_eq!(
        (counts.in_scope, by_tier(&counts.tiers)),
        (30, expected.to_vec())
    );
    let reasons: Vec<_> = counts
        .reasons
        .iter()
        .map(|count| (count.reason.as_str(), count.elders))
        .collect();
    assert_eq!(
        reasons,
        [("AGE_80", 10), ("HEALTHY", 10), ("MOBILITY_IMPAIRED", 10)]
    );
    let divisions: Vec<_> = counts
        .divisions
        .iter()
        .map(|count| (count.division_code.as_str(), count.in_scope))
        .collect();
    assert_eq!(divisions, [("350524100", 20), ("350524101", 10)]);

    let mut request = pb::ListTiersRequest {
        division_code: "350524100".to_owned(),
        tiers: vec!["GENERAL".to_owned(), "PRIORITY".to_owned()],
        page_size: 7,
        ..pb::ListTiersRequest::default()
    };
    let mut listed = Vec::new();
    loop {
        let page = client
            .list_tiers(request.clone())
            .await
            .unwrap()
            .into_inner();
        assert!(page.tiers.len() <= 7);
        listed.extend(page.tiers);
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    assert_eq!(listed.len(), 20);
    assert!(listed.is_sorted_by_key(|tier| tier.elder_id.clone()));
    let request = pb::ListTiersRequest {
        division_code: "35".to_owned(),
        reasons: vec!["MOBILITY_IMPAIRED".to_owned()],
        ..pb::ListTiersRequest::default()
    };
    assert_eq!(
        client
            .list_tiers(request)
            .await
            .unwrap()
            .into_inner()
            .tiers
            .len(),
        10
    );

    let elder_ids = [elder(3), elder(99), elder(0)]
        .map(|elder| elder.to_string())
        .to_vec();
    let request = pb::BatchGetTiersRequest {
        elder_ids: elder_ids.clone(),
        min_position: String::new(),
    };
    let answer = client.batch_get_tiers(request).await.unwrap().into_inner();
    assert_eq!(
        answer
            .tiers
            .iter()
            .map(|tier| tier.elder_id.clone())
            .collect::<Vec<_>>(),
        [elder_ids[0].clone(), elder_ids[2].clone()]
    );
    assert_eq!(answer.missing_elder_ids, [elder_ids[1].clone()]);
    world.stop().await;
}

fn died(on: &str) -> Event {
    Event::Died { on: day(on) }
}

#[tokio::test]
async fn what_is_recorded_late_holds_from_its_own_day_on() {
    let world = Running::on("2024-10-01").await;
    let [dead, worse, back, mistaken] = [1, 2, 3, 4].map(elder);
    for one in [dead, worse, back, mistaken] {
        world
            .record(one, &[registered(one, "1950-05-05", |_| {})])
            .await;
    }
    world.settled().await;
    world.advance("2024-10-20").await;
    world.record(dead, &[died("2024-10-05")]).await;
    world
        .record(worse, &[assessed(CapabilityLevel::Severe, "2024-10-12")])
        .await;
    world.record(back, &[died("2024-10-08")]).await;
    // Before the file was opened: the person was never owed a visit.
    world.record(mistaken, &[died("2024-08-01")]).await;
    world.settled().await;
    let reinstated = Event::Reinstated {
        on: day("2024-10-15"),
        reason: "MISTAKE".to_owned(),
    };
    world.record(back, &[reinstated]).await;
    world.settled().await;

    assert_eq!(
        world.ground.days(dead).await,
        ["TierAssigned 2024-10-01", "TierEnded 2024-10-05"]
    );
    assert_eq!(
        world.ground.days(worse).await,
        ["TierAssigned 2024-10-01", "TierChanged 2024-10-12"]
    );
    assert_eq!(
        world.ground.days(back).await,
        [
            "TierAssigned 2024-10-01",
            "TierEnded 2024-10-08",
            "TierAssigned 2024-10-15"
        ]
    );
    assert_eq!(
        world.ground.days(mistaken).await,
        ["TierAssigned 2024-10-01", "TierEnded 2024-10-01"]
    );
    // Past days are explained as they were known then.
    let explain = |elder: civic::ElderId, on: &str| pb::ExplainTierRequest {
        elder_id: elder.to_string(),
        on: Some(date(on)),
        min_position: String::new(),
    };
    let mut client = world.client();
    for (on, in_scope) in [("2024-10-06", true), ("2024-10-20", false)] {
        let answer = client.explain_tier(explain(dead, on)).await.unwrap();
        assert_eq!(answer.into_inner().in_scope, in_scope, "{on}");
    }
    world.verify().await;
    world.stop().await;
}

#[tokio::test]
async fn a_merged_file_is_answered_for_by_the_surviving_one() {
    let world = Running::on("2024-10-01").await;
    let [she, twin, other] = [1, 2, 3].map(elder);
    world
        .record(she, &[registered(she, "1940-05-05", |_| {})])
        .await;
    for one in [twin, other] {
        world
            .record(one, &[registered(one, "1950-05-05", |_| {})])
            .await;
    }
    world.settled().await;
    world.advance("2024-10-10").await;
    let merge = |surviving, merged| Merge {
        surviving,
        merged,
        reason: "SAME_PERSON".to_owned(),
    };
    // A chain: the twin's file leads to the other's, and that to hers.
    let merges = [(other, twin), (she, other)].map(|(surviving, merged)| merge(surviving, merged));
    for merge in &merges {
        let event = Event::Merged(merge.clone());
        world
            .record(merge.merged, std::slice::from_ref(&event))
            .await;
        world.record(merge.surviving, &[event]).await;
    }
    world.settled().await;

    for asked in [she, twin, other] {
        let tier = world.tier(asked).await.unwrap();
        assert_eq!(
            (tier.elder_id, tier.assignment.unwrap().reasons),
            (she.to_string(), vec!["AGE_80".to_owned()])
        );
    }
    let elder_ids = [twin, elder(99), she]
        .map(|elder| elder.to_string())
        .to_vec();
    let request = pb::BatchGetTiersRequest {
        elder_ids,
        min_position: String::new(),
    };
    let mut client = world.client();
    let answer = client.batch_get_tiers(request).await.unwrap().into_inner();
    let of: Vec<_> = answer.tiers.iter().map(|tier| &tier.elder_id).collect();
    assert_eq!(of, [&she.to_string(), &she.to_string()]);
    assert_eq!(answer.missing_elder_ids, [elder(99).to_string()]);
    // Before the merge the file stood for itself.
    for (on, reason) in [("2024-10-05", "HEALTHY"), ("2024-10-10", "AGE_80")] {
        let request = pb::ExplainTierRequest {
            elder_id: twin.to_string(),
            on: Some(date(on)),
            min_position: String::new(),
        };
        let answer = client.explain_tier(request).await.unwrap().into_inner();
        assert_eq!(answer.assignment.unwrap().reasons, [reason], "{on}");
    }
    // Taken back, it stands for itself again, as if it always had.
    let event = Event::Unmerged(merges[0].clone());
    world.record(twin, &[event]).await;
    world.settled().await;
    assert_eq!(world.tier(twin).await.unwrap().elder_id, twin.to_string());
    assert_eq!(
        world.ground.days(twin).await,
        [
            "TierAssigned 2024-10-01",
            "TierEnded 2024-10-10",
            "TierAssigned 2024-10-10"
        ]
    );
    world.verify().await;
    world.stop().await;
}
