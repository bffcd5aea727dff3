//! The address of one aggregate in the log: whose it is, what kind of thing, and which one.

use std::{
    fmt,
    hash::{Hash, Hasher},
};

/// Longer tokens would make every message and the server's index of subjects larger for nothing.
const LONGEST_TOKEN: usize = 128;

/// The first token of every subject of the log.
const ROOT: &str = "eldercare";

/// `eldercare.<context>.<aggregate>.<id>`: where an aggregate's records lie.
///
/// Subjects carry no personal data: an id is a UUID or a keyed hash.
#[derive(Clone, PartialEq, Eq)]
pub struct Subject(async_nats::Subject);

/// A part of a subject is empty, too long, or has a character other than letters, digits, `-` and `_`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the {part} of a subject is 1 to 128 letters, digits, `-` or `_`")]
pub struct InvalidSubject {
    /// Which part: `context`, `aggregate`, `id`, or `form` when there are not four parts.
    pub part: &'static str,
}

impl Subject {
    /// The subject of one aggregate.
    ///
    /// # Errors
    ///
    /// [`InvalidSubject`] names the part that is not a token of 1 to 128 ASCII letters, digits, `-` or `_`.
    pub fn new(context: &str, aggregate: &str, id: &str) -> Result<Self, InvalidSubject> {
        check(context, aggregate, id)?;
        Ok(Self(format!("{ROOT}.{context}.{aggregate}.{id}").into()))
    }

    /// Reads a subject from its written form.
    ///
    /// # Errors
    ///
    /// [`InvalidSubject`] when it is not four tokens, the first of them `eldercare`.
    pub fn parse(text: &str) -> Result<Self, InvalidSubject> {
        Self::received(text.into())
    }

    /// The subject of a message, as it came.
    pub(crate) fn received(subject: async_nats::Subject) -> Result<Self, InvalidSubject> {
        let mut tokens = subject.split('.');
        let (Some(ROOT), Some(context), Some(aggregate), Some(id), None) = (
            tokens.next(),
            tokens.next(),
            tokens.next(),
            tokens.next(),
            tokens.next(),
        ) else {
            return Err(InvalidSubject { part: "form" });
        };
        check(context, aggregate, id)?;
        Ok(Self(subject))
    }

    /// The context that owns the aggregate, such as `registry`.
    pub fn context(&self) -> &str {
        self.token(1)
    }

    /// The kind of aggregate, such as `elder`.
    pub fn aggregate(&self) -> &str {
        self.token(2)
    }

    /// Which aggregate of its kind.
    pub fn id(&self) -> &str {
        self.token(3)
    }

    /// The whole subject as text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    fn token(&self, index: usize) -> &str {
        self.as_str()
            .split('.')
            .nth(index)
            .expect("a subject has four tokens")
    }

    pub(crate) fn nats(&self) -> async_nats::Subject {
        self.0.clone()
    }
}

fn check(context: &str, aggregate: &str, id: &str) -> Result<(), InvalidSubject> {
    for (part, token) in [("context", context), ("aggregate", aggregate), ("id", id)] {
        if !is_token(token) {
            return Err(InvalidSubject { part });
        }
    }
    Ok(())
}

fn is_token(text: &str) -> bool {
    (1..=LONGEST_TOKEN).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

impl Hash for Subject {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl AsRef<str> for Subject {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_names_context_aggregate_and_id() {
        let subject = Subject::new("registry", "elder", "0197-aB_9").unwrap();
        assert_eq!(subject.to_string(), "eldercare.registry.elder.0197-aB_9");
        assert_eq!(subject.context(), "registry");
        assert_eq!(subject.aggregate(), "elder");
        assert_eq!(subject.id(), "0197-aB_9");
        assert_eq!(Subject::parse(subject.as_str()), Ok(subject));
    }

    #[test]
    fn wildcards_dots_and_blanks_are_no_tokens() {
        for id in ["", "*", ">", "a.b", "a b", "\u{9648}", &"x".repeat(129)] {
            assert_eq!(
                Subject::new("registry", "elder", id),
                Err(InvalidSubject { part: "id" })
            );
        }
        for text in [
            "eldercare.registry.elder",
            "other.registry.elder.1",
            "eldercare.a.b.c.d",
        ] {
            assert_eq!(Subject::parse(text), Err(InvalidSubject { part: "form" }));
        }
    }
}
