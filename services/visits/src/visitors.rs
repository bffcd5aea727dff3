//! Visitors and divisions that visit: what callers ask of them, and what is told about them.

use std::collections::HashMap;

use chrono::NaiveDate;
use civic::{DivisionCode, DivisionLevel, ElderId, LocalDay, Set, VisitMode, VisitorKind};
use decider::Decider as _;
use elders::codec::write_day;
use elders::terms::WireTerm as _;
use elders::terms::wire_set;
use eventlog::{Loaded, Position};
use proto::eldercare::visits::v1 as pb;
use service::{Asked, Caller, Deadline, connections, errors, paging, person_keys};
use sqlx::{AssertSqlSafe, Row as _};
use tonic::Status;
use uuid::Uuid;
use vault::{DataKey, Sealed};

use crate::book_table::{self, set, word};
use crate::codec::purpose;
use crate::refusals;
use crate::visiting;
use crate::visitor::{self, Command, Profile, Visitor};
use crate::visits::{Visits, day};

/// What is told of a visitor.
const VISITOR: &[&str] = &["visitor.name", "visitor.phone"];
/// What the figures of a visitor are.
const FIGURES: &[&str] = &[
    "visitor.visits",
    "visitor.elders",
    "visitor.minutes",
    "visitor.doubtful",
];

/// What is said of a visitor, as it was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    pub(crate) kind: VisitorKind,
    pub(crate) name: String,
    pub(crate) phone: String,
    pub(crate) home: DivisionCode,
    pub(crate) weekly_capacity: u16,
    pub(crate) modes: Set<VisitMode>,
}

/// What of it changes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Change {
    pub(crate) kind: Option<VisitorKind>,
    pub(crate) name: Option<String>,
    pub(crate) phone: Option<String>,
    pub(crate) home: Option<DivisionCode>,
    pub(crate) weekly_capacity: Option<u16>,
    pub(crate) modes: Option<Set<VisitMode>>,
}

/// How many days ago a division may have started at most: each period since then is to be closed.
const LONGEST_AGO: i64 = 400;

/// Which visitors are listed.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    pub(crate) division: DivisionCode,
    pub(crate) retired_too: bool,
}

/// The id of the visitor that a request registers: the same for ever, so that a retry registers nobody twice.
fn visitor_of(request_id: Uuid) -> Uuid {
    Uuid::new_v5(&request_id, b"visitor")
}

impl Visits {
    /// Registers a visitor.
    pub(crate) async fn register_visitor(
        &self,
        caller: &Caller,
        asked: Asked,
        said: Said,
        active_from: LocalDay,
    ) -> Result<(Uuid, Position), Status> {
        caller.may_here(&said.home)?;
        let visitor = visitor_of(asked.request_id);
        let key = self.keys.create(visitor).await?;
        let profile = Profile {
            kind: said.kind,
            home: said.home,
            weekly_capacity: said.weekly_capacity,
            modes: said.modes,
            name: sealed(&key, visitor, said.name, said.phone),
        };
        let division = said.home;
        let context = asked.by(caller, self.clock.now(), Some(division));
        let command = Command::Register {
            visitor,
            profile,
            active_from,
        };
        let committed = self
            .visitors
            .execute(&visitor.to_string(), &context, &command)
            .await
            .map_err(|error| service::not_executed(error, refusals::of_visitor))?;
        Ok((visitor, committed.position))
    }

    /// Changes what is said of a visitor.
    pub(crate) async fn update_visitor(
        &self,
        caller: &Caller,
        asked: Asked,
        (visitor, etag): (Uuid, Option<u64>),
        change: Change,
    ) -> Result<Position, Status> {
        let division = self.may_change(caller, visitor).await?;
        if let Some(home) = &change.home {
            caller.may_here(home)?;
        }
        let key = self.keys.key(visitor).await?;
        let key = key.ok_or_else(|| refusals::no_visitor(visitor))?;
        let context = asked.by(caller, self.clock.now(), Some(division));
        let committed = self
            .visitors
            .execute_with(&visitor.to_string(), &context, |held| {
                let outcome = changed(&held, visitor, etag, &change, &key);
                async move { outcome }
            })
            .await
            .map_err(|error| service::not_executed(error, |status| status))?;
        Ok(committed.position)
    }

    /// Has a visitor decide a command that needs nothing sealed.
    pub(crate) async fn change_visitor(
        &self,
        caller: &Caller,
        asked: Asked,
        visitor: Uuid,
        command: Command,
    ) -> Result<Position, Status> {
        let division = self.may_change(caller, visitor).await?;
        let context = asked.by(caller, self.clock.now(), Some(division));
        let committed = self
            .visitors
            .execute(&visitor.to_string(), &context, &command)
            .await
            .map_err(|error| service::not_executed(error, refusals::of_visitor))?;
        Ok(committed.position)
    }

    async fn may_change(&self, caller: &Caller, visitor: Uuid) -> Result<DivisionCode, Status> {
        let loaded = self
            .visitors
            .load(&visitor.to_string())
            .await
            .map_err(service::not_loaded)?;
        match &loaded.state {
            Visitor::Unknown => Err(refusals::no_visitor(visitor)),
            Visitor::Registered(state) => {
                let division = state.profile.home;
                caller.knows(&division, || refusals::no_visitor(visitor))?;
                Ok(division)
            }
        }
    }

    /// Pairs only elders who are there, of the visitor's county, and within the caller's divisions. A request that was
    /// answered before is answered again, whatever has become of them.
    pub(crate) async fn may_be_paired(
        &self,
        caller: &Caller,
        asked: &Asked,
        visitor: Uuid,
        elders: &[ElderId],
        deadline: Deadline,
    ) -> Result<(), Status> {
        let home = self.may_change(caller, visitor).await?;
        let loaded = self.visitors.load_newest(&visitor.to_string()).await;
        let loaded = loaded.map_err(service::not_loaded)?;
        if loaded.request(asked.request_id).is_some() {
            return Ok(());
        }
        let registered = async {
            let last = connections::last_sequence(self.registry.as_ref()).await;
            self.facts.reaches(last).await;
        };
        deadline.bounds(registered).await?;
        let known = crate::facts_table::TABLE
            .of(&self.pool, elders)
            .await
            .map_err(errors::of_database)?;
        let today = self.today();
        for elder in elders {
            let facts = known.get(elder).and_then(|kept| kept.facts.as_ref());
            let facts = facts.ok_or_else(|| refusals::no_elder(*elder))?;
            let village = *facts.on(today).village();
            caller.knows(&village.division(), || refusals::no_elder(*elder))?;
            if home.at(DivisionLevel::County) != Some(village.county()) {
                return Err(refusals::elder_of_another_county(*elder));
            }
        }
        Ok(())
    }

    /// A page of visitors, and the cursor of the next one.
    pub(crate) async fn list_visitors(
        &self,
        caller: &Caller,
        filter: &Filter,
        after: Option<Uuid>,
        size: u32,
    ) -> Result<(Vec<pb::Visitor>, Option<Uuid>), Status> {
        caller.may_here(&filter.division)?;
        let statement = format!(
            "SELECT visitor_id, kind, home, weekly_capacity, modes, active_from, active_until, name, sequence, \
                    ARRAY(SELECT elder_id FROM {book}.pairing p WHERE p.visitor_id = v.visitor_id AND p.since <= $4 \
                          AND (p.last_day IS NULL OR p.last_day >= $4) ORDER BY elder_id) \
             FROM {book}.visitor v WHERE home >= $1 AND home < $2 AND ($3 OR active_until IS NULL OR active_until >= $4) \
             AND ($5::uuid IS NULL OR visitor_id > $5) ORDER BY visitor_id LIMIT $6",
            book = book_table::NAME
        );
        let rows = sqlx::query(AssertSqlSafe(statement))
            .bind(filter.division.as_str())
            .bind(filter.division.beyond())
            .bind(filter.retired_too)
            .bind(self.today().date())
            .bind(after)
            .bind(i64::from(size) + 1)
            .fetch_all(&self.pool)
            .await
            .map_err(errors::of_database)?;
        let ids = rows
            .iter()
            .map(|row| row.try_get(0))
            .collect::<Result<Vec<Uuid>, _>>()
            .map_err(errors::of_database)?;
        let keys = self.keys.vault.keys(&ids).await;
        let keys = keys.map_err(|error| person_keys::away(&error))?;
        let mut visitors = rows
            .iter()
            .map(|row| told(row, &keys))
            .collect::<Result<Vec<_>, sqlx::Error>>()
            .map_err(errors::of_database)?;
        let next = paging::cut(&mut visitors, size).and_then(|last| last.visitor_id.parse().ok());
        let told = visitors.iter().map(|visitor| &visitor.visitor_id);
        caller.told("ListVisitors", told, VISITOR).await?;
        Ok((visitors, next))
    }

    /// A visitor's visits, elders, minutes and doubtful records.
    pub(crate) async fn visitor_figures(
        &self,
        caller: &Caller,
        visitor: Uuid,
        (first, last): (LocalDay, LocalDay),
    ) -> Result<pb::GetVisitorFiguresResponse, Status> {
        self.may_change(caller, visitor).await?;
        let statement = format!(
            "SELECT count(*) FILTER (WHERE counted_at IS NOT NULL), \
                    count(DISTINCT elder_id) FILTER (WHERE counted_at IS NOT NULL), \
                    coalesce(sum(floor(extract(epoch FROM end_at - start_at) / 60)::bigint) FILTER (WHERE counted_at IS NOT NULL), 0)::bigint, \
                    count(*) FILTER (WHERE doubts <> 0 AND decision = 0) \
             FROM {}.record WHERE visitor_id = $1 AND day BETWEEN $2 AND $3",
            book_table::NAME
        );
        let row = sqlx::query(AssertSqlSafe(statement))
            .bind(visitor)
            .bind(first.date())
            .bind(last.date())
            .fetch_one(&self.pool)
            .await
            .map_err(errors::of_database)?;
        let figures = || {
            Ok::<_, sqlx::Error>(pb::GetVisitorFiguresResponse {
                visits: row.try_get(0)?,
                elders: row.try_get(1)?,
                minutes: row.try_get(2)?,
                doubtful: row.try_get(3)?,
            })
        };
        let figures = figures().map_err(errors::of_database)?;
        caller.told("GetVisitorFigures", [visitor], FIGURES).await?;
        Ok(figures)
    }

    /// Says from which day on a division visits.
    pub(crate) async fn start_visiting(
        &self,
        caller: &Caller,
        asked: Asked,
        division: DivisionCode,
        on: LocalDay,
    ) -> Result<Position, Status> {
        caller.may_here(&division)?;
        let loaded = self.visitings.load(division.as_str()).await;
        let loaded = loaded.map_err(service::not_loaded)?;
        if loaded.is_new() && on < self.today().plus_days(-LONGEST_AGO) {
            return Err(refusals::visiting_too_early());
        }
        let context = asked.by(caller, self.clock.now(), Some(division));
        let command = visiting::Command::Start { division, on };
        let committed = self
            .visitings
            .execute(division.as_str(), &context, &command)
            .await
            .map_err(|error| service::not_executed(error, refusals::of_visiting))?;
        Ok(committed.position)
    }
}

fn sealed(key: &DataKey, visitor: Uuid, name: String, phone: String) -> Sealed<pb::VisitorName> {
    key.seal(purpose::VISITOR, visitor, &pb::VisitorName { name, phone })
}

/// What follows from a change of what is said.
fn changed(
    held: &Loaded<Visitor>,
    visitor: Uuid,
    etag: Option<u64>,
    change: &Change,
    key: &DataKey,
) -> Result<Vec<visitor::Event>, Status> {
    if etag.is_some_and(|etag| etag != held.sequence) {
        return Err(errors::etag_mismatch());
    }
    let Visitor::Registered(state) = &held.state else {
        return Err(refusals::no_visitor(visitor));
    };
    let mut profile = state.profile.clone();
    if change.name.is_some() || change.phone.is_some() {
        let before = key.open(purpose::VISITOR, visitor, &profile.name);
        let before = before.map_err(|error| errors::internal(&error))?;
        let after = pb::VisitorName {
            name: change.name.clone().unwrap_or_else(|| before.name.clone()),
            phone: change.phone.clone().unwrap_or_else(|| before.phone.clone()),
        };
        if after != before {
            profile.name = sealed(key, visitor, after.name, after.phone);
        }
    }
    profile.kind = change.kind.unwrap_or(profile.kind);
    profile.home = change.home.unwrap_or(profile.home);
    profile.weekly_capacity = change.weekly_capacity.unwrap_or(profile.weekly_capacity);
    profile.modes = change.modes.unwrap_or(profile.modes);
    held.state
        .decide(&Command::Update { visitor, profile })
        .map_err(refusals::of_visitor)
}

fn told(
    row: &sqlx::postgres::PgRow,
    keys: &HashMap<Uuid, std::sync::Arc<DataKey>>,
) -> Result<pb::Visitor, sqlx::Error> {
    let id: Uuid = row.try_get(0)?;
    let name = Sealed::<pb::VisitorName>::from_bytes(row.try_get::<&[u8], _>(7)?).ok();
    let name = name
        .zip(keys.get(&id))
        .and_then(|(name, key)| key.open(purpose::VISITOR, id, &name).ok())
        .unwrap_or_default();
    let until: Option<NaiveDate> = row.try_get(6)?;
    let paired: Vec<Uuid> = row.try_get(9)?;
    Ok(pb::Visitor {
        visitor_id: id.to_string(),
        kind: word::<VisitorKind>(row.try_get(1)?)?.wire(),
        name: name.name,
        phone: name.phone,
        home_division_code: row.try_get(2)?,
        weekly_capacity: row.try_get(3)?,
        modes: wire_set(set::<VisitMode>(row.try_get(4)?)),
        active_from: Some(write_day(day(row.try_get(5)?)?)),
        active_until: until.map(day).transpose()?.map(write_day),
        paired_elder_ids: paired.iter().map(ToString::to_string).collect(),
        etag: service::etag(row.try_get::<i64, _>(8)?.cast_unsigned()),
    })
}
