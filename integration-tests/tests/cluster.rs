//! Three servers keep the log, as they do where they are deployed, all services are at work, and one blow after another falls on the
//! servers: what was answered is in the log once, nobody wrote past anybody, and the read models are as the log says.

use std::time::Duration;

use backing_services::Syncing;
use integration_tests::{Setup, System, cluster::NODES, load::Load};
use tokio::time::sleep;

/// For so long a server stands still, and one is cut off: longer than the others wait before they elect another leader.
const STANDING_STILL: Duration = Duration::from_secs(30);

/// The blows fall on the servers that lead this stream.
const STREAM: &str = "REGISTRY";

/// All is well again, and everybody is answered.
async fn recovers(what: &str, system: &mut System, load: &mut Load) {
    system.cluster().is_whole().await;
    load.goes_on().await;
    assert!(system.is_running(), "after {what} a service is gone");
    println!("recovered from {what}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_under_fire_loses_nothing_that_was_told_and_doubles_nothing() {
    let mut system = System::start_with(Setup {
        cluster: true,
        syncing: Syncing::Always,
        own_postgres: true,
        ..Setup::with_sharing()
    })
    .await;
    let mut load = Load::begin(&system).await;
    load.goes_on().await;

    let leader = system.cluster().leader(STREAM).await;
    system.cluster().kill_and_restart(leader).await;
    recovers("a killed leader", &mut system, &mut load).await;

    for node in 0..NODES {
        system.cluster().kill_and_restart(node).await;
        recovers("one killed after another", &mut system, &mut load).await;
    }

    system.cluster().kill_and_restart_all().await;
    recovers("all killed at once", &mut system, &mut load).await;

    let leader = system.cluster().leader(STREAM).await;
    system.cluster().node(leader).pause();
    sleep(STANDING_STILL).await;
    system.cluster().node(leader).resume();
    recovers("a leader that stood still", &mut system, &mut load).await;

    let leader = system.cluster().leader(STREAM).await;
    system.cluster().wipe(leader).await;
    recovers("a lost disk", &mut system, &mut load).await;

    let leader = system.cluster().leader(STREAM).await;
    system.cluster().cut_off(leader);
    sleep(STANDING_STILL).await;
    system.cluster().mend(leader);
    recovers("a leader cut off", &mut system, &mut load).await;

    let leader = system.cluster().leader(STREAM).await;
    system.cluster().tear_off(leader);
    system.cluster().another_leads(STREAM, leader).await;
    system.cluster().mend(leader);
    recovers("a leader torn off", &mut system, &mut load).await;

    let told = load.end().await;
    println!("{} commands and looks were answered", told.len());
    system.settled().await;
    told.holds(&system).await;
    system.verify().await;
}
