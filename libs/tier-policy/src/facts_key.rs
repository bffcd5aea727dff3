//! What a policy may ask about an elder, as one number: elders of equal facts get equal tiers, so each is judged once.

use std::fmt;
use std::sync::LazyLock;

use civic::{
    Assistance, CapabilityLevel, Category, CircumstanceKind, ConsentState, Observation, Set, Sex,
    Term,
};
use elders::FactsOnDay;
use elders::facts::AGE_IN_SCOPE;

/// Ages beyond count as this one, so that every policy can be tried on all ages that there are.
pub const OLDEST: u16 = 130;

/// A fact that conditions may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Variable {
    /// Full years, 60 to 130.
    Age,
    /// Capability level, a word.
    Capability,
    /// Handicap grade 1 to 4; 0 where none is recorded.
    HandicapGrade,
    /// Observations, a list of words.
    Observations,
    /// Categories, a list of words, never empty.
    Categories,
    /// Assistance, a list of words.
    Assistance,
    /// Circumstances of the day, a list of words.
    Circumstances,
    /// Sex, a word.
    Sex,
    /// Consent to home visits, a word.
    Consent,
}

/// What a variable holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A whole number.
    Number,
    /// A word of a closed list.
    Word,
    /// Some words of a closed list, in its order.
    Words,
}

impl Variable {
    /// All variables, in the order in which facts are told.
    pub const ALL: [Self; 9] = [
        Self::Age,
        Self::Capability,
        Self::Observations,
        Self::HandicapGrade,
        Self::Categories,
        Self::Assistance,
        Self::Circumstances,
        Self::Sex,
        Self::Consent,
    ];

    /// The name in conditions.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Age => "age",
            Self::Capability => "capability",
            Self::HandicapGrade => "handicap_grade",
            Self::Observations => "observations",
            Self::Categories => "categories",
            Self::Assistance => "assistance",
            Self::Circumstances => "circumstances",
            Self::Sex => "sex",
            Self::Consent => "consent",
        }
    }

    /// The variable of a name in conditions.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|variable| variable.name() == name)
    }

    /// What it holds.
    #[must_use]
    pub const fn kind(self) -> Kind {
        match self {
            Self::Age | Self::HandicapGrade => Kind::Number,
            Self::Capability | Self::Sex | Self::Consent => Kind::Word,
            Self::Observations | Self::Categories | Self::Assistance | Self::Circumstances => {
                Kind::Words
            }
        }
    }

    /// The closed list of its words; empty for numbers.
    #[must_use]
    pub fn words(self) -> &'static [&'static str] {
        static WORDS: LazyLock<[Vec<&'static str>; 9]> = LazyLock::new(|| {
            Variable::ALL.map(|variable| match variable {
                Variable::Age | Variable::HandicapGrade => Vec::new(),
                Variable::Capability => names::<CapabilityLevel>(),
                Variable::Observations => names::<Observation>(),
                Variable::Categories => names::<Category>(),
                Variable::Assistance => names::<Assistance>(),
                Variable::Circumstances => names::<CircumstanceKind>(),
                Variable::Sex => names::<Sex>(),
                Variable::Consent => names::<ConsentState>(),
            })
        });
        let place = Self::ALL.iter().position(|variable| *variable == self);
        place.map_or(&[], |place| WORDS[place].as_slice())
    }

    /// Where it stands in a key: first bit and number of bits. Keys are kept in a table, so places never change; each
    /// list has room for new words at its end.
    const fn place(self) -> (u32, u32) {
        match self {
            Self::Age => (0, 8),
            Self::Capability => (8, 4),
            Self::HandicapGrade => (12, 4),
            Self::Observations => (16, 8),
            Self::Categories => (24, 8),
            Self::Assistance => (32, 8),
            Self::Circumstances => (40, 8),
            Self::Sex => (48, 2),
            Self::Consent => (50, 3),
        }
    }

    /// The bits of a key that hold it.
    #[must_use]
    pub const fn mask(self) -> u64 {
        let (first, bits) = self.place();
        ((1 << bits) - 1) << first
    }
}

fn names<T: Term>() -> Vec<&'static str> {
    T::ALL.iter().map(|word| word.name()).collect()
}

/// The facts of an elder in scope that a policy may ask about.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FactsKey(u64);

impl FactsKey {
    /// Nothing known of anybody: the beginning of a key put together by [`FactsKey::with`].
    pub const EMPTY: Self = Self(0);

    /// The key of somebody's facts; none when out of scope.
    #[must_use]
    pub fn of(facts: &FactsOnDay) -> Option<Self> {
        facts.in_scope().then(|| Self::of_anybody(facts))
    }

    /// The key of somebody's facts, in scope or not; who is younger than 60 counts as 60. A tier follows only for those
    /// in scope ([`FactsKey::of`]); how somebody may be visited is asked of others too.
    #[must_use]
    pub fn of_anybody(facts: &FactsOnDay) -> Self {
        Self::EMPTY
            .with(
                Variable::Age,
                u64::from(facts.age.clamp(AGE_IN_SCOPE, OLDEST)),
            )
            .with(
                Variable::Capability,
                u64::from(facts.capability_level().index()),
            )
            .with(
                Variable::HandicapGrade,
                facts
                    .handicap_grade
                    .map_or(0, |grade| u64::from(grade.number())),
            )
            .with(Variable::Observations, bits(facts.observations))
            .with(Variable::Categories, bits(facts.categories))
            .with(Variable::Assistance, bits(facts.assistance))
            .with(Variable::Circumstances, bits(facts.circumstances))
            .with(Variable::Sex, u64::from(facts.sex.index()))
            .with(Variable::Consent, u64::from(facts.consent.state.index()))
    }

    /// The number by which a table keeps it.
    #[must_use]
    pub fn stored(self) -> i64 {
        self.0.cast_signed()
    }

    /// The key that a table kept.
    #[must_use]
    pub fn from_stored(number: i64) -> Self {
        Self(number.cast_unsigned())
    }

    /// A number, the place of a word in its list, or one bit for each word of a list.
    #[must_use]
    pub fn get(self, variable: Variable) -> u64 {
        (self.0 & variable.mask()) >> variable.place().0
    }

    /// The key with another value of a variable, as [`FactsKey::get`] gives it.
    #[must_use]
    pub fn with(self, variable: Variable, value: u64) -> Self {
        Self(self.0 & !variable.mask() | (value << variable.place().0) & variable.mask())
    }

    /// What it says of some variables only.
    #[must_use]
    pub fn masked(self, mask: u64) -> u64 {
        self.0 & mask
    }

    /// The words that a variable holds.
    pub fn words(self, variable: Variable) -> impl Iterator<Item = &'static str> {
        let value = self.get(variable);
        let words = variable.words().iter().enumerate();
        words
            .filter(move |(place, _)| holds(variable, value, *place))
            .map(|(_, word)| *word)
    }

    /// A variable's value as people read it.
    #[must_use]
    pub fn told(self, variable: Variable) -> String {
        match variable.kind() {
            Kind::Number => self.get(variable).to_string(),
            Kind::Word | Kind::Words => self.words(variable).collect::<Vec<_>>().join(", "),
        }
    }
}

fn holds(variable: Variable, value: u64, place: usize) -> bool {
    match variable.kind() {
        Kind::Number => false,
        Kind::Word => value == place as u64,
        Kind::Words => value & (1 << place) != 0,
    }
}

fn bits<T: Term>(set: Set<T>) -> u64 {
    set.iter().fold(0, |bits, word| bits | 1 << word.index())
}

impl fmt::Debug for FactsKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = formatter.debug_map();
        for variable in Variable::ALL {
            map.entry(&variable.name(), &self.told(variable));
        }
        map.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_variable_has_a_place_of_its_own_with_room_for_its_words() {
        let mut taken = 0_u64;
        for variable in Variable::ALL {
            assert_eq!(taken & variable.mask(), 0, "{variable:?}");
            taken |= variable.mask();
            let (_, bits) = variable.place();
            let needed = match variable.kind() {
                Kind::Number => 8.min(bits),
                Kind::Word => variable.words().len().ilog2() + 1,
                Kind::Words => u32::try_from(variable.words().len()).unwrap(),
            };
            assert!(needed <= bits, "{variable:?}");
            assert_eq!(Variable::from_name(variable.name()), Some(variable));
        }
        // A table keeps it as a signed number.
        assert_eq!(taken >> 63, 0);
    }

    #[test]
    fn a_key_gives_back_what_was_put_in() {
        let key = FactsKey::EMPTY
            .with(Variable::Age, 88)
            .with(Variable::Capability, 3)
            .with(Variable::Observations, 0b101)
            .with(Variable::Age, 81);
        assert_eq!(key.get(Variable::Age), 81);
        assert_eq!(key.told(Variable::Capability), "MODERATE");
        assert_eq!(key.told(Variable::Observations), "BEDRIDDEN, DEMENTIA");
        assert_eq!(FactsKey::from_stored(key.stored()), key);
        assert_eq!(key.masked(Variable::Age.mask()), 81);
    }
}
