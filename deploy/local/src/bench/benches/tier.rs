//! `tier`: a draft policy is tried on the elders of a province, many of whom share the same facts.

use std::time::{Duration, Instant};

use backing_services::Syncing;
use civic::{Assistance, CapabilityLevel, Category, ConsentState, LocalDay, Set, Sex, Term};
use proto::eldercare::tiering::v1::{
    SimulatePolicyRequest, SimulationResult, simulate_policy_response::Part,
};
use sqlx::PgConnection;
use tiering::{
    facts_key::{FactsKey, Variable},
    policy::NATIONAL_YAML,
};
use uuid::Uuid;

use crate::bench::{
    Ground, Measured,
    callers::Latencies,
    seed::Seeded,
    service::Role,
    stage::{Served, Stage},
};

/// The province.
const PROVINCE: &str = "35";

/// Elders in it.
const ELDERS: u64 = 2_600_000;

/// Villages: so many counties, with so many towns each, with so many villages each.
const COUNTIES: u64 = 84;
const TOWNS: u64 = 13;
const VILLAGES: u64 = 15;

/// How often the draft is tried.
const TIMES: usize = 5;

const COLUMNS: &[&str] = &["elder_id", "village", "facts_key", "next_change_on"];

/// The counting that the database does for a simulation, word by word, and nothing else.
const COUNTING: &str = "SELECT count(*) FROM (SELECT left(village, $3) AS place, facts_key, count(*) \
     FROM tiering_today.elder WHERE village >= $1 AND village < $2 AND facts_key IS NOT NULL \
     GROUP BY place, facts_key) AS groups";

pub(super) async fn run(ground: &Ground) -> anyhow::Result<Vec<Measured>> {
    let stage = Stage::set(ground, "tier", Syncing::EveryTwoMinutes).await?;
    // Tiering waits for the registry's stream; it stays empty.
    Seeded::registered(&stage, 0, ground.progress).await?;
    let served = stage.start(Role::Tiering).await?;

    let elders = ground.scaled(usize::try_from(ELDERS)?) as u64;
    let step = ground.progress.begin("elders in tiering's table", elders);
    let mut db = stage.database().await?;
    sqlx::raw_sql("SET synchronous_commit = off")
        .execute(&mut db)
        .await?;
    readmodel::copy_rows(
        &mut db,
        "tiering_today.elder",
        COLUMNS,
        0..elders,
        |row, number| {
            let one = Random(number);
            row.put(Uuid::new_v5(&Uuid::NAMESPACE_OID, &number.to_be_bytes()))
                .put(one.village())
                .put(one.facts().stored())
                .put(LocalDay::MAX.date());
        },
    )
    .await?;
    sqlx::raw_sql("VACUUM ANALYZE tiering_today.elder")
        .execute(&mut db)
        .await?;
    step.done(&format!("{elders}"));

    let step = ground.progress.begin("SimulatePolicy", TIMES as u64);
    let mut single = Vec::with_capacity(TIMES);
    let mut result = SimulationResult::default();
    for _ in 0..TIMES {
        let since = Instant::now();
        result = simulate(&served).await?;
        single.push(since.elapsed());
        step.advance(1);
    }
    let latencies = Latencies::of(single);
    step.done(&format!("{:.2} s", latencies.permille(500) / 1e3));
    anyhow::ensure!(
        result.in_scope == i64::try_from(elders)?,
        "{} elders were judged",
        result.in_scope
    );

    let mut counting = Vec::with_capacity(TIMES);
    for _ in 0..TIMES {
        counting.push(count(&mut db).await?);
    }
    let counting = Latencies::of(counting);
    let peak = served.peak_rss();
    served.stop().await?;
    let measured = Measured::new("tier", latencies.permille(500) / 1e3, "s")
        .limit_at_least(counting.permille(500) / 1e3)
        .latencies(&latencies)
        .peak(peak)
        .with("elders", elders)
        .with("distinct_facts", result.distinct_facts)
        .with("moves", result.moves.len())
        .with("times", TIMES)
        .with("limit_is", "the database's counting of equal facts alone");
    let measured = stage.note(measured);
    stage.strike().await;
    Ok(vec![measured])
}

/// Tries a draft that has the second tier visited weekly.
async fn simulate(served: &Served) -> anyhow::Result<SimulationResult> {
    let draft = NATIONAL_YAML.replacen("interval: MONTHLY", "interval: WEEKLY", 1);
    let mut request = tonic::Request::new(SimulatePolicyRequest {
        division_code: PROVINCE.to_owned(),
        yaml: draft,
        min_position: String::new(),
    });
    request.set_timeout(Duration::from_secs(600));
    let client = served.clients()?.swap_remove(0);
    let mut answers = client
        .tiering()
        .simulate_policy(request)
        .await?
        .into_inner();
    while let Some(answer) = answers.message().await? {
        if let Some(Part::Result(result)) = answer.part {
            return Ok(result);
        }
    }
    anyhow::bail!("the simulation ended without its result")
}

async fn count(db: &mut PgConnection) -> anyhow::Result<Duration> {
    let since = Instant::now();
    let _groups: i64 = sqlx::query_scalar(COUNTING)
        .bind(PROVINCE)
        .bind(format!("{PROVINCE}:"))
        .bind(2_i32)
        .fetch_one(db)
        .await?;
    Ok(since.elapsed())
}

/// An elder's made-up facts, spread as in a province: most are well, younger ones are more.
struct Random(u64);

impl Random {
    /// A number below `of`, another one for each question.
    fn below(&self, question: u64, of: u64) -> u64 {
        // SplitMix64, whose numbers are well spread.
        let mut z = (self.0 * 64 + question + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % of
    }

    fn village(&self) -> String {
        let (county, town, village) = (
            self.below(0, COUNTIES),
            self.below(1, TOWNS),
            self.below(2, VILLAGES),
        );
        format!(
            "{PROVINCE}{:04}{:03}{:03}",
            101 + county,
            100 + town,
            200 + village
        )
    }

    fn facts(&self) -> FactsKey {
        // The smaller of two: there are more of the younger.
        let years = self.below(3, 40).min(self.below(4, 40));
        let level = match self.below(5, 100) {
            0..60 => CapabilityLevel::Intact,
            60..75 => CapabilityLevel::Mild,
            75..83 => CapabilityLevel::Moderate,
            83..88 => CapabilityLevel::Severe,
            88..90 => CapabilityLevel::Total,
            _ => CapabilityLevel::Unassessed,
        };
        let mut categories = Set::from(Category::ALL[self.place(6, Category::ALL.len())]);
        if self.below(7, 5) == 0 {
            categories.insert(Category::ALL[self.place(8, Category::ALL.len())]);
        }
        let assistance = match self.below(9, 10) {
            0 => Set::from(Assistance::ALL[self.place(10, Assistance::ALL.len())]),
            _ => Set::EMPTY,
        };
        let grade = if categories.contains(Category::SeverelyHandicapped) {
            1 + self.below(11, 4)
        } else {
            0
        };
        let consent = match self.below(12, 10) {
            0 => ConsentState::Refused,
            1 | 2 => ConsentState::Unknown,
            _ => ConsentState::Granted,
        };
        // One in fifty was seen to be bedridden, impaired in moving, or demented.
        let observed = if self.below(13, 50) == 0 {
            1 << self.below(14, 3)
        } else {
            0
        };
        FactsKey::from_stored(0)
            .with(Variable::Age, 60 + years)
            .with(Variable::Capability, index(level))
            .with(Variable::HandicapGrade, grade)
            .with(Variable::Observations, observed)
            .with(Variable::Categories, bits(categories))
            .with(Variable::Assistance, bits(assistance))
            .with(
                Variable::Sex,
                index(Sex::ALL[self.place(15, Sex::ALL.len())]),
            )
            .with(Variable::Consent, index(consent))
    }

    fn place(&self, question: u64, of: usize) -> usize {
        usize::try_from(self.below(question, of as u64)).expect("a small number")
    }
}

fn index<T: Term>(word: T) -> u64 {
    u64::from(word.index())
}

fn bits<T: Term>(words: Set<T>) -> u64 {
    words.iter().fold(0, |bits, word| bits | 1 << word.index())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn many_elders_share_the_same_facts() {
        let distinct: HashSet<_> = (0..100_000).map(|number| Random(number).facts()).collect();
        assert!(
            (1_000..40_000).contains(&distinct.len()),
            "{}",
            distinct.len()
        );
        assert!((0..1_000).all(|number| Random(number).village().len() == 12));
    }

    #[test]
    fn the_draft_differs_from_what_holds() {
        assert_ne!(
            NATIONAL_YAML.replacen("interval: MONTHLY", "interval: WEEKLY", 1),
            NATIONAL_YAML
        );
    }
}
