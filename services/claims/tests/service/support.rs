//! Claims under test, and the registry's log in the hands of the test.

mod calls;
mod money;
mod orders;
mod registers;
mod told;

use std::collections::BTreeMap;
use std::sync::Arc;

use backing_services::{Nats, testing};
use chrono::{DateTime, Utc};
use civic::{ElderId, LocalDay};
use claims::App;
use claims::adjudication::{Event as Verdict, Runs};
use elders::codec;
use eventlog::{
    Aggregate as _, EventLog, Gather, JetStreamLog, MemoryLog, Metadata, Repository, StreamSettings,
};
use proto::eldercare::claims::v1::claims_service_client::ClaimsServiceClient;
use proto::eldercare::r#type::v1 as types;
use service::person_keys::Keys;
pub(crate) use service::testing::reason;
use service::testing::{Authorised, Served};
use service::{Application as _, Claims, Clock, RequestDigests, TokenIssuer};
use sqlx::postgres::PgPoolOptions;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic_types::StatusExt as _;
use uuid::Uuid;
use vault::{KeyRing, KeyStore as _, MemoryKeyStore, Mode, Vault, VaultOptions};

pub(crate) use self::calls::{BY_ID, Named, every_call};
pub(crate) use self::orders::{
    all_in, appeal_request, decision_request, file, in_words, order, outcome_in_words, short_order,
};
pub(crate) use self::registers::{
    a_caregiver, a_contract, definition, end_of_contract, end_of_enrolment, enrolment, retirement,
};
pub(crate) use self::told::{Person, place};

pub(crate) const VILLAGE: &str = "350524100001";
pub(crate) const OTHER_VILLAGE: &str = "350524101007";
pub(crate) const COUNTY: &str = "350524";
pub(crate) const OTHER_COUNTY: &str = "350525";
pub(crate) const LTCI: &str = include_str!("../programmes/ltci.yaml");
pub(crate) const HOMECARE: &str = include_str!("../programmes/homecare.yaml");

/// What outlives a restart of claims, and the loss of their database.
#[derive(Clone)]
pub(crate) struct Ground {
    /// Kept alive.
    _nats: Option<Arc<Nats>>,
    pub(crate) registry: Arc<dyn EventLog>,
    pub(crate) own: Arc<dyn EventLog>,
    /// Our own log, to be disturbed; an empty other one where ours is on a server.
    pub(crate) memory: MemoryLog,
    pub(crate) vault: Vault,
    pub(crate) clock: Clock,
    issuer: Arc<TokenIssuer>,
}

/// Claims under test.
pub(crate) struct Running {
    pub(crate) ground: Ground,
    pub(crate) app: App,
    pub(crate) database: String,
    served: Served,
}

pub(crate) type Client = ClaimsServiceClient<Authorised>;

pub(crate) fn id() -> String {
    Uuid::now_v7().to_string()
}

pub(crate) fn day(text: &str) -> LocalDay {
    text.parse().unwrap()
}

/// A minute of local time, such as `2024-03-01 09:30`.
pub(crate) fn at(text: &str) -> DateTime<Utc> {
    let (day, time) = text.split_once(' ').unwrap();
    format!("{day}T{time}:00+08:00").parse().unwrap()
}

pub(crate) fn date(text: &str) -> Option<types::Date> {
    Some(codec::write_day(day(text)))
}

pub(crate) fn timestamp(at: DateTime<Utc>) -> Option<prost_types::Timestamp> {
    Some(elders::wire::write_time(at))
}

/// By which claims under test know a request again.
pub(crate) fn digests() -> RequestDigests {
    RequestDigests::keyed(b"test")
}

/// All that a refusal says.
pub(crate) fn word_for_word(refused: &Status) -> String {
    let (code, details) = (refused.code(), refused.get_error_details_vec());
    format!("{code:?} {} {details:?}", refused.message())
}

/// An officer who may do all in a division.
pub(crate) fn officer(name: &str, division: &str) -> Claims {
    let roles = ["viewer", "clerk", "supervisor", "administrator"];
    roles.into_iter().fold(
        Claims::officer(name, "civil_affairs")
            .division(division)
            .purpose("test"),
        Claims::role,
    )
}

impl Ground {
    /// Empty logs in memory; the clock stands.
    pub(crate) fn at(now: &str) -> Self {
        let memory = MemoryLog::new("CLAIMS");
        let own = Arc::new(memory.clone());
        Self::of(None, Arc::new(MemoryLog::new("REGISTRY")), own, memory, now)
    }

    /// Empty logs on a NATS server.
    pub(crate) async fn on_nats(now: &str) -> Self {
        let nats = testing::own_nats().await;
        let client = async_nats::connect(nats.url()).await.unwrap();
        let open = async |context| {
            let settings = StreamSettings::of(context, Gather::GroupsOnly);
            let log = JetStreamLog::open(client.clone(), settings).await;
            Arc::new(log.unwrap()) as Arc<dyn EventLog>
        };
        let (registry, own) = (open("registry").await, open("claims").await);
        let nothing = MemoryLog::new("NOTHING");
        Self::of(Some(Arc::new(nats)), registry, own, nothing, now)
    }

    fn of(
        nats: Option<Arc<Nats>>,
        registry: Arc<dyn EventLog>,
        own: Arc<dyn EventLog>,
        memory: MemoryLog,
        now: &str,
    ) -> Self {
        let ring = KeyRing::local_default(Mode::Local).unwrap();
        let store = Arc::new(MemoryKeyStore::new());
        Self {
            _nats: nats,
            registry,
            own,
            memory,
            vault: Vault::new(store, ring, VaultOptions::default()),
            clock: Clock::stopped_at(at(now)),
            issuer: Arc::new(TokenIssuer::generate()),
        }
    }

    /// The same with another log of our own.
    pub(crate) fn with_own(&self, memory: MemoryLog) -> Self {
        Self {
            own: Arc::new(memory.clone()),
            memory,
            ..self.clone()
        }
    }

    /// Starts claims on an empty database.
    pub(crate) async fn start(&self) -> Running {
        self.start_on(testing::fresh_database().await).await
    }

    /// Starts claims on a database that may hold something, and waits until all that is due is done.
    pub(crate) async fn start_on(&self, database: String) -> Running {
        let running = self.start_anyhow(database).await;
        running.settled().await;
        running
    }

    /// Starts claims on a database that may hold something.
    pub(crate) async fn start_anyhow(&self, database: String) -> Running {
        let settings = service::testing::settings(&self.issuer);
        let pool = PgPoolOptions::new()
            .max_connections(6)
            .connect(&database)
            .await
            .unwrap();
        let logs = (Arc::clone(&self.registry), Arc::clone(&self.own));
        let keys = Keys::own(self.vault.clone());
        let app = App::over(logs, pool, self.clock.clone(), keys, digests())
            .await
            .unwrap();
        let served = Served::start(&app, &settings).await;
        Running {
            ground: self.clone(),
            app,
            database,
            served,
        }
    }

    /// Puts another vault in the place of ours, in which nothing but bytes that are no key lie for somebody.
    pub(crate) async fn loses_the_key_of(&mut self, elder: ElderId) {
        let store = MemoryKeyStore::new();
        store
            .put(elder.as_uuid(), 0, "no key".into())
            .await
            .unwrap();
        let ring = KeyRing::local_default(Mode::Local).unwrap();
        self.vault = Vault::new(Arc::new(store), ring, VaultOptions::default());
    }

    /// Of a record that is written now.
    pub(crate) fn metadata(&self) -> Metadata {
        service::testing::metadata(self.clock.now(), VILLAGE)
    }

    /// Where our own log ends.
    pub(crate) async fn end(&self) -> u64 {
        self.own.last_sequence().await.unwrap()
    }

    /// All that the adjudicator has said, in its order.
    pub(crate) async fn verdicts(&self) -> Vec<Verdict> {
        let subject = Repository::<Runs>::subject("orders").unwrap();
        let runs = self.own.read(&subject, 0).await.unwrap();
        let events = runs.iter().flat_map(|run| &run.events);
        events.map(|raw| Runs::decode(raw).unwrap()).collect()
    }

    /// How many first verdicts there are on each order.
    pub(crate) async fn first_verdicts(&self) -> BTreeMap<Uuid, usize> {
        let mut verdicts = BTreeMap::new();
        for verdict in self.verdicts().await {
            match verdict {
                Verdict::Approved {
                    order,
                    on_appeal: false,
                    ..
                }
                | Verdict::Held { order, .. } => *verdicts.entry(order).or_default() += 1,
                Verdict::Approved { .. }
                | Verdict::Consumed { .. }
                | Verdict::Released { .. }
                | Verdict::PremiumsBooked { .. }
                | Verdict::NotSettled { .. } => {}
            }
        }
        verdicts
    }
}

impl Running {
    pub(crate) fn client(&self) -> Client {
        self.client_of(&service::testing::anybody())
    }

    /// A client in the name of a caller.
    pub(crate) fn client_of(&self, caller: &Claims) -> Client {
        ClaimsServiceClient::new(self.served.as_caller(&self.ground.issuer, caller))
    }

    pub(crate) async fn settled(&self) {
        self.app.settled(CancellationToken::new()).await;
    }

    /// Moves the clock, and waits until all that is due is done.
    pub(crate) async fn advance(&self, to: &str) {
        self.ground.clock.advance_to(at(to)).unwrap();
        self.settled().await;
    }

    /// Ends the process.
    pub(crate) async fn stop(self) -> (Ground, String) {
        self.served.stop().await;
        (self.ground, self.database)
    }
}
