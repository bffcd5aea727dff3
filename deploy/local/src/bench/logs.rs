//! The logs of all services, filled with what they know of made-up elders, as fast as the log's server takes it.

use std::collections::{BTreeMap, HashMap};

use chrono::Utc;
use civic::{AlertKind, DepositKind, DeviceKind, Fen, Set};
use claims::{
    adjudication::Runs,
    fund::{self, Fund},
    settlements::{self, Line, Settlements},
};
use eventlog::{Aggregate as _, EventLog as _, JetStreamLog, RawEvent, Subject};
use sharing::look::{Look, Looks, Recorded};
use uuid::Uuid;

use super::{
    agreed::DEPARTMENT,
    homes,
    lives::{FEN, Life, Order, PROGRAMME},
    people::day,
    seed::{self, Seeded},
    stage::Stage,
    visiting,
};
use crate::output::{Progress, Step};

/// How many records are written together.
const CHUNK: usize = 5_000;

/// How many orders are judged in a run, and how many are in a settlement; in the county it is 118 of these.
const RUN: usize = 500;
const SETTLED: usize = 118;

/// The month of settlements, and when they are paid.
const MONTH: &str = "2024-11-01";
const PAID_ON: &str = "2024-11-20";

/// How much is granted to the fund of the programme.
const GRANT: Fen = Fen(100_000_000_000);

/// How many events stand in the logs, by stream.
#[derive(Debug, Default)]
pub(super) struct Logs(BTreeMap<String, u64>);

impl Logs {
    /// Writes what the services know of so many elders.
    pub(super) async fn filled(
        stage: &Stage,
        elders: u64,
        progress: Progress,
    ) -> anyhow::Result<Self> {
        let sealing = Seeded::sealing(stage, elders, Set::EMPTY, Life::of, progress);
        let (mut seeded, lives) = sealing.await?;
        let changed = usize::try_from(Life::changed_of(elders))?;
        seeded.change(1, changed, progress).await?;
        let mut filling = Filling {
            stage,
            progress,
            lives,
            logs: Self::default(),
        };
        filling.logs.count("REGISTRY", seeded.events);
        drop(seeded);
        filling.tiers().await?;
        filling.visits().await?;
        filling.alerts().await?;
        filling.orders().await?;
        filling.looks().await?;
        Ok(filling.logs)
    }

    /// How many events a stream has.
    pub(super) fn of(&self, stream: &str) -> u64 {
        self.0.get(stream).copied().unwrap_or_default()
    }

    /// How many events there are in all.
    pub(super) fn all(&self) -> u64 {
        self.0.values().sum()
    }

    fn count(&mut self, stream: &str, events: u64) {
        *self.0.entry(stream.to_owned()).or_default() += events;
    }
}

/// Logs that are being filled.
struct Filling<'stage> {
    stage: &'stage Stage,
    progress: Progress,
    lives: Vec<Life>,
    logs: Logs,
}

impl Filling<'_> {
    /// The log of a service, to be filled with something.
    async fn log_of(&self, context: &str, what: &str) -> anyhow::Result<Writing> {
        Ok(Writing {
            log: seed::log_of(self.stage, context).await?,
            last: HashMap::new(),
            events: 0,
            step: self.progress.begin(format!("{what} in the log"), 0),
        })
    }

    /// The elders to whom something applies.
    fn whom(&self, applies: impl Fn(&Life) -> bool) -> Vec<&Life> {
        self.lives.iter().filter(|life| applies(life)).collect()
    }

    async fn tiers(&mut self) -> anyhow::Result<()> {
        let mut log = self.log_of(tiering::codec::CONTEXT, "tiers").await?;
        let (policy, published) = Life::policy();
        log.add(policy, vec![published]).await?;
        let visited = self.whom(Life::is_visited);
        log.tell(&visited, 2, Life::tier, Life::tiered).await?;
        log.done(&mut self.logs);
        Ok(())
    }

    async fn visits(&mut self) -> anyhow::Result<()> {
        let mut log = self.log_of(visits::codec::CONTEXT, "visits").await?;
        let visitors = 0..Life::visitors_for(self.lives.len() as u64);
        let registrations = visitors
            .zip(&self.lives)
            .map(|(number, like)| visiting::registration(Life::visitor(number), like.person));
        let registered = seed::write(&log.log, registrations.collect()).await?;
        log.events += registered.len() as u64;
        let visited = self.whom(Life::is_visited);
        log.tell(&visited, Life::YEAR, Life::year, Life::year_goes_on)
            .await?;
        log.done(&mut self.logs);
        Ok(())
    }

    async fn alerts(&mut self) -> anyhow::Result<()> {
        let devices = Life::devices_of(self.lives.len() as u64);
        let now = Utc::now();
        let home = |device: u64| (DeviceKind::SosButton, Life::watched_by(device).id(), now);
        homes::register(self.stage, devices, home, self.progress).await?;
        let mut log = self.log_of(alerts::codec::CONTEXT, "alerts").await?;
        log.events += devices;
        for kind in [AlertKind::VisitMissed, AlertKind::Sos] {
            let alerted = self.whom(|life| life.is_alerted(kind));
            let on_line = |life: &Life, turn: usize| life.line_goes_on(kind, turn);
            log.tell(&alerted, Life::LINE, |life| life.line(kind), on_line)
                .await?;
            let told = |life: &Life, _: usize| life.told(kind);
            log.tell(&alerted, 1, |life| life.notices(kind), told)
                .await?;
        }
        log.done(&mut self.logs);
        Ok(())
    }

    async fn orders(&mut self) -> anyhow::Result<()> {
        let mut log = self.log_of(claims::codec::CONTEXT, "orders").await?;
        let insured = self.whom(Life::is_insured);
        let enrolled = |life: &Life, _: usize| life.enrolled();
        log.tell(&insured, 1, Life::insurance, enrolled).await?;
        let granted = fund::Event::Deposited {
            kind: DepositKind::Grant,
            amount: GRANT,
            reference: "GRANT-2024".to_owned(),
            persons: 0,
        };
        log.add(fund_subject()?, vec![Fund::encode(&granted)])
            .await?;
        let mut books = Books::default();
        for nth in 0.. {
            let orders = self.lives.iter().filter_map(|life| life.order(nth));
            let orders: Vec<_> = orders.collect();
            if orders.is_empty() {
                break;
            }
            for together in orders.chunks(RUN) {
                books.judge(&mut log, together).await?;
            }
        }
        log.done(&mut self.logs);
        Ok(())
    }

    async fn looks(&mut self) -> anyhow::Result<()> {
        let mut log = self.log_of(sharing::codec::CONTEXT, "looks").await?;
        let visited = self.whom(Life::is_visited);
        // Each as of a process of its own, so that they need not wait for each other.
        let looks = |life: &Life| {
            let writer = life.elder().to_string();
            Subject::new(sharing::codec::CONTEXT, Looks::NAME, &writer).expect("an id is a token")
        };
        let looked = |life: &Life, _: usize| vec![Looks::encode(&look(life))];
        log.tell(&visited, 1, looks, looked).await?;
        log.done(&mut self.logs);
        Ok(())
    }
}

/// A look of an officer of the department.
fn look(at: &Life) -> Recorded {
    Recorded::Provided {
        look: Look {
            caller: "OFFICER:doctor".to_owned(),
            department: DEPARTMENT.to_owned(),
            purpose: "家庭医生签约".to_owned(),
            method: "GetDossier".to_owned(),
            address: "127.0.0.1".to_owned(),
            at: day(MONTH).start(),
            elders: vec![at.elder()],
            fields: vec!["elder.name:masked".to_owned()],
        },
        agreements: vec![Uuid::nil()],
    }
}

/// A log that is written.
struct Writing {
    log: JetStreamLog,
    /// The last sequences of aggregates of which each record rests on the one before.
    last: HashMap<String, u64>,
    events: u64,
    step: Step,
}

impl Writing {
    /// Has aggregates of elders go on by a record a turn, side by side, as they did in the county: an elder's own records lie
    /// far apart.
    async fn tell(
        &mut self,
        lives: &[&Life],
        turns: usize,
        subject: impl Fn(&Life) -> Subject,
        said: impl Fn(&Life, usize) -> Vec<RawEvent>,
    ) -> anyhow::Result<()> {
        let mut last = vec![0; lives.len()];
        for turn in 0..turns {
            for (lives, last) in lives.chunks(CHUNK).zip(last.chunks_mut(CHUNK)) {
                let (mut places, mut records) = (Vec::new(), Vec::new());
                for (place, life) in lives.iter().copied().enumerate() {
                    let events = said(life, turn);
                    if events.is_empty() {
                        continue;
                    }
                    self.events += events.len() as u64;
                    let mut record = seed::record(subject(life), last[place], events);
                    record.metadata.division = Some(life.person.village_code());
                    places.push(place);
                    records.push(record);
                }
                let sequences = seed::write(&self.log, records).await?;
                for (place, sequence) in places.into_iter().zip(sequences) {
                    last[place] = sequence;
                }
                self.step.so_far(self.events);
            }
        }
        Ok(())
    }

    /// Writes one more record of an aggregate.
    async fn add(&mut self, subject: Subject, events: Vec<RawEvent>) -> anyhow::Result<()> {
        let last = self.last.entry(subject.to_string()).or_default();
        self.events += events.len() as u64;
        *last = self
            .log
            .append(seed::record(subject, *last, events))
            .await?;
        Ok(())
    }

    fn done(self, logs: &mut Logs) {
        logs.count(self.log.stream(), self.events);
        self.step.done(&format!("{} events", self.events));
    }
}

/// What approved orders lead to: money that is reserved, and settlements.
#[derive(Debug, Default)]
struct Books {
    approved: BTreeMap<String, Vec<Line>>,
    settlements: u32,
}

impl Books {
    /// Has orders handed in, judged in one run, and settled or given up.
    async fn judge(&mut self, log: &mut Writing, orders: &[Order<'_>]) -> anyhow::Result<()> {
        let handed_in = orders.iter().map(|order| {
            let mut record = seed::record(order.subject(), 0, vec![order.submitted()]);
            record.metadata.division = Some(order.life.person.village_code());
            record
        });
        let sequences = seed::write(&log.log, handed_in.collect()).await?;
        log.events += sequences.len() as u64;

        let verdicts = orders.iter().flat_map(Order::verdict).collect();
        let runs = Subject::new(claims::codec::CONTEXT, Runs::NAME, "orders")?;
        log.add(runs, verdicts).await?;
        let approved = orders.iter().filter(|order| !order.is_held()).count();
        let reserved = fund::Event::Reserved {
            amount: Fen(FEN * i64::try_from(approved)?),
            orders: u32::try_from(approved)?,
        };
        log.add(fund_subject()?, vec![Fund::encode(&reserved)])
            .await?;

        let held = orders.iter().zip(&sequences);
        let held = held.filter(|(order, _)| order.is_held());
        let lapsed = held.map(|(order, sequence)| {
            seed::record(order.subject(), *sequence, vec![order.lapsed()])
        });
        let lapsed = seed::write(&log.log, lapsed.collect()).await?;
        log.events += lapsed.len() as u64;

        for order in orders.iter().filter(|order| !order.is_held()) {
            let lines = self.approved.entry(order.provider()).or_default();
            lines.push(order.line());
            if lines.len() >= SETTLED {
                let lines = std::mem::take(lines);
                self.settle(log, &order.provider(), lines).await?;
            }
        }
        log.step.so_far(log.events);
        Ok(())
    }

    /// Drafts a settlement, confirms it, and pays it.
    async fn settle(
        &mut self,
        log: &mut Writing,
        provider: &str,
        lines: Vec<Line>,
    ) -> anyhow::Result<()> {
        self.settlements += 1;
        let number = self.settlements;
        let total = Fen(lines.iter().map(|line| line.amount.0).sum());
        let steps = [
            settlements::Event::Drafted {
                number,
                month: day(MONTH).month(),
                lines,
                adjustments: vec![],
                total,
            },
            settlements::Event::Confirmed {
                number,
                on: Some(day(PAID_ON)),
            },
            settlements::Event::Paid {
                number,
                amount: total,
                paid_on: day(PAID_ON),
                reference: format!("V{number:06}"),
            },
        ];
        for step in &steps {
            let id = format!("{PROGRAMME}-{provider}");
            let subject = Subject::new(claims::codec::CONTEXT, Settlements::NAME, &id)?;
            log.add(subject, vec![Settlements::encode(step)]).await?;
        }
        let paid = fund::Event::Paid {
            provider: provider.to_owned(),
            number,
            amount: total,
            reserved: total,
        };
        log.add(fund_subject()?, vec![Fund::encode(&paid)]).await
    }
}

fn fund_subject() -> anyhow::Result<Subject> {
    Ok(Subject::new(claims::codec::CONTEXT, Fund::NAME, PROGRAMME)?)
}
