//! The condition of a rule: a CEL expression over the facts of one elder that is either true or false.
//!
//! The part of CEL that policies may use is small, and each expression is checked before it is ever run: only known
//! variables, words and functions; the right kind on each side of an operator; true or false as the outcome.
//!
//! | may be used | on |
//! | --- | --- |
//! | `&&` `\|\|` `!` `? :` | conditions |
//! | `==` `!=` | numbers, words, conditions; a list against `[]` |
//! | `<` `<=` `>` `>=` `+` `-` `*` `/` `%` | numbers |
//! | `in` | a word in a list variable, a word or number in a list written out |
//! | `size(list)` | list variables |
//! | `list.exists(x, …)`, `list.all(x, …)`, `list.exists_one(x, …)` | list variables |

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use cel::{Context, Env, Program, Value};

use crate::facts_key::{FactsKey, Kind, Variable};

use self::outcomes::Outcomes;

mod check;
mod outcomes;

/// The longest condition, in bytes.
const LONGEST: usize = 2_000;
/// Address space for the stack of the parser; what is not used takes no memory.
const PARSER_STACK: usize = 64 << 20;
/// How deep brackets may lie in each other.
const DEEPEST: usize = 16;
/// How many operators may stand between two of `&&` and `||`. CEL nests them in each other, and whatever walks over the
/// expression needs stack for each; `&&` and `||` are nested evenly, and so hardly at all.
const LONGEST_CHAIN: usize = 16;

/// CEL as its specification says, compiled once.
static CEL: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

/// A checked condition.
#[derive(Debug)]
pub struct Condition {
    text: String,
    program: Program,
    mentions: Mentions,
    outcomes: Outcomes,
}

/// What a condition says about each variable: as much as is needed to try it on all elders that it can tell apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mentions([Mention; Variable::ALL.len()]);

/// What a condition says about one variable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mention {
    /// Whether it is there at all.
    pub used: bool,
    /// Words that it names, one bit each.
    pub words: u64,
    /// Numbers that it compares with.
    pub numbers: BTreeSet<i64>,
    /// Whether more matters than these words and numbers: how many other words there are, or any number at all.
    pub whole: bool,
}

/// Why a text is no condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConditionFault {
    /// Longer than 2,000 bytes.
    TooLong,
    /// Brackets or calls in each other more than sixteen deep, or more than sixteen operators in a row.
    TooDeep,
    /// Not CEL; the column, from 1, where that shows.
    Unparsable(usize),
    /// Not a fact that policies know.
    UnknownVariable(String),
    /// Not a function that policies may use.
    UnknownFunction(String),
    /// A word that is none of a variable's list.
    UnknownWord(&'static str, String),
    /// An operator between values that it does not fit.
    Mismatch(String),
    /// A part of CEL that policies may not use.
    Unsupported(&'static str),
    /// A number or a word, where true or false is needed.
    NotABool,
}

impl ConditionFault {
    /// The reason in UPPER_SNAKE_CASE.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::TooLong => "CONDITION_TOO_LONG",
            Self::TooDeep => "CONDITION_TOO_DEEP",
            Self::Unparsable(_) => "CONDITION_UNPARSABLE",
            Self::UnknownVariable(_) => "UNKNOWN_VARIABLE",
            Self::UnknownFunction(_) => "UNKNOWN_FUNCTION",
            Self::UnknownWord(..) => "UNKNOWN_WORD",
            Self::Mismatch(_) => "TYPE_MISMATCH",
            Self::Unsupported(_) => "CONDITION_UNSUPPORTED",
            Self::NotABool => "CONDITION_NOT_BOOL",
        }
    }

    /// What is wrong, in English.
    #[must_use]
    pub fn en(&self) -> String {
        match self {
            Self::TooLong => format!("the condition is longer than {LONGEST} bytes"),
            Self::TooDeep => format!(
                "the condition is nested deeper than {DEEPEST} levels, or has more than {LONGEST_CHAIN} operators without `&&` or `||`"
            ),
            Self::Unparsable(column) => {
                format!("the condition is no CEL from its column {column} on")
            }
            Self::UnknownVariable(name) => {
                format!("there is no variable `{name}`; there are {}", variables())
            }
            Self::UnknownFunction(name) => format!("policies may not use the function `{name}`"),
            Self::UnknownWord(variable, word) => {
                format!(
                    "`{word}` is no word of `{variable}`; these are {}",
                    words(variable, ", ")
                )
            }
            Self::Mismatch(operator) => format!("`{operator}` does not fit the values beside it"),
            Self::Unsupported(what) => format!("policies may not use {what}"),
            Self::NotABool => "the condition is not of type bool".to_owned(),
        }
    }

    /// The same in Chinese.
    #[must_use]
    pub fn zh(&self) -> String {
        match self {
            Self::TooLong => format!("条件超过 {LONGEST} 字节"),
            Self::TooDeep => {
                format!("条件嵌套超过 {DEEPEST} 层，或连续使用的运算符超过 {LONGEST_CHAIN} 个")
            }
            Self::Unparsable(column) => format!("条件从第 {column} 列起不是有效的 CEL 表达式"),
            Self::UnknownVariable(name) => format!("没有变量 `{name}`，可用变量为 {}", variables()),
            Self::UnknownFunction(name) => format!("政策不得使用函数 `{name}`"),
            Self::UnknownWord(variable, word) => {
                format!(
                    "`{word}` 不是 `{variable}` 的取值，取值为 {}",
                    words(variable, "、")
                )
            }
            Self::Mismatch(operator) => format!("`{operator}` 两侧的取值类型不符"),
            Self::Unsupported(what) => format!("政策不得使用 {what}"),
            Self::NotABool => "条件的结果不是布尔值".to_owned(),
        }
    }
}

fn variables() -> String {
    Variable::ALL.map(Variable::name).join(", ")
}

fn words(variable: &str, comma: &str) -> String {
    Variable::from_name(variable).map_or_else(String::new, |variable| variable.words().join(comma))
}

impl Condition {
    /// Compiles and checks a condition.
    ///
    /// # Errors
    /// The first [`ConditionFault`].
    pub fn compile(text: &str) -> Result<Self, ConditionFault> {
        if text.len() > LONGEST {
            return Err(ConditionFault::TooLong);
        }
        // Before the parser sees it: its time and stack grow with the depth.
        if depth(text) > DEEPEST || longest_chain(text) > LONGEST_CHAIN {
            return Err(ConditionFault::TooDeep);
        }
        let program = parse(text)?;
        let mentions = check::check(program.expression())?;
        Ok(Self {
            text: text.to_owned(),
            mentions,
            program,
            outcomes: Outcomes::default(),
        })
    }

    /// The expression as it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What it says about each variable.
    #[must_use]
    pub fn mentions(&self) -> &Mentions {
        &self.mentions
    }

    /// Whether it holds for somebody.
    ///
    /// # Errors
    /// Where the arithmetic fails (a division by nought): the text of the failure, which holds no fact.
    pub fn holds(&self, key: FactsKey) -> Result<bool, Failure> {
        let mut context = Context::with_env(Arc::clone(&CEL));
        for (variable, _) in self.mentions.used() {
            context.add_variable_from_value(variable.name(), value(key, variable));
        }
        match self.program.execute(&context) {
            Ok(Value::Bool(holds)) => Ok(holds),
            Ok(_) | Err(_) => Err(Failure),
        }
    }

    /// The same from memory, where it was asked for equal facts before: for those who ask one by one, and often.
    ///
    /// # Errors
    /// As [`Condition::holds`].
    pub fn recalled(&self, key: FactsKey) -> Result<bool, Failure> {
        let facts = key.masked(self.mentions.mask());
        self.outcomes.of(facts, || self.holds(key))
    }
}

/// The parser of CEL takes some hundred kilobytes of stack for each level of nesting, more than a thread has that answers
/// calls: it gets a thread of its own.
fn parse(text: &str) -> Result<Program, ConditionFault> {
    let parsed = std::thread::scope(|scope| {
        let parser = std::thread::Builder::new().stack_size(PARSER_STACK);
        let parser = parser.spawn_scoped(scope, || {
            CEL.compile(text).map_err(|errors| {
                let column = errors.errors.first().map_or(0, |error| error.pos.1);
                ConditionFault::Unparsable(usize::try_from(column).unwrap_or_default().max(1))
            })
        });
        // A parser that panics has met what is no condition.
        parser.ok()?.join().ok()
    });
    parsed.unwrap_or(Err(ConditionFault::Unparsable(1)))
}

/// The arithmetic of a condition failed for these facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the condition can't be computed for these facts")]
pub struct Failure;

fn value(key: FactsKey, variable: Variable) -> Value {
    match variable.kind() {
        Kind::Number => Value::Int(key.get(variable).cast_signed()),
        Kind::Word => key.words(variable).next().map_or(Value::Null, Value::from),
        Kind::Words => Value::List(Arc::new(key.words(variable).map(Value::from).collect())),
    }
}

/// How deep brackets lie in each other, those in texts included.
fn depth(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut deepest = 0;
    for byte in text.bytes() {
        match byte {
            b'(' | b'[' | b'{' | b'?' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    // Signs before a value nest as brackets do.
    let signs = text.split(|c: char| c != '!' && c != '-' && !c.is_whitespace());
    let signs = signs
        .map(|run| run.matches(['!', '-']).count())
        .max()
        .unwrap_or_default();
    deepest.max(signs)
}

/// The most operators between two of `&&` and `||`, those in texts included.
fn longest_chain(text: &str) -> usize {
    let sign = |c: char| "+-*/%<>=!?.:".contains(c);
    let parts = text.split("&&").flat_map(|part| part.split("||"));
    let operators = parts.map(|part| {
        let signs = part
            .split(|c| !sign(c))
            .filter(|run| !run.is_empty())
            .count();
        let words = part
            .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .filter(|word| *word == "in")
            .count();
        signs + words
    });
    operators.max().unwrap_or_default()
}

impl Mentions {
    /// What is said about a variable.
    #[must_use]
    pub fn of(&self, variable: Variable) -> &Mention {
        &self.0[place(variable)]
    }

    /// The variables that are there at all.
    pub fn used(&self) -> impl Iterator<Item = (Variable, &Mention)> {
        Variable::ALL
            .into_iter()
            .zip(&self.0)
            .filter(|(_, mention)| mention.used)
    }

    /// The bits of a key that matter.
    #[must_use]
    pub fn mask(&self) -> u64 {
        self.used()
            .fold(0, |mask, (variable, _)| mask | variable.mask())
    }

    /// Adds what another condition says.
    pub fn extend(&mut self, other: &Self) {
        for (mine, other) in self.0.iter_mut().zip(&other.0) {
            mine.used |= other.used;
            mine.words |= other.words;
            mine.numbers.extend(&other.numbers);
            mine.whole |= other.whole;
        }
    }

    fn entry(&mut self, variable: Variable) -> &mut Mention {
        let mention = &mut self.0[place(variable)];
        mention.used = true;
        mention
    }
}

fn place(variable: Variable) -> usize {
    Variable::ALL
        .iter()
        .position(|other| *other == variable)
        .expect("ALL lists every variable")
}

#[cfg(test)]
mod tests;
