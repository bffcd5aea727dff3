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

use cel::common::ast::{CallExpr, ComprehensionExpr, Expr, IdedExpr, LiteralValue, operators};
use cel::{Context, Env, Program, Value};

use crate::facts_key::{FactsKey, Kind, Variable};

/// The longest condition, in bytes.
const LONGEST: usize = 2_000;
/// How deep brackets may lie in each other.
const DEEPEST: usize = 16;

/// CEL as its specification says, compiled once.
static CEL: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

/// A checked condition.
#[derive(Debug)]
pub struct Condition {
    text: String,
    program: Program,
    mentions: Mentions,
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
    /// Brackets or calls in each other, more than sixteen deep.
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
            Self::TooDeep => format!("the condition is nested deeper than {DEEPEST} levels"),
            Self::Unparsable(column) => format!("the condition is no CEL from its column {column} on"),
            Self::UnknownVariable(name) => format!("there is no variable `{name}`; there are {}", variables()),
            Self::UnknownFunction(name) => format!("policies may not use the function `{name}`"),
            Self::UnknownWord(variable, word) => {
                format!("`{word}` is no word of `{variable}`; these are {}", words(variable, ", "))
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
            Self::TooDeep => format!("条件嵌套超过 {DEEPEST} 层"),
            Self::Unparsable(column) => format!("条件从第 {column} 列起不是有效的 CEL 表达式"),
            Self::UnknownVariable(name) => format!("没有变量 `{name}`，可用变量为 {}", variables()),
            Self::UnknownFunction(name) => format!("政策不得使用函数 `{name}`"),
            Self::UnknownWord(variable, word) => {
                format!("`{word}` 不是 `{variable}` 的取值，取值为 {}", words(variable, "、"))
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
        if depth(text) > DEEPEST {
            return Err(ConditionFault::TooDeep);
        }
        let program = CEL.compile(text).map_err(|errors| {
            let column = errors.errors.first().map_or(0, |error| error.pos.1);
            ConditionFault::Unparsable(usize::try_from(column).unwrap_or_default().max(1))
        })?;
        let mut checker = Checker::default();
        match checker.check(program.expression(), 0)? {
            Type::Bool => {}
            Type::Number | Type::Word(_) | Type::Words(_) | Type::Text(_) | Type::Texts(_) | Type::Numbers(_) => {
                return Err(ConditionFault::NotABool);
            }
        }
        Ok(Self { text: text.to_owned(), mentions: checker.mentions, program })
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
    let signs = signs.map(|run| run.matches(['!', '-']).count()).max().unwrap_or_default();
    deepest.max(signs)
}

impl Mentions {
    /// What is said about a variable.
    #[must_use]
    pub fn of(&self, variable: Variable) -> &Mention {
        &self.0[place(variable)]
    }

    /// The variables that are there at all.
    pub fn used(&self) -> impl Iterator<Item = (Variable, &Mention)> {
        Variable::ALL.into_iter().zip(&self.0).filter(|(_, mention)| mention.used)
    }

    /// The bits of a key that matter.
    #[must_use]
    pub fn mask(&self) -> u64 {
        self.used().fold(0, |mask, (variable, _)| mask | variable.mask())
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

/// The type of an expression.
#[derive(Clone, Debug)]
enum Type<'a> {
    Bool,
    Number,
    /// A word of a variable's list.
    Word(Variable),
    /// A list variable.
    Words(Variable),
    /// A text written out.
    Text(&'a str),
    /// Texts written out; an empty list too.
    Texts(Vec<&'a str>),
    /// Numbers written out.
    Numbers(Vec<i64>),
}

/// Gives each part of an expression its type, and notes what is said about the variables.
#[derive(Default)]
struct Checker<'a> {
    mentions: Mentions,
    /// Names that a macro binds, innermost last.
    bound: Vec<(&'a str, Type<'a>)>,
}

type Checked<'a> = Result<Type<'a>, ConditionFault>;

impl<'a> Checker<'a> {
    fn check(&mut self, expression: &'a IdedExpr, loops: usize) -> Checked<'a> {
        match &expression.expr {
            Expr::Ident(name) => self.name(name),
            Expr::Literal(literal) => literal_type(literal),
            Expr::List(list) if list.optional_indices.is_empty() => self.list(&list.elements, loops),
            Expr::Call(call) => self.call(call, loops),
            Expr::Comprehension(comprehension) => self.comprehension(comprehension, loops),
            Expr::List(_) => Err(ConditionFault::Unsupported("optional elements")),
            Expr::Map(_) => Err(ConditionFault::Unsupported("maps")),
            Expr::Select(_) => Err(ConditionFault::Unsupported("fields")),
            Expr::Struct(_) => Err(ConditionFault::Unsupported("messages")),
            Expr::Unspecified => Err(ConditionFault::Unparsable(1)),
        }
    }

    fn name(&mut self, name: &str) -> Checked<'a> {
        if let Some((_, bound)) = self.bound.iter().rev().find(|(other, _)| *other == name) {
            return Ok(bound.clone());
        }
        let variable =
            Variable::from_name(name).ok_or_else(|| ConditionFault::UnknownVariable(shown(name)))?;
        let mention = self.mentions.entry(variable);
        Ok(match variable.kind() {
            Kind::Number => {
                // Comparisons with a number written out never come here.
                mention.whole = true;
                Type::Number
            }
            Kind::Word => Type::Word(variable),
            Kind::Words => Type::Words(variable),
        })
    }

    fn list(&mut self, elements: &'a [IdedExpr], loops: usize) -> Checked<'a> {
        let mut texts = Vec::new();
        let mut numbers = Vec::new();
        for element in elements {
            match (&element.expr, number(element)) {
                (_, Some(number)) => numbers.push(number),
                (Expr::Literal(LiteralValue::String(text)), None) => texts.push(text.inner()),
                (_, None) => {
                    self.check(element, loops)?;
                    return Err(ConditionFault::Unsupported("lists of anything but words or numbers"));
                }
            }
        }
        match (texts.is_empty(), numbers.is_empty()) {
            (false, false) => Err(ConditionFault::Unsupported("lists of words and numbers together")),
            (_, true) => Ok(Type::Texts(texts)),
            (true, false) => Ok(Type::Numbers(numbers)),
        }
    }

    fn call(&mut self, call: &'a CallExpr, loops: usize) -> Checked<'a> {
        let function = call.func_name.as_str();
        let operator = || ConditionFault::Mismatch(sign(function).to_owned());
        match (function, call.target.as_deref(), call.args.as_slice()) {
            (operators::LOGICAL_AND | operators::LOGICAL_OR, None, arguments) => {
                for argument in arguments {
                    self.bool(argument, loops).ok_or_else(operator)??;
                }
                Ok(Type::Bool)
            }
            (operators::LOGICAL_NOT, None, [argument]) => {
                self.bool(argument, loops).ok_or_else(operator)??;
                Ok(Type::Bool)
            }
            (operators::CONDITIONAL, None, [condition, one, other]) => {
                self.bool(condition, loops).ok_or_else(operator)??;
                match (self.check(one, loops)?, self.check(other, loops)?) {
                    (Type::Bool, Type::Bool) => Ok(Type::Bool),
                    (Type::Number, Type::Number) => Ok(Type::Number),
                    _ => Err(operator()),
                }
            }
            (operators::EQUALS | operators::NOT_EQUALS, None, [left, right]) => {
                self.equality(left, right, loops).ok_or_else(operator)??;
                Ok(Type::Bool)
            }
            (
                operators::LESS | operators::LESS_EQUALS | operators::GREATER | operators::GREATER_EQUALS,
                None,
                [left, right],
            ) => {
                if !self.simple_comparison(left, right) && !self.counted_against_nought(function, left, right) {
                    self.number(left, loops).ok_or_else(operator)??;
                    self.number(right, loops).ok_or_else(operator)??;
                }
                Ok(Type::Bool)
            }
            (
                operators::ADD | operators::SUBSTRACT | operators::MULTIPLY | operators::DIVIDE | operators::MODULO,
                None,
                [left, right],
            ) => {
                self.number(left, loops).ok_or_else(operator)??;
                self.number(right, loops).ok_or_else(operator)??;
                Ok(Type::Number)
            }
            (operators::NEGATE, None, [argument]) => {
                self.number(argument, loops).ok_or_else(operator)??;
                Ok(Type::Number)
            }
            (operators::IN, None, [element, list]) => {
                self.membership(element, list, loops).ok_or_else(operator)??;
                Ok(Type::Bool)
            }
            ("size", None, [list]) | ("size", Some(list), []) => match self.check(list, loops)? {
                Type::Words(variable) => {
                    self.mentions.entry(variable).whole = true;
                    Ok(Type::Number)
                }
                _ => Err(ConditionFault::Mismatch("size".to_owned())),
            },
            (operators::INDEX | operators::OPT_INDEX | operators::OPT_SELECT, _, _) => {
                Err(ConditionFault::Unsupported("elements by their number"))
            }
            (other, _, _) => Err(ConditionFault::UnknownFunction(shown(sign(other)))),
        }
    }

    /// `None` where the types don't fit; a fault within the parts goes first.
    fn equality(&mut self, left: &'a IdedExpr, right: &'a IdedExpr, loops: usize) -> Option<Result<(), ConditionFault>> {
        if self.simple_comparison(left, right) || self.counted_against_nought(operators::EQUALS, left, right) {
            return Some(Ok(()));
        }
        let (left, right) = match (self.check(left, loops), self.check(right, loops)) {
            (Ok(left), Ok(right)) => (left, right),
            (Err(fault), _) | (_, Err(fault)) => return Some(Err(fault)),
        };
        match (left, right) {
            (Type::Bool, Type::Bool) | (Type::Number, Type::Number) => Some(Ok(())),
            (Type::Word(one), Type::Word(other)) if one == other => Some(Ok(())),
            (Type::Word(variable), Type::Text(text)) | (Type::Text(text), Type::Word(variable)) => {
                Some(self.word(variable, text))
            }
            // Only emptiness: the order of a list is nobody's business.
            (Type::Words(_), Type::Texts(texts)) | (Type::Texts(texts), Type::Words(_)) if texts.is_empty() => {
                Some(Ok(()))
            }
            _ => None,
        }
    }

    fn membership(&mut self, element: &'a IdedExpr, list: &'a IdedExpr, loops: usize) -> Option<Result<(), ConditionFault>> {
        let list = match self.check(list, loops) {
            Ok(list) => list,
            Err(fault) => return Some(Err(fault)),
        };
        if let (Some(variable), Type::Numbers(numbers)) = (self.free_number(element), &list) {
            self.mentions.entry(variable).numbers.extend(numbers);
            return Some(Ok(()));
        }
        let element = match self.check(element, loops) {
            Ok(element) => element,
            Err(fault) => return Some(Err(fault)),
        };
        match (element, list) {
            (Type::Text(text), Type::Words(variable)) => Some(self.word(variable, text)),
            (Type::Word(one), Type::Words(other)) if one == other => Some(Ok(())),
            (Type::Word(variable), Type::Texts(texts)) => {
                Some(texts.into_iter().try_for_each(|text| self.word(variable, text)))
            }
            (Type::Number, Type::Numbers(_)) => Some(Ok(())),
            _ => None,
        }
    }

    /// A number variable against a number written out: only the numbers about it matter then.
    fn simple_comparison(&mut self, left: &'a IdedExpr, right: &'a IdedExpr) -> bool {
        let (variable, number) = match (self.free_number(left), number(right), self.free_number(right), number(left)) {
            (Some(variable), Some(number), _, _) | (_, _, Some(variable), Some(number)) => (variable, number),
            _ => return false,
        };
        self.mentions.entry(variable).numbers.insert(number);
        true
    }

    /// `size(list) == 0`, `size(list) > 0` and the like: only emptiness matters then.
    fn counted_against_nought(&mut self, function: &str, left: &'a IdedExpr, right: &'a IdedExpr) -> bool {
        let (list, mirrored) = match (counted(left), number(right), counted(right), number(left)) {
            (Some(list), Some(0), _, _) => (list, false),
            (_, _, Some(list), Some(0)) => (list, true),
            _ => return false,
        };
        let about_emptiness = match function {
            operators::EQUALS | operators::NOT_EQUALS => true,
            operators::GREATER | operators::LESS_EQUALS => !mirrored,
            operators::LESS | operators::GREATER_EQUALS => mirrored,
            _ => false,
        };
        let Some(variable) = Variable::from_name(list).filter(|variable| {
            about_emptiness && variable.kind() == Kind::Words && self.bound.iter().all(|(name, _)| *name != list)
        }) else {
            return false;
        };
        self.mentions.entry(variable);
        true
    }

    /// A number variable by its name, not bound by a macro.
    fn free_number(&self, expression: &IdedExpr) -> Option<Variable> {
        let Expr::Ident(name) = &expression.expr else { return None };
        Variable::from_name(name).filter(|variable| {
            variable.kind() == Kind::Number && self.bound.iter().all(|(bound, _)| bound != name)
        })
    }

    fn word(&mut self, variable: Variable, text: &str) -> Result<(), ConditionFault> {
        let place = variable.words().iter().position(|word| *word == text);
        let place = place.ok_or_else(|| ConditionFault::UnknownWord(variable.name(), shown(text)))?;
        self.mentions.entry(variable).words |= 1 << place;
        Ok(())
    }

    /// `exists`, `all` and `exists_one`, as their macros write them out.
    fn comprehension(&mut self, comprehension: &'a ComprehensionExpr, loops: usize) -> Checked<'a> {
        if loops >= 2 {
            return Err(ConditionFault::TooDeep);
        }
        if let Expr::List(_) = comprehension.accu_init.expr {
            return Err(ConditionFault::UnknownFunction("map, filter".to_owned()));
        }
        let Type::Words(variable) = self.check(&comprehension.iter_range, loops)? else {
            return Err(ConditionFault::Unsupported("exists, all and exists_one on anything but list variables"));
        };
        self.mentions.entry(variable).whole = true;
        let outcome = self.check(&comprehension.accu_init, loops)?;
        let depth = self.bound.len();
        self.bound.push((&comprehension.accu_var, outcome.clone()));
        self.bound.push((&comprehension.iter_var, Type::Word(variable)));
        let step = self.check(&comprehension.loop_step, loops + 1);
        self.bound.truncate(depth + 1);
        let result = self.check(&comprehension.result, loops);
        self.bound.truncate(depth);
        match (outcome, step?) {
            (Type::Bool, Type::Bool) | (Type::Number, Type::Number) => result,
            _ => Err(ConditionFault::Mismatch("exists".to_owned())),
        }
    }

    fn bool(&mut self, expression: &'a IdedExpr, loops: usize) -> Option<Result<(), ConditionFault>> {
        match self.check(expression, loops) {
            Ok(Type::Bool) => Some(Ok(())),
            Ok(_) => None,
            Err(fault) => Some(Err(fault)),
        }
    }

    fn number(&mut self, expression: &'a IdedExpr, loops: usize) -> Option<Result<(), ConditionFault>> {
        match self.check(expression, loops) {
            Ok(Type::Number) => Some(Ok(())),
            Ok(_) => None,
            Err(fault) => Some(Err(fault)),
        }
    }
}

fn literal_type(literal: &LiteralValue) -> Checked<'_> {
    match literal {
        LiteralValue::Boolean(_) => Ok(Type::Bool),
        LiteralValue::Int(_) => Ok(Type::Number),
        LiteralValue::String(text) => Ok(Type::Text(text.inner())),
        LiteralValue::Double(_) => Err(ConditionFault::Unsupported("fractions")),
        LiteralValue::UInt(_) => Err(ConditionFault::Unsupported("unsigned numbers")),
        LiteralValue::Bytes(_) => Err(ConditionFault::Unsupported("bytes")),
        LiteralValue::Null => Err(ConditionFault::Unsupported("null")),
    }
}

/// A number written out.
fn number(expression: &IdedExpr) -> Option<i64> {
    match &expression.expr {
        Expr::Literal(LiteralValue::Int(number)) => Some(*number.inner()),
        Expr::Call(call) if call.func_name == operators::NEGATE && call.target.is_none() => match call.args.as_slice() {
            [argument] => number(argument).and_then(i64::checked_neg),
            _ => None,
        },
        _ => None,
    }
}

/// The name of the list that `size(…)` counts.
fn counted(expression: &IdedExpr) -> Option<&str> {
    let Expr::Call(call) = &expression.expr else { return None };
    let list = match (call.func_name.as_str(), call.target.as_deref(), call.args.as_slice()) {
        ("size", None, [list]) | ("size", Some(list), []) => list,
        _ => return None,
    };
    match &list.expr {
        Expr::Ident(name) => Some(name),
        _ => None,
    }
}

/// An operator as people write it.
fn sign(function: &str) -> &str {
    match function {
        operators::CONDITIONAL => "? :",
        operators::IN => "in",
        other => other.trim_matches('_'),
    }
}

/// The beginning of a name that somebody wrote, for a message.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(40).collect()
}

#[cfg(test)]
mod tests;
