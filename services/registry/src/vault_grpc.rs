//! The keys of persons for the other services of the system, and the change of the key that locks them.

use std::sync::Arc;

use proto::eldercare::registry::v1::{
    self as pb,
    vault_service_server::{SERVICE_NAME, VaultService},
};
use service::{Action, Actions};
use tokio::sync::{Mutex, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};
use tracing::{Instrument as _, Span};
use vault::{Algorithm, DataKey, RotationProgress};

use crate::{call::Call, parse, refusals, registry::Registry};

/// What a data key opens.
const KEYS: &[&str] = &["person.key"];

/// The gRPC face of the vault.
#[derive(Clone)]
pub(crate) struct VaultFace {
    registry: Registry,
    /// Held while keys are wrapped anew.
    rotating: Arc<Mutex<()>>,
}

impl VaultFace {
    pub(crate) fn new(registry: Registry) -> Self {
        Self {
            registry,
            rotating: Arc::default(),
        }
    }
}

/// The service that tells people of calls for help. Without keys it tells nobody.
const ALERTS: &str = "alerts";

/// What its methods do, and which is urgent, and whose.
pub(crate) fn actions() -> Actions {
    let declared = Actions::new().declare(
        SERVICE_NAME,
        &[
            ("GetKeys", Action::Unseal),
            ("CreateKeys", Action::Unseal),
            ("RotateKeys", Action::Operate),
        ],
    );
    declared.urgent_of(&[ALERTS], SERVICE_NAME, &["GetKeys"])
}

#[tonic::async_trait]
impl VaultService for VaultFace {
    async fn get_keys(
        &self,
        request: Request<pb::GetKeysRequest>,
    ) -> Result<Response<pb::GetKeysResponse>, Status> {
        let call = Call::of(&request, &self.registry.clock)?;
        let elders = parse::queries::keys(request.get_ref())?;
        call.caller.may_everywhere()?;
        let persons: Vec<_> = elders.iter().map(|elder| elder.as_uuid()).collect();
        let found = self
            .registry
            .vault
            .keys(&persons)
            .await
            .map_err(refusals::of_keys)?;
        let given: Vec<_> = elders
            .into_iter()
            .filter(|elder| found.contains_key(&elder.as_uuid()))
            .collect();
        call.caller.told("GetKeys", &given, KEYS).await?;
        let keys = given.iter().filter_map(|elder| {
            let key = found.get(&elder.as_uuid())?;
            Some(told(elder.to_string(), key))
        });
        Ok(Response::new(pb::GetKeysResponse {
            keys: keys.collect(),
        }))
    }

    async fn create_keys(
        &self,
        request: Request<pb::CreateKeysRequest>,
    ) -> Result<Response<pb::CreateKeysResponse>, Status> {
        let call = Call::of(&request, &self.registry.clock)?;
        let persons = parse::queries::new_persons(request.get_ref())?;
        call.caller.may_everywhere()?;
        call.caller.told("CreateKeys", &persons, KEYS).await?;
        let keys = self
            .registry
            .vault
            .create_all(&persons)
            .await
            .map_err(refusals::of_new_key)?;
        let keys = persons
            .iter()
            .zip(&keys)
            .map(|(person, key)| told(person.to_string(), key));
        Ok(Response::new(pb::CreateKeysResponse {
            keys: keys.collect(),
        }))
    }

    type RotateKeysStream = ReceiverStream<Result<pb::RotateKeysResponse, Status>>;

    async fn rotate_keys(
        &self,
        request: Request<pb::RotateKeysRequest>,
    ) -> Result<Response<Self::RotateKeysStream>, Status> {
        let call = Call::of(&request, &self.registry.clock)?;
        let key = parse::queries::key_encryption_key(request.into_inner())?;
        call.caller.may_everywhere()?;
        let alone = Arc::clone(&self.rotating)
            .try_lock_owned()
            .map_err(|_held| refusals::rotation_under_way())?;
        let (sender, answers) = mpsc::channel(UNREAD);
        let vault = self.registry.vault.clone();
        let rotating = async move {
            // A reader that falls behind misses some progress, never the end; one that goes stops nothing.
            let told = |progress| {
                let _ = sender.try_send(Ok(rotated(progress, false)));
            };
            let outcome = vault.rotate_to(&key, told).await;
            let answer = outcome.map(|progress| rotated(progress, true));
            let _ = sender.send(answer.map_err(refusals::of_rotation)).await;
            drop(alone);
        };
        tokio::spawn(rotating.instrument(Span::current()));
        Ok(Response::new(ReceiverStream::new(answers)))
    }
}

fn told(person: String, key: &DataKey) -> pb::DataKey {
    pb::DataKey {
        elder_id: person,
        algorithm: algorithm(key.algorithm()).to_owned(),
        key: key.expose().to_vec().into(),
    }
}

/// How many messages of a stream wait for a slow reader.
const UNREAD: usize = 16;

fn rotated(progress: RotationProgress, done: bool) -> pb::RotateKeysResponse {
    let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    pb::RotateKeysResponse {
        keys_total: signed(progress.total),
        keys_examined: signed(progress.examined),
        keys_rewrapped: signed(progress.rewrapped),
        done,
    }
}

/// The cipher by its name in `SealingAlgorithm`.
fn algorithm(algorithm: Algorithm) -> &'static str {
    use proto::eldercare::r#type::v1::SealingAlgorithm;
    SealingAlgorithm::from(algorithm).as_str_name()
}
