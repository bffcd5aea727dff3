//! A server that lets departments in by the word of sharing, and a department that reads its feeds there.

use std::iter;
use std::time::Duration;

use async_nats::{Client, ConnectOptions, Event, Message, Subscriber};
use backing_services::Nats;
use futures::{FutureExt as _, StreamExt as _};
use nats_access::{Issuer, Permissions, SealingKey, ServerAccess, User, inbox_prefix};
use proto::eldercare::sharing::v1 as pb;
use serde_json::Value;
use service::settings::{Address, NatsDoors};
use service::{Secret, Settings};
use sharing::feeds::stream::FeedStream;
use sharing::{FeedDoors, SideStreams, offered_to_departments};
use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio::time::{sleep, timeout};

use super::feeds::PATIENCE;
use super::{Running, guard, id};

/// May do everything at the server.
const OPERATOR: &str = "operator";
/// May do what is declared.
const SERVICE: &str = "sharing";
const SYSTEM: &str = "system";

/// Before somebody comes again who was not let in.
const AGAIN: Duration = Duration::from_millis(50);
/// The server says by then that there is nothing more to fetch.
const ANSWERED_BY: Duration = Duration::from_secs(5);

/// What opens the server.
pub(crate) struct Doors {
    issuer: Issuer,
    sealing: SealingKey,
}

fn password_of(user: &str) -> String {
    format!("password of {user}")
}

fn user(name: &str, permissions: Option<Permissions>) -> User {
    User {
        name: name.to_owned(),
        password: password_of(name),
        permissions,
    }
}

fn as_user(user: &str) -> ConnectOptions {
    ConnectOptions::with_user_and_password(user.to_owned(), password_of(user))
        .custom_inbox_prefix(inbox_prefix(user))
}

impl Doors {
    /// New keys at random.
    pub(super) fn new() -> Self {
        Self {
            issuer: Issuer::generate(),
            sealing: SealingKey::generate(),
        }
    }

    /// What the server is told of them.
    pub(super) fn server_configuration(&self) -> String {
        let declared = nats_streams::declared().user(SERVICE).unwrap();
        let permissions = Permissions {
            publish: declared.publish.clone(),
            subscribe: declared.subscribe.clone(),
        };
        let services = vec![user(OPERATOR, None), user(SERVICE, Some(permissions))];
        let access = ServerAccess {
            sealing: Some(self.sealing.public_key()),
            offered: offered_to_departments().into(),
            ..ServerAccess::new(services, user(SYSTEM, None), self.issuer.public_key())
        };
        access.server_configuration()
    }

    /// A client that may do everything.
    pub(super) async fn operator(&self, server: &Nats) -> Client {
        as_user(OPERATOR).connect(server.url()).await.unwrap()
    }

    /// The feeds, which are there, and the way of departments to them.
    pub(super) async fn side(&self, server: &Nats) -> SideStreams {
        let client = as_user(SERVICE).connect(server.url()).await.unwrap();
        let feeds = FeedStream::open(client.clone(), 1, false).await.unwrap();
        let mut settings = Settings::default();
        settings.nats.url = Address::new(server.url());
        let access = NatsDoors {
            issuer_seed: Secret::new(self.issuer.seed()),
            sealing_seed: Some(Secret::new(self.sealing.seed())),
            system_user: SYSTEM.to_owned(),
            system_password: Secret::new(password_of(SYSTEM)),
            admitted_for: Duration::from_secs(3_600),
        };
        let doors = FeedDoors::connect(client, &settings, &access).await;
        SideStreams::feeds_behind(feeds, doors.unwrap())
    }
}

/// What a department was told by one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) product: String,
    pub(crate) event: String,
    /// What it bears.
    pub(crate) body: String,
}

impl Told {
    fn by(message: &Message) -> Self {
        let headers = message.headers.as_ref().unwrap();
        let header = |name: &str| headers.get(name).unwrap().as_str();
        let event = header("ce-type").rsplit('.').next().unwrap();
        Self {
            product: header("ce-product").to_owned(),
            event: event.to_owned(),
            body: String::from_utf8(message.payload.to_vec()).unwrap(),
        }
    }

    /// `product Event`.
    pub(crate) fn name(&self) -> String {
        format!("{} {}", self.product, self.event)
    }
}

/// The health department, let in to the server.
pub(crate) struct Department {
    client: Client,
    pub(crate) consumer: String,
    events: UnboundedReceiver<Event>,
}

impl Department {
    /// Comes in by a credential that is issued to it, be it that a busy machine answers too late at first.
    pub(crate) async fn let_in(running: &Running) -> Self {
        let request = pb::IssueFeedCredentialRequest {
            request_id: id(),
            department: "health".to_owned(),
        };
        let mut client = running.client_of(&guard());
        let issued = client.issue_feed_credential(request).await;
        let shown = issued.unwrap().into_inner();
        let server = running.ground.server().url();
        let (told, events) = mpsc::unbounded_channel();
        let coming = async {
            loop {
                let told = told.clone();
                let options = ConnectOptions::with_user_and_password(
                    shown.user.clone(),
                    shown.password.clone(),
                );
                let client = options
                    .custom_inbox_prefix(&shown.inbox_prefix)
                    .event_callback(move |event| {
                        told.send(event).unwrap_or_default();
                        async {}
                    })
                    .connect(server.as_str())
                    .await;
                match client {
                    Ok(client) => return client,
                    Err(_) => sleep(AGAIN).await,
                }
            }
        };
        let client = timeout(PATIENCE, coming).await;
        Self {
            client: client.expect("it is let in"),
            consumer: shown.consumer,
            events,
        }
    }

    async fn asks(&self, how: &'static str) -> Subscriber {
        let inbox = self.client.new_inbox();
        let answers = self.client.subscribe(inbox.clone()).await.unwrap();
        let next = format!("$JS.API.CONSUMER.MSG.NEXT.FEEDS.{}", self.consumer);
        let asked = self.client.publish_with_reply(next, inbox, how.into());
        asked.await.unwrap();
        answers
    }

    /// Sets its consumer back to the first message.
    pub(crate) async fn set_back(&self) {
        let reset = format!("$JS.API.CONSUMER.RESET.FEEDS.{}", self.consumer);
        let answer = self.client.request(reset, r#"{"seq":1}"#.into()).await;
        let answer: Value = serde_json::from_slice(&answer.unwrap().payload).unwrap();
        assert_eq!(answer["error"], Value::Null);
    }

    /// All that it can fetch now.
    pub(crate) async fn fetched(&self) -> Vec<Told> {
        let mut answers = self.asks(r#"{"batch":1000,"expires":300000000}"#).await;
        let mut told = Vec::new();
        // A status says that the time is up; none comes where the connection was cut, as it is once after a credential is issued.
        while let Ok(Some(message)) = timeout(ANSWERED_BY, answers.next()).await
            && message.status.is_none()
        {
            told.push(Told::by(&message));
            self.acknowledge(message).await;
        }
        told
    }

    /// The same from the first message on.
    pub(crate) async fn fetched_again(&self) -> Vec<Told> {
        self.set_back().await;
        self.fetched().await
    }

    /// Fetches until it was told something of this name; all that it was told.
    pub(crate) async fn fetched_until(&self, name: &str) -> Vec<Told> {
        let fetching = async {
            let mut told: Vec<Told> = Vec::new();
            while told.iter().all(|one| one.name() != name) {
                told.extend(self.fetched().await);
            }
            told
        };
        let told = timeout(PATIENCE, fetching).await;
        told.unwrap_or_else(|_elapsed| panic!("it is not told: {name}"))
    }

    /// Waits for messages, for as long as the test.
    pub(crate) async fn waits(&self) -> Subscriber {
        self.asks(r#"{"batch":1000,"expires":600000000000}"#).await
    }

    /// What whoever waits is told up to something of this name.
    pub(crate) async fn hears_until(&self, waiting: &mut Subscriber, name: &str) -> Vec<Told> {
        let mut told: Vec<Told> = Vec::new();
        while told.last().is_none_or(|one| one.name() != name) {
            let message = timeout(PATIENCE, waiting.next()).await;
            let message = message.unwrap_or_else(|_elapsed| panic!("it is not told: {name}"));
            let message = message.unwrap();
            assert_eq!(message.status, None, "it waits no longer for {name}");
            told.push(Told::by(&message));
            self.acknowledge(message).await;
        }
        told
    }

    /// What whoever waits was told by now, and forgets.
    pub(crate) fn heard(waiting: &mut Subscriber) -> Vec<Told> {
        let heard = || waiting.next().now_or_never().flatten();
        iter::from_fn(heard)
            .map(|message| Told::by(&message))
            .collect()
    }

    async fn acknowledge(&self, message: Message) {
        let reply = message.reply.unwrap();
        self.client.publish(reply, "+ACK".into()).await.unwrap();
    }

    /// Asks something of the server, which says that it may not.
    pub(crate) async fn may_not_ask(&mut self, subject: &str) {
        let wanted = format!("publish to \"{}\"", subject.to_lowercase());
        let asked = self.client.publish(subject.to_owned(), "{}".into()).await;
        asked.unwrap();
        self.is_refused(&wanted).await;
    }

    /// Subscribes to a subject, and hears from the server that it may not.
    pub(crate) async fn may_not_hear(&mut self, subject: &'static str) {
        let _messages = self.client.subscribe(subject).await.unwrap();
        self.is_refused(&format!("subscription to \"{subject}\""))
            .await;
    }

    async fn is_refused(&mut self, what: &str) {
        let refused = async {
            while let Some(event) = self.events.recv().await
                && !event.to_string().to_lowercase().contains(what)
            {}
        };
        let refused = timeout(PATIENCE, refused).await;
        refused.unwrap_or_else(|_elapsed| panic!("it is not refused: {what}"));
    }
}
