//! The declared streams on a real server: made, compared, and brought to what is declared.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

use std::time::Duration;

use async_nats::jetstream::{self, Context, stream::Config};
use backing_services::{Nats, testing};
use nats_streams::{Deviation, OpenError, State, apply, check, declared, log, stream};

/// A server of the test's own: the streams' names are the same for all.
async fn server() -> (Nats, Context) {
    let nats = testing::own_nats().await;
    let client = async_nats::connect(nats.url()).await.unwrap();
    (nats, jetstream::new(client))
}

fn names(deviations: &[Deviation]) -> Vec<&'static str> {
    deviations.iter().map(|one| one.setting).collect()
}

/// The states that are not the `ordinary` one.
fn others(states: Vec<(&'static str, State)>, ordinary: &State) -> Vec<(&'static str, State)> {
    let states = states.into_iter();
    states.filter(|(_, state)| state != ordinary).collect()
}

fn all_are(states: Vec<(&'static str, State)>, wanted: &State) {
    assert_eq!(states.len(), declared().streams.len());
    let others = others(states, wanted);
    assert!(others.is_empty(), "{others:?}");
}

async fn config(server: &Context, stream: &str) -> Config {
    let found = server.get_stream(stream).await.unwrap();
    found.cached_info().config.clone()
}

#[tokio::test]
async fn all_streams_are_made_and_a_second_time_nothing_changes() {
    let (_nats, server) = server().await;
    all_are(check(&server, 1).await.unwrap(), &State::Absent);
    all_are(apply(&server, 1).await.unwrap(), &State::Made);
    all_are(apply(&server, 1).await.unwrap(), &State::AsDeclared);
    all_are(check(&server, 1).await.unwrap(), &State::AsDeclared);
    for stream in &declared().streams {
        stream.open(&server, 1, false).await.unwrap();
    }
}

#[tokio::test]
async fn each_deviation_is_named_by_the_operators_command_and_by_who_opens_the_stream() {
    type Change = (&'static str, fn(&mut Config));
    let changes: [Change; 8] = [
        ("subjects", |config| config.subjects.push("more".to_owned())),
        ("retention", |config| {
            config.retention = jetstream::stream::RetentionPolicy::WorkQueue;
        }),
        ("max_age", |config| {
            config.max_age = Duration::from_secs(3_600)
        }),
        ("max_msgs", |config| config.max_messages = 1_000),
        ("deny_delete", |config| config.deny_delete = false),
        ("deny_purge", |config| config.deny_purge = false),
        ("allow_msg_ttl", |config| config.allow_message_ttl = true),
        ("allow_atomic", |config| config.allow_atomic_publish = false),
    ];
    let (_nats, server) = server().await;
    apply(&server, 1).await.unwrap();
    let registry = log("REGISTRY", "registry");
    for (setting, change) in changes {
        let mut otherwise = registry.config(1);
        change(&mut otherwise);
        server.delete_stream("REGISTRY").await.unwrap();
        server.create_stream(otherwise).await.unwrap();
        let checked = others(check(&server, 1).await.unwrap(), &State::AsDeclared);
        let [("REGISTRY", State::Deviating(deviations))] = checked.as_slice() else {
            panic!("{setting}: {checked:?}");
        };
        assert_eq!(names(deviations), [setting]);
        let opened = registry.open(&server, 1, true).await.err();
        let unfit = OpenError::Unfit {
            stream: "REGISTRY".to_owned(),
            deviations: deviations.clone(),
        };
        assert_eq!(opened, Some(unfit));
    }
}

#[tokio::test]
async fn what_loses_nothing_is_set_as_declared() {
    let (_nats, server) = server().await;
    let registry = log("REGISTRY", "registry");
    let careless = Config {
        name: "REGISTRY".to_owned(),
        subjects: vec!["eldercare.registry.elder.*".to_owned()],
        max_age: Duration::from_secs(3_600),
        max_messages: 1_000,
        ..Config::default()
    };
    // It takes less than it should, and what it takes is elsewhere in what is declared.
    server.create_stream(careless).await.unwrap();
    let states = apply(&server, 1).await.unwrap();
    let of_registry = states.into_iter().find(|(name, _)| *name == "REGISTRY");
    let Some((_, State::Deviating(deviations))) = of_registry else {
        panic!("{of_registry:?}");
    };
    assert!(names(&deviations).contains(&"subjects"));
    assert_eq!(config(&server, "REGISTRY").await.max_messages, 1_000);

    server.delete_stream("REGISTRY").await.unwrap();
    let careless = Config {
        name: "REGISTRY".to_owned(),
        subjects: registry.subjects().to_vec(),
        max_age: Duration::from_secs(3_600),
        max_messages: 1_000,
        ..Config::default()
    };
    server.create_stream(careless).await.unwrap();
    server
        .publish("eldercare.registry.elder.one", "kept".into())
        .await
        .unwrap()
        .await
        .unwrap();
    let changed = others(apply(&server, 1).await.unwrap(), &State::AsDeclared);
    let [("REGISTRY", State::Changed(deviations))] = changed.as_slice() else {
        panic!("{changed:?}");
    };
    assert_eq!(
        names(deviations),
        [
            "max_age",
            "max_msgs",
            "deny_delete",
            "deny_purge",
            "allow_direct",
            "allow_atomic"
        ]
    );
    let opened = registry.open(&server, 1, false).await.unwrap();
    assert_eq!(opened.cached_info().state.messages, 1);
}

#[tokio::test]
async fn what_could_lose_something_is_left_as_it_is() {
    let (_nats, server) = server().await;
    apply(&server, 1).await.unwrap();
    let feeds = stream("FEEDS");
    server.delete_stream("FEEDS").await.unwrap();
    let mut longer = feeds.clone().keeping_for(Duration::ZERO).config(1);
    longer.allow_direct = false;
    server.create_stream(longer).await.unwrap();
    let states = others(apply(&server, 1).await.unwrap(), &State::AsDeclared);
    let [("FEEDS", State::Deviating(deviations))] = states.as_slice() else {
        panic!("{states:?}");
    };
    assert_eq!(names(deviations), ["max_age", "allow_direct"]);
    let left = config(&server, "FEEDS").await;
    assert!(left.max_age.is_zero() && !left.allow_direct);
}

#[tokio::test]
async fn a_stream_from_which_nothing_can_be_erased_is_told_and_left_as_it_is() {
    let (_nats, server) = server().await;
    let signals = stream("SIGNALS");
    let mut denying = signals.config(1);
    denying.deny_delete = true;
    server.create_stream(denying).await.unwrap();
    let states = others(apply(&server, 1).await.unwrap(), &State::Made);
    let [("SIGNALS", State::Deviating(deviations))] = states.as_slice() else {
        panic!("{states:?}");
    };
    assert_eq!(names(deviations), ["deny_delete"]);
    assert!(config(&server, "SIGNALS").await.deny_delete);
    signals.open(&server, 1, false).await.unwrap_err();
}

#[tokio::test]
async fn how_long_signals_are_kept_is_left_to_the_installation() {
    let (_nats, server) = server().await;
    let week = Duration::from_secs(7 * 24 * 3_600);
    let signals = stream("SIGNALS").keeping_for(week);
    signals.open(&server, 1, true).await.unwrap();
    let states = others(apply(&server, 1).await.unwrap(), &State::Made);
    assert_eq!(states, [("SIGNALS", State::AsDeclared)]);
    assert_eq!(config(&server, "SIGNALS").await.max_age, week);
    stream("SIGNALS").open(&server, 1, false).await.unwrap();
}
