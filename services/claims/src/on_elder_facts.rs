//! Facts that are recorded after an order was approved, such as a death that was told late: whatever would have changed an
//! approval puts the order on hold while it is not paid, and lists it for recovery once it is.
//!
//! Two logs lead here: a record about an elder has all of the elder's approved orders looked at again, and an approval has
//! itself looked at again where facts have moved since the order was judged. What follows from a fact is decided by the
//! provider's settlements, once, however often it is found.
//!
//! How far it has got is told by [`Rechecked`].

use std::sync::Arc;

use civic::{ElderId, OrderCode, Set};
use elder_tables::columns::set;
use elders::Facts;
use eventlog::{
    Aggregate as _, CommandContext, Deliveries, Delivery, ExecuteError, Position, Record,
    Repository,
};
use futures::StreamExt as _;
use readmodel::{
    ActiveReader, HEARTBEAT, ReaderFailed, ReaderFollower, run_reader, table_is_there,
};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::adjudication::{self, Runs};
use crate::book_table;
use crate::claims::{Claims, home};
use crate::codec::purpose;
use crate::facts_table;
use crate::judging::{self, Service};
use crate::order::{Event, Order, Submitted};
use crate::progress::Rechecked;
use crate::settlement_rows;
use crate::settlements::Command;

/// The reader's name.
pub const NAME: &str = "on_elder_facts";
/// How many records are taken in at once.
const CHUNK: usize = 500;
/// The codes that follow from facts.
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
            || {},
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
        let progress = Rechecked::known(&mut conn).await?.unwrap_or_default();
        let mut registry = self.claims.registry.subscribe(progress.registry).await?;
        let mut own = self.claims.own.subscribe(progress.own).await?;
        let mut active = Active {
            rechecker: self,
            conn,
            progress,
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
                        active.approved(chunk).await?;
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
    /// Tells of it.
    active: ActiveReader<Rechecked>,
}

/// An approved order whose elder's facts have moved since it was judged.
struct Moved {
    key: Uuid,
    elder: ElderId,
    /// What it was approved in spite of, on appeal.
    codes: Set<OrderCode>,
}

impl Active<'_> {
    /// Records of the registry's log.
    async fn facts_recorded(&mut self, chunk: &[Delivery]) -> Result<(), ReaderFailed> {
        let Some(last) = chunk.last().map(Delivery::sequence) else {
            return Ok(());
        };
        let elders: Vec<Uuid> = records(chunk)
            .filter(|record| record.subject.aggregate() == "elder")
            .filter_map(|record| record.subject.id().parse().ok())
            .collect();
        if !elders.is_empty() {
            self.rechecker.claims.facts.reaches(last).await;
            let moved = self.moved("o.elder_id", &elders).await?;
            self.recheck(moved).await?;
        }
        self.progress.registry = last;
        self.step().await
    }

    /// Records of our own log.
    async fn approved(&mut self, chunk: &[Delivery]) -> Result<(), ReaderFailed> {
        let Some(last) = chunk.last().map(Delivery::sequence) else {
            return Ok(());
        };
        let verdicts = records(chunk)
            .filter(|record| record.subject.aggregate() == Runs::NAME)
            .flat_map(|record| &record.events)
            .filter_map(|raw| Runs::decode(raw).ok());
        let approved: Vec<Uuid> = verdicts
            .filter_map(|verdict| match verdict {
                adjudication::Event::Approved { order, .. } => Some(order),
                adjudication::Event::Held { .. }
                | adjudication::Event::Consumed { .. }
                | adjudication::Event::Released { .. }
                | adjudication::Event::PremiumsBooked { .. }
                | adjudication::Event::NotSettled { .. } => None,
            })
            .collect();
        if !approved.is_empty() {
            self.rechecker.claims.book.reaches(last).await;
            let moved = self.moved("o.order_key", &approved).await?;
            self.recheck(moved).await?;
        }
        self.progress.own = last;
        self.step().await
    }

    async fn step(&mut self) -> Result<(), ReaderFailed> {
        self.progress.write(&mut self.conn).await?;
        self.active.tell(self.progress);
        Ok(())
    }

    /// The approved orders among these whose elders' facts have moved since.
    async fn moved(&mut self, column: &str, ids: &[Uuid]) -> Result<Vec<Moved>, ReaderFailed> {
        let statement = format!(
            "SELECT o.order_key, o.elder_id, o.codes FROM {book}.service_order o \
             JOIN {facts}.elder e ON e.elder_id = o.elder_id \
             WHERE {column} = ANY($1) AND o.state = 1 AND e.sequence > o.registry_sequence AND e.facts IS NOT NULL \
             ORDER BY o.sequence",
            book = book_table::NAME,
            facts = facts_table::NAME,
        );
        let rows = sqlx::query(AssertSqlSafe(statement))
            .bind(ids)
            .fetch_all(&mut self.conn)
            .await?;
        let moved = rows.iter().map(|row| {
            Ok(Moved {
                key: row.try_get(0)?,
                elder: ElderId(row.try_get(1)?),
                codes: set(row.try_get(2)?),
            })
        });
        Ok(moved.collect::<Result<_, sqlx::Error>>()?)
    }

    async fn recheck(&mut self, moved: Vec<Moved>) -> Result<(), ReaderFailed> {
        if moved.is_empty() {
            return Ok(());
        }
        let claims = &self.rechecker.claims;
        let elders: Vec<ElderId> = moved.iter().map(|one| one.elder).collect();
        let facts = facts_table::TABLE.of(&mut self.conn, &elders).await?;
        let persons: Vec<Uuid> = elders.iter().map(ElderId::as_uuid).collect();
        let keys = claims.vault_keys(&persons).await?;
        for one in moved {
            let kept = facts.get(&one.elder);
            let Some((facts, sequence)) =
                kept.and_then(|kept| Some((kept.facts.as_ref()?, kept.sequence)))
            else {
                continue;
            };
            let Some((order, record)) = self.order(one.key).await? else {
                continue;
            };
            let key = keys.get(&one.elder.as_uuid()).map(|key| &**key);
            let codes = self.codes(&order, &record, facts, sequence, key).await?;
            let codes: Set<OrderCode> = OF_FACTS
                .into_iter()
                .filter(|code| codes.contains(*code) && !one.codes.contains(*code))
                .collect();
            if !codes.is_empty() {
                self.doubt(&order, &record, codes, sequence).await?;
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
        order: &Submitted,
        record: &Record,
        codes: Set<OrderCode>,
        registry_sequence: u64,
    ) -> Result<(), ReaderFailed> {
        let claims = &self.rechecker.claims;
        let key = order.key();
        let request_id = Uuid::new_v5(&key, format!("facts of {registry_sequence}").as_bytes());
        let context = CommandContext {
            request_id,
            // The order and the record say all of the request.
            request_digest: [0; 16].into(),
            actor: "system:claims".to_owned(),
            now: claims.clock.now(),
            correlation_id: request_id,
            causation_id: Some(record.metadata.id),
            division: Some(order.village.to_string()),
            traceparent: None,
            answers: Some(Position::new(claims.registry.stream(), registry_sequence)),
        };
        let command = Command::Doubt {
            order: key,
            codes,
            registry_sequence,
        };
        let id = settlement_rows::id(&order.programme, &order.provider);
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
