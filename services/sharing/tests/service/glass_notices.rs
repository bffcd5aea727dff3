//! Whoever answers for a division is told of each dossier that was opened there beyond all agreements, whatever dies when.

use std::time::Duration;

use backing_services::testing;
use civic::{ElderId, NoticeChannel};
use eventlog::{Aggregate as _, Subject};
use notices::testing::{Heard, Manner, Sample};
use proto::eldercare::sharing::v1 as pb;
use service::Secret;
use sharing::codec::purpose;
use sharing::look::{BrokenGlass, GlassBroken};
use sharing::{NoticeRecipient, SharingSettings};

use crate::support::{
    COUNTY, Ground, OTHER_COUNTY, Running, TOWN, break_glass_request, look, officer,
};

const KEY: &str = "a key for notices of broken glasses";

async fn receiver() -> Sample {
    Sample::receiver("key_1", KEY).await.unwrap()
}

/// Settings by which the receiver is told of some divisions, each by a path of its own.
fn telling(receiver: &Sample, whom: &[(&str, &str)]) -> SharingSettings {
    let mut own = SharingSettings::default();
    own.notices.channels.webhook.signing_key = Some(Secret::new(KEY));
    let whom = whom.iter().map(|(division, path)| NoticeRecipient {
        division: Some(division.parse().unwrap()),
        channel: NoticeChannel::Webhook,
        address: Secret::new(receiver.url(path)),
    });
    own.notices.broken_glass = whom.collect();
    own
}

async fn start(ground: &Ground, own: &SharingSettings) -> Running {
    ground
        .start_with(testing::fresh_database().await, own)
        .await
}

/// Waits until so many requests were heard.
async fn until(receiver: &Sample, count: usize) -> Vec<Heard> {
    let heard = receiver.until(|heard| heard.len() >= count);
    let heard = tokio::time::timeout(Duration::from_secs(30), heard).await;
    heard.expect("the notices come")
}

/// Waits until nobody is left to be told.
async fn all_are_told(running: &Running) {
    let told = async {
        let left = "SELECT count(*) FROM sharing_kept.glass_notice";
        while sqlx::query_scalar::<_, i64>(left)
            .fetch_one(&running.app.pool())
            .await
            .unwrap()
            > 0
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let told = tokio::time::timeout(Duration::from_secs(30), told).await;
    told.expect("everybody is told");
}

/// Puts on record that somebody broke the glass, as sharing does.
async fn broken(ground: &Ground, elder: ElderId) {
    let key = ground.vault.key(elder.as_uuid()).await.unwrap();
    let reason = pb::BreakGlassReason {
        text: "老人昏迷，急需联系家属".to_owned(),
    };
    let event = GlassBroken {
        look: look("officer:test", &[elder], "2024-03-01 09:10"),
        reason: key.seal(purpose::BREAK_GLASS_REASON, elder.as_uuid(), &reason),
    };
    let subject = Subject::new("sharing", BrokenGlass::NAME, &elder.to_string()).unwrap();
    let events = vec![BrokenGlass::encode(&event)];
    ground.write(&ground.logs.own, subject, events).await;
}

/// Of whose dossier each request tells.
fn elders(heard: &[Heard]) -> Vec<String> {
    let elders = heard.iter().map(|one| &one.body["data"]["elder_id"]);
    elders
        .map(|elder| elder.as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn those_who_answer_for_the_division_are_told_who_opened_whose_dossier_and_when() {
    let ground = Ground::at("2024-03-01 09:10");
    let receiver = receiver().await;
    let whom = [
        (COUNTY, "/county"),
        (TOWN, "/town"),
        // Who stands there twice is told once.
        (COUNTY, "/town"),
        (OTHER_COUNTY, "/elsewhere"),
    ];
    let running = start(&ground, &telling(&receiver, &whom)).await;
    let elder = ground.known_to_all().await;
    let supervisor = officer("supervisor", "health", COUNTY, &["supervisor"]);
    let request = break_glass_request(elder);
    let told = running.break_glass(&supervisor, request.clone()).await;
    let position = told.unwrap().position;
    let heard = until(&receiver, 2).await;
    let mut paths: Vec<_> = heard.iter().map(|one| one.to.as_str()).collect();
    paths.sort_unstable();
    assert_eq!(paths, ["/county", "/town"]);
    assert_ne!(heard[0].key, heard[1].key);
    for one in &heard {
        assert_eq!(
            one.body["data"],
            serde_json::json!({
                "event": "GLASS_BROKEN",
                "position": position,
                "opened_by": "officer:supervisor",
                "opened_at": "2024-03-01T09:10:00+08:00",
                "elder_id": elder.to_string(),
                "division": "350524100001",
            })
        );
        // Nothing of the elder but the id, and no reason.
        let all = one.body.to_string();
        assert!(
            !all.contains("王秀英") && !all.contains(&request.reason),
            "{all}"
        );
    }
    all_are_told(&running).await;
    running.stop().await;
}

#[tokio::test]
async fn whoever_was_not_told_is_told_again_and_nobody_else_is() {
    let ground = Ground::at("2024-03-01 09:10");
    let receiver = receiver().await;
    receiver.behaves_towards("/town", Manner::Status(503));
    let whom = [(COUNTY, "/county"), (TOWN, "/town")];
    let running = start(&ground, &telling(&receiver, &whom)).await;
    let elder = ground.elder().await;
    broken(&ground, elder).await;
    until(&receiver, 2).await;
    receiver.behaves_towards("/town", Manner::Well);
    all_are_told(&running).await;
    let heard = receiver.heard();
    let of = |path: &str| {
        let of_path = heard.iter().filter(|one| one.to == path);
        of_path.collect::<Vec<_>>()
    };
    let (county, town) = (of("/county"), of("/town"));
    assert_eq!(county.len(), 1);
    assert!(town.len() >= 2 && town.last().unwrap().taken, "{town:?}");
    assert!(town.iter().all(|one| one.key == town[0].key));
    let attempts: Vec<u32> = town.iter().map(|one| one.attempt).collect();
    assert!(
        attempts.is_sorted_by(|one, next| one < next),
        "{attempts:?}"
    );
    running.stop().await;
}

#[tokio::test]
async fn what_nobody_took_outlives_a_restart_and_what_was_taken_is_not_told_again() {
    let ground = Ground::at("2024-03-01 09:10");
    let receiver = receiver().await;
    let own = telling(&receiver, &[(COUNTY, "/county")]);
    let running = start(&ground, &own).await;
    let (first, second) = (ground.elder().await, ground.elder().await);
    broken(&ground, first).await;
    until(&receiver, 1).await;
    all_are_told(&running).await;
    receiver.behaves(Manner::Status(503));
    broken(&ground, second).await;
    until(&receiver, 2).await;
    let (ground, database) = running.stop().await;
    receiver.behaves(Manner::Well);
    let before = receiver.heard().len();
    let running = ground.start_with(database, &own).await;
    let heard = until(&receiver, before + 1).await;
    assert_eq!(elders(&heard[before..]), [second.to_string()]);
    assert_eq!(heard[before].key, heard[1].key);
    all_are_told(&running).await;
    assert_eq!(receiver.heard().len(), before + 1);
    running.stop().await;
}

#[tokio::test]
async fn after_the_loss_of_the_database_the_last_day_is_told_again_and_no_more() {
    let ground = Ground::at("2024-03-01 09:10");
    let receiver = receiver().await;
    let own = telling(&receiver, &[(COUNTY, "/county")]);
    let running = start(&ground, &own).await;
    let mut whose = Vec::new();
    for (count, when) in (1..).zip(["2024-03-01 09:10", "2024-03-02 09:10", "2024-03-03 08:00"]) {
        running.advance(when);
        let elder = ground.elder().await;
        broken(&ground, elder).await;
        until(&receiver, count).await;
        whose.push(elder.to_string());
    }
    all_are_told(&running).await;
    running.advance("2024-03-03 09:10");
    let (ground, _) = running.stop().await;
    let running = start(&ground, &own).await;
    until(&receiver, 5).await;
    let new = ground.elder().await;
    broken(&ground, new).await;
    let heard = until(&receiver, 6).await;
    let [first, second, third] = &whose[..] else {
        panic!("{whose:?}");
    };
    let told = elders(&heard);
    assert_eq!([&told[0], &told[1], &told[2]], [first, second, third]);
    // Told at once, so in whichever order.
    let mut again = [&told[3], &told[4]];
    again.sort_unstable();
    let mut expected = [second, third];
    expected.sort_unstable();
    assert_eq!(again, expected);
    assert_eq!(told[5], new.to_string());
    // The receiver knows them.
    let keys = |range: std::ops::Range<usize>| {
        let mut keys: Vec<_> = heard[range].iter().map(|one| one.key).collect();
        keys.sort_unstable();
        keys
    };
    assert_eq!(keys(1..3), keys(3..5));
    running.stop().await;
}

#[tokio::test]
async fn where_nobody_is_configured_nothing_waits_and_the_glass_can_be_broken() {
    let ground = Ground::at("2024-03-01 09:10");
    let receiver = receiver().await;
    let own = telling(&receiver, &[(OTHER_COUNTY, "/elsewhere")]);
    let running = start(&ground, &own).await;
    let elder = ground.known_to_all().await;
    let supervisor = officer("supervisor", "health", COUNTY, &["supervisor"]);
    let request = break_glass_request(elder);
    running.break_glass(&supervisor, request).await.unwrap();
    // Somebody elsewhere is the mark that it was read.
    let other = ElderId(uuid::Uuid::now_v7());
    let subject = Subject::new("sharing", BrokenGlass::NAME, &other.to_string()).unwrap();
    let key = ground.vault.create(other.as_uuid()).await.unwrap();
    let event = GlassBroken {
        look: look("officer:test", &[other], "2024-03-01 09:10"),
        reason: key.seal(
            purpose::BREAK_GLASS_REASON,
            other.as_uuid(),
            &pb::BreakGlassReason::default(),
        ),
    };
    let metadata = service::testing::metadata(ground.clock.now(), OTHER_COUNTY);
    let events = vec![BrokenGlass::encode(&event)];
    service::testing::write(&*ground.logs.own, subject, metadata, events).await;
    let heard = until(&receiver, 1).await;
    all_are_told(&running).await;
    assert_eq!(elders(&heard), [other.to_string()]);
    assert_eq!(receiver.heard().len(), 1);
    running.stop().await;
}
