//! Why codes apply to an order: when it was adjudicated, and by what was found once it was approved (异常说明, 暂缓与追回依据).

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use civic::{OrderCode, Set};
use elder_tables::columns::{place, set};
use elders::terms::WireTerm as _;
use elders::wire::write_time;
use proto::eldercare::claims::v1 as pb;
use service::{Caller, errors};
use sqlx::{AssertSqlSafe, Row as _};
use tonic::Status;
use vault::DataKey;

use crate::adjudication::Registers;
use crate::book_table::NAME;
use crate::claims::{self, Claims};
use crate::codec::write_facts;
use crate::definition::Definition;
use crate::explaining::{Behind, explain};
use crate::facts_table;
use crate::judging;
use crate::order::Submitted;
use crate::registered::{self, Whom};
use crate::settlements;

/// An order as it was handed in.
#[derive(Clone, Copy)]
pub(super) struct HandedIn<'a> {
    pub(super) order: &'a Submitted,
    /// Where it stands in the log.
    pub(super) sequence: u64,
    /// The version of its programme.
    pub(super) definition: Option<&'a Definition>,
    /// That of the elder; none once erased.
    pub(super) key: Option<&'a DataKey>,
}

impl Claims {
    /// Why the codes apply that were given when it was adjudicated. `earlier` holds the orders that stand against it, by the place
    /// of their code.
    pub(super) async fn why(
        &self,
        caller: &Caller,
        handed_in: HandedIn<'_>,
        codes: Set<OrderCode>,
        mut earlier: HashMap<i32, Vec<pb::OrderName>>,
    ) -> Result<Vec<pb::CodeExplanation>, Status> {
        let before = handed_in.sequence.cast_signed();
        let registers = self.registers_of(handed_in.order, codes, before).await?;
        let behind = Behind {
            order: handed_in.order,
            definition: handed_in.definition,
            registers: &registers,
            metres: handed_in.order.facts.metres_from_home,
            enrolments: caller.provider.is_none(),
        };
        let mut explained = explanations(codes, &behind);
        for one in &mut explained {
            let code = OrderCode::from_wire(one.code);
            let orders = code.and_then(|code| earlier.remove(&place(code)));
            one.earlier = orders.unwrap_or_default();
        }
        Ok(explained)
    }

    /// What was found against an order once it was approved; none where nothing was.
    pub(super) async fn found_since(
        &self,
        caller: &Caller,
        handed_in: HandedIn<'_>,
    ) -> Result<Option<pb::OrderHold>, Status> {
        let HandedIn {
            order,
            definition,
            key,
            ..
        } = handed_in;
        let statement = format!("SELECT codes, held_at FROM {NAME}.hold WHERE order_key = $1");
        let row = sqlx::query(AssertSqlSafe(statement))
            .bind(order.key())
            .fetch_optional(&self.pool)
            .await
            .map_err(errors::of_database)?;
        let Some(row) = row else {
            return Ok(None);
        };
        let read = || -> Result<(Set<OrderCode>, DateTime<Utc>), sqlx::Error> {
            Ok((set(row.try_get(0)?), row.try_get(1)?))
        };
        let (codes, held_at) = read().map_err(errors::of_database)?;
        let registers = self.registers_of(order, codes, registered::NOW).await?;
        let known = facts_table::TABLE.of(&self.pool, &[order.elder]).await;
        let mut known = known.map_err(errors::of_database)?;
        let (mut judged, mut too_far) = (None, None);
        if let Some((facts, sequence)) = claims::facts(known.remove(&order.elder)) {
            let mut now = judging::facts_on(&facts, sequence, order.day(), definition);
            let place = key.and_then(|key| claims::check_in(order, key));
            let home = key.and_then(|key| claims::home(&facts, order.day(), order.elder, key));
            let metres = place.zip(home).map(|(place, home)| place.metres_to(&home));
            now.metres_from_home = metres.map(judging::whole_metres);
            too_far = metres.filter(|metres| judging::is_too_far(*metres));
            judged = Some(now);
        }
        let behind = Behind {
            order,
            definition,
            registers: &registers,
            // The home may have been put right since.
            metres: too_far.map(judging::whole_metres),
            enrolments: caller.provider.is_none(),
        };
        Ok(Some(pb::OrderHold {
            explanations: explanations(codes, &behind),
            held_at: Some(write_time(held_at)),
            etag: service::etag(settlements::version(codes)),
            facts: judged.as_ref().map(write_facts),
        }))
    }

    /// What the registers say up to a sequence, where a code follows from them.
    async fn registers_of(
        &self,
        order: &Submitted,
        codes: Set<OrderCode>,
        before: i64,
    ) -> Result<Registers, Status> {
        let asked = [OrderCode::NotEnrolled, OrderCode::ProviderInvalid];
        if !asked.into_iter().any(|code| codes.contains(code)) {
            return Ok(Registers::default());
        }
        let mut db = self.pool.acquire().await.map_err(errors::of_database)?;
        let whom = Whom::of([&order.served()]);
        let said = registered::registers(&mut db, &whom, before).await;
        said.map_err(errors::of_database)
    }
}

fn explanations(codes: Set<OrderCode>, behind: &Behind<'_>) -> Vec<pb::CodeExplanation> {
    let explained = codes.iter().map(|code| {
        let (en, zh) = explain(code, behind);
        pb::CodeExplanation {
            code: code.wire(),
            en,
            zh,
            earlier: vec![],
        }
    });
    explained.collect()
}
