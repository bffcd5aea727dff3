//! The read model of tiering's log: which tier each elder has had, from which day to which.

use std::collections::BTreeMap;

use async_trait::async_trait;
use chrono::NaiveDate;
use civic::{DivisionCode, ElderId, LocalDay, Set, VillageCode, VisitMode};
use elder_tables::columns::{bits, day, set};
use elders::terms::set_from_wire;
use elders::wire;
use eventlog::{DecodeError, RawEvent, Record};
use prost::Name as _;
use proto::eldercare::tiering::v1 as pb;
use proto::eldercare::r#type::v1 as types;
use readmodel::{ApplyError, Parked, Phase, Projection, read_events};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection, PgExecutor, Row as _};
use uuid::Uuid;

use crate::document::Document;
use crate::dossier::Finding;
use crate::elders_table;
use crate::feeds::changes::{self, Which, of_events};
use crate::products::ProductName;

/// The projection's name and schema.
pub const NAME: &str = "sharing_tiers";

/// Folds tiering's records; of the policies it takes nothing.
#[derive(Debug, Default)]
pub struct TiersTable;

#[async_trait]
impl Projection for TiersTable {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> u32 {
        1
    }

    fn ddl(&self) -> &'static str {
        // `to_day` is the first day on which the spell no longer holds, NULL while it does.
        "CREATE TABLE spell (
            elder_id uuid NOT NULL,
            from_day date NOT NULL,
            to_day date,
            tier text COLLATE \"C\" NOT NULL,
            reasons text[] NOT NULL,
            visit_interval text COLLATE \"C\" NOT NULL,
            modes integer NOT NULL,
            village text COLLATE \"C\" NOT NULL,
            sequence bigint NOT NULL,
            PRIMARY KEY (elder_id, from_day)
        );"
    }

    fn post_load_ddl(&self) -> &'static str {
        "CREATE INDEX spell_days ON spell (elder_id, from_day, to_day, tier);"
    }

    async fn apply(
        &mut self,
        db: &mut PgConnection,
        records: &[Record],
        _: Phase,
    ) -> Result<Vec<Parked>, ApplyError> {
        let mut parked = Vec::new();
        let mut spells = SpellRows::default();
        for record in records {
            let recorded = LocalDay::of(record.metadata.time);
            let told = read_events(record, |raw| decode(raw, recorded), &mut parked);
            for change in told.into_iter().flatten() {
                spells.fold(record.sequence, change);
            }
        }
        spells.write(db).await?;
        Ok(parked)
    }
}

/// Which documents a record changes: the tiers of the elders that it tells of, also where one ends.
pub(crate) fn changes(record: &Record) -> Vec<changes::Change> {
    let recorded = LocalDay::of(record.metadata.time);
    of_events(record, |raw| {
        let change = decode(raw, recorded)?;
        Ok(change.map(|change| (ProductName::Tier, Which::One(change.elder.as_uuid()))))
    })
}

/// What an event says of an elder's tier.
#[derive(Debug, PartialEq)]
struct Change {
    elder: ElderId,
    /// From this day on.
    on: LocalDay,
    /// None where the elder went out of scope.
    given: Option<Given>,
}

/// A tier as it was given.
#[derive(Debug, PartialEq)]
struct Given {
    tier: String,
    reasons: Vec<String>,
    interval: &'static str,
    modes: Set<VisitMode>,
    village: VillageCode,
}

/// What an event says; nothing where it is one of policies. `recorded` is the day that holds where the event bears none.
fn decode(raw: &RawEvent, recorded: LocalDay) -> Result<Option<Change>, DecodeError> {
    let name = raw.event_type.as_str();
    if name == pb::TierAssigned::full_name() {
        let message: pb::TierAssigned = wire::message(raw)?;
        Ok(Some(Change {
            elder: wire::elder(&message.elder_id)?,
            on: read_on(message.on, recorded)?,
            given: Some(read_assignment(message.assignment)?),
        }))
    } else if name == pb::TierChanged::full_name() {
        let message: pb::TierChanged = wire::message(raw)?;
        Ok(Some(Change {
            elder: wire::elder(&message.elder_id)?,
            on: read_on(message.on, recorded)?,
            given: Some(read_assignment(message.assignment)?),
        }))
    } else if name == pb::TierEnded::full_name() {
        let message: pb::TierEnded = wire::message(raw)?;
        Ok(Some(Change {
            elder: wire::elder(&message.elder_id)?,
            on: read_on(message.on, recorded)?,
            given: None,
        }))
    } else if name == pb::PolicyPublished::full_name() || name == pb::PoliciesCompared::full_name()
    {
        Ok(None)
    } else {
        Err(DecodeError::unknown(raw))
    }
}

fn read_on(on: Option<types::Date>, recorded: LocalDay) -> Result<LocalDay, DecodeError> {
    match on {
        Some(on) => wire::day(Some(on), "on"),
        None => Ok(recorded),
    }
}

fn read_assignment(message: Option<pb::Assignment>) -> Result<Given, DecodeError> {
    let message = wire::present(message, "assignment")?;
    Ok(Given {
        interval: match pb::Interval::try_from(message.interval) {
            Ok(pb::Interval::Weekly) => "WEEKLY",
            Ok(pb::Interval::Monthly) => "MONTHLY",
            Ok(pb::Interval::Unspecified) | Err(_) => {
                return Err(DecodeError::malformed("interval"));
            }
        },
        modes: set_from_wire(&message.modes).map_err(|_index| DecodeError::malformed("modes"))?,
        village: wire::village(&message.division_code)?,
        tier: message.tier,
        reasons: message.reasons,
    })
}

/// The spells that a batch leaves, by elder.
#[derive(Default)]
struct SpellRows(BTreeMap<ElderId, Spells>);

/// What a batch says of an elder.
struct Spells {
    /// From this day on nothing of before the batch holds.
    cut: LocalDay,
    spells: Vec<Spell>,
}

struct Spell {
    from: LocalDay,
    to: Option<LocalDay>,
    given: Given,
    sequence: u64,
}

impl SpellRows {
    /// Whatever held from the change's day on is over; what began on that day or after it never was.
    fn fold(&mut self, sequence: u64, change: Change) {
        let on = change.on;
        let of_elder = self.0.entry(change.elder).or_insert_with(|| Spells {
            cut: on,
            spells: Vec::new(),
        });
        of_elder.cut = of_elder.cut.min(on);
        of_elder.spells.retain(|spell| spell.from < on);
        for spell in &mut of_elder.spells {
            if spell.to.is_none_or(|to| to > on) {
                spell.to = Some(on);
            }
        }
        if let Some(given) = change.given {
            of_elder.spells.push(Spell {
                from: on,
                to: None,
                given,
                sequence,
            });
        }
    }

    async fn write(self, db: &mut PgConnection) -> Result<(), ApplyError> {
        if self.0.is_empty() {
            return Ok(());
        }
        let elders: Vec<Uuid> = self.0.keys().map(ElderId::as_uuid).collect();
        let cuts: Vec<NaiveDate> = self.0.values().map(|of| of.cut.date()).collect();
        // Both are planned each time: a plan that was made while there were few spells would read all of them.
        sqlx::query(
            "DELETE FROM spell USING unnest($1::uuid[], $2::date[]) AS cut (elder_id, on_day) \
             WHERE spell.elder_id = cut.elder_id AND spell.from_day >= cut.on_day",
        )
        .persistent(false)
        .bind(&elders)
        .bind(&cuts)
        .execute(&mut *db)
        .await?;
        sqlx::query(
            "UPDATE spell SET to_day = cut.on_day FROM unnest($1::uuid[], $2::date[]) AS cut (elder_id, on_day) \
             WHERE spell.elder_id = cut.elder_id AND spell.from_day < cut.on_day \
             AND (spell.to_day IS NULL OR spell.to_day > cut.on_day)",
        )
        .persistent(false)
        .bind(&elders)
        .bind(&cuts)
        .execute(&mut *db)
        .await?;
        let rows = self.0.into_iter();
        let rows = rows.flat_map(|(elder, of)| of.spells.into_iter().map(move |one| (elder, one)));
        insert(db, &rows.collect::<Vec<_>>()).await
    }
}

async fn insert(db: &mut PgConnection, rows: &[(ElderId, Spell)]) -> Result<(), ApplyError> {
    if rows.is_empty() {
        return Ok(());
    }
    let elders: Vec<Uuid> = rows.iter().map(|(elder, _)| elder.as_uuid()).collect();
    let spells = || rows.iter().map(|(_, spell)| spell);
    let from: Vec<NaiveDate> = spells().map(|one| one.from.date()).collect();
    let to: Vec<Option<NaiveDate>> = spells().map(|one| one.to.map(LocalDay::date)).collect();
    let tiers: Vec<&str> = spells().map(|one| one.given.tier.as_str()).collect();
    // Names of rules have no spaces.
    let reasons: Vec<String> = spells().map(|one| one.given.reasons.join(" ")).collect();
    let intervals: Vec<&str> = spells().map(|one| one.given.interval).collect();
    let modes: Vec<i32> = spells().map(|one| bits(one.given.modes)).collect();
    let villages: Vec<&str> = spells().map(|one| one.given.village.as_str()).collect();
    let sequences: Vec<i64> = spells().map(|one| one.sequence.cast_signed()).collect();
    sqlx::query(
        "INSERT INTO spell (elder_id, from_day, to_day, tier, reasons, visit_interval, modes, village, sequence) \
         SELECT elder_id, from_day, to_day, tier, string_to_array(reasons, ' '), visit_interval, modes, village, sequence \
         FROM unnest($1::uuid[], $2::date[], $3::date[], $4::text[], $5::text[], $6::text[], $7::integer[], $8::text[], $9::bigint[]) \
         AS row (elder_id, from_day, to_day, tier, reasons, visit_interval, modes, village, sequence)",
    )
    .bind(&elders)
    .bind(&from)
    .bind(&to)
    .bind(&tiers)
    .bind(&reasons)
    .bind(&intervals)
    .bind(&modes)
    .bind(&villages)
    .bind(&sequences)
    .execute(db)
    .await?;
    Ok(())
}

/// The tier of an elder on a day.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TierRow {
    elder: ElderId,
    since: LocalDay,
    tier: String,
    reasons: Vec<String>,
    interval: String,
    modes: Set<VisitMode>,
    village: String,
}

/// Finds the tier that an elder has on the day for which a dossier is asked; none out of scope.
pub(crate) fn of_asked() -> Finding {
    Finding {
        select: format!(
            "SELECT elder_id, from_day, tier, reasons, visit_interval, modes, village FROM {NAME}.spell \
             WHERE elder_id = asked.elder AND from_day <= asked.on_day AND (to_day IS NULL OR to_day > asked.on_day)"
        ),
        order: "from_day",
    }
}

/// The tiers that elders have, each on a day of their own; out of scope there is none. Each elder is asked for once.
///
/// # Errors
/// The database's.
pub(crate) async fn at_all(
    db: impl PgExecutor<'_>,
    asked: &[(ElderId, LocalDay)],
) -> Result<Vec<TierRow>, sqlx::Error> {
    let statement = format!(
        "SELECT elder_id, from_day, tier, reasons, visit_interval, modes, village \
         FROM unnest($1::uuid[], $2::date[]) AS asked (elder_id, on_day) JOIN {NAME}.spell USING (elder_id) \
         WHERE from_day <= on_day AND (to_day IS NULL OR to_day > on_day)"
    );
    let (elders, days): (Vec<Uuid>, Vec<NaiveDate>) = asked
        .iter()
        .map(|(elder, on)| (elder.as_uuid(), on.date()))
        .unzip();
    // Planned each time: it may be one that is asked for, or thousands.
    let rows = sqlx::query(AssertSqlSafe(statement))
        .persistent(false)
        .bind(elders)
        .bind(days)
        .fetch_all(db)
        .await?;
    rows.iter().map(TierRow::of).collect()
}

/// How many elders who live in a division on a day have which tier then.
///
/// A spell's own village is the one of the day on which it began: a move alone begins no new one.
///
/// # Errors
/// The database's.
pub(crate) async fn counts(
    db: impl PgExecutor<'_>,
    division: &DivisionCode,
    on: LocalDay,
) -> Result<Vec<(String, i64)>, sqlx::Error> {
    let homes = elders_table::NAME;
    let statement = format!(
        "SELECT s.tier, count(*) FROM {homes}.home h JOIN {NAME}.spell s USING (elder_id) \
         WHERE h.village >= $1 AND h.village < $2 AND h.from_day <= $3 AND (h.to_day IS NULL OR h.to_day > $3) \
         AND s.from_day <= $3 AND (s.to_day IS NULL OR s.to_day > $3) GROUP BY s.tier ORDER BY s.tier"
    );
    // Planned each time: a village is joined otherwise than a province.
    let rows = sqlx::query(AssertSqlSafe(statement))
        .persistent(false)
        .bind(division.as_str())
        .bind(division.beyond())
        .bind(on.date())
        .fetch_all(db)
        .await?;
    rows.iter()
        .map(|row| Ok((row.try_get::<String, _>(0)?, row.try_get::<i64, _>(1)?)))
        .collect()
}

impl TierRow {
    pub(crate) fn of(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            elder: ElderId(row.try_get(0)?),
            since: day(row.try_get(1)?)?,
            tier: row.try_get(2)?,
            reasons: row.try_get(3)?,
            interval: row.try_get(4)?,
            modes: set(row.try_get(5)?),
            village: row.try_get(6)?,
        })
    }

    /// The row as a document of the product tier.
    #[must_use]
    pub(crate) fn document(&self) -> Document {
        Document::new(ProductName::Tier, self.elder, self.elder)
            .with("elder_id", self.elder.to_string())
            .with("division_code", self.village.as_str())
            .with("tier", self.tier.as_str())
            .with("since", self.since.to_string())
            .with("reasons", self.reasons.clone())
            .with("interval", self.interval.as_str())
            .with("modes", self.modes.names().collect::<Vec<_>>())
    }
}

#[cfg(test)]
mod tests {
    use elders::codec::write_day;

    use super::*;

    fn elder() -> ElderId {
        ElderId(Uuid::from_u128(1))
    }

    fn on(text: &str) -> LocalDay {
        text.parse().unwrap()
    }

    fn priority() -> pb::Assignment {
        pb::Assignment {
            tier: "PRIORITY".to_owned(),
            reasons: vec!["LIVING_ALONE".to_owned()],
            interval: pb::Interval::Weekly.into(),
            modes: vec![types::VisitMode::Home.into()],
            policy_division_code: "0".to_owned(),
            policy_version: 1,
            division_code: "350524100001".to_owned(),
        }
    }

    fn assigned(day: Option<&str>) -> RawEvent {
        RawEvent::of(&pb::TierAssigned {
            elder_id: elder().to_string(),
            assignment: Some(priority()),
            on: day.map(|day| write_day(on(day))),
        })
    }

    fn ended(day: &str) -> RawEvent {
        RawEvent::of(&pb::TierEnded {
            elder_id: elder().to_string(),
            on: Some(write_day(on(day))),
        })
    }

    /// First and last days of the spells that events leave.
    fn spells<const N: usize>(events: [RawEvent; N]) -> Vec<(LocalDay, Option<LocalDay>)> {
        let mut rows = SpellRows::default();
        for raw in &events {
            let change = decode(raw, on("2024-12-31")).unwrap().unwrap();
            rows.fold(1, change);
        }
        let left = rows.0.into_values().flat_map(|of| of.spells);
        left.map(|spell| (spell.from, spell.to)).collect()
    }

    #[test]
    fn a_tier_holds_until_the_next_one_begins() {
        let left = spells([assigned(Some("2024-10-01")), assigned(Some("2024-10-05"))]);
        let first = (on("2024-10-01"), Some(on("2024-10-05")));
        assert_eq!(left, [first, (on("2024-10-05"), None)]);
    }

    #[test]
    fn what_began_on_the_day_of_a_change_is_replaced() {
        let left = spells([assigned(Some("2024-10-01")), assigned(Some("2024-10-01"))]);
        assert_eq!(left, [(on("2024-10-01"), None)]);
        let left = spells([assigned(Some("2024-10-01")), ended("2024-10-01")]);
        assert!(left.is_empty());
    }

    #[test]
    fn an_elder_may_come_back_into_scope() {
        let left = spells([
            assigned(Some("2024-10-01")),
            ended("2024-10-03"),
            assigned(Some("2024-10-09")),
        ]);
        let first = (on("2024-10-01"), Some(on("2024-10-03")));
        assert_eq!(left, [first, (on("2024-10-09"), None)]);
    }

    #[test]
    fn without_a_day_the_day_of_the_record_holds() {
        assert_eq!(spells([assigned(None)]), [(on("2024-12-31"), None)]);
    }

    #[test]
    fn policies_are_known_and_passed_by() {
        let published = RawEvent::of(&pb::PolicyPublished::default());
        let compared = RawEvent::of(&pb::PoliciesCompared::default());
        for of_policies in [published, compared] {
            assert_eq!(decode(&of_policies, on("2024-10-01")), Ok(None));
        }
    }
}
