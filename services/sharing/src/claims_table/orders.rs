//! Service orders with what became of them and since when, and what they use of years' entitlements.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use civic::{ElderId, Fen, LocalDay, OrderCode, OrderStage, Set};
use elder_tables::columns::{bits, day, place, set, word};
use elders::terms::set_from_wire;
use elders::wire::{self, id, message};
use eventlog::{DecodeError, RawEvent, Record};
use proto::eldercare::claims::v1 as pb;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection, PgExecutor, Row as _};
use uuid::Uuid;

use super::order_days::{OrderDays, Standing};
use super::{NAME, short_name};
use crate::document::Document;
use crate::dossier::Finding;
use crate::feeds::changes::Which;
use crate::products::ProductName;

/// What is said of an order, by its provider, a reviewer or the adjudicator.
pub(super) enum OrderSaid {
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

pub(super) struct Submitted {
    provider: String,
    number: String,
    programme: String,
    elder: ElderId,
    village: String,
    day: LocalDay,
    codes: Set<OrderCode>,
    amount: i64,
}

/// A calendar year's entitlement of an elder in a programme.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Year {
    elder: ElderId,
    programme: String,
    year: i32,
}

pub(super) fn decode(raw: &RawEvent) -> Result<OrderSaid, DecodeError> {
    let order = |key: &str| id(key, "order_key");
    match short_name(raw)? {
        "OrderSubmitted" => {
            let said: pb::OrderSubmitted = message(raw)?;
            wire::village(&said.division_code)?;
            Ok(OrderSaid::Submitted(Box::new(Submitted {
                elder: wire::elder(&said.elder_id)?,
                day: LocalDay::of(wire::time(said.check_in_at, "check_in_at")?),
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

impl OrderSaid {
    /// Which documents it changes, said in the records of an aggregate of this id.
    pub(super) fn changes(self, id: &str) -> Option<(ProductName, Which)> {
        match self {
            Self::Submitted(_) | Self::Appealed => {
                let own = id.parse::<Uuid>().ok()?;
                Some((ProductName::Order, Which::One(own)))
            }
            Self::Approved(key) | Self::Held(key, _) | Self::NotSettled(key) => {
                Some((ProductName::Order, Which::One(key)))
            }
            Self::Used(used, _units) => {
                let Year {
                    elder,
                    programme,
                    year,
                } = used;
                let which = Which::Account {
                    elder,
                    programme,
                    year,
                };
                Some((ProductName::Enrolment, which))
            }
            Self::Nothing => None,
        }
    }
}

/// The orders of a batch: new ones, and what happened to these and to older ones.
#[derive(Default)]
pub(super) struct Orders {
    new: BTreeMap<Uuid, New>,
    changed: BTreeMap<Uuid, Change>,
    used: BTreeMap<Year, i64>,
}

/// An order as it was handed in.
struct New {
    submitted: Box<Submitted>,
    sequence: u64,
    recorded: LocalDay,
}

/// What happened to an order; nothing where nothing is said. Of codes and payments the last word holds.
#[derive(Default)]
struct Change {
    /// How far it came, one after the other, and on which day.
    steps: Vec<(OrderStage, LocalDay)>,
    codes: Option<Set<OrderCode>>,
    paid_on: Option<LocalDay>,
}

impl Orders {
    /// What is said holds from the day on which it was recorded.
    pub(super) fn fold(&mut self, record: &Record, said: OrderSaid) {
        let own = record.subject.id().parse::<Uuid>().ok();
        let recorded = LocalDay::of(record.metadata.time);
        match said {
            OrderSaid::Submitted(submitted) => {
                if let Some(key) = own {
                    self.new.entry(key).or_insert(New {
                        submitted,
                        sequence: record.sequence,
                        recorded,
                    });
                }
            }
            OrderSaid::Appealed => {
                if let Some(key) = own {
                    self.step(key, OrderStage::Appealed, recorded);
                }
            }
            OrderSaid::Approved(key) => {
                self.step(key, OrderStage::Approved, recorded);
            }
            OrderSaid::Held(key, codes) => {
                self.step(key, OrderStage::Abnormal, recorded).codes = Some(codes);
            }
            OrderSaid::NotSettled(key) => {
                self.step(key, OrderStage::NotSettled, recorded);
            }
            OrderSaid::Used(year, units) => {
                let used = self.used.entry(year).or_default();
                *used = used.saturating_add(units);
            }
            OrderSaid::Nothing => {}
        }
    }

    /// An order was paid on a day, whenever that was recorded.
    pub(super) fn paid(&mut self, key: Uuid, on: LocalDay) {
        self.step(key, OrderStage::Paid, on).paid_on = Some(on);
    }

    fn step(&mut self, key: Uuid, stage: OrderStage, on: LocalDay) -> &mut Change {
        let change = self.changed.entry(key).or_default();
        change.steps.push((stage, on));
        change
    }

    pub(super) async fn write(&self, db: &mut PgConnection) -> Result<(), sqlx::Error> {
        let mut days = OrderDays::default();
        let mut standing = self.insert(db).await?;
        for order in standing.values() {
            days.comes(order);
        }
        let older = self.changed.keys().copied();
        let older = older.filter(|key| !standing.contains_key(key)).collect();
        let older = standing_of(db, older).await?;
        standing.extend(older);
        for (key, change) in &self.changed {
            // Of an order whose beginning could not be read nothing is kept.
            let Some(order) = standing.get_mut(key) else {
                continue;
            };
            for (stage, on) in &change.steps {
                days.goes_on(order, *stage, *on);
            }
        }
        self.update(db, &standing).await?;
        days.write(db).await?;
        self.use_up(db).await
    }

    /// Writes new orders; where they stand, without those that were there already.
    async fn insert(&self, db: &mut PgConnection) -> Result<BTreeMap<Uuid, Standing>, sqlx::Error> {
        if self.new.is_empty() {
            return Ok(BTreeMap::new());
        }
        let (mut keys, mut sequences) = (vec![], vec![]);
        let (mut providers, mut numbers, mut programmes) = (vec![], vec![], vec![]);
        let (mut elders, mut villages, mut days) = (vec![], vec![], vec![]);
        let (mut all_codes, mut amounts, mut since) = (vec![], vec![], vec![]);
        for (key, new) in &self.new {
            let order = &new.submitted;
            keys.push(*key);
            sequences.push(new.sequence.cast_signed());
            providers.push(order.provider.as_str());
            numbers.push(order.number.as_str());
            programmes.push(order.programme.as_str());
            elders.push(order.elder.as_uuid());
            villages.push(order.village.as_str());
            days.push(order.day.date());
            all_codes.push(bits(order.codes));
            amounts.push(order.amount);
            since.push(new.since().date());
        }
        let inserted: Vec<Uuid> = sqlx::query_scalar(
            "INSERT INTO service_order (order_key, sequence, provider_id, order_id, programme, elder_id, village, day, \
                 codes, amount, since, stage) \
             SELECT *, 0 FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::uuid[], $7::text[], \
                 $8::date[], $9::integer[], $10::bigint[], $11::date[]) \
             ON CONFLICT (order_key) DO NOTHING RETURNING order_key",
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
        .bind(since)
        .fetch_all(db)
        .await?;
        let inserted = inserted.into_iter();
        let standing = inserted.filter_map(|key| Some((key, self.new.get(&key)?.standing())));
        Ok(standing.collect())
    }

    async fn update(
        &self,
        db: &mut PgConnection,
        standing: &BTreeMap<Uuid, Standing>,
    ) -> Result<(), sqlx::Error> {
        if self.changed.is_empty() {
            return Ok(());
        }
        let (mut keys, mut stages, mut since) = (vec![], vec![], vec![]);
        let (mut all_codes, mut paid) = (vec![], vec![]);
        for (key, change) in &self.changed {
            let Some(order) = standing.get(key) else {
                continue;
            };
            keys.push(*key);
            stages.push(place(order.stage));
            since.push(order.since.date());
            all_codes.push(change.codes.map(bits));
            paid.push(change.paid_on.map(LocalDay::date));
        }
        // Planned each time: a plan that was made while there were few orders would read all of them.
        sqlx::query(
            "UPDATE service_order SET stage = now.stage, since = now.since, \
                 codes = coalesce(now.codes, service_order.codes), \
                 paid_on = coalesce(now.paid_on, service_order.paid_on) \
             FROM unnest($1::uuid[], $2::integer[], $3::date[], $4::integer[], $5::date[]) \
                 AS now (order_key, stage, since, codes, paid_on) \
             WHERE service_order.order_key = now.order_key",
        )
        .persistent(false)
        .bind(keys)
        .bind(stages)
        .bind(since)
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

impl New {
    /// From which day on it waits. What is handed in before the service counts from the service on.
    fn since(&self) -> LocalDay {
        self.recorded.max(self.submitted.day)
    }

    fn standing(&self) -> Standing {
        Standing {
            stage: OrderStage::Waiting,
            since: self.since(),
            village: self.submitted.village.clone(),
            day: self.submitted.day,
            amount: self.submitted.amount,
        }
    }
}

/// Where orders stand; one that is not there is missing.
async fn standing_of(
    db: &mut PgConnection,
    orders: Vec<Uuid>,
) -> Result<Vec<(Uuid, Standing)>, sqlx::Error> {
    if orders.is_empty() {
        return Ok(Vec::new());
    }
    // Planned each time: a plan that was made while there were few orders would read all of them.
    let rows = sqlx::query(
        "SELECT order_key, stage, since, village, day, amount FROM service_order WHERE order_key = ANY($1)",
    )
    .persistent(false)
    .bind(orders)
    .fetch_all(db)
    .await?;
    rows.iter()
        .map(|row| {
            let standing = Standing {
                stage: word(row.try_get(1)?)?,
                since: day(row.try_get(2)?)?,
                village: row.try_get(3)?,
                day: day(row.try_get(4)?)?,
                amount: row.try_get(5)?,
            };
            Ok((row.try_get(0)?, standing))
        })
        .collect()
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

const COLUMNS: &str = "order_key, provider_id, order_id, programme, elder_id, village, day, stage, codes, \
    amount, paid_on";

/// Finds the orders of an elder whose dossier is asked for by their service days, the newest first.
pub(crate) fn orders_of_asked() -> Finding {
    Finding {
        select: format!(
            "SELECT {COLUMNS}, sequence FROM {NAME}.service_order WHERE elder_id = asked.elder"
        ),
        order: "day DESC, sequence DESC",
    }
}

/// Orders by their keys; one that is not there is missing.
///
/// # Errors
/// The database's; a row of another version of the program.
pub(crate) async fn orders_by_key(
    db: impl PgExecutor<'_>,
    orders: &[Uuid],
) -> Result<Vec<OrderRow>, sqlx::Error> {
    many(db, "order_key = ANY($1)", orders.to_vec()).await
}

/// All orders of some elders by their service days, the oldest first.
///
/// # Errors
/// The database's; a row of another version of the program.
pub(crate) async fn orders_of_all(
    db: impl PgExecutor<'_>,
    elders: &[ElderId],
) -> Result<Vec<OrderRow>, sqlx::Error> {
    let ids = elders.iter().map(ElderId::as_uuid).collect();
    many(db, "elder_id = ANY($1) ORDER BY day, sequence", ids).await
}

async fn many(
    db: impl PgExecutor<'_>,
    which: &str,
    ids: Vec<Uuid>,
) -> Result<Vec<OrderRow>, sqlx::Error> {
    let statement = format!("SELECT {COLUMNS} FROM {NAME}.service_order WHERE {which}");
    let rows = sqlx::query(AssertSqlSafe(statement))
        .bind(ids)
        .fetch_all(db)
        .await?;
    rows.iter().map(OrderRow::of).collect()
}

/// The orders that changes name, one by one or by their settlement, each by what names it and with its elder. One that is
/// not there is missing.
///
/// # Errors
/// The database's.
pub(crate) async fn whose_orders(
    db: impl PgExecutor<'_>,
    named: &BTreeSet<&Which>,
) -> Result<Vec<(Which, Uuid, ElderId)>, sqlx::Error> {
    let mut keys: Vec<Uuid> = vec![];
    let (mut bearing, mut numbers) = (vec![], vec![]);
    for which in named {
        match which {
            Which::One(key) => keys.push(*key),
            Which::Settlement {
                settlements,
                number,
            } => {
                bearing.push(settlements.as_str());
                numbers.push(*number);
            }
            // Enrolments have them.
            Which::Account { .. } | Which::Version { .. } => {}
        }
    }
    let statement = format!(
        "SELECT order_key, elder_id, NULL::text, NULL::integer FROM {NAME}.service_order WHERE order_key = ANY($1) \
         UNION ALL \
         SELECT o.order_key, o.elder_id, s.settlements, s.number \
         FROM unnest($2::text[], $3::integer[]) AS named (settlements, number) \
         JOIN {NAME}.settled s ON s.settlements = named.settlements AND s.number = named.number \
         JOIN {NAME}.service_order o ON o.order_key = s.order_key"
    );
    let rows = sqlx::query(AssertSqlSafe(statement))
        .bind(keys)
        .bind(bearing)
        .bind(numbers)
        .fetch_all(db)
        .await?;
    rows.iter()
        .map(|row| {
            let (key, elder) = (row.try_get(0)?, ElderId(row.try_get(1)?));
            let settlements: Option<String> = row.try_get(2)?;
            let number: Option<i32> = row.try_get(3)?;
            let which = match settlements.zip(number) {
                Some((settlements, number)) => Which::Settlement {
                    settlements,
                    number,
                },
                None => Which::One(key),
            };
            Ok((which, key, elder))
        })
        .collect()
}

impl OrderRow {
    pub(crate) fn of(row: &PgRow) -> Result<Self, sqlx::Error> {
        let paid_on: Option<NaiveDate> = row.try_get(10)?;
        Ok(Self {
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

    /// The document of an order.
    pub(crate) fn document(&self) -> Document {
        // Of an order that waits nobody has said anything yet.
        let judged = self.stage != OrderStage::Waiting;
        let codes = judged.then(|| self.codes.names().collect::<Vec<_>>());
        Document::new(ProductName::Order, self.key, self.elder)
            .with("order_key", self.key.to_string())
            .with("provider_id", self.provider.as_str())
            .with("order_id", self.number.as_str())
            .with("programme_code", self.programme.as_str())
            .with("elder_id", self.elder.to_string())
            .with("division_code", self.village.as_str())
            .with("service_day", self.day.to_string())
            .with("state", self.stage.name())
            .with_known("codes", codes)
            .with("amount", self.amount.to_string())
            .with_known("paid_on", self.paid_on.map(|on| on.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use elders::terms::WireTerm as _;
    use serde_json::Value;

    use super::super::funds;
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
    fn an_unknown_code_is_malformed_and_an_unknown_event_unknown() {
        let held = RawEvent::of(&pb::OrderHeldAbnormal {
            order_key: Uuid::from_u128(7).to_string(),
            codes: vec![OrderCode::NotEnrolled.wire(), 99],
            conflicts: vec![],
        });
        assert!(matches!(decode(&held), Err(DecodeError::Malformed(_))));
        assert!(matches!(
            funds::decode(&held),
            Err(DecodeError::UnknownType(_))
        ));
    }
}
