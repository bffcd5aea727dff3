//! The terms of the trade: closed lists of words, each with a name for machines and the Chinese term for people.

use std::{fmt, marker::PhantomData, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// A word of a closed list, such as a category of elders.
pub trait Term: Copy + Eq + Ord + std::hash::Hash + fmt::Debug + 'static {
    /// All words of the list, in its order; at most 32.
    const ALL: &'static [Self];

    /// The name in data and APIs, in `UPPER_SNAKE_CASE`.
    fn name(self) -> &'static str;

    /// The Chinese term.
    fn chinese(self) -> &'static str;

    /// The word of that name.
    fn from_name(name: &str) -> Option<Self>;

    /// The place in [`Term::ALL`].
    fn index(self) -> u32;
}

/// A name that is none of a closed list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a known {list}")]
pub struct UnknownTerm {
    /// Which list.
    pub list: &'static str,
}

/// Declares a closed list of words: `Variant = NAME 中文`.
macro_rules! terms {
    ($(
        $(#[$meta:meta])*
        pub enum $list:ident ($what:literal) {
            $( $(#[$word_meta:meta])* $word:ident = $name:literal $chinese:literal, )+
        }
    )+) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $list {
            $(
                #[doc = concat!($chinese, ", `", $name, "`.")]
                $(#[$word_meta])*
                $word,
            )+
        }

        impl $list {
            /// All words of the list, in its order.
            pub const ALL: &'static [Self] = &[$( Self::$word ),+];

            /// The name in data and APIs, in `UPPER_SNAKE_CASE`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $( Self::$word => $name ),+ }
            }

            /// The Chinese term.
            #[must_use]
            pub const fn chinese(self) -> &'static str {
                match self { $( Self::$word => $chinese ),+ }
            }

            /// The word of that name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $( $name => Some(Self::$word), )+ _ => None }
            }
        }

        impl $crate::Term for $list {
            const ALL: &'static [Self] = $list::ALL;

            fn name(self) -> &'static str {
                $list::name(self)
            }

            fn chinese(self) -> &'static str {
                $list::chinese(self)
            }

            fn from_name(name: &str) -> Option<Self> {
                $list::from_name(name)
            }

            fn index(self) -> u32 {
                self as u32
            }
        }

        impl std::fmt::Display for $list {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.pad(self.name())
            }
        }

        impl std::str::FromStr for $list {
            type Err = $crate::UnknownTerm;

            fn from_str(name: &str) -> Result<Self, $crate::UnknownTerm> {
                Self::from_name(name).ok_or($crate::UnknownTerm { list: $what })
            }
        }

        impl serde::Serialize for $list {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                $crate::term::serialize(*self, serializer)
            }
        }

        impl<'de> serde::Deserialize<'de> for $list {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::term::deserialize(deserializer)
            }
        }

        const _: () = assert!($list::ALL.len() <= 32, "a set of these words has 32 places");
    )+};
}

pub(crate) use terms;

/// A set of words of one list, in the list's order. Serde writes a list of names.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Set<E> {
    bits: u32,
    of: PhantomData<E>,
}

impl<E> Set<E> {
    /// No word.
    pub const EMPTY: Self = Self {
        bits: 0,
        of: PhantomData,
    };

    /// No word.
    #[must_use]
    pub const fn new() -> Self {
        Self::EMPTY
    }

    /// Whether there is no word.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.bits == 0
    }

    /// How many words there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.bits.count_ones() as usize
    }
}

impl<E: Term> Set<E> {
    /// Every word of the list.
    #[must_use]
    pub fn all() -> Self {
        E::ALL.iter().copied().collect()
    }

    /// Adds the word; whether it was new.
    pub fn insert(&mut self, word: E) -> bool {
        let before = self.bits;
        self.bits |= 1 << word.index();
        self.bits != before
    }

    /// Takes the word out; whether it was there.
    pub fn remove(&mut self, word: E) -> bool {
        let before = self.bits;
        self.bits &= !(1 << word.index());
        self.bits != before
    }

    /// Whether the word is there.
    #[must_use]
    pub fn contains(&self, word: E) -> bool {
        self.bits & (1 << word.index()) != 0
    }

    /// The words of both.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self {
            bits: self.bits | other.bits,
            of: PhantomData,
        }
    }

    /// The words that stand in both.
    #[must_use]
    pub fn intersection(self, other: Self) -> Self {
        Self {
            bits: self.bits & other.bits,
            of: PhantomData,
        }
    }

    /// The words of this one that are not in the other.
    #[must_use]
    pub fn difference(self, other: Self) -> Self {
        Self {
            bits: self.bits & !other.bits,
            of: PhantomData,
        }
    }

    /// Whether each word of this one is in the other.
    #[must_use]
    pub fn is_subset(&self, other: &Self) -> bool {
        self.bits & !other.bits == 0
    }

    /// The words, in the list's order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = E> + use<E> {
        let set = *self;
        E::ALL
            .iter()
            .copied()
            .filter(move |word| set.contains(*word))
    }

    /// The names of the words, in the list's order.
    pub fn names(&self) -> impl DoubleEndedIterator<Item = &'static str> + use<E> {
        self.iter().map(E::name)
    }
}

impl<E> Default for Set<E> {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl<E: Term> From<E> for Set<E> {
    fn from(word: E) -> Self {
        [word].into()
    }
}

impl<E: Term, const N: usize> From<[E; N]> for Set<E> {
    fn from(words: [E; N]) -> Self {
        words.into_iter().collect()
    }
}

impl<E: Term> FromIterator<E> for Set<E> {
    fn from_iter<I: IntoIterator<Item = E>>(words: I) -> Self {
        let mut set = Self::new();
        set.extend(words);
        set
    }
}

impl<E: Term> Extend<E> for Set<E> {
    fn extend<I: IntoIterator<Item = E>>(&mut self, words: I) {
        for word in words {
            self.insert(word);
        }
    }
}

impl<E: Term> IntoIterator for Set<E> {
    type Item = E;
    type IntoIter = std::vec::IntoIter<E>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter().collect::<Vec<_>>().into_iter()
    }
}

impl<E: Term> fmt::Debug for Set<E> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.iter()).finish()
    }
}

impl<E: Term> Serialize for Set<E> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !serializer.is_human_readable() {
            return serializer.serialize_u32(self.bits);
        }
        // Collected first: some formats want to know the length beforehand.
        serializer.collect_seq(self.names().collect::<Vec<_>>())
    }
}

impl<'de, E: Term + FromStr<Err = UnknownTerm>> Deserialize<'de> for Set<E> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            let bits = u32::deserialize(deserializer)?;
            let set = Self {
                bits: bits & Self::all().bits,
                of: PhantomData,
            };
            return if set.bits == bits {
                Ok(set)
            } else {
                Err(D::Error::custom("a set of unknown words"))
            };
        }
        Ok(Vec::<Named<E>>::deserialize(deserializer)?
            .into_iter()
            .map(|Named(word)| word)
            .collect())
    }
}

/// A word on its way in; the words' own `Deserialize` comes from here too.
struct Named<E>(E);

impl<'de, E: Term + FromStr<Err = UnknownTerm>> Deserialize<'de> for Named<E> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize(deserializer).map(Self)
    }
}

/// Writes a word: its name for people, its place in the list for machines. So a
/// new word goes to the end of its list.
pub(crate) fn serialize<E: Term, S: Serializer>(word: E, serializer: S) -> Result<S::Ok, S::Error> {
    if serializer.is_human_readable() {
        serializer.serialize_str(word.name())
    } else {
        serializer.serialize_u32(word.index())
    }
}

/// Reads what [`serialize`] wrote.
pub(crate) fn deserialize<'de, E: Term + FromStr<Err = UnknownTerm>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<E, D::Error> {
    if deserializer.is_human_readable() {
        return crate::serde_text::deserialize(deserializer);
    }
    let place = u32::deserialize(deserializer)?;
    usize::try_from(place)
        .ok()
        .and_then(|place| E::ALL.get(place))
        .copied()
        .ok_or_else(|| D::Error::custom("an unknown word"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        Assistance, CapabilityLevel, Category, CircumstanceKind, ConsentGiver, ConsentState,
        ElderStatus, Observation, ServiceKind, Sex, VisitMode,
    };

    #[track_caller]
    fn check<E: Term + Serialize + for<'de> Deserialize<'de>>() {
        for (index, word) in E::ALL.iter().enumerate() {
            assert_eq!(word.index() as usize, index);
            assert_eq!(E::from_name(word.name()), Some(*word));
            assert!(
                word.name()
                    .bytes()
                    .all(|b| b.is_ascii_uppercase() || b == b'_'),
                "{}",
                word.name()
            );
            assert!(!word.chinese().is_empty());
            let json = serde_json::to_string(word).unwrap();
            assert_eq!(json, format!("\"{}\"", word.name()));
            assert_eq!(serde_json::from_str::<E>(&json).unwrap(), *word);
        }
        assert_eq!(E::from_name("NONE_OF_THEM"), None);
        assert_eq!(Set::<E>::all().len(), E::ALL.len());
    }

    #[test]
    fn every_word_reads_back_from_its_name() {
        check::<Sex>();
        check::<Category>();
        check::<Assistance>();
        check::<CapabilityLevel>();
        check::<Observation>();
        check::<CircumstanceKind>();
        check::<ConsentState>();
        check::<ConsentGiver>();
        check::<ElderStatus>();
        check::<ServiceKind>();
        check::<VisitMode>();
    }

    #[test]
    fn an_unknown_name_is_refused_without_being_repeated() {
        let error = serde_json::from_str::<Category>("\"王芳\"")
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("not a known category"), "{error}");
    }

    #[test]
    fn a_set_keeps_the_order_of_its_list() {
        let set = Set::from([VisitMode::Encounter, VisitMode::Home, VisitMode::Phone]);
        assert_eq!(
            set.names().collect::<Vec<_>>(),
            ["HOME", "PHONE", "ENCOUNTER"]
        );
        assert_eq!(format!("{set:?}"), "{Home, Phone, Encounter}");
        assert_eq!(set.into_iter().next_back(), Some(VisitMode::Encounter));
        let json = serde_json::to_string(&set).unwrap();
        assert_eq!(json, r#"["HOME","PHONE","ENCOUNTER"]"#);
        assert_eq!(serde_json::from_str::<Set<VisitMode>>(&json).unwrap(), set);
        assert!(serde_json::from_str::<Set<VisitMode>>(r#"["BY_MAIL"]"#).is_err());
    }

    fn services() -> impl Strategy<Value = std::collections::BTreeSet<ServiceKind>> {
        proptest::collection::btree_set(
            prop::sample::select(ServiceKind::ALL),
            0..=ServiceKind::ALL.len(),
        )
    }

    proptest! {
        #[test]
        fn sets_behave_like_sets(one in services(), other in services(), word in prop::sample::select(ServiceKind::ALL)) {
            let collected = |set: Set<ServiceKind>| set.into_iter().collect::<std::collections::BTreeSet<_>>();
            let (mut a, b): (Set<_>, Set<_>) = (one.iter().copied().collect(), other.iter().copied().collect());
            prop_assert_eq!(collected(a.union(b)), &one | &other);
            prop_assert_eq!(collected(a.intersection(b)), &one & &other);
            prop_assert_eq!(collected(a.difference(b)), &one - &other);
            prop_assert_eq!(a.is_subset(&b), one.is_subset(&other));
            prop_assert_eq!((a.len(), a.is_empty(), a.contains(word)), (one.len(), one.is_empty(), one.contains(&word)));
            prop_assert_eq!(a.insert(word), !one.contains(&word));
            prop_assert!(a.contains(word) && a.remove(word) && !a.contains(word));
        }
    }
}
