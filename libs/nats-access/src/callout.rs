//! Answers the NATS server's question whether somebody may connect.

use std::{fmt, sync::Arc, time::Duration};

use async_nats::{Client, Message};
use chrono::Utc;
use futures::StreamExt as _;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    admission::{Admission, Grant, Protocol},
    claims::Question,
    configuration::{OUTSIDE_ACCOUNT, SERVICES_ACCOUNT},
    keys::{Issuer, KeyError, SealingKey},
    standing::Standing,
};

/// Where servers ask.
const QUESTIONS: &str = "$SYS.REQ.USER.AUTH";

/// Bears the public key of the server that sealed a question.
const SEALED_BY: &str = "Nats-Server-Xkey";

/// How many questions are being answered at once: after the server was away, everybody comes back together.
const AT_ONCE: usize = 64;

/// Before it is tried again to hear questions.
const AGAIN: Duration = Duration::from_millis(200);

/// How questions are answered.
#[derive(Debug)]
pub struct CalloutSettings {
    /// Signs the answers; its public half is `auth_callout.issuer` of the server's configuration.
    pub issuer: Issuer,
    /// Opens sealed questions; its public half is `auth_callout.xkey`. With it a question that is not sealed is not answered.
    pub sealing: Option<SealingKey>,
    /// The group that shares the questions: all replicas of a service, and of no other.
    pub group: String,
}

impl CalloutSettings {
    /// Unsealed questions.
    #[must_use]
    pub fn new(issuer: Issuer) -> Self {
        Self {
            issuer,
            sealing: None,
            group: "auth-callout".to_owned(),
        }
    }

    /// With keys from their seeds; without the second one questions are unsealed.
    ///
    /// # Errors
    /// Where a seed is none of such a key.
    pub fn from_seeds(issuer: &str, sealing: Option<&str>) -> Result<Self, KeyError> {
        let issuer: Issuer = issuer.parse()?;
        Ok(Self {
            sealing: sealing.map(str::parse::<SealingKey>).transpose()?,
            ..Self::new(issuer)
        })
    }
}

/// Answers the server's questions. Whoever is listed in the configuration's `auth_users` is not asked about.
///
/// Where the register is away there is no answer, and the server refuses when its time for one is over.
pub struct AuthCallout {
    client: Client,
    settings: CalloutSettings,
    admission: Arc<dyn Admission>,
    standing: Option<Standing>,
    listens: watch::Sender<bool>,
}

impl fmt::Debug for AuthCallout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthCallout")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// What becomes of a question.
enum Verdict {
    Granted(Grant),
    Refused,
    /// Nothing is said.
    Open,
}

impl AuthCallout {
    /// Answers over `client`, whose user is one of the `auth_users` and may subscribe to `$SYS.REQ.USER.AUTH` and answer.
    pub fn new(client: Client, settings: CalloutSettings, admission: Arc<dyn Admission>) -> Self {
        Self {
            client,
            settings,
            admission,
            standing: None,
            listens: watch::Sender::new(false),
        }
    }

    /// Lets nobody in over MQTT but while a [`crate::Relay`] over the same client stands behind the acknowledgements.
    #[must_use]
    pub fn mqtt_only_while(mut self, standing: Standing) -> Self {
        self.standing = Some(standing);
        self
    }

    /// Waits until it hears questions; somebody else runs it meanwhile.
    pub fn ready(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut listens = self.listens.subscribe();
        async move {
            if listens.wait_for(|listens| *listens).await.is_err() {
                // Nobody answers any more: the process ends.
                std::future::pending().await
            }
        }
    }

    /// Answers until stopped, also over times when the server is away.
    pub async fn run(self, stopped: CancellationToken) {
        stopped
            .run_until_cancelled(answer_all(Arc::new(self)))
            .await;
    }

    async fn answer(&self, message: &Message) {
        let (Some(reply), Some((text, sealed_by))) = (&message.reply, self.opened(message)) else {
            tracing::warn!("a question who may connect can't be opened");
            return;
        };
        let issuer = &self.settings.issuer;
        let question = match Question::read(&text, &issuer.public_key(), now()) {
            Ok(question) => question,
            Err(unusable) => {
                tracing::warn!(%unusable, "a question who may connect is not answered");
                return;
            }
        };
        let answer = match self.verdict(&question).await {
            Verdict::Granted(grant) => question.granted(&grant, account(&question), issuer, now()),
            Verdict::Refused => question.refused(issuer, now()),
            Verdict::Open => return,
        };
        let Some(answer) = self.closed(answer, sealed_by.as_deref()) else {
            tracing::warn!("an answer who may connect can't be sealed");
            return;
        };
        if let Err(error) = self.client.publish(reply.clone(), answer.into()).await {
            tracing::warn!(%error, "an answer who may connect is not sent");
        }
    }

    /// The text of a question, and who sealed it.
    fn opened(&self, message: &Message) -> Option<(Vec<u8>, Option<String>)> {
        let headers = message.headers.as_ref();
        let server = headers.and_then(|headers| headers.get(SEALED_BY));
        match (&self.settings.sealing, server) {
            (Some(key), Some(server)) => {
                let text = key.open(&message.payload, server.as_str())?;
                Some((text, Some(server.as_str().to_owned())))
            }
            (None, None) => Some((message.payload.to_vec(), None)),
            (Some(_), None) | (None, Some(_)) => None,
        }
    }

    fn closed(&self, answer: String, server: Option<&str>) -> Option<Vec<u8>> {
        match (&self.settings.sealing, server) {
            (Some(key), Some(server)) => key.seal(answer.as_bytes(), server),
            (Some(_) | None, _) => Some(answer.into_bytes()),
        }
    }

    async fn verdict(&self, question: &Question) -> Verdict {
        let Some(credentials) = &question.credentials else {
            return Verdict::Refused;
        };
        if !self.admission.concerns(&credentials.user) {
            return Verdict::Open;
        }
        if let (Some(standing), Protocol::Mqtt { .. }) = (&self.standing, &credentials.protocol) {
            let left = u64::try_from(question.waits_until - now()).unwrap_or(0);
            let waiting = standing.wait();
            if tokio::time::timeout(Duration::from_secs(left), waiting)
                .await
                .is_err()
            {
                tracing::warn!(
                    "nobody is let in over MQTT: nothing stands behind acknowledgements"
                );
                return Verdict::Open;
            }
        }
        match self.admission.admit(credentials).await {
            Ok(Some(grant)) => Verdict::Granted(grant),
            Ok(None) => Verdict::Refused,
            Err(error) => {
                tracing::warn!(%error, "nobody is let in");
                Verdict::Open
            }
        }
    }
}

async fn answer_all(callout: Arc<AuthCallout>) {
    loop {
        let group = callout.settings.group.clone();
        match callout.client.queue_subscribe(QUESTIONS, group).await {
            Ok(questions) => {
                if callout.client.flush().await.is_ok() {
                    callout.listens.send_replace(true);
                }
                questions
                    .for_each_concurrent(AT_ONCE, |question| {
                        // Signatures take time: on any processor.
                        let callout = Arc::clone(&callout);
                        let answering =
                            tokio::spawn(async move { callout.answer(&question).await });
                        async move {
                            if answering.await.is_err() {
                                tracing::error!("answering whether somebody may connect failed");
                            }
                        }
                    })
                    .await;
            }
            Err(error) => tracing::warn!(%error, "who may connect can't be answered"),
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// The account that somebody is let in to. Whoever speaks NATS says where the server's answers go, and no permission bounds
/// that: in our account they could be led into our streams, or to the server itself as requests to delete them. MQTT has no
/// such word, and needs the account that has streams.
fn account(question: &Question) -> &'static str {
    match question.credentials.as_ref().map(|shown| &shown.protocol) {
        Some(Protocol::Mqtt { .. }) => SERVICES_ACCOUNT,
        Some(Protocol::Nats) | None => OUTSIDE_ACCOUNT,
    }
}

fn now() -> i64 {
    Utc::now().timestamp()
}
