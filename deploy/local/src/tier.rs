//! `tier`: why an elder has a tier, and what a draft policy would change.

use std::path::Path;

use civic::LocalDay;
use proto::eldercare::{
    tiering::v1::{
        Assignment, ExplainTierRequest, Interval, SimulatePolicyRequest, VisitingLoad,
        simulate_policy_response::Part,
    },
    r#type::v1 as types,
};
use serde::Serialize;

use crate::{
    cli::Whom,
    client::{Client, call, in_words},
    elder::id_of,
    load::text_of,
    output::{Progress, Report, number, table},
    wire,
    words::{labelled, name_of, names_of},
};

/// Why an elder has this tier, or none.
#[derive(Debug, Serialize)]
pub struct Explanation {
    /// The elder.
    pub elder_id: String,
    /// The day that is explained.
    pub on: Option<String>,
    /// Whether the elder was in scope.
    pub in_scope: bool,
    /// Why not.
    pub out_of_scope_reasons: Vec<String>,
    /// The division whose policy the rules are; empty before the elder was registered.
    pub policy_division_code: String,
    /// That policy's version.
    pub policy_version: i64,
    /// What the policy gives.
    pub assignment: Option<Given>,
    /// Every rule in its order.
    pub rules: Vec<Rule>,
    /// Every fact and where it comes from.
    pub facts: Vec<Fact>,
    /// The day on which time alone changes a fact next.
    pub next_change_on: Option<String>,
}

/// A tier as a policy gives it.
#[derive(Debug, Serialize)]
pub struct Given {
    /// The tier.
    pub tier: String,
    /// The rules that gave it.
    pub reasons: Vec<String>,
    /// How often a visit is owed.
    pub interval: Option<&'static str>,
    /// How visits may take place.
    pub modes: Vec<&'static str>,
    /// The division whose policy gave it.
    pub policy_division_code: String,
    /// The policy's version.
    pub policy_version: i64,
}

/// One rule, applied.
#[derive(Debug, Serialize)]
pub struct Rule {
    /// Its name.
    pub rule: String,
    /// The tier that it gives.
    pub tier: String,
    /// Whether it applies.
    pub applies: bool,
    /// Its condition.
    pub condition: String,
    /// The document that it comes from.
    pub source: String,
}

/// One fact.
#[derive(Debug, Serialize)]
pub struct Fact {
    /// Its name in conditions.
    pub fact: String,
    /// Its value.
    pub value: String,
    /// The event that gave it.
    pub event: String,
    /// Where that lies.
    pub position: String,
    /// When it was recorded, local time.
    pub recorded_at: Option<String>,
    /// From when it holds.
    pub holds_from: Option<String>,
}

/// Explains an elder's tier.
///
/// # Errors
/// Tiering's refusal.
pub async fn explain(
    client: &Client,
    whom: &Whom,
    on: Option<LocalDay>,
) -> anyhow::Result<Explanation> {
    let elder_id = id_of(client, whom).await?;
    let request = ExplainTierRequest {
        elder_id: elder_id.clone(),
        on: on.map(wire::date),
        min_position: String::new(),
    };
    let answer = call(request, async |request| {
        client.tiering().explain_tier(request).await
    })
    .await?;
    let day = |date: Option<types::Date>| date.and_then(wire::from_date).map(|day| day.to_string());
    let facts = answer.facts.into_iter().map(|fact| Fact {
        fact: fact.fact,
        value: fact.value,
        event: fact.event,
        position: fact.position,
        recorded_at: fact
            .recorded_at
            .and_then(wire::from_timestamp)
            .map(wire::local_time),
        holds_from: day(fact.holds_from),
    });
    let rules = answer.rules.into_iter().map(|rule| Rule {
        rule: rule.rule,
        tier: rule.tier,
        applies: rule.applies,
        condition: rule.condition,
        source: rule.source,
    });
    Ok(Explanation {
        elder_id,
        on: day(answer.on),
        in_scope: answer.in_scope,
        out_of_scope_reasons: answer.out_of_scope_reasons,
        policy_division_code: answer.policy_division_code,
        policy_version: answer.policy_version,
        assignment: answer.assignment.map(Given::of),
        rules: rules.collect(),
        facts: facts.collect(),
        next_change_on: day(answer.next_change_on),
    })
}

impl Given {
    fn of(assignment: Assignment) -> Self {
        Self {
            tier: assignment.tier,
            reasons: assignment.reasons,
            interval: name_of::<Interval>(assignment.interval),
            modes: names_of::<types::VisitMode>(&assignment.modes),
            policy_division_code: assignment.policy_division_code,
            policy_version: assignment.policy_version,
        }
    }
}

impl Report for Explanation {
    fn text(&self) -> String {
        let mut text = format!("{}\n", self.on.as_deref().unwrap_or_default());
        text.push_str(&match &self.assignment {
            Some(given) => format!(
                "{} ({}) {} [{}]\n",
                labelled(&given.tier),
                given
                    .reasons
                    .iter()
                    .map(|reason| labelled(reason))
                    .collect::<Vec<_>>()
                    .join(", "),
                given.interval.map(labelled).unwrap_or_default(),
                given
                    .modes
                    .iter()
                    .map(|mode| labelled(mode))
                    .collect::<Vec<_>>()
                    .join(", "),
            ),
            None => format!(
                "不在范围 out of scope: {}\n",
                self.out_of_scope_reasons.join(", ")
            ),
        });
        if !self.policy_division_code.is_empty() {
            text.push_str(&format!(
                "政策 policy {} version {}\n",
                self.policy_division_code, self.policy_version
            ));
        }
        let mut rules = table([
            "规则 rule",
            "分级 tier",
            "适用 applies",
            "条件 condition",
            "依据 source",
        ]);
        for rule in &self.rules {
            let applies = if rule.applies { "是 yes" } else { "" };
            rules.add_row([
                &labelled(&rule.rule),
                &labelled(&rule.tier),
                applies,
                &rule.condition,
                &rule.source,
            ]);
        }
        let mut facts = table([
            "事实 fact",
            "值 value",
            "来自 event",
            "记录 recorded",
            "自 holds from",
            "position",
        ]);
        for fact in &self.facts {
            facts.add_row([
                fact.fact.as_str(),
                &fact.value,
                &fact.event,
                fact.recorded_at.as_deref().unwrap_or_default(),
                fact.holds_from.as_deref().unwrap_or_default(),
                &fact.position,
            ]);
        }
        text.push_str(&format!("{rules}\n{facts}"));
        if let Some(day) = &self.next_change_on {
            text.push_str(&format!("\n下次变化 time alone changes a fact on {day}"));
        }
        text
    }
}

/// What a draft policy would change.
#[derive(Debug, Serialize)]
pub struct Simulation {
    /// How many elders move from which tier to which.
    pub moves: Vec<Move>,
    /// What the visitors are asked for now.
    pub before: Load,
    /// What they would be asked for.
    pub after: Load,
    /// Elders in scope.
    pub in_scope: i64,
    /// Sets of facts that differ.
    pub distinct_facts: i64,
}

/// One cell of the matrix; an empty tier stands for out of scope.
#[derive(Debug, Serialize)]
pub struct Move {
    /// The tier now.
    pub from: String,
    /// The tier by the draft.
    pub to: String,
    /// How many.
    pub elders: i64,
}

/// What tiers ask of the visitors.
#[derive(Debug, Serialize)]
pub struct Load {
    /// Elders owed a visit a week.
    pub weekly_elders: i64,
    /// Elders owed a visit a month.
    pub monthly_elders: i64,
    /// Visits a month.
    pub visits_per_month: i64,
    /// Elders who may be visited at home only.
    pub home_only_elders: i64,
}

/// Tries a draft policy against the registry as it stands.
///
/// # Errors
/// Tiering's refusal, with line and reason where the draft is none.
pub async fn simulate(
    client: &Client,
    file: &Path,
    division: &str,
    progress: Progress,
) -> anyhow::Result<Simulation> {
    let request = SimulatePolicyRequest {
        division_code: division.to_owned(),
        yaml: text_of(file)?,
        min_position: String::new(),
    };
    let step = progress.begin("模拟 judging elders", 0);
    let answer = client
        .tiering()
        .simulate_policy(request)
        .await
        .map_err(|status| in_words(&status))?;
    let mut parts = answer.into_inner();
    while let Some(message) = parts.message().await.map_err(|status| in_words(&status))? {
        match message.part {
            Some(Part::Progress(told)) => step.at(
                told.elders_done.unsigned_abs(),
                told.elders_total.unsigned_abs(),
            ),
            Some(Part::Result(result)) => {
                step.done("");
                let moves = result.moves.into_iter();
                return Ok(Simulation {
                    moves: moves
                        .map(|one| Move {
                            from: one.from_tier,
                            to: one.to_tier,
                            elders: one.elders,
                        })
                        .collect(),
                    before: Load::of(result.before),
                    after: Load::of(result.after),
                    in_scope: result.in_scope,
                    distinct_facts: result.distinct_facts,
                });
            }
            None => {}
        }
    }
    anyhow::bail!("the simulation ended without a result / 模拟未给出结果")
}

impl Load {
    fn of(load: Option<VisitingLoad>) -> Self {
        let load = load.unwrap_or_default();
        Self {
            weekly_elders: load.weekly_elders,
            monthly_elders: load.monthly_elders,
            visits_per_month: load.visits_per_month,
            home_only_elders: load.home_only_elders,
        }
    }
}

impl Report for Simulation {
    fn text(&self) -> String {
        let or_none = |tier: &str| {
            if tier.is_empty() {
                "— 不在范围".to_owned()
            } else {
                labelled(tier)
            }
        };
        let mut moves = table(["现 now", "拟 by the draft", "人数 elders"]);
        for one in &self.moves {
            moves.add_row([
                or_none(&one.from).into(),
                or_none(&one.to).into(),
                number(one.elders),
            ]);
        }
        let mut load = table(["探访量 visiting load", "现 now", "拟 by the draft"]);
        for (what, before, after) in [
            (
                "每周 weekly elders",
                self.before.weekly_elders,
                self.after.weekly_elders,
            ),
            (
                "每月 monthly elders",
                self.before.monthly_elders,
                self.after.monthly_elders,
            ),
            (
                "月探访次数 visits a month",
                self.before.visits_per_month,
                self.after.visits_per_month,
            ),
            (
                "仅入户 home only",
                self.before.home_only_elders,
                self.after.home_only_elders,
            ),
        ] {
            load.add_row([what.into(), number(before), number(after)]);
        }
        format!(
            "{moves}\n{load}\n{} elders in scope, {} sets of facts",
            self.in_scope, self.distinct_facts
        )
    }
}
