//! Policies of divisions: published, refused, retried, simulated; the nearest upwards holds.

use eventlog::{Aggregate as _, Metadata, Subject};
use proto::eldercare::tiering::v1 as pb;
use tiering::policy::NATIONAL_YAML;
use tiering::policy_book::{self, PolicyBook};
use tonic::Code;
use tonic_types::StatusExt as _;
use uuid::Uuid;

use crate::support::*;

fn at_75() -> String {
    NATIONAL_YAML.replacen("when: age >= 80", "when: age >= 75", 1)
}

fn publish(division: &str, yaml: &str) -> pb::PublishPolicyRequest {
    pb::PublishPolicyRequest {
        request_id: Uuid::now_v7().to_string(),
        division_code: division.to_owned(),
        yaml: yaml.to_owned(),
    }
}

async fn populated(today: &str) -> Running {
    let world = Running::on(today).await;
    for (number, village) in ["350524100001", "350524101001", "350525100001"]
        .into_iter()
        .enumerate()
    {
        let id = elder(number as u128);
        world
            .record(
                id,
                &[registered(id, "1947-01-01", |elder| {
                    elder.residence = residence(village)
                })],
            )
            .await;
    }
    world.settled().await;
    world
}

#[tokio::test]
async fn a_published_policy_changes_the_tiers_of_its_division() {
    let world = populated("2024-10-01").await;
    let mut client = world.client();
    let request = publish("350524", &at_75());
    let published = client
        .publish_policy(request.clone())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(published.version, 1);
    let tier = async |number| {
        world
            .tier_after(elder(number), published.position.clone())
            .await
            .unwrap()
            .assignment
            .unwrap()
    };
    let changed = tier(0).await;
    assert_eq!(
        (changed.tier.as_str(), changed.reasons.as_slice()),
        ("PRIORITY", ["AGE_80".to_owned()].as_slice())
    );
    assert_eq!(
        (
            changed.policy_division_code.as_str(),
            changed.policy_version
        ),
        ("350524", 1)
    );
    assert_eq!(tier(1).await.tier, "PRIORITY");
    assert_eq!(tier(2).await.tier, "GENERAL");

    // A retry is answered as the first time, and writes nothing.
    let before = world.ground.told().await.len();
    assert_eq!(
        client
            .publish_policy(request.clone())
            .await
            .unwrap()
            .into_inner(),
        published
    );
    let other = pb::PublishPolicyRequest {
        yaml: NATIONAL_YAML.to_owned(),
        ..request
    };
    let refused = client.publish_policy(other).await.unwrap_err();
    assert_eq!(
        (refused.code(), reason(&refused).as_str()),
        (Code::InvalidArgument, "REQUEST_ID_REUSED")
    );
    assert_eq!(world.ground.told().await.len(), before);

    // A town may go further than its county, not back.
    let refused = client
        .publish_policy(publish("350524100", NATIONAL_YAML))
        .await
        .unwrap_err();
    assert_eq!(reason(&refused), "RULE_NARROWED");
    let at_70 = NATIONAL_YAML.replacen("when: age >= 80", "when: age >= 70", 1);
    let town = client
        .publish_policy(publish("350524100", &at_70))
        .await
        .unwrap()
        .into_inner();
    // Who is in the same tier for the same reasons keeps the assignment that gave it.
    world.settled().await;
    assert_eq!(tier(0).await.policy_division_code, "350524");
    let young = elder(9);
    world
        .record(young, &[registered(young, "1952-01-01", |_| {})])
        .await;
    world.settled().await;
    let given = world.tier(young).await.unwrap().assignment.unwrap();
    assert_eq!(
        (given.tier.as_str(), given.policy_division_code.as_str()),
        ("PRIORITY", "350524100")
    );

    let get = async |division: &str, version| {
        let request = pb::GetPolicyRequest {
            division_code: division.to_owned(),
            version,
            min_position: town.position.clone(),
        };
        world
            .client()
            .get_policy(request)
            .await
            .map(|answer| answer.into_inner().policy.unwrap())
    };
    assert_eq!(
        get("350524102001", 0).await.unwrap().division_code,
        "350524"
    );
    assert_eq!(get("350525", 0).await.unwrap().division_code, "0");
    let county = get("350524", 1).await.unwrap();
    assert_eq!(
        (
            county.published_by.as_str(),
            county.in_force,
            county.yaml == at_75()
        ),
        ("officer:test-officer", true, true)
    );
    assert_eq!(get("350524", 2).await.unwrap_err().code(), Code::NotFound);
    let request = pb::ListPoliciesRequest {
        division_code: "350524100".to_owned(),
        ..pb::ListPoliciesRequest::default()
    };
    let listed = client.list_policies(request).await.unwrap().into_inner();
    let divisions: Vec<_> = listed
        .policies
        .iter()
        .map(|policy| (policy.division_code.as_str(), policy.version))
        .collect();
    assert_eq!(divisions, [("0", 1), ("350524", 1), ("350524100", 1)]);
    world.verify().await;
    world.stop().await;
}

/// What a refusal says of the divisions whose policies fall short.
fn falling_short(refused: &tonic::Status) -> String {
    assert_eq!(
        (refused.code(), reason(refused).as_str()),
        (Code::FailedPrecondition, "POLICY_BELOW_FALLS_SHORT")
    );
    refused.get_details_error_info().unwrap().metadata["divisions"].clone()
}

#[tokio::test]
async fn a_policy_is_not_published_over_those_below_that_fall_short_of_it() {
    let world = populated("2024-10-01").await;
    let mut client = world.client();
    let at_70 = NATIONAL_YAML.replacen("when: age >= 80", "when: age >= 70", 1);
    for division in ["350524", "350524100", "350525"] {
        let asked = publish(division, &at_75());
        client.publish_policy(asked).await.unwrap();
    }
    world.settled().await;
    // The town's is the county's business.
    let refused = client.publish_policy(publish("35", &at_70)).await;
    let refused = refused.unwrap_err();
    assert_eq!(falling_short(&refused), "350524,350525");
    assert!(
        refused.message().contains("350524 version 1, line"),
        "{}",
        refused.message()
    );
    let simulated = pb::SimulatePolicyRequest {
        division_code: "35".to_owned(),
        yaml: at_70.clone(),
        min_position: String::new(),
    };
    let mut answers = client
        .simulate_policy(simulated)
        .await
        .unwrap()
        .into_inner();
    let untried = answers.message().await.unwrap_err();
    assert_eq!(falling_short(&untried), "350524,350525");
    // What asks for no more than they give is in nobody's way.
    client
        .publish_policy(publish("35", &at_75()))
        .await
        .unwrap();

    let refused = client.publish_policy(publish("350524", &at_70)).await;
    assert_eq!(falling_short(&refused.unwrap_err()), "350524100");
    for division in ["350524100", "350524", "350525", "35"] {
        let asked = publish(division, &at_70);
        client.publish_policy(asked).await.unwrap();
    }
    world.settled().await;
    world.verify().await;
    world.stop().await;
}

#[tokio::test]
async fn of_two_policies_at_once_the_second_is_checked_against_the_first() {
    let ground = Ground::on("2024-10-01").await;
    let (one, other) = (ground.instance().await, ground.instance().await);
    let at_70 = NATIONAL_YAML.replacen("when: age >= 80", "when: age >= 70", 1);
    let anybody = service::testing::anybody();
    for province in ["11", "35", "37", "44"] {
        let (mut above, mut below) = (one.client(&anybody), other.client(&anybody));
        let (above, below) = tokio::join!(
            above.publish_policy(publish(province, &at_70)),
            below.publish_policy(publish(&format!("{province}0524"), &at_75())),
        );
        match (above, below) {
            (Ok(_), Err(refused)) => {
                assert_eq!(reason(&refused), "RULE_NARROWED", "{province}");
            }
            (Err(refused), Ok(_)) => {
                assert_eq!(falling_short(&refused), format!("{province}0524"));
            }
            both => panic!("{province}: {both:?}"),
        }
    }
    one.stop().await;
    other.stop().await;
}

#[tokio::test]
async fn a_tier_that_a_policy_changed_says_which_publication_it_came_of() {
    let world = populated("2024-10-01").await;
    let event = policy_book::Event::Published {
        jurisdiction: "350524".parse().unwrap(),
        version: 1,
        yaml: at_75(),
        on: day("2024-10-01"),
    };
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let metadata = Metadata {
        traceparent: Some(trace.to_owned()),
        ..world.ground.metadata()
    };
    let (record, correlation) = (metadata.id, metadata.correlation_id);
    let subject = Subject::new("tiering", "policy", "350524").unwrap();
    let events = vec![PolicyBook::encode(&event)];
    let log = &*world.ground.tiering;
    let position = service::testing::write(log, subject, metadata, events).await;
    world.settled().await;
    let subject = Subject::new("tiering", "tier", &elder(0).to_string()).unwrap();
    let changed = log.read(&subject, 0).await.unwrap().pop().unwrap();
    assert_eq!(
        changed.events[0].event_type,
        "eldercare.tiering.v1.TierChanged"
    );
    let caused = changed.metadata;
    assert_eq!(caused.answers.unwrap().to_string(), position);
    assert_eq!(
        (caused.causation_id, caused.correlation_id),
        (Some(record), correlation)
    );
    assert_eq!(caused.traceparent.as_deref(), Some(trace));
    world.stop().await;
}

#[tokio::test]
async fn a_bad_policy_is_refused_with_line_and_reason_in_both_languages() {
    let world = Running::on("2024-10-01").await;
    let mut client = world.client();
    let yaml = NATIONAL_YAML.replacen("interval: WEEKLY", "interval: MONTHLY", 1);
    let refused = client
        .publish_policy(publish("350524", &yaml))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    let info = refused.get_details_error_info().unwrap();
    let line = NATIONAL_YAML
        .lines()
        .position(|line| line.contains("tier: PRIORITY"))
        .unwrap()
        + 1;
    assert_eq!(
        (info.reason.as_str(), info.metadata["line"].as_str()),
        ("INTERVAL_LENGTHENED", line.to_string().as_str())
    );
    assert!(
        refused.message().starts_with(&format!("line {line}: ")),
        "{}",
        refused.message()
    );
    let violations = refused.get_details_bad_request().unwrap().field_violations;
    assert_eq!(
        (violations.len(), violations[0].field.as_str()),
        (1, "yaml")
    );
    assert_eq!(world.ground.told().await, Vec::<String>::new());
    world.stop().await;
}

#[tokio::test]
async fn a_draft_is_tried_against_the_registry_as_it_stands() {
    let world = populated("2024-10-01").await;
    let mut client = world.client();
    let request = pb::SimulatePolicyRequest {
        division_code: "3505".to_owned(),
        yaml: at_75(),
        min_position: String::new(),
    };
    let mut answers = client
        .simulate_policy(request.clone())
        .await
        .unwrap()
        .into_inner();
    let (mut told, mut result) = (0, None);
    while let Some(answer) = answers.message().await.unwrap() {
        match answer.part.unwrap() {
            pb::simulate_policy_response::Part::Progress(progress) => told = progress.elders_total,
            pb::simulate_policy_response::Part::Result(outcome) => result = Some(outcome),
        }
    }
    let result = result.unwrap();
    assert_eq!((told, result.in_scope, result.distinct_facts), (3, 3, 1));
    let moves: Vec<_> = result
        .moves
        .iter()
        .map(|one| (one.from_tier.as_str(), one.to_tier.as_str(), one.elders))
        .collect();
    assert_eq!(moves, [("GENERAL", "PRIORITY", 3)]);
    let (before, after) = (result.before.unwrap(), result.after.unwrap());
    assert_eq!(
        (
            before.weekly_elders,
            before.monthly_elders,
            before.visits_per_month
        ),
        (0, 3, 3)
    );
    assert_eq!(
        (
            after.weekly_elders,
            after.monthly_elders,
            after.visits_per_month
        ),
        (3, 0, 13)
    );
    // Nothing was written, and a draft that could not be published is not tried.
    assert_eq!(world.ground.told().await.len(), 3);
    let bad = pb::SimulatePolicyRequest {
        yaml: "tiers: []".to_owned(),
        ..request
    };
    let mut answers = client.simulate_policy(bad).await.unwrap().into_inner();
    assert_eq!(
        reason(&answers.message().await.unwrap_err()),
        "COUNT_OUT_OF_RANGE"
    );
    world.stop().await;
}
