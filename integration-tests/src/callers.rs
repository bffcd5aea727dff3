//! Who calls: an officer of civil affairs with every role, another one who reviews, and a service of the system.

use proto::eldercare::{
    alerts::v1::alert_service_client::AlertServiceClient,
    claims::v1::claims_service_client::ClaimsServiceClient,
    registry::v1::{
        registry_service_client::RegistryServiceClient, vault_service_client::VaultServiceClient,
    },
    sharing::v1::sharing_service_client::SharingServiceClient,
    simulation::v1::simulation_service_client::SimulationServiceClient,
    tiering::v1::tiering_service_client::TieringServiceClient,
    visits::v1::visit_service_client::VisitServiceClient,
};
pub use service::testing::Authorised;
use service::{Claims, TokenIssuer, testing::Bearer};
use tonic::service::interceptor::InterceptedService;

use crate::{lines::Lines, process::Part};

/// The largest answer that is taken.
const LARGEST_ANSWER: usize = 64 << 20;

/// The registry, as a caller sees it.
pub type Registry = RegistryServiceClient<Authorised>;
/// Tiering, as a caller sees it.
pub type Tiering = TieringServiceClient<Authorised>;
/// Visits, as a caller sees them.
pub type Visits = VisitServiceClient<Authorised>;
/// Alerts, as a caller sees them.
pub type Alerts = AlertServiceClient<Authorised>;
/// Claims, as a caller sees them.
pub type Care = ClaimsServiceClient<Authorised>;
/// Sharing, as a caller sees it.
pub type Sharing = SharingServiceClient<Authorised>;
/// The vault, as a caller sees it.
pub type Vault = VaultServiceClient<Authorised>;
/// The clock, as a caller sees it.
pub type Simulation = SimulationServiceClient<Authorised>;

/// An officer of civil affairs with every role, for all divisions, with a purpose.
pub fn officer() -> Claims {
    service::testing::anybody()
}

/// Another officer of civil affairs, who decides on what the first one has recorded.
pub fn reviewer() -> Claims {
    Claims::officer("test-reviewer", "civil_affairs")
        .division("*")
        .role("supervisor")
        .purpose("review")
}

/// A service of the system, which may ask for keys.
pub fn service_of_the_system() -> Claims {
    service_named("visits")
}

/// A service of the system by its name, which is also what it asks for.
pub(crate) fn service_named(name: &str) -> Claims {
    Claims::system(name, "platform")
        .division("*")
        .role("service")
        .purpose(name)
}

/// A gateway, which passes on what devices say.
pub fn gateway() -> Claims {
    Claims::system("gateway", "platform")
        .division("*")
        .role("device_gateway")
}

/// A caller: lines with a token.
#[derive(Clone, Debug)]
pub struct Caller {
    lines: Lines,
    bearer: Bearer,
}

impl Caller {
    /// Whoever the claims say.
    pub fn new(lines: Lines, issuer: &TokenIssuer, claims: &Claims) -> Self {
        let bearer = Bearer::of(&issuer.issue(claims));
        Self { lines, bearer }
    }

    /// The channel of the caller to a part.
    pub fn channel(&self, part: Part) -> Authorised {
        InterceptedService::new(self.lines.to(part).clone(), self.bearer.clone())
    }

    /// The registry.
    pub fn registry(&self) -> Registry {
        RegistryServiceClient::new(self.channel(Part::Elders))
            .max_decoding_message_size(LARGEST_ANSWER)
    }

    /// Tiering.
    pub fn tiering(&self) -> Tiering {
        TieringServiceClient::new(self.channel(Part::Elders))
            .max_decoding_message_size(LARGEST_ANSWER)
    }

    /// Visits.
    pub fn visits(&self) -> Visits {
        VisitServiceClient::new(self.channel(Part::Visits))
            .max_decoding_message_size(LARGEST_ANSWER)
    }

    /// Alerts.
    pub fn alerts(&self) -> Alerts {
        AlertServiceClient::new(self.channel(Part::Alerts))
            .max_decoding_message_size(LARGEST_ANSWER)
    }

    /// Claims.
    pub fn claims(&self) -> Care {
        ClaimsServiceClient::new(self.channel(Part::Claims))
            .max_decoding_message_size(LARGEST_ANSWER)
    }

    /// Sharing.
    pub fn sharing(&self) -> Sharing {
        SharingServiceClient::new(self.channel(Part::Sharing))
            .max_decoding_message_size(LARGEST_ANSWER)
    }

    /// The vault.
    pub fn vault(&self) -> Vault {
        VaultServiceClient::new(self.channel(Part::Elders))
    }

    /// The clock of a part.
    pub fn simulation(&self, part: Part) -> Simulation {
        SimulationServiceClient::new(self.channel(part))
    }
}
