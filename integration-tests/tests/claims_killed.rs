//! Claims, the log's server or the database's is killed while orders stream in: handed in again, each order has one verdict,
//! the same as if nothing had happened.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt as _, stream};
use integration_tests::{
    Setup, System, asked_to_wait,
    claiming::{
        A_YEAR, PRICE, a_video, an_order, are_answered_again, caregiver, enrolled_in, fund_of,
        in_words, messages, programme, provider_of, submit,
    },
    county, day, each_once, is_passing,
    process::Part,
    timestamp,
};
use proto::eldercare::claims::v1::{
    EntitlementConsumed, GetFiguresRequest, OrderApproved, OrderFilter, OrderHeldAbnormal,
    OrderSubmitted, ServiceOrder, SubmitOrdersResponse,
};
use tokio::sync::oneshot;
use tonic::{Status, Streaming};

/// Providers, and caregivers of each.
const PROVIDERS: usize = 6;
const SERVING: usize = 2;

/// Those who serve in turn, each five elders of their own.
const CAREGIVERS: usize = PROVIDERS * SERVING;
const ELDERS: usize = CAREGIVERS * 5;

/// Services of each caregiver, four a day.
const EACH: usize = 120;

/// So many orders are under way when the blow falls. The provider holds the others back until then.
const SENT: usize = 1_000;

/// The blow falls when so many of them are in the log.
const IN_THE_LOG: usize = 300;

const _: () = assert!(0 < IN_THE_LOG && IN_THE_LOG < SENT && SENT < CAREGIVERS * EACH);

/// A month of services, handed in for one programme.
struct Month {
    programme: &'static str,
    orders: Vec<ServiceOrder>,
}

impl Month {
    /// The same month for each programme, of others.
    async fn of(system: &System, code: &'static str) -> Self {
        programme(system, code).await;
        let mut caregivers = Vec::with_capacity(CAREGIVERS);
        for number in 0..PROVIDERS {
            let provider = provider(code, number * SERVING);
            caregivers.push(provider_of(system, &provider, code).await);
            caregivers.push(caregiver(system, &provider).await);
        }
        let mut elders = Vec::with_capacity(ELDERS);
        for number in 0..ELDERS {
            elders.push(enrolled_in(system, code, &format!("林{number}")).await);
        }
        let mut orders = Vec::with_capacity(CAREGIVERS * EACH);
        for turn in 0..EACH {
            for (place, caregiver) in caregivers.iter().enumerate() {
                orders.push(service(code, (turn, place), caregiver, &elders));
            }
        }
        Self {
            programme: code,
            orders,
        }
    }

    /// The keys under which the log knows its orders.
    fn keys(&self) -> BTreeSet<String> {
        let keys = self
            .orders
            .iter()
            .map(|order| claims::order::key(&order.provider_id, &order.order_id).to_string());
        keys.collect()
    }

    /// Hands in all orders until all of them are answered, as a provider does whose call failed.
    async fn retried(&self, system: &System) -> Vec<SubmitOrdersResponse> {
        for _ in 0..100 {
            match submit(system.claims(), &self.orders, "").await {
                Ok(outcomes) => return outcomes,
                Err(status) => asked_to_wait(&status).await,
            }
        }
        panic!("the orders do not go through")
    }

    /// The log itself: each order is there once, with one verdict, and what was approved is consumed and reserved once.
    async fn is_adjudicated_once(&self, system: &System, outcomes: &[SubmitOrdersResponse]) {
        let all = self.keys();
        let ours = |keys: BTreeSet<String>| keys.intersection(&all).cloned().collect();
        let submitted = system.events::<OrderSubmitted>("claims").await;
        let submitted = submitted.into_iter();
        let submitted = submitted.map(|order| (order.provider_id, order.order_id));
        let sent = self.orders.iter();
        let sent = sent.map(|order| (order.provider_id.clone(), order.order_id.clone()));
        assert!(each_once(submitted).is_superset(&sent.collect()));
        let approved = system.events::<OrderApproved>("claims").await;
        let approved: BTreeSet<_> =
            ours(each_once(approved.into_iter().map(|event| event.order_key)));
        let held = system.events::<OrderHeldAbnormal>("claims").await;
        let held: BTreeSet<_> = ours(each_once(held.into_iter().map(|event| event.order_key)));
        assert!(approved.is_disjoint(&held));
        assert_eq!(&approved | &held, all, "each order has a verdict");
        let consumed = system.events::<EntitlementConsumed>("claims").await;
        let consumed = consumed.into_iter().map(|event| event.order_key);
        assert_eq!(ours(each_once(consumed)), approved);

        let standings = outcomes.iter().map(|one| one.standing.as_ref().unwrap());
        let standings = standings.filter(|one| one.codes.is_empty());
        let amounts: Vec<i64> = standings.map(|one| one.amount_fen).collect();
        assert_eq!(amounts.len(), approved.len());
        let fund = fund_of(system, self.programme, "").await;
        assert_eq!(fund.reserved_fen, amounts.iter().sum::<i64>());
        let count = |number: usize| i64::try_from(number).unwrap();
        assert_eq!(fund.reserved_fen, PRICE * count(approved.len()));
        let figures = GetFiguresRequest {
            filter: Some(OrderFilter {
                division_code: county::COUNTY.to_owned(),
                programme_code: self.programme.to_owned(),
                ..OrderFilter::default()
            }),
            ..GetFiguresRequest::default()
        };
        let figures = system.claims().get_figures(figures).await.unwrap();
        let row = &figures.into_inner().rows[0];
        assert_eq!(
            [row.orders, row.waiting, row.approved, row.abnormal_open],
            [all.len(), 0, approved.len(), held.len()].map(count)
        );
    }
}

/// The provider for whom the caregiver at a place serves.
fn provider(programme: &str, place: usize) -> String {
    format!("{programme}-{:02}", place / SERVING)
}

/// The service of a caregiver at a turn. In half of them something is wrong, mostly because of another one.
fn service(
    programme: &str,
    (turn, place): (usize, usize),
    caregiver: &str,
    elders: &[String],
) -> ServiceOrder {
    let elder = |place: usize| &elders[place % CAREGIVERS * 5 + turn % 5];
    let at = |turn: usize, minute: u32| {
        let day = day("2024-09-01").plus_days(i64::try_from(turn / 4).unwrap());
        format!("{day}T{:02}:{minute:02}:00+08:00", 8 + turn % 4 * 3)
    };
    let provider = provider(programme, place);
    let number = |turn: usize| format!("{place}-{turn}");
    let of = |elder: &str, start: &str| {
        let order = an_order([&provider, &number(turn)], caregiver, elder, start);
        ServiceOrder {
            programme_code: programme.to_owned(),
            ..order
        }
    };
    let mut order = of(elder(place), &at(turn, 0));
    match turn % 10 {
        // The video of the service before.
        2 => order.evidence = vec![a_video(&format!("{provider} {}", number(turn - 1)))],
        // The caregiver had not yet left the elder before.
        5 => order = of(elder(place), &at(turn - 1, 30)),
        // The next caregiver comes to the same elder.
        8 if place % 2 == 0 => order = of(elder(place + 1), &at(turn, 0)),
        9 => order.check_out_at = Some(timestamp(&at(turn, 59))),
        _ => {}
    }
    order
}

/// A provider in the middle of handing in.
struct Sending {
    answers: Streaming<SubmitOrdersResponse>,
    go_on: oneshot::Sender<()>,
}

impl Sending {
    /// Sends a part, and waits until the log has some of it.
    async fn half(system: &System, orders: &[ServiceOrder]) -> Self {
        let (first, rest) = orders.split_at(SENT);
        let (go_on, struck) = oneshot::channel();
        let rest = messages(rest, "");
        let rest = stream::once(async move {
            let _ = struck.await;
            stream::iter(rest)
        });
        let sent = stream::iter(messages(first, "")).chain(rest.flatten());
        let log = system.log("claims").await;
        let before = log.last_sequence().await.unwrap();
        let mut records = log.subscribe(before).await.unwrap();
        let answers = system.claims().submit_orders(sent).await.unwrap();
        let mut seen = 0;
        while seen < IN_THE_LOG {
            seen += records.next().await.unwrap().unwrap().len();
        }
        assert!(!go_on.is_closed(), "nothing is held back");
        Self {
            answers: answers.into_inner(),
            go_on,
        }
    }

    /// Sends the rest and hears what is told: to the end, or until the call fails in a way that asks for a retry.
    async fn rest(self) -> Vec<SubmitOrdersResponse> {
        let Self { mut answers, go_on } = self;
        // The provider's side may be gone with the connection.
        let _ = go_on.send(());
        let mut heard = Vec::new();
        loop {
            let told: Result<_, Status> = answers.message().await;
            match told {
                Ok(Some(outcome)) => heard.push(outcome),
                Ok(None) => return heard,
                Err(status) => {
                    assert!(is_passing(&status), "{status}");
                    return heard;
                }
            }
        }
    }
}

/// Two months alike in one county: one is handed in undisturbed, the other one under the blow.
struct Twins {
    system: System,
    undisturbed: Vec<SubmitOrdersResponse>,
    struck: Month,
}

impl Twins {
    async fn before_the_blow(setup: Setup) -> Self {
        let system = System::start_with(setup).await;
        let twin = Month::of(&system, "TWIN").await;
        let struck = Month::of(&system, "STRUCK").await;
        system.settled().await;
        let undisturbed = submit(system.claims(), &twin.orders, "").await.unwrap();
        twin.is_adjudicated_once(&system, &undisturbed).await;
        let mut told: BTreeMap<String, usize> = BTreeMap::new();
        for outcome in &undisturbed {
            *told.entry(in_words(outcome)).or_default() += 1;
        }
        let all = "APPROVED, CAREGIVER_OVERLAP, DUPLICATE_SERVICE, DURATION_SHORT, EVIDENCE_REUSED, QUOTA_EXCEEDED";
        for verdict in all.split(", ") {
            let with_it = told.keys().filter(|words| words.contains(verdict));
            assert!(with_it.count() > 0, "no order is {verdict}: {told:?}");
        }
        let a_year = usize::try_from(A_YEAR).unwrap();
        assert_eq!(told["APPROVED"], ELDERS * a_year, "all is used up");
        Self {
            system,
            undisturbed,
            struck,
        }
    }

    /// The blow has fallen in the middle: nothing of what the provider still holds back is in the log.
    async fn are_half_handed_in(&self) {
        let keys = self.struck.keys();
        let submitted = self.system.events::<OrderSubmitted>("claims").await;
        let key = |order: &OrderSubmitted| claims::order::key(&order.provider_id, &order.order_id);
        let ours = submitted.iter().map(|order| key(order).to_string());
        let ours = ours.filter(|key| keys.contains(key)).count();
        assert!(
            (1..=SENT).contains(&ours),
            "the blow fell at the wrong moment: {ours} orders were in the log"
        );
    }

    /// What holds after the blow: each order has one verdict, and it is that of its twin.
    async fn are_alike(&self, heard: &[SubmitOrdersResponse]) {
        let Self {
            system,
            undisturbed,
            struck,
        } = self;
        let outcomes = struck.retried(system).await;
        assert_eq!(outcomes.len(), undisturbed.len());
        for (place, (one, twin)) in outcomes.iter().zip(undisturbed).enumerate() {
            assert_eq!(in_words(one), in_words(twin), "order {place}");
        }
        // Orders are answered in the order in which they come.
        are_answered_again(&outcomes[..heard.len()], heard);
        system.settled().await;
        struck.is_adjudicated_once(system, &outcomes).await;
        let again = struck.retried(system).await;
        are_answered_again(&again, &outcomes);
        system.verify().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_claims_give_each_order_the_verdict_of_its_twin_once() {
    let mut twins = Twins::before_the_blow(Setup::with_claims()).await;
    let sending = Sending::half(&twins.system, &twins.struck.orders).await;
    twins.system.kill_one(Part::Claims).await;
    twins.are_half_handed_in().await;
    let heard = sending.rest().await;
    assert!(heard.len() <= SENT, "nobody answers what was held back");
    twins.system.restart_one(Part::Claims).await;
    twins.are_alike(&heard).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_log_server_loses_no_order_and_no_verdict() {
    let mut twins = Twins::before_the_blow(Setup::with_claims()).await;
    let sending = Sending::half(&twins.system, &twins.struck.orders).await;
    twins.system.nats().kill().await;
    let restarting = async { twins.system.nats().restart().await.unwrap() };
    let (heard, ()) = tokio::join!(sending.rest(), restarting);
    assert!(twins.system.is_running(), "claims outlive the log's server");
    twins.are_alike(&heard).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_database_loses_no_order_and_no_verdict() {
    let setup = Setup {
        own_postgres: true,
        ..Setup::with_claims()
    };
    let mut twins = Twins::before_the_blow(setup).await;
    let sending = Sending::half(&twins.system, &twins.struck.orders).await;
    twins.system.postgres().kill().await;
    twins.are_half_handed_in().await;
    let restarting = async { twins.system.postgres().restart().await.unwrap() };
    let (heard, ()) = tokio::join!(sending.rest(), restarting);
    assert!(
        twins.system.is_running(),
        "claims outlive the database's server"
    );
    twins.are_alike(&heard).await;
}
