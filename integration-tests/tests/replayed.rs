//! The sample county is replayed while its services are killed at random, and comes out as expected.

use eldercare::{
    county::County,
    replay::{Played, report::compare},
    servers::SERVICES,
};
use integration_tests::{
    Setup, System, county, process::Part, replayed::Blows, seeds, villages::Villages,
};

/// Replays a data set while services are killed, each of them: what came out. All is as the logs say.
async fn replayed(county: &County, blows: Blows) -> Played {
    let mut system = System::start_with(Setup {
        as_of: county.set.facts_hold_from.start(),
        divisions: false,
        own_postgres: true,
        replayed: true,
        ..Setup::with_sharing()
    })
    .await;
    let (played, killed) = system.replay(county, blows).await.unwrap();
    for part in Part::ALL {
        let times = killed.iter().filter(|killed| **killed == part).count();
        println!("seed {}: {part} was killed {times} times", blows.seed);
        assert!(times > 0, "the replay ended before {part} was killed");
    }
    assert!(played.failed.is_empty(), "refused: {:?}", played.failed);
    for service in SERVICES {
        system.chains_are_whole(service).await;
    }
    system.verify().await;
    played
}

/// A few villages, each part of the system killed at least once.
async fn villages() {
    let villages = Villages::cut();
    let blows = Blows {
        seed: 0,
        between: 300,
    };
    let played = replayed(&villages.county(), blows).await;
    let compared = villages.compare(&played);
    assert!(compared.is_equal(), "{:#?}", compared.differences);
}

async fn whole_county(seed: u64) {
    let county = County::open(county::folder()).unwrap();
    let blows = Blows {
        seed,
        between: 5_000,
    };
    let played = replayed(&county, blows).await;
    let outcome = compare(&county, &played, 0.0).unwrap();
    let differences = outcome.parts.iter().flat_map(|part| &part.differences);
    let differences: Vec<_> = differences.collect();
    assert!(outcome.equal, "seed {seed}: {differences:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sample_county_comes_out_as_expected_though_its_services_are_killed_at_random() {
    match seeds::asked_for() {
        None => villages().await,
        Some(seeds) => {
            for seed in 0..seeds {
                whole_county(seed).await;
            }
        }
    }
}
