//! The check of a condition before it is ever run: each part has a kind, and what is said about each fact is noted.

use cel::common::ast::{CallExpr, ComprehensionExpr, Expr, IdedExpr, LiteralValue, operators};

use super::{ConditionFault, Mentions};
use crate::facts_key::{Kind, Variable};

/// Checks that an expression is a condition, and notes what it says about the variables.
pub(super) fn check(expression: &IdedExpr) -> Result<Mentions, ConditionFault> {
    let mut checker = Checker::default();
    if let Type::Bool = checker.check(expression, 0)? {
        Ok(checker.mentions)
    } else {
        Err(ConditionFault::NotABool)
    }
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
            Expr::List(list) if list.optional_indices.is_empty() => {
                self.list(&list.elements, loops)
            }
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
        let variable = Variable::from_name(name)
            .ok_or_else(|| ConditionFault::UnknownVariable(shown(name)))?;
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
                    return Err(ConditionFault::Unsupported(
                        "lists of anything but words or numbers",
                    ));
                }
            }
        }
        match (texts.is_empty(), numbers.is_empty()) {
            (false, false) => Err(ConditionFault::Unsupported(
                "lists of words and numbers together",
            )),
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
                operators::LESS
                | operators::LESS_EQUALS
                | operators::GREATER
                | operators::GREATER_EQUALS,
                None,
                [left, right],
            ) => {
                if !self.simple_comparison(left, right)
                    && !self.counted_against_nought(function, left, right)
                {
                    self.number(left, loops).ok_or_else(operator)??;
                    self.number(right, loops).ok_or_else(operator)??;
                }
                Ok(Type::Bool)
            }
            (
                operators::ADD
                | operators::SUBSTRACT
                | operators::MULTIPLY
                | operators::DIVIDE
                | operators::MODULO,
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
                self.membership(element, list, loops)
                    .ok_or_else(operator)??;
                Ok(Type::Bool)
            }
            ("size", None, [list]) | ("size", Some(list), []) => match self.check(list, loops)? {
                Type::Words(variable) => {
                    self.mentions.entry(variable).whole = true;
                    Ok(Type::Number)
                }
                Type::Bool
                | Type::Number
                | Type::Word(_)
                | Type::Text(_)
                | Type::Texts(_)
                | Type::Numbers(_) => Err(ConditionFault::Mismatch("size".to_owned())),
            },
            (operators::INDEX | operators::OPT_INDEX | operators::OPT_SELECT, _, _) => {
                Err(ConditionFault::Unsupported("elements by their number"))
            }
            (other, _, _) => Err(ConditionFault::UnknownFunction(shown(sign(other)))),
        }
    }

    /// `None` where the types don't fit; a fault within the parts goes first.
    fn equality(
        &mut self,
        left: &'a IdedExpr,
        right: &'a IdedExpr,
        loops: usize,
    ) -> Option<Result<(), ConditionFault>> {
        if self.simple_comparison(left, right)
            || self.counted_against_nought(operators::EQUALS, left, right)
        {
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
            (Type::Words(_), Type::Texts(texts)) | (Type::Texts(texts), Type::Words(_))
                if texts.is_empty() =>
            {
                Some(Ok(()))
            }
            _ => None,
        }
    }

    fn membership(
        &mut self,
        element: &'a IdedExpr,
        list: &'a IdedExpr,
        loops: usize,
    ) -> Option<Result<(), ConditionFault>> {
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
            (Type::Word(variable), Type::Texts(texts)) => Some(
                texts
                    .into_iter()
                    .try_for_each(|text| self.word(variable, text)),
            ),
            (Type::Number, Type::Numbers(_)) => Some(Ok(())),
            _ => None,
        }
    }

    /// A number variable against a number written out: only the numbers about it matter then.
    fn simple_comparison(&mut self, left: &'a IdedExpr, right: &'a IdedExpr) -> bool {
        let (variable, number) = match (
            self.free_number(left),
            number(right),
            self.free_number(right),
            number(left),
        ) {
            (Some(variable), Some(number), _, _) | (_, _, Some(variable), Some(number)) => {
                (variable, number)
            }
            _ => return false,
        };
        self.mentions.entry(variable).numbers.insert(number);
        true
    }

    /// `size(list) == 0`, `size(list) > 0` and the like: only emptiness matters then.
    fn counted_against_nought(
        &mut self,
        function: &str,
        left: &'a IdedExpr,
        right: &'a IdedExpr,
    ) -> bool {
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
            about_emptiness
                && variable.kind() == Kind::Words
                && self.bound.iter().all(|(name, _)| *name != list)
        }) else {
            return false;
        };
        self.mentions.entry(variable);
        true
    }

    /// A number variable by its name, not bound by a macro.
    fn free_number(&self, expression: &IdedExpr) -> Option<Variable> {
        let Expr::Ident(name) = &expression.expr else {
            return None;
        };
        Variable::from_name(name).filter(|variable| {
            variable.kind() == Kind::Number && self.bound.iter().all(|(bound, _)| bound != name)
        })
    }

    fn word(&mut self, variable: Variable, text: &str) -> Result<(), ConditionFault> {
        let place = variable.words().iter().position(|word| *word == text);
        let place =
            place.ok_or_else(|| ConditionFault::UnknownWord(variable.name(), shown(text)))?;
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
            return Err(ConditionFault::Unsupported(
                "exists, all and exists_one on anything but list variables",
            ));
        };
        self.mentions.entry(variable).whole = true;
        let outcome = self.check(&comprehension.accu_init, loops)?;
        let depth = self.bound.len();
        self.bound.push((&comprehension.accu_var, outcome.clone()));
        self.bound
            .push((&comprehension.iter_var, Type::Word(variable)));
        let step = self.check(&comprehension.loop_step, loops + 1);
        self.bound.truncate(depth + 1);
        let result = self.check(&comprehension.result, loops);
        self.bound.truncate(depth);
        match (outcome, step?) {
            (Type::Bool, Type::Bool) | (Type::Number, Type::Number) => result,
            _ => Err(ConditionFault::Mismatch("exists".to_owned())),
        }
    }

    fn bool(
        &mut self,
        expression: &'a IdedExpr,
        loops: usize,
    ) -> Option<Result<(), ConditionFault>> {
        match self.check(expression, loops) {
            Ok(Type::Bool) => Some(Ok(())),
            Ok(_) => None,
            Err(fault) => Some(Err(fault)),
        }
    }

    fn number(
        &mut self,
        expression: &'a IdedExpr,
        loops: usize,
    ) -> Option<Result<(), ConditionFault>> {
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
    if let Expr::Literal(LiteralValue::Int(number)) = &expression.expr {
        return Some(*number.inner());
    }
    let Expr::Call(call) = &expression.expr else {
        return None;
    };
    match (
        call.func_name.as_str(),
        call.target.as_deref(),
        call.args.as_slice(),
    ) {
        (operators::NEGATE, None, [argument]) => number(argument).and_then(i64::checked_neg),
        _ => None,
    }
}

/// The name of the list that `size(…)` counts.
fn counted(expression: &IdedExpr) -> Option<&str> {
    let Expr::Call(call) = &expression.expr else {
        return None;
    };
    let list = match (
        call.func_name.as_str(),
        call.target.as_deref(),
        call.args.as_slice(),
    ) {
        ("size", None, [list]) | ("size", Some(list), []) => list,
        _ => return None,
    };
    let Expr::Ident(name) = &list.expr else {
        return None;
    };
    Some(name)
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
