//! Approved orders against which a fact stands that was recorded later: what callers ask of them.

use chrono::{DateTime, Utc};
use civic::{DivisionCode, HoldState, OrderCode};
use elder_tables::columns::{place, set};
use elders::terms::wire_set;
use elders::wire::write_time;
use eventlog::Position;
use proto::eldercare::claims::v1 as pb;
use service::{Asked, Caller, Deadline, errors, paging};
use sqlx::{AssertSqlSafe, Row as _};
use tonic::Status;
use uuid::Uuid;

use crate::claims::Claims;
use crate::order;
use crate::orders::{STANDING, STANDINGS, from_orders, standing};
use crate::refusals;
use crate::settlement_rows::id;
use crate::settlements::{self, Command};

/// Which are listed.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    pub(crate) division: DivisionCode,
    /// None: those on hold and those to be recovered.
    pub(crate) state: Option<HoldState>,
}

/// What a reviewer decides.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decision {
    /// On which order.
    pub(crate) key: Uuid,
    /// Whether the approval is withdrawn.
    pub(crate) withdraw: bool,
    /// The version of what stood against it when it was read, where that was said.
    pub(crate) read: Option<u64>,
}

/// After which one a page begins.
pub(crate) type Cursor = (DateTime<Utc>, Uuid);

impl Claims {
    /// A page of orders against which a later fact stands, the first one first, and the cursor of the next one.
    pub(crate) async fn list_held(
        &self,
        caller: &Caller,
        filter: &Filter,
        after: Option<Cursor>,
        size: u32,
    ) -> Result<(Vec<pb::HeldOrder>, Option<Cursor>), Status> {
        caller.may_where_asked(&filter.division)?;
        let open = [HoldState::OnHold, HoldState::ForRecovery];
        let states: Vec<i32> = match filter.state {
            Some(state) => vec![place(state)],
            None => open.map(place).to_vec(),
        };
        let statement = format!(
            "SELECT {STANDING}, h.codes, h.held_at FROM {} WHERE h.state = ANY($1) \
             AND o.village >= $2 AND o.village < $3 \
             AND ($4::timestamptz IS NULL OR (h.held_at, h.order_key) > ($4, $5)) \
             ORDER BY h.held_at, h.order_key LIMIT $6",
            from_orders()
        );
        let rows = sqlx::query(AssertSqlSafe(statement))
            .bind(states)
            .bind(filter.division.as_str())
            .bind(filter.division.beyond())
            .bind(after.map(|(at, _)| at))
            .bind(after.map(|(_, key)| key))
            .bind(i64::from(size) + 1)
            .fetch_all(&self.pool)
            .await
            .map_err(errors::of_database)?;
        let held = rows.iter().map(|row| {
            let held_at: DateTime<Utc> = row.try_get(19)?;
            let codes = set::<OrderCode>(row.try_get(18)?);
            let held = pb::HeldOrder {
                standing: Some(standing(row)?),
                codes: wire_set(codes),
                held_at: Some(write_time(held_at)),
                etag: service::etag(settlements::version(codes)),
            };
            Ok(((held_at, row.try_get(0)?), held))
        });
        let held = held.collect::<Result<Vec<(Cursor, pb::HeldOrder)>, sqlx::Error>>();
        let mut held = held.map_err(errors::of_database)?;
        let next = paging::cut(&mut held, size).map(|(cursor, _)| *cursor);
        let held: Vec<pb::HeldOrder> = held.into_iter().map(|(_, one)| one).collect();
        let standings = held.iter().filter_map(|one| one.standing.as_ref());
        let told = standings.map(|one| &one.elder_id);
        caller.told("ListHeldOrders", told, STANDINGS).await?;
        Ok((held, next))
    }

    /// Keeps an order on hold, or withdraws its approval; where it stands then, and the decision.
    pub(crate) async fn decide_hold(
        &self,
        caller: &Caller,
        asked: Asked,
        decision: Decision,
        deadline: Deadline,
    ) -> Result<(pb::OrderStanding, Position), Status> {
        let key = decision.key;
        let (brief, _) = self.brief(key).await?;
        caller.knows(&brief.village.division(), refusals::no_order)?;
        if brief.submitted_by == caller.actor() {
            return Err(refusals::of_order(order::Refusal::SamePerson));
        }
        let standing = self.standings(&[key]).await?.remove(&key);
        let standing = standing.ok_or_else(refusals::no_order)?;
        let id = id(&standing.programme_code, &standing.provider_id);
        let command = Command::Decide {
            order: key,
            withdraw: decision.withdraw,
            by: caller.actor(),
            read: decision.read,
        };
        let context = asked.by(caller, self.clock.now(), Some(brief.village.division()));
        let committed = self.settlements.execute(&id, &context, &command).await;
        let committed =
            committed.map_err(|error| service::not_executed(error, refusals::of_settlement))?;
        let position = committed.position;
        deadline
            .bounds(self.adjudicated_up_to(position.sequence))
            .await?;
        let standing = self.standings(&[key]).await?.remove(&key);
        Ok((standing.ok_or_else(refusals::no_order)?, position))
    }
}
