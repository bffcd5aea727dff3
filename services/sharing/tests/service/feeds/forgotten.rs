//! What may be told no longer lies in no file of the server where feeds are kept.

use std::fs;
use std::path::{Path, PathBuf};

use tokio::time::timeout;

use crate::support::department::Department;
use crate::support::feeds::{PATIENCE, lying};
use crate::support::{Ground, grant, guard, terms};

/// The name of everybody.
const NAME: &str = "王秀英";
/// How many there are: more than are erased in one go.
const ELDERS: usize = 40;

/// Whether the name lies in a file of the server.
fn knows_the_name(ground: &Ground) -> bool {
    let log = ground.server().log();
    let tells = |file: &PathBuf| {
        let content = fs::read(file).unwrap_or_default();
        let mut parts = content.windows(NAME.len());
        parts.any(|part| part == NAME.as_bytes())
    };
    let folder = log.parent().unwrap().join("jetstream");
    files_below(&folder).iter().any(tells)
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            files.push(path);
        }
    }
    files
}

#[tokio::test]
async fn what_has_ended_is_overwritten_and_all_else_is_told_on() {
    let ground = Ground::at("2024-03-01 09:10").with_doors().await;
    let running = ground.start().await;
    for _ in 0..ELDERS {
        let elder = ground.elder().await;
        ground.tiered(elder, "GENERAL", "2024-03-01").await;
    }
    running
        .agreed(&terms(&[grant("tier", &["tier"], &[])]))
        .await;
    let names = terms(&[grant("elder", &["name"], &[])]);
    let names = running.agreed(&names).await;
    let department = Department::let_in(&running).await;
    department.fetched_until("elder FeedCaughtUp").await;
    assert!(knows_the_name(&ground));
    running.end_as(&guard(), &names).await.unwrap();
    let erased = timeout(PATIENCE, running.settled()).await;
    erased.expect("all is erased");
    assert!(!knows_the_name(&ground), "a purge would leave it there");

    department.set_back().await;
    let told = department.fetched_until("elder FeedEnded").await;
    let of_files = told.iter().filter(|one| one.product == "elder");
    assert_eq!(of_files.count(), 1, "{told:?}");
    let tiers = told.iter().filter(|one| one.event == "DocumentShared");
    assert_eq!(tiers.count(), ELDERS);
    running.stop().await;
}

#[tokio::test]
async fn who_is_erased_is_overwritten() {
    let ground = Ground::at("2024-03-01 09:10").with_feeds().await;
    let running = ground.start().await;
    let elder = ground.known_to_all().await;
    let all = terms(&[
        grant("elder", &["name"], &[]),
        grant("tier", &["tier"], &[]),
    ]);
    running.agreed(&all).await;
    running.settled().await;
    assert!(knows_the_name(&ground));
    ground.is_erased(elder).await;
    running.settled().await;
    assert!(!knows_the_name(&ground));
    let left = lying(&ground).await;
    let mut left = left.iter().map(|message| message.subject.as_str());
    assert!(left.any(|subject| subject == "feed.health.elder.350524.ElderErased"));
    running.stop().await;
}
