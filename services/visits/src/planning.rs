//! Planning a week: gathers what is known, has the planner work it out off the server's threads, and puts the plan on record.
//!
//! Twice the same request: the plan that was made first is told again, and nothing is worked out.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use chrono::NaiveDate;
use civic::{
    CalendarMonth, DivisionCode, DivisionLevel, ElderId, GeoPosition, IsoWeek, LocalDay, VisitMode,
};
use decider::Decider as _;
use eventlog::{Aggregate as _, Loaded, Position, Repository};
use proto::eldercare::visits::v1 as pb;
use service::{Asked, Caller, errors, person_keys};
use sqlx::{AssertSqlSafe, PgConnection, Row as _};
use tokio::sync::mpsc::Sender;
use tonic::Status;
use uuid::Uuid;
use visit_planning::{Effort, Plan, Progress, Stage, baseline, validator};

use crate::book_table::{self, set};
use crate::codec::week_plan::write_entry;
use crate::owed::{OWED, Owed as Owing};
use crate::period::{CampaignDays, Period};
use crate::plan_draft::{Candidate, Draft, Known, Resident, active_days};
use crate::plans::ENTRY;
use crate::standing::Standings;
use crate::visits::{Visits, day};
use crate::week_plan::{Command, Event, PlanId, Planned, WeekPlan};
use crate::{campaign_rows, facts_table, policies_table, refusals};

/// How many elders' files are opened at a time.
const AT_ONCE: usize = 1_000;
/// For how many weeks back it is looked for who visited an elder: a month and a little more.
const WEEKS_BACK: usize = 5;

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ToPlan {
    pub(crate) division: DivisionCode,
    pub(crate) week: IsoWeek,
    pub(crate) seed: u64,
}

/// Where a caller hears how far it is. Who is not listening any more stops the work.
pub(crate) type Steps = Sender<Result<pb::PlanWeekResponse, Status>>;

impl ToPlan {
    /// The plan that it belongs to.
    pub(crate) fn plan(&self) -> PlanId {
        PlanId {
            county: county_of(self.division),
            week: self.week,
        }
    }
}

/// The county around a division that was parsed to lie in one.
pub(crate) fn county_of(division: DivisionCode) -> DivisionCode {
    division.at(DivisionLevel::County).unwrap_or(division)
}

impl Visits {
    /// Plans a division's week; none where the caller has gone meanwhile.
    pub(crate) async fn plan_week(
        &self,
        caller: &Caller,
        asked: Asked,
        what: ToPlan,
        steps: &Steps,
    ) -> Result<Option<pb::WeekPlan>, Status> {
        let id = what.plan();
        let stands = self.plan_as_it_stands(id).await?;
        if let Some(request) = stands.request(asked.request_id) {
            if !asked.digest.is(&request.digest) {
                return Err(errors::request_id_reused());
            }
            return self
                .planned_before(caller, id, request.sequence)
                .await
                .map(Some);
        }
        let today = self.today();
        if what.week.last_day() < today {
            return Err(refusals::week_over());
        }
        let place = tokio::select! {
            () = steps.closed() => return Ok(None),
            place = Arc::clone(&self.planning).acquire_owned() => place,
        };
        let place = place.map_err(|_closed| errors::shutting_down())?;
        let (sequence, from) = (stands.sequence, today.max(what.week.first_day()));
        let known = self.known_of_week(&what, from, &stands.state).await?;
        let (policies, _) = policies_table::all(&self.pool)
            .await
            .map_err(errors::of_database)?;
        let teller = steps.clone();
        let work = move || {
            let draft = Draft::of(known, &mut Standings::new(policies));
            let made = make(&draft, &teller);
            drop(place);
            made
        };
        let made = tokio::task::spawn_blocking(work)
            .await
            .map_err(|error| errors::internal(&error))??;
        let Some(made) = made else {
            return Ok(None);
        };
        let planned = Planned {
            plan: id,
            division: what.division,
            seed: what.seed,
            entries: made.entries,
        };
        let command = Command::Plan {
            planned: Box::new(planned),
            capacities: made.capacities,
        };
        let context = asked.by(caller, self.clock.now(), Some(what.division));
        let committed = self
            .plans
            .execute_with(&id.token(), &context, |held| {
                let decided = decided(&held, sequence, &command);
                async move { decided }
            })
            .await
            .map_err(|error| service::not_executed(error, |status| status))?;
        // Who has gone by now finds the plan when asking again.
        let report = pb::plan_week_response::Step::Report(made.report);
        let _ = steps
            .send(Ok(pb::PlanWeekResponse { step: Some(report) }))
            .await;
        self.planned_before(caller, id, committed.position.sequence)
            .await
            .map(Some)
    }

    /// The plan of a county's week with everything acknowledged before this call.
    pub(crate) async fn plan_as_it_stands(
        &self,
        id: PlanId,
    ) -> Result<Arc<Loaded<WeekPlan>>, Status> {
        self.plans
            .load_newest(&id.token())
            .await
            .map_err(service::not_loaded)
    }

    /// A plan as it was made, from its record.
    async fn planned_before(
        &self,
        caller: &Caller,
        id: PlanId,
        sequence: u64,
    ) -> Result<pb::WeekPlan, Status> {
        let subject = Repository::<WeekPlan>::subject(&id.token());
        let subject = subject.map_err(|error| errors::internal(&error))?;
        let records = self.own.read(&subject, sequence.saturating_sub(1)).await;
        let records = records.map_err(|error| {
            tracing::warn!(%error, "a plan can't be read from the log");
            errors::unavailable("the event log")
        })?;
        let first = records.first().and_then(|record| record.events.first());
        let event = first.map(WeekPlan::decode).transpose();
        let event = event.map_err(|error| errors::internal(&error))?;
        let Some(Event::Planned(planned)) = event else {
            return Err(errors::internal(
                &"a request that planned a week left no plan",
            ));
        };
        // Also what it changed for other divisions stands there, which is not asked for.
        let ours = planned
            .entries
            .iter()
            .filter(|(_, entry)| planned.division.contains(&entry.village.division()));
        let told = ours.clone().map(|(elder, _)| elder);
        caller.told("PlanWeek", told, ENTRY).await?;
        Ok(pb::WeekPlan {
            position: Position::new(self.own.stream(), sequence).to_string(),
            entries: ours
                .map(|(elder, entry)| write_entry(*elder, entry))
                .collect(),
        })
    }

    async fn known_of_week(
        &self,
        what: &ToPlan,
        from: LocalDay,
        stands: &WeekPlan,
    ) -> Result<Known, Status> {
        let id = what.plan();
        let mut before = Vec::with_capacity(WEEKS_BACK);
        let mut week = what.week;
        for _ in 0..WEEKS_BACK {
            week = week.prev();
            let plan = self.plan_as_it_stands(PlanId { week, ..id }).await?;
            before.push(plan.state.clone());
        }
        let owed = self.owed(id, from).await.map_err(errors::of_database)?;
        let residents = self.residents(&owed.everybody, from).await?;
        Ok(Known {
            plan: id,
            division: what.division,
            seed: what.seed,
            today: self.today(),
            from,
            residents,
            owed_weekly: owed.weekly,
            owed_in_campaigns: owed.campaigns,
            owed_monthly: owed.monthly,
            visitors: owed.visitors,
            pairings: owed.pairings,
            visited: owed.visited,
            last_visits: owed.last_visits,
            stands: stands.clone(),
            before,
        })
    }

    async fn owed(&self, id: PlanId, from: LocalDay) -> Result<Owed, sqlx::Error> {
        let mut tx = self
            .pool
            .begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            .await?;
        let weekly = owed_in(&mut tx, id.county, Period::Week(id.week)).await?;
        // The days that are planned for lie in one month or in two.
        let last = id.week.first_day().plus_days(4).max(from);
        let mut months = vec![CalendarMonth::of(from), CalendarMonth::of(last)];
        months.dedup();
        let mut monthly = Vec::with_capacity(months.len());
        for month in months {
            let owed = owed_in(&mut tx, id.county, Period::Month(month)).await?;
            monthly.push((month, owed));
        }
        let mut campaigns = Vec::new();
        let open = campaign_rows::between(&mut *tx, from, id.week.last_day()).await?;
        for campaign in open {
            let days = campaign.announced.days();
            let owed = owed_in(&mut tx, id.county, Period::Campaign(days)).await?;
            campaigns.push((days, owed));
        }
        let in_scope: Vec<Uuid> = sqlx::query_scalar(
            "SELECT elder_id FROM visits_kept.span WHERE village >= $1 AND village < $2 AND from_day <= $3 AND until_day > $3",
        )
        .bind(id.county.as_str())
        .bind(id.county.beyond())
        .bind(from.date())
        .fetch_all(&mut *tx)
        .await?;
        let mut everybody: Vec<ElderId> = in_scope.into_iter().map(ElderId).collect();
        everybody.extend(&weekly);
        everybody.extend(campaigns.iter().flat_map(|(_, elders)| elders));
        everybody.extend(monthly.iter().flat_map(|(_, elders)| elders));
        everybody.sort_unstable();
        everybody.dedup();
        let owed = Owed {
            visitors: candidates(&mut tx, id).await?,
            pairings: pairings(&mut tx, id).await?,
            visited: visited(&mut tx, id.week, &everybody).await?,
            last_visits: last_visits(&mut tx, &everybody).await?,
            weekly,
            campaigns,
            monthly,
            everybody,
        };
        tx.commit().await?;
        Ok(owed)
    }

    async fn residents(
        &self,
        elders: &[ElderId],
        from: LocalDay,
    ) -> Result<HashMap<ElderId, Resident>, Status> {
        let mut residents = HashMap::with_capacity(elders.len());
        for some in elders.chunks(AT_ONCE) {
            let persons: Vec<Uuid> = some.iter().map(ElderId::as_uuid).collect();
            let (files, keys) = tokio::join!(
                facts_table::TABLE.of(&self.pool, some),
                self.keys.vault.keys(&persons),
            );
            let keys = keys.map_err(|error| person_keys::away(&error))?;
            for (elder, kept) in files.map_err(errors::of_database)? {
                let Some(facts) = kept.facts else { continue };
                let residence = facts.on(from).residence;
                let key = keys.get(&elder.as_uuid());
                let home = residence
                    .home
                    .zip(key)
                    .and_then(|(sealed, key)| {
                        key.open(elders::purpose::HOME, elder.as_uuid(), &sealed)
                            .ok()
                    })
                    .and_then(|home| home.position)
                    .and_then(|at| GeoPosition::new(at.latitude, at.longitude).ok());
                let resident = Resident {
                    village: residence.village,
                    facts,
                    home,
                };
                residents.insert(elder, resident);
            }
        }
        Ok(residents)
    }
}

/// What the read models say about a county's week.
struct Owed {
    weekly: Vec<ElderId>,
    campaigns: Vec<(CampaignDays, Vec<ElderId>)>,
    monthly: Vec<(CalendarMonth, Vec<ElderId>)>,
    everybody: Vec<ElderId>,
    visitors: Vec<Candidate>,
    pairings: HashMap<ElderId, Vec<Uuid>>,
    visited: HashSet<ElderId>,
    last_visits: HashMap<ElderId, LocalDay>,
}

/// Who is owed a visit in a period when it ends, and is not visited yet.
async fn owed_in(
    db: &mut PgConnection,
    county: DivisionCode,
    period: Period,
) -> Result<Vec<ElderId>, sqlx::Error> {
    let owed = Owing::of(db, county, period, period.last_day()).await?;
    let statement =
        format!("SELECT elder_id FROM ({OWED}) AS owed WHERE record_id IS NULL ORDER BY elder_id");
    let rows = owed
        .bind(sqlx::query(AssertSqlSafe(statement)))
        .fetch_all(db)
        .await?;
    rows.iter().map(|row| row.try_get(0).map(ElderId)).collect()
}

/// The visitors of a county, in the order of their ids; also those who have retired, for what they were given before.
async fn candidates(db: &mut PgConnection, id: PlanId) -> Result<Vec<Candidate>, sqlx::Error> {
    let statement = format!(
        "SELECT visitor_id, home, weekly_capacity, modes, active_from, active_until FROM {}.visitor \
         WHERE home >= $1 AND home < $2 ORDER BY visitor_id",
        book_table::NAME
    );
    let rows = sqlx::query(AssertSqlSafe(statement))
        .bind(id.county.as_str())
        .bind(id.county.beyond())
        .fetch_all(db)
        .await?;
    rows.iter()
        .map(|row| {
            let until: Option<NaiveDate> = row.try_get(5)?;
            let capacity: i32 = row.try_get(2)?;
            Ok(Candidate {
                visitor: row.try_get(0)?,
                home: row
                    .try_get::<&str, _>(1)?
                    .parse()
                    .map_err(|_code| sqlx::Error::Decode("column home holds no home".into()))?,
                weekly_capacity: u16::try_from(capacity).unwrap_or(u16::MAX),
                modes: set::<VisitMode>(row.try_get(3)?),
                days: active_days(id.week, day(row.try_get(4)?)?, until.map(day).transpose()?),
            })
        })
        .collect()
}

async fn pairings(
    db: &mut PgConnection,
    id: PlanId,
) -> Result<HashMap<ElderId, Vec<Uuid>>, sqlx::Error> {
    let statement = format!(
        "SELECT p.elder_id, p.visitor_id FROM {book}.pairing p JOIN {book}.visitor v USING (visitor_id) \
         WHERE v.home >= $1 AND v.home < $2 AND p.since <= $3 AND (p.last_day IS NULL OR p.last_day >= $4) \
         ORDER BY p.elder_id, p.visitor_id",
        book = book_table::NAME
    );
    let rows = sqlx::query(AssertSqlSafe(statement))
        .bind(id.county.as_str())
        .bind(id.county.beyond())
        .bind(id.week.last_day().date())
        .bind(id.week.first_day().date())
        .fetch_all(db)
        .await?;
    let mut pairings: HashMap<ElderId, Vec<Uuid>> = HashMap::new();
    for row in rows {
        let elder = ElderId(row.try_get(0)?);
        pairings.entry(elder).or_default().push(row.try_get(1)?);
    }
    Ok(pairings)
}

/// Who has a counted record in the week.
async fn visited(
    db: &mut PgConnection,
    week: IsoWeek,
    elders: &[ElderId],
) -> Result<HashSet<ElderId>, sqlx::Error> {
    let ids: Vec<Uuid> = elders.iter().map(ElderId::as_uuid).collect();
    let statement = format!(
        "SELECT DISTINCT elder_id FROM {}.record WHERE counted_at IS NOT NULL AND day BETWEEN $1 AND $2 \
         AND elder_id = ANY($3)",
        book_table::NAME
    );
    let elders: Vec<Uuid> = sqlx::query_scalar(AssertSqlSafe(statement))
        .bind(week.first_day().date())
        .bind(week.last_day().date())
        .bind(&ids)
        .fetch_all(db)
        .await?;
    Ok(elders.into_iter().map(ElderId).collect())
}

async fn last_visits(
    db: &mut PgConnection,
    elders: &[ElderId],
) -> Result<HashMap<ElderId, LocalDay>, sqlx::Error> {
    let ids: Vec<Uuid> = elders.iter().map(ElderId::as_uuid).collect();
    let statement = format!(
        "SELECT elder_id, max(day) FROM {}.record WHERE elder_id = ANY($1) AND counted_at IS NOT NULL GROUP BY elder_id",
        book_table::NAME
    );
    let rows = sqlx::query(AssertSqlSafe(statement))
        .bind(&ids)
        .fetch_all(db)
        .await?;
    rows.iter()
        .map(|row| Ok((ElderId(row.try_get(0)?), day(row.try_get(1)?)?)))
        .collect()
}

/// A plan that was made.
struct Made {
    entries: BTreeMap<ElderId, crate::week_plan::Entry>,
    capacities: BTreeMap<Uuid, u16>,
    report: pb::PlanReport,
}

/// Has the planner work; none where nobody listens any more.
fn make(draft: &Draft, steps: &Steps) -> Result<Option<Made>, Status> {
    let mut tell = |progress: Progress| {
        if steps.is_closed() {
            return ControlFlow::Break(());
        }
        // A slow reader misses some steps, and not the plan.
        let step = pb::plan_week_response::Step::Progress(told(progress));
        let _ = steps.try_send(Ok(pb::PlanWeekResponse { step: Some(step) }));
        ControlFlow::Continue(())
    };
    let plan = visit_planning::plan(&draft.week, Effort::default(), &mut tell)
        .map_err(|error| errors::internal(&error))?;
    if steps.is_closed() {
        return Ok(None);
    }
    // Whoever made the plan is not the one who checks it; tests check every plan that they have made.
    debug_assert_eq!(validator::breaches(&draft.week, &plan), []);
    let nearest =
        baseline::nearest_visitor(&draft.week).map_err(|error| errors::internal(&error))?;
    Ok(Some(Made {
        entries: draft.entries(&plan),
        capacities: draft.capacities.clone(),
        report: report(&plan, &nearest),
    }))
}

/// What follows from a plan that was made, unless what it was made from has changed.
fn decided(
    held: &Loaded<WeekPlan>,
    sequence: u64,
    command: &Command,
) -> Result<Vec<Event>, Status> {
    if held.sequence != sequence {
        return Err(refusals::plan_changed());
    }
    held.state.decide(command).map_err(refusals::of_plan)
}

fn told(progress: Progress) -> pb::PlanProgress {
    let stage = match progress.stage {
        Stage::Assigning => pb::PlanStage::Assigning,
        Stage::Routing => pb::PlanStage::Routing,
    };
    pb::PlanProgress {
        stage: stage.into(),
        done: number(progress.done),
        total: number(progress.of),
    }
}

fn report(plan: &Plan, nearest: &Plan) -> pb::PlanReport {
    pb::PlanReport {
        plan: Some(figures(plan)),
        nearest_visitor: Some(figures(nearest)),
        load: plan.load.spread().map(|spread| pb::LoadSpread {
            idle: number(spread.idle),
            full: number(spread.full),
            median_percent: spread.median_percent,
            ninth_decile_percent: spread.ninth_decile_percent,
            most_percent: spread.most_percent,
            deviation_percent: spread.deviation_percent,
            by_day: spread.by_day.map(u32::cast_signed).to_vec(),
        }),
        weekly_unassigned: plan.weekly_unassigned.cast_signed(),
        visitors_changed: plan.visitors_changed.cast_signed(),
    }
}

fn figures(plan: &Plan) -> pb::PlanFigures {
    let score = plan.score;
    pb::PlanFigures {
        unassigned: score.unassigned.cast_signed(),
        pairings_broken: score.pairings_broken.cast_signed(),
        other_village: score.other_village.cast_signed(),
        travel_metres: score.travel_metres.cast_signed(),
    }
}

/// A count; a county's are far smaller than what fits.
pub(crate) fn number(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
