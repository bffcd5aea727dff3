//! Who was erased, by ids alone: what a backup can't know of the time after it. Kept beside backups, and brought up to date by
//! each of them and whenever it is asked for.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use async_nats::jetstream::{Context, stream::Stream};
use chrono::{DateTime, Utc};
use prost::{Message as _, Name as _};
use proto::eldercare::{log::v1 as log, registry::v1 as registry};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    REGISTRY,
    contents::{self, Lying, Which},
    proven,
};

/// The file's name, beside backups and in each of them.
pub(super) const FILE: &str = "erasures.json";

/// Where the files of elders lie in the registry's log.
const FILES: &str = "eldercare.registry.elder.*";

/// Who was erased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Erasures {
    /// Nobody was erased before then who is missing here.
    pub(super) known_until: DateTime<Utc>,
    /// How far the log was read.
    read: Option<Place>,
    /// Each erasure, by the elder.
    pub(super) erased: BTreeMap<Uuid, Erasure>,
}

/// An erasure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Erasure {
    /// When, by the system's clock.
    pub(super) erased_at: DateTime<Utc>,
    /// The legal ground, as a code.
    pub(super) reason: String,
}

/// A message of the log. A log that was put back has other messages after it than there were.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    sequence: u64,
    /// When the server stored it, in nanoseconds since 1970.
    stored: i64,
}

impl Erasures {
    /// Nobody, as far as is known.
    pub(super) fn none(known_until: DateTime<Utc>) -> Self {
        Self {
            known_until,
            read: None,
            erased: BTreeMap::new(),
        }
    }

    /// Those in a file; none where there is no such file.
    pub(super) fn in_file(path: &Path) -> anyhow::Result<Option<Self>> {
        path.exists().then(|| proven::read(path)).transpose()
    }

    /// Writes the file.
    pub(super) fn write(&self, path: &Path) -> anyhow::Result<()> {
        proven::write(path, self)
    }

    /// Takes in those of another list.
    pub(super) fn join(&mut self, other: &Self) {
        self.known_until = self.known_until.max(other.known_until);
        for (elder, erasure) in &other.erased {
            let erasure = || erasure.clone();
            self.erased.entry(*elder).or_insert_with(erasure);
        }
    }

    /// Reads on in the registry's log to its end, where it is the log of before; from its beginning where it is another one, or was
    /// put back. Nobody who was ever named is forgotten.
    pub(super) async fn read_on(
        &mut self,
        server: &Context,
        now: DateTime<Utc>,
    ) -> anyhow::Result<()> {
        let log = registry_log(server).await?;
        let last = log.cached_info().state.last_sequence;
        let same = match self.read {
            Some(read) => stored(&log, read.sequence).await? == Some(read.stored),
            None => false,
        };
        let from = match self.read {
            Some(read) if same => read.sequence + 1,
            Some(_) | None => 1,
        };
        self.erased.extend(recorded(&log, from, last).await?);
        if let Some(stored) = stored(&log, last).await? {
            self.read = Some(Place {
                sequence: last,
                stored,
            });
        }
        self.known_until = self.known_until.max(now);
        Ok(())
    }
}

/// The registry's log as it stands.
pub(super) async fn registry_log(server: &Context) -> anyhow::Result<Stream> {
    let log = server.get_stream(REGISTRY).await;
    log.with_context(|| format!("the stream {REGISTRY}"))
}

/// The erasures that are recorded between two sequences of the registry's log, these included.
pub(super) async fn recorded(
    log: &Stream,
    from: u64,
    through: u64,
) -> anyhow::Result<BTreeMap<Uuid, Erasure>> {
    let mut erased = BTreeMap::new();
    let files = Which {
        subjects: FILES,
        from,
        through,
    };
    contents::read(log, files, |lying| {
        erased.extend(erasure(&lying));
        Ok(())
    })
    .await?;
    Ok(erased)
}

/// Whom a record tells to be erased. What can't be read tells of nobody: the registry has parked it where an operator sees it.
fn erasure(lying: &Lying<'_>) -> Option<(Uuid, Erasure)> {
    let message = lying.message;
    let record = log::Record::decode(message.payload.clone()).ok()?;
    let tells = registry::ElderErased::full_name();
    let event = record.events.iter().find(|event| event.r#type == tells)?;
    let event = registry::ElderErased::decode(event.data.clone()).ok()?;
    let elder = message.subject.rsplit('.').next()?.parse().ok()?;
    let time = message.headers.as_ref()?.get("ce-time")?;
    let erasure = Erasure {
        erased_at: time.as_str().parse().ok()?,
        reason: event.reason,
    };
    Some((elder, erasure))
}

/// When the server stored a message, in nanoseconds since 1970; none where there is no such message.
async fn stored(log: &Stream, sequence: u64) -> anyhow::Result<Option<i64>> {
    use async_nats::jetstream::stream::LastRawMessageErrorKind::NoMessageFound;

    if sequence == 0 {
        return Ok(None);
    }
    match log.get_raw_message(sequence).await {
        Ok(message) => Ok(i64::try_from(message.time.unix_timestamp_nanos()).ok()),
        Err(error) if error.kind() == NoMessageFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Where it is noted beside a backup who was erased since.
pub(super) fn beside(backup: &Path) -> PathBuf {
    let backup = std::path::absolute(backup).unwrap_or_else(|_| backup.to_owned());
    backup.with_file_name(FILE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn with(elder: u128, reason: &str, known_until: &str) -> Erasures {
        let erasure = Erasure {
            erased_at: at("2026-10-01T00:00:00Z"),
            reason: reason.to_owned(),
        };
        Erasures {
            erased: [(Uuid::from_u128(elder), erasure)].into(),
            ..Erasures::none(at(known_until))
        }
    }

    #[test]
    fn lists_are_joined_and_nobody_is_forgotten() {
        let mut joined = with(1, "ASKED_BY_ELDER", "2026-10-02T00:00:00Z");
        joined.join(&with(2, "COURT_ORDER", "2026-10-03T00:00:00Z"));
        joined.join(&with(1, "COURT_ORDER", "2026-10-01T00:00:00Z"));
        assert_eq!(joined.known_until, at("2026-10-03T00:00:00Z"));
        let reasons = joined.erased.values().map(|one| one.reason.as_str());
        assert_eq!(
            reasons.collect::<Vec<_>>(),
            ["ASKED_BY_ELDER", "COURT_ORDER"]
        );
    }

    #[test]
    fn a_list_comes_back_from_its_file() {
        let ground = tempfile::tempdir().unwrap();
        let path = ground.path().join(FILE);
        assert_eq!(Erasures::in_file(&path).unwrap(), None);
        let list = with(1, "ASKED_BY_ELDER", "2026-10-02T00:00:00Z");
        list.write(&path).unwrap();
        assert_eq!(Erasures::in_file(&path).unwrap(), Some(list));
        assert_eq!(beside(&ground.path().join("20261123T144822125Z")), path);
    }
}
