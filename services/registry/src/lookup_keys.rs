//! Under which keys ID numbers were made findable: the log remembers, so that the registry never starts without one of them.
//!
//! Without the key under which a claim was made the claim is not found, and the same person could be registered twice. So
//! each key is written down in the log before it is first used, by its name and a check value that gives nothing away.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use decider::Decider;
use eventlog::{
    Aggregate, CommandContext, DecodeError, Delivery, EventLog, ExecuteError, RawEvent, Repository,
};
use futures::StreamExt as _;
use prost::{Message, Name};
use proto::eldercare::registry::v1 as pb;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use vault::BlindIndex;

/// The kind of aggregate; there is one of it, [`ALL`].
pub const AGGREGATE: &str = "lookup_keys";

/// The one list of all keys.
const ALL: &str = "all";

/// The kind of aggregate of claims, whose ids begin with the name of their key.
const CLAIM: &str = "identity";

/// The keys that were ever used, by name, with their check values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LookupKeys(BTreeMap<String, [u8; 16]>);

/// A key is used from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adopted {
    /// Its name.
    pub key: String,
    /// What tells it from another key of that name.
    pub check_value: [u8; 16],
}

/// Why the registry can't work with the keys that are configured.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// What was registered under a key would not be found.
    #[error(
        "elders were registered under the lookup key `{0}`, which is not configured: without it they are not found by their \
         ID numbers, and could be registered twice. Put it into `vault.previous_index_keys`"
    )]
    Missing(String),
    /// The same with another key of that name.
    #[error(
        "the lookup key `{0}` is not the one under which elders were registered: give a new key a name of its own \
         (`vault.index_key_id`), and put the former one into `vault.previous_index_keys`"
    )]
    Another(String),
}

impl LookupKeys {
    /// Whether all keys that were ever used are configured.
    ///
    /// # Errors
    /// The first that is not.
    pub fn all_in(&self, index: &BlindIndex) -> Result<(), Unfit> {
        self.0
            .iter()
            .try_for_each(|(key, used)| match index.check_value(key) {
                None => Err(Unfit::Missing(key.clone())),
                Some(configured) if configured != *used => Err(Unfit::Another(key.clone())),
                Some(_) => Ok(()),
            })
    }
}

impl Decider for LookupKeys {
    /// Use this key.
    type Command = Adopted;
    type Event = Adopted;
    type Refusal = Unfit;

    fn decide(&self, adopt: &Adopted) -> Result<Vec<Adopted>, Unfit> {
        match self.0.get(&adopt.key) {
            None => Ok(vec![adopt.clone()]),
            Some(known) if *known == adopt.check_value => Ok(Vec::new()),
            Some(_) => Err(Unfit::Another(adopt.key.clone())),
        }
    }

    fn evolve(mut self, event: &Adopted) -> Self {
        self.0.insert(event.key.clone(), event.check_value);
        self
    }
}

impl Aggregate for LookupKeys {
    const CONTEXT: &'static str = "registry";
    const NAME: &'static str = AGGREGATE;

    fn encode(event: &Adopted) -> RawEvent {
        let message = pb::LookupKeyAdopted {
            key_id: event.key.clone(),
            check_value: event.check_value.to_vec().into(),
        };
        RawEvent {
            event_type: pb::LookupKeyAdopted::full_name(),
            data: message.encode_to_vec().into(),
        }
    }

    fn decode(raw: &RawEvent) -> Result<Adopted, DecodeError> {
        if raw.event_type != pb::LookupKeyAdopted::full_name() {
            return Err(DecodeError::unknown(raw));
        }
        let message = pb::LookupKeyAdopted::decode(raw.data.clone())
            .map_err(|_broken| DecodeError::malformed("message"))?;
        Ok(Adopted {
            key: message.key_id,
            check_value: <[u8; 16]>::try_from(&*message.check_value)
                .map_err(|_length| DecodeError::malformed("check_value"))?,
        })
    }
}

/// Sees to it that everything in the log can be found with these keys, and writes the current one down. Before anything
/// is registered or looked up.
///
/// # Errors
/// [`Unfit`], or where the log does not answer.
pub(crate) async fn settle(
    log: &std::sync::Arc<dyn EventLog>,
    index: &BlindIndex,
    now: DateTime<Utc>,
) -> anyhow::Result<()> {
    let lists = Repository::<LookupKeys>::new(std::sync::Arc::clone(log));
    let used = lists.load_newest(ALL).await?;
    if used.is_new()
        && let Some(key) = key_of_first_claim(log.as_ref()).await?
        && index.check_value(&key).is_none()
    {
        return Err(Unfit::Missing(key).into());
    }
    used.state.all_in(index)?;
    let key = index.current_key();
    let check_value = index
        .check_value(key)
        .expect("an index has its current key");
    let adopt = Adopted {
        key: key.to_owned(),
        check_value,
    };
    let request_id = Uuid::new_v4();
    let context = CommandContext {
        request_id,
        request_digest: check_value.into(),
        actor: "system:registry".to_owned(),
        now,
        correlation_id: request_id,
        causation_id: None,
        division: None,
        traceparent: None,
        answers: None,
        purpose: None,
    };
    match lists.execute(ALL, &context, &adopt).await {
        // Another replica may have written meanwhile.
        Ok(committed) => Ok(committed.state.state.all_in(index)?),
        Err(ExecuteError::Refused(unfit)) => Err(unfit.into()),
        Err(error) => Err(anyhow::anyhow!(
            "the log does not take the lookup key: {error:?}"
        )),
    }
}

/// The key under which the first claim was made, in a log from before keys were written down.
async fn key_of_first_claim(log: &dyn EventLog) -> anyhow::Result<Option<String>> {
    let last = log.last_sequence().await?;
    if last == 0 {
        return Ok(None);
    }
    let mut deliveries = log.subscribe(0).await?;
    while let Some(batch) = deliveries.next().await {
        for delivery in batch? {
            if let Delivery::Record(record) = &delivery
                && record.subject.aggregate() == CLAIM
            {
                let key = record.subject.id().split_once('-').map(|(key, _)| key);
                return Ok(key.map(str::to_owned));
            }
            if delivery.sequence() >= last {
                return Ok(None);
            }
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use decider::testing::given;
    use vault::{KeysConfig, Mode, SecretKey};

    use super::*;

    fn index(current: &str, keys: &[(&str, u8)]) -> BlindIndex {
        let key = |(name, byte): &(&str, u8)| ((*name).to_owned(), SecretKey::new([*byte; 32]));
        let keys: BTreeMap<_, _> = keys.iter().map(key).collect();
        let current = current.to_owned();
        BlindIndex::from_config(&KeysConfig { current, keys }, Mode::Local).unwrap()
    }

    fn adopted(key: &str, index: &BlindIndex) -> Adopted {
        Adopted {
            key: key.to_owned(),
            check_value: index.check_value(key).unwrap(),
        }
    }

    #[test]
    fn a_key_is_written_down_once() {
        let first = adopted("one", &index("one", &[("one", 1)]));
        given::<LookupKeys>([])
            .when(first.clone())
            .then([first.clone()]);
        given::<LookupKeys>([first.clone()])
            .when(first)
            .then_nothing();
    }

    #[test]
    fn another_key_of_the_same_name_is_refused() {
        let first = adopted("one", &index("one", &[("one", 1)]));
        let other = adopted("one", &index("one", &[("one", 2)]));
        given::<LookupKeys>([first])
            .when(other)
            .then_refused(Unfit::Another("one".to_owned()));
    }

    #[test]
    fn every_key_that_was_used_must_be_configured() {
        let both = index("two", &[("one", 1), ("two", 2)]);
        let used = LookupKeys::default()
            .evolve(&adopted("one", &both))
            .evolve(&adopted("two", &both));
        assert_eq!(used.all_in(&both), Ok(()));
        assert_eq!(
            used.all_in(&index("two", &[("two", 2)])),
            Err(Unfit::Missing("one".to_owned()))
        );
        assert_eq!(
            used.all_in(&index("two", &[("one", 3), ("two", 2)])),
            Err(Unfit::Another("one".to_owned()))
        );
    }

    #[test]
    fn events_survive_the_wire() {
        let event = adopted("one", &index("one", &[("one", 1)]));
        assert_eq!(LookupKeys::decode(&LookupKeys::encode(&event)), Ok(event));
    }
}
