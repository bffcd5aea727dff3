//! A county whose claims are told commands by chance, and the book in which it is kept what they acknowledged.

use chrono::TimeDelta;
use civic::{CapabilityLevel, ElderId, LocalDay, Set};

use super::book::Book;
use super::commands::{Command, ELDERS, PROVIDERS, Programme, Step};
use crate::holds::no_longer_poor;
use crate::support::{Ground, Person, Running};

/// Claims under test, with all that commands are about.
pub(super) struct County {
    pub(super) running: Running,
    pub(super) book: Book,
    pub(super) elders: [ElderId; ELDERS],
    /// Two of each provider.
    pub(super) caregivers: Vec<String>,
    /// How many orders were made.
    pub(super) numbers: usize,
}

impl County {
    /// Both programmes with both providers; two elders are enrolled.
    pub(super) async fn on(ground: &Ground) -> Self {
        let running = ground.start().await;
        for programme in Programme::ALL {
            let definition = programme.definition();
            running.define(programme.code(), &definition).await.unwrap();
            for provider in PROVIDERS {
                running.contract(provider, programme.code()).await.unwrap();
            }
        }
        let mut caregivers = Vec::new();
        for provider in PROVIDERS {
            for _ in 0..2 {
                caregivers.push(running.caregiver(provider).await);
            }
        }
        let handicapped = Person {
            handicap: Some(1),
            ..Person::default()
        };
        let able = Person {
            capability: CapabilityLevel::Intact,
            ..Person::default()
        };
        let not_poor = Person {
            assistance: Set::new(),
            ..Person::default()
        };
        let elders = [
            Person::default().on(ground).await,
            handicapped.on(ground).await,
            able.on(ground).await,
            not_poor.on(ground).await,
        ];
        let mut county = Self {
            running,
            book: Book::default(),
            elders,
            caregivers,
            numbers: 0,
        };
        for programme in Programme::ALL {
            for elder in [0, 1] {
                county.enrol(programme, elder, "2024-01-01", false).await;
            }
        }
        county
    }

    pub(super) fn today(&self) -> LocalDay {
        self.running.ground.clock.today()
    }

    /// Carries out a command, and waits until all that follows is done.
    pub(super) async fn after(mut self, step: &Step) -> Self {
        if let Some(fault) = step.fault {
            self.running.ground.memory.fail_next(fault);
        }
        let twice = step.twice;
        match &step.command {
            Command::Enrol {
                programme,
                elder,
                first,
            } => self.enrol(*programme, *elder, first, twice).await,
            Command::EndEnrolment { which, days_ago } => {
                self.end_enrolment(*which, *days_ago, twice).await;
            }
            Command::Submit(services) => self.submit(services, twice).await,
            Command::SubmitAgain { which } => self.submit_again(*which).await,
            Command::ReuseNumber { which } => self.reuse_number(*which).await,
            Command::Appeal { which } => self.appeal(*which, twice).await,
            Command::DecideAppeal { which, accept } => {
                self.decide_appeal(*which, *accept, twice).await;
            }
            Command::DecideHold { which, withdraw } => {
                self.decide_hold(*which, *withdraw, twice).await;
            }
            Command::Deposit { programme, fen } => self.deposit(*programme, *fen, twice).await,
            Command::Draft {
                programme,
                provider,
                days_ago,
            } => {
                let month_of = self.today().plus_days(-days_ago);
                self.draft(*programme, PROVIDERS[*provider], month_of, twice)
                    .await;
            }
            Command::Confirm {
                programme,
                which,
                as_read,
            } => self.confirm(*programme, *which, *as_read, twice).await,
            Command::Pay {
                programme,
                which,
                as_read,
            } => self.pay(*programme, *which, *as_read, twice).await,
            Command::Adjust {
                programme,
                which,
                fen,
                names_order,
            } => {
                self.adjust(*programme, *which, (*fen, *names_order), twice)
                    .await;
            }
            Command::Dies { elder, days_ago } => {
                let on = self.today().plus_days(-days_ago).to_string();
                self.running.ground.dies(self.elders[*elder], &on).await;
            }
            Command::NoLongerPoor { elder, days_ago } => {
                let on = self.today().plus_days(-days_ago).to_string();
                let recorded = [no_longer_poor(&on)];
                let ground = &self.running.ground;
                ground.record(self.elders[*elder], &recorded).await;
            }
            Command::Wait { hours } => {
                let clock = &self.running.ground.clock;
                let then = clock.now() + TimeDelta::hours(*hours);
                clock.advance_to(then).unwrap();
            }
            Command::Restart { loses_database } => self = self.restarted(*loses_database).await,
        }
        self.running.settled().await;
        let today = self.today();
        self.book.is(today);
        self
    }

    async fn restarted(self, loses_database: bool) -> Self {
        let (ground, database) = self.running.stop().await;
        let running = if loses_database {
            ground.start().await
        } else {
            ground.start_on(database).await
        };
        Self { running, ..self }
    }
}
