//! A log's server that lets nobody in but the services, and departments by the word of sharing.

use async_nats::ConnectOptions;
use nats_access::{Issuer, SealingKey, ServerAccess, User};
use serde_json::{Value, json};

use crate::new_id;

/// The services' user of the log's server.
const SERVICES: &str = "eldercare";
/// The user of its system account.
const SYSTEM: &str = "system";

/// What opens a log's server.
#[derive(Debug)]
pub(crate) struct Doors {
    services_password: String,
    system_password: String,
    issuer: Issuer,
    sealing: SealingKey,
}

impl Doors {
    /// New keys and passwords at random.
    pub(crate) fn new() -> Self {
        Self {
            services_password: new_id(),
            system_password: new_id(),
            issuer: Issuer::generate(),
            sealing: SealingKey::generate(),
        }
    }

    /// What the server is told of them.
    pub(crate) fn server_configuration(&self) -> String {
        let user = |name: &str, password: &str| User {
            name: name.to_owned(),
            password: password.to_owned(),
            permissions: None,
        };
        let access = ServerAccess {
            sealing: Some(self.sealing.public_key()),
            offered: alerts::doors::offered()
                .into_iter()
                .chain(sharing::offered_to_departments())
                .collect(),
            ..ServerAccess::new(
                vec![user(SERVICES, &self.services_password)],
                user(SYSTEM, &self.system_password),
                self.issuer.public_key(),
            )
        };
        access.server_configuration()
    }

    /// The services' user and password.
    pub(crate) fn services(&self) -> (&str, &str) {
        (SERVICES, &self.services_password)
    }

    /// Connects as a service does.
    pub(crate) fn as_a_service(&self) -> ConnectOptions {
        ConnectOptions::with_user_and_password(SERVICES.to_owned(), self.services_password.clone())
    }

    /// The section `sharing.feeds.access` of the settings.
    pub(crate) fn settings(&self) -> Value {
        json!({
            "issuer_seed": self.issuer.seed(),
            "sealing_seed": self.sealing.seed(),
            "system_user": SYSTEM,
            "system_password": self.system_password,
        })
    }
}
