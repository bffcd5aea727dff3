//! Who calls: an officer of civil affairs with every role, and a service of the system.

use proto::eldercare::{
    registry::v1::{
        registry_service_client::RegistryServiceClient, vault_service_client::VaultServiceClient,
    },
    simulation::v1::simulation_service_client::SimulationServiceClient,
    tiering::v1::tiering_service_client::TieringServiceClient,
};
use service::{Claims, TokenIssuer};
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::Channel,
};

/// The largest answer that is taken.
const LARGEST_ANSWER: usize = 64 << 20;

/// The channel of a caller.
pub type Authorised = InterceptedService<Channel, Bearer>;
/// The registry, as a caller sees it.
pub type Registry = RegistryServiceClient<Authorised>;
/// Tiering, as a caller sees it.
pub type Tiering = TieringServiceClient<Authorised>;
/// The vault, as a caller sees it.
pub type Vault = VaultServiceClient<Authorised>;
/// The clock, as a caller sees it.
pub type Simulation = SimulationServiceClient<Authorised>;

/// Shows a token with each call.
#[derive(Clone, Debug)]
pub struct Bearer(MetadataValue<Ascii>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request
            .metadata_mut()
            .insert("authorization", self.0.clone());
        Ok(request)
    }
}

/// An officer of civil affairs with every role, for all divisions, with a purpose.
pub fn officer() -> Claims {
    service::testing::anybody()
}

/// A service of the system, which may ask for keys.
pub fn service_of_the_system() -> Claims {
    Claims::system("visits", "platform")
        .division("*")
        .role("service")
}

/// A caller: a channel with a token.
#[derive(Clone, Debug)]
pub struct Caller {
    channel: Channel,
    bearer: Bearer,
}

impl Caller {
    /// Whoever the claims say, on a channel.
    pub fn new(channel: Channel, issuer: &TokenIssuer, claims: &Claims) -> Self {
        let bearer = Bearer(format!("Bearer {}", issuer.issue(claims)).parse().unwrap());
        Self { channel, bearer }
    }

    /// The channel of the caller.
    pub fn channel(&self) -> Authorised {
        InterceptedService::new(self.channel.clone(), self.bearer.clone())
    }

    /// The registry.
    pub fn registry(&self) -> Registry {
        RegistryServiceClient::new(self.channel()).max_decoding_message_size(LARGEST_ANSWER)
    }

    /// Tiering.
    pub fn tiering(&self) -> Tiering {
        TieringServiceClient::new(self.channel()).max_decoding_message_size(LARGEST_ANSWER)
    }

    /// The vault.
    pub fn vault(&self) -> Vault {
        VaultServiceClient::new(self.channel())
    }

    /// The clock.
    pub fn simulation(&self) -> Simulation {
        SimulationServiceClient::new(self.channel())
    }
}
