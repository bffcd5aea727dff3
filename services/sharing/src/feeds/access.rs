//! Lets departments in to the NATS server, each to read its own feeds and nothing else, and shows out who may no longer.
//!
//! A department makes no consumers: the server would deliver to any subject that it named (nats-server #8274). Sharing keeps
//! one pull consumer for each ([`super::consumers`]), whose name nobody else can guess; the department fetches from it,
//! acknowledges, and sets it back to any position of `FEEDS` (`CONSUMER.RESET` with `{"seq":4711}`). No permission bounds where
//! somebody wants to be answered, so departments live in an account without streams, and answers stay there
//! ([`nats_access::ServerAccess`]).

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use async_nats::jetstream;
use async_nats::jetstream::stream::Stream;
use async_trait::async_trait;
use nats_access::{
    Admission, AuthCallout, CalloutSettings, Connections, Credentials as Shown, DEPARTMENT_USERS,
    Grant, Offered, Protocol, Unavailable, inbox_prefix,
};
use service::derived_passwords::{DerivedPasswords, NoPasswordKey};
use service::settings::NatsDoors;
use service::{Clock, Secret, Settings, connections};
use sqlx::{AssertSqlSafe, PgPool};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::agreement_rows::APPROVED;
use crate::book_table::NAME;
use crate::credential_rows;
use crate::feeds::consumers::Consumers;
use crate::feeds::stream::STREAM;

/// Those who answer the server about departments.
const GROUP: &str = "auth-callout-departments";

/// What the key of passwords is for.
const PURPOSE: &[u8] = b"eldercare.sharing.feed-credential";

/// Set apart from all credentials, which are ids at random.
const NAME_OF_CONSUMER: Uuid = Uuid::nil();

/// How much of a consumer's name nobody can guess: 132 bits.
const SECRET_OF_NAME: usize = 22;

/// How many departments are shown out at once.
const AT_ONCE: usize = 16;

/// Before a consumer that is to go is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// What departments publish to: they fetch from consumers, set them back, and acknowledge. How a consumer stands can't be offered:
/// the server itself answers an account without streams first, that it has none.
#[must_use]
pub fn offered() -> [Offered; 3] {
    [
        Offered::many(format!("$JS.API.CONSUMER.MSG.NEXT.{STREAM}.*")),
        Offered::one(format!("$JS.API.CONSUMER.RESET.{STREAM}.*")),
        Offered::one(format!("$JS.ACK.{STREAM}.*.>")),
    ]
}

/// What departments show at the door, and what their consumers are called. Both follow from a key of the service.
#[derive(Clone, Debug)]
pub struct FeedPasswords(DerivedPasswords);

impl FeedPasswords {
    /// Under keys of their own, derived from `vault.index_key` and `vault.previous_index_keys`.
    ///
    /// # Errors
    /// If no index key is configured.
    pub fn from_settings(settings: &Settings) -> Result<Self, NoPasswordKey> {
        DerivedPasswords::from_settings(settings, PURPOSE).map(Self)
    }

    /// Under a key.
    #[must_use]
    pub fn keyed(key: &[u8]) -> Self {
        Self(DerivedPasswords::keyed(PURPOSE, key, []))
    }

    /// The password of a credential.
    pub(crate) fn of(&self, department: &str, credential: Uuid) -> String {
        self.0.of(department, credential)
    }

    /// Whether this is the password of a credential; takes as long for any other one.
    fn admits(&self, department: &str, credential: Uuid, password: &str) -> bool {
        self.0.admits(department, credential, password)
    }

    /// The name of a department's consumer; another one where the key is changed.
    pub(crate) fn consumer(&self, department: &str) -> String {
        let secret = self.0.of(department, NAME_OF_CONSUMER);
        let secret: String = secret.chars().take(SECRET_OF_NAME).collect();
        format!("{department}-{secret}")
    }
}

/// The user that a department is to the server.
pub(crate) fn user(department: &str) -> String {
    format!("{DEPARTMENT_USERS}{department}")
}

/// The prefix of a department's inboxes.
pub(crate) fn inboxes(department: &str) -> String {
    inbox_prefix(&user(department))
}

/// The ways to the server that letting in and showing out need.
#[derive(Clone)]
pub struct FeedDoors {
    client: async_nats::Client,
    stream: Stream<()>,
    system: async_nats::Client,
    access: NatsDoors,
}

impl std::fmt::Debug for FeedDoors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FeedDoors")
    }
}

impl FeedDoors {
    /// Connects to the system account.
    ///
    /// # Errors
    /// Where the server does not answer, or refuses.
    pub async fn connect(
        client: async_nats::Client,
        settings: &Settings,
        access: &NatsDoors,
    ) -> anyhow::Result<Self> {
        let stream = jetstream::new(client.clone());
        let stream = stream.get_stream_no_info(STREAM).await?;
        let system = access.system(&settings.nats);
        let system = connections::nats("sharing-doors", &system).await;
        Ok(Self {
            client,
            stream,
            system: system.context("sharing.feeds.access.system_user")?,
            access: access.clone(),
        })
    }

    /// What departments fetch from.
    pub(crate) fn consumers(
        &self,
        pool: PgPool,
        clock: Clock,
        passwords: FeedPasswords,
    ) -> Consumers {
        Consumers::new(self.stream.clone(), pool, clock, passwords)
    }

    /// What answers the server's questions, and what shows out. The stream `FEEDS` is there by then.
    pub(crate) fn open(
        self,
        pool: PgPool,
        clock: Clock,
        passwords: FeedPasswords,
        consumers: Consumers,
    ) -> anyhow::Result<(AuthCallout, Ushers)> {
        let sealing = self.access.sealing_seed.as_ref().map(Secret::expose);
        let settings = CalloutSettings {
            group: GROUP.to_owned(),
            ..CalloutSettings::from_seeds(self.access.issuer_seed.expose(), sealing)?
        };
        let register = Arc::new(DepartmentRegister {
            pool,
            clock,
            passwords,
            consumers,
            admitted_for: self.access.admitted_for,
        });
        let admission = Arc::clone(&register) as Arc<dyn Admission>;
        let callout = AuthCallout::new(self.client, settings, admission);
        let connections = Connections::new(self.system);
        let ushers = Ushers {
            connections,
            register,
        };
        Ok((callout, ushers))
    }
}

/// Show departments out.
pub(crate) struct Ushers {
    connections: Connections,
    register: Arc<DepartmentRegister>,
}

impl Ushers {
    /// Ends the connections of whoever is named, once the book says that they may come in no more, or with another password
    /// alone; until stopped.
    pub(crate) async fn show_out(
        self,
        named: mpsc::UnboundedReceiver<String>,
        stopped: CancellationToken,
    ) {
        let register = self.register;
        let user = |department: &String| user(department);
        let after = move |department: String, ended: usize| {
            let register = Arc::clone(&register);
            async move { register.withdraw(&department, ended).await }
        };
        self.connections
            .show_out(named, AT_ONCE, user, after, stopped)
            .await;
    }
}

/// The register of departments, as the server asks it.
struct DepartmentRegister {
    pool: PgPool,
    clock: Clock,
    passwords: FeedPasswords,
    consumers: Consumers,
    admitted_for: Duration,
}

impl DepartmentRegister {
    /// The credential by which a department comes in: the one that is good, while an agreement is in force.
    async fn credential(&self, department: &str) -> Result<Option<Uuid>, sqlx::Error> {
        let Some(credential) = credential_rows::current(&self.pool, department).await? else {
            return Ok(None);
        };
        let statement = format!(
            "SELECT EXISTS (SELECT 1 FROM {NAME}.agreement \
             WHERE department = $1 AND stage = $2 AND last_day >= $3)"
        );
        let in_force: bool = sqlx::query_scalar(AssertSqlSafe(statement))
            .bind(department)
            .bind(APPROVED)
            .bind(self.clock.today().date())
            .fetch_one(&self.pool)
            .await?;
        Ok(in_force.then_some(credential))
    }

    /// A department was cut off. Its place in the feeds goes too, unless it may come back.
    async fn withdraw(&self, department: &str, ended: usize) {
        if ended > 0 {
            tracing::info!(ended, department, "connections of a department were closed");
        }
        while let Err(error) = self.drop_consumer(department).await {
            tracing::warn!(%error, department, "a department's consumer is deleted later");
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Deletes the consumer of a department that does not come in any more.
    async fn drop_consumer(&self, department: &str) -> anyhow::Result<()> {
        if self.credential(department).await?.is_some() {
            return Ok(());
        }
        Ok(self.consumers.delete(department).await?)
    }
}

#[async_trait]
impl Admission for DepartmentRegister {
    /// With departments alone; of all others alerts say who they are.
    fn concerns(&self, user: &str) -> bool {
        user.starts_with(DEPARTMENT_USERS)
    }

    async fn admit(&self, shown: &Shown) -> Result<Option<Grant>, Unavailable> {
        let Some(department) = shown.user.strip_prefix(DEPARTMENT_USERS) else {
            return Ok(None);
        };
        if matches!(shown.protocol, Protocol::Mqtt { .. }) {
            return Ok(None);
        }
        let credential = self.credential(department).await;
        let credential = credential.map_err(|error| Unavailable(error.into()))?;
        let admitted = credential.is_some_and(|credential| {
            self.passwords
                .admits(department, credential, &shown.password)
        });
        if !admitted {
            return Ok(None);
        }
        let consumer = self.consumers.keep(department).await;
        let consumer = consumer.map_err(|error| Unavailable(error.into()))?;
        Ok(Some(Grant {
            publish: vec![
                format!("$JS.API.CONSUMER.MSG.NEXT.{STREAM}.{consumer}"),
                format!("$JS.API.CONSUMER.RESET.{STREAM}.{consumer}"),
                format!("$JS.ACK.{STREAM}.{consumer}.>"),
            ],
            subscribe: vec![format!("{}.>", inboxes(department))],
            expires_in: Some(self.admitted_for),
            ..Grant::new(&shown.user)
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_department_has_a_password_of_its_own_and_a_consumer_that_keeps_its_name() {
        let passwords = FeedPasswords::keyed(b"a key");
        let (first, second) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let password = passwords.of("health", first);
        assert!(passwords.admits("health", first, &password));
        assert!(!passwords.admits("health", second, &password));
        assert!(!passwords.admits("police", first, &password));
        let name = passwords.consumer("health");
        assert_eq!(name.len(), "health-".len() + SECRET_OF_NAME);
        assert_eq!(name, FeedPasswords::keyed(b"a key").consumer("health"));
        assert_ne!(
            name.strip_prefix("health-"),
            passwords.consumer("police").strip_prefix("police-")
        );
    }

    #[test]
    fn no_device_has_a_departments_inboxes() {
        assert_eq!(inboxes("health"), "_INBOX_department:health");
    }
}
