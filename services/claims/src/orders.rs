//! Orders as they stand: one with all that was judged, and lists.

mod behind;
mod filter;

use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, Utc};
use civic::{AppealState, HoldState, NotSettledReason, OrderCode, OrderState, Set};
use elder_tables::columns::{day, maybe_word, set, word};
use elders::codec::write_day;
use elders::terms::{WireTerm as _, wire_set};
use elders::wire::write_time;
use eventlog::{Aggregate as _, Record, Repository};
use proto::eldercare::claims::v1 as pb;
use readmodel::GivingWay;
use service::{Caller, errors, paging, person_keys};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, QueryBuilder, Row as _};
use tonic::Status;
use uuid::Uuid;

use self::behind::HandedIn;
pub(crate) use self::filter::Filter;
use crate::book_table::NAME;
use crate::by_provider::{self, Named};
use crate::claims::Claims;
use crate::codec::{purpose, write_evidence, write_facts};
use crate::order::{Event, Order, Submitted};
use crate::refusals;

/// What is read of an order for its standing.
pub(crate) const STANDING: &str = "o.order_key, o.sequence, o.provider_id, o.number, o.state, o.codes, o.appeal, o.reason, \
    o.amount, o.programme, o.elder_id, o.day, o.submitted_at, o.approved_at, o.appeal_until, o.entitled_by, s.number, h.state";

/// Where it is read from.
pub(crate) fn from_orders() -> String {
    format!(
        "{NAME}.service_order o LEFT JOIN {NAME}.settled s ON s.order_key = o.order_key \
         LEFT JOIN {NAME}.hold h ON h.order_key = o.order_key"
    )
}

/// What a standing tells of an elder.
pub(crate) const STANDINGS: &[&str] = &[
    "order.provider_id",
    "order.order_id",
    "order.programme_code",
    "order.service_day",
    "order.state",
    "order.codes",
    "order.amount",
];
/// What is told of an elder whose order is shown in full.
const ORDER: &[&str] = &[
    "order.provider_id",
    "order.order_id",
    "order.programme_code",
    "order.service_day",
    "order.state",
    "order.codes",
    "order.amount",
    "order.check_in_position",
    "elder.categories",
    "elder.assistance",
    "elder.capability",
    "enrolment.first_day",
    "enrolment.last_day",
    "appeal.statement",
];
/// The same to the system of the provider whose order it is.
const OWN_ORDER: &[&str] = &[
    "order.provider_id",
    "order.order_id",
    "order.programme_code",
    "order.service_day",
    "order.state",
    "order.codes",
    "order.amount",
    "order.check_in_position",
    "appeal.statement",
];

impl Claims {
    /// Where orders stand, by their keys.
    pub(crate) async fn standings(
        &self,
        keys: &[Uuid],
    ) -> Result<HashMap<Uuid, pb::OrderStanding>, Status> {
        let statement = format!(
            "SELECT {STANDING} FROM {} WHERE o.order_key = ANY($1)",
            from_orders()
        );
        let rows = sqlx::query(AssertSqlSafe(statement))
            .bind(keys)
            .fetch_all(&self.pool)
            .await
            .map_err(errors::of_database)?;
        let of = |row: &PgRow| Ok((row.try_get(0)?, standing(row)?));
        let mut standings = HashMap::with_capacity(rows.len());
        let mut way = GivingWay::from_now();
        for row in rows {
            let (key, told) = of(&row).map_err(errors::of_database)?;
            standings.insert(key, told);
            way.give().await;
        }
        Ok(standings)
    }

    /// An order with every code and what is behind it.
    pub(crate) async fn get_order(
        &self,
        caller: &Caller,
        named: &Named,
    ) -> Result<pb::GetOrderResponse, Status> {
        let key = named.key;
        if !by_provider::are_there(caller, &named.provider) {
            return Err(refusals::no_order());
        }
        let subject = Repository::<Order>::subject(&key.to_string());
        let subject = subject.map_err(|error| errors::internal(&error))?;
        let records = self.own.read(&subject, 0).await;
        let records = records.map_err(|error| service::not_loaded(error.into()))?;
        let found = records.first().and_then(Submitted::of);
        let order = found.ok_or_else(refusals::no_order)?;
        caller.knows(&order.village.division(), refusals::no_order)?;
        let mut standings = self.standings(&[key]).await?;
        let standing = standings.remove(&key).ok_or_else(refusals::no_order)?;
        let persons = [order.elder.as_uuid()];
        let keys = self.keys.vault.keys(&persons).await;
        let keys = keys.map_err(|error| person_keys::away(&error))?;
        let data_key = keys.get(&order.elder.as_uuid());
        let check_in = data_key.and_then(|data_key| {
            let person = order.elder.as_uuid();
            let place = data_key.open(purpose::CHECK_IN, person, &order.check_in);
            place.ok()?.position
        });
        let known = self.programme(&order.programme).await?;
        let definition = known.version(order.version).filter(|_| order.version != 0);
        let earlier = self.conflicts(key).await?;
        let handed_in = HandedIn {
            order: &order,
            sequence: records.first().map_or(0, |record| record.sequence),
            definition: definition.map(|(_, said)| &**said),
            key: data_key.map(|key| &**key),
        };
        // Of an order that waits nobody has said anything yet.
        let codes = standing.codes.iter();
        let codes = codes.filter_map(|code| OrderCode::from_wire(*code));
        let codes: Set<OrderCode> = codes.collect();
        let explanations = self.why(caller, handed_in, codes, earlier).await?;
        let hold = self.found_since(caller, handed_in).await?;
        let appeal = appeal(&records, &standing, |sealed| {
            let person = order.elder.as_uuid();
            let text = data_key?.open(purpose::STATEMENT, person, sealed);
            Some(text.ok()?.text)
        });
        let told = match caller.provider {
            Some(_) => OWN_ORDER,
            None => ORDER,
        };
        caller.told("GetOrder", [order.elder], told).await?;
        let answer = pb::GetOrderResponse {
            standing: Some(standing),
            facts: Some(write_facts(&order.facts)),
            explanations,
            division_code: order.village.to_string(),
            appeal,
            hold,
            order: Some(pb::ServiceOrder {
                provider_id: order.provider,
                order_id: order.number,
                programme_code: order.programme,
                programme_version: order.version.cast_signed(),
                elder_id: order.elder.to_string(),
                caregiver_id: order.caregiver.to_string(),
                check_in_at: Some(write_time(order.check_in_at)),
                check_out_at: Some(write_time(order.check_out_at)),
                check_in,
                items: order.items,
                evidence: order.evidence.iter().map(write_evidence).collect(),
            }),
        };
        Ok(by_provider::order(caller, answer))
    }

    /// The earlier orders that stand against an order, by the place of their code.
    async fn conflicts(&self, key: Uuid) -> Result<HashMap<i32, Vec<pb::OrderName>>, Status> {
        let statement = format!(
            "SELECT c.code, o.provider_id, o.number FROM {NAME}.conflict c \
             JOIN {NAME}.service_order o ON o.order_key = c.earlier WHERE c.order_key = $1 ORDER BY o.sequence"
        );
        let rows = sqlx::query(AssertSqlSafe(statement))
            .bind(key)
            .fetch_all(&self.pool)
            .await
            .map_err(errors::of_database)?;
        let mut conflicts: HashMap<i32, Vec<pb::OrderName>> = HashMap::new();
        for row in rows {
            let read = || -> Result<(i32, pb::OrderName), sqlx::Error> {
                let name = pb::OrderName {
                    provider_id: row.try_get(1)?,
                    order_id: row.try_get(2)?,
                };
                Ok((row.try_get(0)?, name))
            };
            let (code, name) = read().map_err(errors::of_database)?;
            conflicts.entry(code).or_default().push(name);
        }
        Ok(conflicts)
    }

    /// A page of orders, the last handed in first, and the cursor of the next one.
    pub(crate) async fn list_orders(
        &self,
        caller: &Caller,
        filter: &Filter,
        after: Option<u64>,
        size: u32,
    ) -> Result<(Vec<pb::OrderStanding>, Option<u64>), Status> {
        caller.may_where_asked(&filter.division)?;
        let Some(filter) = by_provider::narrowed(caller, filter) else {
            return Ok((vec![], None));
        };
        let mut query =
            QueryBuilder::new(format!("SELECT {STANDING} FROM {} WHERE", from_orders()));
        filter.add_to(&mut query);
        if let Some(after) = after {
            query
                .push(" AND o.sequence < ")
                .push_bind(after.cast_signed());
        }
        query
            .push(" ORDER BY o.sequence DESC LIMIT ")
            .push_bind(i64::from(size) + 1);
        let rows = query.build().fetch_all(&self.pool).await;
        let rows = rows.map_err(errors::of_database)?;
        let of = |row: &PgRow| Ok((row.try_get::<i64, _>(1)?, standing(row)?));
        let orders = rows.iter().map(of).collect::<Result<Vec<_>, sqlx::Error>>();
        let mut orders = orders.map_err(errors::of_database)?;
        let next = paging::cut(&mut orders, size).map(|(sequence, _)| sequence.cast_unsigned());
        let orders = orders.into_iter();
        let orders = orders.map(|(_, one)| by_provider::standing(caller, one));
        let orders: Vec<pb::OrderStanding> = orders.collect();
        let told = orders.iter().map(|one| &one.elder_id);
        caller.told("ListOrders", told, STANDINGS).await?;
        Ok((orders, next))
    }
}

/// The appeal that an order's records tell of; `open` opens what the provider says.
pub(crate) fn appeal(
    records: &[Record],
    standing: &pb::OrderStanding,
    open: impl Fn(&vault::Sealed<pb::AppealStatement>) -> Option<String>,
) -> Option<pb::Appeal> {
    let mut appeal = None::<pb::Appeal>;
    for record in records {
        let events = record
            .events
            .iter()
            .filter_map(|raw| Order::decode(raw).ok());
        for event in events {
            match (event, &mut appeal) {
                (
                    Event::AppealFiled {
                        statement,
                        evidence,
                        ..
                    },
                    None,
                ) => {
                    appeal = Some(pb::Appeal {
                        provider_id: standing.provider_id.clone(),
                        order_id: standing.order_id.clone(),
                        statement: open(&statement).unwrap_or_default(),
                        evidence: evidence.iter().map(write_evidence).collect(),
                        filed_at: Some(write_time(record.metadata.time)),
                        state: standing.appeal,
                        ..Default::default()
                    });
                }
                (Event::AppealAccepted { by } | Event::AppealRefused { by }, Some(appeal)) => {
                    appeal.decided_at = Some(write_time(record.metadata.time));
                    appeal.decided_by = by;
                }
                (
                    Event::Submitted(_)
                    | Event::AppealFiled { .. }
                    | Event::AppealAccepted { .. }
                    | Event::AppealRefused { .. }
                    | Event::NotSettled { .. },
                    _,
                ) => {}
            }
        }
    }
    appeal
}

/// Where an order stands, as its row tells.
pub(crate) fn standing(row: &PgRow) -> Result<pb::OrderStanding, sqlx::Error> {
    let state = word::<OrderState>(row.try_get(4)?)?;
    let codes = set::<OrderCode>(row.try_get(5)?);
    let appeal = maybe_word::<AppealState>(row.try_get(6)?)?;
    let reason = maybe_word::<NotSettledReason>(row.try_get(7)?)?;
    let date = |column: usize| row.try_get::<NaiveDate, _>(column).and_then(day);
    let approved_at: Option<DateTime<Utc>> = row.try_get(13)?;
    let settlement: Option<i32> = row.try_get(16)?;
    let hold: Option<i32> = row.try_get(17)?;
    let hold = hold.map(word::<HoldState>).transpose()?;
    let codes = if state == OrderState::Waiting {
        // The adjudicator has not spoken yet.
        Set::new()
    } else {
        codes
    };
    Ok(pb::OrderStanding {
        provider_id: row.try_get(2)?,
        order_id: row.try_get(3)?,
        state: state.wire(),
        codes: wire_set(codes),
        appeal: appeal.map_or(0, |appeal| appeal.wire()),
        not_settled_reason: reason.map_or(0, |reason| reason.wire()),
        amount_fen: row.try_get(8)?,
        programme_code: row.try_get(9)?,
        elder_id: row.try_get::<Uuid, _>(10)?.to_string(),
        service_day: Some(write_day(date(11)?)),
        submitted_at: Some(write_time(row.try_get(12)?)),
        approved_at: approved_at.map(write_time),
        appeal_until: Some(write_day(date(14)?)),
        settlement_number: settlement.unwrap_or_default(),
        entitled_by: row.try_get(15)?,
        hold: hold.map_or(0, |hold| hold.wire()),
    })
}
