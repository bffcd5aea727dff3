//! What departments see of a thousand elders by agreements, all of it by chance, is what follows from the logs: what their dossiers
//! tell, and what they hold who have followed their feeds, is computed once more by other means.

mod agreed;
pub(crate) mod dice;
mod follower;
mod left;
mod life;
mod truth;

use std::collections::{BTreeMap, BTreeSet};
use std::env;

use civic::{ElderId, LocalDay};
use futures::{StreamExt as _, stream};
use proto::eldercare::sharing::v1 as pb;
use tonic::Code;

use self::agreed::{Agreement, DEPARTMENTS, Feed};
use self::dice::Dice;
use self::follower::Follower;
use self::left::{Catalogue, Left, left};
use self::life::Life;
use self::truth::{Known, in_order};
use crate::support::{
    COUNTY, Client, Ground, Running, approver, dossier_request, fields, guard, officer,
};

/// From this all follows, unless more is asked for.
const SEED: u64 = 20_240_301;
/// The variable that asks for more seeds, such as `ELDERCARE_SEEDS=20` for a long look.
const SEEDS: &str = "ELDERCARE_SEEDS";
/// How many agreements are proposed.
const AGREEMENTS: usize = 18;
/// How many dossiers are asked for at once.
const AT_ONCE: usize = 16;

type Elders = BTreeMap<ElderId, Known>;

/// What the logs say at one time.
struct ByTheLogs {
    catalogue: Catalogue,
    agreements: Vec<Agreement>,
    elders: Elders,
}

impl ByTheLogs {
    async fn of(running: &Running) -> Self {
        let ground = &running.ground;
        let today: LocalDay = ground.clock.today();
        Self {
            catalogue: Catalogue::of(running).await,
            agreements: agreed::in_force(&ground.logs.own, today).await,
            elders: truth::by_the_logs(ground, today).await,
        }
    }

    /// What a department holds by its feeds; those that tell of nobody are missing.
    fn held(&self, department: &str) -> BTreeMap<Feed, BTreeMap<String, (String, Left)>> {
        let mut all = BTreeMap::new();
        for (feed, grants) in agreed::feeds(&self.agreements, department) {
            let mut held = BTreeMap::new();
            let inside = self.elders.iter();
            for (elder, known) in inside.filter(|(_, known)| known.village.starts_with(&feed.1)) {
                for document in &known.documents {
                    if let Some(left) = left(document, &grants, &self.catalogue) {
                        held.insert(document.key.clone(), (elder.to_string(), left));
                    }
                }
            }
            if !held.is_empty() {
                all.insert(feed, held);
            }
        }
        all
    }

    /// The dossier that a department is told of an elder; none where it is told of nobody.
    fn dossier(&self, department: &str, elder: ElderId) -> Option<Dossier> {
        let known = self.elders.get(&elder)?;
        let grants = agreed::of_village(&self.agreements, department, &known.village);
        if grants.is_empty() {
            return None;
        }
        let documents = known.documents.iter().filter_map(|document| {
            let left = left(document, &grants, &self.catalogue)?;
            Some(((document.product.to_owned(), document.key.clone()), left))
        });
        Some(documents.collect())
    }
}

/// The documents of an elder, by product and key.
type Dossier = BTreeMap<(String, String), Left>;

/// The dossier that somebody is told.
async fn told(mut client: Client, elder: ElderId) -> Option<Dossier> {
    let request = pb::GetDossierRequest {
        newest: 200,
        ..dossier_request(elder)
    };
    let dossier = match client.get_dossier(request).await {
        Ok(told) => told.into_inner().dossier.unwrap(),
        Err(refused) => {
            assert_eq!(refused.code(), Code::NotFound, "{refused:?}");
            return None;
        }
    };
    let documents = dossier.documents.into_iter().map(|document| {
        let told = fields(&document);
        let left = Left {
            fields: in_order(told.as_object().unwrap().clone()),
            masked: document.masked.into_iter().collect::<BTreeSet<_>>(),
        };
        ((document.product, document.key), left)
    });
    Some(documents.collect())
}

/// How much was compared.
#[derive(Debug, Default)]
struct Compared {
    feeds: usize,
    held: usize,
    dossiers: usize,
    nobody: usize,
    masked: usize,
}

impl Compared {
    /// How much there is by the usual seed at least.
    const USUAL: Self = Self {
        feeds: 20,
        held: 2_000,
        dossiers: 800,
        nobody: 300,
        masked: 500,
    };

    /// More than this is to be compared: by other seeds departments may be granted little, but not nothing.
    fn least(seed: u64) -> Self {
        if seed == SEED {
            Self::USUAL
        } else {
            Self::default()
        }
    }
}

/// Every department holds by its feeds what follows from the logs.
async fn compare_feeds(running: &Running, followers: &mut [Follower]) -> Compared {
    running.settled().await;
    let server = running.ground.nats().await;
    let expected = ByTheLogs::of(running).await;
    let mut compared = Compared::default();
    for (department, follower) in DEPARTMENTS.into_iter().zip(followers) {
        follower.reads_on(&server).await;
        let (held, expected) = (follower.holds(), expected.held(department));
        let feeds: BTreeSet<&Feed> = held.keys().chain(expected.keys()).collect();
        for feed in feeds {
            let (held, expected) = (held.get(feed), expected.get(feed));
            let (held, expected) = (held.cloned(), expected.cloned());
            let (held, expected) = (held.unwrap_or_default(), expected.unwrap_or_default());
            let keys: BTreeSet<&String> = held.keys().chain(expected.keys()).collect();
            for key in keys {
                let (holds, follows) = (held.get(key), expected.get(key));
                assert_eq!(holds, follows, "{department} {feed:?} {key}");
                let masked = follows.map(|(_, left)| left.masked.len());
                compared.masked += masked.unwrap_or_default();
            }
            compared.feeds += 1;
            compared.held += held.len();
        }
    }
    compared
}

/// Every department is told of every elder what follows from the logs.
async fn compare_dossiers(running: &Running, elders: &[ElderId]) -> Compared {
    let expected = ByTheLogs::of(running).await;
    let mut compared = Compared::default();
    for department in DEPARTMENTS {
        let reader = officer("reader", department, COUNTY, &["viewer"]);
        let client = running.client_of(&reader);
        let mut all = stream::iter(elders)
            .map(|elder| {
                let client = client.clone();
                async move { (*elder, told(client, *elder).await) }
            })
            .buffer_unordered(AT_ONCE);
        while let Some((elder, told)) = all.next().await {
            let follows = expected.dossier(department, elder);
            assert_eq!(told, follows, "{department} {elder}");
            match told {
                Some(_) => compared.dossiers += 1,
                None => compared.nobody += 1,
            }
        }
    }
    compared
}

/// Agreements by chance, most of them approved.
async fn agree(running: &Running, seed: u64) -> Vec<String> {
    let mut dice = Dice::seeded(seed + 1);
    let catalogue = Catalogue::of(running).await;
    let mut agreements = vec![];
    for department in DEPARTMENTS.iter().cycle().take(AGREEMENTS) {
        let terms = agreed::terms(&mut dice, &catalogue, department);
        agreements.push(running.propose(&terms).await.unwrap());
    }
    for agreement in agreements.iter().skip(2) {
        running.approve_as(&approver(), agreement).await.unwrap();
    }
    agreements
}

/// The usual seed, and as many more as are asked for; each has elders and agreements of its own.
fn seeds() -> impl Iterator<Item = u64> {
    let asked_for = env::var(SEEDS).ok();
    let asked_for = asked_for.map_or(1, |said| said.parse::<u64>().unwrap());
    // Agreements take the seed after that of the elders.
    (0..asked_for).map(|number| SEED + 2 * number)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn departments_see_of_a_thousand_elders_what_follows_from_the_logs() {
    for seed in seeds() {
        println!("seed {seed}");
        Box::pin(all_follows_from_the_logs(seed)).await;
    }
}

/// Agreements come and go while things happen to a thousand elders, and departments see what follows.
async fn all_follows_from_the_logs(seed: u64) {
    let least = Compared::least(seed);
    let ground = Ground::at("2024-03-01 09:10").with_feeds().await;
    let mut life = Life::in_county(&ground, seed);
    life.arrive(900).await;
    life.goes_on(3_500).await;
    let running = ground.start().await;
    let agreements = agree(&running, seed).await;
    let mut followers = DEPARTMENTS.map(Follower::of);
    let begun = compare_feeds(&running, &mut followers).await;
    let enough = begun.feeds > least.feeds && begun.held > least.held;
    assert!(enough, "{begun:?}");

    // All goes on while departments listen, and agreements come and go.
    life.arrive(100).await;
    life.goes_on(1_000).await;
    let [suspended, ended, lifted] = [2, 3, 4].map(|place| agreements[place].as_str());
    running.suspend_as(&guard(), suspended).await.unwrap();
    running.end_as(&guard(), ended).await.unwrap();
    running.suspend_as(&guard(), lifted).await.unwrap();
    let late = &agreements[0];
    running.approve_as(&approver(), late).await.unwrap();
    compare_feeds(&running, &mut followers).await;
    running.approve_as(&approver(), lifted).await.unwrap();

    // By the next day agreements are over, and moves and birthdays take effect.
    running.advance("2024-03-02 00:00");
    life.goes_on(500).await;
    compare_feeds(&running, &mut followers).await;
    // Whoever comes late learns the same.
    let mut followers = DEPARTMENTS.map(Follower::of);
    let compared = compare_feeds(&running, &mut followers).await;
    let enough = compared.feeds > least.feeds && compared.held > least.held;
    assert!(enough, "{compared:?}");
    assert!(compared.masked > least.masked, "{compared:?}");
    let elders = life.elders();
    let compared = compare_dossiers(&running, &elders).await;
    assert_eq!(compared.dossiers + compared.nobody, 3_000);
    assert!(compared.dossiers > least.dossiers, "{compared:?}");
    assert!(compared.nobody > least.nobody, "{compared:?}");
    assert!(life.erased() > 20);
    running.stop().await;
}
