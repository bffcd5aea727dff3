//! Whether a caller who works elsewhere is told of an id what is told of one that nobody has heard of.

use std::collections::BTreeSet;

use tonic::{Code, Status};

use super::{methods_of, reason};

/// How methods refused a caller who asked for something by its id.
#[derive(Debug)]
pub struct AskedFor {
    id: String,
    refused: Vec<(&'static str, Status)>,
}

impl AskedFor {
    /// Nothing was asked yet.
    pub fn new(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            refused: Vec::new(),
        }
    }

    /// What is asked for.
    pub fn id(&self) -> String {
        self.id.clone()
    }

    /// Takes down what a method, such as `get_elder`, answered.
    ///
    /// # Panics
    /// If it was no refusal.
    pub fn heard<T>(&mut self, method: &'static str, answer: Result<T, Status>) {
        let refused = answer
            .err()
            .unwrap_or_else(|| panic!("{method} does not refuse what the caller may not know of"));
        self.refused.push((method, refused));
    }

    /// Compares with the answers of the same methods to an id of the same length that nobody has heard of: code, text and the
    /// bytes of the details are to be the same, but for the id itself.
    ///
    /// # Panics
    /// If an answer is another one, or is not NOT_FOUND.
    pub fn is_told_as(&self, unknown: &Self) {
        assert_eq!(self.refused.len(), unknown.refused.len());
        for ((method, told), (_, expected)) in self.refused.iter().zip(&unknown.refused) {
            assert_eq!(told.code(), Code::NotFound, "{method}: {told:?}");
            assert!(reason(told).ends_with("_NOT_FOUND"), "{method}: {told:?}");
            assert_eq!(
                told_of(told, &self.id),
                told_of(expected, &unknown.id),
                "{method}"
            );
        }
    }
}

/// Looks whether every method of a service, such as `eldercare.visits.v1.VisitService`, was asked for something, or is one of
/// the others, which take no id of what lies in a division.
///
/// # Panics
/// If one is neither, or both, or the contracts know no such service.
pub fn every_method_is_asked(service: &str, asked: &[&AskedFor], others: &[&str]) {
    let asked: BTreeSet<String> = asked
        .iter()
        .flat_map(|asked| &asked.refused)
        .map(|(method, _)| method.replace('_', ""))
        .collect();
    let methods = methods_of(service);
    assert!(!methods.is_empty(), "there is no service {service}");
    for method in methods {
        let (is_asked, is_other) = (
            asked.contains(&method.to_lowercase()),
            others.contains(&method.as_str()),
        );
        assert!(is_asked != is_other, "{method}");
    }
}

/// All that a refusal tells, with crosses in place of an id.
fn told_of(status: &Status, id: &str) -> (Code, String, Vec<u8>) {
    let crosses = "x".repeat(id.len());
    let mut details = status.details().to_vec();
    let named = |details: &[u8]| {
        let mut words = details.windows(id.len());
        words.position(|word| word == id.as_bytes())
    };
    while let Some(place) = named(&details) {
        details[place..place + id.len()].copy_from_slice(crosses.as_bytes());
    }
    let text = status.message().replace(id, &crosses);
    (status.code(), text, details)
}
