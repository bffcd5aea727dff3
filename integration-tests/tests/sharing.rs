//! Departments see of elders what was agreed, from all services, and each look is on record, whoever was killed meanwhile.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use async_nats::{
    Client, ConnectError, ConnectOptions, Event,
    connection::State,
    jetstream::{self, consumer::pull},
};
use futures::StreamExt as _;
use integration_tests::{
    Registry, Setup, System,
    agreements::{agreed, credential, doctor, feed, grant, terms},
    an_elder,
    consumers::Department,
    each_once, new_id,
    process::Part,
    visiting::{a_visit, in_words, record, visitor},
};
use prost_types::value::Kind;
use proto::eldercare::{
    registry::v1::GetElderRequest,
    sharing::v1::{self as pb, get_access_history_request::Whose},
};
use tokio::{
    sync::mpsc::{self, UnboundedReceiver},
    time::{sleep, timeout},
};

/// The longest that a story waits for what comes about by itself.
const PATIENCE: Duration = Duration::from_secs(120);

/// Before it looks again.
const AGAIN: Duration = Duration::from_millis(100);

/// How often sharing is killed, and how many elders are registered each time meanwhile.
const BLOWS: u64 = 5;
const EACH: usize = 20;

/// The one document of a product.
#[track_caller]
fn only<'a>(dossier: &'a pb::Dossier, product: &str) -> &'a pb::Document {
    let documents = dossier.documents.iter();
    let found: Vec<_> = documents.filter(|one| one.product == product).collect();
    assert_eq!(found.len(), 1, "{product} in {dossier:?}");
    found[0]
}

/// The fields of a document, all of them texts.
#[track_caller]
fn texts(document: &pb::Document) -> Vec<(&str, &str)> {
    let fields = document.fields.as_ref().unwrap().fields.iter();
    fields
        .map(|(name, value)| {
            let Some(Kind::StringValue(text)) = &value.kind else {
                panic!("{name} is no text: {value:?}");
            };
            (name.as_str(), text.as_str())
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_department_sees_of_an_elder_what_was_agreed_of_all_services() {
    let mut system = System::start_with(Setup::with_sharing()).await;
    let (elder, known) = system.registered(an_elder("林月娥")).await;
    let tier = system.tier(&elder, &known).await.unwrap();
    let tier = tier.assignment.unwrap().tier;
    let she = visitor(&system, "王网格").await;
    system.advance_to("2024-10-03T12:00:00+08:00").await;
    let visit = a_visit(&she, &elder, "2024-10-02T09:00:00+08:00");
    let outcomes = record(&system, &[visit], &known).await.unwrap();
    assert_eq!(in_words(&outcomes[0]), "COUNTED");
    let agreement = agreed(
        &system,
        terms(vec![
            grant("elder", &["elder_id"], &["name"]),
            grant("tier", &["tier"], &[]),
            grant("visit", &["start_time", "result"], &[]),
        ]),
    )
    .await;
    system.settled().await;

    let request = pb::GetDossierRequest {
        elder_id: elder.clone(),
        ..pb::GetDossierRequest::default()
    };
    let told = system
        .caller(&doctor())
        .sharing()
        .get_dossier(request)
        .await;
    let dossier = told.unwrap().into_inner().dossier.unwrap();
    assert_eq!(dossier.agreement_ids, [agreement]);
    assert_eq!(dossier.documents.len(), 3);
    let file = only(&dossier, "elder");
    assert_eq!(
        texts(file),
        [("elder_id", elder.as_str()), ("name", "林**")]
    );
    assert_eq!(file.masked, ["name"]);
    assert_eq!(texts(only(&dossier, "tier")), [("tier", tier.as_str())]);
    assert_eq!(
        texts(only(&dossier, "visit")),
        [
            ("result", "MET"),
            ("start_time", "2024-10-02T09:00:00+08:00")
        ]
    );
}

/// Registers elders one after another: their ids.
async fn registering(mut registry: Registry) -> Vec<String> {
    let mut ids = Vec::with_capacity(EACH);
    for _ in 0..EACH {
        let registered = registry.register_elder(an_elder("林月娥")).await.unwrap();
        ids.push(registered.into_inner().elder_id);
    }
    ids
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_registration_comes_out_once_however_often_sharing_is_killed() {
    let mut system = System::start_with(Setup::with_sharing()).await;
    agreed(
        &system,
        terms(vec![grant("elder", &["elder_id"], &["name"])]),
    )
    .await;
    // The feed has begun.
    system.settled().await;
    let mut elders = BTreeSet::new();
    for number in 0..BLOWS {
        let registering = registering(system.registry());
        let blow = async {
            // At another moment each time.
            sleep(Duration::from_millis(40 * number)).await;
            system.kill_one(Part::Sharing).await;
            system.restart_one(Part::Sharing).await;
        };
        let (ids, ()) = tokio::join!(registering, blow);
        elders.extend(ids);
    }
    system.settled().await;

    let events = feed(system.caller(&doctor()).sharing()).await;
    let of = |name: &str| {
        let of_it = events.iter().filter(|one| one.event == name);
        each_once(of_it.map(|one| one.key.clone()))
    };
    // What happened is told of each; what was there before only of those whom sharing found when it came back.
    assert_eq!(of("ElderRegistered"), elders);
    assert!(of("DocumentShared").is_subset(&elders));
    let happened = events.iter().filter(|one| !one.source_position.is_empty());
    each_once(happened.map(|one| &one.id));
    each_once(events.iter().map(|one| &one.position));
    let taken_back = ["ElderWithdrawn", "ElderErased", "FeedEnded"];
    assert!(
        events
            .iter()
            .all(|one| !taken_back.contains(&one.event.as_str()))
    );
    let begun = events.iter().filter(|one| one.event == "FeedBegun");
    assert_eq!(begun.count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_looked_at_a_file_in_the_registry_stands_in_the_history_of_the_elder() {
    let system = System::start_with(Setup::with_sharing()).await;
    let (elder, known) = system.registered(an_elder("林月娥")).await;
    let request = GetElderRequest {
        elder_id: elder.clone(),
        min_position: known,
        ..GetElderRequest::default()
    };
    system.registry().get_elder(request).await.unwrap();
    let mut sharing = system.sharing();
    let asked = pb::GetAccessHistoryRequest {
        whose: Some(Whose::ElderId(elder.clone())),
        ..pb::GetAccessHistoryRequest::default()
    };
    let looked = async {
        loop {
            let told = sharing.get_access_history(asked.clone()).await.unwrap();
            let mut looks = told.into_inner().looks.into_iter();
            let of_it = |one: &pb::RecordedLook| {
                one.look
                    .as_ref()
                    .is_some_and(|look| look.method == "GetElder")
            };
            if let Some(found) = looks.find(of_it) {
                return found;
            }
            sleep(AGAIN).await;
        }
    };
    let found = timeout(PATIENCE, looked).await.expect("it is on record");
    assert_eq!(found.kind(), pb::LookKind::Access);
    let look = found.look.unwrap();
    assert_eq!(look.caller, "officer:test-officer");
    assert_eq!(
        (look.department.as_str(), look.purpose.as_str()),
        ("civil_affairs", "test")
    );
    assert_eq!(look.elder_ids, [elder]);
    assert!(look.fields.contains(&"elder.name".to_owned()));
}

/// A department that was let in to the log's server.
struct Inside {
    client: Client,
    events: UnboundedReceiver<Event>,
}

impl Inside {
    /// Comes in with what it was given.
    async fn come(shown: &Department) -> Result<Self, ConnectError> {
        let (told, events) = mpsc::unbounded_channel();
        let options =
            ConnectOptions::with_user_and_password(shown.user.clone(), shown.password.clone());
        let client = options
            .custom_inbox_prefix(&shown.inbox_prefix)
            .event_callback(move |event| {
                told.send(event).unwrap_or_default();
                async {}
            })
            .connect(shown.server.as_str())
            .await?;
        Ok(Self { client, events })
    }

    /// The same, be it that a busy machine answers too late at first.
    async fn let_in(shown: &Department) -> Self {
        let coming = async {
            loop {
                match Self::come(shown).await {
                    Ok(inside) => return inside,
                    Err(_) => sleep(AGAIN).await,
                }
            }
        };
        timeout(PATIENCE, coming).await.expect("it is let in")
    }

    /// The types of the events that its consumer has for it now.
    async fn fetched(&self, consumer: &str) -> Result<Vec<String>, async_nats::Error> {
        // As the protocol has it: a department may not ask how its consumer stands.
        let inbox = self.client.new_inbox();
        let mut answers = self.client.subscribe(inbox.clone()).await?;
        let next = format!("$JS.API.CONSUMER.MSG.NEXT.FEEDS.{consumer}");
        let ask = r#"{"batch":10,"no_wait":true}"#;
        let asked = self.client.publish_with_reply(next, inbox, ask.into());
        asked.await?;
        let mut types = Vec::new();
        while let Ok(Some(message)) = timeout(AGAIN, answers.next()).await {
            // A status says that there are no more.
            if message.status.is_some() {
                break;
            }
            let headers = message.headers.as_ref();
            let told = headers.and_then(|headers| headers.get("ce-type"));
            types.push(told.map_or_else(String::new, |told| told.as_str().to_owned()));
        }
        Ok(types)
    }

    /// Publishes to a subject until the server says that it may not: issuing a credential cuts connections once more, and what
    /// is said meanwhile is lost.
    async fn may_not_publish(&mut self, subject: &str) {
        let wanted = format!("permissions violation for publish to \"{subject}\"").to_lowercase();
        let refused = async {
            loop {
                let said = self.client.publish(subject.to_owned(), "x".into()).await;
                said.unwrap();
                while let Ok(Some(event)) = timeout(AGAIN, self.events.recv()).await {
                    if event.to_string().to_lowercase().contains(&wanted) {
                        return;
                    }
                }
            }
        };
        let refused = timeout(PATIENCE, refused).await;
        refused.unwrap_or_else(|_elapsed| panic!("it may publish to {subject}"));
    }

    /// Waits until it is shown out.
    async fn shown_out(&self) {
        let begun = Instant::now();
        while self.client.connection_state() != State::Disconnected {
            assert!(begun.elapsed() < PATIENCE, "it is still there");
            sleep(Duration::from_millis(10)).await;
        }
    }
}

/// How much there is in a stream.
async fn last_of(server: &jetstream::Context, stream: &str) -> u64 {
    let stream = server.get_stream(stream).await.unwrap();
    stream.get_info().await.unwrap().state.last_sequence
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_department_reads_its_own_feeds_alone_and_none_once_its_agreement_has_ended() {
    let system = System::start_with(Setup::with_sharing()).await;
    system.register(an_elder("林月娥")).await;
    let granted = terms(vec![grant("elder", &["elder_id"], &["name"])]);
    let agreement = agreed(&system, granted).await;
    let shown = credential(&system).await;
    system.settled().await;

    let mut inside = Inside::let_in(&shown).await;
    let reading = async {
        loop {
            match inside.fetched(&shown.consumer).await {
                Ok(types) if !types.is_empty() => return types,
                Ok(_) | Err(_) => sleep(AGAIN).await,
            }
        }
    };
    let types = timeout(PATIENCE, reading).await.expect("there is a feed");
    assert!(
        types.iter().all(|one| one.starts_with("eldercare.")),
        "{types:?}"
    );

    // It writes nothing, and reads by no consumer but its own.
    let server = system.jetstream().await;
    let another = pull::Config {
        durable_name: Some("another".to_owned()),
        ..pull::Config::default()
    };
    let made = server.create_consumer_on_stream(another, "FEEDS").await;
    made.unwrap();
    let before = [
        last_of(&server, "FEEDS").await,
        last_of(&server, "REGISTRY").await,
    ];
    for subject in [
        "feed.health.elder.350524.FeedBegun".to_owned(),
        format!("eldercare.registry.elder.{}", new_id()),
        "$JS.API.CONSUMER.MSG.NEXT.FEEDS.another".to_owned(),
        "$JS.API.CONSUMER.CREATE.FEEDS".to_owned(),
    ] {
        inside.may_not_publish(&subject).await;
    }
    let after = [
        last_of(&server, "FEEDS").await,
        last_of(&server, "REGISTRY").await,
    ];
    assert_eq!(after, before);
    let wrong = Department {
        password: "guessed".to_owned(),
        ..shown.clone()
    };
    assert!(Inside::come(&wrong).await.is_err());

    let end = pb::EndAgreementRequest {
        request_id: new_id(),
        agreement_id: agreement,
        reason: "NO_NEED".to_owned(),
    };
    system.sharing().end_agreement(end).await.unwrap();
    inside.shown_out().await;
    assert!(Inside::come(&shown).await.is_err());
}
