//! `hidden`: how well the time of an answer tells an elder of another town, of whom the caller may learn nothing, from an id that
//! nobody has.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use backing_services::Syncing;
use proto::eldercare::{
    registry::v1::{GetElderHistoryRequest, GetElderRequest},
    sharing::v1::GetDossierRequest,
    tiering::v1::{ExplainTierRequest, GetTierRequest},
};
use rand::seq::SliceRandom as _;
use service::{Claims, Secret};
use tonic::{Code, Status};
use uuid::Uuid;

use crate::{
    bench::{
        Ground, Measured, agreed,
        callers::Latencies,
        logs::Logs,
        people::{Person, TOWNS},
        service::Role,
        stage::{Served, Stage},
    },
    client::Client,
    connection::Connection,
    output::Step,
};

/// The elders of the county.
const ELDERS: usize = 24_000;

/// How often is asked by each method, half of it for elders of elsewhere.
const CALLS: usize = 20_000;

/// How many calls an observer with patience takes the mean of.
const TOGETHER: u32 = 100;

/// Among so many elders each method knows somebody.
const SOMEBODY: u64 = 64;

/// The digits of a town's code.
const TOWN: usize = 9;

pub(super) async fn run(ground: &Ground) -> anyhow::Result<Vec<Measured>> {
    let mut stage = Stage::set(ground, "hidden", Syncing::EveryTwoMinutes).await?;
    let (elders, calls) = (ground.scaled(ELDERS) as u64, ground.scaled(CALLS));
    Logs::filled(&stage, elders, ground.progress).await?;
    let registry = stage.start(Role::Registry).await?;
    stage.become_peer("tiering", &registry.endpoint()).await?;
    let tiering = stage.start(Role::Tiering).await?;
    stage.become_peer("sharing", &registry.endpoint()).await?;
    stage.set_clock(agreed::NOW)?;
    let sharing = stage.start(Role::Sharing).await?;

    let mut results = Vec::new();
    for method in Method::ALL {
        let served = match method {
            Method::Elder | Method::History => &registry,
            Method::Tier | Method::Explanation => &tiering,
            Method::Dossier => &sharing,
        };
        let step = ground.progress.begin(method.name(), calls as u64);
        let asking = Asking::about(&stage, served, *method).await?;
        let times = asking.all(elders, calls, &step).await?;
        let measured = times.measured(*method).with("elders", elders);
        step.done(&format!("{:.1} %", measured.figure));
        results.push(stage.note(measured));
    }
    sharing.stop().await?;
    tiering.stop().await?;
    registry.stop().await?;
    stage.strike().await;
    Ok(results)
}

/// A method that takes an elder's id.
#[derive(Debug, Clone, Copy)]
enum Method {
    Elder,
    History,
    Tier,
    Explanation,
    Dossier,
}

impl Method {
    const ALL: &'static [Self] = &[
        Self::Elder,
        Self::History,
        Self::Tier,
        Self::Explanation,
        Self::Dossier,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Elder => "GetElder",
            Self::History => "GetElderHistory",
            Self::Tier => "GetTier",
            Self::Explanation => "ExplainTier",
            Self::Dossier => "GetDossier",
        }
    }

    /// Asks for an elder.
    async fn ask(self, client: &Client, elder: Uuid) -> Result<(), Status> {
        let elder_id = elder.to_string();
        match self {
            Self::Elder => {
                let request = GetElderRequest {
                    elder_id,
                    ..GetElderRequest::default()
                };
                client.registry().get_elder(request).await.map(drop)
            }
            Self::History => {
                let request = GetElderHistoryRequest {
                    elder_id,
                    ..GetElderHistoryRequest::default()
                };
                client.registry().get_elder_history(request).await.map(drop)
            }
            Self::Tier => {
                let request = GetTierRequest {
                    elder_id,
                    ..GetTierRequest::default()
                };
                client.tiering().get_tier(request).await.map(drop)
            }
            Self::Explanation => {
                let request = ExplainTierRequest {
                    elder_id,
                    ..ExplainTierRequest::default()
                };
                client.tiering().explain_tier(request).await.map(drop)
            }
            Self::Dossier => {
                let request = GetDossierRequest {
                    elder_id,
                    ..GetDossierRequest::default()
                };
                client.sharing().get_dossier(request).await.map(drop)
            }
        }
    }
}

/// An officer of the first town who asks by a method, for one elder after the other.
struct Asking {
    officer: Client,
    method: Method,
}

impl Asking {
    /// Somebody who may ask by this method, where there is something to be found by those who may see it.
    async fn about(stage: &Stage, served: &Served, method: Method) -> anyhow::Result<Self> {
        let everybody = Client::new(&served.connection())?;
        let mut found = 0;
        for person in elsewhere().take_while(|person| person.0 < SOMEBODY) {
            match method.ask(&everybody, person.id()).await {
                Ok(()) => found += 1,
                Err(status) => is_not_found(method, &status)?,
            }
        }
        ensure!(found > 0, "{} tells nobody anything", method.name());
        let village = Person(0).village_code();
        let town = village.get(..TOWN).context("a village without a town")?;
        let officer = Claims::officer("bench-of-a-town", "civil_affairs")
            .division(town)
            .role("viewer")
            .purpose("bench");
        let connection = Connection {
            token: Secret::new(stage.token_of(&officer)?),
            ..served.connection()
        };
        Ok(Self {
            officer: Client::new(&connection)?,
            method,
        })
    }

    /// Asks so often, at random for somebody of elsewhere or for nobody, and each time for another id.
    async fn all(&self, elders: u64, calls: usize, step: &Step) -> anyhow::Result<Times> {
        let each = calls / 2;
        let theirs = elsewhere().take_while(|person| person.0 < elders);
        let theirs: Vec<Person> = theirs.collect();
        ensure!(!theirs.is_empty(), "nobody lives elsewhere");
        let theirs = theirs.iter().cycle().take(each).map(|one| (true, one.id()));
        // Who is made up and in no log.
        let nobody = (elders..).take(each).map(|one| (false, Person(one).id()));
        let mut asked: Vec<(bool, Uuid)> = theirs.chain(nobody).collect();
        asked.shuffle(&mut rand::rng());
        for (_, id) in asked.iter().take(each / 10) {
            self.time(*id).await?;
        }
        let mut times = Times::default();
        for (known, id) in asked {
            let took = self.time(id).await?;
            let of_its_kind = if known {
                &mut times.elsewhere
            } else {
                &mut times.unknown
            };
            of_its_kind.push(took);
            step.advance(1);
        }
        Ok(times)
    }

    /// How long it takes to be told that there is no such elder.
    async fn time(&self, elder: Uuid) -> anyhow::Result<Duration> {
        let since = Instant::now();
        let answer = self.method.ask(&self.officer, elder).await;
        let took = since.elapsed();
        match answer {
            Ok(()) => anyhow::bail!("{} tells of an elder of elsewhere", self.method.name()),
            Err(status) => is_not_found(self.method, &status)?,
        }
        Ok(took)
    }
}

fn is_not_found(method: Method, status: &Status) -> anyhow::Result<()> {
    ensure!(
        status.code() == Code::NotFound,
        "{} answers otherwise than that there is nobody: {:?}",
        method.name(),
        status.code()
    );
    Ok(())
}

/// Made-up elders of other towns than the first.
fn elsewhere() -> impl Iterator<Item = Person> {
    let everybody = (0..).map(Person);
    everybody.filter(|person| !person.0.is_multiple_of(TOWNS))
}

/// How long answers took, in the order in which they came.
#[derive(Debug, Default)]
struct Times {
    unknown: Vec<Duration>,
    elsewhere: Vec<Duration>,
}

impl Times {
    fn measured(self, method: Method) -> Measured {
        let apart = told_apart(&self.unknown, &self.elsewhere);
        let patient = told_apart(&means(&self.unknown), &means(&self.elsewhere));
        let calls = self.unknown.len() + self.elsewhere.len();
        let (unknown, elsewhere) = (Latencies::of(self.unknown), Latencies::of(self.elsewhere));
        Measured::new("hidden", 100.0 * apart, "% told apart (50: nothing)")
            .latencies(&elsewhere)
            .with("method", method.name())
            .with("calls", calls)
            .with_rounded("unknown_p50_ms", unknown.permille(500))
            .with_rounded("unknown_p99_ms", unknown.permille(990))
            .with_rounded("elsewhere_p50_ms", elsewhere.permille(500))
            .with_rounded("elsewhere_p99_ms", elsewhere.permille(990))
            .with_rounded("by_the_mean_of_100_calls", 100.0 * patient)
    }
}

/// The means of so many calls each; those that are left over count for nothing.
fn means(times: &[Duration]) -> Vec<Duration> {
    let together = times.chunks_exact(TOGETHER as usize);
    together
        .map(|some| some.iter().sum::<Duration>() / TOGETHER)
        .collect()
}

/// How often somebody is right who hears two times, one of each kind, and says which is which by the longer: the area under the
/// curve of what is rightly over what is wrongly taken for the one kind. Half of the guesses are right where the times say
/// nothing.
fn told_apart(one: &[Duration], other: &[Duration]) -> f64 {
    let pairs = one.len() * other.len();
    if pairs == 0 {
        return 0.5;
    }
    let mut sorted = other.to_vec();
    sorted.sort_unstable();
    // A pair of equals counts once, one in which the other is the shorter twice.
    let shorter = one.iter().map(|time| {
        let less = sorted.partition_point(|other| other < time);
        less + sorted.partition_point(|other| other <= time)
    });
    #[expect(clippy::cast_precision_loss, reason = "a figure to look at")]
    let area = shorter.sum::<usize>() as f64 / (2 * pairs) as f64;
    area.max(1.0 - area)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(micros: impl IntoIterator<Item = u64>) -> Vec<Duration> {
        micros.into_iter().map(Duration::from_micros).collect()
    }

    #[test]
    fn times_that_are_the_same_tell_nothing() {
        let same = times([700, 500, 900]);
        assert!((told_apart(&same, &same) - 0.5).abs() < 1e-9);
        let (few, many) = (times([500]), times([500, 500, 500]));
        assert!((told_apart(&few, &many) - 0.5).abs() < 1e-9);
        assert!((told_apart(&few, &[]) - 0.5).abs() < 1e-9);
    }

    #[test]
    fn what_takes_longer_each_time_is_told_apart_whichever_it_is() {
        let (short, long) = (times([3, 1, 2]), times([5, 4]));
        assert!((told_apart(&short, &long) - 1.0).abs() < 1e-9);
        assert!((told_apart(&long, &short) - 1.0).abs() < 1e-9);
        // Of four pairs three are guessed rightly.
        let (one, other) = (times([1, 3]), times([2, 4]));
        assert!((told_apart(&one, &other) - 0.75).abs() < 1e-9);
    }

    #[test]
    fn the_mean_shows_what_single_calls_hide() {
        let calls = 0..1_000;
        let one = times(calls.clone().map(|call| 500 + call * 37 % 100));
        let other = times(calls.map(|call| 505 + call * 37 % 100));
        assert!(told_apart(&one, &other) < 0.6);
        let (one, other) = (means(&one), means(&other));
        assert_eq!(one.len(), 10);
        assert!((told_apart(&one, &other) - 1.0).abs() < 1e-9);
        assert!(means(&times(0..99)).is_empty());
    }

    #[test]
    fn nobody_of_the_first_town_is_asked_for() {
        let own = Person(0).village_code();
        let town = &own[..TOWN];
        let mut others = elsewhere().take(1_000);
        assert!(others.all(|person| !person.village_code().starts_with(town)));
    }
}
