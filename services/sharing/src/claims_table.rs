//! The read model of the log of claims: service orders with what became of them, enrolments, what is used of a year's
//! entitlement, and the sums of funds (工单、参保与基金).

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use chrono::NaiveDate;
use civic::{DivisionCode, ElderId, Fen, LocalDay, OrderCode, Set, Term};
use elder_tables::columns::{bits, day, place, set, word};
use elders::terms::set_from_wire;
use elders::wire::{self, id, message};
use eventlog::{DecodeError, RawEvent, Record};
use proto::eldercare::claims::v1 as pb;
use readmodel::{ApplyError, Parked, Phase, Projection, read_events};
use serde_json::Value;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection, PgExecutor, Row as _};
use uuid::Uuid;

use crate::document::{Document, Fields};
use crate::products::ProductName;

/// The projection's name and schema.
pub const NAME: &str = "sharing_claims";

/// What the names of all events of the log begin with.
const PACKAGE: &str = "eldercare.claims.v1.";

/// The aggregates that tell of other things.
const OTHERS: [&str; 3] = ["programme", "provider", "caregiver"];

/// Folds the records of claims.
#[derive(Debug, Default)]
pub struct ClaimsTable;

/// How far an order has come (工单进度).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum OrderStage {
    /// Nobody has said anything yet.
    Waiting,
    /// It will be paid.
    Approved,
    /// It is abnormal, and its provider may appeal.
    Abnormal,
    /// Its provider has appealed.
    Appealed,
    /// It is never paid.
    NotSettled,
    /// It was paid.
    Paid,
}

impl Term for OrderStage {
    const ALL: &'static [Self] = &[
        Self::Waiting,
        Self::Approved,
        Self::Abnormal,
        Self::Appealed,
        Self::NotSettled,
        Self::Paid,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Waiting => "WAITING",
            Self::Approved => "APPROVED",
            Self::Abnormal => "ABNORMAL",
            Self::Appealed => "APPEALED",
            Self::NotSettled => "NOT_SETTLED",
            Self::Paid => "PAID",
        }
    }

    fn chinese(self) -> &'static str {
        match self {
            Self::Waiting => "待审核",
            Self::Approved => "审核通过",
            Self::Abnormal => "异常待处理",
            Self::Appealed => "申诉中",
            Self::NotSettled => "不予结算",
            Self::Paid => "已支付",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|stage| stage.name() == name)
    }

    fn index(self) -> u32 {
        self as u32
    }
}

#[async_trait]
impl Projection for ClaimsTable {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> u32 {
        1
    }

    fn ddl(&self) -> &'static str {
        // Words are kept by their places. `settled` says in which settlement an order is now.
        "CREATE TABLE service_order (
            order_key uuid PRIMARY KEY,
            sequence bigint NOT NULL,
            provider_id text COLLATE \"C\" NOT NULL,
            order_id text COLLATE \"C\" NOT NULL,
            programme text COLLATE \"C\" NOT NULL,
            elder_id uuid NOT NULL,
            village text COLLATE \"C\" NOT NULL,
            day date NOT NULL,
            stage integer NOT NULL,
            codes integer NOT NULL,
            amount bigint NOT NULL,
            paid_on date
        ) WITH (fillfactor = 70);
        CREATE TABLE settled (
            order_key uuid PRIMARY KEY,
            settlements text COLLATE \"C\" NOT NULL,
            number integer NOT NULL
        );
        CREATE INDEX settled_settlement ON settled (settlements, number);
        CREATE TABLE enrolment (
            elder_id uuid NOT NULL,
            programme text COLLATE \"C\" NOT NULL,
            enrolment_id uuid NOT NULL,
            sequence bigint NOT NULL,
            village text COLLATE \"C\" NOT NULL,
            first_day date NOT NULL,
            last_day date NOT NULL,
            PRIMARY KEY (elder_id, programme, enrolment_id)
        );
        CREATE TABLE used (
            elder_id uuid NOT NULL,
            programme text COLLATE \"C\" NOT NULL,
            year integer NOT NULL,
            units bigint NOT NULL,
            PRIMARY KEY (elder_id, programme, year)
        );
        CREATE TABLE fund (
            programme text COLLATE \"C\" PRIMARY KEY,
            deposited bigint NOT NULL,
            reserved bigint NOT NULL,
            paid bigint NOT NULL
        );"
    }

    fn post_load_ddl(&self) -> &'static str {
        "CREATE INDEX service_order_elder ON service_order (elder_id, day DESC, sequence DESC);
        CREATE INDEX service_order_day ON service_order (day, village);
        CREATE INDEX service_order_programme ON service_order (programme, village);
        CREATE INDEX enrolment_programme ON enrolment (programme, village);"
    }

    async fn apply(
        &mut self,
        db: &mut PgConnection,
        records: &[Record],
        _: Phase,
    ) -> Result<Vec<Parked>, ApplyError> {
        let mut parked = Vec::new();
        let mut orders = Orders::default();
        let mut enrolments = Enrolments::default();
        let mut funds = Funds::default();
        for record in records {
            match record.subject.aggregate() {
                "order" | "adjudication" => {
                    for event in read_events(record, decode_order, &mut parked) {
                        orders.fold(record, event);
                    }
                }
                "settlements" => {
                    for event in read_events(record, decode_settlement, &mut parked) {
                        write_settlement(db, record, event, &mut orders).await?;
                    }
                }
                "enrolment" => {
                    for event in read_events(record, decode_enrolment, &mut parked) {
                        enrolments.fold(record, event);
                    }
                }
                "fund" => {
                    for entry in read_events(record, decode_fund, &mut parked) {
                        funds.fold(record.subject.id(), entry);
                    }
                }
                other if OTHERS.contains(&other) => {}
                _ => {
                    let events = record.events.iter();
                    parked.extend(events.map(|event| Parked::unknown_type(record, event)));
                }
            }
        }
        orders.write(db).await?;
        enrolments.write(db).await?;
        funds.write(db).await?;
        Ok(parked)
    }
}

/// The name of an event within the package.
fn short_name(raw: &RawEvent) -> Result<&str, DecodeError> {
    let name = raw.event_type.strip_prefix(PACKAGE);
    name.ok_or_else(|| DecodeError::unknown(raw))
}

/// What is said of an order, by its provider, a reviewer or the adjudicator.
enum OrderSaid {
    Submitted(Box<Submitted>),
    Appealed,
    Approved(Uuid),
    Held(Uuid, Set<OrderCode>),
    NotSettled(Uuid),
    /// So much more of a year's entitlement is used; less where it is below nought.
    Used(Year, i64),
    /// Nothing that is kept here.
    Nothing,
}

struct Submitted {
    provider: String,
    number: String,
    programme: String,
    elder: ElderId,
    village: String,
    day: NaiveDate,
    codes: Set<OrderCode>,
    amount: i64,
}

/// A calendar year's entitlement of an elder in a programme.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Year {
    elder: ElderId,
    programme: String,
    year: i32,
}

fn decode_order(raw: &RawEvent) -> Result<OrderSaid, DecodeError> {
    let order = |key: &str| id(key, "order_key");
    match short_name(raw)? {
        "OrderSubmitted" => {
            let said: pb::OrderSubmitted = message(raw)?;
            wire::village(&said.division_code)?;
            Ok(OrderSaid::Submitted(Box::new(Submitted {
                elder: wire::elder(&said.elder_id)?,
                day: LocalDay::of(wire::time(said.check_in_at, "check_in_at")?).date(),
                codes: codes(&said.codes)?,
                amount: said.amount_fen,
                provider: said.provider_id,
                number: said.order_id,
                programme: said.programme_code,
                village: said.division_code,
            })))
        }
        "AppealFiled" => Ok(OrderSaid::Appealed),
        "OrderApproved" => {
            let said: pb::OrderApproved = message(raw)?;
            order(&said.order_key).map(OrderSaid::Approved)
        }
        "OrderHeldAbnormal" => {
            let said: pb::OrderHeldAbnormal = message(raw)?;
            Ok(OrderSaid::Held(
                order(&said.order_key)?,
                codes(&said.codes)?,
            ))
        }
        // Also where an appeal fails, or an approval is withdrawn after a hold.
        "OrderNotSettled" => {
            let said: pb::OrderNotSettled = message(raw)?;
            order(&said.order_key).map(OrderSaid::NotSettled)
        }
        "EntitlementConsumed" => {
            let said: pb::EntitlementConsumed = message(raw)?;
            let year = Year {
                elder: wire::elder(&said.elder_id)?,
                programme: said.programme_code,
                year: said.year,
            };
            Ok(OrderSaid::Used(year, said.units))
        }
        "EntitlementReleased" => {
            let said: pb::EntitlementReleased = message(raw)?;
            let year = Year {
                elder: wire::elder(&said.elder_id)?,
                programme: said.programme_code,
                year: said.year,
            };
            Ok(OrderSaid::Used(year, said.units.saturating_neg()))
        }
        // What follows from an appeal, the adjudicator says.
        "AppealAccepted" | "AppealRefused" | "PremiumsBooked" => Ok(OrderSaid::Nothing),
        _ => Err(DecodeError::unknown(raw)),
    }
}

fn codes(numbers: &[i32]) -> Result<Set<OrderCode>, DecodeError> {
    set_from_wire(numbers).map_err(|_index| DecodeError::malformed("codes"))
}

/// The orders of a batch: new ones, and what happened to these and to older ones.
#[derive(Default)]
struct Orders {
    new: BTreeMap<Uuid, (Box<Submitted>, u64)>,
    changed: BTreeMap<Uuid, Change>,
    used: BTreeMap<Year, i64>,
}

/// What happened to an order; nothing where nothing is said. The last word holds.
#[derive(Default)]
struct Change {
    stage: Option<OrderStage>,
    codes: Option<Set<OrderCode>>,
    paid_on: Option<NaiveDate>,
}

impl Orders {
    fn fold(&mut self, record: &Record, said: OrderSaid) {
        let own = record.subject.id().parse::<Uuid>().ok();
        match said {
            OrderSaid::Submitted(submitted) => {
                if let Some(key) = own {
                    let new = self.new.entry(key);
                    new.or_insert((submitted, record.sequence));
                }
            }
            OrderSaid::Appealed => {
                if let Some(key) = own {
                    self.change(key).stage = Some(OrderStage::Appealed);
                }
            }
            OrderSaid::Approved(key) => self.change(key).stage = Some(OrderStage::Approved),
            OrderSaid::Held(key, codes) => {
                let change = self.change(key);
                change.stage = Some(OrderStage::Abnormal);
                change.codes = Some(codes);
            }
            OrderSaid::NotSettled(key) => self.change(key).stage = Some(OrderStage::NotSettled),
            OrderSaid::Used(year, units) => {
                let used = self.used.entry(year).or_default();
                *used = used.saturating_add(units);
            }
            OrderSaid::Nothing => {}
        }
    }

    fn change(&mut self, key: Uuid) -> &mut Change {
        self.changed.entry(key).or_default()
    }

    async fn write(&self, db: &mut PgConnection) -> Result<(), sqlx::Error> {
        self.insert(db).await?;
        self.update(db).await?;
        self.use_up(db).await
    }

    async fn insert(&self, db: &mut PgConnection) -> Result<(), sqlx::Error> {
        if self.new.is_empty() {
            return Ok(());
        }
        let (mut keys, mut sequences) = (vec![], vec![]);
        let (mut providers, mut numbers, mut programmes) = (vec![], vec![], vec![]);
        let (mut elders, mut villages, mut days) = (vec![], vec![], vec![]);
        let (mut all_codes, mut amounts) = (vec![], vec![]);
        for (key, (order, sequence)) in &self.new {
            keys.push(*key);
            sequences.push(sequence.cast_signed());
            providers.push(order.provider.as_str());
            numbers.push(order.number.as_str());
            programmes.push(order.programme.as_str());
            elders.push(order.elder.as_uuid());
            villages.push(order.village.as_str());
            days.push(order.day);
            all_codes.push(bits(order.codes));
            amounts.push(order.amount);
        }
        sqlx::query(
            "INSERT INTO service_order (order_key, sequence, provider_id, order_id, programme, elder_id, village, day, \
                 codes, amount, stage) \
             SELECT *, 0 FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::uuid[], $7::text[], \
                 $8::date[], $9::integer[], $10::bigint[]) \
             ON CONFLICT (order_key) DO NOTHING",
        )
        .bind(keys)
        .bind(sequences)
        .bind(providers)
        .bind(numbers)
        .bind(programmes)
        .bind(elders)
        .bind(villages)
        .bind(days)
        .bind(all_codes)
        .bind(amounts)
        .execute(db)
        .await?;
        Ok(())
    }

    async fn update(&self, db: &mut PgConnection) -> Result<(), sqlx::Error> {
        if self.changed.is_empty() {
            return Ok(());
        }
        let (mut keys, mut stages) = (vec![], vec![]);
        let (mut all_codes, mut paid) = (vec![], vec![]);
        for (key, change) in &self.changed {
            keys.push(*key);
            stages.push(change.stage.map(place));
            all_codes.push(change.codes.map(bits));
            paid.push(change.paid_on);
        }
        // Planned each time: a plan that was made while there were few orders would read all of them.
        sqlx::query(
            "UPDATE service_order SET stage = coalesce(now.stage, service_order.stage), \
                 codes = coalesce(now.codes, service_order.codes), \
                 paid_on = coalesce(now.paid_on, service_order.paid_on) \
             FROM unnest($1::uuid[], $2::integer[], $3::integer[], $4::date[]) AS now (order_key, stage, codes, paid_on) \
             WHERE service_order.order_key = now.order_key",
        )
        .persistent(false)
        .bind(keys)
        .bind(stages)
        .bind(all_codes)
        .bind(paid)
        .execute(db)
        .await?;
        Ok(())
    }

    async fn use_up(&self, db: &mut PgConnection) -> Result<(), sqlx::Error> {
        if self.used.is_empty() {
            return Ok(());
        }
        let elders: Vec<Uuid> = self.used.keys().map(|one| one.elder.as_uuid()).collect();
        let programmes: Vec<&str> = self.used.keys().map(|one| one.programme.as_str()).collect();
        let years: Vec<i32> = self.used.keys().map(|one| one.year).collect();
        let units: Vec<i64> = self.used.values().copied().collect();
        sqlx::query(
            "INSERT INTO used (elder_id, programme, year, units) \
             SELECT * FROM unnest($1::uuid[], $2::text[], $3::integer[], $4::bigint[]) \
             ON CONFLICT (elder_id, programme, year) DO UPDATE SET units = used.units + excluded.units",
        )
        .bind(elders)
        .bind(programmes)
        .bind(years)
        .bind(units)
        .execute(db)
        .await?;
        Ok(())
    }
}

/// What is said of a settlement.
enum SettlementSaid {
    /// It bears these orders; a draft of that number that was there before is replaced.
    Drafted(i32, BTreeSet<Uuid>),
    Paid(i32, NaiveDate),
    /// An order leaves its settlement.
    Left(Uuid),
    /// Nothing that is kept here.
    Nothing,
}

fn decode_settlement(raw: &RawEvent) -> Result<SettlementSaid, DecodeError> {
    match short_name(raw)? {
        "SettlementDrafted" => {
            let said: pb::SettlementDrafted = message(raw)?;
            let orders = said.lines.iter().map(|line| id(&line.order_key, "lines"));
            let orders = orders.collect::<Result<BTreeSet<Uuid>, DecodeError>>()?;
            Ok(SettlementSaid::Drafted(said.number, orders))
        }
        "SettlementPaid" => {
            let said: pb::SettlementPaid = message(raw)?;
            let on = wire::day(said.paid_on, "paid_on")?;
            Ok(SettlementSaid::Paid(said.number, on.date()))
        }
        "OrderPutOnHold" => {
            let said: pb::OrderPutOnHold = message(raw)?;
            id(&said.order_key, "order_key").map(SettlementSaid::Left)
        }
        "SettlementConfirmed" | "SettlementAdjusted" | "OrderHoldEnded" | "RecoveryListed" => {
            Ok(SettlementSaid::Nothing)
        }
        _ => Err(DecodeError::unknown(raw)),
    }
}

/// Writes which orders a settlement bears; where it is paid, so are they. There are few of these, each of many orders.
async fn write_settlement(
    db: &mut PgConnection,
    record: &Record,
    said: SettlementSaid,
    orders: &mut Orders,
) -> Result<(), sqlx::Error> {
    let settlements = record.subject.id();
    match said {
        SettlementSaid::Drafted(number, lines) => {
            // A draft may have lost orders.
            sqlx::query("DELETE FROM settled WHERE settlements = $1 AND number = $2")
                .persistent(false)
                .bind(settlements)
                .bind(number)
                .execute(&mut *db)
                .await?;
            let lines: Vec<Uuid> = lines.into_iter().collect();
            sqlx::query(
                "INSERT INTO settled (order_key, settlements, number) \
                 SELECT order_key, $2, $3 FROM unnest($1::uuid[]) AS line (order_key) \
                 ON CONFLICT (order_key) DO UPDATE SET settlements = excluded.settlements, number = excluded.number",
            )
            .bind(lines)
            .bind(settlements)
            .bind(number)
            .execute(&mut *db)
            .await?;
        }
        SettlementSaid::Paid(number, on) => {
            let paid: Vec<Uuid> = sqlx::query_scalar(
                "SELECT order_key FROM settled WHERE settlements = $1 AND number = $2",
            )
            .persistent(false)
            .bind(settlements)
            .bind(number)
            .fetch_all(&mut *db)
            .await?;
            for key in paid {
                let change = orders.change(key);
                change.stage = Some(OrderStage::Paid);
                change.paid_on = Some(on);
            }
        }
        SettlementSaid::Left(order) => {
            sqlx::query("DELETE FROM settled WHERE order_key = $1")
                .persistent(false)
                .bind(order)
                .execute(&mut *db)
                .await?;
        }
        SettlementSaid::Nothing => {}
    }
    Ok(())
}

/// What is said of an enrolment.
enum EnrolmentSaid {
    Enrolled(Enrolment, NaiveDate, NaiveDate),
    Ended(Enrolment, NaiveDate),
    /// Nothing that is kept here.
    Nothing,
}

/// Which enrolment.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Enrolment {
    elder: ElderId,
    programme: String,
    enrolment: Uuid,
}

fn decode_enrolment(raw: &RawEvent) -> Result<EnrolmentSaid, DecodeError> {
    match short_name(raw)? {
        "PersonEnrolled" => {
            let said: pb::PersonEnrolled = message(raw)?;
            let first = wire::day(said.first_day, "first_day")?;
            let last = wire::day(said.last_day, "last_day")?;
            let enrolment = Enrolment {
                elder: wire::elder(&said.elder_id)?,
                enrolment: id(&said.enrolment_id, "enrolment_id")?,
                programme: said.programme_code,
            };
            Ok(EnrolmentSaid::Enrolled(
                enrolment,
                first.date(),
                last.date(),
            ))
        }
        "EnrolmentEnded" => {
            let said: pb::EnrolmentEnded = message(raw)?;
            let last = wire::day(said.last_day, "last_day")?;
            let enrolment = Enrolment {
                elder: wire::elder(&said.elder_id)?,
                enrolment: id(&said.enrolment_id, "enrolment_id")?,
                programme: said.programme_code,
            };
            Ok(EnrolmentSaid::Ended(enrolment, last.date()))
        }
        "PremiumCharged" => Ok(EnrolmentSaid::Nothing),
        _ => Err(DecodeError::unknown(raw)),
    }
}

/// The enrolments of a batch: new ones, and the last days that these and older ones have now.
#[derive(Default)]
struct Enrolments {
    new: BTreeMap<Enrolment, Enrolled>,
    ended: BTreeMap<Enrolment, NaiveDate>,
}

struct Enrolled {
    sequence: u64,
    village: String,
    first: NaiveDate,
    last: NaiveDate,
}

impl Enrolments {
    fn fold(&mut self, record: &Record, said: EnrolmentSaid) {
        match said {
            EnrolmentSaid::Enrolled(enrolment, first, last) => {
                self.new.entry(enrolment).or_insert_with(|| Enrolled {
                    sequence: record.sequence,
                    village: record.metadata.division.clone().unwrap_or_default(),
                    first,
                    last,
                });
            }
            EnrolmentSaid::Ended(enrolment, last) => {
                self.ended.insert(enrolment, last);
            }
            EnrolmentSaid::Nothing => {}
        }
    }

    async fn write(&self, db: &mut PgConnection) -> Result<(), sqlx::Error> {
        if !self.new.is_empty() {
            let (mut elders, mut programmes, mut ids) = (vec![], vec![], vec![]);
            let (mut sequences, mut villages) = (vec![], vec![]);
            let (mut firsts, mut lasts) = (vec![], vec![]);
            for (enrolment, new) in &self.new {
                elders.push(enrolment.elder.as_uuid());
                programmes.push(enrolment.programme.as_str());
                ids.push(enrolment.enrolment);
                sequences.push(new.sequence.cast_signed());
                villages.push(new.village.as_str());
                firsts.push(new.first);
                lasts.push(new.last);
            }
            sqlx::query(
                "INSERT INTO enrolment (elder_id, programme, enrolment_id, sequence, village, first_day, last_day) \
                 SELECT * FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::bigint[], $5::text[], $6::date[], $7::date[]) \
                 ON CONFLICT DO NOTHING",
            )
            .bind(elders)
            .bind(programmes)
            .bind(ids)
            .bind(sequences)
            .bind(villages)
            .bind(firsts)
            .bind(lasts)
            .execute(&mut *db)
            .await?;
        }
        if !self.ended.is_empty() {
            let (mut elders, mut programmes) = (vec![], vec![]);
            let (mut ids, mut lasts) = (vec![], vec![]);
            for (enrolment, last) in &self.ended {
                elders.push(enrolment.elder.as_uuid());
                programmes.push(enrolment.programme.as_str());
                ids.push(enrolment.enrolment);
                lasts.push(*last);
            }
            sqlx::query(
                "UPDATE enrolment SET last_day = now.last_day \
                 FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::date[]) \
                     AS now (elder_id, programme, enrolment_id, last_day) \
                 WHERE enrolment.elder_id = now.elder_id AND enrolment.programme = now.programme \
                     AND enrolment.enrolment_id = now.enrolment_id",
            )
            .persistent(false)
            .bind(elders)
            .bind(programmes)
            .bind(ids)
            .bind(lasts)
            .execute(&mut *db)
            .await?;
        }
        Ok(())
    }
}

/// The sums of a fund.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct FundSums {
    /// What came in.
    pub(crate) deposited: Fen,
    /// What approved orders that are not paid will cost.
    pub(crate) reserved: Fen,
    /// What was paid.
    pub(crate) paid: Fen,
}

fn decode_fund(raw: &RawEvent) -> Result<FundSums, DecodeError> {
    let mut sums = FundSums::default();
    match short_name(raw)? {
        "FundDeposited" => {
            let said: pb::FundDeposited = message(raw)?;
            sums.deposited = Fen(said.amount_fen);
        }
        "FundReserved" => {
            let said: pb::FundReserved = message(raw)?;
            sums.reserved = Fen(said.amount_fen);
        }
        "FundPaid" => {
            let said: pb::FundPaid = message(raw)?;
            sums.paid = Fen(said.amount_fen);
            sums.reserved = Fen(said.reserved_fen.saturating_neg());
        }
        _ => return Err(DecodeError::unknown(raw)),
    }
    Ok(sums)
}

/// By how much the sums of funds changed in a batch.
#[derive(Default)]
struct Funds {
    changed: BTreeMap<String, FundSums>,
}

impl Funds {
    fn fold(&mut self, programme: &str, entry: FundSums) {
        // What was decided was counted then.
        let plus = |sum: Fen, amount: Fen| Fen(sum.0.saturating_add(amount.0));
        let sums = self.changed.entry(programme.to_owned()).or_default();
        sums.deposited = plus(sums.deposited, entry.deposited);
        sums.reserved = plus(sums.reserved, entry.reserved);
        sums.paid = plus(sums.paid, entry.paid);
    }

    async fn write(&self, db: &mut PgConnection) -> Result<(), sqlx::Error> {
        if self.changed.is_empty() {
            return Ok(());
        }
        let programmes: Vec<&str> = self.changed.keys().map(String::as_str).collect();
        let deposited: Vec<i64> = self.changed.values().map(|one| one.deposited.0).collect();
        let reserved: Vec<i64> = self.changed.values().map(|one| one.reserved.0).collect();
        let paid: Vec<i64> = self.changed.values().map(|one| one.paid.0).collect();
        sqlx::query(
            "INSERT INTO fund (programme, deposited, reserved, paid) \
             SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[]) \
             ON CONFLICT (programme) DO UPDATE SET deposited = fund.deposited + excluded.deposited, \
                 reserved = fund.reserved + excluded.reserved, paid = fund.paid + excluded.paid",
        )
        .bind(programmes)
        .bind(deposited)
        .bind(reserved)
        .bind(paid)
        .execute(db)
        .await?;
        Ok(())
    }
}

/// A service order as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OrderRow {
    /// The order's key.
    pub(crate) key: Uuid,
    /// The provider.
    pub(crate) provider: String,
    /// The provider's number of it.
    pub(crate) number: String,
    /// The programme.
    pub(crate) programme: String,
    /// The elder.
    pub(crate) elder: ElderId,
    /// Where the elder lived on the service day.
    pub(crate) village: String,
    /// The service day.
    pub(crate) day: LocalDay,
    /// How far it has come.
    pub(crate) stage: OrderStage,
    /// Why it is or was abnormal.
    pub(crate) codes: Set<OrderCode>,
    /// What it costs.
    pub(crate) amount: Fen,
    /// When it was paid.
    pub(crate) paid_on: Option<LocalDay>,
}

fn order_row(row: &PgRow) -> Result<OrderRow, sqlx::Error> {
    let paid_on: Option<NaiveDate> = row.try_get(10)?;
    Ok(OrderRow {
        key: row.try_get(0)?,
        provider: row.try_get(1)?,
        number: row.try_get(2)?,
        programme: row.try_get(3)?,
        elder: ElderId(row.try_get(4)?),
        village: row.try_get(5)?,
        day: day(row.try_get(6)?)?,
        stage: word(row.try_get(7)?)?,
        codes: set(row.try_get(8)?),
        amount: Fen(row.try_get(9)?),
        paid_on: paid_on.map(day).transpose()?,
    })
}

/// The newest orders of an elder by their service days, the newest first.
///
/// # Errors
/// The database's; a row of another version of the program.
pub(crate) async fn orders_of(
    db: impl PgExecutor<'_>,
    elder: ElderId,
    newest: i64,
) -> Result<Vec<OrderRow>, sqlx::Error> {
    let statement = format!(
        "SELECT order_key, provider_id, order_id, programme, elder_id, village, day, stage, codes, amount, paid_on \
         FROM {NAME}.service_order WHERE elder_id = $1 ORDER BY day DESC, sequence DESC LIMIT $2"
    );
    let rows = sqlx::query(AssertSqlSafe(statement))
        .bind(elder.as_uuid())
        .bind(newest)
        .fetch_all(db)
        .await?;
    rows.iter().map(order_row).collect()
}

impl OrderRow {
    /// The document of an order.
    pub(crate) fn document(&self) -> Document {
        let mut fields = Fields::new();
        let mut put = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                fields.insert(name.to_owned(), value);
            }
        };
        put("order_key", Some(self.key.to_string().into()));
        put("provider_id", Some(self.provider.as_str().into()));
        put("order_id", Some(self.number.as_str().into()));
        put("programme_code", Some(self.programme.as_str().into()));
        put("elder_id", Some(self.elder.to_string().into()));
        put("division_code", Some(self.village.as_str().into()));
        put("service_day", Some(self.day.to_string().into()));
        put("state", Some(self.stage.name().into()));
        // Of an order that waits nobody has said anything yet.
        let judged = self.stage != OrderStage::Waiting;
        let codes: Value = self.codes.names().collect();
        put("codes", judged.then_some(codes));
        put("amount", Some(self.amount.to_string().into()));
        put("paid_on", self.paid_on.map(|on| on.to_string().into()));
        Document {
            product: ProductName::Order,
            key: self.key.to_string(),
            elder: self.elder,
            fields,
        }
    }
}

/// An enrolment as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EnrolmentRow {
    /// The enrolment.
    pub(crate) enrolment: Uuid,
    /// The programme.
    pub(crate) programme: String,
    /// The elder.
    pub(crate) elder: ElderId,
    /// First day.
    pub(crate) first: LocalDay,
    /// Last day; before the first one where it never began.
    pub(crate) last: LocalDay,
    /// What is used of the entitlement of the first day's calendar year.
    pub(crate) units_used: i64,
}

fn enrolment_row(row: &PgRow) -> Result<EnrolmentRow, sqlx::Error> {
    Ok(EnrolmentRow {
        enrolment: row.try_get(0)?,
        programme: row.try_get(1)?,
        elder: ElderId(row.try_get(2)?),
        first: day(row.try_get(3)?)?,
        last: day(row.try_get(4)?)?,
        units_used: row.try_get(5)?,
    })
}

/// The newest enrolments of an elder by their first days, the newest first.
///
/// # Errors
/// The database's; a row of another version of the program.
pub(crate) async fn enrolments_of(
    db: impl PgExecutor<'_>,
    elder: ElderId,
    newest: i64,
) -> Result<Vec<EnrolmentRow>, sqlx::Error> {
    let statement = format!(
        "SELECT e.enrolment_id, e.programme, e.elder_id, e.first_day, e.last_day, coalesce(u.units, 0) \
         FROM {NAME}.enrolment e LEFT JOIN {NAME}.used u ON u.elder_id = e.elder_id AND u.programme = e.programme \
             AND u.year = extract(year FROM e.first_day)::integer \
         WHERE e.elder_id = $1 ORDER BY e.first_day DESC, e.sequence DESC, e.enrolment_id LIMIT $2"
    );
    let rows = sqlx::query(AssertSqlSafe(statement))
        .bind(elder.as_uuid())
        .bind(newest)
        .fetch_all(db)
        .await?;
    rows.iter().map(enrolment_row).collect()
}

impl EnrolmentRow {
    /// The document of an enrolment.
    pub(crate) fn document(&self) -> Document {
        let mut fields = Fields::new();
        let mut put = |name: &str, value: Value| {
            fields.insert(name.to_owned(), value);
        };
        put("enrolment_id", self.enrolment.to_string().into());
        put("programme_code", self.programme.as_str().into());
        put("elder_id", self.elder.to_string().into());
        put("first_day", self.first.to_string().into());
        put("last_day", self.last.to_string().into());
        put("units_used", self.units_used.into());
        Document {
            product: ProductName::Enrolment,
            key: self.enrolment.to_string(),
            elder: self.elder,
            fields,
        }
    }
}

/// How many orders have come so far, and what they cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OrderCount {
    /// How far.
    pub(crate) stage: OrderStage,
    /// How many.
    pub(crate) orders: i64,
    /// What they cost together.
    pub(crate) amount: Fen,
}

/// The orders of a division by how far they have come, of services that took place on some days, both included.
/// A state that no order is in is missing.
///
/// # Errors
/// The database's; a row of another version of the program.
pub(crate) async fn order_counts(
    db: impl PgExecutor<'_>,
    division: &DivisionCode,
    first: LocalDay,
    last: LocalDay,
) -> Result<Vec<OrderCount>, sqlx::Error> {
    let statement = format!(
        "SELECT stage, count(*), coalesce(sum(amount), 0)::bigint FROM {NAME}.service_order \
         WHERE village >= $1 AND village < $2 AND day BETWEEN $3 AND $4 GROUP BY stage ORDER BY stage"
    );
    let rows = sqlx::query(AssertSqlSafe(statement))
        .bind(division.as_str())
        .bind(division.beyond())
        .bind(first.date())
        .bind(last.date())
        .fetch_all(db)
        .await?;
    rows.iter()
        .map(|row| {
            Ok(OrderCount {
                stage: word(row.try_get(0)?)?,
                orders: row.try_get(1)?,
                amount: Fen(row.try_get(2)?),
            })
        })
        .collect()
}

/// The sums of the funds of programmes in which elders of a division have been enrolled or had orders, by programme. A fund
/// without an entry is missing.
///
/// # Errors
/// The database's.
pub(crate) async fn funds(
    db: impl PgExecutor<'_>,
    division: &DivisionCode,
) -> Result<Vec<(String, FundSums)>, sqlx::Error> {
    // There are few programmes, each of many orders: for each of them the first order found is enough.
    let concerns = ["service_order", "enrolment"].map(|table| {
        format!(
            "EXISTS (SELECT 1 FROM {NAME}.{table} o \
             WHERE o.programme = f.programme AND o.village >= $1 AND o.village < $2)"
        )
    });
    let statement = format!(
        "SELECT f.programme, f.deposited, f.reserved, f.paid FROM {NAME}.fund f WHERE {} ORDER BY f.programme",
        concerns.join(" OR ")
    );
    let rows = sqlx::query(AssertSqlSafe(statement))
        .bind(division.as_str())
        .bind(division.beyond())
        .fetch_all(db)
        .await?;
    rows.iter()
        .map(|row| {
            let programme: String = row.try_get(0)?;
            let sums = FundSums {
                deposited: Fen(row.try_get(1)?),
                reserved: Fen(row.try_get(2)?),
                paid: Fen(row.try_get(3)?),
            };
            Ok((programme, sums))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use elders::terms::WireTerm as _;

    use super::*;

    fn row() -> OrderRow {
        OrderRow {
            key: Uuid::from_u128(7),
            provider: "P01".to_owned(),
            number: "1".to_owned(),
            programme: "LTCI".to_owned(),
            elder: ElderId(Uuid::from_u128(1)),
            village: "350524100201".to_owned(),
            day: "2024-10-01".parse().unwrap(),
            stage: OrderStage::Waiting,
            codes: Set::EMPTY,
            amount: Fen(20_000),
            paid_on: None,
        }
    }

    #[test]
    fn money_is_text_and_codes_wait_for_a_verdict() {
        let fields = row().document().fields;
        assert_eq!(fields["amount"], "200.00");
        assert_eq!(fields["service_day"], "2024-10-01");
        assert!(!fields.contains_key("codes") && !fields.contains_key("paid_on"));
        let held = OrderRow {
            stage: OrderStage::Abnormal,
            codes: OrderCode::LateSubmission.into(),
            ..row()
        };
        let fields = held.document().fields;
        assert_eq!(
            fields["codes"],
            Value::from_iter([OrderCode::LateSubmission.name()])
        );
    }

    #[test]
    fn what_is_paid_is_reserved_no_longer() {
        let mut funds = Funds::default();
        let reserved = RawEvent::of(&pb::FundReserved {
            amount_fen: 300,
            orders: 2,
        });
        let paid = RawEvent::of(&pb::FundPaid {
            provider_id: "P01".to_owned(),
            settlement_number: 1,
            amount_fen: 190,
            reserved_fen: 200,
        });
        for event in [reserved, paid] {
            funds.fold("LTCI", decode_fund(&event).unwrap());
        }
        let sums = funds.changed.get("LTCI").copied().unwrap();
        assert_eq!((sums.reserved, sums.paid), (Fen(100), Fen(190)));
    }

    #[test]
    fn an_unknown_code_is_malformed_and_an_unknown_event_unknown() {
        let held = RawEvent::of(&pb::OrderHeldAbnormal {
            order_key: Uuid::from_u128(7).to_string(),
            codes: vec![OrderCode::NotEnrolled.wire(), 99],
            conflicts: vec![],
        });
        assert!(matches!(
            decode_order(&held),
            Err(DecodeError::Malformed(_))
        ));
        assert!(matches!(
            decode_fund(&held),
            Err(DecodeError::UnknownType(_))
        ));
    }
}
