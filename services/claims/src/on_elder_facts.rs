//! Facts that are recorded after an order was approved, such as a death that was told late, or a contract that ended earlier
//! than was known: whatever would have changed an approval puts the order on hold while it is not paid, and lists it for
//! recovery once it is.
//!
//! Two logs lead here. A record about an elder has all of the elder's approved orders looked at again; the end of an enrolment,
//! a contract or a listing those of the days after it; and an approval has itself looked at again where any of these came since
//! the order was judged. Each order is asked all, by what is recorded now: so what stands against it is said whole, and said
//! again only where it has grown. What follows is decided by the provider's settlements, once, however often it is found.
//!
//! How far it has got is told by [`Rechecked`].

mod affected;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use civic::{ElderId, OrderCode, Set};
use elders::Facts;
use eventlog::{
    Aggregate as _, CommandContext, Deliveries, Delivery, ExecuteError, Record, Repository,
};
use futures::StreamExt as _;
use readmodel::{
    ActiveReader, HEARTBEAT, ReaderFailed, ReaderFollower, run_reader, table_is_there,
};
use service::connections;
use sqlx::{Connection as _, PgConnection};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use self::affected::{Affected, Cause, Told};
use crate::book_table;
use crate::claims::{Claims, home};
use crate::codec::purpose;
use crate::facts_table;
use crate::judging::{self, Service};
use crate::order::{Event, Order, Submitted};
use crate::progress::Rechecked;
use crate::registered::{self, Whom};
use crate::settlement_rows;
use crate::settlements::Command;

/// The reader's name.
pub const NAME: &str = "on_elder_facts";
/// How many records are taken in at once.
const CHUNK: usize = 500;
/// The codes that follow from facts about the elder. Beside them count those by which registers stand against an order.
const OF_FACTS: [OrderCode; 3] = [
    OrderCode::NotEntitled,
    OrderCode::NotAliveOrPresent,
    OrderCode::LocationMismatch,
];

/// What it works with.
#[derive(Clone)]
pub(crate) struct Rechecker {
    pub(crate) claims: Claims,
    pub(crate) progress: ReaderFollower<Rechecked>,
}

impl Rechecker {
    /// Runs until `shutdown`.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let rechecker = Arc::new(self);
        run_reader(
            &rechecker.claims.pool,
            "claims on_elder_facts",
            &shutdown,
            |conn| {
                let rechecker = Arc::clone(&rechecker);
                async move { rechecker.lead(conn).await }
            },
        )
        .await;
    }

    async fn lead(&self, mut conn: PgConnection) -> Result<(), ReaderFailed> {
        for (schema, table) in [(book_table::NAME, "hold"), (facts_table::NAME, "elder")] {
            table_is_there(&mut conn, &format!("{schema}.{table}")).await?;
        }
        let claims = &self.claims;
        // Whoever begins anew knows no less than those who looked before: so nothing is found that was none to them.
        let registry = connections::last_sequence(claims.registry.as_ref()).await;
        claims.facts.reaches(registry).await;
        let own = connections::last_sequence(claims.own.as_ref()).await;
        claims.book.reaches(own).await;
        let progress = Rechecked::known(&mut conn).await?.unwrap_or_default();
        let mut registry = self.claims.registry.subscribe(progress.registry).await?;
        let mut own = self.claims.own.subscribe(progress.own).await?;
        let mut active = Active {
            rechecker: self,
            conn,
            progress,
            ended: progress.own,
            active: self.progress.active(Some(progress)),
        };
        loop {
            tokio::select! {
                batch = next(&mut registry) => {
                    for chunk in batch?.chunks(CHUNK) {
                        active.facts_recorded(chunk).await?;
                    }
                }
                batch = next(&mut own) => {
                    for chunk in batch?.chunks(CHUNK) {
                        active.own_recorded(chunk).await?;
                    }
                }
                () = tokio::time::sleep(HEARTBEAT) => active.conn.ping().await?,
            }
        }
    }
}

async fn next(deliveries: &mut Deliveries) -> Result<Vec<Delivery>, ReaderFailed> {
    let batch = deliveries.next().await.transpose()?;
    batch.ok_or_else(|| ReaderFailed::because("the subscription ended"))
}

/// The active reader.
struct Active<'a> {
    rechecker: &'a Rechecker,
    conn: PgConnection,
    progress: Rechecked,
    /// Up to this sequence of our own log something may have ended: orders from before it were judged without it.
    ended: u64,
    /// Tells of it.
    active: ActiveReader<Rechecked>,
}

impl Active<'_> {
    /// Records of the registry's log.
    async fn facts_recorded(&mut self, chunk: &[Delivery]) -> Result<(), ReaderFailed> {
        let Some(last) = chunk.last().map(Delivery::sequence) else {
            return Ok(());
        };
        let registry = self.rechecker.claims.registry.stream();
        let elders = records(chunk)
            .filter(|record| record.subject.aggregate() == "elder")
            .filter_map(|record| {
                let elder: Uuid = record.subject.id().parse().ok()?;
                Some((elder, Cause::of(registry, record)))
            });
        // The last one about each.
        let elders: HashMap<Uuid, Cause> = elders.collect();
        if !elders.is_empty() {
            self.rechecker.claims.facts.reaches(last).await;
            let affected = affected::of_elders(&mut self.conn, &elders).await?;
            self.recheck(affected).await?;
        }
        self.progress.registry = last;
        self.step().await
    }

    /// Records of our own log.
    async fn own_recorded(&mut self, chunk: &[Delivery]) -> Result<(), ReaderFailed> {
        let Some(last) = chunk.last().map(Delivery::sequence) else {
            return Ok(());
        };
        let own = self.rechecker.claims.own.stream();
        let mut told = Told::default();
        for record in records(chunk) {
            told.read(own, record);
        }
        if !told.is_empty() {
            self.rechecker.claims.book.reaches(last).await;
            let mut affected = BTreeMap::new();
            for (end, cause) in &told.ends {
                let orders = affected::after(&mut self.conn, end, cause).await?;
                affected.extend(orders.into_iter().map(|order| (order.key, order)));
                self.ended = self.ended.max(cause.position.sequence);
            }
            if !told.approved.is_empty() {
                let orders =
                    affected::of_approvals(&mut self.conn, &told.approved, self.ended).await?;
                affected.extend(orders.into_iter().map(|order| (order.key, order)));
            }
            self.recheck(affected.into_values().collect()).await?;
        }
        self.progress.own = last;
        self.step().await
    }

    async fn step(&mut self) -> Result<(), ReaderFailed> {
        self.progress.write(&mut self.conn).await?;
        self.active.tell(self.progress);
        Ok(())
    }

    async fn recheck(&mut self, orders: Vec<Affected>) -> Result<(), ReaderFailed> {
        if orders.is_empty() {
            return Ok(());
        }
        let claims = &self.rechecker.claims;
        let whom = Whom::of(orders.iter().map(|one| &one.served));
        let registers = registered::registers(&mut self.conn, &whom, registered::NOW).await?;
        let moved = orders.iter().filter(|one| one.moved);
        let elders: Vec<ElderId> = moved.map(|one| one.served.elder).collect();
        let facts = facts_table::TABLE.of(&mut self.conn, &elders).await?;
        let persons: Vec<Uuid> = elders.iter().map(ElderId::as_uuid).collect();
        let keys = claims.vault_keys(&persons).await?;
        for one in orders {
            let mut codes = registers.against(&one.served);
            let mut known = one.registry_sequence;
            let kept = facts.get(&one.served.elder).filter(|_| one.moved);
            if let Some((facts, sequence)) =
                kept.and_then(|kept| Some((kept.facts.as_ref()?, kept.sequence)))
                && let Some((order, record)) = self.order(one.key).await?
            {
                let key = keys.get(&one.served.elder.as_uuid()).map(|key| &**key);
                let judged = self.codes(&order, &record, facts, sequence, key).await?;
                codes = codes.union(judged.intersection(Set::from(OF_FACTS)));
                known = sequence;
            }
            let codes = codes.difference(one.codes);
            if !codes.is_empty() {
                self.doubt(&one, codes, known).await?;
            }
        }
        Ok(())
    }

    /// An order as it was handed in, with its record.
    async fn order(&self, key: Uuid) -> Result<Option<(Submitted, Record)>, ReaderFailed> {
        let subject = Repository::<Order>::subject(&key.to_string());
        let subject = subject.map_err(ReaderFailed::because)?;
        let records = self.rechecker.claims.own.read(&subject, 0).await?;
        let Some(record) = records.into_iter().next() else {
            return Ok(None);
        };
        let event = record
            .events
            .first()
            .and_then(|raw| Order::decode(raw).ok());
        Ok(match event {
            Some(Event::Submitted(order)) => Some((*order, record)),
            Some(
                Event::AppealFiled { .. }
                | Event::AppealAccepted { .. }
                | Event::AppealRefused { .. }
                | Event::NotSettled { .. },
            )
            | None => None,
        })
    }

    /// What the order would be told if it were handed in with these facts.
    async fn codes(
        &self,
        order: &Submitted,
        record: &Record,
        facts: &Facts,
        sequence: u64,
        key: Option<&vault::DataKey>,
    ) -> Result<Set<OrderCode>, ReaderFailed> {
        let person = order.elder.as_uuid();
        let place = key.and_then(|key| {
            let place = key.open(purpose::CHECK_IN, person, &order.check_in).ok()?;
            let position = place.position?;
            civic::GeoPosition::new(position.latitude, position.longitude).ok()
        });
        let home = key.and_then(|key| home(facts, order.day(), order.elder, key));
        // Where either is not known, there is no distance.
        let (place, home) = place
            .zip(home)
            .map_or((None, None), |(place, home)| (Some(place), Some(home)));
        let somewhere = civic::GeoPosition::new(0.0, 0.0).map_err(ReaderFailed::because)?;
        let service = Service {
            check_in_at: order.check_in_at,
            check_out_at: order.check_out_at,
            place: place.unwrap_or(somewhere),
            items: order.items.clone(),
            evidence: order.evidence.clone(),
        };
        let programme = self.rechecker.claims.programme(&order.programme).await;
        let programme = programme.map_err(|status| ReaderFailed::because(status.message()))?;
        let version = programme.version(order.version);
        let version = version.filter(|_| order.version != 0);
        let judged = judging::judge(
            version.map(|(_, definition)| &**definition),
            &service,
            facts,
            sequence,
            home.as_ref(),
            record.metadata.time,
        );
        Ok(judged.codes)
    }

    async fn doubt(
        &self,
        order: &Affected,
        codes: Set<OrderCode>,
        registry_sequence: u64,
    ) -> Result<(), ReaderFailed> {
        let claims = &self.rechecker.claims;
        let key = order.key;
        let position = order.cause.position.clone();
        let request_id = Uuid::new_v5(&key, format!("looked at again by {position}").as_bytes());
        let context = CommandContext {
            request_id,
            // The order and the record say all of the request.
            request_digest: [0; 16].into(),
            actor: "system:claims".to_owned(),
            now: claims.clock.now(),
            correlation_id: request_id,
            causation_id: Some(order.cause.id),
            division: Some(order.village.clone()),
            traceparent: None,
            answers: Some(position),
        };
        let command = Command::Doubt {
            order: key,
            codes,
            registry_sequence,
        };
        let served = &order.served;
        let id = settlement_rows::id(&served.programme, &served.provider);
        match claims.settlements.execute(&id, &context, &command).await {
            Ok(_) | Err(ExecuteError::Refused(_)) => Ok(()),
            Err(ExecuteError::Unreadable {
                sequence, reason, ..
            }) => {
                tracing::error!(
                    sequence,
                    reason,
                    "settlements can't be read: an order is not put on hold"
                );
                Ok(())
            }
            Err(error) => Err(ReaderFailed::because(error)),
        }
    }
}

fn records(chunk: &[Delivery]) -> impl Iterator<Item = &Record> {
    chunk.iter().filter_map(|delivery| match delivery {
        Delivery::Record(record) => Some(record),
        Delivery::Unreadable { .. } => None,
    })
}
