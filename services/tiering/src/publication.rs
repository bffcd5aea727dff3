//! What a policy must fulfil before it is published: every elder in scope gets exactly one tier, and nobody loses what
//! the policy above gives.
//!
//! A division may shorten intervals, add rules and add tiers. It never lengthens an interval, drops or narrows a rule,
//! puts somebody into a lower tier, or allows a mode of visit that the policy above does not ([zichuan] sets the least
//! frequencies). All this is tried out on every elder whom the two policies can tell apart.

use std::collections::HashSet;

use civic::{Set, VisitMode};

use crate::abstraction::{
    Abstraction, MOST_COMPARISONS, MOST_EVALUATIONS, Standpoint, Truth, Undefined,
};
use crate::condition::Condition;
use crate::policy::{Fault, Policy};

/// Reads and checks a policy against the one above it.
///
/// # Errors
/// All faults found, by line.
pub fn check(yaml: &str, above: Option<&Policy>) -> Result<Policy, Vec<Fault>> {
    let policy = Policy::parse(yaml)?;
    hold_against(&policy, above)?;
    Ok(policy)
}

/// Checks a policy that was read against the one above it.
///
/// # Errors
/// All faults found, by line.
pub fn hold_against(policy: &Policy, above: Option<&Policy>) -> Result<(), Vec<Fault>> {
    let mut faults = Faults::default();
    if let Some(above) = above {
        compare_names(policy, above, &mut faults);
    }
    match try_everybody(policy, above, &mut faults) {
        Ok(()) if faults.found.is_empty() => Ok(()),
        Ok(()) => Err(faults.sorted()),
        Err(fault) => {
            faults.found.push(fault);
            Err(faults.sorted())
        }
    }
}

/// Each kind of fault once for each tier or rule: the first example will do.
#[derive(Default)]
struct Faults {
    found: Vec<Fault>,
    known: HashSet<(&'static str, u32)>,
}

impl Faults {
    fn add(&mut self, line: u32, reason: &'static str, texts: impl FnOnce() -> (String, String)) {
        if self.known.insert((reason, line)) {
            let (en, zh) = texts();
            self.found.push(Fault::new(line, reason, en, zh));
        }
    }

    fn sorted(mut self) -> Vec<Fault> {
        self.found.sort_by_key(|fault| fault.line);
        self.found
    }
}

/// Tiers and rules of the policy above are all there, the tiers in the same order.
fn compare_names(policy: &Policy, above: &Policy, faults: &mut Faults) {
    let mut before = None;
    for tier in &above.tiers {
        let name = &tier.name;
        let Some(place) = policy.tier(name) else {
            // Each missing one is told, though they have no line of their own.
            faults.found.push(Fault::new(
                policy.line,
                "TIER_DROPPED",
                format!("the tier {name} of the policy above is missing"),
                format!("缺少上级政策的人群 {name}"),
            ));
            continue;
        };
        let own = &policy.tiers[place];
        if own.interval > tier.interval {
            faults.add(own.line, "INTERVAL_LENGTHENED", || {
                (
                    format!("the interval of {name} is longer than in the policy above"),
                    format!("人群 {name} 的探访频次低于上级政策"),
                )
            });
        }
        if before.is_some_and(|before| before > place) {
            faults.add(own.line, "TIER_ORDER", || {
                (
                    format!("{name} stands elsewhere among the tiers than in the policy above"),
                    format!("人群 {name} 的先后次序与上级政策不同"),
                )
            });
        }
        before = before.max(Some(place));
    }
    for rule in above.tiers.iter().flat_map(|tier| &tier.rules) {
        let name = &rule.name;
        if policy.rule(name).is_none() {
            faults.found.push(Fault::new(
                policy.line,
                "RULE_DROPPED",
                format!("the rule {name} of the policy above is missing"),
                format!("缺少上级政策的规则 {name}"),
            ));
        }
    }
}

fn try_everybody(
    policy: &Policy,
    above: Option<&Policy>,
    faults: &mut Faults,
) -> Result<(), Fault> {
    let mut mentions = policy.mentions();
    if let Some(above) = above {
        mentions.extend(&above.mentions());
    }
    let abstraction = Abstraction::of(&mentions)
        .map_err(|too_many| too_complex(policy, too_many.count, too_many.most))?;
    let conditions = || {
        policy
            .conditions()
            .chain(above.into_iter().flat_map(Policy::conditions))
    };
    let evaluations = conditions().fold(0_u64, |sum, (_, one)| {
        sum.saturating_add(abstraction.evaluations(one))
    });
    if evaluations > MOST_EVALUATIONS {
        return Err(too_complex(policy, evaluations, MOST_EVALUATIONS));
    }
    let comparisons = abstraction
        .count()
        .saturating_mul(conditions().count() as u64);
    if comparisons > MOST_COMPARISONS {
        return Err(too_complex(policy, comparisons, MOST_COMPARISONS));
    }
    let Some(own) = Tabulated::of(policy, &abstraction, faults) else {
        return Ok(());
    };
    let above = above.and_then(|above| Some((above, Tabulated::of(above, &abstraction, faults)?)));

    let rules: Vec<RuleAbove<'_>> = above
        .iter()
        .flat_map(|(above, truths)| rules_above(policy, &own, above, truths))
        .collect();
    abstraction.elders(|elder| {
        let Some(tier) = own.tier(elder) else {
            faults.add(policy.line, "NO_TIER", || {
                let example = elder.told();
                (
                    format!("an elder gets no tier: {example}"),
                    format!("有老年人不属于任何人群：{example}"),
                )
            });
            return false;
        };
        if let Some((above, truths)) = &above {
            compare(elder, (policy, &own, tier), (above, truths), &rules, faults);
        }
        true
    });
    Ok(())
}

fn too_complex(policy: &Policy, count: u64, most: u64) -> Fault {
    Fault::new(
        policy.line,
        "POLICY_TOO_COMPLEX",
        format!(
            "the conditions tell apart {count} cases; {most} at most can be checked: use fewer facts or compare with fewer numbers"
        ),
        format!("政策条件区分的情形有 {count} 种，最多可核验 {most} 种，请减少条件中的事项或数值"),
    )
}

/// A policy with all its conditions tried out.
struct Tabulated {
    tiers: Vec<Vec<Truth>>,
    modes: Vec<(Set<VisitMode>, Truth)>,
}

impl Tabulated {
    /// None where a condition can't be computed for somebody; the faults then say which.
    fn of(policy: &Policy, abstraction: &Abstraction, faults: &mut Faults) -> Option<Self> {
        let mut defined = true;
        let mut tabulate = |line: u32, condition: &Condition| match abstraction.tabulate(condition)
        {
            Ok(truth) => Some(truth),
            Err(undefined) => {
                defined = false;
                faults.add(line, Undefined::REASON, || undefined.texts(condition));
                None
            }
        };
        let tiers = policy.tiers.iter();
        let tiers = tiers.map(|tier| {
            tier.rules
                .iter()
                .filter_map(|rule| tabulate(rule.line, &rule.condition))
                .collect()
        });
        let tiers = tiers.collect();
        let modes = policy
            .modes
            .iter()
            .filter_map(|mode| Some((mode.modes, tabulate(mode.line, &mode.condition)?)));
        let modes = modes.collect();
        defined.then_some(Self { tiers, modes })
    }

    fn tier(&self, elder: &Standpoint<'_>) -> Option<usize> {
        self.tiers
            .iter()
            .position(|rules| rules.iter().any(|rule| elder.holds(rule)))
    }

    fn modes(&self, elder: &Standpoint<'_>) -> Set<VisitMode> {
        let rules = self.modes.iter().filter(|(_, truth)| elder.holds(truth));
        rules.fold(VisitMode::Home.into(), |modes, (more, _)| {
            modes.union(*more)
        })
    }
}

/// A rule of the policy above, beside the rule of the same name.
struct RuleAbove<'a> {
    above: &'a Truth,
    own: &'a Truth,
    name: &'a str,
    line: u32,
}

fn rules_above<'a>(
    policy: &'a Policy,
    own: &'a Tabulated,
    above: &'a Policy,
    truths: &'a Tabulated,
) -> impl Iterator<Item = RuleAbove<'a>> {
    let rules = above
        .tiers
        .iter()
        .zip(&truths.tiers)
        .flat_map(|(tier, truths)| tier.rules.iter().zip(truths));
    rules.filter_map(|(rule, truth)| {
        let tier = policy.rule(&rule.name)?.0;
        let place = policy.tiers[tier]
            .rules
            .iter()
            .position(|own| own.name == rule.name)?;
        let line = policy.tiers[tier].rules[place].line;
        Some(RuleAbove {
            above: truth,
            own: &own.tiers[tier][place],
            name: &rule.name,
            line,
        })
    })
}

/// One elder by the draft and by the policy above.
fn compare(
    elder: &Standpoint<'_>,
    (policy, own, tier): (&Policy, &Tabulated, usize),
    (above, truths): (&Policy, &Tabulated),
    rules: &[RuleAbove<'_>],
    faults: &mut Faults,
) {
    for rule in rules {
        if elder.holds(rule.above) && !elder.holds(rule.own) {
            faults.add(rule.line, "RULE_NARROWED", || {
                let (name, example) = (rule.name, elder.told());
                (
                    format!("{name} of the policy above applies to an elder to whom this one does not: {example}"),
                    format!("上级政策的规则 {name} 适用而本政策不适用于：{example}"),
                )
            });
        }
    }
    // The policy above was checked when it was published: everybody has a tier.
    let Some(tier_above) = truths.tier(elder) else {
        return;
    };
    let (given, least) = (&policy.tiers[tier], &above.tiers[tier_above]);
    if given.interval > least.interval {
        faults.add(given.line, "INTERVAL_LENGTHENED", || {
            let (name, example) = (&given.name, elder.told());
            (
                format!("{name} is visited less often than the policy above asks for an elder: {example}"),
                format!("人群 {name} 的探访频次低于上级政策对此类老年人的要求：{example}"),
            )
        });
    }
    if policy.tier(&least.name).is_some_and(|place| place < tier) {
        faults.add(given.line, "TIER_LOWERED", || {
            let (name, least, example) = (&given.name, &least.name, elder.told());
            (
                format!("an elder is put into {name}, whom the policy above puts into {least}: {example}"),
                format!("上级政策列入 {least} 的老年人被列入 {name}：{example}"),
            )
        });
    }
    let allowed = truths.modes(elder);
    if !own.modes(elder).is_subset(&allowed) {
        let wider = |(modes, truth): &(Set<VisitMode>, Truth)| {
            !modes.is_subset(&allowed) && elder.holds(truth)
        };
        let place = own.modes.iter().position(wider);
        let line = place.map_or(policy.line, |place| policy.modes[place].line);
        faults.add(line, "MODES_WIDENED", || {
            let example = elder.told();
            (
                format!(
                    "modes are allowed that the policy above does not allow for an elder: {example}"
                ),
                format!("允许了上级政策对此类老年人不允许的探访方式：{example}"),
            )
        });
    }
}

#[cfg(test)]
mod tests;
