//! Why an elder has a tier: today, and on a past day as it was known then.

use civic::CapabilityLevel;
use elders::event::{Event, Merge, Registered};
use proto::eldercare::tiering::v1 as pb;
use service::testing::anybody_of;
use tonic::Code;

use crate::support::*;

fn on(elder: civic::ElderId, day: Option<&str>) -> pb::ExplainTierRequest {
    pb::ExplainTierRequest {
        elder_id: elder.to_string(),
        on: day.map(date),
        min_position: String::new(),
    }
}

#[tokio::test]
async fn a_tier_is_explained_by_rules_and_by_the_events_that_gave_the_facts() {
    let world = Running::on("2024-10-01").await;
    let she = elder(1);
    world
        .record(she, &[registered(she, "1944-11-05", |_| {})])
        .await;
    world.advance("2024-10-10").await;
    let position = world
        .record(she, &[assessed(CapabilityLevel::Severe, "2024-10-05")])
        .await;
    world.advance("2024-10-20").await;
    let mut client = world.client();

    let today = client
        .explain_tier(on(she, None))
        .await
        .unwrap()
        .into_inner();
    assert!(today.in_scope && today.out_of_scope_reasons.is_empty());
    assert_eq!(today.on, Some(date("2024-10-20")));
    assert_eq!(today.assignment.unwrap().reasons, ["SEVERE_DISABILITY"]);
    let applying: Vec<_> = today
        .rules
        .iter()
        .filter(|rule| rule.applies)
        .map(|rule| rule.rule.as_str())
        .collect();
    assert_eq!(
        (today.rules.len(), applying),
        (10, vec!["SEVERE_DISABILITY"])
    );
    assert!(
        today
            .rules
            .iter()
            .all(|rule| rule.source.starts_with("川民〔2023〕100号") && !rule.condition.is_empty())
    );
    let fact = |name: &str| today.facts.iter().find(|fact| fact.fact == name).unwrap();
    let capability = fact("capability");
    assert_eq!(
        (capability.value.as_str(), capability.event.as_str()),
        ("SEVERE", "CapabilityAssessed")
    );
    assert_eq!(
        (capability.position.as_str(), capability.holds_from),
        (position.as_str(), Some(date("2024-10-05")))
    );
    assert_eq!(
        capability.recorded_at.unwrap().seconds,
        instant("2024-10-10T09:00:00+08:00").timestamp()
    );
    assert_eq!(
        (fact("age").value.as_str(), fact("age").event.as_str()),
        ("79", "ElderRegistered")
    );
    assert_eq!(
        (
            fact("categories").value.as_str(),
            fact("categories").position.as_str()
        ),
        ("LIVING_ALONE", "REGISTRY:1")
    );
    assert_eq!(today.next_change_on, Some(date("2024-11-05")));

    // On the sixth the assessment of the fifth was not known yet.
    let then = client
        .explain_tier(on(she, Some("2024-10-06")))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(then.assignment.unwrap().reasons, ["HEALTHY"]);
    // Before the registration nothing was known of her.
    let before = client
        .explain_tier(on(she, Some("2024-09-30")))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (before.in_scope, before.out_of_scope_reasons),
        (false, vec!["NOT_REGISTERED".to_owned()])
    );
    assert_eq!(
        (before.policy_division_code.as_str(), before.policy_version),
        ("", 0)
    );
    let future = client
        .explain_tier(on(she, Some("2024-10-21")))
        .await
        .unwrap_err();
    assert_eq!(
        (future.code(), reason(&future).as_str()),
        (Code::InvalidArgument, "DAY_IN_THE_FUTURE")
    );

    world
        .record(
            she,
            &[Event::Died {
                on: day("2024-10-20"),
            }],
        )
        .await;
    let dead = client
        .explain_tier(on(she, None))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (dead.in_scope, dead.out_of_scope_reasons),
        (false, vec!["NOT_ACTIVE".to_owned()])
    );
    assert!(dead.rules.iter().all(|rule| !rule.applies));
    // The rules are those of a policy, though nothing is given by it.
    assert_eq!(
        (dead.policy_division_code.as_str(), dead.policy_version),
        ("0", 1)
    );
    world.stop().await;
}

#[tokio::test]
async fn a_past_day_is_explained_by_the_policy_of_that_day() {
    let world = Running::on("2024-10-01").await;
    let he = elder(1);
    world
        .record(he, &[registered(he, "1947-01-01", |_| {})])
        .await;
    world.advance("2024-10-10").await;
    let yaml = tiering::policy::NATIONAL_YAML.replacen("when: age >= 80", "when: age >= 75", 1);
    let request = pb::PublishPolicyRequest {
        request_id: uuid::Uuid::now_v7().to_string(),
        division_code: "35".to_owned(),
        yaml,
    };
    let mut client = world.client();
    let min_position = client
        .publish_policy(request)
        .await
        .unwrap()
        .into_inner()
        .position;
    let tier = async |day: Option<&str>| {
        let request = pb::ExplainTierRequest {
            min_position: min_position.clone(),
            ..on(he, day)
        };
        world
            .client()
            .explain_tier(request)
            .await
            .unwrap()
            .into_inner()
            .assignment
            .unwrap()
            .tier
    };
    assert_eq!(tier(None).await, "PRIORITY");
    assert_eq!(tier(Some("2024-10-09")).await, "GENERAL");
    world.stop().await;
}

#[tokio::test]
async fn nothing_is_told_of_an_erased_elder() {
    let world = Running::on("2024-10-01").await;
    let she = elder(1);
    world
        .record(she, &[registered(she, "1944-11-05", |_| {})])
        .await;
    world.advance("2024-10-10").await;
    world
        .record(
            she,
            &[Event::Erased {
                reason: "REQUEST".to_owned(),
            }],
        )
        .await;
    for day in [None, Some("2024-10-05")] {
        let refused = world.client().explain_tier(on(she, day)).await.unwrap_err();
        assert_eq!(
            (refused.code(), reason(&refused).as_str()),
            (Code::NotFound, "ELDER_NOT_FOUND")
        );
    }
    world.stop().await;
}

/// Writes into all rows what nobody can read.
async fn garble(world: &Running) {
    sqlx::query("UPDATE tiering_facts.elder SET facts = $1")
        .bind(vec![0xff_u8])
        .execute(&world.instance.pool)
        .await
        .unwrap();
}

#[tokio::test]
async fn for_a_file_of_elsewhere_answers_on_a_past_day_the_one_that_stood_for_it_then() {
    let world = Running::on("2024-10-01").await;
    let [she, twin] = [1, 2].map(elder);
    let elsewhere = |elder: &mut Registered| elder.residence = residence("370303100001");
    for (one, registration) in [
        (she, registered(she, "1940-05-05", |_| {})),
        (twin, registered(twin, "1950-05-05", elsewhere)),
    ] {
        world.record(one, &[registration]).await;
    }
    let merge = Merge {
        surviving: she,
        merged: twin,
        reason: "ONE_PERSON".to_owned(),
    };
    for (day, event) in [
        ("2024-10-05", Event::Merged(merge.clone())),
        ("2024-10-10", Event::Unmerged(merge)),
    ] {
        world.advance(day).await;
        for file in [twin, she] {
            world.record(file, std::slice::from_ref(&event)).await;
        }
    }
    world.advance("2024-10-12").await;

    let mut client = world.instance.client(&anybody_of("350524"));
    // By the rows, and where they can't be read.
    for readable in [true, false] {
        if !readable {
            garble(&world).await;
        }
        let while_merged = client.explain_tier(on(twin, Some("2024-10-07"))).await;
        let assignment = while_merged.unwrap().into_inner().assignment.unwrap();
        assert_eq!(assignment.reasons, ["AGE_80"]);
        for day in [Some("2024-10-03"), Some("2024-10-11"), None] {
            let refused = client.explain_tier(on(twin, day)).await.unwrap_err();
            assert_eq!(refused.code(), Code::NotFound, "{day:?}");
        }
    }
    world.stop().await;
}
