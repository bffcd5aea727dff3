//! A policy (分类分级政策): which elders are in which tier, how often they are owed a visit, and how they may be visited.
//!
//! It is written in YAML:
//!
//! ```yaml
//! title: 某县特殊困难老年人分类分级探访关爱办法
//! tiers:                       # the first tier with a rule that applies is the elder's
//!   - tier: PRIORITY
//!     title: 重点人群
//!     interval: WEEKLY         # or MONTHLY
//!     rules:                   # all rules of that tier that apply are the reasons
//!       - rule: AGE_80
//!         when: age >= 80      # CEL, see `condition.rs`
//!         source: 川民〔2023〕100号 二(一)1
//! modes:                       # HOME is always allowed
//!   - modes: [PHONE, ONLINE, ENCOUNTER]
//!     when: capability == "INTACT"
//! ```

use std::collections::HashSet;
use std::sync::{Arc, LazyLock};

use civic::{Set, VisitMode};
use serde::Deserialize;
use serde_saphyr::Spanned;

use crate::condition::{Condition, Mentions};

/// The longest policy, in bytes.
pub const LONGEST: usize = 64 * 1024;
/// The most tiers, and the most entries of `modes`.
const MOST_TIERS: usize = 16;
/// The most rules of a tier: reasons are kept as bits.
pub const MOST_RULES: usize = 64;
/// The longest name of a tier or rule.
const LONGEST_NAME: usize = 64;
/// The longest free text.
const LONGEST_TEXT: usize = 1_000;

/// The policy that holds wherever no division has published one: section 2 of the rules, cited rule by rule.
pub const NATIONAL_YAML: &str = include_str!("../policies/default.yaml");

/// A policy whose parts are well formed.
#[derive(Debug)]
pub struct Policy {
    /// What it is called.
    pub title: String,
    /// The tiers, the most urgent first.
    pub tiers: Vec<Tier>,
    /// How elders may be visited besides at home.
    pub modes: Vec<ModeRule>,
    /// The line on which the list of tiers stands.
    pub line: u32,
}

/// A tier (人群).
#[derive(Debug)]
pub struct Tier {
    /// Its name, UPPER_SNAKE_CASE.
    pub name: String,
    /// What people call it; may be empty.
    pub title: String,
    /// How often a visit is owed.
    pub interval: Interval,
    /// Its rules.
    pub rules: Vec<Rule>,
    /// Where it stands in the YAML, from 1.
    pub line: u32,
}

/// A rule: who belongs to its tier.
#[derive(Debug)]
pub struct Rule {
    /// Its name, UPPER_SNAKE_CASE.
    pub name: String,
    /// To whom it applies.
    pub condition: Condition,
    /// The public document that it comes from; may be empty.
    pub source: String,
    /// Where it stands in the YAML, from 1.
    pub line: u32,
}

/// Which modes of visit are allowed for whom.
#[derive(Debug)]
pub struct ModeRule {
    /// The modes.
    pub modes: Set<VisitMode>,
    /// For whom.
    pub condition: Condition,
    /// The public document that it comes from; may be empty.
    pub source: String,
    /// Where it stands in the YAML, from 1.
    pub line: u32,
}

/// How often an elder is owed a visit at the least (探访频次).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Interval {
    /// Once in each ISO week.
    Weekly,
    /// Once in each calendar month.
    Monthly,
}

impl Interval {
    /// All intervals, the shortest first.
    pub const ALL: [Self; 2] = [Self::Weekly, Self::Monthly];

    /// The name in policies.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Weekly => "WEEKLY",
            Self::Monthly => "MONTHLY",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|interval| interval.name() == name)
    }
}

/// What is wrong with a policy, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The line of the YAML, from 1.
    pub line: u32,
    /// The reason in UPPER_SNAKE_CASE.
    pub reason: &'static str,
    /// What is wrong, in English.
    pub en: String,
    /// The same in Chinese.
    pub zh: String,
}

impl Fault {
    /// A fault on a line.
    pub fn new(
        line: u32,
        reason: &'static str,
        en: impl Into<String>,
        zh: impl Into<String>,
    ) -> Self {
        Self {
            line,
            reason,
            en: en.into(),
            zh: zh.into(),
        }
    }
}

impl Policy {
    /// Reads a policy, and checks each part by itself.
    ///
    /// # Errors
    /// Everything that is wrong, by line.
    pub fn parse(yaml: &str) -> Result<Self, Vec<Fault>> {
        if yaml.len() > LONGEST {
            return Err(vec![Fault::new(
                1,
                "POLICY_TOO_LONG",
                format!("the policy is longer than {LONGEST} bytes"),
                format!("政策超过 {LONGEST} 字节"),
            )]);
        }
        if let Some(fault) = not_kept(yaml) {
            return Err(vec![fault]);
        }
        let options = serde_saphyr::options! {
            // A policy is a plain document; copies of its parts would multiply its size.
            budget: serde_saphyr::budget! {
                max_aliases: 0,
                max_anchors: 0,
                max_depth: 16,
                max_documents: 1,
                max_nodes: 20_000,
            },
            with_snippet: false,
        };
        let draft: Draft = serde_saphyr::from_str_with_options(yaml, options)
            .map_err(|error| vec![unparsable(&error)])?;
        let mut reading = Reading::default();
        let policy = reading.policy(draft);
        match (policy, reading.faults) {
            (Some(policy), faults) if faults.is_empty() => Ok(policy),
            (_, mut faults) => {
                faults.sort_by_key(|fault| fault.line);
                Err(faults)
            }
        }
    }

    /// The policy that the system ships.
    #[must_use]
    pub fn national() -> Arc<Self> {
        static NATIONAL: LazyLock<Arc<Policy>> = LazyLock::new(|| {
            Arc::new(Policy::parse(NATIONAL_YAML).expect("the policy that we ship is well formed"))
        });
        Arc::clone(&NATIONAL)
    }

    /// The rule of a name, with the place of its tier.
    #[must_use]
    pub fn rule(&self, name: &str) -> Option<(usize, &Rule)> {
        let mut tiers = self.tiers.iter().enumerate();
        tiers.find_map(|(place, tier)| {
            Some((place, tier.rules.iter().find(|rule| rule.name == name)?))
        })
    }

    /// The place of a tier.
    #[must_use]
    pub fn tier(&self, name: &str) -> Option<usize> {
        self.tiers.iter().position(|tier| tier.name == name)
    }

    /// All conditions, with the lines on which they stand: those of the tiers' rules in their order, then those of the modes.
    pub fn conditions(&self) -> impl Iterator<Item = (u32, &Condition)> {
        let rules = self
            .tiers
            .iter()
            .flat_map(|tier| &tier.rules)
            .map(|rule| (rule.line, &rule.condition));
        rules.chain(self.modes.iter().map(|mode| (mode.line, &mode.condition)))
    }

    /// What all its conditions say about the variables.
    #[must_use]
    pub fn mentions(&self) -> Mentions {
        let mut mentions = Mentions::default();
        for (_, condition) in self.conditions() {
            mentions.extend(condition.mentions());
        }
        mentions
    }
}

/// What is wrong with a text that databases don't keep: one with a NUL in it. It would be in the log, and in no read model.
#[must_use]
pub fn not_kept(text: &str) -> Option<Fault> {
    let (before, _) = text.split_once('\0')?;
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    Some(Fault::new(
        u32::try_from(line).unwrap_or(u32::MAX),
        "CONTROL_CHARACTERS",
        "the text has a NUL character",
        "文本含有空字符",
    ))
}

fn unparsable(error: &serde_saphyr::Error) -> Fault {
    let line = error
        .location()
        .map_or(1, |location| {
            u32::try_from(location.line()).unwrap_or(u32::MAX)
        })
        .max(1);
    let told: String = error
        .to_string()
        .chars()
        .filter(|c| !c.is_control())
        .take(300)
        .collect();
    Fault::new(
        line,
        "POLICY_UNPARSABLE",
        format!("the policy can't be read: {told}"),
        "政策不是有效的 YAML，或其中的字段不符合规定".to_owned(),
    )
}

/// A policy as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Draft {
    title: Option<Spanned<String>>,
    tiers: Spanned<Vec<DraftTier>>,
    #[serde(default)]
    modes: Vec<DraftModes>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DraftTier {
    tier: Spanned<String>,
    title: Option<Spanned<String>>,
    interval: Spanned<String>,
    rules: Vec<DraftRule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DraftRule {
    rule: Spanned<String>,
    when: Spanned<String>,
    source: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DraftModes {
    modes: Spanned<Vec<Spanned<String>>>,
    when: Spanned<String>,
    source: Option<Spanned<String>>,
}

/// Makes a policy of what is written, and collects all that is wrong on the way.
#[derive(Default)]
struct Reading {
    faults: Vec<Fault>,
    tiers: HashSet<String>,
    rules: HashSet<String>,
}

impl Reading {
    fn policy(&mut self, draft: Draft) -> Option<Policy> {
        let line = line(&draft.tiers);
        let title = self.text(draft.title);
        self.count(line, "tiers", draft.tiers.value.len(), 1, MOST_TIERS);
        self.count(line, "modes", draft.modes.len(), 0, MOST_TIERS);
        let tiers: Vec<_> = draft
            .tiers
            .value
            .into_iter()
            .take(MOST_TIERS)
            .map(|tier| self.tier(tier))
            .collect();
        let modes: Vec<_> = draft
            .modes
            .into_iter()
            .take(MOST_TIERS)
            .map(|modes| self.modes(modes))
            .collect();
        Some(Policy {
            title,
            tiers: tiers.into_iter().collect::<Option<_>>()?,
            modes: modes.into_iter().collect::<Option<_>>()?,
            line,
        })
    }

    fn tier(&mut self, draft: DraftTier) -> Option<Tier> {
        let at = line(&draft.tier);
        let name = self.name(draft.tier);
        if !self.tiers.insert(name.clone()) {
            self.fault(
                at,
                "TIER_REPEATED",
                format!("the tier {name} stands twice"),
                format!("人群 {name} 重复"),
            );
        }
        let interval = Interval::from_name(&draft.interval.value);
        if interval.is_none() {
            self.fault(
                line(&draft.interval),
                "INTERVAL_UNKNOWN",
                "an interval is WEEKLY or MONTHLY",
                "探访频次应为 WEEKLY 或 MONTHLY",
            );
        }
        let title = self.text(draft.title);
        self.count(at, "rules", draft.rules.len(), 1, MOST_RULES);
        let rules: Vec<_> = draft
            .rules
            .into_iter()
            .take(MOST_RULES)
            .map(|rule| self.rule(rule))
            .collect();
        Some(Tier {
            name,
            title,
            interval: interval?,
            rules: rules.into_iter().collect::<Option<_>>()?,
            line: at,
        })
    }

    fn rule(&mut self, draft: DraftRule) -> Option<Rule> {
        let at = line(&draft.rule);
        let name = self.name(draft.rule);
        if !self.rules.insert(name.clone()) {
            self.fault(
                at,
                "RULE_REPEATED",
                format!("the rule {name} stands twice"),
                format!("规则 {name} 重复"),
            );
        }
        let source = self.text(draft.source);
        Some(Rule {
            name,
            condition: self.condition(draft.when)?,
            source,
            line: at,
        })
    }

    fn modes(&mut self, draft: DraftModes) -> Option<ModeRule> {
        let at = line(&draft.modes);
        let mut modes = Set::new();
        for mode in draft.modes.value {
            match VisitMode::from_name(&mode.value) {
                Some(known) => {
                    modes.insert(known);
                }
                None => self.fault(
                    line(&mode),
                    "MODE_UNKNOWN",
                    "a mode is HOME, PHONE, ONLINE or ENCOUNTER",
                    "探访方式应为 HOME、PHONE、ONLINE 或 ENCOUNTER",
                ),
            }
        }
        let source = self.text(draft.source);
        Some(ModeRule {
            modes,
            condition: self.condition(draft.when)?,
            source,
            line: at,
        })
    }

    fn condition(&mut self, when: Spanned<String>) -> Option<Condition> {
        match Condition::compile(&when.value) {
            Ok(condition) => Some(condition),
            Err(fault) => {
                self.fault(line(&when), fault.reason(), fault.en(), fault.zh());
                None
            }
        }
    }

    /// UPPER_SNAKE_CASE: letters, digits and single underscores, a letter first.
    fn name(&mut self, name: Spanned<String>) -> String {
        let text = &name.value;
        let well_formed = text.len() <= LONGEST_NAME
            && text.starts_with(|c: char| c.is_ascii_uppercase())
            && text.split('_').all(|part| {
                !part.is_empty()
                    && part
                        .bytes()
                        .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
            });
        if !well_formed {
            self.fault(
                line(&name),
                "NAME_INVALID",
                format!("names are UPPER_SNAKE_CASE, of {LONGEST_NAME} characters at most"),
                format!("名称应为大写字母、数字和下划线，最多 {LONGEST_NAME} 个字符"),
            );
        }
        name.value
    }

    fn text(&mut self, text: Option<Spanned<String>>) -> String {
        let Some(text) = text else {
            return String::new();
        };
        if text.value.len() > LONGEST_TEXT {
            self.fault(
                line(&text),
                "TEXT_TOO_LONG",
                format!("a title or source has {LONGEST_TEXT} bytes at most"),
                format!("标题或依据最多 {LONGEST_TEXT} 字节"),
            );
        }
        text.value
    }

    fn count(&mut self, line: u32, what: &str, count: usize, least: usize, most: usize) {
        if !(least..=most).contains(&count) {
            self.fault(
                line,
                "COUNT_OUT_OF_RANGE",
                format!("`{what}` needs {least} to {most} elements"),
                format!("`{what}` 的个数应为 {least} 至 {most}"),
            );
        }
    }

    fn fault(
        &mut self,
        line: u32,
        reason: &'static str,
        en: impl Into<String>,
        zh: impl Into<String>,
    ) {
        self.faults.push(Fault::new(line, reason, en, zh));
    }
}

fn line<T>(spanned: &Spanned<T>) -> u32 {
    u32::try_from(spanned.referenced.line())
        .unwrap_or(u32::MAX)
        .max(1)
}
