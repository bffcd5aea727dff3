//! What a bulk load can do for records of elders before their turn comes: they are decoded, and new names digested.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use civic::ElderId;
use elders::{Event, codec, purpose};
use eventlog::{Delivery, Record};
use proto::eldercare::registry::v1 as pb;
use readmodel::Ahead;
use uuid::Uuid;
use vault::{BlindIndex, DataKey, Sealed, Vault};

use crate::elders_table::NAME;

/// Opens names, and digests them; what it prepared waits for its turn.
pub(crate) struct EldersAhead {
    vault: Vault,
    index: BlindIndex,
    prepared: Mutex<BTreeMap<u64, Prepared>>,
}

/// A record that was prepared.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// All its events.
    pub(crate) events: Vec<Event>,
    /// The digest of the name that it gives; none where it gives none, or where the key is gone.
    pub(crate) name_digest: Option<Vec<u8>>,
}

impl EldersAhead {
    pub(crate) fn new(vault: Vault, index: BlindIndex) -> Self {
        Self {
            vault,
            index,
            prepared: Mutex::default(),
        }
    }

    fn prepared(&self) -> MutexGuard<'_, BTreeMap<u64, Prepared>> {
        self.prepared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was prepared of these records. What was prepared of earlier ones is forgotten.
    pub(crate) fn take(&self, records: &[&Record]) -> HashMap<u64, Prepared> {
        let mut prepared = self.prepared();
        if prepared.is_empty() {
            return HashMap::new();
        }
        let last = records.last().map_or(0, |record| record.sequence);
        let later = prepared.split_off(&(last + 1));
        std::mem::replace(&mut *prepared, later)
            .into_iter()
            .collect()
    }

    pub(crate) fn forget(&self) {
        self.prepared().clear();
    }

    /// The digest of a person's name, if the person's key opens it.
    pub(crate) fn digest(
        &self,
        person: Uuid,
        identity: &Sealed<pb::Identity>,
        key: &DataKey,
    ) -> Option<Vec<u8>> {
        let identity = key.open(purpose::IDENTITY, person, identity).ok()?;
        Some(self.index.digest(NAME, &identity.name).as_bytes().to_vec())
    }
}

/// The name that the last of some events gives.
fn identity(events: &[Event]) -> Option<&Sealed<pb::Identity>> {
    events.iter().rev().find_map(|event| {
        if let Event::Registered(registered) = event {
            Some(&registered.identity)
        } else if let Event::IdentityCorrected(corrected) = event {
            Some(&corrected.identity)
        } else {
            None
        }
    })
}

#[async_trait]
impl Ahead for EldersAhead {
    async fn prepare(&self, deliveries: &[Delivery]) {
        let mut decoded = Vec::new();
        let mut named = Vec::new();
        for delivery in deliveries {
            let Delivery::Record(record) = delivery else {
                continue;
            };
            let Ok(elder) = record.subject.id().parse::<ElderId>() else {
                continue;
            };
            let events: Result<Vec<_>, _> = record.events.iter().map(codec::decode).collect();
            // What can't be read is parked when its turn comes.
            if let ("elder", Ok(events)) = (record.subject.aggregate(), events) {
                if identity(&events).is_some() {
                    named.push(elder.as_uuid());
                }
                decoded.push((record.sequence, elder.as_uuid(), events));
            }
        }
        // If keys can't be had now, they are asked for again when their turn comes.
        let keys: HashMap<Uuid, Arc<DataKey>> =
            self.vault.keys_in_passing(&named).await.unwrap_or_default();
        let prepared: Vec<_> = decoded
            .into_iter()
            .map(|(sequence, person, events)| {
                let name_digest = identity(&events)
                    .zip(keys.get(&person))
                    .and_then(|(identity, key)| self.digest(person, identity, key));
                (
                    sequence,
                    Prepared {
                        events,
                        name_digest,
                    },
                )
            })
            .collect();
        self.prepared().extend(prepared);
    }
}
