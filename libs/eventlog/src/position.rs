//! A place in the log: which stream, and the how-manieth record of it.

use std::{fmt, str::FromStr};

/// A record's place, written `STREAM:sequence`, such as `REGISTRY:123`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Position {
    /// The stream's name.
    pub stream: String,
    /// The record's sequence in it, from 1 on; 0 is before the first.
    pub sequence: u64,
}

/// The text is not of the form `STREAM:sequence`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a position is written STREAM:sequence, such as REGISTRY:123")]
pub struct InvalidPosition;

impl Position {
    /// A place in a stream.
    pub fn new(stream: impl Into<String>, sequence: u64) -> Self {
        Self {
            stream: stream.into(),
            sequence,
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.stream, self.sequence)
    }
}

impl FromStr for Position {
    type Err = InvalidPosition;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (stream, sequence) = text.split_once(':').ok_or(InvalidPosition)?;
        let well_named = (1..=64).contains(&stream.len())
            && stream
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        // `parse` alone would take "+5".
        let digits = !sequence.is_empty() && sequence.bytes().all(|byte| byte.is_ascii_digit());
        if !well_named || !digits {
            return Err(InvalidPosition);
        }
        let sequence = sequence.parse().map_err(|_| InvalidPosition)?;
        Ok(Self::new(stream, sequence))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_read_as_it_is_written() {
        let position = Position::new("REGISTRY", 123);
        assert_eq!(position.to_string(), "REGISTRY:123");
        assert_eq!("REGISTRY:123".parse(), Ok(position));
    }

    #[test]
    fn anything_else_is_no_position() {
        for text in [
            "",
            "REGISTRY",
            ":1",
            "REGISTRY:",
            "REGISTRY:-1",
            "REGISTRY:+1",
            "A B:1",
            "R:1:2",
            "R:99999999999999999999",
        ] {
            assert_eq!(text.parse::<Position>(), Err(InvalidPosition), "{text:?}");
        }
    }
}
