//! A programme (项目): versions of its definition, each for service days from a day on.

use civic::{DivisionCode, LocalDay};
use decider::Decider;

/// A programme as the events leave it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Programme {
    /// Its versions, the first one first.
    pub versions: Vec<Defined>,
}

/// A version was defined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Defined {
    /// From 1 on.
    pub version: u32,
    /// Whose programme it is.
    pub division: DivisionCode,
    /// The first service day that goes by it.
    pub effective_from: LocalDay,
    /// The definition, YAML.
    pub definition: String,
}

/// Define a version.
#[derive(Clone, Debug)]
pub struct Define {
    /// Whose programme it is.
    pub division: DivisionCode,
    /// The first service day that goes by it.
    pub effective_from: LocalDay,
    /// The definition, well formed.
    pub definition: String,
}

/// Why the rules refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The versions before are another division's.
    AnotherDivision,
    /// It would hold from an earlier day than the version before.
    HoldsEarlier,
}

impl Decider for Programme {
    type Command = Define;
    type Event = Defined;
    type Refusal = Refusal;

    fn decide(&self, command: &Define) -> Result<Vec<Defined>, Refusal> {
        let version = match self.versions.last() {
            None => 1,
            Some(last) if last.division != command.division => {
                return Err(Refusal::AnotherDivision);
            }
            Some(last) if last.effective_from > command.effective_from => {
                return Err(Refusal::HoldsEarlier);
            }
            Some(last) if last.definition == command.definition => return Ok(vec![]),
            Some(last) => last.version + 1,
        };
        Ok(vec![Defined {
            version,
            division: command.division,
            effective_from: command.effective_from,
            definition: command.definition.clone(),
        }])
    }

    fn evolve(mut self, event: &Defined) -> Self {
        self.versions.push(event.clone());
        self
    }
}

#[cfg(test)]
mod tests {
    use decider::testing::{given, given_nothing};

    use super::*;

    fn define(from: &str, definition: &str) -> Define {
        Define {
            division: "350524".parse().unwrap(),
            effective_from: from.parse().unwrap(),
            definition: definition.to_owned(),
        }
    }

    fn defined(version: u32, from: &str, definition: &str) -> Defined {
        let Define {
            division,
            effective_from,
            definition,
        } = define(from, definition);
        Defined {
            version,
            division,
            effective_from,
            definition,
        }
    }

    #[test]
    fn versions_are_counted_and_never_hold_before_the_one_before() {
        given_nothing::<Programme>()
            .when(define("2024-01-01", "a"))
            .then([defined(1, "2024-01-01", "a")]);
        given::<Programme>([defined(1, "2024-01-01", "a")])
            .when(define("2024-01-01", "b"))
            .then([defined(2, "2024-01-01", "b")]);
        given::<Programme>([defined(1, "2024-01-01", "a")])
            .when(define("2023-12-31", "b"))
            .then_refused(Refusal::HoldsEarlier);
        given::<Programme>([defined(1, "2024-01-01", "a")])
            .when(define("2024-01-01", "a"))
            .then([]);
    }

    #[test]
    fn a_programme_stays_its_divisions() {
        let mut theirs = define("2025-01-01", "b");
        theirs.division = "350525".parse().unwrap();
        given::<Programme>([defined(1, "2024-01-01", "a")])
            .when(theirs)
            .then_refused(Refusal::AnotherDivision);
    }
}
