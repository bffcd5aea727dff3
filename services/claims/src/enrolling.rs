//! Who is enrolled in a programme, and what an elder may have of it: what callers ask.

use civic::{ElderId, Fen, LocalDay, OrderCode};
use elders::Facts;
use elders::codec::write_day;
use elders::terms::WireTerm as _;
use eventlog::{ExecuteError, Position};
use proto::eldercare::claims::v1 as pb;
use service::{Asked, Caller, errors};
use tonic::Status;
use uuid::Uuid;

use crate::claims::{Claims, Known};
use crate::codec::write_facts;
use crate::definition::Definition;
use crate::enrolment::{self, Command, Enrolments, Spell, Whose};
use crate::judging;
use crate::refusals;

/// An enrolment as it was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// Its id is that of the request.
    pub(crate) asked: Asked,
    pub(crate) programme: String,
    pub(crate) elder: ElderId,
    pub(crate) first: LocalDay,
    pub(crate) last: LocalDay,
}

/// What became of an enrolment that is kept.
#[derive(Clone, Debug)]
pub(crate) struct Enrolled {
    pub(crate) basis: String,
    pub(crate) premium: Fen,
    pub(crate) position: Position,
}

/// The id of an elder's enrolments in a programme. A programme's code holds no `-`.
fn id(programme: &str, elder: ElderId) -> String {
    format!("{programme}-{elder}")
}

/// What is told of an elder who may be entitled.
const ENTITLEMENT: &[&str] = &[
    "elder.birth_date",
    "elder.categories",
    "elder.assistance",
    "elder.capability",
    "enrolment.enrolment_id",
    "enrolment.first_day",
    "enrolment.last_day",
    "enrolment.units_used",
];

impl Claims {
    /// Enrols an elder, where the programme's rules admit the facts of the first day.
    pub(crate) async fn enrol(&self, caller: &Caller, wanted: Wanted) -> Result<Enrolled, Status> {
        let id = id(&wanted.programme, wanted.elder);
        let enrolment = wanted.asked.request_id;
        let loaded = self.enrolments.load(&id).await;
        let loaded = loaded.map_err(service::not_loaded)?;
        if let Some(request) = loaded.request(enrolment)
            && caller
                .was_answered(&self.enrolments, &id, enrolment)
                .await?
        {
            // A retry is answered as before, whatever has become of the elder since.
            if !wanted.asked.digest.is(&request.digest) {
                return Err(errors::request_id_reused());
            }
            let position = Position::new(self.own.stream(), request.sequence);
            return Ok(enrolled(&loaded.state, enrolment, position));
        }
        let programme = self.programme(&wanted.programme).await?;
        let version = programme.on(wanted.first);
        let (_, definition) = version.ok_or_else(not_in_force)?;
        let (facts, _) = self.elder(wanted.elder).await?;
        let then = facts.on(wanted.first);
        let village = then.village().division();
        caller.knows(&village, || refusals::no_elder(wanted.elder))?;
        if !programme.division.contains(&village) {
            return Err(outside());
        }
        if judging::gone_before(&facts, wanted.first) {
            return Err(not_alive());
        }
        let basis = definition.admits(&then).filter(|_| !then.merged);
        let basis = basis.ok_or_else(not_eligible)?;
        let command = Command::Enrol {
            whose: Whose {
                programme: wanted.programme.clone(),
                elder: wanted.elder,
            },
            spell: Spell {
                enrolment,
                first: wanted.first,
                last: wanted.last,
            },
            basis: basis.to_owned(),
            premium: definition.premium,
        };
        let context = wanted.asked.by(caller, self.clock.now(), Some(village));
        let committed = self.enrolments.execute(&id, &context, &command).await;
        let committed =
            committed.map_err(|error| service::not_executed(error, refusals::of_enrolment))?;
        Ok(enrolled(
            &committed.state.state,
            enrolment,
            committed.position,
        ))
    }

    /// Gives an enrolment an earlier last day.
    pub(crate) async fn end_enrolment(
        &self,
        caller: &Caller,
        asked: Asked,
        whose: Whose,
        enrolment: Uuid,
        last: LocalDay,
    ) -> Result<Position, Status> {
        let id = id(&whose.programme, whose.elder);
        let programme = self.programme(&whose.programme).await?;
        // Whoever keeps the programme may end an enrolment of somebody whose file is gone.
        let unknown = || refusals::of_enrolment(enrolment::Refusal::Unknown);
        caller.knows(&programme.division, unknown)?;
        let context = asked.by(caller, self.clock.now(), Some(programme.division));
        let command = Command::End {
            whose,
            enrolment,
            last,
        };
        let committed = self.enrolments.execute(&id, &context, &command).await;
        let committed = committed.map_err(|error: ExecuteError<_>| {
            service::not_executed(error, refusals::of_enrolment)
        })?;
        Ok(committed.position)
    }

    /// What an elder may have on a day, and why.
    pub(crate) async fn entitlement(
        &self,
        caller: &Caller,
        code: &str,
        elder: ElderId,
        on: Option<LocalDay>,
        position: Option<&Position>,
    ) -> Result<pb::GetEntitlementResponse, Status> {
        let on = on.unwrap_or_else(|| self.clock.today());
        let (programme, known) = tokio::join!(
            self.programme_for(code, position),
            self.entitlements.of(elder)
        );
        let (programme, known) = (programme?, known.map_err(errors::of_look_up)?);
        let known = known.ok_or_else(|| refusals::no_elder(elder))?;
        let facts = known.kept.facts.as_ref();
        let facts = facts.ok_or_else(|| refusals::no_elder(elder))?;
        let village = facts.on(on).village().division();
        caller.knows(&village, || refusals::no_elder(elder))?;
        caller.told("GetEntitlement", [elder], ENTITLEMENT).await?;
        Ok(answer(
            (code, elder, on),
            &programme,
            (facts, known.kept.sequence),
            &known.enrolments(code, on.year()),
            known.used(code, on.year()),
        ))
    }
}

fn answer(
    (code, elder, on): (&str, ElderId, LocalDay),
    programme: &Known,
    (facts, sequence): (&Facts, u64),
    enrolments: &[Spell],
    used: i64,
) -> pb::GetEntitlementResponse {
    let version = programme.on(on);
    let definition = version.map(|(_, definition)| &**definition);
    let judged = judging::facts_on(facts, sequence, on, definition);
    let enrolled = enrolments
        .iter()
        .any(|spell| spell.first <= on && on <= spell.last);
    let a_year = definition.map_or(0, |definition| definition.quota.units);
    let left = a_year.saturating_sub(used).max(0);
    let least = definition.map_or(1, Definition::least_units);
    let codes: Vec<i32> = [
        (!enrolled, OrderCode::NotEnrolled),
        (judged.entitled_by.is_empty(), OrderCode::NotEntitled),
        (
            judging::gone_before(facts, on),
            OrderCode::NotAliveOrPresent,
        ),
        (left < least, OrderCode::QuotaExceeded),
    ]
    .into_iter()
    .filter(|(applies, _)| *applies)
    .map(|(_, code)| code.wire())
    .collect();
    pb::GetEntitlementResponse {
        entitled: codes.is_empty(),
        codes,
        entitled_by: judged.entitled_by.clone(),
        programme_version: version.map_or(0, |(number, _)| number.cast_signed()),
        unit: definition.map_or(0, |definition| definition.quota.unit.wire()),
        units_a_year: a_year,
        units_used: used,
        units_left: left,
        enrolments: enrolments
            .iter()
            .map(|spell| pb::Enrolment {
                enrolment_id: spell.enrolment.to_string(),
                programme_code: code.to_owned(),
                elder_id: elder.to_string(),
                first_day: Some(write_day(spell.first)),
                last_day: Some(write_day(spell.last)),
            })
            .collect(),
        facts: Some(write_facts(&judged)),
    }
}

fn enrolled(state: &Enrolments, enrolment: Uuid, position: Position) -> Enrolled {
    let premiums = state.charged.values();
    let premium = premiums
        .filter(|(by, _)| *by == enrolment)
        .map(|(_, amount)| *amount)
        .next();
    Enrolled {
        basis: state.bases.get(&enrolment).cloned().unwrap_or_default(),
        premium: premium.unwrap_or_default(),
        position,
    }
}

fn not_in_force() -> Status {
    errors::failed_precondition(
        "PROGRAMME_NOT_IN_FORCE",
        "no version of the programme holds on the first day",
        "起始日没有适用的项目版本",
    )
}

fn outside() -> Status {
    errors::failed_precondition(
        "OUTSIDE_DIVISION",
        "the elder does not live in the programme's division",
        "该老年人不在项目所属地区居住",
    )
}

fn not_alive() -> Status {
    errors::failed_precondition(
        "NOT_ALIVE_OR_PRESENT",
        "the elder had died or moved out before the first day",
        "起始日之前已故或迁出",
    )
}

fn not_eligible() -> Status {
    errors::failed_precondition(
        "NOT_ELIGIBLE",
        "no rule of the programme admits the elder on the first day",
        "起始日的情况不符合任何一条参保条件",
    )
}
