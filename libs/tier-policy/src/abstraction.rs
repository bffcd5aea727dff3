//! All elders that some policies can tell apart: few enough to try every one of them.
//!
//! A condition that asks only whether `age >= 80` can't tell 81 from 82, and one that names no assistance can't tell one
//! kind of it from another. So of each variable a few values stand for all: the numbers about those that are compared
//! with, the words that are named and one that is not, or as many of these as may be counted. What holds for these elders
//! holds for all.

use civic::{Category, Term};
use elders::facts::AGE_IN_SCOPE;

use crate::condition::{Condition, Failure, Mention, Mentions};
use crate::facts_key::{FactsKey, Kind, OLDEST, Variable};

/// The most elders that are tried.
pub const MOST_ELDERS: u64 = 4_000_000;
/// The most comparisons of an elder with a condition.
pub const MOST_COMPARISONS: u64 = 200_000_000;
/// The most evaluations of conditions for them: each is evaluated once for each value of its own variables only.
pub const MOST_EVALUATIONS: u64 = 200_000;

/// The values of each variable that stand for all.
#[derive(Debug)]
pub struct Abstraction {
    axes: Vec<Axis>,
}

#[derive(Debug)]
struct Axis {
    variable: Variable,
    values: Vec<u64>,
}

/// The policies tell apart too many elders to try them all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany {
    /// Elders, or evaluations.
    pub count: u64,
    /// How many may be tried.
    pub most: u64,
}

/// Whom conditions are asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whom {
    /// Elders in scope, of 60 years or more and with a category.
    InScope,
    /// Persons of any age, with a category or without one.
    Anybody,
}

/// Where a condition holds: a table over its own variables.
#[derive(Debug)]
pub struct Truth {
    holds: Vec<bool>,
    /// By how much the place in the table grows with each step of an axis; nought where the variable isn't there.
    strides: Vec<usize>,
}

/// A condition that can't be computed for an elder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Undefined(pub FactsKey);

impl Abstraction {
    /// The elders in scope that conditions can tell apart which say this together.
    ///
    /// # Errors
    /// [`TooMany`] elders.
    pub fn of(mentions: &Mentions) -> Result<Self, TooMany> {
        Self::over(mentions, Whom::InScope)
    }

    /// The persons of any age that they can tell apart, with a category or without one.
    ///
    /// # Errors
    /// [`TooMany`] persons.
    pub fn of_anybody(mentions: &Mentions) -> Result<Self, TooMany> {
        Self::over(mentions, Whom::Anybody)
    }

    fn over(mentions: &Mentions, whom: Whom) -> Result<Self, TooMany> {
        let axes: Vec<Axis> = Variable::ALL
            .into_iter()
            .map(|variable| Axis {
                variable,
                values: values(variable, mentions.of(variable), whom),
            })
            .collect();
        let abstraction = Self { axes };
        match abstraction.count() {
            count if count > MOST_ELDERS => Err(TooMany {
                count,
                most: MOST_ELDERS,
            }),
            _ => Ok(abstraction),
        }
    }

    /// How many elders there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.axes.iter().fold(1, |product, axis| {
            product.saturating_mul(axis.values.len() as u64)
        })
    }

    /// How many evaluations a condition takes.
    #[must_use]
    pub fn evaluations(&self, condition: &Condition) -> u64 {
        let used = self
            .axes
            .iter()
            .filter(|axis| condition.mentions().of(axis.variable).used);
        used.fold(1, |product, axis| {
            product.saturating_mul(axis.values.len() as u64)
        })
    }

    /// Evaluates a condition for every value of its variables.
    ///
    /// # Errors
    /// The first elder for whom it can't be computed.
    pub fn tabulate(&self, condition: &Condition) -> Result<Truth, Undefined> {
        let mut strides = vec![0; self.axes.len()];
        let mut keys = vec![self.first()];
        // The last axis moves fastest, as in `elders`.
        for (place, axis) in self.axes.iter().enumerate().rev() {
            if condition.mentions().of(axis.variable).used {
                strides[place] = keys.len();
                keys = axis
                    .values
                    .iter()
                    .flat_map(|value| keys.iter().map(|key| key.with(axis.variable, *value)))
                    .collect();
            }
        }
        let holds = keys
            .into_iter()
            .map(|key| condition.holds(key).map_err(|Failure| Undefined(key)))
            .collect::<Result<_, _>>()?;
        Ok(Truth { holds, strides })
    }

    /// Goes through all elders until `visit` returns false. It is given where the elder stands.
    pub fn elders(&self, mut visit: impl FnMut(&Standpoint<'_>) -> bool) {
        let mut standpoint = Standpoint {
            abstraction: self,
            steps: vec![0; self.axes.len()],
        };
        while visit(&standpoint) {
            if !standpoint.advance() {
                return;
            }
        }
    }

    fn first(&self) -> FactsKey {
        self.axes.iter().fold(FactsKey::EMPTY, |key, axis| {
            key.with(
                axis.variable,
                axis.values.first().copied().unwrap_or_default(),
            )
        })
    }
}

impl Undefined {
    /// The reason in UPPER_SNAKE_CASE.
    pub const REASON: &'static str = "CONDITION_UNDEFINED";

    /// What is wrong with the condition, in English and in Chinese.
    #[must_use]
    pub fn texts(self, condition: &Condition) -> (String, String) {
        let example = told(self.0, |variable| condition.mentions().of(variable).used);
        (
            format!("the condition can't be computed for an elder: {example}"),
            format!("对某些老年人无法计算该条件：{example}"),
        )
    }
}

/// One elder of an abstraction.
#[derive(Debug)]
pub struct Standpoint<'a> {
    abstraction: &'a Abstraction,
    steps: Vec<usize>,
}

impl Standpoint<'_> {
    /// Whether a tabulated condition holds here.
    #[must_use]
    pub fn holds(&self, truth: &Truth) -> bool {
        let place: usize = self
            .steps
            .iter()
            .zip(&truth.strides)
            .map(|(step, stride)| step * stride)
            .sum();
        truth.holds[place]
    }

    /// The elder's facts.
    #[must_use]
    pub fn key(&self) -> FactsKey {
        let axes = self.abstraction.axes.iter().zip(&self.steps);
        axes.fold(FactsKey::EMPTY, |key, (axis, step)| {
            key.with(axis.variable, axis.values[*step])
        })
    }

    /// The elder's facts in words, as far as they were told apart.
    #[must_use]
    pub fn told(&self) -> String {
        told(self.key(), |variable| {
            self.abstraction
                .axes
                .iter()
                .any(|axis| axis.variable == variable && axis.values.len() > 1)
        })
    }

    fn advance(&mut self) -> bool {
        for (step, axis) in self.steps.iter_mut().zip(&self.abstraction.axes).rev() {
            *step += 1;
            if *step < axis.values.len() {
                return true;
            }
            *step = 0;
        }
        false
    }
}

/// Some facts in words: `age 80, capability MILD`.
pub fn told(key: FactsKey, wanted: impl Fn(Variable) -> bool) -> String {
    let facts = Variable::ALL
        .into_iter()
        .filter(|variable| wanted(*variable))
        .map(|variable| {
            let value = key.told(variable);
            let value = if value.is_empty() { "none" } else { &value };
            format!("{} {value}", variable.name())
        });
    facts.collect::<Vec<_>>().join(", ")
}

/// The values of a variable that stand for all its values.
fn values(variable: Variable, mention: &Mention, whom: Whom) -> Vec<u64> {
    match variable.kind() {
        Kind::Number => numbers(variable, mention, whom),
        Kind::Word => {
            let (named, others) = parted(variable, mention.words);
            named
                .into_iter()
                .chain(others.into_iter().take(1))
                .map(|place| place as u64)
                .collect()
        }
        Kind::Words => {
            let (named, others) = parted(variable, mention.words);
            let counted = if mention.whole {
                others.len()
            } else {
                others.len().min(usize::from(mention.used))
            };
            let mut sets = Vec::new();
            for some in 0..1_u64 << named.len() {
                for count in 0..=counted {
                    let chosen = named
                        .iter()
                        .enumerate()
                        .filter(|(place, _)| some & (1 << place) != 0);
                    let chosen = chosen.map(|(_, word)| word).chain(&others[..count]);
                    sets.push(chosen.fold(0_u64, |set, word| set | 1 << word));
                }
            }
            // Without a category nobody is in scope.
            if variable == Variable::Categories && whom == Whom::InScope {
                sets.retain(|set| *set != 0);
                if sets.is_empty() {
                    sets.push(1 << Category::LivingAlone.index());
                }
            }
            sets
        }
    }
}

/// Numbers that stand for all of the variable's range.
fn numbers(variable: Variable, mention: &Mention, whom: Whom) -> Vec<u64> {
    let (least, most) = match (variable == Variable::Age, whom) {
        (true, Whom::InScope) => (u64::from(AGE_IN_SCOPE), u64::from(OLDEST)),
        (true, Whom::Anybody) => (0, u64::from(OLDEST)),
        (false, Whom::InScope | Whom::Anybody) => (0, 4),
    };
    if mention.whole {
        return (least..=most).collect();
    }
    let named = mention
        .numbers
        .iter()
        .filter_map(|number| u64::try_from(*number).ok());
    let about = named.flat_map(|number| number.saturating_sub(1)..=number.saturating_add(1));
    let mut numbers: Vec<u64> = about
        .filter(|number| (least..=most).contains(number))
        .chain([least, most])
        .collect();
    numbers.sort_unstable();
    numbers.dedup();
    if mention.used { numbers } else { vec![least] }
}

/// The places of the words that are named, and of those that are not.
fn parted(variable: Variable, named: u64) -> (Vec<usize>, Vec<usize>) {
    (0..variable.words().len()).partition(|place| named & (1 << place) != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn abstraction(conditions: &[&str]) -> Abstraction {
        let mut mentions = Mentions::default();
        for text in conditions {
            mentions.extend(Condition::compile(text).unwrap().mentions());
        }
        Abstraction::of(&mentions).unwrap()
    }

    #[test]
    fn what_nobody_asks_about_has_one_value() {
        assert_eq!(abstraction(&["true"]).count(), 1);
        // 60, 79, 80, 81, 130
        assert_eq!(abstraction(&["age >= 80"]).count(), 5);
        assert_eq!(abstraction(&["age in [60, 80]"]).count(), 6);
        assert_eq!(abstraction(&["age + 1 > 80"]).count(), 71);
    }

    #[test]
    fn words_that_are_not_named_stand_for_each_other() {
        assert_eq!(abstraction(&["capability == \"MILD\""]).count(), 2);
        // With and without dementia, with and without another one.
        assert_eq!(abstraction(&["\"DEMENTIA\" in observations"]).count(), 4);
        assert_eq!(abstraction(&["size(circumstances) == 0"]).count(), 2);
        // None to six of them.
        assert_eq!(abstraction(&["size(circumstances) > 2"]).count(), 7);
        assert_eq!(
            abstraction(&["circumstances.exists(c, c != \"ACCIDENT\")"]).count(),
            12
        );
    }

    #[test]
    fn everybody_in_the_abstraction_has_a_category() {
        for conditions in [
            &["age > 70"][..],
            &["\"DISABLED\" in categories"],
            &["size(categories) > 1"],
        ] {
            abstraction(conditions).elders(|elder| {
                assert_ne!(elder.key().get(Variable::Categories), 0);
                true
            });
        }
    }

    #[test]
    fn anybody_is_of_any_age_and_may_have_no_category() {
        let count = |text: &str| {
            let condition = Condition::compile(text).unwrap();
            Abstraction::of_anybody(condition.mentions())
                .unwrap()
                .count()
        };
        assert_eq!(count("true"), 1);
        // 0, 79, 80, 81, 130
        assert_eq!(count("age >= 80"), 5);
        assert_eq!(count("age + 1 > 80"), 131);
        // With and without it, with and without another one.
        assert_eq!(count("\"DISABLED\" in categories"), 4);
    }

    #[test]
    fn a_condition_that_fails_for_somebody_tells_for_whom() {
        let condition = Condition::compile("600 / (age - 59) > 20").unwrap();
        let mentions = condition.mentions();
        let in_scope = Abstraction::of(mentions).unwrap();
        assert!(in_scope.tabulate(&condition).is_ok());
        let anybody = Abstraction::of_anybody(mentions).unwrap();
        let failed = anybody.tabulate(&condition).unwrap_err();
        let (en, zh) = failed.texts(&condition);
        assert!(
            en.ends_with("age 59") && zh.ends_with("age 59"),
            "{en} {zh}"
        );
    }

    #[test]
    fn a_tabulated_condition_holds_where_it_holds() {
        let texts = [
            "age >= 80 || \"DEMENTIA\" in observations",
            "capability == \"MILD\" && handicap_grade in [1, 2]",
            "size(observations) == 0",
            "true",
        ];
        let abstraction = abstraction(&texts);
        let conditions = texts.map(|text| Condition::compile(text).unwrap());
        let truths = conditions
            .each_ref()
            .map(|condition| abstraction.tabulate(condition).unwrap());
        let mut visited = 0;
        abstraction.elders(|elder| {
            for (condition, truth) in conditions.iter().zip(&truths) {
                assert_eq!(
                    Ok(elder.holds(truth)),
                    condition.holds(elder.key()),
                    "{:?}",
                    elder.key()
                );
            }
            visited += 1;
            true
        });
        assert_eq!(visited, abstraction.count());
    }

    #[test]
    fn too_many_elders_are_refused() {
        let text = "size(categories) + size(assistance) + size(circumstances) + size(observations) + age > 5 \
                    && capability != \"MILD\" && sex == \"MALE\" && consent == \"GRANTED\" && handicap_grade > 1 \
                    && assistance.exists(a, a in [\"EXTREME_POVERTY\", \"MINIMUM_LIVING\", \"FIVE_VETERANS\"])";
        let condition = Condition::compile(text).unwrap();
        assert!(Abstraction::of(condition.mentions()).is_err());
    }
}
