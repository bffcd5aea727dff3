//! Who may speak to the NATS server though it is none of our services (a device, a feed), and what an acknowledgement means to them.
//!
//! - [`AuthCallout`] answers the server's question whether somebody may connect, over NATS or MQTT, as an [`Admission`]
//!   says: by name and password, each with the subjects of its own [`Grant`].
//! - [`Connections`] cuts off at once who may speak no longer.
//! - [`Relay`] makes MQTT's acknowledgement mean "stored in our stream", whatever happens to the server.
//! - [`ServerAccess`] is the part of the server's configuration that this needs: strangers who speak NATS live in an account of
//!   their own, so that nothing that the server answers them can be led into our streams.
//!
//! A service makes its keys once and keeps them with its secrets ([`Issuer::generate`], [`SealingKey::generate`]), and then:
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use nats_access::{Admission, AuthCallout, CalloutSettings, KeyError, Relay, RelaySettings};
//! # use tokio_util::sync::CancellationToken;
//! # async fn run(client: async_nats::Client, devices: Arc<dyn Admission>, seed: &str, stopped: CancellationToken) -> Result<(), KeyError> {
//! let relay = Relay::new(client.clone(), RelaySettings::new("SIGNALS", "eldercare.signals.*"));
//! let callout = AuthCallout::new(client, CalloutSettings::new(seed.parse()?), devices)
//!     .mqtt_only_while(relay.standing());
//! tokio::join!(relay.run(stopped.clone()), callout.run(stopped));
//! # Ok(()) }
//! ```
//!
//! Every replica of a service runs both: they share the work.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests may unwrap"))]

mod admission;
mod callout;
mod claims;
mod configuration;
mod connections;
mod keys;
mod recent;
mod relay;
mod standing;
mod stored;

pub use admission::{
    Admission, Credentials, DEPARTMENT_USERS, Grant, Protocol, Unavailable, inbox_prefix,
};
pub use callout::{AuthCallout, CalloutSettings};
pub use configuration::{
    MqttListener, OUTSIDE_ACCOUNT, Offered, Permissions, SERVICES_ACCOUNT, ServerAccess, User,
};
pub use connections::Connections;
pub use keys::{Issuer, KeyError, SealingKey};
pub use relay::{Relay, RelaySettings};
pub use standing::Standing;
