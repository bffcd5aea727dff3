//! The desk where records arrive: each is judged by what is known at its arrival, sealed, kept, and answered with its outcome.
//!
//! Twice the same record: the first outcome is given again, whatever the facts have become since.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use civic::{
    DivisionCode, DivisionLevel, Doubt, ElderId, FindingKind, GeoPosition, ServiceKind, Set,
    VillageCode, VisitResult,
};
use elder_tables::Kept;
use elders::FactsOnDay;
use eventlog::RequestDigest;
use service::{Caller, Deadline, errors, person_keys};
use sqlx::{AssertSqlSafe, Row as _};
use tonic::Status;
use uuid::Uuid;
use vault::DataKey;

use crate::keeping::{Turn, Written};
use crate::on_visit_recorded::verdicts;
use crate::recording::{self, ElderThen, Refusal, Visit, VisitorThen};
use crate::standing::{Standings, consent_granted};
use crate::visits::{Visits, day};
use crate::{book_table, facts_table, refusals};

/// A record as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Arrived {
    pub(crate) record: Uuid,
    pub(crate) elder: ElderId,
    pub(crate) visitor: Uuid,
    pub(crate) visit: Visit,
    pub(crate) result: VisitResult,
    pub(crate) services: Set<ServiceKind>,
    pub(crate) signed: bool,
    pub(crate) remarks: Option<String>,
    pub(crate) photos: Vec<[u8; 32]>,
    pub(crate) findings: Vec<(FindingKind, Option<String>)>,
    /// Of the request, so that another record under the same id is noticed.
    pub(crate) digest: RequestDigest,
}

/// What became of a record.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Outcome {
    /// It is kept, here in our log.
    Kept {
        result: VisitResult,
        doubts: Set<Doubt>,
        sequence: u64,
        repeated: bool,
    },
    /// The rules refuse it.
    Refused(Refusal),
}

/// What is known when a batch arrives.
struct Known {
    elders: HashMap<ElderId, Kept>,
    /// Of each record what held of its elder on the day; none where the caller may not know of such an elder.
    then: Vec<Option<FactsOnDay>>,
    visitors: HashMap<Uuid, VisitorThen>,
    keys: HashMap<Uuid, Arc<DataKey>>,
    /// The records of these ids, with elder and year: those that are kept, and those of this batch.
    taken: HashMap<Uuid, (ElderId, i32)>,
    written: Written,
}

impl Visits {
    /// Takes in records that arrive together; of each what became of it, or why it is none. An answer that says that
    /// something is unavailable leaves it open whether the record is kept: sent again it is answered. The turn is given to the
    /// next batch when they are kept, before their verdicts are there.
    pub(crate) async fn take_in(
        &self,
        caller: &Caller,
        arrived: Vec<Arrived>,
        turn: Option<Turn>,
        deadline: Deadline,
    ) -> Result<Vec<Result<Outcome, Status>>, Status> {
        let now = self.clock.now();
        let mut known = self.known(caller, &arrived, turn.as_ref()).await?;
        self.refresh_rules().await?;
        let mut judged = Vec::with_capacity(arrived.len());
        {
            let mut rules = self.rules.lock().await;
            for (arrived, then) in arrived.into_iter().zip(&known.then) {
                let verdict = judge(&mut rules.1, &known, then.as_ref(), &arrived, now);
                if verdict.is_ok() {
                    let taken = (arrived.elder, arrived.visit.day().year());
                    known.taken.entry(arrived.record).or_insert(taken);
                }
                judged.push(Judged { arrived, verdict });
            }
        }
        let Known { keys, written, .. } = known;
        let mut outcomes = self
            .keep_all(caller, &keys, judged, written, turn, now)
            .await?;
        self.add_verdicts(&mut outcomes, deadline).await?;
        Ok(outcomes.into_iter().map(|(_, outcome)| outcome).collect())
    }

    async fn known(
        &self,
        caller: &Caller,
        arrived: &[Arrived],
        turn: Option<&Turn>,
    ) -> Result<Known, Status> {
        let mut elders: Vec<ElderId> = arrived.iter().map(|one| one.elder).collect();
        elders.sort_unstable();
        elders.dedup();
        let elders = async {
            let elders = facts_table::TABLE.of(&self.pool, &elders).await;
            let elders = elders.map_err(errors::of_database)?;
            let then: Vec<Option<FactsOnDay>> = arrived
                .iter()
                .map(|one| within_reach(caller, one, elders.get(&one.elder)?))
                .collect();
            let persons = reached(arrived, &then);
            let keys = self.keys.vault.keys(&persons).await;
            let keys = keys.map_err(|error| person_keys::away(&error))?;
            Ok::<_, Status>((elders, then, keys))
        };
        let (elders, visitors, written) = tokio::join!(
            elders,
            self.visitors_then(arrived),
            self.written(arrived, turn),
        );
        let (elders, then, keys) = elders?;
        let written = written.map_err(errors::of_database)?;
        Ok(Known {
            elders,
            then,
            visitors: visitors.map_err(errors::of_database)?,
            keys,
            taken: written.records.clone(),
            written,
        })
    }

    async fn visitors_then(
        &self,
        arrived: &[Arrived],
    ) -> Result<HashMap<Uuid, VisitorThen>, sqlx::Error> {
        let ids: Vec<Uuid> = arrived.iter().map(|one| one.visitor).collect();
        let statement = format!(
            "SELECT visitor_id, home, active_from, active_until FROM {}.visitor WHERE visitor_id = ANY($1)",
            book_table::NAME
        );
        let rows = sqlx::query(AssertSqlSafe(statement))
            .bind(&ids)
            .fetch_all(&self.pool)
            .await?;
        rows.iter()
            .map(|row| {
                let until: Option<chrono::NaiveDate> = row.try_get(3)?;
                let visitor = VisitorThen {
                    county: county(row.try_get(1)?)?,
                    active_from: day(row.try_get(2)?)?,
                    active_until: until.map(day).transpose()?,
                };
                Ok((row.try_get(0)?, visitor))
            })
            .collect()
    }

    /// Waits for the examiner, and adds its doubts.
    async fn add_verdicts(
        &self,
        outcomes: &mut [(Uuid, Result<Outcome, Status>)],
        deadline: Deadline,
    ) -> Result<(), Status> {
        let kept = |(record, outcome): &(Uuid, Result<Outcome, Status>)| match outcome {
            Ok(Outcome::Kept { sequence, .. }) => Some((*record, *sequence)),
            Ok(Outcome::Refused(_)) | Err(_) => None,
        };
        let (records, sequences): (Vec<Uuid>, Vec<u64>) = outcomes.iter().filter_map(kept).unzip();
        let Some(last) = sequences.into_iter().max() else {
            return Ok(());
        };
        let examined = async {
            self.examined
                .wait_until(|examined| examined.judged >= last)
                .await;
        };
        deadline.bounds(examined).await?;
        let verdicts = verdicts(&self.pool, &records)
            .await
            .map_err(errors::of_database)?;
        for (record, outcome) in outcomes {
            if let Ok(Outcome::Kept { doubts, .. }) = outcome
                && let Some(more) = verdicts.get(record)
            {
                *doubts = doubts.union(*more);
            }
        }
        Ok(())
    }
}

/// What held of the elder on the day of a record, where the caller may hand it in.
fn within_reach(caller: &Caller, arrived: &Arrived, elder: &Kept) -> Option<FactsOnDay> {
    let then = elder.facts.as_ref()?.on(arrived.visit.day());
    caller.reaches(&then.village().division()).then_some(then)
}

/// Whose keys are needed: of the elders whose records the caller may hand in. Of who lives elsewhere none is asked for, as of who
/// is not known: the time that it takes, or that it does not where the key is in memory, would tell one from the other.
fn reached(arrived: &[Arrived], then: &[Option<FactsOnDay>]) -> Vec<Uuid> {
    let persons = arrived.iter().zip(then).filter(|(_, then)| then.is_some());
    let mut persons: Vec<Uuid> = persons.map(|(one, _)| one.elder.as_uuid()).collect();
    persons.sort_unstable();
    persons.dedup();
    persons
}

/// The county of a visitor's home.
fn county(home: &str) -> Result<DivisionCode, sqlx::Error> {
    let home: Option<DivisionCode> = home.parse().ok();
    home.and_then(|home| home.at(DivisionLevel::County))
        .ok_or_else(|| sqlx::Error::Decode("column home holds no home".into()))
}

/// A record with what the rules say of it.
pub(crate) struct Judged {
    pub(crate) arrived: Arrived,
    pub(crate) verdict: Result<Accepted, NotAccepted>,
}

/// What the rules take.
pub(crate) struct Accepted {
    pub(crate) village: VillageCode,
    pub(crate) doubts: Set<Doubt>,
}

/// What they don't.
pub(crate) enum NotAccepted {
    Refused(Refusal),
    Invalid(Box<Status>),
}

impl From<Status> for NotAccepted {
    fn from(status: Status) -> Self {
        Self::Invalid(Box::new(status))
    }
}

fn judge(
    rules: &mut Standings,
    known: &Known,
    then: Option<&FactsOnDay>,
    arrived: &Arrived,
    now: DateTime<Utc>,
) -> Result<Accepted, NotAccepted> {
    let facts = known.elders.get(&arrived.elder);
    let facts = facts.and_then(|kept| kept.facts.as_ref());
    let reached = then.zip(facts);
    let (then, facts) = reached.ok_or_else(|| refusals::no_elder(arrived.elder))?;
    let village = *then.village();
    let another = |other: &(ElderId, i32)| *other != (arrived.elder, then.day.year());
    // A record's id may not be used again for another elder or year: its year would not notice.
    if known.taken.get(&arrived.record).is_some_and(another) {
        return Err(refusals::record_id_reused().into());
    }
    let home = known
        .keys
        .get(&arrived.elder.as_uuid())
        .and_then(|key| home(then, arrived.elder, key));
    let elder = ElderThen {
        modes: rules.modes_then(then),
        consent_granted: consent_granted(facts, arrived.visit.start),
        in_scope: then.in_scope(),
        county: village.county(),
        home,
    };
    let visitor = known.visitors.get(&arrived.visitor);
    match recording::refusal(&arrived.visit, &elder, visitor, now) {
        Some(refusal) => Err(NotAccepted::Refused(refusal)),
        None => Ok(Accepted {
            village,
            doubts: recording::own_doubts(&arrived.visit, elder.home.as_ref()),
        }),
    }
}

/// Where the elder lived on the day, if it is known.
fn home(then: &FactsOnDay, elder: ElderId, key: &DataKey) -> Option<GeoPosition> {
    let sealed = then.residence.home.as_ref()?;
    let home = key
        .open(elders::purpose::HOME, elder.as_uuid(), sealed)
        .ok()?;
    let position = home.position?;
    GeoPosition::new(position.latitude, position.longitude).ok()
}
