//! Says who may connect to the NATS server, and what they may do there.

use std::{fmt, time::Duration};

use async_trait::async_trait;

/// Users of this beginning are departments: `department:<code>`. Ids of devices hold no colon, so that no name is both.
pub const DEPARTMENT_USERS: &str = "department:";

/// How somebody speaks to the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Protocol {
    /// The server's own, over TCP or a WebSocket.
    Nats,
    /// MQTT.
    Mqtt {
        /// What the client calls itself. Whoever connects with the id of another ends the other's connection, and takes over
        /// its session; so an admission does well to take no id but one that begins with the user's name.
        client_id: String,
    },
}

/// What somebody shows at the door. Its `Debug` shows no password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The name.
    pub user: String,
    /// The password.
    pub password: String,
    /// How they speak.
    pub protocol: Protocol,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("user", &self.user)
            .field("protocol", &self.protocol)
            .finish_non_exhaustive()
    }
}

/// What somebody may do. What is not listed is forbidden, and so is everything where a list is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The name under which [`crate::Connections::cut_off`] finds the connection again.
    pub name: String,
    /// The subjects that may be published to (MQTT's `a/b` is `a.b`). They may hold wildcards.
    ///
    /// Who speaks MQTT is told nothing of a publication that is forbidden: the server acknowledges it, as that protocol
    /// wants, and drops it. Who speaks NATS gets an error.
    pub publish: Vec<String>,
    /// The subjects that may be subscribed to. Who publishes to a stream over NATS hears of it in an inbox, and needs
    /// one apart from all others': `<`[`inbox_prefix`]`>.>`. Never grant `_INBOX.>`: there our services get their answers.
    pub subscribe: Vec<String>,
    /// After this the server ends the connection, and whoever it is must show the password again.
    pub expires_in: Option<Duration>,
}

impl Grant {
    /// Nothing, under this name.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            publish: Vec::new(),
            subscribe: Vec::new(),
            expires_in: None,
        }
    }
}

/// The prefix of the inboxes that belong to one user alone, whose name must be a single token of a subject.
#[must_use]
pub fn inbox_prefix(user: &str) -> String {
    format!("_INBOX_{user}")
}

/// Who may connect can't be looked up now. Whoever asks is not let in, and may ask again.
#[derive(Debug, thiserror::Error)]
#[error("the register of those who may connect is away: {0}")]
pub struct Unavailable(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// Knows who may connect.
#[async_trait]
pub trait Admission: Send + Sync + 'static {
    /// Whether it is for this register to say who a user of this name is. Where several services answer the server, each in
    /// a group of its own, the first answer holds: whoever is not concerned is silent, and of each name one must be.
    fn concerns(&self, _user: &str) -> bool {
        true
    }

    /// What these credentials allow; none where the user is unknown, retired or shows a wrong password.
    ///
    /// It is asked by several tasks at once, and must answer within the server's time for it (some seconds); what takes
    /// a processor long, such as slow hashes of passwords, belongs on a thread of its own.
    ///
    /// # Errors
    /// [`Unavailable`]: then nobody is let in.
    async fn admit(&self, credentials: &Credentials) -> Result<Option<Grant>, Unavailable>;
}
