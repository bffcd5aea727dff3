//! Appeals against abnormal orders: what callers ask.

use chrono::{DateTime, Utc};
use civic::{AppealState, DivisionCode};
use elder_tables::columns::place;
use eventlog::{Position, Repository};
use proto::eldercare::claims::v1 as pb;
use service::{Asked, Caller, Deadline, errors, paging, person_keys};
use sqlx::{AssertSqlSafe, Row as _};
use tonic::Status;
use uuid::Uuid;

use crate::by_provider::{self, Named};
use crate::claims::Claims;
use crate::codec::purpose;
use crate::judging::Evidence;
use crate::order::{Brief, Command, Order};
use crate::orders::{STANDING, appeal, from_orders, standing};
use crate::refusals;

/// Which appeals are listed.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    pub(crate) division: DivisionCode,
    pub(crate) provider: Option<String>,
    pub(crate) state: Option<AppealState>,
}

/// After which appeal a page begins.
pub(crate) type Cursor = (DateTime<Utc>, Uuid);

/// What is told of an elder about whose order an appeal is.
const APPEAL: &[&str] = &[
    "order.provider_id",
    "order.order_id",
    "order.state",
    "appeal.statement",
];

impl Claims {
    /// Appeals against an order; where the appeal stands.
    pub(crate) async fn appeal_order(
        &self,
        caller: &Caller,
        asked: Asked,
        named: Named,
        statement: String,
        evidence: Vec<Evidence>,
        deadline: Deadline,
    ) -> Result<Position, Status> {
        let Named { provider, key } = named;
        if !by_provider::are_there(caller, &provider) {
            return Err(refusals::no_order());
        }
        let (brief, sequence) = self.brief(key).await?;
        caller.knows(&brief.village.division(), refusals::no_order)?;
        let loaded = self.orders.load(&key.to_string()).await;
        let loaded = loaded.map_err(service::not_loaded)?;
        if let Some(request) = loaded.request(asked.request_id) {
            // A retry is answered as before, whether the elder's key is still there or not.
            return if asked.digest.is(&request.digest) {
                Ok(Position::new(self.own.stream(), request.sequence))
            } else {
                Err(errors::request_id_reused())
            };
        }
        // Whether it is abnormal the adjudicator says.
        deadline.bounds(self.adjudicated_up_to(sequence)).await?;
        let standing = self.standings(&[key]).await?.remove(&key);
        let standing = standing.ok_or_else(refusals::no_order)?;
        let person = brief.elder.as_uuid();
        let data_key = self.keys.key(person).await?;
        let data_key = data_key.ok_or_else(|| refusals::no_elder(brief.elder))?;
        let statement = pb::AppealStatement { text: statement };
        let command = Command::Appeal {
            // What was given stays given: an order that was abnormal once has codes.
            abnormal: !standing.codes.is_empty(),
            today: self.clock.today(),
            by: caller.actor(),
            statement: data_key.seal(purpose::STATEMENT, person, &statement),
            evidence,
        };
        let division = Some(brief.village.division());
        let context = asked.by(caller, self.clock.now(), division);
        let id = key.to_string();
        let committed = self.orders.execute(&id, &context, &command).await;
        let committed =
            committed.map_err(|error| service::not_executed(error, refusals::of_order))?;
        Ok(committed.position)
    }

    /// Decides an appeal; where the order stands then, and the decision.
    pub(crate) async fn decide_appeal(
        &self,
        caller: &Caller,
        asked: Asked,
        key: Uuid,
        accept: bool,
        deadline: Deadline,
    ) -> Result<(pb::OrderStanding, Position), Status> {
        let (brief, _) = self.brief(key).await?;
        caller.knows(&brief.village.division(), refusals::no_order)?;
        let command = Command::Decide {
            accept,
            by: caller.actor(),
            key,
        };
        let division = Some(brief.village.division());
        let context = asked.by(caller, self.clock.now(), division);
        let id = key.to_string();
        let committed = self.orders.execute(&id, &context, &command).await;
        let committed =
            committed.map_err(|error| service::not_executed(error, refusals::of_order))?;
        let position = committed.position;
        deadline
            .bounds(self.adjudicated_up_to(position.sequence))
            .await?;
        let standing = self.standings(&[key]).await?.remove(&key);
        let standing = standing.ok_or_else(refusals::no_order)?;
        Ok((standing, position))
    }

    /// What is known of an order, and the sequence at which it was handed in.
    pub(crate) async fn brief(&self, key: Uuid) -> Result<(Brief, u64), Status> {
        let loaded = self.orders.load_newest(&key.to_string()).await;
        let loaded = loaded.map_err(service::not_loaded)?;
        let brief = loaded.state.brief.clone();
        let brief = brief.ok_or_else(refusals::no_order)?;
        let first = loaded.requests().first().map(|request| request.sequence);
        Ok((brief, first.unwrap_or(loaded.sequence)))
    }

    /// A page of appeals, the last one first, and the cursor of the next one.
    pub(crate) async fn list_appeals(
        &self,
        caller: &Caller,
        filter: &Filter,
        after: Option<Cursor>,
        size: u32,
    ) -> Result<(Vec<pb::Appeal>, Option<Cursor>), Status> {
        caller.may_where_asked(&filter.division)?;
        let statement = format!(
            "SELECT {STANDING}, o.appealed_at FROM {} WHERE o.appealed_at IS NOT NULL \
             AND o.village >= $1 AND o.village < $2 AND ($3::text IS NULL OR o.provider_id = $3) \
             AND ($4::integer IS NULL OR o.appeal = $4) \
             AND ($5::timestamptz IS NULL OR (o.appealed_at, o.order_key) < ($5, $6)) \
             ORDER BY o.appealed_at DESC, o.order_key DESC LIMIT $7",
            from_orders()
        );
        let rows = sqlx::query(AssertSqlSafe(statement))
            .bind(filter.division.as_str())
            .bind(filter.division.beyond())
            .bind(filter.provider.as_deref())
            .bind(filter.state.map(place))
            .bind(after.map(|(at, _)| at))
            .bind(after.map(|(_, key)| key))
            .bind(i64::from(size) + 1)
            .fetch_all(&self.pool)
            .await
            .map_err(errors::of_database)?;
        let found = rows
            .iter()
            .map(|row| Ok(((row.try_get(18)?, row.try_get(0)?), standing(row)?)));
        let found = found.collect::<Result<Vec<(Cursor, pb::OrderStanding)>, sqlx::Error>>();
        let mut found = found.map_err(errors::of_database)?;
        let next = paging::cut(&mut found, size).map(|(cursor, _)| *cursor);
        let persons = found
            .iter()
            .filter_map(|(_, one)| one.elder_id.parse().ok());
        let persons: Vec<Uuid> = persons.collect();
        let keys = self.keys.vault.keys(&persons).await;
        let keys = keys.map_err(|error| person_keys::away(&error))?;
        let mut appeals = Vec::with_capacity(found.len());
        for ((_, key), standing) in &found {
            let subject = Repository::<Order>::subject(&key.to_string());
            let subject = subject.map_err(|error| errors::internal(&error))?;
            let records = self.own.read(&subject, 0).await;
            let records = records.map_err(|error| service::not_loaded(error.into()))?;
            let person: Option<Uuid> = standing.elder_id.parse().ok();
            appeals.extend(appeal(&records, standing, |sealed| {
                let person = person?;
                let text = keys.get(&person)?.open(purpose::STATEMENT, person, sealed);
                Some(text.ok()?.text)
            }));
        }
        caller.told("ListAppeals", &persons, APPEAL).await?;
        Ok((appeals, next))
    }
}
