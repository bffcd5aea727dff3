//! The rows of orders: what was handed in, the verdict, the appeal, and what it takes of a year's entitlement.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, NaiveDate, Utc};
use civic::{AppealState, NotSettledReason, OrderCode, OrderState, Set};
use elder_tables::columns::{NO_WORD, bits, place};
use eventlog::Record;
use readmodel::ApplyError;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::adjudication::{Event as Verdict, Year};
use crate::order::{Event, Submitted};

/// The orders of a batch: new ones, and what happened to these and to older ones.
#[derive(Default)]
pub(crate) struct OrderRows {
    new: HashMap<Uuid, (Box<Submitted>, DateTime<Utc>, u64)>,
    changed: BTreeMap<Uuid, Change>,
    evidence: Vec<(Vec<u8>, Uuid, u64)>,
    conflicts: Vec<(Uuid, OrderCode, Uuid)>,
    /// Of which programme and provider, when, and which order.
    approvals: Vec<(String, String, DateTime<Utc>, Uuid)>,
    used: BTreeMap<Year, i64>,
}

/// What happened to an order; nothing where nothing is said.
#[derive(Default)]
struct Change {
    codes: Option<Set<OrderCode>>,
    state: Option<OrderState>,
    appeal: Option<AppealState>,
    appealed_at: Option<DateTime<Utc>>,
    reason: Option<NotSettledReason>,
    approved_at: Option<DateTime<Utc>>,
}

impl OrderRows {
    /// What happened to an order itself.
    pub(crate) fn fold(&mut self, record: &Record, event: Event) {
        let Ok(key) = record.subject.id().parse::<Uuid>() else {
            return;
        };
        let at = record.metadata.time;
        match event {
            Event::Submitted(submitted) => {
                for file in &submitted.evidence {
                    self.evidence
                        .push((file.hash.clone(), key, record.sequence));
                }
                self.new
                    .entry(key)
                    .or_insert((submitted, at, record.sequence));
            }
            Event::AppealFiled { .. } => {
                let change = self.change(key);
                change.appeal = Some(AppealState::Pending);
                change.appealed_at = Some(at);
            }
            // The adjudicator has the last word.
            Event::AppealAccepted { .. } => {}
            Event::AppealRefused { .. } => {
                self.change(key).appeal = Some(AppealState::Refused);
            }
            Event::NotSettled { reason, .. } => self.change(key).never_paid(reason),
        }
    }

    /// What the adjudicator says.
    pub(crate) fn fold_verdict(&mut self, record: &Record, verdict: Verdict) {
        match verdict {
            Verdict::Approved {
                order,
                programme,
                provider,
                on_appeal,
                ..
            } => {
                let at = record.metadata.time;
                self.approvals.push((programme, provider, at, order));
                let change = self.change(order);
                change.state = Some(OrderState::Approved);
                change.approved_at = Some(at);
                if on_appeal {
                    change.appeal = Some(AppealState::Accepted);
                }
            }
            Verdict::Held {
                order,
                codes,
                conflicts,
            } => {
                let earlier = conflicts.into_iter();
                self.conflicts
                    .extend(earlier.map(|(code, earlier)| (order, code, earlier)));
                let change = self.change(order);
                change.codes = Some(codes);
                change.state = Some(OrderState::AbnormalOpen);
            }
            Verdict::Consumed { year, units, .. } => *self.used.entry(year).or_default() += units,
            Verdict::Released { year, units, .. } => *self.used.entry(year).or_default() -= units,
            Verdict::NotSettled { order, reason } => {
                let change = self.change(order);
                change.never_paid(reason);
                if reason == NotSettledReason::QuotaExceeded {
                    change.appeal = Some(AppealState::AcceptedOverQuota);
                }
            }
            Verdict::PremiumsBooked { .. } => {}
        }
    }

    fn change(&mut self, key: Uuid) -> &mut Change {
        self.changed.entry(key).or_default()
    }

    /// Writes it.
    pub(crate) async fn write(self, db: &mut PgConnection) -> Result<(), ApplyError> {
        let inserted = self.insert(db).await?;
        self.insert_evidence(db).await?;
        self.update(db, inserted).await?;
        self.open_and_close(db).await?;
        self.insert_approvals(db).await?;
        self.insert_conflicts(db).await?;
        self.use_up(db).await?;
        Ok(())
    }

    /// Writes new orders with all that has happened to them; whether all of them were new.
    async fn insert(&self, db: &mut PgConnection) -> Result<bool, sqlx::Error> {
        if self.new.is_empty() {
            return Ok(true);
        }
        let untouched = Change::default();
        let rows: Vec<_> = self.new.iter().collect();
        let orders: Vec<&Submitted> = rows.iter().map(|(_, (order, ..))| &**order).collect();
        let id = |of: fn(&Submitted) -> Uuid| orders.iter().map(|one| of(one)).collect::<Vec<_>>();
        let number =
            |of: fn(&Submitted) -> i64| orders.iter().map(|one| of(one)).collect::<Vec<_>>();
        let days =
            |of: fn(&Submitted) -> NaiveDate| orders.iter().map(|one| of(one)).collect::<Vec<_>>();
        let time = |of: fn(&Submitted) -> DateTime<Utc>| {
            orders.iter().map(|one| of(one)).collect::<Vec<_>>()
        };
        let keys: Vec<Uuid> = rows.iter().map(|(key, _)| **key).collect();
        let sequences = rows
            .iter()
            .map(|(_, (.., sequence))| sequence.cast_signed());
        let providers: Vec<&str> = orders.iter().map(|one| one.provider.as_str()).collect();
        let numbers: Vec<&str> = orders.iter().map(|one| one.number.as_str()).collect();
        let programmes: Vec<&str> = orders.iter().map(|one| one.programme.as_str()).collect();
        let villages: Vec<String> = orders.iter().map(|one| one.village.to_string()).collect();
        let entitled = orders.iter().map(|one| one.facts.entitled_by.as_str());
        let entitled: Vec<&str> = entitled.collect();
        let submitted: Vec<DateTime<Utc>> = rows.iter().map(|(_, (_, at, _))| *at).collect();
        let changes = rows
            .iter()
            .map(|(key, _)| self.changed.get(*key).unwrap_or(&untouched));
        let changes: Vec<&Change> = changes.collect();
        let codes = orders
            .iter()
            .zip(&changes)
            .map(|(order, change)| bits(change.codes.unwrap_or(order.codes)));
        let states = changes
            .iter()
            .map(|change| place(change.state.unwrap_or(OrderState::Waiting)));
        let number_now =
            |of: fn(&Change) -> i32| changes.iter().map(|one| of(one)).collect::<Vec<_>>();
        let time_now = |of: fn(&Change) -> Option<DateTime<Utc>>| {
            changes.iter().map(|one| of(one)).collect::<Vec<_>>()
        };
        let done = sqlx::query(
            "INSERT INTO service_order (order_key, sequence, provider_id, number, programme, elder_id, caregiver_id, \
                 start_at, end_at, day, village, units, units_a_year, amount, entitled_by, submitted_at, appeal_until, \
                 codes, registry_sequence, state, appeal, reason, appealed_at, approved_at) \
             SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::uuid[], \
                 $7::uuid[], $8::timestamptz[], $9::timestamptz[], $10::date[], $11::text[], $12::bigint[], $13::bigint[], \
                 $14::bigint[], $15::text[], $16::timestamptz[], $17::date[], $18::integer[], $19::bigint[], $20::integer[], \
                 $21::integer[], $22::integer[], $23::timestamptz[], $24::timestamptz[]) \
             ON CONFLICT (order_key) DO NOTHING",
        )
        .bind(keys)
        .bind(sequences.collect::<Vec<i64>>())
        .bind(providers)
        .bind(numbers)
        .bind(programmes)
        .bind(id(|order| order.elder.as_uuid()))
        .bind(id(|order| order.caregiver))
        .bind(time(|order| order.check_in_at))
        .bind(time(|order| order.check_out_at))
        .bind(days(|order| order.day().date()))
        .bind(villages)
        .bind(number(|order| order.units))
        .bind(number(|order| order.units_a_year))
        .bind(number(|order| order.amount.0))
        .bind(entitled)
        .bind(submitted)
        .bind(days(|order| order.appeal_until.date()))
        .bind(codes.collect::<Vec<i32>>())
        .bind(number(|order| order.facts.registry_sequence.cast_signed()))
        .bind(states.collect::<Vec<i32>>())
        .bind(number_now(|change| word(change.appeal)))
        .bind(number_now(|change| word(change.reason)))
        .bind(time_now(|change| change.appealed_at))
        .bind(time_now(|change| change.approved_at))
        .execute(db)
        .await?;
        Ok(done.rows_affected() == self.new.len() as u64)
    }

    /// Of a hash the first order that bore it stays.
    async fn insert_evidence(&self, db: &mut PgConnection) -> Result<(), sqlx::Error> {
        if self.evidence.is_empty() {
            return Ok(());
        }
        let hashes: Vec<&[u8]> = self.evidence.iter().map(|(hash, ..)| &**hash).collect();
        let keys: Vec<Uuid> = self.evidence.iter().map(|(_, key, _)| *key).collect();
        let sequences = self.evidence.iter().map(|(.., at)| at.cast_signed());
        sqlx::query(
            "INSERT INTO evidence (hash, order_key, sequence) \
             SELECT DISTINCT ON (hash) hash, order_key, sequence \
             FROM unnest($1::bytea[], $2::uuid[], $3::bigint[]) AS new (hash, order_key, sequence) \
             ORDER BY hash, sequence ON CONFLICT (hash) DO NOTHING",
        )
        .bind(hashes)
        .bind(keys)
        .bind(sequences.collect::<Vec<i64>>())
        .execute(db)
        .await?;
        Ok(())
    }

    /// Writes what happened to orders; where new ones were written with it, to older ones.
    async fn update(&self, db: &mut PgConnection, inserted: bool) -> Result<(), sqlx::Error> {
        let changes = self.changed.iter();
        let changes = changes.filter(|(key, _)| !(inserted && self.new.contains_key(*key)));
        let changes: Vec<(&Uuid, &Change)> = changes.collect();
        if changes.is_empty() {
            return Ok(());
        }
        let number =
            |of: fn(&Change) -> i32| changes.iter().map(|(_, one)| of(one)).collect::<Vec<_>>();
        let time = |of: fn(&Change) -> Option<DateTime<Utc>>| {
            changes.iter().map(|(_, one)| of(one)).collect::<Vec<_>>()
        };
        let keys: Vec<Uuid> = changes.iter().map(|(key, _)| **key).collect();
        let codes = changes.iter().map(|(_, change)| change.codes.map(bits));
        // Planned each time: a plan that was made while there were few orders would read all of them.
        sqlx::query(
            "UPDATE service_order SET codes = coalesce(now.codes, service_order.codes), \
                 state = CASE WHEN now.state = -1 THEN service_order.state ELSE now.state END, \
                 appeal = CASE WHEN now.appeal = -1 THEN service_order.appeal ELSE now.appeal END, \
                 reason = CASE WHEN now.reason = -1 THEN service_order.reason ELSE now.reason END, \
                 appealed_at = coalesce(now.appealed_at, service_order.appealed_at), \
                 approved_at = coalesce(now.approved_at, service_order.approved_at) \
             FROM unnest($1::uuid[], $2::integer[], $3::integer[], $4::integer[], $5::integer[], $6::timestamptz[], \
                 $7::timestamptz[]) AS now (order_key, codes, state, appeal, reason, appealed_at, approved_at) \
             WHERE service_order.order_key = now.order_key",
        )
        .persistent(false)
        .bind(keys)
        .bind(codes.collect::<Vec<Option<i32>>>())
        .bind(number(|change| word(change.state)))
        .bind(number(|change| word(change.appeal)))
        .bind(number(|change| word(change.reason)))
        .bind(time(|change| change.appealed_at))
        .bind(time(|change| change.approved_at))
        .execute(db)
        .await?;
        Ok(())
    }

    /// Keeps which abnormal orders are open for an appeal that has not come. Planned each time, as what changes orders is.
    async fn open_and_close(&self, db: &mut PgConnection) -> Result<(), sqlx::Error> {
        let keys = |which: fn(&Change) -> bool| {
            let changes = self.changed.iter().filter(|(_, change)| which(change));
            changes.map(|(key, _)| *key).collect::<Vec<Uuid>>()
        };
        let closed = keys(|change| change.appeal.is_some() || change.reason.is_some());
        if !closed.is_empty() {
            sqlx::query("DELETE FROM open_order WHERE order_key = ANY($1)")
                .persistent(false)
                .bind(closed)
                .execute(&mut *db)
                .await?;
        }
        let opened = keys(|change| change.state == Some(OrderState::AbnormalOpen));
        if !opened.is_empty() {
            sqlx::query(
                "INSERT INTO open_order (order_key, appeal_until) SELECT order_key, appeal_until FROM service_order \
                 WHERE order_key = ANY($1) AND state = $2 AND appeal = $3 ON CONFLICT DO NOTHING",
            )
            .persistent(false)
            .bind(opened)
            .bind(place(OrderState::AbnormalOpen))
            .bind(NO_WORD)
            .execute(db)
            .await?;
        }
        Ok(())
    }

    async fn insert_approvals(&self, db: &mut PgConnection) -> Result<(), sqlx::Error> {
        if self.approvals.is_empty() {
            return Ok(());
        }
        let (mut programmes, mut providers) = (Vec::new(), Vec::new());
        let (mut times, mut orders) = (Vec::new(), Vec::new());
        for (programme, provider, at, order) in &self.approvals {
            programmes.push(programme.as_str());
            providers.push(provider.as_str());
            times.push(*at);
            orders.push(*order);
        }
        sqlx::query(
            "INSERT INTO approval (programme, provider_id, approved_at, order_key) \
             SELECT * FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::uuid[]) ON CONFLICT DO NOTHING",
        )
        .bind(programmes)
        .bind(providers)
        .bind(times)
        .bind(orders)
        .execute(db)
        .await?;
        Ok(())
    }

    async fn insert_conflicts(&self, db: &mut PgConnection) -> Result<(), sqlx::Error> {
        if self.conflicts.is_empty() {
            return Ok(());
        }
        let keys: Vec<Uuid> = self.conflicts.iter().map(|(key, ..)| *key).collect();
        let codes = self.conflicts.iter().map(|(_, code, _)| place(*code));
        let earlier: Vec<Uuid> = self.conflicts.iter().map(|(.., one)| *one).collect();
        sqlx::query(
            "INSERT INTO conflict (order_key, code, earlier) SELECT * FROM unnest($1::uuid[], $2::integer[], $3::uuid[]) \
             ON CONFLICT DO NOTHING",
        )
        .bind(keys)
        .bind(codes.collect::<Vec<i32>>())
        .bind(earlier)
        .execute(db)
        .await?;
        Ok(())
    }

    async fn use_up(&self, db: &mut PgConnection) -> Result<(), sqlx::Error> {
        if self.used.is_empty() {
            return Ok(());
        }
        let programmes: Vec<&str> = self.used.keys().map(|one| one.programme.as_str()).collect();
        let elders: Vec<Uuid> = self.used.keys().map(|one| one.elder.as_uuid()).collect();
        let years: Vec<i32> = self.used.keys().map(|one| one.year).collect();
        let units: Vec<i64> = self.used.values().copied().collect();
        sqlx::query(
            "INSERT INTO used (programme, elder_id, year, units) \
             SELECT * FROM unnest($1::text[], $2::uuid[], $3::integer[], $4::bigint[]) \
             ON CONFLICT (elder_id, programme, year) DO UPDATE SET units = used.units + excluded.units",
        )
        .bind(programmes)
        .bind(elders)
        .bind(years)
        .bind(units)
        .execute(db)
        .await?;
        Ok(())
    }
}

impl Change {
    fn never_paid(&mut self, reason: NotSettledReason) {
        self.state = Some(OrderState::NotSettled);
        self.reason = Some(reason);
    }
}

/// A word's place, or that there is none.
fn word<T: civic::Term>(word: Option<T>) -> i32 {
    word.map_or(NO_WORD, place)
}
