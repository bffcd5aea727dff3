//! The number by which the platform knows an elder, and which says nothing about the person.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// An elder, by a UUID that the registry gave: no personal data, so that logs and subjects may carry it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ElderId(pub Uuid);

/// Something is no elder's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an elder's id, which is a UUID")]
pub struct ElderIdError;

impl ElderId {
    /// The UUID.
    #[must_use]
    pub fn as_uuid(&self) -> Uuid {
        self.0
    }

    /// The 16 bytes of the UUID, as sealed envelopes name their person.
    ///
    /// # Errors
    ///
    /// When these are not 16 bytes.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, ElderIdError> {
        Uuid::from_slice(bytes).map(Self).map_err(|_| ElderIdError)
    }
}

impl From<Uuid> for ElderId {
    fn from(uuid: Uuid) -> Self {
        Self(uuid)
    }
}

impl From<ElderId> for Uuid {
    fn from(elder: ElderId) -> Self {
        elder.0
    }
}

/// Only the hyphenated form of 36 characters, so that an elder has one spelling (and one subject); capitals are
/// understood.
impl FromStr for ElderId {
    type Err = ElderIdError;

    fn from_str(text: &str) -> Result<Self, ElderIdError> {
        if text.len() != 36 {
            return Err(ElderIdError);
        }
        Uuid::try_parse(text).map(Self).map_err(|_| ElderIdError)
    }
}

impl fmt::Display for ElderId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_from_its_text_and_its_bytes() {
        let text = "0192f3a4-5b6c-7d8e-9f01-23456789abcd";
        let elder: ElderId = text.parse().unwrap();
        assert_eq!(elder.to_string(), text);
        assert_eq!(ElderId::from_slice(elder.as_uuid().as_bytes()), Ok(elder));
        assert_eq!(
            serde_json::to_string(&elder).unwrap(),
            format!("\"{text}\"")
        );
    }

    #[test]
    fn other_spellings_are_refused() {
        for text in [
            "",
            "0192f3a45b6c7d8e9f0123456789abcd",
            "{0192f3a4-5b6c-7d8e-9f01-23456789abcd}",
            "350524",
        ] {
            assert_eq!(text.parse::<ElderId>(), Err(ElderIdError));
        }
    }
}
