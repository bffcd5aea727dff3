//! The keys of persons for the other services of the system.

use proto::eldercare::registry::v1::{self as pb, vault_service_server::VaultService};
use service::{Action, Actions, access};
use tonic::{Request, Response, Status};
use vault::Algorithm;

use crate::{call::Call, parse, refusals, registry::Registry};

/// The gRPC face of the vault.
#[derive(Clone)]
pub(crate) struct VaultFace {
    registry: Registry,
}

impl VaultFace {
    pub(crate) fn new(registry: Registry) -> Self {
        Self { registry }
    }
}

/// What its methods do.
pub(crate) fn actions() -> Actions {
    Actions::new().declare(
        "eldercare.registry.v1.VaultService",
        &[("GetKeys", Action::Unseal)],
    )
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
        access::record(&call.caller, "GetKeys", &given);
        let keys = given.iter().filter_map(|elder| {
            let key = found.get(&elder.as_uuid())?;
            Some(pb::DataKey {
                elder_id: elder.to_string(),
                algorithm: algorithm(key.algorithm()).to_owned(),
                key: key.expose().to_vec().into(),
            })
        });
        Ok(Response::new(pb::GetKeysResponse {
            keys: keys.collect(),
        }))
    }
}

/// The cipher by its name in `SealingAlgorithm`.
fn algorithm(algorithm: Algorithm) -> &'static str {
    use proto::eldercare::r#type::v1::SealingAlgorithm;
    SealingAlgorithm::from(algorithm).as_str_name()
}
