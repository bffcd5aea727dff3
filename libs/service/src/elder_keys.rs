//! The keys of elders for services that do not own them: asked of the registry, remembered for a while, dropped when the elder is erased.
//! Single keys that are needed at the same time are asked for together.
//!
//! ```no_run
//! # async fn connect(settings: &service::Settings, connections: service::Connections) -> anyhow::Result<()> {
//! use service::{Background, elder_keys::{self, Erasures}};
//!
//! let registry = connections.log_of("registry").await?;
//! let vault = elder_keys::of_registry(settings)?;
//! let erasures = Erasures::from_now(vault.clone(), registry).await;
//! let background = Background::new().with("forget_erased", |stopped| erasures.run(stopped));
//! # Ok(()) }
//! ```
//!
//! It needs `peers.registry` and `auth.service_token` of a system that may `unseal`, with a purpose. What is remembered is bounded in
//! number (`vault.remembered_keys`) and in time (ten minutes), so that a process that misses an erasure forgets too.

use std::{
    collections::{BTreeSet, HashMap},
    slice,
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use civic::ElderId;
use eventlog::{Delivery, EventLog};
use futures::{StreamExt as _, future::join_all};
use prost::Name as _;
use proto::eldercare::{
    registry::v1::{
        DataKey as HandedOut, ElderErased, GetKeysRequest, vault_service_client::VaultServiceClient,
    },
    r#type::v1::SealingAlgorithm,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Status};
use vault::{Algorithm, DataKey, KeySource, PersonId, Unavailable, Vault, VaultOptions};

use crate::{
    Gathering,
    connections::last_sequence,
    errors,
    peer::{self, PeerChannel, PeerError},
    settings::Settings,
};

/// How long the registry may take to hand out keys.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many single keys are asked for together.
const TOGETHER: usize = 500;

/// Before the log is asked again after it failed.
const AGAIN: Duration = Duration::from_secs(1);

/// The keys of elders, from the registry that `peers.registry` names. It connects with the first key that is asked for.
///
/// `KeyError::Erased` says that an elder has no key any more; `Unavailable::Source` that the registry does not answer;
/// `Unavailable::Refused` that it does not know this service as one that may have keys.
///
/// # Errors
/// If `peers.registry` is missing or no address.
pub fn of_registry(settings: &Settings) -> Result<Vault, PeerError> {
    let options = VaultOptions {
        remembered: settings.vault.remembered_keys,
        ..VaultOptions::default()
    };
    let client = VaultServiceClient::new(peer::channel(settings, "registry")?);
    Ok(Vault::read_only(
        Arc::new(RegistryKeys::new(client)),
        options,
    ))
}

type Client = VaultServiceClient<PeerChannel>;

/// The registry's `VaultService`.
struct RegistryKeys {
    client: Client,
    /// Where those come together who need one key each.
    single: Gathering<PersonId, Result<Arc<Answer>, Status>>,
}

impl RegistryKeys {
    fn new(client: Client) -> Self {
        let asked = client.clone();
        let single = move |persons| hand_out_each(asked.clone(), persons);
        Self {
            client,
            single: Gathering::new(TOGETHER, single),
        }
    }
}

#[async_trait]
impl KeySource for RegistryKeys {
    async fn fetch(&self, persons: &[PersonId]) -> Result<Vec<(PersonId, DataKey)>, Unavailable> {
        let keys = match persons {
            [person] => {
                let handed_out = self.single.ask(*person).await;
                handed_out.unwrap_or_else(|| Err(errors::unavailable("the registry")))
            }
            _ => handed_out(&self.client, persons).await,
        };
        let keys = keys.map_err(not_handed_out)?;
        keys.of(persons)
            .ok_or_else(|| Unavailable::Source(MALFORMED.into()))
    }
}

/// What the registry has handed out, by whom each key is of: looked through once, however many share the answer.
struct Answer {
    keys: HashMap<PersonId, HandedOut>,
    /// There is a key among them of which it can't be said whose it is.
    ownerless: bool,
}

impl Answer {
    fn new(handed_out: Vec<HandedOut>) -> Self {
        let (mut keys, mut ownerless) = (HashMap::with_capacity(handed_out.len()), false);
        for key in handed_out {
            match key.elder_id.parse::<ElderId>() {
                Ok(owner) => {
                    keys.insert(owner.as_uuid(), key);
                }
                Err(_) => ownerless = true,
            }
        }
        Self { keys, ownerless }
    }

    /// The keys of these persons, and of no others; none where one of them is no key, or may be that of one of them.
    fn of(&self, persons: &[PersonId]) -> Option<Vec<(PersonId, DataKey)>> {
        if self.ownerless {
            return None;
        }
        let ours = persons
            .iter()
            .filter_map(|person| Some((*person, self.keys.get(person)?)));
        ours.map(|(person, key)| Some((person, read(key)?)))
            .collect()
    }
}

/// What is handed out to each who needs the key of one of these persons: what there is of all of them.
async fn hand_out_each(client: Client, persons: Vec<PersonId>) -> Vec<Result<Arc<Answer>, Status>> {
    match handed_out(&client, &persons).await {
        Err(status) if persons.len() > 1 && may_be_of_one(&status) => {
            // One of them may be to blame, and the registry does not say which.
            let alone = persons.iter().map(slice::from_ref);
            join_all(alone.map(|person| handed_out(&client, person))).await
        }
        answer => vec![answer; persons.len()],
    }
}

/// Whether one of the persons may be to blame for this. A registry that is away or busy is not asked again for each of them.
fn may_be_of_one(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::NotFound | Code::InvalidArgument | Code::FailedPrecondition | Code::Internal
    )
}

async fn handed_out(client: &Client, persons: &[PersonId]) -> Result<Arc<Answer>, Status> {
    let persons: BTreeSet<&PersonId> = persons.iter().collect();
    let mut request = Request::new(GetKeysRequest {
        elder_ids: persons.iter().map(ToString::to_string).collect(),
    });
    request.set_timeout(PATIENCE);
    let answer = client.clone().get_keys(request).await?;
    Ok(Arc::new(Answer::new(answer.into_inner().keys)))
}

const MALFORMED: &str = "the registry handed out a key that is none";

fn not_handed_out(status: Status) -> Unavailable {
    if matches!(
        status.code(),
        Code::PermissionDenied | Code::Unauthenticated
    ) {
        Unavailable::Refused(Box::new(status))
    } else {
        Unavailable::Source(Box::new(status))
    }
}

fn read(key: &HandedOut) -> Option<DataKey> {
    let algorithm = SealingAlgorithm::from_str_name(&key.algorithm)?;
    let algorithm = Algorithm::try_from(algorithm).ok()?;
    DataKey::from_bytes(algorithm, &key.key).ok()
}

/// Drops the keys of those whom the registry's log calls erased. Every replica runs it, of the registry too, since each
/// remembers for itself.
pub struct Erasures {
    vault: Vault,
    registry: Arc<dyn EventLog>,
    /// How far the log is followed.
    after: watch::Sender<u64>,
    erased: String,
}

/// Follows how far a process has got with [`Erasures`].
#[derive(Debug, Clone)]
pub struct Forgotten(watch::Receiver<u64>);

impl Forgotten {
    /// Waits until whoever was erased up to this sequence of the registry's log is forgotten.
    pub async fn reaches(&self, sequence: u64) {
        let mut followed = self.0.clone();
        if followed.wait_for(|after| *after >= sequence).await.is_err() {
            // Nobody follows any more: the process ends.
            std::future::pending().await
        }
    }
}

impl Erasures {
    /// Those from now on: ask it before the first key. The log is waited for while it is away.
    pub async fn from_now(vault: Vault, registry: Arc<dyn EventLog>) -> Self {
        let after = last_sequence(registry.as_ref()).await;
        Self {
            vault,
            registry,
            after: watch::Sender::new(after),
            erased: ElderErased::full_name(),
        }
    }

    /// Follows how far it has got.
    #[must_use]
    pub fn forgotten(&self) -> Forgotten {
        Forgotten(self.after.subscribe())
    }

    /// Follows the log until stopped.
    pub async fn run(self, stopped: CancellationToken) {
        stopped.run_until_cancelled(self.follow()).await;
    }

    async fn follow(&self) {
        loop {
            let after = *self.after.borrow();
            match self.registry.subscribe(after).await {
                Ok(mut deliveries) => {
                    while let Some(delivered) = deliveries.next().await {
                        match delivered {
                            Ok(batch) => {
                                let last = batch.iter().map(|one| self.take(one)).last();
                                last.map(|last| self.after.send_replace(last));
                            }
                            Err(error) => {
                                tracing::error!(%error, "the registry's log can't be followed");
                                break;
                            }
                        }
                    }
                }
                Err(error) => tracing::warn!(%error, "the registry's log is away"),
            }
            // The log may have been put back to an earlier state: what it said of erasures until now is missed.
            tokio::time::sleep(AGAIN).await;
            let after = last_sequence(self.registry.as_ref()).await;
            self.vault.forget_all();
            self.after.send_replace(after);
        }
    }

    /// Takes one in; its sequence.
    fn take(&self, delivery: &Delivery) -> u64 {
        match delivery {
            Delivery::Record(record) => {
                if record.tells_of(&self.erased)
                    && let Ok(elder) = record.subject.id().parse::<ElderId>()
                {
                    self.vault.mark_erased(elder.as_uuid());
                }
                record.sequence
            }
            // It may have been an erasure; what is remembered is fetched again.
            Delivery::Unreadable { sequence, .. } => {
                self.vault.forget_all();
                *sequence
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn handed_out(owner: &str, length: usize) -> HandedOut {
        HandedOut {
            elder_id: owner.to_owned(),
            algorithm: SealingAlgorithm::Sm4Gcm.as_str_name().to_owned(),
            key: vec![7; length].into(),
        }
    }

    #[test]
    fn each_who_shares_an_answer_gets_the_keys_that_they_asked_for() {
        let [known, broken, erased] = [1, 2, 3].map(Uuid::from_u128);
        let answer = Answer::new(vec![
            handed_out(&known.to_string(), 16),
            handed_out(&broken.to_string(), 3),
        ]);
        let of = |persons: &[PersonId]| {
            let keys = answer.of(persons)?;
            let whose = keys.into_iter().map(|(person, _key)| person);
            Some(whose.collect::<Vec<PersonId>>())
        };
        assert_eq!(of(&[known, erased]), Some(vec![known]));
        assert_eq!(of(&[erased]), Some(vec![]));
        // Whoever needs the one that is no key does not go on without it; the others do.
        assert_eq!(of(&[known, broken]), None);
    }

    #[test]
    fn of_a_key_whose_owner_cannot_be_read_nobody_says_whose_it_is() {
        let known = Uuid::from_u128(1);
        let keys = [known.to_string(), "nobody".to_owned()];
        let answer = Answer::new(keys.iter().map(|owner| handed_out(owner, 16)).collect());
        assert!(answer.of(&[known]).is_none());
    }
}
