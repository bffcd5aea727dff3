//! Providers, their caregivers and the elders whom these serve, for the benches of claims: a programme as Yiwu has it, and
//! the service under test with all of them in its books.

use std::sync::Arc;

use anyhow::{Context as _, ensure};
use backing_services::Syncing;
use chrono::{DateTime, TimeDelta, Utc};
use civic::Assistance;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use proto::eldercare::{claims::v1 as pb, r#type::v1 as types};
use service::Claims;
use uuid::Uuid;

use super::{
    Ground,
    people::{COUNTY, Person, day},
    processes::Spent,
    seed::Seeded,
    service::Role,
    stage::{Served, Stage},
};
use crate::{
    client::{Client, call},
    connection::Connection,
    wire,
};

/// The programme.
pub(super) const PROGRAMME: &str = "HOMECARE";

/// What an hour costs, and how many minutes a year are paid for.
const FEN_AN_HOUR: i64 = 4_000;
pub(super) const MINUTES_A_YEAR: i64 = 2_880;

/// The first day of everything: the programme, contracts, lists of caregivers, enrolments.
const FROM: &str = "2024-01-01";

/// How many streams of orders there are at once: one for each group of providers.
pub(super) const STREAMS: usize = 8;

/// How many requests are on their way while the books are filled.
const AT_ONCE: usize = 64;

/// The ids of requests and photos.
const IDS: Uuid = Uuid::from_u128(0x91c5_7e0a_44d2_4b6f_8f13_6a0b_d29e_5c77);

/// How many there are of everybody. A caregiver serves elders of their own, so orders are normal unless they are made
/// otherwise.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scope {
    /// The providers: whole groups of them.
    pub(super) providers: usize,
    /// The caregivers of each provider.
    pub(super) caregivers_each: usize,
    /// The elders of each caregiver.
    pub(super) elders_each: usize,
    /// Of these, how many are not enrolled: the last ones.
    pub(super) strangers_each: usize,
}

impl Scope {
    /// The number of caregivers.
    pub(super) fn caregivers(self) -> usize {
        self.providers * self.caregivers_each
    }

    /// The number of elders.
    pub(super) fn elders(self) -> usize {
        self.caregivers() * self.elders_each
    }

    /// The number of elders who are enrolled.
    pub(super) fn enrolled(self) -> usize {
        self.caregivers() * (self.elders_each - self.strangers_each)
    }

    /// The provider of a caregiver.
    pub(super) fn provider_of(self, caregiver: usize) -> String {
        provider(caregiver % self.providers)
    }

    /// The elder at this place among those of a caregiver.
    pub(super) fn elder(self, caregiver: usize, place: usize) -> Person {
        Person((caregiver * self.elders_each + place) as u64)
    }

    fn everybody_enrolled(self) -> impl Iterator<Item = Person> {
        let places = self.elders_each - self.strangers_each;
        (0..self.caregivers())
            .flat_map(move |caregiver| (0..places).map(move |place| self.elder(caregiver, place)))
    }
}

/// The id of a provider.
pub(super) fn provider(number: usize) -> String {
    format!("P{:03}", 1 + number)
}

/// Everybody, with the ids that the service gave.
#[derive(Debug)]
pub(super) struct Roster {
    /// How many there are.
    pub(super) scope: Scope,
    caregivers: Vec<String>,
}

/// A service that took place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Service {
    /// The number of its order, which no other has.
    pub(super) number: u64,
    /// Who served.
    pub(super) caregiver: usize,
    /// Who was served.
    pub(super) elder: Person,
    /// From.
    pub(super) start: DateTime<Utc>,
    /// For so long.
    pub(super) minutes: i64,
}

impl Service {
    /// What it costs.
    pub(super) fn fen(&self) -> i64 {
        FEN_AN_HOUR * self.minutes / 60
    }

    /// The provider's number of its order.
    pub(super) fn order_id(&self) -> String {
        format!("GD{:08}", self.number)
    }

    /// The hash of its photo.
    pub(super) fn photo(&self) -> pb::Evidence {
        photo(&self.number.to_be_bytes())
    }
}

impl Roster {
    /// The order of a service against which nothing stands by itself.
    pub(super) fn order(&self, service: &Service) -> pb::ServiceOrder {
        let home = service.elder.position();
        pb::ServiceOrder {
            provider_id: self.scope.provider_of(service.caregiver),
            order_id: service.order_id(),
            programme_code: PROGRAMME.to_owned(),
            programme_version: 1,
            elder_id: service.elder.id().to_string(),
            caregiver_id: self
                .caregivers
                .get(service.caregiver)
                .cloned()
                .unwrap_or_default(),
            check_in_at: Some(wire::timestamp(service.start)),
            check_out_at: Some(wire::timestamp(
                service.start + TimeDelta::minutes(service.minutes),
            )),
            // At the gate, some fifty metres from where the home is on the map.
            check_in: Some(types::GeoPosition {
                latitude: home.latitude + 0.000_5,
                ..home
            }),
            items: vec!["CLEANING".to_owned(), "BATHING".to_owned()],
            evidence: vec![service.photo()],
        }
    }

    /// One whose caregivers have ids that no service gave.
    #[cfg(test)]
    pub(super) fn made_up(scope: Scope) -> Self {
        let id = |number: usize| request_id("caregiver", &number.to_string());
        Self {
            scope,
            caregivers: (0..scope.caregivers()).map(id).collect(),
        }
    }
}

/// The hash of a photo by its name.
pub(super) fn photo(name: &[u8]) -> pb::Evidence {
    let id = Uuid::new_v5(&IDS, name);
    let hash = [id, Uuid::new_v5(&id, b"photo")].map(Uuid::into_bytes);
    pb::Evidence {
        kind: pb::EvidenceKind::Photo.into(),
        hash: hash.concat().into(),
    }
}

/// The id of a request, or of somebody nobody knows: the same for the same name.
pub(super) fn request_id(what: &str, name: &str) -> String {
    Uuid::new_v5(&IDS, format!("{what} {name}").as_bytes()).to_string()
}

/// The service under test and its servers, with everybody in its books.
#[derive(Debug)]
pub(super) struct Desk {
    /// The servers.
    pub(super) stage: Stage,
    /// The service under test.
    pub(super) served: Served,
    /// Everybody.
    pub(super) roster: Arc<Roster>,
    /// Callers, each with a connection of its own, who know a reviewer's token too.
    pub(super) clients: Vec<Client>,
    registry: Served,
}

impl Desk {
    /// Starts the service at an instant, registers and enrols everybody.
    pub(super) async fn open(
        ground: &Ground,
        name: &str,
        scope: Scope,
        now: &str,
    ) -> anyhow::Result<Self> {
        let mut stage = Stage::set(ground, name, Syncing::EveryTwoMinutes).await?;
        let poor = Assistance::MinimumLiving.into();
        Seeded::assisted(&stage, scope.elders() as u64, poor, ground.progress).await?;
        let registry = stage.start(Role::Registry).await?;
        stage.become_peer("claims", &registry.endpoint()).await?;
        stage.set_clock(now)?;
        let served = stage.start(Role::Claims).await?;
        let clients = clients(&stage, &served)?;

        let step = ground
            .progress
            .begin("contracts, caregivers and enrolments", 0);
        define(&clients[0]).await?;
        let contracts =
            stream::iter(0..scope.providers).map(|number| contract(&clients[0], number));
        let _signed: Vec<()> = contracts.buffered(AT_ONCE).try_collect().await?;
        let registered = stream::iter(0..scope.caregivers())
            .map(|number| register(&clients[number % STREAMS], scope, number));
        let caregivers: Vec<String> = registered.buffered(AT_ONCE).try_collect().await?;
        enrol(&clients, scope).await?;
        step.done(&format!(
            "{} providers, {} caregivers, {} enrolled",
            scope.providers,
            scope.caregivers(),
            scope.enrolled()
        ));
        Ok(Self {
            stage,
            served,
            roster: Arc::new(Roster { scope, caregivers }),
            clients,
            registry,
        })
    }

    /// Somebody who may move the clock.
    pub(super) fn simulator(&self) -> anyhow::Result<Client> {
        let claims = Claims::officer("simulator", "civil_affairs")
            .division("*")
            .role("simulator");
        Client::new(&Connection {
            token: service::Secret::new(self.stage.token_of(&claims)?),
            ..self.served.connection()
        })
    }

    /// The processor time that the service and the servers took up to now.
    pub(super) fn spent(&self) -> Spent {
        Spent::so_far(&self.stage, &[("service_processor_us", &self.served)])
    }

    /// The most memory that the registry held beside the service.
    pub(super) fn registry_peak_mib(&self) -> Option<u64> {
        self.registry.peak_rss().map(|bytes| bytes >> 20)
    }

    /// Stops everything.
    pub(super) async fn close(self) -> anyhow::Result<()> {
        self.served.stop().await?;
        self.registry.stop().await?;
        self.stage.strike().await;
        Ok(())
    }
}

fn clients(stage: &Stage, served: &Served) -> anyhow::Result<Vec<Client>> {
    // Nobody decides on an appeal of their own.
    let connection = stage.reviewed(served)?;
    (0..STREAMS).map(|_| Client::new(&connection)).collect()
}

async fn define(client: &Client) -> anyhow::Result<()> {
    let rules = "  - rule: LOW_INCOME\n    \
         when: '\"MINIMUM_LIVING\" in assistance || \"MINIMUM_LIVING_MARGINAL\" in assistance || \
         \"EXTREME_POVERTY\" in assistance'\n";
    let definition = format!(
        "name: 居家服务补贴\n\
         effective_from: {FROM}\n\
         enrolment:\n{rules}\
         entitlement:\n{rules}\
         quota:\n  minutes: {MINUTES_A_YEAR}\n\
         least_minutes: 30\n\
         price:\n  fen_an_hour: {FEN_AN_HOUR}\n\
         items:\n  base: {{CLEANING: 助洁, BATHING: 助浴, MEALS: 助餐}}\n  rule: ONE_OR_MORE\n\
         evidence: {{PHOTO: 1}}\n\
         submission_days: 7\n\
         appeal_days: 15\n"
    );
    let request = pb::DefineProgrammeRequest {
        request_id: request_id("define", PROGRAMME),
        programme_code: PROGRAMME.to_owned(),
        division_code: COUNTY.to_owned(),
        definition,
    };
    let defined = call(request, async |request| {
        client.claims().define_programme(request).await
    });
    ensure!(defined.await?.version == 1, "the programme was there");
    Ok(())
}

async fn contract(client: &Client, number: usize) -> anyhow::Result<()> {
    let provider_id = provider(number);
    let request = pb::ContractProviderRequest {
        request_id: request_id("contract", &provider_id),
        contract: Some(pb::Contract {
            name: format!("第{}居家养老服务中心", 1 + number),
            provider_id,
            programme_code: PROGRAMME.to_owned(),
            first_day: Some(wire::date(day(FROM))),
            last_day: None,
        }),
    };
    call(request, async |request| {
        client.claims().contract_provider(request).await
    })
    .await?;
    Ok(())
}

/// Registers a caregiver; the id.
async fn register(client: &Client, scope: Scope, number: usize) -> anyhow::Result<String> {
    let request = pb::RegisterCaregiverRequest {
        request_id: request_id("caregiver", &number.to_string()),
        caregiver: Some(pb::Caregiver {
            provider_id: scope.provider_of(number),
            name: Person(number as u64).name(),
            first_day: Some(wire::date(day(FROM))),
            last_day: None,
        }),
    };
    let registered = call(request, async |request| {
        client.claims().register_caregiver(request).await
    });
    Ok(registered.await?.caregiver_id)
}

/// Enrols everybody over some streams at once.
async fn enrol(clients: &[Client], scope: Scope) -> anyhow::Result<()> {
    let everybody: Vec<_> = scope.everybody_enrolled().collect();
    let share = everybody.len().div_ceil(STREAMS).max(1);
    let streams = clients.iter().zip(everybody.chunks(share));
    let enrolling = streams.map(|(client, persons)| enrol_all(client, persons));
    futures::future::try_join_all(enrolling).await?;
    Ok(())
}

async fn enrol_all(client: &Client, persons: &[Person]) -> anyhow::Result<()> {
    let enrolments: Vec<_> = persons
        .iter()
        .map(|person| {
            let elder_id = person.id().to_string();
            pb::EnrolPersonsRequest {
                enrolment: Some(pb::Enrolment {
                    enrolment_id: request_id("enrolment", &elder_id),
                    programme_code: PROGRAMME.to_owned(),
                    elder_id,
                    first_day: Some(wire::date(day(FROM))),
                    last_day: None,
                }),
                min_position: String::new(),
            }
        })
        .collect();
    let mut claims = client.claims();
    let answers = claims.enrol_persons(stream::iter(enrolments)).await?;
    let mut answers = answers.into_inner();
    for person in persons {
        let answer = answers.message().await?.context("no outcome")?;
        ensure!(
            answer.outcome() == pb::EnrolmentOutcomeKind::Enrolled,
            "elder {} is not enrolled: {}",
            person.id(),
            answer.reason
        );
    }
    Ok(())
}
