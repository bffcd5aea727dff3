//! All services are at work while processes, the databases' server and databases are lost: what was answered is in the log once,
//! and the read models are as the log says.

use backing_services::Syncing;
use integration_tests::{Setup, System, load::Load, process::Part, seeds};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

/// How many seeds are tried, unless more are asked for: each is a sequence of blows.
const USUAL_SEEDS: u64 = 1;

/// The blows of a seed.
const BLOWS: usize = 6;

/// At most so many answers pass before the next blow.
const BETWEEN: usize = 40;

async fn all_services(syncing: Syncing) -> System {
    System::start_with(Setup {
        syncing,
        own_postgres: true,
        ..Setup::with_sharing()
    })
    .await
}

/// What was answered holds, and the read models are as the log says.
async fn all_holds(system: &System, load: Load) {
    let told = load.end().await;
    assert!(!told.is_empty());
    println!("{} commands and looks were answered", told.len());
    system.settled().await;
    told.holds(system).await;
    system.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn services_killed_at_random_lose_nothing_and_double_nothing() {
    // As they are deployed: who is killed may have gathered commands of many callers.
    let mut system = all_services(Syncing::Always).await;
    let mut load = Load::begin(&system).await;
    load.goes_on().await;
    for seed in 0..seeds::asked_for().unwrap_or(USUAL_SEEDS) {
        let mut random = StdRng::seed_from_u64(seed);
        for _ in 0..BLOWS {
            for _ in 0..random.random_range(0..BETWEEN) {
                load.moves().await;
            }
            let part = Part::ALL[random.random_range(0..Part::ALL.len())];
            system.kill_one(part).await;
            system.restart_one(part).await;
        }
        load.goes_on().await;
        println!("seed {seed}: recovered");
    }
    all_holds(&system, load).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_databases_server_killed_and_databases_lost_or_put_back_lose_nothing() {
    // Each command is written by itself here: it is the databases that are lost.
    let mut system = all_services(Syncing::EveryTwoMinutes).await;
    let mut load = Load::begin(&system).await;
    load.goes_on().await;

    system.postgres().kill().await;
    system.postgres().restart().await.unwrap();
    load.goes_on().await;
    assert!(system.is_running(), "a service outlives its database");
    println!("recovered from a killed server of databases");

    for part in Part::ALL {
        system.kill_one(part).await;
        let backup = system.backup_of(part).await;
        system.restart_one(part).await;
        load.goes_on().await;
        system.kill_one(part).await;
        system.restore(backup);
        system.restart_one(part).await;
        load.goes_on().await;
        println!("{part} went on from a database of before");

        system.kill_one(part).await;
        system.lose_databases_of(part).await;
        system.restart_one(part).await;
        load.goes_on().await;
        println!("{part} went on from an empty database");
    }
    all_holds(&system, load).await;
}
