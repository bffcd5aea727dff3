//! The course of some months: whatever may become of orders, settlements, registers and funds, in any order that the rules
//! allow. It is the same for the same seed.

mod money;
mod registers;

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use civic::{
    Assistance, CapabilityLevel, ElderId, ElderStatus, EvidenceKind, Fen, LocalDay, OrderCode,
    OrderState, Set,
};
use claims::adjudication::{Appealed, Earlier, Event as Verdict, Run, Runs, Year};
use claims::caregiver::Caregiver;
use claims::codec::purpose;
use claims::enrolment::Enrolments;
use claims::fund::{self, Fund};
use claims::judging::{Evidence, JudgedFacts};
use claims::order::{self, Appeal, Order, Submitted};
use claims::programme::Programme;
use claims::provider::Provider;
use claims::settlements::Settlements;
use elders::testing::sealed;
use eventlog::{Aggregate as _, EventLog, MemoryLog, Metadata, Repository};
use proptest::sample::select;
use proptest::strategy::{Strategy, ValueTree as _};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use proto::eldercare::claims::v1 as pb;
use service::testing::{carry_out, write};
use uuid::Uuid;

use crate::support::{VILLAGE, at};

const PROGRAMMES: [&str; 2] = ["HOMECARE", "LTCI"];
const PROVIDERS: [&str; 2] = ["P01", "P02"];
const ELDERS: u128 = 4;
const CAREGIVERS: u128 = 3;
/// Whoever hands orders in and appeals, and whoever decides.
const CLERK: &str = "officer:clerk";
const REVIEWER: &str = "officer:reviewer";
/// What an order costs.
const PRICE: Fen = Fen(20_000);

fn elder_id(number: u128) -> ElderId {
    ElderId(Uuid::from_u128(0xe1_0000 + number))
}

fn caregiver_id(number: u128) -> Uuid {
    Uuid::from_u128(0xca_0000 + number)
}

/// On whose list a caregiver is.
fn employer(number: u128) -> &'static str {
    PROVIDERS[usize::from(number % 2 == 1)]
}

/// An order, and where it stands.
struct Handed {
    submitted: Box<Submitted>,
    state: Order,
    stands: OrderState,
}

/// What the adjudicator has still to read: by the places of orders.
enum Unread {
    Submitted(usize),
    Accepted(usize),
    Withdrawn(usize),
}

pub(super) struct Course {
    log: Arc<dyn EventLog>,
    runner: TestRunner,
    now: DateTime<Utc>,
    /// The last id that was given.
    ids: u128,
    orders: Vec<Handed>,
    unread: Vec<Unread>,
    earlier: Earlier,
    settlements: BTreeMap<String, Settlements>,
    funds: BTreeMap<String, Fund>,
    programmes: BTreeMap<String, Programme>,
    enrolments: BTreeMap<(String, ElderId), Enrolments>,
    providers: BTreeMap<String, Provider>,
    caregivers: BTreeMap<Uuid, Caregiver>,
}

impl Course {
    pub(super) fn of(seed: [u8; 32]) -> Self {
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
        Self {
            log: Arc::new(MemoryLog::new("CLAIMS")),
            runner: TestRunner::new_with_rng(Config::default(), rng),
            now: at("2024-03-05 09:00"),
            ids: 0,
            orders: Vec::new(),
            unread: Vec::new(),
            earlier: registers::in_order(),
            settlements: BTreeMap::new(),
            funds: BTreeMap::new(),
            programmes: BTreeMap::new(),
            enrolments: BTreeMap::new(),
            providers: BTreeMap::new(),
            caregivers: BTreeMap::new(),
        }
    }

    /// The log after so many steps, of which each kind comes in turn.
    pub(super) async fn run(mut self, steps: usize) -> Arc<dyn EventLog> {
        for step in 0..steps {
            self.now += TimeDelta::hours(5);
            match step % 17 {
                5 | 11 => self.adjudicate().await,
                6 => self.appeal().await,
                7 => self.decide_appeal().await,
                8 => self.expire().await,
                9 => self.draft().await,
                10 | 15 => self.confirm_or_pay().await,
                12 => self.doubt().await,
                13 => self.decide_hold().await,
                14 => self.adjust().await,
                16 => self.register(step / 17).await,
                _ => self.hand_in().await,
            }
        }
        self.log
    }

    fn any<S: Strategy>(&mut self, strategy: S) -> S::Value {
        strategy.new_tree(&mut self.runner).unwrap().current()
    }

    fn id(&mut self) -> Uuid {
        self.ids += 1;
        Uuid::from_u128(self.ids)
    }

    fn metadata(&self) -> Metadata {
        service::testing::metadata(self.now, VILLAGE)
    }

    fn today(&self) -> LocalDay {
        LocalDay::of(self.now)
    }

    /// The place of one of the orders that are meant.
    fn one(&mut self, meant: impl Fn(&Handed) -> bool) -> Option<usize> {
        let orders = self.orders.iter().enumerate();
        let places: Vec<usize> = orders
            .filter(|(_, one)| meant(one))
            .map(|(place, _)| place)
            .collect();
        (!places.is_empty()).then(|| self.any(select(places)))
    }

    async fn hand_in(&mut self) {
        let start = at("2024-03-01 08:00") + TimeDelta::minutes(30 * self.any(0..900_i64));
        let caregiver = self.any(0..CAREGIVERS);
        let codes = match self.any(0..5_u8) {
            0 => Set::from([OrderCode::DurationShort]),
            _ => Set::new(),
        };
        let submitted = Box::new(Submitted {
            provider: employer(caregiver).to_owned(),
            number: format!("O{}", self.orders.len()),
            programme: self.any(select(PROGRAMMES.to_vec())).to_owned(),
            version: 1,
            elder: elder_id(self.any(0..ELDERS)),
            caregiver: caregiver_id(caregiver),
            check_in_at: start,
            check_out_at: start + TimeDelta::minutes(90),
            check_in: sealed(purpose::CHECK_IN, &pb::CheckInPlace::default()),
            items: vec!["BATHING".to_owned()],
            evidence: vec![Evidence {
                kind: EvidenceKind::Photo,
                hash: format!("file-of-{}", self.any(0..400_u16)).into_bytes(),
            }],
            codes,
            facts: JudgedFacts {
                registry_sequence: 1,
                age: 74,
                status: ElderStatus::Active,
                capability: CapabilityLevel::Severe,
                assistance: Assistance::MinimumLiving.into(),
                handicap_grade: 0,
                entitled_by: "LOW_INCOME".to_owned(),
                metres_from_home: None,
            },
            village: VILLAGE.parse().unwrap(),
            units: 1,
            amount: PRICE,
            submitted_by: CLERK.to_owned(),
            appeal_until: self.today().plus_days(15),
            units_a_year: 4,
        });
        self.unread.push(Unread::Submitted(self.orders.len()));
        self.orders.push(Handed {
            submitted: submitted.clone(),
            state: Order::default(),
            stands: OrderState::Waiting,
        });
        let command = order::Command::Submit(submitted);
        self.of_order(self.orders.len() - 1, &command).await;
    }

    async fn of_order(&mut self, place: usize, command: &order::Command) {
        let metadata = self.metadata();
        let one = &mut self.orders[place];
        let id = one.submitted.key().to_string();
        carry_out(&*self.log, (id.as_str(), &mut one.state), metadata, command).await;
    }

    /// What the adjudicator says of all that it has not read yet.
    async fn adjudicate(&mut self) {
        let mut run = Run::default();
        for unread in std::mem::take(&mut self.unread) {
            let order = |place: usize| &*self.orders[place].submitted;
            match unread {
                Unread::Submitted(place) => self.earlier.judge(order(place), &mut run),
                Unread::Accepted(place) => self.earlier.accept(appealed(order(place)), &mut run),
                Unread::Withdrawn(place) => self.earlier.withdraw(appealed(order(place)), &mut run),
            }
        }
        let events = run.finish();
        if events.is_empty() {
            return;
        }
        for event in &events {
            let (key, stands) = match event {
                Verdict::Approved { order, .. } => (order, OrderState::Approved),
                Verdict::Held { order, .. } => (order, OrderState::AbnormalOpen),
                Verdict::NotSettled { order, .. } => (order, OrderState::NotSettled),
                Verdict::Consumed { .. }
                | Verdict::Released { .. }
                | Verdict::PremiumsBooked { .. } => continue,
            };
            let mut orders = self.orders.iter_mut();
            let one = orders.find(|one| one.submitted.key() == *key).unwrap();
            one.stands = stands;
        }
        for (programme, (amount, orders)) in &run.reserved {
            let command = fund::Command::Reserve {
                amount: *amount,
                orders: *orders,
            };
            self.of_fund(programme, &command).await;
        }
        let subject = Repository::<Runs>::subject("orders").unwrap();
        let events = events.iter().map(Runs::encode).collect();
        write(&*self.log, subject, self.metadata(), events).await;
    }

    async fn appeal(&mut self) {
        let waits = |one: &Handed| {
            one.stands == OrderState::AbnormalOpen && one.state.appeal == Appeal::None
        };
        let Some(place) = self.one(waits) else {
            return;
        };
        let command = order::Command::Appeal {
            abnormal: true,
            today: self.orders[place].submitted.appeal_until,
            by: CLERK.to_owned(),
            statement: sealed(purpose::STATEMENT, &pb::AppealStatement::default()),
            evidence: vec![],
        };
        self.of_order(place, &command).await;
    }

    async fn decide_appeal(&mut self) {
        let filed = |one: &Handed| matches!(one.state.appeal, Appeal::Filed { .. });
        let Some(place) = self.one(filed) else {
            return;
        };
        let accept = self.any(0..3_u8) > 0;
        let command = order::Command::Decide {
            accept,
            by: REVIEWER.to_owned(),
            key: self.orders[place].submitted.key(),
        };
        self.of_order(place, &command).await;
        if accept {
            self.unread.push(Unread::Accepted(place));
        } else {
            self.orders[place].stands = OrderState::NotSettled;
        }
    }

    async fn expire(&mut self) {
        let waits = |one: &Handed| {
            one.stands == OrderState::AbnormalOpen && one.state.appeal == Appeal::None
        };
        let Some(place) = self.one(waits) else {
            return;
        };
        let submitted = &self.orders[place].submitted;
        let command = order::Command::Expire {
            today: submitted.appeal_until.next(),
            key: submitted.key(),
        };
        self.of_order(place, &command).await;
        self.orders[place].stands = OrderState::NotSettled;
    }
}

fn appealed(order: &Submitted) -> Appealed {
    Appealed {
        order: order.key(),
        year: Year {
            programme: order.programme.clone(),
            elder: order.elder,
            year: order.day().year(),
        },
        provider: order.provider.clone(),
        day: order.day(),
        units: order.units,
        quota: order.units_a_year,
        amount: order.amount,
    }
}
