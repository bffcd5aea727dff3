//! What happens to elders by chance, as the services put it on record.
//!
//! - [`file`], [`tier`], [`visits`], [`alerts`], [`care`]: what each service tells.

mod alerts;
mod care;
mod file;
mod tier;
mod visits;

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use civic::{ElderId, LocalDay};
use eventlog::{EventLog, RawEvent, Subject};
use uuid::Uuid;

use super::dice::Dice;
use crate::support::Ground;

/// Where elders live: five villages of the county, and one beyond.
const VILLAGES: [&str; 6] = [
    "350524100001",
    "350524100002",
    "350524101007",
    "350524101008",
    "350524102001",
    "350525100001",
];

/// Somebody to whom things happen.
struct Person {
    elder: ElderId,
    visits: Vec<String>,
    alerts: Vec<String>,
    /// Orders that are not paid.
    orders: Vec<String>,
    enrolment: Option<String>,
    erased: bool,
}

/// A county in which things happen by chance.
pub(super) struct Life<'a> {
    ground: &'a Ground,
    dice: Dice,
    people: Vec<Person>,
    /// What the adjudicator says with its next run.
    verdicts: Vec<RawEvent>,
    settlements: i32,
    /// How many versions the insurance has.
    versions: i32,
}

impl<'a> Life<'a> {
    pub(super) fn in_county(ground: &'a Ground, seed: u64) -> Self {
        Self {
            ground,
            dice: Dice::seeded(seed),
            people: vec![],
            verdicts: vec![],
            settlements: 0,
            versions: 0,
        }
    }

    /// All elders who ever had a file.
    pub(super) fn elders(&self) -> Vec<ElderId> {
        self.people.iter().map(|person| person.elder).collect()
    }

    /// How many of them are erased.
    pub(super) fn erased(&self) -> usize {
        self.people.iter().filter(|person| person.erased).count()
    }

    /// So many elders are registered.
    pub(super) async fn arrive(&mut self, many: usize) {
        for _ in 0..many {
            let elder = ElderId(Uuid::now_v7());
            let key = self.ground.vault.create(elder.as_uuid()).await.unwrap();
            let registered = self.registration(elder, &key);
            self.ground.record(elder, &[registered]).await;
            self.people.push(Person {
                elder,
                visits: vec![],
                alerts: vec![],
                orders: vec![],
                enrolment: None,
                erased: false,
            });
        }
    }

    /// So many things happen, each to somebody.
    pub(super) async fn goes_on(&mut self, many: usize) {
        self.insurance_changes().await;
        for _ in 0..many {
            let who = self.dice.below(self.people.len());
            if self.people[who].erased {
                continue;
            }
            match self.dice.below(20) {
                0..7 => self.file_changes(who).await,
                7..9 => self.tier_changes(who).await,
                9..12 => self.visits_change(who).await,
                12..15 => self.alerts_change(who).await,
                15..18 => self.orders_change(who).await,
                18 => self.enrolment_changes(who).await,
                _ if self.dice.one_in(4) => self.is_erased(who).await,
                _ => self.file_changes(who).await,
            }
        }
        self.adjudicates().await;
        self.settles().await;
    }

    fn today(&self) -> LocalDay {
        self.ground.clock.today()
    }

    /// A day that may be still to come.
    fn some_day(&mut self) -> LocalDay {
        self.today().plus_days(self.dice.few(60) - 50)
    }

    /// Today or before.
    fn past_day(&mut self) -> LocalDay {
        self.today().plus_days(-self.dice.few(60))
    }

    /// An instant of such a day.
    fn moment(&mut self) -> DateTime<Utc> {
        self.past_day().start() + TimeDelta::minutes(self.dice.few(24 * 60))
    }

    async fn write(
        &self,
        log: impl FnOnce(&Ground) -> &Arc<dyn EventLog>,
        subject: Subject,
        events: Vec<RawEvent>,
    ) {
        self.ground.write(log(self.ground), subject, events).await;
    }
}
