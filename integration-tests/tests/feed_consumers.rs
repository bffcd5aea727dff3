//! Programs of a department, in Python and JavaScript, follow its feeds: cut off, they go on without a loss or a double, and
//! what the department may not see is not there.

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use integration_tests::{
    Setup, System,
    agreements::{agreed, credential, grant, terms},
    an_elder, an_elder_with_a_daughter, asked_to_wait,
    consumers::{Consumer, Held, HeldDocument, Language, Programs, Told},
};
use proto::eldercare::{registry::v1::RegisterElderRequest, sharing::v1 as pb};
use tokio::time::timeout;

/// Whose feed it is.
const COUNTY: &str = "350524";
/// How many live there when the feed begins.
const BEFORE: usize = 120;
/// How many are registered while the program is cut off.
const MEANWHILE: usize = 40;
/// When nothing comes for so long the programs give up.
const IDLE: &str = "100";
/// The longest until a program that is started again and again holds all.
const PATIENCE: Duration = Duration::from_secs(240);
/// How often a program is killed until that comes in time.
const BLOWS: usize = 10;

/// What health may see of elders: the name masked, where they live, and not the ID number.
fn granted() -> pb::AgreementTerms {
    terms(vec![grant(
        "elder",
        &["elder_id", "division_code"],
        &["name"],
    )])
}

/// Registers an elder as soon as the services are back at the log: the id.
async fn registered_late(system: &System, elder: RegisterElderRequest) -> String {
    for _ in 0..100 {
        match system.registry().register_elder(elder.clone()).await {
            Ok(registered) => return registered.into_inner().elder_id,
            Err(status) => asked_to_wait(&status).await,
        }
    }
    panic!("the registration does not go through")
}

/// Each program told each event once, in the order of the feed, however often it was cut off.
#[track_caller]
fn are_in_order(told: &[Told]) {
    let positions: Vec<u64> = told.iter().map(|told| told.position).collect();
    assert!(
        positions.is_sorted_by(|one, next| one < next),
        "{positions:?}"
    );
}

/// The department holds a document of each of these elders, and nothing in it that it may not see.
#[track_caller]
fn holds(held: &Held, elders: &BTreeSet<String>) {
    let documents = held.of("elder", COUNTY);
    let held: BTreeSet<String> = documents.keys().cloned().collect();
    assert_eq!(held, *elders);
    for (
        key,
        HeldDocument {
            elder_id,
            fields,
            masked,
        },
    ) in &documents
    {
        assert_eq!(elder_id, key);
        let mut names: Vec<&str> = fields.keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["division_code", "elder_id", "name"]);
        assert_eq!(fields["elder_id"], *key);
        assert_eq!(masked, &["name"]);
        assert_eq!(fields["name"], "林**");
    }
}

/// What a program told that was killed before it had caught up: from the beginning again where the blow came too late.
async fn cut_off_early(start: impl Fn() -> Consumer, state: &Path) -> Vec<Told> {
    for _ in 0..BLOWS {
        let mut program = start();
        let mut told = program.until("DocumentShared").await;
        told.extend(program.kill().await);
        if told.iter().all(|told| told.event != "FeedCaughtUp") {
            return told;
        }
        fs::remove_file(state).unwrap();
    }
    panic!("each blow came too late")
}

async fn follows(language: Language) {
    let programs = Programs::installed().await;
    let system = System::start_with(Setup::with_sharing()).await;
    let mut elders = BTreeSet::new();
    for _ in 0..BEFORE {
        elders.insert(system.register(an_elder("林月娥")).await);
    }
    agreed(&system, granted()).await;
    let department = credential(&system).await;
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state.json");
    let start = |arguments: &[&str]| programs.start(language, &department, &state, arguments);

    // Cut off within the snapshot, whose every event is written by itself; more come meanwhile.
    let mut told = cut_off_early(|| start(&["--batch", "1"]), &state).await;
    for _ in 0..MEANWHILE {
        elders.insert(system.register(an_elder("林月娥")).await);
    }
    let to_the_end = ["--batch", "10", "--until-caught-up", "--idle-seconds", IDLE];
    told.extend(start(&to_the_end).ended().await);
    // Who was registered last may still be on the way into the feed.
    let holds_all = async {
        while Held::read(&state).of("elder", COUNTY).len() < elders.len() {
            told.extend(start(&to_the_end).ended().await);
        }
    };
    timeout(PATIENCE, holds_all)
        .await
        .expect("the department holds all who were registered");
    are_in_order(&told);
    assert_eq!(told.first().unwrap().event, "FeedBegun");
    assert!(told.iter().any(|told| told.event == "FeedCaughtUp"));
    holds(&Held::read(&state), &elders);

    // The line is cut, and comes back: the same program goes on.
    let mut second = start(&["--batch", "10"]);
    system.nats().kill().await;
    system.nats().restart().await.unwrap();
    let late = registered_late(&system, an_elder_with_a_daughter("林秀英")).await;
    // A mark may still have been on the way.
    let heard = loop {
        let heard = second.goes_on().await;
        if heard.key.as_deref() == Some(late.as_str()) {
            break heard;
        }
        assert_eq!(heard.key, None);
    };
    let mut names = heard.fields.unwrap();
    names.sort_unstable();
    assert_eq!(names, ["division_code", "elder_id", "name"]);
    elders.insert(late.clone());

    // An elder who is erased is nowhere in what the department holds, and it is asked to confirm.
    let gone = late;
    system.erase(&gone).await;
    let erased = second.until("ElderErased").await.pop().unwrap();
    assert_eq!(erased.elder.as_deref(), Some(gone.as_str()));
    assert_eq!(erased.confirm_erasure.as_deref(), Some("due"));
    second.kill().await;
    elders.remove(&gone);
    let held = Held::read(&state);
    assert_eq!(held.erasures_due, [gone]);
    holds(&held, &elders);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_python_program_follows_a_feed_through_every_cut() {
    follows(Language::Python).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_javascript_program_follows_a_feed_through_every_cut() {
    follows(Language::JavaScript).await;
}
