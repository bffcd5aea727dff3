//! What a visitor is told of a day, when much has happened since the week was planned.

use elders::event::{Event, Spoken};

use crate::planned::{Person, TOWN, adjust, monday, plan, started, to, visitor, worklist};
use crate::support::{VILLAGE, at, day};

#[tokio::test]
async fn nobody_is_sent_where_somebody_died_nor_into_a_home_whose_consent_was_withdrawn() {
    let ground = monday();
    let named = |name| Person {
        name,
        ..Person::default()
    };
    let stays = named("甲").on(&ground).await;
    let dies = named("乙").on(&ground).await;
    let refuses = named("丙").on(&ground).await;
    let running = started(&ground).await;
    let one = visitor(&running, VILLAGE, 50).await;
    plan(&running, TOWN).await;
    for elder in [stays, dies, refuses] {
        let moved = adjust(&running, elder, to(&one, "2024-10-17", 0)).await;
        moved.unwrap();
    }
    let told = |list: &proto::eldercare::visits::v1::GetWorklistResponse| -> Vec<(String, bool)> {
        let items = list.items.iter();
        items.map(|item| (item.name.clone(), item.talk)).collect()
    };
    let before = worklist(&running, &one, "2024-10-17").await;
    let all = ["甲", "乙", "丙"].map(|name| (name.to_owned(), false));
    assert_eq!(told(&before), all);

    let died = Event::Died {
        on: day("2024-10-15"),
    };
    ground.record(dies, &[died]).await;
    let refused = Event::ConsentRefused(Spoken {
        by: None,
        at: Some(at("2024-10-15 09:00")),
    });
    ground.record(refuses, &[refused]).await;
    running.settled().await;
    let after = worklist(&running, &one, "2024-10-17").await;
    assert_eq!(
        told(&after),
        [("甲".to_owned(), false), ("丙".to_owned(), true)]
    );
    running.stop().await;
}
