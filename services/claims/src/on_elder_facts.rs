//! Facts that are recorded after an order was approved, such as a death that was told late, or a contract that ended earlier
//! than was known: whatever would have changed an approval puts the order on hold while it is not paid, and lists it for
//! recovery once it is.
//!
//! Two logs lead here. A record about an elder has all of the elder's approved orders looked at again; the end of an enrolment,
//! a contract or a listing those of the days after it; and an approval, or a reviewer's word that keeps one, has itself looked at
//! again where any of these came since the order was judged. Each order is asked all, by what is recorded now: so what stands
//! against it is said whole, and said again only where it has grown. What follows is decided by the provider's settlements, once,
//! however often it is found.
//!
//! After the end of a contract there may be very many orders. So an end is kept, and its orders are looked at a page at a time, in
//! the order in which they were handed in: whatever else is recorded meanwhile has its turn after each page, and whoever leads
//! after a broken connection goes on with the page at which it broke.
//!
//! What can't be read of an order, of a programme or of settlements is parked, and all others go on. What can't be asked since the
//! programme's version can't be read, or said since settlements can't be, is kept, and looked at once more by whoever leads next.
//!
//! How far it has got is told by [`Rechecked`].

mod affected;
mod ends_kept;
mod handed_in;
mod judged;
mod told;
mod turns;
mod unsaid;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use civic::ElderId;
use eventlog::{CommandContext, Delivery, ExecuteError, Record};
use readmodel::{
    ActiveReader, GivingWay, ReaderFailed, ReaderFollower, Traces, Work, run_reader, table_is_there,
};
use service::connections;
use sqlx::{Connection as _, PgConnection};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use self::affected::{Affected, PAGE};
use self::judged::Found;
use self::told::{Cause, Told};
use self::turns::{Turn, Turns};
use crate::book_table;
use crate::claims::Claims;
use crate::facts_table;
use crate::progress::Rechecked;
use crate::registered::{self, Whom};
use crate::settlement_rows;
use crate::settlements::Command;

/// The reader's name.
pub const NAME: &str = "on_elder_facts";
/// The name of its lock, by which operators know it.
const LOCK: &str = "claims on_elder_facts";

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
        run_reader(&rechecker.claims.pool, LOCK, &shutdown, |conn| {
            let rechecker = Arc::clone(&rechecker);
            async move { rechecker.lead(conn).await }
        })
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
        let registry = self.claims.registry.subscribe(progress.registry).await?;
        let own = self.claims.own.subscribe(progress.own).await?;
        let mut turns = Turns::of(registry, own);
        let mut active = Active {
            rechecker: self,
            conn,
            progress,
            last_end: progress.own,
            unsaid: Some(Uuid::nil()),
            active: self.progress.active(Some(progress)),
        };
        loop {
            match turns.turn(active.pages()).await? {
                Turn::Facts(piece) => active.facts_recorded(&piece).await?,
                Turn::Own(piece) => active.own_recorded(&piece).await?,
                Turn::Page => active.page().await?,
                Turn::Rest => active.conn.ping().await?,
            }
        }
    }
}

/// The active reader.
struct Active<'a> {
    rechecker: &'a Rechecker,
    conn: PgConnection,
    progress: Rechecked,
    /// Up to this sequence of our own log something may have ended: orders from before it were judged without it.
    last_end: u64,
    /// Orders after this one may be among those of which something could not be said before; none: all were looked at.
    unsaid: Option<Uuid>,
    /// Tells of it.
    active: ActiveReader<Rechecked>,
}

impl Active<'_> {
    /// Whether there are orders that are still to be looked at.
    fn pages(&self) -> bool {
        self.unsaid.is_some() || self.progress.ended.is_some()
    }

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
        self.progress = self.progress.write(&mut self.conn).await?;
        self.active.tell(self.progress);
        Ok(())
    }

    /// Records of our own log.
    async fn own_recorded(&mut self, chunk: &[Delivery]) -> Result<(), ReaderFailed> {
        let Some(last) = chunk.last().map(Delivery::sequence) else {
            return Ok(());
        };
        let own = self.rechecker.claims.own.stream();
        let mut told = Told::default();
        let mut way = GivingWay::from_now();
        for record in records(chunk) {
            told.read(own, record);
            way.give().await;
        }
        let ends = told.ended.iter().map(|end| end.cause.position.sequence);
        self.last_end = ends.fold(self.last_end, u64::max);
        if !told.approved.is_empty() {
            self.rechecker.claims.book.reaches(last).await;
            let approved = &told.approved;
            let affected = affected::of_approvals(&mut self.conn, approved, self.last_end).await?;
            self.recheck(affected).await?;
        }
        self.progress.own = last;
        let mut tx = self.conn.begin().await?;
        ends_kept::add(&mut tx, &told.ended).await?;
        self.progress = self.progress.write(&mut tx).await?;
        tx.commit().await?;
        self.active.tell(self.progress);
        Ok(())
    }

    /// Looks at the next orders: first of all ends, since callers may wait for these.
    async fn page(&mut self) -> Result<(), ReaderFailed> {
        match self.unsaid.filter(|_| self.progress.ended.is_none()) {
            Some(order) => self.unsaid_after(order).await,
            None => self.after_an_end().await,
        }
    }

    /// Looks at the next orders of which something could not be said.
    async fn unsaid_after(&mut self, order: Uuid) -> Result<(), ReaderFailed> {
        let page = unsaid::after(&mut self.conn, order).await?;
        let last = page.last().filter(|_| page.len() >= PAGE);
        self.unsaid = last.map(|(order, _)| *order);
        if page.is_empty() {
            return Ok(());
        }
        let causes: HashMap<Uuid, Cause> = page.into_iter().collect();
        let affected = affected::of_unsaid(&mut self.conn, &causes).await?;
        let unsaid = self.recheck(affected).await?;
        let said = causes.into_keys().filter(|order| !unsaid.contains(order));
        unsaid::forget(&mut self.conn, &said.collect::<Vec<_>>()).await?;
        Ok(())
    }

    /// Looks at the next orders of the days after something has ended.
    async fn after_an_end(&mut self) -> Result<(), ReaderFailed> {
        let own = self.rechecker.claims.own.stream();
        let kept = ends_kept::next(&mut self.conn, own).await?;
        if let Some(kept) = &kept {
            // The end itself, and all approvals of before.
            let sequence = kept.ended.cause.position.sequence;
            self.rechecker.claims.book.reaches(sequence).await;
            let page = affected::after(&mut self.conn, kept).await?;
            let up_to = affected::looked_at(&page);
            self.recheck(page).await?;
            let mut tx = self.conn.begin().await?;
            kept.ended.looked_at(&mut tx, up_to).await?;
            self.progress = self.progress.write(&mut tx).await?;
            tx.commit().await?;
        } else {
            // Somebody else has looked at the last ones.
            self.progress.ended = None;
        }
        self.active.tell(self.progress);
        Ok(())
    }

    /// Asks orders all that may stand against them, by what is recorded now; those of which something could not be asked or said.
    async fn recheck(&mut self, orders: Vec<Affected>) -> Result<HashSet<Uuid>, ReaderFailed> {
        let mut unsaid = HashSet::new();
        if orders.is_empty() {
            return Ok(unsaid);
        }
        let requests = orders.iter().map(|one| one.cause.traceparent.as_deref());
        let traces = Traces::from_here_on(requests.flatten().collect::<BTreeSet<&str>>());
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
            let mut whole = true;
            let kept = facts.get(&one.served.elder).filter(|_| one.moved);
            if let Some((facts, sequence)) =
                kept.and_then(|kept| Some((kept.facts.as_ref()?, kept.sequence)))
                && let Some((order, record)) = self.order(&one).await?
            {
                let key = keys.get(&one.served.elder.as_uuid()).map(|key| &**key);
                let found = self.found(&order, &record, facts, sequence, key).await?;
                codes = codes.union(found.codes);
                known = sequence;
                whole = found.whole;
            }
            let found = Found {
                codes: codes.difference(one.codes),
                whole,
            };
            let said = found.codes.is_empty() || self.doubt(&one, &found, known).await?;
            if !(said && whole) {
                unsaid::keep(&mut self.conn, one.key, &one.cause).await?;
                unsaid.insert(one.key);
            }
        }
        traces.passed(Work::React, LOCK);
        Ok(unsaid)
    }

    /// Says what stands against an order; whether it could be said.
    async fn doubt(
        &mut self,
        order: &Affected,
        found: &Found,
        registry_sequence: u64,
    ) -> Result<bool, ReaderFailed> {
        let claims = &self.rechecker.claims;
        let key = order.key;
        let position = order.cause.position.clone();
        // Once all can be asked there may be more to be said because of the same record.
        let all = if found.whole {
            ""
        } else {
            ", but for its programme"
        };
        let request = format!("looked at again by {position}{all}");
        let request_id = Uuid::new_v5(&key, request.as_bytes());
        let context = CommandContext {
            request_id,
            // The order and the record say all of the request.
            request_digest: [0; 16].into(),
            actor: "system:claims".to_owned(),
            now: claims.clock.now(),
            correlation_id: order.cause.correlation,
            causation_id: Some(order.cause.id),
            division: Some(order.village.clone()),
            traceparent: order.cause.traceparent.clone(),
            answers: Some(position),
            purpose: None,
        };
        let command = Command::Doubt {
            order: key,
            codes: found.codes,
            registry_sequence,
        };
        let served = &order.served;
        let id = settlement_rows::id(&served.programme, &served.provider);
        let done = claims.settlements.execute(&id, &context, &command).await;
        match done {
            Ok(_) | Err(ExecuteError::Refused(_)) => Ok(true),
            // Nothing of them is drafted or paid either.
            Err(ExecuteError::Unreadable {
                subject,
                sequence,
                reason,
            }) => {
                self.pass_by(&subject, sequence, reason).await?;
                Ok(false)
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
